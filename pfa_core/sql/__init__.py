"""SQL as text: numbered migrations and named statements, loaded once per file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"\d{4}_\w+\.sql")
# `x = ANY(ids)`, with or without the alternative that no ids were given.
_AMONG = re.compile(
    r"(?P<open>\(%\((?P<given>\w+)\)s::\w+\[\] IS NULL OR )?"
    r"(?P<column>[\w.]+) = ANY\(%\((?P<ids>ids|modification_ids)\)s(?:::\w+\[\])?\)(?(open)\))"
)
_ID_TYPES = {"ids": "text", "modification_ids": "uuid"}


@cache
def statements(noun: str) -> Mapping[str, LiteralString]:
    """The named blocks of `<noun>.sql`, each without its name line.

    The files ship with the package and nothing from outside reaches them: they are as literal as
    a string in the source, which is what the cast tells the type checker.
    """
    text = files(__name__).joinpath(f"{noun}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    blocks = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    return cast("Mapping[str, LiteralString]", blocks)


@cache
def of_one(statement: LiteralString) -> LiteralString:
    """A statement over `ids` or `modification_ids` for when there is exactly one.

    PostgreSQL plans a prepared statement with an array anew each time, since it takes an array it does not
    know for one of ten; equality it plans once for a connection, which is half the time of a single edit.
    """

    def equal(found: re.Match[str]) -> str:
        ids = found["ids"]
        return f"{found['column']} = (%({ids})s::{_ID_TYPES[ids]}[])[1]"

    # Put together from the literal itself and the constants above.
    return cast("LiteralString", _AMONG.sub(equal, statement))


def about(statement: LiteralString, among: Collection[Any]) -> LiteralString:
    """The statement, in the form `of_one` where it is about one."""
    return of_one(statement) if len(among) == 1 else statement


def numeral(number: int) -> LiteralString:
    """A whole number as SQL writes it: digits, whatever it is."""
    return cast("LiteralString", str(int(number)))


def migrations() -> list[tuple[int, str, LiteralString]]:
    """Return number, file name and text of every migration, in order."""
    folder = files(__name__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if _MIGRATION.fullmatch(entry.name))
    return [
        (int(name[:4]), name, cast("LiteralString", folder.joinpath(name).read_text("utf-8")))
        for name in names
    ]


def prerelease() -> LiteralString:
    """Return the script that converts a database from before the first release."""
    text = files(__name__).joinpath("migrations/prerelease.sql").read_text("utf-8")
    return cast("LiteralString", text)
