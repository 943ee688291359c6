"""Results in every output format."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from pfa_cli.render import escape, streams
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document, members
from pfa_cli.render.plain import plain

Row = Mapping[str, Any]
# As in pfa_core.model.formulas, which a list in a pipe does not load.
_LINE_ENDS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_WRITTEN = frozenset((str, int, type(None)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A result, ready for any format.

    `envelope` is the JSON as a whole, a value of `pfa_cli.envelopes`; `items` are the lines of JSONL;
    `rows` those of tables and lines, the items themselves where None. Each may come from one stream: of the
    three, one is read. Rows of CSV and TSV may be ready lines. `columns` are shown by default,
    `csv_columns` by default in CSV. `numbers` are columns whose texts are numbers. `ranked` are columns from the
    most to the least important one: on a narrow terminal the last go first. `is_summed`: reading the rows adds up
    what is said after them. `text` makes the page for people that replaces the table.
    """

    id_column: str
    columns: tuple[str, ...]
    items: Iterable[Any]
    envelope: Any
    rows: Iterable[Row | ReadyLine] | None = None
    csv_columns: tuple[str, ...] = ()
    numbers: frozenset[str] = field(default=frozenset())
    ranked: tuple[str, ...] = ()
    is_summed: bool = False
    text: Callable[[], str] | None = None


def show(sheet: Sheet, look: Look) -> int:
    """Write the sheet to stdout and return the number of rows (0 for JSON).

    On a terminal, name the columns for which there was no room.
    """
    if look.silent:
        return 0
    writers = {
        Format.JSON: _write_document,
        Format.JSONL: _write_items,
        Format.CSV: _write_csv,
        Format.TSV: _write_tsv,
        Format.IDS: _write_ids,
        Format.MARKDOWN: _write_grid,
        Format.TABLE: _write_table,
        Format.XLSX: _write_workbook,
    }
    if look.format in (Format.CSV, Format.TSV, Format.IDS) and not look.terminal:
        streams.be_exact()
    shown = writers[look.format](sheet, look)
    if look.omitted and not look.quiet:
        _tell_omitted(sheet, look)
    return shown


def _write_workbook(sheet: Sheet, look: Look) -> int:
    from pfa_cli.render.workbook import write_rows

    columns = look.columns or sheet.csv_columns or sheet.columns
    return write_rows(columns, _rows(sheet), look)


def _tell_omitted(sheet: Sheet, look: Look) -> None:
    from pfa_cli.render.cells import width
    from pfa_cli.render.folding import fold

    is_choice = not sheet.text or look.columns or set(look.omitted) <= set(sheet.columns)
    choice = "; choose with --columns" if is_choice else ""
    text = f"no room for: {', '.join(look.omitted)}{choice}"
    streams.tell("\n".join(fold(text, look.width, width)))


def json_writer(look: Look) -> Callable[[str], None]:
    """Make the writer of one JSON value to stdout, piece by piece.

    A piece ends at the end of a token.
    """
    if not look.indented:
        return streams.write_json
    from pfa_cli.render.indent import Indenter

    indenter = Indenter()
    return lambda piece: streams.write_json(indenter.indented(piece))


def dumps(value: Any, look: Look) -> str:
    """Write JSON on one line, every digit kept, control characters escaped."""
    from pfa_core import exact_json

    text = value if isinstance(value, RawJson) else exact_json.dumps(value)
    return escape.visible_json(text) if look.terminal else str(text)


class RawJson(str):
    """JSON text that is written unchanged."""

    __slots__ = ()


class ReadyLine(str):
    """A row of CSV or TSV that is written unchanged, without its line end."""

    __slots__ = ()


def narrowed(row: Row, columns: tuple[str, ...]) -> Any:
    """Reduce an element of a JSON list to the chosen columns, in their order."""
    return {column: row.get(column) for column in columns}


def _write_document(sheet: Sheet, look: Look) -> int:
    write = json_writer(look)
    pieces = _pieces(sheet, look)
    # What cannot be written as JSON then leaves no half of a document.
    for piece in pieces if _is_long(sheet.envelope) else ("".join(pieces),):
        write(piece)
    streams.write("\n")
    return 0


def _is_long(envelope: Any) -> bool:
    """Return whether an envelope has a list, or a part that is made later."""
    return is_dataclass(envelope) and any(
        callable(made) or isinstance(made, list | tuple | Iterator) for _, made in members(envelope)
    )


