"""Costs of single records, computed beside them where a list asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId
from pfa_core.model.query import Query

if TYPE_CHECKING:
    from pfa_core.model.costing import Costing

_AMOUNTS: tuple[LiteralString, ...] = ("plan_cost", "forecast_cost", "actual_cost")


def width(query: Query) -> int:
    """Return the number of columns that the amounts of a row take."""
    return len(_AMOUNTS) if query.costs else 0


def columns(query: Query) -> LiteralString:
    """List the amounts of a row as further columns, in money-days exactly."""
    return "".join(f", k.{name}" for name in _AMOUNTS) if query.costs else ""


def tables(query: Query, *, overlay: bool) -> LiteralString:
    """Compose the tables beside a record's, called r, that its costs come from.

    Empty where no costs are asked for.

    Args:
        overlay: Beside `pfa_overlay`, else beside `pfa_mirror`.
    """
    if not _needed(query):
        return ""
    statements = sql.statements("costs")
    plan = statements["plan_of_overlay" if overlay else "plan_of_mirror"]
    return plan + statements["amounts"].format(
        counts_p=statements["counts"].format(table="p"),
        counts_r=statements["counts"].format(table="r"),
    )


def values(conn: Connection[Any], organization_id: OrganizationId, query: Query) -> dict[str, Any]:
    """Make the parameters of the tables: the weights of rates, by unit and currency."""
    if not _needed(query):
        return {}
    # Loaded for a list with costs: most have none.
    from pfa_core import exact_json
    from pfa_core.store import members

    statement = sql.statements("costs")["kinds"]
    kinds = conn.execute(statement, {"organization_id": organization_id}).fetchall()
    weights = _weights(members.costing(conn, organization_id), kinds)
    return {"weights": exact_json.dumps(weights)}


def _weights(costing: Costing, kinds: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Weigh each kind of record; those that are left out of money have no weight."""
    found: dict[str, dict[str, Any]] = {}
    for unit, currency in kinds:
        if not costing.excluded(unit, currency):
            found.setdefault(unit, {})[currency] = costing.weight(unit)
    return found


def _needed(query: Query) -> bool:
    return query.costs or query.orders_by_cost
