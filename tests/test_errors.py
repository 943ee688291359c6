"""The error tree: codes, exit codes and what can be tried again."""

from __future__ import annotations

import re

import pytest

from pfa_core import errors
from pfa_core.errors import Fault, PfaError

# cli.md, "Exit codes" and "Errors".
EXPECTED = {
    "Internal": ("INTERNAL", 1, False),
    "InvalidRequest": ("INVALID_REQUEST", 2, False),
    "NotSignedIn": ("UNAUTHORIZED", 4, False),
    "Unauthorized": ("UNAUTHORIZED", 4, False),
    "TokenExpired": ("TOKEN_EXPIRED", 4, False),
    "InvalidToken": ("INVALID_TOKEN", 4, False),
    "NotAllowed": ("FORBIDDEN", 5, False),
    "Forbidden": ("FORBIDDEN", 5, False),
    "PermissionDenied": ("PERMISSION_DENIED", 5, False),
    "NotFound": ("NOT_FOUND", 6, False),
    "NoDrafts": ("NO_DRAFTS", 6, False),
    "Conflict": ("VERSION_CONFLICT", 7, False),
    "VersionConflict": ("VERSION_CONFLICT", 7, False),
    "BaselineConflict": ("BASELINE_CONFLICT", 7, False),
    "IllegalTransition": ("ILLEGAL_TRANSITION", 7, False),
    "SessionMismatch": ("SESSION_MISMATCH", 7, False),
    "InvalidData": ("INVALID_DATA", 9, False),
    "DatabaseUnavailable": ("DATABASE_UNAVAILABLE", 69, True),
    "IoFailure": ("IO_ERROR", 74, False),
    "ReaderGone": ("READER_GONE", 141, False),
    "LeaseHeld": ("LEASE_HELD", 75, True),
    "Locked": ("LOCKED", 75, True),
    "ConfigInvalid": ("CONFIG_INVALID", 78, False),
    "SchemaOutdated": ("SCHEMA_OUTDATED", 78, False),
}


def tree(kind: type[PfaError] = PfaError) -> list[type[PfaError]]:
    """Every public error below a kind."""
    below = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [*below, *(leaf for child in below for leaf in tree(child))]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_an_error_has_the_code_and_exit_code_that_scripts_rely_on(kind):
    # Errors that later parts add have to fit the table of exit codes too.
    if kind.__name__ in EXPECTED:
        assert (kind.code, kind.exit_code, kind.retryable) == EXPECTED[kind.__name__]
    assert kind.exit_code in {1, 2, 4, 5, 6, 7, 9, 69, 74, 75, 76, 78, 141}
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", kind.code)


def test_no_error_of_the_contract_is_missing():
    assert set(EXPECTED) <= {kind.__name__ for kind in tree()}


def test_leaves_never_share_a_code():
    leaves = [kind for kind in tree() if not set(kind.__subclasses__()) & set(tree())]
    assert len({leaf.code for leaf in leaves}) == len(leaves)


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_the_drawing_at_the_top_of_the_file_tells_the_same(kind):
    line = re.search(rf"^.*── {kind.__name__}\b(.*)$", errors.__doc__, re.MULTILINE)
    assert line, f"{kind.__name__} is not drawn"
    if line[1].strip():
        code, exit_code = line[1].split()[:2]
        assert (code, int(exit_code)) == (kind.code, kind.exit_code)


def test_an_error_carries_its_facts_as_fields():
    fault = Fault("P-1", "monthlyRate", "INVALID_RANGE", "must not be negative", position="line 7")
    error = errors.InvalidData("1 problem", hint="look", details=[fault])
    assert (str(error), error.message, error.hint, error.details) == (
        "1 problem",
        "1 problem",
        "look",
        (fault,),
    )
    assert errors.NotFound("x").hint == ""
    assert errors.NotFound("x").details == ()
