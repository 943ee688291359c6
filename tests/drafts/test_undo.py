"""The last local operation taken back, and the one before it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import (
    Change,
    ConflictSelection,
    Decision,
    Filters,
    Owner,
    Ownership,
    Selection,
    errors,
)
from pfa_core.drafts import save_portions
from pfa_core.drafts.undo import UndoResult
from pfa_core.model.principal import RIGHTS_OF, Right, Role
from tests.factories import World, a_world, commit, draft, record
from tests.forms import long
from tests.life_cycle.undone import links, state
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Three records and two users."""
    return a_world(
        url, record("P-1"), record("P-2"), record("P-3"),
        users={"ann": "admin", "bob": "editor"},
    )  # fmt: skip


def undo(world: World, user: str = "ann", **what: Any) -> UndoResult:
    return pfa_core.undo(world.db, world.principal(user), **what)


def listed(world: World, user: str = "ann") -> list[tuple[int, str, int, str]]:
    found = pfa_core.list_operations(world.db, world.principal(user))
    return [(one.operation, one.kind, one.records, one.undoing) for one in found]


def last(world: World) -> int:
    return listed(world)[0][0]


def deltas(world: World, user: str = "ann") -> dict[str, dict[str, Any]]:
    views = pfa_core.list_drafts(world.db, world.principal(user), Filters())
    return {view.pfa_id: dict(view.delta) for view in views}


def refusal(world: World, **what: Any) -> errors.PfaError:
    before, trail = state(world), links(world)
    with pytest.raises(errors.PfaError) as refused:
        undo(world, **what)
    assert (state(world), links(world)) == (before, trail)
    return refused.value


@pytest.mark.slow
def test_undoing_twice_takes_back_the_one_before_and_redo_does_them_again(world: World):
    states = [state(world)]
    for value in ("A", "B"):
        draft(world.db, world.principal(), "P-1", model=value)
        states.append(state(world))
    assert (undo(world).records, deltas(world)) == (1, {"P-1": {"model": "A"}})
    assert state(world) == states[1]
    undo(world)
    assert state(world) == states[0]
    assert isinstance(refusal(world), errors.NotFound)
    result = undo(world, redo=True)
    assert (result.kind, result.redone) == ("save", True)
    assert state(world) == states[1]
    undo(world, redo=True)
    assert state(world) == states[2]
    assert isinstance(refusal(world, redo=True), errors.NotFound)


def test_the_list_says_what_when_how_many_and_what_undoing_does(world: World):
    ann = world.principal()
    pfa_core.set_fields(world.db, ann, Filters(), {"model": "A"}, session_id="s")
    save = last(world)
    pfa_core.unset_fields(world.db, ann, Filters(id=("P-1",)), ["model"])
    pfa_core.save(world.db, ann, [Change("P-2", {"model": "B"}), Change("P-1", {"dor": "BEO"})])
    pfa_core.discard(world.db, ann, Selection(ids=("P-3",)))
    pfa_core.restore(world.db, ann, ids=["P-3"])
    commit(world.db, ann)
    pfa_core.uncommit(world.db, ann, Selection(session_id="s"))
    undo(world)
    undo(world, redo=True)
    found = pfa_core.list_operations(world.db, ann)
    assert [(one.kind, one.records, one.undoing) for one in found] == [
        ("redo", 2, f"undo {save + 6} instead"),
        ("undo", 2, "taken back already"),
        ("uncommit", 2, "commits 2 drafts again"),
        ("commit", 2, "makes 2 drafts again"),
        ("restore", 1, "deletes 1 draft"),
        ("discard", 1, "brings 1 draft back"),
        ("save", 2, "deletes 1 draft, sets 1 draft back"),
        ("unset", 1, "brings 1 draft back"),
        ("save", 3, "deletes 3 drafts"),
    ]
    assert [one.takes_back for one in found[:3]] == [save + 6, save + 6, None]
    assert (found[-1].sessions, found[-1].pfa_id, found[-2].pfa_id) == (("s",), None, "P-1")
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert pfa_core.list_operations(world.db, world.principal("bob")) == []
    assert len(pfa_core.list_operations(world.db, ann, limit=2)) == 2


