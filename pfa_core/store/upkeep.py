"""What a database needs from those who run it, as its own statistics say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.sql.tables import PLACEMENTS
from pfa_core.store import rls, whole_database

_SQL = sql.statements("upkeep")
MONTHS = 3  # that are counted, the present one too
MOST = 1_000_000  # rows that are counted of a month


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """A table: its rows, those left for a vacuum, its size with indexes.

    `excluded`: autovacuum leaves it out.
    """

    name: str
    rows: int
    dead: int
    bytes: int
    vacuumed: bool
    analyzed: bool
    excluded: bool


class ServerState(NamedTuple):
    """What a server does by itself.

    Whether autovacuum is on, the age of the oldest transaction, and the age from which on it is frozen.
    """

    autovacuum: bool
    age: int
    freeze_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthGrowth:
    """What one month added to the trail and to the history of records.

    `versions` of records were replaced. A million is that many or more.
    """

    month: str
    entries: int
    versions: int


def tables(conn: Connection[Any]) -> list[TableState]:
    """List the tables, those with the most dead rows first."""
    with conn.cursor(row_factory=class_row(TableState)) as cursor:
        return cursor.execute(_SQL["tables"], {"tables": list(PLACEMENTS)}).fetchall()


def server(conn: Connection[Any]) -> ServerState:
    """Read what the server does by itself, and how old its transactions are."""
    row = conn.execute(_SQL["server"]).fetchone()
    return ServerState(*row) if row else ServerState(autovacuum=True, age=0, freeze_at=0)


def sizes(conn: Connection[Any]) -> tuple[int, int]:
    """Return the bytes of the audit trail and of the mirror's history, with indexes."""
    row = conn.execute(_SQL["sizes"]).fetchone()
    return row or (0, 0)


def growth(conn: Connection[Any], now: datetime) -> Sequence[MonthGrowth]:
    """Count what the last months added, the present one first.

    None where the role does not see all rows, or they are on several nodes.
    """
    if rls.applies(conn) or rls.is_distributed(conn):
        return ()
    months = [now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(months) <= MONTHS:
        first = months[-1]
        year, month = divmod(first.year * 12 + first.month - 2, 12)
        months.append(first.replace(year=year, month=month + 1))
    values = {"begins": months[:MONTHS], "ends": [now, *months[: MONTHS - 1]], "most": MOST}
    entries, versions = Counter[str](), Counter[str]()
    for code in whole_database.organizations(conn):
        for month, of_trail, of_history in conn.execute(
            _SQL["growth"], {**values, "organization_id": code}
        ):
            entries[month] += of_trail
            versions[month] += of_history
    return [
        MonthGrowth(
            month=month, entries=min(entries[month], MOST), versions=min(versions[month], MOST)
        )
        for month in (f"{first:%Y-%m}" for first in months[:MONTHS])
    ]
