"""The scale of a chart: round ticks, and the unit of their labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_TICKS = 4
_LEAST = Decimal("0.01")
_UNITS = (
    (Decimal(10) ** 11, Decimal(10) ** 9, "billions"),
    (Decimal(10) ** 6, Decimal(10) ** 6, "millions"),
    (Decimal(10) ** 3, Decimal(10) ** 3, "thousands"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Ticks from zero to the end of an axis.

    Labels are in units of `unit`, whose name is `name`.
    """

    ticks: tuple[Decimal, ...]
    unit: Decimal
    name: str

    @property
    def end(self) -> Decimal:
        """Return the value at the end of the axis."""
        return self.ticks[-1]

    def share(self, value: Decimal) -> Decimal:
        """Return where a value stands, from 0 to 1; a negative one stands at 0."""
        return max(Decimal(0), value) / self.end

    def label(self, value: Decimal) -> str:
        """Write the label of a tick, with as many decimals as its step has."""
        step = self.ticks[1] / self.unit
        decimals = max(0, -int(step.normalize().as_tuple().exponent))
        return f"{value / self.unit:,.{decimals}f}"

    def amount(self, value: Decimal) -> str:
        """Write the amount of a bar, rounded to three places or more."""
        scaled = value / self.unit
        if 0 < scaled < _LEAST and self.unit > 1:
            return f"< {_LEAST}"
        decimals = 0 if self.unit == 1 else 2 if abs(scaled) < 10 else 1
        return f"{scaled:,.{decimals}f}"


def scale_of(values: Iterable[Decimal], *, whole: bool = False) -> Scale:
    """Choose a scale that ends at the largest value or a little above it.

    Args:
        whole: Values are counts: ticks are whole numbers.
    """
    most = max((*values, Decimal(0))) or Decimal(1)
    power = Decimal(10) ** (most / _TICKS).adjusted()
    step = next(power * step for step in _STEPS if power * step * _TICKS >= most)
    if whole:
        step = max(Decimal(1), step.to_integral_value(ROUND_CEILING))
    number = int((most / step).to_integral_value(ROUND_CEILING))
    ticks = tuple(step * place for place in range(number + 1))
    for least, unit, name in _UNITS:
        if most >= least:
            return Scale(ticks, unit, name)
    return Scale(ticks, Decimal(1), "")
