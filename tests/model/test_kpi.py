"""KPI formulas (domain.md 8): days, money, rounding."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import PermissionDenied
from pfa_core.model.costing import Costing
from pfa_core.model.figures import Cost, PhaseCost, Stats
from pfa_core.model.kpi import Sums, Tally, figures, total
from pfa_core.model.money import RATE_DAYS, cents, days, forecast_money_days, money, quotient
from tests.factories import record
from tests.model.strategies import dates
from tests.model.strategies import money as moneys

MONTHLY = Costing()
counts = st.integers(0, 1000)
tallies = st.dictionaries(st.sampled_from(("EUR", "USD", "CHF")), st.integers(1, 9)).map(Tally)
amounts = st.decimals(0, 10**15, allow_nan=False, allow_infinity=False, places=4)
all_sums = st.builds(
    Sums,
    **{
        name: counts if isinstance(zero, int) else tallies if isinstance(zero, Tally) else amounts
        for name, zero in zip(Sums._fields, Sums(), strict=True)
    },
)


def dec(text: str) -> Decimal:
    return Decimal(text)


def monthly(**sums: Any) -> Sums:
    """Sums over records whose rates are of a month."""
    return Sums(**sums).weighed(MONTHLY, "", "")


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**60), max_value=10**60, places=6
    )
    | st.integers(-(10**9), 10**9).map(lambda halves: RATE_DAYS * halves / 200)
    | st.integers(-(10**45), 10**45).map(lambda halves: RATE_DAYS * 3 * halves),
    st.sampled_from((RATE_DAYS, Decimal(7), Decimal(3), Decimal("0.0003"))),
)
def test_a_quotient_is_rounded_once_half_up_however_long_it_is(amount, divisor):
    exact = Fraction(amount) / Fraction(divisor) * 100
    sign = -1 if exact < 0 else 1
    expected = sign * floor(abs(exact) + Fraction(1, 2))
    found = quotient(amount, divisor)
    assert Fraction(found) * 100 == expected
    assert str(found) == f"{found:.2f}"
    assert str(found) != "-0.00"


def test_the_worked_example_of_the_field():
    crane = record(monthlyRate=5500, forecastStart="2025-12-10", forecastEnd="2025-12-31")
    assert days(crane["forecastStart"], crane["forecastEnd"]) == 21
    assert cents(money(forecast_money_days(crane, MONTHLY))) == dec("3794.35")
    sums = monthly(record_count=1, monthly_rental=dec("5500"), forecast_rate_days=dec(21 * 5500))
    shown = figures(sums, Sums()).cost.forecast
    assert shown == PhaseCost(dec("3794.35"), dec("0.00"), dec("3794.35"))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2025-12-10", "2025-12-31", 21),
        ("2025-12-31", "2026-01-01", 1),
        ("2024-02-28", "2024-03-01", 2),
        ("2025-02-28", "2025-03-01", 1),
        ("2025-03-29", "2025-03-31", 2),
        ("2025-12-10", "2025-12-10", 0),
        ("2025-12-31", "2025-12-10", 0),
        (None, "2025-12-31", 0),
        ("2025-12-31", None, 0),
        ("", "2025-12-31", 0),
        (None, None, 0),
        ("0001-01-01", "9999-12-31", 3_652_058),
    ],
)
def test_days_count_from_start_to_an_exclusive_end_and_never_below_zero(start, end, expected):
    assert days(start, end) == expected


@given(dates, st.integers(0, 1000))
def test_an_end_so_many_days_later_is_so_many_days(start, span):
    first = date.fromisoformat(start)
    if (date.max - first).days >= span:
        assert days(start, (first + timedelta(span)).isoformat()) == span


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("0.005", "0.01"),
        ("0.004999999999", "0.00"),
        ("-0.005", "-0.01"),
        ("-0.004", "0.00"),
        ("-0", "0.00"),
        ("2.675", "2.68"),
        ("1.115", "1.12"),
        ("3794.349540", "3794.35"),
        ("123456789012345678901234567890.125", "123456789012345678901234567890.13"),
    ],
)
def test_amounts_are_rounded_half_up_to_cents_and_zero_has_no_sign(exact, rounded):
    assert str(cents(dec(exact))) == rounded


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        ({"monthlyRate": dec("30.44")}, "30.00"),
        ({"monthlyRate": None}, "0.00"),
        ({"monthlyRate": 0}, "0.00"),
        ({"forecastEnd": None}, "0.00"),
        ({"forecastEnd": "2025-12-01"}, "0.00"),
        ({"forecastEnd": "2025-11-01"}, "0.00"),
        ({"source": "Purchase", "purchasePrice": 150_000}, "150000.00"),
        ({"source": "Purchase", "purchasePrice": 150_000, "forecastStart": None}, "150000.00"),
        ({"source": "Purchase", "purchasePrice": None}, "0.00"),
        ({"isDiscontinued": True}, "0.00"),
        ({"isFundsTransferable": True}, "0.00"),
        ({"isActualized": True, "monthlyRate": dec("30.44")}, "30.00"),
    ],
)
def test_what_one_record_costs(changes, cost):
    assert str(cents(money(forecast_money_days(record(**changes), MONTHLY)))) == cost


def test_the_division_happens_once_at_the_end():
    rate_days = dec(1)
    thirds = [monthly(forecast_rate_days=rate_days)] * 3044
    assert figures(total(thirds), Sums()).cost.forecast.total == dec("100.00")
    assert figures(thirds[0], Sums()).cost.forecast.total * 3044 != dec("100.00")


def test_figures_show_phases_variance_and_what_the_drafts_cost():
    merged = monthly(
        record_count=10, actualized=3, discontinued=1, transferable=2, drafts=4,
        monthly_rental=dec("5500.005"), purchase_cost=dec("100"),
        plan_rate_days=dec("3044"), plan_purchase=dec("100"),
        forecast_rate_days=dec("6088"), forecast_purchase=dec("150"),
        actual_rate_days=dec("304.4"), actual_purchase=dec("50"),
    )  # fmt: skip
    baseline = monthly(
        record_count=10, plan_rate_days=dec("3044"), plan_purchase=dec("100"),
        forecast_rate_days=dec("3044"), forecast_purchase=dec("100"),
    )  # fmt: skip
    shown = figures(merged, baseline)
    assert (
        shown.total_records, shown.actualized_count, shown.discontinued_count,
        shown.funds_transferable_count, shown.draft_count,
    ) == (10, 3, 1, 2, 4)  # fmt: skip
    assert (shown.total_monthly_rental, shown.total_purchase_cost) == (
        dec("5500.01"),
        dec("100.00"),
    )
    assert shown.cost == Cost(
        plan=PhaseCost(dec("100.00"), dec("100.00"), dec("200.00")),
        forecast=PhaseCost(dec("200.00"), dec("150.00"), dec("350.00")),
        actual=PhaseCost(dec("10.00"), dec("50.00"), dec("60.00")),
        variance=dec("150.00"),
        variance_pct=dec("75.00"),
    )
    assert shown.baseline_cost.forecast.total == dec("200.00")
    assert shown.draft_impact == dec("150.00")


def test_without_a_plan_the_variance_has_no_percentage():
    shown = figures(Sums(forecast_purchase=dec("5")), Sums()).cost
    assert (shown.variance, str(shown.variance_pct)) == (dec("5.00"), "0.00")


@pytest.mark.slow
@given(all_sums, all_sums)
def test_what_is_added_can_be_taken_away_to_the_last_digit(one, other):
    assert one.plus(other).plus(other, -1) == one


@pytest.mark.slow
@given(st.lists(all_sums, max_size=5))
def test_a_total_does_not_depend_on_the_order(parts):
    assert total(parts) == total(reversed(parts))


@given(moneys, moneys)
def test_cents_are_never_more_than_half_a_cent_off(one, other):
    exact = Decimal(one) + Decimal(other)
    assert abs(cents(exact) - exact) <= dec("0.005")


def test_half_a_cent_and_half_a_percent_are_rounded_up_whatever_the_quotients():
    """Plan and forecast are no finite decimals by themselves; their difference is a tie."""
    sums = monthly(plan_rate_days=dec("1000"), forecast_rate_days=dec("1156.25"))
    assert figures(sums, Sums()).cost.variance_pct == dec("15.63")
    tie = monthly(plan_rate_days=dec("1"), forecast_rate_days=dec("1") + dec("0.1522"))
    assert figures(tie, Sums()).cost.variance == dec("0.01")


def test_amounts_are_all_known_or_refused():
    known = Stats(figures=figures(Sums(), Sums()), category_breakdown={})
    assert known.with_amounts() is known
    with pytest.raises(PermissionDenied, match="amounts are masked"):
        replace(known, masked=True).with_amounts()
