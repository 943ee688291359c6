"""Items that another thread makes while earlier ones are used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_WAITING = 1  # items that are made and not used yet
_PAUSE = 0.1  # seconds between two looks whether the other thread has ended


@contextmanager
def made_ahead(items: Iterable[Item]) -> Iterator[Iterator[Item]]:
    """Iterate in a thread of its own, an item or two ahead of the caller.

    The caller waits for PostgreSQL, which holds no lock of the interpreter, and the items are made meanwhile. An
    error that they raise is raised where the next one is asked for. The thread has ended when the block has, after
    the item that it is at.
    """
    maker = _Maker(items, Queue(_WAITING), threading.Event())
    # What is bound to the caller's context, as the streams of a command are, is bound in the thread too.
    thread = threading.Thread(
        target=copy_context().run, args=(maker.run,), name="pfa-ahead", daemon=True
    )
    thread.start()
    try:
        yield maker.taken(thread)
    finally:
        maker.over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _End:
    """What comes behind the last item: its error, or none."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Maker(Generic[Item]):
    items: Iterable[Item]
    queue: Queue[Item | _End]
    over: threading.Event

    def run(self) -> None:
        try:
            for item in self.items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._put(_End(error))
        else:
            self._put(_End())

    def _put(self, item: Item | _End) -> bool:
        """Put an item where the caller takes it; False where none is taken any more."""
        while not self.over.is_set():
            try:
                self.queue.put(item, timeout=_PAUSE)
            except Full:
                continue
            return True
        return False

    def taken(self, thread: threading.Thread) -> Iterator[Item]:
        while True:
            try:
                # With a limit an interrupt is noticed on every system.
                item = self.queue.get(timeout=_PAUSE)
            except Empty:
                if not thread.is_alive() and self.queue.empty():
                    return  # ended with the interpreter
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error is None:
                return
            else:
                raise item.error
