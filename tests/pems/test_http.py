"""The HTTP edge: what the network does is a value, and tells whether a write may have been applied."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
import zlib
from datetime import UTC, datetime

import pytest

from pfa_core.errors import ConfigInvalid
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.secret import Secret
from pfa_core.pems.http import limits
from pfa_core.pems.http.client import Answer, HttpClient
from pfa_core.pems.http.failures import retry_after
from tests.pems.edge import CANARY, answering, http_answer, speaking

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def client(url: str, **options) -> HttpClient:
    return HttpClient(url, **{"timeout": 1.0, "clock": lambda: NOW, **options})


def ask(url: str, method: str = "PUT", path: str = "/x", body: bytes = b"{}", **options):
    with client(url, **options) as http:
        return http.request(method, path, body)


def asked_by(answer, **options) -> tuple[object, bytes]:
    """What the client made of an answer, and the request that it had sent."""
    seen: list[bytes] = []

    def talk(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        connection.sendall(answer)

    with speaking(talk) as url:
        return ask(url + options.pop("base", ""), **options), seen[0]


def test_an_answer_is_status_headers_and_body():
    found, _ = asked_by(http_answer("200 OK", b'{"a":1}', "X-Shown: yes"))
    assert isinstance(found, Answer)
    assert (found.status, found.headers["x-shown"], found.body) == (200, "yes", b'{"a":1}')


def test_a_request_carries_credentials_headers_and_the_base_path():
    _, request = asked_by(
        http_answer("200 OK"),
        base="/base/",
        path="/api/a%2Fb%25%3F%23",
        username="ann",
        password=Secret(CANARY),
        headers={"tenant": "T", "organization": "RIO"},
    )
    head = request.decode().split("\r\n")
    assert head[0] == "PUT /base/api/a%2Fb%25%3F%23 HTTP/1.1"
    shown = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    assert base64.b64decode(shown["authorization"].removeprefix("Basic ")) == (
        f"ann:{CANARY}".encode()
    )
    assert (shown["tenant"], shown["organization"]) == ("T", "RIO")
    assert (shown["content-type"], shown["accept"]) == ("application/json", "application/json")


def test_connections_are_kept_for_the_next_request():
    count = 0

    def talk(connection: socket.socket, _: bytes) -> None:
        nonlocal count
        count += 1
        while True:
            connection.sendall(http_answer("200 OK", b"{}"))
            if not connection.recv(1 << 16):
                return

    with speaking(talk) as url, client(url) as http:
        assert all(isinstance(http.request("GET", "/x"), Answer) for _ in range(5))
    assert count == 1


def test_many_threads_use_no_more_connections_than_agreed():
    counts = []

    def talk(connection: socket.socket, _: bytes) -> None:
        counts.append(1)
        while True:
            connection.sendall(http_answer("200 OK", b"{}"))
            if not connection.recv(1 << 16):
                return

    with speaking(talk) as url, client(url, concurrency=3) as http:
        found: list[object] = []
        threads = [
            threading.Thread(target=lambda: found.append(http.request("GET", "/x")))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 20
    assert all(isinstance(answer, Answer) for answer in found)
    assert len(counts) <= 3


@pytest.mark.parametrize(
    ("status", "code", "advice", "maybe"),
    [
        ("400 Bad Request", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("401 Unauthorized", "UNAUTHORIZED", RetryAdvice.STOP, False),
        ("403 Forbidden", "FORBIDDEN", RetryAdvice.NONE, False),
        ("404 Not Found", "PEMS_REJECTED", RetryAdvice.STOP, False),
        ("405 Method Not Allowed", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("408 Request Timeout", "SERVER_ERROR", RetryAdvice.RETRY, True),
        ("422 Unprocessable", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("423 Locked", "LOCKED", RetryAdvice.RETRY, False),
        ("425 Too Early", "SERVER_ERROR", RetryAdvice.RETRY, True),
        ("429 Too Many", "RATE_LIMIT", RetryAdvice.SLOW_DOWN, False),
        ("500 Oops", "SERVER_ERROR", RetryAdvice.RETRY, True),
        ("502 Bad Gateway", "SERVER_ERROR", RetryAdvice.RETRY, True),
        ("503 Unavailable", "SERVICE_UNAVAILABLE", RetryAdvice.RETRY, True),
        ("504 Gateway Timeout", "SERVER_ERROR", RetryAdvice.RETRY, True),
        ("599 Whatever", "SERVER_ERROR", RetryAdvice.RETRY, True),
    ],
)
def test_every_status_has_its_advice(status, code, advice, maybe):
    found, _ = asked_by(http_answer(status))
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (code, advice, maybe)
    assert found.retry_after is None


def test_a_404_of_the_service_itself_is_about_the_record():
    found, _ = asked_by(http_answer("404 Not Found", b'{"message":"no record P-1"}'))
    assert isinstance(found, Failure)
    assert (found.code, found.advice) == ("NOT_FOUND", RetryAdvice.NONE)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "409 Conflict"])
def test_success_and_conflict_are_for_the_caller(status):
    found, _ = asked_by(http_answer(status))
    assert isinstance(found, Answer)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"message":"the class is unknown"}', "'the class is unknown'"),
        (b'{"ErrorAlert":[{"Message":"locked"}]}', "'locked'"),
        (b'{"message":"a\\nb\\u001b[31m"}', r"'a\nb\x1b[31m'"),
        (b"<html>", "Bad Request"),
        (b"\xff", "Bad Request"),
        (b"[]", "Bad Request"),
        (b"", "Bad Request"),
    ],
)
def test_a_refusal_is_reported_in_pemss_own_words(body, shown):
    found, _ = asked_by(http_answer("400 Bad Request", body))
    assert isinstance(found, Failure)
    assert found.message == f"PEMS answered 400: {shown}"


def test_a_long_refusal_is_shortened():
    found, _ = asked_by(http_answer("400 Bad", b'{"message":"' + b"x" * 10_000 + b'"}'))
    assert isinstance(found, Failure)
    assert len(found.message) < 400


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_and_names_the_host_only(status):
    found, _ = asked_by(http_answer(status, b"", "Location: https://other.example/p?token=x"))
    assert isinstance(found, Failure)
    assert (found.code, found.advice) == ("PEMS_REJECTED", RetryAdvice.STOP)
    assert "other.example" in found.message
    assert "token" not in found.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        (" 30 ", 30.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("9" * 100, 3600.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Wed, 25 Nov 2026 12:00:10 GMT", 10.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2027 12:00:00 GMT", 3600.0),
        ("Wed, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_more_than_an_hour(header, seconds):
    assert retry_after(header, NOW) == seconds


def test_retry_after_comes_with_the_failure():
    for status in ("429 Too Many", "503 Unavailable"):
        found, _ = asked_by(http_answer(status, b"", "Retry-After: Wed, 25 Nov 2026 12:00:07 GMT"))
        assert isinstance(found, Failure)
        assert found.retry_after == 7.0


def compressed(content: bytes, wbits: int) -> bytes:
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress(content) + stream.flush()


GZIP, ZLIB, RAW = 31, 15, -15
SHOWN = b'{"a":"' + b"x" * 5000 + b'"}'


@pytest.mark.parametrize(
    ("encodings", "body"),
    [
        ("gzip", compressed(SHOWN, GZIP)),
        ("GZip", compressed(SHOWN, GZIP)),
        ("x-gzip", compressed(SHOWN, GZIP)),
        ("gzip", compressed(SHOWN[:99], GZIP) + compressed(SHOWN[99:], GZIP)),
        ("deflate", compressed(SHOWN, ZLIB)),
        ("deflate", compressed(SHOWN, RAW)),
        ("deflate, gzip", compressed(compressed(SHOWN, ZLIB), GZIP)),
        ("identity", SHOWN),
        ("", SHOWN),
    ],
)
def test_an_answer_is_read_in_the_encoding_that_it_names(encodings, body):
    found, request = asked_by(http_answer("200 OK", body, f"Content-Encoding: {encodings}"))
    assert isinstance(found, Answer)
    assert found.body == SHOWN
    assert b"accept-encoding: identity" in request.lower()


def test_a_compressed_answer_without_a_body_is_empty():
    found, _ = asked_by(http_answer("204 No Content", b"", "Content-Encoding: gzip"))
    assert isinstance(found, Answer)
    assert found.body == b""


def test_a_compressed_refusal_is_reported_in_pemss_own_words():
    body = compressed(b'{"message":"the class is unknown"}', GZIP)
    found, _ = asked_by(http_answer("400 Bad Request", body, "Content-Encoding: gzip"))
    assert isinstance(found, Failure)
    assert found.message == "PEMS answered 400: 'the class is unknown'"


@pytest.mark.parametrize(
    ("encodings", "body", "named"),
    [
        ("br", b"{}", "'br'"),
        ("gzip, gzip, gzip", b"{}", "3 encodings"),
        ("gzip", b"{}", "its content"),
        ("gzip", compressed(SHOWN, GZIP)[:-9], "its content"),
        ("gzip", compressed(SHOWN, GZIP) + b"more", "its content"),
        ("deflate", b"{}", "its content"),
    ],
)
def test_a_success_that_cannot_be_decompressed_may_be_applied(encodings, body, named):
    found, _ = asked_by(http_answer("200 OK", body, f"Content-Encoding: {encodings}"))
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (
        "PEMS_PROTOCOL",
        RetryAdvice.RETRY,
        True,
    )
    assert named in found.message


def test_a_failure_that_cannot_be_decompressed_keeps_its_status():
    found, _ = asked_by(http_answer("503 Unavailable", b"oops", "Content-Encoding: gzip"))
    assert isinstance(found, Failure)
    assert (found.code, found.message) == (
        "SERVICE_UNAVAILABLE",
        "PEMS answered 503: Service Unavailable",
    )


def test_an_answer_that_is_decompressed_without_end_is_too_large(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY", 1 << 16)
    content = b"0" * (1 << 16)
    found, _ = asked_by(http_answer("200 OK", compressed(content, GZIP), "Content-Encoding: gzip"))
    assert isinstance(found, Answer)
    many = compressed(b"0", GZIP) * (limits.MAX_MEMBERS + 1)
    for bomb in (compressed(content + b"0", GZIP), compressed(content, GZIP) * 2, many):
        found, _ = asked_by(http_answer("200 OK", bomb, "Content-Encoding: gzip"))
        assert isinstance(found, Failure)
        assert (found.code, found.maybe_applied) == ("NO_ANSWER", True)
        assert "larger than" in found.message


@pytest.mark.parametrize("text", ["p\udcffw", "p\nw", "p\0w"])
def test_credentials_that_http_cannot_carry_are_refused_without_being_shown(text):
    for username, password in (("ann", text), (text, CANARY)):
        with pytest.raises(ConfigInvalid) as caught:
            client("http://127.0.0.1:1", username=username, password=Secret(password))
        assert text not in caught.value.message
        assert CANARY not in caught.value.message


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "url", ["refused", "http://no-such-host.invalid"], ids=["refused", "no name"]
)
def test_a_request_that_was_never_sent_cannot_have_been_applied(url):
    found = ask(f"http://127.0.0.1:{free_port()}" if url == "refused" else url)
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (
        "NO_CONNECTION",
        RetryAdvice.RETRY,
        False,
    )
    assert "127.0.0.1" not in found.message


BROKEN = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-hello\r\n\r\n",
    "half a status": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Len",
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "half a body": b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a"',
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "a chunk of garbage": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "more than anything": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_cut_off_or_no_http_may_have_been_a_success(content):
    with answering(content) as url:
        found = ask(url)
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == ("NO_ANSWER", RetryAdvice.RETRY, True)


def test_a_cut_is_noticed_wherever_it_falls():
    whole = http_answer("200 OK", b'{"newVersion":2}')
    for end in range(len(whole)):
        with answering(whole[:end]) as url:
            assert isinstance(ask(url), Failure), whole[:end]


def test_a_body_larger_than_the_limit_is_refused_while_it_is_read(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY", 1000)
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000) as url:
        found = ask(url)
    assert isinstance(found, Failure)
    assert "larger than" in found.message


def test_silence_ends_with_the_timeout():
    hold = threading.Event()
    with speaking(lambda *_: hold.wait(5) and None) as url:
        started = time.monotonic()
        found = ask(url, timeout=0.2)
        assert time.monotonic() - started < 1
        hold.set()
    assert isinstance(found, Failure)
    assert (found.code, found.maybe_applied) == ("NO_ANSWER", True)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_an_answer_that_trickles_for_ever_ends_too(start):
    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start or b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with speaking(talk) as url:
        started = time.monotonic()
        found = ask(url, timeout=0.2)
        assert time.monotonic() - started < 1
    assert isinstance(found, Failure)
    assert found.maybe_applied


def test_after_a_failure_the_client_goes_on():
    answers = iter([b"", http_answer("200 OK", b"{}")])
    with (
        speaking(lambda connection, _: connection.sendall(next(answers))) as url,
        client(url) as http,
    ):
        assert isinstance(http.request("GET", "/x"), Failure)
        assert isinstance(http.request("GET", "/x"), Answer)


def test_a_proxy_of_the_environment_is_used_and_its_exceptions_are_kept(monkeypatch):
    seen: list[bytes] = []

    def talk(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        connection.sendall(http_answer("200 OK", b"{}"))

    with speaking(talk) as url:
        monkeypatch.setenv("http_proxy", url.replace("://", "://joe:pass%40word@"))
        assert isinstance(ask("http://pems.example/base", path="/x%2Fy"), Answer)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert isinstance(ask(url, path="/direct"), Answer)
    assert seen[0].startswith(b"PUT http://pems.example/base/x%2Fy HTTP/1.1\r\n")
    assert base64.b64encode(b"joe:pass@word") in seen[0]
    assert seen[1].startswith(b"PUT /direct HTTP/1.1\r\n")


def test_a_proxy_that_is_not_there_is_one_failure(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://joe:{CANARY}@127.0.0.1:{free_port()}")
    found = ask("http://pems.example")
    assert isinstance(found, Failure)
    assert (found.code, found.maybe_applied) == ("NO_CONNECTION", False)
    assert CANARY not in found.message


@pytest.mark.parametrize("address", ["ftp://proxy", "http://[", "http://proxy:x"])
def test_a_proxy_without_a_valid_address_is_refused_without_showing_it(monkeypatch, address):
    monkeypatch.setenv("http_proxy", address)
    with pytest.raises(ConfigInvalid) as caught:
        client("http://pems.example")
    assert "proxy" in caught.value.message


@pytest.mark.parametrize("value", ["a\r\nX: y", "", "Zürich", " a", "a ", "a\0"])
def test_a_header_that_http_cannot_carry_is_refused(value):
    with pytest.raises(ConfigInvalid, match="tenant"):
        client("http://x", headers={"tenant": value})


def test_the_password_shows_nowhere_even_if_pems_repeats_it():
    sent = base64.b64encode(f"ann:{CANARY}".encode()).decode()
    body = f'{{"message":"wrong: {CANARY} in Basic {sent}"}}'.encode()
    found, request = asked_by(
        http_answer("401 Unauthorized", body), username="ann", password=Secret(CANARY)
    )
    assert sent.encode() in request
    for shown in (repr(found), str(found)):
        assert CANARY not in shown
        assert sent not in shown
    http = client("http://x", username="ann", password=Secret(CANARY))
    assert CANARY not in repr(http)


# Made for this test alone, trusted by no program.
CERTIFICATE = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgX5BNZ5xlFG+pWVrG
wQhd1ZLt3XBbWQlIw6v4PI/yWmChRANCAARrGx+xPt8u32NA2o9haR1Bhqi8VJpd
VdROSsJS9qTrIe6/SaPZ3b4El3ul6d9BogDNPkmMmdBRKIgjtDcHCgwg
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUSKvKE9Yq7nxEzcfwzIrerq/hGtIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTAxNTg1OVoYDzIxMjYxMTAx
MDE1ODU5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARrGx+xPt8u32NA2o9haR1Bhqi8VJpdVdROSsJS9qTrIe6/SaPZ3b4E
l3ul6d9BogDNPkmMmdBRKIgjtDcHCgwgo2QwYjAdBgNVHQ4EFgQUtooQ/Uqtbx5w
HcXdb4GRxNQFqaswHwYDVR0jBBgwFoAUtooQ/Uqtbx5wHcXdb4GRxNQFqaswDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQDerQT9Z5GDiP3cmloMVsYxmwGUBUTmiAv0U6uzGHe5VwIgRrrAlYfuMGD6wuSv
2SiSEUvyg5WOVuSpYS7WlmQQSP8=
-----END CERTIFICATE-----
"""


