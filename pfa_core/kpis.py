"""KPIs with the caller's drafts in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from pfa_core.errors import InvalidRequest
from pfa_core.model.costing import Costing
from pfa_core.model.figures import Amount, Group, MonthGroup, Stats
from pfa_core.model.kpi import DIMENSIONS, MONTH, Sums, figures, total
from pfa_core.model.months import Moves, month_groups
from pfa_core.model.query import Filters, require_comparable
from pfa_core.model.rights import Operation
from pfa_core.model.suggest import not_one_of
from pfa_core.operation import Tx, reads
from pfa_core.store import members
from pfa_core.store.reads.sums import Grouped, Part, moves, sums

Summed = TypeVar("Summed", Sums, Moves)
ByGroup = dict[tuple[Any, ...], Summed]


def _check(filters: Filters, *, by: Sequence[str] = (), baseline: bool = False) -> None:
    for name in by:
        if name not in DIMENSIONS:
            raise not_one_of(f"cannot group by {name!r}", name, DIMENSIONS, listed="dimensions")
    if len(set(by)) != len(by):
        raise InvalidRequest("a dimension is listed twice")
    if baseline:
        require_comparable(filters)


@reads(Operation.COMPUTE_STATS, check=_check)
def compute_stats(
    tx: Tx, filters: Filters, *, by: Sequence[str] = (), baseline: bool = False
) -> Stats[Amount]:
    """Compute the KPIs of the matching records.

    Filters and groups choose records by their merged values; forecast and actual are computed from
    merged values, the plan from the mirror's own values and flags. Rates count by their unit; records of
    another currency than the organization's are counted and left out of amounts. `baseline_cost` is what the same
    question answers without the caller's modifications.

    Args:
        by: Dimensions to group by (see `model.kpi.DIMENSIONS`), in this order. With `month` the
            costs are spread over the calendar (see `model.months`) and are in `months`.
        baseline: Leave the caller's modifications out altogether.

    Raises:
        InvalidRequest: An unknown dimension, one listed twice, too many months, or `baseline` with a
            filter on modifications.
        PermissionDenied: An expression over money, which the caller may not see.
    """
    filters = tx.asked(filters)
    groups = () if MONTH in by else by
    costing = members.costing(tx.conn, tx.organization_id)
    dimensions = ("category", *(name for name in groups if name != "category"))

    def read(part: Part, *, narrowed: bool = False) -> Grouped:
        return sums(
            tx.conn, tx.principal, part, filters, dimensions, costing=costing, narrowed=narrowed
        )

    merged, without = overlaid(read, filters, baseline=baseline)
    found = Stats(
        figures=figures(total(merged.values()), total(without.values())),
        category_breakdown=_categories(merged),
        groups=_groups(merged, without, dimensions, groups) if groups else (),
        months=_months(tx, filters, by, costing, baseline=baseline) if MONTH in by else (),
        currency=costing.currency,
    )
    return tx.mask.stats(found)


def _months(
    tx: Tx, filters: Filters, by: Sequence[str], costing: Costing, *, baseline: bool
) -> tuple[MonthGroup[Decimal], ...]:
    others = [name for name in by if name != MONTH]

    def read(part: Part, *, narrowed: bool = False) -> dict[tuple[Any, ...], Moves]:
        return moves(
            tx.conn, tx.principal, part, filters, others, costing=costing, narrowed=narrowed
        )

    return month_groups(*overlaid(read, filters, baseline=baseline), by)


def _categories(merged: Grouped) -> Mapping[str, int]:
    """Count the records of each category, the first of the dimensions."""
    counts: dict[str, int] = {}
    for key, part in merged.items():
        counts[key[0]] = counts.get(key[0], 0) + part.record_count
    return {name: count for name, count in sorted(counts.items()) if count}


def _groups(
    merged: Grouped, without: Grouped, dimensions: Sequence[str], by: Sequence[str]
) -> tuple[Group[Decimal], ...]:
    """List the groups by key.

    A group that only the baseline has is kept when its money is not zero.
    """
    places = [dimensions.index(name) for name in by]
    mine, theirs = _fold(merged, places), _fold(without, places)
    groups = []
    for key in sorted(
        mine.keys() | theirs.keys(), key=lambda values: [str(value) for value in values]
    ):
        if mine.get(key, Sums()) != Sums() or theirs.get(key, Sums()) != Sums():
            names: Mapping[str, Any] = dict(zip(by, key, strict=True))
            groups.append(Group(names, figures(mine.get(key, Sums()), theirs.get(key, Sums()))))
    return tuple(groups)


def _fold(parts: Grouped, places: Sequence[int]) -> Grouped:
    found: dict[tuple[Any, ...], list[Sums]] = {}
    for key, part in parts.items():
        found.setdefault(tuple(key[place] for place in places), []).append(part)
    return {key: total(group) for key, group in found.items()}


class Read(Protocol[Summed]):
    """Reads the sums of a part's matching records by group."""

    def __call__(self, part: Part, *, narrowed: bool = False) -> ByGroup[Summed]:
        """Read them; `narrowed` also applies the filters on the caller's modifications."""
        ...


def overlaid(
    read: Read[Summed], filters: Filters, *, baseline: bool = False
) -> tuple[ByGroup[Summed], ByGroup[Summed]]:
    """Sum the matching records with the caller's modifications, and without them.

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


def _pristine(read: Read[Summed]) -> ByGroup[Summed]:
    return _add(read(Part.MIRROR), read(Part.TOUCHED_BEFORE), -1)


def _add(one: ByGroup[Summed], other: ByGroup[Summed], sign: int = 1) -> ByGroup[Summed]:
    result = dict(one)
    for key, part in other.items():
        before = result[key] if key in result else type(part)()
        result[key] = before.plus(part, sign)
    return result
