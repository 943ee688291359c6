"""Casts of the values of baseline records."""

from __future__ import annotations

from typing import Any, ClassVar

from pfa_core.model.keys import MAX_REMEMBERED_LENGTH
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.values import Wrong, read_text, read_value

MAX_REMEMBERED = 50_000
LEFT_OUT: Any = object()  # in place of a value of a field that the mirror does not keep


def always_there(field: Field) -> bool:
    """Return whether the mirror holds the field even when it is null."""
    return (bool(field.column) or field.editable) and not field.sparse


def cast_value(field: Field, value: Any, *, textual: bool) -> Any | Wrong:
    """Convert one field's value, or return what is wrong.

    A missing value becomes the field's default.
    """
    if value is None or (textual and value == ""):
        return field.default
    by_text = textual or field.kind is Kind.CHOICE
    if isinstance(value, str) and by_text and field.kind is not Kind.TEXT:
        result = read_text(field, value)
    else:
        result = read_value(field, value)
    return field.default if result is None or (field.code and result == "") else result


def is_blank(value: Any) -> bool:
    """Return whether a field with a default gets it for want of a value."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "null"))


def recurs(field: Field) -> bool:
    """Return whether records share the texts of the field.

    Free texts and ids are not shared.
    """
    return field.kind is not Kind.TEXT or (bool(field.column) and field.name != "pfaId")


class Cast:
    """The cast of one field.

    Texts recur in a million records (a date, a category): each is converted once, and its value
    remembered. `altered`: a cast of this process has given a key another form.

    Args:
        stays: The texts of JSON that are kept as they are, so far.
        plain: Up to this length a text stays as it is; 0: it never does.
        may_lack: Whether the mirror leaves the field out where it is null.
    """

    altered: ClassVar[bool] = False

    def __init__(self, field: Field) -> None:
        self.name, self.kind = field.name, field.kind
        self.default, self.may_lack = field.default, not always_there(field)
        self.recurs = recurs(field)
        self.stays: set[str] = set()
        self._field = field
        self._from_text: dict[str, Any] = {}
        self._from_json: dict[str, Any] = {}
        is_free = field.kind is Kind.TEXT and not (self.recurs or field.is_key or field.code)
        self.plain = field.max_length if is_free else 0

    def value(self, given: Any, *, textual: bool) -> Any | Wrong:
        """Convert a value to what the mirror keeps, or return what is wrong with it."""
        if not (self.recurs and isinstance(given, str)):
            return cast_value(self._field, given, textual=textual)
        if not textual and given in self.stays:
            return given
        remembered = self._from_text if textual else self._from_json
        value = remembered.get(given)
        if value is None:
            value = cast_value(self._field, given, textual=textual)
            if self._field.is_key and value != given:
                Cast.altered = True
            is_kept = len(given) <= MAX_REMEMBERED_LENGTH and value.__class__ is not Wrong
            if is_kept and len(remembered) + len(self.stays) < MAX_REMEMBERED:
                if textual or value.__class__ is not str or value != given:
                    remembered[given] = value
                else:
                    self.stays.add(given)
        return value

    def put(self, changes: dict[str, Any], given: Any, *, textual: bool) -> Wrong | None:
        """Add how what the mirror keeps differs from a value that is not null."""
        value = self.value(given, textual=textual)
        if value.__class__ is Wrong:
            return value
        if value is not given and not (value.__class__ is str and value == given):
            changes[self.name] = LEFT_OUT if value is None and self.may_lack else value
        return None

    def put_default(self, changes: dict[str, Any], *, is_null: bool) -> None:
        """Add what the mirror keeps of a field that is null, or missing."""
        if self.default is not None or self.may_lack == is_null:
            changes[self.name] = LEFT_OUT if self.default is None and is_null else self.default


KEYS = [field.name for field in FIELDS.values() if field.is_key]
CASTS = [Cast(field) for field in FIELDS.values()]
