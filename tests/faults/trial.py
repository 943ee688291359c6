"""Seeded trials: a world is made, things go wrong in it, and in the end everything must be right.

python -m tests.faults.trial [--runs 1000] [--seed 1] [--processes 2]

Every trial has a seed of its own; one that fails is reported with it, and
`python -m tests.faults.trial --runs 1 --seed SEED` does it again. Exits with 1 when one failed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any

import pfa_core
from pfa_core import Selection, errors
from pfa_core.conflicts.selection import ConflictSelection
from pfa_core.model.decision import Decision
from pfa_core.model.principal import Principal
from pfa_core.model.secret import Secret
from pfa_core.pems.profile import WriterKind
from pfa_core.pems.sandbox.http import Request, Response
from pfa_core.pems.sandbox.server import Outcome
from tests.factories import a_world, commit, draft, record
from tests.faults import proof
from tests.faults.nursery import Child, Nursery, a_nursery, kill_now, process_state, wait_for
from tests.faults.proof import CANARY, USERNAME
from tests.faults.pusher import PULL_STEPS, PUSH_STEPS, say
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.server import Server, running_server
from tests.worlds import Build, a_copy

USERS = {"ann": "admin", "bob": "admin"}
APPLIED = "write:applied"  # PEMS has applied a write and has not answered: only PEMS can tell
STEPS = (*PUSH_STEPS, APPLIED)
FAULTS = (
    "500:{p}",
    "503:{p}",
    "503:{p}:retry-after=0",
    "429:{p}:retry-after=0",
    "reset-before:{p}",
    "reset-after:{p}",
    "truncate:{p}",
    "alert:{p}",
    "slow:{p}:pause=0.2ms",
    "latency:5ms",
)
# What a client that waits 0.3 s takes for no answer, although the write is applied: before or after.
TOO_SLOW = ("slow:{p}:pause=20ms",)
TOO_LATE = ("latency:400ms:{p}:times=2",)
MAY_SAY = {0, 69, 75, 78}  # 78: PEMS answered a pull with alerts only
RETRY_DELAY = 0.005
# Not in a transaction that others wait for; and not, with the screen service, while another thread may be
# between its look and its update: what sleeps there is beyond help.
SLEEPS = tuple(step for step in PUSH_STEPS if not step.endswith(":inside"))
SCREEN_SLEEPS = tuple(step for step in SLEEPS if step.startswith(("read", "write")))
CUT = "the database cuts connections"


@dataclass(frozen=True, slots=True)
class Push:
    """One push in a process of its own, and where it ends itself ("": it does not); with `sleeps` it
    stops there instead, until another one has taken over."""

    step: str = ""
    nth: int = 1
    concurrency: int = 4
    beside: str = ""
    busy: bool = False
    sleeps: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a trial."""

    seed: int
    writer: WriterKind = WriterKind.REST
    keys: bool = True
    records: int = 4
    warm: bool = False
    changes: int = 6
    faults: tuple[str, ...] = ()
    edits_before: int = 0
    edits_during: tuple[int, ...] = ()
    taken_back: int = 0
    removed: bool = False
    timeout: float = 5.0
    pushes: tuple[Push, ...] = (Push(),)
    refill: int = 0
    must_die: bool = False

    @property
    def ambiguous(self) -> bool:
        """Whether PEMS does not know a write again."""
        return not self.keys or self.writer is WriterKind.SCREEN

    @property
    def racing(self) -> bool:
        """Whether another client may come between a look of the screen service and its update."""
        return self.writer is WriterKind.SCREEN and bool(self.edits_during)


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    writer = chance.choice((WriterKind.REST, WriterKind.REST, WriterKind.SCREEN))
    patient = chance.random() < 0.9
    kinds = FAULTS if patient else FAULTS + TOO_SLOW * 3
    if not patient and writer is WriterKind.REST:
        kinds += TOO_LATE * 3
    faults = chance.sample(kinds, chance.choice((0, 1, 1, 2, 3)))
    where = "rest" if writer is WriterKind.REST else "screen"
    spots = ("", f":on={where}", f":on={where}")
    return Plan(
        seed,
        writer,
        keys=chance.random() < 0.6,
        records=chance.randint(2, 6),
        warm=chance.random() < 0.5,
        changes=chance.randint(3, 12),
        faults=tuple(
            text.format(p=chance.choice(("0.1", "0.3", "0.6", "1:times=2"))) + chance.choice(spots)
            for text in faults
        ),
        edits_before=chance.choice((0, 0, 1, 3)),
        edits_during=tuple(chance.sample(range(1, 25), chance.choice((0, 0, 1, 4)))),
        taken_back=chance.choice((0, 0, 1, 3)),
        removed=chance.random() < 0.1,
        timeout=5.0 if patient else 0.3,
        pushes=tuple(_a_push(chance, writer) for _ in range(chance.randint(1, 3))),
    )


