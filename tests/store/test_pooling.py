"""The library behind PgBouncer in transaction mode, whose configuration knows nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pfa_core
from pfa_core import Query, list_records, stream_records
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, PermissionDenied
from pfa_core.model.pooling import Pooling
from pfa_core.store import migrations
from pfa_core.store.database import Database
from pfa_core.store.session import is_pooled
from tests import pooler
from tests.factories import World, a_world, commit, draft, record
from tests.forms import LONG, long
from tests.pooler import Pooler, a_pooler
from tests.server import bound_url
from tests.store.test_session import BENT, WANTED, _absent, _shown

# pip does not install PgBouncer: where it is not there the reason says so.
pytestmark = pytest.mark.skipif(bool(pooler.why_none()), reason=pooler.why_none())


@pytest.fixture(scope="module")
def one_session(postgres) -> Iterator[Pooler]:
    """A pooler with one session of the server: each transaction gets the one that all others had."""
    with a_pooler(postgres.url("postgres"), size=1) as running:
        yield running


@pytest.fixture
def there(one_session, database_url) -> str:
    """The address of the test's database by way of the pooler."""
    return one_session.url(database_url)


def _plain(address: str) -> psycopg.Connection[Any]:
    """Another program's connection to the pooler."""
    return psycopg.connect(address, autocommit=True, prepare_threshold=None)


def _all_settings(conn: psycopg.Connection[Any]) -> dict[str, str]:
    return dict(
        conn.execute("SELECT name, setting FROM pg_settings WHERE name <> 'application_name'")
    )


def test_a_pooler_is_detected_and_each_transaction_has_the_settings_of_pfa(there, database_url):
    with Database(there) as db, Database(database_url) as direct:
        assert is_pooled(db.connection())
        assert not is_pooled(direct.connection())
        assert db.read(_shown) == {**WANTED, **_absent(direct)}
        # What a process that is suspended within it keeps: a minute's locks.
        suspended = {"idle_in_transaction_session_timeout": "1min"}
        assert db.transact(_shown) == {**WANTED, **_absent(direct), **suspended}


@pytest.mark.parametrize("pooling", [Pooling.DETECTED, *long([Pooling.YES])])
def test_no_setting_stays_with_a_session_that_others_get(there, database_url, pooling):
    """Other programs' sessions are as the server has them, whatever pfa did before in the same one."""
    world = a_world(database_url, record("P-1"))
    with _plain(there) as other:
        before = _all_settings(other)
        with Database(there, pooling=pooling) as db:
            ann = world.principal()
            for _ in range(7):
                assert list_records(db, ann, Query()).total_records == 1
            draft(db, ann, monthlyRate=700)
            with pytest.raises(pfa_core.errors.PfaError):
                draft(db, ann, "P-9", monthlyRate=700)
        after = _all_settings(other)
        assert {name: after[name] for name in before} == before
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert other.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone() == (0,)


def test_the_session_of_another_program_has_no_effect(there, database_url):
    """What it set for the session that the pool has is not what pfa's transactions have."""
    with _plain(there) as other, Database(there) as db:
        for name, value in BENT.items():
            if name not in ("client_encoding", "transaction_timeout", "row_security"):
                other.execute("SELECT set_config(%s, %s, false)", [name, value])
        assert db.read(_shown) == {**WANTED, **_absent(db)}


# --- row-level security ---------------------------------------------------------------------------


def test_the_next_client_of_a_session_gets_nothing_of_the_last_one_s_token(
    one_session, database_url, monkeypatch
):
    """Neither rows, nor what the token says; and a token is looked at anew for each client."""
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    world = a_world(database_url, record("P-1"), users={"ann": "admin", "ben": "viewer"})
    there = one_session.url(bound_url(database_url))
    with Database(there) as first, _plain(there) as next_one:
        for _ in range(2):
            assert list_records(first, world.principal(), Query()).total_records == 1
        row = next_one.execute(
            "SELECT pg_backend_pid(), current_setting('pfa.verified', true), current_setting('pfa.context', true)"
        ).fetchone()
        pid = first.read(lambda conn: conn.execute("SELECT pg_backend_pid()").fetchone())
        assert row is not None
        assert pid == row[:1], "it is another session"
        assert not any(row[1:])
        assert next_one.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (0,)
        with Database(there) as second:
            ben = world.principal("ben")
            assert list_records(second, ben, Query()).total_records == 1
            with pytest.raises(PermissionDenied):
                draft(second, ben, monthlyRate=1)


