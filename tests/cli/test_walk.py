"""Every command: its formats, its streams in a terminal and in a pipe, its errors, its help, nothing to show."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from pfa_cli.app import app
from pfa_cli.render import streams
from pfa_cli.render.formats import Format
from tests.cli.walk import Line, pulled, run, walked
from tests.forms import long
from tests.program import Pfa, Ran

__all__ = ["pulled"]  # a fixture

STYLE = re.compile(r"\x1b\[[0-9;]*m")
WIDTH = 80


def bare(text: str) -> str:
    return STYLE.sub("", text)


# -- formats ----------------------------------------------------------------------------------


def _is_json(text: str) -> None:
    json.loads(text)


def _are_objects(text: str) -> None:
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


def _has_equal_rows(text: str, delimiter: str) -> None:
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, quoting=quoting))
    assert len({len(row) for row in rows}) <= 1, rows


def _is_markdown(text: str) -> None:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) <= 4, text


def _are_ids(text: str) -> None:
    assert all(line and line == line.strip() for line in text.splitlines())


CHECKS: dict[Format, Callable[[str], None]] = {
    Format.TABLE: lambda text: None,
    Format.JSON: _is_json,
    Format.JSONL: _are_objects,
    Format.CSV: lambda text: _has_equal_rows(text, ","),
    Format.TSV: lambda text: _has_equal_rows(text, "\t"),
    Format.MARKDOWN: _is_markdown,
    Format.IDS: _are_ids,
}
SAID = ("error:", "hint:", "note:", "warning:")


def require_data(ran: Ran, form: Format, words: object) -> None:
    """Fail unless a result is on stdout and what is said beside it on stderr."""
    assert ran.code in {0, 3}, (words, form, ran)
    assert not [line for line in ran.lines if line.startswith(SAID)], (words, ran.out)
    assert '{"data"' not in ran.err, (words, ran.err)
    assert "\x1b" not in ran.out, (words, ran.out)
    CHECKS[form](ran.out)


TEXTS = [form for form in Format if form not in (Format.IDS, Format.XLSX)]


@pytest.mark.slow
@pytest.mark.parametrize("form", [Format.IDS, *long(TEXTS)])
def test_every_command_has_every_format_or_says_that_it_has_not(
    pulled: Pfa, tmp_path_factory: pytest.TempPathFactory, form: Format
) -> None:
    for line in walked(pulled, tmp_path_factory.mktemp("walk")):
        ran = run(pulled, line, form, dry=True)
        if ran.code == 2:
            assert (ran.out, f"-o {form}" in ran.err) == ("", True), (line.words, ran.err)
        else:
            require_data(ran, form, line.words)
        if line.writes:
            done = run(pulled, line, Format.TABLE, dry=False)
            assert done.code in {0, 3}, (line.words, done.err)


# -- streams ----------------------------------------------------------------------------------

TERMINALS = {"stdout": (True, False), "stderr": (False, True), "both": (True, True)}


@pytest.fixture
def as_terminals(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, bool], None]:
    """Let the program take its streams for terminals of 80 cells."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("PFA_PAGER", "cat")

    def take(out: bool, err: bool) -> None:
        monkeypatch.setattr(
            streams,
            "is_terminal",
            lambda stream: (out and stream is sys.stdout) or (err and stream is sys.stderr),
        )

    return take


@pytest.mark.long
@pytest.mark.parametrize("which", ["both", *long(["stdout", "stderr"])])
def test_stdout_holds_nothing_but_data_in_any_terminal(
    pulled: Pfa,
    tmp_path_factory: pytest.TempPathFactory,
    as_terminals: Callable[[bool, bool], None],
    which: str,
) -> None:
    out, err = TERMINALS[which]
    for line in walked(pulled, tmp_path_factory.mktemp("walk")):
        as_terminals(out, err)
        require_data(run(pulled, line, Format.JSON, dry=True), Format.JSON, line.words)
        ran = run(pulled, line, Format.TABLE, dry=False)
        as_terminals(False, False)
        assert ran.code in {0, 3}, (line.words, ran.err)
        assert ("\x1b" in ran.out, out) != (True, False), line.words
        exact = (
            line.command in {("metrics",), ("auth", "issue"), ("db", "url"), ("completion",)}
            or "--print" in line.words
        )
        if out and not exact:  # what programs read is as long as it is
            too_long = [text for text in bare(ran.out).splitlines() if len(text) > WIDTH]
            assert too_long == [], line.words
        assert not [text for text in ran.lines if text.startswith(SAID)], (line.words, ran.out)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["both", *long(["stdout", "stderr"])])
