"""Gaps in costs, each with the command that finds it.

They are what sums leave out, and what they should not add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfa_core.model import shell
from pfa_core.model.humanize import count

if TYPE_CHECKING:
    from pfa_core.model.figures import Figures, Stats
    from pfa_core.model.money import Amount

_COUNTED = "--no-discontinued --no-transferable"
_UNIT = "rateUom "


@dataclass(frozen=True, slots=True)
class Gap:
    """One reason, and the command that lists its records or ends it."""

    text: str
    command: str


def uncosted(stats: Stats[Amount]) -> list[Gap]:
    """List what the costs leave out or add up though they should not, by reason.

    Returns none where every record counts with what it costs.
    """
    figures = stats.figures
    return [*_missing(figures), *_excluded(stats), *_mixed(figures)]


def _missing(figures: Figures[Amount]) -> list[Gap]:
    reasons = (
        (figures.rentals_without_start, "rental", "a start", "--source Rental --no-start"),
        (figures.rentals_without_end, "rental", "an end", "--source Rental --no-end"),
        (figures.rentals_without_rate, "rental", "a rate", "--source Rental --no-rate"),
        (figures.purchases_without_price, "purchase", "a price", "--source Purchase --no-price"),
    )
    return [
        Gap(f"{count(number, noun)} without {what}: 0 counted", f"pfa list {options} {_COUNTED}")
        for number, noun, what, options in reasons
        if number
    ]


def _excluded(stats: Stats[Amount]) -> list[Gap]:
    return [
        Gap(f"{count(number, 'record')} {_named(name, stats.currency)}", _command(name))
        for name, number in stats.figures.excluded.items()
    ]


def _named(name: str, own: str | None) -> str:
    if name.startswith(_UNIT):
        return f"with the unknown rate unit {name.removeprefix(_UNIT)}: not counted"
    return f"in {name}: not counted (organization: {own})"


def _command(name: str) -> str:
    if name.startswith(_UNIT):
        return "pfa list --columns pfaId,monthlyRate,rateUom"
    return f"pfa list --currency {shell.word(name)}"


def _mixed(figures: Figures[Amount]) -> list[Gap]:
    if len(figures.currencies) < 2:
        return []
    named = ", ".join(f"{name} ({number:,})" for name, number in figures.currencies.items())
    text = f"several currencies are added up as one: {named}"
    return [Gap(text, "pfa org set --currency CODE")]
