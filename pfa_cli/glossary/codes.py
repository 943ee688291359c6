"""Meanings of error codes and fault codes, and what helps."""

from __future__ import annotations

from typing import NamedTuple

from pfa_core.errors import FaultCode


class Meaning(NamedTuple):
    """What a word means, and what to do, empty where nothing is."""

    means: str
    next: str = ""


# What helps against an error, by its code; its class says what it means.
CURES = {
    "BASELINE_CONFLICT": "compare: pfa diff; take PEMS's value of a field: pfa draft unset ID FIELD",
    "CONFIG_INVALID": "correct what the message names; pfa doctor checks the setup",
    "DATABASE_UNAVAILABLE": "try again; pfa doctor shows which server is meant",
    "FORBIDDEN": "an admin types: pfa user grant USER --org CODE --role editor",
    "GUARD_EXCEEDED": "commit or send fewer at once, or add --override REASON",
    "ILLEGAL_TRANSITION": "pfa status shows the states of your changes",
    "INTERNAL": "repeat it with --debug and report the traceback",
    "INVALID_DATA": "correct the faults; pfa explain CODE explains each",
    "INVALID_REQUEST": "pfa COMMAND --help shows what it takes",
    "INVALID_TOKEN": "sign in again: pfa auth login FILE, or pfa init --org CODE",
    "IO_ERROR": "check the file, its mode, and the room on the disk",
    "LEASE_HELD": "try again later, or add --if-locked wait",
    "LOCKED": "try again later",
    "NOT_FOUND": "check the spelling; the message suggests the nearest known name",
    "NO_DRAFTS": "pfa status shows what there is",
    "READER_GONE": "let what reads the pipe take all of it, and repeat the command",
    "OUTCOME_UNKNOWN": "look before you repeat it: pfa status, pfa log",
    "PEMS_PROTOCOL": "check that PFA_PEMS_URL is that of PEMS; pfa doctor",
    "PEMS_REJECTED": "check credentials, tenant and grid of PEMS; pfa doctor",
    "PEMS_UNAVAILABLE": "try again later; nothing is lost meanwhile",
    "PERMISSION_DENIED": "ask an admin for the right that the message names",
    "SCHEMA_OUTDATED": "pfa db upgrade; where there is no database yet: pfa init --org CODE",
    "SESSION_MISMATCH": "add --move, or save in the session that the message names",
    "TOKEN_EXPIRED": "sign in again: pfa auth login FILE, or pfa init --org CODE",
    "UNAUTHORIZED": "sign in: pfa auth login FILE, or pfa init --org CODE",
    "VERSION_CONFLICT": "read it again: pfa show ID, then repeat the change",
}

# Codes of commands that did a part, beside those above.
OF_PARTS = {
    "DEADLINE_PASSED": Meaning(
        "the time of --deadline was over before all was sent", "pfa sync push"
    )
}

