"""Behind the wall the reads are planned as before it: over 20,000 records, which index, how many rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg import sql as compose

import pfa_core
from pfa_core.guard import enter
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, encode_cursor, parse_sort
from pfa_core.model.rights import Operation
from pfa_core.sql import statements
from pfa_core.store import members, mirror, records
from tests.factories import SelfClosing, World, a_world

RECORDS = 20_000
CATEGORIES = 20
DRAFTS = 200
SPREAD = 97
PAGE = 100
# A page is cut from two halves of page size, each with one row more to see whether it goes on.
FEW = 10 * PAGE

GENERATE = """
    INSERT INTO pfa_incoming (pfa_id, data)
    SELECT 'P-' || lpad(n::text, 6, '0'), jsonb_build_object(
        'pfaId', 'P-' || lpad(n::text, 6, '0'), 'organization', 'ORG',
        'category', 'Category ' || n %% %(categories)s, 'class', 'Class ' || n %% 5,
        'source', CASE WHEN n %% 4 = 0 THEN 'Purchase' ELSE 'Rental' END,
        'dor', CASE WHEN n %% 3 = 0 THEN 'BEO' ELSE 'PROJECT' END, 'areaSilo', 'Silo ' || n %% 9,
        'isActualized', n %% 7 = 0, 'isDiscontinued', n %% 11 = 0, 'isFundsTransferable', false,
        'monthlyRate', n %% 9000, 'purchasePrice', n * 3, 'manufacturer', 'Maker ' || n %% 30,
        'model', 'M' || n %% 500, 'description', 'What is required for ' || n,
        'originalStart', ('2024-01-01'::date + (n * 7919) %% 1500)::text, 'originalEnd', '2029-12-31',
        'forecastStart', ('2024-01-01'::date + (n * 6101) %% 1500)::text, 'forecastEnd', '2029-12-31')
    FROM generate_series(1, %(records)s) AS n"""


DRAFTS_OF_OTHERS = """
    INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id,
        state, delta, base, base_version, version, created_at, updated_at)
    SELECT 'ORG', gen_random_uuid(), 'P-' || lpad((d * (60 + u))::text, 6, '0'), 'user ' || u, 's',
        'draft', '{"equipment": "E"}', '{}', 1, 1, now(), now()
    FROM generate_series(1, 50) AS u CROSS JOIN generate_series(1, %(drafts)s) AS d
    WHERE d * (60 + u) <= 20000"""
OVERLAYS_OF_OTHERS = """
    INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id)
    SELECT 'ORG', m.user_id, m.pfa_id, m.delta, r.data || m.delta, m.modification_id
    FROM pfa_modification AS m
    JOIN pfa_mirror AS r ON r.organization_id = 'ORG' AND r.pfa_id = m.pfa_id
    WHERE m.organization_id = 'ORG' AND m.user_id <> 'ann'"""


@pytest.fixture(scope="module")
def world(postgres, template) -> Iterator[World]:
    """20,000 records in 20 categories; 200 drafts of ann's and as many of 50 others; fresh statistics.
    Read by a role that row level security holds off."""
    with pytest.MonkeyPatch.context() as patch, postgres.database(template) as url:
        patch.setenv("PFA_TEST_BOUND", "1")
        world = a_world(url, users={"ann": "admin", "eve": "editor"})

        def fill(conn: Connection[Any]) -> None:
            members.lock_mirror(conn, "ORG")
            conn.execute(statements("mirror")["create_incoming"])
            conn.execute(GENERATE, {"records": RECORDS, "categories": CATEGORIES})
            mirror.take_in(conn, "ORG", world.db.new_id(), world.db.clock())

        world.owner.transact(fill)
        mine = tuple(f"P-{number * SPREAD:06}" for number in range(1, DRAFTS + 1))
        saved = pfa_core.set_fields(
            world.db, world.principal("ann"), Filters(id=mine), {"equipment": "E"}, session_id="s"
        )
        assert len(saved.saved) == DRAFTS
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(DRAFTS_OF_OTHERS, {"drafts": DRAFTS})
            admin.execute(OVERLAYS_OF_OTHERS)
            admin.execute("VACUUM ANALYZE")
        yield world
        world.db.close()


@dataclass(eq=False)
class Explaining:
    """A connection that explains every statement it runs, and keeps what came of it."""

    conn: Connection[Any] = field(repr=False)
    plans: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def execute(self, statement: compose.Composed | str, values: Any = None) -> Any:
        if isinstance(statement, str):  # what is asked on the way to a statement
            return self.conn.execute(statement, values)
        prefix = compose.SQL("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ")
        row = self.conn.execute(prefix + statement, values).fetchone()
        self.plans.append(row[0][0]["Plan"])
        return self.conn.execute(statement, values)

    def __str__(self) -> str:
        return "\n".join(line for plan in self.plans for line in _drawn(plan))

    def nodes(self) -> list[dict[str, Any]]:
        """Every node of every plan."""
        found, waiting = [], list(self.plans)
        while waiting:
            node = waiting.pop()
            found.append(node)
            waiting += node.get("Plans", [])
        return found

    def on(self, table: str) -> list[dict[str, Any]]:
        """The nodes that read the table or one of its indexes and were run at all."""
        return [
            node
            for node in self.nodes()
            if node["Actual Loops"]
            and (
                node.get("Relation Name") == table
                or node.get("Index Name", "").startswith(f"{table}_")
            )
        ]

    def touched(self, table: str) -> int:
        """How many rows of the table were looked at, those thrown away too."""
        thrown = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return round(
            sum(
                (node["Actual Rows"] + sum(node.get(name, 0) for name in thrown))
                * node["Actual Loops"]
                for node in self.on(table)
                if node["Node Type"] != "Bitmap Heap Scan"
            )
        )

    def indexes(self, table: str) -> set[str]:
        return {node["Index Name"] for node in self.on(table) if "Index Name" in node}

    def kinds(self, table: str) -> set[str]:
        return {node["Node Type"] for node in self.on(table)}


def _drawn(node: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan as an indented tree, for a test that fails."""
    what = node.get("Index Name") or node.get("Relation Name") or ""
    thrown = node.get("Rows Removed by Filter", 0)
    rows, loops = node["Actual Rows"], node["Actual Loops"]
    yield f"{'  ' * depth}{node['Node Type']} {what}: {rows} rows x {loops}, {thrown} thrown away"
    for child in node.get("Plans", []):
        yield from _drawn(child, depth + 1)


