"""Histories under attack, until something is not as it has to be.

python -m tests.trials [--minutes 10] [--seed 1] [--processes 6]    many processes at once
python -m tests.trials --steps 200 [--seed 1]                       one after the other, the same each time
python -m tests.trials --history FILE                               those turns, one after the other
python -m tests.trials --bugs [NAME ...]                            the deliberate bugs: each has to be found

Prints operations, faults by kind and `violations: 0`; exits with 1 where there is one, after it has looked for the
shortest history that shows it, or where a deliberate bug is not found.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.pusher import say
from tests.trials import finding, history
from tests.trials.bugs import BUGS
from tests.trials.driver import Driver
from tests.trials.history import Failed
from tests.trials.place import Place
from tests.trials.planning import plan
from tests.trials.setting import a_place
from tests.trials.steps import Turn, read, written
from tests.trials.terms import Terms
from tests.trials.together import Together

SHRINKING = 300.0  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say; 1 when something was violated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--bugs", nargs="*", metavar="NAME", choices=[*BUGS, []])
    stated = parser.parse_args(argv)
    if stated.bugs is not None:
        return _find_bugs(stated.bugs or list(BUGS))
    if stated.history:
        return _one_after_the_other(read(stated.history.read_text()))
    if stated.steps:
        return _one_after_the_other(stated.seed, stated.steps)
    return _at_once(stated.seed, stated.minutes, stated.processes)


def _find_bugs(names: Sequence[str]) -> int:
    missed = 0
    for name in names:
        found = finding.find(name)
        missed += not found.violation
        what = found.violation.splitlines()[0][:90] if found.violation else "NOT FOUND"
        say(f"{name:18} {found.seconds:5.1f} s {found.operations:5,} operations  {what}")
    say(f"deliberate bugs: {len(names)}, found: {len(names) - missed}")
    return 1 if missed else 0


def _one_after_the_other(what: Sequence[Turn] | int, steps: int = 0) -> int:
    began = time.monotonic()
    with a_place() as place:
        turns = plan(what, steps, terms_of(place)) if isinstance(what, int) else list(what)
        driver, failed = history.run(place, turns)
        _report(driver, place, len(turns), time.monotonic() - began)
    return _violated([failed] if failed else [])


def _at_once(seed: int, minutes: float, processes: int) -> int:
    began = time.monotonic()
    with a_place() as place:
        together = Together(place, seed, terms_of(place, together=True), processes)
        driver = together.run(minutes, _say_progress)
        _report(driver, place, len(together.history), time.monotonic() - began)
    return _violated([Failed(one, tuple(together.history)) for one in together.violations])


def terms_of(place: Place, *, together: bool = False) -> Terms:
    """What may be planned at a place."""
    own = place.root is not None
    return Terms(
        own_server=own, small_disk=place.small_disk, clocks=bool(place.faketime), together=together,
        burst=20 if together else 5,
    )  # fmt: skip


def _say_progress(driver: Driver, turns: int) -> None:
    operations, faults = (
        sum(driver.processes.operations.values()),
        sum(driver.processes.faults.values()),
    )
    say(f"{turns:,} turns, {operations:,} operations, {faults:,} faults")


def _report(driver: Driver, place: Place, turns: int, seconds: float) -> None:
    say(f"{turns:,} turns in {seconds:.0f} s")
    for what, counted in (
        ("operations", driver.processes.operations),
        ("faults", driver.processes.faults),
    ):
        say(f"{what}: {sum(counted.values()):,}")
        for kind, number in sorted(counted.items(), key=lambda one: (-one[1], one[0])):
            say(f"  {number:7,} {kind}")
    for what, why in place.skipped.items():
        say(f"left out: {what}, because {why}")


def _violated(failures: Sequence[Failed]) -> int:
    """Say what was violated, by the shortest history that is found."""
    say(f"violations: {len(failures)}")
    for failed in failures:
        say(failed.violation)
    if not failures:
        return 0
    shortest = history.shrunk(failures[0], a_place, seconds=SHRINKING)
    file = Path("trial.history")
    file.write_text(written(shortest.turns))
    say(
        f"the shortest history found, {len(shortest.turns)} turns: python -m tests.trials --history {file}"
    )
    say("\n".join(map(str, shortest.turns[-60:])))
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that server and files are removed
    sys.exit(main())
