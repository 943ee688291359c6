"""Turns of threads at one handle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that a thread may take again, and that any thread may give back.

    A stream that is not read to its end holds it in a suspended generator, which the garbage collector closes in
    whatever thread it runs: an RLock would refuse to be released there, and stay taken for good.
    """

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and have it for the block.

        A block within a block has it already.
        """
        if self._holder == threading.get_ident():
            yield
            return
        with self._free:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
