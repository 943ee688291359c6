"""KPIs with the caller's drafts in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from pfa_core.authorization import require_order
from pfa_core.errors import InvalidRequest
from pfa_core.model.costing import Costing
from pfa_core.model.figures import Figures, Group, Others, Period, Stats
from pfa_core.model.grouping import MAX_TOP, Levels, is_money, parse_order
from pfa_core.model.kpi import DIMENSIONS, PERIODS, Sums, figures, total
from pfa_core.model.money import Amount
from pfa_core.model.months import Moves, month_number
from pfa_core.model.ordering import SortKey
from pfa_core.model.periods import parse_period
from pfa_core.model.query import Filters, require_comparable
from pfa_core.model.rights import Operation
from pfa_core.model.suggest import not_one_of
from pfa_core.model.timeline import Timeline
from pfa_core.operation import Tx, reads
from pfa_core.store import members
from pfa_core.store.reads.sums import (
    Grouped,
    Part,
    are_apart,
    are_kept,
    differences,
    moves,
    sums,
)

Summed = TypeVar("Summed", Sums, Moves)
Key = tuple[Any, ...]
ByGroup = dict[Key, Summed]
_NOTHING = Sums()


def _check(
    filters: Filters,
    *,
    by: Sequence[str] = (),
    baseline: bool = False,
    sort: str = "",
    top: int | None = None,
    start: str | None = None,
    end: str | None = None,
) -> None:
    for name in by:
        if name not in DIMENSIONS:
            raise not_one_of(f"cannot group by {name!r}", name, DIMENSIONS, listed="dimensions")
    if len(set(by)) != len(by):
        raise InvalidRequest("a dimension is listed twice")
    if baseline:
        require_comparable(filters)
    period = parse_period(start, end)
    if (sort or top is not None) and not by:
        raise InvalidRequest(
            f"`{'sort' if sort else 'top'}` needs groups", hint="add --by category"
        )
    parse_order(sort, by, timed=_is_timed(by, period))
    if top is not None and not 1 <= top <= MAX_TOP:
        raise InvalidRequest(f"`top` is 1 to {MAX_TOP:,}, not {top}")


def _is_timed(by: Sequence[str], period: Period) -> bool:
    return period != Period() or any(name in PERIODS for name in by)


@reads(Operation.COMPUTE_STATS, check=_check)
def compute_stats(
    tx: Tx,
    filters: Filters,
    *,
    by: Sequence[str] = (),
    baseline: bool = False,
    sort: str = "",
    top: int | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Stats[Amount]:
    """Compute the KPIs of the matching records.

    Filters and groups choose records by their merged values; forecast and actual are computed from
    merged values, the plan from the mirror's own values and flags. Rates count by their unit; records of
    another currency than the organization's are counted and left out of amounts. `baseline_cost` is what the same
    question answers without the caller's modifications.

    Args:
        by: Dimensions to group by (see `model.kpi.DIMENSIONS`), in this order; with several of them there are
            subtotals. With `month`, `quarter` or `year` the costs are spread over the calendar (see
            `model.spans`) and are in `months`.
        baseline: Leave the caller's modifications out altogether.
        sort: The order of groups, such as `-variance,category`: figures and dimensions, `-` for
            descending; a figure orders every level, a dimension its own. Without it groups are in the order of
            their keys, with `top` the greatest forecast is first.
        top: How many groups of each level are listed; `others` has the rest.
        start: Where the costs begin: a month, quarter, year or the first day of a month.
        end: Where they end, itself among them. Counts are of all matching records, within a period or not.

    Raises:
        InvalidRequest: An unknown dimension, one listed twice, an unknown sort key, an invalid period, too many
            months, or `baseline` with a filter on modifications.
        PermissionDenied: An expression or an order over money, which the caller may not see.
    """
    asked = _Asked(
        by=tuple(by),
        period=parse_period(start, end),
        sort=_order(tx, by, sort, top, timed=_is_timed(by, parse_period(start, end))),
        top=top,
        baseline=baseline,
        costing=members.costing(tx.conn, tx.organization_id),
    )
    found = _computed(tx, filters, asked)
    assert found is not None  # noqa: S101 - no limit was given
    return found


def calendar_stats(
    tx: Tx, filters: Filters, *, by: Sequence[str], most_months: int
) -> Stats[Amount] | None:
    """Compute `compute_stats` by periods, where the dates are near to each other.

    Returns None where they are more than `most_months` months apart: one record with 9999-12-31 for "no end"
    makes a hundred thousand months, which take long to compute.
    """
    asked = _Asked(
        by=tuple(by),
        period=Period(),
        sort=(),
        top=None,
        baseline=False,
        costing=members.costing(tx.conn, tx.organization_id),
    )
    return _computed(tx, filters, asked, most_months=most_months)


def _computed(
    tx: Tx, filters: Filters, asked: _Asked, *, most_months: int | None = None
) -> Stats[Amount] | None:
    filters = tx.asked(filters)
    merged, without, mine, theirs = _sums(tx, filters, asked)
    found: Stats[Decimal] | None = Stats(
        figures=figures(total(merged.values()), total(without.values())),
        category_breakdown=_categories(merged),
        currency=asked.costing.currency,
    )
    if asked.timed:
        found = _timed(tx, filters, asked, found, most_months=most_months)
    elif asked.by:
        found = _grouped(mine, theirs, asked, found)
    return tx.mask.stats(found) if found else None


def _sums(tx: Tx, filters: Filters, asked: _Asked) -> tuple[Grouped, Grouped, Grouped, Grouped]:
    """Sum by category and by the fields, with the caller's modifications and without.

    The two by category may be by further dimensions behind it.
    """

    def reading(dimensions: Sequence[str]) -> Read[Sums]:
        def read(part: Part, *, narrowed: bool = False) -> Grouped:
            return sums(
                tx.conn,
                tx.principal,
                part,
                filters,
                dimensions,
                costing=asked.costing,
                narrowed=narrowed,
            )

        return read

    def both(dimensions: Sequence[str]) -> tuple[Grouped, Grouped]:
        kept = are_kept(filters, dimensions)
        return overlaid(reading(dimensions), filters, baseline=asked.baseline, kept=kept)

    dimensions = ("category", *(name for name in asked.fields if name != "category"))
    places = [dimensions.index(name) for name in asked.fields]
    by_others = bool(places) and 0 not in places
    if by_others and are_apart(filters, asked.fields):
        return *both(("category",)), *both(asked.fields)
    if by_others and are_kept(filters, dimensions) and not asked.baseline:
        without = reading(dimensions)(Part.MIRROR)
        by_category, by_fields = differences(
            tx.conn, tx.principal, filters, asked.fields, costing=asked.costing
        )
        before, theirs = _level(without, [0]), _level(without, places)
        return _add(before, by_category), before, _add(theirs, by_fields), theirs
    merged, without = both(dimensions)
    if not places:
        return merged, without, {}, {}
    return merged, without, _level(merged, places), _level(without, places)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for, beside the filters."""

    by: tuple[str, ...]
    period: Period
    sort: tuple[SortKey, ...]
    top: int | None
    baseline: bool
    costing: Costing
    fields: tuple[str, ...] = field(init=False)
    timed: bool = field(init=False)

    def __post_init__(self) -> None:
        timed = _is_timed(self.by, self.period)
        # By period the sums by record are needed as a whole only.
        object.__setattr__(self, "fields", () if timed else self.by)
        object.__setattr__(self, "timed", timed)


