"""A page as one HTML file: no script, nothing to load."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from pfa_core.reports.charts import drawing
from pfa_core.reports.markup import Content, Markup, element, joined, void
from pfa_core.reports.page import Column, Figure, Kind, Page, Role, Row, Section, Table, Value
from pfa_core.reports.texts import NONE, moment, shown

_STYLE = Path(__file__).with_name("page.css")
_LONG_NUMBER = 18
_ROLES = {Role.OTHERS: "others", Role.TOTAL: "total"}


def html_page(page: Page) -> str:
    """Write a page as HTML."""
    style = _STYLE.read_text(encoding="utf-8")
    head = element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        void("meta", name="robots", content="noindex"),
        element("title", page.title),
        Markup(f"<style>{style}</style>"),
    )
    body = element("body", _header(page), element("main", *map(_section, page.sections)))
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def _policy(style: str) -> str:
    """Allow the style of the page and nothing else, whatever a text may become."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _header(page: Page) -> Markup:
    facts = [("Made at", moment(page.made_at)), *page.facts]
    parts: list[Markup] = [
        *([element("p", page.subject, class_="eyebrow")] if page.subject else []),
        element("h1", _apart(page.title)),
        element("dl", *(_pair(name, value) for name, value in facts), class_="facts"),
    ]
    if page.filters:
        chosen = [_pair(name, value) for name, value in page.filters]
        parts.append(
            element(
                "div",
                element("p", "Only records with"),
                element("dl", *chosen),
                class_="filters",
            )
        )
    parts.append(element("p", page.lead, class_="lead"))
    if page.warnings:
        items = (element("li", warning) for warning in page.warnings)
        parts.append(element("ul", *items, class_="warnings", aria_label="To know first"))
    return element("header", *parts)


def _pair(name: str, value: str) -> Markup:
    return element("div", element("dt", name), element("dd", _apart(value)))


def _apart(content: str) -> Markup:
    """Keep the direction of a text that users wrote from what is around it."""
    return element("bdi", content)


def _section(section: Section) -> Markup:
    heading = f"{section.name}-heading"
    parts: list[Content] = [element("h2", section.title, id=heading)]
    if section.figures:
        parts.append(element("dl", *map(_figure, section.figures), class_="figures"))
    parts += [element("p", paragraph) for paragraph in section.paragraphs]
    if section.chart:
        caption = element("figcaption", section.chart.summary)
        parts.append(element("figure", drawing(section.chart, section.name), caption))
    parts += [_table(table) for table in section.tables if not table.is_detail]
    if details := [_table(table) for table in section.tables if table.is_detail]:
        parts.append(element("div", *details, class_="details"))
    if section.commands:
        lines = (element("li", element("code", line)) for line in section.commands)
        parts.append(element("ul", *lines, class_="commands"))
    return element("section", *parts, id=section.name, aria_labelledby=heading)


def _figure(figure: Figure) -> Markup:
    text = shown(figure.value, figure.kind)
    value = element(
        "dd",
        _breakable(text, longest=0),
        class_=f"value {_sign(figure.value, figure.kind)}".rstrip(),
    )
    note = [element("dd", figure.note, class_="note")] if figure.note else []
    return element("div", element("dt", figure.label), value, *note)


def _table(table: Table) -> Markup:
    """Make a table; its roles are written out, since a phone shows its rows as cards."""
    headings = (
        element("th", column.name, scope="col", role="columnheader", class_=_side(column))
        for column in table.columns
    )
    return element(
        "table",
        element("caption", table.caption),
        element("thead", element("tr", *headings, role="row"), role="rowgroup"),
        element("tbody", *(_row(table, row) for row in table.rows), role="rowgroup"),
        role="table",
    )


def _row(table: Table, row: Row) -> Markup:
    return element("tr", *_cells(table, row), role="row", class_=_ROLES.get(row.role))


def _cells(table: Table, row: Row) -> Iterator[Markup]:
    for place, (column, value) in enumerate(zip(table.columns, row.values, strict=True)):
        text = shown(value, column.kind) or NONE
        if not place:
            yield element("th", _apart(text), scope="row", role="rowheader", class_=_side(column))
            continue
        look = f"{_side(column)} {_sign(value, column.kind)}".strip()
        content = _breakable(text) if column.kind.is_number else _apart(text)
        yield element("td", content, role="cell", class_=look or None, data_label=column.name)


def _breakable(number: str, *, longest: int = _LONG_NUMBER) -> Content:
    """Let a number that is too long break behind a comma, never before a sign."""
    if len(number) <= longest:
        return number.replace(" %", "\xa0%")
    *parts, last = number.replace(" %", "\xa0%").split(",")
    return joined(*(part for each in parts for part in (f"{each},", void("wbr"))), last)


def _side(column: Column) -> str:
    return "number" if column.kind.is_number else column.kind.value


def _sign(value: Value, kind: Kind) -> str:
    """Name what is more than planned, and what is less; the sign says so too."""
    if kind not in (Kind.CHANGE, Kind.PERCENT) or not isinstance(value, int | Decimal) or not value:
        return ""
    return "over" if value > 0 else "under"