@pytest.fixture
def own_certificate(tmp_path):
    path = tmp_path / "own.pem"
    path.write_text(CERTIFICATE)
    return path


def speaking_tls(path, talk):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def shake_hands(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            talk(tls, tls.recv(1 << 16))
            # A rest of the request that is not read would reset the connection under the answer.
            tls.settimeout(0.3)
            while tls.recv(1 << 16):
                pass

    return speaking(lambda connection, _: shake_hands(connection), first_bytes=False)


def test_a_certificate_that_is_not_trusted_stops_everything_before_the_password_is_sent(
    own_certificate,
):
    seen: list[bytes] = []
    with speaking_tls(own_certificate, lambda _, request: seen.append(request)) as url:
        found = ask(
            url.replace("http:", "https:"), username="ann", password=Secret(CANARY), timeout=2
        )
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (
        "TLS_FAILED",
        RetryAdvice.STOP,
        False,
    )
    assert seen == []


def test_a_certificate_that_the_environment_trusts_is_good(own_certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(own_certificate))
    answer = http_answer("200 OK", b"{}")
    with speaking_tls(own_certificate, lambda tls, _: tls.sendall(answer)) as url:
        found = ask(url.replace("http:", "https:"), timeout=2)
    assert isinstance(found, Answer)


def test_a_server_that_speaks_no_tls_is_a_failure():
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        found = ask(url.replace("http:", "https:"))
    assert isinstance(found, Failure)
    assert found.advice is RetryAdvice.RETRY
