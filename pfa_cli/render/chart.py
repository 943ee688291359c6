"""Bar chart of the cost of groups."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from pfa_cli.render.bars import bar
from pfa_cli.render.cells import padded, width
from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import money
from pfa_cli.render.plain import plain

if TYPE_CHECKING:
    from pfa_core.model.money import Amount

Group = tuple[str, Sequence["Amount"]]  # a label, and an amount for each phase
STYLES = ("blue", "cyan", "green")
_GAP = 2
_IN_A_PIPE = 80
_LONGEST_LABEL = 30
_SHORTEST_BAR = 20


def chart(groups: Sequence[Group], phases: Sequence[str], look: Look) -> str:
    """Draw a bar for each phase of each group, all in one scale, each with its amount.

    In a pipe the bars are of `#` and lines have 80 cells. Where a label leaves too little room for bars it
    stands on a line of its own.
    """
    cells = look.width or _IN_A_PIPE
    amounts = [amount for _, values in groups for amount in values]
    most = max((amount for amount in amounts if amount is not None), default=Decimal(0))
    digits = max(map(len, map(money, amounts)), default=0)
    name = max(map(len, phases))
    taken = name + digits + 2 * _GAP
    label = max((width(text) for text, _ in groups), default=0)
    beside = label <= _LONGEST_LABEL and cells - taken - label - _GAP >= _SHORTEST_BAR
    indent = label + _GAP if beside else min(_GAP, max(0, cells - taken))
    room = max(0, cells - taken - indent)
    lines: list[str] = []
    for text, values in groups:
        if not beside:
            lines += _folded(text, cells)
        for number, (phase, amount) in enumerate(zip(phases, values, strict=True)):
            before = padded(text if beside and not number else "", indent)
            drawn = _bar(amount, most, room, look, STYLES[number % len(STYLES)])
            lines.append(f"{before}{phase:<{name}}  {money(amount):>{digits}}  {drawn}".rstrip())
    return "\n".join(lines)


def label_of(values: Sequence[object]) -> str:
    """Name a group by the values of its key."""
    return " · ".join(visible(plain(value)) or "(none)" for value in values)


def _bar(amount: Amount, most: Decimal, room: int, look: Look, style: str) -> str:
    drawn = bar(amount or Decimal(0), most, room, unicode=look.terminal and look.unicode)
    if not look.colored or not drawn:
        return drawn
    from pfa_cli.render.terminal import paint

    return paint([(drawn, style)], colored=True)


def _folded(text: str, cells: int) -> list[str]:
    from pfa_cli.render.folding import fold

    return fold(text, cells, width)
