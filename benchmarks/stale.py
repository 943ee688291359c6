"""What operations take on statistics that know nothing of users' drafts, beside fresh ones.

    python -m benchmarks.stale [--records 200000] [--drafts 5000] [--rounds 3] [--json FILE] [--only OPERATION …]

By the program's role under row-level security, on a server of its own in memory. The tables that users fill were
never analyzed (none), analyzed while they were empty (emptied), or no table was, as in a restored dump (dump). Each
operation with its statistics in turn, on a new connection, by the clock. A write is a dry run: all but its COMMIT.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.million.measure import Figure, interleaved, options, report, timed
from pfa_core import Database
from tests.plans.matrix import OPERATIONS, Matrix, Size, Work, a_matrix, refused_or_done
from tests.server import running_server

MOST = 1.5
STATES = ("none", "emptied", "dump")


def main() -> int:
    parser = options(__doc__, records=200_000, rounds=3, data=False)
    parser.add_argument("--drafts", type=int, default=5_000)
    parser.add_argument(
        "--only", nargs="+", choices=OPERATIONS, default=OPERATIONS, metavar="OPERATION"
    )
    os.environ["PFA_TEST_BOUND"] = "1"
    return report(_measured, parser.parse_args())


def _measured(_temporary: Path, _folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    size = Size(given.records, given.drafts, given.drafts // 10, 13 * given.drafts)
    with running_server() as server, a_matrix(server, size) as matrix:
        for name in given.only:
            user, work = OPERATIONS[name]
            # As autovacuum does where it is at work: else the dead rows of all dry runs before are passed over.
            matrix.admin.execute("VACUUM")
            for state in STATES:
                own, beside = interleaved(
                    _on(matrix, state, user, work), _on(matrix, "fresh", user, work), given.rounds
                )
                yield Figure(f"{name}, {state}", "on fresh statistics", own, beside, MOST)


def _on(matrix: Matrix, state: str, user: str, work: Work) -> Callable[[], float]:
    """The operation as one that returns its seconds, without those of the statistics and the connection."""
    who = matrix.world.principal(user)

    def measured() -> float:
        matrix.know(state)
        with closing(Database(matrix.world.url)) as db:
            db.connection()
            return timed(lambda: refused_or_done(work, db, who))

    return measured


if __name__ == "__main__":
    sys.exit(main())
