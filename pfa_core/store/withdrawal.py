"""The changes of a member whose membership ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, PfaId, UserId
from pfa_core.store import rls

_SQL = sql.statements("withdrawal")


def waiting(conn: Connection[Any], organization_id: OrganizationId, user_id: UserId) -> list[PfaId]:
    """Lock the member's changes that wait to be sent and were not; list their records."""
    values = {"organization_id": organization_id, "user_id": user_id}
    return list(dict.fromkeys(row[0] for row in conn.execute(_SQL["waiting"], values)))


def withdraw(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId, at: datetime
) -> None:
    """Turn these changes into drafts, one of each record."""
    values = {"organization_id": organization_id, "user_id": user_id, "at": at}
    conn.execute(_SQL.for_role("withdraw", rls=rls.applies(conn)), values)
