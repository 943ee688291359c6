"""Pulls and pushes of several organizations at once, beside the same of each alone.

Half of the organizations work one after the other, the other half, with as many records, all at once. What a run
has used of the processor alone, divided by the cores, is its share of the machine beside the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.commands import Job, at_once
from benchmarks.load.outcomes import Ran
from benchmarks.load.site import Site
from benchmarks.load.waits import processor_seconds

MOST = (
    1.5  # times the share of the cores; the rest is waits for the disk and a start of each process
)
NOISE = 1.1  # by which two times differ where others use the machine too
STEPS = ("first pull", "pull of changes", "push")
_COLUMNS = ("alone", "in turn", "at once", "slowest", "share")
HEADER = f"{'work':<18} " + " ".join(f"{name:>8}" for name in _COLUMNS) + "   ratio at most"


@dataclass(frozen=True)
class Figure:
    """One kind of work, in seconds.

    `alone`: the median of one organization with the machine to itself; `in_turn`: all of those, one after the
    other; `at_once`: the median of one of as many at once, `slowest` the last of them; `share`: the processor
    time of all those alone, client, server and PEMS, divided by the cores.
    """

    name: str
    alone: float
    in_turn: float
    at_once: float
    slowest: float
    share: float

    @property
    def ratio(self) -> float:
        """How much longer all at once take than their share of the cores."""
        return self.slowest / self.share

    @property
    def good(self) -> bool:
        """Whether that is within the limit, or, on a busy machine, not slower than one after the other."""
        return self.ratio <= MOST or self.slowest <= NOISE * self.in_turn

    def line(self) -> str:
        seconds = (self.alone, self.in_turn, self.at_once, self.slowest, self.share)
        shown = " ".join(f"{one:>8.2f}" for one in seconds)
        return f"{self.name:<18} {shown} {self.ratio:>7.2f} {MOST:>8.2f}{'' if self.good else '  MISSED'}"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "good": self.good}


def figures(site: Site, drafts: int, calls: list[Ran]) -> Iterator[Figure]:
    """Measure each step; what it ran goes into `calls`.

    Args:
        drafts: How many changes each organization pushes.
    """
    half = site.organizations // 2
    jobs = [Job(site, number) for number in range(2 * half)]
    for step in STEPS:
        prepare, words = _work(step, drafts)
        for job in jobs:
            calls.extend(prepare(job))
        begun, used = time.perf_counter(), _processor_seconds(site)
        alone = [call for job in jobs[:half] for call in _run(step, words, [job])]
        in_turn, used = time.perf_counter() - begun, _processor_seconds(site) - used
        together = _run(step, words, jobs[half:])
        calls += [*alone, *together]
        yield Figure(
            step,
            _median(alone),
            in_turn,
            _median(together),
            max(call.seconds for call in together),
            used / (os.cpu_count() or 1),
        )


Words = Callable[[Job], list[str]]


def _work(step: str, drafts: int) -> tuple[Callable[[Job], list[Ran]], Words]:
    """What comes before a step and is not measured, and the step."""
    if step == "push":
        return lambda job: _commit(job, drafts), lambda _: ["sync", "push"]
    changed = step != "first pull"
    return lambda _: [], lambda job: [
        "sync",
        "pull",
        "--from",
        str(job.site.file(job.code, changed=changed)),
    ]


def _commit(job: Job, drafts: int) -> list[Ran]:
    path = job.site.folder / f"{job.code}.drafts.csv"
    ids = (f"{job.code}-{number:07}" for number in range(1, drafts + 1))
    path.write_text("pfaId,model\n" + "".join(f"{one},NEW\n" for one in ids))
    return [
        job.run("save", ["draft", "save", str(path), "--session", "push"]),
        job.run("commit", ["commit", "--session", "push"]),
    ]


def _run(step: str, words: Words, jobs: Sequence[Job]) -> list[Ran]:
    def of(job: Job) -> Callable[[], Iterator[Ran]]:
        return lambda: iter([job.run(step, words(job))])

    return at_once([of(job) for job in jobs])


def _processor_seconds(site: Site) -> float:
    """Seconds that the server, the ended commands and the running PEMS have used."""
    children = os.times()
    pems = sum(map(_own_seconds, site.pems_pids))
    return processor_seconds(site.root) + children.children_user + children.children_system + pems


def _own_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _median(calls: Sequence[Ran]) -> float:
    return sorted(call.seconds for call in calls)[len(calls) // 2]
