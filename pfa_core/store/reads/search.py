"""The search for free text.

Records are read in order where a page of it fills early, else found in the index and then sorted.
Reading in order finds common words at once and rare ones at the end of the table; the trigram index is
the other way about, and serves no word of fewer than three letters. The planner's statistics know
neither, so the first records in order are searched.

Under row-level security the index does not serve at all: LIKE is not leakproof, so PostgreSQL evaluates it
for every record, after the policy. A function with its owner's rights searches the index and returns the ids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.query import Filters
from pfa_core.store import rls
from pfa_core.store.reads.filters import conditions, containing, is_indexed
from pfa_core.store.reads.keyset import Segment

_SQL = sql.statements("search")
# That many are looked up by id and sorted about as fast as a page of more common words is read in order.
MOST = 2000
# That many are read in order before the word counts as rare: some milliseconds.
AHEAD = 3000


def soon(
    conn: Connection[Any], filters: Filters, segment: Segment, values: dict[str, Any], upto: int
) -> bool:
    """Return whether the segment's first records contain a page of what is searched."""
    statement = _SQL["soon"].format(
        segment=segment.of_mirror,
        order=segment.order,
        others=conditions(replace(filters, search=None))[0],
        search=containing(filters),
    )
    row = conn.execute(statement, {**values, "ahead": AHEAD, "upto": upto}).fetchone()
    return bool(row and row[0] == upto)


def few(conn: Connection[Any], filters: Filters, values: dict[str, Any]) -> list[str] | None:
    """Find the mirror's records that match; None: too many."""
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
    """Compose the count of the mirror's records in the index.

    None: there are other filters, or it does not serve.
    """
    only_search = filters == Filters(search=filters.search)
    return _SQL["count_found"] if only_search and _by_function(conn, filters) else None


def among_few(filters: Filters, where: LiteralString, found: list[str] | None) -> LiteralString:
    """Restrict conditions on the mirror to the ids that were found.

    They contain what is searched for: to ask it again would read the index of words again.
    """
    if found is None:
        return where
    others, _ = conditions(replace(filters, search=None))
    return _SQL["among_few"].format(where=others)


def among_all(conn: Connection[Any], filters: Filters, where: LiteralString) -> LiteralString:
    """Restrict conditions on the mirror to what a search finds.

    Without row-level security they stay as they are.
    """
    if not _by_function(conn, filters):
        return where
    return _SQL["among_all"].format(where=where)


def _by_function(conn: Connection[Any], filters: Filters) -> bool:
    return is_indexed(filters) and rls.applies(conn)
