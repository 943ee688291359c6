"""The wall: whether row level security holds this connection off, and passing through it by a token."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from psycopg import Connection, errors
from psycopg.rows import args_row, class_row

from pfa_core import sql
from pfa_core.errors import Bearer, Unauthorized
from pfa_core.model.member import Member, TokenMembership
from pfa_core.model.principal import Principal

APP_ROLE = "pfa_app"

_SQL = sql.statements("rls")


class RlsStatus(NamedTuple):
    """`active`: there are policies for the connection's role; `bound`: they hold it off. The owner's
    policy lets everything through, a superuser has none."""

    active: bool
    bound: bool


class RoleFacts(NamedTuple):
    """What the connection's role is and may, as far as the wall is concerned."""

    name: str
    is_superuser: bool
    bypasses: bool
    is_owner: bool
    has_policies: bool
    creates: bool
    on_citus: bool


# A connection keeps its role, so each is asked once.
_known: WeakKeyDictionary[Connection[Any], RlsStatus] = WeakKeyDictionary()


def status(conn: Connection[Any]) -> RlsStatus:
    """How the wall stands before this connection."""
    known = _known.get(conn)
    if known is None:
        row = conn.execute(_SQL["status"]).fetchone()
        known = _known[conn] = RlsStatus(*row) if row else RlsStatus(active=False, bound=False)
    return known


def applies(conn: Connection[Any]) -> bool:
    """Whether nothing is seen on this connection until a token lets somebody in."""
    return status(conn).bound


def role(conn: Connection[Any]) -> RoleFacts | None:
    """What the connection's role is; None where there is no schema yet."""
    with conn.cursor(row_factory=args_row(RoleFacts)) as cursor:
        return cursor.execute(_SQL["role"]).fetchone()


def authorize(
    conn: Connection[Any], principal: Bearer, scope: str, *, lock: bool = False
) -> Member | None:
    """Let the principal's token open the wall for this transaction; None: they are no member.

    Where the scope's right is lacking the wall stays shut, and the member tells what there is.

    Raises:
        Unauthorized: The principal was made without a token.
    """
    values = {**_presented(principal), "scope": scope, "locking": lock}
    with conn.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(_SQL["authorize"], values).fetchone()


def admits(conn: Connection[Any], principal: Bearer) -> bool:
    """Whether the principal's membership alone gets them in here, which it does from now on; true too
    where there is no wall."""
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
    """The membership of the token's user and how the token stands, with nobody let in."""
    row = conn.execute(_SQL["token_membership"], _presented(principal)).fetchone()
    return TokenMembership(Member(*row[:-2]), *row[-2:]) if row else None


def _presented(principal: Bearer) -> dict[str, Any]:
    if principal.token is None:
        raise Unauthorized(
            "this database asks for a token, and the principal was made without one",
            hint="pfa_core.authenticate makes one of the token",
        )
    return {
        "token": principal.token.reveal(),
        "organization_id": principal.organization_id,
    }
