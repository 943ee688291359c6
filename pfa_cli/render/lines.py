"""Lines that the database composes, in place of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document
from pfa_cli.render.output import RawJson, ReadyLine, Row
from pfa_core.model.layout import Layout, LineForm

_FORMS = {
    Format.CSV: LineForm.CSV,
    Format.TSV: LineForm.TSV,
    Format.JSON: LineForm.JSON,
    Format.JSONL: LineForm.JSON,
}


def layout_for(look: Look, columns: tuple[str, ...], csv_columns: tuple[str, ...]) -> Layout | None:
    """Choose the layout of lines that need no more of the program than to be written.

    None: characters are escaped for a terminal or a spreadsheet, JSON is for people or has chosen columns, a
    cell alone in its row is quoted where it is empty.
    """
    form = _FORMS.get(look.format)
    if form is None or look.terminal or look.indented or look.silent:
        return None
    if form is LineForm.JSON:
        return None if look.columns else Layout(form)
    usual = csv_columns if look.format is Format.CSV or look.header else columns
    chosen = look.columns or usual
    exact = form is LineForm.TSV or (look.formulas and len(chosen) > 1)
    return Layout(form, chosen) if exact else None


def as_items(found: Iterable[Any]) -> Iterator[Any]:
    """Make elements of JSON, of texts or of results."""
    return (RawJson(item) if isinstance(item, str) else document(item) for item in found)


def as_rows(
    found: Iterable[Any], rows: Callable[[Any], Iterable[Row]]
) -> Iterator[Row | ReadyLine]:
    """Make rows, of texts or of results."""
    for item in found:
        if isinstance(item, str):
            yield ReadyLine(item)
        else:
            yield from rows(item)
