"""Traps in a process of the trials: at a counted commit or statement something hits it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.cursor import BaseCursor

from tests.faults.nursery import process_state
from tests.faults.pusher import set_trap
from tests.trials.steps import Blow, Hit

_SIGNALS = {Blow.KILL: "SIGKILL", Blow.STOP: "SIGSTOP"}


def lay(hit: Hit, data: str, note: Callable[[Mapping[str, Any]], None]) -> None:
    """Wrap what the hit is about.

    Args:
        data: The data directory of the database, where there is one to be hit.
        note: Is given {"struck"} right before.
    """
    if ":" in hit.point:
        set_trap(hit.point, hit.nth, getattr(signal, _SIGNALS[hit.blow]))
    elif hit.point in ("commit", "statement"):
        _Trap(hit, data, note).lay()


class _Trap:
    def __init__(self, hit: Hit, data: str, note: Callable[[Mapping[str, Any]], None]) -> None:
        self._hit, self._data, self._left, self._note = hit, data, hit.nth, note
        self._lock = threading.Lock()

    def lay(self) -> None:
        trap = self
        command: Any = Connection._exec_command
        execute: Any = BaseCursor._execute_gen

        def commanding(conn: Connection[Any], text: Any, *words: Any, **named: Any) -> Any:
            commits = isinstance(text, bytes) and text.startswith(b"COMMIT")
            if commits and not conn.read_only and trap.is_at("commit"):
                yield from trap.around(conn, command(conn, text, *words, **named))
                return None
            return (yield from command(conn, text, *words, **named))

        def executing(cursor: Any, *words: Any, **named: Any) -> Generator[Any, Any, None]:
            work = execute(cursor, *words, **named)
            if trap.is_at("statement"):
                yield from trap.around(cursor.connection, work)
            else:
                yield from work

        Connection._exec_command = commanding
        BaseCursor._execute_gen = executing

    def is_at(self, point: str) -> bool:
        if point != self._hit.point:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def around(self, conn: Connection[Any], work: Generator[Any, Any, Any]) -> Any:
        """Strike before the work, or once it is sent; a commit that is hit after is done by then."""
        if not self._hit.after:
            self._strike(conn)
            return (yield from work)
        if self._hit.point == "commit":
            yield from work
            self._strike(conn)
            if self._hit.blow is not Blow.STOP:
                yield from conn._exec_command(
                    b"SELECT 1"
                )  # a broken connection is noticed at its next use
            return None
        sent = None
        with_answer = False
        while True:
            try:
                waited = work.send(sent)
            except StopIteration as end:
                return end.value
            if not with_answer:
                self._strike(conn)
            with_answer = True
            sent = yield waited

    def _strike(self, conn: Connection[Any]) -> None:
        self._note({"struck": self._hit.blow})
        match self._hit.blow:
            case Blow.KILL | Blow.STOP as blow:
                os.kill(os.getpid(), getattr(signal, _SIGNALS[blow]))
                time.sleep(0.05)  # the signal may take a moment
            case Blow.CUT:
                with socket.socket(fileno=os.dup(conn.pgconn.socket)) as shut:
                    shut.shutdown(socket.SHUT_RDWR)
            case Blow.DATABASE_QUIT | Blow.DATABASE_KILL as blow:
                end_database(self._data, kill=blow is Blow.DATABASE_KILL)
            case Blow.SILENCE:  # the proxy's matter
                pass


def end_database(data: str, *, kill: bool) -> bool:
    """Stop a server at once or kill it, and see it gone; False: it does not run."""
    try:
        pid = int(Path(data, "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL if kill else signal.SIGQUIT)
    except (OSError, ValueError, IndexError):
        return False
    end = time.monotonic() + 10
    while process_state(pid) not in ("", "Z") and time.monotonic() < end:
        time.sleep(0.002)
    return True


def note_sessions(note: Any) -> None:
    """Let the process say which sessions of the server it has, so that their end can be waited for."""
    from pfa_core.store.silence import WatchedConnection

    plain = WatchedConnection.connect.__func__

    def connect(cls: type[Any], *words: Any, **named: Any) -> Any:
        conn = plain(cls, *words, **named)
        note({"backend": conn.info.backend_pid})
        return conn

    WatchedConnection.connect = classmethod(connect)


def stated(hit: Mapping[str, Any] | None) -> Hit | None:
    """The hit that a job states."""
    return Hit(**{**hit, "blow": Blow(hit["blow"])}) if hit else None
