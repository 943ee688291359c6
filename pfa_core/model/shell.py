"""Words of a command line as they are typed in a shell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def word(text: str) -> str:
    """Write a text as one word: in quotes where the shell would read it otherwise."""
    from shlex import quote  # few commands say what to type

    return quote(text)


def file(path: str | os.PathLike[str]) -> str:
    """Write the name of a file as one word that no command takes for an option."""
    name = os.fspath(path)
    return word(f"./{name}" if name.startswith("-") else name)


def command(path: str, arguments: Sequence[str], options: str = "") -> str:
    """Write a command so that none of its arguments is taken for an option.

    Where one begins with a dash, they stand behind `--`, and so behind the options, which are words already.
    The value of an option needs nothing of the kind: `--session -x` is read as it stands.
    """
    given = words(arguments)
    parts = (path, options, "--", given) if _is_like_option(arguments) else (path, given, options)
    return " ".join(filter(None, parts))


def _is_like_option(arguments: Iterable[str]) -> bool:
    return any(text.startswith("-") for text in arguments)


def words(texts: Iterable[str]) -> str:
    """Write texts as words, with blanks between them."""
    return " ".join(map(word, texts))
