"""Two at once, or one that dies in the middle: nothing lost, nothing half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import pfa_core
from pfa_core import Change, Filters, Selection, errors
from pfa_core.model.ids import new_id
from tests import citus
from tests.factories import World, a_jsonl_file, a_principal, a_world, commit, draft, record
from tests.life_cycle.together import together
from tests.life_cycle.views import everything, one, save, stats, stored, value
from tests.processes import started
from tests.worlds import built_once

USERS = {"ann": "admin", "bob": "admin"}
ROUNDS = 5
REPOSITORY = Path(__file__).resolve().parents[2]


@built_once
def world(url: str) -> World:
    return a_world(url, *(record(f"P-{n}") for n in range(1, 6)), users=USERS)


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """The same organization through another handle."""
    other = a_world(world.url, users=USERS)
    yield other
    other.db.close()


def overlays_are_right(world: World) -> None:
    """Every overlay is its mirror row ‖ the user's modifications, and the rollup the mirror's sums."""
    assert (
        world.rows(
            "SELECT o.pfa_id, o.data FROM pfa_overlay AS o JOIN pfa_mirror AS m"
            " USING (organization_id, pfa_id) WHERE o.data <> m.data || o.delta"
        )
        == []
    )
    touched = {pfa_id for pfa_id, state, *_ in stored(world) if state != "synced"}
    assert set(world.merged()) == touched
    for by in ((), ("category", "class"), ("areaSilo",)):
        # A search, here one that finds all, is answered from the rows themselves, not from sums that are kept.
        for baseline in (True, False):
            computed = stats(world, by=by, baseline=baseline, search="-")
            assert stats(world, by=by, baseline=baseline) == computed
    assert pfa_core.verify_database(world.db, world.principal()).clean


def test_two_saves_of_one_record_make_one_draft_with_both_deltas(
    world: World, other: World
) -> None:
    for number in range(ROUNDS):
        session, pfa_id = f"s{number}", f"P-{number % 5 + 1}"
        answers = together(
            lambda s=session, p=pfa_id: draft(world.db, world.principal(), p, session=s, model="A"),
            lambda s=session, p=pfa_id: draft(other.db, other.principal(), p, session=s, dor="BEO"),
        )
        assert sorted(saved.version for saved in answers) == [1, 2]
        assert len({saved.modification_id for saved in answers}) == 1
        assert stored(world) == [(pfa_id, session, "draft", 2, {"model": "A", "dor": "BEO"})]
        pfa_core.discard(world.db, world.principal(), Selection(everything=True))


def test_of_two_saves_over_the_same_version_one_is_refused(world: World, other: World) -> None:
    draft(world.db, world.principal(), model="A")
    answers = together(
        lambda: save(world, Change("P-1", {"model": "B"}, expected_version=1)),
        lambda: save(other, Change("P-1", {"model": "C"}, expected_version=1)),
    )
    refused = [answer for answer in answers if isinstance(answer, errors.PfaError)]
    assert [type(answer) for answer in refused] == [errors.VersionConflict]
    assert stored(world)[0][3] == 2


@pytest.mark.slow
def test_many_records_saved_in_opposite_orders_do_not_lock_each_other_out(
    world: World, other: World
) -> None:
    ids = [f"P-{n}" for n in range(1, 6)]
    for _ in range(ROUNDS):
        answers = together(
            lambda: save(world, *(Change(i, {"model": "A"}) for i in ids)),
            lambda: save(other, *(Change(i, {"dor": "BEO"}) for i in reversed(ids)), user="bob"),
            lambda: a_pull(other.db.conninfo, ids),
        )
        assert [type(answer).__name__ for answer in answers] == [
            "SaveResult",
            "SaveResult",
            "PullResult",
        ]
    overlays_are_right(world)


def a_pull(conninfo: str | None, ids: list[str]) -> Any:
    """A pull through a handle of its own that changes the records each time."""
    assert conninfo is not None
    world = a_world(conninfo, users=USERS)
    try:
        rows = [record(i, pemsVersion=str(new_id()), monthlyRate=len(i)) for i in reversed(ids)]
        return world.pull(rows, "bob")
    finally:
        world.db.close()


@pytest.mark.slow
def test_a_save_beside_a_pull_lies_over_what_the_pull_brought(world: World, other: World) -> None:
    for number in range(ROUNDS):
        rows = [record(f"P-{n}", monthlyRate=number + 1) for n in range(1, 6)]
        together(
            lambda n=number: draft(world.db, world.principal(), model=f"M{n}"),
            lambda r=rows: other.pull(r, "bob"),
        )
        assert one(world).data == {**world.mirror()["P-1"], "model": f"M{number}"}
        assert value(world, "monthlyRate") == number + 1
        overlays_are_right(world)


@pytest.mark.long
def test_a_first_save_beside_a_pull_keeps_the_base_that_it_was_drafted_on(
    world: World, other: World
) -> None:
    for number in range(ROUNDS):
        before = world.mirror()["P-1"]["model"]
        rows = [record("P-1", model=f"theirs {number}")]
        together(
            lambda: draft(world.db, world.principal(), model="mine"),
            lambda r=rows: other.pull(r, "bob"),
        )
        (view,) = pfa_core.list_drafts(world.db, world.principal(), Filters())
        assert view.base["model"] in (before, f"theirs {number}")
        assert bool(view.overtaken) == (view.base["model"] == before)
        overlays_are_right(world)
        pfa_core.discard(world.db, world.principal(), Selection(everything=True))


@pytest.mark.long
def test_two_pulls_at_once_leave_a_mirror_a_history_and_sums_that_agree(
    world: World, other: World
) -> None:
    for number in range(ROUNDS):
        mine = [record(f"P-{n}", category="A", monthlyRate=number) for n in range(1, 40)]
        theirs = [record(f"P-{n}", category="B", monthlyRate=number) for n in range(20, 60)]
        answers = together(lambda r=mine: world.pull(r), lambda r=theirs: other.pull(r, "bob"))
        assert [answer.status for answer in answers] == ["completed", "completed"]
        overlays_are_right(world)
    gaps = world.rows(
        "SELECT m.pfa_id, m.version, count(h.version) FROM pfa_mirror AS m"
        " LEFT JOIN pfa_mirror_history AS h USING (organization_id, pfa_id)"
        " GROUP BY 1, 2 HAVING count(h.version) <> m.version - 1"
    )
    assert gaps == []


@pytest.mark.long
def test_a_commit_beside_a_save_takes_it_along_or_leaves_it_a_draft(
    world: World, other: World
) -> None:
    for number in range(ROUNDS):
        draft(world.db, world.principal(), session=f"s{number}", model=f"M{number}")
        committed, saved = together(
            lambda n=number: commit(world.db, world.principal(), session=f"s{n}"),
            lambda n=number: draft(other.db, other.principal(), session=f"s{n}", areaSilo=f"A{n}"),
        )
        assert len(committed.committed) == 1
        newest = stored(world)[-1]
        if saved.status == "updated":
            assert newest[2:4] == ("committed", 3)
        else:
            assert (saved.status, newest[2:4]) == ("created", ("draft", 1))
            commit(world.db, world.principal(), session=f"s{number}")
        merged = one(world).data
        assert (merged["model"], merged["areaSilo"]) == (f"M{number}", f"A{number}")
        overlays_are_right(world)


def test_a_commit_beside_a_pull_never_commits_over_what_it_has_not_seen(
    world: World, other: World
) -> None:
    for number in range(ROUNDS):
        draft(world.db, world.principal(), session=f"s{number}", model="mine")
        before = world.mirror()["P-1"]["model"]
        rows = [record("P-1", model=f"theirs {number}")]
        committed, _ = together(
            lambda n=number: commit(world.db, world.principal(), session=f"s{n}"),
            lambda r=rows: other.pull(r, "bob"),
        )
        state = stored(world)[-1][2]
        if isinstance(committed, errors.PfaError):
            assert (type(committed), state) == (errors.BaselineConflict, "draft")
        else:
            assert state == "committed"
            # It was committed first: its base is the value that the pull then changed.
            (detail,) = pfa_core.show_records(world.db, world.principal(), ["P-1"])
            assert detail.modifications[-1].base == {"model": before}
            assert detail.overtaken
        overlays_are_right(world)
        world.execute("DELETE FROM pfa_modification")
        world.execute("DELETE FROM pfa_overlay")
        world.execute("DELETE FROM kpi_overlay")


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("many", [0, 1, 25])
def test_drafts_discarded_beside_a_pull_of_their_records_leave_their_sums_at_nothing(
    world: World, other: World, many: int
) -> None:
    """Whichever is first: the other waits, and takes out what is there then."""
    world.pull([record(f"P-{number}") for number in range(1, 31)])
    for number in range(1, many + 2):
        draft(world.db, world.principal(), f"P-{number}", monthlyRate=number)
    kept = pfa_core.Filters(id=("P-30",)) if many else None
    if kept:
        draft(world.db, world.principal(), "P-30", session="kept", monthlyRate=1)
    rows = [record(f"P-{number}", monthlyRate=77, category="Van") for number in range(1, 31)]
    answers = together(
        lambda: pfa_core.discard(world.db, world.principal(), Selection(session_id="s")),
        lambda: other.pull(rows, "bob"),
    )
    assert [answer for answer in answers if isinstance(answer, errors.PfaError)] == []
    overlays_are_right(world)
    if kept:
        pfa_core.discard(world.db, world.principal(), Selection(session_id="kept"))
    overlays_are_right(world)


@citus.takes_triggers
@pytest.mark.parametrize("step", [pfa_core.uncommit, pfa_core.discard])
def test_a_step_back_beside_a_pull_never_brings_back_what_the_pull_replaced(
    world: World, other: World, step: Callable[..., Any]
) -> None:
    """The pull is held between its last overlay and its commit while the step is taken."""
    draft(world.db, world.principal(), model="mine")
    commit(world.db, world.principal())
    if step is pfa_core.discard:
        draft(world.db, world.principal(), dor="BEO")
    back = Selection(session_id="s")
    pulling = threading.Thread(target=other.pull, args=([record("P-1", monthlyRate=77)], "bob"))
    stepping = threading.Thread(target=step, args=(world.db, world.principal(), back))
    world.execute(
        "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'"
    )
    world.execute(
        "CREATE TRIGGER gate BEFORE INSERT ON audit_log FOR EACH ROW"
        " WHEN (NEW.action <> 'begin') EXECUTE FUNCTION gate()"
    )
    with psycopg.connect(world.url) as gate:
        gate.execute("SELECT pg_advisory_xact_lock(1)")
        pulling.start()
        wait_for_blocked(gate, 1)
        stepping.start()
        wait_for_blocked(gate, 2)
    pulling.join(30)
    stepping.join(30)
    assert value(world, "monthlyRate") == 77
    overlays_are_right(world)


def wait_for_blocked(conn: psycopg.Connection, number: int) -> None:
    """Wait until so many of the database's backends wait for a lock."""
    for _ in range(500):
        (waiting,) = conn.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone() or (0,)
        if waiting >= number:
            return
        conn.execute("SELECT pg_stat_clear_snapshot()")
        time.sleep(0.01)
    pytest.fail(f"never were {number} waiting")