def _order(
    tx: Tx, by: Sequence[str], sort: str, top: int | None, *, timed: bool
) -> tuple[SortKey, ...]:
    """Return the sort keys; the usual ones of `top` reveal no masked money."""
    keys = parse_order(sort, by, timed=timed)
    if not keys and top is not None:
        if not tx.mask.hides:
            return (SortKey("forecast_total", descending=True),)
        return (SortKey("forecast_quantity" if timed else "total_records", descending=True),)
    require_order(tx.principal, tx.member, keys, tx.operation, is_money=is_money)
    return keys


def _timed(
    tx: Tx,
    filters: Filters,
    asked: _Asked,
    found: Stats[Decimal],
    *,
    most_months: int | None = None,
) -> Stats[Decimal] | None:
    """Spread the costs over the calendar, and limit them to the period."""
    others = [name for name in asked.by if name not in PERIODS]

    def read(part: Part, *, narrowed: bool = False) -> dict[Key, Moves]:
        return moves(
            tx.conn, tx.principal, part, filters, others, costing=asked.costing, narrowed=narrowed
        )

    flows = overlaid(read, filters, baseline=asked.baseline)
    if most_months is not None and _spanned(flows) > most_months:
        return None
    line = Timeline(*flows, asked.by, asked.period)
    leaves = line.leaves(counted=tx.mask.hides) if asked.by else []
    levels = Levels(by=asked.by, group=line.group, rest=line.others, sort=asked.sort, top=asked.top)
    arranged, whole = levels.arranged(leaves), line.group(())
    costs = replace(
        found.figures,
        cost=whole.cost,
        baseline_cost=whole.baseline_cost,
        draft_impact=whole.draft_impact,
    )
    return replace(
        found,
        figures=costs,
        months=arranged.groups,
        subtotals=arranged.subtotals,
        others=arranged.others,
        period=None if asked.period == Period() else asked.period,
        quantity=whole.quantity,
    )


