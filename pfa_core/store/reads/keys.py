"""Sort keys of records as SQL over a table called r."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.ordering import SortKey
from pfa_core.model.query import complete_sort
from pfa_core.model.record import COSTS, LIST_SORTABLE, Kind
from pfa_core.sql import numeral

_CASTS: dict[Kind, LiteralString] = {Kind.MONEY: "::numeric", Kind.FLAG: "::boolean"}
# How many orders are kept as text: to compose one again for each page takes as long as to read a record.
ORDERS = 100


class Key(NamedTuple):
    """A sort key of the completed order, and its number in it."""

    number: int
    field: str
    descending: bool

    @property
    def column(self) -> LiteralString:
        """Return the column that has it."""
        table: LiteralString = "k" if self.field in COSTS else "r"
        return f"{table}.{LIST_SORTABLE[self.field].column}"

    @property
    def alias(self) -> LiteralString:
        """Return its name as a column of the result."""
        return f"key_{numeral(self.number)}"

    @property
    def cast(self) -> LiteralString:
        """Return the cast of a value as a cursor spells it."""
        return _CASTS.get(LIST_SORTABLE[self.field].kind, "::text")

    @property
    def place(self) -> LiteralString:
        """Return the parameter with its value at a cursor."""
        return f"%(place_{numeral(self.number)})s{self.cast}"

    @property
    def nullable(self) -> bool:
        """Return whether records may be without it."""
        return self.field != "pfaId" and LIST_SORTABLE[self.field].kind is not Kind.FLAG

    @property
    def values(self) -> Sequence[LiteralString]:
        """List all values of the field, in order, as a cursor spells them.

        Empty: too many.
        """
        field = LIST_SORTABLE[self.field]
        texts: list[LiteralString] = (
            ["false", "true"] if field.kind is Kind.FLAG else sorted(field.choices)
        )
        return texts[::-1] if self.descending else texts


@lru_cache(ORDERS)
def completed(keys: tuple[SortKey, ...]) -> tuple[Key, ...]:
    """Return the keys of an order with the PFA id, which makes it total."""
    return tuple(
        Key(number, key.field, key.descending) for number, key in enumerate(complete_sort(keys))
    )


@lru_cache(ORDERS)
def order(keys: tuple[SortKey, ...]) -> LiteralString:
    """Compose ORDER BY over the aliases of the completed keys, nulls last either way."""
    return ", ".join(
        f"{key.alias} {'DESC NULLS LAST' if key.descending else 'ASC NULLS LAST'}"
        for key in completed(keys)
    )


@lru_cache(ORDERS)
def key_columns(keys: tuple[SortKey, ...]) -> LiteralString:
    """List the sort values as further columns key_0, key_1, …"""
    return "".join(f", {key.column} AS {key.alias}" for key in completed(keys))


def place_values(place: Sequence[str | None] | None) -> dict[str, Any]:
    """Make the parameters of a place in the order."""
    return {f"place_{number}": value for number, value in enumerate(place or ())}
