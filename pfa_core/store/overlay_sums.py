"""Sums kept per user: what a user's overlays add to the sums of the mirror."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Context, Decimal, Inexact
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.principal import Principal
from pfa_core.store import rls, writing

_SQL = sql.statements("overlay_sums")
# What they should be, of all users of an organization.
SUMS = _SQL["all_differences"]
_KEYS = 14  # columns of a row of sums before the sums
_GIVEN: LiteralString = _SQL["given"]
# Wide enough for any sum of the tables, and never rounded.
_EXACT = Context(prec=4000, traps=[Inexact])


def add(conn: Connection[Any], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows of sums to those that are kept; rows of one key are added up first."""
    sums: dict[tuple[Any, ...], tuple[int | Decimal, ...]] = {}
    for row in rows:
        key, values = row[:_KEYS], row[_KEYS:]
        before = sums.get(key)
        sums[key] = tuple(map(_plus, before, values)) if before else values
    changed = [key + values for key, values in sorted(sums.items()) if any(values)]
    if changed:
        others: LiteralString = (", " + _GIVEN) * (len(changed) - 1)
        statement = _SQL["add"].format(sums="VALUES " + _GIVEN + others)
        conn.execute(statement, [value for row in changed for value in row])


def _plus(one: int | Decimal, other: int | Decimal) -> int | Decimal:
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return _EXACT.add(one, other)


def prune(conn: Connection[Any], principal: Principal) -> None:
    """Delete the principal's sums of nothing."""
    values = {"organization_id": principal.organization_id, "user_id": principal.user_id}
    writing.changed(conn, _SQL, "prune_own", values)


def gather(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Add what the mirror's writers have posted to the users' own sums.

    The organization's mirror is locked. Users who are writing are left out.
    """
    values = {"organization_id": organization_id}
    if rls.applies(conn):
        writing.counts(conn, _SQL, "gather_sums", values)
    elif conn.execute(_SQL["gather"], values).rowcount:
        conn.execute(_SQL["prune_idle"], values)


def recompute(
    conn: Connection[Any], organization_id: OrganizationId, users: Collection[UserId]
) -> None:
    """Recompute the sums of users.

    Their member rows and the organization's mirror are locked.
    """
    values = {"organization_id": organization_id, "users": sorted(users)}
    if rls.applies(conn):
        writing.counts(conn, _SQL, "recompute", values)
        return
    conn.execute(_SQL["clear_users"], values)
    conn.execute(_SQL["post_users"], values)
