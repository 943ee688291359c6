"""KPIs with the principal's drafts in them: exact, and instant where the rollup knows the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from pfa_core.errors import InvalidRequest
from pfa_core.guard import enter
from pfa_core.model.kpi import GROUP_DIMENSIONS, Group, Stats, Sums, figures, total
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import Filters
from pfa_core.store.database import Database
from pfa_core.store.kpis import Grouped, Part, sums


def compute_stats(
    db: Database,
    principal: Principal,
    filters: Filters,
    *,
    by: Sequence[str] = (),
    baseline: bool = False,
) -> Stats:
    """KPIs of the matching records, all from one snapshot.

    Filters and groups choose records by their merged values; forecast and actual are computed from
    merged values, the plan from the mirror's own values and flags. `baseline_cost` is what the same
    question answers without the principal's modifications.

    Args:
        by: Dimensions to group by (see `model.kpi.GROUP_DIMENSIONS`), in this order.
        baseline: Leave the principal's modifications out altogether.

    Raises:
        InvalidRequest: An unknown dimension, one named twice, or `baseline` with a filter on
            modifications.
    """
    _require_dimensions(by)
    if baseline and (filters.narrows_touched() or filters.changed):
        raise InvalidRequest("the baseline knows no states, sessions or changes")

    def work(conn: Connection[Any]) -> Stats:
        enter(conn, principal, Right.READ)
        dimensions = ("category", *(name for name in by if name != "category"))
        without = _without_drafts(conn, principal, filters, dimensions)
        merged = (
            without if baseline else _with_drafts(conn, principal, filters, dimensions, without)
        )
        return _stats(merged, without, dimensions, by)

    return db.read(work)


def _without_drafts(
    conn: Connection[Any], principal: Principal, filters: Filters, by: Sequence[str]
) -> Grouped:
    """The same records with their mirror values; of touched ones those that the states allow."""
    if not filters.narrows_touched() and not filters.changed:
        return sums(conn, principal, Part.MIRROR, filters, by)
    chosen = sums(conn, principal, Part.TOUCHED_BEFORE, filters, by, narrowed=True)
    if not filters.wants_pristine():
        return chosen
    return _add(_pristine(conn, principal, filters, by), chosen)


def _with_drafts(
    conn: Connection[Any],
    principal: Principal,
    filters: Filters,
    by: Sequence[str],
    without: Grouped,
) -> Grouped:
    after = sums(conn, principal, Part.TOUCHED_AFTER, filters, by, narrowed=True)
    if not filters.wants_pristine():
        return after
    if filters.narrows_touched():
        return _add(_pristine(conn, principal, filters, by), after)
    before = sums(conn, principal, Part.TOUCHED_BEFORE, filters, by)
    return _add(_add(without, before, -1), after)


def _pristine(
    conn: Connection[Any], principal: Principal, filters: Filters, by: Sequence[str]
) -> Grouped:
    everything = sums(conn, principal, Part.MIRROR, filters, by)
    return _add(everything, sums(conn, principal, Part.TOUCHED_BEFORE, filters, by), -1)


def _add(one: Grouped, other: Grouped, sign: int = 1) -> Grouped:
    result = dict(one)
    for key, part in other.items():
        result[key] = result.get(key, Sums()).plus(part, sign)
    return result


def _stats(
    merged: Grouped, without: Grouped, dimensions: Sequence[str], by: Sequence[str]
) -> Stats:
    categories: dict[str, int] = {}
    for key, part in merged.items():
        categories[key[0]] = categories.get(key[0], 0) + part.record_count
    return Stats(
        figures(total(merged.values()), total(without.values())),
        {name: count for name, count in sorted(categories.items()) if count},
        _groups(merged, without, dimensions, by) if by else (),
    )


def _groups(
    merged: Grouped, without: Grouped, dimensions: Sequence[str], by: Sequence[str]
) -> tuple[Group, ...]:
    """Groups by key; one that only the baseline has stays when leaving it moved money."""
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
    folded: Grouped = {}
    for key, part in parts.items():
        short = tuple(key[place] for place in places)
        folded[short] = folded.get(short, Sums()).plus(part)
    return folded


def _require_dimensions(by: Sequence[str]) -> None:
    for name in by:
        if name not in GROUP_DIMENSIONS:
            raise InvalidRequest(
                f"cannot group by {name!r}", hint=f"dimensions: {', '.join(GROUP_DIMENSIONS)}"
            )
    if len(set(by)) != len(by):
        raise InvalidRequest("a dimension stands twice")
