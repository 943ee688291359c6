"""Costs by month the slow way: record by record and day by day, with no code of the library's.

Only the shape of the answer, `MonthGroup`, is the library's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from pfa_core.model.figures import Cost, MonthGroup, PhaseCost, Quantity
from tests.acceptance.brute_force import MONTHLY, Settings

Record = Mapping[str, Any]
# (As the mirror has it, as the user sees it.)
Pairs = Iterable[tuple[Record, Record]]
_PHASES = {"plan": "original", "forecast": "forecast", "actual": "actual"}


PERIODS = ("month", "quarter", "year")
NAMES = {
    "month": lambda day: day[:7],
    "quarter": lambda day: f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}",
    "year": lambda day: day[:4],
}
ALWAYS = ("", "~")
# What is before the period, and what is after it or has no date: in the order of the others.
EARLIER, WITHIN, LATER = "0", "1", "9~"
Bucket = Callable[[str | None], str | None]


@dataclass
class Month:
    """What falls into one month, by phase: what the rentals there cost on each day, Σ prices, and
    which records are there."""

    daily: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    prices: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    records: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def money(self, phase: str) -> tuple[Fraction, Fraction]:
        return self.daily[phase], self.prices[phase]


Months = dict[str | None, Month]


def month_groups(
    merged: Pairs,
    without: Pairs,
    by: Sequence[str],
    settings: Settings = MONTHLY,
    period: tuple[str, str] = ALWAYS,
) -> tuple[MonthGroup, ...]:
    """The groups of the pairs: `merged` chosen by what the user sees, `without` by the mirror.

    Without a month, quarter or year in the key, the whole of what is in the period."""
    bucket = _buckets(by, period)
    mine = _by_key(merged, by, settings, bucket)
    theirs = _by_key(without, by, settings, bucket)
    found = [
        MonthGroup(
            key={name: month if name in PERIODS else key[name] for name in by},
            quantity=quantity,
            cost=cost,
            baseline_cost=baseline_cost,
            draft_impact=impact,
        )
        for key, months, others in (
            (dict(values), mine.get(values, {}), theirs.get(values, {}))
            for values in mine.keys() | theirs.keys()
        )
        for month, quantity, cost, baseline_cost, impact in _in_order(months, others)
        if month not in (EARLIER, LATER)
    ]
    return tuple(sorted(found, key=lambda group: [str(v) for v in group.key.values()]))


def _by_key(
    pairs: Pairs, by: Sequence[str], settings: Settings, bucket: Bucket
) -> dict[tuple[tuple[str, Any], ...], Months]:
    groups: dict[tuple[tuple[str, Any], ...], Months] = {}
    for theirs, mine in pairs:
        key = tuple(
            (name, "" if mine[name] is None else mine[name]) for name in by if name not in PERIODS
        )
        months = groups.setdefault(key, defaultdict(Month))
        for phase in _PHASES:
            _spread(months, phase, theirs if phase == "plan" else mine, settings, bucket)
    return groups


def _buckets(by: Sequence[str], period: tuple[str, str]) -> Bucket:
    """What tells in which line a day is."""
    names = [name for name in by if name in PERIODS]

    def bucket(day: str | None) -> str | None:
        if period != ALWAYS and (day is None or day > period[1]):
            return LATER
        if day is not None and day < period[0]:
            return EARLIER
        if not names:
            return WITHIN
        return NAMES[names[0]](day) if day else None

    return bucket


def _spread(months: Months, phase: str, record: Record, settings: Settings, bucket: Bucket) -> None:
    if not settings.counts(record):
        return
    start, end = (record[_PHASES[phase] + edge] for edge in ("Start", "End"))
    if record["isDiscontinued"] or record["isFundsTransferable"]:
        return
    if phase == "actual" and not (start and end):
        return
    purchase = record["source"] == "Purchase"
    if purchase:
        months[bucket(start)].prices[phase] += settings.price(record)
    if not (start and end):
        return
    daily = settings.daily(record)
    day, last = date.fromisoformat(start), date.fromisoformat(end)
    while day < last:
        month = months[bucket(day.isoformat())]
        month.records[phase].add(record["pfaId"])
        if not purchase:
            month.daily[phase] += daily
        day += timedelta(days=1)


def _in_order(mine: Months, theirs: Months) -> Iterable[tuple[Any, ...]]:
    """Month, quantity, cost, baseline cost and impact; each amount what the rounded sum gains by it."""
    amounts = _amounts(Month(), Month())
    before = {name: Fraction(0) for name in amounts}
    for name in sorted(mine.keys() | theirs.keys(), key=lambda month: month or "~"):
        here, there = mine.get(name, Month()), theirs.get(name, Month())
        amounts = _amounts(here, there)
        quantity = Quantity(*(len(here.records[phase]) for phase in _PHASES))
        if not any(amounts.values()) and quantity == Quantity(0, 0, 0):
            continue
        now = {series: before[series] + amount for series, amount in amounts.items()}
        shown = {series: _cents(now[series]) - _cents(before[series]) for series in now}
        yield (
            name,
            quantity,
            _cost("mine", shown, _percent("mine", amounts)),
            _cost("theirs", shown, _percent("theirs", amounts)),
            shown["impact", "", ""],
        )
        before = now


def _amounts(mine: Month, theirs: Month) -> dict[tuple[str, str, str], Fraction]:
    amounts: dict[tuple[str, str, str], Fraction] = {}
    for whose, month in (("mine", mine), ("theirs", theirs)):
        for phase in _PHASES:
            rental, purchase = month.money(phase)
            amounts |= {
                (whose, phase, "rental"): rental,
                (whose, phase, "purchase"): purchase,
                (whose, phase, "total"): rental + purchase,
            }
        plan, forecast = amounts[whose, "plan", "total"], amounts[whose, "forecast", "total"]
        amounts[whose, "variance", ""] = forecast - plan
    forecasts = (amounts[whose, "forecast", "total"] for whose in ("mine", "theirs"))
    return amounts | {("impact", "", ""): next(forecasts) - next(forecasts)}


def _percent(whose: str, amounts: Mapping[tuple[str, str, str], Fraction]) -> Decimal:
    plan = amounts[whose, "plan", "total"]
    return _cents(amounts[whose, "variance", ""] / plan * 100 if plan > 0 else Fraction(0))


def _cost(whose: str, shown: Mapping[tuple[str, str, str], Decimal], percent: Decimal) -> Cost:
    phases = {
        phase: PhaseCost(*(shown[whose, phase, kind] for kind in ("rental", "purchase", "total")))
        for phase in _PHASES
    }
    return Cost(**phases, variance=shown[whose, "variance", ""], variance_pct=percent)


def _cents(amount: Fraction) -> Decimal:
    """Rounded half up, away from zero."""
    cents = floor(abs(amount) * 100 + Fraction(1, 2))
    return Decimal(cents if amount >= 0 else -cents).scaleb(-2) + 0