def _a_push(chance: random.Random, writer: WriterKind) -> Push:
    if chance.random() < 0.1:
        steps = SLEEPS if writer is WriterKind.REST else SCREEN_SLEEPS
        return Push(chance.choice(steps), chance.choice((1, 2)), 1, sleeps=True)
    return Push(
        chance.choice(("", *STEPS, *STEPS)),
        chance.choice((1, 1, 1, 2, 3)),
        chance.choice((1, 4, 8)),
        chance.choice(("", "", "", "push", "pull", "dying pull", CUT)),
        chance.random() < 0.25,
    )


class Values:
    """Values for fields, no one ever twice: what PEMS applied tells whose it was."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def of(self, name: str) -> Any:
        """A new value of a field."""
        number = next(self._numbers)
        if name == "monthlyRate":
            return Decimal(2000 + number) + Decimal("0.25")
        if name in ("forecastEnd", "actualEnd"):
            return (date(2026, 1, 1) + timedelta(days=number)).isoformat()
        if name == "actualStart":
            return (date(2020, 1, 1) + timedelta(days=number)).isoformat()
        return f"{name} {number}"


FIELDS = ("monthlyRate", "model", "manufacturer", "areaSilo", "category", "forecastEnd")
REST_FIELDS = (*FIELDS, "actualStart", "actualEnd")


@dataclass
class Trial:
    """One trial at work."""

    plan: Plan
    far: FarSide
    nursery: Nursery
    chance: random.Random
    values: Values = field(default_factory=Values)
    victim: Child | None = None
    sessions: int = 0
    requests: int = 0
    committed: list[tuple[str, str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def fields(self) -> Sequence[str]:
        """The fields that the writer can write and the reader sees."""
        return REST_FIELDS if self.plan.writer is WriterKind.REST else FIELDS

    def run(self) -> None:
        """Make the mess, push on until it is quiet, and look."""
        plan = self.plan
        self.prepare()
        self.far.pems.faults = list(plan.faults)
        for push in plan.pushes:
            for _ in range(plan.refill):
                self._commit(self.chance.choice(tuple(USERS)), self._any_record())
            self.push(push)
            for _ in range(plan.taken_back):
                self.take_back()
        self.finish()

    def finish(self) -> None:
        """Normal runs, people who settle conflicts, and then all must be right."""
        self.far.pems.faults = []
        self.far.pems._watcher = None
        self.far.profile = replace(self.far.profile, timeout=5)
        self.calm()
        self._settle_conflicts()
        plan, said = self.plan, self.nursery.everything_said()
        proof.require_everything(self.far, said, ambiguous=plan.ambiguous, racing=plan.racing)

    # --- before -----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Commit, and change things in PEMS."""
        if self.plan.warm:
            for number in range(1, self.plan.records + 1):
                self._commit("ann", f"P-{number}")
            assert self.far.push().synced == self.plan.records
        for _ in range(self.plan.changes):
            self._commit(self.chance.choice(tuple(USERS)), self._any_record())
        for _ in range(self.plan.edits_before):
            self.edit(self._any_record())
        if self.plan.removed:
            self.far.pems.remove(self._any_record())
        self.far.pems._watcher = self._watch

    def _any_record(self) -> str:
        return f"P-{self.chance.randint(1, self.plan.records)}"

    def _commit(self, user: str, pfa_id: str) -> None:
        self.sessions += 1
        principal, session = self.far.world.principal(user), f"s{self.sessions}"
        names = self.chance.sample(self.fields, self.chance.choice((1, 1, 2, 3)))
        delta = {name: self.values.of(name) for name in names}
        draft(self.far.db, principal, pfa_id, session=session, **delta)
        commit(self.far.db, principal, session=session)
        self.committed += [(pfa_id, name, value) for name, value in delta.items()]

    def edit(self, pfa_id: str) -> None:
        """Somebody else changes a record in PEMS: to a new value, to one that waits to be sent, or
        back to what it once was."""
        name = self.chance.choice(self.fields)
        value, kind = self.values.of(name), self.chance.random()
        own = [item[1:] for item in self.committed if item[0] == pfa_id]
        if kind < 0.2 and not name.startswith("actual"):
            value = record()[name]
        elif kind < 0.4 and own:
            name, value = self.chance.choice(own)
        with suppress(errors.NotFound):
            self.far.pems.record(pfa_id)
            self.far.pems.change(pfa_id, **{name: value})

    def take_back(self) -> None:
        """Take one of the last changes back in PEMS as another client, as if it had never come."""
        own = [entry for entry in proof.Evidence.of(self.far).own if entry.write.changes]
        if not own:
            return
        entry = self.chance.choice(own[-3:])
        pfa_id, names = entry.write.pfa_id, list(entry.write.changes or {})
        before = {name: record()[name] for name in names}
        for earlier in self.far.pems.log[: entry.seq - 1]:
            if earlier.write.pfa_id == pfa_id and earlier.outcome is Outcome.APPLIED:
                stated = earlier.write.changes or {}
                before |= {name: stated[name] for name in names if name in stated}
        with suppress(errors.NotFound):
            self.far.pems.record(pfa_id)
            self.far.pems.change(pfa_id, **before)

    # --- meanwhile --------------------------------------------------------------------------------

    def _watch(self, request: Request, response: Response) -> None:
        """In PEMS, between what it has done and its answer."""
        pfa_id = _pfa_id(request)
        if not pfa_id:
            return
        with self._lock:
            self.requests += 1
            if self.requests in self.plan.edits_during:
                self.edit(pfa_id)
            victim = self.victim
            if victim is not None and response.status == 200 and _is_write(request):
                self.victim = None
                kill_now(victim.pid)

    def job(self, kind: str, **more: Any) -> dict[str, Any]:
        """A job for the nursery."""
        profile = {
            "url": self.far.profile.url,
            "writer": str(self.plan.writer),
            "idempotency_keys": self.plan.keys,
            "username": USERNAME,
            "password": CANARY,
            "timeout": self.plan.timeout,
            "retry_delay": RETRY_DELAY,
            "page_size": 2,
        }
        return {"kind": kind, "database": self.far.db.conninfo, "profile": profile, **more}

    def push(self, push: Push) -> None:
        """Let a process push, and wait for its end and that of whatever is beside it."""
        if push.sleeps:
            self._sleep_at(push)
        else:
            self._push(push)

    def _sleep_at(self, push: Push) -> None:
        options = {"concurrency": push.concurrency, "lifetime": 0.2}
        sleeper = self.nursery.start(
            **self.job("push", step=push.step, nth=push.nth, signal="SIGSTOP", options=options)
        )
        wait_for(lambda: process_state(sleeper.pid) in ("T", "Z", ""), "it neither stops nor ends")
        heir = self.nursery.start(**self.job("push", options={"if_locked": "wait"}))
        with suppress(Empty):  # it may wait for what the sleeper has locked
            heir.wait(2)
        sleeper.send(signal.SIGCONT)
        assert heir.wait() in MAY_SAY, heir.said()
        assert sleeper.wait() in MAY_SAY, sleeper.said()

    def _push(self, push: Push) -> None:
        step = push.step if push.step != APPLIED else ""
        options: dict[str, Any] = {"concurrency": push.concurrency}
        with self._lock:  # PEMS answers nothing before it knows whom to kill
            child = self.nursery.start(**self.job("push", step=step, nth=push.nth, options=options))
            self.victim = child if push.step == APPLIED else None
        others = self._beside(push.beside)
        if push.beside == CUT:
            self._cut_connections()
        if push.busy:
            self.be_busy()
        status = child.wait()
        self.victim = None
        assert status in MAY_SAY | {-9}, f"a push ended with {status}: {child.said()}"
        assert not self.plan.must_die or status == -9, f"{push.step} was not reached"
        for other in others:
            assert other.wait() in MAY_SAY | {-9}, f"{other.said()}"

    def _beside(self, what: str) -> list[Child]:
        if what == "push":
            options = {"if_locked": self.chance.choice(("fail", "skip", "wait"))}
            return [self.nursery.start(**self.job("push", options=options))]
        if what == "pull":
            options = self.chance.choice(({}, {"incremental": True}, {"restart": True}))
            return [self.nursery.start(**self.job("pull", times=3, options=options))]
        if what == "dying pull":
            step, nth = self.chance.choice(PULL_STEPS), self.chance.randint(1, 2)
            return [self.nursery.start(**self.job("pull", times=2, step=step, nth=nth))]
        return []

    def _cut_connections(self) -> None:
        """Let the database end the connections of the push, a few times, in the middle of anything."""
        for _ in range(self.chance.randint(1, 4)):
            time.sleep(self.chance.random() * 0.04)
            self.far.world.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def be_busy(self) -> None:
        """Save, commit and step back, a dozen times."""
        for _ in range(12):
            user = self.chance.choice(tuple(USERS))
            with suppress(
                errors.BaselineConflict, errors.IllegalTransition, errors.NoDrafts,
                errors.VersionConflict, errors.InvalidData, errors.SessionMismatch,
            ):  # fmt: skip
                self._do_something(user, self.far.world.principal(user))

    def _do_something(self, user: str, principal: Principal) -> None:
        match self.chance.randint(0, 3):
            case 0 | 1:
                self._commit(user, self._any_record())
            case 2:
                back = Selection(ids=(self._any_record(),))
                pfa_core.uncommit(self.far.db, principal, back)
                pfa_core.commit(self.far.db, principal, back)
            case _:
                session, value = f"s{self.sessions}", self.values.of("class")
                draft(self.far.db, principal, self._any_record(), session=session, class_=value)

    # --- afterwards -------------------------------------------------------------------------------

    def calm(self) -> None:
        """Normal runs until there is nothing to push any more."""
        for _ in range(20):
            self._let_time_pass()
            total = self.far.push().total
            if not total:
                letters = pfa_core.retry(self.far.db, self.far.ann, self.far.profile).letters
                held = {item.pfa_id for item in self.far.pems.records}
                if not [letter for letter in letters if letter.pfa_id in held]:
                    return
        raise AssertionError("the pushes come to no end")

    def _let_time_pass(self) -> None:
        """A record with much bad luck may have to wait for minutes; here they are over at once."""
        self.far.db.transact(
            lambda conn: conn.execute(
                "UPDATE pfa_modification SET next_attempt_at = %s WHERE next_attempt_at IS NOT NULL",
                [datetime.now(UTC)],
            )
        )

    def _settle_conflicts(self) -> None:
        """A person looks at the conflicts, after it was seen that each has a reason."""
        for _ in range(12):
            evidence = proof.Evidence.of(self.far)
            proof.require_exactly_once(evidence)
            proof.require_nothing_lost(evidence, ambiguous=self.plan.ambiguous)
            own = proof.last_written_by_us(evidence, racing=self.plan.racing)
            proof.require_agreement(self.far, only_ours=own)
            proof.require_overlays(self.far)
            waiting = [item for item in evidence.modifications.values() if item.state == "conflict"]
            if not waiting:
                return
            for user in {item.user_id for item in waiting}:
                with suppress(errors.BaselineConflict, errors.InvalidData):
                    pfa_core.resolve_conflicts(
                        self.far.db,
                        self.far.world.principal(user),
                        ConflictSelection(everything=True),
                        Decision(self.chance.choice(("mine", "pems"))),
                        partial=True,
                    )
            self.calm()
        raise AssertionError("the conflicts come to no end")


