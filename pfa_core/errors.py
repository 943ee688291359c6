"""The tree of errors, one class for each kind that a caller can act on.

    PfaError
    ├── InvalidRequest          INVALID_REQUEST       2   the call itself is wrong
    ├── PartlyDone              (carried by results)  3   see docs/reference/errors.md
    ├── NotSignedIn
    │   ├── Unauthorized        UNAUTHORIZED          4   no token
    │   ├── TokenExpired        TOKEN_EXPIRED         4
    │   └── InvalidToken        INVALID_TOKEN         4   malformed, wrong signature, wrong algorithm
    ├── NotAllowed
    │   ├── Forbidden           FORBIDDEN             5   not a member of the organization
    │   └── PermissionDenied    PERMISSION_DENIED     5   a member without the right
    ├── NotFound                NOT_FOUND             6
    │   └── NoDrafts            NO_DRAFTS             6
    ├── Conflict
    │   ├── VersionConflict     VERSION_CONFLICT      7   a draft changed since it was read
    │   ├── BaselineConflict    BASELINE_CONFLICT     7   PEMS changed a drafted field
    │   ├── IllegalTransition   ILLEGAL_TRANSITION    7
    │   ├── GuardExceeded       GUARD_EXCEEDED        7   more than a commit or push may change
    │   └── SessionMismatch     SESSION_MISMATCH      7
    ├── InvalidData             INVALID_DATA          9   nothing was stored
    ├── DatabaseUnavailable     DATABASE_UNAVAILABLE 69   retryable
    │   └── OutcomeUnknown      OUTCOME_UNKNOWN      76   look before it is repeated
    ├── PemsUnavailable         PEMS_UNAVAILABLE     69   retryable
    ├── PemsProtocol            PEMS_PROTOCOL        69   responses outside PEMS's contract
    ├── PemsRejected            PEMS_REJECTED        78   PEMS refuses the client: credentials, tenant, grid
    ├── IoFailure               IO_ERROR             74
    │   └── ReaderGone          READER_GONE         141   what reads a pipe that is written as a file
    ├── LeaseHeld               LEASE_HELD           75   retryable
    ├── Locked                  LOCKED               75   retryable
    ├── ConfigInvalid           CONFIG_INVALID       78
    │   └── SchemaOutdated      SCHEMA_OUTDATED      78
    └── Internal                INTERNAL              1   an unexpected internal error

Messages never hold SQL, an address with a password, or a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:  # the start of the program loads no decimals
    from decimal import Decimal


class FaultCode(StrEnum):
    """The kind of a fault of one record or one field, for programs."""

    # Of the input.
    INVALID_JSON = "INVALID_JSON"
    INVALID_CSV = "INVALID_CSV"
    INVALID_ENCODING = "INVALID_ENCODING"
    DUPLICATE_RECORD = "DUPLICATE_RECORD"
    EMPTY_DELTA = "EMPTY_DELTA"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    READ_ONLY_FIELD = "READ_ONLY_FIELD"
    MISSING_REQUIRED_FIELD = "MISSING_REQUIRED_FIELD"
    INVALID_TYPE = "INVALID_TYPE"
    INVALID_RANGE = "INVALID_RANGE"
    INVALID_ENUM_VALUE = "INVALID_ENUM_VALUE"
    INVALID_DATE_ORDER = "INVALID_DATE_ORDER"
    BUSINESS_RULE_VIOLATION = "BUSINESS_RULE_VIOLATION"
    FOREIGN_ORGANIZATION = "FOREIGN_ORGANIZATION"
    OLDER_VERSION = "OLDER_VERSION"
    EMPTIED_FIELD = "EMPTIED_FIELD"
    FOREIGN_CURRENCY = "FOREIGN_CURRENCY"
    OWN_VALUES = "OWN_VALUES"

    # Of the record, or the caller's right to it.
    NOT_FOUND = "NOT_FOUND"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    SESSION_MISMATCH = "SESSION_MISMATCH"
    BASELINE_CONFLICT = "BASELINE_CONFLICT"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    GUARD_EXCEEDED = "GUARD_EXCEEDED"

    # Of an exchange with PEMS.
    NO_CONNECTION = "NO_CONNECTION"
    NO_ANSWER = "NO_ANSWER"
    TLS_FAILED = "TLS_FAILED"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    LOCKED = "LOCKED"
    RATE_LIMIT = "RATE_LIMIT"
    SERVER_ERROR = "SERVER_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    PEMS_REJECTED = "PEMS_REJECTED"
    PEMS_PROTOCOL = "PEMS_PROTOCOL"
    PEMS_ALTERED = "PEMS_ALTERED"
    UNWRITABLE = "UNWRITABLE"
    UNWRITABLE_FIELD = "UNWRITABLE_FIELD"

    # Of a change that a push could not bring to PEMS, where nothing more is known.
    REJECTED = "REJECTED"
    RETRYING = "RETRYING"
    RELEASED = "RELEASED"
    CONFLICT = "CONFLICT"

    # Of the program.
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one field of one record.

    `field` is empty when the record as a whole is at fault; `position` is its place in the input
    ("line 7", "modification 3"), empty when the PFA id alone leads there.
    """

    pfa_id: str
    field: str
    code: FaultCode
    message: str
    _: KW_ONLY
    position: str = ""


