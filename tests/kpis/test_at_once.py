"""Writers at once leave no drift: every KPI is exact after them, and consistent beside them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, ConflictSelection, Decision, Filters, IfLocked, Selection, errors
from tests.factories import World, a_world, record
from tests.forms import forms
from tests.kpis.exact import require_exact
from tests.life_cycle.together import together
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

USERS = {"ann": "admin", "bob": "admin", "eve": "admin"}
IDS = [f"P-{number}" for number in range(1, 9)]
ROUNDS = forms("rounds", short=3, long=15)
CATEGORIES = ("Crane", "Loader", "Van")


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(map(record, IDS)), users=USERS)


@pytest.fixture
def far(world: World) -> Iterator[FarSide]:
    with a_pems_beside(world, *map(record, IDS), page_size=3) as far:
        yield far


@pytest.fixture
def others(far: FarSide) -> Iterator[Callable[[], FarSide]]:
    """The same world and PEMS through a handle of its own, at each call."""
    with ExitStack() as open_:

        def other() -> FarSide:
            db = far.db.beside()
            open_.callback(db.close)
            return replace(far, world=replace(far.world, db=db))

        yield other


def some(number: int, seed: str) -> dict[str, dict[str, Any]]:
    """Changes of some records, the same for the same round and seed."""
    chance = random.Random(f"{number} {seed}")
    values: dict[str, Callable[[], Any]] = {
        "category": lambda: chance.choice(CATEGORIES),
        "areaSilo": lambda: chance.choice(["Silo 4", "Jetty", ""]),
        "monthlyRate": lambda: Decimal(chance.randrange(100_000)) / 100,
        "isActualized": lambda: chance.random() < 0.5,
        "model": lambda: f"M{chance.randrange(9)}",
        "forecastEnd": lambda: f"2026-0{chance.randrange(1, 9)}-15",
    }
    return {
        pfa_id: {name: values[name]() for name in chance.sample(sorted(values), 2)}
        for pfa_id in chance.sample(IDS, 4)
    }


def pull(far: FarSide) -> Any:
    return far.pull(if_locked=IfLocked.WAIT)


def push(far: FarSide) -> Any:
    return far.push(if_locked=IfLocked.WAIT)


def pull_files(far: FarSide, number: int) -> Any:
    mirror = far.world.mirror()
    changes = some(number, "file")
    return far.world.pull([{**mirror[pfa_id], **change} for pfa_id, change in changes.items()])


def save(far: FarSide, number: int, user: str, session: str = "s") -> Any:
    changes = [Change(*item) for item in some(number, user).items()]
    who = far.world.principal(user)
    return pfa_core.save(far.db, who, changes, session_id=session, move=True)


def commit(far: FarSide, user: str) -> Any:
    return pfa_core.commit(
        far.db, far.world.principal(user), Selection(everything=True), partial=True
    )


def take_back(far: FarSide, number: int, user: str) -> None:
    who, chosen = far.world.principal(user), Selection(ids=tuple(some(number, "back")))
    for verb in (pfa_core.uncommit, pfa_core.discard):
        with suppress(errors.NoDrafts, errors.IllegalTransition):
            verb(far.db, who, chosen)


def resolve(far: FarSide, user: str, take: str) -> Any:
    with suppress(errors.BaselineConflict, errors.VersionConflict):
        everything = ConflictSelection(everything=True)
        who = far.world.principal(user)
        return pfa_core.resolve_conflicts(far.db, who, everything, Decision(take=take))


def change_pems(far: FarSide, number: int) -> None:
    for pfa_id, changes in some(number, "PEMS").items():
        far.pems.change(pfa_id, **changes)


def require_done(answers: list[Any]) -> None:
    assert [answer for answer in answers if isinstance(answer, errors.PfaError)] == []


@pytest.mark.slow
@ROUNDS
def test_a_pull_beside_a_push_a_commit_and_a_save_leaves_no_drift(
    far: FarSide, others: Callable[[], FarSide], rounds: int
) -> None:
    one, two, three, four, five = (others() for _ in range(5))
    happened: Counter[str] = Counter()
    most = 10 * rounds  # what each round brings is a matter of who comes first
    for number in range(most):
        if number >= rounds and all(happened.values()):
            break
        change_pems(far, number)
        save(far, number + most, "ann")
        answers = together(
            lambda: pull(one),
            lambda: push(two),
            lambda: commit(three, "ann"),
            lambda n=number: save(four, n, "bob"),
            lambda n=number: save(five, n, "ann"),
        )
        require_done(answers)
        happened.update(pulled=answers[0].updated, pushed=answers[1].synced)
        happened.update(disputed=answers[1].conflicts, committed=len(answers[2].committed))
        require_exact(far.world, USERS)
    assert all(happened.values()), happened


@pytest.mark.long
@ROUNDS
def test_everybody_s_steps_at_once_leave_no_drift(
    far: FarSide, others: Callable[[], FarSide], rounds: int
) -> None:
    handles = [others() for _ in range(8)]
    for number in range(rounds):
        save(far, number, "bob")
        commit(far, "bob")
        answers = together(
            lambda n=number: pull_files(handles[0], n),
            lambda: pull(handles[1]),
            lambda: push(handles[2]),
            lambda n=number: change_pems(handles[3], n),
            lambda n=number: (save(handles[4], n, "ann"), commit(handles[4], "ann")),
            lambda n=number: take_back(handles[5], n, "bob"),
            lambda n=number: resolve(handles[6], "bob", ("mine", "pems")[n % 2]),
            lambda n=number: save(handles[7], n, "eve", session=f"s{n}"),
        )
        require_done(answers)
        require_exact(far.world, USERS)
    assert {"synced", "draft"} <= far.states().keys()


@pytest.mark.long
@ROUNDS
def test_who_looks_beside_writers_sees_every_record_once_and_no_drift(
    far: FarSide, others: Callable[[], FarSide], rounds: int
) -> None:
    """Records move between categories all the time; each answer is of one moment."""
    looking = [others(), others()]
    writing = [others() for _ in range(3)]
    ended = threading.Event()

    def write(work: Callable[[int], Any]) -> None:
        for number in range(rounds):
            work(number)

    def write_to_the_end() -> None:
        try:
            require_done(
                together(
                    lambda: write(lambda n: pull_files(writing[0], n)),
                    lambda: write(lambda n: (change_pems(far, n), push(writing[1]))),
                    lambda: write(
                        lambda n: (save(writing[2], n, "ann"), commit(writing[2], "ann"))
                    ),
                )
            )
        finally:
            ended.set()

    def look(other: FarSide) -> int:
        times = 0
        while not ended.is_set() or not times:
            require_one_moment(other.world)
            times += 1
        return times

    answers = together(write_to_the_end, *(lambda o=other: look(o) for other in looking))
    require_done(answers)
    assert min(answers[1:]) > rounds / 2
    require_exact(far.world, USERS)


def require_one_moment(world: World) -> None:
    assert pfa_core.verify_database(world.db, world.principal()).clean
    for by in (("category",), ("model",)):
        stats = pfa_core.compute_stats(world.db, world.principal(), Filters(), by=by)
        groups = [group.figures for group in stats.groups]
        assert stats.figures.total_records == len(IDS)
        assert sum(stats.category_breakdown.values()) == len(IDS)
        assert sum(group.total_records for group in groups) == len(IDS)
        assert min(group.total_records for group in groups) >= 0
        rental = sum(group.total_monthly_rental for group in groups)
        assert rental == stats.figures.total_monthly_rental
