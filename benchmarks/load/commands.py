"""Kinds of commands that a job runs, and a command as a process."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.outcomes import Ran, ended
from benchmarks.load.site import PFA, Site, delta, session

SECONDS = 300.0  # after which a command hangs
HUNG = -1


@dataclass
class Job:
    """One entry of a crontab: a person's work in one organization, command after command."""

    site: Site
    number: int
    turn: int = 0
    chance: random.Random = field(default_factory=random.Random)

    @property
    def code(self) -> str:
        """Its organization."""
        return self.site.codes[self.number % self.site.organizations]

    @property
    def person(self) -> int:
        """Whose token it has: several jobs are one person's. 0: that of the first user."""
        has_entered = self.site.token(self.code, 1).exists()
        return 1 + self.number % self.site.people if has_entered else 0

    @property
    def delta_file(self) -> Path:
        """Write the file of its next save."""
        path = self.site.folder / f"job-{self.number}.json"
        path.write_text(json.dumps(delta(self.number, self.site.ids(self.number), self.turn)))
        return path

    def next(self) -> str:
        """Choose the kind of the next command."""
        self.turn += 1
        return self.chance.choices(list(KINDS), [kind.often for kind in KINDS.values()])[0]

    def run(self, kind: str, words: Sequence[str] = ()) -> Ran:
        """Run a command of a kind as a process."""
        known = KINDS.get(kind, _OTHER)
        return process(
            kind,
            [*PFA, *(words or known.words(self))],
            self.site.environ(self.code, self.person, kind),
            expected=known.expected,
        )


@dataclass(frozen=True)
class Kind:
    """A kind of command: its words, the exit codes that are expected, how often it comes."""

    words: Callable[[Job], list[str]]
    expected: tuple[int, ...] = (0,)
    often: int = 1


_OTHER = Kind(lambda _: [])
NOTHING_THERE, COMMITTED, HELD = 6, 7, 75
KINDS: Mapping[str, Kind] = {
    "list": Kind(lambda _: ["list", "--category", "Mobile Crane", "-o", "json"], often=4),
    "stats": Kind(lambda _: ["stats", "--by", "category", "-o", "json"], often=2),
    "status": Kind(lambda _: ["status", "-o", "json"], often=1),
    "save": Kind(
        lambda job: ["draft", "save", str(job.delta_file), "--session", session(job.number)],
        often=4,
    ),
    "commit": Kind(
        lambda job: ["commit", "--session", session(job.number)], (0, NOTHING_THERE), often=2
    ),
    "discard": Kind(
        lambda job: ["discard", "--session", session(job.number)],
        (0, NOTHING_THERE, COMMITTED),
    ),
    "pull": Kind(
        lambda job: ["sync", "pull", "--from", str(job.site.part(job.code, job.turn))], (0, HELD)
    ),
    "push": Kind(lambda _: ["sync", "push"], (0, HELD)),
    "export": Kind(lambda job: ["list", "--to", str(job.site.folder / f"job-{job.number}.csv")]),
    "doctor": Kind(lambda _: ["doctor"]),
}


def process(
    kind: str, argv: Sequence[str], environ: Mapping[str, str], *, expected: Sequence[int] = (0,)
) -> Ran:
    """Run a program to its end; what it wrote to stderr is kept where it ended otherwise than expected."""
    begun = time.perf_counter()
    with subprocess.Popen(
        argv,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            out, err = running.communicate(timeout=SECONDS)
            code = running.returncode
        except subprocess.TimeoutExpired:
            running.kill()
            out, err = running.communicate()
            code, err = HUNG, f"{err}\nit did not end within {SECONDS:.0f} s"
    return ended(kind, time.perf_counter() - begun, code, expected, f"{err}\n{out[-500:]}")


def crowd(site: Site, processes: int, seconds: float) -> list[Ran]:
    """So many jobs at once, each running one command after the other until the time is over."""
    until = time.monotonic() + seconds
    return at_once(
        [
            _jobs(Job(site, number, chance=random.Random(number)), until)
            for number in range(processes)
        ]
    )


def _jobs(job: Job, until: float) -> Callable[[], Iterator[Ran]]:
    def run() -> Iterator[Ran]:
        while time.monotonic() < until:
            yield job.run(job.next())

    return run


def once(site: Site, processes: int, words: Callable[[Job], tuple[str, list[str]]]) -> list[Ran]:
    """So many commands at once, each run one time; the words of each with its kind."""

    def of(job: Job) -> Callable[[], Iterator[Ran]]:
        def run() -> Iterator[Ran]:
            yield job.run(*words(job))

        return run

    return at_once([of(Job(site, number)) for number in range(processes)])


def at_once(works: Sequence[Callable[[], Iterator[Ran]]]) -> list[Ran]:
    """Begin all at one moment, each in a thread; everything that they ran."""
    gate, found, lock = threading.Barrier(len(works)), list[Ran](), threading.Lock()

    def run(work: Callable[[], Iterator[Ran]]) -> None:
        gate.wait()
        for one in work():
            with lock:
                found.append(one)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
