"""Threads that work items off."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Signal(Enum):
    """What a thread does next: WORK on one item, or STOP."""

    WORK = auto()
    STOP = auto()


class Workers(Generic[Item, Answer]):
    """Threads that work items off and return an answer, or the exception, for each.

    `busy` counts the items given whose answers have not been taken.
    """

    def __init__(self, work: Callable[[Item], Answer], number: int) -> None:
        self._work = work
        self._items: deque[Item] = deque()
        self._urgent: deque[Item] = deque()
        self._lock = threading.Lock()
        self._signals: SimpleQueue[_Signal] = SimpleQueue()  # a WORK for each item
        self._answers: SimpleQueue[Answer | BaseException] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"pfa-sender-{place}", daemon=True)
            for place in range(number)
        ]
        self.busy = 0

    def give(self, item: Item, *, first: bool = False) -> None:
        """Queue an item; those given as `first` precede all others, in their own order."""
        self.busy += 1
        with self._lock:
            (self._urgent if first else self._items).append(item)
        self._signals.put(_Signal.WORK)

    def answers(self, timeout: float) -> Iterator[Answer]:
        """Yield the answers so far; wait up to `timeout` seconds for the first.

        Raises:
            BaseException: What the work of a thread raised.
        """
        try:
            answer = self._answers.get(timeout=timeout)
            while True:
                self.busy -= 1
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
                answer = self._answers.get_nowait()
        except Empty:
            return

    @contextmanager
    def at_work(self) -> Iterator[Workers[Item, Answer]]:
        """Start the threads; each ends after its current item when the block is left."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            for _ in self._threads:
                self._signals.put(_Signal.STOP)

    def _run(self) -> None:
        while self._signals.get() is _Signal.WORK:
            try:
                self._answers.put(self._work(self._next()))
            except BaseException as error:
                self._answers.put(error)

    def _next(self) -> Item:
        with self._lock:
            return (self._urgent or self._items).popleft()
