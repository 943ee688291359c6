"""A database on several nodes: distributed where it stands, upgraded there, and with a node that is gone."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pfa_core
from pfa_core import Filters, Flags, Query, Selection, errors, sql
from pfa_core.config.settings import Settings
from pfa_core.sql import tables
from pfa_core.sql.tables import PLACEMENTS, Placement
from pfa_core.store import distribution, migrations, outcome, rls, silence
from pfa_core.store.database import Database
from pfa_core.transfer.programs import find, run
from tests import citus
from tests.citus import Cluster
from tests.cli.conftest import pfa
from tests.cut import When
from tests.factories import (
    SelfClosing,
    World,
    a_world,
    commit,
    draft,
    know_the_key,
    record,
)
from tests.program import Pfa
from tests.server import bound_url
from tests.store.test_prerelease import catalog
from tests.transfer.test_backup import backup_of

__all__ = ["pfa"]  # a fixture

# Citus is in no package registry: these run where a cluster is given.
pytestmark = pytest.mark.skipif(citus.CITUS not in os.environ, reason=citus.NONE)


@pytest.fixture
def cluster(postgres: Cluster) -> Cluster:
    return postgres


def settings(url: str) -> Settings:
    return pfa_core.resolve(Flags(database_url=url))


def everything(world: World) -> object:
    """What its people see, and that it is whole."""
    principal = world.principal()
    assert pfa_core.verify_database(world.db, principal).clean
    trail = pfa_core.verify_log(world.db, principal)
    stats = pfa_core.compute_stats(world.db, principal, Filters()).figures
    return world.mirror(), world.merged(), stats, trail.links, trail.anchor


def a_life(world: World) -> None:
    """Pulls, drafts, a commit, a membership, and that all of it is whole."""
    db, principal = world.db, world.principal()
    draft(db, principal, "P-1", monthlyRate=7)
    world.pull([record("P-1", model="B"), record("P-2"), record("P-3")])
    draft(db, principal, "P-2", model="A")
    pfa_core.discard(db, principal, Selection(ids=("P-2",)))
    commit(db, principal)
    pfa_core.grant(db, principal, "bob", "editor")
    pfa_core.revoke(db, principal, "bob")
    assert pfa_core.find_bad_rows(db, principal) == []
    assert len(pfa_core.list_records(db, principal, Query()).records) == 3
    everything(world)


@pytest.fixture
def grown(cluster: Cluster) -> Iterator[str]:
    """A database of one machine with records and drafts, which has become one of a cluster since."""
    with cluster.database() as url:
        with psycopg.connect(url, autocommit=True) as conn:
            migrations.upgrade(conn)
        world = a_world(url, *(record(f"P-{number}") for number in range(9)))
        draft(world.db, world.principal(), "P-1", monthlyRate=7)
        world.db.close()
        cluster.join(str(psycopg.conninfo.conninfo_to_dict(url)["dbname"]))
        yield url


class TestSilence:
    """A coordinator that waits for a worker looks like one that waits for its client."""

    STATEMENT = (
        "SELECT pg_sleep(3) FROM pfa_mirror WHERE organization_id = 'ORG' AND pfa_id = 'P-1'"
    )

    def test_a_statement_at_which_a_worker_is_at_work_goes_on(self, database_url: str) -> None:
        a_world(database_url, record("P-1")).close()
        with Database(make_conninfo(database_url, tcp_user_timeout="500")) as db:
            assert db.read(lambda conn: conn.execute(self.STATEMENT).fetchall()) == [("",)]

    def test_a_session_for_which_no_worker_is_at_work_is_silent(self, database_url: str) -> None:
        a_world(database_url, record("P-1")).close()
        with Database(database_url) as db, psycopg.connect(database_url, autocommit=True) as other:
            pid = db.connection().info.backend_pid
            assert db.read(lambda conn: conn.execute(self.STATEMENT).fetchall()) == [("",)]
            assert not silence._ask(other, pid, 0, end=False)


class TestDistribution:
    def test_a_database_with_records_is_distributed_where_it_stands(self, grown: str) -> None:
        world = World(SelfClosing(grown), "ORG", {"ann": "admin"})
        before = everything(world)
        dry = pfa_core.distribute(settings(grown), shards=3, dry_run=True)
        assert world.db.read(distribution.places) == []
        assert not world.db.read(rls.is_distributed)
        world.db.close()
        done = pfa_core.distribute(settings(grown), shards=3)
        assert done == dry
        assert done.shards == 3
        assert set(done.changed) == {name for name in PLACEMENTS if name != "audit_expected"}
        assert everything(world) == before
        assert world.db.read(distribution.faults) == []
        with psycopg.connect(grown) as conn:
            assert conn.execute("SELECT pg_relation_size('pfa_mirror')").fetchone() == (0,)
            for catalog in ("pg_policies", "pg_trigger WHERE tgname = 'audit_expected_is_met'"):
                assert conn.execute(f"SELECT count(*) FROM {catalog}").fetchone() == (0,)
        assert pfa_core.distribute(settings(grown)).changed == ()
        world.db.close()

    def test_a_table_that_is_elsewhere_is_found_and_put_right(self, database_url: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            assert distribution.faults(conn) == []
            conn.execute("SELECT undistribute_table('pfa_view')")
            assert distribution.faults(conn) == ["pfa_view is local, not distributed"]
            assert pfa_core.distribute(settings(database_url)).changed == ("pfa_view",)
            assert distribution.faults(conn) == []

    def test_a_worker_and_another_role_are_refused(
        self, cluster: Cluster, database_url: str
    ) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            name = conn.info.dbname
        with pytest.raises(errors.ConfigInvalid, match="does not own the tables"):
            pfa_core.distribute(settings(bound_url(database_url)))
        there = citus.at(cluster.workers[0], name)
        with pytest.raises(errors.ConfigInvalid, match="this server is a worker"):
            pfa_core.distribute(settings(there))

    def test_without_a_worker_nothing_can_be_distributed(self, cluster: Cluster) -> None:
        with cluster.database() as url, psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CREATE EXTENSION citus")
            migrations.upgrade(conn)
            with pytest.raises(errors.ConfigInvalid, match="no worker") as refused:
                pfa_core.distribute(settings(url))
            assert "citus_add_node" in refused.value.hint
            # The extension alone changes nothing: the policies are there.
            assert conn.execute("SELECT count(*) > 0 FROM pg_policies").fetchone() == (True,)

    def test_an_upgrade_distributes_what_it_makes(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        more = (
            'CREATE TABLE pfa_colour (organization_id text COLLATE "C" NOT NULL, name text,\n'
            "    PRIMARY KEY (organization_id, name));\n"
            "ALTER TABLE pfa_view ADD COLUMN colour text;\n"
            "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$;\n"
        )
        known = [*sql.migrations(), (2, "0002_colour.sql", more)]
        monkeypatch.setattr(sql, "migrations", lambda: known)
        monkeypatch.setattr(sql, "newest_migration", lambda: 2)
        places = {**PLACEMENTS, "pfa_colour": Placement.DISTRIBUTED}
        for module in (tables, distribution):
            monkeypatch.setattr(module, "PLACEMENTS", places)
        with psycopg.connect(database_url, autocommit=True) as conn:
            dry = migrations.upgrade(conn, dry_run=True)
            assert {place.table for place in distribution.places(conn)} == set(PLACEMENTS) - {
                "audit_expected"
            }
            assert migrations.upgrade(conn) == dry
            assert distribution.faults(conn) == []
            assert "pfa_colour" in {place.table for place in distribution.places(conn)}
            conn.execute("INSERT INTO pfa_colour VALUES ('ORG', 'red')")
            assert migrations.upgrade(conn).applied == ()


class TestRole:
    def test_the_program_s_role_does_its_work_without_policies(self, database_url: str) -> None:
        world = a_world(database_url, record("P-1"), record("P-2"))
        world.owner.transact(know_the_key)
        db = SelfClosing(bound_url(database_url))
        assert db.read(rls.status) == (False, False, True)
        assert db.administer(distribution.unwritable) == []
        there = World(db, "ORG", world.users, as_owner=world.db)
        a_life(there)
        db.close()

    def test_a_worker_takes_the_work_too(self, cluster: Cluster, database_url: str) -> None:
        world = a_world(database_url, record("P-1"), record("P-2"))
        name = str(psycopg.conninfo.conninfo_to_dict(database_url)["dbname"])
        db = SelfClosing(citus.at(cluster.workers[0], name))
        a_life(World(db, "ORG", world.users, as_owner=db))
        db.close()

    def test_the_doctor_says_that_nothing_else_holds_it(self, database_url: str) -> None:
        found = pfa_core.rls_status(settings(bound_url(database_url)))
        assert not found.applies
        assert "no policies" in found.reason
        with psycopg.connect(bound_url(database_url)) as conn:
            # The chain is the trail's own: what stands in it is not changed.
            for statement in ("UPDATE audit_log SET reason = ''", "DELETE FROM audit_link",
                              "SELECT secret FROM pfa_signing_key", "TABLE pfa_rls_secret"):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(statement)


class TestLostNode:
    @pytest.fixture
    def worlds(self, database_url: str) -> list[World]:
        """Organizations on each of the workers."""
        return [
            a_world(
                database_url, record("P-1"), organization=f"ORG{number}", users={"ann": "admin"}
            )
            for number in range(8)
        ]

    def test_what_is_on_it_ends_with_69_and_all_else_goes_on(
        self, worlds: list[World], database_url: str
    ) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            row = conn.execute(
                "UPDATE pg_dist_node SET nodeport = 1"
                " WHERE groupid = (SELECT max(groupid) FROM pg_dist_node) RETURNING groupid"
            ).fetchone()
            lost = row[0] if row else 0
            on_it = {world.organization for world in worlds if group(conn, world) == lost}
        assert 0 < len(on_it) < len(worlds)
        for world in worlds:
            world.db.close()
            principal = world.principal()
            if world.organization not in on_it:
                a_life(world)  # no statement asks the other node
                continue
            with pytest.raises(errors.DatabaseUnavailable, match="a node that has") as refused:
                pfa_core.list_records(world.db, principal, Query())
            assert refused.value.exit_code == 69
            assert refused.value.retryable
            assert "127.0.0.1" not in refused.value.message + refused.value.hint
            with pytest.raises(errors.DatabaseUnavailable, match="a node that has"):
                draft(world.db, principal, "P-1", model="A")
        found = pfa_core.cluster_status(settings(database_url))
        assert found is not None
        assert found.unreachable == ("127.0.0.1:1",)
        status = pfa_core.database_status(settings(database_url))
        assert status.reachable
        assert (status.size_bytes, status.workers) == (None, 2)
        assert status.problem

    @pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
    def test_a_commit_that_it_does_not_answer_is_looked_up(
        self, database_url: str, when: When, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = a_world(database_url, record("P-1"))
        draft(world.db, world.principal(), "P-1", model="A")
        world.db.close()
        with proxied(database_url) as proxy:
            plain, cut = psycopg.Connection._exec_command, [False]

            def patched(self, command, *words, **named):
                if isinstance(command, bytes) and command.startswith(b"COMMIT") and not cut[0]:
                    cut[0] = proxy.cut(when)
                return (yield from plain(self, command, *words, **named))

            with monkeypatch.context() as patch:
                patch.setattr(psycopg.Connection, "_exec_command", patched)
                patch.setattr(outcome, "WAIT_SECONDS", 60.0)
                draft(world.db, world.principal(), "P-1", model="B")
            assert cut == [True]
        world.db.close()
        assert world.merged()["P-1"]["model"] == "B"
        entries = world.rows(
            "SELECT count(*) FROM audit_log WHERE organization_id = 'ORG' AND action = 'save'"
        )
        assert entries == [(2,)]
        everything(world)


def group(conn: psycopg.Connection, world: World) -> int:
    """The node's group on which an organization lies."""
    row = conn.execute(
        "SELECT groupid FROM pg_dist_placement WHERE shardid ="
        " get_shard_id_for_distribution_column('pfa_organization', %s::text)",
        [world.organization],
    ).fetchone()
    return row[0] if row else -1


