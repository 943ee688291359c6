"""The search for free text.

Records are read in order where a page of it fills early, else found in the index and then sorted.
Reading in order finds common words at once and rare ones at the end of the table; the trigram index is
the other way about. It serves words of three letters; of two it has all threes that contain them, where it
takes ASCII letters alone for letters, as in a database with locale C. The planner's statistics know neither how
common a word is nor where it stands, so the first records in order are searched.

Under row-level security the index does not serve at all: LIKE is not leakproof, so PostgreSQL evaluates it
for every record, after the policy. A function with its owner's rights searches the index and returns the ids.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.query import Filters
from pfa_core.store import rls
from pfa_core.store.reads.filters import conditions, containing, escape_like, is_indexed, takes_all
from pfa_core.store.reads.keyset import Segment

_SQL = sql.statements("search")
# That many are looked up by id and sorted about as fast as a page of more common words is read in order.
MOST = 7000
# That many are read in order before the word counts as rare: some milliseconds.
AHEAD = 3000
# Where a fifth of a page is among them, a page is found in five times as many; of fewer matches that is chance.
_SHARE, _SURE = 5, 20
_PAIR = re.compile(r"[0-9A-Za-z]{2}")
# Whether the index serves two letters, by connection: it depends on the database's locale.
_finding_pairs: WeakKeyDictionary[Connection[Any], bool] = WeakKeyDictionary()


def soon(
    conn: Connection[Any], filters: Filters, segment: Segment, values: dict[str, Any], upto: int
) -> bool:
    """Return whether a segment read in order fills a page of what is searched early.

    The first records contain a page, or so many evenly spread matches that it is not far. A cluster at the
    beginning says nothing of what follows.
    """
    statement = _SQL["soon"].format(
        segment=segment.of_mirror,
        order=segment.order,
        others=conditions(replace(filters, search=None))[0],
        search=containing(filters, in_order=True),
    )
    row = conn.execute(statement, {**values, "ahead": AHEAD, "upto": upto}).fetchone()
    found, late = row or (0, 0)
    return found == upto or (found >= max(upto // _SHARE, _SURE) and late >= found // 3)


def few(conn: Connection[Any], filters: Filters, values: dict[str, Any]) -> list[str] | None:
    """Find the mirror's records that match; None: too many."""
    asked = {**values, "most": MOST}
    pair = _pair(conn, filters)
    if pair:
        asked |= {"pair": pair, "pattern": f"%{escape_like(filters.search or '')}%"}
    elif not is_indexed(filters):
        statement = _SQL["few_of_all"].format(conditions=conditions(filters)[0])
        row = conn.execute(statement, asked).fetchone()
        return row[0] if row else None
    block = _SQL.for_role("few_of_pair" if pair else "few", rls=rls.applies(conn))
    statement = block.format(conditions=conditions(filters)[0])
    ids = [row[0] for row in conn.execute(statement, asked).fetchall()]
    return ids if len(ids) <= MOST else None


def finds_matching(conn: Connection[Any], filters: Filters) -> bool:
    """Return whether what `few` finds matches the other filters too."""
    return not rls.applies(conn) or takes_all(replace(filters, search=None))


def _pair(conn: Connection[Any], filters: Filters) -> str | None:
    """Return two letters or digits of a search that has no three in a row.

    None where the index does not serve them.
    """
    match = None if is_indexed(filters) else _PAIR.search(filters.search or "")
    if match is None:
        return None
    if conn not in _finding_pairs:
        row = conn.execute(_SQL["finds_pairs"]).fetchone()
        _finding_pairs[conn] = bool(row and row[0])
    return match[0].lower() if _finding_pairs[conn] else None


def count(conn: Connection[Any], filters: Filters) -> LiteralString | None:
    """Compose the count of the mirror's records in the index.

    None: there are other filters, or it does not serve.
    """
    only_search = filters == Filters(search=filters.search)
    return _SQL["count_found"] if only_search and _by_function(conn, filters) else None


def in_order(filters: Filters) -> LiteralString:
    """Compose the conditions on the mirror for a page that is read in order."""
    others, _ = conditions(replace(filters, search=None))
    return _SQL["in_order"].format(others=others, search=containing(filters, in_order=True))


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
