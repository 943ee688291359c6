"""Values that a record has already: none of them becomes a draft, whichever way they come in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, errors
from pfa_core.drafts.save import SaveResult
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.views import codes, everything, one, save, stored, value
from tests.worlds import built_once

P1 = Filters(id=("P-1",))


@built_once
def world(url: str) -> World:
    """Three rentals of 1,000 in December 2025."""
    return a_world(
        url, *map(record, ("P-1", "P-2", "P-3")), users={"ann": "admin", "bob": "editor"}
    )


def set_fields(world: World, filters: Filters = P1, **rest: Any) -> SaveResult:
    more = {name: rest.pop(name) for name in ("keep_equal", "partial", "dry_run") if name in rest}
    return pfa_core.set_fields(world.db, world.principal(), filters, rest, session_id="s", **more)


def counts(result: SaveResult) -> tuple[list[str], list[str], list[str]]:
    """The ids saved, those unchanged, those of drafts removed."""
    return [item.pfa_id for item in result.saved], result.unchanged, result.emptied


EQUAL = [
    {"monthlyRate": 1000},
    {"monthlyRate": Decimal("1000.00")},
    {"monthlyRate": "1000.000"},
    {"forecastStart": "2025-12-01"},
    {"forecastStart": "2025-12-01T00:00:00Z"},
    {"isActualized": False},
    {"purchasePrice": None},
    {"actualEnd": None},
    {"model": "LTM 1030"},
    {"model": " LTM 1030 "},
    {"dor": "PROJECT", "source": "Rental", "monthlyRate": 1000},
]
OTHER = [
    {"monthlyRate": Decimal("1000.01")},
    {"forecastStart": "2025-12-02"},
    {"isActualized": True},
    {"purchasePrice": 0},
    {"model": "ltm 1030"},
    {"model": "LTM  1030"},
    {"equipment": "CR-17"},
]


class TestOverPems:
    @pytest.mark.parametrize("delta", EQUAL, ids=str)
    def test_a_value_that_pems_has_is_no_change(self, world: World, delta: dict[str, Any]) -> None:
        before = everything(world)
        assert counts(save(world, Change("P-1", delta, "why"))) == ([], ["P-1"], [])
        assert everything(world) == before

    @pytest.mark.parametrize("delta", OTHER, ids=str)
    def test_any_other_value_is_one(self, world: World, delta: dict[str, Any]) -> None:
        world.pull([record("P-1", equipment=None)])
        assert counts(save(world, Change("P-1", delta))) == (["P-1"], [], [])
        assert stored(world)[0][4] == delta

    def test_of_several_values_the_changed_ones_are_drafted(self, world: World) -> None:
        result = save(
            world,
            Change("P-1", {"monthlyRate": 1000, "model": "A", "dor": "PROJECT"}),
            Change("P-2", {"monthlyRate": 1000, "model": "LTM 1030"}),
        )
        assert counts(result) == (["P-1"], ["P-2"], [])
        assert (result.session_id, result.sessions) == ("s", {"s": 1})
        assert stored(world) == [("P-1", "s", "draft", 1, {"model": "A"})]

    def test_fields_set_by_a_filter_are_compared_record_by_record(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", model="B")
        result = set_fields(world, Filters(), model="LTM 1030")
        assert counts(result) == ([], ["P-1", "P-3"], ["P-2"])
        assert stored(world) == []

    def test_without_anything_to_save_no_session_begins(self, world: World) -> None:
        result = pfa_core.save(world.db, world.principal(), [Change("P-1", {"model": "LTM 1030"})])
        assert (result.session_id, result.saved, result.sessions) == ("", [], {})
        assert world.rows("SELECT FROM audit_log WHERE action = 'save'") == []

    def test_pems_may_move_what_was_not_changed(self, world: World) -> None:
        """A sheet with one edited cell: PEMS's newer value of the others is in no conflict."""
        save(world, Change("P-1", {"model": "A", "monthlyRate": 1000}))
        save(world, Change("P-2", {"model": "LTM 1030", "monthlyRate": 1000}))
        world.pull([record("P-1", monthlyRate=1555), record("P-2", monthlyRate=1555)])
        assert [item.pfa_id for item in commit(world.db, world.principal()).committed] == ["P-1"]
        assert value(world, "monthlyRate") == 1555

    def test_a_rule_that_pems_s_values_break_does_not_refuse_them(self, world: World) -> None:
        world.pull([record("P-1", forecastStart="2026-02-01", monthlyRate=None)])
        same = {"forecastStart": "2026-02-01", "forecastEnd": "2025-12-31", "monthlyRate": None}
        assert counts(save(world, Change("P-1", same))) == ([], ["P-1"], [])
        with pytest.raises(errors.InvalidData):
            save(world, Change("P-1", {**same, "forecastEnd": "2025-12-30"}))

    def test_faults_beside_values_that_are_there_stop_all_unless_partial(
        self, world: World
    ) -> None:
        changes = [Change("P-1", {"model": "LTM 1030"}), Change("P-9", {"model": "A"})]
        with pytest.raises(errors.NotFound):
            save(world, *changes)
        result = save(world, *changes, partial=True)
        assert counts(result) == ([], ["P-1"], [])
        assert [fault.pfa_id for fault in result.errors] == ["P-9"]

    def test_the_version_that_the_caller_has_seen_is_asked_all_the_same(self, world: World) -> None:
        stale = Change("P-1", {"model": "LTM 1030"}, expected_version=1)
        with pytest.raises(errors.VersionConflict):
            save(world, stale)
        save(world, Change("P-1", {"model": "LTM 1030"}, expected_version=0))


