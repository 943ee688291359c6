"""Many processes at once: an actor for each user, for runs, for PEMS and for nature, and checks between rounds."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.trials.checker import check
from tests.trials.driver import Driver
from tests.trials.known import Violation
from tests.trials.place import USERS, Place
from tests.trials.planning import Planner
from tests.trials.steps import Turn
from tests.trials.terms import Terms

ROUND = 180.0  # seconds between two checks


@dataclass
class Together:
    """Actors at work at once, each with turns of its own from the seed.

    Args:
        history: The turns that have begun, in that order.
    """

    place: Place
    seed: int
    terms: Terms
    processes: int = 6
    history: list[Turn] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self, minutes: float, say: object = None) -> Driver:
        """Let the actors work for so long, or until something is not as it has to be."""
        driver = Driver(self.place, alone=False)
        end = time.monotonic() + minutes * 60
        planned = [self._turns(name, place) for place, name in enumerate(self._actors())]
        try:
            self._rounds(driver, planned, end, say)
        finally:
            self._end.set()
        return driver

    def _rounds(
        self, driver: Driver, planned: list[Iterator[Turn]], end: float, say: object
    ) -> None:
        while time.monotonic() < end and not self.violations:
            self._round(driver, planned, min(end, time.monotonic() + ROUND))
            if not self.violations:
                self._note(lambda: check(driver))
            if callable(say):
                say(driver, len(self.history))

    def _actors(self) -> list[str]:
        """The users, and as many others as there are processes left: they run, administer and break things."""
        users = list(USERS)[: max(1, self.processes - 2)]
        return users + ["others"] * max(1, self.processes - len(users))

    def _turns(self, name: str, place: int) -> Iterator[Turn]:
        planner = Planner(
            random.Random(f"{self.seed} {place}"), self.terms, numbers=iter(range(place + 1, 1 << 40, 64)),
            first=place * 100_000 + 1,
        )  # fmt: skip
        while True:
            yield from planner.of_user(name) if name in USERS else planner.of_others()

    def _round(self, driver: Driver, planned: list[Iterator[Turn]], end: float) -> None:
        threads = [
            threading.Thread(target=self._work, args=(driver, turns, end), daemon=True)
            for turns in planned
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, driver: Driver, turns: Iterator[Turn], end: float) -> None:
        while time.monotonic() < end and not self.violations and not self._end.is_set():
            turn = self._next(turns)
            self._note(lambda: driver.run(turn))  # noqa: B023 - called at once

    def _next(self, turns: Iterator[Turn]) -> Turn:
        turn = next(turns)
        with self._lock:
            numbered = Turn(
                number=len(self.history) + 1, actor=turn.actor, acts=turn.acts, way=turn.way, hit=turn.hit,
                clock=turn.clock, room=turn.room,
            )  # fmt: skip
            self.history.append(numbered)
        return numbered

    def _note(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Violation as violation:
            notes = "\n".join(getattr(violation, "__notes__", ()))
            with self._lock:
                self.violations.append(f"{violation}\n{notes}")
        except Exception:
            with self._lock:
                self.violations.append(f"the trial itself failed: {traceback.format_exc()}")
