""" "Did you mean" suggestions for values of filters."""

from __future__ import annotations

import difflib
from typing import Any

from psycopg import Connection

from pfa_core.model.principal import Principal
from pfa_core.model.query import EQUAL_FILTERS, Filters
from pfa_core.store.reads import merged


def suggest(conn: Connection[Any], principal: Principal, filters: Filters) -> str:
    """Suggest a known value for one that no record has.

    Returns:
        The suggestion; '' where all exist or none is similar.
    """
    for name, field in EQUAL_FILTERS.items():
        for value in getattr(filters, name):
            similar = _similar(conn, principal, field, value)
            if similar:
                option = name.rstrip("_").replace("_", "-")
                return f"no record has {option} {value!r}; did you mean {similar!r}?"
    return ""


def _similar(conn: Connection[Any], principal: Principal, field: str, value: str) -> str:
    if merged.has_value(conn, principal, field, value):
        return ""
    known = merged.known_values(conn, principal.organization_id, field)
    folded = {text.casefold(): text for text in known}
    similar = difflib.get_close_matches(value.casefold(), folded, n=1, cutoff=0.5)
    return folded[similar[0]] if similar else ""
