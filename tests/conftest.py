"""Fixtures that every test may ask for: a clean environment, and databases."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import settings

from pfa_cli.render import streams
from tests import processes
from tests.compiling import compile_share
from tests.forms import EFFORT
from tests.program import CANARY, copied
from tests.server import Server, Servers
from tests.versions import OF_THE_RUN, Version, compiles, older

__all__ = ["copied"]  # a fixture

# What a property draws unless it says otherwise; other examples each time. No deadline: on a busy machine an
# example also waits for other processes.
settings.register_profile("usual", max_examples=50 * EFFORT, deadline=None)
settings.load_profile("usual")

# The day whose long items are run: one for all processes of a run, whatever the time is. Without one all are.
DAY = "PFA_TEST_DAY"
EVERY_DAY = "all"

# Of the long items one in so many runs, each day another, unless they say how many.
_TURNS = 6

# Whether slow tests are left to the long form: in a run of all files, for all of its processes.
LEAVES_SLOW = "PFA_TEST_LEAVES_SLOW"

_OURS = ("PFA_", "XDG_", "PG", "DATABASE_URL")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test's home directory; made by what writes there, which few tests do."""
    return tmp_path_factory.getbasetemp() / f"home-{next(_numbers)}"


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the test's own. pytest's would look through those of all tests before it."""
    path = tmp_path_factory.getbasetemp() / f"test-{next(_numbers)}"
    path.mkdir(mode=0o700)
    return path


_numbers = count(1)


@pytest.fixture(autouse=True)
def isolated_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the developer's settings nor their database are in any test's reach."""
    for name in list(os.environ):
        if name.startswith(_OURS) and not name.startswith("PFA_TEST_"):
            monkeypatch.delenv(name)
    # Whether the run has a terminal is not to matter.
    monkeypatch.setattr(streams, "CONTROLLING", str(home / "none"))
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("PFA_PEMS_USERNAME", "pfa")
    monkeypatch.setenv("PFA_PEMS_PASSWORD", CANARY)
    # The passwd home and /var/lib/pfa are the defaults, whatever HOME says.
    monkeypatch.setenv("PFA_EMBEDDED_DIR", str(home / "embedded"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in whose output, log or error the canary sings."""
    report = yield
    shown = [text for _, text in report.sections]
    shown += [str(report.longrepr or "")]
    if report.when == "call" and any(CANARY in text for text in shown):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows a secret in its output"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="run the long forms too: the older PostgreSQL, every fault beside every kill, long sequences",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: a quarter of the time a test waits, for its server's disk or for another process."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_version: runs on an older PostgreSQL too, where one is installed, with --long",
    )
    config.addinivalue_line("markers", "long: a long form, which runs only with --long")
    config.addinivalue_line(
        "markers",
        "slow: left out of a plain run of all tests; runs where files are named, and in each long form",
    )
    config.addinivalue_line(
        "markers",
        "variants(n): the first n of its parameters run always, the others in the long form: they are of one kind",
    )
    config.addinivalue_line(
        "markers",
        f"turns(n): one in n of its long items runs, each day another; without it one in {_TURNS}",
    )
    config.addinivalue_line("markers", "early: takes a minute, and begins before the others")
    processes.inherit_no_ignored_signals()
    if hasattr(config, "workerinput"):
        return  # decided by the process that started this one
    are_named = config.args_source is pytest.Config.ArgsSource.ARGS
    os.environ[LEAVES_SLOW] = "" if are_named else "1"
    if EFFORT > 1 or are_named or os.environ.get(DAY) == EVERY_DAY:
        os.environ.pop(DAY, None)
    else:
        os.environ.setdefault(DAY, str(datetime.now(UTC).toordinal()))


def pytest_report_header() -> str:
    """Name what a run is repeated with."""
    day = os.environ.get(DAY)
    return f"long items of {DAY}={day}" if day else "long items of every day"


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Look for no garbage among what is collected: it stays to the end, ten thousand tests with their values."""
    compile_share(session.config)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_variants_to_the_long_form(items)
    if os.environ[LEAVES_SLOW]:
        _leave_slow_ones_to_the_long_form(items)
    is_long = config.getoption("long")
    day = os.environ.get(DAY)
    left_out = _not_today(items, int(day)) if day else set()
    chosen, others = [], []
    for item in items:
        long = item.get_closest_marker("long") is not None
        (others if item in left_out or (long and not is_long) else chosen).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen
    if os.environ.get("PFA_TEST_POOL") or os.environ.get("PFA_TEST_STANDBY"):
        from tests.by_way_of import skip_hidden

        skip_hidden(items)
    if is_long:
        _spread(items)


def _not_today(items: list[pytest.Item], day: int) -> set[pytest.Item]:
    """The long items whose turn is on another day."""
    places: dict[str, int] = {}
    found = set()
    for item in items:
        if item.get_closest_marker("long"):
            marker = item.get_closest_marker("turns")
            turns = marker.args[0] if marker else _TURNS
            name = item.nodeid.partition("[")[0]
            place = places[name] = places.get(name, crc32(name.encode())) + 1
            if (place + day) % turns:
                found.add(item)
    return found


def _leave_variants_to_the_long_form(items: list[pytest.Item]) -> None:
    """Mark the variants of a test that are more than it asks for always."""
    seen: dict[str, int] = {}
    for item in items:
        asked = item.get_closest_marker("variants")
        if asked and not item.get_closest_marker("long"):
            name = item.nodeid.partition("[")[0]
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > asked.args[0]:
                item.add_marker("long")


def _leave_slow_ones_to_the_long_form(items: list[pytest.Item]) -> None:
    """Mark them as long, without turns: in each run of the long form they have theirs."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("long"):
            item.add_marker("long")
            item.add_marker(pytest.mark.turns(1), append=False)


def _spread(items: list[pytest.Item]) -> None:
    """Let those that take a minute begin early, each with another worker: who gets one last keeps all waiting."""
    early = [item for item in items if item.get_closest_marker("early")]
    rest = [item for item in items if not item.get_closest_marker("early")]
    for place, item in enumerate(early):
        rest.insert(place * len(items) // len(early), item)
    items[:] = rest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("every_version")
    if not marked or "postgres" not in metafunc.fixturenames:
        return
    names = [name for name in ("postgres", "jit") if name in metafunc.fixturenames]
    params = [
        pytest.param(
            *(version, jit)[: len(names)],
            marks=marks,
            id="-".join((str(version), jit)[: len(names)]),
        )
        for version, marks in _versions()
        for jit in _jit(version)[: None if "jit" in names else 1]
    ]
    metafunc.parametrize(names, params, indirect=True, scope="session")


def _versions() -> list[tuple[Version, list[pytest.MarkDecorator]]]:
    """The server of this run, and the older one for the long form."""
    too = older()
    return [(OF_THE_RUN, []), *([(too, [pytest.mark.long])] if too else [])]


def _jit(version: Version) -> list[str]:
    """Compiling is forced only where something can be compiled."""
    return ["jit off", "jit on"] if compiles(version) else ["jit off"]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this run. They outlive the tests of a version, which need not stand in a row."""
    with Servers() as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def by_way(servers: Servers) -> Iterator[None]:
    """The tests' own way to the server, or what the variables ask for."""
    if not (os.environ.get("PFA_TEST_POOL") or os.environ.get("PFA_TEST_STANDBY")):
        yield
        return
    from tests.by_way_of import by_way_of

    with by_way_of(servers.of(OF_THE_RUN)):
        yield


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """The server of this run; in tests marked `every_version` the older one too."""
    return servers.of(getattr(request, "param", OF_THE_RUN))


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """The name of a database with the schema of today; no connection to it stays open."""
    return postgres.template()


@pytest.fixture
def database_url(postgres: Server, template: str) -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    with postgres.database(template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: Server) -> Iterator[str]:
    """The address of a database of the test's own without any schema."""
    with postgres.database() as url:
        yield url
