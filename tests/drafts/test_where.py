"""Drafts are committed, taken back and discarded by an expression about their records."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

import pfa_core
from pfa_core import Filters, Selection, errors
from tests.factories import World, a_world, draft, record
from tests.life_cycle.views import ids
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Three records, each with a draft of ann's, in two sessions; one more of bob's."""
    world = a_world(
        url,
        record("P-1"),
        record("P-2", category="Van"),
        record("P-3", monthlyRate=500),
        record("P-4"),
        users={"ann": "admin", "bob": "editor"},
    )
    for number, session in ((1, "s"), (2, "s"), (3, "t")):
        draft(
            world.db, world.principal(), f"P-{number}", session=session, monthlyRate=2000 + number
        )
    draft(world.db, world.principal("bob"), "P-4", session="s", monthlyRate=2004)
    return world


def committed(world: World, **selection: Any) -> list[str]:
    result = pfa_core.commit(world.db, world.principal(), Selection(**selection))
    return [one.pfa_id for one in result.committed]


def test_a_commit_takes_the_drafts_of_records_of_which_it_is_true(world: World) -> None:
    assert committed(world, where="category = Crane and mine.monthlyRate > 2000") == ["P-1", "P-3"]
    assert ids(world, state=("draft",)) == ["P-2"]
    taken_back = pfa_core.uncommit(
        world.db, world.principal(), Selection(where="pems.monthlyRate < 600")
    )
    assert [one.pfa_id for one in taken_back.uncommitted] == ["P-3"]
    assert ids(world, state=("draft",)) == ["P-2", "P-3"]
    dropped = pfa_core.discard(world.db, world.principal(), Selection(where="not category = Crane"))
    assert dropped.discarded == ["P-2"]
    assert ids(world, state=("draft",)) == ["P-3"]
    assert ids(world, "bob", state=("draft",)) == ["P-4"]


def test_it_narrows_a_session_and_named_records(world: World) -> None:
    assert committed(world, where="category = Crane", session_id="s") == ["P-1"]
    assert committed(world, where="hasPlan", ids=("P-3",)) == ["P-3"]
    with pytest.raises(errors.NotFound, match="P-9"):
        committed(world, where="hasPlan", ids=("P-9",))


@pytest.mark.parametrize("session", [None, "s"])
def test_an_expression_that_nothing_matches_selects_nothing(
    world: World, session: str | None
) -> None:
    selection = Selection(where="category = Dozer", session_id=session)
    for work in (pfa_core.commit, pfa_core.uncommit, pfa_core.discard):
        with pytest.raises(errors.NoDrafts, match="that match `where`"):
            work(world.db, world.principal(), selection)
    assert ids(world, state=("draft",)) == ["P-1", "P-2", "P-3"]


def test_a_selection_with_a_mistake_in_its_expression_is_refused(world: World) -> None:
    for mistake in ("", "categry = Crane"):
        with pytest.raises(errors.InvalidRequest):
            Selection(where=mistake)
    assert not Selection(where="hasPlan").empty
    assert Selection().empty


def test_filters_choose_records_as_in_a_list(world: World) -> None:
    ann = world.principal()
    cranes = Filters(category=("Crane",), state=("draft",))
    plan = pfa_core.plan_commit(world.db, ann, Selection(filters=cranes))
    assert [one.pfa_id for one in plan.drafts] == ["P-1", "P-3"]
    assert committed(world, filters=cranes, where="mine.monthlyRate > 2002") == ["P-3"]
    assert committed(world, filters=Filters(id=("P-1", "P-9"))) == ["P-1"]
    back = pfa_core.uncommit(
        world.db, ann, Selection(filters=Filters(search="p-3", where="hasPlan"), ids=("P-3",))
    )
    assert [one.pfa_id for one in back.uncommitted] == ["P-3"]
    dropped = pfa_core.discard(world.db, ann, Selection(filters=Filters(category=("Van",))))
    assert dropped.discarded == ["P-2"]
    with pytest.raises(errors.NoDrafts, match="that match the filters"):
        committed(world, filters=Filters(category=("Van",)))


def test_a_session_in_filters_is_that_of_the_drafts(world: World) -> None:
    draft(world.db, world.principal(), "P-4", session="u", monthlyRate=2004)
    pfa_core.commit(world.db, world.principal(), Selection(ids=("P-4",)))
    draft(world.db, world.principal(), "P-4", session="s", monthlyRate=2005)
    # P-4 was modified in `u` too, but its draft is in `s`.
    with pytest.raises(errors.NoDrafts):
        pfa_core.discard(
            world.db, world.principal(), Selection(filters=Filters(session=("u",), search="p-4"))
        )
    assert committed(world, filters=Filters(session=("s",), category=("Crane",))) == ["P-1", "P-4"]
    for both in ({"session_id": "t"}, {}):
        sessions = ("s",) if both else ("s", "t")
        with pytest.raises(errors.InvalidRequest, match="of one session"):
            Selection(filters=Filters(session=sessions), **both)
    with pytest.raises(errors.InvalidRequest, match="cannot be combined"):
        Selection(filters=Filters(id=("P-1",)), ids=("P-1",))


def test_records_that_are_named_are_looked_up_and_not_locked(world: World) -> None:
    def lockers(conn: Connection[Any]) -> list[Any]:
        return conn.execute("SELECT pfa_id, xmax::text FROM pfa_mirror ORDER BY 1").fetchall()

    before = world.owner.read(lockers)
    with pytest.raises(errors.NotFound, match="'P-77' not found in"):
        pfa_core.discard(world.db, world.principal(), Selection(ids=("P-1", "P-77")))
    dropped = pfa_core.discard(world.db, world.principal(), Selection(ids=("P-1", "P-2")))
    assert dropped.discarded == ["P-1", "P-2"]
    assert world.owner.read(lockers) == before


def test_filters_that_say_nothing_select_nothing(world: World) -> None:
    for work in (pfa_core.commit, pfa_core.uncommit, pfa_core.discard):
        with pytest.raises(errors.InvalidRequest, match="nothing selected"):
            work(world.db, world.principal(), Selection(filters=Filters()))
