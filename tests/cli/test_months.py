"""`pfa stats --by month`: the same months in every format, adding up to the totals."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.cli.conftest import baseline_record, write_lines
from tests.program import Pfa, a_stage
from tests.terminals import on_terminal

# 2026-01-01 to 2026-01-31 planned, forecast from mid February: 100 a day; one purchase without dates.
COLUMNS = (
    "month,plan_quantity,forecast_quantity,actual_quantity,plan_total,forecast_total,actual_total,"
    "variance,variance_pct,draft_impact,plan_rental,plan_purchase,forecast_rental,forecast_purchase,"
    "actual_rental,actual_purchase"
)
ZERO = Decimal("0.00")


@a_stage
def ready(pfa: Pfa) -> None:
    """A crane and a loader in different months, and a purchase without dates."""
    undated = dict.fromkeys(("originalStart", "originalEnd", "forecastStart", "forecastEnd"))
    rows = [
        baseline_record(2, forecastStart="2026-02-15", forecastEnd="2026-03-02"),
        baseline_record(3, dor="PROJECT", forecastStart="2026-02-01", forecastEnd="2026-02-11"),
        baseline_record(5, source="Purchase", purchasePrice=99.95, **undated),
    ]
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows)).code == 0


def phase(rental: int = 0, purchase: str = "0.00") -> dict[str, Decimal]:
    of = Decimal(rental).quantize(ZERO), Decimal(purchase)
    return {"rental": of[0], "purchase": of[1], "total": sum(of)}


def test_json_has_each_month_s_quantities_and_costs(ready: Pfa) -> None:
    ran = ready("stats", "--by", "month", "-o", "json").json
    assert [group["key"] for group in ran["groups"]] == [
        {"month": "2026-01"},
        {"month": "2026-02"},
        {"month": "2026-03"},
        {"month": None},
    ]
    february, undated = ran["groups"][1], ran["groups"][3]
    cost = {
        "plan": phase(),
        "forecast": phase(2400),
        "actual": phase(),
        "variance": Decimal("2400.00"),
        "variance_pct": ZERO,
    }
    assert february == {
        "key": {"month": "2026-02"},
        "quantity": {"plan": 0, "forecast": 2, "actual": 0},
        "cost": cost,
        "baseline_cost": cost,
        "draft_impact": ZERO,
    }
    assert undated["quantity"] == {"plan": 0, "forecast": 0, "actual": 0}
    assert undated["cost"]["forecast"] == phase(0, "99.95")
    for name in ("plan", "forecast", "actual"):
        for kind in ("rental", "purchase", "total"):
            months = (group["cost"][name][kind] for group in ran["groups"])
            assert sum(months) == ran["data"]["cost"][name][kind]


def test_drafts_move_the_months(ready: Pfa) -> None:
    ready("draft", "set", "H-003", "forecastEnd=2026-02-21")
    by_month = {
        group["key"]["month"]: group
        for group in ready("stats", "--by", "month", "-o", "json").json["groups"]
    }
    assert by_month["2026-02"]["draft_impact"] == Decimal("1000.00")
    assert by_month["2026-02"]["baseline_cost"]["forecast"] == phase(2400)
    assert by_month["2026-02"]["cost"]["forecast"] == phase(3400)
    assert by_month["2026-03"]["draft_impact"] == ZERO
    ran = ready("stats", "--by", "month", "--baseline", "-o", "json").json
    assert [group["draft_impact"] for group in ran["groups"]] == [ZERO] * 4
    changed = ready("stats", "--by", "month", "--changed", "-o", "json").json
    assert [group["key"]["month"] for group in changed["groups"]] == ["2026-01", "2026-02"]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        (
            "month,dor",
            [
                {"month": "2026-01", "dor": "BEO"},
                {"month": "2026-01", "dor": "PROJECT"},
                {"month": "2026-02", "dor": "BEO"},
            ],
        ),
        (
            "area-silo,month",
            [
                {"areaSilo": "Jetty", "month": "2026-01"},
                {"areaSilo": "Jetty", "month": "2026-02"},
                {"areaSilo": "Jetty", "month": None},
            ],
        ),
    ],
)
def test_keys_are_in_the_order_asked_for(ready: Pfa, by: str, keys: list[dict[str, Any]]) -> None:
    groups = ready("stats", "--by", by, "-o", "json").json["groups"]
    assert [list(group["key"].items()) for group in groups[:3]] == [
        list(key.items()) for key in keys
    ]


def test_a_table_names_the_undated(ready: Pfa) -> None:
    lines = ready("stats", "--by", "month", "-o", "table").lines
    at = lines.index("4 groups")
    assert " ".join(lines[at + 2].split()) == (
        "month in plan in forecast in actual plan forecast actual variance % your changes"
    )
    assert [line.split()[0] for line in lines[at + 4 :]] == [
        "2026-01",
        "2026-02",
        "2026-03",
        "undated",
        "total",
    ]
    assert lines[-1].split()[1:7] == ["2", "2", "0", *lines[-1].split()[4:7]]
    assert lines[at + 5].split()[1:8] == ["0", "2", "0", "0.00", "2,400.00", "0.00", "+2,400.00"]


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def read_tsv(text: str) -> list[dict[str, str]]:
    return [
        dict(zip(COLUMNS.split(","), line.split("\t"), strict=True)) for line in text.splitlines()
    ]


def read_markdown(text: str) -> list[dict[str, str]]:
    head, _, *lines = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
    )
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize(
    ("name", "read"), [("csv", read_csv), ("tsv", read_tsv), ("markdown", read_markdown)]
)
def test_lines_have_the_same_columns_and_an_empty_month(
    ready: Pfa, name: str, read: Callable[[str], list[dict[str, str]]]
) -> None:
    rows = read(ready("stats", "--by", "month", "-o", name).out)
    assert ",".join(rows[0]) == COLUMNS
    # A program adds up lines: the total is in tables for people only.
    total = ["total"] if name == "markdown" else []
    assert [row["month"] for row in rows] == ["2026-01", "2026-02", "2026-03", "", *total]
    assert (rows[2]["forecast_quantity"], rows[2]["forecast_rental"]) == ("1", "100.00")
    assert (rows[3]["forecast_quantity"], rows[3]["plan_purchase"]) == ("0", "99.95")


def test_lines_of_json_and_ids_are_the_months(ready: Pfa) -> None:
    assert len(ready("stats", "--by", "month", "-o", "jsonl").lines) == 4
    assert ready("stats", "--by", "month", "-o", "ids").lines == ["2026-01", "2026-02", "2026-03"]


def test_no_records_are_no_months(ready: Pfa) -> None:
    assert ready("stats", "--by", "month", "--id", "H-9", "-o", "json").json["groups"] == []
    assert ready("stats", "--by", "month", "--id", "H-9", "-o", "table").lines[-1] == "no groups"


@pytest.mark.parametrize("by", ["month,month", "month,week", "months", "month,xyz"])
def test_an_unknown_or_repeated_dimension_is_refused(ready: Pfa, by: str) -> None:
    ran = ready("stats", "--by", by)
    assert (ran.code, ran.out) == (2, "")
    assert "INVALID_REQUEST" in ran.err
    if by == "months":
        assert "cannot group by 'months'; did you mean month? " in ran.err
    elif by != "month,month":
        assert "month" in ran.err.partition("hint: dimensions:")[2]


def test_the_help_names_the_month(pfa: Pfa) -> None:
    ran = pfa("stats", "--help").out
    assert "contract, month" in " ".join(ran.split())
    assert "pfa stats --by month" in ran


def test_columns_without_room_are_named_as_columns_takes_them(ready: Pfa) -> None:
    said = on_terminal("stats", "--by", "month", cells=60).text.split("no room for: ")[1]
    names = " ".join(said.split()).removesuffix("; choose with --columns")
    assert names != " ".join(said.split())
    assert "plan_quantity" in names
    assert ready("stats", "--by", "month", "--columns", names).code == 0
