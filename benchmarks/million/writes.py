"""Single edits, and ten thousand drafts saved, committed and discarded, beside bare statements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, LiteralString

import pfa_core
from benchmarks.million import data
from benchmarks.million.measure import OFTEN, Figure, interleaved
from benchmarks.million.server_time import ServerTime
from benchmarks.million.world import delta_file, principal
from pfa_core import Change, Database, Selection
from pfa_core.files.deltas import read_delta_file

WRITER = principal("writer")
MANY = 10_000
TEMPORARY = "CREATE TEMPORARY TABLE d (pfa_id text, delta jsonb) ON COMMIT DROP"
INSERT = """
    INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id,
        state, delta, base, base_version, version, created_at, updated_at)
    SELECT %s, gen_random_uuid(), pfa_id, 'bare', 'bare', 'draft', delta, '{}', 1, 1, now(), now() FROM d"""
UPDATE = """
    UPDATE pfa_modification SET state = 'committed', version = version + 1, committed_at = now()
    WHERE organization_id = %s AND user_id = 'bare' AND state = 'draft'"""
DELETE = "DELETE FROM pfa_modification WHERE organization_id = %s AND user_id = 'bare' AND state = 'draft'"
# What a save and a discard have to write beside that: the merged record, and an entry of the trail.
OVERLAY = """
    INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id)
    SELECT m.organization_id, m.user_id, m.pfa_id, m.delta, r.data || m.delta, m.modification_id
    FROM pfa_modification AS m JOIN pfa_mirror AS r USING (organization_id, pfa_id)
    WHERE m.organization_id = %s AND m.user_id = 'bare'"""
TRAIL = """
    INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id,
        session_id, after, link_id)
    SELECT organization_id, modification_id, now(), user_id, 'save', pfa_id, modification_id,
        session_id, delta, (SELECT gen_random_uuid())
    FROM pfa_modification WHERE organization_id = %s AND user_id = 'bare'"""
UNCOVER = "DELETE FROM pfa_overlay WHERE organization_id = %s AND user_id = 'bare'"
FORGET = "DELETE FROM audit_log WHERE organization_id = %s AND user_id = 'bare'"
_SOME = " AND pfa_id = ANY(%s)"
PARTS = (TRAIL + _SOME, DELETE + _SOME, UNCOVER + _SOME)
GONE = "DELETE FROM pfa_modification WHERE organization_id = %s AND user_id = 'bare'"


def figures(db: Database, folder: Path, records: int, rounds: int) -> Iterator[Figure]:
    yield from _single(db, OFTEN)
    yield from _bulk(db, delta_file(folder / "delta.json", records, MANY), rounds)


def _single(db: Database, rounds: int) -> Iterator[Figure]:
    pfa_id, numbers = f"{data.BIG}-0000042", count()
    values = {"organization_id": data.BIG, "pfa_id": pfa_id}
    where = "WHERE organization_id = %(organization_id)s AND pfa_id = %(pfa_id)s"

    def bare_read() -> object:
        statement = f"SELECT data::text FROM pfa_mirror {where}"
        return db.read(lambda conn: conn.execute(statement, values).fetchall())

    def bare_update() -> object:
        statement = f"UPDATE pfa_mirror SET updated_at = updated_at {where}"
        return db.transact(lambda conn: conn.execute(statement, values))

    def edit() -> object:
        change = Change(pfa_id, {"equipment": f"E {next(numbers)}"})
        return pfa_core.save(db, WRITER, [change], session_id="one")

    def commit() -> float:
        edit()
        seconds = server.of(lambda: pfa_core.commit(db, WRITER, Selection(session_id="one")))()
        pfa_core.uncommit(db, WRITER, Selection(session_id="one"))
        return seconds

    def row(
        name: str, work: Callable[[], object], beside: str, yardstick: Callable[[], object]
    ) -> Figure:
        own, theirs = interleaved(work, server.of(yardstick), rounds)
        return Figure(f"{name}, server time", beside, own, theirs, 3)

    server = ServerTime(db)
    show = server.of(lambda: pfa_core.show_records(db, WRITER, [pfa_id]))
    yield row("show one record", show, "bare read by key", bare_read)
    yield row("edit one record", server.of(edit), "bare update by key", bare_update)
    yield row("commit one draft", commit, "bare update by key", bare_update)
    pfa_core.discard(db, WRITER, Selection(session_id="one"))


def _bulk(db: Database, path: Path, rounds: int) -> Iterator[Figure]:
    times: dict[str, list[float]] = {}

    def take(name: str, work: Any) -> None:
        began = time.perf_counter()
        work()
        times.setdefault(name, []).append(time.perf_counter() - began)

    rain = Selection(session_id="rain")
    lines = _lines(path)
    half = [change.pfa_id for change in read_delta_file(str(path)).changes][::2]
    for _ in range(rounds):
        take("save", lambda: _save(db, path))
        take("bare save", lambda: _bare_save(db, lines))
        take("commit", lambda: pfa_core.commit(db, WRITER, rain))
        take("bare commit", lambda: _execute(db, UPDATE))
        pfa_core.uncommit(db, WRITER, rain)
        _execute(db, GONE)
        _bare_save(db, lines)
        take("discard", lambda: pfa_core.discard(db, WRITER, rain))
        take("bare discard", lambda: _execute(db, DELETE))
        _save(db, path)
        take("partial discard", lambda: pfa_core.discard(db, WRITER, Selection(ids=half)))
        pfa_core.discard(db, WRITER, rain)
        _bare_save(db, lines, OVERLAY)
        take("bare partial discard", lambda: _execute(db, *PARTS, ids=half))
        _execute(db, GONE, UNCOVER, FORGET)
        take("whole save", lambda: _bare_save(db, lines, OVERLAY, TRAIL))
        _execute(db, FORGET)
        take("whole discard", lambda: _execute(db, TRAIL, DELETE, UNCOVER))
        _execute(db, FORGET)
    found = {name: median(seconds) for name, seconds in times.items()}
    yardstick = "bare COPY and INSERT … SELECT"
    yield Figure("save 10,000 deltas of a file", yardstick, found["save"], found["bare save"], 2.5)
    whole = "the same rows of all its tables, bare"
    yield Figure("save 10,000 deltas of a file", whole, found["save"], found["whole save"], 1.4)
    yield Figure("commit 10,000", "one bare UPDATE", found["commit"], found["bare commit"], 3)
    yield Figure("discard 10,000", "one bare DELETE", found["discard"], found["bare discard"], 3)
    yield Figure("discard 10,000", whole, found["discard"], found["whole discard"], 1.2)
    own, beside = found["partial discard"], found["bare partial discard"]
    yield Figure("discard 5,000 of them by their ids", whole, own, beside, 1.2)


def _save(db: Database, path: Path) -> None:
    file = read_delta_file(str(path))
    pfa_core.save(db, WRITER, file.changes, session_id=file.session_id, faults=file.faults)


def _lines(path: Path) -> str:
    """The file's deltas as COPY takes them: the yardstick does not read JSON."""
    texts = [
        (item.pfa_id, pfa_core.exact_json.dumps(item.delta))
        for item in read_delta_file(str(path)).changes
    ]
    return "".join(f"{pfa_id}\t{text}\n" for pfa_id, text in texts)


def _bare_save(db: Database, lines: str, *more: LiteralString) -> None:
    def work(conn: Any) -> None:
        conn.execute(TEMPORARY)
        with conn.cursor() as cursor, cursor.copy("COPY d FROM STDIN") as copy:
            copy.write(lines)
        for statement in (INSERT, *more):
            conn.execute(statement, (data.BIG,))

    db.transact(work)


def _execute(db: Database, *statements: LiteralString, ids: list[str] | None = None) -> None:
    values = (data.BIG,) if ids is None else (data.BIG, ids)

    def work(conn: Any) -> None:
        for statement in statements:
            conn.execute(statement, values)

    db.transact(work)
