"""Many organizations on one machine and on a cluster, side by side.

    python -m benchmarks.scale --distributed ADDRESS --beside ADDRESS [--organizations 40] [--records 25000]

Both addresses are those of databases with the schema, the first one distributed (`pfa db distribute`).
Organizations that are missing are made, and the tables analyzed, as autovacuum would after a minute. Then single
calls, each in turn on both, over another organization each time: by the clock, and of the processor, in the client
and in the sessions of all nodes where these are on this machine; and as many calls as several processes at once get
done. Exit code 1: a call takes more than 1.5 times as long on the cluster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, cycle
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

import pfa_core
from benchmarks.million import data
from benchmarks.million.measure import Figure
from benchmarks.million.world import principal
from pfa_core import Change, Database, Filters, Query, Right, Selection
from pfa_core.sql.tables import Placement, placed
from pfa_core.store import distribution, members

MOST = 1.5
_GLOBAL_ID = "SELECT citus_backend_gpid()"
# The sessions on the workers say in their name for which session of the coordinator they are.
_SESSIONS_OF = """
SELECT w.result
FROM run_command_on_workers(format(
    'SELECT coalesce(string_agg(pid::text, %%L), %%L) FROM pg_stat_activity WHERE application_name = %%L',
    ',', '', 'citus_internal gpid=' || %s::text)) AS w
