"""Groups in order, the first of each level, the others together, and who may see the order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import Filters, errors
from pfa_core.model.figures import Stats
from pfa_core.model.grouping import figure, is_money, sort_figures
from tests.factories import World, a_world, draft, record
from tests.forms import long
from tests.worlds import built_once

COUNTED = ["total_records", "draft_count", "variance", "variance_pct", "forecast_total"]
OTHER = [name for name in sort_figures(timed=False) if name not in COUNTED]


def asked(world: World, user: str = "ann", filters: Filters | None = None, **rest: Any) -> Stats:
    return pfa_core.compute_stats(world.db, world.principal(user), filters or Filters(), **rest)


@built_once
def world(url: str) -> World:
    """Four categories in two areas, of different numbers, prices, lengths and flags."""
    world = a_world(
        url,
        *(
            record(
                f"P-{number}",
                category=("Crane", "Loader", "Van", "Dozer")[number % 4],
                areaSilo=("Jetty", "Silo 4")[number % 3 % 2],
                monthlyRate=100 * number,
                forecastEnd=f"2026-0{1 + number % 5}-11",
                source="Purchase" if number % 5 == 0 else "Rental",
                purchasePrice=777 * number,
                isDiscontinued=number == 9,
                isFundsTransferable=number == 8,
                isActualized=number % 3 == 0,
                actualStart="2025-12-02" if number % 3 == 0 else None,
                actualEnd=f"2025-12-1{number % 10}" if number % 3 == 0 else None,
            )
            for number in range(1, 15)
        ),
        users={"ann": "admin", "bob": "editor"},
    )
    draft(world.db, world.principal(), "P-6", monthlyRate=9000)
    return world


class TestSort:
    @pytest.mark.variants(2)
    @pytest.mark.parametrize("name", [*COUNTED, *long(OTHER)])
    def test_by_a_figure_either_way(self, world: World, name: str) -> None:
        up = asked(world, by=("category",), sort=name).groups
        down = asked(world, by=("category",), sort=f"-{name}").groups
        values = [figure(group, name) for group in up]
        assert values == sorted(values)
        assert [figure(group, name) for group in down] == values[::-1]
        assert len(values) == 4

    def test_a_short_name_is_that_of_the_heading(self, world: World) -> None:
        for short, whole in (("forecast", "forecast_total"), ("records", "total_records")):
            assert asked(world, by=("dor",), sort=short) == asked(world, by=("dor",), sort=whole)

    def test_by_the_dimension(self, world: World) -> None:
        keys = [g.key["category"] for g in asked(world, by=("category",), sort="-category").groups]
        assert keys == ["Van", "Loader", "Dozer", "Crane"]

    def test_a_figure_orders_every_level_and_a_dimension_its_own(self, world: World) -> None:
        found = asked(world, by=("areaSilo", "category"), sort="-areaSilo,-variance")
        assert [group.key["areaSilo"] for group in found.subtotals] == ["Silo 4", "Jetty"]
        for area in ("Silo 4", "Jetty"):
            values = [g.figures.cost.variance for g in found.groups if g.key["areaSilo"] == area]
            assert len(values) == 4
            assert values == sorted(values, reverse=True)

    def test_by_a_figure_of_the_level(self, world: World) -> None:
        """The order of areas is that of their subtotals, not of one of their groups."""
        found = asked(world, by=("areaSilo", "category"), sort="-forecast")
        totals = [group.figures.cost.forecast.total for group in found.subtotals]
        assert totals == sorted(totals, reverse=True)

    @pytest.mark.parametrize(
        ("rest", "message"),
        [
            ({"by": ("category",), "sort": "varianc"}, "did you mean variance"),
            ({"by": ("category",), "sort": "areaSilo"}, "cannot sort by 'areaSilo'"),
            ({"by": ("month",), "sort": "total_records"}, "cannot sort by 'total_records'"),
            ({"by": ("category",), "sort": "plan_quantity"}, "cannot sort by"),
            ({"by": ("category",), "sort": "forecast,-forecast_total"}, "listed twice"),
            ({"sort": "variance"}, "needs groups"),
            ({"top": 1}, "needs groups"),
            ({"by": ("category",), "top": 0}, "`top` is 1 to"),
            ({"by": ("category",), "top": 10**6}, "`top` is 1 to"),
            ({"by": ("category", "category")}, "listed twice"),
        ],
    )
    def test_what_is_refused(self, world: World, rest: Any, message: str) -> None:
        with pytest.raises(errors.InvalidRequest, match=message):
            asked(world, **rest)


class TestTop:
    def test_the_greatest_forecasts_and_the_others_together(self, world: World) -> None:
        every = asked(world, by=("category",), sort="-forecast").groups
        found = asked(world, by=("category",), top=2)
        assert found.groups == every[:2]
        (others,) = found.others
        names = tuple(group.key["category"] for group in every[2:])
        alone = asked(world, filters=Filters(category=names)).figures
        assert (others.key, others.group_count, others.figures) == ({}, 2, alone)
        assert (others.cost, others.draft_impact) == (alone.cost, alone.draft_impact)
        assert found.figures == asked(world).figures

    def test_of_each_level(self, world: World) -> None:
        found = asked(world, by=("areaSilo", "category"), top=1)
        (area,) = [group.key["areaSilo"] for group in found.subtotals]
        assert [(o.key, o.group_count) for o in found.others] == [
            ({"areaSilo": area}, 3),
            ({}, 1),
        ]
        inside, outside = found.others
        others = [
            g
            for g in asked(world, by=("category",)).groups
            if g.key["category"] != found.groups[0].key["category"]
        ]
        names = tuple(g.key["category"] for g in others)
        assert (
            inside.figures
            == asked(world, filters=Filters(area_silo=(area,), category=names)).figures
        )
        elsewhere = ({"Jetty", "Silo 4"} - {area}).pop()
        assert outside.figures == asked(world, filters=Filters(area_silo=(elsewhere,))).figures

    def test_more_than_there_are_leaves_no_others(self, world: World) -> None:
        found = asked(world, by=("category",), top=4)
        assert (len(found.groups), found.others) == (4, ())

    def test_every_level_adds_up(self, world: World) -> None:
        """Exactly, but that each line is rounded by itself."""
        found = asked(world, by=("areaSilo", "source", "category"), sort="-plan", top=1)
        shown = [*(g.figures for g in found.groups), *(o.figures for o in found.others)]
        assert sum(f.total_records for f in shown if f) == found.figures.total_records == 14
        whole = sum((f.cost.forecast.total for f in shown if f), Decimal(0))
        assert abs(whole - found.figures.cost.forecast.total) <= Decimal("0.01") * len(shown)


class TestMasked:
    @pytest.fixture
    def blind(self, world: World) -> Any:
        return world.add_user("vera", "viewer")

    @pytest.mark.parametrize("name", ["variance", *long(sort_figures(timed=False))])
    def test_an_order_by_money_is_refused(self, world: World, blind: Any, name: str) -> None:
        ask = lambda: pfa_core.compute_stats(world.db, blind, Filters(), by=("dor",), sort=name)  # noqa: E731
        if is_money(name):
            with pytest.raises(errors.PermissionDenied) as refused:
                ask()
            assert [fault.field for fault in refused.value.details] == [name]
        else:
            assert ask().masked

    def test_the_first_are_those_with_the_most_records(self, world: World, blind: Any) -> None:
        found = pfa_core.compute_stats(
            world.db, blind, Filters(), by=("category", "areaSilo"), top=1
        )
        assert found.subtotals[0].key == {"category": "Crane"} or found.subtotals[0].key == {
            "category": "Loader"
        }
        for item in (*found.groups, *found.subtotals):
            assert item.figures.cost.plan.total is None
        for others in found.others:
            assert others.cost.plan.total is None
            assert others.figures.total_purchase_cost is None

    def test_a_month_that_only_money_is_in_is_not_among_the_others(self, database_url: str) -> None:
        bare = {
            "source": "Purchase",
            "purchasePrice": 5,
            "forecastStart": None,
            "forecastEnd": None,
        }
        world = a_world(
            database_url,
            record("P-1", **bare),
            record("P-2"),
            record("P-3", forecastEnd="2026-02-03"),
        )
        vera = world.add_user("vera", "viewer")
        for principal, count in ((world.principal(), 3), (vera, 2)):
            found = pfa_core.compute_stats(world.db, principal, Filters(), by=("month",), top=1)
            assert found.others[0].group_count == count
