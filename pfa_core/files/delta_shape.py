"""Shape of a delta file in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pfa_core.errors import FaultCode
from pfa_core.files.delta_bounds import MAX_REASON, MAX_SESSION
from pfa_core.model.record import MAX_ID
from pfa_core.shapes import AfterValidator, Shape, key, refused

_NAME = f"a text of 1 to {MAX_SESSION} characters"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise refused(FaultCode.INVALID_TYPE, f"must be {_NAME}")
    return text


Name = Annotated[str, AfterValidator(_not_blank)]


class RelativeValue(Shape):
    """A number or date that starts from the record's own; one key beside round."""

    add: str | Decimal | None = key(
        "what is added: 5%, -250; to a date 14d, -2w, 1m, 1y", "a text or a number"
    )
    multiply: str | Decimal | None = key("what the number is multiplied by", "a number ≥ 0")
    divide: str | Decimal | None = key("what the number is divided by", "a number > 0")
    field: str | None = key("field whose value is taken, of the same kind", "a field's name")
    round: int | None = key(
        "decimals that a number is rounded to, half up", "a whole number 0 to 6", ge=0, le=6
    )


class Modification(Shape):
    """One modification: a record's changed fields."""

    pfa_id: str = key(
        "business key of the record",
        f"a text of 1 to {MAX_ID} characters",
        default=...,
        alias="pfaId",
        min_length=1,
        max_length=MAX_ID,
    )
    delta: dict[str, RelativeValue | Any] = key(
        "editable fields with their new values", "an object", default=...
    )
    change_reason: str | None = key(
        "reason of the change",
        f"a text of at most {MAX_REASON:,} characters",
        alias="changeReason",
        max_length=MAX_REASON,
    )
    expected_version: int | None = key(
        "version that the draft must have", "a whole number ≥ 0", alias="expectedVersion", ge=0
    )


class DeltaFile(Shape):
    """A file of modifications."""

    session_id: Name | None = key(
        "session (change set) of the drafts", _NAME, alias="sessionId", max_length=MAX_SESSION
    )
    organization: Name | None = key("organization of the records", _NAME, max_length=MAX_SESSION)
    modifications: list[Modification] = key(
        "what is saved", "a list of modifications", default=..., min_length=1
    )


def head_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file with one valid modification in place of its own."""
    return {**value, "modifications": [{"pfaId": "x", "delta": {}}]}
