"""Many at once: processes of cron, connections through PgBouncer, organizations; without an error.

    python -m benchmarks.load --cron 50 --minutes 10
    python -m benchmarks.load --pool 200 --minutes 10
    python -m benchmarks.load --organizations 10
    python -m benchmarks.load --cron 50 --pool 200 --organizations 10 --minutes 10 --json FILE

Each works on an embedded server of its own in a temporary folder (or in --folder, which is kept). Prints what
each kind of command took, what the server's sessions waited for and who had the lock, and ends with 1 where a
command failed, an organization waited for another one's lock, or took more than its share of the cores.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import cold, commands, neighbours, outcomes, pool
from benchmarks.load.outcomes import Ran
from benchmarks.load.site import Site, opened
from benchmarks.load.waits import Watch, watching


@dataclass
class Found:
    """What one part of the run found."""

    name: str
    calls: list[Ran] = field(default_factory=list)
    watch: Watch | None = None
    figures: list[neighbours.Figure] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing failed, waited for another organization, or took more than its share."""
        across = self.watch.across if self.watch else {}
        return not (
            any(call.failed for call in self.calls)
            or across
            or any(not figure.good for figure in self.figures)
        )

    def show(self) -> None:
        print(f"== {self.name}")
        print(outcomes.HEADER)
        for row in outcomes.rows(self.calls):
            print(row.line())
        for line in self.watch.lines() if self.watch else ():
            print(line)
        if self.figures:
            print(neighbours.HEADER)
        for figure in self.figures:
            print(figure.line())
        for failure in outcomes.failures(self.calls)[:20]:
            print(f"FAILED {failure['times']} x {failure['kind']}, exit code {failure['code']}:")
            print(failure["said"])
        print(flush=True)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": [asdict(row) for row in outcomes.rows(self.calls)],
            "failures": outcomes.failures(self.calls),
            "watch": self.watch.document() if self.watch else None,
            "figures": [figure.document() for figure in self.figures],
            "good": self.good,
        }


def of_cron(folder: Path, given: argparse.Namespace) -> list[Found]:
    """Cold starts, then processes at once until the time is over; at last everything is verified."""
    with opened(folder, **_sizes(given, organizations=2)) as site:
        first = Found(f"{given.cron} processes at once, cold")
        with watching(site.root) as watch:
            first.calls += cold.starts(site, given.cron)
        # A server that is killed takes what was looked at with it.
        first.watch = None
        found = Found(f"{given.cron} processes at once")
        with site.with_pems(), watching(site.root) as watch:
            found.calls += commands.crowd(site, given.cron, given.minutes * 60)
        found.watch = watch
        found.calls += verified(site)
    return [first, found]


def of_pool(folder: Path, given: argparse.Namespace) -> list[Found]:
    """Connections through PgBouncer until the time is over."""
    with opened(folder, **_sizes(given, organizations=4)) as site:
        site.enter()
        found = Found(f"{given.pool} connections through PgBouncer, {given.sessions} sessions")
        with site.with_pems(), pool.pooled(site, given.pool, given.sessions) as address:
            with watching(site.root) as watch:
                found.calls += pool.crowd(site, address, given.pool, given.minutes * 60)
            found.watch = watch
        found.calls += verified(site)
    return [found]


def of_organizations(folder: Path, given: argparse.Namespace) -> list[Found]:
    """So many organizations at once beside as many in turn; and one whose records are there before."""
    with opened(folder, **_sizes(given, organizations=2 * given.organizations + 1)) as site:
        site.enter(filled=site.codes[-1:])
        found = Found(f"{given.organizations} organizations at once")
        with site.with_pems(), watching(site.root) as watch:
            found.figures += neighbours.figures(site, given.records // 4, found.calls)
        found.watch = watch
        found.calls += verified(site)
    return [found]


def verified(site: Site) -> list[Ran]:
    """Whether sums, overlays and trail of every organization agree with what they are made of."""
    return [
        commands.Job(site, number).run(" ".join(words), words)
        for number in range(site.organizations)
        for words in (["db", "verify"], ["log", "verify"])
    ]


def _sizes(given: argparse.Namespace, *, organizations: int) -> dict[str, int]:
    return {"organizations": organizations, "records": given.records, "people": given.people}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cron", type=int, default=0, metavar="PROCESSES")
    parser.add_argument("--pool", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--organizations", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--records", type=int, default=2000, help="of each organization")
    parser.add_argument("--people", type=int, default=10, help="of each organization")
    parser.add_argument("--sessions", type=int, default=20, help="that PgBouncer keeps")
    parser.add_argument("--folder", type=Path, help="kept afterwards")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    parts = [
        part
        for asked, part in (
            (given.cron, of_cron),
            (given.pool, of_pool),
            (given.organizations, of_organizations),
        )
        if asked
    ]
    if not parts:
        parser.error("name --cron, --pool or --organizations")
    found: list[Found] = []
    # A limit of time ends it as an interrupt does, and no server is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        folder = given.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="pfa-load-", dir="/var/tmp"))
        )
        folder.chmod(0o755)
        for part in parts:
            for one in part(folder / part.__name__, given):
                one.show()
                found.append(one)
    if given.json:
        content = [one.document() for one in found]
        given.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return int(not all(one.good for one in found))


if __name__ == "__main__":
    sys.exit(main())
