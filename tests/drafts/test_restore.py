"""Discarded drafts made drafts again, out of the audit trail."""

from __future__ import annotations

from typing import Any

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.drafts.restore import RestoreResult
from tests.factories import World, a_world, commit, draft, record
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Ann and Bob discarded drafts on P-1; Ann on P-2 too, in another session."""
    world = a_world(
        url, record("P-1"), record("P-2"), record("P-3"),
        users={"ann": "admin", "bob": "editor"},
    )  # fmt: skip
    draft(world.db, world.principal("ann"), "P-1", session="s", reason="Weather", monthlyRate=12.50)
    draft(world.db, world.principal("ann"), "P-2", session="t", model="A")
    draft(world.db, world.principal("bob"), "P-1", session="s", model="B")
    for user in ("ann", "bob"):
        discard(world, user)
    return world


def discard(world: World, user: str = "ann") -> None:
    pfa_core.discard(world.db, world.principal(user), Selection(everything=True))


def restore(world: World, user: str = "ann", **what: Any) -> RestoreResult:
    return pfa_core.restore(world.db, world.principal(user), **what)


def drafts(world: World, user: str = "ann") -> dict[str, tuple[str, dict[str, Any], str | None]]:
    views = pfa_core.list_drafts(world.db, world.principal(user), pfa_core.Filters())
    return {view.pfa_id: (view.session_id, view.delta, view.change_reason) for view in views}


def entry_of(world: World, pfa_id: str, user: str = "ann") -> str:
    wanted = pfa_core.LogFilter(user_id=user, pfa_id=pfa_id, actions=("discard",))
    return pfa_core.list_log(world.db, world.principal(), wanted)[0].entry_id


def test_a_session_comes_back_as_it_was_and_the_trail_shows_from_where(world: World):
    result = restore(world, session_id="s")
    assert [(item.pfa_id, item.version, item.status) for item in result.restored] == [
        ("P-1", 1, "created")
    ]
    (session, delta, reason) = drafts(world)["P-1"]
    assert (session, str(delta["monthlyRate"]), reason) == ("s", "12.5", "Weather")
    assert drafts(world).keys() == {"P-1"}
    assert drafts(world, "bob") == {}
    entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
    assert (entry.action, entry.before, entry.after) == ("restore", None, delta)
    assert entry.reason == f"restores entry {entry_of(world, 'P-1')}"
    assert world.merged()["P-1"]["monthlyRate"] == delta["monthlyRate"]


def test_what_was_restored_is_known_by_the_entry_whatever_its_reason_says(world: World):
    restore(world, session_id="s")
    restored = "SELECT restores::text FROM audit_log WHERE action = 'restore'"
    assert world.rows(restored) == [(entry_of(world, "P-1"),)]
    world.execute("UPDATE audit_log SET reason = 'in other words' WHERE action = 'restore'")
    commit(world.db, world.principal())
    assert restore(world, session_id="s").already_restored == ["P-1"]


def test_records_of_several_sessions_each_go_into_their_own(world: World):
    restore(world, ids=["P-1", "P-2"])
    assert {name: found[0] for name, found in drafts(world).items()} == {"P-1": "s", "P-2": "t"}


def test_an_entry_is_restored_by_its_id_also_one_that_is_not_the_newest(world: World):
    older = entry_of(world, "P-1")
    draft(world.db, world.principal(), "P-1", session="u", model="newer")
    discard(world)
    restore(world, entry_ids=[f" {older.upper()} "])
    assert drafts(world)["P-1"][0] == "s"


def test_of_several_discards_of_a_record_the_newest_comes_back(world: World):
    draft(world.db, world.principal(), "P-1", session="s", model="newer")
    discard(world)
    restore(world, ids=["P-1"])
    assert drafts(world)["P-1"][1] == {"model": "newer"}


def test_restoring_twice_changes_nothing(world: World):
    restore(world, session_id="s")
    before = pfa_core.list_log(world.db, world.principal())
    again = restore(world, session_id="s")
    assert (again.restored, again.already_restored) == ([], ["P-1"])
    assert pfa_core.list_log(world.db, world.principal()) == before
    commit(world.db, world.principal())
    assert restore(world, session_id="s").already_restored == ["P-1"]
    assert drafts(world) == {}


@pytest.mark.parametrize("emptied_by", ["unset", "a save of the record's own value"])
def test_what_was_emptied_since_is_not_called_restored_but_comes_back(
    world: World, emptied_by: str
):
    ann, wanted = world.principal(), drafts_before(world)
    restore(world, session_id="t")
    if emptied_by == "unset":
        pfa_core.unset_fields(world.db, ann, pfa_core.Filters(id=("P-2",)), ["model"])
    else:
        draft(world.db, ann, "P-3", model="B")  # another draft, which has nothing to do with it
        pfa_core.save(world.db, ann, [pfa_core.Change("P-2", {"model": "LTM 1030"})])
    assert "P-2" not in drafts(world)
    result = restore(world, session_id="t")
    assert ([one.pfa_id for one in result.restored], result.already_restored) == (["P-2"], [])
    assert drafts(world)["P-2"] == wanted["P-2"]
    assert restore(world, session_id="t").already_restored == ["P-2"]


def test_an_undo_of_a_discard_counts_as_a_restore_until_it_is_taken_back(world: World):
    ann = world.principal()
    draft(world.db, ann, "P-3", session="u", model="A")
    pfa_core.discard(world.db, ann, Selection(session_id="u"))
    pfa_core.undo(world.db, ann)
    assert restore(world, session_id="u").already_restored == ["P-3"]
    pfa_core.undo(world.db, ann, redo=True)
    assert [one.pfa_id for one in restore(world, session_id="u").restored] == ["P-3"]
    pfa_core.undo(world.db, ann)
    assert drafts(world) == {}
    assert [one.pfa_id for one in restore(world, session_id="u").restored] == ["P-3"]


def drafts_before(world: World) -> dict[str, tuple[str, dict[str, Any], str | None]]:
    """The drafts that a restore of session t brings back."""
    restore(world, session_id="t")
    found = drafts(world)
    pfa_core.undo(world.db, world.principal())
    return found


def test_what_is_discarded_again_may_be_restored_again(world: World):
    for _ in range(2):
        restore(world, session_id="s")
        assert drafts(world).keys() == {"P-1"}
        discard(world)


def test_a_record_with_a_draft_is_refused_and_nothing_is_restored(world: World):
    draft(world.db, world.principal(), "P-1", session="u", model="present")
    with pytest.raises(errors.VersionConflict) as refused:
        restore(world, ids=["P-1", "P-2"])
    (fault,) = refused.value.details
    assert (fault.pfa_id, fault.code) == ("P-1", "VERSION_CONFLICT")
    assert "'u'" in fault.message
    assert drafts(world).keys() == {"P-1"}
    result = restore(world, ids=["P-1", "P-2"], partial=True)
    assert [item.pfa_id for item in result.restored] == ["P-2"]
    assert [fault.pfa_id for fault in result.errors] == ["P-1"]
    assert drafts(world)["P-1"][1] == {"model": "present"}


def test_the_rules_are_checked_on_the_record_of_today(world: World):
    draft(world.db, world.principal(), "P-3", session="d", forecastEnd="2025-12-05")
    discard(world)
    world.pull([record("P-3", forecastStart="2025-12-20")])
    with pytest.raises(errors.InvalidData) as refused:
        restore(world, session_id="d")
    assert [fault.code for fault in refused.value.details] == ["INVALID_DATE_ORDER"]


def test_another_users_discard_cannot_be_restored_by_others(world: World):
    with pytest.raises(errors.NoDrafts):
        restore(world, entry_ids=[entry_of(world, "P-1", "bob")])
    with pytest.raises(errors.NoDrafts):
        restore(world, "bob", session_id="t")
    restore(world, "bob", session_id="s")
    assert (drafts(world), drafts(world, "bob")["P-1"][1]) == ({}, {"model": "B"})


def test_a_typo_is_reported_rather_than_left_out(world: World):
    with pytest.raises(errors.NotFound):
        restore(world, ids=["P-1", "P-9"])
    with pytest.raises(errors.NotFound):
        restore(world, entry_ids=["not an id"])
    with pytest.raises(errors.NoDrafts):
        restore(world, session_id="never")
    with pytest.raises(errors.InvalidRequest):
        restore(world)
    assert drafts(world) == {}


class TestTheBase:
    """A restored draft is compared with what PEMS had when it was made, as if it had stayed."""

    def test_what_pems_changed_since_is_a_conflict(self, world: World) -> None:
        draft(world.db, world.principal(), "P-3", session="b", monthlyRate=1300, model="A")
        discard(world)
        world.pull([record("P-3", monthlyRate=1555)])
        restore(world, session_id="b")
        assert pfa_core.status(world.db, world.principal()).overtaken == 1
        with pytest.raises(errors.BaselineConflict) as refused:
            commit(world.db, world.principal(), session="b")
        assert [(fault.pfa_id, fault.field) for fault in refused.value.details] == [
            ("P-3", "monthlyRate")
        ]
        (shown,) = pfa_core.show_records(world.db, world.principal(), ["P-3"])
        assert [(found.base, found.mine, found.pems) for found in shown.overtaken] == [
            (1000, 1300, 1555)
        ]

    def test_what_pems_changed_in_other_fields_or_to_the_same_value_is_none(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), "P-3", session="b", monthlyRate=1300, model="A")
        discard(world)
        world.pull([record("P-3", monthlyRate=1300, dor="BEO")])
        restore(world, session_id="b")
        assert drafts(world)["P-3"][1] == {"monthlyRate": 1300, "model": "A"}
        done = commit(world.db, world.principal(), session="b")
        assert [item.pfa_id for item in done.committed] == ["P-3"]
        assert world.rows("SELECT delta FROM pfa_modification") == [({"model": "A"},)]

    def test_without_a_pull_in_between_it_commits_as_it_was(self, world: World) -> None:
        restore(world, session_id="s")
        assert len(commit(world.db, world.principal()).committed) == 1

    def test_a_pull_before_the_draft_or_after_the_restore_is_compared_as_ever(
        self, world: World
    ) -> None:
        world.pull([record("P-3", monthlyRate=1100)])
        draft(world.db, world.principal(), "P-3", session="b", monthlyRate=1300)
        discard(world)
        restore(world, session_id="b")
        world.pull([record("P-3", monthlyRate=1555)])
        with pytest.raises(errors.BaselineConflict):
            commit(world.db, world.principal(), session="b")

    def test_a_draft_discarded_twice_keeps_its_first_base(self, world: World) -> None:
        draft(world.db, world.principal(), "P-3", session="b", monthlyRate=1300)
        for rate in (1400, 1555):
            discard(world)
            world.pull([record("P-3", monthlyRate=rate)])
            restore(world, session_id="b")
        (view,) = pfa_core.list_drafts(world.db, world.principal(), pfa_core.Filters())
        assert view.base == {"monthlyRate": 1000}

    def test_a_value_pinned_to_what_pems_has_comes_back_pinned(self, world: World) -> None:
        pinned = pfa_core.Change("P-3", {"model": "LTM 1030"})
        pfa_core.save(world.db, world.principal(), [pinned], session_id="b", keep_equal=True)
        discard(world)
        restore(world, session_id="b")
        assert drafts(world)["P-3"][1] == {"model": "LTM 1030"}

    def test_an_entry_from_before_bases_were_kept_takes_todays(self, world: World) -> None:
        draft(world.db, world.principal(), "P-3", session="b", monthlyRate=1300)
        discard(world)
        world.execute("UPDATE audit_log SET base = NULL")
        world.pull([record("P-3", monthlyRate=1555)])
        restore(world, session_id="b")
        assert len(commit(world.db, world.principal(), session="b").committed) == 1


def test_a_dry_run_leaves_nothing(world: World):
    before = pfa_core.list_log(world.db, world.principal())
    assert [item.pfa_id for item in restore(world, session_id="s", dry_run=True).restored] == [
        "P-1"
    ]
    assert drafts(world) == {}
    assert pfa_core.list_log(world.db, world.principal()) == before
