"""Interrupted upgrades, and what others do meanwhile: each migration is there or not, data are as they were."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors, sql
from pfa_core.config.settings import resolve
from pfa_core.model.query import Query
from pfa_core.store import migrations, session
from pfa_core.store.database import Database
from pfa_core.store.embedded import server
from tests import citus
from tests.cut import When, cut_at
from tests.factories import World, a_world, draft, record
from tests.faults.nursery import wait_for
from tests.faults.program import Program
from tests.faults.test_embedded import end_all
from tests.forms import LONG
from tests.pems_server import a_pems_beside, owned
from tests.processes import started
from tests.releases import rows_of
from tests.server import reachable_directory
from tests.worlds import built_once

REPOSITORY = Path(__file__).resolve().parents[2]
GATE = 7_245_777
PASS = f"SELECT pg_advisory_xact_lock({GATE});"
# Three migrations, each of several statements; the second one stops before the gate where a test holds it.
MORE = [
    (
        2,
        "0002_weight.sql",
        "ALTER TABLE pfa_view ADD COLUMN weight integer; UPDATE pfa_mirror SET version = version;",
    ),
    (
        3,
        "0003_note.sql",
        f"CREATE TABLE pfa_note (a integer); {PASS} INSERT INTO pfa_note SELECT 7;"
        " ALTER TABLE pfa_modification ADD COLUMN note integer NOT NULL DEFAULT 7;",
    ),
    (4, "0004_more.sql", "INSERT INTO pfa_note SELECT 8; CREATE INDEX pfa_note_a ON pfa_note (a);"),
]
NAMES = [name for _, name, _ in MORE]
STATEMENTS = 31  # of the whole upgrade, BEGIN and COMMIT counted
RECORDS = [record(f"P-{n}") for n in range(1, 8)]


@built_once
def world(url: str) -> World:
    world = a_world(url, *owned(RECORDS))
    draft(world.db, world.principal(), "P-1", model="A")
    return world


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What a newer program's migrations are."""
    path = tmp_path / "migrations.json"
    path.write_text(json.dumps([*sql.migrations(), *MORE]))
    return path


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets this process be the newer program."""
    known = [*sql.migrations(), *MORE]

    def be() -> None:
        monkeypatch.setattr(sql, "migrations", lambda: known)
        monkeypatch.setattr(sql, "newest_migration", lambda: 4)

    return be


def upgrader(url: str, file: Path, *words: str) -> Any:
    """A newer program that upgrades a database in a process of its own."""
    environ = {**os.environ, "PFA_DATABASE_URL": url, "PYTHONPATH": str(REPOSITORY)}
    argv = [sys.executable, "-m", "tests.faults.upgrader", str(file), *words]
    return started(
        argv, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=300)
    return process.returncode, json.loads(out)["data"] if process.returncode == 0 else {"said": err}


def numbers(url: str) -> list[int]:
    with psycopg.connect(url) as conn:
        found = conn.execute("SELECT version FROM pfa_schema_migration ORDER BY 1")
        return [row[0] for row in found]


def is_whole(url: str, before: dict[str, list[dict[str, Any]]]) -> None:
    """All is applied once, and every row of before is there."""
    after = rows_of(url)
    assert numbers(url) == [1, 2, 3, 4]
    assert after.pop("pfa_note") == [{"a": 7}, {"a": 8}]
    for name, rows in before.items():
        if name != "pfa_schema_migration":
            kept = (
                [{column: row[column] for column in rows[0]} for row in after[name]]
                if rows
                else after[name]
            )
            assert kept == rows, name
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT DISTINCT note FROM pfa_modification").fetchall() == [(7,)]


@contextmanager
def gate(url: str) -> Iterator[psycopg.Connection]:
    """The gate held, until the block ends."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [GATE])
        yield conn


def stands_at_the_gate(conn: psycopg.Connection) -> None:
    waits = f"SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
    wait_for(lambda: conn.execute(waits).rowcount, "no upgrade came to the gate")


# -- the client -------------------------------------------------------------------------------

