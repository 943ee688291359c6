"""Messages between pfa and PEMS about one record.

They are the reading, the write and every kind of answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.ids import PfaId, UserId


@dataclass(frozen=True, slots=True)
class Reading:
    """A record as PEMS holds it now.

    `version` is what a write must base on: the number of the REST service as text, the moment of
    DATEUPDATED for the screen service. `record` holds the fields that the service shows, each
    value as the mirror would hold it, `organization` and `pemsVersion` (the stamp) among them.
    """

    version: str
    record: Mapping[str, Any]
    updated_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change to send.

    It holds fields with their values, the base version and the idempotency key.
    """

    pfa_id: PfaId
    changes: Mapping[str, Any]
    version: str
    key: str
    modified_by: UserId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """PEMS applied the write.

    `version` and last-modified `stamp` are the record's now ("" where the answer lacks them), `record`
    is the whole record where the answer holds it. The answer to a repeated key repeats the first one.
    """

    version: str
    stamp: str
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """PEMS rejected the write because the record is no longer at the base version."""

    version: str


# The code of a failure before anything was sent: there was no connection.
UNREACHED = FaultCode.NO_CONNECTION
# The code of a rejection that may be about one record, or about all of them.
FORBIDDEN = FaultCode.FORBIDDEN


class RetryAdvice(StrEnum):
    """What to do about a failure."""

    NONE = "none"
    RETRY = "retry"
    SLOW_DOWN = "slow down"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Failure:
    """A missing or unusable answer, or a rejection.

    Args:
        code: What went wrong, for programs and logs.
        message: PEMS's own message where it sent one.
        advice: NONE: final for this record. RETRY: may pass by itself. SLOW_DOWN: PEMS throttles.
            STOP: the credentials are rejected, every other record would fail the same way.
        retry_after: Seconds that PEMS asks to wait, None where it does not.
        maybe_applied: The write may have been applied although no answer says so.
    """

    code: FaultCode
    message: str
    advice: RetryAdvice
    _: KW_ONLY
    retry_after: float | None = None
    maybe_applied: bool = False