def explained(world: World, user: str, work) -> tuple[Explaining, Any]:
    """What `work(connection, principal)` gives, and how it was planned, in a fresh session."""
    db = SelfClosing(world.db.conninfo)

    def read(conn: Connection[Any]) -> tuple[Explaining, Any]:
        explaining, principal = Explaining(conn), world.principal(user)
        enter(conn, principal, Operation.LIST_RECORDS)
        return explaining, work(explaining, principal)

    return db.read(read)


def page(world: World, query: Query, user: str = "ann", **cut: int) -> tuple[Explaining, list[Any]]:
    def work(conn: Any, principal: Principal) -> list[Any]:
        return records.page(conn, principal, query, **{"limit": PAGE, **cut})[0]

    plan, rows = explained(world, user, work)
    return plan, rows


def assert_few_rows(plan: Explaining, table: str, most: int = FEW) -> None:
    assert "Seq Scan" not in plan.kinds(table), str(plan)
    assert plan.touched(table) <= most, str(plan)


def place(world: World, query: Query, at: int) -> str:
    """The cursor behind so many rows of the order."""
    last = world.owner.read(
        lambda conn: records.page(conn, world.principal("ann"), query, limit=1, offset=at - 1)
    )[0][0]
    data = pfa_core.jsontext.loads(last[1])
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


def test_somebody_without_drafts_pays_nothing_for_those_of_others(world):
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


# DESC NULLS LAST is no order that an index read backwards has: asked for as such, the whole
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
        (Filters(search="for 1234"), "pfa_mirror_search"),
        (Filters(search="P-000123"), "pfa_mirror_search"),
    ],
    ids=["a model", "a description", "an id"],
)
def test_rare_values_and_texts_are_found_by_an_index_of_theirs(world, filters, index):
    plan, rows = page(world, Query(filters))
    assert rows
    if filters.search:
        # Behind the wall a function asks the index of words, and the page is read by id.
        index = "pfa_mirror_pkey"
        assert_few_rows(plan, "pfa_mirror", 2 * len(rows))
    assert index in plan.indexes("pfa_mirror"), str(plan)
    assert "Seq Scan" not in plan.kinds("pfa_mirror"), str(plan)


def test_records_that_end_late_are_told_by_the_index_of_the_default_order(world):
    plan, _ = page(world, Query(Filters(end_from="2029-12-31", start_from="2028-01-01")))
    assert_few_rows(plan, "pfa_mirror")


@pytest.mark.parametrize(
    "filters", [Filters(), CATEGORY, Filters(source=("Rental",), actualized=True)], ids=range(3)
)
def test_a_total_over_the_rollup_s_dimensions_reads_no_untouched_record(world, filters):
    plan, total = explained(
        world, "ann", lambda conn, principal: records.count(conn, principal, Query(filters))
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


def test_who_somebody_is_is_asked_once_a_statement_and_not_of_each_row(world):
    plan, rows = page(world, Query())
    assert len(rows) == PAGE
    asked = [node for node in plan.nodes() if node.get("Parent Relationship") == "InitPlan"]
    assert asked
    assert all(node["Actual Loops"] <= 1 for node in asked), str(plan)
    assert not any("pfa_context" in str(node.get("Filter", "")) for node in plan.nodes())
