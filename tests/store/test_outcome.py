"""A COMMIT without an answer: what became of the transaction is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pfa_core.errors import DatabaseUnavailable, Internal, OutcomeUnknown
from pfa_core.model.audit import Action
from pfa_core.store import audit, leases, outcome
from pfa_core.store.database import BROKEN_COMMITS, Database
from pfa_core.store.outcome import Begun, Ending
from tests import citus
from tests.cut import When, cut_at

MADE = "INSERT INTO pfa_organization VALUES ('A', '', 'active', now())"
COUNT = "SELECT count(*) FROM pfa_organization"
ENTRY = "00000000-0000-7000-8000-000000000001"


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with Database(database_url) as db:
        yield db


@pytest.fixture
def admin(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Another connection, for what happens meanwhile."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def count(admin: psycopg.Connection[Any]) -> int:
    row = admin.execute(COUNT).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("when", "attempts"),
    [pytest.param(When.BEFORE, 2, marks=citus.knows_outcomes), (When.AFTER, 1)],
)
def test_a_commit_whose_connection_broke_is_done_once(
    db: Database, admin: psycopg.Connection[Any], when: When, attempts: int
) -> None:
    made: list[int] = []

    def work(conn: psycopg.Connection[Any]) -> str:
        made.append(1)
        conn.execute(MADE)
        return "made"

    with cut_at(1, when):
        assert db.transact(work) == "made"
    assert (len(made), count(admin)) == (attempts, 1)


@citus.knows_outcomes
def test_commits_that_never_arrive_are_given_up_and_nothing_is_stored(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with (
        cut_at(1, When.BEFORE, times=BROKEN_COMMITS),
        pytest.raises(DatabaseUnavailable, match="nothing was stored") as caught,
    ):
        db.transact(lambda conn: conn.execute(MADE).rowcount)
    assert (caught.value.code, caught.value.retryable) == ("DATABASE_UNAVAILABLE", True)
    assert count(admin) == 0


def test_a_dry_run_commits_nothing_and_asks_nothing(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with cut_at(1, When.AFTER) as commits:
        db.transact(lambda conn: conn.execute(MADE).rowcount, dry_run=True)
    assert (commits.seen, count(admin)) == (0, 0)


def audited(conn: psycopg.Connection[Any]) -> None:
    conn.execute(MADE)
    audit.write(conn, "A", "ann", Action.GRANT, leases.clock(conn), entries=[audit.Entry(ENTRY)])


def test_without_a_connection_the_entry_to_look_for_is_named(
    db: Database, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "WAIT_SECONDS", 0.3)
    db.read(lambda conn: None)
    gone = f"host=127.0.0.1 port=1 dbname={db.connection().info.dbname}"

    def work(conn: psycopg.Connection[Any]) -> None:
        audited(conn)
        db.conninfo = gone

    with cut_at(1, When.AFTER), pytest.raises(OutcomeUnknown) as caught:
        db.transact(work)
    error = caught.value
    assert (error.code, error.exit_code, error.retryable) == ("OUTCOME_UNKNOWN", 76, False)
    assert ENTRY in error.message
    assert error.hint == f"type: pfa log --since 1h -o jsonl | grep {ENTRY}"
    assert count(admin) == 1


def test_a_server_that_recovered_meanwhile_does_not_answer_for_the_one_before(
    db: Database,
) -> None:
    begun = db.transact(outcome.begin)
    assert Ending(begun, "", None).has_committed(db.connection)
    other = Begun(begun.xid, "another start", begun.pid)
    with pytest.raises(OutcomeUnknown, match="may be stored or not"):
        Ending(other, "", None).has_committed(db.connection)


def test_an_id_that_the_server_has_not_reached_is_no_answer(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "WAIT_SECONDS", 0.2)
    begun = db.transact(outcome.begin)
    ahead = Begun(str(int(begun.xid) + 1_000_000), begun.server, begun.pid)
    with pytest.raises(OutcomeUnknown):
        Ending(ahead, "", None).has_committed(db.connection)


@citus.knows_outcomes
def test_a_session_whose_client_is_gone_is_ended_and_then_it_is_known(
    db: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "_GRACE_SECONDS", 0.1)
    with psycopg.connect(database_url) as left:
        begun = outcome.begin(left)
        left.execute(MADE)
        started = time.monotonic()
        assert not Ending(begun, "", None).has_committed(db.connection)
        assert time.monotonic() - started < 5
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")


# --- a COMMIT that is answered by an error --------------------------------------------------------

_FAILS_AT_COMMIT = """
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE SQLSTATE 'XX000' USING MESSAGE = 'connection to the remote node failed'; END $$;
CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON pfa_organization DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fails();
"""


@citus.takes_triggers
@pytest.mark.parametrize("spread", [True, False], ids=["a coordinator", "one server"])
def test_an_internal_error_at_a_commit_is_no_answer_where_other_servers_have_parts_of_it(
    db: Database, admin: psycopg.Connection[Any], spread: bool
) -> None:
    """On a living connection. A coordinator aborts when it loses a server that may have committed already."""
    admin.execute(_FAILS_AT_COMMIT)
    if spread:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET citus.version = '13'")
    made: list[int] = []

    def work(conn: psycopg.Connection[Any]) -> None:
        made.append(1)
        audited(conn)

    with pytest.raises(OutcomeUnknown if spread else Internal) as caught:
        db.transact(work)
    assert ("while the change was being committed" in caught.value.message) == spread
    assert (ENTRY in caught.value.message) == spread
    assert (len(made), count(admin)) == (1, 0)
    assert db.read(lambda conn: 1) == 1
