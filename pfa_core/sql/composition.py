"""Functions that write, composed of blocks and the notes below their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pfa_core.sql.functions import Step, WriteFunction

Notes = Sequence[tuple[str, str]]
_STEP = re.compile(r"(\w+)(?:\[(\w+) = (\S+)\])?(?: after (\w+))?")


def functions_of(
    noun: str, blocks: Mapping[str, str], notes: Mapping[str, Notes]
) -> dict[str, WriteFunction]:
    """Compose the functions of a file, by the names of their blocks.

    Args:
        notes: Key and content of each note, by the name of the block.
    """
    found: dict[str, WriteFunction] = {}
    for name, facts in notes.items():
        if "by" in dict(facts):
            for variant in (name, f"{name}@one"):
                if variant in blocks or (variant == name and "steps" in dict(facts)):
                    found[variant] = _function(noun, variant, blocks, facts)
    return found


def _function(noun: str, name: str, blocks: Mapping[str, str], facts: Notes) -> WriteFunction:
    note = dict(facts)
    scopes, *about = (part.strip() for part in note["by"].split(";"))
    return WriteFunction(
        name=f"pfa_do_{noun}_{name.replace('@', '_')}",
        scopes=[scope.strip() for scope in scopes.split(",")],
        steps=list(_steps(name, blocks, note.get("steps"))),
        others="admins" in about,
        subject="subject" in about,
        returns=note.get("returns", ""),
        trail=note.get("trail", ""),
        unless=[value for key, value in facts if key == "unless"],
        deltas=note.get("deltas", ""),
        mirror="mirror" in note,
        then=note.get("then", ""),
    )


def _steps(name: str, blocks: Mapping[str, str], listed: str | None) -> Iterator[Step]:
    if listed is None:
        yield Step(name=name, text=_code(blocks[name]))
        return
    for one in listed.split(", "):
        match = _STEP.fullmatch(one)
        assert match is not None, one  # noqa: S101 - the package's own files
        block, parameter, value, after = match.groups()
        text = _code(blocks[block])
        if parameter:
            text = text.replace(f"%({parameter})s", value)
        yield Step(name=block, text=text, after=after or "")


def _code(block: str) -> str:
    """Return a block without its comments."""
    return re.sub(r"^\s*--.*\n", "", block, flags=re.MULTILINE)
