"""The mirror of PEMS's records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, PfaId, RunId
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.store import overlay_sums, rls, writing
from pfa_core.store.copying import Received, copy_received

_SQL = sql.statements("mirror")


# What the rollup of an organization should hold.
ROLLUP_ROWS = _SQL["sums"].format(rows=_SQL["all"])
# And the sums by month and by field.
_KEPT = sql.statements("kept_sums")
# The same on distributed tables, where a statement has one ON CONFLICT at the most.
_ALONE = {
    "post_received": "post_received_alone",
    "post_between": "post_between_alone",
    "post_all": "post_all_alone",
}
MONTH_ROWS = _KEPT["moves"].format(rows=_SQL["all"])
FIELD_ROWS = _KEPT["fields"].format(rows=_SQL["all"])
# The type of a field's value where it is not a text.
_CASTS: dict[Kind, LiteralString] = {Kind.FLAG: "::boolean", Kind.MONEY: "::numeric"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """A mirror row, when it was updated, and since when PEMS lacks the record."""

    pfa_id: PfaId
    data: dict[str, Any]
    version: int
    updated_at: datetime
    missing_since: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A record of the mirror."""

    pfa_id: PfaId
    data: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Merged:
    """Numbers of received records by what became of them."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


def copy_incoming(conn: Connection[Any], rows: Iterable[Received]) -> int:
    """Copy records into a temporary table beside the mirror.

    Returns:
        Their number.
    """
    writing.changed(conn, _SQL, "create_incoming")
    received = copy_received(conn, _SQL["copy_incoming"], rows)
    writing.changed(conn, _SQL, "index_incoming")
    writing.changed(conn, _SQL, "analyze_incoming")
    return received


def fold(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    folds: Sequence[Mapping[str, Any]],
    at: datetime,
) -> None:
    """Update the mirror, its history, overlays and rollup with what PEMS has accepted.

    Args:
        folds: Rows of pfa_id, reading (the record as PEMS returned it, or None), changes (over it) and
            revision (PEMS's version now, or None).
    """
    ids = [one["pfa_id"] for one in folds]
    values = {"organization_id": organization_id, "folds": Jsonb(list(folds)), "ids": ids}
    writing.changed(conn, _SQL, "create_incoming")
    conn.execute(_SQL["fold_incoming"], values)
    writing.changed(conn, _SQL, "analyze_incoming")
    known = [
        {"pfa_id": row[0], "revision": row[1]} for row in conn.execute(_SQL["drop_known"], values)
    ]
    if known:
        writing.changed(conn, _SQL, "note_revisions", {**values, "known": Jsonb(known)})
    if len(known) < len(folds):
        take_in(conn, organization_id, run_id, at)


def mark_missing(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    *,
    began_at: datetime,
    at: datetime,
) -> int:
    """Mark the records that a complete pull did not contain.

    Returns:
        How many are marked now.
    """
    values = {"organization_id": organization_id, "run_id": run_id, "began_at": began_at, "at": at}
    if rls.applies(conn):
        writing.counts(conn, _SQL, "mark_missing_records", values)
    else:
        for step in (
            "create_seen",
            "gather_seen",
            "create_absent",
            "gather_absent",
            "mark_missing",
        ):
            conn.execute(_SQL[step], values)
    return _value(conn, "count_marked", values)


def count_missing(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the mirror's records that were not received."""
    return _value(conn, "count_missing", {"organization_id": organization_id})


def drop_unchanged(
    conn: Connection[Any],
    organization_id: OrganizationId,
    ids: Sequence[str] | None = None,
    *,
    asked_at: datetime | None = None,
) -> int:
    """Leave out the records of `copy_incoming` that the mirror has already.

    Those that were missing are found again.

    Args:
        ids: Those of all received records, where they are few enough to be named (None: not named).
        asked_at: Records that the mirror has of a later time are left out too.

    Returns:
        How many were left out.
    """
    from pfa_core.store import leases  # a pull has loaded it

    values: dict[str, Any] = {
        "organization_id": organization_id,
        "asked_at": asked_at,
        "now": asked_at and leases.clock(conn),
    }
    writing.changed(conn, _SQL, "found_again", values)
    name = "drop_unchanged"
    if ids is not None:
        name, values["ids"] = "drop_unchanged_named", list(ids)
    if rls.is_distributed(conn):
        gather = "gather_unchanged" if ids is None else "gather_unchanged_named"
        return _drop_by_steps(conn, gather, values)
    with conn.cursor(row_factory=tuple_row) as cursor:
        row = writing.returned(cursor, _SQL, name, values).fetchone()
    return row[0] if row else 0


def _drop_by_steps(conn: Connection[Any], gather: str, values: Mapping[str, Any]) -> int:
    conn.execute(_SQL["create_same"])
    conn.execute(_SQL[gather], values)
    dropped = conn.execute(_SQL["drop_gathered"]).rowcount
    if dropped:
        conn.execute(_SQL["keep_gathered"], values)
    conn.execute(_SQL["drop_same_table"])
    return dropped


def is_empty(conn: Connection[Any], organization_id: OrganizationId) -> bool:
    """Return whether the mirror has no record of the organization."""
    row = conn.execute(_SQL["is_empty"], {"organization_id": organization_id}).fetchone()
    return bool(row and row[0])


def take_in(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId | UUID, at: datetime
) -> tuple[int, int]:
    """Write received records that are new or different.

    The replaced versions are written into the history.

    Returns:
        How many records changed, and how many were written (changed and new).
    """
    values = {"organization_id": organization_id, "run_id": run_id, "at": at}
    if rls.applies(conn):
        changed, _, _, written, *_ = writing.counts(conn, _SQL, "take_in", values)
        return changed, written
    changed = conn.execute(_SQL["keep_history"], values).rowcount
    overlaid: list[str] = []
    if changed:  # a new record has no overlay
        overlaid = _held_overlays(conn, values)
        _post_overlays(conn, values, overlaid, -1)
        post(conn, "post_received", {**values, "sign": -1})
    written = conn.execute(_SQL["upsert"], values).rowcount
    post(conn, "post_received", {**values, "sign": 1})
    if overlaid:
        conn.execute(_SQL["refresh_overlays"], values)
        _post_overlays(conn, values, overlaid, 1)
    conn.execute(_SQL["keep_digests"], values)
    return changed, written


def _held_overlays(conn: Connection[Any], values: Mapping[str, Any]) -> list[str]:
    """Lock the overlays over received records; return the records' ids."""
    ids = [row[0] for row in conn.execute(_SQL["overlaid"], values)]
    if ids:
        conn.execute(_SQL["hold_overlays"], {**values, "ids": ids})
    return ids


def _post_overlays(
    conn: Connection[Any], values: Mapping[str, Any], ids: list[str], sign: int
) -> None:
    if ids:
        conn.execute(_SQL["post_named"], {**values, "ids": ids, "sign": sign})


def post(conn: Connection[Any], name: str, values: Mapping[str, Any]) -> None:
    """Add the sums of rows to the rollup, and to those by month and by field.

    On distributed tables to the rollup alone: those that were kept before go, and are read from the records.
    """
    if rls.is_distributed(conn):
        conn.execute(_SQL["drop_kept"], values)
        name = _ALONE[name]
    conn.execute(_SQL[name], values)


def recompute_rollup(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Recompute the rollup from the mirror, and the sums by month and by field."""
    values = {"organization_id": organization_id, "sign": 1}
    if rls.applies(conn):
        writing.counts(conn, _SQL, "recompute_rollup", values)
        return
    conn.execute(_SQL["clear_rollup"], values)
    post(conn, "post_all", values)


def keeps_sums(conn: Connection[Any], organization_id: OrganizationId) -> bool:
    """Return whether there are sums by month and by field.

    Without any the records are read.
    """
    row = conn.execute(_KEPT["are_kept"], {"organization_id": organization_id}).fetchone()
    return bool(row and row[0])


def prune_rollup(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Delete sums over no records, which change no figure and would accumulate.

    What was posted beside the users' own sums is added to them.
    """
    writing.changed(conn, _SQL, "prune_rollup", {"organization_id": organization_id})
    overlay_sums.gather(conn, organization_id)


def rows(
    conn: Connection[Any], organization_id: OrganizationId, ids: Sequence[PfaId]
) -> dict[PfaId, BaselineRow]:
    """Read records by id, as PEMS had them last; unknown ones are absent."""
    with conn.cursor(row_factory=class_row(BaselineRow)) as cursor:
        found = cursor.execute(_SQL.for_ids("rows", ids), _named(organization_id, ids))
        return {row.pfa_id: row for row in found}


def hold(conn: Connection[Any], organization_id: OrganizationId, ids: Sequence[PfaId]) -> None:
    """Lock records against changes, in the order of their ids, without reading them."""
    conn.execute(_SQL["hold"], _named(organization_id, ids))


def known(
    conn: Connection[Any], organization_id: OrganizationId, ids: Sequence[PfaId]
) -> set[PfaId]:
    """Return those of the ids that a record has."""
    found = conn.execute(_SQL.for_ids("known", ids), _named(organization_id, ids))
    return {row[0] for row in found.fetchall()}


def lock_records(
    conn: Connection[Any], organization_id: OrganizationId, ids: Sequence[PfaId]
) -> dict[PfaId, MirrorRow]:
    """Lock records against changes and read them by id; unknown ones are absent."""
    with conn.cursor(row_factory=class_row(MirrorRow)) as cursor:
        found = cursor.execute(_SQL.for_ids("lock_records", ids), _named(organization_id, ids))
        return {row.pfa_id: row for row in found}


def lock_fields(
    conn: Connection[Any],
    organization_id: OrganizationId,
    ids: Sequence[PfaId],
    fields: Sequence[str],
) -> dict[PfaId, MirrorRow]:
    """Lock records and read a few of their fields, missing ones as None.

    To parse ten thousand whole records takes longer than to lock them.
    """
    columns = ", ".join(_value_of(FIELDS[name]) for name in fields)
    statement = _SQL.for_ids("lock_fields", ids).format(fields=columns)
    with conn.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(statement, _named(organization_id, ids))
        return {
            pfa_id: MirrorRow(pfa_id, dict(zip(fields, values, strict=True)), version)
            for pfa_id, version, *values in found.fetchall()
        }


def _value_of(field: Field) -> LiteralString:
    """Write a field of a record as a value of its kind."""
    return f"(data ->> '{field.name}'){_CASTS.get(field.kind, '')}"


def _named(organization_id: OrganizationId, ids: Sequence[PfaId]) -> dict[str, Any]:
    return {"organization_id": organization_id, "ids": list(ids)}


def count(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the mirror's records."""
    return _value(conn, "count", {"organization_id": organization_id})


def _value(conn: Connection[Any], name: str, values: dict[str, Any]) -> int:
    row = conn.execute(_SQL[name], values).fetchone()
    return row[0] if row else 0
