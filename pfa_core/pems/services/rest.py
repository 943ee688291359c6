"""The REST service of PEMS: records with versions and idempotency keys."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pfa_core import exact_json
from pfa_core.errors import FaultCode
from pfa_core.model.delta import same
from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.ids import UserId
from pfa_core.model.values import shorten
from pfa_core.pems.http.client import Answer, HttpClient, open_client
from pfa_core.pems.http.failures import error_alert, not_applied, protocol_failure
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import MAX_WORDS
from pfa_core.pems.services.readings import outgoing, reading_of, why_unwritable

RECORD_PATH = "/api/pems/pfa/"
HEALTH_PATH = "/api/pems/health"
HEALTH_SECONDS = 5.0
_PREFER = {"Prefer": "return=representation"}  # RFC 7240, 4.2


class RestWriter:
    """The writer by version, with an idempotency key where PEMS supports them."""

    reads_first = False

    def __init__(self, http: HttpClient, profile: PemsProfile) -> None:
        self._http, self._profile = http, profile

    def read(self, pfa_id: str) -> Reading | Failure:
        """Read the record as PEMS holds it now, with the fields that the service shows."""
        answer = self._http.request("GET", _path(pfa_id))
        if isinstance(answer, Failure):
            return not_applied(answer)
        content = self._content(answer, written=False)
        if isinstance(content, Failure):
            return content
        version, data = _version(content.get("version")), content.get("data")
        if not version or not isinstance(data, dict):
            why = _why_not("RecordAnswer", content)
            return protocol_failure(f"PEMS's answer has no record{why}", written=False)
        code = content.get("organizationCode")
        shown = {"organization": code, "pfaId": content.get("pfaId", pfa_id), **data}
        return reading_of(
            shown,
            pfa_id,
            self._profile,
            version=version,
            stamp=_text(content.get("updatedAt")),
            updated_by=_text(content.get("updatedBy")),
        )

    def write(self, write: Write) -> Applied | Moved | Failure:
        """Send a change; Moved ("" if unknown) where PEMS has another version by now.

        PEMS is asked to answer with the stored values; where it does not, `read` shows what it stored.
        """
        refusal = self._unsendable(write)
        if refusal:
            return Failure(FaultCode.UNWRITABLE, refusal, RetryAdvice.NONE)
        headers = dict(_PREFER)
        if self._profile.idempotency_keys:
            headers["Idempotency-Key"] = write.key
        sent = outgoing(self._profile.field_map, write.changes)
        body = self._body(write, sent)
        answer = self._http.request("PUT", _path(write.pfa_id), body, headers)
        if isinstance(answer, Failure):
            return answer
        content = self._content(answer, written=answer.status != 409)
        if answer.status == 409:
            failed = isinstance(content, Failure)
            return Moved("" if failed else _version(content.get("currentVersion")))
        if isinstance(content, Failure):
            return content
        version = _version(content.get("newVersion"))
        if not version:
            why = _why_not("WriteAnswer", content)
            return protocol_failure(f"PEMS's answer has no new version{why}", written=True)
        stamp = _text(content.get("updatedAt"))
        return Applied(version, stamp, self._stored(write, sent, content.get("data")))

    def _stored(self, write: Write, sent: Mapping[str, Any], data: Any) -> Mapping[str, Any] | None:
        """Return the sent fields as the answer shows them; None where it shows none."""
        if not isinstance(data, dict):
            return None
        if all(name in data and same(data[name], value) for name, value in sent.items()):
            return write.changes
        fields = {name: data[name] for name in sent if name in data}
        shown = {"organization": self._profile.organization, "pfaId": write.pfa_id, **fields}
        found = reading_of(shown, write.pfa_id, self._profile, version=write.version, stamp="")
        if isinstance(found, Failure):
            return None
        return {name: found.record[name] for name in fields}

    def names_of(self, user_id: UserId) -> frozenset[str]:
        """Return the user, whom a write names, and the account shown instead."""
        return frozenset(filter(None, (user_id, self._profile.username)))

    def unwritable(self, changes: Mapping[str, Any]) -> str:
        """Return why these changes cannot be sent exactly; empty when they can."""
        return why_unwritable(self._profile.field_map, changes)

    def _unsendable(self, write: Write) -> str:
        if not _version(write.version):
            return f"invalid version of the REST service: {shorten(write.version)}"
        return self.unwritable(write.changes)

    def _body(self, write: Write, sent: Mapping[str, Any]) -> bytes:
        body = {
            "pfaId": write.pfa_id,
            "organizationCode": self._profile.organization,
            "changes": sent,
            "version": int(write.version),
            "modifiedBy": write.modified_by,
            "changeReason": write.reason,
        }
        return exact_json.dumps(body).encode()

    def _content(self, answer: Answer, *, written: bool) -> Mapping[str, Any] | Failure:
        try:
            content = exact_json.loads_strict(answer.body.decode())
        except (exact_json.JsonFault, UnicodeDecodeError):
            return protocol_failure("PEMS's answer is not JSON", written=written)
        alert = self._http.censored(error_alert(content))
        if alert:
            message = f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}"
            return protocol_failure(message, written=written)
        if not isinstance(content, dict):
            return protocol_failure("PEMS's answer is not an object", written=written)
        return content


@dataclass(frozen=True, slots=True)
class Health:
    """The health of PEMS: the seconds its answer took, and its failure if any."""

    latency: float
    failure: Failure | None


def health(profile: PemsProfile) -> Health:
    """Ask PEMS for its health, with a timeout of 5 seconds.

    Raises:
        ConfigInvalid: A header's value that HTTP cannot carry.
    """
    with open_client(profile, timeout=HEALTH_SECONDS) as http:
        started = time.perf_counter()
        answer = http.request("GET", HEALTH_PATH)
        latency = time.perf_counter() - started
        if isinstance(answer, Answer) and answer.status == 409:
            answer = http.refused(answer)
    return Health(
        latency, not_applied(answer) if isinstance(answer, Failure) else _unhealthy(answer)
    )


def _unhealthy(answer: Answer) -> Failure | None:
    try:
        content = exact_json.loads_strict(answer.body.decode())
    except (exact_json.JsonFault, UnicodeDecodeError):
        return protocol_failure("PEMS's answer is not JSON", written=False)
    if isinstance(content, dict) and content.get("healthy") is False:
        return Failure(
            FaultCode.SERVER_ERROR, "PEMS reports that it is not healthy", RetryAdvice.RETRY
        )
    return None


def _why_not(shape: str, content: Mapping[str, Any]) -> str:
    from pfa_core.pems.services import answers

    return answers.why_not(getattr(answers, shape), content)


def _path(pfa_id: str) -> str:
    quoted = quote(pfa_id, safe="")
    # Unescaped, a client resolves these as relative segments of the path.
    return RECORD_PATH + (quoted.replace(".", "%2E") if quoted in (".", "..") else quoted)


_VERSION = re.compile(r"\d{1,18}", re.ASCII)


def _version(value: Any) -> str:
    """Return a version as text, empty for anything but at most 18 digits."""
    if isinstance(value, bool):
        return ""
    text = str(value) if isinstance(value, int) and value.bit_length() < 64 else value
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
