"""What changed costs what changed: a page reads a page, totals read the time that is asked of, on both sides of
row-level security."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.model.change_order import Place, decode_place, encode_place
from pfa_core.model.costing import Costing
from pfa_core.model.ids import PfaId, RunId
from pfa_core.model.ordering import CHANGES
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.sql import statements
from pfa_core.store import members, mirror
from pfa_core.store.reads.changes import Changes, Span, settled
from tests.factories import SelfClosing, World
from tests.plans.large import FEW_OF_ONE, PAGE, RECORDS, a_large_world
from tests.plans.watching import Plans, assert_few_rows
from tests.server import Server

NIGHTS = 14
NIGHTLY = RECORDS // 100
# A row more than a page of each part, and each row's version before.
A_PAGE = 3 * PAGE
LATEST = CHANGES.parse()

_NIGHT = """
    INSERT INTO pfa_incoming (pfa_id, data)
    SELECT pfa_id, data || jsonb_build_object('monthlyRate', %(night)s * 10)
    FROM pfa_mirror
    WHERE organization_id = 'ORG' AND (substr(pfa_id, 3)::integer + %(night)s * 37) %% 100 = 0"""


@pytest.fixture(scope="module")
def world(postgres: Server) -> Iterator[World]:
    """20,000 records and what fourteen nights changed, 1 % each; the statistics know of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_TEST_BOUND", "1")
        with a_large_world(postgres) as world:
            for night in range(NIGHTS):
                world.owner.transact(lambda conn, night=night: _change(conn, world, night))
            with psycopg.connect(world.url, autocommit=True) as admin:
                admin.execute("VACUUM ANALYZE pfa_mirror, pfa_mirror_history")
            yield world


def _change(conn: Connection[Any], world: World, night: int) -> None:
    members.lock_mirror(conn, "ORG")
    conn.execute(statements("mirror")["create_incoming"])
    conn.execute(_NIGHT, {"night": night + 1})
    at = world.db.clock() - timedelta(days=NIGHTS - night, hours=-12)
    mirror.take_in(conn, "ORG", RunId(str(world.db.new_id())), at)


class Explaining:
    """A connection that explains each statement about changes before it runs it."""

    def __init__(self, conn: Connection[Any]) -> None:
        self.conn = conn
        self.reports: list[dict[str, Any]] = []

    def execute(self, statement: Any, values: Any = None) -> Any:
        self._explain(statement, values)
        return self.conn.execute(statement, values)

    def cursor(self, **rest: Any) -> Any:
        cursor, explaining = self.conn.cursor(**rest), self

        class Cursor:
            def __enter__(self) -> Cursor:
                return self

            def __exit__(self, *_: object) -> None:
                cursor.close()

            def execute(self, statement: Any, values: Any) -> Any:
                explaining._explain(statement, values)
                return cursor.execute(statement, values)

        return Cursor()

    def _explain(self, statement: Any, values: Any) -> None:
        prefix = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
        row = self.conn.execute(prefix + statement, values).fetchone()
        self.reports.append(row[0][0] if row else {})


Read = Callable[[Any, Principal], Any]
Explained = Callable[[Read], tuple[Plans, Any]]


@pytest.fixture(params=["without rls", "under rls"])
def explained(world: World, request: pytest.FixtureRequest) -> Iterator[Explained]:
    """What a read gives, and how it was planned, in a fresh session."""
    bound = request.param == "under rls"
    db = SelfClosing((world.db if bound else world.owner).conninfo)

    def run(read: Read) -> tuple[Plans, Any]:
        def work(conn: Connection[Any]) -> tuple[Plans, Any]:
            principal = world.principal("ann")
            if bound:
                authorize(conn, principal, Operation.LIST_CHANGES)
            explaining = Explaining(conn)
            result = read(explaining, principal)
            return Plans(explaining.reports), result

        return db.read(work)

    yield run
    db.close()


def changes(span: Span, filters: Filters = Filters()) -> Callable[[Any, Principal], Changes]:  # noqa: B008 - frozen
    return lambda conn, who: Changes(
        conn=conn, principal=who, span=span, filters=filters, costing=Costing()
    )


