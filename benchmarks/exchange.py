"""How fast the exchange with PEMS is, each figure beside its yardstick, measured in one run.

    python benchmarks/exchange.py [--records 4000] [--rows 100000] [--rounds 3] [--threads 4] [--json FILE]

Push: records a second beside a bare loop of the same HTTP library, the same number of threads and the
same requests for each record (PUT alone where the version is known, GET and PUT where it is not).
Pull: rows a second from the sandbox's grid into an empty mirror, beside psql's \\copy of the same rows
as JSON into a table with the same generated columns and indexes. PostgreSQL is the embedded one in a
temporary directory, the sandbox runs in a process of its own. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import urllib3  # noqa: E402

import pfa_core  # noqa: E402
from pfa_core import Change, Database, Principal, Right, Selection, exact_json  # noqa: E402
from pfa_core.pems.profile import PemsProfile  # noqa: E402
from pfa_core.store.embedded import server  # noqa: E402

ORG = "ORG"
ANN = Principal(user_id="ann", organization_id=ORG, rights=frozenset(Right), token_id="t")
SERVER = """
import json, sys
from pfa_core.pems.sandbox.server import Sandbox
records = [json.loads(line) for line in open(sys.argv[1])]
with Sandbox(organization=sys.argv[2], records=records, faults=sys.argv[3:]) as sandbox:
    print(sandbox.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured, beside what, and the ratio it must reach."""

    name: str
    own: float
    yardstick: float
    target: float

    @property
    def ratio(self) -> float:
        return self.own / self.yardstick

    @property
    def good(self) -> bool:
        return self.ratio >= self.target


def record(number: int, prefix: str = "P") -> dict[str, Any]:
    """A record of the size that real ones have."""
    return {
        "pfaId": f"{prefix}-{number:07}",
        "organization": ORG,
        "description": f"Mobile crane {number % 97} t for the north area, shift {number % 3}",
        "areaSilo": f"Silo {number % 12}",
        "category": ("Crane", "Excavator", "Generator", "Trailer", "Pump")[number % 5],
        "forecastCategory": f"0{number % 9}150 EQUIPMENT",
        "class": f"0{number % 9}",
        "source": "Purchase" if number % 7 == 0 else "Rental",
        "dor": "BEO" if number % 3 == 0 else "PROJECT",
        "isActualized": number % 4 == 0,
        "isDiscontinued": number % 19 == 0,
        "isFundsTransferable": False,
        "monthlyRate": 1000 + number % 9000,
        "purchasePrice": 100_000 + number % 90_000,
        "manufacturer": ("Liebherr", "Terex", "Manitowoc")[number % 3],
        "model": f"LTM {number % 40}",
        "contract": f"C-{number % 50}",
        "originalStart": f"2026-{number % 12 + 1:02}-01",
        "originalEnd": f"2027-{number % 12 + 1:02}-01",
        "forecastStart": f"2026-{number % 12 + 1:02}-15",
        "forecastEnd": f"2027-{number % 12 + 1:02}-15",
        "actualStart": f"2026-{number % 12 + 1:02}-15" if number % 4 == 0 else None,
        "pemsVersion": "2026-11-01T08:00:00.000Z",
    }


@contextmanager
def sandbox(file: Path, *faults: str) -> Iterator[str]:
    """A PEMS with the records of a file, in a process of its own."""
    with sandbox_process(file, *faults) as (url, _):
        yield url


@contextmanager
def sandbox_process(file: Path, *faults: str, organization: str = ORG) -> Iterator[tuple[str, int]]:
    """The same of an organization; the address and the process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file), organization, *faults],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """An embedded server of its own with an empty organization."""
    root = folder / "pfa"
    with Database(None, root, owner=True) as db:
        from pfa_core.store import members

        db.transact(lambda conn: members.add_organization(conn, ORG, "", db.clock()))
        db.transact(
            lambda conn: members.put_member(
                conn, ORG, "ann", role="admin", rights=list(Right), granted_by="", at=db.clock()
            )
        )
        try:
            yield db
        finally:
            db.close()
            with suppress(Exception):
                server.stop(root)


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(exact_json.dumps(item) + "\n" for item in records))
    return path


