"""Users' drafts, the operations that read and write them, and what the planner may know of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

import pfa_core
from pfa_core import Filters, Layout, LineForm, LogFilter, Query, Selection
from pfa_core.errors import DatabaseUnavailable, PfaError
from pfa_core.model.principal import Principal
from pfa_core.model.query import parse_sort
from pfa_core.store.database import Database
from tests.factories import World, a_world
from tests.plans import large, statistics
from tests.plans.watching import Plans, Watching
from tests.server import Server

SESSION = "s"
# No cell more than three times the fresh one, beside reading everything that users have a few times: a plan for an
# empty table may read the whole organization's in place of one user's, once for each statement.
MOST, ONCE = 3, 4
DRY = {"dry_run": True}
ALL = Filters()
OF_SESSION, OF_CATEGORY = Filters(session=(SESSION,)), Filters(category=("Category 3",))
OF_STATE = Filters(state=("draft",))

Work = Callable[[Database, Principal], Any]


def listing(filters: Filters = ALL, sort: str = "") -> Work:
    query = Query(filters, parse_sort(sort)) if sort else Query(filters)
    return lambda db, who: pfa_core.list_records(db, who, query)


def stats(filters: Filters = ALL, *by: str) -> Work:
    return lambda db, who: pfa_core.compute_stats(db, who, filters, by=by)


def exporting(filters: Filters = ALL) -> Work:
    return lambda db, who: pfa_core.export_jsonl(db, who, Query(filters), len)


def streaming(filters: Filters) -> Work:
    return lambda db, who: len(list(pfa_core.stream_records(db, who, Query(filters))))


READS: Mapping[str, Work] = {
    "list": listing(),
    "list --session": listing(OF_SESSION),
    "list --state draft": listing(OF_STATE),
    "list --changed": listing(Filters(changed=True)),
    "list --sort -monthlyRate": listing(sort="-monthlyRate"),
    "list --sort actualStart": listing(sort="actualStart"),
    "list --category": listing(OF_CATEGORY),
    "list --search": listing(Filters(search="required for 12")),
    "list every record of a state": streaming(OF_STATE),
    "stats": stats(),
    "stats --session": stats(OF_SESSION),
    "stats --state draft": stats(OF_STATE),
    "stats by category": stats(ALL, "category"),
    "stats by month": stats(ALL, "month"),
    "stats --session by month": stats(OF_SESSION, "month"),
    "stats --category": stats(OF_CATEGORY),
    "stats --manufacturer": stats(Filters(manufacturer=("Maker 3",))),
    "count --state": lambda db, who: pfa_core.count_records(db, who, Query(OF_STATE)),
    "diff": lambda db, who: pfa_core.diff(db, who, ALL),
    "diff --session": lambda db, who: pfa_core.diff(db, who, ALL, session_id=SESSION),
    "diff --category": lambda db, who: pfa_core.diff(db, who, OF_CATEGORY),
    "draft list": lambda db, who: pfa_core.list_drafts(db, who, ALL),
    "draft list, lines": lambda db, who: list(
        pfa_core.stream_draft_lines(db, who, OF_CATEGORY, Layout(LineForm.JSON))
    ),
    "diff, lines": lambda db, who: list(
        pfa_core.stream_diff_lines(db, who, ALL, Layout(LineForm.JSON), session_id=SESSION)
    ),
    "draft list, summed up": pfa_core.summarize_drafts,
    "status": pfa_core.status,
    "export": exporting(),
    "export --category": exporting(OF_CATEGORY),
    "log": lambda db, who: pfa_core.list_log(db, who, LogFilter()),
    "log verify": pfa_core.verify_log,
    "undo --list": pfa_core.list_operations,
    "commit --plan": lambda db, who: pfa_core.plan_commit(db, who, Selection(session_id=SESSION)),
    "push -n": pfa_core.plan_push,
}
WRITES: Mapping[str, Work] = {
    "set of a session": lambda db, who: pfa_core.set_fields(
        db, who, OF_SESSION, {"model": "X"}, session_id=SESSION, **DRY
    ),
    "set of one": lambda db, who: pfa_core.set_fields(
        db, who, Filters(id=("P-000005",)), {"model": "X"}, session_id=SESSION, **DRY
    ),
    "set of a category": lambda db, who: pfa_core.set_fields(
        db, who, OF_CATEGORY, {"model": "X"}, session_id=SESSION, **DRY
    ),
    "shift": lambda db, who: pfa_core.shift(db, who, OF_SESSION, 3, partial=True, **DRY),
    "unset": lambda db, who: pfa_core.unset_fields(db, who, ALL, ["equipment"], **DRY),
    "commit": lambda db, who: pfa_core.commit(db, who, Selection(session_id=SESSION), **DRY),
    "discard": lambda db, who: pfa_core.discard(db, who, Selection(session_id=SESSION), **DRY),
    "undo": lambda db, who: pfa_core.undo(db, who, **DRY),
}
# Of users whose drafts are in another state.
OF_OTHERS: Mapping[str, tuple[str, Work]] = {
    "uncommit": (
        "cora",
        lambda db, who: pfa_core.uncommit(db, who, Selection(session_id=SESSION), **DRY),
    ),
    "restore": ("rita", lambda db, who: pfa_core.restore(db, who, session_id=SESSION, **DRY)),
    "restore of one": (
        "rita",
        lambda db, who: pfa_core.restore(db, who, ids=("P-000001",), **DRY),
    ),
}
OPERATIONS: Mapping[str, tuple[str, Work]] = {
    **{name: ("mary", work) for name, work in {**READS, **WRITES}.items()},
    **OF_OTHERS,
}


@dataclass
class Matrix:
    """A world with users' drafts, and the rows that each operation visits over fresh statistics."""

    world: World
    admin: psycopg.Connection[Any]
    states: Mapping[str, statistics.State]
    rows: int  # records, modifications and entries of the trail
    fresh: dict[tuple[str, Work], int] = field(default_factory=dict)

    def assert_holds(self, state: str, user: str, work: Work) -> None:
        """It visits about as many rows where the planner knows this much as where it knows all."""
        if (user, work) not in self.fresh:
            self.fresh[user, work] = self.run("fresh", user, work).visited()
        plans = self.run(state, user, work)
        most = MOST * self.fresh[user, work] + ONCE * self.rows
        assert plans.visited() <= most, f"{state}, {user}: of at most {most}\n{plans}"

    def know(self, state: str) -> None:
        """Let the planner know this much, and of the other tables all."""
        statistics.put(self.admin, self.states["fresh"])
        statistics.put(self.admin, self.states[state])

    def run(self, state: str, user: str, work: Work) -> Plans:
        """The plans of the user's operation where the planner knows this much."""
        self.know(state)
        db = Watching(self.world.url)
        db.connection().execute("SET statement_timeout = '60s'")
        try:
            plans, _ = db.watch(lambda: refused_or_done(work, db, self.world.principal(user)))
        finally:
            db.close()
        return plans


