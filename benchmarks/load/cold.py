"""Many processes that find no server, a stopped one or a killed one: one of them starts it, all do their work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.load.commands import Job, once
from benchmarks.load.outcomes import Ran
from benchmarks.load.site import Site
from benchmarks.load.waits import running

_UNDER_WAY = 1.0  # seconds, after which a server is killed under commands
_BOOTSTRAP = "running bootstrap script"  # what initdb writes once
_AT_ONCE = ("list", "stats", "status", "save", "doctor")


def starts(site: Site, processes: int) -> Iterator[Ran]:
    """Start a server in each way; the organizations are made meanwhile."""
    yield from _named("cold: no data", once(site, processes, _initialize))
    yield from one_wins(site)
    site.enter()
    with site.with_pems():
        site.stop()
        yield from _named("cold: stopped", once(site, processes, _any))
        site.kill()
        yield from _named("cold: killed", once(site, processes, _any))
        killing = threading.Timer(_UNDER_WAY, site.kill)
        killing.start()
        yield from _named("killed under way", once(site, processes, _any))
        killing.join()


def one_wins(site: Site) -> Iterator[Ran]:
    """Fail unless one process alone made the data, and nothing is left of the others' attempts."""
    left = [path.name for path in site.root.glob(".init-*")]
    made = (site.root / "setup.log").read_text("utf-8", "replace").count(_BOOTSTRAP)
    if left or made != 1 or running(site.root) is None:
        yield Ran("cold: no data", 0, 1, f"made {made} times; left: {left}")


def _initialize(job: Job) -> tuple[str, list[str]]:
    # Its first user has no token of their own yet.
    return "init", ["init", "--org", job.code]


def _any(job: Job) -> tuple[str, list[str]]:
    kind = _AT_ONCE[job.number % len(_AT_ONCE)]
    return kind, []


def _named(name: str, calls: list[Ran]) -> Iterator[Ran]:
    """The calls as those of the start, since what they do matters less there."""
    for call in calls:
        yield replace(call, kind=name, said=call.said and f"{call.kind}: {call.said}")
