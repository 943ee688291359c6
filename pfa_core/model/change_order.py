"""Cursors of lists of changes."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pfa_core.errors import InvalidRequest
from pfa_core.model.changes import ChangeKind, ChangeRow
from pfa_core.model.ordering import SortKey
from pfa_core.model.query import require_text

# The values of a row in an order, as texts.
Place = Sequence[str]

_VALUES: Mapping[str, Callable[[ChangeRow], str]] = {
    "changedAt": lambda row: row.at.astimezone(UTC).isoformat(),
    "pfaId": lambda row: row.pfa_id,
    "change": lambda row: str(row.kind),
    "costEffect": lambda row: f"{row.cost_after - row.cost_before:f}",
}
_AMOUNT = re.compile(r"-?\d{1,60}(\.\d{1,60})?", re.ASCII)


def complete(keys: Sequence[SortKey]) -> list[SortKey]:
    """Append the PFA id where it is absent, which makes the order total."""
    rest = [] if any(key.field == "pfaId" for key in keys) else [SortKey("pfaId")]
    return [*keys, *rest]


def encode_place(keys: Sequence[SortKey], row: ChangeRow) -> str:
    """Encode the place after a row as a cursor."""
    values = [_VALUES[key.field](row) for key in complete(keys)]
    content = json.dumps([_spelled(keys), values], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_place(keys: Sequence[SortKey], cursor: str) -> Place:
    """Decode the place after which to resume.

    Raises:
        InvalidRequest: Not a cursor, or made for another order.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        spelled, values = json.loads(
            base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        )
        texts = [_text(value) for value in values]
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise InvalidRequest("invalid cursor: not one that a list returned") from error
    names = [key.field for key in complete(keys)]
    if spelled != _spelled(keys) or len(texts) != len(names):
        raise InvalidRequest("the cursor belongs to another order; `sort` has to stay as it was")
    if not all(map(_fits, names, texts)):
        raise InvalidRequest("invalid cursor: not one that a list returned")
    return texts


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    require_text(value)
    return value


def _fits(name: str, text: str) -> bool:
    if name == "changedAt":
        try:
            return datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            return False
    if name == "change":
        return text in tuple(ChangeKind)
    return name != "costEffect" or bool(_AMOUNT.fullmatch(text))


def _spelled(keys: Sequence[SortKey]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.field}" for key in complete(keys))
