"""The REST service of PEMS: a record read, a record written on the version it bases on."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pfa_core import exact_json
from pfa_core.errors import FaultCode
from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.values import shorten
from pfa_core.pems.http.client import Answer, HttpClient, open_client
from pfa_core.pems.http.failures import error_alert, not_applied, protocol_trouble
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import MAX_WORDS
from pfa_core.pems.services.readings import outgoing, reading_of, why_unwritable

RECORD_PATH = "/api/pems/pfa/"
HEALTH_PATH = "/api/pems/health"
HEALTH_SECONDS = 5.0


class RestWriter:
    """Writes with a version, and with an idempotency key where PEMS understands them."""

    reads_first = False

    def __init__(self, http: HttpClient, profile: PemsProfile) -> None:
        self._http, self._profile = http, profile

    def read(self, pfa_id: str) -> Reading | Failure:
        """The record as PEMS holds it now; of its fields those that the service shows."""
        answer = self._http.request("GET", _path(pfa_id))
        if isinstance(answer, Failure):
            return not_applied(answer)
        told = self._content(answer, written=False)
        if isinstance(told, Failure):
            return told
        version, data = _version(told.get("version")), told.get("data")
        if not version or not isinstance(data, dict):
            return protocol_trouble("PEMS's answer holds no record", written=False)
        code = told.get("organizationCode")
        shown = {"organization": code, "pfaId": told.get("pfaId", pfa_id), **data}
        return reading_of(
            shown, pfa_id, self._profile, version=version, stamp=_text(told.get("updatedAt"))
        )

    def write(self, write: Write) -> Applied | Moved | Failure:
        """Send a change; Moved where PEMS has another version by now ("" where it does not say)."""
        refusal = self._unsendable(write)
        if refusal:
            return Failure(FaultCode.UNWRITABLE, refusal, RetryAdvice.NONE)
        headers = {"Idempotency-Key": write.key} if self._profile.idempotency_keys else None
        answer = self._http.request("PUT", _path(write.pfa_id), self._body(write), headers)
        if isinstance(answer, Failure):
            return answer
        told = self._content(answer, written=answer.status != 409)
        if answer.status == 409:
            return Moved("" if isinstance(told, Failure) else _version(told.get("currentVersion")))
        if isinstance(told, Failure):
            return told
        version = _version(told.get("newVersion"))
        if not version:
            return protocol_trouble("PEMS's answer tells no new version", written=True)
        return Applied(version, _text(told.get("updatedAt")))

    def unwritable(self, changes: Mapping[str, Any]) -> str:
        """Why these changes cannot be sent as they are meant; empty when they can."""
        return why_unwritable(self._profile.field_map, changes)

    def _unsendable(self, write: Write) -> str:
        if not _version(write.version):
            return f"{shorten(write.version)} is no version of the REST service"
        return self.unwritable(write.changes)

    def _body(self, write: Write) -> bytes:
        body = {
            "pfaId": write.pfa_id,
            "organizationCode": self._profile.organization,
            "changes": outgoing(self._profile.field_map, write.changes),
            "version": int(write.version),
            "modifiedBy": write.modified_by,
            "changeReason": write.reason,
        }
        return exact_json.dumps(body).encode()

    def _content(self, answer: Answer, *, written: bool) -> Mapping[str, Any] | Failure:
        try:
            told = exact_json.loads_strict(answer.body.decode())
        except (exact_json.JsonFault, UnicodeDecodeError):
            return protocol_trouble("PEMS's answer is no JSON", written=written)
        alert = self._http.censored(error_alert(told))
        if alert:
            message = f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}"
            return protocol_trouble(message, written=written)
        if not isinstance(told, dict):
            return protocol_trouble("PEMS's answer is no object", written=written)
        return told


@dataclass(frozen=True, slots=True)
class Health:
    """Whether PEMS is there: the seconds its answer took, and what is the matter, None if nothing."""

    latency: float
    failure: Failure | None


def health(profile: PemsProfile) -> Health:
    """Ask PEMS whether it is well, for at most 5 seconds' waiting.

    Raises:
        ConfigInvalid: A header's value that HTTP cannot carry.
    """
    with open_client(profile, timeout=HEALTH_SECONDS) as http:
        started = time.perf_counter()
        answer = http.request("GET", HEALTH_PATH)
        latency = time.perf_counter() - started
        if isinstance(answer, Answer) and answer.status == 409:
            answer = http.refused(answer)
    return Health(latency, not_applied(answer) if isinstance(answer, Failure) else _illness(answer))


def _illness(answer: Answer) -> Failure | None:
    try:
        told = exact_json.loads_strict(answer.body.decode())
    except (exact_json.JsonFault, UnicodeDecodeError):
        return protocol_trouble("PEMS's answer is no JSON", written=False)
    if isinstance(told, dict) and told.get("healthy") is False:
        return Failure(
            FaultCode.SERVER_ERROR, "PEMS says that it is not healthy", RetryAdvice.RETRY
        )
    return None


def _path(pfa_id: str) -> str:
    quoted = quote(pfa_id, safe="")
    # These alone would be taken for steps in the path.
    return RECORD_PATH + (quoted.replace(".", "%2E") if quoted in (".", "..") else quoted)


_VERSION = re.compile(r"\d{1,18}", re.ASCII)


def _version(told: Any) -> str:
    """A version as text, empty where it is no whole number of a size that versions have."""
    if isinstance(told, bool):
        return ""
    text = str(told) if isinstance(told, int) and told.bit_length() < 64 else told
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else ""


def _text(told: Any) -> str:
    return told if isinstance(told, str) else ""