def _spanned(flows: Iterable[Mapping[Key, Moves]]) -> int:
    """Count the months from the first beginning or end to the last."""
    numbers = [month_number(key[-1]) for flow in flows for key in flow if key[-1] is not None]
    return max(numbers) - min(numbers) + 1 if numbers else 0


def _categories(merged: Grouped) -> Mapping[str, int]:
    """Count the records of each category, the first of the dimensions."""
    counts: dict[str, int] = {}
    for key, part in merged.items():
        counts[key[0]] = counts.get(key[0], 0) + part.record_count
    return {name: count for name, count in sorted(counts.items()) if count}


def _grouped(
    merged: Grouped,
    without: Grouped,
    asked: _Asked,
    found: Stats[Decimal],
) -> Stats[Decimal]:
    """Arrange the groups of records by the dimensions asked for.

    A group that only the baseline has is kept when its money is not zero.
    """
    width = len(asked.by)
    mine, theirs = _levelled(merged, width), _levelled(without, width)

    def of(keys: Iterable[Key]) -> Figures[Decimal]:
        chosen = list(keys)
        return figures(
            total(mine[key] for key in chosen if key in mine),
            total(theirs[key] for key in chosen if key in theirs),
        )

    def group(key: Key) -> Group[Decimal]:
        found = figures(mine.get(key, _NOTHING), theirs.get(key, _NOTHING))
        return Group(dict(zip(asked.by, key, strict=False)), found)

    def rest(prefix: Key, values: Sequence[Any]) -> Others[Decimal]:
        all_of_it = of((*prefix, value) for value in values)
        return Others(
            key=dict(zip(asked.by, prefix, strict=False)),
            group_count=len(values),
            figures=all_of_it,
            cost=all_of_it.cost,
            baseline_cost=all_of_it.baseline_cost,
            draft_impact=all_of_it.draft_impact,
        )

    leaves = [
        key
        for key in mine.keys() | theirs.keys()
        if len(key) == width and not (_is_nothing(mine, key) and _is_nothing(theirs, key))
    ]
    levels = Levels(by=asked.by, group=group, rest=rest, sort=asked.sort, top=asked.top)
    arranged = levels.arranged(leaves)
    return replace(
        found, groups=arranged.groups, subtotals=arranged.subtotals, others=arranged.others
    )


def _is_nothing(sums: Grouped, key: Key) -> bool:
    found = sums.get(key, _NOTHING)
    return not found.record_count and found == _NOTHING


def _level(parts: Grouped, places: Sequence[int]) -> Grouped:
    """Add up the parts by the values at these places."""
    found: dict[Key, list[Sums]] = {}
    for key, part in parts.items():
        found.setdefault(tuple(key[place] for place in places), []).append(part)
    return {key: total(group) for key, group in found.items()}


def _levelled(level: Grouped, width: int) -> Grouped:
    """Add up the parts by the first ones of so many values, too."""
    every = dict(level)
    for length in range(width - 1, 0, -1):
        level = _level(level, range(length))
        every |= level
    return every


class Read(Protocol[Summed]):
    """Reads the sums of a part's matching records by group."""

    def __call__(self, part: Part, *, narrowed: bool = False) -> ByGroup[Summed]:
        """Read them; `narrowed` also applies the filters on the caller's modifications."""
        ...


def overlaid(
    read: Read[Summed], filters: Filters, *, baseline: bool = False, kept: bool = False
) -> tuple[ByGroup[Summed], ByGroup[Summed]]:
    """Sum the matching records with the caller's modifications, and without them.

    Args:
        filters: Those on states and sessions choose touched records, and whether others count.
        baseline: Leave the modifications out of both; only without such filters.
        kept: What the modifications change is read as one part, `Part.DIFFERENCE`.
    """
    if filters.narrows_touched() or filters.changed:
        rest = _pristine(read) if filters.wants_pristine() else {}
        without = _add(rest, read(Part.TOUCHED_BEFORE, narrowed=True))
        return _add(rest, read(Part.TOUCHED_AFTER, narrowed=True)), without
    without = read(Part.MIRROR)
    if baseline:
        return without, without
    if kept:
        return _add(without, read(Part.DIFFERENCE)), without
    untouched = _add(without, read(Part.TOUCHED_BEFORE), -1)
    return _add(untouched, read(Part.TOUCHED_AFTER)), without


def _pristine(read: Read[Summed]) -> ByGroup[Summed]:
    return _add(read(Part.MIRROR), read(Part.TOUCHED_BEFORE), -1)


def _add(one: ByGroup[Summed], other: ByGroup[Summed], sign: int = 1) -> ByGroup[Summed]:
    result = dict(one)
    for key, part in other.items():
        if key in result:
            result[key] = result[key].plus(part, sign)
        else:
            result[key] = part if sign > 0 else type(part)().plus(part, sign)
    return result
