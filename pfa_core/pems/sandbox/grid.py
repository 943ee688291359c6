"""The grid service of the sandbox: sorted, filtered pages of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from json.encoder import encode_basestring
from typing import Any

from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text, shorten
from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS
from pfa_core.pems.sandbox.http import Response, json_response
from pfa_core.pems.sandbox.records import StoredRecord, instant
from pfa_core.pems.sandbox.state import State

PAGE_LIMIT = 10_000
DEFAULT_MAP = DEFAULT_FIELDS


class RowShape(StrEnum):
    """Name how a row is written."""

    CELL = "cell"
    D = "d"


class Totals(StrEnum):
    """Name how the grid gives its total: as text, as a number, or not at all."""

    TEXT = "text"
    ROWS = "rows"
    NONE = "none"


class _Alert(Exception):
    """An invalid request: PEMS answers it with an alert and HTTP 200."""


_Test = Callable[[StoredRecord], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    offset: int
    size: int
    alias: str
    descending: bool
    filters: tuple[tuple[str, str, str], ...]


class Grid:
    """The grid over the records of a state, with a field map of its own."""

    def __init__(
        self,
        state: State,
        field_map: Mapping[str, str] = DEFAULT_MAP,
        *,
        shape: RowShape = RowShape.CELL,
        totals: Totals = Totals.TEXT,
        page_limit: int = PAGE_LIMIT,
    ) -> None:
        self._state = state
        self._map = dict(field_map)
        self._totals = totals
        self._page_limit = page_limit
        self._shape = shape
        self._cells = _cell_texts(self._map, shape)
        # The rows of the last query: the pages of one pull repeat the same query.
        self._selected: tuple[object, list[StoredRecord]] = (None, [])

    def answer(self, body: Any) -> Response:
        """Answer with a page, or with an alert and HTTP 200."""
        try:
            query = self._read(body)
            rows = self._rows(query)
        except _Alert as alert:
            return alert_response(str(alert))
        page = rows[query.offset : query.offset + query.size]
        texts = ",".join(map(self._row, page))
        total = {
            Totals.TEXT: f'"TOTAL-COUNT":"{len(rows)}",',
            Totals.ROWS: f'"TOTALROWS":{len(rows)},',
            Totals.NONE: "",
        }[self._totals]
        text = f'{{"Result":{{"ResultData":{{"GRID":{{{total}"DATA":{{"ROW":[{texts}]}}}}}}}}}}'
        return Response(HTTPStatus.OK, text.encode())

    def _read(self, body: Any) -> _Query:
        grid = body.get("GRID") if isinstance(body, dict) else None
        if not isinstance(grid, dict) or not (grid.get("GRID_NAME") or grid.get("GRID_ID")):
            raise _Alert("The request names no grid")
        size = _whole(grid, "NUMBER_OF_ROWS_FIRST_RETURNED", self._page_limit)
        sort = _table(body.get("ADDON_SORT"))
        return _Query(
            offset=_whole(grid, "ROW_OFFSET", 0),
            size=min(size, self._page_limit),
            alias=self._known(sort.get("ALIAS_NAME") or self._alias_of_id()),
            descending=str(sort.get("TYPE") or "ASC").upper() == "DESC",
            filters=tuple(map(self._filter, _filters(body))),
        )

    def _filter(self, item: Any) -> tuple[str, str, str]:
        table = _table(item)
        operator, value = table.get("OPERATOR"), table.get("VALUE")
        if not isinstance(operator, str) or operator not in _OPERATORS:
            raise _Alert(f"{shorten(operator)} is not an operator of a filter")
        return self._known(table.get("ALIAS_NAME")), operator, "" if value is None else str(value)

    def _known(self, alias: Any) -> str:
        if not isinstance(alias, str) or alias not in self._map:
            raise _Alert(f"The grid has no column {shorten(alias)}")
        return alias

    def _rows(self, query: _Query) -> list[StoredRecord]:
        asked = (self._state.revision, query.alias, query.descending, query.filters)
        known, rows = self._selected
        if known != asked:
            rows = self._selection(query)
            self._selected = (asked, rows)
        return rows

    def _selection(self, query: _Query) -> list[StoredRecord]:
        rows: Iterable[StoredRecord] = self._state.records()
        for alias, operator, value in query.filters:
            rows = list(filter(_test(self._map[alias], operator, value), rows))
        name = self._map[query.alias]
        chosen = sorted(rows, key=lambda record: (record.pfa_id, record.organization))
        filled = [record for record in chosen if record.data.get(name) is not None]
        empty = [record for record in chosen if record.data.get(name) is None]
        filled.sort(key=lambda record: _sortable(record.data[name]), reverse=query.descending)
        return filled + empty

    def _row(self, record: StoredRecord) -> str:
        data = record.data
        cells = (
            f"{head}{encode_basestring(_text(name, value))}}}"
            for name, head in self._cells
            if (value := data.get(name)) is not None and value != ""
        )
        return f'{{"{"CELL" if self._shape is RowShape.CELL else "D"}":[{",".join(cells)}]}}'

    def _alias_of_id(self) -> str:
        return next(alias for alias, name in self._map.items() if name == "pfaId")


def alert_response(message: str, name: str = "SANDBOX") -> Response:
    """Make the answer by which PEMS reports invalid content: an alert with HTTP 200."""
    return json_response(HTTPStatus.OK, {"ErrorAlert": [{"Message": message, "Name": name}]})


def _cell_texts(field_map: Mapping[str, str], shape: RowShape) -> list[tuple[str, str]]:
    """Return each field with the text that begins its cell in every row."""
    alias_key, value_key = ("ALIAS_NAME", "VALUE") if shape is RowShape.CELL else ("n", "value")
    return [
        (name, f'{{"{alias_key}":{encode_basestring(alias)},"{value_key}":')
        for alias, name in field_map.items()
    ]


def _text(name: str, value: Any) -> str:
    """Format a value as the grid does: flags as Y and N, the source in capitals."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).upper() if name == "source" else str(value)


