"""Sessions of the database that one handle leaves to the next, as if they were new.

A new session reads the catalogs and compiles the schema's functions: 15 to 20 ms of the server, where most
commands take two. What belongs to a session (settings, prepared statements, locks, temporary
tables) is discarded in between; plans of the schema's functions stay, which are 3 ms of each command.
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
from tests import put_back

# DISCARD ALL but for DISCARD PLANS. What was written is in the server's statistics then, too.
_AS_NEW = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;"
    f" DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all(); {put_back.FLUSH}"
).encode()


class Sessions:
    """The sessions that are idle, by the address and the variables they were opened with."""

    def __init__(self) -> None:
        self._idle: dict[Any, list[pq.abc.PGconn]] = {}
        self._process = os.getpid()  # a child has no use for its parent's

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
        left = self._idle.get(key, []) if os.getpid() == self._process else []
        while left:
            pgconn = left.pop()
            if pgconn.exec_(b"").status == pq.ExecStatus.EMPTY_QUERY:
                return pgconn
            pgconn.finish()
        return None

    def leave(self, key: Any, pgconn: pq.abc.PGconn) -> bool:
        """Keep a session that can be made as new; whether it was."""
        found = (pgconn.status, pgconn.transaction_status, os.getpid())
        if found != (pq.ConnStatus.OK, pq.TransactionStatus.IDLE, self._process):
            return False
        if pgconn.exec_(_AS_NEW).status != pq.ExecStatus.TUPLES_OK:
            return False
        self._idle.setdefault(key, []).append(pgconn)
        return True

    def of(self, database: str) -> list[int]:
        """The server's processes of the idle sessions of a database."""
        return [one.backend_pid for one in self._of(database)]

    def end(self, database: str) -> None:
        """End the idle ones of a database."""
        for one in self._of(database):
            one.finish()
        self._idle = {
            key: [one for one in left if one.status == pq.ConnStatus.OK]
            for key, left in self._idle.items()
        }

    def end_all(self) -> None:
        """End the idle ones of every database."""
        for left in self._idle.values():
            for one in left:
                one.finish()
        self._idle.clear()

    def _of(self, database: str) -> list[pq.abc.PGconn]:
        every = (one for left in self._idle.values() for one in left)
        return [one for one in every if one.db == database.encode()]


def _variables() -> tuple[tuple[str, str], ...]:
    """What libpq reads of the environment."""
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("PG")))
