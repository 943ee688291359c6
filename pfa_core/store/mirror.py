"""The mirror: what a pull does to it, and reading its records for a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.store import rls

_SQL = sql.statements("mirror")


def _sums(which: LiteralString) -> LiteralString:
    return _SQL["sums"].format(which=which)


def _post(which: LiteralString) -> LiteralString:
    return _SQL["post_rollup"].format(sums=_sums(which))


_ARRIVED = _post(_SQL["arrived"])
_BETWEEN = _post(_SQL["between"])
_ALL = _post(_SQL["all"])
# What the rollup of an organization should hold.
ROLLUP_ROWS = _sums(_SQL["all"])
# The type of a field's value where it is not a text.
_CASTS: dict[Kind, LiteralString] = {Kind.FLAG: "::boolean", Kind.MONEY: "::numeric"}
_COPY = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_BACKSLASH, _TWO = "\\", "\\\\"
COPY_CHUNK = 500
MANY = 10_000  # new records at once, behind which the statistics are made anew


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """A mirror row, since when it is so, and since when PEMS has no such record any more."""

    pfa_id: str
    data: dict[str, Any]
    version: int
    updated_at: datetime
    missing_since: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A record of the mirror."""

    pfa_id: str
    data: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of records that arrived."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


def copy_incoming(conn: Connection[Any], rows: Iterable[tuple[str, str]]) -> int:
    """Bring records (id, JSON text) to the server beside the mirror; how many they were."""
    conn.execute(_SQL["create_incoming"])
    arrived = _copy(conn, "copy_incoming", rows)
    conn.execute(_SQL["index_incoming"])
    conn.execute(_SQL["analyze_incoming"])
    return arrived


def fold(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    folds: Sequence[Mapping[str, Any]],
    at: datetime,
) -> None:
    """Make the mirror, its history, overlays and rollup agree with what PEMS has taken: rows of
    pfa_id, reading (what PEMS was read to hold, or None), changes (over it) and revision (PEMS's
    version now, or None)."""
    values = {"organization_id": organization_id, "folds": Jsonb(list(folds))}
    conn.execute(_SQL["create_incoming"])
    conn.execute(_SQL["fold_incoming"], values)
    conn.execute(_SQL["analyze_incoming"])
    known = [
        {"pfa_id": row[0], "revision": row[1]} for row in conn.execute(_SQL["drop_known"], values)
    ]
    if known:
        conn.execute(_SQL["note_revisions"], {**values, "known": Jsonb(known)})
    if len(known) < len(folds):
        take_in(conn, organization_id, run_id, at)


def mark_missing(
    conn: Connection[Any], organization_id: str, run_id: str, *, began_at: datetime, at: datetime
) -> int:
    """Mark the records that a complete pull did not bring; how many are marked by now."""
    values = {"organization_id": organization_id, "run_id": run_id, "began_at": began_at, "at": at}
    conn.execute(_SQL["create_seen"])
    conn.execute(_SQL["gather_seen"], values)
    conn.execute(_SQL["mark_missing"], values)
    return _value(conn, "count_marked", values)


def count_missing(conn: Connection[Any], organization_id: str) -> int:
    """How many mirror records did not arrive."""
    return _value(conn, "count_missing", {"organization_id": organization_id})


def merge(
    conn: Connection[Any],
    organization_id: str,
    run_id: str | UUID,
    at: datetime,
    *,
    asked_at: datetime | None = None,
) -> Merged:
    """Make the mirror, its history, the overlays and the rollup agree with what `copy_incoming` brought.

    Args:
        asked_at: What the mirror has newer than that stays as it is.
    """
    values = {"organization_id": organization_id, "asked_at": asked_at}
    conn.execute(_SQL["found_again"], values)
    unchanged = conn.execute(_SQL["drop_unchanged"], values).rowcount
    changed, written = take_in(conn, organization_id, run_id, at)
    return Merged(written - changed, changed, unchanged)


def put_new(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    rows: Sequence[tuple[str, str]],
    at: datetime,
) -> bool:
    """Put records (id, JSON text; each id once) straight into the mirror and their sums into the rollup;
    False, and nothing done, where the mirror has any record between their first and last id."""
    if not rows:
        return True
    ids = [pfa_id for pfa_id, _ in rows]
    values = {"organization_id": organization_id, "first": min(ids), "last": max(ids)}
    found = conn.execute(_SQL["knows_between"], values).fetchone()
    if not found or found[0]:
        return False
    _copy_new(conn, organization_id, run_id, rows, at)
    conn.execute(_BETWEEN, {**values, "sign": 1})
    return True


def is_empty(conn: Connection[Any], organization_id: str) -> bool:
    """Whether the organization has no record at all."""
    row = conn.execute(_SQL["is_empty"], {"organization_id": organization_id}).fetchone()
    return bool(row and row[0])


def fill(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    rows: Iterable[tuple[str, str]],
    at: datetime,
) -> int:
    """Put records (id, JSON text; each id once) straight into a mirror that is empty, and their sums
    into the rollup; how many they were."""
    written = _copy_new(conn, organization_id, run_id, rows, at)
    recompute_rollup(conn, organization_id)
    if written >= MANY:
        conn.execute(_SQL.for_role("analyze", rls=rls.applies(conn)))
    return written