def bare_loop(
    url: str, ids: Sequence[str], threads: int, value: int, versions: dict[str, int] | None
) -> float:
    """Records a second of nothing but requests; without versions each record is read first."""
    pool = urllib3.connection_from_url(url, maxsize=threads, block=True)
    headers = {"organization": ORG, "Content-Type": "application/json"}
    numbers = iter(range(len(ids)))
    known = dict(versions or {})

    def work() -> None:
        for number in numbers:
            pfa_id = ids[number]
            path = f"/api/pems/pfa/{quote(pfa_id, safe='')}"
            if versions is None:
                known[pfa_id] = json.loads(pool.urlopen("GET", path, headers=headers).data)[
                    "version"
                ]
            body = json.dumps(
                {
                    "pfaId": pfa_id,
                    "organizationCode": ORG,
                    "changes": {"monthlyRate": value, "model": f"M{value}"},
                    "version": known[pfa_id],
                    "modifiedBy": "ann",
                    "changeReason": "",
                }
            ).encode()
            key = {"Idempotency-Key": f"{pfa_id}.{value}"}
            answer = pool.urlopen("PUT", path, body, headers | key)
            assert answer.status == 200, answer.data
            known[pfa_id] = json.loads(answer.data)["newVersion"]

    crew = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if versions is not None:
        versions.update(known)
    return len(ids) / (time.perf_counter() - began)


def push(db: Database, url: str, ids: Sequence[str], threads: int, value: int) -> float:
    """Records a second of a push of as many committed changes."""
    changes = [Change(pfa_id, {"monthlyRate": value, "model": f"M{value}"}) for pfa_id in ids]
    pfa_core.save(db, ANN, changes, session_id=f"s{value}")
    pfa_core.commit(db, ANN, Selection(session_id=f"s{value}"))
    began = time.perf_counter()
    result = pfa_core.push_changes(
        db,
        ANN,
        PemsProfile(url=url, organization_id=ORG, organization=ORG),
        pfa_core.PushOptions(concurrency=threads),
    )
    assert result.synced == len(ids), result
    return len(ids) / (time.perf_counter() - began)


def measure_push(folder: Path, number: int, threads: int, rounds: int) -> list[Figure]:
    """Beside a PEMS that answers in no time at all, which two cores share with everything else, and
    beside one that takes 2 ms, about 1,500 answers a second from four threads."""
    busy = push_figures(folder / "busy", number, threads, rounds, 0.4)
    slow = push_figures(folder / "slow", number, threads, rounds, 0.8, "latency:2ms")
    return [*busy, *slow]


def push_figures(
    folder: Path, number: int, threads: int, rounds: int, target: float, *faults: str
) -> list[Figure]:
    folder.mkdir(mode=0o755)
    pems = f" to a PEMS of {faults[0]}" if faults else ""
    bare = [f"A-{place:07}" for place in range(number)]
    own = [f"P-{place:07}" for place in range(number)]
    records = [record(place, prefix) for prefix in ("A", "P") for place in range(number)]
    file = write_lines(folder / "push.jsonl", records)
    with sandbox(file, *faults) as url, database(folder) as db:
        pfa_core.pull_files(db, ANN, [str(file)])
        versions: dict[str, int] | None = dict.fromkeys(bare, 1)
        values = count(5000)
        known, unknown = ([], []), ([], [])
        push(db, url, own, threads, next(values))  # learns the versions
        for _ in range(rounds):
            known[1].append(bare_loop(url, bare, threads, next(values), versions))
            known[0].append(push(db, url, own, threads, next(values)))
            db.transact(lambda conn: conn.execute("UPDATE pfa_mirror SET pems_revision = NULL"))
            unknown[1].append(bare_loop(url, bare, threads, next(values), None))
            versions = None if versions is None else read_versions(url, bare)
            unknown[0].append(push(db, url, own, threads, next(values)))
    return [
        Figure(f"push{pems}, version known: beside PUT alone", *medians(known), target),
        Figure(f"push{pems}, version not known: beside GET and PUT", *medians(unknown), target),
    ]


