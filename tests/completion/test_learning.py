"""Commands keep what they know for completion; what they cost by that, and that it never shows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pfa_cli.completion import cache
from pfa_cli.completion.answer import answer
from pfa_cli.framework.invocation import Invocation
from tests.cli.conftest import baseline_record, ready, write_lines
from tests.program import Pfa
from tests.terminals import on_terminal

__all__ = ["ready"]  # a fixture


def offered(*words: str) -> list[str]:
    rows = answer(["zsh", *words], os.environ).splitlines()[1:]
    return [row.partition("\t")[0] for row in rows]


def forget() -> None:
    for path in Path(cache.folder()).iterdir():
        path.unlink()


def pull(pfa: Pfa) -> None:
    """Pull one record more: what the stage kept is of the database that it was copied from."""
    forget()
    records = [baseline_record(number) for number in range(1, 8)]
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "more.jsonl", records)).code == 0


def test_a_pull_keeps_the_keys_of_the_mirror(ready: Pfa) -> None:
    pull(ready)
    assert sorted(offered("list", "--category", "")) == ["Crane", "Loader"]
    assert sorted(offered("list", "--area-silo", "")) == ["Jetty", "Silo 4"]
    assert offered("show", "H-00") == [f"H-00{number}" for number in range(1, 8)]
    (run,) = offered("sync", "show", "")
    assert ready("sync", "show", run).code == 0


def test_a_pull_of_many_replaces_what_is_not_there_any_more(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfa_cli.framework.learning.MANY", 6)
    pull(ready)
    gone = [baseline_record(number, category="Barge") for number in range(1, 8)]
    assert ready("sync", "pull", "--from", write_lines(ready.folder / "new.jsonl", gone)).code == 0
    assert offered("list", "--category", "") == ["Barge"]


def test_a_pull_of_few_reads_the_keys_of_the_mirror_once(ready: Pfa) -> None:
    pull(ready)
    one = [baseline_record(1, category="Barge")]
    assert ready("sync", "pull", "--from", write_lines(ready.folder / "one.jsonl", one)).code == 0
    assert sorted(offered("list", "--category", "")) == ["Crane", "Loader"]


def test_a_dry_run_keeps_nothing(ready: Pfa) -> None:
    forget()
    new = write_lines(ready.folder / "new.jsonl", [baseline_record(1, category="Barge")])
    assert ready("sync", "pull", "--from", new, "--dry-run").code == 0
    assert ready("draft", "set", "H-001", "model=X", "--into", "s", "--dry-run").code == 0
    assert list(Path(cache.folder()).iterdir()) == []


def test_a_save_keeps_its_session_and_records(ready: Pfa) -> None:
    forget()
    assert ready("draft", "set", "H-001", "model=X", "--into", "rain, Silo 4").code == 0
    assert offered("commit", "--session", "") == ["rain, Silo 4"]
    assert offered("show", "") == ["H-001"]


@pytest.fixture
def at_a_terminal(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> Pfa:
    """The program, as if its result were shown to a user."""
    monkeypatch.setattr(Invocation, "learns", True)
    return ready


def test_on_a_terminal_reads_keep_what_they_show(at_a_terminal: Pfa) -> None:
    ready = at_a_terminal
    assert ready("draft", "set", "H-002", "model=X", "--into", "s").code == 0
    for words, line, expected in (
        (("list",), ("list", "--category", ""), ["Crane", "Loader"]),
        (("stats", "--by", "areaSilo"), ("list", "--area-silo", ""), ["Jetty", "Silo 4"]),
        (("status",), ("diff", ""), ["s"]),
        (("sync", "runs"), ("log", "--run", ""), None),
        (("show", "H-003"), ("show", "H"), ["H-003"]),
        (("user", "list"), ("user", "grant", ""), [ready_user()]),
    ):
        forget()
        assert ready(*words, "-o", "table").code == 0
        found = offered(*line)
        assert found if expected is None else sorted(found) == expected


def test_views_are_offered_to_their_user_alone_until_they_are_gone(at_a_terminal: Pfa) -> None:
    ready = at_a_terminal
    forget()
    for words in (("cranes",), ("my loaders",), ("common", "--shared")):
        assert ready("view", "save", *words, "--category", "Crane").code == 0
    names = ["common", "cranes", "my loaders"]
    for line in (
        ("list", "--view", ""),
        ("draft", "set", "--view", ""),
        ("commit", "--view", ""),
        ("view", "show", ""),
        ("view", "delete", ""),
        ("view", "save", ""),
    ):
        assert sorted(offered(*line)) == names
    assert offered("list", "--view=my") == ["--view=my loaders"]
    assert ready("view", "delete", "cranes").code == 0
    assert sorted(offered("list", "--view", "")) == ["common", "my loaders"]
    forget()
    assert ready("list", "--view", "common", "-o", "table").code == 0
    assert offered("list", "--view", "") == ["common"]
    assert ready("view", "list").code == 0
    assert sorted(offered("list", "--view", "")) == ["common", "my loaders"]
    (file,) = Path(cache.folder()).iterdir()
    assert f"view@{ready_user()}\tmy loaders\n" in file.read_text()
    assert ready("view", "save", "dry", "--dor", "BEO", "-n").code == 0
    assert "dry" not in file.read_text()


def ready_user() -> str:
    from pfa_core.config.settings import os_user

    return os_user()


def test_a_status_forgets_sessions_that_are_gone(at_a_terminal: Pfa) -> None:
    ready = at_a_terminal
    assert ready("draft", "set", "H-002", "model=X", "--into", "s").code == 0
    assert ready("discard", "--session", "s").code == 0
    assert offered("diff", "") == ["s"]
    assert ready("status").code == 0
    assert offered("diff", "") == []


def test_a_read_for_a_program_keeps_nothing(ready: Pfa) -> None:
    forget()
    for words in (["list"], ["list", "-o", "json"], ["stats", "--by", "category"], ["status"]):
        assert ready(*words).code == 0
    assert list(Path(cache.folder()).iterdir()) == []


@pytest.mark.slow
def test_no_money_is_kept(ready: Pfa) -> None:
    pull(ready)
    assert on_terminal("list").code == 0
    assert on_terminal("stats", "--by", "category,dor,isActualized").code == 0
    (file,) = Path(cache.folder()).iterdir()
    kinds = {line.partition("\t")[0] for line in file.read_text().splitlines()[2:]}
    assert kinds == {"category", "class", "areaSilo", "record", "run"}


def test_the_variable_switches_it_off(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setenv("PFA_NO_COMPLETION_CACHE", "1")
    assert ready("draft", "set", "H-001", "model=X", "--into", "s").code == 0
    assert list(Path(cache.folder()).iterdir()) == []


@pytest.mark.parametrize("cache_home", ["/dev/null", "/proc/nothing"])
def test_a_command_succeeds_silently_where_nothing_can_be_kept(
    cache_home: str, ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache_home)
    done = ready("draft", "set", "H-001", "model=X", "--into", "s", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_another_organization_is_offered_none_of_it(ready: Pfa) -> None:
    pull(ready)
    assert ready("org", "add", "RIO").code == 0
    assert offered("list", "--org", "") == ["HOLNG", "RIO"]
    assert offered("list", "--org", "RIO", "--category", "") == []
    assert offered("list", "--org", "HOLNG", "--category", "") != []
    # Two organizations and none named: the command would refuse, so there is nothing to offer.
    assert offered("list", "--category", "") == []


def test_keeping_costs_less_than_a_hundredth_of_a_command(ready: Pfa) -> None:
    """A command takes 100 ms before it does anything; 1,000 records and 300 values of six fields are the most."""
    key = cache.key("postgresql://db/pfa", "HOLNG")
    full = {f"kind{kind}": [f"value {number}" for number in range(300)] for kind in range(6)}
    assert cache.keep(key, {**full, "record": [f"H-{number:06}" for number in range(1000)]})
    taken = []
    for _ in range(9):
        began = time.process_time()
        assert not cache.keep(key, {"category": [], "kind1": ["value 7"], "record": ["H-000007"]})
        taken.append(time.process_time() - began)
    assert min(taken) < 0.005
