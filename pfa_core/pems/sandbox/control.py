"""The control service of the sandbox: records, write log and faults, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from pfa_core.errors import InvalidRequest
from pfa_core.pems.sandbox import rest
from pfa_core.pems.sandbox.faults import FaultBox
from pfa_core.pems.sandbox.http import (
    Refused,
    Request,
    Response,
    decoded,
    json_response,
    nothing_at,
)
from pfa_core.pems.sandbox.state import State


def control(request: Request, state: State, faults: FaultBox, organization: str | None) -> Response:
    """Answer a request below /sandbox/."""
    parts = request.path.split("/")[2:]
    if parts == ["records"]:
        request.require_method("GET")
        return json_response(
            HTTPStatus.OK, {"data": [record.as_json() for record in state.records()]}
        )
    if parts == ["log"]:
        request.require_method("GET")
        entries = [entry.as_json() for entry in state.log(_after(request))]
        return json_response(HTTPStatus.OK, {"data": entries})
    if parts == ["faults"]:
        return _faults(request, faults)
    if len(parts) == 2 and parts[0] == "records" and parts[1]:
        return _record(request, state, decoded(parts[1]), organization)
    raise nothing_at(request.path)


def _record(request: Request, state: State, pfa_id: str, served: str | None) -> Response:
    request.require_method("GET", "PUT", "DELETE")
    organization = request.headers.get("organization") or served
    if not organization:
        raise Refused(HTTPStatus.BAD_REQUEST, "the header organization is missing")
    if request.method == "GET":
        return rest.get_record(state, organization, pfa_id)
    if request.method == "DELETE":
        return rest.remove_record(state, organization, pfa_id)
    return rest.change_record(state, organization, pfa_id, request.json())


def _faults(request: Request, faults: FaultBox) -> Response:
    request.require_method("GET", "PUT")
    if request.method == "PUT":
        specs, seed = _requested_faults(request.json())
        try:
            faults.set(specs, seed)
        except InvalidRequest as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{error.message}; {error.hint}") from error
    return json_response(HTTPStatus.OK, faults.as_json())


def _requested_faults(body: Any) -> tuple[list[str], int | None]:
    wanted: Mapping[str, Any] = body if isinstance(body, dict) else {}
    specs, seed = wanted.get("faults"), wanted.get("seed")
    if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
        raise Refused(HTTPStatus.BAD_REQUEST, 'write {"faults": ["429:0.1"], "seed": 1}')
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise Refused(HTTPStatus.BAD_REQUEST, "seed must be a whole number")
    return specs, seed


def _after(request: Request) -> int:
    text = parse_qs(request.query).get("after", ["0"])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Refused(HTTPStatus.BAD_REQUEST, "after must be the number of a log entry")
    return int(text)
