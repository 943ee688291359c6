"""KPIs: by merged values, the plan by the mirror's; groups add up; the baseline beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pfa_core import errors
from pfa_core.model.figures import Cost, Figures, PhaseCost, Stats
from pfa_core.model.kpi import GROUP_DIMENSIONS
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.views import stats
from tests.worlds import built_once

MONTH = Decimal("30.44")


def cents(value: Decimal | int | str) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"), "ROUND_HALF_UP")


def phase(rental: Any = 0, purchase: Any = 0) -> PhaseCost:
    rental, purchase = Decimal(rental), Decimal(purchase)
    return PhaseCost(cents(rental), cents(purchase), cents(rental + purchase))


@built_once
def world(url: str) -> World:
    """Rentals R-1 (30 days planned, 31 forecast, on site) and R-2, purchase B-1, two that do not count."""
    return a_world(
        url,
        record(
            "R-1",
            forecastEnd="2026-01-01",
            isActualized=True,
            actualStart="2025-12-02",
            actualEnd="2025-12-12",
            areaSilo="Jetty",
        ),
        record("R-2", monthlyRate=Decimal("0.10")),
        record("B-1", category="Loader", source="Purchase", purchasePrice=Decimal("5000.05")),
        record("X-1", category="Van", isDiscontinued=True),
        record("X-2", category="Van", isFundsTransferable=True, dor="BEO"),
        users={"ann": "admin", "bob": "editor"},
    )


def test_the_worked_example_of_the_field(database_url: str) -> None:
    """Rental 5500 a month, 2025-12-10 to 2025-12-31: 21 days / 30.44 × 5500 = 3794.35."""
    world = a_world(database_url, record(monthlyRate=5500, forecastStart="2025-12-10"))
    assert stats(world).figures.cost.forecast.rental == Decimal("3794.35")


def test_every_figure_of_a_small_project(world: World) -> None:
    plan = phase(30 * Decimal("1000.10") / MONTH, "5000.05")
    forecast = phase((31 * 1000 + 30 * Decimal("0.10")) / MONTH, "5000.05")
    variance = 1000 / MONTH
    whole_plan = 30 * Decimal("1000.10") / MONTH + Decimal("5000.05")
    cost = Cost(
        plan=plan,
        forecast=forecast,
        actual=phase(10 * 1000 / MONTH),
        variance=cents(variance),
        variance_pct=cents(variance / whole_plan * 100),
    )
    assert stats(world) == Stats(
        figures=Figures(
            total_records=5,
            actualized_count=1,
            discontinued_count=1,
            funds_transferable_count=1,
            draft_count=0,
            total_monthly_rental=Decimal("3000.10"),
            total_purchase_cost=Decimal("5000.05"),
            cost=cost,
            baseline_cost=cost,
            draft_impact=Decimal("0.00"),
        ),
        category_breakdown={"Crane": 2, "Loader": 1, "Van": 2},
    )


def test_no_records_are_zeros(database_url: str) -> None:
    world = a_world(database_url)
    nothing = stats(world)
    assert (nothing.category_breakdown, nothing.groups) == ({}, ())
    none = Decimal("0.00")
    zero = Cost(plan=phase(), forecast=phase(), actual=phase(), variance=none, variance_pct=none)
    assert (nothing.figures.cost, nothing.figures.total_records) == (zero, 0)
    assert stats(a_world(database_url, record(), organization="B"), category=("Z",)) == nothing


class TestDrafts:
    def test_a_raised_rate_shows_as_variance_and_impact(self, world: World) -> None:
        before = stats(world).figures
        draft(world.db, world.principal(), "R-1", monthlyRate=2000)
        after = stats(world).figures
        assert after.cost.plan == before.cost.plan
        assert after.baseline_cost == before.cost
        assert after.draft_impact == cents(31 * 1000 / MONTH)
        assert after.cost.variance == cents(32 * 1000 / MONTH)
        assert after.cost.actual.rental == cents(10 * 2000 / MONTH)
        assert (after.draft_count, after.total_monthly_rental) == (1, Decimal("4000.10"))

    def test_a_dropped_record_keeps_its_plan(self, world: World) -> None:
        before = stats(world).figures
        draft(world.db, world.principal(), "B-1", isDiscontinued=True)
        after = stats(world).figures
        assert after.cost.plan == before.cost.plan
        assert after.draft_impact == Decimal("-5000.05")
        assert after.cost.forecast.purchase == 0
        # The totals over all matching records still hold it.
        assert (after.discontinued_count, after.total_purchase_cost) == (2, Decimal("5000.05"))

    def test_a_changed_source_moves_the_forecast_and_not_the_plan(self, world: World) -> None:
        before = stats(world).figures
        draft(world.db, world.principal(), "R-2", source="Purchase", purchasePrice=7)
        after = stats(world).figures
        assert after.cost.plan == before.cost.plan
        assert after.cost.forecast.purchase == Decimal("5007.05")
        assert after.total_monthly_rental == Decimal("3000.00")

    def test_records_move_between_categories(self, world: World) -> None:
        draft(world.db, world.principal(), "R-1", category="Loader")
        assert stats(world).category_breakdown == {"Crane": 1, "Loader": 2, "Van": 2}
        assert stats(world, "bob").category_breakdown == {"Crane": 2, "Loader": 1, "Van": 2}

    def test_others_drafts_count_nothing(self, world: World) -> None:
        before = stats(world, "bob")
        draft(world.db, world.principal("ann"), "R-1", monthlyRate=2000)
        assert stats(world, "bob") == before

    def test_a_change_counts_but_is_no_draft(self, world: World) -> None:
        draft(world.db, world.principal(), "R-1", monthlyRate=2000)
        drafted = stats(world).figures
        commit(world.db, world.principal())
        committed = stats(world).figures
        assert (drafted.draft_count, committed.draft_count) == (1, 0)
        assert committed.cost == drafted.cost
        draft(world.db, world.principal(), "R-1", monthlyRate=3000)
        stacked = stats(world).figures
        assert (stacked.draft_count, stacked.total_records) == (1, 5)
        assert stacked.draft_impact == cents(31 * 2000 / MONTH)

    def test_an_impact_of_nothing_has_no_sign(self, world: World) -> None:
        draft(world.db, world.principal(), "R-1", model="A")
        assert str(stats(world).figures.draft_impact) == "0.00"

    def test_dates_out_of_the_way_cost_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), "R-2", forecastEnd="2025-12-01")
        draft(world.db, world.principal(), "R-1", forecastStart=None)
        assert stats(world).figures.cost.forecast.rental == 0


class TestBaseline:
    def test_the_baseline_is_the_same_with_and_without_drafts(self, world: World) -> None:
        before = stats(world, baseline=True)
        draft(world.db, world.principal(), "R-1", monthlyRate=2000, category="Loader")
        assert stats(world, baseline=True) == before
        assert before.figures.baseline_cost == before.figures.cost

    def test_filters_of_the_baseline_speak_of_its_values(self, world: World) -> None:
        draft(world.db, world.principal(), "R-1", category="Loader")
        assert stats(world, baseline=True, category=("Crane",)).figures.total_records == 2
        assert stats(world, category=("Crane",)).figures.total_records == 1

    @pytest.mark.parametrize(
        "about_me", [{"state": ("draft",)}, {"session": ("s",)}, {"changed": True}]
    )
    def test_the_baseline_knows_nothing_of_me(self, world: World, about_me: dict[str, Any]) -> None:
        with pytest.raises(errors.InvalidRequest):
            stats(world, baseline=True, **about_me)


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"category": ("Crane",)}, 2),
            ({"source": ("Purchase",)}, 1),
            ({"dor": ("BEO",)}, 1),
            ({"area_silo": ("Jetty",)}, 1),
            ({"actualized": True}, 1),
            ({"discontinued": False, "transferable": False}, 3),
            ({"manufacturer": ("Liebherr",)}, 5),
            ({"search": "r-1"}, 1),
            ({"id": ("R-1", "R-2")}, 2),
            ({"start_from": "2025-12-02"}, 0),
            ({"end_to": "2025-12-31"}, 4),
            ({"state": ("pristine",)}, 5),
            ({"state": ("draft",)}, 0),
            ({"changed": True}, 0),
        ],
    )
    def test_filters_choose_as_in_a_list(
        self, world: World, filters: dict[str, Any], found: int
    ) -> None:
        assert stats(world, **filters).figures.total_records == found

    def test_a_record_drafted_out_of_the_filter_takes_its_money_along(self, world: World) -> None:
        draft(world.db, world.principal(), "B-1", category="Dozer")
        loaders, dozers = stats(world, category=("Loader",)), stats(world, category=("Dozer",))
        assert (loaders.figures.total_records, loaders.figures.draft_impact) == (
            0,
            Decimal("-5000.05"),
        )
        assert (dozers.figures.total_records, dozers.figures.draft_impact) == (
            1,
            Decimal("5000.05"),
        )

    def test_states_and_sessions_choose_touched_records(self, world: World) -> None:
        draft(world.db, world.principal(), "R-1", session="a", monthlyRate=2000)
        draft(world.db, world.principal(), "R-2", session="b", monthlyRate=1)
        commit(world.db, world.principal(), session="b")
        of = {
            name: stats(world, **chosen).figures
            for name, chosen in {
                "draft": {"state": ("draft",)},
                "committed": {"state": ("committed",)},
                "both": {"state": ("draft", "committed")},
                "pristine": {"state": ("pristine",)},
                "all": {"state": ("pristine", "draft", "committed")},
                "a": {"session": ("a",)},
                "changed": {"changed": True},
            }.items()
        }
        assert {name: item.total_records for name, item in of.items()} == {
            "draft": 1,
            "committed": 1,
            "both": 2,
            "pristine": 3,
            "all": 5,
            "a": 1,
            "changed": 2,
        }
        assert of["a"] == of["draft"]
        assert of["both"] == of["changed"]
        assert of["all"] == stats(world).figures
        assert of["pristine"].draft_impact == 0
        assert of["draft"].baseline_cost.forecast.rental == cents(31 * 1000 / MONTH)


class TestGroups:
    def test_groups_carry_the_figures_of_their_records(self, world: World) -> None:
        groups = stats(world, by=("category",)).groups
        assert [group.key for group in groups] == [
            {"category": "Crane"},
            {"category": "Loader"},
            {"category": "Van"},
        ]
        for group in groups:
            alone = stats(world, category=(group.key["category"],)).figures
            assert group.figures == alone

    @pytest.mark.variants(5)
    @pytest.mark.parametrize("by", [(name,) for name in GROUP_DIMENSIONS])
    def test_groups_of_every_dimension_add_up(self, world: World, by: tuple[str, ...]) -> None:
        draft(world.db, world.principal(), "R-1", category="Loader", class_="Earth", dor="BEO")
        draft(world.db, world.principal(), "B-1", isFundsTransferable=True, areaSilo="Jetty")
        draft(world.db, world.principal(), "R-2", manufacturer="X", model="Y", isActualized=True)
        result = stats(world, by=by)
        for name in (
            "total_records",
            "actualized_count",
            "discontinued_count",
            "funds_transferable_count",
            "draft_count",
            "total_monthly_rental",
            "total_purchase_cost",
        ):
            parts = [getattr(group.figures, name) for group in result.groups]
            assert sum(parts) == getattr(result.figures, name), name
        slack = Decimal("0.01") * len(result.groups)
        totals = sum(group.figures.cost.forecast.total for group in result.groups)
        assert abs(totals - result.figures.cost.forecast.total) <= slack
        impacts = sum(group.figures.draft_impact for group in result.groups)
        assert abs(impacts - result.figures.draft_impact) <= slack

    def test_several_dimensions_make_their_combinations_in_order(self, world: World) -> None:
        groups = stats(world, by=("isActualized", "category")).groups
        assert [tuple(group.key.items()) for group in groups] == [
            (("isActualized", False), ("category", "Crane")),
            (("isActualized", False), ("category", "Loader")),
            (("isActualized", False), ("category", "Van")),
            (("isActualized", True), ("category", "Crane")),
        ]

    def test_a_group_everybody_left_stays_while_it_moved_money(self, world: World) -> None:
        draft(world.db, world.principal(), "B-1", category="Dozer")
        found = {
            group.key["category"]: (group.figures.total_records, group.figures.draft_impact)
            for group in stats(world, by=("category",)).groups
        }
        assert found["Loader"] == (0, Decimal("-5000.05"))
        assert found["Dozer"] == (1, Decimal("5000.05"))
        assert "Loader" not in stats(world).category_breakdown

    @pytest.mark.parametrize("by", [("monthlyRate",), ("categry",), ("category", "category")])
    def test_what_is_no_dimension_is_refused(self, world: World, by: tuple[str, ...]) -> None:
        with pytest.raises(errors.InvalidRequest):
            stats(world, by=by)


def test_thirds_of_cents_are_rounded_once_at_the_end(database_url: str) -> None:
    """300 rentals of 0.01 a month for one day: 3 / 30.44 = 0.0986 in all, 0.000 each."""
    rows = [
        record(f"P-{n}", monthlyRate=Decimal("0.01"), forecastEnd="2025-12-02") for n in range(300)
    ]
    assert stats(a_world(database_url, *rows)).figures.cost.forecast.total == Decimal("0.10")


def test_halves_of_cents_are_rounded_up(database_url: str) -> None:
    price = {"source": "Purchase", "purchasePrice": Decimal("2.005")}
    world = a_world(database_url, record("P-1", **price), record("P-2", **price))
    assert stats(world, id=("P-1",)).figures.total_purchase_cost == Decimal("2.01")
    assert stats(world).figures.total_purchase_cost == Decimal("4.01")


def test_money_beyond_binary_floats_keeps_its_cents(database_url: str) -> None:
    price = {"source": "Purchase", "purchasePrice": Decimal("999999999999999.01")}
    world = a_world(database_url, *(record(f"P-{n}", **price) for n in range(10)))
    assert stats(world).figures.total_purchase_cost == Decimal("9999999999999990.10")
