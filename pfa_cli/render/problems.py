"""Problems of an input as lines: equal ones once, counted, with examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pfa_cli.envelopes.groups import FaultGroup, grouped
from pfa_cli.parameters import with_options
from pfa_cli.render.escape import visible

if TYPE_CHECKING:
    from pfa_core.errors import Fault

MOST_LINES = 100  # more of them scroll away


def lines(faults: Sequence[Fault]) -> list[str]:
    """Format the groups of the faults, the first hundred; the rest counted."""
    groups = grouped(faults)
    shown = [_line(group) for group in groups[:MOST_LINES]]
    rest: dict[str, int] = {}
    for group in groups[MOST_LINES:]:
        rest[group.first.code] = rest.get(group.first.code, 0) + group.count
    if rest:
        most_first = sorted(rest.items(), key=lambda item: -item[1])
        each = ", ".join(f"{number:,} {code}" for code, number in most_first)
        total = sum(rest.values())
        shown.append(f"  and {total:,} more ({each}); all of them: --error-format json")
    return shown


def _line(group: FaultGroup) -> str:
    """Format a group; a single fault with its record and its position."""
    fault = group.first
    message = visible(with_options(fault.message))
    if group.count == 1:
        where = " ".join(part for part in (fault.pfa_id or fault.position, fault.field) if part)
        position = f" ({fault.position})" if fault.pfa_id and fault.position else ""
        return f"  {visible(where)}: {message}{visible(position)} [{fault.code}]"
    what = "records" if fault.pfa_id else "times"
    where = f", {visible(fault.field)}" if fault.field else ""
    examples = ", ".join(filter(None, map(_example, group.examples)))
    more = ", …" if group.count > len(group.examples) else ""
    shown = f"\n    {examples}{more}" if examples else ""
    return f"  {group.count:,} {what}{where}: {message} [{fault.code}]{shown}"


def _example(fault: Fault) -> str:
    both = fault.pfa_id and fault.position
    text = f"{fault.pfa_id} ({fault.position})" if both else fault.pfa_id or fault.position
    return visible(text)
