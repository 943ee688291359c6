"""The user-defined-screen service of PEMS: typed values, locked by DATEUPDATED."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pfa_core import exact_json
from pfa_core.errors import FaultCode
from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.ids import UserId
from pfa_core.model.record import FIELDS
from pfa_core.model.values import shorten
from pfa_core.pems.http.client import HttpClient
from pfa_core.pems.http.failures import error_alert, not_applied, protocol_failure
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import MAX_WORDS
from pfa_core.pems.services.readings import outgoing, reading_of, why_unwritable
from pfa_core.pems.services.screen_values import (
    ScreenFault,
    offset_minutes,
    read_moment,
    read_typed,
    stamp_of,
    write_typed,
)

FRESH_SECONDS = 2.0  # the greatest age of a read when the record is written
SCREEN_PATH = "/axis/restservices/userdefinedscreenservices"
_LIST = "USERDEFINEDSCREENFIELDVALUELIST"
_PAIR = "USERDEFINEDSCREENFIELDVALUEPAIR"
_NAME = "USERDEFINEDSCREENFIELDNAME"
_VALUE = "USERDEFINEDSCREENFIELDVALUE"


@dataclass(frozen=True, slots=True)
class _Document:
    """A record as the screen shows it.

    `version` is DATEUPDATED in milliseconds since 1970, empty where the record has none.
    """

    version: str
    updated_by: str
    values: Mapping[str, Any]

    @property
    def stamp(self) -> str:
        return stamp_of(self.version)


class ScreenWriter:
    """The writer by the screen.

    It reads DATEUPDATED right before it writes: a change of another user between the two is
    overwritten, which this service cannot prevent.
    """

    reads_first = True

    def __init__(self, http: HttpClient, profile: PemsProfile) -> None:
        self._http, self._profile = http, profile
        self._offset = offset_minutes(profile.screen.timezone)
        self._names = {name: shown for shown, name in profile.field_map.screen_fields.items()}

    def read(self, pfa_id: str) -> Reading | Failure:
        """Read the record as PEMS holds it now; of its fields those on the screen."""
        document = self._get(pfa_id)
        return document if isinstance(document, Failure) else self._reading(pfa_id, document)

    def _reading(self, pfa_id: str, document: _Document) -> Reading | Failure:
        shown: dict[str, Any] = {}
        try:
            for screen_name, name in self._profile.field_map.screen_fields.items():
                if screen_name in document.values:
                    value = document.values[screen_name]
                    shown[name] = read_typed(FIELDS[name], value, self._offset)
        except ScreenFault as fault:
            return protocol_failure(f"PEMS's answer: {fault}", RetryAdvice.NONE, written=False)
        return reading_of(
            shown,
            pfa_id,
            self._profile,
            version=document.version,
            stamp=document.stamp,
            updated_by=document.updated_by,
        )

    def write(self, write: Write) -> Applied | Moved | Failure:
        """Update the record if it is at the version that the write is based on."""
        refusal = self.unwritable(write.changes)
        if refusal:
            return Failure(FaultCode.UNWRITABLE, refusal, RetryAdvice.NONE)
        changes = outgoing(self._profile.field_map, write.changes)
        read_at = float("-inf")
        while time.monotonic() - read_at > FRESH_SECONDS:  # the process may have been suspended
            found = self._get(write.pfa_id)
            if isinstance(found, Failure):
                return found
            if found.version != write.version:
                return Moved(found.version)
            read_at = time.monotonic()
        updated = self._ask("UPDATE", write.pfa_id, changes)
        if isinstance(updated, Failure):
            return updated
        now = self._reading(write.pfa_id, updated)
        record = now.record if isinstance(now, Reading) else None
        return Applied(updated.version, updated.stamp, record)

    def names_of(self, user_id: UserId) -> frozenset[str]:  # noqa: ARG002
        """Return the account, the only user that the screen knows; empty for none."""
        return frozenset((self._profile.username or "",))

    def unwritable(self, changes: Mapping[str, Any]) -> str:
        """Return why these changes cannot be sent exactly; empty when they can."""
        missing = next((name for name in changes if name not in self._names), "")
        if missing:
            return f"{missing} cannot be written: the screen has no field for it"
        return why_unwritable(self._profile.field_map, changes)

    def _get(self, pfa_id: str) -> _Document | Failure:
        found = self._ask("GET", pfa_id, {})
        return not_applied(found) if isinstance(found, Failure) else found

    def _ask(self, action: str, pfa_id: str, changes: Mapping[str, Any]) -> _Document | Failure:
        """Call the service; a failure is that of an UPDATE."""
        body = exact_json.dumps(self._question(action, pfa_id, changes)).encode()
        answer = self._http.request("POST", SCREEN_PATH, body)
        if isinstance(answer, Failure):
            return answer
        if answer.status == 409:
            return self._http.refused(answer)
        try:
            content = exact_json.loads_strict(answer.body.decode())
        except (exact_json.JsonFault, UnicodeDecodeError):
            return protocol_failure("PEMS's answer is not JSON", written=True)
        alert = self._http.censored(error_alert(content))
        return _alerted(alert) if alert else _document(content)

    def _question(self, action: str, pfa_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        key = {"pfaId": pfa_id, "organization": self._profile.organization}
        pairs = [
            {
                _NAME: self._names[name],
                _VALUE: write_typed(FIELDS[name], value, self._profile.screen.timezone),
            }
            for name, value in {**key, **changes}.items()
        ]
        return {
            "USERDEFINEDSCREENNAME": self._profile.screen.name,
            "USERDEFINEDSERVICEACTION": action,
            _LIST: {_PAIR: pairs},
        }


def _alerted(message: str) -> Failure:
    """Convert an alert to a failure; alerts differ by their words only."""
    reason, words = f"PEMS answered with an error: {shorten(message, MAX_WORDS)}", message.lower()
    if "not found" in words:
        return Failure(FaultCode.NOT_FOUND, reason, RetryAdvice.NONE)
    if "authoriz" in words or "not a valid value" in words:
        return Failure(FaultCode.PEMS_REJECTED, reason, RetryAdvice.NONE)
    return Failure(FaultCode.PEMS_REJECTED, reason, RetryAdvice.RETRY, maybe_applied=True)


def _document(content: Any) -> _Document | Failure:
    try:
        service = content["Result"]["ResultData"]["UserDefinedScreenService"]
        values = {pair[_NAME]: pair.get(_VALUE) for pair in service[_LIST][_PAIR]}
        version = read_moment(service["DATEUPDATED"])
        by = (service.get("UPDATEDBY") or {}).get("USERCODE")
    except (KeyError, TypeError, AttributeError, ScreenFault):
        return protocol_failure("PEMS's answer is not an answer of a screen", written=True)
    return _Document(version, by if isinstance(by, str) else "", values)