def test_an_error_is_on_stderr_alone_and_for_programs_an_object(
    pulled: Pfa,
    tmp_path_factory: pytest.TempPathFactory,
    as_terminals: Callable[[bool, bool], None],
    which: str,
) -> None:
    refused: list[Line] = []
    reports = {("doctor",), ("metrics",)}  # of what is wrong, on stdout
    for line in walked(pulled, tmp_path_factory.mktemp("walk")):
        if line.command in {("init",), *reports}:
            continue  # `init` makes the organization
        as_terminals(*TERMINALS[which])
        ran = run(pulled, line, Format.JSON, dry=True, more=("--org", "HOLMG"))
        as_terminals(False, False)
        if ran.code:
            refused.append(line)
            assert ran.out == "", line.words
            start = "error:" if TERMINALS[which][1] else '{"error"'  # on a terminal for people
            said = [text for text in bare(ran.err).splitlines() if text.startswith(start)]
            assert len(said) == 1, (line.words, ran.err)
            assert "HOLMG" in said[0], line.words
        if line.writes:
            assert run(pulled, line, Format.JSON, dry=False).code in {0, 3}, line.words
    assert len(refused) > 40


# -- words that were mistyped -----------------------------------------------------------------


def commands(name: str = "", command: Any = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands and groups of the program, with their words."""
    command = command or typer.main.get_command(app)
    if name:
        yield tuple(name.split()), command
    if hasattr(command, "list_commands"):
        context = typer.Context(command, info_name=name or "pfa")
        for word in command.list_commands(context):
            yield from commands(f"{name} {word}".strip(), command.get_command(context, word))


def mistyped(word: str) -> str:
    return word[:-3] + word[-2:]


@pytest.mark.slow
def test_the_nearest_option_of_every_command_is_named(pfa: Pfa) -> None:
    tried = 0
    for words, command in commands():
        own = [option for each in command.params for option in each.opts if option[:2] == "--"]
        for option in [name for name in own if len(name) > 8][:1]:
            ran = pfa(*words, mistyped(option))
            tried += 1
            assert (ran.code, ran.out) == (2, ""), (words, ran.err)
            assert option in ran.err, (words, ran.err)
    assert tried > 30


def test_the_nearest_command_is_named(pfa: Pfa) -> None:
    for words, _ in commands():
        if len(words[-1]) > 4 and words[0] != "log":  # behind that an id may stand
            ran = pfa(*words[:-1], mistyped(words[-1]))
            assert (ran.code, ran.out) == (2, ""), words
            assert f"{words[-1]}" in ran.err, (words, ran.err)


def test_an_id_that_is_almost_a_command_of_the_log_says_so(pulled: Pfa) -> None:
    assert "type: pfa log verify" in pulled("log", "verfy").err
    assert "type: pfa log verify" not in pulled("log", "H-002").err


@pytest.mark.slow
def test_every_help_fits_80_columns_and_comes_before_anything_is_asked_for(
    pfa: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("PFA_DATABASE_URL", "postgresql:///none?host=/nowhere")
    for words, _ in commands():
        ran = pfa(*words, "--help")
        assert (ran.code, ran.err) == (0, ""), words
        assert [line for line in ran.lines if len(line) > WIDTH] == [], words


# -- nothing to show --------------------------------------------------------------------------


@pytest.mark.long
def test_an_organization_without_records_is_told_of_in_every_read(pfa: Pfa) -> None:
    assert pfa("init", "--org", "HOLNG").code == 0
    reads = (
        "list", "stats", "stats --by category", "stats --by month", "status", "draft list", "diff",
        "sync runs", "conflict list", "log", "log verify", "metrics", "org list", "user list", "auth list",
        "auth keys", "db status", "db verify", "doctor",
    )  # fmt: skip
    for read in reads:
        for form in (Format.JSON, Format.CSV, Format.TABLE):
            ran = pfa(*read.split(), "-o", form)
            if ran.code == 2:
                assert (form, f"-o {form}" in ran.err) == (Format.CSV, True), (read, ran.err)
                continue
            require_data(ran, form, read)
            assert ran.out or ran.err, (read, form)
