"""SQL as text: numbered migrations and named statements, loaded once per file.

A block begins with `-- name: x` and may have a variant of the same meaning, named `x@…`:

* `x@rls` is a block of its own, for a connection that row-level security applies to;
* `x@one` is for exactly one id. `-- name: x, x@one` asks for it, and the loader makes it of the block.

Rows that are looked up one by one, in a LATERAL subquery or an update, have `(SELECT %(organization_id)s::text)`:
of a value that it does not know the planner expects an average organization's rows. Of one that its statistics
have never seen it expects none, and any index that begins with the organization is as good as the key to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, cast

_NAME_LINE = re.compile(r"^-- name: (\w+(?:@rls)?)(, \1@one)?$", re.MULTILINE)
_MIGRATION = re.compile(r"\d{4}_\w+\.sql")
# `x = ANY(ids)`, with or without the alternative that no ids were given.
_ANY_ID = re.compile(
    r"(?P<open>\(%\((?P<given>\w+)\)s::\w+\[\] IS NULL OR )?"
    r"(?P<column>[\w.]+) = ANY\(%\((?P<ids>ids|modification_ids)\)s(?:::\w+\[\])?\)(?(open)\))"
)
# `unnest(ids) AS i (id)`, whose elements are looked up one by one.
_EACH_ID = re.compile(r"unnest\(%\((ids|modification_ids)\)s::(text|uuid)\[\]\) AS i \(id\)")
_ID_TYPES = {"ids": "text", "modification_ids": "uuid"}


class Statements(dict[str, LiteralString]):
    """The blocks of a file by name.

    Each is without its name line. The methods choose between variants.
    """

    def for_ids(self, name: str, ids: Collection[Any]) -> LiteralString:
        """Choose the variant for exactly one id where there is exactly one."""
        return self[f"{name}@one" if len(ids) == 1 else name]

    def for_role(self, name: str, *, rls: bool) -> LiteralString:
        """Choose the variant for connections under row-level security, or the other."""
        return self[f"{name}@rls" if rls else name]


@cache
def statements(noun: str) -> Statements:
    """Load the blocks of `<noun>.sql` and their variants.

    The files ship with the package and nothing from outside reaches them: they are as literal as
    a string in the source, which is what the cast tells the type checker.
    """
    text = files(__name__).joinpath(f"{noun}.sql").read_text("utf-8")
    _, *parts = _NAME_LINE.split(text)
    blocks = Statements()
    for name, one, block in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        blocks[name] = cast("LiteralString", block.strip())
        if one:
            blocks[f"{name}@one"] = _about_one(blocks[name])
    return blocks


def _about_one(block: LiteralString) -> LiteralString:
    """Make the variant of a block that holds for exactly one id.

    The block is one over `ids` or `modification_ids`. PostgreSQL plans a prepared statement with an
    array anew each time, since it estimates ten elements for an unknown array; a statement with an
    equality it plans once per connection: half the time of a single edit.
    """

    def equality(match: re.Match[str]) -> str:
        ids = match["ids"]
        return f"{match['column']} = (%({ids})s::{_ID_TYPES[ids]}[])[1]"

    # Composed of the literal itself and the constants above.
    each = _EACH_ID.sub(r"(SELECT (%(\1)s::\2[])[1]) AS i (id)", block)
    return cast("LiteralString", _ANY_ID.sub(equality, each))


def numeral(number: int) -> LiteralString:
    """Write a whole number in SQL: its digits."""
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