class Revealable(Protocol):
    """A secret text; `model.secret.Secret` is one."""

    def reveal(self) -> str:
        """Return the text."""
        ...


class Bearer(Protocol):
    """A caller with a token for an organization; `model.principal.Principal` is one."""

    @property
    def organization_id(self) -> str:
        """Return the organization that the caller acts for."""
        ...

    @property
    def token(self) -> Revealable | None:
        """Return the token itself, None where the caller was made without one."""
        ...


class DenialAction(StrEnum):
    """The name of a denial in the audit trail."""

    PERMISSION_DENIED = "permission_denied"
    SYNC_SKIPPED = "sync_skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refused operation, for the audit trail.

    `permission` names the right or rights that the operation requires; `by` is the caller, None where no
    token was involved.
    """

    organization_id: str
    user_id: str
    operation: str
    permission: str
    reason: str
    action: DenialAction = DenialAction.PERMISSION_DENIED
    by: Bearer | None = field(default=None, repr=False)


class PfaError(Exception):
    """The root of all errors.

    `code`, `exit_code` and `retryable` are set by class; `message`, `hint` and `details` by case.
    """

    code: ClassVar[str] = "INTERNAL"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: Sequence[Fault] = (),
        parameter: str = "",
    ) -> None:
        """Make an error.

        Args:
            message: What failed. A parameter in it, or in the hint, is written in backquotes:
                `session_id`, `partial=True`.
            hint: What helps.
            details: The single faults of the input.
            parameter: The parameter of the call that is at fault, where it is one.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)
        self.parameter = parameter


class Internal(PfaError):
    """An unexpected internal error.

    The command line shows its details only with --debug.
    """


class InvalidRequest(PfaError):
    """The call is wrong: an option, a filter value, a cursor."""

    code = "INVALID_REQUEST"
    exit_code = 2


class NotSignedIn(PfaError):
    """No valid token."""

    code = "UNAUTHORIZED"
    exit_code = 4


class Unauthorized(NotSignedIn):
    """There is no token at all."""


class TokenExpired(NotSignedIn):
    """The token was valid once."""

    code = "TOKEN_EXPIRED"


class InvalidToken(NotSignedIn):
    """Malformed, signed with another key or by another algorithm."""

    code = "INVALID_TOKEN"


class NotAllowed(PfaError):
    """Signed in, but not allowed to do this.

    `denial` is what the handle on the database records in the audit trail, once.
    """

    code = "FORBIDDEN"
    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: Sequence[Fault] = (),
        parameter: str = "",
        denial: Denial | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details, parameter=parameter)
        self.denial = denial


