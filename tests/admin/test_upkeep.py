"""What a database needs from those who run it is found by its own statistics."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import psycopg
import pytest

import pfa_core
from pfa_core import Flags, Selection
from pfa_core.admin.upkeep import Upkeep, disk_room, upkeep_of
from pfa_core.store import upkeep
from tests import citus
from tests.factories import World, a_world, draft, record
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Two entries of drafts, and a record that changed in PEMS."""
    world = a_world(url, record("P-1"), users={"ann": "admin"})
    draft(world.db, world.principal(), "P-1", session="s", model="A")
    pfa_core.discard(world.db, world.principal(), Selection(session_id="s"))
    world.pull([record("P-1", model="B")])
    return world


def found(world: World) -> Upkeep:
    return upkeep_of(pfa_core.resolve(Flags(database_url=world.url)))


@citus.counts_rows
def test_dead_rows_that_no_vacuum_removed_are_found(world: World) -> None:
    assert found(world).overdue == []
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute("ALTER TABLE pfa_pull_page SET (autovacuum_enabled = false)")
        conn.execute(
            "INSERT INTO pfa_pull_page (organization_id, run_id, row_offset, row_count, last_id, ids)"
            " SELECT 'ORG', gen_random_uuid(), i, 0, '', '{}' FROM generate_series(1, 20001) AS i"
        )
        conn.execute("DELETE FROM pfa_pull_page")
        conn.execute("SELECT pg_stat_force_next_flush()")
    state = found(world)
    assert state.excluded == ["pfa_pull_page"]
    assert [one.name for one in state.overdue] == ["pfa_pull_page"]
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute("VACUUM pfa_pull_page")
        conn.execute("ALTER TABLE pfa_pull_page RESET (autovacuum_enabled)")
    assert (found(world).excluded, found(world).overdue) == ([], [])


def test_the_age_of_transactions_is_read(world: World) -> None:
    state = found(world)
    assert 0 < state.server.age < 10_000_000
    assert not state.is_old


@citus.counts_rows
def test_what_the_last_months_added_is_counted(world: World) -> None:
    status = pfa_core.database_status(pfa_core.resolve(Flags(database_url=world.url)), growth=True)
    assert status.growth[0].month == f"{datetime.now(UTC):%Y-%m}"
    assert len(status.growth) == upkeep.MONTHS
    entries = world.rows("SELECT count(*) FROM audit_log")[0][0]
    assert sum(one.entries for one in status.growth) == entries
    assert sum(one.versions for one in status.growth) == 1
    assert status.trail_bytes
    assert status.history_bytes
    plain = pfa_core.database_status(pfa_core.resolve(Flags(database_url=world.url)))
    assert (plain.growth, plain.trail_bytes) == ((), None)


@citus.counts_rows
@pytest.mark.parametrize("month", [1, 2, 12])
def test_months_are_those_of_the_calendar(world: World, month: int) -> None:
    now = datetime(2026, month, 31 if month != 2 else 28, 23, 59, tzinfo=UTC)
    months = [one.month for one in world.owner.administer(lambda conn: upkeep.growth(conn, now))]
    wanted = [(2026 * 12 + month - 1 - back) for back in range(upkeep.MONTHS)]
    assert months == [f"{one // 12}-{one % 12 + 1:02d}" for one in wanted]


def test_the_room_of_the_embedded_server_is_that_of_its_file_system(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_EMBEDDED_DIR", str(tmp_path / "not" / "yet"))
    monkeypatch.delenv("PFA_DATABASE_URL", raising=False)
    room = disk_room(pfa_core.resolve())
    assert room is not None
    assert room.path == str(tmp_path)
    assert room.total == shutil.disk_usage(tmp_path).total
    assert disk_room(pfa_core.resolve(Flags(database_url="postgresql://elsewhere/x"))) is None
