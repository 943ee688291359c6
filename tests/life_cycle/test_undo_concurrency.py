"""An undo beside other writers: what comes last is taken back, or refused, never half of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.drafts.undo import UndoResult
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.together import together
from tests.life_cycle.undone import state
from tests.life_cycle.views import stored
from tests.pems_server import a_pems_beside, owned
from tests.worlds import built_once

RECORDS = [record(f"P-{number}", model="M0") for number in range(1, 4)]
ROUNDS = 4


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(RECORDS))


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """The same organization through another handle."""
    other = World(
        pfa_core.Database(world.db.conninfo), world.organization, world.users, as_owner=world.owner
    )
    yield other
    other.db.close()


def sound(world: World) -> None:
    found = pfa_core.verify_database(world.db, world.principal())
    assert [found.rollup, found.overlays] == [[], []]
    assert pfa_core.verify_log(world.db, world.principal()).whole


@pytest.mark.slow
def test_an_undo_beside_a_save_takes_back_the_one_or_the_other(world: World, other: World) -> None:
    ann = world.principal()
    for number in range(ROUNDS):
        draft(world.db, ann, "P-1", model="A")
        undone, _ = together(
            lambda: pfa_core.undo(world.db, ann),
            lambda n=number: draft(other.db, ann, "P-1", dor="BEO", category=f"C{n}"),
        )
        assert isinstance(undone, UndoResult)
        ((_, _, _, _, delta),) = stored(world)
        assert delta in ({"model": "A"}, {"dor": "BEO", "category": f"C{number}"})
        pfa_core.undo(world.db, ann)
        assert stored(world) == []
    sound(world)


@pytest.mark.slow
def test_two_undos_at_once_take_back_two_operations(world: World, other: World) -> None:
    ann = world.principal()
    for _ in range(ROUNDS):
        draft(world.db, ann, "P-1", model="A")
        draft(world.db, ann, "P-2", model="A")
        answers = together(
            lambda: pfa_core.undo(world.db, ann), lambda: pfa_core.undo(other.db, ann)
        )
        assert len({answer.operation for answer in answers}) == 2
        assert stored(world) == []
    sound(world)


def test_what_a_push_is_about_to_claim_is_waited_for_and_refused(world: World) -> None:
    draft(world.db, world.principal(), "P-1", model="A")
    commit(world.db, world.principal())
    answers: list[object] = []

    def undo() -> None:
        try:
            answers.append(pfa_core.undo(world.db, world.principal()))
        except errors.PfaError as refused:
            answers.append(refused)

    with psycopg.connect(world.url) as conn:
        conn.execute(
            "UPDATE pfa_modification SET state = 'syncing',"
            " claim_id = '00000000-0000-4000-8000-0000000000c1', attempts = 1"
        )
        thread = threading.Thread(target=undo)
        thread.start()
        time.sleep(0.3)
        assert answers == []
        conn.commit()
    thread.join(30)
    (refused,) = answers
    assert isinstance(refused, errors.IllegalTransition)
    assert "held by a push" in refused.message


@pytest.mark.slow
def test_an_undo_beside_a_push_takes_back_all_of_the_commit_or_nothing(
    world: World, other: World
) -> None:
    ann = world.principal()
    outcomes = set()
    with a_pems_beside(other, *RECORDS) as far:
        for number in range(ROUNDS):
            for pfa_id in ("P-1", "P-2", "P-3"):
                draft(world.db, ann, pfa_id, session=f"s{number}", model=f"M{number + 1}")
            before = state(world)
            commit(world.db, ann, session=f"s{number}")
            undone, _ = together(lambda: pfa_core.undo(world.db, ann), far.push)
            if isinstance(undone, UndoResult):
                assert state(world) == before
                commit(world.db, ann, session=f"s{number}")
                far.push()
            else:
                assert isinstance(undone, errors.IllegalTransition)
            outcomes.add(type(undone))
            assert far.states() == {"synced": 3 * (number + 1)}
        far.require_agreement()
        far.require_once()
    assert outcomes
    sound(world)
