"""The rate of requests to PEMS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FIRST_PAUSE = 0.02


LONGEST_PAUSE = 2.0


RECOVERY = 0.9


SLICE = 0.1  # seconds in which a waiting thread looks whether all has ended


CALM = 0.5  # seconds after slowing down in which further complaints are about the old pace


class RateLimiter:
    """How fast to send: at most `rate` a second, slower while PEMS asks for it.

    Being asked to slow down doubles the pause between two sends of all threads together, every
    success takes a tenth of it away again.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._least = 1 / rate if rate else 0.0
        self._pause = 0.0
        self._next = 0.0
        self._slowed = float("-inf")
        self._lock = threading.Lock()

    def acquire(self, ended: Callable[[], bool], *, sends: bool = True) -> None:
        """Wait for this thread's turn, or until all has ended.

        Args:
            sends: Something is to be changed; a mere look is not bound to the rate.
        """
        step = max(self._pause, self._least if sends else 0.0)
        if not step:
            return
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + step
        while (left := at - time.monotonic()) > 0 and not ended():
            time.sleep(min(left, SLICE))

    def on_throttle(self) -> None:
        """PEMS asked for it."""
        with self._lock:
            if time.monotonic() - self._slowed > CALM:
                self._slowed = time.monotonic()
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def on_success(self) -> None:
        """PEMS took something."""
        if self._pause:
            with self._lock:
                self._pause = self._pause * RECOVERY if self._pause > FIRST_PAUSE / 20 else 0.0
