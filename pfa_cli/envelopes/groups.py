"""Faults that say the same, as one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfa_core.errors import Fault

MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class FaultGroup:
    """The number of faults of one code and message in one field.

    `examples`: the first of them.
    """

    count: int
    examples: Sequence[Fault]

    @property
    def first(self) -> Fault:
        """Return the first fault."""
        return self.examples[0]


def grouped(faults: Iterable[Fault]) -> list[FaultGroup]:
    """Group faults that say the same of the same field, in the order of the first."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        what = (fault.code, fault.field, fault.message)
        numbers[what] += 1
        if numbers[what] <= MOST_EXAMPLES:
            examples.setdefault(what, []).append(fault)
    return [FaultGroup(numbers[what], some) for what, some in examples.items()]
