"""The world whose plans are looked at, and the two ways to look: without jit, and with it forced.

The program's connections say `jit=off`: to compile a page takes longer than to read it. A server that is set up
otherwise, or another program on the same statements, must get the same plans all the same. The embedded
server is built without LLVM: there one test sets the setting and asserts that nothing was compiled. Where
it is there, as in Debian's servers, "jit on" asserts of every test that each statement was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from pfa_core.model.principal import Principal
from pfa_core.model.query import Query
from pfa_core.store.reads import merged
from tests import citus
from tests.factories import World
from tests.plans.large import ELSEWHERE, FORGET, PAGE, a_large_world
from tests.plans.watching import Plans, Watching
from tests.server import Server, Servers

_TIDY = "VACUUM pfa_modification, pfa_overlay, audit_log"


@dataclass
class Guard:
    """A world, and a watching handle on it."""

    world: World
    db: Watching
    compiles: bool
    tidy: bool = False

    def principal(self, user: str = "ann") -> Principal:
        return self.world.principal(user)

    def read(self, work: Callable[[Any, Principal], Any], user: str = "ann") -> tuple[Plans, Any]:
        """What `work(connection, principal)` reads, and how."""
        return self._held(lambda: self.db.read(lambda conn: work(conn, self.principal(user))))

    def page(self, query: Query, user: str = "ann", **cut: int) -> tuple[Plans, list[Any]]:
        """A page of the query, and how it was read."""
        wanted = {"limit": PAGE, **cut}
        return self.read(lambda conn, who: merged.page(conn, who, query, **wanted)[0], user)

    def operation(
        self, work: Callable[..., Any], user: str, *given: Any, **options: Any
    ) -> tuple[Plans, Any]:
        """What an operation of the library would give and how it went; it is rolled back."""
        plans, result = self._held(
            lambda: work(self.db, self.principal(user), *given, dry_run=True, **options)
        )
        if self.tidy:
            # What was rolled back would make the tables larger for the tests that follow.
            self.world.db.administer(lambda conn: conn.execute(_TIDY))
        return plans, result

    def altered(
        self, change: str, work: Callable[[Any, Principal], Any], user: str = "ann"
    ) -> tuple[Plans, Any]:
        """How the work would go if the schema had been changed; it is rolled back."""

        def alter_and_work(conn: Connection[Any]) -> Any:
            conn.execute(change)
            return work(conn, self.principal(user))

        return self._held(lambda: self.db.transact(alter_and_work, dry_run=True))

    def _held(self, work: Callable[[], Any]) -> tuple[Plans, Any]:
        plans, result = self.db.watch(work)
        wanted = self.db.forced_jit and self.compiles
        # None at all would hold any bound.
        assert set(plans.compiled()) == {wanted}, "jit is not as this test is named"
        return plans, result


class Worlds:
    """Large worlds on each server, with their own statistics or with others, made when one is asked for."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self._of: dict[tuple[str, str], World] = {}

    def on(self, server: Server, change: str = "") -> World:
        key = server.prefix, change
        if key not in self._of:
            self._of[key] = self.stack.enter_context(a_large_world(server, change))
        return self._of[key]


@pytest.fixture(scope="session", autouse=True)
def shown() -> None:
    """What these tests look at: a coordinator shows one task in place of a shard's plan."""
    if citus.is_named:
        pytest.skip("plans are looked at on one machine")


# Filled once, whatever the order of the tests: they only read, or are rolled back.
@pytest.fixture(scope="session")
def worlds(servers: Servers) -> Iterator[Worlds]:
    worlds = Worlds()
    with worlds.stack:
        yield worlds


@pytest.fixture(scope="session")
def large_world(worlds: Worlds, postgres: Server) -> World:
    """The large world of this server."""
    return worlds.on(postgres)


@pytest.fixture(scope="session")
def jit(request: pytest.FixtureRequest) -> str:
    """`jit on` where compiling is forced."""
    return request.param


@pytest.fixture(scope="session")
def guard(large_world: World, jit: str) -> Iterator[Guard]:
    """Over statistics as they are some time after the last pull."""
    yield from _guard(large_world, jit, tidy=True)


@pytest.fixture(scope="session")
def guard_of_new_tables(worlds: Worlds, postgres: Server, jit: str) -> Iterator[Guard]:
    """Over a planner that has never counted modifications and overlays."""
    yield from _guard(worlds.on(postgres, FORGET), jit, tidy=False)  # VACUUM would count them


@pytest.fixture(scope="session")
def guard_of_elsewhere(worlds: Worlds, postgres: Server, jit: str) -> Iterator[Guard]:
    """Over a planner that has only ever seen another organization's modifications and overlays."""
    yield from _guard(worlds.on(postgres, ELSEWHERE), jit, tidy=False)


def _guard(world: World, jit: str, *, tidy: bool) -> Iterator[Guard]:
    db = Watching(world.db.conninfo or "", forced_jit=jit == "jit on")
    try:
        compiles = db.connection().execute("SELECT pg_jit_available()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        pytest.skip("the role of PFA_TEST_DATABASE_URL may not load auto_explain")
    yield Guard(world, db, bool(compiles and compiles[0]), tidy)
    db.close()