class Forbidden(NotAllowed):
    """Not a member of the organization."""


class PermissionDenied(NotAllowed):
    """A member of the organization who lacks the right."""

    code = "PERMISSION_DENIED"


class NotFound(PfaError):
    """An organization, record, session, run or file that is not there."""

    code = "NOT_FOUND"
    exit_code = 6


class NoDrafts(NotFound):
    """The caller has no drafts where drafts were asked for."""

    code = "NO_DRAFTS"


class Conflict(PfaError):
    """Another change came first, or the state is not the one that the call expects."""

    code = "VERSION_CONFLICT"
    exit_code = 7


class VersionConflict(Conflict):
    """A draft was saved again since the caller read it."""


class BaselineConflict(Conflict):
    """PEMS changed a field that a draft changes too."""

    code = "BASELINE_CONFLICT"


class IllegalTransition(Conflict):
    """The life cycle has no such step from the present state."""

    code = "ILLEGAL_TRANSITION"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardExcess:
    """A limit that a change is over.

    `guard` is `records`, `money` or `percent`; `source` names who set the limit. Money that the caller may not
    see is None.
    """

    guard: str
    found: Decimal | None
    most: Decimal | None
    source: str


class GuardExceeded(Conflict):
    """More than one commit, or one push, may change; nothing was changed.

    `excesses` are the limits, with the numbers; `unnamed` is the message without an amount, which others may
    read too.
    """

    code = "GUARD_EXCEEDED"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: Sequence[Fault] = (),
        parameter: str = "",
        excesses: Sequence[GuardExcess] = (),
        unnamed: str = "",
    ) -> None:
        super().__init__(message, hint=hint, details=details, parameter=parameter)
        self.excesses = tuple(excesses)
        self.unnamed = unnamed or message


class SessionMismatch(Conflict):
    """The record's draft belongs to another session."""

    code = "SESSION_MISMATCH"


class InvalidData(PfaError):
    """Input with faults, all of them in `details`; nothing was stored."""

    code = "INVALID_DATA"
    exit_code = 9


class DatabaseUnavailable(PfaError):
    """No connection, or it broke and trying again did not help."""

    code = "DATABASE_UNAVAILABLE"
    exit_code = 69
    retryable = True


class OutcomeUnknown(DatabaseUnavailable):
    """A connection broke during a commit whose outcome nothing could say.

    A repetition may do twice what is relative or makes something new: look first.
    """

    code = "OUTCOME_UNKNOWN"
    exit_code = 76
    retryable = False


class PemsUnavailable(PfaError):
    """A PEMS that does not answer, or only with temporary failures.

    Trying again did not help.
    """

    code = "PEMS_UNAVAILABLE"
    exit_code = 69
    retryable = True


class PemsProtocol(PfaError):
    """PEMS responds outside its own contract."""

    code = "PEMS_PROTOCOL"
    exit_code = 69


class PemsRejected(PfaError):
    """A refusal by PEMS of the request as such, with its own message.

    The settings have to be changed.
    """

    code = "PEMS_REJECTED"
    exit_code = 78


class IoFailure(PfaError):
    """A file or stream cannot be read or written."""

    code = "IO_ERROR"
    exit_code = 74


class ReaderGone(IoFailure):
    """What reads a pipe went away before it had all that was written into it."""

    code = "READER_GONE"
    exit_code = 141


class LeaseHeld(PfaError):
    """Another run is active; trying again later helps."""

    code = "LEASE_HELD"
    exit_code = 75
    retryable = True


class Locked(PfaError):
    """Another transaction holds what a statement needs; trying again later helps."""

    code = "LOCKED"
    exit_code = 75
    retryable = True


class ConfigInvalid(PfaError):
    """A bad configuration file, an unsafe file mode, a server that cannot be started."""

    code = "CONFIG_INVALID"
    exit_code = 78


class SchemaOutdated(ConfigInvalid):
    """The database's schema is missing, older or newer than this program."""

    code = "SCHEMA_OUTDATED"
