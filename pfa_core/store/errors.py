"""psycopg's errors as errors of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from pfa_core.errors import (
    ConfigInvalid,
    DatabaseUnavailable,
    Forbidden,
    Internal,
    InvalidToken,
    IoFailure,
    PfaError,
    SchemaOutdated,
    TokenExpired,
)

_REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
)
_BAD_WORD = re.compile(r"invalid (\w+ )?(value|port)")
NO_ADDRESS = "the database address is not valid"
_SERIALIZATION = ("40001", "40P01")


class InvalidAddress(ConfigInvalid):
    """The address is not one that libpq can read."""


class TryAgain(DatabaseUnavailable):
    """Nothing was done, and a retry can help."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise psycopg's errors as this package's.

    Their texts are left out, since they may show data or SQL.
    """
    try:
        yield
    except psycopg.Error as error:
        translation = translate(error)
        # libpq quotes an invalid address, password included, so it must not be the cause.
        raise translation from (None if isinstance(translation, InvalidAddress) else error)


def translate(error: psycopg.Error) -> PfaError:
    """Translate one of psycopg's errors into the one that says what the caller can do."""
    state = error.sqlstate or ""
    if state in _SERIALIZATION:
        return TryAgain(
            "the database was too busy: concurrent transactions kept failing on each other"
        )
    for prefix, make in _BY_SQLSTATE.items():
        if state.startswith(prefix):
            return make(error)
    if isinstance(error, psycopg.OperationalError) and not state:
        return _lost(error)
    return Internal(f"the database refused a statement ({state or type(error).__name__})")


def _lost(error: psycopg.Error) -> PfaError:
    text = str(error) if not error.sqlstate else ""
    if any(words in text for words in _REFUSALS):
        return _connection_refused(error)
    if _BAD_WORD.search(text):
        return InvalidAddress(NO_ADDRESS, hint="see PFA_DATABASE_URL")
    reason = _reason(text) if text else "the connection broke"
    return TryAgain(f"the database is not available: {reason}", hint="type: pfa doctor")


def _reason(text: str) -> str:
    """Extract libpq's reason without the address; it never contains a password."""
    first = text.strip().splitlines()[0] if text.strip() else "no answer"
    return first.rpartition("failed: ")[2]


def commit_unknown() -> DatabaseUnavailable:
    """Make the error for a connection that broke during a commit."""
    return DatabaseUnavailable(
        "the connection broke while the change was being committed; it may be stored or not",
        hint="type: pfa status, then repeat the command if the change is not there",
    )


def _outdated(_: psycopg.Error) -> PfaError:
    return SchemaOutdated("the database lacks a part of the schema", hint="type: pfa db upgrade")


def _denied(_: psycopg.Error) -> PfaError:
    return ConfigInvalid(
        "the database role lacks a privilege that pfa needs",
        hint="what sets up organizations and keys needs the owner's address: see --database-url",
    )


def _expired_token(_: psycopg.Error) -> PfaError:
    return TokenExpired("the token has expired", hint=_SIGN_IN)


def _foreign_token(_: psycopg.Error) -> PfaError:
    return Forbidden("the token does not hold this organization", hint="type: pfa auth status")


def _bad_token(error: psycopg.Error) -> PfaError:
    reasons = {
        "PFA03": "the token was revoked",
        "PFA05": "the key that signed the token has ended",
    }
    unknown = "the database does not know the key that signed the token"
    return InvalidToken(reasons.get(error.sqlstate or "", unknown), hint=_SIGN_IN)


def _full(_: psycopg.Error) -> PfaError:
    return IoFailure("the database server's disk is full; nothing was stored")


def _cancelled(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable(
        "the database cancelled a statement: by a time limit, or an administrator"
    )


def _busy(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable("the database has no free connection; try again later")


def _read_only(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable("the database is read-only (a replica?); nothing was stored")


def _connection_refused(_: psycopg.Error) -> PfaError:
    return ConfigInvalid("the database refuses this user, password or database name")


_SIGN_IN = (
    "type: pfa init --org CODE; or an admin: pfa auth issue --user USER, then: pfa auth login"
)
# PFA…: how the database itself refuses a token.
_BY_SQLSTATE: dict[str, Callable[[psycopg.Error], PfaError]] = {
    "PFA02": _expired_token,
    "PFA04": _foreign_token,
    "PFA": _bad_token,
    "55P03": _cancelled,
    "57014": _cancelled,
    "08": _lost,
    "57P": _lost,
    "28": _connection_refused,
    "3D": _connection_refused,
    "42P01": _outdated,
    "42703": _outdated,
    "42883": _outdated,
    "42501": _denied,
    "53100": _full,
    "53": _busy,
    "25006": _read_only,
}
