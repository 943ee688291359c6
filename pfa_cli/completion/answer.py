"""`pfa __complete SHELL WORD...`, which the shells' functions call.

The first line of an answer says what to do: `values` or `nospace` (no blank behind a value), with a candidate
a line, or `files`. Behind a tab stands what a candidate means. Nothing is written on stderr, and the exit code
is 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pfa_cli.completion.candidates import FILES, Candidate, candidates
from pfa_cli.completion.line import Asked, read_line
from pfa_cli.completion.quoting import Typed, read_typed, replacement, shrinks

WORD = "__complete"
_ENDS = ("=", ",")


def main(arguments: Sequence[str]) -> int:
    """Write the answer to stdout, and nothing where anything goes wrong."""
    try:
        text = answer(arguments, os.environ)
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    except Exception:
        _silence()
    return 0


def answer(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Compose the answer for a shell.

    Bash gives its line up to the cursor, the others give words.
    """
    shell, *rest = map(_decoded, arguments)
    tree = _tree()
    if shell == "bash":
        typed = read_typed(rest[0], rest[1] if len(rest) > 1 else "")
        return _for_bash(typed, tree, environ)
    words, current = rest[:-1], rest[-1] if rest else ""
    if shell == "fish":
        quoted = read_typed(current, "")
        current = quoted.word
    asked = read_line(words, current, tree)
    found = candidates(asked, tree, _kept(asked, environ))
    return _text(asked, [f"{word}\t{text}" for word, text in found], found)


def _for_bash(typed: Typed, tree: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    # Assignments may stand before the program's name.
    names = [number for number, word in enumerate(typed.words) if "=" not in word]
    words = typed.words[names[0] + 1 :] if names else []
    asked = read_line(words, typed.word, tree)
    found = candidates(asked, tree, _kept(asked, environ))
    written = [replacement(word, typed) for word, _ in found]
    if shrinks([word for word, _ in found], typed.word):
        written = []
    return _text(asked, [word for word in written if word], found)


def _text(asked: Asked, lines: list[str], found: Sequence[Candidate]) -> str:
    if FILES in asked.kind.split("|") and not lines:
        return "files\n"
    spaced = not any(word.endswith(_ENDS) for word, _ in found)
    return "\n".join(("values" if spaced else "nospace", *lines)) + "\n"


def _kept(asked: Asked, environ: Mapping[str, str]) -> Callable[[str], Sequence[str]]:
    def kept(kind: str) -> Sequence[str]:
        from pfa_cli.completion import cache, place

        if kind == "profile":
            return [name for name in place.profiles(environ) if cache.is_fit(name)]
        here = place.find(asked.given, environ)
        if kind == "organization":
            return [code for code in here.organizations if cache.is_fit(code)]
        if not here.organization:
            return ()
        values = cache.read(cache.key(here.database, here.organization))
        return values.get(cache.own(kind, here.user), ())

    return kept


def _tree() -> Mapping[str, Any]:
    import json

    with open(os.path.join(os.path.dirname(__file__), "tree.json"), encoding="utf-8") as file:
        return json.load(file)


def _decoded(word: str) -> str:
    """Read an argument as UTF-8, whatever the locale."""
    return os.fsencode(word).decode("utf-8", "surrogateescape")


def _silence() -> None:
    """Let the interpreter find nothing to flush, nor to complain of, when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
