"""Reads that ask a replica, once it has what their user wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pfa_core
from pfa_core import Query, export_jsonl, list_records, stream_records
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, NotAllowed
from pfa_core.store import migrations, replica
from pfa_core.store.database import Database
from pfa_core.store.replica import Replica
from pfa_core.store.silence import WatchedConnection
from pfa_core.store.written import Place, Written
from tests import standby
from tests.factories import World, a_world, draft, record
from tests.forms import long
from tests.server import bound_url
from tests.standby import Standby, a_standby

# It is made of a server of the tests' own, by a copy; one that is named in the environment is not copied.
pytestmark = pytest.mark.skipif(bool(standby.why_none()), reason=standby.why_none())
NOT_YET = "reads ask the server itself: the replica has not got what you changed"


@pytest.fixture(scope="module")
def beside(postgres) -> Iterator[Standby]:
    """A standby of the server of the tests."""
    with a_standby(postgres.url("postgres")) as running:
        yield running


@pytest.fixture
def world(database_url: str) -> World:
    return a_world(database_url, record("P-1"), users={"ann": "admin", "vic": "viewer"})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def both(beside: Standby, world: World, database_url: str, said: list[str]) -> Iterator[Database]:
    """A handle on the server whose reads ask the standby."""
    beside.catch_up()
    there = Replica(beside.url(database_url), say=said.append)
    with Database(database_url, replica=there) as db:
        yield db


def is_replica(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SELECT pg_is_in_recovery()").fetchone()
    assert row is not None
    return bool(row[0])


def rate(db: Database, world: World) -> object:
    (found,) = list_records(db, world.principal(), Query()).records
    return pfa_core.exact_json.loads(found.data_json)["monthlyRate"]


def test_reads_streams_and_exports_ask_the_replica_and_writes_the_server(both, world, said):
    assert both.read(is_replica)
    with both.snapshot() as conn:
        assert is_replica(conn)
    assert not both.transact(is_replica)
    assert not both.administer(is_replica)
    assert not both.read(is_replica, latest=True)
    with both.beside() as other:
        assert other.read(is_replica)
    assert [one.pfa_id for one in stream_records(both, world.principal(), Query())] == ["P-1"]
    pieces: list[bytes] = []
    assert export_jsonl(both, world.principal(), Query(), pieces.append) == 1
    assert len(said) == 1
    assert said[0].startswith("reads ask the replica host=")


def test_what_one_wrote_is_read_from_the_server_until_the_replica_has_it(
    both, world, beside, said, monkeypatch
):
    monkeypatch.setattr(replica, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(replica, "AGAIN_SECONDS", 0.0)
    with beside.behind():
        draft(both, world.principal(), monthlyRate=700)
        assert rate(both, world) == 700
        assert not both.read(is_replica)
        with both.beside() as other:
            assert not other.read(is_replica)
        assert said == [NOT_YET]
    monkeypatch.setattr(replica, "WAIT_SECONDS", 30.0)
    assert rate(both, world) == 700
    assert both.read(is_replica)


def test_a_later_process_waits_for_what_an_earlier_one_wrote(
    database_url, world, beside, tmp_path, monkeypatch
):
    monkeypatch.setattr(replica, "WAIT_SECONDS", 0.1)
    kept = tmp_path / "state" / "written"

    def process(path: Path | None) -> Database:
        there = Replica(beside.url(database_url), written=Written(path))
        return Database(database_url, replica=there)

    with beside.behind():
        with process(kept) as first:
            draft(first, world.principal(), monthlyRate=700)
        with process(kept) as second, process(None) as of_another:
            assert rate(second, world) == 700
            assert rate(of_another, world) != 700
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_followed_repeats_nothing_that_a_replica_has_not_got_yet(both, world, beside):
    """The server answers first, then a replica that has less: two users' processes."""
    ann, seen = world.principal(), list[str]()
    with world.owner.beside() as server, beside.behind():
        assert both.read(is_replica)
        draft(server, ann, monthlyRate=700)
        there, both.replica, waits = both.replica, None, list[int]()

        def wait() -> bool:
            waits.append(1)
            both.replica = there
            if len(waits) == 2:
                beside.admin.execute("SELECT pg_wal_replay_resume()")
                beside.catch_up()
            return len(waits) < 4

        seen.extend(one.entry_id for one in pfa_core.follow_log(both, ann, wait=wait))
    assert seen
    assert len(seen) == len(set(seen))


# --- what is written down -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "nonsense", "1 0/0 more", "1" * 30 + " 0/1", "7 0/1\n7 0/2\n"]
)
def test_a_file_that_holds_no_place_is_as_none(tmp_path, text):
    path = tmp_path / "written"
    path.write_text(text)
    written = Written(path)
    assert written.last() is None
    written.note(Place("7", "0/A0"))
    assert Written(path).last() == Place("7", "0/A0")


def test_the_later_place_stays_but_for_one_of_another_server(tmp_path):
    one, other = Written(tmp_path / "w"), Written(tmp_path / "w")
    one.note(Place("7", "1/0"))
    other.note(Place("7", "0/FFFFFFFF"))
    assert other.last() == Place("7", "1/0")
    other.note(Place("8", "0/1"))
    assert Written(tmp_path / "w").last() == Place("8", "0/1")
    Written(tmp_path / "none" / "w").forget()
    one.forget()
    assert one.last() is None


def test_a_file_that_cannot_be_written_is_not_missed(tmp_path):
    (tmp_path / "file").write_text("")
    written = Written(tmp_path / "file" / "written")
    written.note(Place("7", "1/0"))
    assert written.last() == Place("7", "1/0")


