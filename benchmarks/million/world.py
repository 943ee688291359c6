"""The database that is measured: one big organization, many small ones, people with many drafts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pfa_core
from benchmarks.million import data
from pfa_core import Change, Database, Principal, Right
from pfa_core.store import members
from pfa_core.store.embedded import server

SMALL, SMALL_SIZE = 20, 500
PEOPLE = {"few": 500, "many": 5000, "none": 0, "writer": 0}


def principal(user: str, organization: str = data.BIG) -> Principal:
    """A person who may do everything."""
    return Principal(
        user_id=user, organization_id=organization, rights=frozenset(Right), token_id="t"
    )


@contextmanager
def opened(root: Path) -> Iterator[Database]:
    """A database on an embedded server of its own, which stops at the end."""
    with Database(None, root, owner=True) as db:
        try:
            yield db
        finally:
            db.close()
            with suppress(Exception):
                server.stop(root)


def prepare(db: Database, folder: Path) -> None:
    """Organizations and their people, and the small organizations' records."""
    enter(db)
    fill(db, folder)


def enter(db: Database) -> None:
    """Organizations and their people, none with a record."""
    for code in (data.BIG, data.NEXT, *data.small_organizations(SMALL)):
        found = db.read(lambda conn, code=code: members.member(conn, code, "none", lock=False))
        if found is None:
            db.transact(lambda conn, code=code: _enter(conn, db, code))


def fill(db: Database, folder: Path) -> None:
    """The small organizations' records."""
    for code in data.small_organizations(SMALL):
        path = data.write(folder / f"{code}.jsonl", code, SMALL_SIZE)
        pfa_core.pull_files(db, principal("none", code), [str(path)])


def draft(db: Database, user: str, records: int) -> None:
    """Drafts of a person all over the big organization: dates, rates, categories."""
    found = changes(user, records)
    if found:
        pfa_core.save(db, principal(user), found, session_id="drafts")


def changes(user: str, records: int) -> list[Change]:
    """What a person drafts; the same every time."""
    rng = random.Random(user)
    numbers = rng.sample(range(1, records + 1), wanted(user, records))
    return [change(rng, number) for number in numbers]


def untouched(user: str, records: int, count: int) -> list[str]:
    """The first so many records of which a user has no draft."""
    drafted = {item.pfa_id for item in changes(user, records)}
    every = (f"{data.BIG}-{number:07}" for number in range(1, records + 1))
    return list(islice((pfa_id for pfa_id in every if pfa_id not in drafted), count))


def wanted(user: str, records: int) -> int:
    """How many drafts a user has; fewer where there are few records."""
    return min(PEOPLE[user], records // 4)


def change(rng: random.Random, number: int) -> Change:
    """A change of one record that is valid whatever the record holds."""
    deltas: list[dict[str, Any]] = [
        {"forecastStart": "2025-06-15", "forecastEnd": "2031-06-15"},
        {"category": rng.choice(list(data.CATEGORIES))},
        {"equipment": f"EQ-{number}"},
        {"monthlyRate": rng.randrange(1000, 9000)},
    ]
    return Change(f"{data.BIG}-{number:07}", rng.choice(deltas))


def delta_file(path: Path, records: int, count: int) -> Path:
    """A file of so many deltas, as a user saves them after a week of rain."""
    rng = random.Random(3)
    items = [
        {
            "pfaId": f"{data.BIG}-{number:07}",
            "delta": {"equipment": f"E-{number}", "manufacturer": "Rain"},
        }
        for number in rng.sample(range(1, records + 1), min(count, records // 2))
    ]
    path.write_text(json.dumps({"sessionId": "rain", "modifications": items}))
    return path


def _enter(conn: Any, db: Database, code: str) -> None:
    if members.organization(conn, code) is None:
        members.add_organization(conn, code, "", db.clock())
    for user in PEOPLE:
        members.put_member(
            conn, code, user, role="admin", rights=list(Right), granted_by="", at=db.clock()
        )
