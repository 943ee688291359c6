"""The user-defined-screen service of the sandbox: typed values, no versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from http import HTTPStatus
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.values import Wrong, read_text, read_value, shorten
from pfa_core.pems.mapping.field_map import DEFAULT_SCREEN_FIELDS
from pfa_core.pems.sandbox.alterations import altered
from pfa_core.pems.sandbox.faults import FaultRule
from pfa_core.pems.sandbox.grid import alert_response
from pfa_core.pems.sandbox.http import Response, json_response
from pfa_core.pems.sandbox.records import StoredRecord, Write, instant
from pfa_core.pems.sandbox.state import State

DEFAULT_SCREEN_MAP = DEFAULT_SCREEN_FIELDS
_KEY_FIELDS = ("pfaId", "organization")
_LIST = "USERDEFINEDSCREENFIELDVALUELIST"
_PAIR = "USERDEFINEDSCREENFIELDVALUEPAIR"
_NAME = "USERDEFINEDSCREENFIELDNAME"
_VALUE = "USERDEFINEDSCREENFIELDVALUE"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PEMS_ZONE = timezone(timedelta(hours=-5))


class _Alert(Exception):
    """An invalid request: PEMS answers it with an alert and HTTP 200."""


class Screen:
    """The screen over the records of a state.

    An UPDATE changes the record at any version: the service has none, a client can only read
    DATEUPDATED before.
    """

    def __init__(self, state: State, screen_map: Mapping[str, str] = DEFAULT_SCREEN_MAP) -> None:
        self._state = state
        self._map = dict(screen_map)

    def answer(
        self,
        organization: str,
        username: str,
        body: Any,
        alterations: Sequence[FaultRule] = (),
    ) -> Response:
        """Answer a GET or an UPDATE with the record, or with an alert and HTTP 200."""
        try:
            return self._answer(organization, username, body, alterations)
        except _Alert as alert:
            return alert_response(str(alert), "SCREEN")

    def _answer(
        self, organization: str, username: str, body: Any, alterations: Sequence[FaultRule]
    ) -> Response:
        action, values = _read_pairs(body)
        pfa_id = self._read_key(values, organization)
        if action == "UPDATE":
            changes = altered(self._read_changes(values), alterations)
            write = Write(
                writer="screen",
                organization=organization,
                pfa_id=pfa_id,
                changes=changes,
                by=username,
            )
            _, record = self._state.judge(write)
        else:
            record = self._state.find(organization, pfa_id)
        if record is None:
            raise _Alert(f"The record {shorten(pfa_id)} was not found")
        return json_response(HTTPStatus.OK, self._document(record))

    def _read_key(self, values: Mapping[str, Any], organization: str) -> str:
        key: dict[str, str] = {}
        for name in _KEY_FIELDS:
            screen_name = self._screen_name(name)
            text = _typed(values.get(screen_name), "TEXTDATA")
            if not isinstance(text, str) or not text:
                raise _Alert(f"{screen_name} is required")
            key[name] = text
        if key["organization"] != organization:
            raise _Alert("The user has no access to the organization of the record")
        return key["pfaId"]

    def _read_changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for screen_name, value in values.items():
            name = self._map.get(screen_name)
            if name in _KEY_FIELDS:
                continue
            if name is None or not FIELDS[name].editable:
                raise _Alert(f"{shorten(screen_name)} is not a field that can be updated")
            found = _read_typed(FIELDS[name], value)
            if isinstance(found, Wrong):
                raise _Alert(f"{screen_name} is not a valid value: {found.reason}")
            changes[name] = found
        if not changes:
            raise _Alert("There is no field to update")
        return changes

    def _screen_name(self, field_name: str) -> str:
        return next(name for name, field in self._map.items() if field == field_name)

    def _document(self, record: StoredRecord) -> dict[str, Any]:
        pairs = [
            {_NAME: screen_name, _VALUE: _write_typed(FIELDS[name], record.data.get(name))}
            for screen_name, name in self._map.items()
        ]
        service = {
            "recordid": record.version,
            "DATEUPDATED": _moment(instant(record.updated_at)),
            "UPDATEDBY": {"USERCODE": record.updated_by},
            "CREATEDDATE": None,
            "CREATEDBY": {"USERCODE": ""},
            _LIST: {_PAIR: pairs},
        }
        return {"Result": {"ResultData": {"UserDefinedScreenService": service}}}


def _read_pairs(body: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict) or not body.get("USERDEFINEDSCREENNAME"):
        raise _Alert("The request names no screen")
    action = body.get("USERDEFINEDSERVICEACTION")
    if action not in ("GET", "UPDATE"):
        raise _Alert(f"{shorten(action)} is not an action of this screen")
    listed = body.get(_LIST)
    pairs = listed.get(_PAIR) if isinstance(listed, dict) else None
    values: dict[str, Any] = {}
    for pair in pairs if isinstance(pairs, list) else ():
        name = pair.get(_NAME) if isinstance(pair, dict) else None
        if not isinstance(name, str) or name in values:
            raise _Alert(f"{shorten(name)} is not a field name, or is listed twice")
        values[name] = pair.get(_VALUE)
    return action, values


def _typed(value: Any, form: str) -> Any:
    """Return the content of a value in that form; None where it is null or absent."""
    if value is None:
        return None
    return value.get(form) if isinstance(value, dict) else None


_FORMS = {Kind.MONEY: "NUMERICDATA", Kind.DATE: "DATETIMEDATA"}


def _read_typed(field: Field, value: Any) -> Any | Wrong:
    """Read a value to store, in the form of the field's kind; null clears."""
    form = _FORMS.get(field.kind, "TEXTDATA")
    if value is not None and (not isinstance(value, dict) or form not in value):
        return Wrong(FaultCode.INVALID_TYPE, f"{form} is expected")
    content = _typed(value, form)
    if content is None:
        return read_value(field, None)
    if form == "TEXTDATA":
        is_text = isinstance(content, str)
        return read_text(field, content) if is_text else read_value(field, content)
    if not isinstance(content, dict):
        return Wrong(FaultCode.INVALID_TYPE, f"{form} is expected")
    return _read_number(field, content) if form == "NUMERICDATA" else _read_date(field, content)