FAULTS = {
    FaultCode.INVALID_TYPE: Meaning(
        "not of the field's kind: a text where a number belongs, no day of the calendar"
    ),
    FaultCode.INVALID_RANGE: Meaning(
        "negative or too large money, too many decimals, a text that is too long"
    ),
    FaultCode.INVALID_ENUM_VALUE: Meaning("not one of the field's values", "pfa fields"),
    FaultCode.INVALID_DATE_ORDER: Meaning("on the merged record an end lies before its start"),
    FaultCode.MISSING_REQUIRED_FIELD: Meaning(
        "a Rental without monthlyRate, a Purchase without purchasePrice, a choice set to null,"
        " a record without pfaId"
    ),
    FaultCode.UNKNOWN_FIELD: Meaning(
        "no field of that name; the nearest is suggested", "pfa fields"
    ),
    FaultCode.READ_ONLY_FIELD: Meaning("a field that PEMS alone writes", "pfa fields"),
    FaultCode.EMPTY_DELTA: Meaning("the delta changes nothing"),
    FaultCode.DUPLICATE_RECORD: Meaning("the record stands more than once in the input"),
    FaultCode.BUSINESS_RULE_VIOLATION: Meaning(
        "an actualized record's source or a later actualStart; a discontinued record coming back;"
        " discontinued and funds-transferable at once; the shift of an actualized record"
    ),
    FaultCode.NOT_FOUND: Meaning("no such record in the organization"),
    FaultCode.VERSION_CONFLICT: Meaning("the draft has not the version that was expected"),
    FaultCode.SESSION_MISMATCH: Meaning("the record's draft belongs to another session", "--move"),
    FaultCode.PERMISSION_DENIED: Meaning("a field that one may not write, or order by"),
    FaultCode.BASELINE_CONFLICT: Meaning("PEMS changed a drafted field to something else"),
    FaultCode.ILLEGAL_TRANSITION: Meaning("the modification's state does not allow it"),
    FaultCode.GUARD_EXCEEDED: Meaning(
        "more than one commit or one push may change", "--override REASON"
    ),
    FaultCode.FOREIGN_ORGANIZATION: Meaning("pull: the record names another organization"),
    FaultCode.OLDER_VERSION: Meaning(
        "pull: the record's PEMS version is older than the mirror's; see `--allow-older`"
    ),
    FaultCode.EMPTIED_FIELD: Meaning(
        "pull: the field would be emptied in many records; see `--allow-emptied`"
    ),
    FaultCode.FOREIGN_CURRENCY: Meaning(
        "pull: the record names another currency than the organization's, which refuses them"
        " (`pfa org set --foreign-currency refuse`)"
    ),
    FaultCode.OWN_VALUES: Meaning(
        "pull: the row is of a list or sheet with a user's own values over PEMS's",
        "PEMS's values: pfa list --baseline; edits: pfa draft save FILE",
    ),
    FaultCode.INVALID_JSON: Meaning("the line is not JSON, or JSON that is refused"),
    FaultCode.INVALID_ENCODING: Meaning("the line is not UTF-8"),
    FaultCode.INVALID_CSV: Meaning("the line has more or fewer cells than the header"),
    FaultCode.NO_CONNECTION: Meaning("PEMS cannot be reached", "try again; pfa doctor"),
    FaultCode.NO_ANSWER: Meaning("PEMS did not answer in time", "try again"),
    FaultCode.TLS_FAILED: Meaning(
        "the certificate of PEMS is not accepted",
        "check the address and the machine's certificates",
    ),
    FaultCode.UNAUTHORIZED: Meaning("PEMS rejects user name or password", "pfa doctor"),
    FaultCode.FORBIDDEN: Meaning("PEMS does not allow its user to do this", "ask PEMS's operator"),
    FaultCode.LOCKED: Meaning("the record is locked in PEMS", "the push tries again by itself"),
    FaultCode.RATE_LIMIT: Meaning("PEMS takes no more requests for now", "lower --rate"),
    FaultCode.SERVER_ERROR: Meaning("PEMS failed inside", "the push tries again by itself"),
    FaultCode.SERVICE_UNAVAILABLE: Meaning("PEMS is down or starting", "try again later"),
    FaultCode.PEMS_REJECTED: Meaning(
        "PEMS refused the change, in its own words", "correct the draft; pfa sync retry"
    ),
    FaultCode.PEMS_PROTOCOL: Meaning("PEMS answered outside its contract"),
    FaultCode.PEMS_ALTERED: Meaning(
        "PEMS accepted the change and stored another value", "pfa show ID"
    ),
    FaultCode.UNWRITABLE: Meaning("the record has nothing that PEMS could be sent"),
    FaultCode.UNWRITABLE_FIELD: Meaning(
        "the field map has no name of PEMS for the field", "add it to the field map"
    ),
    FaultCode.REJECTED: Meaning(
        "PEMS refused the change; it is not sent again by itself", "pfa sync retry --dry-run"
    ),
    FaultCode.RETRYING: Meaning("the change waits for its next try", "pfa sync push"),
    FaultCode.RELEASED: Meaning("the change was claimed and given back unsent", "pfa sync push"),
    FaultCode.CONFLICT: Meaning(
        "PEMS changed the same field since it was drafted", "pfa conflict list"
    ),
    FaultCode.INTERNAL: Meaning("an unexpected internal error", "report it, with --debug"),
}
