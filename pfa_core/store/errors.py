"""psycopg's errors as errors of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from pfa_core.errors import (
    ConfigInvalid,
    DatabaseUnavailable,
    Forbidden,
    IllegalTransition,
    Internal,
    InvalidData,
    InvalidRequest,
    InvalidToken,
    IoFailure,
    Locked,
    PfaError,
    SchemaOutdated,
    TokenExpired,
)
from pfa_core.sql.names import typed

_REFUSALS = (
    "authentication failed",
    "not permitted to log in",
    "no such database",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
)
# The second is what the resolver says of a port that is not a number.
_BAD_WORD = re.compile(r"invalid (\w+ )?(value|port)|Servname not supported")
# What poolers say of settings that the address, or PGOPTIONS beside it, sends with the connection.
_START_UP = "unsupported startup parameter"
_NAMELESS = "local user with ID"
NO_ADDRESS = "the database address is not valid"
# What a coordinator says of a node that it does not reach; others' organizations go on.
_NODE = "connection to the remote node"
# What PgBouncer says to a client whose transaction has waited too long for one of its sessions.
_QUEUED = "query_wait_timeout"
_SERIALIZATION = ("40001", "40P01")
# What the schema's own functions say of a refusal; PostgreSQL says nothing so of a privilege that the role lacks.
_REFUSAL = "pfa_refusal"


class InvalidAddress(ConfigInvalid):
    """The address is not one that libpq can read."""


class Refused(Forbidden):
    """A function of the database refuses its caller."""


class TryAgain(DatabaseUnavailable):
    """Nothing was done, and a retry can help."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise psycopg's errors as this package's.

    Their texts are left out, since they may show data or SQL. A text that psycopg cannot send was given by
    the caller.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "a text holds half a surrogate pair, which is not a character"
        ) from error
    except psycopg.Error as error:
        raise translate(error) from error


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
    # A pooler passes the server's last words on and adds its own, two answers to one question.
    if isinstance(error, (psycopg.OperationalError, psycopg.InternalError)) and not state:
        return _lost(error)
    if isinstance(error, psycopg.DataError) and not state and "NUL" in str(error):
        return InvalidRequest("a text holds a NUL character, which cannot be stored")
    return Internal(f"the database refused a statement ({state or type(error).__name__})")


def not_connected(
    error: psycopg.OperationalError, source: str, secret_hosts: Sequence[str] = ()
) -> PfaError:
    """Translate a connection that failed.

    Args:
        source: What named the address.
        secret_hosts: Hosts that may be a part of a password; they are left out.
    """
    if _NAMELESS in str(error):
        return ConfigInvalid(
            "the database address names no user, and this user id has no name of its own",
            hint=f"name one in {source}: postgresql://USER@…",
        )
    if _START_UP in str(error):
        return ConfigInvalid(
            f"the pooler refuses a setting of the address: {_reason(str(error)).rpartition(': ')[2]}",
            hint=f"leave `options` out of {source}, or name it in ignore_startup_parameters of the pooler",
        )
    if any(words in str(error) for words in _REFUSALS):
        refusal = _connection_refused(error)
        return ConfigInvalid(refusal.message, hint=f"see {source}")
    if _BAD_WORD.search(str(error)):
        return InvalidAddress(NO_ADDRESS, hint=f"see {source}")
    translation = translate(error)
    for host in filter(None, secret_hosts):
        shown = re.sub(rf"""['"]{re.escape(host)}['"]""", "…", translation.message)
        translation = type(translation)(shown, hint=translation.hint)
    return translation


def _lost(error: psycopg.Error) -> PfaError:
    said = error.diag.message_primary or ""
    if said.startswith(_NODE):
        return node_lost()
    if said == _QUEUED:
        return TryAgain(
            "the pooler has had no free session of the database for too long",
            hint="repeat it when fewer commands are at work; for good an administrator raises the pooler's"
            " default_pool_size",
        )
    text = "" if error.sqlstate or isinstance(error, psycopg.InternalError) else str(error)
    if any(words in text for words in _REFUSALS):
        return _connection_refused(error)
    reason = _reason(text) if text else "the connection broke"
    # Another wait of the same length, without an answer, would be in vain.
    kind = DatabaseUnavailable if isinstance(error, psycopg.errors.ConnectionTimeout) else TryAgain
    return kind(f"the database is not available: {reason}", hint="type: pfa doctor")


def _reason(text: str) -> str:
    """Extract libpq's reason without the address; it never contains a password."""
    first = text.strip().splitlines()[0] if text.strip() else "no answer"
    return first.rpartition("failed: ")[2]


def not_committed() -> DatabaseUnavailable:
    """Make the error for connections that broke before each commit took effect."""
    return DatabaseUnavailable(
        "the connection broke each time the change was being committed; nothing was stored",
        hint="type: pfa doctor",
    )


def node_lost() -> TryAgain:
    """Make the error for a node that does not answer.

    Or that was lost before a commit took effect.
    """
    return TryAgain(
        "the database is not available: a node that has the organization's tables does not answer",
        hint="type: pfa doctor",
    )


