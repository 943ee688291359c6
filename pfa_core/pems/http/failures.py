"""What an HTTP status that is no success means for the record that was asked about."""

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
_SENT_AWAY = range(300, 400)


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    secrets: Sequence[str] = (),
) -> Failure:
    """The trouble that a status means, in PEMS's own words where it has some.

    Args:
        secrets: Texts that are taken out of those words, should PEMS repeat them.
    """
    message = _away(headers) if status in _SENT_AWAY else _message(status, body, secrets)
    wait = retry_after(headers.get("Retry-After"), now)
    if status >= 500 or status in _PASSING:
        code = FaultCode.SERVICE_UNAVAILABLE if status == 503 else FaultCode.SERVER_ERROR
        return Failure(code, message, RetryAdvice.RETRY, wait, maybe_applied=True)
    if status == 429:
        return Failure(FaultCode.RATE_LIMIT, message, RetryAdvice.SLOW_DOWN, wait)
    if status == 401:
        return Failure(FaultCode.UNAUTHORIZED, message, RetryAdvice.STOP)
    if status in _SENT_AWAY:  # to a sign-in page, say: never about a record
        return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.STOP)
    if status == 404 and _is_json(body):
        return Failure(FaultCode.NOT_FOUND, message, RetryAdvice.NONE)
    if status == 404:  # not the service's own answer: there is no such service at the address
        return Failure(
            FaultCode.PEMS_REJECTED, f"there is no such service: {message}", RetryAdvice.STOP
        )
    if status == 403:
        return Failure(FORBIDDEN, message, RetryAdvice.NONE)
    return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.NONE)


def not_applied(failure: Failure) -> Failure:
    """The trouble of a request that asked for nothing to be changed."""
    return replace(failure, maybe_applied=False) if failure.maybe_applied else failure


def protocol_trouble(
    message: str, advice: RetryAdvice = RetryAdvice.RETRY, *, written: bool
) -> Failure:
    """An answer that is none of the contract; `written`: what was asked for may be done."""
    return Failure(FaultCode.PEMS_PROTOCOL, message, advice, maybe_applied=written)


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header: a number or an HTTP date; 0 to an hour, None where it
    says nothing that can be understood."""
    told = (text or "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:9]), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _message(status: int, body: bytes, secrets: Sequence[str]) -> str:
    words = censor(_words(body), secrets)
    return f"PEMS answered {status}: {shorten(words, MAX_WORDS) if words else _phrase(status)}"


def _words(body: bytes) -> str:
    try:
        told: Any = loads_strict(body[:_READ_FOR_WORDS].decode())
    except (JsonFault, UnicodeDecodeError):
        return ""
    words = told.get("message") if isinstance(told, dict) else None
    return words if isinstance(words, str) else error_alert(told)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "a status of its own"


def _away(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("Location", "")).hostname
    except ValueError:
        host = None
    return f"PEMS sends us on to {shorten(host or 'another address')}, which is not followed"


def censor(words: str, secrets: Sequence[str]) -> str:
    """The words without any of the secrets; none at all where a secret is so short that its gaps would
    tell it."""
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
    """What PEMS complains about in an answer, as it says it; empty for an answer without complaint."""
    alerts = answer.get("ErrorAlert") if isinstance(answer, dict) else None
    if not alerts:
        return ""
    first = alerts[0] if isinstance(alerts, list) else alerts
    message = first.get("Message", first) if isinstance(first, dict) else first
    return message if isinstance(message, str) and message else shorten(message)
