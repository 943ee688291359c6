"""What comes nearest to a value that no record has: for whoever mistyped a filter."""

from __future__ import annotations

import difflib
from typing import Any

from psycopg import Connection

from pfa_core.model.principal import Principal
from pfa_core.model.query import EQUAL_FILTERS, Filters
from pfa_core.store.reads import merged


def nearest(conn: Connection[Any], principal: Principal, filters: Filters) -> str:
    """Of filters that found nothing: which value exists nowhere and which one comes nearest; empty where
    every value exists, or none is near."""
    for name, field in EQUAL_FILTERS.items():
        for value in getattr(filters, name):
            near = _nearest(conn, principal, field, value)
            if near:
                option = name.rstrip("_").replace("_", "-")
                return f"no record has {option} {value!r}; the nearest is {near!r}"
    return ""


def _nearest(conn: Connection[Any], principal: Principal, field: str, value: str) -> str:
    if merged.has_value(conn, principal, field, value):
        return ""
    known = merged.known_values(conn, principal.organization_id, field)
    folded = {text.casefold(): text for text in known}
    near = difflib.get_close_matches(value.casefold(), folded, n=1, cutoff=0.5)
    return folded[near[0]] if near else ""