def test_what_a_client_that_knows_of_no_pooler_leaves_is_worthless_to_the_next(
    one_session, database_url, monkeypatch
):
    """`pfa.verified` of a session: the client that finds it there has no more than without."""
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    world = a_world(database_url, record("P-1"))
    there = one_session.url(bound_url(database_url))
    ann = world.principal()
    with Database(there, pooling=Pooling.NO) as careless, _plain(there) as next_one:
        assert list_records(careless, ann, Query()).total_records == 1
        left = next_one.execute("SELECT current_setting('pfa.verified', true)").fetchone()
        assert left is not None
        assert left[0], "nothing was left"
        assert next_one.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (0,)
        token = ann.token
        assert token is not None
        forged = token.reveal()[:-4] + "AAAA"
        for tried in (forged, "", "x.y.z"):
            with pytest.raises(psycopg.Error), next_one.transaction():
                next_one.execute("SELECT pfa_authorize(%s, 'ORG', 'read')", [tried])
        assert next_one.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (0,)


# --- work -----------------------------------------------------------------------------------------


def _worked(world: World, there: Database) -> dict[str, Any]:
    """What a pull of files, drafts, commits, a stream and a total make, in the handle's sessions."""
    ann, behind = world.principal(), World(there, world.organization, as_owner=world.owner)
    behind.users.update(world.users)
    # COPY and temporary tables; as many as two portions of a stream.
    behind.pull(record(f"P-{number:04}", monthlyRate=100) for number in range(1200))
    behind.pull(record(f"P-{number:04}", monthlyRate=110) for number in range(1100))
    for number in range(8):
        draft(there, ann, f"P-{number:04}", monthlyRate=700 + number)
    committed = commit(there, ann)
    streamed = [one.pfa_id for one in stream_records(there, ann, Query())]
    stats = pfa_core.compute_stats(there, ann, pfa_core.Filters())
    return {"committed": len(committed.committed), "streamed": streamed, "figures": stats.figures}


@pytest.mark.slow
@pytest.mark.parametrize("bound", [False, *long([True])])
def test_pulls_drafts_commits_and_streams_are_as_without_a_pooler(
    one_session, postgres, template, database_url, monkeypatch, bound
):
    if bound:
        monkeypatch.setenv("PFA_TEST_BOUND", "1")
    found = []
    with postgres.database(template) as beside:
        for url in (database_url, beside):
            world = a_world(url)
            address = bound_url(url) if bound else url
            there = one_session.url(address) if url == beside else address
            with Database(there) as handle:
                found.append(_worked(world, handle))
                assert is_pooled(handle.connection()) == (url == beside)
            world.close()
    assert found[0] == found[1]
    assert len(found[0]["streamed"]) == 1200


@pytest.mark.slow
def test_an_upgrade_leaves_no_lock_and_two_at_once_wait_for_each_other(
    postgres, empty_database_url
):
    with a_pooler(postgres.url("postgres"), size=2) as running:
        there = running.url(empty_database_url)

        def upgrade(_: int) -> tuple[str, ...]:
            with Database(there, require_schema=False) as db:
                return db.administer(migrations.upgrade).applied

        with Database(there, require_schema=False) as db:
            report = db.administer(lambda conn: migrations.upgrade(conn, dry_run=True))
            assert (report.before, len(report.applied)) == (0, report.after)
        with ThreadPoolExecutor(2) as pool:
            applied = list(pool.map(upgrade, range(2)))
        assert sorted(map(bool, applied)) == [False, True]
        with psycopg.connect(empty_database_url) as admin:
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            assert admin.execute(locks).fetchone() == (0,)


