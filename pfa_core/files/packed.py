"""Changes of a large file, packed."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from pfa_core.model.delta import Change

_TOGETHER = 500
_MANY = (
    10_000  # fewer stay as they are: to unpack them again and again would cost more than they hold
)


class PackedChanges(Sequence[Change]):
    """Changes in their order, packed; each access makes them anew.

    Args:
        packs: Some changes each, as `_pack` makes them, all but the last of `_TOGETHER`.
    """

    def __init__(self, packs: Sequence[bytes], number: int) -> None:
        self._packs, self._number = packs, number

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Change]:
        for pack in self._packs:
            yield from _unpack(pack)

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Change]: ...
    def __getitem__(self, place: int | slice) -> Change | Sequence[Change]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(self._number))]
        index = place + self._number if place < 0 else place
        if not 0 <= index < self._number:
            raise IndexError(place)
        return _unpack(self._packs[index // _TOGETHER])[index % _TOGETHER]


def packed(changes: Iterable[Change]) -> Sequence[Change]:
    """Read changes into a sequence: many are packed, few are a tuple."""
    rest = iter(changes)
    first = tuple(islice(rest, _MANY))
    if len(first) < _MANY:
        return first
    packs = [_pack(first[start : start + _TOGETHER]) for start in range(0, _MANY, _TOGETHER)]
    number = len(first)
    while some := list(islice(rest, _TOGETHER)):
        packs.append(_pack(some))
        number += len(some)
    return PackedChanges(packs, number)


def _pack(changes: Sequence[Change]) -> bytes:
    rows = [
        (
            one.pfa_id,
            one.delta,
            one.change_reason,
            one.expected_version,
            one.position,
            one.read_only,
            one.listed_version,
        )
        for one in changes
    ]
    return zlib.compress(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL), 1)


def _unpack(pack: bytes) -> list[Change]:
    # What `_pack` made in this process: nothing from outside is unpickled.
    rows = pickle.loads(zlib.decompress(pack))  # noqa: S301
    return [
        Change(
            pfa_id,
            delta,
            reason,
            expected_version=version,
            position=position,
            read_only=fixed,
            listed_version=listed,
        )
        for pfa_id, delta, reason, version, position, fixed, listed in rows
    ]