def _pfa_id(request: Request) -> str:
    """The record that a request to one of the writing services is about."""
    if request.path.startswith("/api/pems/pfa/"):
        return request.path.rpartition("/")[2]
    if request.path.endswith("/userdefinedscreenservices"):
        pairs = request.json()["USERDEFINEDSCREENFIELDVALUELIST"]["USERDEFINEDSCREENFIELDVALUEPAIR"]
        return str(pairs[0]["USERDEFINEDSCREENFIELDVALUE"]["TEXTDATA"])
    return ""


def _is_write(request: Request) -> bool:
    return request.method == "PUT" or b'"UPDATE"' in request.body


def records_of(number: int) -> list[dict[str, Any]]:
    """The records of a trial."""
    return [record(f"P-{place}") for place in range(1, number + 1)]


@cache
def world_of(number: int) -> Build:
    """What builds a world with so many of them."""
    return lambda url: a_world(url, *owned(records_of(number)), users=USERS)


@contextmanager
def a_trial(plan: Plan, server: Server, nursery: Nursery) -> Iterator[Trial]:
    """A trial's world, on a database of its own; what its processes said before is forgotten."""
    nursery.forget()
    records = records_of(plan.records)
    access = {"username": USERNAME, "password": CANARY, "with_keys": plan.keys, "seed": plan.seed}
    with (
        a_copy(server, world_of(plan.records)) as world,
        a_pems_beside(world, *records, page_size=2, **access) as far,
    ):
        far.profile = replace(
            far.profile,
            retry_delay=RETRY_DELAY,
            writer=plan.writer,
            idempotency_keys=plan.keys,
            username=USERNAME,
            password=Secret(CANARY),
        )
        yield Trial(plan, far, nursery, random.Random(plan.seed))


