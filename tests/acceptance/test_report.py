"""The report of the sample project, through the real command line and a browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from python_calamine import CalamineWorkbook

import pfa_core
from pfa_core import Filters, Query
from tests.browser import a_browser
from tests.factories import World
from tests.forms import LONG, long
from tests.program import Pfa
from tests.reports import pages

RATIO = 1.6  # of a report to the reads that it puts together
SECONDS = 2.0  # of the whole process with the server's part


@pytest.fixture
def drafted(pfa: Pfa, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Pfa:
    """The project with the drafts of the two delta files."""
    monkeypatch.setenv("PFA_ORG", "HOLNG")
    monkeypatch.chdir(pfa.folder)
    for name in ("delta-weather.json", "delta-mixed.json"):
        assert pfa("draft", "save", str(shared / name)).code == 0
    return pfa


def texts(page: str) -> str:
    return html.unescape(re.sub(r"<wbr>|</?[^>]+>", "", page)).replace("\xa0", " ")


@pytest.mark.long
def test_every_form_has_the_numbers_of_an_independent_computation(
    drafted: Pfa, shared: Path
) -> None:
    expected = json.loads((shared / "expected.json").read_text(), parse_float=Decimal)["with_both"]
    cost = expected["cost"]
    amounts = {phase: Decimal(cost[phase]["total"]) for phase in ("plan", "forecast", "actual")}
    amounts["variance"] = Decimal(cost["variance"])
    for name in ("r.html", "r.md", "r.xlsx"):
        assert drafted("report", "--to", name, "--top", "100").code == 0
    page, markdown = texts(Path("r.html").read_text()), Path("r.md").read_text()
    for amount in amounts.values():
        assert f"{amount:,.2f}" in page
        assert f"{amount:,.2f}" in markdown
    book = CalamineWorkbook.from_path("r.xlsx")
    summary = {row[0]: row[1] for row in book.get_sheet_by_name("Summary").to_python()}
    assert {name: summary[name.capitalize()] for name in amounts} == {
        name: float(amount) for name, amount in amounts.items()
    }
    data = drafted("report", "--top", "100", "-o", "json").json["data"]
    assert {group["key"]["category"]: group["total_records"] for group in data["categories"]} == (
        expected["category_breakdown"]
    )
    assert sum(item["cost"]["forecast"]["total"] for item in data["periods"]) == amounts["forecast"]
    assert sum(item["cost"]["plan"]["total"] for item in data["periods"]) == amounts["plan"]


@pytest.mark.slow
def test_the_numbers_of_all_commands_agree(drafted: Pfa) -> None:
    where = ("--category", "Crane", "--category", "Dozer", "--where", "monthlyRate > 1000")
    for filters in ((), where):
        report = drafted("report", "-o", "json", *filters).json["data"]

        def read(*words: str, filters: tuple[str, ...] = filters) -> Any:
            return drafted(*words, "-o", "json", *filters).json

        stats = read("stats", "--by", "category", "--top", "12")
        assert (report["stats"], report["categories"]) == (stats["data"], stats["groups"])
        assert report["otherCategories"] == stats["others"]
        months = read("stats", "--by", "year,month")
        assert (report["periods"], report["years"]) == (months["groups"], months["subtotals"])
        movers = read("diff", "--top", "12")
        assert report["movers"] == movers["data"]
        assert report["moved"] == {
            "recordCount": movers["summary"]["records"],
            "fieldCount": movers["summary"]["fields"],
            "costEffect": movers["summary"]["costEffect"],
            "states": {"draft": movers["summary"]["records"]},
        }
        names = "pfaId,planCost,forecastCost,variance"
        over = read("list", "--sort", "-variance", "--page-size", "12", "--columns", names)["data"]
        assert report["overPlan"] == [
            {
                "pfaId": row["pfaId"],
                "category": shown["category"],
                "areaSilo": shown["areaSilo"],
                "plan": row["planCost"],
                "forecast": row["forecastCost"],
                "variance": row["variance"],
            }
            for row, shown in zip(over, report["overPlan"], strict=True)
        ]
    assert report["changeSets"] == drafted("diff", "--by", "session", "-o", "json").json["data"]
    status = drafted("status", "-o", "json").json["data"]
    assert all(report["status"][name] == status[name] for name in report["status"])


@LONG
def test_the_page_of_the_project_reads_well(drafted: Pfa, tmp_path: Path) -> None:
    assert drafted("report", "--to", "r.html").code == 0
    page = Path("r.html").resolve()
    with a_browser(tmp_path / "browser") as browser:
        for width in (360, 1280):
            browser.show(page, width=width, dark=width == 360)
            assert browser.run(pages.OVERFLOWING) == []
            assert browser.run(pages.FAINT_TEXTS)[1] == []
        assert browser.run(pages.UNNAMED) == []
        browser.show(page, width=695, media="print")
        assert browser.run(pages.OVERFLOWING) == []


@LONG
def test_a_report_costs_what_the_reads_cost_that_it_puts_together(holng: World) -> None:
    db, ann = holng.db, holng.principal()
    over = Query(Filters(), pfa_core.parse_sort("-variance"), costs=True)

    def apart() -> None:
        pfa_core.compute_stats(db, ann, Filters(), by=("category",), top=12)
        pfa_core.compute_stats(db, ann, Filters(), by=("year", "month"))
        pfa_core.review(db, ann, Filters(), by="session")
        list(pfa_core.stream_review(db, ann, Filters(), top=12))
        pfa_core.list_records(db, ann, over, page_size=12)
        pfa_core.list_conflicts(db, ann)
        pfa_core.status(db, ann)

    def together() -> None:
        pfa_core.report(db, ann)

    apart(), together()
    ratios = [_seconds(together) / _seconds(apart) for _ in range(5)]
    assert min(ratios) < RATIO, ratios


@pytest.mark.parametrize("name", long(["r.html", "r.md", "r.xlsx"]))
def test_a_report_of_20_280_records_takes_two_seconds_as_a_process(drafted: Pfa, name: str) -> None:
    """Seconds of a processor, of the process and of the server: that is how long it takes where no other waits."""
    with psycopg.connect(drafted.url) as conn:
        (folder,) = conn.execute("SHOW data_directory").fetchone() or ("",)
    postmaster = int(Path(folder, "postmaster.pid").read_text().split("\n")[0])

    def whole() -> float:
        before = _of_children(os.getpid()) + _of_children(postmaster)
        subprocess.run([sys.executable, "-m", "pfa_cli", "report", "--to", name], check=True)
        # The server has waited for the process of the connection when that is gone.
        until = time.monotonic() + 10
        while _backends(postmaster) > backends and time.monotonic() < until:
            time.sleep(0.02)
        return _of_children(os.getpid()) + _of_children(postmaster) - before

    backends = _backends(postmaster)
    used = [whole() for _ in range(5)]
    assert min(used) < SECONDS, used


def _of_children(pid: int) -> float:
    """The seconds that ended children of a process have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def _backends(postmaster: int) -> int:
    return len(Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split())


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
