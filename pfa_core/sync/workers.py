"""The threads that talk to PEMS, and the pace at which they do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

WORK, STOP = "work", "go home"

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Workers(Generic[Item, Answer]):
    """Threads that work items off and hand back what came of each, an exception too."""

    def __init__(self, work: Callable[[Item], Answer], number: int) -> None:
        self._work = work
        self._items: deque[Item] = deque()
        self._urgent: deque[Item] = deque()
        self._lock = threading.Lock()
        # One for each item; GO_HOME ends a thread.
        self._tokens: SimpleQueue[str] = SimpleQueue()
        self._answers: SimpleQueue[Answer | BaseException] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"pfa-sender-{place}", daemon=True)
            for place in range(number)
        ]
        self.busy = 0

    def give(self, item: Item, *, first: bool = False) -> None:
        """Let the next free thread do it; what is given as `first` goes before all else, in its order."""
        self.busy += 1
        with self._lock:
            (self._urgent if first else self._items).append(item)
        self._tokens.put(WORK)

    def _next(self) -> Item:
        with self._lock:
            return (self._urgent or self._items).popleft()

    def answers(self, timeout: float) -> Iterator[Answer]:
        """What has come by now; waits up to `timeout` seconds for the first.

        Raises:
            BaseException: What a thread failed with: a bug of ours.
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

    def _run(self) -> None:
        while self._tokens.get() is WORK:
            try:
                self._answers.put(self._work(self._next()))
            except BaseException as error:
                self._answers.put(error)

    @contextmanager
    def at_work(self) -> Iterator[Workers[Item, Answer]]:
        """Start the threads; on leaving each ends after what it is doing."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            for _ in self._threads:
                self._tokens.put(STOP)
