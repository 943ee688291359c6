"""How fast pfa is at a million records, each figure beside its yardstick, measured in one run.

    python -m benchmarks.million [--records 1000000] [--rounds 5] [--json FILE] [--folder DIR]

`--records 20000` is the short form. Builds seeded data and an embedded server in a temporary folder (or
keeps data in --folder), prints the table, ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.million import bulk, changes, lines, reads, startup, world, writes
from benchmarks.million.measure import Figure, options, report


def main() -> int:
    return report(measured, options(__doc__, records=1_000_000, rounds=5).parse_args())


def measured(temporary: Path, folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    root = temporary / "pfa"
    with world.opened(root) as db:
        world.enter(db)
        yield from bulk.first_pull(db, root, folder, given.records)
        yield from bulk.another_pull(db, root, folder, given.records // 5)
        world.fill(db, folder)
        db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        for user in world.PEOPLE:
            world.draft(db, user, given.records)
        db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        yield from reads.figures(db, given.rounds)
        yield from changes.figures(db, given.rounds)
        yield from lines.figures(db, given.rounds)
        yield from bulk.export(root, max(1, given.rounds // 2))
        yield from writes.figures(db, folder, given.records, max(1, given.rounds // 2))
        yield from startup.figures(db, root, given.rounds)


if __name__ == "__main__":
    sys.exit(main())
