"""What the planner knows of the tables keeps up with bulk writes, and never fails one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import pfa_core
from pfa_core import Change, Selection
from pfa_core.drafts import save_portions
from pfa_core.sql import statements
from pfa_core.store import migrations, statistics
from tests import citus
from tests.factories import World, a_world, record

pytestmark = citus.of_one_machine  # of shards autovacuum alone makes statistics
MANY = 150
FILLED = ("pfa_modification", "pfa_overlay")
BEFORE = 2  # entries of the pull that filled the mirror
FORGET = (
    "DELETE FROM pg_statistic WHERE starelid = to_regclass(%s)",
    "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = to_regclass(%s)",
)


@pytest.fixture(params=["bound", "owner"])
def world(
    database_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    if request.param == "bound":
        monkeypatch.setenv("PFA_TEST_BOUND", "1")
    world = a_world(database_url, *(record(f"P-{number:03}") for number in range(MANY)))
    yield world
    world.close()


@pytest.fixture
def admin(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def save(world: World, number: int, value: str = "E") -> None:
    changes = [Change(f"P-{one:03}", {"equipment": value}) for one in range(number)]
    saved = pfa_core.save(world.db, world.principal(), changes, session_id="s")
    assert len(saved.saved) == number


def known(admin: Connection[Any], table: str) -> float:
    row = admin.execute(
        "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", [table]
    ).fetchone()
    assert row
    return row[0]


def columns(admin: Connection[Any], table: str) -> set[str]:
    found = admin.execute("SELECT attname FROM pg_stats WHERE tablename = %s", [table])
    return {row[0] for row in found}


def test_a_bulk_save_leaves_statistics_of_what_it_wrote(
    world: World, admin: Connection[Any]
) -> None:
    assert {known(admin, table) for table in FILLED} == {-1}
    save(world, MANY)
    assert {known(admin, table) for table in FILLED} == {MANY}
    assert known(admin, "audit_log") == BEFORE + MANY
    assert columns(admin, "pfa_overlay") >= {"organization_id", "user_id", "pfa_id"}
    assert "data" not in columns(admin, "pfa_overlay")


def test_a_save_of_few_analyzes_nothing(world: World, admin: Connection[Any]) -> None:
    save(world, statistics.BULK - 1)
    assert {known(admin, table) for table in FILLED} == {-1}


def test_what_a_connection_writes_little_by_little_is_analyzed_too(
    world: World, admin: Connection[Any]
) -> None:
    for value in "123":
        save(world, 40, value)
    assert known(admin, "audit_log") == BEFORE + 120


def test_a_preview_analyzes_nothing(world: World, admin: Connection[Any]) -> None:
    changes = [Change(f"P-{one:03}", {"equipment": "E"}) for one in range(MANY)]
    pfa_core.save(world.db, world.principal(), changes, dry_run=True)
    assert {known(admin, table) for table in FILLED} == {-1}


@pytest.mark.variants(1)
def test_what_is_rolled_back_leaves_no_table_half_known(
    world: World, admin: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of rows stays where the statistics of columns are undone with the transaction."""
    monkeypatch.setattr(save_portions, "TOGETHER", 50)
    monkeypatch.setattr(statistics, "WHILE_WRITING", 50)
    forget(admin)
    changes = [Change(f"P-{one:03}", {"equipment": "E"}) for one in range(MANY)]
    pfa_core.save(world.db, world.principal(), changes, dry_run=True)
    assert known(admin, "pfa_mirror") == -1
    save(world, MANY)
    assert known(admin, "pfa_mirror") == MANY
    assert columns(admin, "pfa_mirror")


@pytest.mark.variants(1)
def test_what_a_table_has_outgrown_is_analyzed_and_what_it_has_not_is_left(
    world: World, admin: Connection[Any]
) -> None:
    save(world, MANY)
    pfa_core.commit(world.db, world.principal(), Selection(session_id="s"))
    assert known(admin, "audit_log") == BEFORE + MANY  # as many again are less than four fifths
    pfa_core.uncommit(world.db, world.principal(), Selection(session_id="s"))
    pfa_core.discard(world.db, world.principal(), Selection(session_id="s"))
    assert known(admin, "audit_log") > 3 * MANY


