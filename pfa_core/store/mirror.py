"""The mirror: what a pull does to it, and reading its records for a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql

_SQL = sql.statements("mirror")


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A record of the mirror."""

    pfa_id: str
    data: dict[str, Any]
    version: int


def copy_incoming(conn: Connection[Any], rows: Iterable[tuple[str, str]]) -> int:
    """Bring records (id, JSON text) to the server beside the mirror; how many they were."""
    conn.execute(_SQL["create_incoming"])
    arrived = 0
    with conn.cursor() as cursor, cursor.copy(_SQL["copy_incoming"]) as copy:
        for row in rows:
            copy.write_row(row)
            arrived += 1
    conn.execute(_SQL["analyze_incoming"])
    return arrived


def count_missing(conn: Connection[Any], organization_id: str) -> int:
    """How many mirror records did not arrive."""
    return _value(conn, "count_missing", {"organization_id": organization_id})


def drop_unchanged(conn: Connection[Any], organization_id: str) -> int:
    """Set aside what arrived as the mirror has it already; how many that were."""
    return conn.execute(_SQL["drop_unchanged"], {"organization_id": organization_id}).rowcount


def take_in(
    conn: Connection[Any], organization_id: str, run_id: UUID, at: datetime
) -> tuple[int, int]:
    """Make the mirror, its history, the overlays and the rollup agree with what arrived.

    Returns:
        How many records changed, and how many were written (changed and new).
    """
    values = {"organization_id": organization_id, "run_id": run_id, "at": at}
    changed = conn.execute(_SQL["keep_history"], values).rowcount
    conn.execute(_SQL["post_rollup"], {**values, "sign": -1})
    written = conn.execute(_SQL["upsert"], values).rowcount
    conn.execute(_SQL["post_rollup"], {**values, "sign": 1})
    conn.execute(_SQL["prune_rollup"], values)
    conn.execute(_SQL["refresh_overlays"], values)
    return changed, written


def lock_records(
    conn: Connection[Any], organization_id: str, ids: Sequence[str]
) -> dict[str, MirrorRow]:
    """The records by id, kept from changing until the transaction ends; absent where unknown."""
    values = {"organization_id": organization_id, "ids": list(ids)}
    with conn.cursor(row_factory=class_row(MirrorRow)) as cursor:
        return {row.pfa_id: row for row in cursor.execute(_SQL["lock_records"], values)}


def count(conn: Connection[Any], organization_id: str) -> int:
    """How many records the mirror has."""
    return _value(conn, "count", {"organization_id": organization_id})


def _value(conn: Connection[Any], name: str, values: dict[str, Any]) -> int:
    row = conn.execute(_SQL[name], values).fetchone()
    return row[0] if row else 0
