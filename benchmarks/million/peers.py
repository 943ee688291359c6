"""What the nearest programs take for the same work: agent-cow-postgresql for drafts, dlt for pulls.

    pip install -e '.[peers]'
    python -m benchmarks.million.peers [--records 100000] [--rounds 5] [--json FILE] [--folder DIR]

All peers work on the same embedded server, with the same settings and the same seeded records, in turn.
Ends with 1 when pfa is slower than a peer anywhere, with 2 when the peers are not installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from psycopg import sql

from benchmarks.million import data, world
from benchmarks.million.measure import Figure, options, report
from pfa_core import Database
from pfa_core.store.embedded import server

MODULES = ("agentcow", "dlt", "pyarrow", "adbc_driver_postgresql")


def main() -> int:
    given = options(__doc__, records=100_000, rounds=5).parse_args()
    absent = missing()
    if absent:
        print(f"not installed: {', '.join(absent)}", file=sys.stderr)
        print("install the peers with: pip install -e '.[peers]'", file=sys.stderr)
        return 2
    return report(measured, given, lambda figure: f"{figure.row()}  {figure.yardstick}")


def missing() -> list[str]:
    """The modules of the peers that are not installed; none of them is imported for the answer."""
    return [name for name in MODULES if not _found(name)]


def measured(temporary: Path, folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    """The loads, each round on a fresh server; then single pieces of work on the last one."""
    from benchmarks.million import cow, ingest

    path = data.write(folder / f"{data.BIG}-{given.records}.jsonl", data.BIG, given.records)
    rounds = ingest.Rounds(path, given.records)
    last = max(1, given.rounds // 2)
    for number in range(1, last + 1):
        root = temporary / f"pfa-{number}"
        with world.opened(root) as db:
            world.enter(db)
            _create(db, "loaded", "copied")
            rounds.one(
                db, _address(root, "loaded"), temporary / f"dlt-{number}", dlt_first=number % 2 == 0
            )
            if number < last:
                continue
            yield from rounds.figures()
            world.fill(db, folder)
            world.draft(db, "few", given.records)
            db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
            conninfo = server.conninfo(root, "copied")
            yield from cow.figures(db, conninfo, path, given.records, given.rounds)


def _create(db: Database, *names: str) -> None:
    """Databases for the peers beside pfa's."""
    for name in names:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        db.administer(lambda conn, statement=statement: conn.execute(statement))


def _address(root: Path, database: str) -> str:
    """A URL with a host and a password, which dlt asks for; the socket named behind them is what counts."""
    return server.url(root).replace("@/pfa?", f":unused@localhost/{database}?")


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # sys.modules holds None for it: kept out on purpose
        return False


if __name__ == "__main__":
    sys.exit(main())
