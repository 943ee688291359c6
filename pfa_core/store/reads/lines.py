"""Drafts and their fields as lines of text that the server composes.

A line has what the program would write, character by character. Where that takes more than a quote around a
cell, the server names the modification instead, and the program writes the line: see `sql/lines.sql`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.layout import Layout, LineForm
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.store import modifications
from pfa_core.store.reads import costs
from pfa_core.store.reads.filters import TRUE, conditions
from pfa_core.store.reads.line_parts import BLANK, PRICED, Composer, created, effect, row_of

BATCH = 1000
_SQL = sql.statements("lines")
_HARD = "\x03"
# Columns of a draft, as those of its JSON, and the text of its fields.
DRAFT_COLUMNS = ("pfaId", "modificationId", "sessionId", "state", "version", "delta", "fields", "changeReason",
                 "createdAt", "updatedAt", "committedAt")  # fmt: skip
FIELD_COLUMNS = ("pfaId", "field", "before", "after", "costEffect", "sessionId", "state", "version", "changeReason",
                 "modificationId")  # fmt: skip


class Named(NamedTuple):
    """A modification that the server has no line of."""

    modification_id: ModificationId
    pfa_id: PfaId


@dataclass(frozen=True, slots=True)
class FieldLines:
    """The lines of one modification, or its name.

    With the number of its fields, and their effect in money-days.
    """

    lines: str | Named
    pfa_id: PfaId
    fields: int
    money_days: Decimal | None


def drafts(
    conn: Connection[Any],
    principal: Principal,
    filters: Filters,
    layout: Layout,
    *,
    keys: Sequence[SortKey] = (),
    limit: int | None = None,
    shown: Sequence[str] | None = None,
) -> Generator[list[str | Named], None, None]:
    """Stream the principal's modifications as lines without line ends, some at a time.

    Args:
        filters: Of values, states and sessions, and of no ids.
        keys: Of `modifications.in_order`; none: by record.
        shown: The only fields that are not null; None for all.
    """
    composed = Composer(layout.form, shown)
    is_json = layout.form is LineForm.JSON
    tables, values = _matching(principal, filters)
    line = composed.draft() if is_json else composed.row(layout.columns)
    statement = _SQL["drafts"].format(
        line=line,
        at=created(),
        delta=composed.object("m.delta") if is_json or "delta" in layout.columns else BLANK,
        fields=composed.assignments() if "fields" in layout.columns else BLANK,
        base=composed.object("m.base") if is_json else BLANK,
        rows=_SQL["rows"].format(
            beside=_SQL["beside_draft" if is_json else "beside_row"],
            tables=tables + (_SQL["of_record"] if is_json else ""),
            narrowing=_narrowing(filters),
            order=modifications.order(keys) if keys else _SQL["by_record"],
        ),
    )
    for rows in _batches(conn, statement, {**values, "limit": limit}):
        yield [line if line[0] != _HARD else _named(line) for (line,) in rows]


def fields(
    conn: Connection[Any],
    principal: Principal,
    filters: Filters,
    layout: Layout,
    *,
    limit: int | None = None,
    shown: Sequence[str] | None = None,
) -> Generator[list[FieldLines], None, None]:
    """Stream the lines of fields of the principal's modifications, by record.

    Those of a modification are one text with line ends, or an element of JSON.

    Args:
        filters, shown: As of `drafts`.
    """
    composed = Composer(layout.form, shown)
    tables, values = _matching(principal, filters)
    if layout.form is LineForm.JSON:
        segments, line, blank = BLANK, composed.entry(), BLANK
    else:
        segments = composed.segments(layout.columns)
        line, blank = _SQL["lines"], row_of(layout.columns, BLANK, BLANK, BLANK)
    statement = _SQL["fields"].format(
        line=line,
        unchanged=blank,
        cents=_SQL["cents" if shown is None else "hidden_cost"],
        effect=effect(),
        changed=", ".join(composed.changed(layout.columns)),
        segments=segments,
        rows=_SQL["rows"].format(
            beside=_SQL["beside_fields"].format(
                earlier=_SQL["earlier"], has_stacks=_SQL["has_stacks"]
            ),
            tables=tables + _SQL["of_record"],
            narrowing=_narrowing(filters),
            order=_SQL["by_record"],
        ),
    )
    weights = costs.values(conn, principal.organization_id, Query(costs=True))
    values |= {**weights, "priced": list(PRICED), "limit": limit}
    for rows in _batches(conn, statement, values):
        yield [
            FieldLines(line if line[:1] != _HARD else _named(line), pfa_id, count, effect)
            for line, pfa_id, count, effect in rows
        ]


def _batches(
    conn: Connection[Any], statement: LiteralString, values: Mapping[str, Any]
) -> Iterator[list[Any]]:
    """Read through a cursor of the server, beside which other statements can run."""
    with conn.cursor(name="pfa_lines") as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(BATCH):
            yield rows


def _named(line: str) -> Named:
    modification_id, _, pfa_id = line[1:].partition(" ")
    return Named(ModificationId(modification_id), PfaId(pfa_id))


def _matching(principal: Principal, filters: Filters) -> tuple[LiteralString, dict[str, Any]]:
    """Compose the table that narrows by a record's values, and all parameters."""
    values: dict[str, Any] = {
        **modifications.of_caller(principal),
        "states": list(filters.state),
        "sessions": list(filters.session),
    }
    where, of_values = conditions(filters, overlay=True)
    table = _SQL["of_values"].format(conditions=where) if of_values or where != TRUE else ""
    return table, values | of_values


def _narrowing(filters: Filters) -> LiteralString:
    parts: list[LiteralString] = []
    if filters.state:
        parts.append(_SQL["of_states"])
    if filters.session:
        parts.append(_SQL["of_sessions"])
    return " AND ".join(parts) or TRUE
