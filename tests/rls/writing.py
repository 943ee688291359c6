"""Calls of the functions that write, as a session of the application's role makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import Connection, errors
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.model.ids import new_id
from pfa_core.model.principal import Principal
from tests.rls.two import authorize


def call(conn: Connection[Any], block: str, **values: Any) -> Any:
    """Call the function of a block, `noun.name`; return what its first row holds."""
    noun, _, name = block.partition(".")
    given = {
        key: Jsonb(value) if isinstance(value, dict) or rows(value) else value
        for key, value in {"organization_id": "ORG", **values}.items()
    }
    row = conn.execute(sql.statements(noun).functions[name].call, given).fetchone()
    return row[0] if row else None


def rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def entry(modification_id: str | None = None, **facts: Any) -> dict[str, Any]:
    return {"entry_id": str(new_id()), "modification_id": modification_id, **facts}


def record(
    conn: Connection[Any], user: str, action: str, entries: Sequence[dict[str, Any]]
) -> None:
    """Write entries into the trail, and their link."""
    call(conn, "audit.write", user_id=user, action=action, entries=list(entries))
    conn.execute("SELECT pfa_append_link('ORG')")


def new_draft(pfa_id: str = "P-2", **delta: Any) -> dict[str, Any]:
    return {
        "modification_id": str(new_id()),
        "pfa_id": pfa_id,
        "session_id": "psql",
        "delta": delta,
        "base": dict.fromkeys(delta),
        "base_version": 1,
        "change_reason": None,
    }


@contextmanager
def refused(
    conn: Connection[Any],
    who: Principal,
    scope: str,
    *,
    match: str | None = None,
    by: type[errors.Error] | tuple[type[errors.Error], ...] = errors.InsufficientPrivilege,
) -> Iterator[None]:
    """A transaction of the user in the scope that is refused, by a statement of it or at the commit."""
    with pytest.raises(by, match=match), conn.transaction():  # noqa: PT012
        authorize(conn, who, scope)
        yield