class Proxy:
    """Between coordinator and worker: it cuts what goes through it."""

    def __init__(self, there: tuple[str, int]) -> None:
        self._there = there
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._mute = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def cut(self, when: When) -> bool:
        """Cut all connections: now, or once the worker has what comes next and has answered."""
        if when is When.BEFORE:
            self._cut()
        else:
            self._mute.set()
            self._begin(self._cut_later)
        return True

    def _cut_later(self) -> None:
        time.sleep(1)
        self._cut()

    def _cut(self) -> None:
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()
        self._mute.clear()

    def close(self) -> None:
        """Cut what is left, and wait for the threads, which close what they read."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        for one in self._threads:
            one.join(10)

    def _begin(self, target: Callable[..., None], *words: object) -> None:
        one = threading.Thread(target=target, args=words, daemon=True)
        self._threads.append(one)
        one.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._there)
                self._pairs.append((near, far))
                self._begin(self._pass, near, far, False)
                self._begin(self._pass, far, near, True)

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with source, suppress(OSError):
            while data := source.recv(65536):
                while answers and self._mute.is_set():
                    time.sleep(0.02)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """The worker that has the organization by way of a proxy."""
    with psycopg.connect(url, autocommit=True) as conn:
        shard = conn.execute(
            "SELECT get_shard_id_for_distribution_column('pfa_organization', 'ORG'::text)"
        ).fetchone()
        node = conn.execute(
            "SELECT n.nodename, n.nodeport, n.groupid FROM pg_dist_node AS n JOIN pg_dist_placement AS p"
            " ON p.groupid = n.groupid AND p.shardid = %s",
            shard,
        ).fetchone()
        assert node is not None
        proxy = Proxy((node[0], node[1]))
        port = "UPDATE pg_dist_node SET nodeport = %s WHERE groupid = %s"
        conn.execute(port, [proxy.port, node[2]])
        ended = threading.Event()
        recovery = threading.Thread(target=recover, args=(url, ended))
        recovery.start()
        try:
            yield proxy
        finally:
            ended.set()
            recovery.join()
            conn.execute(port, [node[1], node[2]])
            conn.execute("SELECT recover_prepared_transactions()")
            proxy.close()


def recover(url: str, ended: threading.Event) -> None:
    """End what the worker has prepared and the coordinator has aborted, as Citus does each minute."""
    with psycopg.connect(url, autocommit=True) as conn:
        while not ended.wait(0.3):
            with suppress(psycopg.Error):
                conn.execute("SELECT recover_prepared_transactions()")


class TestCommands:
    def test_status_and_doctor_name_the_nodes(self, pfa: Pfa) -> None:
        pfa("init", "--org", "ORG")
        status = pfa("db", "status", "-o", "json").json["data"]
        assert (status["workers"], status["shards"], status["problem"]) == (2, 4, "")
        assert status["sizeBytes"] > 1_000_000
        found = {one["check"]: one for one in pfa("doctor", "-o", "json").json["data"]}
        assert found["nodes"]["result"] == "ok"
        assert "2 workers" in found["nodes"]["finding"]
        assert "no policies" in found["row-level security"]["finding"]
        assert pfa("db", "distribute").out.endswith("nothing to do\n")


class TestBackup:
    @pytest.fixture
    def worlds(self, database_url: str) -> list[World]:
        """Organizations on both workers, with a commit and a draft each."""
        worlds = [
            a_world(
                database_url,
                record("P-1"),
                record("P-2"),
                organization=f"ORG{number}",
                users={"ann": "admin"},
            )
            for number in range(4)
        ]
        for world in worlds:
            draft(world.db, world.principal(), "P-1", monthlyRate=8)
            commit(world.db, world.principal())
            draft(world.db, world.principal(), "P-2", model="A")
            world.db.close()
        return worlds

    def test_it_is_restored_on_one_machine_with_its_policies(
        self, worlds: list[World], cluster: Cluster, empty_database_url: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "pfa.dump"
        made = pfa_core.backup_database(settings(worlds[0].url), file)
        assert made.whole
        assert [one.organization_id for one in made.organizations] == [
            world.organization for world in worlds
        ]
        restored = pfa_core.restore_database(settings(empty_database_url), file)
        assert (restored.whole, restored.organizations) == (True, made.organizations)
        with cluster.database() as url, psycopg.connect(url, autocommit=True) as conn:
            migrations.upgrade(conn)
            conn.execute("SELECT pfa_index_mirror()")
            assert catalog(empty_database_url, cluster) == catalog(url, cluster)
        for world in worlds:
            there = World(SelfClosing(empty_database_url), world.organization, world.users)
            assert everything(there) == everything(world)
            a_life(there)

    def test_a_distributed_database_is_distributed_after_a_restore_too(
        self, worlds: list[World], cluster: Cluster, template: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "pfa.dump"
        made = pfa_core.backup_database(settings(worlds[0].url), file)
        with cluster.database(template) as url:
            restored = pfa_core.restore_database(settings(url), file)
            assert (restored.whole, restored.organizations) == (True, made.organizations)
            with psycopg.connect(url, autocommit=True) as conn:
                assert distribution.faults(conn) == []
                assert sum(node.shards for node in distribution.nodes(conn)) == 4
            for world in worlds:
                there = World(SelfClosing(url), world.organization, world.users)
                assert everything(there) == everything(world)
                a_life(there)
                there.db.close()
            with pytest.raises(errors.IllegalTransition, match="has organizations: ORG0, ORG1"):
                pfa_core.restore_database(settings(url), file)

    def test_one_of_a_single_machine_comes_into_a_distributed_database(
        self, cluster: Cluster, template: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "pfa.dump"
        with cluster.database() as plain:
            with psycopg.connect(plain, autocommit=True) as conn:
                migrations.upgrade(conn)
            world = a_world(plain, record("P-1"), record("P-2"), record("P-3"))
            draft(world.db, world.principal(), "P-1", monthlyRate=8)
            assert pfa_core.backup_database(settings(plain), file).whole
            with cluster.database(template) as url:
                assert pfa_core.restore_database(settings(url), file).whole
                with psycopg.connect(url, autocommit=True) as conn:
                    assert distribution.faults(conn) == []
                there = World(SelfClosing(url), world.organization, world.users)
                assert everything(there) == everything(world)
                a_life(there)
                there.db.close()
            world.db.close()

    def test_by_hand_one_of_a_single_machine_is_restored_and_distributed(
        self, cluster: Cluster, tmp_path: Path
    ) -> None:
        file = tmp_path / "pfa.dump"
        with cluster.database() as plain, cluster.database() as url:
            with psycopg.connect(plain, autocommit=True) as conn:
                migrations.upgrade(conn)
            world = a_world(plain, record("P-1"), record("P-2"), record("P-3"))
            backup_of(plain, file)
            cluster.join(str(psycopg.conninfo.conninfo_to_dict(url)["dbname"]))
            with psycopg.connect(url) as conn:
                program = find("pg_restore", settings(url), conn.info.server_version // 10000)
            arguments = ["--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={url}"]
            with file.open("rb") as source:
                run(program, arguments, settings(url), "", source=source)
            pfa_core.upgrade(settings(url))
            pfa_core.distribute(settings(url))
            there = World(SelfClosing(url), world.organization, world.users)
            assert everything(there) == everything(world)
            a_life(there)
            there.db.close()
            world.db.close()

    def test_each_organization_in_it_is_of_one_moment_while_people_write(
        self, worlds: list[World], tmp_path: Path
    ) -> None:
        ended = threading.Event()

        def write(world: World) -> None:
            with SelfClosing(world.url) as db:
                rate = 2000
                while not ended.is_set():
                    rate += 1
                    draft(db, world.principal(), "P-1", monthlyRate=rate)
                    draft(db, world.principal(), "P-2", model=str(rate))

        writers = [threading.Thread(target=write, args=(world,)) for world in worlds]
        for writer in writers:
            writer.start()
        try:
            made = [
                pfa_core.backup_database(settings(worlds[0].url), tmp_path / "pfa.dump")
                for _ in range(3)
            ]
        finally:
            ended.set()
            for writer in writers:
                writer.join()
        assert [one.whole for one in made] == [True] * 3
        assert made[0].organizations != made[2].organizations
