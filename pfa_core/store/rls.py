"""Row-level security of a connection.

The functions say whether it applies, and authorize by a token.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from psycopg import Connection, errors
from psycopg.rows import args_row

from pfa_core import sql
from pfa_core.errors import Bearer, Unauthorized
from pfa_core.model.member import Member, TokenMembership
from pfa_core.model.principal import Principal

APP_ROLE = "pfa_app"

_SQL = sql.statements("rls")


class RlsStatus(NamedTuple):
    """Row-level security of a connection's role.

    `active`: the role has policies; `bound`: they restrict it. The owner's policy allows everything, and a
    superuser bypasses all. `distributed`: the tables are distributed and have no policies.
    """

    active: bool
    bound: bool
    distributed: bool


class RoleFacts(NamedTuple):
    """Properties of the connection's role that concern row-level security."""

    name: str
    is_superuser: bool
    bypasses: bool
    is_owner: bool
    has_policies: bool
    creates: bool
    is_distributed: bool


# A connection keeps its role, so each is asked once.
_known: WeakKeyDictionary[Connection[Any], RlsStatus] = WeakKeyDictionary()
# For whom its transactions were authorized last.
_bearers: WeakKeyDictionary[Connection[Any], Bearer] = WeakKeyDictionary()


def status(conn: Connection[Any]) -> RlsStatus:
    """Read whether row-level security is active for the connection and restricts it."""
    known = _known.get(conn)
    if known is None:
        row = conn.execute(_SQL["status"]).fetchone()
        known = _known[conn] = RlsStatus(*(row or (False, False, False)))
    return known


def applies(conn: Connection[Any]) -> bool:
    """Return whether the connection sees no row until a token authorizes a user."""
    return status(conn).bound


def is_distributed(conn: Connection[Any]) -> bool:
    """Return whether the tables are distributed over several nodes."""
    return status(conn).distributed


def role(conn: Connection[Any]) -> RoleFacts | None:
    """Read the properties of the connection's role; None: the database has no schema."""
    with conn.cursor(row_factory=args_row(RoleFacts)) as cursor:
        return cursor.execute(_SQL["role"]).fetchone()


def authorize(
    conn: Connection[Any], principal: Bearer, scope: str, *, lock: bool = False
) -> Member | None:
    """Authorize the transaction by the principal's token; None: not a member.

    Without the right of the scope the transaction sees no row; the member shows which rights there are.

    Raises:
        Unauthorized: The principal was made without a token.
    """
    values = {**_presented(principal), "scope": scope, "locking": lock}
    row = conn.execute(_SQL["authorize"], values).fetchone()
    _bearers[conn] = principal
    return Member.of(row) if row else None


def authorize_again(conn: Connection[Any]) -> bool:
    """Authorize as a member for whom the transaction before was authorized.

    False: for none.
    """
    principal = _bearers.get(conn)
    return principal is not None and authorize(conn, principal, "member") is not None


def admits(conn: Connection[Any], principal: Bearer) -> bool:
    """Authorize the principal as a member.

    Returns:
        Whether the principal is one; True too where row-level security does not apply.
    """
    if not applies(conn):
        return True
    try:
        with conn.transaction():
            return authorize(conn, principal, "member") is not None
    except errors.Error as error:
        if not (error.sqlstate or "").startswith("PFA"):
            raise
        return False


def token_membership(conn: Connection[Any], principal: Principal) -> TokenMembership | None:
    """Read the membership of the token's user and the token's state.

    This does not authorize.
    """
    row = conn.execute(_SQL["token_membership"], _presented(principal)).fetchone()
    return TokenMembership.of(row) if row else None


def _presented(principal: Bearer) -> dict[str, Any]:
    if principal.token is None:
        raise Unauthorized(
            "this database needs a token, and the principal was made without one",
            hint="pfa_core.authenticate makes one of the token",
        )
    return {
        "token": principal.token.reveal(),
        "organization_id": principal.organization_id,
    }
