"""All tests by way of a pooler, or with reads of a standby: what the program opens in the tests' own process.

$PFA_TEST_POOL: `1` or `prepared` starts PgBouncer before the server of this run, `host=… port=…` is one that is
there. $PFA_TEST_STANDBY: `1` starts a standby, `host=… port=…` is one that is there. What tests do by themselves
goes to the server; a read waits until the standby has what the server had when it began.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import getattr_static
from typing import Any
from weakref import WeakSet

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core.store import replica
from pfa_core.store.database import Database
from pfa_core.store.replica import Replica
from pfa_core.store.silence import WatchedConnection
from pfa_core.store.written import Place, Written
from tests import pooler, standby
from tests.server import Server

POOL, STANDBY = os.environ.get("PFA_TEST_POOL", ""), os.environ.get("PFA_TEST_STANDBY", "")


Reroute = Callable[[str], str]


@contextmanager
def by_way_of(server: Server) -> Iterator[None]:
    """What the variables ask for, before a server."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if POOL:
            _through(patch, server, _pool(stack, server))
        if STANDBY:
            _beside(patch, server, _standby(stack, server))
        yield


def _pool(stack: ExitStack, server: Server) -> Reroute:
    if "=" in POOL:
        return lambda address: make_conninfo(address, **conninfo_to_dict(POOL))
    assert not pooler.why_none(), pooler.why_none()
    prepared = POOL == "prepared"
    return stack.enter_context(pooler.a_pooler(server.url("postgres"), prepared=prepared)).url


def _standby(stack: ExitStack, server: Server) -> Reroute:
    if "=" in STANDBY:
        return lambda address: make_conninfo(address, **conninfo_to_dict(STANDBY))
    assert not standby.why_none(), standby.why_none()
    return stack.enter_context(standby.a_standby(server.url("postgres"))).url


def _is_of(server: Server, address: str) -> bool:
    try:
        return conninfo_to_dict(address).get("host") == server.parameters["host"]
    except psycopg.ProgrammingError:
        return False


def _through(patch: pytest.MonkeyPatch, server: Server, reroute: Reroute) -> None:
    connect = getattr_static(WatchedConnection, "connect").__func__

    def connect_there(cls: type[Any], conninfo: str = "", **words: Any) -> Any:
        if _is_of(server, conninfo):
            # Where a connection is opened beside one, it is the same pooler.
            words = {
                name: value
                for name, value in words.items()
                if name not in ("host", "port", "hostaddr")
            }
            conninfo = reroute(conninfo)
        return connect(cls, conninfo, **words)

    create = Server.create

    def create_alone(self: Server, template: str | None = None) -> str:
        # PostgreSQL copies no database that has a session, and the pooler keeps those that its clients had.
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [template],
        )
        return create(self, template)

    patch.setattr(WatchedConnection, "connect", classmethod(connect_there))
    patch.setattr(Server, "create", create_alone)


def _wait_for_database(there: Replica) -> None:
    """Wait until the standby has the database, which may have been made just now."""
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(there.conninfo).close()
            return
        except psycopg.OperationalError as error:
            if "does not exist" not in str(error) or time.monotonic() > end:
                return
            time.sleep(0.02)


class _Latest(Written):
    """All that the server has now."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def last(self) -> Place | None:
        row = self._server.admin.execute(
            "SELECT (pg_control_system()).system_identifier::text, pg_current_wal_insert_lsn()::text"
        ).fetchone()
        return Place(*row) if row else None


def _beside(patch: pytest.MonkeyPatch, server: Server, reroute: Reroute) -> None:
    begin, known = Database._begin_on_replica, WeakSet[Replica]()
    latest = _Latest(server)

    def begin_there(db: Database, stack: ExitStack) -> Any:
        if db.replica is None and db.conninfo and _is_of(server, db.conninfo):
            db.replica = Replica(reroute(db.conninfo), written=latest)
        if db.replica and db.replica not in known:
            known.add(db.replica)
            weakref.finalize(db, db.replica.close)
            _wait_for_database(db.replica)
        return begin(db, stack)

    patch.setattr(Database, "_begin_on_replica", begin_there)
    patch.setattr(replica, "WAIT_SECONDS", 30.0)
