"""ORDER BY of lists, composed of constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString, NamedTuple

from pfa_core.model.ordering import SortKey


class By(NamedTuple):
    """What a sort key sorts by.

    `nullable`: NULLS LAST is written for it alone, since no index has that order.
    """

    expression: LiteralString
    nullable: bool = False


def order_by(
    keys: Sequence[SortKey], columns: Mapping[str, By], tie: LiteralString
) -> LiteralString:
    """Compose the order; ties have that of the first key."""
    first = keys[0].descending
    parts: list[LiteralString] = [
        *(_part(columns[key.field], descending=key.descending) for key in keys),
        _part(By(tie), descending=first),
    ]
    return ", ".join(parts)


def _part(by: By, *, descending: bool) -> LiteralString:
    if not descending:
        return by.expression
    last: LiteralString = " NULLS LAST" if by.nullable else ""
    return f"{by.expression} DESC{last}"