def test_two_commits_of_one_session_commit_it_once(world: World, other: World) -> None:
    for number in range(ROUNDS):
        draft(world.db, world.principal(), session=f"s{number}", model=f"M{number}")
        answers = together(
            lambda n=number: commit(world.db, world.principal(), session=f"s{n}"),
            lambda n=number: commit(other.db, other.principal(), session=f"s{n}"),
        )
        assert sorted((len(a.committed), a.already_committed) for a in answers) == [(0, 1), (1, 0)]


@pytest.mark.variants(1)
@pytest.mark.parametrize("verb", ["grant", "revoke"])
def test_two_admins_who_step_down_at_once_leave_one(world: World, other: World, verb: str) -> None:
    """The second steps down wholly while the first has checked and not yet ended."""

    def step_down(of: World, user: str) -> None:
        if verb == "grant":
            pfa_core.grant(of.db, of.principal(user), user, "viewer")
        else:
            pfa_core.revoke(of.db, of.principal(user), user)

    refused: list[type[errors.PfaError]] = []

    def second() -> None:
        try:
            step_down(other, "bob")
        except errors.PfaError as error:
            refused.append(type(error))

    thread = threading.Thread(target=second)

    def an_id() -> UUID:
        # The entry of the log is written after the last check.
        if thread.ident is None:
            thread.start()
            thread.join(0.7)
        return new_id()

    world.db.new_id = an_id
    step_down(world, "ann")
    thread.join(30)
    admins = world.rows("SELECT user_id FROM pfa_member WHERE role = 'admin'")
    assert admins == [("bob",)]
    assert refused == [errors.IllegalTransition]


