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
from pfa_core.model.record import FIELDS
from pfa_core.store import modifications
from pfa_core.store.reads import costs
from pfa_core.store.reads.filters import conditions

BATCH = 1000
_SQL = sql.statements("lines")
_HARD = "\x03"
_COST: LiteralString = "E'\\x02'"
_BLANK: LiteralString = "''"
_NULL: LiteralString = "'null'"
_FIELDS: tuple[LiteralString, ...] = tuple(each.name for each in FIELDS.values() if each.editable)
# As PostgreSQL keeps the members of an object.
_STORED = tuple(sorted(_FIELDS, key=lambda name: (len(name), name)))
# Those that the forecast cost of a record is made of.
_PRICED = ("source", "monthlyRate", "purchasePrice", "isDiscontinued", "isFundsTransferable",
           "forecastStart", "forecastEnd")  # fmt: skip

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
    composed = _Composer(layout.form, shown)
    is_json = layout.form is LineForm.JSON
    tables, values = _matching(principal, filters)
    line = composed.draft() if is_json else composed.row(layout.columns)
    statement = _SQL["drafts"].format(
        line=line,
        at=_at("m.created_at"),
        delta=composed.object("m.delta") if is_json or "delta" in layout.columns else _BLANK,
        fields=composed.assignments() if "fields" in layout.columns else _BLANK,
        base=composed.object("m.base") if is_json else _BLANK,
        rows=_SQL["rows"].format(
            beside=_SQL["beside_draft"] if is_json else "",
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
    composed = _Composer(layout.form, shown)
    tables, values = _matching(principal, filters)
    if layout.form is LineForm.JSON:
        segments, line, blank = [_BLANK], composed.entry(), _BLANK
    else:
        segments = composed.segments(layout.columns)
        line, blank = _SQL["lines"], _row(layout.columns, _BLANK, _BLANK, _BLANK)
    statement = _SQL["fields"].format(
        line=line,
        unchanged=blank,
        cents=_SQL["cents" if shown is None else "hidden_cost"],
        effect=_effect(),
        changed=", ".join(composed.changed(layout.columns)),
        segments=", ".join(f"{one} AS s{sql.numeral(at)}" for at, one in enumerate(segments)),
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
    values |= {**weights, "priced": list(_PRICED), "limit": limit}
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
    table = _SQL["of_values"].format(conditions=where) if of_values or where != "true" else ""
    return table, values | of_values


def _narrowing(filters: Filters) -> LiteralString:
    parts: list[LiteralString] = []
    if filters.state:
        parts.append(_SQL["of_states"])
    if filters.session:
        parts.append(_SQL["of_sessions"])
    return " AND ".join(parts) or "true"


def _at(column: LiteralString) -> LiteralString:
    return _SQL["at"].format(column=column)


def _at_or_created(column: LiteralString) -> LiteralString:
    return _SQL["at_or_created"].format(column=column, at=_at(column))


def _effect() -> LiteralString:
    after = {field: f"({_SQL['after'].format(field=field)})" for field in _PRICED}
    amounts: dict[str, LiteralString] = {}
    for name, field in (("price", "purchasePrice"), ("rate", "monthlyRate")):
        amounts[f"{name}_before"] = _SQL["amount"].format(value=f"(m.was -> '{field}')")
        amounts[f"{name}_after"] = _SQL["amount"].format(value=after[field])
    days_after = _SQL["days_after"].format(
        days_of_overlay=_SQL["days_of_overlay"],
        start=after["forecastStart"],
        end=after["forecastEnd"],
    )
    of_record = {f"after_{field}": value for field, value in after.items()}
    return _SQL["effect"].format(**amounts, **of_record, days_after=days_after)


def _separator(form: LineForm) -> LiteralString:
    return "','" if form is LineForm.CSV else "E'\\t'"


# The columns of a field's line that differ from field to field.
_VARYING = ("field", "before", "after")


def _row(
    columns: Sequence[str], field: LiteralString, before: LiteralString, after: LiteralString
) -> LiteralString:
    """Compose the line of a field of segments and what is between them."""
    varying = {"field": field, "before": before, "after": after}
    parts: list[LiteralString] = ["E'\\x04'", "m.s0"]
    for column in columns:
        if column in varying:
            parts += [varying[column], f"m.s{sql.numeral(len(parts) // 2)}"]
    return f"concat({', '.join(parts)})"


class _Composer:
    """Composes lines of one form; of fields that are not `shown` all values are null."""

    def __init__(self, form: LineForm, shown: Sequence[str] | None) -> None:
        self._form = form
        self._hidden = frozenset[str]() if shown is None else frozenset(_FIELDS) - frozenset(shown)
        self._cell = _SQL["csv" if form is LineForm.CSV else "tsv"]

    def cells(self) -> dict[str, LiteralString]:
        """Compose the cells of a draft."""
        of_object = _SQL["csv_object" if self._form is LineForm.CSV else "tsv_object"]
        return {
            **self._same(),
            "delta": of_object.format(text="m.delta_text"),
            "fields": self._cell.format(text="m.fields_text"),
            "createdAt": "m.created_text",
            "updatedAt": _at_or_created("m.updated_at"),
            "committedAt": _at_or_created("m.committed_at"),
        }

    def row(self, columns: Sequence[str]) -> LiteralString:
        """Compose the row of a draft."""
        cells = self.cells()
        separator: LiteralString = f", {_separator(self._form)}, "
        return f"concat({separator.join(cells[column] for column in columns)})"

    def _same(self) -> dict[str, LiteralString]:
        return {
            "pfaId": self._cell.format(text="m.pfa_id"),
            "modificationId": "m.modification_id",
            "sessionId": self._cell.format(text="m.session_id"),
            "state": "m.state",
            "version": "m.version",
            "changeReason": self._cell.format(text="m.change_reason"),
        }

    def assignments(self) -> LiteralString:
        """Compose the fields of a delta as a text for people."""
        parts = [
            _SQL["assignment"].format(field=field, value=self._of_field(field, "plain_value"))
            for field in _FIELDS
        ]
        return _SQL["assignments"].format(assignments=", ".join(parts))

    def object(self, of: LiteralString) -> LiteralString:
        """Compose a delta or a base as JSON."""
        members = [
            _SQL["member"].format(object=of, field=field, value=self._of_field(field, "value", of))
            for field in _FIELDS
        ]
        return _SQL["object"].format(members=", ".join(members))

    def _of_field(
        self, field: LiteralString, block: str, of: LiteralString = "m.delta"
    ) -> LiteralString:
        return _NULL if field in self._hidden else _SQL[block].format(object=of, field=field)

    def draft(self) -> LiteralString:
        """Compose a draft as an element of JSON."""
        overtaken = [
            _SQL["overtaken_field"].format(
                field=field,
                base=self._of_field(field, "json_value", "m.base"),
                mine=self._of_field(field, "json_value"),
                pems=self._of_field(field, "json_value", "m.pems"),
            )
            for field in _STORED
        ]
        element = self._members(
            modificationId=_quoted("m.modification_id"),
            pfaId=_text("m.pfa_id"),
            sessionId=_text("m.session_id"),
            state=_quoted("m.state"),
            version="m.version",
            delta="m.delta_text",
            base="m.base_text",
            changeReason=_text("m.change_reason"),
            createdAt=_quoted("m.created_text"),
            updatedAt=_quoted(_at_or_created("m.updated_at")),
            committedAt=_SQL["json_at"].format(text=_at("m.committed_at")),
            overtaken=_listed(_SQL["overtaken"].format(fields=", ".join(overtaken))),
        )
        return _SQL["unless_odd"].format(
            long_base=_SQL["has_long_base"],
            own_sends=_SQL["has_own_sends"].format(has_stacks=_SQL["has_stacks"]),
            line=element,
        )

    def entry(self) -> LiteralString:
        """Compose the fields of a modification as an element of JSON."""
        return self._members(
            pfaId=_text("m.pfa_id"),
            modificationId=_quoted("m.modification_id"),
            sessionId=_text("m.session_id"),
            state=_quoted("m.state"),
            version="m.version",
            changes=_listed(_SQL["changes"]),
            costEffect="coalesce(m.cost, 'null')",
            changeReason=_text("m.change_reason"),
        )

    def _members(self, **members: LiteralString) -> LiteralString:
        parts: list[LiteralString] = []
        for number, (name, value) in enumerate(members.items()):
            before: LiteralString = "," if number else "{"
            named: LiteralString = _NAMES[name]
            parts += [f"'{before}\"{named}\":'", value]
        return f"concat({', '.join(parts)}, '}}')"

    def segments(self, columns: Sequence[str]) -> list[LiteralString]:
        """Compose what the lines of a modification's fields have in common."""
        cells = {**self._same(), "costEffect": _COST}
        separator = _separator(self._form)
        segments: list[list[LiteralString]] = [[]]
        for number, column in enumerate(columns):
            if number:
                segments[-1].append(separator)
            if column in _VARYING:
                segments.append([])
            else:
                segments[-1].append(cells[column])
        return [f"concat({', '.join(parts)})" if parts else _BLANK for parts in segments]

    def changed(self, columns: Sequence[str]) -> Iterator[LiteralString]:
        """Compose each field that a modification changes, where it does."""
        for field in _FIELDS:
            block = "hidden_field" if field in self._hidden else "changed_field"
            yield _SQL[block].format(field=field, shown=self._change(field, columns))

    def _change(self, field: LiteralString, columns: Sequence[str]) -> LiteralString:
        if self._form is LineForm.JSON:
            return _SQL["change"].format(
                field=field,
                before=self._of_field(field, "json_value", "m.was"),
                after=self._of_field(field, "json_value"),
            )
        if field in self._hidden:
            return _row(columns, f"'{field}'", _BLANK, _BLANK)
        before, after = (
            self._cell.format(text=f"({_SQL['plain_value'].format(object=of, field=field)})")
            for of in ("m.was", "m.delta")
        )
        return _row(columns, f"'{field}'", before, after)


_NAMES: Mapping[str, LiteralString] = {
    name: name
    for name in (
        *("modificationId", "pfaId", "sessionId", "state", "version", "delta", "base"),
        *("changeReason", "createdAt", "updatedAt", "committedAt", "overtaken"),
        *("changes", "costEffect"),
    )
}


def _quoted(value: LiteralString) -> LiteralString:
    return f"'\"', {value}, '\"'"


def _text(value: LiteralString) -> LiteralString:
    return _SQL["json_text"].format(text=value)


def _listed(value: LiteralString) -> LiteralString:
    return f"'[', {value}, ']'"
