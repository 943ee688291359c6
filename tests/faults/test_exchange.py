"""The exchange with PEMS under every fault and every kill: in the end each committed change is there once.

The same trials by the thousand: python -m tests.faults.trial --runs 1000
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pfa_core import errors
from pfa_core.model.secret import Secret
from pfa_core.pems.profile import WriterKind
from pfa_core.pems.sandbox.server import Sandbox
from tests.factories import commit, draft, record
from tests.faults import proof
from tests.faults.nursery import REPOSITORY, Nursery, a_nursery, kill_now, process_state, wait_for
from tests.faults.program import Program
from tests.faults.pusher import PULL_STEPS
from tests.faults.trial import (
    APPLIED,
    FAULTS,
    STEPS,
    TOO_LATE,
    TOO_SLOW,
    USERS,
    Plan,
    Push,
    Trial,
    a_trial,
    attempt,
    plan_of,
)
from tests.forms import forms, long
from tests.pems_server import FarSide, a_far_side
from tests.server import Server

REST, BARE, SCREEN = "rest", "rest without keys", "screen"
KINDS = {
    REST: Plan(1),
    BARE: Plan(1, keys=False),
    SCREEN: Plan(1, WriterKind.SCREEN),
}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with a_nursery(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.mark.parametrize("step", long(STEPS))
def test_a_push_killed_anywhere_is_made_good_by_the_next(
    postgres: Server, nursery: Nursery, step: str
) -> None:
    plan = Plan(1, records=2, changes=4, pushes=(Push(step),), must_die=True, edits_before=1)
    attempt(plan, postgres, nursery)


@pytest.mark.long
@pytest.mark.parametrize("kind", [REST, *long([BARE, SCREEN])])
def test_a_push_killed_everywhere_in_turn_loses_and_doubles_nothing_with_keys_or_without(
    postgres: Server, nursery: Nursery, kind: str
) -> None:
    """One push after the other, each killed at another step."""
    pushes = tuple(Push(step) for step in STEPS)
    plan = replace(KINDS[kind], refill=2, pushes=pushes, must_die=kind != BARE)
    attempt(plan, postgres, nursery)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("step", ["claim:committed", "write:before", "write:applied",
                                  "write:after", "settle:inside"])  # fmt: skip
@pytest.mark.parametrize("kind", [REST, *long([BARE])])
def test_a_push_that_needs_no_look_before_may_be_killed_anywhere_too(
    postgres: Server, nursery: Nursery, kind: str, step: str
) -> None:
    plan = replace(KINDS[kind], warm=True, pushes=(Push(step),), must_die=True)
    attempt(plan, postgres, nursery)


@pytest.mark.variants(1)
@forms("steps", short=("write:before", APPLIED), long=STEPS)
@pytest.mark.parametrize(
    "fault",
    [
        *FAULTS[::3],
        *TOO_SLOW[:1],
        *long(each for n, each in enumerate(FAULTS) if n % 3),
        *long(TOO_SLOW[1:]),
        *TOO_LATE,
    ],
)
def test_every_fault_beside_every_kill_loses_and_doubles_nothing(
    postgres: Server, nursery: Nursery, fault: str, steps: tuple[str, ...]
) -> None:
    late, patient = fault in TOO_LATE, fault in FAULTS
    place = (*FAULTS, *TOO_SLOW).index(fault) if not late else 0
    # What arrives behind the client's back the screen service cannot tell from what others write.
    plan = KINDS[tuple(KINDS)[place % 3]]
    pushes = tuple(Push(step) for step in steps[:: 1 if patient else 5])
    wait = 5.0 if patient else 0.3
    stated = fault.format(p="0.2")
    plan = replace(plan, seed=place, faults=(stated,), pushes=pushes, refill=1, timeout=wait)
    attempt(plan, postgres, nursery)


@pytest.mark.long
@pytest.mark.parametrize("seed", [*range(1, 3), *long(range(3, 26))])
def test_whatever_goes_wrong_together_every_change_is_in_pems_once(
    postgres: Server, nursery: Nursery, seed: int
) -> None:
    plan = plan_of(seed)
    attempt(replace(plan, pushes=plan.pushes[:2]), postgres, nursery)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("writer", "keys", "synced"),
    [
        (WriterKind.REST, True, True),
        (WriterKind.REST, False, False),
        # Whatever the profile says of keys, the screen has none.
        (WriterKind.SCREEN, True, False),
        (WriterKind.SCREEN, False, False),
    ],
)
def test_a_change_that_was_taken_back_before_its_answer_was_known_is_not_made_again(
    postgres: Server, nursery: Nursery, writer: WriterKind, keys: bool, synced: bool
) -> None:
    """A key tells that it was applied; without one a person has to decide."""
    plan = Plan(1, writer, keys, records=1, changes=0)
    with a_trial(plan, postgres, nursery) as trial:
        far = trial.far
        draft(far.db, far.ann, model="Mine")
        commit(far.db, far.ann)
        trial.prepare()
        trial.push(Push(APPLIED))
        trial.take_back()
        result = far.push()
        assert (result.synced, result.conflicts) == (int(synced), int(not synced))
        assert far.applied() == [{"model": "Mine"}]
        trial.finish()


@pytest.mark.long
def test_what_waits_behind_another_s_conflict_holds_nobody_else_up(
    postgres: Server, nursery: Nursery
) -> None:
    with a_trial(Plan(1, records=1, changes=0), postgres, nursery) as trial:
        far = trial.far
        bob = far.world.principal("bob")
        for number, (user, delta) in enumerate(
            [(bob, {"model": "B"}), (bob, {"areaSilo": "B"}), (far.ann, {"category": "A"})]
        ):
            draft(far.db, user, session=f"s{number}", **delta)
            commit(far.db, user, session=f"s{number}")
        far.pems.change("P-1", model="Theirs")
        result = far.push()
        assert (result.conflicts, result.synced) == (1, 1)
        assert far.applied() == [{"category": "A"}]
        trial.finish()


# --- who is at work ---------------------------------------------------------------------------------


@contextmanager
def a_mess(plan: Plan, postgres: Server, nursery: Nursery) -> Iterator[Trial]:
    """A trial with its committed changes; in the end all is right."""
    with a_trial(plan, postgres, nursery) as trial:
        trial.prepare()
        yield trial
        trial.finish()


@pytest.mark.slow
def test_of_two_pushes_at_once_the_second_is_told_so_or_waits(
    postgres: Server, nursery: Nursery
) -> None:
    with a_mess(Plan(3), postgres, nursery) as trial:
        trial.far.pems.faults = ["latency:50ms"]
        first = nursery.start(**trial.job("push", options={"concurrency": 1}))
        wait_for(lambda: bool(trial.far.world.rows("SELECT 1 FROM pfa_lease")), "no lease")
        second = nursery.start(**trial.job("push"))
        third = nursery.start(**trial.job("push", options={"if_locked": "skip"}))
        waits = nursery.start(**trial.job("push", options={"if_locked": "wait"}))
        assert (second.wait(), third.wait()) == (errors.LeaseHeld.exit_code, 0)
        assert "another push of ORG is running: ann on" in second.said()
        assert '"status": "skipped"' in third.said()
        assert (first.wait(), waits.wait()) == (0, 0)
        assert json.loads(first.said())["synced"] + json.loads(waits.said())["synced"] > 0


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (REST, "write:before"),
        (SCREEN, "write:after"),
        *long([(REST, "settle:before"), (BARE, "write:before")]),
    ],
)
def test_a_push_that_slept_too_long_finds_itself_replaced_and_harms_nothing(
    postgres: Server, nursery: Nursery, kind: str, step: str
) -> None:
    with a_mess(KINDS[kind], postgres, nursery) as trial:
        # One thread: no other client between look and update.
        options = {"lifetime": 1.0, "concurrency": 1}
        sleeper = nursery.start(**trial.job("push", step=step, signal="SIGSTOP", options=options))
        sleeper.wait_until_stopped()
        heir = nursery.start(**trial.job("push", options={"if_locked": "wait", "lifetime": 1.0}))
        assert heir.wait() == 0, heir.said()
        sleeper.send(signal.SIGCONT)
        assert sleeper.wait() == errors.LeaseHeld.exit_code, sleeper.said()
        assert "the lease was lost" in sleeper.said()
        assert trial.far.world.rows("SELECT name FROM pfa_lease") == []


@pytest.mark.long
def test_a_push_that_slept_and_was_not_replaced_gives_everything_back(
    postgres: Server, nursery: Nursery
) -> None:
    with a_mess(Plan(5), postgres, nursery) as trial:
        sleeper = nursery.start(
            **trial.job("push", step="write:before", signal="SIGSTOP", options={"lifetime": 1.0})
        )
        sleeper.wait_until_stopped()
        time.sleep(1.2)
        sleeper.send(signal.SIGCONT)
        assert sleeper.wait() == errors.LeaseHeld.exit_code, sleeper.said()
        assert trial.far.states().keys() <= {"committed", "synced", "sync_error", "conflict"}


@pytest.mark.long
def test_pushes_pulls_and_people_at_once_get_along(postgres: Server, nursery: Nursery) -> None:
    plan = Plan(7, changes=10, edits_before=2, edits_during=(3, 5, 9, 14))
    with a_mess(plan, postgres, nursery) as trial:
        trial.far.pems.faults = ["latency:3ms"]
        pulls = nursery.start(**trial.job("pull", times=15))
        pushes = nursery.start(**trial.job("push", times=15))
        while process_state(pushes.pid) not in ("", "Z"):
            trial.be_busy()
        assert (pushes.wait(), pulls.wait()) == (0, 0), pushes.said() + pulls.said()


# --- pulls ------------------------------------------------------------------------------------------


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "step", [*PULL_STEPS[::4], *long(step for at, step in enumerate(PULL_STEPS) if at % 4)]
)
@pytest.mark.parametrize("nth", [1, *long([2])])
def test_a_pull_killed_between_pages_goes_on_and_marks_nothing_missing_wrongly(
    postgres: Server, nursery: Nursery, step: str, nth: int
) -> None:
    plan = Plan(1, records=9, changes=0)
    with a_mess(plan, postgres, nursery) as trial:
        far = trial.far
        far.pems.remove("P-9")
        far.pems.change("P-4", model="Theirs")
        killed = nursery.start(**trial.job("pull", step=step, nth=nth))
        reached = nth == 1 or step.startswith("page")
        assert killed.wait() == (-9 if reached else 0), killed.said()
        complete = far.world.rows("SELECT 1 FROM pfa_sync_log WHERE status = 'completed'"
                                  " AND left(source, 4) = 'http'")  # fmt: skip
        assert missing(far) == (["P-9"] if complete else [])
        known = len(far.world.rows("SELECT 1 FROM pfa_pull_page"))
        result = nursery.start(**trial.job("pull"))
        assert result.wait() == 0, result.said()
        stated = json.loads(result.said())
        assert stated["status"] == "completed"
        if step.startswith("page"):  # else all pages were there: it begins anew
            assert bool(stated["message"]) == bool(known)
        assert missing(far) == ["P-9"]
        assert far.world.mirror()["P-4"]["model"] == "Theirs"
        assert far.world.rows("SELECT 1 FROM pfa_pull_page") == []
        far.pems.load([{**record("P-9"), "organization": "ORG"}])
        assert far.pull().status == "completed"
        assert missing(far) == []


def missing(far: FarSide) -> list[str]:
    rows = far.world.rows("SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL")
    return [row[0] for row in rows]


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "fault", [*FAULTS[::3], *long(each for n, each in enumerate(FAULTS) if n % 3)]
)
def test_a_pull_under_faults_is_complete_or_says_that_it_is_not(
    postgres: Server, nursery: Nursery, fault: str
) -> None:
    with a_mess(Plan(1, records=5, changes=0), postgres, nursery) as trial:
        far = trial.far
        far.pems.remove("P-5")
        far.pems.faults = [f"{fault.format(p='0.4')}:on=grid"]
        for _ in range(20):
            try:
                result = far.pull()
            except (errors.PemsUnavailable, errors.PemsProtocol, errors.PemsRejected):
                continue
            if result.status == "completed":
                break
            assert missing(far) == []
        far.pems.faults = []
        far.pull()
        assert missing(far) == ["P-5"]


# --- PEMS itself ------------------------------------------------------------------------------------

PEMS = """
import sys
from pathlib import Path
from pfa_core.pems.sandbox.server import Sandbox
records = [{**eval(line), "organization": "ORG"} for line in open(sys.argv[3])]
with Sandbox(port=int(sys.argv[1]), state=Path(sys.argv[2]), organization="ORG", records=records,
             faults=["latency:20ms"], with_keys=sys.argv[4] == "keys") as pems:
    print(pems.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def a_pems(port: int, folder: Path, keys: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sandbox in a process of its own."""
    argv = [sys.executable, "-c", PEMS, str(port), str(folder / "state"), str(folder / "in"), keys]
    process = subprocess.Popen(
        argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.long
@pytest.mark.parametrize("kind", [REST, *long([BARE, SCREEN])])
def test_a_pems_that_is_killed_in_the_middle_and_comes_back_has_each_change_once(
    database_url: str, nursery: Nursery, tmp_path: Path, kind: str
) -> None:
    plan = KINDS[kind]
    records = [record(f"P-{number}") for number in range(1, 13)]
    (tmp_path / "in").write_text("".join(f"{item!r}\n" for item in records))
    keys = "keys" if plan.keys else "none"
    with a_far_side(database_url, *records, users=USERS, with_keys=plan.keys) as far:
        for number in range(1, 13):
            draft(far.db, far.ann, f"P-{number}", session="s", model=f"M{number}")
        commit(far.db, far.ann)
        with a_pems(0, tmp_path, keys) as (process, url):
            trial = Trial(plan, far, nursery, random.Random(plan.seed))
            far.profile = replace(far.profile, url=url, writer=plan.writer,
                                  idempotency_keys=plan.keys)  # fmt: skip
            push = nursery.start(**trial.job("push", options={"concurrency": 2}))
            state = tmp_path / "state"
            wait_for(lambda: state.read_text().count('"applied"') >= 3, "nothing was applied")
            kill_now(process.pid)
        assert push.wait() in (0, 69), push.said()
        assert 0 < far.states().get("synced", 0) < 12
        with a_pems(int(url.rpartition(":")[2]), tmp_path, keys):
            far.world.execute("UPDATE pfa_modification SET next_attempt_at = now()"
                              " WHERE next_attempt_at IS NOT NULL")  # fmt: skip
            again = nursery.start(**trial.job("push"))
            assert again.wait() == 0, again.said()
        assert far.states() == {"synced": 12}
        with Sandbox(state=tmp_path / "state", organization="ORG") as pems:
            far.pems = pems
            proof.require_exactly_once(proof.Evidence.of(far))
            far.profile = replace(far.profile, url=pems.url)
            far.require_agreement()
            assert far.pull().unchanged == 12
        far.world.db.close()


# --- signals ----------------------------------------------------------------------------------------


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Iterator[Program]:
    records = [record(f"P-{number}") for number in range(1, 13)]
    access: dict[str, Any] = {"username": proof.USERNAME, "password": proof.CANARY}
    with a_far_side(database_url, *records, users=USERS, **access) as far:
        far.profile = replace(far.profile, username=proof.USERNAME, password=Secret(proof.CANARY))
        for number in range(1, 13):
            draft(far.db, far.ann, f"P-{number}", session="s", model=f"M{number}")
        commit(far.db, far.ann)
        far.pems.faults = ["latency:60ms"]
        program = Program(far, tmp_path)
        try:
            yield program
        finally:
            for process in program.running:
                process.kill()
                process.communicate()
            far.world.db.close()


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), *long([(signal.SIGINT, 130)])])
def test_a_signal_ends_a_push_in_order(program: Program, number: int, code: int) -> None:
    far = program.far
    push = program.start("sync", "push", "--concurrency", "2")
    assert program.end_when_applied(push, number)[0] == code
    states = far.states()
    assert states.keys() == {"committed", "synced"}
    assert states["synced"] == len(far.applied())
    proof.require_rest(far)
    assert far.world.rows("SELECT status FROM pfa_sync_log WHERE direction = 'push'") == [
        ("partial",)
    ]
    finish(program)


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), *long([(signal.SIGINT, 130)])])
def test_a_second_signal_ends_a_push_at_once_and_the_next_makes_it_good(
    program: Program, number: int, code: int
) -> None:
    far = program.far
    far.pems.faults = ["latency:12s:after=13"]
    push = program.start("sync", "push", "--concurrency", "4")
    began = time.monotonic()
    assert program.end_when_applied(push, number, number)[0] == code
    assert time.monotonic() - began < 9  # not after the answers
    assert far.states().get("synced", 0) < 12
    finish(program)


def finish(program: Program) -> None:
    """A push by the program, and all is right."""
    far = program.far
    far.pems.faults = []
    push = program.start("sync", "push")
    out, err = push.communicate(timeout=30)
    assert push.returncode == 0, out + err
    assert far.states() == {"synced": 12}
    said = (out, err, (program.home / "runs.log").read_text())
    proof.require_everything(far, *said, ambiguous=False)
