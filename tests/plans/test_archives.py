"""An archive reads each entry some times, whatever the trail's size; afterwards only what is left is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

import pfa_core
from tests.audit.aging import chain
from tests.factories import World, a_world, draft, record
from tests.plans.watching import Watching
from tests.worlds import built_once

LINKS, PAGE = 1500, 10
_ENTRIES = """
    INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id, session_id,
                           after, link_id)
    SELECT 'ORG', lpad(to_hex(i * 4 + k), 32, '0')::uuid,
           now() - interval '900 days' + i * interval '1 minute', 'ann', 'save', 'P-1',
           lpad(to_hex(i), 32, 'a')::uuid,
           's', '{"model": "M"}', lpad(to_hex(i * 4), 32, '0')::uuid
    FROM generate_series(1, %(links)s) AS i CROSS JOIN LATERAL generate_series(0, i %% 3) AS k"""
_LINKS = """
    INSERT INTO audit_link (organization_id, number, link_id, entry_count, at, content, digest)
    SELECT e.organization_id, row_number() OVER (ORDER BY e.link_id), e.link_id, count(*), min(e.at), '', ''
    FROM audit_log AS e GROUP BY e.organization_id, e.link_id"""


@built_once
def large(url: str) -> World:
    """A trail of three thousand entries of years ago, and a draft of today."""
    world = a_world(url, record("P-1"), users={"ann": "admin"})

    def fill(conn: Connection[Any]) -> None:
        with conn.transaction():
            for table in ("audit_log", "audit_link"):
                conn.execute(f"DELETE FROM {table}")
            conn.execute(_ENTRIES, {"links": LINKS})
            conn.execute(_LINKS)
            conn.execute("UPDATE audit_head SET number = %s", [LINKS])
            chain(conn, "ORG")
        conn.execute("VACUUM (ANALYZE) audit_log, audit_link")

    world.owner.administer(fill)
    draft(world.db, world.principal(), "P-1", model="New")
    return world


@pytest.mark.long
@pytest.mark.every_version
def test_an_archive_visits_each_entry_some_times_and_later_reads_visit_what_is_left(
    large: World, tmp_path: Path
) -> None:
    watched, ann = Watching(large.url), large.principal()
    before = datetime.now(UTC) - timedelta(days=100)
    with watched:
        plans, result = watched.watch(
            lambda: pfa_core.archive_log(watched, ann, tmp_path / "a.gz", before=before)
        )
        entries = result.entries
        assert entries > LINKS
        # Lines, what is needed (twice), removal: each by one pass or by the index of links.
        assert plans.touched("audit_log") <= 6 * entries, str(plans)
        assert plans.touched("audit_link") <= 12 * entries, str(plans)
        assert plans.loops() <= 3 * entries, str(plans)
        for read in (
            lambda: pfa_core.verify_log(watched, ann),
            lambda: pfa_core.list_archives(watched, ann),
            lambda: pfa_core.list_log(watched, ann, limit=PAGE),
        ):
            plans, _ = watched.watch(read)
            assert plans.touched("audit_log") <= 3 * PAGE, str(plans)
        plans, _ = watched.watch(lambda: pfa_core.list_archives(watched, ann))
        assert plans.touched("audit_log") == 1
