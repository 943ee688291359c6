"""Cursors, which mark a place in an order of records."""

from __future__ import annotations

import base64
import binascii
import json
import re

from pfa_core.errors import InvalidRequest
from pfa_core.model.ordering import SortKey
from pfa_core.model.query import complete_sort, require_text
from pfa_core.model.record import LIST_SORTABLE, Kind

# What a cursor can hold for a sort key, by its kind.
_ANY = re.compile(r".*", re.DOTALL)
_PLACES = {
    Kind.MONEY: re.compile(r"-?\d{1,60}(\.\d{1,60})?", re.ASCII),
    Kind.FLAG: re.compile("true|false"),
}


def encode_cursor(sort: tuple[SortKey, ...], values: list[str | None]) -> str:
    """Encode the place after the row with these sort values.

    There is a text or null for each key of the complete order.
    """
    content = json.dumps([_spelled(sort), values], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(sort: tuple[SortKey, ...], cursor: str) -> list[str | None]:
    """Decode the sort values after which to resume.

    Raises:
        InvalidRequest: Not a cursor, or made for another order.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        spelled, values = json.loads(
            base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        )
        texts = [value if value is None else str(value) for value in values]
        for text in texts:
            require_text(text or "")
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise InvalidRequest("invalid cursor: not one that a list returned") from error
    if spelled != _spelled(sort) or len(texts) != len(complete_sort(sort)):
        raise InvalidRequest("the cursor belongs to another order; `sort` has to stay as it was")
    for key, text in zip(complete_sort(sort), texts, strict=True):
        if not _is_place(key.field, text):
            raise InvalidRequest("invalid cursor: not one that a list returned")
    return texts


def _is_place(field: str, text: str | None) -> bool:
    kind = LIST_SORTABLE[field].kind
    if text is None:  # every record has a flag and an id
        return kind is not Kind.FLAG and field != "pfaId"
    return bool(_PLACES.get(kind, _ANY).fullmatch(text))


def _spelled(sort: tuple[SortKey, ...]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.field}" for key in complete_sort(sort))
