"""Whether what is kept (the rollup, the overlays) agrees with what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.principal import Principal
from pfa_core.store.mirror import ROLLUP_ROWS
from pfa_core.store.overlays import OVERLAY_ROWS

_SQL = sql.statements("drift")
_ROLLUP_DRIFT = _SQL["rollup_drift"].format(rows=ROLLUP_ROWS)
_OVERLAY_DRIFT = _SQL["overlay_drift"].format(rows=OVERLAY_ROWS)


@dataclass(frozen=True, slots=True)
class RollupDrift:
    """A combination of dimensions whose sums are wrong, and how many records it has, as kept and as
    counted."""

    category: str
    class_: str
    source: str
    dor: str
    area_silo: str
    kept: int
    counted: int


def rollup_drift(conn: Connection[Any], organization_id: str) -> list[RollupDrift]:
    """Where the rollup is not the sums of the mirror."""
    values = {"organization_id": organization_id, "sign": 1}
    return [RollupDrift(*row) for row in conn.execute(_ROLLUP_DRIFT, values)]


def touched(conn: Connection[Any], organization_id: str) -> dict[str, list[str]]:
    """The records that each user has changed, or has an overlay row of."""
    values = {"organization_id": organization_id}
    return dict(conn.execute(_SQL["touched"], values).fetchall())


def overlay_drift(conn: Connection[Any], principal: Principal, ids: Sequence[str]) -> list[str]:
    """The records of those whose overlay row of the principal's is wrong, missing or too much."""
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "ids": list(ids),
    }
    return [row[0] for row in conn.execute(_OVERLAY_DRIFT, values)]
