"""Commit, uncommit, discard: all or none, guarded by state, version and baseline."""

from __future__ import annotations

from typing import Any

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.drafts.commit import CommitResult
from pfa_core.drafts.rebase import RecordConflict
from pfa_core.drafts.withdraw import DiscardResult, UncommitResult
from pfa_core.model.delta import FieldConflict
from tests.factories import World, a_world, draft, record
from tests.life_cycle.views import codes, everything, ids, one, seen, stored, value
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    return a_world(
        url,
        record("P-1"),
        record("P-2"),
        record("P-3"),
        users={"ann": "admin", "bob": "editor"},
    )


def commit(world: World, user: str = "ann", *, partial: bool = False, **of: Any) -> CommitResult:
    dry_run = of.pop("dry_run", False)
    chosen = Selection(**(of or {"session_id": "s"}))
    return pfa_core.commit(
        world.db, world.principal(user), chosen, partial=partial, dry_run=dry_run
    )


def uncommit(world: World, user: str = "ann", **of: Any) -> UncommitResult:
    dry_run = of.pop("dry_run", False)
    chosen = Selection(**(of or {"session_id": "s"}))
    return pfa_core.uncommit(world.db, world.principal(user), chosen, dry_run=dry_run)


def discard(world: World, user: str = "ann", **of: Any) -> DiscardResult:
    dry_run = of.pop("dry_run", False)
    chosen = Selection(**(of or {"session_id": "s"}))
    return pfa_core.discard(world.db, world.principal(user), chosen, dry_run=dry_run)


def states(world: World, user: str = "ann") -> list[tuple[str, str, int]]:
    return [(pfa_id, state, version) for pfa_id, _, state, version, _ in stored(world, user)]


