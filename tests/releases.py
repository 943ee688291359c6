"""Databases of releases: for each release a dump of one with data of every kind, as its program left them.

    python -m tests.releases --make VERSION             tests/data/releases/VERSION.sql.gz, of the program as it is
    python -m tests.releases --make VERSION --freeze    with a release: before that the migrations, as they are

From its release on a dump stays as it is, and tests/store/test_releases.py upgrades it with every later program. A
migration has statements of other files in it, which go on to change; frozen, it has them as they were.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

import pfa_core
from pfa_core import Selection, sql
from pfa_core.config.settings import Flags, resolve
from pfa_core.conflicts.selection import ConflictSelection
from pfa_core.model.decision import Decision
from pfa_core.model.query import Filters
from pfa_core.model.view import View
from pfa_core.store import whole_database
from pfa_core.store.embedded import binaries
from tests.factories import a_world, commit, draft, know_the_key, record
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.server import running_server

FOLDER = Path(__file__).resolve().parent / "data" / "releases"
MIGRATIONS = Path(sql.__file__).parent / "migrations"
USERS = {"ann": "admin", "bob": "editor", "eve": "viewer"}
RECORDS = [
    record(
        f"P-{n}", category=("Crane", "Pump", "Barge")[n % 3], description=f"Gerät {n}, “Süd” № {n}"
    )
    for n in range(1, 25)
]
SIGNING = "a key of the released databases that is long enough to sign"
# What a later pg_dump writes that an older server does not take, or psql alone.
_NEWER = re.compile(r"^(SET transaction_timeout|\\(un)?restrict)\b")
_MOST_BYTES = 100_000


def fill(url: str) -> None:
    """Fill a migrated database with data of every kind."""
    world = a_world(url, *owned(RECORDS), users=USERS)
    there = a_world(url, record("P-1"), record("P-2"), organization="THERE", users={"zoe": "admin"})
    world.owner.transact(know_the_key)
    world.owner.transact(lambda conn: know_the_key(conn, SIGNING))
    ann, bob = world.principal("ann"), world.principal("bob")
    settings = resolve(Flags(org="ORG"), {"PFA_JWT_SECRET": SIGNING, "HOME": "/nowhere"})
    issued = [
        pfa_core.issue_token(world.db, settings, ann, user_id=name) for name in ("ann", "bob")
    ]
    pfa_core.issue_service_token(
        world.db, settings, ann, service="nightly", rights=["read", "sync"]
    )
    pfa_core.revoke_tokens(world.db, ann, token_ids=[issued[1].token_id])
    pfa_core.configure_organization(
        world.db, ann, currency="EUR", max_records="20", max_money="900000", max_percent="50"
    )
    cranes = View(
        name="cranes",
        filters=Filters(category=("Crane",)),
        columns=("pfaId", "model"),
        sort="-pfaId",
    )
    pfa_core.save_view(world.db, bob, cranes)
    pfa_core.save_view(
        world.db, ann, View(name="pumps", filters=Filters(category=("Pump",))), shared=True
    )
    with a_pems_beside(world, *RECORDS, page_size=6) as far:
        _work(far)
    draft(there.db, there.principal("zoe"), "P-1", session="far", monthlyRate=8)
    for one in (world, there):
        one.close()


def _work(far: FarSide) -> None:
    """Some days of work: pulls, drafts, commits, pushes, what PEMS refuses, conflicts, what is taken back."""
    world, ann, bob = far.world, far.ann, far.world.principal("bob")
    far.pull()
    for number in range(1, 5):
        draft(
            world.db,
            ann,
            f"P-{number}",
            session="sent",
            reason="Weather",
            monthlyRate=1000 + number,
        )
    commit(world.db, ann, session="sent")
    far.push()
    pfa_core.revert(world.db, ann, ids=["P-4"], reason="not agreed")
    draft(world.db, ann, "P-5", session="gone", model="Refused")
    draft(world.db, ann, "P-6", session="gone", model="Mine")
    draft(world.db, ann, "P-7", session="gone", model="Mine", areaSilo="Quay")
    commit(world.db, ann, session="gone")
    far.pems.remove("P-5")
    for pfa_id in ("P-6", "P-7", "P-8"):
        far.pems.change(pfa_id, model="Theirs", monthlyRate=77)
    far.push()
    pfa_core.resolve_conflicts(
        world.db, ann, ConflictSelection(ids=("P-6",)), Decision(take="mine"), partial=True
    )
    draft(world.db, bob, "P-9", session="waits", forecastEnd="2026-02-28", purchasePrice=5)
    draft(world.db, bob, "P-10", session="waits", areaSilo="Dock")
    commit(world.db, bob, session="waits")
    draft(world.db, bob, "P-11", session="back", monthlyRate=3)
    commit(world.db, bob, session="back")
    pfa_core.uncommit(world.db, bob, Selection(session_id="back"))
    for number in (12, 13, 14):
        draft(world.db, bob, f"P-{number}", session="dropped", model="X")
    pfa_core.discard(world.db, bob, Selection(session_id="dropped"))
    pfa_core.restore(world.db, bob, ids=["P-12"])
    draft(world.db, bob, "P-15", session="undone", model="Y")
    pfa_core.undo(world.db, bob)
    draft(world.db, ann, "P-16", session="kept", isDiscontinued=True)
    draft(world.db, ann, "P-2", session="kept", model="Again")
    far.pems.remove("P-24")
    far.pull()
    far.pems.faults = ["500:1:after=2:on=grid"]
    far.pull()


@dataclass(frozen=True)
class Release:
    """A released database."""

    version: str
    path: Path

    def __str__(self) -> str:
        return self.version

    @property
    def text(self) -> str:
        return gzip.decompress(self.path.read_bytes()).decode()

    def load(self, url: str) -> None:
        """Make an empty database that of the release."""
        with psycopg.connect(url, autocommit=True) as conn:
            whole_database.ensure_role(conn)
            conn.execute(self.text)


def releases() -> list[Release]:
    """The releases, by name."""
    return [
        Release(path.name.removesuffix(".sql.gz"), path) for path in sorted(FOLDER.glob("*.sql.gz"))
    ]


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with psycopg.connect(url, autocommit=True) as conn:
        names = whole_database.contents(conn)
        return {
            name: [
                row[0]
                for row in conn.execute(f"SELECT to_jsonb(t) FROM {name} AS t ORDER BY t::text")
            ]
            for name in names
        }


def make(version: str) -> Path:
    """Write the dump of the program as it is."""
    with running_server() as server:
        name = server.create(server.template())
        fill(server.url(name))
        words = ["--no-owner", "--inserts", "--rows-per-insert=1000", server.url(name)]
        dumped = subprocess.run(
            [binaries.program("pg_dump"), *words], capture_output=True, text=True, check=True
        )
        server.drop(name)
    lines = [line for line in dumped.stdout.splitlines() if not _NEWER.match(line)]
    packed = gzip.compress("\n".join(lines).encode(), mtime=0)
    assert len(packed) < _MOST_BYTES, f"{len(packed)} bytes"
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{version}.sql.gz"
    path.write_bytes(packed)
    return path


def freeze() -> list[Path]:
    """Write into each migration's file what it takes from other files; the files that changed."""
    changed = []
    for path in sorted(MIGRATIONS.glob("[0-9]*.sql")):
        text = path.read_text("utf-8")
        if text != (whole := sql.composed(text)):
            path.write_text(whole, "utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--make", metavar="VERSION", required=True, help="write the dump of this version"
    )
    parser.add_argument("--freeze", action="store_true", help="with a release: the migrations too")
    asked = parser.parse_args()
    for written in [*(freeze() if asked.freeze else ()), make(asked.make)]:
        sys.stdout.write(f"{written}\n")
