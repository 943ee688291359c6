"""What tests of the operations look at: a user's records, the stored modifications, faults."""

from __future__ import annotations

from typing import Any

import pfa_core
from pfa_core import Filters, Query
from pfa_core.drafts.save import SaveResult
from pfa_core.errors import PfaError
from pfa_core.model.delta import Change
from pfa_core.model.figures import Stats
from pfa_core.model.merged import MergedRecord
from tests.factories import World


def seen(
    world: World, user: str = "ann", *, sort: str = "pfaId", baseline: bool = False, **filters: Any
) -> list[MergedRecord]:
    """The user's matching records, by PFA id unless another order is asked for."""
    query = Query(Filters(**filters), pfa_core.parse_sort(sort), baseline=baseline)
    return list(pfa_core.stream_records(world.db, world.principal(user), query))


def ids(world: World, user: str = "ann", **rest: Any) -> list[str]:
    """The ids of the user's matching records; the count says the same number."""
    found = [row.pfa_id for row in seen(world, user, **rest)]
    query = Query(
        Filters(**{k: v for k, v in rest.items() if k not in ("sort", "baseline")}),
        baseline=rest.get("baseline", False),
    )
    assert pfa_core.count_records(world.db, world.principal(user), query) == len(found)
    return found


def one(world: World, pfa_id: str = "P-1", user: str = "ann") -> MergedRecord:
    """The record as the user sees it: one row, however many modifications it has."""
    (row,) = seen(world, user, id=(pfa_id,))
    return row


def value(world: World, field: str, pfa_id: str = "P-1", user: str = "ann") -> Any:
    """One field of the record as the user sees it."""
    return one(world, pfa_id, user).data[field]


def save(
    world: World, *changes: Change, user: str = "ann", session: str | None = "s", **rest: Any
) -> SaveResult:
    """Save changes as the user's drafts."""
    return pfa_core.save(world.db, world.principal(user), changes, session_id=session, **rest)


def stored(world: World, user: str = "ann") -> list[tuple[str, str, str, int, dict[str, Any]]]:
    """The user's modifications: id, session, state, version, delta; in order."""
    return world.rows(
        "SELECT pfa_id, session_id, state, version, delta FROM pfa_modification"
        " WHERE organization_id = %s AND user_id = %s"
        " ORDER BY pfa_id, state = 'draft', committed_at, modification_id",
        world.organization,
        user,
    )


def stats(
    world: World, user: str = "ann", *, by: tuple[str, ...] = (), baseline: bool = False, **of: Any
) -> Stats:
    """The user's KPIs."""
    return pfa_core.compute_stats(
        world.db, world.principal(user), Filters(**of), by=by, baseline=baseline
    )


def codes(error: PfaError) -> list[tuple[str, str, str]]:
    """The faults an error carries: PFA id, field, code; in its order."""
    return [(fault.pfa_id, fault.field, fault.code) for fault in error.details]


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables that an operation may write, with their row versions; but for what a
    refusal leaves in the audit trail."""
    return world.owner.read(
        lambda conn: {
            name: conn.execute(
                f"SELECT t.xmin::text, t::text FROM {name} AS t WHERE {but} ORDER BY 2"
            ).fetchall()
            for name, but in _TABLES.items()
        }
    )


# Of the trail the action is looked at, not the whole row as JSON: some tests leave hundreds of refusals there.
_TABLES = {
    "pfa_member": "true",
    "pfa_mirror": "true",
    "pfa_mirror_history": "true",
    "pfa_modification": "true",
    "pfa_sync_conflict": "true",
    "pfa_overlay": "true",
    "kpi_rollup": "true",
    "kpi_overlay": "true",
    "kpi_month": "true",
    "kpi_field": "true",
    "pfa_sync_log": "true",
    "pfa_sync_outcome": "true",
    "audit_log": "t.action NOT IN ('permission_denied', 'sync_skipped')",
}
