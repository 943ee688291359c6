"""Words of a command line as a shell reads them back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pfa_core.model import shell

AWKWARD = (
    "a b",
    "it's",
    'a "b"',
    "$HOME",
    "`x`",
    "a;b",
    "*",
    "~",
    "",
    "a\nb",
    "東 é",
    "-x",
    "--to",
)


@pytest.mark.parametrize("text", AWKWARD)
def test_a_shell_reads_a_word_as_it_was(text: str) -> None:
    assert shlex.split(f"pfa diff {shell.word(text)} -n") == ["pfa", "diff", text, "-n"]
    assert shlex.split(shell.words([text, text])) == [text, text]


@pytest.mark.parametrize("name", [name for name in AWKWARD if name])
def test_a_file_is_never_an_option(name: str) -> None:
    (word,) = shlex.split(shell.file(Path(name)))
    assert not word.startswith("-")
    assert Path(word) == Path(name)


@pytest.mark.parametrize("text", [text for text in AWKWARD if text])
def test_an_argument_is_never_an_option(text: str) -> None:
    typed = shell.command("pfa log", [text], "--limit 1 --from f")
    words, arguments = shlex.split(typed), [text]
    if text.startswith("-"):
        assert words == ["pfa", "log", "--limit", "1", "--from", "f", "--", *arguments]
    else:
        assert words == ["pfa", "log", *arguments, "--limit", "1", "--from", "f"]


def test_what_needs_no_quotes_has_none() -> None:
    assert shell.file("/srv/trail-2024.jsonl.gz") == "/srv/trail-2024.jsonl.gz"
    assert shell.words(["H-001", "--user", "anna"]) == "H-001 --user anna"
    assert shell.command("pfa diff", ["H-001"]) == "pfa diff H-001"
    assert shell.command("pfa diff", ["-x"]) == "pfa diff -- -x"
    assert shell.command("pfa diff", []) == "pfa diff"
