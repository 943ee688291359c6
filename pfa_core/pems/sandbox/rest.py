"""The REST service of the sandbox: records with versions and idempotency keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NoReturn

from pfa_core.model.record import EDITABLE, FIELDS
from pfa_core.model.values import Wrong, read_value, shorten
from pfa_core.pems.sandbox.alterations import altered
from pfa_core.pems.sandbox.faults import FaultRule
from pfa_core.pems.sandbox.http import Refused, Request, Response, json_response
from pfa_core.pems.sandbox.records import Outcome, Write
from pfa_core.pems.sandbox.state import State

_REPRESENTATION = "return=representation"
OTHER_USER = "another user"
_SET_BY_PEMS = frozenset(("pfaId", "organization", "pemsVersion", "hasPlan", "hasActuals"))
_CHANGEABLE_IN_PEMS = frozenset(FIELDS) - _SET_BY_PEMS
_EDITABLE = frozenset(EDITABLE)


def get_record(state: State, organization: str, pfa_id: str) -> Response:
    """Answer with the record, its version and all its fields."""
    record = state.find(organization, pfa_id)
    if record is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"record {pfa_id} was not found", code="NOT_FOUND")
    return json_response(HTTPStatus.OK, record.as_json())


def put_record(
    state: State,
    organization: str,
    pfa_id: str,
    request: Request,
    *,
    with_keys: bool,
    shows_writes: bool,
    alterations: Sequence[FaultRule] = (),
) -> Response:
    """Change a record if it is at the version that the request is based on.

    An idempotency key repeats its first answer, whether that applied the change or refused it; a
    request with an invalid body does not use its key. With `shows_writes` the answer to an applied change
    shows the fields as they are stored, where the request prefers that (RFC 7240, 4.2).
    """
    content = _read_body(request.json(), organization, pfa_id)
    key = request.headers.get("idempotency-key", "") if with_keys else ""
    write = Write(
        writer="rest",
        organization=organization,
        pfa_id=pfa_id,
        changes=altered(read_changes(content.get("changes"), _EDITABLE), alterations),
        by=str(content.get("modifiedBy") or ""),
        reason=str(content.get("changeReason") or ""),
        base_version=content["version"],
        key=key,
        digest=hashlib.sha256(request.body).hexdigest() if key else "",
    )
    entry, record = state.judge(write)
    wanted = shows_writes and _REPRESENTATION in request.headers.get("prefer", "")
    if wanted and record is not None and entry.outcome is Outcome.APPLIED:
        shown = {name: record.data[name] for name in write.changes or ()}
        return json_response(entry.status, {**entry.answer, "data": shown})
    return json_response(entry.status, entry.answer)


def change_record(state: State, organization: str, pfa_id: str, body: Any) -> Response:
    """Change or create a record as another user of PEMS would."""
    if not isinstance(body, dict):
        _refuse(f"the body must be an object, not {shorten(body)}")
    write = Write(
        writer="other",
        organization=organization,
        pfa_id=pfa_id,
        changes=read_changes(body.get("changes"), _CHANGEABLE_IN_PEMS),
        by=str(body.get("modifiedBy") or OTHER_USER),
        may_create=True,
    )
    entry, _ = state.judge(write)
    return json_response(entry.status, entry.answer)


def remove_record(state: State, organization: str, pfa_id: str) -> Response:
    """Delete a record as PEMS would."""
    write = Write(
        writer="other", organization=organization, pfa_id=pfa_id, changes=None, by=OTHER_USER
    )
    entry, _ = state.judge(write)
    return json_response(entry.status, entry.answer)


def read_changes(changes: Any, allowed: frozenset[str]) -> dict[str, Any]:
    """Read the changed fields, each value as it is stored.

    Raises:
        Refused: Nothing is changed, or a field is unknown, read-only or has an invalid value.
    """
    if not isinstance(changes, dict) or not changes:
        _refuse("changes must be an object with at least one field")
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in allowed:
            known = name in FIELDS
            _refuse(
                f"{shorten(name)} cannot be written" if known else f"unknown field {shorten(name)}"
            )
        found = read_value(FIELDS[name], value)
        if isinstance(found, Wrong):
            _refuse(f"{name} {found.reason}")
        read[name] = found
    return read


def _read_body(body: Any, organization: str, pfa_id: str) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        _refuse(f"the body must be an object, not {shorten(body)}")
    if body.get("pfaId") != pfa_id:
        _refuse(f"pfaId {shorten(body.get('pfaId'))} is not the record of the address")
    if body.get("organizationCode") != organization:
        _refuse("organizationCode and the organization header differ")
    version = body.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        _refuse(f"version must be a whole number, not {shorten(version)}")
    return body


def _refuse(message: str) -> NoReturn:
    raise Refused(HTTPStatus.BAD_REQUEST, message)
