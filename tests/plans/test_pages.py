"""A page costs a page: not the mirror, not my drafts, whatever the filter, the order and the depth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg import Connection

from pfa_core import exact_json
from pfa_core.model.cursor import encode_cursor
from pfa_core.model.ordering import DRAFTS, SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.store import mirror, modifications
from pfa_core.store.reads import merged
from pfa_core.store.reads.search import AHEAD
from tests.forms import long
from tests.plans import large
from tests.plans.conftest import Guard
from tests.plans.large import CATEGORIES, FEW, FEW_OF_ONE, FRESH, MANY, PAGE, RECORDS
from tests.plans.watching import Watching, assert_few_rows

pytestmark = pytest.mark.every_version

# A filter narrows by its own index or within the order; where both do it equally well, each reads the
# square root of page times mirror.
NARROWED = 3 * round((PAGE * RECORDS) ** 0.5)
# A row and the look-up whether it is touched: some blocks each.
FEW_BLOCKS = 12 * PAGE
CATEGORY = Filters(category=("Category 3",))


def test_the_first_page_reads_a_page_of_the_mirror_by_index(guard: Guard) -> None:
    plans, rows = guard.page(Query())
    assert len(rows) == PAGE
    assert plans.indexes("pfa_mirror") == {"pfa_mirror_forecast_start"}
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert plans.blocks() <= FEW_BLOCKS, str(plans)


def test_my_drafts_are_left_out_by_an_index_look_up_a_row(guard: Guard) -> None:
    plans, rows = guard.page(Query())
    assert {row[2] for row in rows} == {"pristine", "draft"}
    assert_few_rows(plans, "pfa_overlay", FEW)
    assert "pfa_overlay_forecast_start" in plans.indexes("pfa_overlay")
    assert plans.indexes("pfa_overlay") & {"pfa_overlay_pkey", "pfa_overlay_record"}


def test_a_user_without_drafts_pays_nothing_for_those_of_others(guard: Guard) -> None:
    plans, rows = guard.page(Query(), "eve")
    assert {row[2] for row in rows} == {"pristine"}
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert_few_rows(plans, "pfa_overlay", 0)


@pytest.mark.parametrize("sort", ["forecastStart", "-forecastStart", "pfaId"])
@pytest.mark.parametrize("filters", [Filters(), CATEGORY], ids=["everything", "one category"])
def test_five_thousand_drafts_cost_a_page_no_more_than_a_page_of_them(
    guard: Guard, filters: Filters, sort: str
) -> None:
    plans, rows = guard.page(Query(filters, sort=parse_sort(sort)), "mary")
    assert {row[2] for row in rows} == {"pristine", "draft"}
    # In the order of the ids a category is a filter, which throws nineteen of twenty away.
    most = NARROWED if sort == "pfaId" else FEW
    assert_few_rows(plans, "pfa_mirror", most)
    assert_few_rows(plans, "pfa_overlay", most)


@pytest.mark.parametrize("user", ["ann", "fay"])
def test_an_export_of_all_is_shared_by_processes(guard: Guard, user: str) -> None:
    # As if the mirror were large.
    size = "SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0"

    def exported(conn: Connection[Any], who: Principal) -> int:
        conn.execute(size)
        return sum(1 for _ in merged.elements(conn, who, Query(), limit=None))

    plans, lines = guard.read(exported, user)
    assert lines == RECORDS
    shared = [node for node in plans.nodes() if node["Node Type"] == "Gather Merge"]
    assert [node["Workers Planned"] > 0 for node in shared] == [True], str(plans)
    # Each record once, and the user's ids once in each process.
    assert plans.touched("pfa_mirror") <= 2 * RECORDS, str(plans)
    assert plans.touched("pfa_overlay") <= 5 * FRESH, str(plans)


@pytest.mark.parametrize("user", ["eve", "fay"])
def test_a_user_whom_the_statistics_do_not_know_pays_for_a_page_too(
    guard: Guard, user: str
) -> None:
    plans, rows = guard.page(Query(), user)
    assert len(rows) == PAGE
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert_few_rows(plans, "pfa_overlay", FEW)


@pytest.mark.parametrize("user", ["ann", "mary"])
def test_tables_that_were_never_counted_are_read_no_further(
    guard_of_new_tables: Guard, user: str
) -> None:
    plans, rows = guard_of_new_tables.page(Query(), user)
    assert len(rows) == PAGE
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert_few_rows(plans, "pfa_overlay", FEW)


# What a session repeats is prepared, and may then be planned once for whatever values.
def test_a_page_that_one_session_asks_for_again_and_again_stays_a_page(guard: Guard) -> None:
    with Watching(guard.db.conninfo or "", prepare_threshold=0) as db:
        for turn in range(12):
            again = Guard(guard.world, db, compiles=False)
            plans, _ = again.page(Query(Filters(category=(f"Category {turn}",))), "mary")
            assert_few_rows(plans, "pfa_mirror", FEW)
            assert_few_rows(plans, "pfa_overlay", FEW)


# `= ANY` of one value would keep no order: the index of all records would be read and the other
# categories thrown away.
def test_a_category_in_order_of_forecast_start_reads_a_page_of_its_own_index(guard: Guard) -> None:
    plans, rows = guard.page(Query(CATEGORY))
    assert len(rows) == PAGE
    # Records without a start may come from either index: there are none.
    assert "pfa_mirror_category" in plans.indexes("pfa_mirror")
    assert_few_rows(plans, "pfa_mirror", FEW)


def behind(guard: Guard, query: Query, at: int) -> Query:
    """The same query behind so many rows of its order."""

    def last(conn: Connection[Any]) -> str:
        rows, _ = merged.page(conn, guard.principal("eve"), query, limit=1, offset=at - 1)
        data: dict[str, Any] = exact_json.loads(rows[0][1])
        return encode_cursor(query.sort, [str(data["forecastStart"]), rows[0][0]])

    return replace(query, after=guard.world.db.read(last))


# An OR over the keys alone would bound no index range: the scan would begin at the start of the
# order and throw away all rows before the cursor.
@pytest.mark.parametrize("filters", [Filters(), CATEGORY], ids=["everything", "one category"])
@pytest.mark.parametrize(
    ("user", "share"), [("ann", 0.5), ("mary", 0.85)], ids=["in the middle", "near the end"]
)
@pytest.mark.parametrize("sort", ["forecastStart", "-forecastStart"])
def test_a_page_behind_a_cursor_costs_what_the_first_one_costs(
    guard: Guard, filters: Filters, share: float, sort: str, user: str
) -> None:
    size = RECORDS if filters == Filters() else RECORDS // CATEGORIES
    query = Query(filters, sort=parse_sort(sort))
    first, _ = guard.page(query, user)
    plans, rows = guard.page(
        behind(guard, query, int(size * share)), user, limit=min(PAGE, int(size * 0.04))
    )
    assert rows
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert_few_rows(plans, "pfa_overlay", FEW)
    assert plans.touched("pfa_mirror") <= 2 * first.touched("pfa_mirror"), str(plans)
    # For a user with a third of all modifications they may be read from end to end, once, and then
    # their overlays behind the cursor too.
    once = blocks_of(guard, "pfa_modification", "pfa_overlay") if user == "mary" else 0
    assert plans.blocks() <= 2 * first.blocks() + once, str(plans)


def blocks_of(guard: Guard, *tables: str) -> int:
    statement = "SELECT sum(pg_relation_size(t::regclass)) / 8192 FROM unnest(%s::text[]) AS t"
    row = guard.world.db.read(lambda conn: conn.execute(statement, (list(tables),)).fetchone())
    return int(row[0]) if row else 0


# DESC NULLS LAST is not an order that an index read backwards has: asked for as such, the whole
# mirror would be read and sorted.
@pytest.mark.parametrize(
    "sort",
    ["forecastStart", "-forecastStart", "pfaId", "-pfaId", "category,forecastStart", "forecastEnd",
     "-forecastEnd", "monthlyRate", "-monthlyRate", "purchasePrice", "-purchasePrice", "model",
     "-model", "contract", "-contract", "actualStart", "-actualEnd"],
)  # fmt: skip
def test_orders_that_an_index_has_read_a_page_from_it(guard: Guard, sort: str) -> None:
    plans, rows = guard.page(Query(sort=parse_sort(sort)))
    assert len(rows) == PAGE
    assert_few_rows(plans, "pfa_mirror", FEW)


@pytest.mark.parametrize("user", ["ann", "mary"])
def test_a_page_with_costs_reads_the_records_that_it_shows(guard: Guard, user: str) -> None:
    plans, rows = guard.page(Query(costs=True), user)
    assert len(rows) == PAGE
    assert all(len(row) == 9 for row in rows)
    assert_few_rows(plans, "pfa_mirror", 2 * FEW)
    assert_few_rows(plans, "pfa_overlay", FEW)


@pytest.mark.parametrize("user", ["ann", "mary"])
def test_an_order_by_cost_reads_the_records_and_once_more_for_the_plan_of_drafts(
    guard: Guard, user: str
) -> None:
    """What a draft's record was planned at is the mirror's: of few looked up, of many read with all others."""
    plans, rows = guard.page(Query(sort=parse_sort("-variance")), user)
    assert len(rows) == PAGE
    drafted = len(guard.page(Query(Filters(changed=True)), user, limit=RECORDS)[1])
    most = RECORDS + (drafted if user == "ann" else RECORDS)
    assert plans.touched("pfa_mirror") <= most, str(plans)


# Many records share such a value: a page of the first value is read in the order of the ids.
@pytest.mark.parametrize(
    ("sort", "shared"),
    [
        ("category", CATEGORIES),
        ("-category,-forecastStart", CATEGORIES),
        *long([("class", 5), ("-areaSilo", 9), ("class,forecastStart", 5)]),
        ("areaSilo", 9),
        ("manufacturer", 30),
    ],
)
def test_orders_by_a_value_that_many_share_read_a_page_of_that_value(
    guard: Guard, sort: str, shared: int
) -> None:
    query = Query(sort=parse_sort(sort))
    plans, rows = guard.page(query)
    assert len(rows) == PAGE
    # One of so many has the value: once to see that a page is near, and once to read it.
    most = 2 * (PAGE + 1) * shared + FEW
    assert_few_rows(plans, "pfa_mirror", most)
    behind = guard.read(lambda conn, who: merged.page(conn, who, query, limit=PAGE)[1])[1]
    plans, rows = guard.page(replace(query, after=behind))
    assert len(rows) == PAGE
    assert_few_rows(plans, "pfa_mirror", most)


def test_few_records_that_match_are_read_and_sorted(guard: Guard) -> None:
    for sort in ("-originalStart", "monthlyRate", "class"):
        plans, rows = guard.page(Query(Filters(contract=("C-11",)), sort=parse_sort(sort)))
        assert len(rows) == RECORDS // 200
        assert_few_rows(plans, "pfa_mirror", FEW)


def test_where_filter_and_order_exclude_each_other_the_order_is_not_read_to_its_end(
    guard: Guard,
) -> None:
    """The planner takes what is cheap for spread evenly over the rates."""
    cheap = Filters(where="purchasePrice < 9000", today="2026-01-01")
    plans, rows = guard.page(Query(cheap, sort=parse_sort("-monthlyRate")))
    assert len(rows) == PAGE
    page = plans.of("monthly_rate + 0")
    assert page.reports
    assert "pfa_mirror_monthly_rate" not in page.indexes("pfa_mirror"), str(plans)
    near = Filters(where="purchasePrice >= 9000", today="2026-01-01")
    plans, rows = guard.page(Query(near, sort=parse_sort("-monthlyRate")))
    assert (len(rows), plans.of("monthly_rate + 0").reports) == (PAGE, [])


FILTERS = {
    "--category": Filters(category=("Category 3",)),
    "--category twice": Filters(category=("Category 3", "Category 7")),
    "--class": Filters(class_=("Class 1",)),
    "--source": Filters(source=("Purchase",)),
    "--dor": Filters(dor=("BEO",)),
    "--area-silo": Filters(area_silo=("Silo 4",)),
    "--manufacturer": Filters(manufacturer=("Maker 7",)),
    "--model": Filters(model=("M7",)),
    "--model twice": Filters(model=("M7", "M8")),
    "--contract": Filters(contract=("C-11",)),
    "--id": Filters(id=("P-000003", "P-000004", "P-000097")),
    "--start-from": Filters(start_from="2027-06-01"),
    "--start-to": Filters(start_to="2024-06-30"),
    "--end-from": Filters(end_from="2029-02-01"),
    "--end-to": Filters(end_to="2024-03-01"),
    "--actualized": Filters(actualized=True),
    "--no-actualized": Filters(actualized=False),
    "--discontinued": Filters(discontinued=True),
    "--no-discontinued": Filters(discontinued=False),
    "--transferable": Filters(transferable=True),
    "--no-transferable": Filters(transferable=False),
    "--state draft": Filters(state=("draft",)),
    "--state pristine": Filters(state=("pristine",)),
    "--session": Filters(session=("s", "of ann")),
    "--changed": Filters(changed=True),
    "--search": Filters(search="for 1234"),
    "several": Filters(category=("Category 3",), source=("Rental",), actualized=False),
}


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_a_page_of_any_filter_reads_no_more_than_narrows(guard: Guard, filters: Filters) -> None:
    plans, rows = guard.page(Query(filters))
    assert rows
    assert_few_rows(plans, "pfa_mirror", NARROWED)
    assert_few_rows(plans, "pfa_overlay", NARROWED)


# Overlays are in the order of forecast start and category only: other filters read all of one's own,
# and for a user with a third of all they may be read from end to end, once.
@pytest.mark.parametrize(
    "name", ["--category", "--source", "--model", "--end-to", "--state pristine", "--search"]
)
def test_a_filter_reads_five_thousand_drafts_once_at_most(guard: Guard, name: str) -> None:
    plans, rows = guard.page(Query(FILTERS[name]), "mary")
    assert rows
    assert_few_rows(plans, "pfa_mirror", NARROWED)
    assert plans.touched("pfa_overlay") <= 4 * MANY, str(plans)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(model=("M7",)), "pfa_mirror_model"),
        (Filters(contract=("C-11",)), "pfa_mirror_contract"),
        (Filters(search="for 1234"), "pfa_mirror_search"),
        (Filters(search="P-000123"), "pfa_mirror_search"),
    ],
    ids=["a model", "a contract", "a description", "an id"],
)
def test_rare_values_and_texts_are_found_by_an_index_of_theirs(
    guard: Guard, filters: Filters, index: str
) -> None:
    plans, rows = guard.page(Query(filters))
    assert rows
    assert index in plans.indexes("pfa_mirror"), str(plans)
    assert_few_rows(plans, "pfa_mirror", FEW + (AHEAD if filters.search else 0))


# The planner, which expects few records of any text, would fetch all of them and sort.
@pytest.mark.parametrize(("search", "most"), [("for", FEW), ("category 3", FEW + 2 * AHEAD)])
def test_common_words_are_read_in_order(guard: Guard, search: str, most: int) -> None:
    plans, rows = guard.page(Query(Filters(search=search)))
    assert len(rows) == PAGE
    assert "pfa_mirror_search" not in plans.indexes("pfa_mirror"), str(plans)
    assert_few_rows(plans, "pfa_mirror", most)


# The threes that contain two letters, and the two as a word, are looked up.
@pytest.mark.parametrize("search", ["zx", "z.x9"])
def test_what_has_two_letters_in_a_row_is_found_by_the_index_of_words(
    guard: Guard, search: str
) -> None:
    plans, rows = guard.page(Query(Filters(search=search)))
    assert rows == []
    assert "pfa_mirror_search" in plans.indexes("pfa_mirror"), str(plans)
    assert_few_rows(plans, "pfa_mirror", AHEAD + FEW)


@pytest.mark.parametrize("search", ["z x", "%%%", "кран"])
def test_what_has_no_two_letters_in_a_row_reads_the_table_once_and_no_index_of_words(
    guard: Guard, search: str
) -> None:
    plans, rows = guard.page(Query(Filters(search=search)))
    assert rows == []
    assert "pfa_mirror_search" not in plans.indexes("pfa_mirror"), str(plans)
    assert plans.touched("pfa_mirror") <= everywhere(guard) + AHEAD, str(plans)


@pytest.mark.parametrize(("search", "total", "index"), [("for 123", 111, 1), ("r 99", 111, 3)])
def test_what_a_search_has_found_for_a_page_is_not_searched_for_again_to_count_it(
    guard: Guard, search: str, total: int, index: int
) -> None:
    query = Query(Filters(search=search))
    plans, (rows, _, counted) = guard.read(
        lambda conn, who: merged.page_and_total(conn, who, query, limit=PAGE)
    )
    assert (len(rows), counted) == (PAGE, total)
    found = [node for node in plans.nodes() if node.get("Index Name") == "pfa_mirror_search"]
    assert len(found) == index, str(plans)
    looked_up = 0 if index == 1 else everywhere(guard) / 4  # what has 99 anywhere
    assert plans.touched("pfa_mirror") <= looked_up + AHEAD + FEW, str(plans)


def everywhere(guard: Guard) -> int:
    """How many records all organizations have."""
    statement = "SELECT count(*) FROM pfa_mirror"
    _, found = guard.read(lambda conn, who: conn.execute(statement).fetchone())
    return found[0] if found else 0


def test_records_that_end_late_are_found_by_the_index_of_the_default_order(guard: Guard) -> None:
    plans, _ = guard.page(Query(Filters(end_from="2029-01-01", start_from="2028-01-01")))
    assert_few_rows(plans, "pfa_mirror", FEW)


def test_records_by_id_are_looked_up(guard: Guard) -> None:
    plans, rows = guard.page(Query(Filters(id=("P-000003", "P-000004"))))
    assert len(rows) == 2
    assert_few_rows(plans, "pfa_mirror", 10)


def test_a_record_shown_whole_is_looked_up(guard: Guard) -> None:
    def shown(conn: Connection[Any], who: Principal) -> list[str]:
        assert mirror.rows(conn, who.organization_id, ["P-000097"])
        return [row.state for row in modifications.active(conn, who, ["P-000097"])]

    plans, states = guard.read(shown)
    assert states == ["draft"]
    assert plans.touched("pfa_mirror") == 1, str(plans)
    assert plans.touched("pfa_modification") == 1, str(plans)
    assert plans.blocks() <= FEW_OF_ONE, str(plans)


def test_a_range_of_dates_is_a_range_of_the_index(guard: Guard) -> None:
    plans, rows = guard.page(Query(Filters(start_from="2026-06-01", start_to="2026-06-30")))
    assert len(rows) == PAGE
    assert plans.indexes("pfa_mirror") == {"pfa_mirror_forecast_start"}
    assert_few_rows(plans, "pfa_mirror", FEW)


@pytest.mark.parametrize(
    "filters", [Filters(changed=True), Filters(state=("draft",))], ids=["changed", "drafts"]
)
def test_what_i_touched_is_read_without_the_mirror(guard: Guard, filters: Filters) -> None:
    plans, rows = guard.page(Query(filters))
    assert len(rows) == PAGE
    assert plans.touched("pfa_mirror") == 0, str(plans)
    assert_few_rows(plans, "pfa_overlay", FEW)


def test_only_the_page_s_records_are_read_whole(guard: Guard) -> None:
    """The heap gives a row its data; what is thrown away should fall before it."""
    plans, _ = guard.page(Query(sort=(SortKey("forecastStart"),)))
    heap = [node for node in plans.on("pfa_mirror") if node["Node Type"] == "Index Scan"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in heap) <= 2 * PAGE


@pytest.mark.parametrize("user", ["ann", "fay", "mary"])
def test_a_page_looks_its_drafts_up_where_the_statistics_are_another_organization_s(
    guard_of_elsewhere: Guard, user: str
) -> None:
    plans, rows = guard_of_elsewhere.page(Query(), user)
    assert len(rows) == PAGE
    assert_few_rows(plans, "pfa_mirror", FEW)
    assert plans.touched("pfa_overlay") <= 2 * MANY, str(plans)


@pytest.mark.parametrize(
    "sort", ["-updatedAt", *long(["sessionId", "state,-version", "-committedAt"])]
)
def test_drafts_in_an_order_of_theirs_read_the_caller_s_alone(guard: Guard, sort: str) -> None:
    keys = DRAFTS.parse(sort)

    def work(conn: Any, who: Any) -> Any:
        return len(list(modifications.in_order(conn, who, keys, states=["draft"])))

    plans, number = guard.read(work, "ann")
    assert number == large.DRAFTS
    assert_few_rows(plans, "pfa_modification", large.DRAFTS)
