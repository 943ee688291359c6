"""Responses limited in time and size."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

MAX_BODY = 256 << 20


class TooLarge(OSError):
    """The response is larger than the limit."""


class _BoundedReader(io.RawIOBase):
    """A socket's reader limited to twice the timeout and to MAX_BODY bytes.

    A socket's own timeout begins anew with each byte that comes in.
    """

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
    """An HTTP response limited in time and size, headers included."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader: _BoundedReader | None = None
        timeout = sock.gettimeout()
        if timeout:
            self._reader = _BoundedReader(self.fp.detach(), sock, timeout)
            self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read status and headers; refuse a response that announces too large a body."""
        super().begin()
        if self._reader and self._reader.ended:
            # http.client takes the end of the stream for the end of the headers: a response cut off
            # there would be a success with an empty body.
            raise http.client.RemoteDisconnected("the headers are cut off")
        # Before memory for it is taken.
        if self.length is not None and self.length > MAX_BODY:
            raise TooLarge
