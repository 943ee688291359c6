"""jit, which changes no plan and is off on pfa's own connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from pfa_core.model.costing import Costing
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.store.reads import merged
from pfa_core.store.reads import sums as kpis
from pfa_core.store.reads.sums import Part
from tests.factories import World
from tests.plans.watching import Watching
from tests.versions import OLDEST, older, why_none

pytestmark = pytest.mark.every_version

QUERIES = [
    Query(),
    Query(Filters(category=("Category 3",))),
    Query(Filters(search="for 1234")),
    Query(Filters(model=("M7",)), sort=parse_sort("-forecastEnd")),
    Query(Filters(changed=True)),
]


def shapes(world: World, *, forced_jit: bool) -> list[list[str]]:
    """How a page of each query, and the KPIs, are read."""
    who = world.principal("mary")
    with Watching(world.db.conninfo or "", forced_jit=forced_jit) as db:

        def shape(read: Callable[[Connection[Any]], object]) -> list[str]:
            return db.watch(lambda: db.read(read))[0].shape()

        pages = [partial(merged.page, principal=who, query=one, limit=9) for one in QUERIES]
        sums = partial(
            kpis.sums, principal=who, part=Part.MIRROR, filters=Filters(), by=(), costing=Costing()
        )
        return [shape(read) for read in (*pages, sums)]


def test_with_jit_forced_the_plans_and_the_rows_are_the_same(large_world: World) -> None:
    assert shapes(large_world, forced_jit=False) == shapes(large_world, forced_jit=True)


def test_where_nothing_can_be_compiled_forcing_it_compiles_nothing(
    large_world: World,
) -> None:
    with Watching(large_world.db.conninfo or "", forced_jit=True) as db:
        can = db.connection().execute("SELECT pg_jit_available()").fetchone()
        plans, _ = db.watch(
            lambda: db.read(
                lambda conn: merged.page(conn, large_world.principal(), Query(), limit=9)
            )
        )
        assert set(plans.compiled()) == {can == (True,)}


def test_our_connections_compile_nothing_even_where_the_server_would(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        name = sql.Identifier(admin.info.dbname)
        admin.execute(sql.SQL("ALTER DATABASE {} SET jit = on").format(name))
        admin.execute(sql.SQL("ALTER DATABASE {} SET jit_above_cost = 0").format(name))
    with psycopg.connect(database_url) as another:
        assert another.execute("SHOW jit").fetchone() == ("on",)
    with Watching(database_url) as db:
        assert db.read(lambda conn: conn.execute("SHOW jit").fetchone()) == ("off",)
        counted = "SELECT count(*) FROM pfa_mirror WHERE pfa_id > 'P'"
        plans, _ = db.watch(lambda: db.read(lambda conn: conn.execute(counted).fetchall()))
        assert plans.compiled() == [False]


def test_the_guards_of_this_run_hold_on_the_oldest_version_too(postgres) -> None:
    """A run that had no older PostgreSQL says so, once."""
    if older() is None:
        pytest.skip(why_none())
    assert postgres.admin.info.server_version >= OLDEST * 10_000