KILLS = [(number, when) for number in range(1, STATEMENTS + 1) for when in ("before", "after")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [(21, "after"), *(pytest.param(one, marks=[LONG, pytest.mark.turns(12)]) for one in KILLS)],
    ids=str,
)
def test_killed_at_any_statement_the_next_upgrade_goes_on_where_it_was(
    world: World, file: Path, newer, place: tuple[int, str]
) -> None:
    before = rows_of(world.url)
    with upgrader(world.url, file, str(place[0]), place[1]) as process:
        assert ended(process)[0] == -signal.SIGKILL
    newer()
    with Database(world.url, require_schema=False) as db:
        report = db.administer(migrations.upgrade)
    assert list(report.applied) == NAMES[report.before - 1 :]
    is_whole(world.url, before)


@pytest.mark.long
def test_the_upgrade_has_as_many_statements_as_are_killed(world: World, file: Path) -> None:
    for number, code in ((STATEMENTS, -signal.SIGKILL), (STATEMENTS + 1, 0)):
        with upgrader(world.url, file, str(number), "before") as process:
            assert ended(process)[0] == code
        with psycopg.connect(world.url, autocommit=True) as conn:
            conn.execute("DROP TABLE pfa_note")
            conn.execute("ALTER TABLE pfa_view DROP COLUMN weight")
            conn.execute("ALTER TABLE pfa_modification DROP COLUMN note")
            conn.execute("DELETE FROM pfa_schema_migration WHERE version > 1")


@pytest.mark.long
def test_killed_within_a_migration_nothing_of_it_is_left(world: World, file: Path, newer) -> None:
    """Its session goes on in the server, and ends without a commit: nothing asks for one."""
    before = rows_of(world.url)
    with gate(world.url) as conn, upgrader(world.url, file) as process:
        stands_at_the_gate(conn)
        process.kill()
        process.wait()
    newer()
    with Database(world.url, require_schema=False) as db:
        report = db.administer(migrations.upgrade)
    assert (report.before, list(report.applied)) == (2, NAMES[1:])
    is_whole(world.url, before)


# -- the connection, the server ---------------------------------------------------------------


@pytest.mark.variants(2)
@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("number", [2, 1, 3])
def test_a_commit_without_an_answer_is_asked_for_and_the_upgrade_is_whole(
    world: World, newer, number: int, when: When
) -> None:
    before = rows_of(world.url)
    newer()
    with cut_at(number, when) as commits:
        result = pfa_core.upgrade(resolve(pfa_core.Flags(database_url=world.url)))
    # On distributed tables what is committed behind the last migration is on the workers.
    assert commits.seen + citus.is_named > len(NAMES)
    assert (result.before, result.after, list(result.applied)) == (1, 4, NAMES)
    is_whole(world.url, before)


def test_a_session_that_the_server_ends_within_a_migration_is_followed_by_another(
    world: World, newer
) -> None:
    before = rows_of(world.url)
    newer()
    settings = resolve(pfa_core.Flags(database_url=world.url))
    with ThreadPoolExecutor(1) as pool, gate(world.url) as conn:
        running = pool.submit(pfa_core.upgrade, settings)
        stands_at_the_gate(conn)
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objid = %s AND NOT granted",
            [GATE],
        )
        stands_at_the_gate(conn)
        conn.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        result = running.result()
    assert (result.before, list(result.applied)) == (1, NAMES)
    is_whole(world.url, before)


