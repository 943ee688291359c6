"""Totals and KPIs come from sums that are kept, and from what the caller touched."""

from __future__ import annotations

from typing import Any

import pytest

from pfa_core.model.costing import Costing
from pfa_core.model.query import Filters, Query
from pfa_core.store.reads import counting
from pfa_core.store.reads import sums as kpis
from pfa_core.store.reads.sums import Part
from tests.factories import World
from tests.plans.conftest import Guard
from tests.plans.large import DRAFTS, MANY, RECORDS
from tests.plans.watching import Plans, assert_few_rows

pytestmark = pytest.mark.every_version

CATEGORY = Filters(category=("Category 3",))
# Of one kind of kept sums at most: with a category one of five classes, nine areas, forty combinations of the rest.
GROUPS = 20 * 40
TOUCHED = [Part.TOUCHED_BEFORE, Part.TOUCHED_AFTER]


# The few groups of the rollup give the total; what I touched of what is asked for is then taken out and put in
# again.
@pytest.mark.parametrize(
    "filters", [Filters(), CATEGORY, Filters(source=("Rental",), actualized=True)], ids=range(3)
)
def test_a_total_over_the_rollup_s_dimensions_reads_no_untouched_record(
    guard: Guard, filters: Filters
) -> None:
    plans, total = guard.read(lambda conn, who: counting.count(conn, who, Query(filters)))
    assert total > DRAFTS
    assert plans.on("kpi_rollup")
    # Drafts of another field count the same with and without: no record of theirs is looked at.
    assert_few_rows(plans, "pfa_mirror", 0)
    assert_few_rows(plans, "pfa_overlay", 2 * DRAFTS)


def sums(guard: Guard, part: Part, filters: Filters, *by: str) -> tuple[Plans, Any]:
    return guard.read(lambda conn, who: kpis.sums(conn, who, part, filters, by, costing=Costing()))


@pytest.mark.parametrize(
    ("filters", "by"),
    [
        (Filters(), ()),
        (Filters(), ("category", "source", "dor")),
        (CATEGORY, ("isActualized",)),
        (Filters(source=("Rental",), dor=("BEO",), area_silo=("Silo 3",), class_=("Class 1",)), ()),
        (Filters(actualized=True, discontinued=False, transferable=False), ("class", "areaSilo")),
        (Filters(changed=True, state=("draft",)), ()),
        (Filters(currency=("EUR", "USD")), ("category",)),
    ],
    ids=range(7),
)
def test_kpis_that_the_rollup_knows_do_not_touch_the_mirror(
    guard: Guard, filters: Filters, by: tuple[str, ...]
) -> None:
    plans, found = sums(guard, Part.MIRROR, filters, *by)
    assert found or filters.currency
    assert plans.on("pfa_mirror") == []
    assert plans.on("kpi_rollup")


@pytest.mark.parametrize("part", TOUCHED)
def test_kpis_of_what_i_touched_read_that_and_no_more(guard: Guard, part: Part) -> None:
    plans, found = sums(guard, part, Filters(), "category")
    assert sum(one.record_count for one in found.values()) == DRAFTS
    assert_few_rows(plans, "pfa_mirror", 2 * DRAFTS)
    assert_few_rows(plans, "pfa_overlay", 2 * DRAFTS)


@pytest.mark.parametrize(
    ("filters", "by"),
    [
        (Filters(), ("category",)),
        (CATEGORY, ("category", "areaSilo")),
        (Filters(source=("Rental",), actualized=True), ("category", "dor")),
    ],
    ids=range(3),
)
def test_what_drafts_change_about_kpis_costs_what_there_are_of_groups_and_not_of_drafts(
    guard: Guard, filters: Filters, by: tuple[str, ...]
) -> None:
    for user in ("eve", "ann", "mary"):
        plans, found = guard.read(
            lambda conn, who: kpis.sums(conn, who, Part.DIFFERENCE, filters, by, costing=Costing()),
            user,
        )
        assert (plans.on("pfa_overlay"), plans.on("pfa_mirror")) == ([], [])
        assert sum(one.record_count for one in found.values()) == 0
        assert bool(found) == (user != "eve")
        assert_few_rows(plans, "kpi_overlay", GROUPS)
        assert plans.blocks() <= GROUPS / 3


def test_changes_that_wait_are_looked_up_for_the_number_of_drafts(guard: Guard) -> None:
    def work(conn: Any, who: Any) -> Any:
        conn.execute(
            "UPDATE pfa_modification SET state = 'committed', committed_at = now() WHERE modification_id IN"
            " (SELECT modification_id FROM pfa_modification WHERE user_id = 'mary' ORDER BY pfa_id LIMIT 3)"
        )
        return kpis.sums(conn, who, Part.DIFFERENCE, Filters(), (), costing=Costing())

    plans, found = guard.altered("SELECT 1", work, "mary")
    assert found[()].drafts == MANY - 3
    reading = plans.of("pfa_modification AS m\nCROSS JOIN")
    assert reading.indexes("pfa_modification") == {"pfa_modification_pending"}
    assert_few_rows(reading, "pfa_overlay", 3)


def test_live_sums_are_expected_to_have_few_groups_where_no_unit_or_currency_is_named(
    guard: Guard,
) -> None:
    """Expecting thousands, the planner lets one process aggregate all records."""
    plans, found = sums(guard, Part.MIRROR, Filters(start_from="2000-01-01"), "category")
    (top, *_) = [node for node in plans.nodes() if "Aggregate" in node["Node Type"]]
    assert top["Plan Rows"] <= 4 * len(found)


def months(guard: Guard, part: Part, *by: str) -> tuple[Plans, Any]:
    return guard.read(
        lambda conn, who: kpis.moves(conn, who, part, Filters(), by, costing=Costing())
    )


def test_months_and_fields_alone_are_kept(guard: Guard) -> None:
    for plans, found in (
        months(guard, Part.MIRROR),
        *(sums(guard, Part.MIRROR, Filters(), field) for field in ("manufacturer", "contract")),
    ):
        assert found
        assert plans.on("pfa_mirror") == []


# A row for every record and month would be some fifty times as many.
@pytest.mark.parametrize("by", [("category",), ("category", "manufacturer")], ids=["one", "two"])
def test_months_read_each_record_once_and_make_six_rows_of_it(
    guard: Guard, by: tuple[str, ...]
) -> None:
    plans, found = months(guard, Part.MIRROR, *by)
    assert found
    assert plans.touched("pfa_mirror") == RECORDS, str(plans)
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in plans.nodes()) <= 6 * RECORDS


@pytest.mark.parametrize("part", TOUCHED)
def test_months_of_what_i_touched_read_that_and_no_more(guard: Guard, part: Part) -> None:
    plans, found = months(guard, part, "category")
    assert found
    assert_few_rows(plans, "pfa_mirror", 2 * DRAFTS)
    assert_few_rows(plans, "pfa_overlay", 2 * DRAFTS)


def test_the_rollup_stays_small_beside_the_mirror(large_world: World) -> None:
    ((groups, counted),) = large_world.rows("SELECT count(*), sum(record_count) FROM kpi_rollup")
    assert counted == RECORDS
    assert groups < RECORDS / 2
