"""The rate of requests to PEMS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 2.0
RECOVERY = 0.9  # of the pause, after each success
POLL_SECONDS = 0.1  # in which a waiting thread checks whether the run has ended
THROTTLE_INTERVAL = 0.5  # seconds in which further throttling answers are about the old rate


class RateLimiter:
    """At most `rate` requests a second, fewer while PEMS throttles.

    A throttling answer doubles the pause between two requests of all threads together, every
    success shortens it by a tenth.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._least = 1 / rate if rate else 0.0
        self._pause = 0.0
        self._next = 0.0
        self._throttled_at = float("-inf")
        self._lock = threading.Lock()

    def acquire(self, ended: Callable[[], bool], *, sends: bool = True) -> None:
        """Wait until this thread may send a request, or until the run has ended.

        Args:
            sends: The request changes something; `rate` does not limit requests that only read.
        """
        step = max(self._pause, self._least if sends else 0.0)
        if not step:
            return
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + step
        while (left := at - time.monotonic()) > 0 and not ended():
            time.sleep(min(left, POLL_SECONDS))

    def on_throttle(self) -> None:
        """Lengthen the pause: PEMS asked for fewer requests."""
        with self._lock:
            if time.monotonic() - self._throttled_at > THROTTLE_INTERVAL:
                self._throttled_at = time.monotonic()
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def on_success(self) -> None:
        """Shorten the pause: PEMS applied a change."""
        if self._pause:
            with self._lock:
                self._pause = self._pause * RECOVERY if self._pause > FIRST_PAUSE / 20 else 0.0
