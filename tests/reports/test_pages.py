"""The forms of a page: hostile texts stay texts, files are written whole."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from python_calamine import CalamineWorkbook

import pfa_core
from pfa_cli.render.escape import visible as terminal_visible
from pfa_core import Filters, Right, errors
from pfa_core.reports.content import ProjectReport
from pfa_core.reports.markdown_page import WIDTH
from pfa_core.reports.page import Kind
from pfa_core.reports.scale import scale_of
from pfa_core.reports.sections import page_of
from pfa_core.reports.texts import shown, visible
from tests.factories import World, draft
from tests.reports import worlds
from tests.worlds import built_once

FORMS = ("html", "md", "xlsx")
hostile = built_once(worlds.hostile)
huge = built_once(worlds.huge)
usual = built_once(worlds.usual)


def a_report(world: World, title: str = worlds.HOSTILE_TITLE) -> ProjectReport:
    return pfa_core.report(world.db, world.principal(), title=title)


def written(report: ProjectReport, form: str) -> bytes:
    file = io.BytesIO()
    assert pfa_core.write_report(report, file, file_format=form) == form
    return file.getvalue()


class Texts(HTMLParser):
    """The names of elements and attributes of a page, and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_in_html_hostile_texts_are_texts(hostile: World) -> None:
    text = written(a_report(hostile), "html").decode()
    parsed = Texts()
    parsed.feed(text)
    assert not parsed.elements & {"script", "img", "iframe", "link", "a", "object", "base", "form"}
    assert not [name for name in parsed.attributes if name.startswith("on") or name == "style"]
    for each in worlds.HOSTILE:
        assert each == "" or visible(each) in parsed.texts
    raw = [each for each in "\u202e\u202c\u2066\u2069\x07\x1b" if each in text]
    assert raw == []


def test_nothing_is_loaded(hostile: World) -> None:
    text = written(a_report(hostile, ""), "html").decode()
    style = text[text.index("<style>") : text.index("</style>")]
    assert re.findall(r"@import|url\(|http", style) == []
    assert (
        re.findall(
            r"(?:src|href|action|srcset)\s*=", text.replace(html.escape(worlds.ATTRIBUTE), "")
        )
        == []
    )
    assert set(re.findall(r"url\([^)]*\)", text)) == {"url(#categories-hatch)"}
    assert "default-src &#x27;none&#x27;" in text


def test_in_markdown_hostile_texts_are_texts(hostile: World) -> None:
    text = written(a_report(hostile), "md").decode()
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"(?<!\\)(?:[<>\[\]`]|!\[|://)", outside.replace("\\\\", "")) == []
    headings = re.findall(r"^ {0,3}(#+ .*)$", outside, re.MULTILINE)
    page = page_of(a_report(hostile))
    assert headings[0].startswith("# \\<script\\>")
    assert [each for each in headings if each.startswith("## ")] == [
        f"## {section.title_of_tables or section.title}" for section in page.sections
    ]
    tables = re.findall(r"(?:^\|.*\n)+", outside, re.MULTILINE)
    assert len(tables) > 2
    for table in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert not [each for each in "\u202e\u2066\x07\x1b" if each in text]


def test_markdown_has_80_columns_and_tables_of_as_many_cells_as_their_head(huge: World) -> None:
    text = written(a_report(huge, ""), "md").decode()
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []
    assert text.startswith("# ORG: plan, forecast and actuals\n\n- Made at: ")
    assert "\n## Forecast against plan by year\n\n| Year" in text
    assert "\n## Forecast against plan by category\n\n```text\nin billions\n" in text
    assert "| **Total** | " in text


def test_a_line_that_begins_within_a_text_begins_no_list_or_heading(hostile: World) -> None:
    found = a_report(hostile, "")
    reason = "a reason of many words that ends a line " * 2 + "# one - two + three 1. four == five"
    for start in range(12):
        movers = (replace(found.movers[0], reasons=("x" * start + " " + reason,)),)
        text = written(replace(found, movers=movers), "md").decode()
        (part,) = re.findall(r"## Top movers\n\n.*?\n\n(.*?)\n\n## ", text, re.DOTALL)
        assert part.startswith("- ")
        starts = [line.removeprefix("  ") for line in part.splitlines()[1:]]
        assert [line for line in starts if re.match(r"[#>]|[-+=]+( |$)|\d+[.)] ", line)] == []