def read_versions(url: str, ids: Sequence[str]) -> dict[str, int]:
    stored = json.loads(urllib3.request("GET", f"{url}/sandbox/records").data)["data"]
    wanted = set(ids)
    return {item["pfaId"]: item["version"] for item in stored if item["pfaId"] in wanted}


def measure_pull(folder: Path, rows: int, rounds: int) -> list[Figure]:
    file = write_lines(folder / "pull.jsonl", [record(number) for number in range(rows)])
    own: list[float] = []
    copied: list[float] = []
    with sandbox(file) as url, database(folder) as db:
        address = server.url(folder / "pfa")
        for _ in range(rounds):
            clear(db)
            copied.append(rows / copy(address, folder, file))
            clear(db)
            began = time.perf_counter()
            result = pfa_core.pull_pems(
                db, ANN, PemsProfile(url=url, organization_id=ORG, organization=ORG)
            )
            own.append(rows / (time.perf_counter() - began))
            assert (result.status, result.inserted) == ("completed", rows), result
    return [
        Figure("pull: grid rows/s beside \\copy of the same rows", *medians((own, copied)), 0.5)
    ]


def clear(db: Database) -> None:
    for table in ("pfa_mirror", "kpi_rollup", "pfa_mirror_history", "pfa_sync_log"):
        db.administer(lambda conn, name=table: conn.execute(f"TRUNCATE {name}"))
    db.administer(lambda conn: conn.execute("CHECKPOINT"))


def copy(address: str, folder: Path, file: Path) -> float:
    """Seconds of psql's \\copy into the mirror itself."""
    lines = folder / "copy.csv"
    if not lines.exists():
        import csv

        with lines.open("w", newline="") as target:
            writer = csv.writer(target)
            for line in file.read_text().splitlines():
                pfa_id = json.loads(line)["pfaId"]
                run = "018f0000-0000-7000-8000-000000000000"
                writer.writerow((ORG, pfa_id, line, 1, run, "2026-11-25T00:00:00Z"))
    columns = "organization_id, pfa_id, data, version, run_id, updated_at"
    command = f"\\copy pfa_mirror ({columns}) FROM '{lines}' WITH (FORMAT csv)"
    began = time.perf_counter()
    subprocess.run(
        [server.program("psql"), address, "-q", "-v", "ON_ERROR_STOP=1", "-c", command],
        check=True,
    )
    return time.perf_counter() - began


def medians(pair: tuple[list[float], list[float]]) -> tuple[float, float]:
    return statistics.median(pair[0]), statistics.median(pair[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--only", choices=("push", "pull"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    figures: list[Figure] = []
    for name, measure in (
        ("push", lambda folder: measure_push(folder, asked.records, asked.threads, asked.rounds)),
        ("pull", lambda folder: measure_pull(folder, asked.rows, asked.rounds)),
    ):
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="pfa-bench-") as folder:
                os.chmod(folder, 0o755)  # as root the server runs under another user
                figures += measure(Path(folder))
    for figure in figures:
        mark = "ok" if figure.good else "MISSED"
        print(
            f"{mark:6} {figure.name}: {figure.own:,.0f}/s beside {figure.yardstick:,.0f}/s,"
            f" ratio {figure.ratio:.2f} (target {figure.target})"
        )
    if asked.json:
        asked.json.write_text(json.dumps([vars(item) | {"ratio": item.ratio} for item in figures]))
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
