"""What the server's sessions wait for, looked at several times a second, and how much memory it has."""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from pfa_core.store.embedded import layout, process, server

LOOK_SECONDS, MEMORY_SECONDS = 0.1, 2.0
_SESSIONS = """
SELECT a.pid, a.backend_type, a.application_name, a.state, a.wait_event_type, a.wait_event, left(a.query, 300),
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END
FROM pg_stat_activity AS a
WHERE a.pid <> pg_backend_pid()
"""
_COMMENT = re.compile(r"--.*")
_FUNCTION = re.compile(r"\b(pfa_\w+)\s*\(")


class Session(NamedTuple):
    """A session as one look found it."""

    pid: int
    backend: str
    application: str
    state: str | None
    kind: str | None
    event: str | None
    query: str | None
    blockers: list[int]

    @property
    def organization(self) -> str:
        """The organization that its name says; empty: none."""
        return self.application.partition(" ")[0] if " " in self.application else ""

    @property
    def work(self) -> str:
        """What it does: the kind that its name says, else the function or the first words of its statement."""
        if self.backend != "client backend":
            return self.backend
        if kind := self.application.partition(" ")[2]:
            return kind
        called = _FUNCTION.search(self.query or "")
        return called[1] if called else " ".join(_COMMENT.sub("", self.query or "").split()[:3])

    @property
    def wait(self) -> str:
        """What it waits for."""
        if self.state == "idle":
            return "idle"
        if self.state and self.state.startswith("idle in transaction"):
            return "its program, within a transaction"
        return f"{self.kind}: {self.event}" if self.kind else "nothing (runs, or waits for a core)"


@dataclass
class Watch:
    """What the looks found.

    `blocked`: by waiting work, work that has the lock, and kind of lock; `across`: the same where both are of
    different organizations, with these, but for the growth of a file.
    """

    looks: int = 0
    connections: int = 0
    busy: int = 0
    memory: float = 0.0
    waits: Counter[str] = field(default_factory=Counter)
    blocked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    across: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def look(self, sessions: list[Session]) -> None:
        """Add one look."""
        clients = [one for one in sessions if one.backend == "client backend"]
        self.looks += 1
        self.connections = max(self.connections, len(clients))
        self.busy = max(self.busy, sum(one.state != "idle" for one in clients))
        by_pid = {one.pid: one for one in sessions}
        for one in clients:
            self.waits[one.wait] += 1
            for pid in dict.fromkeys(one.blockers):
                self._add(one, by_pid.get(pid))

    def _add(self, waiting: Session, holder: Session | None) -> None:
        lock, whose = waiting.event or "", holder.work if holder else "one that ended"
        self.blocked[waiting.work, whose, lock] += 1
        # The lock of a file that grows is not one of rows, and lasts as long as the write.
        if holder and holder.organization != waiting.organization and lock != "extend":
            names = (waiting.application, holder.application or holder.work, lock)
            self.across[names] += 1

    def document(self) -> dict[str, Any]:
        return {
            "looks": self.looks,
            "connections": self.connections,
            "busy": self.busy,
            "memory": round(self.memory, 1),
            "waits": dict(self.waits.most_common()),
            "blocked": _listed(self.blocked),
            "across": _listed(self.across),
        }

    def lines(self) -> Iterator[str]:
        """What was found, for people."""
        yield (
            f"connections: {self.connections} at once, {self.busy} of them at work;"
            f" memory of the server: {self.memory:,.0f} MB at most"
        )
        working = sum(self.waits.values()) - self.waits["idle"]
        for wait, times in self.waits.most_common():
            if wait != "idle":
                yield f"  {times / max(working, 1):>6.1%} {wait}"
        for title, found in (("lock waits", self.blocked), ("across organizations", self.across)):
            yield f"{title}: {sum(found.values()):,} in {self.looks:,} looks"
            for (waiting, holder, lock), times in found.most_common(12):
                yield f"  {times:>6,} {waiting} waits for {holder}: {lock}"


def _listed(found: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    return [
        {"waits": waiting, "for": holder, "lock": lock, "times": times}
        for (waiting, holder, lock), times in sorted(found.items(), key=lambda item: -item[1])
    ]


@contextmanager
def watching(root: Path) -> Iterator[Watch]:
    """Look at the server of a root within the block, also when it stops and starts again."""
    watch, done = Watch(), threading.Event()
    threads = [
        threading.Thread(target=look, args=(root, watch, done)) for look in (_look, _look_at_memory)
    ]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _look(root: Path, watch: Watch, done: threading.Event) -> None:
    while not done.is_set():
        # As its owner, for whom the server keeps connections back.
        with (
            suppress(psycopg.Error),
            psycopg.connect(
                server.conninfo(root), autocommit=True, application_name="watch"
            ) as conn,
        ):
            while not done.wait(LOOK_SECONDS):
                watch.look([Session(*row) for row in conn.execute(_SESSIONS)])
        done.wait(LOOK_SECONDS)


def _look_at_memory(root: Path, watch: Watch, done: threading.Event) -> None:
    while True:
        with suppress(OSError, ValueError):
            watch.memory = max(watch.memory, memory(root))
        if done.wait(MEMORY_SECONDS):
            return


def memory(root: Path) -> float:
    """Megabytes of all processes of the server, what they share counted once; 0: it does not run."""
    pid = running(root)
    return sum(_share(one) for one in [pid, *_children(pid)]) / 1024 if pid else 0.0


def running(root: Path) -> int | None:
    """The pid of the server, found without running its programs."""
    for data in layout.data_directories(root):
        if pid := process.server_pid(data):
            return pid
    return None


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _share(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def processor_seconds(root: Path) -> float:
    """Seconds of processor time that the server has used, those of ended sessions included."""
    pid = running(root)
    if pid is None:
        return 0.0
    ticks = 0
    for one in [pid, *_children(pid)]:
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            # utime and stime; of the server itself those of the children that it has waited for, too.
            ticks += sum(map(int, fields[11 : 15 if one == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")
