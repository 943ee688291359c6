"""A user's own change in doubt, brought back by a pull, does not pass for one by PEMS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import pfa_core
from pfa_core import Filters, Selection, errors
from pfa_core.drafts import save_portions
from pfa_core.drafts.commit import CommitResult, KeptByPems
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.store.database import BROKEN_COMMITS
from tests.cut import When, cut_at
from tests.factories import World, a_world, commit, draft, record
from tests.forms import long
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

RECORDS = [record("P-1", model="M0", manufacturer="F0"), record("P-2")]
OWNERS = {owner: Ownership({"model": owner}) for owner in Owner}
PULLS = {"no pull": (), "incremental": (True,), "whole": (False,), "both": (True, False)}


@built_once
def world_with_a_draft_over_a_change(url: str) -> World:
    """Ann has committed ONE and drafts TWO over it; Bob drafts the same field and another one."""
    world = a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})
    ann, bob = world.principal("ann"), world.principal("bob")
    draft(world.db, ann, "P-1", session="one", model="ONE")
    commit(world.db, ann, session="one")
    draft(world.db, ann, "P-1", session="two", model="TWO")
    draft(world.db, bob, "P-1", session="bob", model="BOB", manufacturer="FB")
    return world


@pytest.fixture
def far(world_with_a_draft_over_a_change):
    with a_pems_beside(world_with_a_draft_over_a_change, *RECORDS) as far:
        yield far


class Killed(BaseException):
    """The process is gone."""


def lose_the_answer(far: FarSide) -> None:
    """PEMS applies the change; neither its answer nor the record that is read back arrives."""
    far.pems.faults = ["reset-after:1:on=rest:after=1"]
    with pytest.raises(errors.PemsUnavailable):
        far.push()
    far.pems.faults = []


def kill(far: FarSide) -> None:
    """The process ends when PEMS has applied the change."""

    def die(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pfa_core.sync.push.settlement.Settler.settle", die)
        with pytest.raises(Killed):
            far.push()


def give_up(far: FarSide) -> None:
    """The schedule of retries has ended: a dead letter, which may have arrived."""
    lose_the_answer(far)
    far.world.execute("UPDATE pfa_modification SET next_attempt_at = NULL")


def cut(number: int) -> Callable[[FarSide], None]:
    """The push loses its connection at a COMMIT and at each try to make it again."""

    def breaks(far: FarSide) -> None:
        with cut_at(number, When.BEFORE, times=BROKEN_COMMITS) as commits:
            try:
                far.push()
            except errors.DatabaseUnavailable:
                pass
            else:
                assert commits.seen < number

    return breaks


DOUBTS = {
    "lost answer": lose_the_answer,
    "kill": kill,
    "given up": give_up,
    **{f"cut at {number}": cut(number) for number in range(1, 9)},
}


SOME_DOUBTS = ("lost answer", "given up", "cut at 3")


def bring_into_doubt(far: FarSide, how: str) -> None:
    DOUBTS[how](far)
    far.world.execute("DELETE FROM pfa_lease")


def pull(far: FarSide, which: str) -> None:
    for incremental in PULLS[which]:
        far.pull(incremental=incremental)


def go_on(far: FarSide) -> None:
    """Push once more what waits for its next attempt."""
    far.world.execute(
        "UPDATE pfa_modification SET next_attempt_at = now() WHERE state = 'sync_error'"
    )
    far.push()


def commit_of(far: FarSide, ownership: Ownership, user: str = "ann") -> CommitResult:
    session = "two" if user == "ann" else user
    selection = Selection(session_id=session)
    principal = far.world.principal(user)
    return pfa_core.commit(far.db, principal, selection, ownership=ownership)


def overtaken(far: FarSide, user: str = "ann") -> list[int]:
    """What status, show and the list of drafts say of it."""
    who = far.world.principal(user)
    (shown,) = pfa_core.show_records(far.db, who, ["P-1"])
    listed = pfa_core.list_drafts(far.db, who, Filters())
    return [
        pfa_core.status(far.db, who).overtaken,
        len(shown.overtaken),
        sum(len(item.overtaken) for item in listed),
    ]


@pytest.mark.slow
@pytest.mark.turns(8)
@pytest.mark.variants(1)
@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("pulls", ["incremental", *long(["no pull", "whole", "both"])])
@pytest.mark.parametrize(
    "how", [*SOME_DOUBTS, *long(how for how in DOUBTS if how not in SOME_DOUBTS)]
)
def test_nothing_is_lost_and_nothing_disputed(
    far: FarSide, how: str, pulls: str, owner: Owner
) -> None:
    far.profile = replace(far.profile, ownership=OWNERS[owner])
    bring_into_doubt(far, how)
    pull(far, pulls)
    assert overtaken(far) == [0, 0, 0]
    result = commit_of(far, OWNERS[owner])
    assert (len(result.committed), result.settled, result.kept) == (1, [], [])
    assert overtaken(far)[:2] == [0, 0]
    go_on(far)
    assert far.world.rows("SELECT count(*) FROM pfa_sync_conflict") == [(0,)]
    assert far.states() == {"draft": 1, "synced": 2}
    assert [one["model"] for one in far.applied("P-1")] == ["ONE", "TWO"]
    far.require_once()
    far.require_agreement()


@pytest.mark.variants(1)
@pytest.mark.parametrize("pulls", ["whole", "both", "no pull"])
def test_a_pull_of_any_kind_makes_no_difference(far: FarSide, pulls: str) -> None:
    bring_into_doubt(far, "lost answer")
    pull(far, pulls)
    assert overtaken(far) == [0, 0, 0]
    assert len(commit_of(far, OWNERS[Owner.PEMS]).committed) == 1


@pytest.mark.slow
def test_for_another_user_it_is_a_change_by_pems(far: FarSide) -> None:
    bring_into_doubt(far, "lost answer")
    pull(far, "incremental")
    assert (overtaken(far), overtaken(far, "bob")) == ([0, 0, 0], [1, 1, 1])
    with pytest.raises(errors.BaselineConflict) as refused:
        commit_of(far, OWNERS[Owner.ASK], "bob")
    (fault,) = refused.value.details
    assert fault.message == "was M0, PEMS has ONE now, your draft has BOB"
    assert len(commit_of(far, OWNERS[Owner.MINE], "bob").committed) == 1


def test_what_another_user_puts_over_it_in_pems_is_a_change_by_pems(far: FarSide) -> None:
    bring_into_doubt(far, "lost answer")
    far.pems.change("P-1", model="THEIRS")
    pull(far, "incremental")
    assert overtaken(far) == [2, 1, 1]
    with pytest.raises(errors.BaselineConflict):
        commit_of(far, OWNERS[Owner.ASK])


def test_a_change_that_was_never_sent_explains_nothing_in_pems(far: FarSide) -> None:
    far.pems.change("P-1", model="ONE")
    pull(far, "incremental")
    assert overtaken(far) == [1, 1, 1]
    with pytest.raises(errors.BaselineConflict):
        commit_of(far, OWNERS[Owner.ASK])


@pytest.mark.slow
def test_what_pems_keeps_is_said_and_comes_back(far: FarSide) -> None:
    """Bob loses one of two fields to PEMS, which owns it; the trail has it, and a restore."""
    bob = far.world.principal("bob")
    bring_into_doubt(far, "lost answer")
    pull(far, "incremental")
    result = commit_of(far, OWNERS[Owner.PEMS], "bob")
    assert (len(result.committed), result.settled) == (1, [])
    assert result.kept == [KeptByPems("P-1", ("model",))]
    restored = pfa_core.restore(far.db, bob, session_id="bob")
    assert [item.pfa_id for item in restored.restored] == ["P-1"]
    (again,) = pfa_core.list_drafts(far.db, bob, Filters())
    assert (again.delta, again.base, len(again.overtaken)) == ({"model": "BOB"}, {"model": "M0"}, 1)
    assert pfa_core.restore(far.db, bob, session_id="bob").already_restored == ["P-1"]
    assert pfa_core.verify_log(far.db, far.ann).whole


def test_a_draft_that_goes_because_pems_owns_its_fields_comes_back_whole(far: FarSide) -> None:
    far.pems.change("P-1", model="THEIRS")
    pull(far, "incremental")
    result = commit_of(far, OWNERS[Owner.PEMS])
    assert (result.committed, result.settled) == ([], ["P-1"])
    assert result.kept == [KeptByPems("P-1", ("model",))]
    assert pfa_core.list_drafts(far.db, far.ann, Filters()) == []
    pfa_core.restore(far.db, far.ann, ids=["P-1"])
    (again,) = pfa_core.list_drafts(far.db, far.ann, Filters())
    assert (again.session_id, again.delta, again.base) == ("two", {"model": "TWO"}, {"model": "M0"})


def test_a_draft_that_goes_because_pems_has_its_values_does_not_come_back(far: FarSide) -> None:
    draft(far.db, far.ann, "P-2", session="agreed", model="SAME")
    far.pems.change("P-2", model="SAME")
    pull(far, "incremental")
    result = pfa_core.commit(far.db, far.ann, Selection(session_id="agreed"))
    assert (result.settled, result.kept) == (["P-2"], [])
    with pytest.raises(errors.NoDrafts):
        pfa_core.restore(far.db, far.ann, session_id="agreed")


@pytest.mark.parametrize("owner", OWNERS)
def test_a_restored_draft_is_over_what_pems_took_of_its_user_meanwhile(
    far: FarSide, owner: Owner
) -> None:
    pfa_core.discard(far.db, far.ann, Selection(session_id="two"))
    assert far.push().synced == 1
    pfa_core.restore(far.db, far.ann, session_id="two")
    assert overtaken(far) == [0, 0, 0]
    assert len(commit_of(far, OWNERS[owner]).committed) == 1


def test_restored_in_portions_each_draft_is_over_what_pems_took_of_its_user(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft(far.db, far.ann, "P-2", session="two", model="TWO")
    pfa_core.discard(far.db, far.ann, Selection(session_id="two"))
    assert far.push().synced == 1
    monkeypatch.setattr(save_portions, "TOGETHER", 1)
    restored = pfa_core.restore(far.db, far.ann, session_id="two")
    assert [item.pfa_id for item in restored.restored] == ["P-1", "P-2"]
    listed = pfa_core.list_drafts(far.db, far.ann, Filters())
    assert [item.base for item in listed] == [{"model": "ONE"}, {"model": RECORDS[1]["model"]}]
    assert overtaken(far) == [0, 0, 0]
    assert len(commit_of(far, OWNERS[Owner.ASK]).committed) == 2


def test_a_restored_draft_is_not_over_what_pems_took_of_another_user(far: FarSide) -> None:
    bob = far.world.principal("bob")
    pfa_core.discard(far.db, bob, Selection(session_id="bob"))
    assert far.push().synced == 1
    pfa_core.restore(far.db, bob, session_id="bob")
    assert overtaken(far, "bob") == [1, 1, 1]
