"""Answers that come to an end: however slowly their bytes come in, and however many there are."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

MAX_BODY = 256 << 20


class TooLarge(OSError):
    """The answer is larger than anything PEMS has to say."""


class _BoundedReader(io.RawIOBase):
    """A socket's reader that ends: after twice the timeout, however slowly bytes come in, since a
    socket's own timeout begins anew with each; and after MAX_BODY bytes."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, timeout: float) -> None:
        self._raw, self._connection, self._timeout = raw, connection, timeout
        self._deadline = time.monotonic() + 2 * timeout
        self._room = MAX_BODY
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if left < self._timeout:
            self._connection.settimeout(left)
        count = self._raw.readinto(buffer)
        self.ended = count == 0
        self._room -= count or 0
        if self._room < 0:
            raise TooLarge
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class BoundedResponse(http.client.HTTPResponse):
    """An HTTP answer whose reading ends, headers included."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader: _BoundedReader | None = None
        timeout = sock.gettimeout()
        if timeout:
            self._reader = _BoundedReader(self.fp.detach(), sock, timeout)
            self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read status and headers; an answer that announces too much ends here."""
        super().begin()
        if self._reader and self._reader.ended:
            # http.client takes the end of the stream for the end of the headers: of an answer cut
            # off there it would make a success with nothing in it.
            raise http.client.RemoteDisconnected("the headers are cut off")
        # Before memory for it is taken.
        if self.length is not None and self.length > MAX_BODY:
            raise TooLarge
