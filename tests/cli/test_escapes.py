"""Whatever stands in the data: no text output moves a terminal, no CSV cell asked to be safe is a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from pfa_cli.render import streams
from tests.cli.conftest import (
    as_before_keys_were_checked,
    baseline_record,
    six_records,
    write_lines,
)
from tests.forms import long
from tests.program import Pfa, a_stage

NASTY = "x\x1b]0;owned\x07\x1b[31m\x9b2J\u202eb\u2028c\x7f"
MOVING = set("\x00\x07\x08\x1b\x7f\x9b\u202e\u2028\r")


@a_stage
def nasty(pfa: Pfa) -> None:
    """Records, a session, reasons, a member and an outcome whose texts would move a terminal."""
    six_records(pfa)
    file = write_lines(
        pfa.folder / "nasty.jsonl",
        [
            *(
                baseline_record(n, category=NASTY, model=NASTY, **{NASTY: NASTY})
                for n in range(1, 7)
            ),
            {**baseline_record(7), "pfaId": f"H-{NASTY}"},
            {**baseline_record(8), "source": NASTY},
        ],
    )
    with as_before_keys_were_checked():
        assert pfa("sync", "pull", "--from", file).code == 3
    name = "mem\x9b2J\u202eber"
    assert pfa("user", "grant", name, "--role", "viewer").code == 0
    for words in (("H-001", f"manufacturer={NASTY}"), (f"H-{NASTY}", "model=new")):
        with as_before_keys_were_checked():
            ran = pfa("draft", "set", *words, "--into", NASTY, "--reason", NASTY)
        assert ran.code == 0


def commands(pfa: Pfa) -> list[tuple[str, ...]]:
    run = pfa("sync", "runs", "-o", "ids", "--limit", "1").lines[0]
    return [
        ("list",),
        ("list", "--search", "none\x1b[2J"),
        ("list", "--category", NASTY),
        ("show", "H-001", f"H-{NASTY}"),
        ("show", NASTY),
        ("stats", "--by", "category,model"),
        ("status",),
        ("draft", "list"),
        ("diff",),
        ("diff", NASTY + "?"),
        ("log",),
        ("sync", "runs"),
        ("sync", "show", run),
        ("sync", "show", NASTY),
        ("user", "list"),
        ("doctor",),
        ("conflict", "list", "--user", "mem\x9b2J\u202eber"),
        ("conflict", "show", NASTY),
        ("draft", "set", "H-001", f"{NASTY}=1"),
        ("draft", "set", "H-001", f"dor={NASTY}"),
        ("draft", "set", "H-002", "model=a", "--into", NASTY, "-n"),
        ("commit", "--session", NASTY, "-n"),
        ("discard", "--session", NASTY, "-n"),
        ("uncommit", "--session", NASTY),
        ("user", "grant", NASTY, "--role", "viewer"),
        ("user", "grant", "edna", "--role", NASTY),
        ("--org", NASTY, "list"),
        (NASTY,),
        ("list", f"--{NASTY}"),
        ("list", "-v", "--limit", "1"),
    ]


def clean(text: str) -> bool:
    return not set(text) & MOVING


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("output", ["table", "markdown"])
def test_what_is_made_for_people_moves_no_terminal(nasty: Pfa, output: str) -> None:
    for words in commands(nasty):
        ran = nasty(*words, "-o", output)
        assert ran.code != 1
        assert (words, clean(ran.out), clean(ran.err)) == (words, True, True)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("output", ["table", "csv", *long(["json", "jsonl", "tsv", "ids"])])
def test_on_a_terminal_no_format_does(
    nasty: Pfa, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "is_terminal", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1")
    for words in commands(nasty):
        ran = nasty(*words, "-o", output)
        assert (words, clean(ran.out), clean(ran.err)) == (words, True, True)


def test_a_trace_moves_none_either(nasty: Pfa) -> None:
    ran = nasty("show", NASTY, "--debug")
    assert ran.code == 6
    assert "Traceback" in ran.err
    assert clean(ran.err)


def test_csv_is_made_safe_for_spreadsheets_only_when_asked(ready: Pfa, tmp_path: Path) -> None:
    danger = "=cmd|' /C calc'!A0"
    file = write_lines(tmp_path / "m.jsonl", [baseline_record(1, model=danger, odd=-5)])
    ready("sync", "pull", "--from", file)
    words = ("list", "--id", "H-001", "-o", "csv", "--columns", "model,monthlyRate,data.odd")

    def cells(*more: str) -> list[str]:
        return list(csv.reader(io.StringIO(ready(*words, *more).out)))[1]

    assert cells() == [danger, "3044", "-5"]
    assert cells("--csv-safe") == [f"'{danger}", "3044", "-5"]
    tsv = ready("list", "--id", "H-001", "-o", "tsv", "--columns", "model", "--csv-safe")
    assert tsv.lines == [danger]


def test_a_text_that_looks_guarded_is_written_so_that_it_comes_back(
    ready: Pfa, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "m.jsonl", [baseline_record(1, model="'=a", equipment="'a")])
    ready("sync", "pull", "--from", file)
    words = ("list", "--id", "H-001", "-o", "csv", "--columns", "model,equipment")
    for more in ((), ("--csv-safe",)):
        assert ready(*words, *more).out == "model,equipment\n''=a,'a\n"
