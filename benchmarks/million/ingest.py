"""dlt beside pfa's pull: the same JSONL file into PostgreSQL, the first time and once more unchanged.

dlt goes its fastest documented way: Arrow's own reader of JSON, whole tables, Parquet files that the ADBC
driver copies in. Its merge upserts by key and skips rows that are equal, as a pull does; everything else
that a pull does (checks, versions, history, sums for the KPIs) it does not. It is measured as it comes,
without any index, and again with the indexes that the mirror of pfa has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

# Before its import: it reports neither its use nor its warnings about types that it settles itself.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
import psycopg
import pyarrow.json

import pfa_core
from benchmarks.million import world
from benchmarks.million.measure import Figure, timed
from pfa_core import Database

NAME = f"dlt {version('dlt')}"
BARE, INDEXED = f"{NAME}, no index", f"{NAME}, pfa's indexes"
MERGE: Any = {"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True}
TEXT = ("category", "class", "manufacturer", "model", "contract", "equipment", "description")
SEARCH = " || E'\\n' || ".join(["pfa_id", *(f"coalesce({name}, '')" for name in TEXT)])


class Loaded:
    """A table of dlt's in a dataset of its own; `address` is the URL of a database."""

    def __init__(self, address: str, dataset: str, folder: Path) -> None:
        self.address, self.dataset, self.folder = address, dataset, folder

    def load(self, path: Path, rows: int | None = None) -> None:
        """Merge the file, or its first rows, into the table."""
        table = pyarrow.json.read_json(path)
        pipeline = dlt.pipeline(
            self.dataset,
            destination=dlt.destinations.postgres(credentials=self.address),
            dataset_name=self.dataset,
            pipelines_dir=str(self.folder),
        )
        resource = dlt.resource(
            table if rows is None else table.slice(0, rows),
            name="record",
            primary_key=("organization", "pfaId"),
            write_disposition=MERGE,
        )
        pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()

    def index(self, path: Path, definitions: list[str]) -> None:
        """The empty table with the mirror's indexes, before its first load."""
        self.load(path, 1)
        table = f"{self.dataset}.record"
        with psycopg.connect(self.address, autocommit=True) as conn:
            statements = [
                f"TRUNCATE {table}",
                "CREATE EXTENSION IF NOT EXISTS pg_trgm",
                "CREATE EXTENSION IF NOT EXISTS btree_gin",
                f"ALTER TABLE {table} ADD COLUMN search_text text"
                f" GENERATED ALWAYS AS (lower({SEARCH})) STORED",
                *(_moved(definition, table) for definition in definitions),
            ]
            for statement in statements:
                conn.execute(statement.encode())

    def rows(self) -> int:
        """How many rows arrived."""
        with psycopg.connect(self.address) as conn:
            found = conn.execute(f"SELECT count(*) FROM {self.dataset}.record".encode()).fetchone()
        return found[0] if found else 0


class Rounds:
    """What each contestant took, round by round, each round on a server of its own."""

    def __init__(self, path: Path, records: int) -> None:
        self.path, self.records = path, records
        self.taken: dict[str, list[float]] = {}

    def one(self, db: Database, address: str, folder: Path, *, dlt_first: bool) -> None:
        """A first load and one that finds nothing to do, of each peer in turn."""
        bare, indexed = (Loaded(address, name, folder) for name in ("bare", "indexed"))
        indexed.index(self.path, _definitions(db))
        who = world.principal("none")
        works: dict[str, Callable[[], object]] = {
            "pfa": lambda: pfa_core.pull_files(db, who, [str(self.path)]),
            BARE: lambda: bare.load(self.path),
            INDEXED: lambda: indexed.load(self.path),
        }
        order = list(works)[::-1] if dlt_first else list(works)
        for what in ("first", "unchanged"):
            for name in order:
                self.taken.setdefault(f"{what} {name}", []).append(timed(works[name]))
        if {bare.rows(), indexed.rows()} != {self.records}:
            message = "dlt did not load every record"
            raise RuntimeError(message)

    def figures(self) -> Iterator[Figure]:
        titles = {
            "first": "pull into an empty mirror",
            "unchanged": "the same again, nothing changed",
        }
        found = {name: median(seconds) for name, seconds in self.taken.items()}
        for what, title in titles.items():
            for peer in (BARE, INDEXED):
                yield Figure(title, peer, found[f"{what} pfa"], found[f"{what} {peer}"], 1)


def _definitions(db: Database) -> list[str]:
    """The mirror's indexes as CREATE INDEX, its primary key among them; they come with the first records."""
    statement = "SELECT indexdef FROM pg_indexes WHERE tablename = 'pfa_mirror'"

    def read(conn: psycopg.Connection[Any]) -> list[str]:
        with conn.transaction(force_rollback=True):
            conn.execute("SELECT pfa_index_mirror()")
            return [text for (text,) in conn.execute(statement)]

    found = db.administer(read)
    own = ("missing_since", "updated_at")  # of these columns a peer has none
    return [text for text in found if not any(name in text for name in own)]


def _moved(definition: str, table: str) -> str:
    """The same index on dlt's table, which has the same names but for the organization."""
    head, _, tail = definition.partition(" USING ")
    unique = "UNIQUE " if "UNIQUE" in head else ""
    columns = tail.replace("organization_id", "organization").replace("public.", "")
    return f"CREATE {unique}INDEX ON {table} USING {columns}"
