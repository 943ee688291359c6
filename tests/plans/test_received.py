"""What a pull compares is read once: no loop in a loop, whatever is known of the mirror."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg import Connection

from pfa_core.model.ids import OrganizationId
from pfa_core.model.principal import Principal
from pfa_core.sql import statements
from pfa_core.store import mirror
from tests.forms import LONG, long
from tests.plans.conftest import Guard
from tests.plans.large import RECORDS
from tests.plans.watching import Plans

pytestmark = pytest.mark.every_version

SQL = statements("mirror")
NEVER = """
    DELETE FROM pg_statistic WHERE starelid = 'pfa_mirror'::regclass;
    UPDATE pg_class SET reltuples = -1, relpages = 0
    WHERE oid = 'pfa_mirror'::regclass
       OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'pfa_mirror'::regclass)"""
EMPTY = NEVER.replace("-1", "0")
# As if the last ANALYZE had found another organization alone; before 18 columns cannot be put in.
ANOTHER = """
    DO $$ BEGIN
        IF current_setting('server_version_num')::int >= 180000 THEN
            PERFORM pg_restore_attribute_stats('schemaname', current_schema()::text, 'relname', 'pfa_mirror',
                'attname', 'organization_id', 'inherited', false, 'null_frac', 0::real, 'avg_width', 6,
                'n_distinct', 1::real, 'most_common_vals', '{OTHER}', 'most_common_freqs', '{1}'::real[]);
        END IF;
    END $$"""
CHANGES = [
    pytest.param("SELECT", id="counted"),
    pytest.param(NEVER, id="never"),
    pytest.param(EMPTY, id="empty", marks=LONG),
    pytest.param(ANOTHER, id="of another", marks=LONG),
]
PAGE = 500
# Of 20,000 records so many were seen: all, all but few, few, none.
SEEN = [RECORDS, RECORDS - 50, *long([50, 0])]


def altered(
    guard: Guard, change: str, work: Callable[[Connection[Any], Principal], Any]
) -> tuple[Plans, Any]:
    try:
        return guard.altered(change, work)
    finally:
        # What was rolled back is looked at by the tests that follow.
        guard.world.db.administer(lambda conn: conn.execute("VACUUM pfa_mirror"))


def marking(seen: int) -> Callable[[Connection[Any], Principal], int]:
    def work(conn: Connection[Any], _: Principal) -> int:
        conn.execute(SQL["create_seen"])
        conn.execute(
            "INSERT INTO pfa_seen SELECT pfa_id FROM pfa_mirror ORDER BY pfa_id LIMIT %s", [seen]
        )
        values = {"organization_id": "ORG", "began_at": "2999-01-01Z", "at": "2026-01-01Z"}
        for step in ("create_absent", "gather_absent"):
            conn.execute(SQL[step], values)
        return conn.execute(SQL["mark_missing"], values).rowcount

    return work


def assert_marks(plans: Plans) -> None:
    """Each record is read once, and once more where it is marked."""
    for statement in ("INSERT INTO pfa_absent", "SET missing_since"):
        found = plans.of(statement)
        assert len(found.reports) == 1
        assert found.touched("pfa_mirror") <= 2 * RECORDS, str(found)
        for table in ("pfa_seen", "pfa_absent"):
            assert found.touched(table) <= RECORDS, str(found)
        assert found.loops() <= 2 * RECORDS, str(found)


@pytest.mark.turns(12)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seen", SEEN)
def test_missing_records_are_marked_by_reading_the_mirror_once(
    guard: Guard, change: str, seen: int
) -> None:
    plans, marked = altered(guard, change, marking(seen))
    assert marked == RECORDS - seen
    assert_marks(plans)


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_page_the_named_records_are_read(guard: Guard, change: str) -> None:
    def work(conn: Connection[Any], _: Principal) -> int:
        ids = receive(conn)
        return mirror.drop_unchanged(conn, OrganizationId("ORG"), ids)

    plans, dropped = altered(guard, change, work)
    assert dropped == PAGE
    assert_named(plans.of("DELETE FROM pfa_incoming"), change)


@pytest.mark.parametrize("change", CHANGES)
def test_of_accepted_changes_the_named_records_are_read(guard: Guard, change: str) -> None:
    def work(conn: Connection[Any], _: Principal) -> int:
        return conn.execute(
            SQL["drop_known"], {"organization_id": "ORG", "ids": receive(conn)}
        ).rowcount

    plans, dropped = altered(guard, change, work)
    assert dropped == PAGE
    assert_named(plans.of("DELETE FROM pfa_incoming"), change)


def receive(conn: Connection[Any]) -> list[str]:
    """A page of records as the mirror has them, from all over it; returns their ids."""
    rows = conn.execute(
        "SELECT pfa_id, data::text FROM pfa_mirror WHERE pfa_id LIKE '%%7' ORDER BY pfa_id LIMIT %s",
        [PAGE],
    ).fetchall()
    mirror.copy_incoming(conn, [(pfa_id, data, None) for pfa_id, data in rows])
    return [pfa_id for pfa_id, _ in rows]


def assert_named(plans: Plans, change: str) -> None:
    """They are looked up, or, where nothing is known of the mirror, it is read once, never once for each."""
    most = PAGE if change == "SELECT" else 2 * RECORDS
    assert len(plans.reports) == 1
    assert plans.touched("pfa_mirror") <= most, str(plans)
    assert plans.loops() <= 2 * most, str(plans)


def test_records_that_did_not_come_are_counted_by_reading_the_mirror_once(guard: Guard) -> None:
    def work(conn: Connection[Any], _: Principal) -> int:
        receive(conn)
        return mirror.count_missing(conn, OrganizationId("ORG"))

    plans, missing = altered(guard, "SELECT", work)
    assert missing == RECORDS - PAGE
    found = plans.of("LEFT JOIN pfa_incoming")
    assert len(found.reports) == 1
    assert found.touched("pfa_mirror") <= RECORDS, str(found)
    assert found.touched("pfa_incoming") <= RECORDS, str(found)
