"""Values of before drafted for changes that are in PEMS already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, errors
from pfa_core.drafts import save_portions
from pfa_core.drafts.revert import RevertResult
from pfa_core.model.principal import RIGHTS_OF, Right, Role
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.undone import links, state
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.sync.push.test_own_sends import lose_the_answer
from tests.worlds import built_once

RECORDS = [record("P-1", model="M0", monthlyRate=100), record("P-2", model="M0"), record("P-3")]


@built_once
def world(url: str) -> World:
    """Ann has committed a change of two records, Bob one of the third."""
    world = a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})
    ann, bob = world.principal("ann"), world.principal("bob")
    draft(world.db, ann, "P-1", model="M1", monthlyRate=150)
    draft(world.db, ann, "P-2", model="M1")
    commit(world.db, ann)
    draft(world.db, bob, "P-3", session="s", model="BOB")
    commit(world.db, bob)
    return world


@pytest.fixture
def far(world: World) -> Iterator[FarSide]:
    with a_pems_beside(world, *RECORDS) as far:
        yield far


def revert(far: FarSide, user: str = "ann", **what: Any) -> RevertResult:
    return pfa_core.revert(far.db, far.world.principal(user), **what)


def deltas(far: FarSide, user: str = "ann") -> dict[str, tuple[str, dict[str, Any]]]:
    views = pfa_core.list_drafts(far.db, far.world.principal(user), Filters())
    return {view.pfa_id: (view.session_id, dict(view.delta)) for view in views}


def send(far: FarSide, session: str, **delta: Any) -> None:
    draft(far.db, far.ann, "P-1", session=session, **delta)
    commit(far.db, far.ann, session=session)
    assert far.push().synced == 1


def test_a_session_goes_back_to_the_values_of_before_when_its_revert_is_pushed(far: FarSide):
    far.push()
    result = revert(far, session_id="s")
    assert (result.session_id, result.changed_since, result.unchanged) == ("revert-s", [], [])
    assert deltas(far) == {
        "P-1": ("revert-s", {"model": "M0", "monthlyRate": 100}),
        "P-2": ("revert-s", {"model": "M0"}),
    }
    commit(far.db, far.ann, session="revert-s")
    assert far.push().synced == 2
    far.require_agreement()
    model = {item.pfa_id: item.data["model"] for item in far.pems.records}
    assert model == {"P-1": "M0", "P-2": "M0", "P-3": "BOB"}
    again = revert(far, session_id="s")
    assert (again.saved, again.unchanged) == ([], ["P-1", "P-2"])
    forth = revert(far, session_id="revert-s")
    assert forth.session_id == "revert-revert-s"
    assert deltas(far)["P-2"] == ("revert-revert-s", {"model": "M1"})


def test_values_of_before_are_those_of_the_trail(far: FarSide):
    far.push()
    revert(far, session_id="s")
    entries = pfa_core.list_log(
        far.db, far.ann, pfa_core.LogFilter(actions=("acknowledge",), session_id="s")
    )
    before = {entry.pfa_id: entry.before for entry in entries if entry.pfa_id != "P-3"}
    assert before == {pfa_id: delta for pfa_id, (_, delta) in deltas(far).items()}


def test_a_field_that_was_changed_since_is_named_with_both_values_and_left(far: FarSide):
    far.push()
    far.pems.change("P-1", model="THEIRS")
    far.pull()
    result = revert(far, session_id="s")
    (left,) = result.changed_since
    assert (left.pfa_id, left.field, left.before, left.sent, left.pems) == (
        "P-1", "model", "M0", "M1", "THEIRS"
    )  # fmt: skip
    assert deltas(far) == {
        "P-1": ("revert-s", {"monthlyRate": 100}),
        "P-2": ("revert-s", {"model": "M0"}),
    }


def test_where_all_was_changed_since_nothing_is_drafted(far: FarSide):
    far.push()
    far.pems.change("P-2", model="THEIRS")
    far.pull()
    before = links(far.world)
    with pytest.raises(errors.BaselineConflict) as refused:
        revert(far, ids=["P-2"])
    (fault,) = refused.value.details
    assert "THEIRS" in fault.message
    assert "M1" in fault.message
    assert (deltas(far), links(far.world)) == ({}, before)


def test_of_a_record_alone_the_last_change_is_reverted(far: FarSide):
    far.push()
    send(far, "t", model="M2", dor="BEO")
    result = revert(far, ids=["P-1"])
    assert (result.session_id, deltas(far)) == (
        "revert-P-1", {"P-1": ("revert-P-1", {"model": "M1", "dor": "PROJECT"})}
    )  # fmt: skip


def test_a_session_under_a_later_change_of_the_same_field_is_left_there(far: FarSide):
    far.push()
    send(far, "t", model="M2")
    result = revert(far, session_id="s")
    assert [(one.field, one.pems) for one in result.changed_since] == [("model", "M2")]
    assert deltas(far)["P-1"][1] == {"monthlyRate": 100}


def test_several_changes_of_a_record_go_back_together(far: FarSide):
    far.push()
    send(far, "s", model="M2")
    revert(far, session_id="s")
    assert deltas(far)["P-1"][1] == {"model": "M0", "monthlyRate": 100}


@pytest.mark.slow
def test_going_back_ends_where_another_user_came_between(far: FarSide):
    far.push()
    far.pems.change("P-1", model="THEIRS")
    far.pull()
    send(far, "s", model="M2")
    result = revert(far, session_id="s")
    assert deltas(far)["P-1"][1] == {"model": "THEIRS", "monthlyRate": 100}
    assert [(one.before, one.sent, one.pems) for one in result.changed_since] == [
        ("M0", "M1", "THEIRS")
    ]


def test_a_push_is_reverted_as_far_as_it_sent_what_is_ones_own(far: FarSide):
    run = far.push().run_id
    result = revert(far, run_id=f" {run.upper()} ")
    assert result.session_id == f"revert-run-{run.upper()[-8:]}"
    assert sorted(deltas(far)) == ["P-1", "P-2"]
    revert(far, "bob", run_id=run)
    assert deltas(far, "bob")["P-3"][1] == {"model": "LTM 1030"}
    with pytest.raises(errors.NoDrafts):
        revert(far, "bob", run_id=run, session_id="t")


def test_what_is_not_in_pems_is_refused_with_what_to_type(far: FarSide):
    with pytest.raises(errors.NoDrafts, match="is in PEMS yet") as refused:
        revert(far, session_id="s")
    assert refused.value.hint == "type: pfa undo"
    far.push()
    with pytest.raises(errors.NoDrafts, match="taken nothing"):
        revert(far, session_id="unknown")
    with pytest.raises(errors.NoDrafts, match="P-3"):
        revert(far, session_id="s", ids=["P-1", "P-3"])
    with pytest.raises(errors.NotFound, match="run not found"):
        revert(far, run_id="nothing")
    with pytest.raises(errors.InvalidRequest):
        revert(far)
    assert deltas(far) == {}


@pytest.mark.slow
def test_a_change_whose_answer_was_lost_goes_back_to_what_it_was_drafted_over(far: FarSide):
    """A pull brought the value before the push knew that PEMS had it."""
    lose_the_answer(far)
    far.pull()
    far.world.execute("UPDATE pfa_modification SET next_attempt_at = committed_at")
    far.push()
    assert far.states() == {"synced": 3}
    revert(far, session_id="s")
    assert deltas(far)["P-1"][1] == {"model": "M0", "monthlyRate": 100}
    far.pems.change("P-1", model="THEIRS")
    far.pull()
    pfa_core.undo(far.db, far.ann)
    assert [one.pems for one in revert(far, session_id="s").changed_since] == ["THEIRS"]


def test_a_draft_of_another_session_is_refused_and_with_partial_left(far: FarSide):
    far.push()
    draft(far.db, far.ann, "P-1", session="mine", dor="BEO")
    with pytest.raises(errors.SessionMismatch):
        revert(far, session_id="s")
    assert list(deltas(far)) == ["P-1"]
    result = revert(far, session_id="s", partial=True)
    assert ([one.pfa_id for one in result.saved], len(result.errors)) == (["P-2"], 1)


def test_a_dry_run_shows_the_effect_on_cost_and_stores_nothing(far: FarSide):
    far.push()
    before = state(far.world)
    result = revert(far, session_id="s", dry_run=True)
    assert state(far.world) == before
    assert result.preview is not None
    assert [(one.field, one.records) for one in result.preview.fields] == [
        ("monthlyRate", 1), ("model", 2)
    ]  # fmt: skip
    assert result.preview.forecast_before > result.preview.forecast_after
    revert(far, session_id="s")
    pfa_core.undo(far.db, far.ann)
    assert state(far.world) == before


def test_a_second_revert_joins_the_drafts_of_the_first_until_they_are_committed(far: FarSide):
    far.push()
    revert(far, session_id="s")
    again = revert(far, session_id="s")
    assert again.session_id == "revert-s"
    assert {one.status for one in again.saved} == {"unchanged"}
    commit(far.db, far.ann, session="revert-s")
    assert revert(far, session_id="s").session_id == "revert-s-2"


def test_what_waits_beside_the_reverted_is_counted(far: FarSide):
    far.push()
    pfa_core.save(far.db, far.ann, [Change("P-3", {"dor": "BEO"})], session_id="s")
    assert revert(far, session_id="s").waiting == 1


def test_money_is_neither_shown_nor_drafted_without_the_right(far: FarSide):
    far.push()
    narrow = far.world.add_user(
        "ann", "admin", rights=RIGHTS_OF[Role.ADMIN] - {Right.VIEW_FINANCIALS}
    )
    with pytest.raises(errors.PermissionDenied):
        pfa_core.revert(far.db, narrow, session_id="s")
    far.pems.change("P-1", monthlyRate=777)
    far.world.add_user("ann", "admin")
    far.pull()
    far.world.add_user("ann", "admin", rights=RIGHTS_OF[Role.ADMIN] - {Right.VIEW_FINANCIALS})
    (left,) = pfa_core.revert(far.db, narrow, session_id="s").changed_since
    assert (left.field, left.before, left.sent, left.pems) == ("monthlyRate", None, None, None)


def test_several_portions_revert_all(far: FarSide, monkeypatch: pytest.MonkeyPatch):
    far.push()
    send(far, "s", model="M2")
    monkeypatch.setattr(save_portions, "TOGETHER", 1)
    assert len(revert(far, session_id="s").saved) == 2
    assert deltas(far)["P-1"][1] == {"model": "M0", "monthlyRate": 100}