def attempt(plan: Plan, server: Server, nursery: Nursery) -> None:
    """Do a trial.

    Raises:
        AssertionError: Something is not right at its end.
    """
    with a_trial(plan, server, nursery) as trial:
        try:
            trial.run()
        except Exception as error:
            error.add_note(f"{plan}\n{proof.describe(trial.far)}\n{nursery.everything_said()}")
            raise


# --- many of them -------------------------------------------------------------------------------------


@contextmanager
def surroundings() -> Iterator[tuple[Server, Nursery]]:
    """A server and a nursery."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server() as server,
        a_nursery(Path(folder)) as nursery,
    ):
        yield server, nursery


def _many(first: int, step: int, end: int) -> list[tuple[int, str]]:
    """The trials of every step-th seed; those that failed, with their trace."""
    failed: list[tuple[int, str]] = []
    began = time.monotonic()
    with surroundings() as (server, nursery):
        for done, seed in enumerate(range(first, end, step), 1):
            try:
                attempt(plan_of(seed), server, nursery)
            except Exception:
                failed.append((seed, traceback.format_exc()))
                say(f"seed {seed} failed: {failed[-1][1]}")
            if done % 50 == 0:
                seconds = time.monotonic() - began
                said = f"{done} trials in {seconds:.1f} s, {len(failed)} failed"
                say(f"process {os.getpid()}: {said}")
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    """Do many trials; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, choices=(1, 2))
    stated = parser.parse_args(argv)
    began = time.monotonic()
    end, step = stated.seed + stated.runs, min(stated.processes, stated.runs)
    with ProcessPoolExecutor(step, get_context("spawn")) as pool:
        jobs = [pool.submit(_many, stated.seed + place, step, end) for place in range(step)]
        failed = sorted(item for job in jobs for item in job.result())
    seconds = time.monotonic() - began
    say(f"{stated.runs} trials in {seconds:.1f} s, {len(failed)} failed")
    for seed, _ in failed:
        say(f"again: python -m tests.faults.trial --runs 1 --seed {seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
