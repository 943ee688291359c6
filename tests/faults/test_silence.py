"""A database connection that becomes silent: what waits on it ends, and what comes next goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.model.audit import Direction
from pfa_core.model.run import IfLocked
from pfa_core.store import silence
from pfa_core.store.database import Database
from pfa_core.sync import lease
from tests.factories import commit, draft, record
from tests.faults.program import Program
from tests.faults.silent_proxy import Silence, SilentProxy, Way, a_silent_proxy
from tests.forms import LONG, long
from tests.pems_server import FarSide, a_far_side

SILENCE_SECONDS = 0.6
SHORTEST = 16  # messages that each of the works here needs
SOON = 20.0  # seconds; without the limits nothing here ends
# From each of the client's messages on: the connection's own first ones, a run's start, its work, its end.
MOMENTS = [9, *long([1, 3, 6, 16, 22, 33])]


@pytest.fixture
def far(database_url: str) -> Iterator[FarSide]:
    """Three records, one draft of each committed; PEMS has changed another field."""
    with a_far_side(database_url, *(record(f"P-{number}") for number in (1, 2, 3))) as far:
        for number in (1, 2, 3):
            draft(far.db, far.ann, f"P-{number}", session="s", model=f"M{number}")
        commit(far.db, far.ann)
        yield far


@contextmanager
def behind(
    far: FarSide, silence: Silence | None, silence_limit: float = SILENCE_SECONDS
) -> Iterator[tuple[FarSide, SilentProxy]]:
    """The same world by way of a proxy, whose silence has begun in the end."""
    url = str(far.db.conninfo)
    with a_silent_proxy(url, silence) as proxy:
        address = proxy.url(
            url, tcp_user_timeout=f"{silence_limit * 1000:.0f}", connect_timeout="2"
        )
        with Database(address) as db:
            yield replace(far, world=replace(far.world, db=db)), proxy
        assert silence is None or silence.after > SHORTEST or proxy.begun.is_set()


def sessions(far: FarSide) -> list[Any]:
    """The sessions that wait within a transaction."""
    return far.world.rows(
        "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state ~ '^idle in'"
    )


@contextmanager
def soon(limit: float = SOON) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < limit


@pytest.mark.turns(2)
@pytest.mark.variants(1)
@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_push_behind_a_silent_connection_ends_and_every_change_is_in_pems_once(
    far: FarSide, way: Way, moment: int
) -> None:
    with behind(far, Silence(way, moment)) as (there, _), soon():
        try:
            result = there.push()
        except errors.DatabaseUnavailable:
            pass
        else:
            assert result.synced == 3
    assert sessions(far) == []
    assert far.world.rows("SELECT name FROM pfa_lease") == []
    far.push()
    assert far.states() == {"synced": 3}
    far.require_once()
    far.require_agreement()


@pytest.mark.turns(8)
@pytest.mark.variants(1)
@pytest.mark.parametrize("way", [Way.DOWN, *long(way for way in Way if way is not Way.DOWN)])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["files", "pems"])
def test_a_pull_behind_a_silent_connection_ends_and_the_next_one_goes_on(
    far: FarSide, tmp_path: Path, kind: str, way: Way, moment: int
) -> None:
    far.pems.change("P-2", category="Theirs")
    path = tmp_path / "records.json"
    held = [{**item.data, "organization": "ORG"} for item in far.pems.records]
    path.write_text(json.dumps(held))

    def pull(there: FarSide) -> Any:
        if kind == "pems":
            return there.pull()
        return pfa_core.pull_files(there.db, there.ann, [str(path)])

    unavailable = suppress(errors.DatabaseUnavailable)
    with behind(far, Silence(way, moment)) as (there, _), soon(), unavailable:
        pull(there)
    assert sessions(far) == []
    assert far.world.rows("SELECT name FROM pfa_lease") == []
    pull(far)
    far.require_agreement()


@pytest.mark.variants(1)
@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("moment", [9, *long([3, 16])])
def test_a_command_behind_a_silent_connection_has_the_result_of_one_execution(
    far: FarSide, way: Way, moment: int
) -> None:
    """What was read is read again on a new connection; what was written is written once."""
    with behind(far, Silence(way, moment)) as (there, _), soon():
        saved = draft(there.db, there.ann, "P-1", session="t", monthlyRate=5)
        assert saved.pfa_id == "P-1"
        page = pfa_core.list_records(there.db, there.ann, pfa_core.Query())
        assert len(page.records) == 3
    assert far.world.rows("SELECT count(*) FROM audit_log WHERE action = 'save'") == [(4,)]
    assert sessions(far) == []


@pytest.mark.long
@pytest.mark.parametrize("greeting", [*long([0]), 2])
@pytest.mark.parametrize("way", [Way.DOWN, *long(way for way in Way if way is not Way.DOWN)])
def test_where_every_connection_is_silent_a_push_ends_as_unavailable(
    far: FarSide, way: Way, greeting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfa_core.store.connection.ASK_SECONDS", 1)
    refused = pytest.raises((errors.DatabaseUnavailable, errors.LeaseHeld))
    with behind(far, Silence(way, 14, None, greeting)) as (there, _), soon(), refused:
        there.push()
    # The server cannot know: it ends the session after 60 seconds, and the lease expires after 30.
    far.world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    far.world.execute("UPDATE pfa_lease SET expires_at = now()")
    far.push()
    assert far.states() == {"synced": 3}
    far.require_once()


@pytest.mark.long
def test_a_long_statement_and_a_wait_for_a_lock_are_no_silence(far: FarSide) -> None:
    lock = "SELECT FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ann' FOR UPDATE"
    locked = threading.Event()

    def hold(conn: Any) -> None:
        conn.execute(lock)
        locked.set()
        time.sleep(1.5)

    with behind(far, None, silence_limit=0.3) as (there, proxy), far.db.beside() as other:
        first = there.db.connection()
        there.db.transact(lambda conn: conn.execute("SELECT pg_sleep(1.5)"))
        assert there.db.connection() == first
        # It was asked each 0.3 s, on a busy machine less often.
        assert 1 + 2 <= len(proxy.chunks) <= 1 + 4
        holder = threading.Thread(target=lambda: other.transact(hold))
        holder.start()
        assert locked.wait(5)
        there.db.transact(lambda conn: conn.execute(lock))
        holder.join()
        assert (there.db.connection(), len(proxy.chunks) > 1 + 4) == (first, True)


def test_a_node_that_does_not_answer_keeps_no_silent_session_from_its_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster one of whose workers is lost: asking them all is an error."""
    asked = {"has_workers": "SELECT true", "at_work_on_workers": "SELECT 1 / 0"}
    monkeypatch.setattr(silence, "_SQL", {**silence._SQL, **asked})
    with Database(database_url) as db, psycopg.connect(database_url, autocommit=True) as other:
        conn = db.connection()
        # Right after its last answer a session may be seen at work still.
        until = time.monotonic() + SOON
        while silence._ask(other, conn.info.backend_pid, 0, end=True):
            assert time.monotonic() < until
        with pytest.raises(psycopg.errors.AdminShutdown):
            conn.execute("SELECT 1")


