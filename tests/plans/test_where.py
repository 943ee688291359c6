"""What an expression asks for is read as what the filter beside it reads, with the same indexes."""

from __future__ import annotations

from typing import Any

import pytest

from pfa_core.model.costing import Costing
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.store.reads import counting
from pfa_core.store.reads import sums as kpis
from pfa_core.store.reads.sums import Part
from tests.forms import long
from tests.plans.conftest import Guard
from tests.plans.large import DRAFTS, PAGE, RECORDS
from tests.plans.watching import assert_few_rows

pytestmark = pytest.mark.every_version

# An expression, and the filters that choose the same records.
ALIKE: list[tuple[str, dict[str, Any]]] = [
    ("category = 'Category 3'", {"category": ("Category 3",)}),
    (
        "forecastStart between 2025-01-01 and 2025-01-31",
        {"start_from": "2025-01-01", "start_to": "2025-01-31"},
    ),
    ("pfaId in (P-000007, P-000300)", {"id": ("P-000007", "P-000300")}),
]
ALIKE_TOO: list[tuple[str, dict[str, Any]]] = [
    ("class in ('Class 1')", {"class_": ("Class 1",)}),
    ("contract = C-17 and isActualized", {"contract": ("C-17",), "actualized": True}),
    ("forecastEnd >= 2029-01-01", {"end_from": "2029-01-01"}),
    ("pfaId = P-000007", {"id": ("P-000007",)}),
    (
        "model in (M17, M18) and not isDiscontinued",
        {"model": ("M17", "M18"), "discontinued": False},
    ),
]


@pytest.mark.parametrize("sort", ["forecastStart", *long(["-forecastStart", "pfaId"])])
@pytest.mark.parametrize(("where", "filters"), [*ALIKE, *long(ALIKE_TOO)])
def test_a_page_of_an_expression_is_read_by_the_index_of_the_filter_beside_it(
    guard: Guard, where: str, filters: dict[str, Any], sort: str
) -> None:
    order = parse_sort(sort)
    by_filter, expected = guard.page(Query(Filters(**filters), order))
    plans, rows = guard.page(Query(Filters(where=where, today="2026-01-01"), order))
    assert rows == expected
    assert rows
    for table in ("pfa_mirror", "pfa_overlay"):
        assert plans.indexes(table) == by_filter.indexes(table)
    assert plans.blocks() <= by_filter.blocks() + PAGE // 10, f"{plans}\n{by_filter}"


@pytest.mark.parametrize(
    "where", ["monthlyRate between 100 and 101", "category = 'Category 3' and mine.equipment = E"]
)
def test_few_records_of_an_expression_are_not_looked_for_in_all(guard: Guard, where: str) -> None:
    query = Query(Filters(where=where, today="2026-01-01"), parse_sort("monthlyRate"))
    plans, rows = guard.page(query)
    assert rows
    assert "Seq Scan" not in str(plans)


def test_pems_s_value_beside_a_draft_is_looked_up_for_what_is_drafted_alone(guard: Guard) -> None:
    query = Query(Filters(where="equipment <> pems.manufacturer", today="2026-01-01"))
    plans, rows = guard.page(query)
    assert len(rows) == PAGE
    assert {row[2] for row in rows} == {"draft"}
    lookups = [one for one in plans.on("pfa_mirror") if one.get("Alias") == "w"]
    assert sum(one["Actual Rows"] * one["Actual Loops"] for one in lookups) <= 2 * DRAFTS


@pytest.mark.parametrize(
    "where",
    [
        "category = 'Category 3' and not isActualized",
        *long(["source in (Rental, Purchase) and dor = BEO"]),
    ],
)
def test_totals_of_equalities_come_from_the_rollup(guard: Guard, where: str) -> None:
    filters = Filters(where=where, today="2026-01-01")
    plans, total = guard.read(lambda conn, who: counting.count(conn, who, Query(filters)))
    assert total > DRAFTS
    assert plans.on("kpi_rollup")
    assert_few_rows(plans, "pfa_mirror", 0)
    plans, _ = guard.read(
        lambda conn, who: kpis.sums(
            conn, who, Part.MIRROR, filters, ("category",), costing=Costing()
        )
    )
    assert plans.on("kpi_rollup")
    assert_few_rows(plans, "pfa_mirror", 0)


# The rollup keeps a missing text as an empty one, and knows no dates.
@pytest.mark.parametrize(
    "where", ["category = ''", "not category = Crane", "category = Crane or dor = BEO", "hasPlan"]
)
def test_totals_of_anything_else_count_records(guard: Guard, where: str) -> None:
    query = Query(Filters(where=where, today="2026-01-01"))
    plans, total = guard.read(lambda conn, who: counting.count(conn, who, query))
    assert not plans.on("kpi_rollup")
    assert 0 <= total <= RECORDS
