"""Handles after an interrupt: what is used next goes on, whatever was at work and wherever the signal came."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg import transaction

from pfa_core.store import database, silence, turn
from pfa_core.store.database import Database
from tests.forms import LONG
from tests.processes import started
from tests.store.interrupting import interrupted_everywhere

# A program that keeps one handle: each of its lines is an operation, which is interrupted, and what follows it.
_PROGRAM = """
import sys
from pfa_core.store.database import Database

db = Database(sys.argv[1])

def sleeps(conn):
    conn.execute("SELECT pg_sleep(30)")

def streams():
    with db.snapshot() as conn, conn.cursor(name="s") as cursor:
        cursor.itersize = 1
        for _ in cursor.execute("SELECT pg_sleep(0.2) FROM generate_series(1, 100)"):
            pass

def ends_slowly(conn):
    conn.execute("CREATE TEMP TABLE slow (n int)")
    conn.execute(
        "CREATE FUNCTION pg_temp.wait() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'"
    )
    conn.execute(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION pg_temp.wait()"
    )
    conn.execute("INSERT INTO slow VALUES (1)")

for work in (
    lambda: db.read(sleeps),
    lambda: db.transact(sleeps),
    lambda: db.administer(sleeps),
    streams,
    lambda: db.transact(ends_slowly),
):
    sys.stdin.readline()
    try:
        work()
    except KeyboardInterrupt:
        pass
    found = db.transact(lambda conn: conn.execute("SELECT 1").fetchone())
    print(db.read(lambda conn: conn.execute("SELECT 2").fetchone()), found, flush=True)
"""
_ASLEEP = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event = 'PgSleep'"
)


@pytest.mark.slow
def test_a_handle_goes_on_after_a_signal_in_a_statement_a_stream_or_a_commit(
    database_url: str,
) -> None:
    words = [sys.executable, "-c", _PROGRAM, database_url]
    with (
        psycopg.connect(database_url, autocommit=True) as looking,
        started(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(5):
            child.stdin.write("go on\n")
            child.stdin.flush()
            began = time.monotonic()
            while looking.execute(_ASLEEP).fetchone() != (1,):
                assert child.poll() is None
                assert time.monotonic() - began < 20
                time.sleep(0.02)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "(2,) (1,)\n"
            assert looking.execute(_ASLEEP).fetchone() == (0,)
        assert child.wait(20) == 0


def _read(db: Database) -> object:
    return db.read(lambda conn: conn.execute("SELECT 1").fetchone())


def _stream(db: Database) -> None:
    with db.snapshot() as conn:
        conn.execute("SELECT 1").fetchone()


@LONG
@pytest.mark.parametrize(
    "work",
    [
        _read,
        _stream,
        lambda db: db.transact(lambda conn: conn.execute("SELECT 1").fetchone()),
        lambda db: db.administer(lambda conn: conn.execute("SELECT 1").fetchone()),
    ],
    ids=["read", "stream", "transact", "administer"],
)
def test_a_signal_at_any_place_leaves_the_handle_to_all(
    database_url: str, work: Callable[[Database], object]
) -> None:
    """Of the handle's own code, psycopg's about transactions, and Python's about blocks."""
    files = (turn, database, silence, transaction, contextlib)
    stuck: list[str] = []
    with Database(database_url) as db:
        for place in interrupted_everywhere(lambda: work(db), *(file.__file__ for file in files)):
            assert _read(db) == (1,), place
            other = threading.Thread(target=_read, args=(db,), daemon=True)
            other.start()
            other.join(20)
            if other.is_alive():
                stuck.append(place)
                break
    assert stuck == []
