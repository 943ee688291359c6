"""Pulls of a whole organization beside psql's \\copy, and the export beside its COPY."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pfa_core
from benchmarks.million import data
from benchmarks.million.measure import Figure, interleaved
from benchmarks.million.world import principal
from pfa_core import Database
from pfa_core.store.embedded import server

NOBODY = principal("none")
COLUMNS = "organization_id, pfa_id, data, version, run_id, updated_at"
RUN = "01a2109c-0a59-70c0-aacd-970c40143a9b"
EXPORT = """
import sys
from pathlib import Path
import pfa_core
from benchmarks.million.world import principal
with pfa_core.Database(None, Path(sys.argv[1]), owner=True) as db:
    pfa_core.export_jsonl(db, principal("few"), pfa_core.Query(), sys.stdout.buffer.write)
sys.stderr.write(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def first_pull(db: Database, root: Path, folder: Path, records: int) -> Iterator[Figure]:
    """The pull into the empty mirror; behind it the same rows by \\copy into a table like it."""
    path = data.write(folder / f"{data.BIG}-{records}.jsonl", data.BIG, records)
    own = _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(path)]))
    # The mirror has its indexes by now.
    _administer(db, "DROP TABLE IF EXISTS bare_mirror")
    _administer(db, "CREATE TABLE bare_mirror (LIKE pfa_mirror INCLUDING ALL)")
    yardstick = _copied(root, path, data.BIG)
    yield Figure(
        "pull into an empty mirror", "\\copy, same table and indexes", own, yardstick, 0.65
    )
    unchanged = _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(path)]))
    yield Figure("the same again, nothing changed", "the first pull", unchanged, own, 0.08)
    changed = data.write(
        folder / f"{data.BIG}-{records}-changed.jsonl", data.BIG, records, changed_every=100
    )
    some = _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(changed)]))
    yield Figure("pull with 1 % changed", "the unchanged pull", some, unchanged, 1.4)
    yield Figure(
        "the unchanged pull and that of 1 %", "the first pull", unchanged + some, own, 0.15
    )
    again = _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(changed)]))
    yield Figure("that file again, nothing changed", "the first pull", again, own, 0.08)
    table = data.table(changed)
    _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(table)]))
    as_table = _timed(lambda: pfa_core.pull_files(db, NOBODY, [str(table)]))
    yield Figure("the same records as CSV, the second time", "the first pull", as_table, own, 0.15)


def another_pull(db: Database, root: Path, folder: Path, records: int) -> Iterator[Figure]:
    """The first pull of an organization beside a large one, and the same rows by \\copy beside as many."""
    path = data.write(folder / f"{data.NEXT}-{records}.jsonl", data.NEXT, records)
    caller = principal("none", data.NEXT)
    yardstick = _copied(root, path, data.NEXT)
    own = _timed(lambda: pfa_core.pull_files(db, caller, [str(path)]))
    yield Figure(
        "first pull of another organization", "\\copy, same table and indexes", own, yardstick, 1
    )
    _administer(db, "DROP TABLE bare_mirror")


def export(root: Path, rounds: int) -> Iterator[Figure]:
    """The whole process, its peak memory beside the 120 MB that it may have."""
    statement = (
        f"COPY (SELECT data::text FROM pfa_mirror WHERE organization_id = '{data.BIG}') TO STDOUT"
    )
    command = [sys.executable, "-c", EXPORT, str(root)]
    own, yardstick = interleaved(
        lambda: _exported(command),
        lambda: _psql(root, statement),
        rounds,
    )
    yield Figure("export all as JSONL, merged", "psql COPY of the mirror", own, yardstick, 1.5)
    peak = int(_exported(command)) / 1024
    yield Figure("peak memory of it", "what it may have", peak, 120, 1, "MB")


def _exported(command: list[str]) -> str:
    """Run the export; its peak in kB. Of its own memory: what the system accounts to a finished child
    begins with the memory of the process that started it."""
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, text=True
    )
    return done.stderr


def _copied(root: Path, path: Path, code: str) -> float:
    """How long \\copy takes for the records of a file."""
    rows = _copy_file(path, code)
    taken = _timed(lambda: _psql(root, f"\\copy bare_mirror ({COLUMNS}) FROM '{rows}'"))
    rows.unlink()
    return taken


def _copy_file(path: Path, code: str) -> Path:
    rows = path.with_suffix(".copy")
    with path.open(encoding="utf-8") as lines, rows.open("w", encoding="utf-8") as out:
        for line in lines:
            pfa_id, text = line[11 : line.index('"', 11)], line.rstrip("\n").replace("\\", "\\\\")
            out.write(f"{code}\t{pfa_id}\t{text}\t1\t{RUN}\t2026-11-01\n")
    return rows


def _psql(root: Path, statement: str) -> None:
    command = [str(server.program("psql")), server.url(root), "-q", "-c", statement]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _administer(db: Database, statement: str) -> None:
    db.administer(lambda conn: conn.execute(statement))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
