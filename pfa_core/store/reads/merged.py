"""Pages, streams and counts of merged records."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import Connection, capabilities
from psycopg.rows import tuple_row

from pfa_core import sql
from pfa_core.model.cursor import decode_cursor, encode_cursor
from pfa_core.model.ids import OrganizationId, PfaId, SessionId
from pfa_core.model.principal import Principal
from pfa_core.model.query import Query
from pfa_core.model.record import SORTABLE
from pfa_core.store.reads import costs, search
from pfa_core.store.reads.counting import count, own
from pfa_core.store.reads.filters import (
    TRUE,
    conditions,
    fits_rollup,
    for_overlay,
    names_ids,
    narrowing,
    touched_values,
)
from pfa_core.store.reads.keys import key_columns, order, place_values
from pfa_core.store.reads.keyset import (
    Segment,
    names_costs,
    reads_a_page,
    reads_all,
    segments,
    whole_order,
)
from pfa_core.store.reads.steps import Step, Steps, in_steps

_SQL = sql.statements("merged")
_FIXED = 6  # columns of a row before its amounts and its sort keys
STREAM_BATCH = 1000
LINES_BATCH = (
    100  # lines are long: for more of them the allocator asks the system for memory each time
)

# Behind them, where the query asks for costs: plan, forecast and actual in money-days, None where left out.
RowValues = tuple[
    PfaId, str, str, SessionId | None, int, datetime | None, *tuple[Decimal | None, ...]
]
_Statement = tuple[LiteralString, dict[str, Any]]


def page(
    conn: Connection[Any], principal: Principal, query: Query, *, limit: int, offset: int = 0
) -> tuple[list[RowValues], str | None]:
    """Read one page in order.

    Returns:
        The page's rows, and the cursor after the last one; None: nothing follows it.
    """
    reading = _Reading(conn, principal, query, limit + 1, offset=offset)
    return _page(reading, conn, query, limit, offset=offset)


def page_and_total(
    conn: Connection[Any], principal: Principal, query: Query, *, limit: int, offset: int = 0
) -> tuple[list[RowValues], str | None, int]:
    """Read one page in order, and count all records that match.

    A last page is counted itself, and what a search has found for the page is not searched for again.
    """
    reading = _Reading(conn, principal, query, limit + 1, offset=offset)
    rows, cursor = _page(reading, conn, query, limit, offset=offset)
    if cursor is None and query.after is None and (rows or not offset):
        return rows, cursor, offset + len(rows)
    return rows, cursor, count(conn, principal, query, found=reading.found)


def _page(
    reading: _Reading, conn: Connection[Any], query: Query, limit: int, *, offset: int
) -> tuple[list[RowValues], str | None]:
    shown = _FIXED + costs.width(query)
    rows: list[tuple[Any, ...]] = []
    for statement, values in [reading.at_once(offset)] if offset else reading.one_by_one():
        found = conn.execute(statement, values).fetchall()
        reading.took(len(found))
        rows.extend(found)
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = encode_cursor(query.sort, [_as_text(value) for value in rows[-1][shown:]])
    return [row[:shown] for row in rows], cursor


def stream(
    conn: Connection[Any],
    principal: Principal,
    query: Query,
    *,
    limit: int | None,
    layered: bool = False,
) -> Generator[RowValues, None, None]:
    """Stream every row in order through server-side cursors, in constant memory.

    Args:
        layered: In place of the record, a list of the version of the mirror's, its data, the caller's changes.
    """
    contents: dict[str, LiteralString] | None = None
    if layered:
        contents = {
            "pristine": _SQL["sheet_of_pristine"].format(),
            "touched": _SQL["sheet_of_touched"].format(),
        }
    reading = _Reading(conn, principal, query, limit, contents)
    shown = _FIXED + costs.width(query)
    for statement, values in reading.one_by_one():
        with conn.cursor(name="pfa_stream") as cursor:
            cursor.itersize = STREAM_BATCH
            cursor.execute(statement, values)
            for row in cursor:
                yield row[:shown]
            reading.took(cursor.rownumber or 0)


def elements(
    conn: Connection[Any],
    principal: Principal,
    query: Query,
    *,
    limit: int | None,
    shown: Sequence[str] | None = None,
) -> Generator[str, None, None]:
    """Stream every row in order as JSON that the server composes, without line ends.

    Args:
        shown: The only fields that are not null; None for all.
    """
    data = _SQL["data_as_it_is" if shown is None else "data_masked"]
    masked = {} if shown is None else {"shown": list(shown)}
    contents: dict[str, LiteralString] = {
        "pristine": _SQL["line_of_pristine"].format(data=data),
        "touched": _SQL["line_of_touched"].format(data=data),
    }
    reading = _Reading(conn, principal, query, limit, contents)
    if reading.is_whole:
        conn.execute(_SQL["share"])
    # An older libpq returns one row at a time, which takes half as long again.
    size = LINES_BATCH if capabilities.has_stream_chunked() else 1
    for rows, values in reading.one_by_one():
        lines, found = _SQL["lines"].format(rows=rows), 0
        with conn.cursor(row_factory=tuple_row) as cursor:
            for (line,) in cursor.stream(lines, {**values, **masked}, size=size):
                found += 1
                yield line
        reading.took(found)


def has_value(conn: Connection[Any], principal: Principal, field: str, value: str) -> bool:
    """Return whether any record has the value.

    It may be in the mirror or as the principal sees it.
    """
    column: LiteralString = f"r.{SORTABLE[field].column}"
    statement = _SQL["has_value"].format(column=column)
    row = conn.execute(statement, {**own(principal), "value": value}).fetchone()
    return bool(row and row[0])


def known_values(conn: Connection[Any], organization_id: OrganizationId, field: str) -> list[str]:
    """List the distinct values of a field in the mirror, at most 5,000."""
    column: LiteralString = f"r.{SORTABLE[field].column}"
    statement = _SQL["values"].format(column=column)
    return [row[0] for row in conn.execute(statement, {"organization_id": organization_id})]


def first_values(
    conn: Connection[Any], organization_id: OrganizationId, field: str, most: int
) -> list[str]:
    """List the first distinct values of a field in the mirror.

    They are found by the index of its column.
    """
    column: LiteralString = f"r.{SORTABLE[field].column}"
    values = {"organization_id": organization_id, "most": most}
    rows = conn.execute(_SQL["first_values"].format(column=column), values)
    return [row[0] for row in rows]


def first_ids(conn: Connection[Any], organization_id: OrganizationId, most: int) -> list[PfaId]:
    """List the first records of the mirror by their key."""
    values = {"organization_id": organization_id, "most": most}
    return [row[0] for row in conn.execute(_SQL["first_ids"], values)]


class _Reading:
    """The rows of a query as statements.

    There is one for each segment of its order, or one for all. Their caller reports how many rows each
    one `took`. `found` are the mirror's ids for a search, None where it is read in order. `contents`: what a row
    contains, for pristine and for touched records.
    """

    def __init__(
        self,
        conn: Connection[Any],
        principal: Principal,
        query: Query,
        limit: int | None,
        contents: Mapping[str, LiteralString] | None = None,
        *,
        offset: int = 0,
    ) -> None:
        record = _SQL["record"]
        self._contents = contents or {"pristine": record, "touched": record}
        self._query = query
        self._left = limit
        where, self._values = conditions(query.filters)
        self._by_id = names_ids(query.filters)
        place = decode_cursor(query.sort, query.after) if query.after else None
        self._values.update(own(principal), **place_values(place), **touched_values(query.filters))
        self._values |= costs.values(conn, principal.organization_id, query)
        whole = self._by_id or reads_all(query.sort)
        in_order = [] if whole else segments(query.sort, place)
        near = self._is_near(conn, in_order, offset)
        found = None if near else self._found(conn, in_order)
        self.found = self._values["found"] = found
        self._where: dict[str, LiteralString] = {
            "pristine": search.in_order(query.filters)
            if near
            else search.among_few(query.filters, where, found),
            "touched": for_overlay(query.filters, where),
        }
        self._parts: dict[str, LiteralString] = {
            "keys": key_columns(query.sort),
            "amounts": costs.columns(query),
        }
        few = whole or found is not None
        self._segments = [whole_order(query.sort, place)] if few else in_order
        self._in_steps = not few and self._is_page and in_steps(query.sort)
        self._conn, self._place = conn, place

    def took(self, rows: int) -> None:
        """Record how many rows were read."""
        if self._left is not None:
            self._left -= rows

    def one_by_one(self) -> Iterator[_Statement]:
        """Make a statement for each segment, in order, until enough rows are read."""
        steps = self._steps()
        while (self._left is None or self._left > 0) and (step := next(steps, None)):
            statement, values = self._statement([step.segment], step.segment.shown_order, 0)
            yield statement, {**values, **step.values}

    def at_once(self, offset: int) -> _Statement:
        """Make one statement for all segments, since their numbers of rows are unknown."""
        return self._statement(self._segments, order(self._query.sort), offset)

    def _searches(self, in_order: Sequence[Segment]) -> bool:
        can_choose = not self._by_id and bool(in_order) and self._wants_mirror
        return bool(self._query.filters.search) and can_choose

    def _is_near(self, conn: Connection[Any], in_order: Sequence[Segment], offset: int) -> bool:
        """Return whether a page of a search is found early in the order."""
        filters, sort, upto = self._query.filters, self._query.sort, (self._left or 0) + offset
        a_page = self._is_page and reads_a_page(sort) and not names_costs(sort)
        if not a_page or not self._searches(in_order):
            return False
        return search.soon(conn, filters, in_order[0], self._values, upto)

    def _found(self, conn: Connection[Any], in_order: Sequence[Segment]) -> list[str] | None:
        """Find the mirror's ids for a search; None: too many, or not searched for."""
        if not self._searches(in_order):
            return None
        return search.few(conn, self._query.filters, self._values)

    def _steps(self) -> Iterator[Step]:
        if not self._in_steps:
            return map(Step, self._segments)
        return Steps(
            conn=self._conn,
            keys=self._query.sort,
            place=self._place,
            conditions=self._where["pristine"],
            values=self._values,
            looked_at=self._query.filters.looked_at(),
            in_rollup=fits_rollup(self._query.filters),
            upto=self._left or 0,
        ).cut()

    @property
    def is_whole(self) -> bool:
        """Whether every record is read."""
        return self._left is None and not self._query.filters.given()

    @property
    def _is_page(self) -> bool:
        return self._wants_mirror and self._left is not None and self._left <= search.AHEAD

    @property
    def _wants_mirror(self) -> bool:
        return self._query.baseline or self._query.filters.wants_pristine()

    def _statement(self, parts: Sequence[Segment], by: LiteralString, offset: int) -> _Statement:
        branches: list[LiteralString] = [
            _SQL[statement].format(
                **self._parts,
                **own,
                content=self._contents[name],
                conditions=self._where[name],
                segment=part.of_mirror if name == "pristine" else part.condition,
                order=part.order,
            )
            for part in parts
            for name, statement, own in self._halves()
        ]
        union = " UNION ALL ".join("(" + one + ")" for one in branches)
        upto = None if self._left is None else self._left + offset
        values = {**self._values, "limit": self._left, "offset": offset, "upto": upto}
        return _SQL["whole"].format(segments=union, order=by), values

    def _halves(self) -> Iterator[tuple[str, str, dict[str, LiteralString]]]:
        """Yield each half's name, its statement and what that is composed of."""
        baseline = self._query.baseline
        if self._wants_mirror:
            some = self._left is not None and reads_a_page(self._query.sort)
            rest = "untouched_of_all" if self.is_whole else "untouched"
            untouched = TRUE if baseline else _SQL["untouched_page" if some else rest]
            of_mirror = costs.tables(self._query, overlay=False)
            yield "pristine", "pristine", {"untouched": untouched, "costs": of_mirror}
        if not baseline:
            narrowed = narrowing(self._query.filters)
            of_overlay = costs.tables(self._query, overlay=True)
            own: dict[str, LiteralString] = {
                "narrowing": narrowed,
                "topmost": _SQL["topmost"],
                "costs": of_overlay,
            }
            whole = self._left is None or bool(of_overlay)
            yield "touched", "touched" if whole else "touched_page", own


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if value is None else str(value)
