"""A TCP proxy before PostgreSQL that acknowledges everything and, from a moment on, delivers nothing."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from psycopg.conninfo import conninfo_to_dict

from tests.server import url_of


class Way(StrEnum):
    """Whose bytes are swallowed."""

    UP = "the client's"
    DOWN = "the server's"
    BOTH = "both sides'"


@dataclass
class Silence:
    """Which connection becomes silent, in which direction, and when.

    Args:
        connection: Its number, from 0 in the order of opening; None: each one, new ones too.
        after: Chunks of the client's that arrive before; the server's answers to them arrive too where
            the client's bytes are swallowed.
        greeting: Chunks that a new connection delivers all the same, so that it can be opened.
    """

    way: Way
    after: int
    connection: int | None = 0
    greeting: int = 0


@dataclass
class SilentProxy:
    """A proxy at work. `chunks`: how many of the client's each connection has delivered."""

    address: tuple[str, int]
    silence: Silence | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    chunks: list[int] = field(default_factory=list)

    def url(self, url: str, **more: str) -> str:
        """The address by way of the proxy."""
        host, port = self.address
        return url_of({**conninfo_to_dict(url), "host": host, "port": port, **more})

    def relay(self, client: socket.socket, server: socket.socket, number: int) -> None:
        """Carry bytes until one side ends."""
        with client, server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(65536)
                    except OSError:
                        data = b""
                    up = source is client
                    if up and data:
                        self.chunks[number] += 1
                    swallowed = self._swallows(number, up=up)
                    if not data:
                        # The end of one side is swallowed, too: it is how a network goes.
                        if swallowed and up:
                            self._hold(server)
                        return
                    if not swallowed:
                        with suppress(OSError):
                            (server if up else client).sendall(data)

    def _hold(self, server: socket.socket) -> None:
        """Read what comes until the server itself ends the session."""
        with suppress(OSError):
            while server.recv(65536):
                pass

    def _swallows(self, number: int, *, up: bool) -> bool:
        silence = self.silence
        if silence is None or silence.connection not in (None, number):
            return False
        if self.chunks[number] <= silence.after and not self.begun.is_set():
            return False
        if silence.connection is None:
            if self.chunks[number] <= silence.greeting and number > 0:
                return False
            self.begun.set()
        elif self.chunks[number] <= silence.after:
            return False
        self.begun.set()
        return silence.way is Way.BOTH or (silence.way is Way.UP) == up


@contextmanager
def a_silent_proxy(url: str, silence: Silence | None = None) -> Iterator[SilentProxy]:
    """A proxy before the server of the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = SilentProxy(listener.getsockname()[:2], silence)

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                try:
                    server = _to_server(url)
                except OSError:  # the server is down: so is the way to it
                    client.close()
                    continue
                proxy.chunks.append(0)
                sides = (client, server, len(proxy.chunks) - 1)
                threading.Thread(target=proxy.relay, args=sides, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _to_server(url: str) -> socket.socket:
    words = conninfo_to_dict(url)
    host, port = str(words.get("host") or "localhost"), int(words.get("port") or 5432)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        server.close()
        raise
    return server
