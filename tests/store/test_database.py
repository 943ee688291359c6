"""Connections, transactions and retries, against a real server, with the driver's errors translated."""

from __future__ import annotations

import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from pfa_core import exact_json
from pfa_core.errors import (
    ConfigInvalid,
    DatabaseUnavailable,
    Internal,
    InvalidData,
    InvalidRequest,
    IoFailure,
    NotFound,
    PfaError,
    SchemaOutdated,
)
from pfa_core.store import connection
from pfa_core.store.connection import split_password
from pfa_core.store.database import ATTEMPTS, BROKEN_COMMITS, Database
from pfa_core.store.errors import translate
from pfa_core.store.silence import WatchedConnection
from tests.citus import knows_outcomes
from tests.factories import a_world, record

BACKEND = "SELECT pg_backend_pid()"
COUNT = "SELECT count(*) FROM pfa_mirror WHERE organization_id = 'ORG'"


@pytest.fixture
def db(database_url):
    with Database(database_url) as db:
        yield db


@pytest.fixture
def admin(database_url):
    """Another connection, for what happens meanwhile."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def no_waiting(monkeypatch):
    """Tries follow one another at once."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def value(conn, statement: str):
    return conn.execute(statement).fetchone()[0]


def end_backend(admin, conn) -> None:
    """Let the server end the connection's session, and wait until it is gone."""
    pid = conn.info.backend_pid
    admin.execute("SELECT pg_terminate_backend(%s::int, 5000)", [pid])


# --- translation ---------------------------------------------------------------------------------

SQLSTATES = [
    ("40001", DatabaseUnavailable),
    ("40P01", DatabaseUnavailable),
    ("08000", DatabaseUnavailable),
    ("08006", DatabaseUnavailable),
    ("57P01", DatabaseUnavailable),
    ("57P02", DatabaseUnavailable),
    ("57P03", DatabaseUnavailable),
    ("53300", DatabaseUnavailable),
    ("53200", DatabaseUnavailable),
    ("25006", DatabaseUnavailable),
    ("53100", IoFailure),
    ("28000", ConfigInvalid),
    ("28P01", ConfigInvalid),
    ("3D000", ConfigInvalid),
    ("42501", ConfigInvalid),
    ("42P01", SchemaOutdated),
    ("42703", SchemaOutdated),
    ("42883", SchemaOutdated),
    ("42601", Internal),
    ("22012", Internal),
    ("23505", Internal),
    ("23514", Internal),
    ("XX000", Internal),
    ("P0001", Internal),
    ("25P03", DatabaseUnavailable),
    ("25P04", DatabaseUnavailable),
    ("57014", DatabaseUnavailable),
    ("57P05", DatabaseUnavailable),
    ("22021", InvalidData),
    ("22P05", InvalidData),
    ("54000", InvalidData),
    ("54001", Internal),
]


@pytest.mark.parametrize(("state", "kind"), SQLSTATES)
def test_a_state_of_the_server_becomes_the_error_that_tells_what_to_do(state, kind):
    secret = "SELECT secret FROM pfa_mirror password=hunter2"
    error = translate(psycopg.errors.lookup(state)(secret))
    assert isinstance(error, kind)
    assert error.retryable == (kind is DatabaseUnavailable)
    assert "hunter2" not in error.message + error.hint
    assert "SELECT" not in error.message


@pytest.mark.parametrize(("state", "kind"), SQLSTATES)
def test_what_the_server_raises_is_translated(db, no_waiting, state, kind):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    with pytest.raises(kind) as caught:
        db.transact(work)
    assert isinstance(caught.value.__cause__, psycopg.Error)
    again = state in ("40001", "40P01") or state.startswith(("08", "57P"))
    assert len(attempts) == (ATTEMPTS if again else 1)


@pytest.mark.parametrize("state", ["57014", "55P03", "54000", "54001"])
def test_a_cancelled_or_impossible_statement_is_not_reported_as_a_broken_connection(
    db, no_waiting, state
):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    with pytest.raises(PfaError) as caught:
        db.transact(work)
    assert "the connection broke" not in caught.value.message
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"dbname": "no_such_database"}, ConfigInvalid),
        ({"user": "no_such_role"}, ConfigInvalid),
        ({"port": "1"}, DatabaseUnavailable),
        ({"host": "/nowhere/at/all"}, DatabaseUnavailable),
    ],
    ids=["database", "user", "port", "host"],
)
def test_an_address_without_a_server_and_one_that_refuses_the_user_differ(
    database_url, no_waiting, changes, kind
):
    address = psycopg.conninfo.make_conninfo(database_url, **changes, password="hunter2")
    with Database(address) as db, pytest.raises(kind) as caught:
        db.read(lambda conn: None)
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    "address", ["nonsense", "postgresql:///d?nope=1", "host=x nope=1", "host='x", "\udcff"]
)
def test_an_address_that_is_none_is_a_configuration_fault(address):
    with Database(address) as db, pytest.raises(ConfigInvalid):
        db.read(lambda conn: None)


