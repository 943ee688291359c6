"""20,000 records in 20 categories, and who has drafts on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import pfa_core
from pfa_core.model.query import Filters
from pfa_core.sql import statements
from pfa_core.store import members, mirror, overlay_sums
from tests.factories import World, a_world, is_bound
from tests.server import Server

RECORDS = 20_000
CATEGORIES = 20
DRAFTS = 200
MANY = 5_000
FRESH = 1_000
SPREAD = 97
PAGE = 100
# A page is cut from two halves of page size, each with one row more to see whether it goes on.
FEW = 10 * PAGE
# Blocks for one record: a path down each index, and the row. Rows alone would not tell an index that is
# read from end to end.
FEW_OF_ONE = 30

GENERATE = """
    INSERT INTO pfa_incoming (pfa_id, data)
    SELECT 'P-' || lpad(n::text, 6, '0'), jsonb_build_object(
        'pfaId', 'P-' || lpad(n::text, 6, '0'), 'organization', 'ORG',
        'category', 'Category ' || n %% %(categories)s, 'class', 'Class ' || n %% 5,
        'source', CASE WHEN n %% 4 = 0 THEN 'Purchase' ELSE 'Rental' END,
        'dor', CASE WHEN n %% 3 = 0 THEN 'BEO' ELSE 'PROJECT' END, 'areaSilo', 'Silo ' || n %% 9,
        'isActualized', n %% 7 = 0, 'isDiscontinued', n %% 11 = 0,
        'isFundsTransferable', n %% 13 = 0,
        'monthlyRate', n %% 9000, 'purchasePrice', n * 3, 'manufacturer', 'Maker ' || n %% 30,
        'model', 'M' || n %% 500, 'contract', 'C-' || n %% 200,
        'description', 'What is required for ' || n,
        'originalStart', ('2024-01-01'::date + (n * 7919) %% 1500)::text, 'originalEnd', '2029-12-31',
        'forecastStart', ('2024-01-01'::date + (n * 6101) %% 1500)::text,
        'forecastEnd', ('2024-01-01'::date + (n * 6101) %% 1500 + (n * 31) %% 400)::text)
    FROM generate_series(1, %(records)s) AS n"""

# Fifty others with 200 drafts each, and mary with 5,000 of her own.
DRAFTS_OF_OTHERS = """
    INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id,
        state, delta, base, base_version, version, created_at, updated_at)
    SELECT 'ORG', gen_random_uuid(), 'P-' || lpad(o.number::text, 6, '0'), o.user_id, 's',
        'draft', '{"equipment": "E"}', '{}', 1, 1, now(), now()
    FROM (SELECT 'user ' || u AS user_id, d * (60 + u) AS number
          FROM generate_series(1, 50) AS u CROSS JOIN generate_series(1, %(drafts)s) AS d
          UNION ALL
          SELECT 'mary', n * 7 %% %(records)s + 1 FROM generate_series(1, %(many)s) AS n) AS o
    WHERE o.number <= %(records)s"""
OVERLAYS_OF_OTHERS = """
    INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id)
    SELECT 'ORG', m.user_id, m.pfa_id, m.delta, r.data || m.delta, m.modification_id
    FROM pfa_modification AS m
    JOIN pfa_mirror AS r ON r.organization_id = 'ORG' AND r.pfa_id = m.pfa_id
    WHERE m.organization_id = 'ORG' AND m.user_id <> 'ann'
      AND (%(user_id)s::text IS NULL OR m.user_id = %(user_id)s)"""
DRAFTS_OF_ONE = """
    INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id,
        state, delta, base, base_version, version, created_at, updated_at)
    SELECT 'ORG', gen_random_uuid(), 'P-' || lpad(n::text, 6, '0'), %(user_id)s, 's',
        'draft', '{"equipment": "E"}', '{}', 1, 1, now(), now()
    FROM generate_series(1, %(drafts)s) AS n"""
# As after a first start, before anything has counted the tables that users fill.
FORGET = """
    DELETE FROM pg_statistic
    WHERE starelid IN ('pfa_modification'::regclass, 'pfa_overlay'::regclass);
    UPDATE pg_class SET reltuples = -1, relpages = 0
    WHERE oid IN (SELECT indexrelid FROM pg_index
                  WHERE indrelid IN ('pfa_modification'::regclass, 'pfa_overlay'::regclass))
       OR oid IN ('pfa_modification'::regclass, 'pfa_overlay'::regclass)"""


# The statistics were made while all that users had was another organization's: its name is the one value that the
# column had. To move the rows there and back takes ten seconds.
ELSEWHERE = """
    ANALYZE pfa_modification, pfa_overlay;
    UPDATE pg_statistic SET stavalues1 = array_in('{ELSE}', 'text'::regtype, -1)
    WHERE starelid IN ('pfa_modification'::regclass, 'pfa_overlay'::regclass)
        AND (starelid, staattnum) IN (
            SELECT attrelid, attnum FROM pg_attribute WHERE attname = 'organization_id')"""


@contextmanager
def a_large_world(server: Server, change: str = "") -> Iterator[World]:
    """ann has 200 drafts, mary 5,000, fifty others 200 each, eve none; the statistics know of them. fay
    has saved 1,000 since. Filled once on a server, and copied.

    Args:
        change: What the owner executes in the copy, for other statistics.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PFA_TEST_BOUND", raising=False)
        name, world = server.built(a_large_world, _filled)
    if is_bound():
        name, world = server.built((a_large_world, "bound"), _a_world, template=name)
    with server.database(name) as url:
        if change:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(change)
        copy = world.at(url)
        yield copy
        copy.close()