class TestCommit:
    def test_the_drafts_of_a_session_are_committed_and_stay_visible(self, world: World) -> None:
        ann = world.principal()
        two = draft(world.db, ann, "P-2", model="A")
        first = draft(world.db, ann, "P-1", model="A")
        draft(world.db, ann, "P-3", session="other", model="A")
        result = commit(world)
        assert result.session_id == "s"
        assert [(c.pfa_id, c.modification_id, c.version) for c in result.committed] == [
            ("P-1", first.modification_id, 2),
            ("P-2", two.modification_id, 2),
        ]
        assert (result.conflicts, result.already_committed, result.settled) == ([], 0, [])
        assert states(world) == [
            ("P-1", "committed", 2),
            ("P-2", "committed", 2),
            ("P-3", "draft", 1),
        ]
        row = one(world)
        assert (row.sync_state, row.version, row.data["model"]) == ("committed", 2, "A")

    @pytest.mark.parametrize(
        ("chosen", "done"),
        [
            ({"everything": True}, ["P-1", "P-2", "P-3"]),
            ({"ids": ("P-1", "P-3")}, ["P-1", "P-3"]),
            ({"session_id": "s", "ids": ("P-1", "P-3")}, ["P-1"]),
            ({"expected_versions": {"P-2": 1}}, ["P-2"]),
        ],
    )
    def test_a_selection_narrows_by_all_it_says(
        self, world: World, chosen: dict[str, Any], done: list[str]
    ) -> None:
        for pfa_id, session in [("P-1", "s"), ("P-2", "s"), ("P-3", "other")]:
            draft(world.db, world.principal(), pfa_id, session=session, model="A")
        assert [item.pfa_id for item in commit(world, **chosen).committed] == done
        assert ids(world, state=("committed",)) == done

    def test_an_empty_selection_is_refused(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        with pytest.raises(errors.InvalidRequest):
            commit(world, ids=())
        assert states(world) == [("P-1", "draft", 1)]

    @pytest.mark.parametrize(
        "chosen", [{"session_id": "none"}, {"ids": ("P-1",)}, {"everything": True}]
    )
    def test_nothing_drafted_is_an_error_of_its_own(
        self, world: World, chosen: dict[str, Any]
    ) -> None:
        draft(world.db, world.principal("bob"), session="none", model="B")
        with pytest.raises(errors.NoDrafts):
            commit(world, **chosen)
        assert states(world, "bob") == [("P-1", "draft", 1)]

    def test_committing_a_session_twice_says_so_and_changes_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-2", model="A")
        commit(world)
        before = everything(world)
        again = commit(world)
        assert (again.committed, again.already_committed) == ([], 2)
        assert everything(world) == before

    @pytest.mark.parametrize(("expected", "accepted"), [(2, True), (1, False), (3, False)])
    def test_only_the_version_that_was_seen_is_committed(
        self, world: World, expected: int, accepted: bool
    ) -> None:
        draft(world.db, world.principal(), "P-2", model="A")
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-1", model="B")
        chosen = {"session_id": "s", "expected_versions": {"P-1": expected, "P-2": 1}}
        if accepted:
            assert len(commit(world, **chosen).committed) == 2
        else:
            with pytest.raises(errors.VersionConflict) as refused:
                commit(world, **chosen)
            assert codes(refused.value) == [("P-1", "expectedVersion", "VERSION_CONFLICT")]
            assert ids(world, state=("draft",)) == ["P-1", "P-2"]

    def test_a_changed_baseline_stops_all_and_names_base_theirs_and_mine(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), "P-1", model="mine", dor="BEO")
        draft(world.db, world.principal(), "P-2", model="mine")
        world.pull([record("P-1", model="theirs", dor="PROJECT")])
        before = everything(world)
        with pytest.raises(errors.BaselineConflict) as refused:
            commit(world)
        assert codes(refused.value) == [("P-1", "model", "BASELINE_CONFLICT")]
        (fault,) = refused.value.details
        assert all(text in fault.message for text in ("LTM 1030", "theirs", "mine"))
        assert everything(world) == before

    def test_partial_commits_the_others_and_shows_the_conflicts(self, world: World) -> None:
        stuck = draft(world.db, world.principal(), "P-1", model="mine")
        draft(world.db, world.principal(), "P-2", model="mine")
        world.pull([record("P-1", model="theirs")])
        result = commit(world, partial=True)
        assert [item.pfa_id for item in result.committed] == ["P-2"]
        assert result.conflicts == [
            RecordConflict(
                "P-1",
                stuck.modification_id,
                (FieldConflict("model", "LTM 1030", "mine", "theirs"),),
            )
        ]
        assert [(f.pfa_id, f.field, f.code) for f in result.problems] == [
            ("P-1", "model", "BASELINE_CONFLICT")
        ]
        assert states(world) == [("P-1", "draft", 1), ("P-2", "committed", 2)]

    def test_fields_the_draft_does_not_change_never_conflict(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine")
        world.pull([record("P-1", monthlyRate=2000, forecastEnd="2026-06-30")])
        assert len(commit(world).committed) == 1
        assert (value(world, "model"), value(world, "monthlyRate")) == ("mine", 2000)

    def test_a_field_where_pems_has_my_value_by_now_drops_out(self, world: World) -> None:
        draft(world.db, world.principal(), model="same", dor="BEO")
        world.pull([record("P-1", model="same")])
        result = commit(world)
        assert ([c.pfa_id for c in result.committed], result.settled) == (["P-1"], [])
        assert stored(world) == [("P-1", "s", "committed", 2, {"dor": "BEO"})]

    def test_a_draft_of_which_pems_has_everything_goes(self, world: World) -> None:
        draft(world.db, world.principal(), model="same", monthlyRate=7)
        world.pull([record("P-1", model="same", monthlyRate=7)])
        result = commit(world)
        assert (result.committed, result.settled) == ([], ["P-1"])
        assert stored(world) == []
        assert one(world).sync_state == "pristine"
        assert pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0].action == "settle"

    def test_a_draft_that_says_what_the_baseline_said_all_along_is_committed(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), model="LTM 1030")
        assert len(commit(world).committed) == 1

    def test_a_baseline_that_came_back_is_not_a_conflict(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine")
        world.pull([record("P-1", model="theirs")])
        world.pull([record("P-1")])
        assert len(commit(world).committed) == 1

    def test_a_merged_record_that_breaks_a_rule_by_now_is_reported(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", forecastEnd="2025-12-15")
        draft(world.db, world.principal(), "P-2", model="A")
        world.pull([record("P-1", forecastStart="2025-12-20")])
        with pytest.raises(errors.InvalidData) as refused:
            commit(world)
        assert codes(refused.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        assert states(world) == [("P-1", "draft", 1), ("P-2", "draft", 1)]
        result = commit(world, partial=True)
        assert [item.pfa_id for item in result.committed] == ["P-2"]
        assert (result.conflicts, [(f.pfa_id, f.code) for f in result.problems]) == (
            [],
            [("P-1", "INVALID_DATE_ORDER")],
        )

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        before = everything(world)
        assert len(commit(world, dry_run=True, session_id="s").committed) == 1
        assert everything(world) == before


class TestStacking:
    def test_a_new_draft_lies_over_the_change_in_one_row(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", dor="BEO")
        commit(world)
        draft(world.db, world.principal(), session="later", model="B", monthlyRate=9)
        assert [row[2:] for row in stored(world)] == [
            ("committed", 2, {"model": "A", "dor": "BEO"}),
            ("draft", 1, {"model": "B", "monthlyRate": 9}),
        ]
        assert len(seen(world)) == 3
        row = one(world)
        assert (row.sync_state, row.session_id, row.version) == ("draft", "later", 1)
        assert row.data == {
            **world.mirror()["P-1"],
            "model": "B",
            "dor": "BEO",
            "monthlyRate": 9,
        }

    def test_changes_stack_in_their_order(self, world: World) -> None:
        for number in range(3):
            draft(world.db, world.principal(), session=f"s{number}", model=f"M{number}", dor="BEO")
            commit(world, session_id=f"s{number}")
        assert (value(world, "model"), one(world).sync_state) == ("M2", "committed")
        assert len(stored(world)) == 3
        assert ids(world, session=("s2",)) == ["P-1"]

    def test_discarding_the_draft_lays_the_change_open(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        draft(world.db, world.principal(), session="later", model="B")
        assert discard(world, session_id="later").discarded == ["P-1"]
        row = one(world)
        assert (row.sync_state, row.data["model"], row.session_id) == ("committed", "A", "s")

    def test_a_change_under_a_newer_draft_stays(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-2", model="A")
        commit(world)
        draft(world.db, world.principal(), "P-1", session="later", model="B")
        with pytest.raises(errors.IllegalTransition) as refused:
            uncommit(world)
        assert codes(refused.value) == [("P-1", "", "ILLEGAL_TRANSITION")]
        assert "later" in refused.value.details[0].message
        assert states(world) == [
            ("P-1", "committed", 2),
            ("P-1", "draft", 1),
            ("P-2", "committed", 2),
        ]

    def test_a_change_under_a_newer_change_stays(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        draft(world.db, world.principal(), session="later", model="B")
        commit(world, session_id="later")
        with pytest.raises(errors.IllegalTransition):
            uncommit(world)
        assert len(uncommit(world, session_id="later").uncommitted) == 1

    def test_the_audit_trail_shows_what_was_committed(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", dor="BEO")
        world.pull([record("P-1", model="A")])
        commit(world)
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
        assert (entry.action, entry.after) == ("commit", {"dor": "BEO"})

    def test_of_two_changes_of_one_session_the_newer_becomes_the_draft(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        draft(world.db, world.principal(), model="B")
        commit(world)
        assert len(uncommit(world).uncommitted) == 1
        assert states(world) == [("P-1", "committed", 2), ("P-1", "draft", 3)]

    def test_a_stacked_draft_with_the_baseline_s_value_is_not_settled_away(
        self, world: World
    ) -> None:
        """PEMS has the draft's value, but an earlier committed change will overwrite it."""
        draft(world.db, world.principal(), model="A")
        commit(world)
        draft(world.db, world.principal(), session="later", model="B")
        world.pull([record("P-1", model="B")])
        result = commit(world, session_id="later")
        assert (len(result.committed), result.settled) == (1, [])
        assert value(world, "model") == "B"


class TestUncommit:
    def test_committed_modifications_are_drafts_again(self, world: World) -> None:
        made = draft(world.db, world.principal(), model="A")
        commit(world)
        result = uncommit(world)
        assert [(c.pfa_id, c.modification_id, c.version) for c in result.uncommitted] == [
            ("P-1", made.modification_id, 3)
        ]
        assert states(world) == [("P-1", "draft", 3)]
        assert (one(world).sync_state, value(world, "model")) == ("draft", "A")
        assert draft(world.db, world.principal(), dor="BEO").version == 4

    @pytest.mark.parametrize(
        "chosen", [{"session_id": "s"}, {"ids": ("P-1",)}, {"everything": True}]
    )
    def test_what_is_not_committed_is_not_found(self, world: World, chosen: dict[str, Any]) -> None:
        draft(world.db, world.principal(), model="A")
        with pytest.raises(errors.NoDrafts):
            uncommit(world, **chosen)
        assert states(world) == [("P-1", "draft", 1)]

    @pytest.mark.parametrize("state", ["syncing", "sync_error", "conflict", "synced"])
    def test_what_was_sent_does_not_come_back(self, world: World, state: str) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        world.execute(
            "UPDATE pfa_modification SET state = %s, attempts = 1, sent_version = '1',"
            " claim_id = CASE WHEN %s = 'syncing' THEN modification_id END",
            state,
            state,
        )
        on_the_way = state in ("syncing", "sync_error")
        with pytest.raises(errors.IllegalTransition if on_the_way else errors.NoDrafts):
            uncommit(world)
        assert states(world) == [("P-1", state, 2)]

    def test_a_change_that_was_tried_once_stays(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        world.execute("UPDATE pfa_modification SET attempts = 1")
        with pytest.raises((errors.IllegalTransition, errors.VersionConflict)):
            uncommit(world)
        assert states(world) == [("P-1", "committed", 2)]

    def test_an_empty_selection_is_refused(self, world: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            uncommit(world, ids=())

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        before = everything(world)
        assert len(uncommit(world, session_id="s", dry_run=True).uncommitted) == 1
        assert everything(world) == before


class TestDiscard:
    def test_the_drafts_go_and_the_log_keeps_their_deltas(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", model="A", reason="why")
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-3", session="other", model="A")
        assert discard(world) == DiscardResult(["P-1", "P-2"], already_discarded=False)
        assert states(world) == [("P-3", "draft", 1)]
        assert ids(world, changed=True) == ["P-3"]
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-2")[0]
        assert (entry.action, entry.before, entry.after, entry.reason) == (
            "discard",
            {"model": "A"},
            None,
            "why",
        )

    @pytest.mark.parametrize("chosen", [{"ids": ()}, {"session_id": None}, {"everything": False}])
    def test_an_empty_selection_never_means_everything(
        self, world: World, chosen: dict[str, Any]
    ) -> None:
        draft(world.db, world.principal(), model="A")
        with pytest.raises(errors.InvalidRequest):
            discard(world, **chosen)
        assert states(world) == [("P-1", "draft", 1)]

    def test_an_id_that_is_not_a_record_is_not_taken_for_nothing_to_do(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        for step in (commit, discard):
            with pytest.raises(errors.NotFound):
                step(world, ids=("P-1", "P-404"))
        assert states(world) == [("P-1", "draft", 1)]

    def test_by_ids_only_those_go(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-2", model="A")
        assert discard(world, ids=("P-2", "P-3")).discarded == ["P-2"]
        assert states(world) == [("P-1", "draft", 1)]

    def test_everything_means_my_drafts_of_this_organization(self, world: World) -> None:
        there = a_world(world.url, record("P-1"), organization="THERE")
        for here in (world, there):
            draft(here.db, here.principal(), model="A")
        draft(world.db, world.principal("bob"), model="B")
        assert discard(world, everything=True).discarded == ["P-1"]
        assert (len(stored(there)), len(stored(world, "bob"))) == (1, 1)
        assert discard(world, everything=True).discarded == []

    def test_twice_says_that_it_was_done_before(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        discard(world)
        assert discard(world) == DiscardResult([], already_discarded=True)

    def test_a_session_that_never_was_has_no_drafts(self, world: World) -> None:
        draft(world.db, world.principal("bob"), session="his", model="B")
        with pytest.raises(errors.NoDrafts):
            discard(world, session_id="his")
        assert len(stored(world, "bob")) == 1

    def test_a_committed_session_is_refused(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world)
        with pytest.raises(errors.IllegalTransition, match="committed"):
            discard(world)
        assert states(world) == [("P-1", "committed", 2)]

    def test_ids_outside_the_session_do_not_make_it_look_committed(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        with pytest.raises(errors.NoDrafts):
            discard(world, session_id="s", ids=("P-2",))
        assert states(world) == [("P-1", "draft", 1)]

    def test_changes_stay(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        commit(world)
        draft(world.db, world.principal(), "P-2", model="A")
        assert discard(world, everything=True).discarded == ["P-2"]
        assert states(world) == [("P-1", "committed", 2)]

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        before = everything(world)
        assert discard(world, session_id="s", dry_run=True).discarded == ["P-1"]
        assert everything(world) == before


@pytest.mark.parametrize("verb", [commit, uncommit, discard])
def test_nobody_moves_another_users_modifications(world: World, verb: Any) -> None:
    draft(world.db, world.principal("bob"), "P-1", model="B")
    draft(world.db, world.principal("bob"), "P-2", session="c", model="B")
    commit(world, "bob", session_id="c")
    before = stored(world, "bob")
    with pytest.raises(errors.NoDrafts):
        verb(world, session_id="s")
    assert stored(world, "bob") == before


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
@pytest.mark.parametrize("where", ["session_id", "ids", "expected_versions"])
def test_a_text_that_no_database_holds_is_refused(world: World, where: str, text: str) -> None:
    shapes: dict[str, Any] = {"session_id": text, "ids": (text,), "expected_versions": {text: 1}}
    with pytest.raises(errors.InvalidRequest):
        commit(world, **{where: shapes[where]})