def refused_or_done(work: Work, db: Database, who: Principal) -> None:
    """Who has no drafts is refused some operations; nothing else may fail."""
    try:
        work(db, who)
    except DatabaseUnavailable:
        raise
    except PfaError:
        assert who.user_id == "eve"


@dataclass(frozen=True)
class Size:
    """How many records there are, and drafts of those with many, of one with few and of all others."""

    records: int
    many: int
    few: int
    others: int


ROWS = """
    SELECT (SELECT count(*) FROM pfa_mirror) + (SELECT count(*) FROM pfa_modification)
        + (SELECT count(*) FROM audit_log)"""
SMALL, MIDDLE, NIGHT = (
    Size(2_400, 600, 60, 1_200),
    Size(20_000, 5_000, 500, 15_000),
    Size(200_000, 50_000, 500, 50_000),
)


@contextmanager
def a_matrix(server: Server, size: Size) -> Iterator[Matrix]:
    """mary has many drafts, fay few, eve none; cora has committed hers, rita discarded hers. root's are those of
    all others."""
    users = dict.fromkeys(("eve", "fay", "mary", "rita", "cora", "root"), "admin")
    with server.database(server.template()) as url, psycopg.connect(url, autocommit=True) as admin:
        world = a_world(url, users=users)
        world.owner.transact(lambda conn: large.fill(conn, world, size.records))
        for user, drafts in (
            ("rita", size.many),
            ("cora", size.many),
            ("fay", size.few),
            ("mary", size.many),
        ):
            admin.execute("ANALYZE")
            step = size.records // drafts
            ids = tuple(f"P-{number * step + 1:06}" for number in range(drafts))
            pfa_core.set_fields(
                world.db,
                world.principal(user),
                Filters(id=ids),
                {"equipment": "E"},
                session_id=SESSION,
            )
            if user == "rita":
                pfa_core.discard(world.db, world.principal(user), Selection(session_id=SESSION))
            if user == "cora":
                pfa_core.commit(world.db, world.principal(user), Selection(session_id=SESSION))
        large.draft(admin, "root", size.others)
        admin.execute("VACUUM ANALYZE")
        everything = (*statistics.TABLES, *statistics.OF_PULLS)
        states = {"fresh": statistics.found(admin, everything), **statistics.WITHOUT_COLUMNS}
        if admin.info.server_version >= statistics.SINCE:
            states |= statistics.made(admin, ["mary", "fay", "rita", "cora"])
        rows = admin.execute(ROWS).fetchone()
        yield Matrix(world, admin, states, rows[0] if rows else 0)
        world.close()