def _a_world(url: str) -> World:
    """The organization and its members, or the same again, now as a world of the kind that is asked for."""
    world = a_world(url, users={"ann": "admin", "eve": "editor", "fay": "admin", "mary": "admin"})
    world.close()
    return world


def _filled(url: str) -> World:
    world = _a_world(url)
    world.owner.transact(lambda conn: fill(conn, world))
    _save(world, "ann", DRAFTS, SPREAD)
    with psycopg.connect(url, autocommit=True) as admin:
        sizes = {"drafts": DRAFTS, "many": MANY, "records": RECORDS}
        admin.execute(DRAFTS_OF_OTHERS, sizes)
        admin.execute(OVERLAYS_OF_OTHERS, {"user_id": None})
        overlay_sums.recompute(admin, "ORG", {"mary", *(f"user {n}" for n in range(1, 51))})
        admin.execute("VACUUM ANALYZE")
    _save(world, "fay", FRESH, 19)
    world.owner.administer(lambda conn: conn.execute("VACUUM pfa_modification, pfa_overlay"))
    world.close()
    return world


def draft(admin: Connection[Any], user: str, drafts: int) -> None:
    """Drafts of the first records by another user, without entries in the trail."""
    values = {"user_id": user, "drafts": drafts}
    admin.execute(DRAFTS_OF_ONE, values)
    admin.execute(OVERLAYS_OF_OTHERS, values)
    overlay_sums.recompute(admin, "ORG", {user})


def fill(conn: Connection[Any], world: World, records: int = RECORDS) -> None:
    """Fill the mirror with records of 20 categories, pulled a month ago: before what any test lets happen."""
    members.lock_mirror(conn, "ORG")
    conn.execute(statements("mirror")["create_incoming"])
    conn.execute(GENERATE, {"records": records, "categories": CATEGORIES})
    mirror.take_in(conn, "ORG", world.db.new_id(), world.db.clock() - timedelta(days=30))


def _save(world: World, user: str, drafts: int, spread: int) -> None:
    ids = tuple(f"P-{number * spread:06}" for number in range(1, drafts + 1))
    saved = pfa_core.set_fields(
        world.db,
        world.principal(user),
        Filters(id=ids),
        {"equipment": "E"},
        session_id=f"of {user}",
    )
    assert len(saved.saved) == drafts
