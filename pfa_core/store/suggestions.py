""" "Did you mean" suggestions out of what the database holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from pfa_core.model.ids import PfaId
from pfa_core.model.principal import Principal
from pfa_core.model.query import EQUAL_FILTERS, Filters
from pfa_core.model.suggest import did_you_mean, nearest
from pfa_core.store import mirror, modifications
from pfa_core.store.reads import merged

_MOST_DIGITS = 9  # of a number whose zeros are tried


def suggest(conn: Connection[Any], principal: Principal, filters: Filters) -> str:
    """Suggest a known value for one that no record has.

    Returns:
        The suggestion; '' where all exist or none is similar. An unknown session is named in any case: without its
        changes sums of it are 0, as of one that costs nothing.
    """
    for session_id in filters.session:
        if not modifications.states_of_session(conn, principal, session_id):
            like = like_session(conn, principal, session_id)
            return f"{principal.user_id} has no session {session_id!r}{like}"
    for name, field, value in _wanted(filters):
        similar = _similar(conn, principal, field, value)
        if similar:
            return f"no record has {name} {value!r}; did you mean {similar!r}?"
    return ""


def _wanted(filters: Filters) -> Iterator[tuple[str, str, str]]:
    """Yield the values that filters ask for.

    Each is the filter's name for the field, the field and the value.
    """
    for name, field in EQUAL_FILTERS.items():
        for value in getattr(filters, name):
            yield name.rstrip("_").replace("_", "-"), field, value
    if filters.where:
        from pfa_core.store.reads.where import equalities  # loaded for an expression only

        for part in equalities(filters):
            field, values = part or (None, ())
            if field and field.is_key:
                yield from ((field.name, field.name, str(value)) for value in values)


def like_session(conn: Connection[Any], principal: Principal, session_id: str) -> str:
    """Name the caller's similar active session as the end of a message, or empty."""
    known = {row.session_id: None for row in modifications.sessions(conn, principal)}
    return "" if session_id in known else did_you_mean(session_id, known)


def like_record(conn: Connection[Any], principal: Principal, pfa_id: str) -> str:
    """Name the record that an id means as the end of a message, or empty.

    Its case and the zeros before its last number may differ; a nearest id among all would cost a look at each.
    """
    written = (pfa_id, pfa_id.upper(), pfa_id.lower())
    ids = [
        PfaId(text) for text in dict.fromkeys(other for one in written for other in _padded(one))
    ]
    found = [*mirror.rows(conn, principal.organization_id, ids)]
    return f"; did you mean {found[0]}?" if found else ""


def _padded(pfa_id: str) -> list[str]:
    """List the id with its last number written with more and fewer zeros before it."""
    before = pfa_id.rstrip("0123456789")
    if before == pfa_id:
        return [pfa_id]
    digits = pfa_id[len(before) :].lstrip("0")
    return [pfa_id, *(before + digits.zfill(width) for width in range(1, _MOST_DIGITS + 1))]


def _similar(conn: Connection[Any], principal: Principal, field: str, value: str) -> str:
    if merged.has_value(conn, principal, field, value):
        return ""
    known = merged.known_values(conn, principal.organization_id, field)
    return nearest(value, known, 0.5)