def _read_number(field: Field, content: Mapping[str, Any]) -> Any | Wrong:
    """Read VALUE with the sign SIGN, rounded to NUMOFDEC decimals as PEMS does."""
    if content.get("VALUE") is None:
        return read_value(field, None)
    try:
        decimals = int(str(content.get("NUMOFDEC", 0)))
        number = Decimal(str(content["VALUE"]))
        exact = number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    except (ArithmeticError, ValueError):
        return Wrong(FaultCode.INVALID_TYPE, "VALUE or NUMOFDEC is not a number")
    signed = -exact if content.get("SIGN") == "-" else exact
    return read_value(field, int(signed) if decimals == 0 else signed)


def _read_date(field: Field, content: Mapping[str, Any]) -> Any | Wrong:
    """Read the day of the milliseconds in YEAR; MONTH and DAY must agree with it."""
    milliseconds = content.get("YEAR")
    if milliseconds is None:
        return read_value(field, None)
    try:
        zone = datetime.strptime(str(content.get("TIMEZONE") or "+0000"), "%z").tzinfo
        moment = _EPOCH + timedelta(milliseconds=int(str(milliseconds)))
        local = moment.astimezone(zone)
    except (ValueError, OverflowError):
        return Wrong(FaultCode.INVALID_TYPE, "YEAR has no milliseconds, or TIMEZONE is invalid")
    for day in (local, moment):
        parts = (content.get("MONTH", day.month), content.get("DAY", day.day))
        if tuple(map(str, parts)) == (str(day.month), str(day.day)):
            return read_value(field, day.date().isoformat())
    return Wrong(FaultCode.INVALID_TYPE, "MONTH and DAY are of another day than YEAR")


def _write_typed(field: Field, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if field.kind is Kind.MONEY:
        return {"NUMERICDATA": _number(value)}
    if field.kind is Kind.DATE:
        return {"DATETIMEDATA": _moment(datetime.fromisoformat(value).replace(tzinfo=_PEMS_ZONE))}
    if isinstance(value, bool):
        return {"TEXTDATA": "true" if value else "false"}
    return {"TEXTDATA": str(value)}


def _number(value: int | Decimal) -> dict[str, Any]:
    exponent = Decimal(value).as_tuple().exponent
    return {
        "VALUE": abs(value),
        "NUMOFDEC": max(0, -exponent) if isinstance(exponent, int) else 0,
        "SIGN": "-" if value < 0 else "+",
        "CURRENCY": "XXX",  # ISO 4217 for none
        "DRCR": "D",
        "qualifier": "OTHER",
    }


def _moment(moment: datetime | None) -> dict[str, Any] | None:
    """Write a moment in the parts of PEMS: YEAR is milliseconds since 1970."""
    if moment is None:
        return None
    local = moment.astimezone(_PEMS_ZONE)
    return {
        "YEAR": (moment - _EPOCH) // timedelta(milliseconds=1),
        "MONTH": local.month,
        "DAY": local.day,
        "HOUR": local.hour,
        "MINUTE": local.minute,
        "SECOND": local.second,
        "SUBSECOND": local.microsecond // 1000,
        "TIMEZONE": "-0500",
        "qualifier": "OTHER",
    }
