"""Words of a command line as they are typed in a shell."""

from __future__ import annotations

import os
from collections.abc import Iterable


def word(text: str) -> str:
    """Write a text as one word: in quotes where the shell would read it otherwise."""
    from shlex import quote  # few commands say what to type

    return quote(text)


def file(path: str | os.PathLike[str]) -> str:
    """Write the name of a file as one word that no command takes for an option."""
    name = os.fspath(path)
    return word(f"./{name}" if name.startswith("-") else name)


def words(texts: Iterable[str]) -> str:
    """Write texts as words, with blanks between them."""
    return " ".join(map(word, texts))
