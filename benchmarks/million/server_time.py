"""How long the server is at work for a call, as it says itself: the sum over its statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pfa_core import Database

_DURATION = re.compile(r"duration: ([\d.]+) ms")
_TOLD = ("SET client_min_messages = log", "SET log_min_duration_statement = 0")


class ServerTime:
    """Measures on a handle whose role may set what the server logs: parsing, planning, executing and
    committing of every statement, not the way there and back, nor Python."""

    def __init__(self, db: Database) -> None:
        self._conn = db.connection()
        self._taken: list[float] = []
        self._conn.add_notice_handler(self._hear)

    def of(self, work: Callable[[], object]) -> Callable[[], float]:
        """The work as one that returns its seconds of the server's time."""

        def measured() -> float:
            for statement in _TOLD:
                self._conn.execute(statement)
            self._taken.clear()
            work()
            seconds = sum(self._taken) / 1000
            for statement in _TOLD:
                self._conn.execute(statement.replace("SET", "RESET", 1).partition(" =")[0])
            return seconds

        return measured

    def _hear(self, diagnostic: Any) -> None:
        found = _DURATION.match(diagnostic.message_primary or "")
        if found:
            self._taken.append(float(found[1]))
