"""The guards can fail: without its index each of them does. The index is back when the test ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfa_core.model.costing import Costing
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.store import mirror, modifications
from pfa_core.store.reads import merged, search, sums
from pfa_core.store.reads.sums import Part
from tests.forms import long
from tests.plans.conftest import Guard
from tests.plans.large import FEW, FEW_OF_ONE, PAGE
from tests.plans.watching import assert_few_rows

pytestmark = pytest.mark.every_version

Work = Callable[[Any, Any], Any]


def page(filters: Filters = Filters(), sort: str = "forecastStart") -> Work:  # noqa: B008 - frozen
    query = Query(filters, sort=parse_sort(sort))
    return lambda conn, who: merged.page(conn, who, query, limit=PAGE)


@pytest.mark.long
@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("index", "table", "work", "most"),
    [
        ("pfa_mirror_forecast_start", "pfa_mirror", page(), FEW),
        ("pfa_modification_live", "pfa_modification",
         lambda conn, who: modifications.active(conn, who, ["P-000008"]), 10),
        *long([
            ("pfa_mirror_search", "pfa_mirror", page(Filters(search="for 1234")),
             FEW + search.AHEAD),
            ("pfa_overlay_forecast_start", "pfa_overlay", page(), FEW),
            ("pfa_mirror_forecast_start", "pfa_mirror", page(sort="-forecastStart"), FEW),
            ("pfa_mirror_category", "pfa_mirror", page(Filters(category=("Category 3",))), FEW),
            ("pfa_mirror_model", "pfa_mirror", page(Filters(model=("M7",))), FEW),
            ("pfa_mirror_purchase_price", "pfa_mirror", page(sort="purchasePrice"), FEW),
        ]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_without_its_index_a_guard_fails(
    guard: Guard, index: str, table: str, work: Work, most: int
) -> None:
    plans, _ = guard.altered("SELECT", work, "mary")
    assert_few_rows(plans, table, most)
    plans, _ = guard.altered(f"DROP INDEX {index}", work, "mary")
    with pytest.raises(AssertionError):
        assert_few_rows(plans, table, most)


@pytest.mark.long
def test_without_its_key_a_record_is_not_looked_up(guard: Guard) -> None:
    def work(conn: Any, who: Any) -> Any:
        return mirror.rows(conn, who.organization_id, ["P-000097"])

    plans, _ = guard.altered("SELECT", work)
    assert plans.blocks() <= FEW_OF_ONE
    # All records have one time here, which an index that begins with it is skipped over by (PostgreSQL 18).
    drop = "ALTER TABLE pfa_mirror DROP CONSTRAINT pfa_mirror_pkey; DROP INDEX pfa_mirror_changed"
    plans, _ = guard.altered(drop, work)
    assert plans.blocks() > FEW_OF_ONE, str(plans)


def test_a_total_that_the_rollup_does_not_know_is_seen_to_read_the_mirror(guard: Guard) -> None:
    filters = Filters(manufacturer=("Maker 7",))
    plans, _ = guard.read(
        lambda conn, who: sums.sums(conn, who, Part.MIRROR, filters, (), costing=Costing())
    )
    assert plans.on("pfa_mirror")
    assert plans.on("kpi_rollup") == []


def test_without_an_index_a_commit_of_many_is_seen_to_read_all_for_each(guard: Guard) -> None:
    """What a loop in a loop looks like to the guards of many drafts."""
    loop = """
        SELECT count(*) FROM unnest(%(ids)s::text[]) AS i (pfa_id)
        CROSS JOIN LATERAL (SELECT FROM pfa_modification AS m WHERE m.user_id = 'fay'
                            AND m.pfa_id = i.pfa_id OFFSET 0) AS found"""
    drop = "DROP INDEX pfa_modification_live, pfa_modification_one_draft"
    ids = [f"P-{number * 19:06}" for number in range(1, 51)]
    plans, _ = guard.altered(drop, lambda conn, who: conn.execute(loop, {"ids": ids}))
    assert plans.loops() > 100 * len(ids), str(plans)
