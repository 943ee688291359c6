"""Sums for KPIs by group or month.

They are of the mirror or of the caller's touched records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.costing import Costing
from pfa_core.model.kpi import GROUP_DIMENSIONS, Sums, weigher
from pfa_core.model.months import Moves
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.store.reads import search
from pfa_core.store.reads.filters import (
    are_drafts,
    conditions,
    fits_rollup,
    narrowing,
    rollup_fields,
    takes_all,
    touched_values,
)

_SQL = sql.statements("sums")
_FLAGS = ("isActualized", "isDiscontinued", "isFundsTransferable")
_ROLLUP_DIMENSIONS = ("category", "class", "source", "dor", "areaSilo", *_FLAGS)
# What every sum is also grouped by, behind the dimensions.
_WEIGHED_BY = ("rateUom", "currency")
# The kinds of sums that are kept of overlays, and by what: see `kpi_overlay`.
_GRAINS: dict[str, frozenset[str]] = {
    "class": frozenset(("category", "class", "currency")),
    "area": frozenset(("category", "areaSilo", "currency")),
    "flags": frozenset(("category", "source", "dor", "currency", *_FLAGS)),
}
# By which of the others the mirror's sums are kept, each alone: see `kpi_field`.
_KEPT_FIELDS = ("manufacturer", "contract")
_DRAFTS = Sums._fields.index("drafts")

Grouped = dict[tuple[Any, ...], Sums]


class Part(Enum):
    """Which records, with which values."""

    MIRROR = "all, as the mirror has them"
    TOUCHED_BEFORE = "those the caller touched, as the mirror has them"
    TOUCHED_AFTER = "those the caller touched, as the caller sees them"
    DIFFERENCE = "those the caller touched, as the caller sees them less as the mirror has them"


def are_kept(filters: Filters, by: Sequence[str]) -> bool:
    """Return whether `Part.DIFFERENCE` has sums for these filters and dimensions."""
    narrowed = filters.narrows_touched() or filters.changed
    return not narrowed and fits_rollup(filters) and _grain(filters, by) is not None


def are_apart(filters: Filters, by: Sequence[str]) -> bool:
    """Return whether sums by these dimensions are better read without the category.

    Those by category are kept, and the pairs of both are many.
    """
    return fits_rollup(filters) and not set(by) <= set(_ROLLUP_DIMENSIONS)


def _grain(filters: Filters, by: Sequence[str]) -> str | None:
    """Return the first kind of kept sums that have all these dimensions."""
    looked_at = rollup_fields(filters) | set(by)
    return next((name for name, has in _GRAINS.items() if looked_at <= has), None)


def sums(
    conn: Connection[Any],
    principal: Principal,
    part: Part,
    filters: Filters,
    by: Sequence[str],
    *,
    costing: Costing,
    narrowed: bool = False,
) -> Grouped:
    """Sum the part's matching records by the dimensions' values, missing ones as ''.

    Args:
        costing: Weighs rates and leaves out other currencies.
        narrowed: Also apply the filters on the caller's modifications (state, session).
    """
    where, values = _asked(principal, part, filters)
    if part is Part.DIFFERENCE:
        values["grain"] = _grain(filters, by)
        return _difference(conn, where, values, by, grouping=_grouping(by), costing=costing)
    in_rollup = set(by) <= set(_ROLLUP_DIMENSIONS) and fits_rollup(filters)
    if part is Part.MIRROR and in_rollup:
        statement = _SQL["rollup"].format(**_common(by), conditions=where)
        rows = conn.execute(statement, values).fetchall()
    elif not (rows := _of_field(conn, part, filters, by, values)):
        where = _found(conn, part, filters, where)
        matching = _matching(part, where, filters if narrowed else None)
        rows = conn.execute(_live(part, matching, by), values).fetchall()
    width = len(by)
    weighed = _Weighed(costing)
    found: Grouped = {}
    for row in rows:
        numbers = row[width + len(_WEIGHED_BY) :]
        if numbers[0]:  # records
            key, part_of = row[:width], weighed[row[width : width + len(_WEIGHED_BY)]](numbers)
            before = found.get(key)
            found[key] = before.plus(part_of) if before else part_of
    return found


class _Weighed(dict[tuple[str | None, str | None], Callable[[Iterable[Any]], Sums]]):
    """What weighs sums, by unit and currency.

    An answer of thousands of rows has a handful of both.
    """

    def __init__(self, costing: Costing) -> None:
        super().__init__()
        self._costing = costing

    def __missing__(self, key: tuple[str | None, str | None]) -> Callable[[Iterable[Any]], Sums]:
        unit, currency = key
        self[key] = made = weigher(self._costing, unit or "", currency or "")
        return made


def _of_field(
    conn: Connection[Any],
    part: Part,
    filters: Filters,
    by: Sequence[str],
    values: Mapping[str, Any],
) -> list[tuple[Any, ...]]:
    """Read the sums that are kept of the mirror by one field; none where they are not."""
    kept = part is Part.MIRROR and len(by) == 1 and by[0] in _KEPT_FIELDS and takes_all(filters)
    return conn.execute(_SQL["of_field"], {**values, "field": by[0]}).fetchall() if kept else []


def differences(
    conn: Connection[Any],
    principal: Principal,
    filters: Filters,
    by: Sequence[str],
    *,
    costing: Costing,
) -> tuple[Grouped, Grouped]:
    """Sum `Part.DIFFERENCE` by the category, and by other dimensions.

    They are many together: a draft that moves a record to another category has a pair of its own.
    """
    where, values = _asked(principal, Part.DIFFERENCE, filters)
    both = ("category", *by)
    values["grain"] = _grain(filters, both)
    weighed_by = ", ".join(sql.numeral(len(both) + place + 1) for place in range(len(_WEIGHED_BY)))
    others = ", ".join(sql.numeral(place) for place in range(2, len(both) + 1))
    grouping: LiteralString = f"GROUP BY {weighed_by}, GROUPING SETS ((1), ({others}))"
    found = _difference(conn, where, values, both, grouping=grouping, costing=costing)
    return (
        {key[:1]: part for key, part in found.items() if key[0] is not None},
        {key[1:]: part for key, part in found.items() if key[0] is None},
    )


def _difference(
    conn: Connection[Any],
    where: LiteralString,
    values: dict[str, Any],
    by: Sequence[str],
    *,
    grouping: LiteralString,
    costing: Costing,
) -> Grouped:
    """Sum what the caller's overlays change; a group may have fewer than no records."""
    width = len(by)
    parts: dict[str, LiteralString] = {
        "groups": _listed(map(_group, by)),
        "grouping": grouping,
        "conditions": where,
    }
    kept = conn.execute(_SQL["difference"].format(**parts), values).fetchall()
    pending: dict[tuple[Any, ...], int] = {}
    if kept:
        for *key, number in conn.execute(_SQL["pending"].format(**parts), values).fetchall():
            # The rollup stores a missing unit or currency as an empty one.
            place = (*key[:width], key[width] or "", key[width + 1] or "")
            pending[place] = pending.get(place, 0) + number
    weighed = _Weighed(costing)
    found: Grouped = {}
    for row in kept:
        numbers = list(row[width + len(_WEIGHED_BY) :])
        numbers[_DRAFTS] -= pending.get(row[: width + 2], 0)
        part_of = weighed[row[width : width + len(_WEIGHED_BY)]](numbers)
        before = found.get(row[:width])
        found[row[:width]] = before.plus(part_of) if before else part_of
    return found


