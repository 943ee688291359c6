"""The trail's table: its link by name, and how its filters are planned."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests import citus
from tests.factories import World, a_world

OLD = (
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, before, after,"
    " reason) SELECT %s, gen_random_uuid(), '2026-03-09T12:00:00.123456Z', 'ann', 'save', 'P-' || n,"
    " NULL, jsonb_build_object('monthlyRate', n * 1.50, 'model', 'ü \"x\"'), NULLIF('', '')"
    " FROM generate_series(1, %s) AS n"
)


def test_an_entry_that_belongs_to_no_link_by_name_is_refused(database_url):
    # Of a row that a coordinator passes on it says the node's words, and another code.
    refused = (psycopg.errors.NotNullViolation, psycopg.errors.InternalError)
    with psycopg.connect(database_url) as conn, pytest.raises(refused, match="not-null"):
        conn.execute(OLD, ["ORG", 1])


@pytest.fixture(scope="module")
def world(postgres, template):
    """Half a year of entries of 50 users, one action of twenty entries every half an hour."""
    with postgres.database(template) as url:
        world = a_world(url)
        world.execute(
            "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
            " SELECT 'ORG', lpad(to_hex(n), 32, '0')::uuid,"
            " '2026-01-01'::timestamptz + (n / 20) * interval '30 minutes', 'user ' || (n / 20) %% 50,"
            " 'save', %s FROM generate_series(1, 160000) AS n",
            uuid4(),
        )
        world.db.administer(lambda conn: conn.execute("VACUUM ANALYZE audit_log"))
        yield world
        world.db.close()


def blocks_read(world: World, condition: str) -> int:
    """How many pages of table and index the newest hundred of these entries cost."""
    statement = (
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM audit_log AS e"
        f" WHERE e.organization_id = 'ORG' AND {condition} ORDER BY e.at DESC, e.entry_id DESC LIMIT 100"
    )
    ((plan,),) = world.rows(statement)
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


@pytest.mark.long
@citus.of_one_machine
@pytest.mark.parametrize(
    "condition",
    [
        "TRUE",
        "e.at >= '2026-06-14' AND e.at < '2026-06-15'",
        "e.at >= '2026-02-01' AND e.at < '2026-02-02'",
        "e.at < '2026-01-02'",
        "e.user_id = 'user 7'",
        "e.user_id = 'user 7' AND e.at < '2026-01-10'",
        "e.user_id = 'nobody'",
        "e.run_id = gen_random_uuid()",
    ],
)
def test_a_filter_by_time_user_or_run_does_not_read_the_whole_trail(world, condition):
    ((pages,),) = world.rows("SELECT relpages FROM pg_class WHERE relname = 'audit_log'")
    assert pages > 1500
    assert blocks_read(world, condition) < pages / 4
