"""Pages, totals, KPIs and single records beside bare statements and the predecessor's SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pfa_core
from benchmarks.million import data, predecessor
from benchmarks.million.measure import OFTEN, USED, Figure, interleaved
from benchmarks.million.world import principal
from pfa_core import Database, Filters, Query
from pfa_core.model.query import parse_sort
from pfa_core.store.reads import merged

BARE_PAGE = """
    SELECT pfa_id, data::text FROM pfa_mirror
    WHERE organization_id = %(organization_id)s AND category = 'Mobile Crane'
    ORDER BY forecast_start, pfa_id LIMIT 100"""
BARE_COUNT = """
    SELECT count(*) FROM pfa_mirror
    WHERE organization_id = %(organization_id)s AND category = 'Mobile Crane'"""
FEW = {"organization_id": data.BIG, "user_id": "few"}
CRANES = Query(Filters(category=("Mobile Crane",)))
START = "data ->> 'forecastStart', pfa_id"
# Name → the filters, and the same as the predecessor asks it.
FILTERS: dict[str, tuple[Filters, str]] = {
    "no filter": (Filters(), "true"),
    "--category": (CRANES.filters, "data ->> 'category' = 'Mobile Crane'"),
    "--class": (Filters(class_=("Cranes",)), "data ->> 'class' = 'Cranes'"),
    "--source": (Filters(source=("Purchase",)), "data ->> 'source' = 'Purchase'"),
    "--dor": (Filters(dor=("BEO",)), "data ->> 'dor' = 'BEO'"),
    "--area-silo": (Filters(area_silo=("Jetty",)), "data ->> 'areaSilo' = 'Jetty'"),
    "--manufacturer": (Filters(manufacturer=("Terex",)), "data ->> 'manufacturer' = 'Terex'"),
    "--model": (Filters(model=("A1/1",)), "data ->> 'model' = 'A1/1'"),
    "--contract": (Filters(contract=("C-0001",)), "data ->> 'contract' = 'C-0001'"),
    "--id": (Filters(id=("BIG-0000777",)), "pfa_id = 'BIG-0000777'"),
    "--start-from": (Filters(start_from="2026-12-01"), "data ->> 'forecastStart' >= '2026-12-01'"),
    "--start-to": (Filters(start_to="2024-03-01"), "data ->> 'forecastStart' <= '2024-03-01'"),
    "--end-from": (Filters(end_from="2027-12-01"), "data ->> 'forecastEnd' >= '2027-12-01'"),
    "--end-to": (Filters(end_to="2024-03-01"), "data ->> 'forecastEnd' <= '2024-03-01'"),
    "--actualized": (Filters(actualized=True), "(data ->> 'isActualized')::boolean"),
    "--discontinued": (Filters(discontinued=True), "(data ->> 'isDiscontinued')::boolean"),
    "--transferable": (Filters(transferable=True), "(data ->> 'isFundsTransferable')::boolean"),
    "--changed": (Filters(changed=True), "sync_state <> 'pristine'"),
    "--state draft": (Filters(state=("draft",)), "sync_state = 'draft'"),
    "category, source and area": (
        Filters(category=("Crane",), source=("Rental",), area_silo=("Jetty",)),
        "data ->> 'category' = 'Crane' AND data ->> 'source' = 'Rental'"
        " AND data ->> 'areaSilo' = 'Jetty'",
    ),
    "--search, many": (Filters(search="tower crane"), "{text} ILIKE '%%tower crane%%'"),
    "--search, few": (Filters(search="EQ-00012"), "{text} ILIKE '%%EQ-00012%%'"),
    "--search, none": (Filters(search="zzzqqq"), "{text} ILIKE '%%zzzqqq%%'"),
    "--search, two letters": (Filters(search="jx"), "{text} ILIKE '%%jx%%'"),
    "--search, two letters in some": (Filters(search="bo"), "{text} ILIKE '%%bo%%'"),
}
MOST_OF_A_SEARCH = 0.05
TEXT = (
    "concat_ws(' ', pfa_id, "
    + ", ".join(
        f"data ->> '{name}'"
        for name in (
            "category",
            "class",
            "manufacturer",
            "model",
            "contract",
            "equipment",
            "description",
        )
    )
    + ")"
)
SORTS = ("pfaId", "areaSilo", "category", "class", "source", "dor", "isActualized", "monthlyRate")
SORTS += ("-monthlyRate", "purchasePrice", "manufacturer", "model", "contract", "originalStart")
SORTS += ("actualStart", "forecastEnd", "-forecastStart")
# Of many values. The answer by model has one line for each of 72,000.
FIELDS = ("manufacturer", "contract", "model")
# Every id has it, so that all records are read.
ALL = Filters(search="-")
DIMENSIONS = ("category", "class", "source", "dor", "areaSilo", "isActualized", "isDiscontinued")


def figures(db: Database, rounds: int) -> Iterator[Figure]:
    yield from _pages(db, rounds * 4)
    yield from _filters(db, rounds)
    yield from _totals(db, rounds)
    yield from _kpis(db, rounds)


def _pages(db: Database, rounds: int) -> Iterator[Figure]:
    def bare() -> object:
        return db.read(lambda conn: conn.execute(BARE_PAGE, FEW).fetchall())

    own, yardstick = interleaved(page(db, "few", CRANES), bare, rounds)
    yield Figure("page of 100 by category and forecastStart", "bare index scan", own, yardstick, 2)
    own, yardstick = interleaved(page(db, "many", CRANES), page(db, "few", CRANES), rounds)
    yield Figure("the same with 5,000 drafts", "with 500", own, yardstick, 3)
    far = replace(Query(), after=_cursor(db, 999))
    own, yardstick = interleaved(page(db, "few", far), page(db, "few", Query()), rounds)
    yield Figure("page 1,000 by cursor", "page 1", own, yardstick, 1.3)


def _cursor(db: Database, pages: int) -> str:
    def walk(conn: Any) -> str:
        return merged.page(conn, principal("few"), Query(), limit=100 * pages)[1] or ""

    return db.read(walk)


def page(db: Database, user: str, query: Query) -> Callable[[], object]:
    """A call that reads the page of a hundred."""
    who = principal(user)
    return lambda: db.read(lambda conn: merged.page(conn, who, query, limit=100))


def _old(db: Database, statement: str) -> Callable[[], object]:
    return lambda: db.read(lambda conn: conn.execute(statement, FEW).fetchall())


def _filters(db: Database, rounds: int) -> Iterator[Figure]:
    few = max(1, rounds // 2)
    for name, (filters, where) in FILTERS.items():
        old = _old(db, predecessor.page(where.replace("{text}", TEXT), START))
        # Quick on both sides: as often as on a connection that is used.
        often = OFTEN if filters.id else few
        own, yardstick = interleaved(page(db, "few", Query(filters)), old, often)
        yield Figure(f"page: {name}", "the predecessor's SQL", own, yardstick, 1)
    for name, (filters, _) in FILTERS.items():
        if filters.search:
            work = page(db, "few", Query(filters))
            own, yardstick = interleaved(work, lambda: MOST_OF_A_SEARCH, rounds * 2)
            yield Figure(f"page: {name}", "what it may take", own, yardstick, 1)
    for name in SORTS:
        key, down = name.removeprefix("-"), " DESC NULLS LAST" if name[0] == "-" else ""
        value = f"data ->> '{key}'"
        if key in ("monthlyRate", "purchasePrice"):
            value = f"({value})::numeric"
        old = _old(db, predecessor.page("true", f"{value}{down}, pfa_id"))
        query = Query(Filters(), parse_sort(name))
        own, yardstick = interleaved(page(db, "few", query), old, few)
        yield Figure(f"page: --sort {name}", "the predecessor's SQL", own, yardstick, 1)


def _totals(db: Database, rounds: int) -> Iterator[Figure]:
    def total(query: Query) -> Callable[[], object]:
        return lambda: db.read(lambda conn: merged.count(conn, principal("few"), query))

    everything = "SELECT count(*) FROM pfa_mirror WHERE organization_id = %(organization_id)s"
    own, yardstick = interleaved(total(Query()), _old(db, everything), rounds)
    yield Figure("total of all", "count(*) by index", own, yardstick, 1 / 20)
    own, yardstick = interleaved(total(CRANES), _old(db, BARE_COUNT), rounds)
    yield Figure("total of a category", "count(*) by index", own, yardstick, 1 / 20)


def _kpis(db: Database, rounds: int) -> Iterator[Figure]:
    def stats(*by: str, filters: Filters = Filters()) -> Callable[[], object]:  # noqa: B008 - frozen
        return lambda: pfa_core.compute_stats(db, principal("few"), filters, by=by)

    few = max(1, rounds // 2)
    for dimension in ("", *DIMENSIONS):
        work = stats(*filter(None, [dimension]))
        for _ in range(USED):  # the yardstick takes seconds, and plans a thousandth of them
            work()
        old, name = predecessor.stats(), "stats over all"
        if dimension:
            old, name = predecessor.stats(f"data ->> '{dimension}'"), f"stats --by {dimension}"
        own, yardstick = interleaved(work, _old(db, old), few)
        yield Figure(name, "live aggregation", own, yardstick, 1 / 100)
    for field in FIELDS:
        old = predecessor.stats(f"data ->> '{field}'")
        own, yardstick = interleaved(stats(field), _old(db, old), few)
        yield Figure(f"stats --by {field}", "live aggregation", own, yardstick, 1 / 10)
    for period in ("month", "year"):
        own, yardstick = interleaved(stats(period), stats(period, filters=ALL), few)
        yield Figure(f"stats --by {period}", "the same of a search for all", own, yardstick, 1 / 10)
