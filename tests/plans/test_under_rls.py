"""Plans of reads under row-level security, like those without: over 20,000 records, which index, how many rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import pytest
from psycopg import Connection

import pfa_core
from pfa_core.authorization import authorize
from pfa_core.model.cursor import encode_cursor
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.model.rights import Operation
from pfa_core.store.reads import counting, merged, search
from tests.factories import SelfClosing, World
from tests.plans.large import CATEGORIES, DRAFTS, FEW, PAGE, RECORDS, a_large_world
from tests.plans.watching import Plans
from tests.plans.watching import assert_few_rows as assert_at_most
from tests.server import Server


@pytest.fixture(scope="module")
def world(postgres: Server) -> Iterator[World]:
    """The large world, read by a role that row level security holds off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_TEST_BOUND", "1")
        with a_large_world(postgres) as world:
            yield world


class Explaining:
    """A connection that explains every statement it runs: a role that is held off may not load
    auto_explain."""

    def __init__(self, conn: Connection[Any]) -> None:
        self.conn = conn
        self.reports: list[dict[str, Any]] = []

    def execute(self, statement: LiteralString, values: Any = None) -> Any:
        if "pfa_mirror" not in statement:  # what is asked on the way to a statement
            return self.conn.execute(statement, values)
        prefix = "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
        row = self.conn.execute(prefix + statement, values).fetchone()
        self.reports.append(row[0][0] if row else {})
        return self.conn.execute(statement, values)


def explained(world: World, user: str, work) -> tuple[Plans, Any]:
    """What `work(connection, principal)` gives, and how it was planned, in a fresh session."""
    db = SelfClosing(world.db.conninfo)

    def read(conn: Connection[Any]) -> tuple[Plans, Any]:
        explaining, principal = Explaining(conn), world.principal(user)
        authorize(conn, principal, Operation.LIST_RECORDS)
        result = work(explaining, principal)
        return Plans(explaining.reports), result

    return db.read(read)


def page(world: World, query: Query, user: str = "ann", **cut: int) -> tuple[Plans, list[Any]]:
    def work(conn: Any, principal: Principal) -> list[Any]:
        return merged.page(conn, principal, query, **{"limit": PAGE, **cut})[0]

    plan, rows = explained(world, user, work)
    return plan, rows


def assert_few_rows(plan: Plans, table: str, most: int = FEW) -> None:
    assert_at_most(plan, table, most)


def place(world: World, query: Query, at: int) -> str:
    """The cursor behind so many rows of the order."""
    last = world.owner.read(
        lambda conn: merged.page(conn, world.principal("ann"), query, limit=1, offset=at - 1)
    )[0][0]
    data = pfa_core.exact_json.loads(last[1])
    return encode_cursor(query.sort, [str(data["forecastStart"]), last[0]])


CATEGORY = Filters(category=("Category 3",))


def test_the_first_page_reads_a_page_of_the_mirror_by_index(world):
    plan, rows = page(world, Query())
    assert len(rows) == PAGE
    assert plan.indexes("pfa_mirror") == {"pfa_mirror_forecast_start"}
    assert_few_rows(plan, "pfa_mirror")


def test_my_drafts_are_left_out_by_an_index_look_up_a_row(world):
    plan, rows = page(world, Query())
    assert {row[2] for row in rows} == {"pristine", "draft"}
    assert_few_rows(plan, "pfa_overlay")
    assert "pfa_overlay_forecast_start" in plan.indexes("pfa_overlay")
    assert plan.indexes("pfa_overlay") & {"pfa_overlay_pkey", "pfa_overlay_record"}


def test_a_user_without_drafts_pays_nothing_for_those_of_others(world):
    plan, rows = page(world, Query(), "eve")
    assert {row[2] for row in rows} == {"pristine"}
    assert_few_rows(plan, "pfa_mirror")
    assert_few_rows(plan, "pfa_overlay", 0)


# `= ANY` of one value would keep no order: the index of all records would be read and the other
# categories thrown away.
def test_a_category_in_order_of_forecast_start_reads_a_page_of_its_own_index(world):
    plan, rows = page(world, Query(CATEGORY))
    assert len(rows) == PAGE
    # Records without a start may come from either index: there are none.
    assert "pfa_mirror_category" in plan.indexes("pfa_mirror")
    assert_few_rows(plan, "pfa_mirror")


