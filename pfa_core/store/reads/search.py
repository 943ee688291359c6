"""Free text: read in order where a page of it comes soon, else found first and then sorted.

Reading in order finds common words at once and rare ones at the end of the table; the index of words is the
other way about, and knows no word of fewer than three letters. The planner can tell neither from its
statistics, so the first records in order are asked.

Behind the wall it cannot choose either: LIKE is not leakproof. Under a policy PostgreSQL asks it of every
record, after the policy, and never an index of words. A function of the owner's asks the index and tells the
ids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.query import Filters
from pfa_core.store import rls
from pfa_core.store.reads.filters import conditions, containing, is_indexed
from pfa_core.store.reads.keyset import Stretch

_SQL = sql.statements("search")
# So many are looked up by id and sorted about as fast as a page of more common words is read in order.
MOST = 2000
# So many are read in order before the search is taken for a rare one: some milliseconds.
AHEAD = 3000


def soon(
    conn: Connection[Any], filters: Filters, stretch: Stretch, values: dict[str, Any], upto: int
) -> bool:
    """Whether the search finds so many among the first records of the stretch that they are best read in
    its order."""
    statement = _SQL["soon"].format(
        stretch=stretch.of_mirror,
        order=stretch.order,
        others=conditions(replace(filters, search=None))[0],
        search=containing(filters),
    )
    row = conn.execute(statement, {**values, "ahead": AHEAD, "upto": upto}).fetchone()
    return bool(row and row[0] == upto)


def few(conn: Connection[Any], filters: Filters, values: dict[str, Any]) -> list[str] | None:
    """The ids of the mirror's records that the search finds; None: too many."""
    asked = {**values, "most": MOST}
    if not is_indexed(filters):
        statement = _SQL["few_of_all"].format(conditions=conditions(filters)[0])
        row = conn.execute(statement, asked).fetchone()
        return row[0] if row else None
    block = _SQL.for_role("few", rls=rls.applies(conn))
    statement = block.format(conditions=conditions(filters)[0])
    ids = [row[0] for row in conn.execute(statement, asked).fetchall()]
    return ids if len(ids) <= MOST else None


def count(conn: Connection[Any], filters: Filters) -> LiteralString | None:
    """How many records of the mirror there are, as a sub-select; None where it takes more than the search
    to tell."""
    alone = filters == Filters(search=filters.search)
    return _SQL["count_found"] if alone and _asks_function(conn, filters) else None


def among_few(where: LiteralString, found: list[str] | None) -> LiteralString:
    """Conditions on the mirror, held to the ids that were found."""
    return where if found is None else _SQL["among_few"].format(where=where)


def among_all(conn: Connection[Any], filters: Filters, where: LiteralString) -> LiteralString:
    """Conditions on the mirror that count everything: where there is a search, held to what it finds."""
    if not _asks_function(conn, filters):
        return where
    return _SQL["among_all"].format(where=where)


def _asks_function(conn: Connection[Any], filters: Filters) -> bool:
    return is_indexed(filters) and rls.applies(conn)
