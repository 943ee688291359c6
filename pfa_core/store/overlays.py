"""Overlay rows: the records that a user changed, as that user sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import ModificationId, OrganizationId, PfaId, UserId
from pfa_core.model.principal import NO_TOKEN, Principal
from pfa_core.store import overlay_sums, rls, writing
from pfa_core.store.modifications import of_caller
from pfa_core.store.portions import portions

_SQL = sql.statements("overlays")
OVERLAY_ROWS = _SQL["overlay_rows"]
_PUT = {"stacked": "put_stacked", "only": "put_only"}
_UPDATE = {"stacked": "update_stacked", "only": "update_only"}
_BY_STEPS = {"stacked": ("post_stacked", "write_stacked"), "only": ("post_only", "write_only")}
_SUMS = {"stacked": "sums_stacked", "only": "sums_only"}
_MANY = 20  # rows gone at once, after which sums of nothing are looked for


def refresh_overlays(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> None:
    """Update the principal's overlay rows of these records to their modifications."""
    kept = overlaid(conn, principal, ids)
    if kept:
        statement = _SQL.for_ids("hold_mirror", kept)
        conn.execute(statement, {**of_caller(principal), "ids": sorted(kept)})
    drop_overlays(conn, principal, [pfa_id for pfa_id in ids if pfa_id not in kept])
    put_overlays(conn, principal, sorted(kept))


def put_overlays(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId], *, there: bool = False
) -> None:
    """Update the overlay rows of records that have modifications.

    The records' mirror rows are locked.

    Args:
        there: Their overlay rows exist, as expected; a missing one is inserted all the same.
    """
    _put_overlays(conn, principal, "stacked", "ids", ids, there=there)


def put_only_overlays(
    conn: Connection[Any],
    principal: Principal,
    modification_ids: Sequence[ModificationId],
    *,
    there: bool = False,
) -> None:
    """Update the overlay rows of their records' only active modifications."""
    _put_overlays(conn, principal, "only", "modification_ids", modification_ids, there=there)


def _put_overlays(
    conn: Connection[Any],
    principal: Principal,
    which: str,
    name: str,
    ids: Sequence[PfaId] | Sequence[ModificationId],
    *,
    there: bool,
) -> None:
    for some in portions(ids):
        values = {**of_caller(principal), name: some}
        if rls.is_distributed(conn):
            put = _put_one if len(some) == 1 else _put_by_steps
            put(conn, which, values)
            continue
        block = _UPDATE[which] if there and len(some) == 1 else _PUT[which]
        writing.changed(conn, _SQL, block, values, ids=some)


def _put_by_steps(conn: Connection[Any], which: str, values: Mapping[str, Any]) -> None:
    """Do the same in three statements, each of which goes to one node as a whole."""
    post, write = _BY_STEPS[which]
    conn.execute(_SQL[post], {**values, "sign": -1})
    conn.execute(_SQL[write], values)
    conn.execute(_SQL[post], {**values, "sign": 1})


def _put_one(conn: Connection[Any], which: str, values: Mapping[str, Any]) -> None:
    """Do the same for one record, whose few sums are added up here."""
    sums, write = _SQL[_SUMS[which]], _BY_STEPS[which][1]
    before = conn.execute(sums, {**values, "sign": -1}).fetchall()
    conn.execute(_SQL[write], values)
    after = conn.execute(sums, {**values, "sign": 1}).fetchall()
    overlay_sums.add(conn, [*before, *after])


def overlaid(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> set[PfaId]:
    """Select the records that have active modifications of the principal."""
    if not ids:
        return set()
    values = {**of_caller(principal), "ids": list(ids)}
    return {row[0] for row in conn.execute(_SQL.for_ids("overlaid", ids), values)}


def drop_overlays(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> None:
    """Delete the principal's overlay rows of records without active modifications."""
    if not ids:
        return
    values = {**of_caller(principal), "ids": list(ids)}
    if len(ids) >= _MANY and _drop_all(conn, values):
        return
    if rls.applies(conn):
        writing.counts(conn, _SQL, "drop_overlays", values)
    else:
        conn.execute(_SQL.for_ids("hold_overlays", ids), values)
        conn.execute(_SQL.for_ids("drop_held", ids), values)
    if len(ids) >= _MANY:
        overlay_sums.prune(conn, principal)


def _drop_all(conn: Connection[Any], values: Mapping[str, Any]) -> bool:
    """Delete the rows if the principal has no others; return whether they are gone."""
    if rls.applies(conn):
        return writing.counts(conn, _SQL, "drop_all_overlays", values)[0] > 0
    if not conn.execute(_SQL["drop_if_all"], values).rowcount:
        return False
    conn.execute(_SQL["clear_sums"], values)
    conn.execute(_SQL["even_out"], values)
    return True


def clear_overlays(
    conn: Connection[Any],
    organization_id: OrganizationId,
    records: Mapping[UserId, Sequence[PfaId]],
) -> dict[UserId, list[PfaId]]:
    """Delete users' overlay rows of records without active modifications.

    Returns:
        The other records by user, for `rebuild_overlays`.
    """
    if rls.applies(conn):
        return {user: list(ids) for user, ids in records.items()}
    left: dict[UserId, list[PfaId]] = {}
    for user, ids in records.items():
        owner = _owner(organization_id, user)
        kept = overlaid(conn, owner, ids)
        drop_overlays(conn, owner, [pfa_id for pfa_id in ids if pfa_id not in kept])
        left[user] = sorted(kept)
    return left


def rebuild_overlays(
    conn: Connection[Any],
    organization_id: OrganizationId,
    records: Mapping[UserId, Sequence[PfaId]],
) -> None:
    """Update users' overlay rows of records (by user) to their modifications."""
    if rls.applies(conn):
        pairs = [(user, pfa_id) for user, ids in records.items() for pfa_id in ids]
        values = {"users": [user for user, _ in pairs], "ids": [pfa_id for _, pfa_id in pairs]}
        conn.execute(_SQL["rebuild_under_rls"], values)
        return
    for user, ids in records.items():
        refresh_overlays(conn, _owner(organization_id, user), ids)


def _owner(organization_id: OrganizationId, user_id: UserId) -> Principal:
    return Principal(
        user_id=user_id, organization_id=organization_id, rights=frozenset(), token_id=NO_TOKEN
    )
