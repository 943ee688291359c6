"""`pfa stats` for people: order, the first groups, subtotals, the total, periods; costs of `pfa list`."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.cli.conftest import baseline_record, write_lines
from tests.program import Pfa, a_stage
from tests.terminals import on_terminal

CATEGORIES = ("Crane", "Crane", "Loader", "Van", "others")


@a_stage
def ready(pfa: Pfa) -> None:
    """Five rentals of four categories, each 100 a day and a day longer than planned than the one before."""
    rows = [
        baseline_record(
            number,
            category=name,
            areaSilo=("Jetty", "Silo 4")[number % 2],
            forecastStart="2026-01-01",
            forecastEnd=f"2026-02-{number:02}",
        )
        for number, name in enumerate(CATEGORIES, 1)
    ]
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows)).code == 0


def keys(found: Any) -> list[str]:
    return [" ".join(map(str, group["key"].values())) for group in found]


class TestOrder:
    @pytest.mark.parametrize("sort", ["-forecast", "-forecast_total", "-forecast-total"])
    def test_by_a_figure_however_it_is_spelled(self, ready: Pfa, sort: str) -> None:
        found = ready("stats", "--by", "category", "--sort", sort, "-o", "json").json
        assert keys(found["groups"]) == ["Crane", "others", "Van", "Loader"]

    def test_ties_stay_in_the_order_of_the_keys(self, ready: Pfa) -> None:
        found = ready("stats", "--by", "category", "--sort", "-variance", "-o", "json").json
        assert keys(found["groups"]) == ["others", "Van", "Crane", "Loader"]

    @pytest.mark.parametrize(
        "by", [("--by", "area-silo,category"), ("--by", "areaSilo", "--by", "category")]
    )
    def test_dimensions_are_listed_or_repeated(self, ready: Pfa, by: tuple[str, ...]) -> None:
        found = ready("stats", *by, "--sort", "-area-silo,-variance", "-o", "json").json
        assert keys(found["groups"]) == [
            "Silo 4 others",
            "Silo 4 Loader",
            "Silo 4 Crane",
            "Jetty Van",
            "Jetty Crane",
        ]
        assert keys(found["subtotals"]) == ["Silo 4", "Jetty"]

    @pytest.mark.variants(5)
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--by", "category", "--sort", "varianc"), "did you mean variance? (--sort)"),
            (("--by", "category", "--sort", "in-plan"), "cannot sort by 'in_plan'"),
            (("--sort", "variance"), "--sort needs groups"),
            (("--top", "3"), "--top needs groups"),
            (("--by", "category", "--top", "0"), "--top"),
            (("--from", "2026-03-15"), "--from must be the first day of a month"),
            (("--to", "2026-03-15"), "--to must be the last day of a month"),
            (("--to", "soon"), "--to must be a month, quarter, year or date, not 'soon'"),
            (("--from", "2027", "--to", "2026"), "the period ends before it starts"),
            (("--by", "month", "--columns", "total_records"), "total_records"),
            (("--from", "2026", "--by", "dor", "--columns", "total_records"), "total_records"),
            (("--by", "category", "--columns", "group_count"), "group_count"),
        ],
    )
    def test_what_is_refused(self, ready: Pfa, words: tuple[str, ...], message: str) -> None:
        ran = ready("stats", *words)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err


class TestOthers:
    def test_json_has_them_apart(self, ready: Pfa) -> None:
        found = ready("stats", "--by", "category", "--top", "2", "-o", "json").json
        assert keys(found["groups"]) == ["Crane", "others"]  # a category of that name
        (others,) = found["others"]
        assert (others["key"], others["group_count"], others["total_records"]) == ({}, 2, 2)
        totals = [part["cost"]["forecast"]["total"] for part in (*found["groups"], others)]
        assert sum(totals) == found["data"]["cost"]["forecast"]["total"] == 16_500

    def test_lines_have_them_last_and_add_up(self, ready: Pfa) -> None:
        words = ("stats", "--by", "category", "--top", "2", "-o")
        rows = list(csv.DictReader(io.StringIO(ready(*words, "csv").out)))
        assert [(row["category"], row["group_count"]) for row in rows] == [
            ("Crane", "1"),
            ("others", "1"),
            ("others", "2"),
        ]
        assert sum(Decimal(row["forecast_total"]) for row in rows) == 16_500
        lines = [json.loads(line) for line in ready(*words, "jsonl").lines]
        assert [line.get("group_count") for line in lines] == [None, None, 2]
        assert ready(*words, "ids").lines == ["Crane", "others"]

    def test_without_top_lines_are_what_they_were(self, ready: Pfa) -> None:
        text = ready("stats", "--by", "category", "-o", "csv").out
        head, *rows = text.splitlines()
        assert "group_count" not in head
        assert [row.split(",")[0] for row in rows] == ["Crane", "Loader", "Van", "others"]


class TestTable:
    def test_subtotals_stand_where_they_are_of_several_lines(self, ready: Pfa) -> None:
        lines = ready("stats", "--by", "category,source", "-o", "table").lines
        assert [line.split()[0] for line in lines[-5:]] == [
            "Crane",
            "Loader",
            "Van",
            "others",
            "total",
        ]
        lines = ready("stats", "--by", "category,areaSilo", "-o", "table").lines
        assert [line.split()[:2] for line in lines[-7:-4]] == [
            ["Crane", "Jetty"],
            ["Crane", "Silo"],
            ["Crane", "subtotal"],
        ]

    @pytest.mark.slow
    def test_it_fits_80_columns_and_says_what_it_leaves_out(self, ready: Pfa) -> None:
        shown = on_terminal("stats", "--by", "category,areaSilo", "--top", "1", cells=80).text
        assert max(map(len, shown.splitlines())) <= 80
        table = shown[shown.index("category ") :].splitlines()
        assert [" ".join(line.split()[:2]) for line in table[2:6]] == [
            "Crane Jetty",
            "Crane others",
            "Crane subtotal",
            "others (3)",
        ]
        assert table[6].startswith("total ")

    def test_a_difference_of_roundings_is_named(self, pfa: Pfa) -> None:
        rows = [
            baseline_record(number, category=name, source="Purchase", purchasePrice=0.005)
            for number, name in enumerate("AB", 1)
        ]
        pfa("init", "--org", "HOLNG")
        pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows))
        said = pfa("stats", "--by", "category", "-o", "table").lines[-1]
        assert said == (
            "Each amount is rounded by itself: the lines differ from the total by plan +0.01, forecast +0.01"
        )
        alone = pfa("stats", "--by", "category", "--category", "A", "-o", "table").out
        assert "rounded by itself" not in alone

    def test_a_variance_beside_the_shown_amounts_is_named(self, pfa: Pfa) -> None:
        dates = {"originalStart": "2026-01-01", "originalEnd": "2026-01-02"}
        rows = [
            baseline_record(1, category="A", monthlyRate=9.1, **dates,
                            forecastStart="2026-01-01", forecastEnd="2026-01-06"),
            baseline_record(2, category="B", monthlyRate=304.4, **dates,
                            forecastStart="2026-01-01", forecastEnd="2026-01-06"),
        ]  # fmt: skip
        pfa("init", "--org", "HOLNG")
        pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows))
        said = pfa("stats", "--by", "category", "-o", "table").lines
        shown = next(line.split() for line in said if line.startswith("A "))
        assert {"0.30", "1.49", "+1.20"} <= set(shown)
        note = "Each amount is rounded by itself: the variances of 2 lines are up to 0.01 off forecast - plan"
        assert said[-1] == note
        exact = pfa("stats", "--by", "category", "--category", "B", "-o", "table").out
        assert "off forecast" not in exact

    @pytest.mark.parametrize(
        ("columns", "labels"),
        [
            ("areaSilo", ["Jetty", "Silo 4", "subtotal", "total"]),
            ("category", ["Crane", "Crane", "Crane subtotal", "total"]),
            ("category,areaSilo", ["Crane Jetty", "Crane Silo 4", "Crane subtotal", "total"]),
        ],
    )
    def test_a_word_whose_column_is_left_out_stands_beside_it(
        self, pfa: Pfa, columns: str, labels: list[str]
    ) -> None:
        rows = [
            baseline_record(
                number, category="Crane", areaSilo=silo, source="Purchase", purchasePrice=5
            )
            for number, silo in enumerate(("Jetty", "Silo 4"), 1)
        ]
        pfa("init", "--org", "HOLNG")
        pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows))
        words = ("stats", "--by", "category,areaSilo", "--sort", "areaSilo", "-o", "table")
        lines = pfa(*words, "--columns", f"{columns},forecast_total").lines[2:]
        assert [" ".join(line.split()[:-1]) for line in lines] == labels


class TestPeriods:
    def test_the_figures_are_those_of_the_period(self, ready: Pfa) -> None:
        whole = ready("stats", "-o", "json").json["data"]
        assert (whole["period"], whole["quantity"]) == (None, None)
        found = ready("stats", "--from", "2026-02", "--to", "2026-Q1", "-o", "json").json
        assert found["groups"] == []
        data = found["data"]
        assert data["period"] == {"start": "2026-02-01", "end": "2026-03-31"}
        # 0, 1, 2, 3 and 4 days at 100; the first ends on the first and is not there.
        assert data["cost"]["forecast"]["total"] == 1_000
        assert data["quantity"] == {"plan": 0, "forecast": 4, "actual": 0}
        assert (data["total_records"], whole["total_records"]) == (5, 5)

    def test_a_group_within_a_period_has_quantities(self, ready: Pfa) -> None:
        words = ("stats", "--by", "category", "--from", "2026-02", "-o", "csv", "--top", "1")
        columns = ("--columns", "category,forecast_quantity,forecast_total,group_count")
        assert ready(*words, *columns).lines == [
            "category,forecast_quantity,forecast_total,group_count",
            "others,1,400.00,1",
            "others,3,600.00,3",
        ]

    def test_the_table_names_the_period(self, ready: Pfa) -> None:
        lines = ready("stats", "--by", "quarter", "--to", "2026", "-o", "table").lines
        assert lines[0].split() == ["costs", "from", "the", "first", "day", "to", "2026-12-31"]
        assert lines[-1].split()[0] == "total"

    def test_years_have_subtotals(self, ready: Pfa) -> None:
        found = ready("stats", "--by", "year,month", "-o", "json").json
        assert keys(found["groups"]) == ["2026 2026-01", "2026 2026-02"]
        assert keys(found["subtotals"]) == ["2026"]
        assert found["subtotals"][0]["quantity"] == {"plan": 5, "forecast": 5, "actual": 0}


class TestCosts:
    COLUMNS = "pfaId,planCost,forecastCost,actualCost,variance"

    def test_tables_have_cents_and_lines_what_adds_up(self, ready: Pfa) -> None:
        ready("draft", "set", "H-001", "monthlyRate=1000")
        words = ("list", "--id", "H-001", "--columns", self.COLUMNS, "-o")
        assert ready(*words, "table").lines[-1].split() == [
            "H-001",
            "3000.00",
            "1018.40",
            "0.00",
            "-1981.60",
        ]
        assert ready(*words, "tsv").lines == [
            "H-001\t3000.00\t1018.396846254928\t0.00\t-1981.603153745072"
        ]
        (row,) = ready(*words, "json").json["data"]
        assert row["variance"] == Decimal("-1981.603153745072")

    def test_a_table_shows_the_cost_by_which_it_is_sorted(self, ready: Pfa) -> None:
        lines = ready("list", "--sort", "-variance", "-o", "table").lines
        assert lines[0].split()[-1] == "variance"
        assert [line.split()[0] for line in lines[2:]] == [f"H-00{n}" for n in (5, 4, 3, 2, 1)]
        assert "variance" not in ready("list", "--sort", "-variance", "-o", "csv").lines[0]

    def test_pages_go_on_behind_a_cursor(self, ready: Pfa) -> None:
        words = ("list", "--sort", "-variance", "--page-size", "2", "-o", "json")
        first = ready(*words).json
        second = ready(*words, "--after", first["pagination"]["next"]).json
        ids = [row["pfaId"] for page in (first, second) for row in page["data"]]
        assert ids == ["H-005", "H-004", "H-003", "H-002"]

    def test_what_is_left_out_of_costs_has_none(self, ready: Pfa) -> None:
        ready("draft", "set", "H-001", "isDiscontinued=true")
        words = ("list", "--id", "H-001", "--columns", self.COLUMNS, "-o", "tsv")
        assert ready(*words).lines == ["H-001\t3000.00\t\t\t-3000.00"]

    def test_an_unknown_cost_is_refused(self, ready: Pfa) -> None:
        ran = ready("list", "--columns", "forecastCosts")
        assert ran.code == 2
        assert "forecastCost" in ran.err
