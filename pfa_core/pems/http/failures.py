"""Failures of requests: HTTP statuses, alerts and malformed answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pfa_core.errors import FaultCode
from pfa_core.exact_json import JsonFault, loads_strict
from pfa_core.model.exchange import FORBIDDEN, Failure, RetryAdvice
from pfa_core.model.values import shorten

MAX_RETRY_AFTER = 3600.0
MAX_WORDS = 300
SHORT_SECRET = 4
_READ_FOR_WORDS = 1 << 16
_PASSING = frozenset((408, 425))
_REDIRECTS = range(300, 400)


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    secrets: Sequence[str] = (),
) -> Failure:
    """Return the failure that a status means, with the message of PEMS if any.

    Args:
        secrets: Texts that are removed from that message.
    """
    message = _redirect(headers) if status in _REDIRECTS else _message(status, body, secrets)
    wait = retry_after(headers.get("Retry-After"), now)
    if status >= 500 or status in _PASSING:
        code = FaultCode.SERVICE_UNAVAILABLE if status == 503 else FaultCode.SERVER_ERROR
        return Failure(code, message, RetryAdvice.RETRY, retry_after=wait, maybe_applied=True)
    if status == 429:
        return Failure(FaultCode.RATE_LIMIT, message, RetryAdvice.SLOW_DOWN, retry_after=wait)
    if status == 401:
        return Failure(FaultCode.UNAUTHORIZED, message, RetryAdvice.STOP)
    if status in _REDIRECTS:  # to a sign-in page, for instance: not about a record
        return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.STOP)
    if status == 404 and _is_json(body):
        return Failure(FaultCode.NOT_FOUND, message, RetryAdvice.NONE)
    if status == 404:  # without the service's JSON: the address leads to no service
        return Failure(FaultCode.PEMS_REJECTED, f"service not found: {message}", RetryAdvice.STOP)
    if status == 403:
        return Failure(FORBIDDEN, message, RetryAdvice.NONE)
    return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.NONE)


def not_applied(failure: Failure) -> Failure:
    """Return the failure of a request that changes nothing."""
    return replace(failure, maybe_applied=False) if failure.maybe_applied else failure


def protocol_failure(
    message: str, advice: RetryAdvice = RetryAdvice.RETRY, *, written: bool
) -> Failure:
    """Return the failure of a malformed answer; `written`: the write may be applied."""
    return Failure(FaultCode.PEMS_PROTOCOL, message, advice, maybe_applied=written)


def retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds to wait by a Retry-After header, None for an invalid one.

    At most an hour. The header is a number of seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    value = (text or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _message(status: int, body: bytes, secrets: Sequence[str]) -> str:
    words = censor(_words(body), secrets)
    return f"PEMS answered {status}: {shorten(words, MAX_WORDS) if words else _phrase(status)}"


def _words(body: bytes) -> str:
    try:
        answer: Any = loads_strict(body[:_READ_FOR_WORDS].decode())
    except (JsonFault, UnicodeDecodeError):
        return ""
    words = answer.get("message") if isinstance(answer, dict) else None
    return words if isinstance(words, str) else error_alert(answer)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def _redirect(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("Location", "")).hostname
    except ValueError:
        host = None
    return f"PEMS redirects to {shorten(host or 'another address')}, which is not followed"


def censor(words: str, secrets: Sequence[str]) -> str:
    """Remove secrets from a text; the whole text where a secret is too short to hide.

    The gaps that a short secret leaves would show which letters it has.
    """
    for secret in filter(None, secrets):
        if secret in words and len(secret) < SHORT_SECRET:
            return "…"
        words = words.replace(secret, "…")
    return words


def _is_json(body: bytes) -> bool:
    try:
        loads_strict(body[:_READ_FOR_WORDS].decode())
    except (JsonFault, UnicodeDecodeError):
        return False
    return True


def error_alert(answer: Any) -> str:
    """Return the message of an answer's error alert, empty where it has none."""
    alerts = answer.get("ErrorAlert") if isinstance(answer, dict) else None
    if not alerts:
        return ""
    first = alerts[0] if isinstance(alerts, list) else alerts
    message = first.get("Message", first) if isinstance(first, dict) else first
    return message if isinstance(message, str) and message else shorten(message)
