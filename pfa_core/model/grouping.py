"""Groups of KPIs in order, with subtotals and the rest of each level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pfa_core.errors import InvalidRequest
from pfa_core.model.figures import Group, MonthGroup, Others
from pfa_core.model.ordering import SortKey, parse_keys

AnyGroup = Group[Decimal] | MonthGroup[Decimal]
Item = TypeVar("Item", Group[Decimal], MonthGroup[Decimal])
Key = tuple[Any, ...]

MAX_TOP = 100_000
PHASES = ("plan", "forecast", "actual")
# What a group of records has, and a month of costs; each is a name by which groups are sorted.
COUNTS = (
    "total_records",
    "actualized_count",
    "discontinued_count",
    "funds_transferable_count",
    "draft_count",
    "rentals_without_start",
    "rentals_without_end",
    "rentals_without_rate",
    "purchases_without_price",
    "excluded_count",
)
QUANTITIES = tuple(f"{phase}_quantity" for phase in PHASES)
_SUMS = ("total_monthly_rental", "total_purchase_cost")
COSTS = (
    *(f"{phase}_{kind}" for phase in PHASES for kind in ("total", "rental", "purchase")),
    "variance",
    "variance_pct",
    "draft_impact",
)
# The headings of tables.
SHORT = {"records": "total_records", **{phase: f"{phase}_total" for phase in PHASES}}


def sort_figures(*, timed: bool) -> tuple[str, ...]:
    """List the figures by which groups are sorted.

    Args:
        timed: Groups by month, quarter or year, or within a period.
    """
    return (*QUANTITIES, *COSTS) if timed else (*COUNTS, *_SUMS, *COSTS)


def is_money(name: str) -> bool:
    """Return whether a figure is masked from callers who may not see money."""
    return name in COSTS or name in _SUMS


def parse_order(text: str, by: Sequence[str], *, timed: bool) -> tuple[SortKey, ...]:
    """Parse sort keys such as `-variance,category`, figures and dimensions.

    Raises:
        InvalidRequest: A key that is unknown or named twice.
    """
    known = (*by, *sort_figures(timed=timed))
    short = {name: long for name, long in SHORT.items() if long in known and name not in by}
    keys = parse_keys(text, (*known, *short))
    found = tuple(SortKey(short.get(key.field, key.field), key.descending) for key in keys)
    if len({key.field for key in found}) != len(found):
        raise InvalidRequest(f"a sort field is listed twice: {text!r}")
    return found


@dataclass(frozen=True, slots=True)
class Arrangement(Generic[Item]):
    """Groups in order; each subtotal is that of the groups behind it."""

    groups: tuple[Item, ...]
    subtotals: tuple[Item, ...]
    others: tuple[Others[Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(Generic[Item]):
    """How groups are computed and arranged: a level for each dimension.

    `group` computes one by its key, or a subtotal by the first values of it; `rest` what the groups behind a
    prefix that have one of some values next are together.
    """

    by: Sequence[str]
    group: Callable[[Key], Item]
    rest: Callable[[Key, Sequence[Any]], Others[Decimal]]
    sort: tuple[SortKey, ...] = ()
    top: int | None = None

    def arranged(self, leaves: Iterable[Key]) -> Arrangement[Item]:
        """Arrange groups by their keys.

        On each level the first `top` stay, the others go together.
        """
        below: dict[Key, dict[Any, None]] = {}
        for key in leaves:
            for level, value in enumerate(key):
                below.setdefault(key[:level], {})[value] = None
        groups: list[Item] = []
        subtotals: list[Item] = []
        others: list[Others[Decimal]] = []

        def visit(prefix: Key) -> None:
            found = self._in_order(prefix, below.get(prefix, ()))
            kept = found if self.top is None else found[: self.top]
            for value, item in kept:
                if len(prefix) + 1 == len(self.by):
                    groups.append(item())
                else:
                    subtotals.append(item())
                    visit((*prefix, value))
            if len(kept) < len(found):
                others.append(self.rest(prefix, [value for value, _ in found[len(kept) :]]))

        if self.by:
            visit(())
        return Arrangement(tuple(groups), tuple(subtotals), tuple(others))

    def _in_order(self, prefix: Key, values: Iterable[Any]) -> list[tuple[Any, Callable[[], Item]]]:
        """List the values of one level with what computes their groups.

        A dimension orders its own level, a figure each; ties stay in the order of the values, None last.
        """
        name = self.by[len(prefix)]
        found = sorted(values, key=lambda value: (value is None, str(value)))
        made: dict[Any, Item] = {}

        def item(value: Any) -> Item:
            if value not in made:
                made[value] = self.group((*prefix, value))
            return made[value]

        for key in reversed(self.sort):
            if key.field == name:
                undated = [value for value in found if value is None]
                dated = [value for value in found if value is not None]
                found = sorted(dated, key=str, reverse=key.descending) + undated
            elif key.field not in self.by:
                found.sort(
                    key=lambda value, of=key.field: figure(item(value), of), reverse=key.descending
                )
        return [(value, lambda value=value: item(value)) for value in found]


def figure(group: AnyGroup, name: str) -> Decimal | int:
    """Return a figure of a group by the name by which groups are sorted."""
    if isinstance(group, MonthGroup):
        if name in QUANTITIES:
            return getattr(group.quantity, name.removesuffix("_quantity"))
        return _of_costs(group, name)
    if name in COSTS:
        return _of_costs(group.figures, name)
    return getattr(group.figures, name)


def _of_costs(item: Any, name: str) -> Decimal:
    if name == "draft_impact":
        return item.draft_impact
    if name in ("variance", "variance_pct"):
        return getattr(item.cost, name)
    phase, _, kind = name.partition("_")
    return getattr(getattr(item.cost, phase), kind)