def _copy_new(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    rows: Iterable[tuple[str, str]],
    at: datetime,
) -> int:
    if rls.status(conn).active:
        conn.execute(_SQL["create_incoming"])
        _copy(conn, "copy_incoming", rows)
        values = {"organization_id": organization_id, "run_id": run_id, "at": at}
        return conn.execute(_SQL["put_incoming"], values).rowcount
    head, tail = f"{organization_id.translate(_COPY)}\t", f"\t1\t{run_id}\t{at.isoformat()}"
    return _copy(conn, "copy_new", rows, head=head, tail=tail)


def take_in(
    conn: Connection[Any], organization_id: str, run_id: str | UUID, at: datetime
) -> tuple[int, int]:
    """Write what arrived and is new or different, the outgoing versions into the history.

    Returns:
        How many records changed, and how many were written (changed and new).
    """
    values = {"organization_id": organization_id, "run_id": run_id, "at": at}
    changed = conn.execute(_SQL["keep_history"], values).rowcount
    if changed:
        conn.execute(_ARRIVED, {**values, "sign": -1})
    written = _put(conn, values)
    if changed:  # nothing lies over a record that was not there
        conn.execute(_SQL.for_role("refresh_overlays", rls=rls.applies(conn)), values)
    return changed, written


def _put(conn: Connection[Any], values: Mapping[str, Any]) -> int:
    written = conn.execute(_SQL["upsert"], values).rowcount
    conn.execute(_ARRIVED, {**values, "sign": 1})
    return written


def recompute_rollup(conn: Connection[Any], organization_id: str) -> None:
    """Make the rollup the sums of the mirror as it is, whatever it held."""
    values = {"organization_id": organization_id, "sign": 1}
    conn.execute(_SQL["clear_rollup"], values)
    conn.execute(_ALL, values)


def prune_rollup(conn: Connection[Any], organization_id: str) -> None:
    """Drop sums over no records at all; they change no figure and would only pile up."""
    conn.execute(_SQL["prune_rollup"], {"organization_id": organization_id})


def rows(conn: Connection[Any], organization_id: str, ids: Sequence[str]) -> dict[str, BaselineRow]:
    """The records by id, as PEMS had them last; absent where unknown."""
    with conn.cursor(row_factory=class_row(BaselineRow)) as cursor:
        found = cursor.execute(_SQL.for_ids("rows", ids), _named(organization_id, ids))
        return {row.pfa_id: row for row in found}


def lock_records(
    conn: Connection[Any], organization_id: str, ids: Sequence[str]
) -> dict[str, MirrorRow]:
    """The records by id, kept from changing until the transaction ends; absent where unknown."""
    with conn.cursor(row_factory=class_row(MirrorRow)) as cursor:
        found = cursor.execute(_SQL.for_ids("lock_records", ids), _named(organization_id, ids))
        return {row.pfa_id: row for row in found}


def lock_fields(
    conn: Connection[Any], organization_id: str, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, MirrorRow]:
    """The same of a few fields, None where they are missing: to parse ten thousand whole records takes
    longer than to lock them."""
    columns = ", ".join(_value_of(FIELDS[name]) for name in fields)
    statement = _SQL.for_ids("lock_fields", ids).format(fields=columns)
    with conn.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(statement, _named(organization_id, ids))
        return {
            pfa_id: MirrorRow(pfa_id, dict(zip(fields, values, strict=True)), version)
            for pfa_id, version, *values in found
        }


def _value_of(field: Field) -> LiteralString:
    """Write a field of a record as a value of its kind."""
    return f"(data ->> '{field.name}'){_CASTS.get(field.kind, '')}"


def _named(organization_id: str, ids: Sequence[str]) -> dict[str, Any]:
    return {"organization_id": organization_id, "ids": list(ids)}


def count(conn: Connection[Any], organization_id: str) -> int:
    """How many records the mirror has."""
    return _value(conn, "count", {"organization_id": organization_id})


def _copy(
    conn: Connection[Any],
    name: LiteralString,
    rows: Iterable[tuple[str, str]],
    *,
    head: str = "",
    tail: str = "",
) -> int:
    """COPY rows of id and JSON text, with what stands before and behind them in each line; how many."""
    written = 0
    with conn.cursor() as cursor, cursor.copy(_SQL[name]) as copy:
        for chunk in _chunks(rows):
            copy.write("".join(f"{head}{_copy_fields(row)}{tail}\n" for row in chunk))
            written += len(chunk)
    return written


def _chunks(rows: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, COPY_CHUNK)):
        yield chunk


def _copy_fields(row: tuple[str, str]) -> str:
    """A row in COPY's text format; JSON text itself holds neither tabulators nor line ends."""
    pfa_id, text = row
    return f"{pfa_id.translate(_COPY)}\t{text.replace(_BACKSLASH, _TWO)}"


def _value(conn: Connection[Any], name: str, values: dict[str, Any]) -> int:
    row = conn.execute(_SQL[name], values).fetchone()
    return row[0] if row else 0
