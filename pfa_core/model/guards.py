"""Guards: the most that one commit, or one push, may change.

The money of a change is what it changes the forecast's cost by, up or down, record by record: what one record
saves does not make up for what another one costs. The per cent are those of the forecast cost of all records of
the organization in the mirror, before the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext

from pfa_core.errors import Fault, FaultCode, GuardExceeded, GuardExcess, InvalidRequest
from pfa_core.model.money import CENT, EXACT, ZERO

NO_LIMIT = "none"
# What the database holds.
LARGEST_RECORDS, LARGEST_AMOUNT = 1_000_000_000, Decimal("1e17")
RECORDS, MONEY, PERCENT = "records", "money", "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The most that one commit, or one push, may change.

    Args:
        max_records: How many records; None, as below: no limit.
        max_money: How much forecast cost, up or down, added up record by record.
        max_percent: The same in per cent of the organization's forecast cost in the mirror.
        source: Who set the limits, for messages.

    Raises:
        InvalidRequest: A limit is negative, or not a number.
    """

    max_records: int | None = None
    max_money: Decimal | None = None
    max_percent: Decimal | None = None
    source: str = "the caller"

    def __post_init__(self) -> None:
        for name, value, largest in (
            ("max_records", self.max_records, LARGEST_RECORDS),
            ("max_money", self.max_money, LARGEST_AMOUNT),
            ("max_percent", self.max_percent, LARGEST_AMOUNT),
        ):
            if value is not None and not (Decimal(value).is_finite() and 0 <= value <= largest):
                raise InvalidRequest(
                    f"`{name}` must be from 0 to {Decimal(largest):,f}: {value}",
                    parameter=name,
                )

    @property
    def of_money(self) -> bool:
        """Return whether a limit is one of money."""
        return self.max_money is not None or self.max_percent is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a commit or a push changes.

    `money` is the change of forecast cost up or down, `net` the change of the sum, as `diff` and `plan_commit`
    have it, both in cents; `forecast` the organization's forecast cost before. They are 0 where no limit asks
    for them.
    """

    records: int
    money: Decimal = ZERO
    net: Decimal = ZERO
    forecast: Decimal = ZERO

    @property
    def percent(self) -> Decimal | None:
        """Return the money in per cent, rounded up to two decimals; None: of nothing."""
        if self.forecast <= 0:
            return None if self.money else ZERO
        with localcontext(EXACT):
            return (self.money * 100 / self.forecast).quantize(CENT, ROUND_CEILING)


def excesses(extent: Extent, places: Iterable[Guards]) -> list[GuardExcess]:
    """List the limits that a change is over, the strictest of each kind."""
    places = tuple(places)
    found = (
        _over(RECORDS, Decimal(extent.records), [(one.max_records, one) for one in places]),
        _over(MONEY, extent.money, [(one.max_money, one) for one in places]),
        _over_percent(extent, places),
    )
    return [one for one in found if one]


def refusal(
    what: str,
    over: Sequence[GuardExcess],
    extent: Extent,
    *,
    hides_money: bool,
    kept: str,
    hint: str,
) -> GuardExceeded:
    """Build the error of a change that is over limits.

    Args:
        what: What is refused, such as `the commit`.
        hides_money: The caller may see no amount: the message names none, the excesses have none.
        kept: What stays as it was.
    """
    shown = without_amounts(over) if hides_money else list(over)
    return GuardExceeded(
        _message(what, shown, extent, kept),
        unnamed=_message(what, without_amounts(over), extent, kept),
        hint=hint,
        excesses=shown,
    )


def _message(what: str, over: Sequence[GuardExcess], extent: Extent, kept: str) -> str:
    limits = "a limit" if len(over) == 1 else f"{len(over)} limits"
    return f"{what} is over {limits}: {'; '.join(_sentence(one, extent) for one in over)}; {kept}"


def kept_by_refusal(message: str) -> str:
    """Return what stays as it was by the message of a refusal, else an empty text."""
    head, _, _ = message.partition(": ")
    what, is_over, limits = head.partition(" is over ")
    if not (what and is_over and limits.endswith((" limit", " limits"))):
        return ""
    return message.rpartition("; ")[2]


def faults(over: Sequence[GuardExcess], extent: Extent) -> list[Fault]:
    """List the limits that a change is over as faults."""
    return [
        Fault("", f"max_{one.guard}", FaultCode.GUARD_EXCEEDED, _sentence(one, extent))
        for one in over
    ]


def without_amounts(over: Sequence[GuardExcess]) -> list[GuardExcess]:
    """Return the same without money."""
    return [_without_amounts(one) for one in over]


def _over(
    guard: str, found: Decimal, limits: Sequence[tuple[Decimal | int | None, Guards]]
) -> GuardExcess | None:
    given = [(Decimal(most), place) for most, place in limits if most is not None]
    if not given:
        return None
    most, place = min(given, key=lambda one: one[0])
    if found <= most:
        return None
    return GuardExcess(guard=guard, found=found, most=most, source=place.source)


def _over_percent(extent: Extent, places: Sequence[Guards]) -> GuardExcess | None:
    limits = [(one.max_percent, one) for one in places]
    if extent.percent is not None:
        over = _over(PERCENT, extent.percent, limits)
        if over is None or over.most is None:
            return None
        with localcontext(
            EXACT
        ):  # the per cent is rounded up: it may only seem to be over the limit
            exceeds = extent.money * 100 > over.most * extent.forecast
        return over if exceeds else None
    over = _over(PERCENT, Decimal("Infinity"), limits)
    return over and GuardExcess(guard=PERCENT, found=None, most=over.most, source=over.source)


def _without_amounts(one: GuardExcess) -> GuardExcess:
    if one.guard == RECORDS:
        return one
    return GuardExcess(guard=one.guard, found=None, most=None, source=one.source)


def _sentence(one: GuardExcess, extent: Extent) -> str:
    if one.guard == RECORDS:
        records = "1 record" if extent.records == 1 else f"{extent.records:,} records"
        return f"{records}, at most {one.most:,} ({one.source})"
    if one.most is None:
        share = (
            "the change of forecast cost"
            if one.guard == MONEY
            else "its share of the forecast cost"
        )
        return f"{share} is more than allowed ({one.source})"
    if one.guard == MONEY:
        cost = f"{_amount(extent.money)} of forecast cost, net {_amount(extent.net, sign='+')}"
        return f"{cost}, at most {_amount(one.most)} ({one.source})"
    share = "forecast cost where there was none"
    if one.found is not None:
        share = f"{one.found:,f} % of the forecast cost of {_amount(extent.forecast)}"
    return f"{share}, at most {one.most:,f} % ({one.source})"


def _amount(amount: Decimal, *, sign: str = "") -> str:
    with localcontext(EXACT):
        exact = amount.quantize(CENT, ROUND_HALF_UP)
        return f"{exact if exact == amount else amount:{sign},f}"
