"""Forecast against plan on the sample project, by one command each; the answers are computed from its file."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

import pytest

from tests.acceptance.conftest import Record
from tests.program import Pfa

DRAFT = ("--category", "Crane", "--source", "Rental", "--no-actualized")


def cents(amount: Fraction) -> Decimal:
    found = floor(abs(amount) * 100 + Fraction(1, 2))
    return Decimal(found if amount >= 0 else -found).scaleb(-2) + 0


def counts(record: Record) -> bool:
    return not (record["isDiscontinued"] or record["isFundsTransferable"])


def cost(record: Record, phase: str, last: str = "9999-12-31") -> Fraction:
    """What a record costs in a phase up to a day, the last one, by the formula of the field."""
    start, end = record[f"{phase}Start"], record[f"{phase}End"]
    if not counts(record) or (phase == "actual" and not (start and end)):
        return Fraction(0)
    if record["source"] == "Purchase":
        there = last == "9999-12-31" or (start is not None and start <= last)
        return Fraction(record["purchasePrice"] or 0) if there else Fraction(0)
    if not start or not end:
        return Fraction(0)
    until = min(date.fromisoformat(end).toordinal(), date.fromisoformat(last).toordinal() + 1)
    days = max(0, until - date.fromisoformat(start).toordinal())
    return days * Fraction(record["monthlyRate"] or 0) / Fraction("30.44")


def sums(records: Iterable[Record]) -> dict[str, Fraction]:
    chosen = list(records)
    plan = sum((cost(record, "original") for record in chosen), Fraction(0))
    forecast = sum((cost(record, "forecast") for record in chosen), Fraction(0))
    actual = sum((cost(record, "actual") for record in chosen), Fraction(0))
    return {"plan": plan, "forecast": forecast, "actual": actual, "variance": forecast - plan}


def by(records: Iterable[Record], *names: str) -> dict[tuple[str, ...], list[Record]]:
    found: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        found[tuple(record[name] for name in names)].append(record)
    return found


def shown(part: Any) -> dict[str, Decimal]:
    costs = part["cost"]
    totals = {phase: costs[phase]["total"] for phase in ("plan", "forecast", "actual")}
    return {**totals, "variance": costs["variance"]}


def right(records: Iterable[Record]) -> dict[str, Decimal]:
    return {name: cents(amount) for name, amount in sums(records).items()}


def flat(parts: Iterable[list[Record]]) -> list[Record]:
    return [record for part in parts for record in part]


@pytest.mark.long
def test_forecast_against_plan_by_category_the_worst_first(pfa: Pfa, records: list[Record]) -> None:
    groups = by(records, "category")
    worst = sorted(groups, key=lambda key: -sums(groups[key])["variance"])
    found = pfa("stats", "--by", "category", "--sort", "-variance", "--top", "5", "-o", "json").json
    assert [group["key"]["category"] for group in found["groups"]] == [key[0] for key in worst[:5]]
    for group, key in zip(found["groups"], worst, strict=False):
        assert shown(group) == right(groups[key])
        assert group["total_records"] == len(groups[key])
    (others,) = found["others"]
    assert others["group_count"] == len(worst) - 5
    assert shown(others) == right(flat(groups[key] for key in worst[5:]))
    assert shown(found["data"]) == right(records)
    assert found["data"]["total_records"] == len(records) == 20_280


@pytest.mark.long
def test_a_table_of_80_columns_has_all_of_it(
    pfa: Pfa, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each category with plan, forecast, variance and per cent, the others, and the total, whole."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("pfa_cli.render.streams.is_terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    table = pfa("stats", "--by", "category", "--top", "3", "--no-pager").lines
    assert max(map(len, table)) <= 80
    (head,) = [number for number, line in enumerate(table) if line.startswith("category ")]
    assert table[head].split() == ["category", "plan", "forecast", "variance", "%"]
    lines = [line.split("  ") for line in table[head + 2 : head + 7]]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    groups = by(records, "category")
    greatest = sorted(groups, key=lambda key: -sums(groups[key])["forecast"])
    parts = [*(groups[key] for key in greatest[:3]), flat(groups[key] for key in greatest[3:])]
    for name, part, line in zip(
        [*(key[0] for key in greatest[:3]), f"others ({len(groups) - 3})", "total"],
        [*parts, records],
        cells,
        strict=True,
    ):
        of = right(part)
        assert line[:4] == [
            name,
            f"{of['plan']:,.2f}",
            f"{of['forecast']:,.2f}",
            f"{of['variance']:+,.2f}",
        ]


@pytest.mark.long
def test_two_fields_with_subtotals(pfa: Pfa, records: list[Record]) -> None:
    words = ("stats", "--by", "category", "--by", "area-silo", "-o", "json")
    found = pfa(*words).json
    leaves, wholes = by(records, "category", "areaSilo"), by(records, "category")
    assert [tuple(group["key"].values()) for group in found["groups"]] == sorted(leaves)
    for group in found["groups"]:
        assert shown(group) == right(leaves[tuple(group["key"].values())])
    assert [group["key"] for group in found["subtotals"]] == [
        {"category": key[0]} for key in sorted(wholes)
    ]
    for group in found["subtotals"]:
        assert shown(group) == right(wholes[group["key"]["category"],])
    top = pfa(*words, "--top", "2").json
    assert (len(top["groups"]), len(top["others"])) == (4, 3)
    counted = [*top["groups"], *top["others"]]
    assert sum(part["total_records"] for part in counted) == len(records)


PERIODS = (
    ("2025-Q4", "2025-10-01", "2025-12-31"),
    ("2026-Q1", "2026-01-01", "2026-03-31"),
    ("2026-Q2", "2026-04-01", "2026-06-30"),
)


def upto(records: list[Record], day: str, phase: str) -> Decimal:
    return cents(sum((cost(record, phase, day) for record in records), Fraction(0)))


@pytest.mark.long
def test_quarters_of_a_period(pfa: Pfa, records: list[Record]) -> None:
    """Each is the difference of the rounded sums up to its last day and up to the day before it."""
    found = pfa(
        "stats", "--by", "quarter", "--from", "2025-Q4", "--to", "2026-06-30", "-o", "json"
    ).json
    assert [group["key"]["quarter"] for group in found["groups"]] == [
        name for name, _, _ in PERIODS
    ]
    phases = {"plan": "original", "forecast": "forecast", "actual": "actual"}
    for name, phase in phases.items():
        ends = [
            upto(records, day, phase) for day in ("2025-09-30", *(last for *_, last in PERIODS))
        ]
        gained = [after - before for before, after in pairwise(ends)]
        assert [group["cost"][name]["total"] for group in found["groups"]] == gained
        assert found["data"]["cost"][name]["total"] == sum(gained)
        edge = phase + "Start", phase + "End"
        for group, (_, first, last) in zip(found["groups"], PERIODS, strict=True):
            there = [
                record
                for record in records
                if counts(record)
                and all(record[name] for name in edge)
                and record[edge[0]] < record[edge[1]]
                and record[edge[0]] <= last
                and record[edge[1]] > first
            ]
            assert group["quantity"][name] == len(there)


@pytest.fixture
def drafted(pfa: Pfa, records: list[Record]) -> list[tuple[Record, Record]]:
    """Each record as PEMS has it and as the user sees it: cranes are 5 % dearer, two are dropped."""
    words = ("draft", "set", *DRAFT, "monthlyRate=+5%", "--into", "s", "-q")
    assert pfa(*words, "--skip-missing").code == 0

    def edit(record: Record) -> Record:
        crane = record["category"] == "Crane" and record["source"] == "Rental"
        if not crane or record["isActualized"] or record["monthlyRate"] is None:
            return record
        return {**record, "monthlyRate": Fraction(record["monthlyRate"]) * Fraction(105, 100)}

    return [(record, edit(record)) for record in records]


def amounts(theirs: Record, mine: Record) -> tuple[Fraction | None, ...]:
    plan = cost(theirs, "original") if counts(theirs) else None
    forecast = cost(mine, "forecast") if counts(mine) else None
    actual = cost(mine, "actual") if counts(mine) else None
    variance = None if plan is None and forecast is None else (forecast or 0) - (plan or 0)
    return plan, forecast, actual, variance


COLUMNS = ("planCost", "forecastCost", "actualCost", "variance")


@pytest.mark.long
def test_the_costs_of_records_add_up_to_stats(
    pfa: Pfa, drafted: list[tuple[Record, Record]]
) -> None:
    ran = pfa("list", "-o", "csv", "--columns", ",".join(("pfaId", "category", *COLUMNS)))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    exact = {theirs["pfaId"]: amounts(theirs, mine) for theirs, mine in drafted}
    assert len(rows) == len(exact) == 20_280
    for row in rows:
        for name, amount in zip(COLUMNS, exact[row["pfaId"]], strict=True):
            assert (row[name] == "") == (amount is None)
            assert amount is None or cents(Fraction(Decimal(row[name]))) == cents(amount)

    def added(chosen: Callable[[Record], bool]) -> dict[str, Decimal]:
        of = [row for row in rows if chosen(row)]
        return {
            name.removesuffix("Cost"): sum(Decimal(row[name] or 0) for row in of).quantize(
                Decimal("0.01"), "ROUND_HALF_UP"
            )
            for name in COLUMNS
        }

    found = pfa("stats", "--by", "category", "-o", "json").json
    assert added(lambda row: True) == shown(found["data"])
    for group in found["groups"]:
        of = added(lambda row, name=group["key"]["category"]: row["category"] == name)
        assert of == shown(group)
    impact = [amounts(theirs, mine)[1] or 0 for theirs, mine in drafted]
    before = [amounts(theirs, theirs)[1] or 0 for theirs, _ in drafted]
    assert found["data"]["draft_impact"] == cents(Fraction(sum(impact) - sum(before)))


@pytest.mark.long
def test_the_records_most_over_plan(pfa: Pfa, drafted: list[tuple[Record, Record]]) -> None:
    exact = {theirs["pfaId"]: amounts(theirs, mine)[3] for theirs, mine in drafted}
    present = sorted((-amount, name) for name, amount in exact.items() if amount is not None)
    wanted = [name for _, name in present] + sorted(n for n, a in exact.items() if a is None)
    assert pfa("list", "--sort", "-variance", "-o", "ids").lines == wanted
    page = pfa("list", "--sort", "-variance", "--page", "3", "--page-size", "20", "-o", "ids")
    assert page.lines == wanted[40:60]
    table = pfa("list", "--sort", "-variance", "--limit", "3", "-o", "table").lines
    assert table[0].split()[-1] == "variance"
    shown_ = [line.split()[-1].replace(",", "") for line in table[2:5]]
    assert [Decimal(text) for text in shown_] == [
        cents(exact[name] or Fraction(0)) for name in wanted[:3]
    ]
