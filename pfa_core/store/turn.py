"""Turns of threads at one handle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that a thread may take again, and that any thread may give back.

    A stream that is not read to its end holds it in a suspended generator, which the garbage collector closes in
    whatever thread it runs: an RLock would refuse to be released there, and stay taken for good. The turn ends with
    the last of its blocks, whichever that is.
    """

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._holder: int | None = None
        self._blocks: set[object] = set()
        # The garbage collector may end a block in the middle of these lines, in the same thread.
        self._counting = threading.RLock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and have it for the block.

        A block within a block has it already.
        """
        block = object()
        if not self._is_within(block):
            self._wait(block)
        try:
            yield
        finally:
            self._leave(block)

    def _is_within(self, block: object) -> bool:
        """Enter the block where this thread has the turn, which no other thread gives it."""
        if self._holder != threading.get_ident():
            return False
        with self._counting:
            self._blocks.add(
                block
            )  # before the look: with a block there is, no other ends the turn
            if self._holder == threading.get_ident():
                return True
            self._leave(block)
            return False

    def _wait(self, block: object) -> None:
        self._free.acquire()
        try:
            self._blocks.add(block)
            self._holder = threading.get_ident()
        except BaseException:  # a signal
            self._blocks.discard(block)
            self._holder = None
            self._free.release()
            raise

    def _leave(self, block: object) -> None:
        with self._counting:
            self._blocks.discard(block)
            if not self._blocks and self._holder is not None:
                self._holder = None
                self._free.release()
