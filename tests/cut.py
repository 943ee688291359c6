"""Connections cut at a counted COMMIT, within the process, so that the place is exact."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from psycopg import Connection


class When(StrEnum):
    """Where the connection is cut: the server never sees the COMMIT, or its answer never arrives."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Commits:
    """How many COMMITs of writing transactions there were."""

    seen: int = 0


@contextmanager
def cut_at(number: int, when: When, *, times: int = 1) -> Iterator[Commits]:
    """Cut the connection at the `number`-th COMMIT of a writing transaction and the next ones, `times` in all.

    Number 0 cuts nothing and counts.
    """
    plain: Any = Connection._exec_command
    commits = Commits()

    def patched(self: Connection[Any], command: Any, *words: Any, **named: Any) -> Any:
        if not self.read_only and isinstance(command, bytes) and command.startswith(b"COMMIT"):
            commits.seen += 1
            if number and number <= commits.seen < number + times:
                if when is When.AFTER:
                    yield from plain(self, command, *words, **named)
                _cut(self)
                if when is When.AFTER:
                    yield from plain(self, b"SELECT 1")
        return (yield from plain(self, command, *words, **named))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "_exec_command", patched)
        yield commits


def _cut(conn: Connection[Any]) -> None:
    """Shut the connection's socket, as a network that is gone; psycopg notices at its next use."""
    with socket.socket(fileno=os.dup(conn.pgconn.socket)) as shut:
        shut.shutdown(socket.SHUT_RDWR)
