"""Cells and elements of the lines of drafts as SQL.

Over `pfa_modification` called m, and what is computed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import LiteralString

from pfa_core import sql
from pfa_core.model.layout import LineForm
from pfa_core.model.record import FIELDS

_SQL = sql.statements("lines")
_COST: LiteralString = "E'\\x02'"
BLANK: LiteralString = "''"
_NULL: LiteralString = "'null'"
_FIELDS: tuple[LiteralString, ...] = tuple(each.name for each in FIELDS.values() if each.editable)
# As PostgreSQL keeps the members of an object.
_STORED: tuple[LiteralString, ...] = tuple(sorted(_FIELDS, key=lambda name: (len(name), name)))
# Those that the forecast cost of a record is made of.
PRICED: tuple[LiteralString, ...] = (
    *("source", "monthlyRate", "purchasePrice", "isDiscontinued", "isFundsTransferable"),
    *("forecastStart", "forecastEnd"),
)
_AMOUNTS: Mapping[LiteralString, LiteralString] = {"price": "purchasePrice", "rate": "monthlyRate"}


def at(column: LiteralString) -> LiteralString:
    """Compose the text of a time."""
    return _SQL["at"].format(column=column)


def created() -> LiteralString:
    """Compose the text of the time at which a draft was made."""
    first = _SQL["first_created"]
    return _SQL["created"].format(first=first, of_first=at(f"({first})"), at=at("m.created_at"))


def _at_or_created(column: LiteralString) -> LiteralString:
    return _SQL["at_or_created"].format(column=column, at=at(column))


def effect() -> LiteralString:
    """Compose the effect of a modification on the forecast."""
    after: dict[str, LiteralString] = {
        field: f"({_SQL['after'].format(field=field)})" for field in PRICED
    }
    amounts: dict[str, LiteralString] = {}
    for name, field in _AMOUNTS.items():
        before: LiteralString = f"(m.was -> '{field}')"
        amounts[f"{name}_before"] = _SQL["amount"].format(value=before)
        amounts[f"{name}_after"] = _SQL["amount"].format(value=after[field])
    days_after = _SQL["days_after"].format(
        days_of_overlay=_SQL["days_of_overlay"],
        start=after["forecastStart"],
        end=after["forecastEnd"],
    )
    of_record: dict[str, LiteralString] = {
        f"after_{field}": value for field, value in after.items()
    }
    return _SQL["effect"].format(**amounts, **of_record, days_after=days_after)


def _separator(form: LineForm) -> LiteralString:
    return "','" if form is LineForm.CSV else "E'\\t'"


_MAY_BE_NULL = ("sessionId", "changeReason", "updatedAt", "committedAt")
# The columns of a field's line that differ from field to field.
_VARYING = ("field", "before", "after")


def row_of(
    columns: Sequence[str], field: LiteralString, before: LiteralString, after: LiteralString
) -> LiteralString:
    """Compose the line of a field of segments and what is between them."""
    varying: dict[str, LiteralString] = {"field": field, "before": before, "after": after}
    parts: list[LiteralString] = ["E'\\x04'", "m.s0"]
    for column in columns:
        if column in varying:
            number = sql.numeral(len(parts) // 2)
            segment: LiteralString = f"m.s{number}"
            parts.append(varying[column])
            parts.append(segment)
    return f"concat({', '.join(parts)})"


class Composer:
    """Composes lines of one form; of fields that are not `shown` all values are null."""

    def __init__(self, form: LineForm, shown: Sequence[str] | None) -> None:
        self._form = form
        self._hidden = frozenset[str]() if shown is None else frozenset(_FIELDS) - frozenset(shown)
        self._cell: LiteralString = _SQL["csv" if form is LineForm.CSV else "tsv"]

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
        # concat_ws leaves out what is null.
        written: list[LiteralString] = [
            f"coalesce({cells[column]}, '')" if column in _MAY_BE_NULL else cells[column]
            for column in columns
        ]
        return f"concat_ws({_separator(self._form)}, {', '.join(written)})"

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
        parts: list[LiteralString] = [
            _SQL["assignment"].format(field=field, value=self._of_field(field, "plain_value"))
            for field in _FIELDS
        ]
        return _SQL["assignments"].format(assignments=", ".join(parts))

    def object(self, of: LiteralString) -> LiteralString:
        """Compose a delta or a base as JSON."""
        members: list[LiteralString] = [
            _SQL["member"].format(object=of, field=field, value=self._of_field(field, "value", of))
            for field in _FIELDS
        ]
        whole = _SQL["object"].format(members=", ".join(members))
        stored: LiteralString = f"{of}_stored"
        return whole if self._hidden else _SQL["of_one_field"].format(stored=stored, whole=whole)

    def _of_field(
        self, field: LiteralString, block: str, of: LiteralString = "m.delta"
    ) -> LiteralString:
        return _NULL if field in self._hidden else _SQL[block].format(object=of, field=field)

    def draft(self) -> LiteralString:
        """Compose a draft as an element of JSON."""
        overtaken: list[LiteralString] = [
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
            committedAt=_SQL["json_at"].format(text=at("m.committed_at")),
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
            opening: LiteralString = f"'{before}\"{named}\":'"
            parts.append(opening)
            parts.append(value)
        return f"concat({', '.join(parts)}, '}}')"

    def segments(self, columns: Sequence[str]) -> LiteralString:
        """Compose what the lines of a modification's fields have in common."""
        cells: dict[str, LiteralString] = {**self._same(), "costEffect": _COST}
        separator = _separator(self._form)
        segments: list[list[LiteralString]] = [[]]
        for number, column in enumerate(columns):
            if number:
                segments[-1].append(separator)
            if column in _VARYING:
                segments.append([])
            else:
                segments[-1].append(cells[column])
        named: list[LiteralString] = [
            f"concat({', '.join(parts or [BLANK])}) AS s{sql.numeral(number)}"
            for number, parts in enumerate(segments)
        ]
        return ", ".join(named)

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
            return row_of(columns, f"'{field}'", BLANK, BLANK)
        before = self._value_cell("m.was", field)
        return row_of(columns, f"'{field}'", before, self._value_cell("m.delta", field))

    def _value_cell(self, of: LiteralString, field: LiteralString) -> LiteralString:
        value: LiteralString = f"({_SQL['plain_value'].format(object=of, field=field)})"
        return self._cell.format(text=value)


_MEMBERS: tuple[LiteralString, ...] = (
    *("modificationId", "pfaId", "sessionId", "state", "version", "delta", "base"),
    *("changeReason", "createdAt", "updatedAt", "committedAt", "overtaken"),
    *("changes", "costEffect"),
)
_NAMES: Mapping[str, LiteralString] = dict(zip(_MEMBERS, _MEMBERS, strict=True))


def _quoted(value: LiteralString) -> LiteralString:
    return f"'\"', {value}, '\"'"


def _text(value: LiteralString) -> LiteralString:
    return _SQL["json_text"].format(text=value)


def _listed(value: LiteralString) -> LiteralString:
    return f"'[', {value}, ']'"
