"""The services of the sandbox by address, with access checks and faults."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from pfa_core.errors import IoFailure
from pfa_core.pems.sandbox import rest
from pfa_core.pems.sandbox.control import control
from pfa_core.pems.sandbox.faults import FaultBox, Kind, PathKind, Strike
from pfa_core.pems.sandbox.grid import Grid, alert_response
from pfa_core.pems.sandbox.http import (
    Delivery,
    Refused,
    Request,
    Response,
    decoded,
    json_response,
    nothing_at,
)
from pfa_core.pems.sandbox.screen import Screen
from pfa_core.pems.sandbox.state import State

GRID_PATH = "/axis/restservices/griddata"
SCREEN_PATH = "/axis/restservices/userdefinedscreenservices"
HEALTH_PATH = "/api/pems/health"
RECORD_PATH = "/api/pems/pfa/"
CONTROL_PATH = "/sandbox/"
_STATUS_FAULTS = {
    Kind.TOO_MANY: (HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMIT"),
    Kind.SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "SERVER_ERROR"),
    Kind.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
}
_DELIVERIES = {
    Kind.RESET_AFTER: Delivery.RESET,
    Kind.TRUNCATE: Delivery.HALF,
    Kind.SLOW: Delivery.SLOWLY,
}


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must have; None is not checked, and any organization is served."""

    organization: str | None = None
    tenant: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def admit(self, request: Request) -> str:
        """Return the organization of a request that may be served.

        Raises:
            Refused: 401 without the credentials, 400 without a header, 403 for another organization.
        """
        self.identify(request)
        self._header(request, "tenant", self.tenant, required=self.tenant is not None)
        return self._header(request, "organization", self.organization, required=True)

    def identify(self, request: Request) -> None:
        """Check the credentials."""
        if self.username is None:
            return
        expected = f"{self.username}:{self.password or ''}".encode()
        if not hmac.compare_digest(_basic(request.headers.get("authorization", "")), expected):
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "user name or password is wrong",
                code="UNAUTHORIZED",
                WWW_Authenticate='Basic realm="PEMS sandbox"',
            )

    def _header(self, request: Request, name: str, expected: str | None, *, required: bool) -> str:
        value = request.headers.get(name, "")
        if required and not value:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the header {name} is missing")
        if expected is not None and value != expected:
            raise Refused(HTTPStatus.FORBIDDEN, f"no access to {name} {value!r}", code="FORBIDDEN")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything behind the addresses of the sandbox; `wait` may return early."""

    state: State
    faults: FaultBox
    access: Access
    grid: Grid
    screen: Screen
    wait: Callable[[float], object]
    with_keys: bool = True

    def answer(self, request: Request) -> Response:
        """Answer one request, faults included."""
        try:
            if request.path.startswith(CONTROL_PATH):
                self.access.identify(request)
                return control(request, self.state, self.faults, self.access.organization)
            where = _service_at(request.path)
            strike = self.faults.strike(where)
            if strike.latency:
                self.wait(strike.latency)
            return _instead(strike) or _delivered(self._serve(where, request), strike)
        except Refused as refused:
            return refused.response

    def _serve(self, where: PathKind, request: Request) -> Response:
        try:
            match where:
                case PathKind.HEALTH:
                    return self._serve_health(request)
                case PathKind.GRID:
                    return self._serve_grid(request)
                case PathKind.SCREEN:
                    return self._serve_screen(request)
                case PathKind.REST:
                    return self._serve_record(request)
        except Refused as refused:
            return refused.response
        except IoFailure as failure:
            return _plain_error(HTTPStatus.INTERNAL_SERVER_ERROR, "SERVER_ERROR", failure.message)

    def _serve_health(self, request: Request) -> Response:
        request.require_method("GET")
        return json_response(HTTPStatus.OK, {"healthy": True})

    def _serve_grid(self, request: Request) -> Response:
        request.require_method("POST")
        self.access.admit(request)
        return self.grid.answer(request.json())

    def _serve_screen(self, request: Request) -> Response:
        request.require_method("POST")
        organization = self.access.admit(request)
        return self.screen.answer(organization, _user(request), request.json())

    def _serve_record(self, request: Request) -> Response:
        request.require_method("GET", "PUT")
        organization = self.access.admit(request)
        pfa_id = decoded(request.path[len(RECORD_PATH) :])
        if request.method == "GET":
            return rest.get_record(self.state, organization, pfa_id)
        body = request.json()
        return rest.put_record(
            self.state, organization, pfa_id, request, body, with_keys=self.with_keys
        )


def _service_at(path: str) -> PathKind:
    known = {
        GRID_PATH: PathKind.GRID,
        SCREEN_PATH: PathKind.SCREEN,
        HEALTH_PATH: PathKind.HEALTH,
    }
    if path in known:
        return known[path]
    pfa_id = path.removeprefix(RECORD_PATH)
    if path.startswith(RECORD_PATH) and pfa_id and "/" not in pfa_id:
        return PathKind.REST
    raise nothing_at(path)


def _instead(strike: Strike) -> Response | None:
    """Return the fault that replaces an answer; nothing is applied."""
    rule = strike.rule
    if rule is None:
        return None
    if rule.kind is Kind.RESET_BEFORE:
        return Response(HTTPStatus.OK, delivery=Delivery.RESET)
    if rule.kind is Kind.ALERT:
        return alert_response("The sandbox was asked to answer with an alert")
    if rule.kind in _STATUS_FAULTS:
        status, code = _STATUS_FAULTS[rule.kind]
        response = _plain_error(status, code, "the sandbox was asked to fail")
        return replace(
            response, headers={"Retry-After": rule.retry_after} if rule.retry_after else {}
        )
    return None


def _delivered(response: Response, strike: Strike) -> Response:
    rule = strike.rule
    if rule is None or rule.kind not in _DELIVERIES:
        return response
    return replace(response, delivery=_DELIVERIES[rule.kind], pause=rule.seconds)


def _plain_error(status: int, code: str, message: str) -> Response:
    return json_response(status, {"code": code, "message": message})


def _basic(header: str) -> bytes:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return b""


def _user(request: Request) -> str:
    return (
        _basic(request.headers.get("authorization", ""))
        .partition(b":")[0]
        .decode("utf-8", "replace")
    )
