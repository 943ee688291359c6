"""`pfa report`: files, stdout, formats for programs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from tests.program import Pfa
from tests.terminals import on_terminal

CRANES = ("--category", "Crane", "--where", "monthlyRate > 1000")


@pytest.fixture
def drafted(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> Pfa:
    """Two sessions of drafts; files are named within the test's folder."""
    monkeypatch.chdir(ready.folder)
    assert ready("draft", "set", "H-002", "monthlyRate=6088", "--into", "rates").code == 0
    assert ready("draft", "shift", "30", "--id", "H-001", "--into", "rain").code == 0
    return ready


@pytest.mark.parametrize(
    ("name", "begin"), [("r.html", b"<!DOCTYPE"), ("r.md", b"# May"), ("r.xlsx", b"PK\x03\x04")]
)
def test_the_end_of_the_file_s_name_says_the_form(drafted: Pfa, name: str, begin: bytes) -> None:
    Path(name).write_text("before")
    ran = drafted("report", "--to", name, "--title", "May", *CRANES)
    assert (ran.code, ran.out, ran.err) == (0, "", f"report written to {name}\n")
    assert Path(name).read_bytes().startswith(begin)


def test_the_page_has_title_filters_organization_user_and_date(drafted: Pfa) -> None:
    ran = drafted("report", "--to", "-", "--format", "html", "--title", "May & more", *CRANES)
    assert ran.code == 0
    for part in (
        "<title>May &amp; more</title>",
        "<dt>category</dt><dd><bdi>Crane</bdi>",
        "<dt>where</dt><dd><bdi>monthlyRate &gt; 1000</bdi>",
        "<dt>Organization</dt><dd><bdi>HOLNG</bdi>",
        "<dt>Made for</dt><dd><bdi>root, admin</bdi>",
    ):
        assert part in ran.out
    made = json.loads(drafted("report", "-o", "json").out)["data"]["madeAt"]
    assert made[:10] in ran.out
    assert ran.out.endswith("</html>\n")


def test_without_a_file_it_is_markdown_for_people(drafted: Pfa) -> None:
    plain = drafted("report")
    assert plain.out.startswith("# HOLNG: plan, forecast and actuals\n\n- Made at: ")
    markdown = drafted("report", "-o", "markdown")
    stdout = drafted("report", "--to", "-", "--format", "md")

    def without_time(text: str) -> list[str]:
        return [line for line in text.splitlines() if "Made at" not in line and "ago" not in line]

    assert without_time(plain.out) == without_time(markdown.out) == without_time(stdout.out)


def test_its_numbers_are_those_of_stats_diff_conflict_and_status(drafted: Pfa) -> None:
    found = drafted("report", "-o", "json", *CRANES).json["data"]
    stats = drafted("stats", "--by", "category", "--top", "12", "-o", "json", *CRANES).json
    assert (found["stats"], found["categories"], found["otherCategories"]) == (
        stats["data"], stats["groups"], stats["others"],
    )  # fmt: skip
    months = drafted("stats", "--by", "year,month", "-o", "json", *CRANES).json
    assert (found["periods"], found["years"]) == (months["groups"], months["subtotals"])
    movers = drafted("diff", "--top", "12", "-o", "json", *CRANES).json
    assert found["movers"] == movers["data"]
    assert found["moved"]["costEffect"] == movers["summary"]["costEffect"]
    assert found["moved"]["states"] == {"draft": found["moved"]["recordCount"]}
    assert found["changeSets"] == drafted("diff", "--by", "session", "-o", "json").json["data"]
    assert found["conflicts"] == drafted("conflict", "list", "-o", "json").json["data"]
    status = drafted("status", "-o", "json").json["data"]
    assert found["status"] == {
        name: value for name, value in status.items() if name != "currentSession"
    }
    assert found["filters"] == {"category": "Crane", "where": "monthlyRate > 1000"}


def test_programs_get_every_value_of_the_page_as_a_row(drafted: Pfa) -> None:
    rows = list(csv.DictReader(io.StringIO(drafted("report", "-o", "csv").out)))
    assert rows[0].keys() == {"section", "name", "measure", "value"}
    by_place = {tuple(list(row.values())[:3]): row["value"] for row in rows}
    totals = drafted("report", "-o", "json").json["data"]["stats"]["cost"]
    assert by_place["categories", "Total", "Forecast"] == str(totals["forecast"]["total"])
    assert by_place["figures", "Plan", "value"] == str(totals["plan"]["total"])
    assert by_place["change-sets", "rates", "State"] == "draft 1"
    (line,) = drafted("report", "-o", "jsonl").lines
    assert json.loads(line)["title"] == "HOLNG"


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("words", [("-o", "xlsx"), ("--to", "-", "--format", "xlsx")], ids=" ".join)
def test_a_pipe_gets_a_workbook_and_a_terminal_a_hint(drafted: Pfa, words: tuple[str, ...]) -> None:
    line = [sys.executable, "-m", "pfa_cli", "report", *words]
    ran = subprocess.run(line, capture_output=True, check=True)
    names = CalamineWorkbook.from_filelike(io.BytesIO(ran.stdout)).sheet_names
    assert names[:3] == ["Summary", "Years", "Categories"]
    screen = on_terminal("report", *words)
    assert (screen.code, "a workbook is not for a terminal" in screen.text) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "r.pdf"), "the end of the file's name does not say its format: 'r.pdf'"),
        (("--to", "-"), "--to - does not say the form of the page"),
        (("--format", "md"), "--format is of --to"),
        (("--to", "r.html", "-o", "csv"), "--to cannot be combined with -o csv"),
        (("--title", "x" * 201), "`title` has 201 characters; at most 200"),
        (("--columns", "nothing"), "unknown column 'nothing'"),
        (("--to", "r.html", "--columns", "value"), "a page has no columns to choose"),
    ],
)
def test_what_says_nothing_or_twice_is_refused(
    drafted: Pfa, words: tuple[str, ...], message: str
) -> None:
    ran = drafted("report", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not list(Path().glob("r.*"))


def test_a_file_that_cannot_be_written_is_named(drafted: Pfa) -> None:
    ran = drafted("report", "--to", "no/such/folder/r.html")
    assert ran.code == 74
    assert "no/such/folder/r.html cannot be written" in ran.err


def test_without_the_right_to_see_money_it_is_made_and_says_so(drafted: Pfa) -> None:
    assert (
        drafted("user", "grant", "root", "--role", "admin", "--without", "view_financials").code
        == 0
    )
    ran = drafted("report", "--to", "r.md")
    assert ran.code == 0
    assert "view_financials" in ran.err
    text = Path("r.md").read_text()
    assert "Money is hidden" in text
    assert not [line for line in text.splitlines() if ".00" in line or " %" in line]
    assert drafted("report", "--where", "monthlyRate > 1").code == 5


def test_filters_that_match_nothing_are_explained(drafted: Pfa) -> None:
    ran = drafted("report", "--to", "r.html", "--category", "Crain")
    assert ran.code == 0
    assert "did you mean" in ran.err
    assert "No records match the filters." in Path("r.html").read_text()