CHILD = """
import sys, time
from datetime import UTC, datetime
from tests.factories import a_principal
import pfa_core
from pfa_core import Change, Database, Selection
from pfa_core.model.ids import new_id

verb, url, file, after = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
calls = 0

def an_id():
    global calls
    calls += 1
    if calls == after:
        print("in the middle", flush=True)
        time.sleep(600)
    return new_id()

db = Database(url, new_id=an_id)
ann = a_principal()
if verb == "pull":
    pfa_core.pull_files(db, ann, [file])
elif verb == "save":
    pfa_core.save(db, ann, [Change("P-1", {"model": "A"}), Change("P-2", {"model": "A"})], session_id="t")
elif verb == "commit":
    pfa_core.commit(db, ann, Selection(session_id="s"))
elif verb == "discard":
    pfa_core.discard(db, ann, Selection(everything=True))
print("done", flush=True)
"""


# At which id the process dies: behind the last statement that changes data, before the log.
@pytest.mark.long
@pytest.mark.parametrize(
    ("verb", "after"), [("pull", 3), ("save", 3), ("commit", 1), ("discard", 1)]
)
def test_a_process_killed_in_the_middle_leaves_nothing_half_done(
    world: World, tmp_path: Path, verb: str, after: int
) -> None:
    draft(world.db, world.principal(), "P-3", model="A")
    file = a_jsonl_file(tmp_path, [record(f"P-{n}", monthlyRate=7) for n in range(1, 900)])
    before = without_running(everything(world))
    argv = [sys.executable, "-c", CHILD, verb, str(world.db.conninfo), str(file), str(after)]
    with started(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in the middle\n"
        assert without_running(everything(world)) == before
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    assert without_running(everything(world)) == before
    # Nor is anybody kept waiting by what it had locked.
    began = datetime.now(UTC)
    save(world, Change("P-1", {"model": "B"}), Change("P-2", {"model": "B"}))
    world.pull([record("P-1", monthlyRate=9)])
    assert (datetime.now(UTC) - began).total_seconds() < 5
    overlays_are_right(world)
    assert pfa_core.verify_log(world.db, world.principal()).whole
    # The next pull says of a run that was killed that it failed.
    assert world.rows("SELECT count(*) FROM pfa_sync_log WHERE status = 'running'") == [(0,)]
    abandoned = world.rows("SELECT count(*) FROM pfa_sync_log WHERE status = 'failed'")
    assert abandoned == [(1 if verb == "pull" else 0,)]


def without_running(view: dict[str, Any]) -> dict[str, Any]:
    """The view without the lines of a run that say it is at work: they are recorded before it works."""
    lines = [row for row in view["pfa_sync_log"] if ",running," not in row[1]]
    trail = [row for row in view["audit_log"] if ",begin," not in row[1]]
    return {**view, "pfa_sync_log": lines, "audit_log": trail}


def test_a_second_pull_of_files_is_reported_that_one_is_at_work(
    world: World, tmp_path: Path
) -> None:
    world.execute(
        "INSERT INTO pfa_lease VALUES ('ORG', 'pull', gen_random_uuid(), 'eve', clock_timestamp(),"
        " clock_timestamp() + interval '1 hour')"
    )
    file = a_jsonl_file(tmp_path, [record("P-1", monthlyRate=9)])
    before = everything(world)
    with pytest.raises(errors.LeaseHeld):
        pfa_core.pull_files(world.db, world.principal(), [str(file)])
    assert everything(world) == before


@pytest.mark.slow
def test_a_pipe_that_stalls_keeps_nobody_waiting(world: World, other: World) -> None:
    """Half of a pull has arrived; meanwhile others save and pull."""
    reading, writing = os.pipe()
    rows = "".join(f'{{"pfaId":"Q-{n}"}}\n' for n in range(2000)).encode()
    with open(reading, "rb") as stdin, open(writing, "wb", buffering=0) as pipe:
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(
                pfa_core.pull_files(other.db, a_principal("bob"), ["-"], stdin=stdin)
            )
        )
        pipe.write(rows[:500])
        thread.start()
        thread.join(0.2)
        draft(world.db, world.principal("bob"), model="A")
        world.pull([record("P-1", monthlyRate=9)])
        assert thread.is_alive()
        threading.Thread(target=lambda: (pipe.write(rows[500:]), pipe.close())).start()
        thread.join(30)
    assert (answers[0].inserted, answers[0].missing) == (2000, 5)
    overlays_are_right(world)
