"""A script of SQL as its statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import LiteralString, cast

# What a semicolon ends no statement in, and what brackets are: each alternative is one token. A comment with
# stars may have others in it, which no expression can count; none of the schema has.
_TOKEN = re.compile(
    r"""
      --[^\n]*
    | /\*.*?\*/
    | (?<![\w$]) [eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>[A-Za-z_]\w*)?\$ .*? \$(?(tag)(?P=tag))\$
    | (?P<begin>\bBEGIN\s+ATOMIC\b)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)


def statements_of(script: LiteralString) -> Iterator[LiteralString]:
    """Split a script at the semicolons that end its statements.

    Those in quotes, dollar quotes, comments and names end none. Comments stay with the statement that follows.

    Raises:
        ValueError: A function has a body of several statements without quotes, which would be split.
    """
    begun = 0
    for match in _TOKEN.finditer(script):
        if match["begin"]:
            raise ValueError("BEGIN ATOMIC in a script that is executed statement by statement")
        if match["end"]:
            yield cast("LiteralString", script[begun : match.end()].strip())
            begun = match.end()
    if re.sub(r"--[^\n]*|/\*.*?\*/", "", script[begun:], flags=re.DOTALL).strip():
        yield cast("LiteralString", script[begun:].strip())
