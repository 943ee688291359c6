"""agent-cow-postgresql beside pfa: a table of its own kind with the same records and the same changes.

Its functions run over psycopg, as pfa's do, by its low-level interface: two statements fewer for each
piece of work than by its session scopes, and the same SQL. It is imported only when it is measured.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from agentcow import postgres as agentcow

import pfa_core
from benchmarks.million import data, world
from benchmarks.million.measure import Figure, interleaved, timed
from benchmarks.million.reads import CRANES, page
from pfa_core import Change, Database, Selection

NAME = f"agent-cow-postgresql {version('agent-cow-postgresql')}"
FEW, WRITER = world.principal("few"), world.principal("writer")
BULK = 500  # changes of a session that is committed at once
PAGE = """
    SELECT * FROM requirement WHERE organization = %s AND category = 'Mobile Crane'
    ORDER BY "forecastStart", "pfaId" LIMIT 100"""
ONE = 'SELECT * FROM requirement WHERE organization = %s AND "pfaId" = %s'
EDIT = 'UPDATE requirement SET equipment = %s WHERE organization = %s AND "pfaId" = ANY(%s)'
INDEX = 'CREATE INDEX ON requirement (organization, category, "forecastStart", "pfaId")'
Answer = TypeVar("Answer")


class Copied:
    """The records behind views of agent-cow; `conninfo` names an empty database."""

    def __init__(self, conninfo: str) -> None:
        self.conn = psycopg.connect(
            conninfo, autocommit=True, options="-c jit=off -c work_mem=32MB"
        )
        self.session, self.operation = uuid.uuid4(), uuid.uuid4()

    async def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What agent-cow asks of the carrier of its statements; it never waits."""
        cursor = self.conn.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def within(self, work: Callable[[], Answer], session: uuid.UUID | None = None) -> Answer:
        """One transaction inside a session."""
        with self.conn.transaction():
            _done(agentcow.apply_cow_variables(self, session or self.session, self.operation))
            return work()

    def fill(self, path: Path, changes: list[Change]) -> None:
        """The records of a JSONL file, and the changes of a person over them."""
        columns = ", ".join(f'"{name}" {_type(name, value)}' for name, value in _sample())
        self.conn.execute(
            f'CREATE TABLE requirement ({columns}, PRIMARY KEY (organization, "pfaId"))'.encode()
        )
        with self.conn.transaction():
            self.conn.execute("CREATE TEMPORARY TABLE line (record jsonb) ON COMMIT DROP")
            with path.open(encoding="utf-8") as lines, self.conn.cursor() as cursor:
                with cursor.copy("COPY line FROM STDIN") as copy:
                    for line in lines:
                        copy.write_row((line,))
                cursor.execute(
                    "INSERT INTO requirement SELECT r.*"
                    " FROM line, jsonb_populate_record(NULL::requirement, record) AS r"
                )
        self.conn.execute(INDEX)
        _done(agentcow.deploy_cow_functions(self))
        _done(agentcow.enable_cow(self, "requirement"))
        self.within(lambda: self._change(changes))
        self.conn.execute("VACUUM ANALYZE")

    def edit(self, ids: list[str], value: str, session: uuid.UUID | None = None) -> None:
        self.within(lambda: self.conn.execute(EDIT, (value, data.BIG, ids)), session)

    def commit(self, session: uuid.UUID) -> None:
        with self.conn.transaction():
            _done(agentcow.commit_cow_session(self, "requirement", session))

    def _change(self, changes: list[Change]) -> None:
        """A statement for each set of fields: one for each record would read all records each time."""
        types = {name: _type(name, value) for name, value in _sample()}
        alike: dict[tuple[str, ...], list[Change]] = {}
        for change in changes:
            alike.setdefault(tuple(change.delta), []).append(change)
        for names, some in alike.items():
            pairs = ", ".join(f'"{name}" = v."{name}"' for name in names)
            arrays = ", ".join(f"%s::{types[name].split()[0]}[]" for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            statement = (
                f"UPDATE requirement AS r SET {pairs}"
                f" FROM unnest(%s::text[], {arrays}) AS v (id, {columns})"
                ' WHERE r.organization = %s AND r."pfaId" = v.id'
            )
            ids = [change.pfa_id for change in some]
            values = [[change.delta[name] for change in some] for name in names]
            self.conn.execute(statement.encode(), (ids, *values, data.BIG))


def figures(db: Database, conninfo: str, path: Path, records: int, rounds: int) -> Iterator[Figure]:
    """Page, read, edit and commit; `db` holds the records, and the drafts of a person with 500."""
    copied = Copied(conninfo)
    try:
        changes = world.changes("few", records)
        copied.fill(path, changes)
        yield _page(db, copied, rounds)
        yield _read(db, copied, changes[0].pfa_id, rounds)
        yield _edit(db, copied, world.untouched("few", records, 1), rounds)
        yield _commit(db, copied, world.untouched("few", records, BULK), rounds)
    finally:
        copied.conn.close()


def _page(db: Database, copied: Copied, rounds: int) -> Figure:
    def theirs() -> list[Any]:
        return copied.within(lambda: copied.conn.execute(PAGE, (data.BIG,)).fetchall())

    own = page(db, "few", CRANES)
    if [row[0] for row in theirs()] != [row[0] for row in own()[0]]:
        message = "the two pages do not hold the same records"
        raise RuntimeError(message)
    found = interleaved(own, theirs, rounds)
    return Figure("page of 100 by category and forecastStart", NAME, *found, 1)


def _read(db: Database, copied: Copied, pfa_id: str, rounds: int) -> Figure:
    def theirs() -> object:
        return copied.within(lambda: copied.conn.execute(ONE, (data.BIG, pfa_id)).fetchall())

    found = interleaved(lambda: pfa_core.show_records(db, FEW, [pfa_id]), theirs, rounds * 4)
    return Figure("show one record", NAME, *found, 1)


def _edit(db: Database, copied: Copied, ids: list[str], rounds: int) -> Figure:
    numbers = count()

    def own() -> object:
        changes = [Change(pfa_id, {"equipment": f"E {next(numbers)}"}) for pfa_id in ids]
        return pfa_core.save(db, FEW, changes, session_id="drafts")

    found = interleaved(own, lambda: copied.edit(ids, f"E {next(numbers)}"), rounds * 4)
    return Figure("edit one record", NAME, *found, 1)


def _commit(db: Database, copied: Copied, ids: list[str], rounds: int) -> Figure:
    """The session is saved anew before each commit, and only the commit is timed."""
    numbers, bulk = count(), Selection(session_id="bulk")

    def own() -> float:
        changes = [Change(pfa_id, {"equipment": f"E {next(numbers)}"}) for pfa_id in ids]
        pfa_core.save(db, WRITER, changes, session_id="bulk")
        seconds = timed(lambda: pfa_core.commit(db, WRITER, bulk))
        pfa_core.uncommit(db, WRITER, bulk)
        return seconds

    def theirs() -> float:
        session = uuid.uuid4()
        copied.edit(ids, f"E {next(numbers)}", session)
        began = time.perf_counter()
        copied.commit(session)
        return time.perf_counter() - began

    found = interleaved(own, theirs, rounds)
    return Figure(f"commit a session of {len(ids)} changes", NAME, *found, 1)


def _sample() -> list[tuple[str, Any]]:
    return list(next(data.records(data.BIG, 1)).items())


def _type(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if name.endswith(("Start", "End")):
        return "date"
    return "numeric" if name.endswith(("Rate", "Price")) else 'text COLLATE "C"'


def _done(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Its result at once: nothing in it waits, and an event loop would cost it time."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    message = "a coroutine over a synchronous connection waited"
    raise RuntimeError(message)
