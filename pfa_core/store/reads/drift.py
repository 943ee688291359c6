"""Differences of the stored sums and overlays from their sources.

Both as stored are compared with those computed from their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, PfaId, UserId
from pfa_core.model.principal import Principal
from pfa_core.store import rls
from pfa_core.store.mirror import FIELD_ROWS, MONTH_ROWS, ROLLUP_ROWS, keeps_sums
from pfa_core.store.overlay_sums import SUMS
from pfa_core.store.overlays import OVERLAY_ROWS

_SQL = sql.statements("drift")
_ROLLUP_DRIFT = _SQL["rollup_drift"].format(rows=ROLLUP_ROWS)
_MONTHS_DRIFT = _SQL["months_drift"].format(rows=MONTH_ROWS)
_FIELDS_DRIFT = _SQL["fields_drift"].format(rows=FIELD_ROWS)
_SUMS_DRIFT = _SQL["sums_drift"].format(rows=SUMS)
_OVERLAY_DRIFT = _SQL["overlay_drift"].format(rows=OVERLAY_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupDrift:
    """A combination of dimensions with wrong sums.

    `kept` is its number of records as stored, `counted` the number as counted.
    """

    category: str
    class_: str
    source: str
    dor: str
    area_silo: str
    kept: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDrift:
    """A month of a phase, or a value of a field, with wrong sums.

    `field` is the phase or the field. `kept` is the number of what is summed as stored, `counted` the number as
    counted: of a month starts and ends, of a field records.
    """

    field: str
    value: str
    kept: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SumsDrift:
    """A combination of a user and dimensions with wrong sums of the user's overlays.

    `grain` says by which dimensions they are. `kept` is the number of overlays as stored, `counted` the number as
    counted.
    """

    user_id: UserId
    grain: str
    category: str
    class_: str
    source: str
    dor: str
    area_silo: str
    kept: int
    counted: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that breaks the checks of some columns; `row_key` is its key as JSON text."""

    table: str
    columns: list[str]
    row_key: str


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """Such a row that was deleted.

    `content` is its JSON text, of at most 100,000 characters.
    """

    table: str
    columns: list[str]
    pfa_id: PfaId | None
    content: str


def bad_rows(conn: Connection[Any], organization_id: OrganizationId) -> list[BadRow]:
    """List the organization's rows that break a check, at most a thousand of a table."""
    statement = _SQL.for_role("bad_rows", rls=rls.applies(conn))
    return [BadRow(*row) for row in conn.execute(statement, {"organization_id": organization_id})]


def drop_bad_rows(conn: Connection[Any], organization_id: OrganizationId) -> list[DroppedRow]:
    """Delete those of them that are computed anew or replaced."""
    statement = _SQL.for_role("drop_bad_rows", rls=rls.applies(conn))
    return [
        DroppedRow(*row) for row in conn.execute(statement, {"organization_id": organization_id})
    ]


def rollup_drift(conn: Connection[Any], organization_id: OrganizationId) -> list[RollupDrift]:
    """List where the rollup differs from the sums of the mirror."""
    values = {"organization_id": organization_id, "sign": 1}
    with conn.cursor(row_factory=class_row(RollupDrift)) as cursor:
        return cursor.execute(_ROLLUP_DRIFT, values).fetchall()


def kept_drift(conn: Connection[Any], organization_id: OrganizationId) -> list[KeptDrift]:
    """List where the sums by month and by field differ from those of the mirror.

    Where there are none, none differs.
    """
    values = {"organization_id": organization_id, "sign": 1}
    found: list[KeptDrift] = []
    if not keeps_sums(conn, organization_id):
        return found
    with conn.cursor(row_factory=class_row(KeptDrift)) as cursor:
        for statement in (_MONTHS_DRIFT, _FIELDS_DRIFT):
            found += cursor.execute(statement, values).fetchall()
    return found


def sums_drift(conn: Connection[Any], organization_id: OrganizationId) -> list[SumsDrift]:
    """List where the sums of users differ from what their overlays add."""
    with conn.cursor(row_factory=class_row(SumsDrift)) as cursor:
        return cursor.execute(_SUMS_DRIFT, {"organization_id": organization_id}).fetchall()


def touched(conn: Connection[Any], organization_id: OrganizationId) -> dict[UserId, list[PfaId]]:
    """List by user the records with an active modification or an overlay row."""
    values = {"organization_id": organization_id}
    return dict(conn.execute(_SQL["touched"], values).fetchall())


def overlay_drift(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> list[PfaId]:
    """List the records whose overlay row of the principal differs from its sources.

    The row is wrong, missing or superfluous.
    """
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "ids": list(ids),
    }
    return [row[0] for row in conn.execute(_OVERLAY_DRIFT, values)]
