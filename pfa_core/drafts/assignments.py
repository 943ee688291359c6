"""Assignments FIELD=VALUE as deltas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pfa_core.drafts.save_faults import count
from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.model.delta import unwritable
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.relative import KINDS, Relative, forms_of, relative_text, require_decimals
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.values import Wrong, read_text, shorten


def parse_assignments(
    assignments: Iterable[str], *, relative: bool = False, decimals: int | None = None
) -> dict[str, Any]:
    """Read `FIELD=VALUE` texts as a delta.

    Each value is read as its field's kind; an empty one or `null` clears the field.

    Args:
        relative: Numbers and dates may be relative to a record's own values: `+5%`, `+250`, `*1.05`,
            `/2`, `+14d`, `-2w`, `+1m`, or the name of another such field. Of texts none is.
        decimals: Round relative numbers half up to so many, 0 to 6.

    Raises:
        InvalidRequest: No `=`, a field twice, or decimals without a relative number.
        InvalidData: A value that its field cannot have, or a field that cannot be edited.
    """
    require_decimals(decimals)
    delta: dict[str, Any] = {}
    faults: list[Fault] = []
    for assignment in assignments:
        name, text = _split(assignment)
        if name in delta:
            raise InvalidRequest(f"field listed twice: {name}")
        value = unwritable(name) or _value(name, text, decimals, relative=relative)
        if isinstance(value, Wrong):
            faults.append(Fault("", name, value.code, value.reason))
        delta[name] = value
    if faults:
        raise InvalidData(f"{count(len(faults), 'problem')}, nothing was saved", details=faults)
    if decimals is not None and not any(map(_is_relative_number, delta.values())):
        raise InvalidRequest("`decimals` rounds relative numbers, and there is none")
    return delta


def _split(assignment: str) -> tuple[str, str]:
    name, equals, text = assignment.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"not a FIELD=VALUE: {shorten(assignment)}")
    return name, text


def _value(name: str, text: str, decimals: int | None, *, relative: bool) -> Any:
    known = FIELDS[name]
    if relative and (found := relative_text(known, text.strip(), decimals)):
        return found
    if text == "" and known.kind is Kind.TEXT and known.default == "":
        return ""
    if text.strip() == "" and known.kind is Kind.FLAG:
        return Wrong(FaultCode.INVALID_TYPE, "must be true or false")
    value = read_text(known, text)
    if relative and isinstance(value, Wrong) and known.kind in KINDS:
        return Wrong(value.code, value.reason + _meant(known, text))
    return value


def _meant(known: Field, text: str) -> str:
    """Name the field or the forms that a text without a meaning may have meant."""
    same_kind = [each.name for each in FIELDS.values() if each.kind is known.kind]
    return did_you_mean(text.strip(), same_kind) or f"; relative ones: {forms_of(known)}"


def _is_relative_number(value: Any) -> bool:
    return isinstance(value, Relative) and value.kind is Kind.MONEY
