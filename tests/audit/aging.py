"""Trails of times gone by: what links and entries say of their time is moved back, and the chain made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.store import archives
from tests.factories import World

_CHAIN = sql.statements("audit_chain")
_LINKS = (
    "SELECT l.number, l.link_id, c.content, {facts} AS facts FROM ("
    "  SELECT l.organization_id, l.number, l.link_id, l.entry_count, l.at, c.content"
    "  FROM audit_link AS l CROSS JOIN LATERAL ("
    "    SELECT sha256(string_agg({digest}, ''::bytea ORDER BY e.entry_id)) AS content FROM audit_log AS e"
    "    WHERE e.organization_id = %(code)s AND e.link_id = l.link_id) AS c"
    "  WHERE l.organization_id = %(code)s) AS l CROSS JOIN LATERAL (SELECT l.content) AS c ORDER BY l.number"
)


def age(world: World, days: int = 400, *, links: int | None = None) -> datetime:
    """Move the trail back by days, or its first links alone; the time that is a day after the last moved one."""
    past = timedelta(days=days)
    values = {"code": world.organization, "past": past, "links": links or 10**9}
    world.owner.administer(lambda conn: age_trail(conn, values))
    return datetime.now(UTC) - past + timedelta(days=1)


def age_trail(conn: Connection[Any], values: dict[str, Any]) -> None:
    with conn.transaction():
        # In UTC the difference depends on no setting: such are the updates that a distributed server takes.
        past = "({at} AT TIME ZONE 'UTC' - %(past)s) AT TIME ZONE 'UTC'"
        conn.execute(
            f"UPDATE audit_log AS e SET at = {past.format(at='e.at')} FROM audit_link AS l"
            " WHERE e.organization_id = %(code)s AND l.organization_id = %(code)s"
            " AND l.link_id = e.link_id AND l.number <= %(links)s",
            values,
        )
        conn.execute(
            f"UPDATE audit_link SET at = {past.format(at='at')}"
            " WHERE organization_id = %(code)s AND number <= %(links)s",
            values,
        )
        chain(conn, values["code"])


def chain(conn: Connection[Any], code: str) -> None:
    """Make the digests of a trail anew."""
    statement = _LINKS.format(digest=_CHAIN["entry_digest"], facts=_CHAIN["link_facts"])
    begin = archives.end_of(archives.last(conn, code))
    before, number = begin.digest, begin.number
    for number, _, content, facts in conn.execute(statement, {"code": code}).fetchall():
        if number <= begin.number:
            continue
        row = conn.execute(
            "UPDATE audit_link SET content = %s, digest = sha256(%s || int8send(%s) || %s)"
            " WHERE organization_id = %s AND number = %s RETURNING digest",
            [content, before, number, facts, code, number],
        ).fetchone()
        before = row[0] if row else b""
    conn.execute(
        "UPDATE audit_head SET digest = %s WHERE organization_id = %s AND number = %s",
        [before, code, number],
    )
