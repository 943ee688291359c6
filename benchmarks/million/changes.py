"""What changed in PEMS since the last pull, by the server's own time, beside what it may take."""

from __future__ import annotations

from collections.abc import Iterator

import pfa_core
from benchmarks.million.measure import USED, Figure, interleaved
from benchmarks.million.server_time import ServerTime
from benchmarks.million.world import principal
from pfa_core import ChangeWindow, Database

# A first page, with its totals.
MOST_SECONDS = 0.05


def figures(db: Database, rounds: int) -> Iterator[Figure]:
    server, who = ServerTime(db), principal("few")
    last = pfa_core.list_runs(db, who, limit=1)[0]
    window = ChangeWindow(since_run=last.run_id)

    def page() -> object:
        return pfa_core.list_changes(db, who, window)

    def log() -> object:
        return pfa_core.list_pems_log(db, who, ChangeWindow())

    for name, work in (("changes since last night", page), ("log of PEMS", log)):
        for _ in range(USED):
            work()
        own, beside = interleaved(server.of(work), lambda: MOST_SECONDS, rounds * 4)
        yield Figure(f"{name}: first page, server time", "what it may take", own, beside, 1)
