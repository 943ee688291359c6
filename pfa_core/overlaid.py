"""Sums as a user sees them: the touched records taken out with mirror values, put back with merged ones."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from pfa_core.model.kpi import Sums
from pfa_core.model.months import Moves
from pfa_core.model.query import Filters
from pfa_core.store.reads.sums import Part

Summed = TypeVar("Summed", Sums, Moves)
Grouped = dict[tuple[Any, ...], Summed]


class Read(Protocol[Summed]):
    """Reads the sums of a part's matching records by group."""

    def __call__(self, part: Part, *, narrowed: bool = False) -> Grouped[Summed]:
        """The sums; `narrowed` also applies the filters on the caller's modifications."""
        ...


def overlaid(
    read: Read[Summed], filters: Filters, *, baseline: bool = False
) -> tuple[Grouped[Summed], Grouped[Summed]]:
    """The sums of the matching records with the caller's modifications, and those without.

    Args:
        filters: Those on states and sessions choose touched records, and whether others count.
        baseline: Leave the modifications out of both; only without such filters.
    """
    if filters.narrows_touched() or filters.changed:
        rest = _pristine(read) if filters.wants_pristine() else {}
        without = _add(rest, read(Part.TOUCHED_BEFORE, narrowed=True))
        return _add(rest, read(Part.TOUCHED_AFTER, narrowed=True)), without
    without = read(Part.MIRROR)
    if baseline:
        return without, without
    untouched = _add(without, read(Part.TOUCHED_BEFORE), -1)
    return _add(untouched, read(Part.TOUCHED_AFTER)), without


def _pristine(read: Read[Summed]) -> Grouped[Summed]:
    return _add(read(Part.MIRROR), read(Part.TOUCHED_BEFORE), -1)


def _add(one: Grouped[Summed], other: Grouped[Summed], sign: int = 1) -> Grouped[Summed]:
    result = dict(one)
    for key, part in other.items():
        before = result[key] if key in result else type(part)()
        result[key] = before.plus(part, sign)
    return result
