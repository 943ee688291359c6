"""Costs of single records: each as the formula says, together the sums of stats."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import Filters, Query, errors
from pfa_core.model.merged import MergedRecord
from pfa_core.model.record import COSTS
from tests.acceptance import brute_force
from tests.acceptance.brute_force import Settings
from tests.factories import World, a_world, draft, record
from tests.forms import drawn
from tests.kpis.test_months import CHANGES, ROWS, filled
from tests.server import Server

SETTINGS = st.sampled_from((Settings(), Settings("USD", "28-day"), Settings("EUR", "day")))
CURRENCIES = st.lists(st.sampled_from((None, "USD", "EUR")), min_size=6, max_size=6)
LAST = Fraction(1, 10**12)


def listed(
    world: World, user: str = "ann", *, sort: str = "pfaId", **rest: Any
) -> list[MergedRecord]:
    query = Query(Filters(**rest), pfa_core.parse_sort(sort), costs=True)
    return list(pfa_core.stream_records(world.db, world.principal(user), query))


def costs(row: MergedRecord) -> tuple[Any, ...]:
    assert row.costs is not None
    return (row.costs.plan, row.costs.forecast, row.costs.actual, row.costs.variance)


def right(theirs: Any, mine: Any, of: Settings) -> list[Fraction | None]:
    """Plan, forecast, actual and variance of one record, by the slow way."""
    found: list[Fraction | None] = []
    for record_, phase in ((theirs, "original"), (mine, "forecast"), (mine, "actual")):
        left_out = record_["isDiscontinued"] or record_["isFundsTransferable"]
        counts = not left_out and of.counts(mine)
        found.append(sum(brute_force._phase([record_], phase, of), Fraction(0)) if counts else None)
    plan, forecast, _ = found
    both = plan is None and forecast is None
    return [*found, None if both else (forecast or Fraction(0)) - (plan or Fraction(0))]


@pytest.fixture(scope="module")
def shared(postgres: Server, template: str) -> Iterator[World]:
    with postgres.database(template) as url:
        world = a_world(url, users={"ann": "admin", "bob": "admin"})
        yield world
        world.db.close()


@pytest.mark.slow
@drawn("examples", short=2, long=10, night=50)
def test_each_is_the_formula_s_and_they_add_up_to_stats(shared: World, examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(rows=ROWS, changes=CHANGES, of=SETTINGS, currencies=CURRENCIES)
    def check(rows: list[Any], changes: list[Any], of: Settings, currencies: list[Any]) -> None:
        rows = [{**row, "currency": name} for row, name in zip(rows, currencies, strict=False)]
        pfa_core.configure_organization(
            shared.db, shared.principal(), currency=of.currency or "none", rate_uom=of.rate_uom
        )
        by_id = {row["pfaId"]: row for row in rows}
        for user, deltas in filled(shared, rows, changes).items():
            found = listed(shared, user)
            for row in found:
                theirs = by_id[row.pfa_id]
                mine = {**theirs, **deltas.get(row.pfa_id, ("", {}))[1]}
                for shown, exact in zip(costs(row), right(theirs, mine, of), strict=True):
                    assert (shown is None) == (exact is None)
                    assert exact is None or abs(Fraction(shown) - exact) <= LAST / 2
            require_sums(shared, user, found)
            require_orders(shared, user, found)

    check()


def require_sums(world: World, user: str, rows: list[MergedRecord]) -> None:
    """The lists of all records and of each category add up to what stats says of them."""
    asked = (world.db, world.principal(user))
    of = pfa_core.compute_stats(*asked, Filters(), by=("category",))
    groups = [(group.key["category"], group.figures) for group in of.groups]
    for name, figures in [(None, of.figures), *groups]:
        chosen = [costs(row) for row in rows if name in (None, row.data["category"])]
        cost = figures.cost
        totals = (cost.plan.total, cost.forecast.total, cost.actual.total, cost.variance)
        for amounts, total in zip(zip(*chosen, strict=True), totals, strict=False):
            whole = sum(Decimal(amount or 0) for amount in amounts)
            # Sums of rates per 28 days may be exactly half a cent.
            exact = whole.quantize(Decimal("1e-10"), "ROUND_HALF_UP")
            assert exact.quantize(Decimal("0.01"), "ROUND_HALF_UP") + 0 == total


def require_orders(world: World, user: str, rows: list[MergedRecord]) -> None:
    """By each of them, either way, those that are left out last; page by page the same."""
    for number, name in enumerate(COSTS):
        for sign in ("", "-"):
            present = [row for row in rows if costs(row)[number] is not None]
            absent = [row.pfa_id for row in rows if costs(row)[number] is None]
            present.sort(key=lambda row: costs(row)[number], reverse=bool(sign))
            wanted = [row.pfa_id for row in present] + absent
            assert [row.pfa_id for row in listed(world, user, sort=sign + name)] == wanted
            assert paged(world, user, sign + name) == wanted


def paged(world: World, user: str, sort: str) -> list[str]:
    found, cursor = [], None
    while True:
        query = Query(Filters(), pfa_core.parse_sort(sort), cursor)
        page = pfa_core.list_records(world.db, world.principal(user), query, page_size=2)
        found += [row.pfa_id for row in page.records]
        assert len(page.records) <= 2
        assert all(row.costs is None for row in page.records)
        if (cursor := page.next) is None:
            return found


class TestDigits:
    def test_a_cost_has_two_to_twelve_decimals(self, database_url: str) -> None:
        world = a_world(
            database_url,
            record("P-1", monthlyRate=5500, forecastStart="2025-12-10"),
            record("P-2", source="Purchase", purchasePrice=Decimal("1000.5")),
            record("P-3", source="Purchase", purchasePrice=Decimal("0.12345")),
            record("P-4", isDiscontinued=True),
        )
        found = {row.pfa_id: str(row.costs and row.costs.forecast) for row in listed(world)}
        assert found == {
            "P-1": "3794.349540078844",
            "P-2": "1000.50",
            "P-3": "0.12345",
            "P-4": "None",
        }

    def test_the_plan_is_not_that_of_a_draft(self, database_url: str) -> None:
        world = a_world(database_url, record("P-1", source="Purchase", purchasePrice=10))
        draft(world.db, world.principal(), "P-1", purchasePrice=25)
        assert [*map(costs, listed(world))] == [(10, 25, 0, 15)]
        draft(world.db, world.principal(), "P-1", isDiscontinued=True)
        assert [*map(costs, listed(world))] == [(10, None, None, -10)]
        query = Query(baseline=True, costs=True)
        page = pfa_core.list_records(world.db, world.principal(), query)
        assert [*map(costs, page.records)] == [(10, 10, 0, 0)]


class TestMasked:
    def test_every_cost_is_none(self, database_url: str) -> None:
        world = a_world(database_url, record("P-1"))
        vera = world.add_user("vera", "viewer")
        page = pfa_core.list_records(world.db, vera, Query(costs=True))
        assert [*map(costs, page.records)] == [(None,) * 4]

    @pytest.mark.parametrize("name", COSTS)
    def test_an_order_by_cost_is_refused(self, database_url: str, name: str) -> None:
        world = a_world(database_url, record("P-1"))
        vera = world.add_user("vera", "viewer")
        with pytest.raises(errors.PermissionDenied, match="view_financials") as refused:
            pfa_core.list_records(world.db, vera, Query(sort=pfa_core.parse_sort(f"-{name}")))
        assert [fault.field for fault in refused.value.details] == [name]


def test_a_diff_is_not_sorted_by_cost(database_url: str) -> None:
    world = a_world(database_url, record("P-1"))
    with pytest.raises(errors.InvalidRequest, match="cannot sort by 'variance'"):
        pfa_core.diff(world.db, world.principal(), Filters(), sort="variance")
