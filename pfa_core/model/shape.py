"""What the source of a record had columns and values for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pfa_core.model.record import CHECKED, DEFAULTED

_BITS = {("carried", name): 1 << place for place, name in enumerate(CHECKED)}
_BITS |= {("blank", name): 1 << (len(CHECKED) + place) for place, name in enumerate(DEFAULTED)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text that became a record had beside the record's values.

    Args:
        bits: A bit for each known field that it had a column for, and one for each field with a default
            that it had no value of.
        unknown: The fields unknown to the program, sorted.
    """

    bits: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def carried(self) -> frozenset[str]:
        """Return the known fields that it had columns for."""
        return self._named("carried")

    @property
    def blank(self) -> frozenset[str]:
        """Return the fields with a default that it had no value of."""
        return self._named("blank")

    def _named(self, kind: str) -> frozenset[str]:
        return frozenset(
            name for (of, name), bit in _BITS.items() if of == kind and self.bits & bit
        )


def shape_of(carried: Collection[str], blank: Iterable[str], unknown: Iterable[str]) -> Shape:
    """Return the shape of a text; fields that are not checked do not count."""
    bits = sum(_BITS.get(("carried", name), 0) for name in set(carried))
    bits |= sum(_BITS.get(("blank", name), 0) for name in set(blank))
    return Shape(bits, tuple(sorted(unknown)))


def joined(shapes: Iterable[Shape]) -> Shape:
    """Return the shape of several texts together."""
    bits, unknown = 0, set[str]()
    for shape in shapes:
        bits |= shape.bits
        unknown.update(shape.unknown)
    return Shape(bits, tuple(sorted(unknown)))
