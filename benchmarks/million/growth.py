"""How the cost of a piece of work grows with the organization: the same work at several sizes.

    python -m benchmarks.million.growth [--sizes 10000,100000,1000000] [--rounds 20]
                                        [--json FILE] [--folder DIR] [--plot FILE.svg]

`--sizes 500,2000` is the short form. Each size has an embedded server of its own; all of them stay open
and are measured in turn, so that a noisy minute falls on all sizes alike. Ends with 1 when a line is not
flat: when its figure at the largest size is more than twice that at the smallest.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import pfa_core
from benchmarks.million import data, world
from benchmarks.million.measure import timed
from benchmarks.million.plot import Curve, drawn
from benchmarks.million.reads import CRANES, page
from pfa_core import Change, Database, Filters, Query, Selection
from pfa_core.store.reads import merged

FLAT = 2.0  # figure at the largest size ≤ FLAT × figure at the smallest
WARMING = 2  # rounds that do not count
FEW = world.principal("few")
Work = Callable[[], object]


@dataclass(frozen=True)
class Line:
    """One piece of work: its median seconds in the order of `sizes`, which ascend."""

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return self.seconds[-1] / self.seconds[0]

    @property
    def flat(self) -> bool:
        return self.ratio <= FLAT

    def row(self) -> str:
        figures = " | ".join(f"{seconds * 1000:.2f} ms" for seconds in self.seconds)
        return f"| {self.name} | {figures} | {self.ratio:.2f} | {'yes' if self.flat else 'no'} |"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "flat": self.flat}


def main() -> int:
    given = _arguments()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        Path(temporary).chmod(0o755)  # as root the server runs under a service user
        lines = measured(Path(temporary), given.folder or Path(temporary), given)
    print(table(lines))
    bent = [line.name for line in lines if not line.flat]
    print(f"\n{len(lines)} lines, {len(bent)} not flat: more than {FLAT:g} × the smallest size")
    if given.json:
        content = {"flat": FLAT, "lines": [line.document() for line in lines]}
        given.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if given.plot:
        curves = [
            Curve(line.name, tuple((size, took * 1000) for size, took in _points(line)))
            for line in lines
        ]
        given.plot.write_text(drawn("What work costs as the organization grows", curves))
    return 1 if bent else 0


def table(lines: list[Line]) -> str:
    """The lines as a Markdown table, a column for each size."""
    sizes = lines[0].sizes
    head = ["Work", *(f"{size:,} records" for size in sizes), "Largest / smallest", "Flat"]
    return "\n".join(
        [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(line.row() for line in lines)]
    )


def measured(temporary: Path, folder: Path, given: argparse.Namespace) -> list[Line]:
    """Every piece of work at every size, round by round through the sizes."""
    with ExitStack() as stack:
        places: list[dict[str, Work]] = []
        for size in given.sizes:
            db = stack.enter_context(world.opened(temporary / f"pfa-{size}"))
            _fill(db, folder, size)
            places.append(works(db, size))
        return [
            Line(name, given.sizes, _medians([place[name] for place in places], given.rounds))
            for name in places[0]
        ]


def works(db: Database, size: int) -> dict[str, Work]:
    """Name → what a person with 500 drafts does; a call that returns a float has timed itself."""
    (pfa_id,), numbers = world.untouched("few", size, 1), count()
    one = Selection(session_id="one")
    deep = replace(Query(), after=_middle(db, size))

    def edit() -> object:
        change = Change(pfa_id, {"equipment": f"E {next(numbers)}"})
        return pfa_core.save(db, FEW, [change], session_id="one")

    def commit() -> float:
        edit()
        seconds = timed(lambda: pfa_core.commit(db, FEW, one))
        pfa_core.uncommit(db, FEW, one)
        return seconds

    return {
        "page of 100 by category and forecastStart": page(db, "few", CRANES),
        "page of 100, no filter": page(db, "few", Query()),
        "page of 100 in the middle, by cursor": page(db, "few", deep),
        "total of all": lambda: db.read(lambda conn: merged.count(conn, FEW, Query())),
        "stats over all": lambda: pfa_core.compute_stats(db, FEW, Filters()),
        "stats by category": lambda: pfa_core.compute_stats(db, FEW, Filters(), by=("category",)),
        "show one record": lambda: pfa_core.show_records(db, FEW, [pfa_id]),
        "edit one record": edit,
        "commit one draft": commit,
    }


def _fill(db: Database, folder: Path, size: int) -> None:
    print(f"building {size:,} records", file=sys.stderr, flush=True)
    world.prepare(db, folder)
    path = data.write(folder / f"{data.BIG}-{size}.jsonl", data.BIG, size)
    pfa_core.pull_files(db, world.principal("none"), [str(path)])
    db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
    world.draft(db, "few", size)
    db.administer(lambda conn: conn.execute("VACUUM ANALYZE"))


def _middle(db: Database, size: int) -> str:
    """The cursor after half of the records, reached in strides that fit into memory."""
    query, left = Query(), size // 2
    while left:
        stride = min(left, 20_000)
        cursor = db.read(
            lambda conn, query=query, stride=stride: merged.page(conn, FEW, query, limit=stride)[1]
        )
        query, left = replace(query, after=cursor), left - stride
    return query.after or ""


def _medians(places: list[Work], rounds: int) -> tuple[float, ...]:
    taken: list[list[float]] = [[] for _ in places]
    for number in range(rounds + WARMING):
        for work, times in zip(places, taken, strict=True):
            seconds = timed(work)
            if number >= WARMING:
                times.append(seconds)
    return tuple(median(times) for times in taken)


def _points(line: Line) -> list[tuple[int, float]]:
    return list(zip(line.sizes, line.seconds, strict=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=_sizes, default=(10_000, 100_000, 1_000_000))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(part) for part in text.split(",")}))
    if len(sizes) < 2 or sizes[0] < 100:
        message = "two sizes or more, each of a hundred records or more"
        raise argparse.ArgumentTypeError(message)
    return sizes


if __name__ == "__main__":
    sys.exit(main())