def moves(
    conn: Connection[Any],
    principal: Principal,
    part: Part,
    filters: Filters,
    by: Sequence[str],
    *,
    costing: Costing,
    narrowed: bool = False,
) -> dict[tuple[Any, ...], Moves]:
    """Sum what begins and ends in each month.

    The records are those of the part that count for costs.

    Args:
        costing: As for `sums`.
        narrowed: As for `sums`.

    Returns:
        By the dimensions' values, missing ones as '', then phase and month (`YYYY-MM` or None).
    """
    where, values = _asked(principal, part, filters)
    rows: list[tuple[Any, ...]] = []
    if part is Part.MIRROR and not by and takes_all(filters):
        rows = conn.execute(_SQL["of_months"], values).fetchall()
    if not rows:
        where = _found(conn, part, filters, where)
        matching = _matching(part, where, filters if narrowed else None)
        statement = _months(_SQL[part.name.lower()], matching, by)
        rows = conn.execute(statement, values).fetchall()
    width = len(by)
    found: dict[tuple[Any, ...], Moves] = {}
    for row in rows:
        unit, currency, phase, month, *numbers = row[width:]
        key = (*row[:width], phase, month)
        part_of = Moves(*numbers).weighed(costing, unit or "", currency or "")
        found[key] = found[key].plus(part_of) if key in found else part_of
    return found