# Each password holds what a URL has to escape; libpq takes the rest of it for host, port or database.
CUT = [
    "postgresql://u:gro@sSECRET@127.0.0.1:1/pfa",
    "postgresql://u:gro@sSECRET/x@127.0.0.1:1/pfa",
    "postgresql://u:gro/sSECRET@127.0.0.1:1/pfa",
    "postgresql://u:1/sSECRET@127.0.0.1:1/pfa",
    "postgres://u:gro@sSECRET@127.0.0.1:1/pfa?sslmode=disable",
    "postgresql://u:gro?sSECRET@@127.0.0.1:1/pfa",
    "host=127.0.0.1 port=1 password=gro sSECRET",
    "postgresql://u:gro@sSECRET/x",
    "postgresql://u:gro@sSECRET:1/x",
    "postgresql://u:gro@sSECRET",
    "postgresql://u:gro@sSECRET,tSECRET/x",
    "postgresql://u:gro%zzsSECRET@127.0.0.1:1/pfa",
]


@pytest.mark.parametrize("address", CUT)
def test_no_part_of_a_password_is_in_an_error(no_waiting, address):
    with Database(address, named_by="DATABASE_URL") as db, pytest.raises(PfaError) as refused:
        db.read(lambda conn: None)
    assert isinstance(refused.value, ConfigInvalid | DatabaseUnavailable)
    assert "SECRET" not in "".join(traceback.format_exception(refused.value)) + refused.value.hint
    assert refused.value.hint


def test_an_address_whose_password_is_escaped_is_taken(database_url, no_waiting):
    words = conninfo_to_dict(database_url)
    where = f"host={words['host']}&port={words['port']}"
    at = f"postgresql://{words['user']}:a%40b%2Fc@/{words['dbname']}?{where}"
    with Database(f"{at}&application_name=me@home") as db:
        assert db.read(lambda conn: value(conn, "SELECT 1")) == 1


@pytest.mark.parametrize("source", ["DATABASE_URL", "PFA_DATABASE_URL", "--database-url"])
@pytest.mark.parametrize(
    "address", ["nonsense", "host=x port=nonsense", "postgresql://u:p@q@h/d", "no_such_database"]
)
def test_a_hint_names_what_named_the_address(database_url, no_waiting, source, address):
    if address == "no_such_database":
        address = psycopg.conninfo.make_conninfo(database_url, dbname=address)
    with Database(address, named_by=source) as db, pytest.raises(ConfigInvalid) as refused:
        db.read(lambda conn: None)
    assert f"see {source}" in refused.value.hint


def test_an_unknown_host_is_reported_as_such(no_waiting):
    with (
        Database("host=nowhere.invalid dbname=x") as db,
        pytest.raises(DatabaseUnavailable) as caught,
    ):
        db.read(lambda conn: None)
    assert "connection broke" not in caught.value.message
    assert "host" in caught.value.message


def test_an_error_of_the_work_itself_is_passed_on_and_undoes_it(db, admin):
    world = a_world(db.conninfo, record("P-1"))

    def work(conn):
        conn.execute("DELETE FROM pfa_mirror")
        raise NotFound("of the work's own")

    with pytest.raises(NotFound, match="own"):
        world.db.transact(work)
    assert value(admin, COUNT) == 1


# --- transactions --------------------------------------------------------------------------------


def test_work_is_stored_and_a_dry_run_is_not(db, admin):
    insert = "INSERT INTO pfa_organization VALUES (%s, '', 'active', now())"
    assert db.transact(lambda conn: conn.execute(insert, ["A"]).rowcount, dry_run=True) == 1
    assert value(admin, "SELECT count(*) FROM pfa_organization") == 0
    assert db.transact(lambda conn: conn.execute(insert, ["A"]).rowcount) == 1
    assert value(admin, "SELECT count(*) FROM pfa_organization") == 1


def test_a_read_cannot_write(db):
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        db.read(lambda conn: conn.execute("DELETE FROM pfa_mirror"))