# An OR over the keys alone would bound no index range: the scan would begin at the start of the
# order and throw away all rows before the cursor.
@pytest.mark.parametrize("filters", [Filters(), CATEGORY], ids=["everything", "one category"])
@pytest.mark.parametrize("share", [0.5, 0.85], ids=["in the middle", "near the end"])
def test_a_page_behind_a_cursor_costs_what_the_first_one_costs(world, filters, share):
    size = RECORDS if filters == Filters() else RECORDS // CATEGORIES
    query = Query(filters)
    behind = Query(filters, after=place(world, query, int(size * share)))
    first, _ = page(world, query)
    plan, _ = page(world, behind, limit=min(PAGE, int(size * 0.04)))
    assert_few_rows(plan, "pfa_mirror")
    assert plan.touched("pfa_mirror") <= 2 * first.touched("pfa_mirror"), str(plan)


# DESC NULLS LAST is not an order that an index read backwards has: asked for as such, the whole
# mirror would be read and sorted.
@pytest.mark.parametrize("sort", ["category,forecastStart", "pfaId", "-forecastStart", "-pfaId"])
def test_orders_that_an_index_has_read_a_page_from_it(world, sort):
    plan, rows = page(world, Query(sort=parse_sort(sort)))
    assert len(rows) == PAGE
    assert_few_rows(plan, "pfa_mirror")


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(model=("M7",)), "pfa_mirror_model"),
        (Filters(where="model = M7 and hasPlan is null", today="2026-01-01"), "pfa_mirror_model"),
        (Filters(search="for 1234"), "pfa_mirror_search"),
        (Filters(search="P-000123"), "pfa_mirror_search"),
    ],
    ids=["a model", "an expression", "a description", "an id"],
)
def test_rare_values_and_texts_are_found_by_an_index_of_theirs(world, filters, index):
    plan, rows = page(world, Query(filters))
    assert rows
    if filters.search:
        # Under row-level security a function searches the trigram index, and the page is read by id.
        index = "pfa_mirror_pkey"
        assert_few_rows(plan, "pfa_mirror", 2 * len(rows) + search.AHEAD)
    assert index in plan.indexes("pfa_mirror"), str(plan)
    assert "Seq Scan" not in plan.kinds("pfa_mirror"), str(plan)


def test_records_that_end_late_are_found_by_the_index_of_the_default_order(world):
    plan, _ = page(world, Query(Filters(end_from="2029-12-31", start_from="2028-01-01")))
    assert_few_rows(plan, "pfa_mirror")


@pytest.mark.parametrize(
    "filters", [Filters(), CATEGORY, Filters(source=("Rental",), actualized=True)], ids=range(3)
)
def test_a_total_over_the_rollup_s_dimensions_reads_no_untouched_record(world, filters):
    plan, total = explained(
        world, "ann", lambda conn, principal: counting.count(conn, principal, Query(filters))
    )
    assert total > DRAFTS
    # An index alone may be read for the whole category, beside 200 look-ups.
    assert plan.touched("pfa_mirror") <= RECORDS // CATEGORIES, str(plan)


def test_records_by_id_are_looked_up(world):
    plan, rows = page(world, Query(Filters(id=("P-000003", "P-000004"))))
    assert len(rows) == 2
    assert_few_rows(plan, "pfa_mirror", 10)


def test_a_range_of_dates_is_a_range_of_the_index(world):
    plan, rows = page(world, Query(Filters(start_from="2026-06-01", start_to="2026-06-30")))
    assert len(rows) == PAGE
    assert plan.indexes("pfa_mirror") == {"pfa_mirror_forecast_start"}
    assert_few_rows(plan, "pfa_mirror")


def test_the_user_is_looked_up_once_a_statement_and_not_for_each_row(world):
    plan, rows = page(world, Query())
    assert len(rows) == PAGE
    asked = [node for node in plan.nodes() if node.get("Parent Relationship") == "InitPlan"]
    assert asked
    assert all(node["Actual Loops"] <= 1 for node in asked), str(plan)
    assert not any("pfa_context" in str(node.get("Filter", "")) for node in plan.nodes())
