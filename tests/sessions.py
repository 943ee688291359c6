"""Sessions of the database that one command leaves to the next, as if they were new.

A new session reads the catalogs and compiles the schema's functions: 15 to 20 ms of the server a command,
where the command itself takes two. What belongs to a session (settings, prepared statements, locks, temporary
tables) is discarded in between.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import pq

from pfa_core.store import connection
from pfa_core.store.silence import WatchedConnection


class Sessions:
    """The sessions that are idle, by the address and the variables they were opened with."""

    def __init__(self) -> None:
        self._idle: dict[Any, list[pq.abc.PGconn]] = {}

    @contextmanager
    def left_to_the_next(self) -> Iterator[None]:
        """Within the block the program takes idle sessions, and leaves its own."""
        sessions = self

        class Left(WatchedConnection):
            key: Any = None

            @classmethod
            def connect(cls, conninfo: str = "", **words: Any) -> Any:
                key = conninfo, tuple(sorted(words.items())), _variables()
                pgconn = sessions.take(key)
                if pgconn is None:
                    conn = super().connect(conninfo, **words)
                else:
                    conn = cls(pgconn)
                    conn.autocommit = words["autocommit"]
                conn.key = key
                return conn

            def close(self) -> None:
                if self.key and sessions.leave(self.key, self.pgconn):
                    self.pgconn = pq.PGconn.__new__(pq.PGconn)  # of no session: closed
                super().close()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "WatchedConnection", Left)
            yield

    def take(self, key: Any) -> pq.abc.PGconn | None:
        """A session that was left and is still there."""
        left = self._idle.get(key, [])
        while left:
            pgconn = left.pop()
            if pgconn.exec_(b"").status == pq.ExecStatus.EMPTY_QUERY:
                return pgconn
            pgconn.finish()
        return None

    def leave(self, key: Any, pgconn: pq.abc.PGconn) -> bool:
        """Keep a session that can be made as new; whether it was."""
        if (pgconn.status, pgconn.transaction_status) != (
            pq.ConnStatus.OK,
            pq.TransactionStatus.IDLE,
        ):
            return False
        if pgconn.exec_(b"DISCARD ALL").status != pq.ExecStatus.COMMAND_OK:
            return False
        self._idle.setdefault(key, []).append(pgconn)
        return True

    def close(self) -> None:
        """End the idle ones."""
        for left in self._idle.values():
            while left:
                left.pop().finish()


def _variables() -> tuple[tuple[str, str], ...]:
    """What libpq reads of the environment."""
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("PG")))
