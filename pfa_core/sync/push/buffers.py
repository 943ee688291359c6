"""Buffers between the threads that send and the transactions that mark and settle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

BATCH = 400  # changes claimed, results settled in one transaction
SETTLE_SECONDS = 1.0
MARK_BATCH = 50
MARK_SECONDS = 0.05


@dataclass
class Buffer(Generic[Item]):
    """Items that wait for one transaction.

    They wait until they are `size`, or the last transaction is `seconds` ago.
    """

    size: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _: KW_ONLY
    _items: list[Item] = field(default_factory=list)
    _emptied_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._emptied_at = self.clock()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Iterable[Item]) -> None:
        """Append items."""
        self._items += items

    def is_due(self, *, now: bool) -> bool:
        """Return whether the items are due, at once with `now`; never without items."""
        if not self._items:
            return False
        old = self.clock() - self._emptied_at > self.seconds
        return now or old or len(self._items) >= self.size

    def take(self) -> list[Item]:
        """Return the items and empty the buffer."""
        self._emptied_at = self.clock()
        items, self._items = self._items, []
        return items