def _pieces(sheet: Sheet, look: Look) -> Iterator[str]:
    """Write the envelope piece by piece: of a list, one element is in memory.

    A part that is made by a call is made after the parts before it.
    """
    envelope = sheet.envelope
    if not is_dataclass(envelope):
        written = document(envelope)
        if look.columns and isinstance(written.get("data"), list):
            written["data"] = [narrowed(row, look.columns) for row in _rows(sheet)]
        yield dumps(written, look)
        return
    before = "{"
    for name, made in members(envelope):
        yield f"{before}{dumps(name, look)}:"
        before = ","
        inner = made() if callable(made) else made
        if not isinstance(inner, list | tuple | Iterator):
            yield dumps(document(inner), look)
            continue
        if name == "data" and look.columns:
            inner = (narrowed(row, look.columns) for row in _rows(sheet))
        yield "["
        for number, element in enumerate(inner):
            yield ("," if number else "") + dumps(document(element), look)
        yield "]"
    yield "}"


def _write_items(sheet: Sheet, look: Look) -> int:
    items = sheet.items
    if look.columns:
        items = (narrowed(row, look.columns) for row in _rows(sheet))
    return _write_lines((dumps(item, look) for item in items), streams.write_json)


def _write_csv(sheet: Sheet, look: Look) -> int:
    columns = look.columns or sheet.csv_columns or sheet.columns
    shield = _csv_shield(look)
    line = io.StringIO()
    # The writer quotes a cell with a character of its line end, which is cut off again.
    writer = csv.writer(line, lineterminator=_LINE_ENDS)

    def record(cells: Iterable[Any]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return f"{line.getvalue()[: -len(_LINE_ENDS)]}\n"

    streams.write(record(columns if shield is None else map(shield, columns)))
    count = 0
    for row in _rows(sheet):
        count += 1
        if isinstance(row, ReadyLine):
            streams.write(f"{row}\n")
            continue
        values = map(row.get, columns)
        if shield is None:
            # The writer writes these as `plain` does.
            cells = [value if type(value) in _WRITTEN else plain(value) for value in values]
            text = record(cells)
            if "'" in text:
                text = record(map(_distinct_from_guarded, map(plain, cells)))
        else:
            text = record(map(shield, map(plain, values)))
        streams.write(text)
    return count


def _csv_shield(look: Look) -> Callable[[str], str] | None:
    """Return the escape of a cell; None for a pipe without `--csv-safe`."""
    if not look.terminal and look.formulas:
        return None
    from pfa_core.model import formulas

    shown = escape.visible if look.terminal else str
    prefixed = formulas.distinct if look.formulas else formulas.guarded
    return lambda text: shown(prefixed(text))


def _distinct_from_guarded(text: str) -> str:
    from pfa_core.model import formulas

    return formulas.distinct(text)


def _write_tsv(sheet: Sheet, look: Look) -> int:
    usual = sheet.csv_columns if look.header else ()
    columns = look.columns or usual or sheet.columns
    shield = escape.visible if look.terminal else str
    if look.header:
        streams.write("\t".join(map(shield, map(escape.tsv_field, columns))) + "\n")
    return _write_lines(
        row
        if isinstance(row, ReadyLine)
        else "\t".join(shield(escape.tsv_field(plain(row.get(column)))) for column in columns)
        for row in _rows(sheet)
    )


def _write_ids(sheet: Sheet, look: Look) -> int:
    shield = escape.visible if look.terminal else escape.tsv_field
    return _write_lines(shield(value) for value in _distinct(sheet))


def _distinct(sheet: Sheet) -> Iterator[str]:
    """Yield the ids; an id that neighbouring rows share, once."""
    previous = None
    for row in _rows(sheet):
        value = row.get(sheet.id_column)
        if value is not None and value != previous:
            yield plain(value)
        previous = value


def _write_table(sheet: Sheet, look: Look) -> int:
    if sheet.text is None or look.columns:
        return _write_grid(sheet, look)
    text = sheet.text()
    if text:
        _write_page([text], look)
    return 0


def _write_grid(sheet: Sheet, look: Look) -> int:
    from pfa_cli.render.tables import lines_of

    columns = look.columns or sheet.columns
    count = 0

    def cells() -> Iterator[list[Any]]:
        nonlocal count
        for row in _rows(sheet):
            count += 1
            yield [row.get(column) for column in columns]

    numeric = frozenset(index for index, name in enumerate(columns) if name in sheet.numbers)
    lines = lines_of(columns, cells(), look, numeric=numeric, ranked=sheet.ranked)
    _write_page(lines, look)
    if sheet.is_summed:
        deque(lines, maxlen=0)  # the pager was quit before the last line
    return count


def _write_page(lines: Iterable[str], look: Look) -> None:
    """Write lines for people, through the pager where the terminal has too few."""
    if not look.pager:
        _write_lines(lines)
        return
    from pfa_cli.render.pager import Paging

    with Paging(look.pager) as paging:
        _write_lines(lines, paging.write)


def _write_lines(lines: Iterable[str], write: Callable[[str], None] = streams.write) -> int:
    count = 0
    for line in lines:
        write(line + "\n")
        count += 1
    return count


def _rows(sheet: Sheet) -> Iterable[Any]:
    return sheet.items if sheet.rows is None else sheet.rows
