"""The HTTP/1.1 server of the sandbox: a thread a connection, failures on request.

Written by hand because `http.server` spends half of a small request's time on headers: a slow sandbox
would be what a benchmark of the writer measures.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import BinaryIO

from pfa_core.errors import IoFailure
from pfa_core.pems.sandbox.http import Delivery, Refused, Request, Response

MAX_HEAD = 64 << 10
MAX_BODY = 64 << 20
SLOW_PIECES = 200
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Handler = Callable[[Request], Response]


class HttpServer:
    """A server on 127.0.0.1 within a `with` block; port 0 takes a free one.

    Raises:
        IoFailure: The port is in use or not allowed.
    """

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self.port = port
        self.stopping = threading.Event()
        self._handler = handler
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}

    def __enter__(self) -> HttpServer:
        """Listen, and answer in threads."""
        self._listener = self._listen()
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="sandbox", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, close every connection, and wait for their threads."""
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            open_now = dict(self._open)
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_now.values():
            thread.join()

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(("127.0.0.1", self.port), backlog=256)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise IoFailure(f"port {self.port} cannot be listened on: {reason}") from error

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # Out of file descriptors for a moment, or closed by __exit__.
                self.stopping.wait(0.01)
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._tracked(connection), connection.makefile("rb") as stream, suppress(OSError):
            while not self.stopping.is_set() and self._exchange(connection, stream):
                pass

    @contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        try:
            yield
        finally:
            connection.close()
            with self._lock:
                del self._open[connection]

    def _exchange(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request; return whether the connection is kept."""
        try:
            request = _read_request(connection, stream)
        except Refused as refused:
            connection.sendall(_head(refused.response, keep_alive=False) + refused.response.body)
            _drain(connection)
            return False
        if request is None:
            return False
        response = self._handler(request)
        return self._deliver(connection, response, keep_alive=request.keep_alive)

    def _deliver(self, connection: socket.socket, response: Response, *, keep_alive: bool) -> bool:
        if response.delivery is Delivery.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return False
        head, body = _head(response, keep_alive=keep_alive), response.body
        if response.delivery is Delivery.HALF:
            connection.sendall(head + body[: len(body) // 2])
            return False
        if response.delivery is Delivery.SLOWLY:
            connection.sendall(head)
            return self._trickle(connection, body, response.pause) and keep_alive
        connection.sendall(head + body)
        return keep_alive

    def _trickle(self, connection: socket.socket, body: bytes, pause: float) -> bool:
        """Send byte by byte, a long body in 200 pieces; return whether all was sent."""
        size = max(1, -(-len(body) // SLOW_PIECES))
        for start in range(0, len(body), size):
            if self.stopping.wait(pause):
                return False
            connection.sendall(body[start : start + size])
        return True


def _drain(connection: socket.socket) -> None:
    """Read what is still being sent: closing before would reset the connection."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1)
    for _ in range(MAX_BODY >> 16):
        if not connection.recv(1 << 16):
            return


def _read_request(connection: socket.socket, stream: BinaryIO) -> Request | None:
    """Read the next request, None when the client has closed.

    Raises:
        Refused: The request is not HTTP, or too large.
    """
    line = stream.readline(MAX_HEAD)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not line.endswith(b"\n"):
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request")
    method, target, version = parts
    headers = _read_headers(stream)
    keep_alive = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _read_body(stream, headers)
    path, _, query = target.partition("?")
    return Request(
        method=method, path=path, query=query, headers=headers, body=body, keep_alive=keep_alive
    )


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    room = MAX_HEAD
    while (line := stream.readline(room)) not in (b"\r\n", b"\n"):
        room -= len(line)
        name, colon, value = line.decode("latin-1").partition(":")
        if not line.endswith(b"\n") or not colon:
            raise Refused(HTTPStatus.BAD_REQUEST, "the headers are cut off, too long or broken")
        headers[name.strip().lower()] = value.strip()
    return headers


def _read_body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length, chunks are not supported")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    if int(length) > MAX_BODY:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
    body = stream.read(int(length))
    if len(body) < int(length):
        raise ConnectionResetError("the client closed in the middle of a body")
    return body


def _head(response: Response, *, keep_alive: bool) -> bytes:
    reason = HTTPStatus(response.status).phrase
    lines = [
        f"HTTP/1.1 {response.status} {reason}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