def page(span: Span, place: Place | None = None, filters: Filters = Filters()) -> Read:  # noqa: B008 - frozen
    return lambda conn, who: changes(span, filters)(conn, who).page(LATEST, place, limit=PAGE + 1)


def totals(span: Span, filters: Filters = Filters()) -> Read:  # noqa: B008 - frozen
    return lambda conn, who: changes(span, filters)(conn, who).totals()


def ago(world: World, **length: int) -> datetime:
    return world.db.clock() - timedelta(**length)


@pytest.mark.long
def test_a_page_reads_a_page_however_much_changed(explained: Explained, world: World) -> None:
    plans, rows = explained(page(Span(since=ago(world, days=NIGHTS))))
    assert len(rows) == PAGE + 1
    assert "pfa_mirror_changed" in plans.indexes("pfa_mirror")
    assert_few_rows(plans, "pfa_mirror", A_PAGE)
    assert_few_rows(plans, "pfa_mirror_history", A_PAGE)


@pytest.mark.long
def test_a_page_behind_a_cursor_costs_what_the_first_one_costs(
    explained: Explained, world: World
) -> None:
    span = Span(since=ago(world, days=NIGHTS))
    _, rows = explained(lambda conn, who: changes(span)(conn, who).page(LATEST, None, limit=1500))
    place = decode_place(LATEST, encode_place(LATEST, rows[-1]))
    plans, following = explained(page(span, place))
    assert len(following) == PAGE + 1
    assert following[0].at <= rows[-1].at
    assert_few_rows(plans, "pfa_mirror", 2 * A_PAGE)
    assert_few_rows(plans, "pfa_mirror_history", 2 * A_PAGE)


@pytest.mark.long
def test_totals_read_what_changed_in_the_time_asked_of(explained: Explained, world: World) -> None:
    plans, found = explained(totals(Span(since=ago(world, hours=24))))
    assert found[:3] == (0, NIGHTLY, 0)
    assert_few_rows(plans, "pfa_mirror", 2 * NIGHTLY)
    assert_few_rows(plans, "pfa_mirror_history", 2 * NIGHTLY)


@pytest.mark.long
def test_a_filter_reads_no_more_than_what_changed(explained: Explained, world: World) -> None:
    filters = Filters(category=("Category 3",), where="monthlyRate > 0", today="2026-01-01")
    span = Span(since=ago(world, hours=24))
    for read in (page(span, filters=filters), totals(span, filters)):
        plans, _ = explained(read)
        assert_few_rows(plans, "pfa_mirror", 3 * NIGHTLY)
        assert_few_rows(plans, "pfa_mirror_history", 2 * NIGHTLY)


@pytest.mark.long
def test_a_past_night_is_read_from_the_versions_that_were_written_then(
    explained: Explained, world: World
) -> None:
    span = Span(since=ago(world, days=10), until=ago(world, days=9))
    plans, rows = explained(page(span))
    assert len(rows) == PAGE + 1
    assert_few_rows(plans, "pfa_mirror", A_PAGE + 2 * NIGHTLY)
    assert_few_rows(plans, "pfa_mirror_history", A_PAGE + 2 * NIGHTLY)


@pytest.mark.long
def test_a_page_of_the_log_of_pems_reads_a_page(explained: Explained) -> None:
    plans, rows = explained(page(Span(each=True)))
    assert len(rows) == PAGE + 1
    assert plans.indexes("pfa_mirror_history") >= {"pfa_mirror_history_written"}
    assert_few_rows(plans, "pfa_mirror", 2 * A_PAGE)
    assert_few_rows(plans, "pfa_mirror_history", 2 * A_PAGE)


@pytest.mark.long
def test_the_history_of_a_record_is_looked_up(explained: Explained) -> None:
    one = PfaId("P-000100")
    plans, rows = explained(page(Span(each=True, pfa_id=one)))
    assert rows
    assert_few_rows(plans, "pfa_mirror", FEW_OF_ONE)
    assert_few_rows(plans, "pfa_mirror_history", FEW_OF_ONE)
    run = RunId("00000000-0000-4000-8000-000000000000")
    plans, _ = explained(lambda conn, who: settled(conn, who, one, [run], everyone=True))
    assert_few_rows(plans, "audit_log", FEW_OF_ONE)
    assert_few_rows(plans, "pfa_modification", FEW_OF_ONE)
