"""Processes of a history: started, hit, waited for, and what they left."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from tests.faults.nursery import Child, process_state, wait_for
from tests.faults.silent_proxy import Silence, a_silent_proxy
from tests.faults.silent_proxy import Way as Direction
from tests.trials import acting, looking
from tests.trials.known import Tried, Violation
from tests.trials.place import ANYONE, USERS, Place
from tests.trials.steps import Act, Blow, Kind, Turn, Way

PATIENCE = 1.5  # seconds that a person waits before a silent connection
LONGEST = 120.0
BUGS = (1, 70)  # exit codes


@dataclass
class Ran:
    """What a turn's process left: its exit code, the codes of its acts, what it wrote, what hit it."""

    status: int
    tried: list[Tried]
    out: str
    err: str
    backends: list[int]
    struck: bool

    @property
    def code(self) -> int | None:
        return self.tried[-1].code if self.tried else None


@dataclass
class Processes:
    """The processes of a history, with the counts of what they did and what hit them.

    Args:
        alone: Whether one turn follows the other, so that a process may sleep through the next two.
    """

    place: Place
    alone: bool = True
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _sleeping: list[tuple[int, Turn, Child]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, turn: Turn) -> Path:
        """The directory of a turn's files."""
        path = self.place.folder / "work" / str(turn.number)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, turn: Turn, commands: Any = None, **more: Any) -> Ran:
        """Let a turn's process begin, and see it end; with other command lines than those of its acts.

        Raises:
            Violation: It does not end, or as only a bug does.
        """
        if turn.way is Way.PYTHON:
            self.place.ensure_database()
            commands = []
        elif commands is None:
            commands = [acting.words_of(act, str(self.folder(turn))) for act in turn.acts]
        with self._address(turn) as address:
            child = self.place.nursery.start(
                **self.place.job(turn, commands, address=address, **more)
            )
            self._wait(turn, child)
        return self._left(turn, child)

    @contextmanager
    def _address(self, turn: Turn) -> Iterator[str]:
        """The address for a turn's process, where it is another than usual."""
        hit, bound = turn.hit, self.place.bound
        if hit and hit.blow is Blow.SILENCE:
            silence = Silence(Direction.DOWN if hit.after else Direction.UP, hit.nth)
            self.place.ensure_database()
            with a_silent_proxy(bound, silence) as proxy:
                yield proxy.url(bound)
                if proxy.begun.is_set():
                    self.count(str(Blow.SILENCE))
        else:
            # What limits the process, or its clock, would also limit a server that it starts.
            yield bound if turn.clock or turn.room else ""

    def _wait(self, turn: Turn, child: Child) -> None:
        """Wait for the end of a process, or until it sleeps and others may go on."""
        hit = turn.hit
        try:
            if hit and hit.blow is Blow.SILENCE:
                child.wait(PATIENCE)
            elif hit and hit.blow is Blow.STOP:
                self._wait_stopped(turn, child)
            elif hit and hit.blow in (Blow.DATABASE_QUIT, Blow.DATABASE_KILL):
                self._wait_beside_a_dead_server(child)
            elif hit and hit.point == "time":
                child.wait(hit.nth / 1000)
            else:
                child.wait(LONGEST)
        except Empty:
            if not hit or hit.blow not in (Blow.SILENCE, Blow.KILL):
                child.send(signal.SIGKILL)
                raise Violation(f"no end after {LONGEST:.0f} s: {child.said()}") from None
            child.send(signal.SIGKILL)
            child.wait()

    def _wait_beside_a_dead_server(self, child: Child) -> None:
        """Wait for the end of a process, and start the server that it may have ended."""
        end = time.monotonic() + LONGEST
        while True:
            try:
                child.wait(0.5)
            except Empty:
                if time.monotonic() > end:
                    raise
                self.place.ensure_database()
            else:
                return

    def _wait_stopped(self, turn: Turn, child: Child) -> None:
        def is_still() -> bool:
            return process_state(child.pid) in ("T", "Z", "")

        wait_for(is_still, f"it neither stops nor ends: {turn}", LONGEST)
        if process_state(child.pid) != "T":
            child.wait(LONGEST)
            return
        self.count(str(Blow.STOP))
        if self.alone and turn.hit and ":" in turn.hit.point:
            self._sleeping.append((turn.number + 2, turn, child))
            return
        time.sleep(0.3 if self.alone else 1.0)
        child.send(signal.SIGCONT)
        child.wait(LONGEST)

    def wake(self, number: int) -> None:
        """Let the stopped go on whose time it is, and see them end."""
        due = [one for one in self._sleeping if one[0] <= number]
        self._sleeping = [one for one in self._sleeping if one[0] > number]
        for _, turn, child in due:
            child.send(signal.SIGCONT)
            child.wait(LONGEST)
            self._left(turn, child)

    def wake_all(self) -> None:
        """Let all that is stopped go on, and see it end."""
        self.wake(1 << 60)

    def _left(self, turn: Turn, child: Child) -> Ran:
        notes = [json.loads(line) for line in _text(child, ".notes").splitlines()]
        codes = {note["done"]: note["code"] for note in notes if "done" in note}
        begun = [note["begun"] for note in notes if "begun" in note]
        status = child.status if child.status is not None else -9
        if turn.way is Way.EXEC and status >= 0 and begun:
            codes[begun[-1]] = status
        tried = [Tried(turn.acts[place], codes.get(place)) for place in begun]
        for one in tried:
            self.count_operation(one.act)
        ran = Ran(
            status, tried, child.said(), _text(child, ".err"),
            [note["backend"] for note in notes if "backend" in note],
            any("struck" in note for note in notes),
        )  # fmt: skip
        for suffix in ("", ".err", ".notes"):
            Path(str(child.output) + suffix).unlink(missing_ok=True)
        self._count_blow(turn, ran)
        if status in BUGS:
            raise Violation(f"ended with {status}: {ran.out[-1000:]}{ran.err[-3000:]}")
        return ran

    def _count_blow(self, turn: Turn, ran: Ran) -> None:
        hit = turn.hit
        if hit and (ran.struck or ran.status == -9) and hit.blow not in (Blow.STOP, Blow.SILENCE):
            self.count(str(hit.blow))
        if turn.clock:
            self.count("clock that jumps")
        if turn.room and turn.acts[0].kind is Kind.EXPORT and ran.code == 74:
            self.count("full disk for an export")

    def settle(self, actor: str, ran: Ran) -> None:
        """Wait until nothing of a user's can still become true: its member row can be locked."""
        user = actor if actor in USERS else ANYONE
        for backend in ran.backends if not looking.can_lock(self.place, user) else ():
            self.count("session ended by the server's administrator")
            with suppress(Exception):
                self.place.rows("SELECT pg_terminate_backend(%s, 5000)", backend)
        if not looking.can_lock(self.place, user):
            raise Violation(f"the row of {user} is locked by no process of the history")

    # --- counts -------------------------------------------------------------------------------------

    def count(self, fault: str, times: int = 1) -> None:
        """Count a fault that struck."""
        with self._lock:
            self.faults[fault] += times

    def count_operation(self, act: Act) -> None:
        """Count an act that was begun."""
        with self._lock:
            self.operations[str(act.kind)] += 1


def _text(child: Child, suffix: str) -> str:
    path = Path(str(child.output) + suffix)
    return path.read_text() if path.exists() else ""
