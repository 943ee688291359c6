"""`pfa commit` without a selection: what it names, whom it asks, what it commits."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from pfa_cli.commands import proposal
from pfa_cli.render import streams
from tests.cli.conftest import baseline_record, write_lines
from tests.forms import long
from tests.program import Pfa, Ran, a_stage
from tests.terminals import begun, terminal

NAMED = [
    "  rates: 2 records, 3 fields, forecast 5,600.00 → 11,600.00 (+6,000.00)",
    "  weather: 1 record, 1 field, forecast 2,800.00 → 3,500.00 (+700.00)",
]


@a_stage
def drafted(pfa: Pfa) -> None:
    """Three records of 28 days and 100 a day; drafts in two sessions, another change committed."""
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pfa("org", "set", "--currency", "USD", "--rate-uom", "day").code == 0
    dates = {"forecastStart": "2026-02-01", "forecastEnd": "2026-03-01"}
    records = [baseline_record(number, monthlyRate=100, **dates) for number in range(1, 5)]
    source = write_lines(pfa.folder / "m.jsonl", records)
    assert pfa("sync", "pull", "--from", source).code == 0
    for words in (
        ("H-004", "model=C", "--into", "earlier"),
        ("H-001", "monthlyRate=150", "model=A", "--into", "rates"),
        ("H-002", "monthlyRate=264.285714285714", "--into", "rates"),
        ("H-003", "forecastEnd=2026-03-08", "--into", "weather"),
    ):
        assert pfa("draft", "set", *words).code == 0
        if words[-1] == "earlier":
            assert pfa("commit", "--session", "earlier").code == 0


@pytest.fixture
def typing(drafted: Pfa, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs `pfa commit` as in a terminal where an answer is typed."""

    def run(answer: str, *words: str) -> Ran:
        with monkeypatch.context() as patch:
            typed = io.StringIO(answer)
            patch.setattr(sys, "stdin", typed)
            patch.setattr(streams, "is_terminal", lambda stream: stream in (typed, sys.stderr))
            return drafted("commit", *words)

    return run


def committed(pfa: Pfa) -> list[str]:
    return pfa("draft", "list", "--state", "committed", "-o", "ids").lines


@pytest.mark.parametrize("answer", ["y\n", *long(["YES\n", " yes \n"])])
def test_with_a_yes_all_that_was_named_is_committed(
    drafted: Pfa, typing: Callable[..., Ran], answer: str
) -> None:
    ran = typing(answer)
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[:2] == NAMED
    assert "commit these 3 drafts? [y/N] 3 drafts committed\n" in ran.err
    assert ran.err.splitlines()[-1] == "next: pfa sync push"
    assert committed(drafted) == ["H-001", "H-002", "H-003", "H-004"]


@pytest.mark.parametrize("answer", ["\n", *long(["n\n", "", "yep\n"])])
def test_without_a_yes_nothing_is_committed(
    drafted: Pfa, typing: Callable[..., Ran], answer: str
) -> None:
    ran = typing(answer)
    assert ran.code == 130
    assert ran.err.endswith("nothing was committed; one session: pfa commit --session NAME\n")
    assert committed(drafted) == ["H-004"]


@pytest.mark.parametrize(
    "words",
    [["--all"], *long([["--session", "weather"], ["--id", "H-003"]])],
    ids=" ".join,
)
def test_a_selection_asks_nothing(
    drafted: Pfa, typing: Callable[..., Ran], words: list[str]
) -> None:
    ran = typing("n\n", *words)
    assert (ran.code, "?" in ran.err) == (0, False)
    assert "H-003" in committed(drafted)


def test_a_dry_run_names_and_asks_nothing(drafted: Pfa, typing: Callable[..., Ran]) -> None:
    ran = typing("n\n", "--dry-run")
    assert ran.code == 0
    assert ran.err.splitlines()[:2] == NAMED
    assert "?" not in ran.err
    assert committed(drafted) == ["H-004"]


@pytest.mark.parametrize("terminals", ["stdin", *long(["neither", "stderr"])])
def test_in_a_script_all_is_committed_unasked(
    drafted: Pfa, monkeypatch: pytest.MonkeyPatch, terminals: str
) -> None:
    typed = io.StringIO("n\n")
    known = {"stdin": [typed], "stderr": [sys.stderr]}.get(terminals, [])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", typed)
        patch.setattr(streams, "is_terminal", lambda stream: stream in known)
        ran = drafted("commit")
    assert (ran.code, ran.err) == (0, "3 drafts committed\nnext: pfa sync push\n")


def test_the_question_is_whole_with_quiet_too(typing: Callable[..., Ran]) -> None:
    ran = typing("y\n", "--quiet")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [*NAMED, "commit these 3 drafts? [y/N] "]


def test_money_is_named_to_those_who_may_see_it(
    drafted: Pfa, typing: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("user", "grant", "vic", "--role", "editor", "--without", "view_financials")
    assert drafted(*words).code == 0
    file = drafted.folder / "vic.token"
    assert drafted("auth", "issue", "--user", "vic", "--to", str(file)).code == 0
    of_vic = ("--token-file", str(file))
    assert drafted("draft", "set", "H-001", "model=A", "--into", "v", *of_vic).code == 0
    ran = typing("n\n", *of_vic)
    assert ran.err.splitlines()[0] == "  v: 1 record, 1 field"
    assert "→" not in ran.err


def test_a_draft_that_was_changed_while_the_question_was_open_is_not_committed(
    drafted: Pfa, typing: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = streams.ask

    def meanwhile(question: str) -> None:
        ask(question)
        monkeypatch.setattr(streams, "ask", ask)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "is_terminal", lambda stream: False)
            from pfa_cli.app import main

            assert main(["draft", "set", "H-001", "model=Z", "--into", "rates"]) == 0
            assert main(["draft", "set", "H-004", "model=Z", "--into", "new"]) == 0

    monkeypatch.setattr(streams, "ask", meanwhile)
    ran = typing("y\n")
    assert ran.code == 7
    assert "VERSION_CONFLICT" in ran.err
    assert committed(drafted) == ["H-004"]


def test_without_drafts_there_is_no_question(typing: Callable[..., Ran]) -> None:
    assert typing("y\n").code == 0
    again = typing("y\n")
    assert (again.code, "?" in again.err) == (6, False)


def test_many_sessions_are_counted(
    drafted: Pfa, typing: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposal, "MOST_NAMED", 1)
    ran = typing("n\n")
    assert ran.err.splitlines()[:2] == [NAMED[0], "  and 1 session more; type: pfa status"]


@pytest.mark.slow
def test_in_a_real_terminal_the_answer_is_read(drafted: Pfa) -> None:
    import os

    with (
        terminal(100, 40) as (leader, follower),
        begun(("commit",), follower, {}, stdin=follower, stderr=follower) as process,
    ):
        os.close(follower)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(leader, 4096)
        os.write(leader, b"y\n")
        assert process.wait(30) == 0
    assert committed(drafted) == ["H-001", "H-002", "H-003", "H-004"]