def test_a_dry_run_shows_the_effect_and_stores_nothing(world: World):
    draft(world.db, world.principal(), "P-1", monthlyRate=2000)
    before, trail = state(world), links(world)
    preview = undo(world, dry_run=True).preview
    assert (state(world), links(world)) == (before, trail)
    assert preview is not None
    assert (preview.records, [one.field for one in preview.fields]) == (1, ["monthlyRate"])
    assert (preview.forecast_before, preview.forecast_after) == (
        Decimal("1971.09"),
        Decimal("985.55"),
    )
    assert undo(world).preview is None


def test_another_operation_of_other_records_is_taken_back_by_its_number(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    first = last(world)
    draft(world.db, world.principal(), "P-2", model="B")
    undo(world, operation=first)
    assert deltas(world) == {"P-2": {"model": "B"}}
    undo(world, operation=last(world))
    assert deltas(world) == {"P-1": {"model": "A"}, "P-2": {"model": "B"}}


def test_an_operation_under_a_later_one_says_which_has_to_go_first(world: World):
    pfa_core.set_fields(world.db, world.principal(), Filters(), {"model": "A"}, session_id="s")
    first = last(world)
    draft(world.db, world.principal(), "P-2", model="B")
    second = last(world)
    refused = refusal(world, operation=first)
    assert isinstance(refused, errors.IllegalTransition)
    assert refused.hint == f"type: pfa undo {second}"
    assert [fault.pfa_id for fault in refused.details] == ["P-2"]
    assert f"operation {second} changed it since" in refused.message
    undo(world, operation=second)
    undo(world, operation=first)
    assert deltas(world) == {}


def test_the_same_content_again_does_not_pass_for_the_operation_itself(world: World):
    for value in ("A", "B", "A"):
        draft(world.db, world.principal(), "P-1", model=value)
    first = listed(world)[2][0]
    assert refusal(world, operation=first).hint == f"type: pfa undo {last(world)}"


@pytest.mark.parametrize("number", [0, -1, 2**63])
def test_a_number_that_is_none_is_refused(world: World, number: int):
    assert isinstance(refusal(world, operation=number), errors.InvalidRequest)


def test_operations_of_others_and_what_is_taken_back_are_refused(world: World):
    draft(world.db, world.principal("bob"), "P-1", model="B")
    number = listed(world, "bob")[0][0]
    assert isinstance(refusal(world, operation=number), errors.NotFound)
    assert isinstance(refusal(world), errors.NotFound)
    undo(world, "bob")
    with pytest.raises(errors.IllegalTransition, match="taken back already"):
        undo(world, "bob", operation=number)
    undo(world, "bob", redo=True)
    with pytest.raises(errors.IllegalTransition, match="did operation"):
        undo(world, "bob", operation=listed(world, "bob")[0][0])
    assert isinstance(refusal(world, operation=1, redo=True), errors.InvalidRequest)


def test_a_commit_is_taken_back_while_nothing_of_it_was_sent(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    draft(world.db, world.principal(), "P-2", model="A")
    before = state(world)
    commit(world.db, world.principal())
    after = state(world)
    assert {one.became for one in undo(world).undone} == {"uncommitted"}
    assert state(world) == before
    undo(world, redo=True)
    assert state(world) == after


SENT = {
    "claimed": (
        "state = 'syncing', claim_id = '00000000-0000-4000-8000-0000000000c1', attempts = 1",
        "a push",
        "runs",
    ),
    "given back": ("attempts = 1", "may have been", "sync push"),
    "in doubt": ("state = 'sync_error', attempts = 1, sent_version = '7'", "may have", "sync push"),
    "in conflict": ("state = 'conflict', attempts = 1", "conflict", "pfa conflict show P-2"),
    "sent": ("state = 'synced', synced_at = now()", "in PEMS", "pfa revert --session s"),
}


USUAL = ("claimed", "sent")


@pytest.mark.parametrize("how", [*USUAL, *long(name for name in SENT if name not in USUAL)])
def test_what_a_push_has_is_refused_with_what_to_type(world: World, how: str):
    draft(world.db, world.principal(), "P-1", model="A")
    draft(world.db, world.principal(), "P-2", model="A")
    commit(world.db, world.principal())
    change, message, hint = SENT[how]
    world.execute(f"UPDATE pfa_modification SET {change} WHERE pfa_id = 'P-2'")
    refused = refusal(world)
    assert isinstance(refused, errors.IllegalTransition)
    assert message in refused.message
    assert hint in (refused.hint or "")
    assert [fault.pfa_id for fault in refused.details] == ["P-2"]
    # The save before it too, at once: the commit cannot be taken back first.
    before = refusal(world, operation=listed(world)[1][0])
    (fault,) = [one for one in before.details if one.pfa_id == "P-2"]
    assert message in fault.message
    assert hint in (before.hint or "")


@pytest.mark.parametrize("due", ["NULL", "now() + interval '1 minute'"])
def test_a_commit_that_pems_surely_did_not_take_is_taken_back(world: World, due: str):
    """Rejected for good, or to be tried again; done again it waits as what PEMS rejected, or for the next push."""
    draft(world.db, world.principal(), "P-1", model="A")
    save = last(world)
    commit(world.db, world.principal())
    world.execute(
        "UPDATE pfa_modification SET state = 'sync_error', attempts = 1, sync_error = 'NO: no',"
        f" next_attempt_at = {due}"
    )
    before = refusal(world, operation=save)
    assert "was not taken by PEMS" in before.message
    assert before.hint == "type: pfa uncommit --id P-1"
    assert listed(world)[0][3] == "makes 1 draft again"
    assert {one.became for one in undo(world).undone} == {"uncommitted"}
    kept = "SELECT state, next_attempt_at, attempts, sync_error FROM pfa_modification"
    assert world.rows(kept) == [("draft", None, 0, None)]
    undo(world, redo=True)
    again = ("sync_error", None, 1, "NO: no") if due == "NULL" else ("committed", None, 0, None)
    assert world.rows(kept) == [again]


def test_the_list_says_of_a_commit_that_it_was_sent(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    commit(world.db, world.principal())
    world.execute("UPDATE pfa_modification SET state = 'synced', synced_at = now()")
    assert listed(world)[0][3] == "not possible: 1 sent; pfa revert --session s"


def test_the_list_says_of_a_save_too_that_it_was_sent_meanwhile(world: World):
    pfa_core.set_fields(world.db, world.principal(), Filters(), {"model": "A"}, session_id="s")
    save = last(world)
    commit(world.db, world.principal())
    assert listed(world)[1][3] == "deletes 3 drafts"  # once the commit is taken back
    world.execute(
        "UPDATE pfa_modification SET state = 'synced', synced_at = now() WHERE pfa_id <> 'P-3'"
    )
    assert [one[3] for one in listed(world)] == ["not possible: 2 sent; pfa revert --session s"] * 2
    assert "in PEMS already" in refusal(world, operation=save).message


def test_the_list_names_a_session_that_a_revert_finds(world: World):
    ann = world.principal()
    draft(world.db, ann, "P-1", session="-x", model="A")
    draft(world.db, ann, "P-2", session="gen", model="A")
    pfa_core.commit(world.db, ann, Selection(ids=("P-1", "P-2")))
    number = last(world)
    world.execute("UPDATE pfa_modification SET attempts = 1 WHERE pfa_id = 'P-1'")
    assert listed(world)[0][3] == f"not possible: 1 sent; why: pfa undo {number} --dry-run"
    assert "may have been" in refusal(world, operation=number, dry_run=True).message
    world.execute(
        "UPDATE pfa_modification SET state = 'synced', synced_at = now() WHERE pfa_id = 'P-2'"
    )
    assert listed(world)[0][3] == "not possible: 2 sent; pfa revert --session gen"
    assert pfa_core.revert(world.db, ann, session_id="gen", dry_run=True)


def test_of_a_commit_that_dropped_all_of_its_drafts_the_list_has_no_zero(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    world.pull([record("P-1", model="A")])
    commit(world.db, world.principal())
    assert listed(world)[0][3] == "brings back 1 dropped"


def test_what_a_pull_changed_meanwhile_stays_and_is_a_conflict_at_the_commit(world: World):
    draft(world.db, world.principal(), "P-1", model="MINE")
    pfa_core.discard(world.db, world.principal(), Selection(session_id="s"))
    world.pull([record("P-1", model="PEMS")])
    undo(world)
    assert (deltas(world), world.merged()["P-1"]["model"]) == ({"P-1": {"model": "MINE"}}, "MINE")
    with pytest.raises(errors.BaselineConflict):
        commit(world.db, world.principal())


def test_an_undo_is_an_action_of_its_own_in_the_trail(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    number = last(world)
    undo(world)
    entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
    assert (entry.action, entry.before, entry.after) == ("undo", {"model": "A"}, None)
    assert entry.reason == f"undoes operation {number}"
    undo(world, redo=True)
    entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
    assert (entry.before, entry.reason) == (None, f"redoes operation {number}")
    assert pfa_core.verify_log(world.db, world.principal()).whole
    world.execute("UPDATE audit_log SET was = was - 'version' WHERE reason LIKE 'undoes%%'")
    assert not pfa_core.verify_log(world.db, world.principal()).whole


def test_a_decision_in_a_conflict_is_final_and_earlier_operations_are_named(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    commit(world.db, world.principal())
    number = last(world)
    world.execute(
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id,"
        " user_id, fields, status, created_at) SELECT organization_id, gen_random_uuid(),"
        ' modification_id, pfa_id, user_id, \'[{"field": "model", "base": "LTM 1030",'
        ' "mine": "A", "pems": "LTM 1030"}]\', \'unresolved\', now() FROM pfa_modification'
    )
    world.execute("UPDATE pfa_modification SET state = 'conflict'")
    pfa_core.resolve_conflicts(
        world.db, world.principal(), ConflictSelection(ids=("P-1",)), Decision("mine")
    )
    assert "final" in refusal(world).message
    refused = refusal(world, operation=number)
    assert "a conflict of it was settled since" in refused.message
    assert refused.hint == "type: pfa uncommit --id P-1, while nothing was sent"


def test_entries_of_an_earlier_version_are_refused_where_they_keep_too_little(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    draft(world.db, world.principal(), "P-1", model="B")
    world.execute("UPDATE audit_log SET was = NULL")
    assert "earlier version" in refusal(world).message
    undo_first = listed(world)[1][0]
    assert isinstance(refusal(world, operation=undo_first), errors.IllegalTransition)


def test_who_may_not_commit_takes_back_drafts_only(world: World):
    ann = world.principal()
    draft(world.db, ann, "P-1", model="A")
    commit(world.db, ann)
    draft(world.db, ann, "P-2", model="A")
    rights = RIGHTS_OF[Role.ADMIN] - {Right.SYNC}
    narrow = world.add_user("ann", "admin", rights=rights)
    pfa_core.undo(world.db, narrow)
    with pytest.raises(errors.PermissionDenied, match="sync"):
        pfa_core.undo(world.db, narrow)


def test_money_that_the_caller_may_not_write_any_more_is_refused(world: World):
    draft(world.db, world.principal(), "P-1", monthlyRate=5)
    pfa_core.discard(world.db, world.principal(), Selection(session_id="s"))
    before = state(world)
    narrow = world.add_user("ann", "admin", rights=RIGHTS_OF[Role.ADMIN] - {Right.VIEW_FINANCIALS})
    with pytest.raises(errors.PermissionDenied) as refused:
        pfa_core.undo(world.db, narrow)
    assert [fault.field for fault in refused.value.details] == ["monthlyRate"]
    world.add_user("ann", "admin")
    assert state(world) == before


def test_money_is_masked_in_the_preview(world: World):
    draft(world.db, world.principal(), "P-1", forecastEnd="2026-01-31")
    narrow = world.add_user("ann", "admin", rights=RIGHTS_OF[Role.ADMIN] - {Right.VIEW_FINANCIALS})
    preview = pfa_core.undo(world.db, narrow, dry_run=True).preview
    assert preview is not None
    assert (preview.forecast_before, preview.forecast_after, preview.masked) == (None, None, True)


def test_an_operation_of_several_portions_is_taken_back_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(save_portions, "TOGETHER", 1)
    before = state(world)
    pfa_core.set_fields(world.db, world.principal(), Filters(), {"model": "A"}, session_id="s")
    after = state(world)
    assert undo(world).records == 3
    assert state(world) == before
    undo(world, redo=True)
    assert state(world) == after
    draft(world.db, world.principal(), "P-3", model="B")
    assert [one.pfa_id for one in refusal(world, operation=listed(world)[2][0]).details] == []


def test_a_field_that_pems_took_meanwhile_becomes_what_the_draft_is_made_over(world: World):
    """A draft that came back is compared with what PEMS has from the same user, not with what was before."""
    ann = world.principal()
    draft(world.db, ann, "P-1", session="one", model="ONE")
    commit(world.db, ann, session="one")
    draft(world.db, ann, "P-1", session="two", model="TWO")
    pfa_core.discard(world.db, ann, Selection(session_id="two"))
    world.execute("UPDATE pfa_modification SET state = 'synced', synced_at = now()")
    world.pull([record("P-1", model="ONE")])
    undo(world)
    assert world.rows("SELECT base FROM pfa_modification WHERE state = 'draft'") == [
        ({"model": "ONE"},)
    ]
    assert len(commit(world.db, ann, session="two").committed) == 1


def test_what_an_admin_withdrew_is_not_as_the_commit_left_it(world: World):
    draft(world.db, world.principal("bob"), "P-1", model="A")
    commit(world.db, world.principal("bob"))
    pfa_core.revoke(world.db, world.principal(), "bob")
    pfa_core.grant(world.db, world.principal(), "bob", "editor")
    with pytest.raises(errors.IllegalTransition, match="P-1: is draft by now"):
        undo(world, "bob")
    assert deltas(world, "bob") == {"P-1": {"model": "A"}}


OWNERS = Ownership({"model": Owner.PEMS})


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("drafted", "pems", "left"),
    [
        (
            {"model": "A", "dor": "BEO"},
            {"model": "A"},
            {"dor": "BEO"},
        ),  # PEMS has one of the values
        ({"model": "A"}, {"model": "A"}, None),  # and all of them
        (
            {"model": "A", "dor": "BEO"},
            {"model": "P"},
            {"dor": "BEO"},
        ),  # PEMS keeps a field of its own
        ({"model": "A"}, {"model": "P"}, None),  # and all of them
    ],
    ids=["narrowed", "settled", "kept", "kept wholly"],
)
def test_what_a_commit_dropped_comes_back_and_goes_again(
    world: World, drafted: dict[str, Any], pems: dict[str, Any], left: dict[str, Any] | None
):
    ann = world.principal()
    draft(world.db, ann, "P-1", reason="Weather", **drafted)
    draft(world.db, ann, "P-2", model="other")
    world.pull([record("P-1", **pems)])
    before = state(world)
    pfa_core.commit(world.db, ann, Selection(session_id="s"), ownership=OWNERS)
    found = world.rows("SELECT delta FROM pfa_modification WHERE pfa_id = 'P-1'")
    assert found == ([(left,)] if left else [])
    after = state(world)
    undo(world)
    assert state(world) == before
    with pytest.raises(errors.NoDrafts):
        pfa_core.restore(world.db, ann, ids=["P-3"])
    undo(world, redo=True)
    assert state(world) == after
    if pems == {"model": "P"}:  # what PEMS kept is there for a restore again, as before the undo
        undo(world)
        assert pfa_core.restore(world.db, ann, session_id="s").already_restored == ["P-1"]


def test_an_uncommit_of_what_pems_rejected_goes_back_to_the_rejected_change(world: World):
    draft(world.db, world.principal(), "P-1", model="A")
    commit(world.db, world.principal())
    world.execute(
        "UPDATE pfa_modification SET state = 'sync_error', attempts = 3, failures = 2, generation = 1,"
        " first_attempt_at = committed_at, sync_error = 'PEMS_REJECTED: no such model'"
    )
    before = state(world)
    pfa_core.uncommit(world.db, world.principal(), Selection(session_id="s"))
    after = state(world)
    assert {one.became for one in undo(world).undone} == {"committed"}
    assert state(world) == before
    undo(world, redo=True)
    assert state(world) == after


def test_session_and_reason_that_a_save_replaced_come_back(world: World):
    ann = world.principal()
    draft(world.db, ann, "P-1", session="one", model="A")
    before = state(world)
    change = [Change("P-1", {"model": "B", "dor": "BEO"}, "Weather")]
    pfa_core.save(world.db, ann, change, session_id="two", move=True, replace=True)
    after = state(world)
    undo(world)
    assert state(world) == before
    undo(world, redo=True)
    assert state(world) == after
