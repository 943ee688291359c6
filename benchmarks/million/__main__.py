"""How fast pfa is at a million records, each figure beside its yardstick, measured in one run.

    python -m benchmarks.million [--records 1000000] [--rounds 5] [--json FILE] [--folder DIR]

`--records 20000` is the short form. Builds seeded data and an embedded server in a temporary folder (or
keeps data in --folder), prints the table, ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.million import bulk, reads, startup, world, writes
from benchmarks.million.measure import HEADER, Figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    found: list[Figure] = []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        Path(temporary).chmod(0o755)  # as root the server runs under a service user
        for figure in measured(Path(temporary), given.folder or Path(temporary), given):
            found.append(figure)
            print(figure.row(), flush=True)
    missed = [figure.name for figure in found if not figure.good]
    print(f"{len(found)} figures, {len(missed)} missed")
    if given.json:
        content = {"records": given.records, "figures": [figure.document() for figure in found]}
        given.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return 1 if missed else 0


def measured(temporary: Path, folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    root = temporary / "pfa"
    with world.opened(root) as db:
        world.prepare(db, folder)
        yield from bulk.first_pull(db, root, folder, given.records)
        db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        for user in world.PEOPLE:
            world.draft(db, user, given.records)
        db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        yield from reads.figures(db, given.rounds)
        yield from bulk.export(root, max(1, given.rounds // 2))
        yield from writes.figures(db, folder, given.records, max(1, given.rounds // 2))
        yield from startup.figures(db, root, given.rounds)


if __name__ == "__main__":
    sys.exit(main())
