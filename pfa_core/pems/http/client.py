"""The HTTP client of PEMS: one attempt a request, failures as values.

The only module that imports urllib3. Retries are up to the operations, which alone know what a repeated
request may do.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from pfa_core.errors import ConfigInvalid, FaultCode
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.ids import Clock, utc_now
from pfa_core.model.secret import Secret
from pfa_core.model.values import shorten
from pfa_core.pems.http.failures import censor, protocol_failure, refusal
from pfa_core.pems.http.headers import common_headers, credentials
from pfa_core.pems.http.limits import (
    MAX_BODY,
    BadEncoding,
    BoundedResponse,
    TooLarge,
    decoded,
)
from pfa_core.pems.profile import PemsProfile

MAX_CONNECT_SECONDS = 10.0
TOO_LARGE = f"the answer of PEMS is larger than {MAX_BODY >> 20} MiB"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response: 2xx, or 409, which only the caller can interpret.

    The names of `headers` are found in any case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Connections to one PEMS, kept open; may be used from many threads at once.

    Args:
        url: The base address; paths are appended to it.
        headers: Sent with every request.
        concurrency: How many requests may be under way; further ones wait for a connection.
        timeout: Seconds for each wait on the network; a whole answer may take twice as long.

    Raises:
        ConfigInvalid: A header's value that HTTP cannot carry, or an invalid proxy address.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        username: str = "",
        password: Secret | None = None,
        concurrency: int = 1,
        timeout: float = 30.0,
        clock: Clock = utc_now,
    ) -> None:
        self._timeout, self._clock = timeout, clock
        self._secrets = credentials(username, password)
        self._headers = common_headers(headers or {}, self._secrets)
        self._pool, self._base = _open_pool(url, concurrency, timeout)

    def __enter__(self) -> HttpClient:
        """Return the client; nothing is opened before the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._pool.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | Failure:
        """Send a request once; a failure of the network is a value, not an error.

        Args:
            path: Percent-encoded already, from the slash behind the base address.
        """
        try:
            response = self._pool.urlopen(
                method,
                self._base + path,
                body,
                {**self._headers, **headers} if headers else self._headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                decode_content=False,
            )
        except HTTPError as error:
            return _network_failure(error, self._timeout)
        status, headers = response.status, response.headers
        is_answer = 200 <= status < 300 or status == 409
        try:
            body = decoded(response.data, headers.get("Content-Encoding", ""))
        except (BadEncoding, TooLarge) as error:
            if is_answer:
                return _unreadable(error)
            body = b""  # the status says enough
        answer = Answer(status, headers, body)
        return answer if is_answer else self.refused(answer)

    def censored(self, words: str) -> str:
        """Remove the credentials from a text of PEMS."""
        return censor(words, self._secrets)

    def refused(self, answer: Answer) -> Failure:
        """Convert a response that is not a success, without the credentials in it."""
        return refusal(answer.status, answer.headers, answer.body, self._clock(), self._secrets)


def open_client(
    profile: PemsProfile,
    *,
    concurrency: int = 1,
    timeout: float | None = None,
    clock: Clock = utc_now,
) -> HttpClient:
    """Return a client of the profile's PEMS; `timeout` replaces the profile's."""
    headers = {"organization": profile.organization}
    if profile.tenant:
        headers["tenant"] = profile.tenant
    return HttpClient(
        profile.url,
        headers=headers,
        username=profile.username,
        password=profile.password,
        concurrency=concurrency,
        timeout=timeout or profile.timeout,
        clock=clock,
    )


def _open_pool(
    url: str, concurrency: int, timeout: float
) -> tuple[urllib3.HTTPConnectionPool, str]:
    """Return the pool, and the prefix of its requests' paths."""
    address = urlsplit(url)
    options: dict[str, Any] = {
        "maxsize": concurrency,
        "block": True,
        "timeout": urllib3.Timeout(connect=min(timeout, MAX_CONNECT_SECONDS), read=timeout),
    }
    origin = f"{address.scheme}://{address.netloc}"
    base = address.path.rstrip("/")
    proxy = _proxy_for(address.scheme, address.netloc)
    if proxy:
        pool = _proxied(proxy, origin, options)
        base = origin + base if address.scheme == "http" else base
    else:
        pool = urllib3.connection_from_url(origin, **options)
    # The declared type is a protocol that even urllib3's connections do not implement.
    pool.ConnectionCls = cast("Any", _TlsConnection if address.scheme == "https" else _Connection)
    return pool, base


def _proxy_for(scheme: str, host: str) -> str:
    """Return the proxy that the environment names for a host, empty for none."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    found = proxies.get(scheme) or proxies.get("all") or ""
    return "" if not found or proxy_bypass(host) else found


def _proxied(proxy: str, origin: str, options: Mapping[str, Any]) -> urllib3.HTTPConnectionPool:
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        userinfo = urlsplit(address).netloc.rpartition("@")[0]
        headers = urllib3.make_headers(proxy_basic_auth=unquote(userinfo)) if userinfo else None
        manager = urllib3.ProxyManager(address, proxy_headers=headers, **options)
        return manager.connection_from_url(origin)
    except (HTTPError, ValueError):
        # Its text would show the proxy's password.
        raise ConfigInvalid("the proxy in the environment has an invalid address") from None


class _Connection(HTTPConnection):
    response_class = BoundedResponse


class _TlsConnection(HTTPSConnection):
    response_class = BoundedResponse


def _network_failure(error: HTTPError, timeout: float) -> Failure:
    """Convert an error of the network: the request was not sent, or may be applied."""
    causes = _causes(error)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        message = "PEMS's certificate is not trusted"
        return Failure(FaultCode.TLS_FAILED, message, RetryAdvice.STOP)
    reason = next(filter(None, (getattr(cause, "strerror", None) for cause in causes)), "")
    if isinstance(error, ConnectTimeoutError | NewConnectionError | ProxyError):
        what = "the proxy to PEMS" if isinstance(error, ProxyError) else "PEMS"
        if any(isinstance(cause, NameResolutionError) for cause in causes):
            reason = "unknown host name"
        elif any(isinstance(cause, TimeoutError) for cause in causes):
            reason = "no answer in time"
        message = f"cannot connect to {what}: {reason or 'refused'}"
        return Failure(FaultCode.NO_CONNECTION, message, RetryAdvice.RETRY)
    if isinstance(error, ReadTimeoutError):
        message = f"PEMS did not answer within {timeout:g} s, or not completely within twice that"
    elif any(isinstance(cause, TooLarge) for cause in causes):
        message = TOO_LARGE
    else:
        message = f"PEMS broke off: {reason or 'the response is cut off or not HTTP'}"
    return Failure(FaultCode.NO_ANSWER, message, RetryAdvice.RETRY, maybe_applied=True)


def _unreadable(error: BadEncoding | TooLarge) -> Failure:
    """Convert a whole answer whose content cannot be decompressed."""
    if isinstance(error, TooLarge):
        return Failure(FaultCode.NO_ANSWER, TOO_LARGE, RetryAdvice.RETRY, maybe_applied=True)
    message = f"PEMS's answer cannot be decompressed: {shorten(str(error))}"
    return protocol_failure(message, written=True)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and its causes, those that urllib3 keeps as arguments too."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [item.__cause__, item.__context__, *item.args]
    return found