def _asked(
    principal: Principal, part: Part, filters: Filters
) -> tuple[LiteralString, dict[str, Any]]:
    where, values = conditions(filters, overlay=part is Part.TOUCHED_AFTER)
    values.update(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        **touched_values(filters),
    )
    return where, values


def _found(
    conn: Connection[Any], part: Part, filters: Filters, where: LiteralString
) -> LiteralString:
    return search.among_all(conn, filters, where) if part is Part.MIRROR else where


def _live(part: Part, matching: LiteralString, by: Sequence[str]) -> LiteralString:
    drafts = _SQL["count_drafts"].format(are_drafts=are_drafts("r"))
    return _SQL["live"].format(
        **_common(by),
        counts_p=_SQL["counts_p"],
        drafts=drafts if part is Part.TOUCHED_AFTER else _SQL["no_drafts"],
        tables=_SQL[part.name.lower()],
        conditions=matching,
    )


def _months(tables: LiteralString, matching: LiteralString, by: Sequence[str]) -> LiteralString:
    names: list[LiteralString] = [f"group_{GROUP_DIMENSIONS[dimension]}" for dimension in by]
    inner: list[LiteralString] = [
        f"{_group(dimension)} AS {name}" for dimension, name in zip(by, names, strict=True)
    ]
    return _SQL["months"].format(
        month_groups=_listed(["d." + name for name in names]),
        day_groups=_listed(inner),
        rate=_of_phase("monthly_rate"),
        price=_of_phase("purchase_price"),
        source=_of_phase("source"),
        tables=tables,
        conditions=matching,
        counts_p=_SQL["counts_p"],
        counts_r=_SQL["counts_r"],
        by_day=_first(len(by) + len(_WEIGHED_BY) + 3),
        by_month=_first(len(by) + len(_WEIGHED_BY) + 2),
    )


def _of_phase(column: LiteralString) -> LiteralString:
    return _SQL["of_phase"].format(column=column)


def _matching(part: Part, where: LiteralString, filters: Filters | None) -> LiteralString:
    """Compose the conditions on a part.

    With `filters` they include those on the caller's modifications.
    """
    every: list[LiteralString] = [where]
    if part is Part.TOUCHED_AFTER:
        every.append(_SQL["of_caller"])
    if filters:
        every.append(narrowing(filters, "t" if part is Part.TOUCHED_BEFORE else "r"))
    return "\n  AND ".join(every)


def _common(by: Sequence[str]) -> dict[str, LiteralString]:
    return {
        "groups": _listed(_group(name) for name in by),
        "grouping": _grouping(by),
        "counts_r": _SQL["counts_r"],
    }


def _grouping(by: Sequence[str]) -> LiteralString:
    return f"GROUP BY {_first(len(by) + len(_WEIGHED_BY))}"


def _listed(columns: Iterable[LiteralString]) -> LiteralString:
    return "".join(f"{column}, " for column in columns)


def _first(width: int) -> LiteralString:
    """List the first columns by their numbers."""
    return ", ".join(sql.numeral(place) for place in range(1, width + 1))


def _group(name: str) -> LiteralString:
    column = f"r.{GROUP_DIMENSIONS[name]}"
    return column if name in _FLAGS else f"coalesce({column}, '')"
