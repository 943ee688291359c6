"""A fast path from rows of text to JSON records.

It serves rows without anything unusual. A pull of a hundred thousand grid rows spends most of its time
here. Values recur: a date, a rate or a category is read once and its JSON remembered. A row with
anything out of the ordinary is left to `read_record`, which reports its faults; both give the same
result for every other row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any

from pfa_core.model.casts import MAX_REMEMBERED, always_there, cast_value, is_blank, recurs
from pfa_core.model.keys import MAX_REMEMBERED_LENGTH, invisible_in, normal_key
from pfa_core.model.record import DEFAULTED, FIELDS, MAX_ID, Field
from pfa_core.model.values import Wrong

_DERIVED = ("pfaId", "organization", "hasPlan", "hasActuals")
_DATES = ("originalStart", "originalEnd", "actualStart", "actualEnd")


class TextRows:
    """A converter of one organization's rows to JSON.

    Args:
        dumps: Writes values that are not texts.
        altered: Whether a text that identifies or groups the last row's record came in another form.
    """

    def __init__(self, organization_id: str, dumps: Callable[[Any], str]) -> None:
        self._organization_id, self._dumps = organization_id, dumps
        self.altered = False
        self._fields = [
            (name, f"{encode_basestring(name)}:", _Reader(field, dumps), not always_there(field))
            for name, field in FIELDS.items()
            if name not in _DERIVED
        ]
        self._head = f'"organization":{encode_basestring(organization_id)},"pfaId":'

    def text(self, row: Mapping[str, str]) -> str | None:
        """Return the record's JSON, None where `read_record` has to read the row."""
        pfa_id = row.get("pfaId")
        own = row.get("organization")
        if not pfa_id or len(pfa_id) > MAX_ID or not _is_normal(pfa_id):
            return None
        if (own and own != self._organization_id) or "hasPlan" in row or "hasActuals" in row:
            return None
        self.altered = False
        parts = [self._head + encode_basestring(pfa_id)]
        known = 1 + ("organization" in row)
        for name, head, reader, may_lack in self._fields:
            value = row.get(name)
            if value is None:
                text = reader.missing
            else:
                known += 1
                text = reader.get(value)
                if text is None:
                    text = reader.read(value)
                    if text is None:
                        return None
                    self.altered |= value in reader.altered
            if text != "null" or not may_lack:
                parts.append(head + text)
        if known != len(row):
            parts += self._unknown(row)
        start, end, first, last = (row.get(name) for name in _DATES)
        has_plan, has_actuals = _given(start) and _given(end), _given(first) and _given(last)
        parts.append(f'"hasPlan":{_flag(has_plan)},"hasActuals":{_flag(has_actuals)}')
        return "{" + ",".join(parts) + "}"

    def blank(self) -> set[str]:
        """Return the fields with a default that a row so far had an empty text of."""
        return {
            name
            for name, _, reader, _ in self._fields
            if name in DEFAULTED and any(is_blank(text) for text in reader)
        }

    def _unknown(self, row: Mapping[str, str]) -> list[str]:
        """Write the unknown fields as they came."""
        return [
            f"{encode_basestring(name)}:{self._dumps(value)}"
            for name, value in row.items()
            if name not in FIELDS
        ]


class _Reader(dict[str, str]):
    """A cache of the JSON of each text of a field, read by the rules of `read_record`."""

    def __init__(self, field: Field, dumps: Callable[[Any], str]) -> None:
        super().__init__()
        self._field, self._dumps = field, dumps
        self._recurs = recurs(field)
        self.missing = dumps(field.default)
        # Texts that are not remembered as the others are, so that each row of theirs is noticed.
        self.altered: dict[str, str] = {}

    def read(self, text: str) -> str | None:
        """Return the JSON of a text seen for the first time; None where it is refused."""
        if not self._recurs:
            fits = len(text) <= self._field.max_length
            return (encode_basestring(text) if text else self.missing) if fits else None
        if len(text) > MAX_REMEMBERED_LENGTH:
            return None  # the row is read field by field, which remembers nothing of it
        json = self.altered.get(text)
        if json is not None:
            return json
        value = cast_value(self._field, text, textual=True)
        if isinstance(value, Wrong):
            return None
        json = self._dumps(value)
        is_altered = self._field.is_key and text and value != text
        if is_altered or len(self) < MAX_REMEMBERED:
            (self.altered if is_altered else self)[text] = json
        return json


def _is_normal(key: str) -> bool:
    """Return whether a key has its form and no invisible character."""
    if key.isascii() and key.isprintable():
        return key[0] != " " != key[-1]
    return normal_key(key) == key and not invisible_in(key)


def _given(text: str | None) -> bool:
    return bool(text) and text.strip() not in ("", "null")


def _flag(value: bool) -> str:  # noqa: FBT001 - a value to write, not a switch
    return "true" if value else "false"