def test_a_snapshot_sees_one_moment_whatever_is_pulled_meanwhile(database_url):
    world = a_world(database_url, record("P-1"))
    with Database(database_url) as other, other.snapshot() as conn:
        assert value(conn, COUNT) == 1
        world.pull([record("P-2")])
        assert value(conn, COUNT) == 1
        assert value(conn, "SELECT sum(record_count) FROM kpi_rollup") == 1
    assert world.db.read(lambda conn: value(conn, COUNT)) == 2


def test_every_read_takes_its_own_snapshot(database_url):
    world = a_world(database_url, record("P-1"))
    with Database(database_url) as other:
        assert other.read(lambda conn: value(conn, COUNT)) == 1
        world.pull([record("P-2")])
        assert other.read(lambda conn: value(conn, COUNT)) == 2


def test_sessions_speak_utc_and_iso_whatever_the_server_prefers(db, admin):
    name = value(admin, "SELECT current_database()")
    for setting in (
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'German'",
        "statement_timeout = '100ms'",
    ):
        admin.execute(f'ALTER DATABASE "{name}" SET {setting}')
    show = (
        "SELECT current_setting('TimeZone') || ' ' || current_setting('DateStyle') || pg_sleep(0.2)"
    )
    assert db.read(lambda conn: value(conn, show)).startswith("UTC ISO")


def test_json_keeps_its_digits_both_ways(db):
    read = db.read(
        lambda conn: conn.execute("SELECT %s", [Jsonb(exact_json.loads('{"a": 1.10}'))]).fetchone()
    )
    assert exact_json.dumps(read[0]) == '{"a":1.10}'


def test_a_handle_that_is_busy_with_a_stream_says_so(db):
    with db.snapshot(), pytest.raises(InvalidRequest, match="busy"):
        db.transact(lambda conn: None)
    assert db.read(lambda conn: 1) == 1


def test_threads_that_share_a_handle_take_turns(db):
    inside = []

    def work(conn):
        inside.append(threading.get_ident())
        conn.execute("SELECT pg_sleep(0.02)")
        assert inside[-1] == threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: db.read(work), range(8)))
    assert len(inside) == 8


def test_a_stream_that_another_thread_closes_leaves_the_handle_to_all(db):
    """As the garbage collector does, which runs in any thread."""

    def stream():
        with db.snapshot() as conn:
            yield value(conn, BACKEND)

    for _ in range(2):
        left = stream()
        next(left)
        with ThreadPoolExecutor(1) as other:
            other.submit(left.close).result()
            assert other.submit(db.read, lambda conn: 1).result(timeout=30) == 1
        assert db.transact(lambda conn: 2) == 2


def test_a_thread_waits_for_another_one_s_stream(db):
    with ThreadPoolExecutor(1) as other:
        with db.snapshot():
            waiting = other.submit(db.read, lambda conn: 1)
            time.sleep(0.05)
            assert not waiting.done()
        assert waiting.result(timeout=30) == 1


def test_a_closed_handle_opens_again_when_it_is_used(db):
    first = db.read(lambda conn: value(conn, BACKEND))
    assert db.read(lambda conn: value(conn, BACKEND)) == first
    db.close()
    db.close()
    assert db.read(lambda conn: value(conn, BACKEND)) != first


def test_tries_are_spread_over_a_while_that_ends(db, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(DatabaseUnavailable):
        db.transact(lambda conn: conn.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
    assert waits == sorted(waits)
    assert len(waits) == ATTEMPTS - 1
    assert 0 < sum(waits) < 5


def test_nothing_stays_connected_after_a_handle_is_closed(database_url, admin):
    with Database(database_url) as db:
        db.read(lambda conn: None)
        pid = db.connection().info.backend_pid
    mine = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
    for _ in range(100):
        if value(admin, mine) == 0:
            return
        admin.execute("SELECT pg_sleep(0.02)")
    pytest.fail("the session is still there")


# --- trying again --------------------------------------------------------------------------------


def test_a_deadlock_is_tried_again_until_both_have_done_their_work(database_url, admin):
    # Of one organization, so that on a cluster it is the deadlock of one node.
    a_world(database_url, record("P-1"), users={"A": "admin", "B": "admin"})
    admin.execute("UPDATE pfa_member SET granted_by = '' WHERE organization_id = 'ORG'")
    name = value(admin, "SELECT current_database()")
    admin.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '50ms'")
    together, attempts = Barrier(2, timeout=10), []

    def work(order: str) -> None:
        def both(conn):
            attempts.append(order)
            for user in order:
                conn.execute(
                    "UPDATE pfa_member SET granted_by = granted_by || %s"
                    " WHERE organization_id = 'ORG' AND user_id = %s",
                    [order, user],
                )
                if attempts.count(order) == 1 and user == order[0]:
                    together.wait()

        with Database(database_url) as db:
            db.transact(both)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["AB", "BA"]))
    assert len(attempts) == 3
    names = admin.execute("SELECT granted_by FROM pfa_member WHERE organization_id = 'ORG'")
    assert {"".join(sorted(name)) for (name,) in names} == {"AABB"}