@pytest.mark.parametrize("lost", ["put back", *long(["another server"])])
def test_a_place_that_the_server_itself_does_not_have_is_forgotten(both, world, monkeypatch, lost):
    monkeypatch.setattr(replica, "WAIT_SECONDS", 0.05)
    assert both.replica
    both.transact(lambda conn: None)
    last = both.replica.written.last()
    assert last
    gone = Place(last.system, "FFFF/0") if lost == "put back" else Place("1", last.lsn)
    both.replica.written.forget()
    both.replica.written.note(gone)
    assert not both.read(is_replica)
    assert both.replica.written.last() is None
    assert both.read(is_replica)


# --- a replica that does not serve ----------------------------------------------------------------


def test_without_the_replica_reads_ask_the_server_and_say_so(world, database_url, said):
    gone = make_conninfo(database_url, port=1)
    with Database(database_url, replica=Replica(gone, say=said.append)) as db:
        for _ in range(2):
            assert list_records(db, world.principal(), Query()).total_records == 1
    assert len(said) == 1
    assert said[0].startswith(
        "reads ask the server itself, not the replica: the database is not available"
    )


def test_a_replica_without_a_free_connection_is_not_waited_for(both, said, monkeypatch):
    pauses: list[float] = []
    there, connect = both.replica.conninfo, WatchedConnection.connect

    def crowded(conninfo: str = "", **words: Any) -> Any:
        if conninfo == there:
            raise psycopg.OperationalError("FATAL:  sorry, too many clients already")
        return connect(conninfo, **words)

    monkeypatch.setattr(WatchedConnection, "connect", crowded)
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert not both.read(is_replica)
    reason = "the database has no free connection"
    assert (said, pauses) == ([f"reads ask the server itself, not the replica: {reason}"], [])


def test_a_replica_that_lacks_the_schema_is_not_asked(both, world, postgres, beside, said):
    assert both.replica
    both.replica.conninfo = beside.url(postgres.url("postgres"))
    assert list_records(both, world.principal(), Query()).total_records == 1
    assert "the database has no schema of pfa" in said[0]


def test_a_replica_that_refuses_the_user_is_a_matter_of_the_configuration(world, database_url):
    wrong = Replica(make_conninfo(database_url, user="nobody_here"), "PFA_DATABASE_READ_URL")
    with (
        Database(database_url, replica=wrong) as db,
        pytest.raises(ConfigInvalid, match="refuses this user") as refused,
    ):
        list_records(db, world.principal(), Query())
    assert refused.value.hint == "see PFA_DATABASE_READ_URL"


def test_a_read_goes_on_at_the_server_when_the_replica_s_connection_breaks(both, beside, said):
    pids: list[object] = []

    def work(conn: psycopg.Connection[Any]) -> bool:
        row = conn.execute("SELECT pg_backend_pid()").fetchone()
        if not pids:
            pids.append(row)
            beside.admin.execute("SELECT pg_terminate_backend(%s::int, 5000)", row)
        return is_replica(conn)

    assert not both.read(work)


def test_what_the_replica_must_take_away_from_a_read_the_server_gives(both, world, beside):
    """A row that a read's snapshot has, and the replica has to remove."""

    def work(conn: psycopg.Connection[Any]) -> bool:
        conn.execute("SELECT * FROM pfa_mirror").fetchall()
        if is_replica(conn):
            take_away()
            conn.execute("SELECT * FROM pfa_mirror").fetchall()
        return is_replica(conn)

    def take_away() -> None:
        world.execute("UPDATE pfa_mirror SET missing_since = now()")
        world.owner.administer(lambda conn: conn.execute("VACUUM pfa_mirror"))
        beside.catch_up()

    assert not both.read(work)
    with (
        pytest.raises(DatabaseUnavailable, match="the replica ended the read"),
        both.snapshot() as conn,
    ):
        work(conn)


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [True, *long([False])])
def test_a_denied_read_is_recorded_on_the_server(database_url, beside, monkeypatch, bound):
    if bound:
        monkeypatch.setenv("PFA_TEST_BOUND", "1")
    world = a_world(database_url, record("P-1"), users={"ann": "admin", "vic": "viewer"})
    url = bound_url(database_url) if bound else database_url
    beside.catch_up()
    with Database(url, replica=Replica(beside.url(url))) as db:
        assert list_records(db, world.principal("vic"), Query()).total_records == 1
        assert db.read(is_replica)
        with pytest.raises(NotAllowed):
            pfa_core.find_bad_rows(db, world.principal("vic"))
    denials = "SELECT user_id FROM audit_log WHERE action = 'permission_denied'"
    assert world.rows(denials) == [("vic",)]


# --- a replica alone ------------------------------------------------------------------------------


def test_a_replica_alone_is_read_and_a_write_says_what_it_is(world, database_url, beside, caplog):
    beside.catch_up()
    with Database(beside.url(database_url)) as db:
        assert list_records(db, world.principal(), Query()).total_records == 1
        for write in (
            lambda: draft(db, world.principal(), monthlyRate=1),
            lambda: db.administer(migrations.upgrade),
        ):
            with pytest.raises(DatabaseUnavailable) as refused:
                write()
            message = "the database is read-only (a replica?); nothing was stored"
            assert (refused.value.message, refused.value.exit_code) == (message, 69)
        with pytest.raises(NotAllowed):
            pfa_core.find_bad_rows(db, world.principal("vic"))
    assert "a denial could not be recorded: the database is read-only" in caplog.text
