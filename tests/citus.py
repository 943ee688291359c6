"""A Citus cluster as the server of the tests: one distributed template, copied on every node for each test.

$PFA_TEST_CITUS, `host=… port=…`, names its coordinator. The workers are those that its database postgres says, or
else $PFA_TEST_CITUS_WORKERS, `host:port,host:port`. Each node needs `max_worker_processes` of 64 or more: every
database with the extension has a process of its own there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core.store import migrations
from tests.server import LOGIN, Built, Server

CITUS = "PFA_TEST_CITUS"
WORKERS = "PFA_TEST_CITUS_WORKERS"
NONE = f"{CITUS} names no Citus cluster"
is_named = CITUS in os.environ
# What a cluster has instead of policies is held by tests/store/test_distributed.py.
has_policies = pytest.mark.skipif(is_named, reason="distributed tables have no row-level security")
# Where the trail has no entry of it, what a coordinator aborted may be committed on a worker: nothing says so.
knows_outcomes = pytest.mark.skipif(
    is_named, reason="a coordinator does not know what its workers committed"
)
of_one_machine = pytest.mark.skipif(
    is_named, reason="compares, plans or indexes the tables of one machine"
)
# A statement has one ON CONFLICT at the most there, which keeps the other sums; these are read from the records.
keeps_sums = pytest.mark.skipif(
    is_named, reason="distributed tables keep no sums by month and field"
)
# The coordinator's own table of that name is empty: its statistics are those of no rows.
counts_rows = pytest.mark.skipif(
    is_named, reason="dead rows and months are counted on one machine; a shard is its node's"
)
takes_triggers = pytest.mark.skipif(is_named, reason="distributed tables take no triggers")
# Of each distributed table: each more is a file for the table and each of its indexes in every test.
_SHARDS = 4
_SECONDS = 30.0
_END = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s"
_LEFT = (
    4  # databases that are dropped a few tests later: the extension's processes take a while to end
)


@dataclass
class Cluster(Server):
    """A coordinator on which databases are made and dropped, together with those of its workers."""

    workers: list[Connection[Any]] = field(default_factory=list)
    _ended: list[str] = field(default_factory=list)

    def template(self) -> str:
        return self._once(None, "template0", self._make_distributed)[0]

    def _once(
        self, key: Hashable, template: str, build: Callable[[str], Built]
    ) -> tuple[str, Built]:
        if key not in self._built:
            name = self.create(template)
            made = build(self.url(name))
            self.sessions.end(name)
            self._end_all_sessions(name)
            self._built[key] = name, made
        return self._built[key]

    def create(self, template: str | None = None) -> str:
        name = f"{self.prefix}_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        for conn in self._nodes():
            _insist(conn, statement, template)
        return name

    def drop(self, name: str) -> None:
        """Drop the coordinator's first: it would ask the workers for theirs."""
        self._end_all_sessions(name)
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        for conn in self._nodes():
            _insist(conn, statement, name)

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """A new database: what was written on the workers no one counts."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.sessions.end(name)
            self._end_all_sessions(name, wait=False)
            self._ended.append(name)
            if len(self._ended) > _LEFT:
                self.drop(self._ended.pop(0))

    def close(self) -> None:
        for name in self._ended:
            self.drop(name)
        super().close()

    def _end_all_sessions(self, name: str, *, wait: bool = True) -> None:
        """End the sessions of a database, and let none come again: the extension has some of its own on each node.

        PostgreSQL copies and drops no database that has a session, and waits for it for five seconds.
        """
        closed = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        for conn in self._nodes():
            with suppress(psycopg.errors.InvalidCatalogName):
                conn.execute(closed)
        for conn in self._nodes():
            conn.execute(_END, [2000 if wait else 0, name])

    def _nodes(self) -> list[Connection[Any]]:
        return [self.admin, *self.workers]

    def join(self, name: str) -> None:
        """Make a database one of a cluster, as its administrator does; its tables stay where they are."""
        for worker in self.workers:
            with psycopg.connect(at(worker, name), autocommit=True) as conn:
                conn.execute("CREATE EXTENSION citus")
        with psycopg.connect(self.url(name), autocommit=True) as conn:
            conn.execute("CREATE EXTENSION citus")
            conn.execute("SELECT citus_set_coordinator_host(%s, %s)", _address(self.admin))
            for worker in self.workers:
                conn.execute("SELECT citus_add_node(%s, %s)", _address(worker))
            conn.execute(
                "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', false)",
                _address(self.admin),
            )

    def _make_distributed(self, url: str) -> None:
        self.join(str(conninfo_to_dict(url)["dbname"]))
        with psycopg.connect(url, autocommit=True) as conn:
            migrations.upgrade(conn)
            conn.execute(f"SET citus.shard_count = {_SHARDS}")
            migrations.distribute(conn)


@contextmanager
def the_cluster() -> Iterator[Cluster]:
    """The cluster that the variable names; what was made there is gone afterwards."""
    words = {"user": "postgres", "dbname": "postgres"} | conninfo_to_dict(os.environ[CITUS])
    with ExitStack() as stack:
        admin = stack.enter_context(psycopg.connect(**words, autocommit=True))
        workers = [
            stack.enter_context(
                psycopg.connect(**{**words, "host": host, "port": port}, autocommit=True)
            )
            for host, port in _workers_of(admin)
        ]
        cluster = Cluster(admin, words, workers=workers)
        try:
            yield cluster
        finally:
            cluster.close()
            with suppress(psycopg.Error):
                for conn in (admin, *workers):
                    conn.execute(f"DROP ROLE IF EXISTS {LOGIN}")


def _workers_of(admin: Connection[Any]) -> list[tuple[str, str]]:
    named = os.environ.get(WORKERS)
    if named:
        return [(host, port) for host, _, port in (one.rpartition(":") for one in named.split(","))]
    found = admin.execute("SELECT to_regclass('pg_catalog.pg_dist_node') IS NOT NULL").fetchone()
    assert found == (True,), f"the database postgres has no workers, and {WORKERS} names none"
    rows = admin.execute("SELECT nodename, nodeport::text FROM pg_dist_node WHERE groupid > 0")
    return rows.fetchall()


def _insist(conn: Connection[Any], statement: sql.Composed, database: str | None) -> None:
    """Execute a statement that needs a database without sessions, until it has none."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            conn.execute(statement)
            return
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > end:
                raise
            conn.execute(_END, [2000, database])
            time.sleep(0.05)


def _address(conn: Connection[Any]) -> tuple[str, int]:
    return ("127.0.0.1" if conn.info.host.startswith("/") else conn.info.host, conn.info.port)


def at(conn: Connection[Any], name: str) -> str:
    return make_conninfo(conn.info.dsn, dbname=name)