@pytest.mark.variants(1)
def test_an_emptied_table_keeps_what_is_known_of_its_columns(
    world: World, admin: Connection[Any]
) -> None:
    save(world, MANY)
    pfa_core.discard(world.db, world.principal(), Selection(session_id="s"))
    statistics.renew_unknown(world.owner.connection())
    assert known(admin, "pfa_overlay") == MANY
    assert "user_id" in columns(admin, "pfa_overlay")


@pytest.mark.variants(1)
def test_what_is_discarded_is_not_counted_as_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "WHILE_WRITING", 100)
    counted: list[int] = []

    def watching(conn: Connection[Any], written: int, *, bearer: bool, within: bool = False) -> Any:
        counted.append(written)
        return renewed(conn, written, bearer=bearer, within=within)

    # What is counted shows nowhere else: whether a table is analyzed depends on its size too.
    renewed = statistics._renewed  # pyright: ignore[reportPrivateUsage]
    save(world, MANY)
    monkeypatch.setattr(statistics, "_renewed", watching)
    session = Selection(session_id="s")
    pfa_core.discard(world.db, world.principal(), session, dry_run=True)
    assert counted == []
    pfa_core.discard(world.db, world.principal(), session)
    save(world, MANY)
    assert counted == [0, MANY, MANY]


@pytest.mark.variants(1)
def test_a_save_in_portions_analyzes_between_them(
    world: World, admin: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_portions, "TOGETHER", 50)
    monkeypatch.setattr(statistics, "WHILE_WRITING", 50)
    found: list[tuple[int, float]] = []

    def watching(conn: Connection[Any], before: int, rows: int, *, deleting: bool) -> None:
        renew(conn, before, rows, deleting=deleting)
        size = "SELECT reltuples FROM pg_class WHERE relname = 'pfa_overlay'"
        if rows:
            found.append((before + rows, conn.execute(size).fetchall()[0][0]))

    renew = statistics.renew_within
    monkeypatch.setattr(statistics, "renew_within", watching)
    save(world, MANY)
    assert found == [(50, 50), (100, 50), (150, 50)]  # the rest was planned with these
    assert columns(admin, "pfa_overlay")


@pytest.mark.variants(1)
@pytest.mark.parametrize("tables", [FILLED, FILLED[:1]], ids=["all", "one"])
def test_a_table_that_another_session_has_locked_is_left_out(
    world: World, admin: Connection[Any], tables: tuple[str, ...]
) -> None:
    with admin.transaction():
        admin.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE")
        save(world, MANY)
    for table in FILLED:
        assert known(admin, table) == (-1 if table in tables else MANY)


@pytest.mark.variants(1)
def test_a_save_stands_whatever_becomes_of_the_statistics(
    world: World, admin: Connection[Any]
) -> None:
    admin.execute("DROP FUNCTION pfa_analyze_written; DROP FUNCTION pfa_renew_statistics")
    save(world, MANY)
    assert len(world.merged()) == MANY
    assert known(admin, "pfa_overlay") == -1
    save(world, MANY, "again")  # the connection is as good as before


def forget(admin: Connection[Any]) -> None:
    """As in a restored dump."""
    for table in statistics.LARGE:
        for statement in FORGET:
            admin.execute(statement, [table])


@pytest.mark.variants(1)
@pytest.mark.parametrize("by", ["upgrade", "pull", "save"])
def test_a_restored_dump_is_analyzed_by_what_comes_first(
    world: World, admin: Connection[Any], by: str
) -> None:
    save(world, MANY)
    forget(admin)
    match by:
        case "upgrade":
            migrations.upgrade(admin)
        case "pull":
            world.pull([record(f"P-{number:03}") for number in range(MANY)])
        case _:
            save(world, MANY, "other")
    for table in ("pfa_mirror", "pfa_modification", "pfa_overlay"):
        assert known(admin, table) == MANY, table


def test_large_tables_that_were_never_counted_are_named(admin: Connection[Any]) -> None:
    admin.execute("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
    tables = {"tables": ["filler", "pfa_mirror", "no_such_table"]}
    unknown = statements("statistics")["unknown"]
    assert admin.execute(unknown, tables).fetchall() == [("filler",)]
    admin.execute("ANALYZE filler")
    assert admin.execute(unknown, tables).fetchall() == []
