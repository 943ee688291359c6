"""Turns of threads at one handle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_SECONDS = 1.0  # the thread that was woken may have been interrupted before it went on


class Turns:
    """A lock that a thread may take again, and that any thread may give back.

    A stream that is not read to its end holds it in a suspended generator, which the garbage collector closes in
    whatever thread it runs: an RLock would refuse to be released there, and stay taken for good. The turn ends with
    the last of its blocks, whichever that is. Who waits gets it in the order of asking: the thread that gives it
    back would else have it again before another one has woken.

    Its state is the blocks that have it and those that wait: a signal between two lines finds a block in it or not,
    never a lock that is taken and that no block gives back.
    """

    def __init__(self) -> None:
        # The garbage collector may end a block in the middle of these lines, in the same thread.
        self._counting = threading.RLock()
        self._ended = threading.Condition(self._counting)
        self._blocks: set[object] = set()
        self._waiting: dict[object, None] = {}  # in order
        self._holder: int | None = None

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Wait for the turn, and have it for the block.

        It yields whether this block has it, not one around it.
        """
        block = object()
        try:
            yield self._enter(block)
        finally:
            try:
                self._leave(block)
            except BaseException:  # a signal, maybe before its first line
                self._leave(block)
                raise

    def _enter(self, block: object) -> bool:
        me = threading.get_ident()
        # By the lock itself: a condition's own way in is Python, which a signal may end with the lock taken.
        with self._counting:
            is_first = not (self._blocks and self._holder == me)
            if is_first:
                self._waiting[block] = None
                while self._blocks or next(iter(self._waiting)) is not block:
                    self._ended.wait(_LOOK_SECONDS)
            self._holder = me
            self._blocks.add(block)
            self._waiting.pop(block, None)
            return is_first

    def _leave(self, block: object) -> None:
        with self._counting:
            self._blocks.discard(block)
            self._waiting.pop(block, None)
            if not self._blocks:
                self._ended.notify_all()
