"""Login roles of the program, one for each person and job."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier, Literal

from pfa_core.errors import IllegalTransition
from pfa_core.store.rls import APP_ROLE

# What a role has of itself: a member of pfa_app needs nothing else.
_CREATE = SQL(
    "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION IN ROLE {}"
)


def statement(name: str) -> str:
    """Write the statement that creates the role, without a password."""
    return f"{_created(name).as_string()};"


def create(conn: Connection[Any], name: str, password: str | None) -> None:
    """Create the role; None: it has no password.

    The server gets a verifier of the password alone, which a log of statements may show.

    Raises:
        IllegalTransition: There is such a role.
    """
    created = _created(name)
    if password is not None:
        verifier = conn.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        ).decode()
        created += SQL(" PASSWORD {}").format(Literal(verifier))
    try:
        conn.execute(created)
    except errors.DuplicateObject:
        raise IllegalTransition(
            f"there is a role {name} already", hint=f"type: pfa db psql -- -c '\\du {name}'"
        ) from None


def _created(name: str) -> Composed:
    return _CREATE.format(Identifier(name), Identifier(APP_ROLE))
