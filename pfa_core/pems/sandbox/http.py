"""Requests and responses of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from pfa_core.exact_json import JsonFault, dumps, loads_strict


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; `path` is still percent-encoded, header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool = True

    def json(self) -> Any:
        """Parse the body.

        Raises:
            Refused: The body is not JSON.
        """
        try:
            return loads_strict(self.body.decode())
        except (JsonFault, UnicodeDecodeError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error

    def require_method(self, *methods: str) -> None:
        """Refuse any other method."""
        if self.method not in methods:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{self.method} is not allowed here",
                Allow=", ".join(methods),
            )


class Delivery(Enum):
    """Name how a response is sent: whole, or as a failing network would."""

    WHOLE = "whole"
    HALF = "half"
    SLOWLY = "slowly"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `pause` is the seconds between the pieces of a slow one."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    _: KW_ONLY
    delivery: Delivery = Delivery.WHOLE
    pause: float = 0


def json_response(status: int, value: object, **headers: str) -> Response:
    """Make a response with a JSON body; header names are given with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, dumps(value).encode(), named)


class Refused(Exception):
    """A request that is refused and changed nothing; `response` says why."""

    def __init__(
        self, status: int, message: str, *, code: str = "INVALID_REQUEST", **headers: str
    ) -> None:
        super().__init__(message)
        self.response = json_response(status, {"code": code, "message": message}, **headers)


def nothing_at(path: str) -> Refused:
    """Make the refusal of an unknown path."""
    return Refused(HTTPStatus.NOT_FOUND, f"not found: {path}", code="NOT_FOUND")


def decoded(part: str) -> str:
    """Decode a percent-encoded part of a path.

    Raises:
        Refused: The part is not UTF-8.
    """
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise Refused(HTTPStatus.BAD_REQUEST, "the address is not UTF-8") from None
