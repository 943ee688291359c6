"""Settings of a session, whatever the environment, the role and the database set."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql

# Longer than what an honest transaction holds: a pull of a million records from files holds its organization's row
# for minutes, a save of as many its user's.
LOCK_SECONDS = 600

_SQL = sql.statements("session")


def settle(conn: Connection[Any], question: LiteralString) -> tuple[Any, ...] | None:
    """Set a new session's settings and ask a question in one round trip.

    They are not start-up options: poolers drop or refuse these, a server before 17 does not know all of
    them, and a variable of the environment would win.

    Returns:
        The first row of the answer.
    """
    settings = _SQL["settings"] + _SQL["lock_timeout"].format(
        limit=sql.numeral(LOCK_SECONDS * 1000)
    )
    if conn.info.server_version >= 170000:
        settings += _SQL["settings_since_17"]
    cursor = conn.execute(settings + question)
    while cursor.nextset():
        pass
    return cursor.fetchone()
