"""Free text behind the wall: found by the index first, then read.

LIKE is not leakproof. Under a policy PostgreSQL asks it of every record, after the policy, and never an
index of words. A function of the owner's asks the index and tells the ids.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg import sql as compose

from pfa_core import sql
from pfa_core.model.query import Filters
from pfa_core.store import wall

_SQL = sql.statements("finding")
# So many are looked up by id and sorted about as fast as a page of more common words is read in order.
MOST = 2000
_COUNT_FOUND = compose.SQL(_SQL["count_found"])
_AMONG_FEW, _AMONG_ALL = (compose.SQL(_SQL[name]) for name in ("among_few", "among_all"))


def few(conn: Connection[Any], filters: Filters, values: dict[str, Any]) -> list[str] | None:
    """The ids of the mirror's records that the search finds; None: too many, no search, or no need."""
    if not filters.search or not wall.is_bound(conn):
        return None
    asked = {"search": values["search"], "most": MOST}
    found = [row[0] for row in conn.execute(_SQL["few_found"], asked).fetchall()]
    return found if len(found) <= MOST else None


def count(conn: Connection[Any], filters: Filters) -> compose.Composable | None:
    """How many records of the mirror there are, as a sub-select; None where it takes more than the search
    to tell."""
    alone = filters == Filters(search=filters.search)
    return _COUNT_FOUND if filters.search and alone and wall.is_bound(conn) else None


def among_few(where: compose.Composable, found: list[str] | None) -> compose.Composable:
    """Conditions on the mirror, held to the ids that were found."""
    return where if found is None else _AMONG_FEW.format(where=where)


def among_all(
    conn: Connection[Any], filters: Filters, where: compose.Composable
) -> compose.Composable:
    """Conditions on the mirror that count everything: where there is a search, held to what it finds."""
    if not filters.search or not wall.is_bound(conn):
        return where
    return _AMONG_ALL.format(where=where)
