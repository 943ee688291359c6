"""Costs by month: as counted day by day, adding up to the totals, exactly and to the cent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import Change, Filters, errors
from pfa_core.model import months, timeline
from pfa_core.model.costing import Costing
from pfa_core.model.figures import Cost, Figures, MonthGroup, PhaseCost, Quantity, Stats
from pfa_core.model.kpi import total
from pfa_core.model.money import EXACT
from pfa_core.store.reads import sums
from pfa_core.store.reads.sums import Part
from tests.factories import World, a_world, commit, draft, record
from tests.forms import drawn
from tests.kpis import months_by_day
from tests.life_cycle.views import stats
from tests.server import Server

MONTH = Decimal("30.44")
SERIES: dict[str, Callable[[Any], Decimal]] = {
    f"{whose} {phase} {kind}": lambda item, w=whose, p=phase, k=kind: getattr(
        getattr(getattr(item, w), p), k
    )
    for whose in ("cost", "baseline_cost")
    for phase in ("plan", "forecast", "actual")
    for kind in ("rental", "purchase", "total")
} | {
    "variance": lambda item: item.cost.variance,
    "baseline variance": lambda item: item.baseline_cost.variance,
    "draft impact": lambda item: item.draft_impact,
}


def shown(result: Stats) -> dict[tuple[Any, ...], tuple[Quantity, Decimal, Decimal, Decimal]]:
    """By key: the quantities, and the totals of plan, forecast and actual."""
    return {
        tuple(group.key.values()): (
            group.quantity,
            group.cost.plan.total,
            group.cost.forecast.total,
            group.cost.actual.total,
        )
        for group in result.months
    }


def forecast(result: Stats) -> dict[Any, tuple[int, Decimal]]:
    """By month: how many records are forecast, and at what cost."""
    return {
        key[0]: (quantity.forecast, cost) for key, (quantity, _, cost, _) in shown(result).items()
    }


def assert_adds_up(groups: Iterable[MonthGroup], whole: Figures) -> None:
    groups = list(groups)
    for name, of in SERIES.items():
        assert sum(map(of, groups)) == of(whole), name


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), "ROUND_HALF_UP")


class TestRentals:
    def test_a_rental_is_spread_over_its_days_and_its_last_one_is_not_among_them(
        self, database_url: str
    ) -> None:
        row = record(monthlyRate=3044, forecastStart="2025-12-30", forecastEnd="2026-02-02")
        assert forecast(stats(a_world(database_url, row), by=("month",))) == {
            "2025-12": (1, Decimal("200.00")),
            "2026-01": (1, Decimal("3100.00")),
            "2026-02": (1, Decimal("100.00")),
        }

    def test_one_that_ends_on_the_first_is_not_there_in_that_month(self, database_url: str) -> None:
        row = record(monthlyRate=3044, forecastStart="2024-02-01", forecastEnd="2024-03-01")
        assert forecast(stats(a_world(database_url, row), by=("month",)))["2024-02"] == (
            1,
            Decimal("2900.00"),
        )
        assert "2024-03" not in forecast(stats(a_world(database_url, organization="B")))

    @pytest.mark.variants(2)
    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-01-05", "2026-01-05"),
            ("2026-01-05", "2025-12-01"),
            (None, "2026-01-05"),
            ("2026-01-05", None),
            (None, None),
        ],
    )
    def test_one_without_days_is_in_no_month(
        self, database_url: str, start: str | None, end: str | None
    ) -> None:
        row = record(forecastStart=start, forecastEnd=end)
        assert all(
            group.quantity.forecast == 0 and group.cost.forecast.total == 0
            for group in stats(a_world(database_url, row), by=("month",)).months
        )

    def test_one_without_a_rate_is_counted_all_the_same(self, database_url: str) -> None:
        world = a_world(database_url, record(monthlyRate=None))
        assert shown(stats(world, by=("month",))) == {
            ("2025-12",): (Quantity(1, 1, 0), Decimal("0.00"), Decimal("0.00"), Decimal("0.00"))
        }

    def test_months_in_which_nothing_is_there_are_left_out(self, database_url: str) -> None:
        later = record("P-2", forecastStart="2026-03-01", forecastEnd="2026-03-02")
        found = forecast(stats(a_world(database_url, record("P-1"), later), by=("month",)))
        assert list(found) == ["2025-12", "2026-03"]


class TestPurchases:
    PRICE = Decimal("5000.05")

    def bought(self, **fields: Any) -> dict[str, Any]:
        return record(source="Purchase", purchasePrice=self.PRICE, monthlyRate=7, **fields)

    def test_a_purchase_is_wholly_in_its_first_month_and_counted_in_all(
        self, database_url: str
    ) -> None:
        row = self.bought(forecastStart="2026-01-31", forecastEnd="2026-03-02")
        assert forecast(stats(a_world(database_url, row), by=("month",))) == {
            "2025-12": (0, Decimal("0.00")),
            "2026-01": (1, self.PRICE),
            "2026-02": (1, Decimal("0.00")),
            "2026-03": (1, Decimal("0.00")),
        }

    @pytest.mark.parametrize("end", ["2026-01-31", "2026-01-01", None])
    def test_one_without_days_costs_its_price_in_its_month(
        self, database_url: str, end: str | None
    ) -> None:
        row = self.bought(forecastStart="2026-01-31", forecastEnd=end)
        found = forecast(stats(a_world(database_url, row), by=("month",)))
        assert found["2026-01"] == (0, self.PRICE)

    def test_one_without_a_start_is_undated_and_comes_last(self, database_url: str) -> None:
        row = self.bought(forecastStart=None)
        result = stats(a_world(database_url, row), by=("month",))
        assert list(forecast(result)) == ["2025-12", None]
        assert forecast(result)[None] == (0, self.PRICE)
        assert_adds_up(result.months, result.figures)

    def test_as_actual_it_costs_only_with_both_dates(self, database_url: str) -> None:
        with_one = self.bought(actualStart="2026-05-01")
        world = a_world(database_url, {**with_one, "pfaId": "P-2"})
        assert ("2026-05",) not in shown(stats(world, by=("month",)))
        world = a_world(database_url, {**with_one, "actualEnd": "2026-05-01"}, organization="B")
        assert shown(stats(world, by=("month",)))[("2026-05",)] == (
            Quantity(0, 0, 0),
            Decimal("0.00"),
            Decimal("0.00"),
            self.PRICE,
        )


class TestDrafts:
    def test_a_shift_moves_the_forecast_and_not_the_plan(self, database_url: str) -> None:
        world = a_world(
            database_url, record(monthlyRate=3044), users={"ann": "admin", "bob": "editor"}
        )
        draft(world.db, world.principal(), forecastStart="2026-01-01", forecastEnd="2026-01-31")
        cost, none = Decimal("3000.00"), Decimal("0.00")
        planned, moved = stats(world, by=("month",)).months
        assert (planned.key, planned.quantity) == ({"month": "2025-12"}, Quantity(1, 0, 0))
        assert planned.cost.variance == planned.draft_impact == -cost
        assert planned.baseline_cost.forecast.total == cost
        assert (moved.key, moved.quantity) == ({"month": "2026-01"}, Quantity(0, 1, 0))
        assert moved.cost.variance == moved.draft_impact == cost
        assert moved.cost.variance_pct == none
        assert planned.cost.variance_pct == Decimal("-100.00")
        assert planned.baseline_cost.variance_pct == none
        assert [group.key["month"] for group in stats(world, "bob", by=("month",)).months] == [
            "2025-12"
        ]
        assert stats(world, by=("month",), baseline=True) == stats(world, "bob", by=("month",))

    def test_a_month_everybody_left_stays_while_that_moved_money(self, database_url: str) -> None:
        world = a_world(database_url, record(originalStart=None))
        draft(world.db, world.principal(), isDiscontinued=True)
        (left,) = stats(world, by=("month",)).months
        assert left.quantity == Quantity(0, 0, 0)
        assert left.draft_impact == -cents(30 * 1000 / MONTH)


class TestGroups:
    def test_the_key_is_in_the_order_asked_for(self, database_url: str) -> None:
        rows = (
            record("P-1", dor="BEO", forecastEnd="2026-01-02"),
            record("P-2", dor="PROJECT"),
        )
        world = a_world(database_url, *rows)
        assert [tuple(g.key.items()) for g in stats(world, by=("month", "dor")).months] == [
            (("month", "2025-12"), ("dor", "BEO")),
            (("month", "2025-12"), ("dor", "PROJECT")),
            (("month", "2026-01"), ("dor", "BEO")),
        ]
        assert [tuple(g.key.items()) for g in stats(world, by=("dor", "month")).months] == [
            (("dor", "BEO"), ("month", "2025-12")),
            (("dor", "BEO"), ("month", "2026-01")),
            (("dor", "PROJECT"), ("month", "2025-12")),
        ]

    def test_groups_without_a_month_and_months_exclude_each_other(self, database_url: str) -> None:
        world = a_world(database_url, record())
        assert stats(world, by=("dor",)).months == stats(world).months == ()
        assert stats(world, by=("month", "dor")).groups == ()
        assert stats(world, by=("month", "dor")).figures == stats(world).figures

    def test_an_empty_organization_has_no_months(self, database_url: str) -> None:
        assert stats(a_world(database_url), by=("month",)).months == ()

    @pytest.mark.parametrize(
        "by", [("month", "month"), ("month", "dor", "dor"), ("month", "week"), ("Month",), ("",)]
    )
    def test_what_is_no_dimension_or_stands_twice_is_refused(
        self, database_url: str, by: tuple[str, ...]
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            stats(a_world(database_url), by=by)

    @pytest.mark.parametrize(
        "about_me", [{"state": ("draft",)}, {"session": ("s",)}, {"changed": True}]
    )
    def test_the_baseline_knows_nothing_of_me(
        self, database_url: str, about_me: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            stats(a_world(database_url), by=("month",), baseline=True, **about_me)

    def test_more_months_than_anybody_reads_are_refused(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(timeline, "MOST_GROUPS", 12)
        year = {"forecastStart": "9999-01-01", "forecastEnd": "9999-12-31", "originalEnd": None}
        world = a_world(
            database_url, *(record(f"P-{n}", category=f"C {n}", **year) for n in (1, 2))
        )
        assert len(stats(world, by=("month",)).months) == 12
        with pytest.raises(errors.InvalidRequest, match="more than 12 months"):
            stats(world, by=("month", "category"))


class TestRounding:
    def test_months_that_would_each_lose_their_fraction_add_up(self, database_url: str) -> None:
        """0.015 a month is 0.0138 in February and 0.0153 in January: each month by itself would
        be 0.01 or 0.02, mostly 0.02, and the year would seem to cost a third more than it does."""
        row = record(
            monthlyRate=Decimal("0.015"), forecastStart="2026-01-01", forecastEnd="2027-01-01"
        )
        result = stats(a_world(database_url, row), by=("month",))
        assert result.figures.cost.forecast.total == cents(365 * Decimal("0.015") / MONTH)
        months = [group.cost.forecast.total for group in result.months if group.quantity.forecast]
        alone = [cents(31 * Decimal("0.015") / MONTH)] * 12
        assert sum(months) == Decimal("0.18") != sum(alone)
        assert set(months) == {Decimal("0.01"), Decimal("0.02")}

    @pytest.mark.slow
    def test_huge_amounts_keep_their_cents(self, database_url: str) -> None:
        rate = Decimal("999999999999999.990000000001")
        rows = [
            record(f"P-{n}", monthlyRate=rate, forecastEnd="2031-03-07", originalEnd="2030-01-09")
            for n in range(12)
        ]
        result = stats(a_world(database_url, *rows), by=("month",))
        assert_adds_up(result.months, result.figures)
        pairs = [(row, row) for row in rows]
        assert result.months == months_by_day.month_groups(pairs, pairs, ("month",))


# Short spans around the ends of months and of leap years, days that are no span, missing days.
DAYS = st.sampled_from(
    (None, "2023-12-31", "2024-01-01", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02")
) | st.dates(months_by_day.date(2023, 11, 1), months_by_day.date(2025, 3, 3)).map(str)
MONEY = st.none() | st.sampled_from((0, 1, Decimal("0.015"), Decimal("0.005"), 3044)) | st.decimals(
    0, 10**14, places=4
)  # fmt: skip
DATES = (
    "originalStart", "originalEnd", "forecastStart", "forecastEnd", "actualStart", "actualEnd",
)  # fmt: skip
FLAGS = st.sampled_from((False, False, False, True))
IDS = [f"P-{number}" for number in range(6)]
ROWS = st.lists(
    st.builds(
        record,
        st.sampled_from(IDS),
        category=st.sampled_from(("Crane", "Loader", "")),
        dor=st.sampled_from(("BEO", "PROJECT")),
        manufacturer=st.sampled_from(("Liebherr", "")),
        contract=st.sampled_from(("C-1", None)),
        source=st.sampled_from(("Rental", "Rental", "Purchase")),
        isDiscontinued=FLAGS,
        isFundsTransferable=FLAGS,
        monthlyRate=MONEY,
        purchasePrice=MONEY,
        rateUom=st.sampled_from((None, None, "month", "week", "day", "28-day")),
        **dict.fromkeys(DATES, DAYS),
    ),
    min_size=3,
    max_size=6,
    unique_by=lambda row: row["pfaId"],
)


def in_order(phase: str) -> st.SearchStrategy[dict[str, Any]]:
    """Two days as a delta, the later one last: the rules refuse another order."""
    both = st.tuples(DAYS, DAYS).map(lambda days: sorted(days, key=lambda day: day or "~"))
    return both.map(lambda days: {f"{phase}Start": days[0], f"{phase}End": days[1]})


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "category": st.sampled_from(("Crane", "Loader")),
        "dor": st.sampled_from(("BEO", "PROJECT")),
        "source": st.sampled_from(("Rental", "Purchase")),
    },
)
PRICES = st.fixed_dictionaries(
    dict.fromkeys(("monthlyRate", "purchasePrice"), MONEY.map(lambda m: m or 1))
)
NOTHING = st.just({})
DELTAS = st.tuples(
    VALUES,
    NOTHING | PRICES,
    NOTHING | in_order("forecast"),
    NOTHING | in_order("actual"),
    NOTHING
    | st.just({"isDiscontinued": True, "isFundsTransferable": False})
    | st.just({"isFundsTransferable": True}),
).map(lambda parts: {name: value for part in parts for name, value in part.items()})
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("ann", "bob")),
        st.integers(0, 5),
        st.sampled_from("st"),
        DELTAS.filter(bool),
    ),
    max_size=8,
    unique_by=lambda change: change[:2],
)
QUESTIONS: list[tuple[tuple[str, ...], dict[str, Any], Callable[[Any], bool]]] = [
    (("month",), {}, lambda row: True),
    (("category", "month"), {}, lambda row: True),
    (("month", "dor"), {"category": ("Crane",)}, lambda row: row["category"] == "Crane"),
    (("manufacturer", "month", "contract"), {}, lambda row: True),
    (
        ("month", "isDiscontinued"),
        {"start_from": "2024-01-01", "transferable": False},
        lambda row: (row["forecastStart"] or "") >= "2024-01-01" and not row["isFundsTransferable"],
    ),
]
# States, sessions and changes choose touched records, and their baseline the same ones.
ABOUT_ME: list[tuple[dict[str, Any], Callable[[str | None], bool]]] = [
    ({"changed": True}, lambda session: session is not None),
    ({"session": ("s",)}, lambda session: session == "s"),
    ({"state": ("draft",)}, lambda session: session == "s"),
    ({"state": ("committed",)}, lambda session: session == "t"),
    ({"state": ("pristine",)}, lambda session: session is None),
    ({"state": ("pristine", "draft")}, lambda session: session in (None, "s")),
]


@pytest.fixture(scope="module")
def shared(postgres: Server, template: str) -> Iterator[World]:
    with postgres.database(template) as url:
        world = a_world(url, users={"ann": "admin", "bob": "admin"})
        yield world
        world.db.close()


def filled(world: World, rows: list[dict[str, Any]], changes: list[Any]) -> dict[str, Any]:
    """The rows in an empty mirror and the changes as drafts, those of session t committed; what came
    of it: by user and record the session and the delta."""
    for table in ("pfa_mirror", "pfa_mirror_history", "kpi_rollup", "pfa_modification", "pfa_overlay",
                  "kpi_overlay", "kpi_month", "kpi_field"):  # fmt: skip
        world.execute(f"DELETE FROM {table}")
    world.pull(rows, allow_emptied=["all"])
    stored: dict[str, Any] = {"ann": {}, "bob": {}}
    for user, number, session, delta in changes:
        pfa_id = rows[number % len(rows)]["pfaId"]
        if pfa_id in stored[user]:
            continue
        change = Change(pfa_id, delta)
        try:
            pfa_core.save(
                world.db, world.principal(user), [change], session_id=session, keep_equal=True
            )
        except errors.PfaError:  # the rules forbid it
            continue
        stored[user][pfa_id] = (session, delta)
    for user, deltas in stored.items():
        sessions = {session for session, _ in deltas.values()}
        if "t" in sessions:
            commit(world.db, world.principal(user), session="t")
    return stored


@drawn("examples", short=2, long=6, night=120)
def test_months_are_those_counted_day_by_day(shared: World, examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(rows=ROWS, changes=CHANGES)
    def check(rows: list[dict[str, Any]], changes: list[Any]) -> None:
        require_months_day_by_day(shared, rows, changes)

    check()


def require_months_day_by_day(
    shared: World, rows: list[dict[str, Any]], changes: list[Any]
) -> None:
    stored = filled(shared, rows, changes)
    same = [(row, row) for row in rows]
    for user, deltas in stored.items():
        sessions = {pfa_id: session for pfa_id, (session, _) in deltas.items()}
        pairs = [(row, {**row, **deltas.get(row["pfaId"], ("", {}))[1]}) for row in rows]
        for by, filters, matches in QUESTIONS:
            theirs = [pair for pair in same if matches(pair[0])]
            mine = [pair for pair in pairs if matches(pair[1])]
            result = stats(shared, user, by=by, **filters)
            assert result.months == months_by_day.month_groups(mine, theirs, by)
            assert_same_as_groups(shared, user, by, filters, result)
            result = stats(shared, user, by=by, baseline=True, **filters)
            assert result.months == months_by_day.month_groups(theirs, theirs, by)
        for filters, chosen in ABOUT_ME:
            by = ("month", "category")
            ids = [row["pfaId"] for row in rows if chosen(sessions.get(row["pfaId"]))]
            mine = [pair for pair in pairs if pair[0]["pfaId"] in ids]
            theirs = [pair for pair in same if pair[0]["pfaId"] in ids]
            result = stats(shared, user, by=by, **filters)
            assert result.months == months_by_day.month_groups(mine, theirs, by)
    assert_exact_sums(shared)


def assert_same_as_groups(
    world: World, user: str, by: tuple[str, ...], filters: dict[str, Any], result: Stats
) -> None:
    """The months of one key are its costs as they are shown without the months."""
    others = tuple(name for name in by if name != "month")
    if not others:
        assert_adds_up(result.months, result.figures)
    for whole in stats(world, user, by=others, **filters).groups:
        mine = [
            group
            for group in result.months
            if all(group.key[name] == whole.key[name] for name in others)
        ]
        assert_adds_up(mine, whole.figures)


def assert_exact_sums(world: World) -> None:
    """Undivided and unrounded, the months of each phase are the sums that the totals are made of."""

    def read(conn: Any) -> tuple[Any, Any]:
        asked = (conn, world.principal(), Part.MIRROR, Filters(), ())
        found = sums.sums(*asked, costing=Costing())
        return sums.moves(*asked, costing=Costing()), total(found.values())

    moves, whole = world.owner.read(read)
    for phase in ("plan", "forecast", "actual"):
        of_phase = {month: here for (name, month), here in moves.items() if name == phase}
        rate_days = purchase = Decimal(0)
        for _, share in months.shares(of_phase):
            rate_days = EXACT.add(rate_days, share.rate_days)
            purchase = EXACT.add(purchase, share.purchase)
        assert rate_days == getattr(whole, f"{phase}_rate_days")
        assert purchase == getattr(whole, f"{phase}_purchase")


def test_a_whole_cost_of_a_month(database_url: str) -> None:
    """What a month shows, value by value: one rental of 31 days, one purchase without a date."""
    bought = record(
        "P-2", source="Purchase", purchasePrice=10, originalStart=None, forecastStart=None
    )
    world = a_world(database_url, record("P-1", monthlyRate=3044, forecastEnd="2026-01-01"), bought)
    none = PhaseCost(*[Decimal("0.00")] * 3)
    plan, forecasted = Decimal("3000.00"), Decimal("3100.00")
    december = Cost(
        plan=PhaseCost(plan, Decimal("0.00"), plan),
        forecast=PhaseCost(forecasted, Decimal("0.00"), forecasted),
        actual=none,
        variance=Decimal("100.00"),
        variance_pct=Decimal("3.33"),
    )
    price = PhaseCost(Decimal("0.00"), Decimal("10.00"), Decimal("10.00"))
    nothing = Decimal("0.00")
    undated = Cost(plan=price, forecast=price, actual=none, variance=nothing, variance_pct=nothing)
    assert stats(world, by=("month",)).months == (
        MonthGroup(
            key={"month": "2025-12"},
            quantity=Quantity(1, 1, 0),
            cost=december,
            baseline_cost=december,
            draft_impact=nothing,
        ),
        MonthGroup(
            key={"month": None},
            quantity=Quantity(0, 0, 0),
            cost=undated,
            baseline_cost=undated,
            draft_impact=nothing,
        ),
    )
