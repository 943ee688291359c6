"""What passes between us and PEMS, one record at a time: readings, writes, and every kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pfa_core.errors import FaultCode


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


@dataclass(frozen=True, slots=True)
class Write:
    """A change to send: the fields and their values, the version it bases on, and the key by which
    PEMS knows the same write again."""

    pfa_id: str
    changes: Mapping[str, Any]
    version: str
    key: str
    modified_by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """PEMS took the write: the record's version and last-modified stamp now ("" where the answer
    does not tell), and the whole record where the answer shows it. The answer to a repeated key
    tells those of the first time."""

    version: str
    stamp: str
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """PEMS refused the write because the record is no longer at the version it based on."""

    version: str


# The code of a trouble before anything was sent: PEMS was not even reached.
UNREACHED = FaultCode.NO_CONNECTION
# The code of a refusal that may be about the record, or about all of them.
FORBIDDEN = FaultCode.FORBIDDEN


class RetryAdvice(StrEnum):
    """What to do about a trouble."""

    NONE = "none"
    RETRY = "retry"
    SLOW_DOWN = "slow down"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is none, or a refusal.

    Args:
        code: What went wrong, for programs and logs.
        message: PEMS's own words where it has some.
        remedy: NONE: final for this record. RETRY: may pass by itself. SLOW_DOWN: asked to send
            less. STOP: the credentials are refused, every other record would fare the same.
        retry_after: Seconds that PEMS asks to wait, None where it does not.
        maybe_applied: The write may have been applied although no answer says so.
    """

    code: FaultCode
    message: str
    advice: RetryAdvice
    retry_after: float | None = None
    maybe_applied: bool = False