class TestOverADraft:
    def test_a_field_set_back_leaves_the_draft(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1300, model="A")
        result = save(world, Change("P-1", {"monthlyRate": Decimal("1000.0")}))
        assert [(item.version, item.status) for item in result.saved] == [(2, "updated")]
        assert stored(world) == [("P-1", "s", "draft", 2, {"model": "A"})]
        assert world.rows("SELECT base FROM pfa_modification") == [({"model": "LTM 1030"},)]
        assert one(world).data == {**world.mirror()["P-1"], "model": "A"}

    def test_with_its_last_field_the_draft_is_removed_and_the_trail_says_so(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), monthlyRate=1300)
        result = save(world, Change("P-1", {"monthlyRate": 1000, "model": "LTM 1030"}, "no"))
        assert counts(result) == ([], [], ["P-1"])
        assert (result.session_id, result.sessions) == ("s", {})
        assert stored(world) == []
        assert (one(world).sync_state, one(world).data) == ("pristine", world.mirror()["P-1"])
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
        assert (entry.action, entry.before, entry.after, entry.reason) == (
            "save",
            {"monthlyRate": 1300},
            None,
            "no",
        )
        drift = pfa_core.verify_database(world.db, world.principal())
        assert (drift.rollup, drift.overlays) == ([], [])

    def test_a_shift_back_removes_the_draft(self, world: World) -> None:
        for days in (45, -45):
            result = pfa_core.shift(world.db, world.principal(), P1, days)
        assert counts(result) == ([], [], ["P-1"])
        assert stored(world) == []

    def test_the_drafted_values_again_are_unchanged_in_whatever_session(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", session="other")
        result = save(world, Change("P-1", {"model": "A", "monthlyRate": 1000}))
        assert [(item.version, item.status) for item in result.saved] == [(1, "unchanged")]
        with pytest.raises(errors.SessionMismatch):
            save(world, Change("P-1", {"model": "B", "monthlyRate": 1000}))
        save(world, Change("P-1", {"model": "A"}), move=True)
        assert stored(world) == [("P-1", "s", "draft", 2, {"model": "A"})]

    def test_what_stays_must_be_valid(self, world: World) -> None:
        draft(world.db, world.principal(), forecastStart="2026-02-01", forecastEnd="2026-02-28")
        with pytest.raises(errors.InvalidData) as refused:
            save(world, Change("P-1", {"forecastEnd": "2025-12-31"}))
        assert codes(refused.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        assert len(stored(world)[0][4]) == 2

    def test_a_replacement_by_what_pems_has_removes_the_draft(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        result = save(world, Change("P-1", {"monthlyRate": 1000}), replace=True)
        assert counts(result) == ([], [], ["P-1"])

    def test_a_general_reason_is_that_of_the_drafts_that_change(self, world: World) -> None:
        for pfa_id in ("P-1", "P-2"):
            draft(world.db, world.principal(), pfa_id, model="A", reason="old")
        changes = [
            Change("P-1", {"model": "A"}),
            Change("P-2", {"model": "B"}),
            Change("P-3", {"model": "B"}, "own"),
        ]
        save(world, *changes, reason="sheet")
        views = pfa_core.list_drafts(world.db, world.principal(), Filters())
        assert [view.change_reason for view in views] == ["old", "sheet", "own"]

    def test_where_pems_moved_the_value_of_pems_now_is_the_one_that_leaves(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), monthlyRate=1300)
        world.pull([record("P-1", monthlyRate=1555)])
        save(world, Change("P-1", {"monthlyRate": 1000}))
        with pytest.raises(errors.BaselineConflict):
            commit(world.db, world.principal())
        assert counts(save(world, Change("P-1", {"monthlyRate": 1555}))) == ([], [], ["P-1"])


class TestOverCommittedChanges:
    def committed(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1300)
        commit(world.db, world.principal())

    def test_the_committed_value_is_no_change(self, world: World) -> None:
        self.committed(world)
        assert counts(save(world, Change("P-1", {"monthlyRate": 1300}))) == ([], ["P-1"], [])

    def test_back_to_the_value_of_pems_is_one(self, world: World) -> None:
        self.committed(world)
        assert counts(save(world, Change("P-1", {"monthlyRate": 1000}))) == (["P-1"], [], [])
        assert value(world, "monthlyRate") == 1000
        commit(world.db, world.principal())
        assert [row[4] for row in stored(world)] == [{"monthlyRate": 1300}, {"monthlyRate": 1000}]

    def test_a_draft_set_back_to_the_committed_value_is_removed(self, world: World) -> None:
        self.committed(world)
        save(world, Change("P-1", {"monthlyRate": 1400}))
        assert counts(save(world, Change("P-1", {"monthlyRate": 1300}))) == ([], [], ["P-1"])
        assert (value(world, "monthlyRate"), one(world).sync_state) == (1300, "committed")

    def test_another_user_s_value_is_not_the_record_s(self, world: World) -> None:
        draft(world.db, world.principal("bob"), monthlyRate=1300)
        commit(world.db, world.principal("bob"))
        assert counts(save(world, Change("P-1", {"monthlyRate": 1300}))) == (["P-1"], [], [])


class TestKeepEqual:
    def test_an_equal_value_is_drafted_and_pins(self, world: World) -> None:
        assert counts(set_fields(world, monthlyRate=1000, keep_equal=True)) == (["P-1"], [], [])
        assert stored(world) == [("P-1", "s", "draft", 1, {"monthlyRate": 1000})]
        world.pull([record("P-1", monthlyRate=1555)])
        with pytest.raises(errors.BaselineConflict):
            commit(world.db, world.principal())

    def test_a_pinned_value_that_comes_again_stays_pinned(self, world: World) -> None:
        set_fields(world, monthlyRate=1000, keep_equal=True)
        result = save(world, Change("P-1", {"monthlyRate": 1000}))
        assert [(item.version, item.status) for item in result.saved] == [(1, "unchanged")]
        assert stored(world) == [("P-1", "s", "draft", 1, {"monthlyRate": 1000})]

    def test_a_field_set_back_stays_in_the_draft(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1300)
        save(world, Change("P-1", {"monthlyRate": 1000}), keep_equal=True)
        assert stored(world) == [("P-1", "s", "draft", 2, {"monthlyRate": 1000})]

    def test_the_rules_are_checked(self, world: World) -> None:
        world.pull([record("P-1", monthlyRate=None)])
        with pytest.raises(errors.InvalidData):
            set_fields(world, monthlyRate=None, keep_equal=True)


class TestReadOnly:
    def test_a_value_that_the_record_has_is_no_fault(self, world: World) -> None:
        same = {"pfaId": "P-1", "description": "Crane for the north area", "hasPlan": True}
        change = Change("P-1", {"model": "A"}, read_only=same)
        assert counts(save(world, change)) == (["P-1"], [], [])

    def test_any_other_is_one(self, world: World) -> None:
        other = {"description": "crane", "originalEnd": "2026-01-01", "hasPlan": True}
        with pytest.raises(errors.InvalidData) as refused:
            save(world, Change("P-1", {}, read_only=other), Change("P-2", {"model": "A"}))
        assert codes(refused.value) == [
            ("P-1", "description", "READ_ONLY_FIELD"),
            ("P-1", "originalEnd", "READ_ONLY_FIELD"),
        ]

    def test_a_field_that_only_pems_knows_is_compared_too(self, world: World) -> None:
        world.pull([{**record("P-1"), "gridNo": 7}])
        save(world, Change("P-1", {"model": "A"}, read_only={"gridNo": 7}))
        for name, other in (("gridNo", 8), ("modle", "B")):
            with pytest.raises(errors.InvalidData) as refused:
                save(world, Change("P-1", {"model": "B"}, read_only={name: other}))
            assert codes(refused.value) == [("P-1", name, "UNKNOWN_FIELD")]

    def test_a_list_from_before_pems_changed_the_record_is_refused(self, world: World) -> None:
        """Which of its values were edited, and which PEMS has replaced, it cannot tell."""
        world.pull([record("P-1", monthlyRate=1555, pemsVersion="2")])
        old = Change("P-1", {"model": "A", "monthlyRate": 1000}, read_only={"pemsVersion": "1"})
        with pytest.raises(errors.VersionConflict) as refused:
            save(world, old)
        assert codes(refused.value) == [("P-1", "pemsVersion", "VERSION_CONFLICT")]
        same = Change("P-1", {"monthlyRate": 1555}, read_only={"pemsVersion": "1"})
        assert counts(save(world, same)) == ([], ["P-1"], [])
        new = Change("P-1", {"model": "A"}, read_only={"pemsVersion": "2"})
        assert counts(save(world, new)) == (["P-1"], [], [])