def _table(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Alert("A sort or filter is not an object")
    return value


def _filters(body: Mapping[str, Any]) -> list[Any]:
    """Return one filter, or a list of which all must match."""
    wanted = body.get("ADDON_FILTER")
    if wanted is None:
        return []
    return wanted if isinstance(wanted, list) else [wanted]


def _whole(grid: Mapping[str, Any], name: str, default: int) -> int:
    text = str(grid.get(name, default)).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise _Alert(f"{name} is not a whole number")
    return int(text)


def _sortable(value: Any) -> Any:
    return value if isinstance(value, int | Decimal) else str(value)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "BEGINS": lambda held, asked: str(held).startswith(str(asked)),
    "=": lambda held, asked: held == asked,
    ">=": lambda held, asked: held >= asked,
}


def _test(name: str, operator: str, asked: str) -> _Test:
    """Make the test of a filter: text, numbers or moments are compared."""
    compare = _OPERATORS[operator]
    if operator == "BEGINS":
        return lambda record: compare(_text(name, record.data.get(name) or ""), asked)
    wanted = _comparable(name, asked, read=True)
    if wanted is None:
        raise _Alert(f"{shorten(asked)} is not a value of {name}")

    def passes(record: StoredRecord) -> bool:
        value = record.data.get(name)
        held = None if value is None else _comparable(name, value)
        return held is not None and compare(held, wanted)

    return passes


def _comparable(name: str, value: Any, *, read: bool = False) -> Any:
    """Convert a held value, or with `read` the text of a filter, to compare."""
    if name == "pemsVersion":
        return instant(value)
    field = FIELDS[name]
    if not read or field.kind is Kind.TEXT:
        return value
    found = read_text(field, value)
    return None if isinstance(found, Wrong) else found