def replica_conflict() -> TryAgain:
    """Make the error for a replica that ended a read."""
    return TryAgain(
        "the replica ended the read: it had to apply a change that takes away rows which the read needs",
        hint="repeat it; for long reads an administrator sets hot_standby_feedback = on for the replica",
    )


def _outdated(_: psycopg.Error) -> PfaError:
    return SchemaOutdated("the database lacks a part of the schema", hint="type: pfa db upgrade")


def _denied(error: psycopg.Error) -> PfaError:
    if error.diag.constraint_name == _REFUSAL:
        return Refused(
            f"refused by the database: {error.diag.message_primary}", hint="type: pfa auth status"
        )
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


def archived(code: str) -> IllegalTransition:
    """Make the error for a change of an archived organization."""
    return IllegalTransition(
        f"the organization {code} is archived: it is read and not changed here",
        hint="work in the database that it was moved to; to go on here an admin types:"
        f" pfa org reopen {code} --reason TEXT",
    )


def _archived(error: psycopg.Error) -> PfaError:
    return archived(error.diag.message_detail or "")


def _bad_rows(error: psycopg.Error) -> PfaError:
    return InvalidData(
        f"{error.diag.message_primary}\nnothing was changed",
        hint="correct or delete them with psql, then type: pfa db upgrade",
    )


def _full(_: psycopg.Error) -> PfaError:
    return IoFailure("the database server's disk is full; nothing was stored")


def _cancelled(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable(
        "the database cancelled a statement: by a time limit, or an administrator"
    )


def _locked(error: psycopg.Error) -> PfaError:
    # The watched connection notes whose lock it waited for.
    holder = next(iter(filter(None, getattr(error, "__notes__", []))), "")
    return locked(holder)


def locked(holder: object) -> Locked:
    """Make the error for a lock that another session holds for too long."""
    said = f": {holder}" if holder else ""
    words = str(holder).split()
    hint = "try again later; pfa db psql shows who holds it in pg_locks"
    if holder:
        hint = f"when it ends, repeat; to end it type: pfa db psql -- -c 'SELECT pg_terminate_backend({words[1]})'"
    return Locked(f"a lock that this needs was not free in time{said}", hint=hint)


def _timed_out(error: psycopg.Error) -> PfaError:
    limit = {
        "25P03": "idle_in_transaction_session_timeout",
        "25P04": "transaction_timeout",
    }[error.sqlstate or ""]
    return DatabaseUnavailable(
        f"the database ended a transaction by its time limit ({limit})",
        hint="repeat the command; where input or reader is slow, go through a file",
    )


def _idled(_: psycopg.Error) -> PfaError:
    return TryAgain("the database ended an idle session (idle_session_timeout)")


def _unstorable(_: psycopg.Error) -> PfaError:
    return InvalidData(
        "a text holds a character that the database cannot store",
        hint="remove NUL characters; the encoding of the database must be UTF8",
    )


def _too_large(_: psycopg.Error) -> PfaError:
    return InvalidData(
        "the input is larger than the database takes in one statement; nothing was stored",
        hint="split it: fewer records, or shorter texts, in one command",
    )


def crowded(waited: float, limited: tuple[str, str] | None = None) -> DatabaseUnavailable:
    """Make the error for a server or pooler without a connection to spare.

    Args:
        limited: The role or database whose own limit refused it, by kind and name.
    """
    since = (
        f"has had no free connection for {waited:.0f} s"
        if waited >= 1
        else "has no free connection"
    )
    if limited:
        kind, name = limited
        return DatabaseUnavailable(
            f"the database {since} for the {kind} {name}, whose limit is reached or 0",
            hint=f"an administrator types: ALTER {kind.upper()} {typed(name)} CONNECTION LIMIT -1;"
            " or repeat it when fewer commands are at work",
        )
    return DatabaseUnavailable(
        f"the database {since}",
        hint="repeat it when fewer commands are at work; type: pfa db psql -- -c"
        " 'SELECT pid, usename, application_name, state FROM pg_stat_activity'",
    )


def _full_of_clients(_: psycopg.Error) -> PfaError:
    return crowded(0)


def _short(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable(
        "the database server lacks memory, or another resource; try again later"
    )


def _lost_statement(_: psycopg.Error) -> PfaError:
    return ConfigInvalid(
        "a prepared statement is lost: a pooler lies between that keeps none",
        hint="set PFA_DATABASE_POOLED=1, or type: pfa config set database_pooled yes",
    )


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
    "PFA06": _archived,
    "PFA10": _bad_rows,
    "PFA": _bad_token,
    "55P03": _locked,
    "57014": _cancelled,
    "25P03": _timed_out,
    "25P04": _timed_out,
    "57P05": _idled,
    "22021": _unstorable,
    "22P05": _unstorable,
    "54000": _too_large,
    "08": _lost,
    "57P": _lost,
    "28": _connection_refused,
    "3D": _connection_refused,
    "42P01": _outdated,
    "42703": _outdated,
    "42883": _outdated,
    "42501": _denied,
    "53100": _full,
    "53300": _full_of_clients,
    "53": _short,
    "25006": _read_only,
    "26000": _lost_statement,
    "42P05": _lost_statement,
}