@pytest.mark.parametrize("losses", [1, ATTEMPTS - 1])
def test_work_that_lost_to_another_starts_again_from_its_beginning(db, admin, no_waiting, losses):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute("INSERT INTO pfa_organization VALUES ('A', '', 'active', now())")
        if len(attempts) <= losses:
            conn.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
        return len(attempts)

    assert db.transact(work) == losses + 1
    assert value(admin, "SELECT count(*) FROM pfa_organization") == 1


def test_trying_again_ends(db, no_waiting):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(DatabaseUnavailable, match="too busy") as caught:
        db.transact(work)
    assert len(attempts) == ATTEMPTS
    assert caught.value.retryable


def test_a_read_whose_session_was_ended_is_read_again(db, admin):
    sessions = []

    def work(conn):
        sessions.append(conn.info.backend_pid)
        if len(sessions) == 1:
            end_backend(admin, conn)
        return value(conn, "SELECT 42")

    assert db.read(work) == 42
    assert len(set(sessions)) == 2


def test_a_session_that_was_ended_between_two_reads_is_no_trouble(db, admin):
    db.read(lambda conn: None)
    end_backend(admin, db.connection())
    assert db.read(lambda conn: value(conn, "SELECT 42")) == 42
    end_backend(admin, db.connection())
    assert db.transact(lambda conn: value(conn, "SELECT 42")) == 42


def test_a_write_whose_session_was_ended_before_its_end_is_done_once(db, admin):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute("INSERT INTO pfa_organization VALUES ('A', '', 'active', now())")
        if len(attempts) == 1:
            end_backend(admin, conn)
            conn.execute("SELECT 1")

    db.transact(work)
    assert len(attempts) == 2
    assert value(admin, "SELECT count(*) FROM pfa_organization") == 1


@knows_outcomes
def test_a_write_whose_session_ends_at_every_commit_is_given_up(db, admin):
    attempts = []

    def work(conn):
        attempts.append(1)
        conn.execute("INSERT INTO pfa_organization VALUES ('A', '', 'active', now())")
        end_backend(admin, conn)

    with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
        db.transact(work)
    assert len(attempts) == BROKEN_COMMITS
    assert value(admin, "SELECT count(*) FROM pfa_organization") == 0


def test_a_database_that_is_gone_is_reported_after_a_few_attempts(database_url, postgres):
    with Database(database_url) as db:
        db.read(lambda conn: None)
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        postgres.drop(name)
        with pytest.raises((DatabaseUnavailable, ConfigInvalid)):
            db.read(lambda conn: None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://u:p%40ss@h:5432/d", ("user=u dbname=d host=h port=5432", "p@ss")),
        ("host=/tmp dbname=d password=p", ("host=/tmp dbname=d", "p")),
        ("postgresql://u@/d?host=/tmp&password=p", ("user=u dbname=d host=/tmp", "p")),
        ("postgresql://u@h/d", ("postgresql://u@h/d", "")),
        ("host=/tmp dbname=d", ("host=/tmp dbname=d", "")),
    ],
)
def test_a_password_is_no_argument_of_a_program(address, expected):
    without, password = split_password(address, "PFA_DATABASE_URL")
    assert (conninfo_to_dict(without), password) == (conninfo_to_dict(expected[0]), expected[1])
    assert without == address or "p" not in conninfo_to_dict(without).values()


@pytest.mark.parametrize("address", ["host=127.0.0.1 port=hunter2", "postgresql//u:hunter2@h/d"])
def test_an_invalid_address_is_reported_without_it_in_the_trace_too(address):
    with pytest.raises(ConfigInvalid) as refused:
        Database(address).read(lambda conn: None)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


# --- a server that has no connection to spare ----------------------------------------------------

CROWDED = [
    "sorry, too many clients already",
    "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    'too many connections for role "ann"',
    'too many connections for database "pfa"',
    "no more connections allowed (max_client_conn)",
]


@pytest.mark.parametrize("words", CROWDED)
def test_a_free_connection_is_waited_for(database_url, monkeypatch, no_waiting, words):
    asked = refusing(monkeypatch, 20, words)
    with Database(database_url) as db:
        assert db.read(lambda conn: value(conn, "SELECT 1")) == 1
    assert len(asked) == 21