@pytest.mark.long
def test_an_answer_that_arrives_slowly_is_no_silence(far: FarSide) -> None:
    """Each piece of it begins the time anew."""
    pieces = "SELECT repeat('x', 100000), pg_sleep(0.2) FROM generate_series(1, 8)"
    with behind(far, None, silence_limit=0.4) as (there, proxy):
        rows = there.db.read(lambda conn: conn.execute(pieces).fetchall())
        assert (len(rows), len(proxy.chunks)) == (8, 1)


@LONG
def test_a_silent_heartbeat_renews_the_lease_on_another_connection(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind(far, Silence(Way.BOTH, 4, connection=1)) as (there, proxy):
        owner = "018f0000-0000-7000-8000-000000000001"
        held = lease.Lease(
            organization_id="ORG",
            direction=Direction.PUSH,
            owner_id=owner,
            user_id="ann",
            lifetime=timedelta(seconds=3),
        )
        transact = there.db.transact
        assert transact(held.take) is None
        with lease.heartbeat(held, there.db, lambda db: db.transact):
            for _ in range(40):
                time.sleep(0.15)
                assert not held.lost
        assert proxy.begun.is_set()


# --- signals, and the limits as they are ------------------------------------------------------------


@contextmanager
def a_silent_program(
    far: FarSide, folder: Path, silence: Silence, *words: str
) -> Iterator[tuple[subprocess.Popen[str], SilentProxy]]:
    """`pfa`, waiting on a connection that is silent by now, with the limits that it has by itself."""
    url = str(far.db.conninfo)
    with a_silent_proxy(url, silence) as proxy:
        program = Program(far, folder, database=proxy.url(url))
        with program.start(*words) as process:
            try:
                assert proxy.begun.wait(20)
                time.sleep(0.3)
                yield process, proxy
            finally:
                process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, float]:
    """The exit code, and the seconds that the process still took."""
    began = time.monotonic()
    process.communicate(timeout=100)
    return process.returncode, time.monotonic() - began


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, *long([signal.SIGINT])])
@pytest.mark.parametrize("words", [["list"], *long([["sync", "push"]])], ids=" ".join)
def test_a_second_signal_ends_what_waits_on_a_silent_connection(
    far: FarSide, tmp_path: Path, words: list[str], number: int
) -> None:
    with a_silent_program(far, tmp_path, Silence(Way.BOTH, 8), *words) as (process, _):
        for _ in range(2):
            process.send_signal(number)
            time.sleep(0.3)
        found, seconds = ended(process)
    # At the second one the process may be ending already, with the default handlers again.
    assert found in (128 + number, -number)
    assert seconds < 3


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, *long([signal.SIGINT])])
def test_a_signal_ends_a_command_on_a_silent_connection_within_its_grace(
    far: FarSide, tmp_path: Path, number: int
) -> None:
    with a_silent_program(far, tmp_path, Silence(Way.BOTH, 8), "list") as (process, _):
        process.send_signal(number)
        found, seconds = ended(process)
    assert (found, seconds < 12) == (128 + number, True)


@pytest.mark.turns(2)
@LONG
@pytest.mark.early
@pytest.mark.parametrize("connection", [0, None], ids=["one", "all"])
@pytest.mark.parametrize("way", [Way.DOWN])
@pytest.mark.parametrize("words", [("sync", "push")], ids=" ".join)
def test_with_the_limits_as_they_are_everything_ends_within_90_seconds(
    far: FarSide, tmp_path: Path, words: tuple[str, ...], way: Way, connection: int | None
) -> None:
    one, silence = connection is not None, Silence(way, 9, connection)
    with a_silent_program(far, tmp_path, silence, *words) as (process, _):
        found, seconds = ended(process)
    unavailable = errors.DatabaseUnavailable.exit_code
    # A list whose lines are being written is not begun again.
    assert found in ((0, unavailable) if words == ("list",) else (0,) if one else (unavailable,))
    assert seconds < 90
    far.push(if_locked=IfLocked.WAIT)
    assert far.states() == {"synced": 3}
    far.require_once()
