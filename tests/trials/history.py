"""One history from beginning to end, in one order, and the shortest that fails as it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.trials.checker import check
from tests.trials.driver import Driver
from tests.trials.known import Violation
from tests.trials.place import Place
from tests.trials.shrinking import shortest
from tests.trials.steps import Turn, renumbered

CHECK_EVERY = 120


@dataclass(frozen=True, slots=True)
class Failed:
    """What a history did not keep, and the turns up to there."""

    violation: str
    turns: tuple[Turn, ...]


def run(
    place: Place, turns: Sequence[Turn], *, every: int = CHECK_EVERY, limit: float = 1e9
) -> tuple[Driver, Failed | None]:
    """Let the turns happen one after the other, with a check after so many and at the end.

    Args:
        limit: No turn begins after so many seconds.
    """
    driver = Driver(place)
    end = time.monotonic() + limit
    done: list[Turn] = []
    try:
        for turn in turns:
            if time.monotonic() > end:
                break
            done.append(turn)
            driver.run(turn)
            if len(done) % every == 0:
                check(driver)
        check(driver)
    except Violation as violation:
        notes = "\n".join(getattr(violation, "__notes__", ()))
        return driver, Failed(f"{violation}\n{notes}".strip(), tuple(done))
    return driver, None


def shrunk(
    failed: Failed,
    make_place: Callable[[], AbstractContextManager[Place]],
    *,
    seconds: float = 600,
) -> Failed:
    """The shortest history that fails, as far as it is found in that time."""
    end = time.monotonic() + seconds
    last = [failed]

    def fails(turns: Sequence[Turn]) -> bool:
        if time.monotonic() > end:
            return False
        with make_place() as place:
            found = run(place, renumbered(turns))[1]
        if found:
            last[0] = found
        return found is not None

    turns = shortest(failed.turns, fails)
    return Failed(last[0].violation, tuple(renumbered(turns)))