def test_a_server_that_stays_crowded_is_given_up_once(database_url, monkeypatch, no_waiting):
    asked = refusing(monkeypatch, 1_000_000, CROWDED[0])
    monkeypatch.setattr(connection, "CROWD_SECONDS", 0.0)
    with Database(database_url) as db, pytest.raises(DatabaseUnavailable) as given_up:
        db.read(lambda conn: value(conn, "SELECT 1"))
    assert "no free connection" in given_up.value.message
    assert "pg_stat_activity" in given_up.value.hint
    assert len(asked) == 1


@pytest.mark.parametrize("kind", ["role", "database"])
def test_a_limit_of_a_role_or_a_database_is_given_up_soon_and_named(
    database_url, admin, monkeypatch, kind
):
    """With a limit of 0 there is no connection, however long it is waited for."""
    name = f"pfa_test_limited_{os.getpid()}"
    database = conninfo_to_dict(database_url)["dbname"]
    limited = name if kind == "role" else database
    monkeypatch.setattr(connection, "LIMITED_SECONDS", 0.3)
    admin.execute(f"CREATE ROLE {name} LOGIN IN ROLE pfa_app")
    admin.execute(f'ALTER {kind} "{limited}" CONNECTION LIMIT 0')
    try:
        with (
            Database(make_conninfo(database_url, user=name)) as db,
            pytest.raises(DatabaseUnavailable, match=f"for the {kind} {limited}") as given_up,
        ):
            db.connection()
        statement = given_up.value.hint.removeprefix("an administrator types: ").split(";")[0]
        admin.execute(statement.encode())
        with Database(make_conninfo(database_url, user=name)) as db:
            assert db.administer(lambda conn: value(conn, "SELECT 1")) == 1
    finally:
        admin.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT -1')
        admin.execute(f"DROP ROLE {name}")


def test_what_waits_for_a_connection_asks_ever_more_seldom(database_url, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    refusing(monkeypatch, 30, CROWDED[0])
    with Database(database_url) as db:
        db.connection()
    assert pauses == sorted(pauses)
    assert 0.05 <= pauses[0] <= 0.15
    assert 1 <= pauses[-1] <= 3


def test_a_role_whose_connections_are_all_taken_waits_for_one(database_url, admin):
    role = f"pfa_test_crowded_{os.getpid()}"
    address = make_conninfo(database_url, user=role)
    admin.execute(f"CREATE ROLE {role} LOGIN IN ROLE pfa_app CONNECTION LIMIT 1")
    try:
        freeing = threading.Timer(0.2, psycopg.connect(address).close)
        freeing.start()
        with Database(address) as db:
            assert db.administer(lambda conn: value(conn, "SELECT current_user::text")) == role
        freeing.join()
    finally:
        admin.execute(f"DROP ROLE {role}")


# --- a server that starts or recovers ------------------------------------------------------------


def refusing(monkeypatch, times, words):
    """The next connections are refused with these words, `times` of them."""
    asked = []
    connect = WatchedConnection.connect

    def answer(*args, **options):
        asked.append(1)
        if len(asked) <= times:
            raise psycopg.OperationalError(f"connection failed: FATAL:  {words}")
        return connect(*args, **options)

    monkeypatch.setattr(WatchedConnection, "connect", answer)
    return asked


@pytest.mark.parametrize(
    "words",
    [
        "the database system is starting up",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
    ],
)
def test_a_server_that_recovers_is_waited_for(database_url, monkeypatch, no_waiting, words):
    asked = refusing(monkeypatch, 20, words)
    with Database(database_url) as db:
        assert db.read(lambda conn: value(conn, "SELECT 1")) == 1
    assert len(asked) == 21


def test_a_server_that_refuses_for_another_reason_is_not_waited_for(
    database_url, monkeypatch, no_waiting
):
    asked = refusing(monkeypatch, 20, "the database system is shutting down")
    with Database(database_url) as db, pytest.raises(DatabaseUnavailable):
        db.read(lambda conn: value(conn, "SELECT 1"))
    assert len(asked) <= ATTEMPTS


def test_a_recovery_without_an_end_is_given_up(database_url, monkeypatch, no_waiting):
    asked = refusing(monkeypatch, 1_000_000, "the database system is starting up")
    monkeypatch.setattr(connection, "_RECOVERY_SECONDS", 0.0)
    with Database(database_url) as db, pytest.raises(DatabaseUnavailable, match="still recovers"):
        db.read(lambda conn: value(conn, "SELECT 1"))
    assert len(asked) <= 2
