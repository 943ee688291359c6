"""Responses limited in time and size."""

from __future__ import annotations

import http.client
import io
import socket
import time
import zlib
from typing import Any

MAX_BODY = 256 << 20
MAX_LAYERS = 2  # content encodings of one body
MAX_MEMBERS = 16  # of a gzip body: each costs a copy of the rest
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS  # zlib finds out by the header which of the two it is


class TooLarge(OSError):
    """The response is larger than the limit."""


class BadEncoding(ValueError):
    """The content encoding is unknown, or the body is not in it."""


def decoded(body: bytes, encodings: str) -> bytes:
    """Return a body without its content encodings: gzip and deflate, in any order.

    None is asked for; some gateways compress all the same.

    Args:
        encodings: The header Content-Encoding, empty where there is none.

    Raises:
        BadEncoding: Another encoding, or content that is not in it.
        TooLarge: The content is larger than the limit.
    """
    names = [part.strip().lower() for part in encodings.split(",")]
    if len(names) > MAX_LAYERS:
        raise BadEncoding(f"{len(names)} encodings")
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            body = _inflated(body, _ZLIB_OR_GZIP)
        elif name == "deflate":
            # RFC 9110, 8.4.1.2: with a zlib header; some servers leave it out.
            raw = not body or body[0] & 0x0F != zlib.DEFLATED or int.from_bytes(body[:2]) % 31
            body = _inflated(body, -zlib.MAX_WBITS if raw else _ZLIB_OR_GZIP)
        elif name not in ("", "identity"):
            raise BadEncoding(name)
    return body


def _inflated(body: bytes, wbits: int) -> bytes:
    """Decompress every member of a body up to the limit; an empty body stays empty."""
    found: list[bytes] = []
    room = MAX_BODY
    while body:
        if len(found) == MAX_MEMBERS:
            raise TooLarge
        stream = zlib.decompressobj(wbits)
        try:
            piece = stream.decompress(body, room + 1)
        except zlib.error as error:
            raise BadEncoding("its content") from error
        room -= len(piece)
        if room < 0:
            raise TooLarge
        if not stream.eof:
            raise BadEncoding("its content")
        found.append(piece)
        body = stream.unused_data
    return b"".join(found)


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
