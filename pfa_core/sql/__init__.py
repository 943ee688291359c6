"""SQL as text: numbered migrations and named statements, loaded once per file.

A block begins with `-- name: x` and may have a variant of the same meaning, named `x@…`:

* `x@rls` is a block of its own, for a connection that row-level security applies to;
* `x@one` is for exactly one id. `-- name: x, x@one` asks for it, and the loader makes it of the block.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, LiteralString, cast

if TYPE_CHECKING:
    from pfa_core.sql.composition import Notes
    from pfa_core.sql.functions import WriteFunction

_NAME_LINE = re.compile(r"^-- name: (\w+(?:@rls)?)(, \1@one)?$", re.MULTILINE)
_MIGRATION = re.compile(r"\d{4}_\w+\.sql")
_NOTE = re.compile(
    r"^-- (by|returns|trail|unless|deltas|mirror|then|steps|from): ?(.*)\n", re.MULTILINE
)
_COMPOSED = re.compile(r"(?P<block>[\w.]+)(?:\((?P<parts>.+)\))?")
_FUNCTIONS_HERE = "-- The functions that write go here.\n"
# In a migration after the one that first has them: when a statement of theirs was changed.
_FUNCTIONS_ANEW = "-- The functions that write go here, anew.\n"
# A statement of these files within a function or a script of the migrations, with what its parameters are there.
_STATEMENT_HERE = re.compile(r"^ *-- statement: (\w+)\.(\w+) \((.*)\)\n", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*--.*\n", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")
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

    Each is without its name line. The methods choose between variants. `functions` has those of blocks that
    write.
    """

    def __init__(self, noun: str, notes: Mapping[str, Notes]) -> None:
        super().__init__()
        self._noun = noun
        self._notes = notes
        self._calls: dict[str, LiteralString] = {}

    @cached_property
    def functions(self) -> Mapping[str, WriteFunction]:
        """The functions of the blocks that write."""
        from pfa_core.sql.composition import functions_of  # no read needs it

        return functions_of(self._noun, self, self._notes)

    def for_ids(self, name: str, ids: Collection[Any]) -> LiteralString:
        """Choose the variant for exactly one id where there is exactly one."""
        return self[_one(name, ids)]

    def for_role(self, name: str, *, rls: bool) -> LiteralString:
        """Choose the variant for connections under row-level security, or the other."""
        return self[f"{name}@rls" if rls else name]

    def writing(self, name: str, *, rls: bool, ids: Collection[Any] | None = None) -> LiteralString:
        """Choose the call of a function under row-level security, or the statement itself."""
        if ids is not None:
            name = _one(name, ids)
        if not rls:
            return self[name]
        if name not in self._calls:
            self._calls[name] = self.functions[name].call
        return self._calls[name]


def _one(name: str, ids: Collection[Any]) -> str:
    return f"{name}@one" if len(ids) == 1 else name


@cache
def statements(noun: str) -> Statements:
    """Load the blocks of `<noun>.sql` and their variants.

    The files ship with the package and nothing from outside reaches them: they are as literal as
    a string in the source, which is what the cast tells the type checker.
    """
    text = files(__name__).joinpath(f"{noun}.sql").read_text("utf-8")
    _, *parts = _NAME_LINE.split(text)
    notes: dict[str, Notes] = {}
    blocks = Statements(noun, notes)
    for name, one, block in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        facts = notes[name] = _NOTE.findall(block)
        content = _NOTE.sub("", block).strip()
        composed = dict(facts).get("from")
        if "steps" in dict(facts):
            continue
        if composed:
            content = f"{content}\n{_composed(blocks, composed)}".strip()
        blocks[name] = cast("LiteralString", content)
        if one:
            blocks[f"{name}@one"] = _about_one(blocks[name])
    return blocks


def _composed(blocks: Mapping[str, str], text: str) -> str:
    """Compose a block of others, `outer(part = inner, …)`.

    Each is in turn composed or not; `noun.block` is one of another file.
    """
    match = _COMPOSED.fullmatch(text)
    assert match is not None, text  # noqa: S101 - the package's own files
    noun, _, name = match["block"].rpartition(".")
    there: Mapping[str, str] = statements(noun) if noun else blocks
    if match["parts"] is None:
        return _COMMENT.sub("", there[name]).rstrip(";")
    pairs = (part.split(" = ", 1) for part in _parts(match["parts"]))
    whole = _COMMENT.sub("", there[name])
    return whole.format(**{part: _composed(blocks, one) for part, one in pairs})


def _parts(text: str) -> Iterator[str]:
    """Split at the commas that are in no parentheses."""
    depth = begun = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            yield text[begun:place].strip()
            begun = place + 1
    yield text[begun:].strip()


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


@cache
def newest_migration() -> int:
    """Return the number of the newest migration."""
    return max(int(name[:4]) for name in _migration_names())


def _migration_names() -> list[str]:
    folder = files(__name__).joinpath("migrations")
    return sorted(entry.name for entry in folder.iterdir() if _MIGRATION.fullmatch(entry.name))


@cache
def migrations() -> list[tuple[int, str, LiteralString]]:
    """Return number, file name and text of every migration, in order.

    In one that is not released yet the functions that write are part of the text, as the statements say them now.
    """
    folder = files(__name__).joinpath("migrations")
    texts = {name: folder.joinpath(name).read_text("utf-8") for name in _migration_names()}
    return [(int(name[:4]), name, composed(text)) for name, text in texts.items()]


def composed(migration: str) -> LiteralString:
    """Compose a migration's file: with the statements and the functions that it names."""
    return cast("LiteralString", _with_functions(migration))


def _with_functions(text: str) -> str:
    if _FUNCTIONS_ANEW in text:
        anew = files(__name__).joinpath("migrations/functions_anew.sql").read_text("utf-8")
        text = text.replace(_FUNCTIONS_ANEW, anew)
    text = _STATEMENT_HERE.sub(_placed, text)
    if _FUNCTIONS_HERE not in text:
        return text
    return text.replace(_FUNCTIONS_HERE, "\n".join(one.definition() for one in write_functions()))


def _placed(match: re.Match[str]) -> str:
    """Write the statement that a line names, with variables for its parameters."""
    noun, name, given = match.groups()
    values = dict(pair.split(" = ") for pair in given.split(", "))
    block = statements(noun)[name].rstrip(";")
    return _PARAMETER.sub(lambda parameter: values[parameter[1]], block) + ";\n"


def write_functions() -> list[WriteFunction]:
    """List the functions of all files, by name."""
    nouns = sorted(
        entry.name.removesuffix(".sql")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".sql")
    )
    found = [one for noun in nouns for one in statements(noun).functions.values()]
    return sorted(found, key=lambda one: one.name)


def prerelease() -> LiteralString:
    """Return the script that converts a database from before the first release."""
    text = files(__name__).joinpath("migrations/prerelease.sql").read_text("utf-8")
    return cast("LiteralString", _STATEMENT_HERE.sub(_placed, text))
