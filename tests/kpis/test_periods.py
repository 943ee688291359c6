"""Costs by quarter, year and within a period: as counted day by day, and made of the months."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

import pfa_core
from pfa_core import Filters, errors
from pfa_core.model import timeline
from pfa_core.model.figures import MonthGroup, Period, Quantity, Stats
from pfa_core.model.periods import parse_period
from tests.factories import World, a_world, record
from tests.forms import drawn, forms
from tests.kpis import months_by_day
from tests.kpis.test_months import CHANGES, ROWS, SERIES, filled
from tests.server import Server

# The dimensions, and the period as it is asked for and as days.
QUESTIONS: list[tuple[tuple[str, ...], tuple[str, str] | None, tuple[str, str]]] = [
    (("quarter",), None, months_by_day.ALWAYS),
    (("year", "category"), None, months_by_day.ALWAYS),
    (("category", "quarter", "dor"), ("2023-12", "2024-Q1"), ("2023-12-01", "2024-03-31")),
    (("quarter",), ("2024-02-01", "2024-05-31"), ("2024-02-01", "2024-05-31")),
    (("month", "source"), ("2024", "2024-02"), ("2024-01-01", "2024-02-29")),
    (("category", "source"), ("2024", "2024"), ("2024-01-01", "2024-12-31")),
    ((), ("2024-02", "2024-02"), ("2024-02-01", "2024-02-29")),
]


def asked(
    world: World,
    user: str = "ann",
    *,
    period: tuple[str | None, str | None] = (None, None),
    **rest: Any,
) -> Stats:
    start, end = period
    return pfa_core.compute_stats(
        world.db, world.principal(user), Filters(), start=start, end=end, **rest
    )


@pytest.fixture(scope="module")
def shared(postgres: Server, template: str) -> Iterator[World]:
    with postgres.database(template) as url:
        world = a_world(url, users={"ann": "admin", "bob": "admin"})
        yield world
        world.db.close()


@pytest.mark.slow
@drawn("examples", short=2, long=12, night=25)
def test_periods_are_those_counted_day_by_day(shared: World, examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(rows=ROWS, changes=CHANGES)
    def check(rows: list[dict[str, Any]], changes: list[Any]) -> None:
        for user, deltas in filled(shared, rows, changes).items():
            mine = [(row, {**row, **deltas.get(row["pfaId"], ("", {}))[1]}) for row in rows]
            theirs = [(row, row) for row in rows]
            for by, period, days in QUESTIONS:
                require_by_day(shared, user, by, period, days, mine, theirs)

    check()


def require_by_day(
    world: World,
    user: str,
    by: tuple[str, ...],
    period: tuple[str, str] | None,
    days: tuple[str, str],
    mine: list[Any],
    theirs: list[Any],
) -> None:
    """Groups, subtotals and the whole."""
    found = asked(world, user, by=by, period=period or (None, None))

    def right(by: tuple[str, ...]) -> list[MonthGroup]:
        return list(months_by_day.month_groups(mine, theirs, by, period=days))

    assert list(found.months) == (right(by) if by else [])
    subtotals = [group for length in range(1, len(by)) for group in right(by[:length])]
    subtotals.sort(key=lambda group: [(value is None, str(value)) for value in group.key.values()])
    assert list(found.subtotals) == subtotals
    whole = right(()) or [None]
    assert len(whole) == 1
    if whole[0]:
        figures = found.figures
        shown = (figures.cost, figures.baseline_cost, figures.draft_impact, found.quantity)
        assert shown == (
            whole[0].cost,
            whole[0].baseline_cost,
            whole[0].draft_impact,
            whole[0].quantity,
        )


@pytest.fixture
def world(database_url: str) -> World:
    """A rental of a third of a cent a day from November to June, and a purchase without a date."""
    long = record(
        "P-1", monthlyRate=Decimal("0.1015"), forecastStart="2025-11-15", forecastEnd="2026-06-16"
    )
    undated = {"forecastStart": None, "forecastEnd": None, "originalStart": None}
    bare = record("P-2", source="Purchase", purchasePrice=7, category="Loader", **undated)
    return a_world(database_url, long, bare)


class TestAddUp:
    def test_months_to_quarters_and_quarters_to_years_to_the_cent(self, world: World) -> None:
        months = asked(world, by=("month",)).months
        quarters = asked(world, by=("quarter",)).months
        years = asked(world, by=("year",)).months
        for whole, parts, starts in (
            (quarters, months, lambda q: [f"{q[:4]}-{3 * int(q[6]) - n:02}" for n in (2, 1, 0)]),
            (years, quarters, lambda y: [f"{y}-Q{n}" for n in (1, 2, 3, 4)]),
        ):
            for group in whole:
                (value,) = group.key.values()
                chosen = [
                    p
                    for p in parts
                    if (*p.key.values(),)[0] in (starts(value) if value else [None])
                ]
                for name, of in SERIES.items():
                    assert sum(map(of, chosen)) == of(group), (value, name)

    def test_a_month_is_the_same_in_any_period(self, world: World) -> None:
        always = {g.key["month"]: g for g in asked(world, by=("month",)).months}
        within = asked(world, by=("month",), period=("2026-02", "2026-04"))
        assert [always[g.key["month"]] for g in within.months] == list(within.months)
        assert [g.key["month"] for g in within.months] == ["2026-02", "2026-03", "2026-04"]
        for name, of in SERIES.items():
            assert sum(map(of, within.months)) == of(within.figures), name

    def test_what_has_no_date_is_in_no_period(self, world: World) -> None:
        assert asked(world).figures.cost.plan.purchase == 7
        assert asked(world, period=("1900", "9998")).figures.cost.plan.purchase == 0
        assert asked(world, by=("year",)).months[-1].key == {"year": None}

    def test_counts_are_of_all_records(self, world: World) -> None:
        found = asked(world, period=("2026-05", None))
        assert found.figures.total_records == 2
        assert found.quantity == Quantity(0, 1, 0)
        assert found.period == Period("2026-05-01", None)

    def test_a_record_counts_once_in_a_quarter(self, world: World) -> None:
        quantities = [g.quantity.forecast for g in asked(world, by=("quarter",)).months]
        assert quantities == [1, 1, 1, 0]


class TestTop:
    def test_others_are_the_other_periods_together(self, world: World) -> None:
        found = asked(world, by=("month",), sort="-forecast", top=2)
        assert [len(found.months), found.others[0].group_count] == [2, 7]
        for name, of in SERIES.items():
            shown = [*found.months, *found.others]
            assert sum(map(of, shown)) == of(found.figures), name
        assert found.others[0].quantity is None  # a record may be there in several of them

    def test_others_of_each_period(self, world: World) -> None:
        found = asked(world, by=("year", "category"), top=1)
        assert [group.key for group in found.subtotals] == [{"year": None}]
        assert [(item.key, item.group_count) for item in found.others] == [({}, 2)]
        found = asked(world, by=("year", "category"), sort="year", top=1)
        assert [group.key for group in found.months] == [{"year": "2025", "category": "Crane"}]


class TestRead:
    @pytest.mark.parametrize(
        ("start", "end", "days"),
        [
            ("2026", "2026", ("2026-01-01", "2026-12-31")),
            ("2026-Q2", "2026-Q2", ("2026-04-01", "2026-06-30")),
            ("2026-02", "2024-02", None),
            ("2024-02", "2024-02", ("2024-02-01", "2024-02-29")),
            ("2026-03-01", "2026-03-31", ("2026-03-01", "2026-03-31")),
            (None, "2026", (None, "2026-12-31")),
            ("2026-03-02", None, None),
            (None, "2026-03-30", None),
            (None, "2026-02-29", None),
            ("2026-13", None, None),
            ("2026-Q5", None, None),
            ("26", None, None),
            ("٢٠٢٦", None, None),
            ("0000", None, None),
            ("today", None, None),
        ],
    )
    def test_a_period(
        self, start: str | None, end: str | None, days: tuple[str | None, str | None] | None
    ) -> None:
        if days is None:
            with pytest.raises(errors.InvalidRequest):
                parse_period(start, end)
        else:
            assert parse_period(start, end) == Period(*days)

    # To count the months of two ends that are as far as can be takes seconds.
    @forms(("end", "most"), short=("2099-12-31", 1_000), long=("9999-12-31", timeline.MOST_GROUPS))
    def test_a_far_end_is_cut_off_by_the_period(
        self, database_url: str, end: str, most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(timeline, "MOST_GROUPS", most)
        rows = [
            record(f"P-{number}", category=f"C{number}", forecastEnd=end) for number in range(2)
        ]
        world = a_world(database_url, *rows)
        with pytest.raises(errors.InvalidRequest, match=f"more than {most:,} months") as refused:
            asked(world, by=("category", "month"))
        assert "--to 2030" in refused.value.hint
        months = asked(world, by=("category", "month"), period=(None, "2026-01")).months
        assert [group.key["month"] for group in months] == ["2025-12", "2026-01"] * 2