@pytest.mark.long
@pytest.mark.parametrize("killed", ["server", "server and client"])
def test_a_server_killed_within_a_migration_comes_back_and_the_upgrade_is_whole(
    newer, file: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    base = reachable_directory("pfa-upgrade-")
    root = base / "pfa"
    try:
        monkeypatch.setenv("PFA_EMBEDDED_DIR", str(root))
        with Database(None, root) as db:
            db.read(lambda _: None)
        url = server.url(root)
        with psycopg.connect(url) as conn:
            conn.execute(
                "INSERT INTO pfa_organization (organization_id, name, created_at) VALUES ('O', '', now())"
            )
        before = rows_of(url)
        holder = psycopg.connect(url, autocommit=True)
        holder.execute("SELECT pg_advisory_lock(%s)", [GATE])
        with upgrader("", file) as process:
            stands_at_the_gate(holder)
            if killed != "server":
                process.kill()
                process.wait()
            os.kill(server.status(root).pid or 0, signal.SIGKILL)
            if killed == "server":
                code, found = ended(process)
                assert (code, found["before"], found["applied"]) == (0, 1, NAMES)
        holder.close()
        newer()
        with Database(None, root, require_schema=False) as db:
            report = db.administer(migrations.upgrade)
        assert report.before == (4 if killed == "server" else 2)
        after = rows_of(url)
        assert after["pfa_note"] == [{"a": 7}, {"a": 8}]
        assert after["pfa_organization"] == before["pfa_organization"]
    finally:
        end_all(base)
        shutil.rmtree(base, ignore_errors=True)


# -- what runs meanwhile ----------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.5)


def test_a_list_under_way_goes_on_over_an_upgrade_of_other_tables(
    world: World, file: Path, newer
) -> None:
    with world.db.snapshot() as conn:
        assert conn.execute("SELECT count(*) FROM pfa_lease").fetchone() == (0,)
        newer()
        with Database(world.url, require_schema=False) as db:
            assert db.administer(migrations.upgrade).after == 4
        assert conn.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (7,)


def test_a_change_under_way_is_waited_for_and_named_and_nothing_is_upgraded_meanwhile(
    world: World, newer, soon, caplog: pytest.LogCaptureFixture
) -> None:
    ends = threading.Event()
    begun = threading.Event()

    def slow(conn: psycopg.Connection) -> None:
        begun.set()
        ends.wait(60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.db.transact, slow)
        try:
            assert begun.wait(60)
            newer()
            with (
                Database(world.url, require_schema=False) as db,
                pytest.raises(errors.Locked, match=r"process \d+ of .* holds a lock"),
            ):
                db.administer(migrations.upgrade)
        finally:
            ends.set()
        running.result()
    assert "waiting for a transaction under way: process" in caplog.text
    assert numbers(world.url) == [1]
    with Database(world.url, require_schema=False) as db:
        assert db.administer(migrations.upgrade).after == 4


@pytest.mark.long
def test_a_change_that_comes_while_a_migration_runs_waits_and_is_refused_by_the_older_program(
    world: World, file: Path
) -> None:
    """Its connection is from before: it found the schema that it needs."""
    before = rows_of(world.url)
    ann = world.principal()
    pfa_core.list_records(world.db, ann, Query())
    with ThreadPoolExecutor(1) as pool, upgrader(world.url, file) as process:
        with gate(world.url) as conn:
            stands_at_the_gate(conn)
            saving = pool.submit(draft, world.db, ann, "P-2", model="B")
            waits = "SELECT FROM pg_locks WHERE relation = 'pfa_schema_migration'::regclass AND NOT granted"
            wait_for(lambda: conn.execute(waits).rowcount, "the save does not wait")
        with pytest.raises(errors.SchemaOutdated, match="newer than this program's 1") as refused:
            saving.result()
        assert refused.value.hint == "install the newer pfa"
        assert ended(process)[0] == 0
    is_whole(world.url, before)
    with pytest.raises(errors.SchemaOutdated):
        draft(world.db, ann, "P-2", model="B")


@pytest.mark.long
def test_a_pull_under_way_keeps_its_pages_and_ends_and_the_newer_program_goes_on(
    world: World, file: Path, newer, tmp_path: Path
) -> None:
    with a_pems_beside(world, *RECORDS, page_limit=3) as far:
        for number in range(1, 8):
            far.pems.change(f"P-{number}", model="New")
        asked: list[int] = []

        def upgrade_at_the_second_page(request: Any, response: Any) -> None:
            asked.append(1)
            if len(asked) == 2:
                with upgrader(world.url, file) as process:
                    assert ended(process)[0] == 0

        far.pems._watcher = upgrade_at_the_second_page
        pull = Program(far, tmp_path).start("sync", "pull")
        _, said = pull.communicate(timeout=300)
        assert pull.returncode == 78
        assert "the database has schema 4, newer than this program's 1" in said
        far.pems._watcher = None
        models = sorted(str(data["model"]) for data in world.mirror().values())
        assert 0 < models.count("New") < 7
        newer()
        assert far.pull().status == "completed"
        far.require_agreement()
        runs = world.rows(
            "SELECT status FROM pfa_sync_log WHERE direction = 'pull' ORDER BY started_at"
        )
        assert runs[-2:] == [("failed",), ("completed",)]


def test_the_session_s_own_limit_of_locks_is_longer_than_the_upgrade_s() -> None:
    assert migrations.LOCK_SECONDS < session.LOCK_SECONDS