@pytest.mark.parametrize("times", [1, *long([9])])
def test_a_session_that_breaks_at_the_commit_leaves_one_change_or_none(
    there, database_url, postgres, times
):
    """The pooler tells of it on a connection that lives, in two answers to one COMMIT."""
    world = a_world(database_url, record("P-1"))
    left = [times]

    def work(conn: psycopg.Connection[Any]) -> None:
        conn.execute("INSERT INTO pfa_organization VALUES ('A', '', 'active', now())")
        if left[0]:
            left[0] -= 1
            row = conn.execute("SELECT pg_backend_pid()").fetchone()
            postgres.admin.execute("SELECT pg_terminate_backend(%s::int, 5000)", row)

    with Database(there) as db:
        if times == 1:
            db.transact(work)
        else:
            with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
                db.transact(work)
    made = world.rows("SELECT 1 FROM pfa_organization WHERE organization_id = 'A'")
    assert len(made) == (times == 1)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"options": "-c search_path=public"}, "the pooler refuses a setting of the address"),
        *long([({"user": "no_such_role"}, "refuses this user")]),
    ],
)
def test_what_a_pooler_refuses_is_a_matter_of_the_configuration(there, words, message):
    with (
        Database(make_conninfo(there, **words), named_by="PFA_DATABASE_URL") as db,
        pytest.raises(ConfigInvalid, match=message) as refused,
    ):
        db.read(lambda _: None)
    assert "PFA_DATABASE_URL" in refused.value.hint


# --- prepared statements --------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", [Pooling.NO, *long([Pooling.PREPARED])])
def test_a_pooler_that_loses_prepared_statements_is_named(there, database_url, pooling):
    ann = a_world(database_url, record("P-1")).principal()

    def read(*handles: Database) -> None:
        for _ in range(8):
            for handle in handles:
                list_records(handle, ann, Query())

    with Database(there, pooling=pooling) as one, one.beside() as two:
        with pytest.raises(ConfigInvalid, match="a pooler lies between that keeps none") as refused:
            read(one, two)
        assert "PFA_DATABASE_POOLED=1" in refused.value.hint
        one.close()


# Debian 12 has 1.18, which hands a statement to a session that did not prepare it.
@pytest.mark.skipif(
    pooler.version() < (1, 22), reason="PgBouncer before 1.22 keeps no prepared statements"
)
def test_prepared_statements_are_used_where_the_pooler_keeps_them(database_url):
    world = a_world(database_url, record("P-1"))
    ann = world.principal()
    named = "SELECT count(*) FROM pg_prepared_statements"
    with a_pooler(database_url, size=2, prepared=True) as running:
        there = running.url(database_url)
        with Database(there, pooling=Pooling.PREPARED) as one, one.beside() as two:
            for handle in (one, two, one):
                for _ in range(8):
                    assert list_records(handle, ann, Query()).total_records == 1
                found = handle.read(lambda conn: conn.execute(named).fetchone())
                assert found is not None
                assert found[0] > 0
                # After a rollback psycopg forgets them all, and says so to the pooler.
                with pytest.raises(pfa_core.errors.PfaError):
                    draft(handle, ann, "P-9", monthlyRate=700)
        with Database(there) as detected:
            for _ in range(8):
                assert list_records(detected, ann, Query()).total_records == 1
            assert detected.connection().prepare_threshold is None


@LONG
def test_a_pooler_that_takes_no_more_clients_is_waited_for(postgres, database_url):
    # One more is the administrators' own.
    with a_pooler(postgres.url("postgres"), clients=2) as full:
        held = [_plain(full.url(database_url)) for _ in range(2)]
        with pytest.raises(psycopg.OperationalError, match="no more connections allowed"):
            _plain(full.url(database_url))
        freeing = threading.Timer(0.3, held.pop().close)
        freeing.start()
        with Database(full.url(database_url)) as db:
            assert is_pooled(db.connection())
        freeing.join()
        held.pop().close()


@LONG
def test_who_gets_no_session_of_the_pooler_in_time_tries_again(postgres, database_url):
    with a_pooler(postgres.url("postgres"), size=1, query_wait_timeout=1) as slow:
        address = slow.url(database_url)
        with Database(address) as first, Database(address) as second, first.snapshot() as conn:
            conn.execute("SELECT 1")
            with pytest.raises(DatabaseUnavailable, match="no free session") as refused:
                second.read(_shown)
            assert "default_pool_size" in refused.value.hint
            freeing = threading.Timer(1.5, lambda: conn.execute("ROLLBACK"))
            freeing.start()
            assert second.read(lambda conn: conn.execute("SELECT 1").fetchone()) == (1,)
            freeing.join()
