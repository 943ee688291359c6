"""Received records beside the mirror's, before they are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.record import CHECKED, FIELDS, Field, Kind

_SQL = sql.statements("comparison")
_KNOWN = list(FIELDS)
# What may differ between two readings of one state of a record.
_STAMPS = ["pemsVersion", "lastSyncedAt", "syncBatchId"]


def _holds(table: LiteralString, field: Field) -> LiteralString:
    """Write the condition that a record has a value of a field, not its default."""
    if field.kind is Kind.FLAG:
        return f"({table}.data ->> '{field.name}') = 'true'"
    default: LiteralString = field.default if isinstance(field.default, str) else ""
    return f"({table}.data ->> '{field.name}') <> '{default}'"


def _emptied(field: Field, *, lacking: bool) -> LiteralString:
    """Count records that lose a field; where the source lacks it, what stands in its place is a loss too."""
    held = _holds("m", field)
    if lacking:
        lost = f"i.data -> '{field.name}' IS DISTINCT FROM m.data -> '{field.name}'"
    else:
        lost = f"({_holds('i', field)}) IS NOT TRUE"
    return f"count(*) FILTER (WHERE {lost} AND {held})"


_CANDIDATE = _SQL["candidate"].format(
    zone_of_theirs=_SQL["zone"].format(text="(i.data ->> 'pemsVersion')"),
    zone_of_held=_SQL["zone"].format(text="(m.data ->> 'pemsVersion')"),
)
_OLDER = _SQL["older"].format(candidate=_CANDIDATE)


@cache
def _statement(lacking: frozenset[str]) -> LiteralString:
    counts = ",\n       ".join(
        _emptied(field, lacking=name in lacking) for name, field in CHECKED.items()
    )
    return _SQL["emptied"].format(candidate=_CANDIDATE, counts=counts)


@dataclass(frozen=True, slots=True)
class Older:
    """A received record with its version of PEMS and the mirror's.

    `same`: nothing but the version differs.
    """

    pfa_id: str
    version: str
    held: str
    same: bool


@dataclass(frozen=True, slots=True)
class Losses:
    """What the changed records would lose.

    Args:
        changed: The number of changed records; new ones do not count.
        maybe_older: Those of them for which `older` has to be asked.
        unknown: Those of them that lose a field unknown to the program.
        emptied: For each field how many have a value in the mirror and none now.
    """

    changed: int = 0
    maybe_older: int = 0
    unknown: int = 0
    emptied: Mapping[str, int] = field(default_factory=dict)


def older(conn: Connection[Any], organization_id: str) -> list[Older]:
    """Read the received records whose version may be older than the mirror's, by id."""
    values = {"organization_id": organization_id, "stamps": _STAMPS}
    return [Older(*row) for row in conn.execute(_OLDER, values)]


def drop(conn: Connection[Any], ids: Sequence[str]) -> None:
    """Leave received records out."""
    if ids:
        conn.execute(_SQL["drop"], {"ids": list(ids)})


def losses(conn: Connection[Any], organization_id: str, lacking: frozenset[str]) -> Losses:
    """Count what the changed records would lose by being stored.

    Args:
        lacking: The fields that the source does not have.
    """
    values = {"organization_id": organization_id, "known": _KNOWN}
    row = conn.execute(_statement(lacking), values).fetchone()
    if row is None:
        return Losses()
    changed, maybe_older, unknown, *counts = row
    emptied = {name: number for name, number in zip(CHECKED, counts, strict=True) if number}
    return Losses(changed, maybe_older, unknown, emptied)


def holders(
    conn: Connection[Any], organization_id: str, names: Collection[str]
) -> Mapping[str, int]:
    """Count the mirror's records that have a value, for each field."""
    fields = [CHECKED[name] for name in names]
    counts = ", ".join(f"count(*) FILTER (WHERE {_holds('m', field)})" for field in fields)
    statement = _SQL["holders"].format(counts=counts)
    row = conn.execute(statement, {"organization_id": organization_id}).fetchone()
    return dict(zip(names, row or (), strict=True))


def new_fields(
    conn: Connection[Any], organization_id: str, names: Collection[str]
) -> Sequence[str]:
    """Return those of the fields that no changed record has in the mirror."""
    values = {"organization_id": organization_id, "names": sorted(names)}
    return [row[0] for row in conn.execute(_SQL["new_fields"], values)]


def lost_fields(conn: Connection[Any], organization_id: str) -> Sequence[str]:
    """Return the fields unknown to the program that changed records lose."""
    values = {"organization_id": organization_id, "known": _KNOWN}
    return [row[0] for row in conn.execute(_SQL["lost_fields"], values)]