"""
Call = Callable[[Database, str, int], object]


def codes(organizations: int) -> list[str]:
    return [f"SITE-{number:03}" for number in range(1, organizations + 1)]


def fill(db: Database, organizations: int, records: int, folder: Path) -> None:
    """Make the organizations that are missing, with a member and their records."""
    for code in codes(organizations):
        if db.read(lambda conn, code=code: members.organization(conn, code)) is not None:
            continue
        db.transact(lambda conn, code=code: _enter(conn, db, code))
        path = data.write(folder / f"{code}.jsonl", code, records)
        pfa_core.pull_files(db, principal("none", code), [str(path)])
        path.unlink()


def analyze(db: Database) -> None:
    """Make the statistics that autovacuum would make; of shards the coordinator has none itself."""
    tables = SQL(", ").join(map(Identifier, placed(Placement.DISTRIBUTED)))
    db.administer(lambda conn: conn.execute(SQL("ANALYZE {}").format(tables)))


def _enter(conn: Any, db: Database, code: str) -> None:
    members.add_organization(conn, code, "", db.clock())
    members.put_member(
        conn, code, "none", role="admin", rights=list(Right), granted_by="", at=db.clock()
    )


def _draft(db: Database, code: str, number: int) -> object:
    changes = [Change(f"{code}-{1:07}", {"monthlyRate": 1000 + number % 1000})]
    return pfa_core.save(db, principal("none", code), changes, session_id="one")


def _commit(db: Database, code: str, number: int) -> object:
    _draft(db, code, number)
    done = pfa_core.commit(db, principal("none", code), Selection(session_id="one"))
    return done, pfa_core.uncommit(db, principal("none", code), Selection(everything=True))


def _bare(statement: str) -> Call:
    """One statement about one record in a transaction of its own: the least that any call takes."""

    def call(db: Database, code: str, number: int) -> object:
        record = {"code": code, "id": f"{code}-{number % 1000 + 1:07}"}
        return db.transact(lambda conn: conn.execute(statement, record).fetchall())

    return call


_KEY = "organization_id = %(code)s AND pfa_id = %(id)s"

CALLS: dict[str, Call] = {
    "one look-up by key, bare": _bare(f"SELECT data FROM pfa_mirror WHERE {_KEY}"),
    "one update by key, bare": _bare(
        f"UPDATE pfa_mirror SET run_id = run_id WHERE {_KEY} RETURNING pfa_id"
    ),
    "a page": lambda db, code, _: pfa_core.list_records(db, principal("none", code), Query()),
    "a filtered page": lambda db, code, _: pfa_core.list_records(
        db, principal("none", code), Query(filters=Filters(category=("Crane",)))
    ),
    "stats": lambda db, code, _: pfa_core.compute_stats(db, principal("none", code), Filters()),
    "stats by category": lambda db, code, _: pfa_core.compute_stats(
        db, principal("none", code), Filters(), by=["category"]
    ),
    "an edit of a record": _draft,
    "an edit, its commit and that taken back": _commit,
}


class Sessions:
    """The processor time of a handle's sessions: its own, and those that a coordinator opened for it."""

    def __init__(self, db: Database) -> None:
        conn = db.connection()
        self._pids = [conn.info.backend_pid]
        if db.administer(distribution.is_distributed):
            row = conn.execute(_GLOBAL_ID).fetchone()
            for (answer,) in conn.execute(_SESSIONS_OF, row).fetchall():
                self._pids += map(int, filter(None, answer.split(",")))

    def seconds(self) -> float:
        """Return what they have taken so far."""
        return sum(map(self._of, self._pids)) / 1e9

    def _of(self, pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        except (OSError, ValueError):
            return 0


def single(own: Database, beside: Database, organizations: int, rounds: int) -> list[Figure]:
    """Medians of each call, interleaved."""
    figures = []
    for name, call in CALLS.items():
        seconds: tuple[list[float], list[float]] = ([], [])
        busy: tuple[list[float], list[float]] = ([], [])
        numbers = count(1)
        for code in codes(organizations):  # plans and caches of both, of each shard's tables too
            for db in (own, beside):
                call(db, code, next(numbers))
        sessions = [Sessions(db) for db in (own, beside)]
        for _, code in zip(range(rounds), cycle(codes(organizations)), strict=False):
            for place, db in enumerate((own, beside)):
                number = next(numbers)
                before = time.process_time() + sessions[place].seconds()
                begun = time.perf_counter()
                call(db, code, number)
                seconds[place].append(time.perf_counter() - begun)
                busy[place].append(time.process_time() + sessions[place].seconds() - before)
        figures.append(Figure(name, "one machine", *map(statistics.median, seconds), MOST))
        of_processor = f"{name}, processor"
        figures.append(Figure(of_processor, "one machine", *map(statistics.median, busy), MOST))
    return figures


def throughput(address: str, organizations: int, processes: int, seconds: float) -> float:
    """Calls a second of several processes, each with organizations of its own: five pages to one edit."""
    with ProcessPoolExecutor(processes) as pool:
        parts = [codes(organizations)[place::processes] for place in range(processes)]
        done = pool.map(_work, [address] * processes, parts, [seconds] * processes)
        return sum(done) / seconds


def _work(address: str, own: Sequence[str], seconds: float) -> int:
    with Database(address) as db:
        for code in own[:1]:
            _draft(db, code, 0)
        end = time.monotonic() + seconds
        for done, code in enumerate(cycle(own)):
            if time.monotonic() > end:
                return done
            (_draft if done % 6 == 5 else CALLS["a page"])(db, code, done)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--distributed", required=True)
    parser.add_argument("--beside", required=True)
    parser.add_argument("--organizations", type=int, default=40)
    parser.add_argument("--records", type=int, default=25_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        Database(given.distributed) as own,
        Database(given.beside) as beside,
        tempfile.TemporaryDirectory() as folder,
    ):
        print("distributed:", bool(own.administer(distribution.is_distributed)), file=sys.stderr)
        for db in (own, beside):
            begun = time.perf_counter()
            fill(db, given.organizations, given.records, Path(folder))
            analyze(db)
            print(f"filled in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
        figures = single(own, beside, given.organizations, given.rounds)
        for processes in map(int, given.processes.split(",")):
            rates = [
                throughput(address, given.organizations, processes, given.seconds)
                for address in (given.beside, given.distributed)
            ]
            name = f"seconds for a thousand calls, {processes} at once"
            figures.append(Figure(name, "one machine", 1000 / rates[1], 1000 / rates[0], MOST))
    for figure in figures:
        print(figure.row())
    if given.json:
        content = {"organizations": given.organizations, "records": given.records}
        content["figures"] = [figure.document() for figure in figures]
        given.json.write_text(json.dumps(content, indent=2))
    return int(any(not figure.good for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