def test_in_a_workbook_no_text_is_a_formula_and_numbers_are_numbers(hostile: World) -> None:
    found = a_report(hostile)
    data = written(found, "xlsx")
    with ZipFile(io.BytesIO(data)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        assert not any(b"<f>" in archive.read(name) for name in sheets)
        assert not [name for name in archive.namelist() if "hyperlink" in name.lower()]
        drawn = b"".join(archive.read(name) for name in archive.namelist() if "drawing" in name)
        assert drawn.count(b"descr=") == 2
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    assert book.sheet_names == [
        "Summary", "Years", "Categories", "Over plan", "Movers", "Change sets",
        "Synchronization", "Months",
    ]  # fmt: skip
    rows = book.get_sheet_by_name("Categories").to_python()
    assert rows[0] == ["Category", "Records", "Plan", "Forecast", "Variance", "% of plan"]
    by_name = {row[0]: row[3] for row in rows[1:]}
    assert worlds.FORMULA in by_name
    assert visible(worlds.REVERSED) in by_name
    total = found.stats.figures.cost.forecast.total
    assert total is not None
    assert by_name["Total"] == float(total)
    summary = {row[0]: row[1] for row in book.get_sheet_by_name("Summary").to_python()}
    assert summary["Forecast"] == float(total)
    assert summary["Title"] == visible(worlds.HOSTILE_TITLE)


def test_months_and_years_of_a_workbook_have_the_same_total(huge: World) -> None:
    ann = huge.principal()
    draft(huge.db, ann, "H-2", source="Purchase", purchasePrice=900, forecastStart=None)
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    for principal in (ann, huge.add_user("vera", "viewer", rights=rights)):
        data = written(pfa_core.report(huge.db, principal), "xlsx")
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        years, months = (book.get_sheet_by_name(name).to_python() for name in ("Years", "Months"))
        width = len(months[0])
        assert months[-1] == years[-1][:width]
        assert (years[-1][0], months[-1][0]) == ("Total", "Total")
        for column in (1, 2) if principal is ann else ():  # a record counts in each of its months
            total = sum(row[column] or 0 for row in months[1:-1])
            assert total == pytest.approx(months[-1][column], abs=0.01 * len(months))
        assert years[-1][1] > 0
        dated = [row[0] for row in months[1:-1]]
        assert dated[-1] == "undated" or principal is not ann
        assert dated == sorted(dated)
        assert len(set(dated)) == len(dated)


def test_a_chart_in_a_sheet_is_named_for_its_rows(huge: World) -> None:
    with ZipFile(io.BytesIO(written(a_report(huge, ""), "xlsx"))) as archive:
        names = [name for name in archive.namelist() if re.search(r"charts/chart\d+\.xml", name)]
        charts = b"".join(archive.read(name) for name in names).decode()
    assert "Forecast against plan by year" in charts
    assert "by month" not in charts


ADDRESSED = re.compile(r"\b(you|your|yours|yourself)\b", re.IGNORECASE)


@pytest.mark.variants(1)
@pytest.mark.parametrize("form", FORMS)
def test_it_does_not_speak_to_its_author(usual: World, form: str) -> None:
    ann = usual.principal()
    found = pfa_core.report(usual.db, ann)
    part = pfa_core.report(usual.db, ann, Filters(where="monthlyRate > 300"))
    nothing = pfa_core.report(usual.db, usual.principal("vera"))
    warned = replace(found.status, conflicts=1, overtaken=1, sync_errors=1, behind=1)
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    blind = usual.add_user("ann", "editor", rights=rights)
    masked = [pfa_core.report(usual.db, blind, each) for each in (None, Filters(category=("C",)))]
    for each in (found, part, nothing, replace(found, status=warned), *masked):
        assert ADDRESSED.findall(text_of(written(each, form), form)) == []
    assert ADDRESSED.findall(text_of(written(replace(found, title="Your May"), form), form))


def text_of(data: bytes, form: str) -> str:
    """All texts of a page, those of charts too."""
    if form != "xlsx":
        return data.decode()
    with ZipFile(io.BytesIO(data)) as archive:
        return "".join(
            archive.read(name).decode() for name in archive.namelist() if name.endswith(".xml")
        )


@pytest.mark.parametrize("form", FORMS)
def test_who_may_not_see_money_gets_a_page_without_amounts(hostile: World, form: str) -> None:
    ann = hostile.principal()
    seen = pfa_core.report(hostile.db, ann)
    amounts = {
        shown(value, column.kind)
        for section in page_of(seen).sections
        for table in section.tables
        for row in table.rows
        for column, value in zip(table.columns, row.values, strict=True)
        if column.kind in (Kind.MONEY, Kind.CHANGE) and isinstance(value, Decimal) and value
    }
    assert len(amounts) > 20
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    blind = hostile.add_user("ann", "editor", rights=rights)
    data = written(pfa_core.report(hostile.db, blind), form)
    if form == "xlsx":
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        cells = [
            cell
            for name in book.sheet_names
            for row in book.get_sheet_by_name(name).to_python()
            for cell in row
        ]
        text = "\n".join(map(str, cells))
        assert not {float(each.replace(",", "")) for each in amounts} & {
            cell for cell in cells if isinstance(cell, float)
        }
        with ZipFile(io.BytesIO(data)) as archive:
            assert not [name for name in archive.namelist() if "chart" in name]
    else:
        text = html.unescape(data.decode())
    assert [each for each in amounts if each in text or each.strip("+-") in text] == []
    assert "view_financials" in text.replace("\\", "")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_replaced_whole_or_stays(
    hostile: World, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / f"page.{form}"
    target.write_text("before")
    found = a_report(hostile)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space")))
        with pytest.raises(errors.IoFailure, match="no space"):
            pfa_core.write_report(found, target)
    assert target.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == [target.name]
    assert pfa_core.write_report(found, target) == form
    assert target.read_bytes()[:4] == {"html": b"<!DO", "md": b"# \\<", "xlsx": b"PK\x03\x04"}[form]
    assert [each.name for each in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.HTML", "html"), ("a.htm", "html"), ("a.markdown", "md"), ("a.xlsx", "xlsx")],
)
def test_the_end_of_the_name_says_the_form(
    hostile: World, tmp_path: Path, name: str, form: str
) -> None:
    assert pfa_core.write_report(a_report(hostile), tmp_path / name) == form


@pytest.mark.parametrize(("name", "form"), [("a.pdf", "auto"), ("html", "auto"), ("a.html", "pdf")])
def test_an_unknown_form_is_refused(hostile: World, tmp_path: Path, name: str, form: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        pfa_core.write_report(a_report(hostile), tmp_path / name, file_format=form)
    assert list(tmp_path.iterdir()) == []


def test_control_characters_are_written_as_on_a_terminal() -> None:
    texts = [chr(code) for code in range(0x3000)]
    texts += [chr(code) for code in (0xD800, 0xFEFF, 0x1F600)]
    different = [each for each in texts if visible(each) != terminal_visible(each)]
    assert different == []


@pytest.mark.parametrize(
    ("most", "ticks", "name"),
    [
        ("0", ["0.00", "0.25", "0.50", "0.75", "1.00"], ""),
        ("178519132.08", ["0", "50", "100", "150", "200"], "millions"),
        ("63800000", ["0", "20", "40", "60", "80"], "millions"),
        ("987654321987.65", ["0", "250", "500", "750", "1,000"], "billions"),
        ("999", ["0", "250", "500", "750", "1,000"], ""),
        ("1000", ["0.00", "0.25", "0.50", "0.75", "1.00"], "thousands"),
        ("41", ["0", "20", "40", "60"], ""),
    ],
)
def test_ticks_are_round_and_reach_the_largest_value(
    most: str, ticks: list[str], name: str
) -> None:
    scale = scale_of([Decimal(most), Decimal(-5)])
    labels = [scale.label(tick) for tick in scale.ticks]
    assert (labels, scale.name) == (ticks, name)
    assert scale.end >= Decimal(most)
    assert scale.share(Decimal(-5)) == 0
    assert 0 <= scale.share(Decimal(most)) <= 1
