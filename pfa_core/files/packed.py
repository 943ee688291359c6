"""Changes of a large file, packed; of a very large one in a temporary file."""

from __future__ import annotations

import pickle
import weakref
import zlib
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import NamedTuple, overload

from pfa_core.model.delta import Change
from pfa_core.model.sized import portions_by_size

_TOGETHER = 500
_CHARACTERS = 4 << 20  # of the texts of the changes that are packed together
_KEPT_BYTES = 32 << 20  # of packs in memory
# Fewer stay as they are, 15 MB of small ones: a save goes through its changes three times, and packing them takes a
# tenth of the client's time.
_MANY = 20_000


class _Place(NamedTuple):
    """Where a pack is in the file, and how many changes precede it."""

    offset: int
    size: int
    before: int


def _new_file() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(max_size=_KEPT_BYTES)


@dataclass(eq=False)
class PackedChanges(Sequence[Change]):
    """Changes in their order, packed; each access makes them anew."""

    _file: SpooledTemporaryFile[bytes] = field(default_factory=_new_file)
    _places: list[_Place] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        weakref.finalize(self, self._file.close)

    def add(self, changes: Sequence[Change]) -> None:
        """Pack some more."""
        pack = _pack(changes)
        last = self._places[-1] if self._places else _Place(0, 0, 0)
        offset = last.offset + last.size
        self._file.seek(offset)
        self._file.write(pack)
        self._places.append(_Place(offset, len(pack), self._number))
        self._number += len(changes)

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Change]:
        for place in self._places:
            yield from self._unpacked(place)

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
        pack = self._places[bisect(self._places, index, key=lambda one: one.before) - 1]
        return self._unpacked(pack)[index - pack.before]

    def _unpacked(self, place: _Place) -> list[Change]:
        self._file.seek(place.offset)
        return _unpack(self._file.read(place.size))


def packed(changes: Iterable[Change]) -> Sequence[Change]:
    """Read changes into a sequence: many, or large ones, are packed, few are a tuple."""
    groups = portions_by_size(changes, _TOGETHER, _CHARACTERS)
    first: list[list[Change]] = []
    for group in groups:
        first.append(group)
        if sum(map(len, first)) >= _MANY or len(group) < _TOGETHER:
            break
    following = next(groups, None)
    if following is None and sum(map(len, first)) < _MANY:
        return tuple(chain.from_iterable(first))
    all_packed = PackedChanges()
    for group in chain(first, [following] if following else [], groups):
        all_packed.add(group)
    return all_packed


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
            one.sheet,
        )
        for one in changes
    ]
    return zlib.compress(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL), 1)


def _unpack(pack: bytes) -> list[Change]:
    # What `_pack` made in this process, in a file without a name: nothing from outside is unpickled.
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
            sheet=sheet,
        )
        for pfa_id, delta, reason, version, position, fixed, listed, sheet in rows
    ]
