"""Profiles for tests of the edge, and a server that answers with bytes of the test's choice."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from pfa_core.model.secret import Secret
from pfa_core.pems.profile import PemsProfile

CANARY = "canary-hunter2"


def profile(url: str, **changes: Any) -> PemsProfile:
    plain = PemsProfile(
        url=url,
        organization_id="RIO",
        organization="RIO",
        username="ann",
        password=Secret(CANARY),
        timeout=2,
        grid_timeout=2,
    )
    return replace(plain, **changes)


def http_answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body


@contextmanager
def speaking(
    talk: Callable[[socket.socket, bytes], object], *, first_bytes: bool = True
) -> Iterator[str]:
    """A server that gives each connection, with the bytes of its first request, to `talk`."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection, _whole_request(connection) if first_bytes else b"")

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join()


def _whole_request(connection: socket.socket) -> bytes:
    """A request with its body, or what came of it before the other side went away."""
    request, length = b"", 0
    while b"\r\n\r\n" not in request or len(request.partition(b"\r\n\r\n")[2]) < length:
        piece = connection.recv(1 << 16)
        if not piece:
            break
        request += piece
        shown = re.search(rb"(?i)content-length: (\d+)", request)
        length = int(shown[1]) if shown else 0
    return request


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """A server that answers with those bytes and hangs up."""
    with speaking(lambda connection, _: connection.sendall(content)) as url:
        yield url
