"""Saving, setting, unsetting, shifting: what becomes of a draft, and what is refused."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, errors
from pfa_core.drafts import save_preview
from pfa_core.drafts.unset import UnsetResult
from pfa_core.errors import Fault
from tests.factories import World, a_delta_file, a_principal, a_world, commit, draft, record
from tests.life_cycle.views import codes, everything, ids, one, save, seen, stored, value
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Three rentals of 1,000 in December 2025; P-3 is on site."""
    return a_world(
        url,
        record("P-1"),
        record("P-2"),
        record("P-3", isActualized=True, actualStart="2025-12-01"),
        users={"ann": "admin", "bob": "editor"},
    )


class TestSave:
    def test_a_first_save_makes_a_draft_of_version_1(self, world: World) -> None:
        result = save(world, Change("P-1", {"monthlyRate": 1200}, "dearer"), session="spring")
        (saved,) = result.saved
        assert (result.session_id, result.errors) == ("spring", [])
        assert (saved.pfa_id, saved.version, saved.status) == ("P-1", 1, "created")
        assert stored(world) == [("P-1", "spring", "draft", 1, {"monthlyRate": 1200})]
        row = one(world)
        assert (row.sync_state, row.session_id, row.version, row.modified_by) == (
            "draft",
            "spring",
            1,
            "ann",
        )
        assert row.data == {**world.mirror()["P-1"], "monthlyRate": 1200}

    def test_saving_again_adds_to_the_draft(self, world: World) -> None:
        first = draft(world.db, world.principal(), monthlyRate=1200, model="A")
        second = draft(world.db, world.principal(), forecastEnd="2026-01-15", model="B")
        assert second.modification_id == first.modification_id
        assert (second.version, second.status) == (2, "updated")
        assert stored(world) == [
            (
                "P-1",
                "s",
                "draft",
                2,
                {"monthlyRate": 1200, "forecastEnd": "2026-01-15", "model": "B"},
            )
        ]

    @pytest.mark.parametrize("again", [1200, Decimal("1200.00"), "1200"])
    def test_the_same_content_again_is_unchanged_and_no_new_version(
        self, world: World, again: Any
    ) -> None:
        draft(world.db, world.principal(), monthlyRate=1200, model="A")
        before = everything(world)
        saved = draft(world.db, world.principal(), monthlyRate=again)
        assert (saved.version, saved.status) == (1, "unchanged")
        assert everything(world)["pfa_modification"] == before["pfa_modification"]
        assert everything(world)["pfa_overlay"] == before["pfa_overlay"]

    def test_another_reason_for_the_same_content_is_a_change(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1200, reason="dearer")
        saved = draft(world.db, world.principal(), monthlyRate=1200, reason="vendor's list")
        assert (saved.version, saved.status) == (2, "updated")
        (view,) = pfa_core.list_drafts(world.db, world.principal(), Filters())
        assert view.change_reason == "vendor's list"

    @pytest.mark.parametrize("reason", [{"a": "\0"}, ["\ud800"], 5, "\0", "\ud800"], ids=repr)
    def test_a_reason_is_a_text_that_can_be_stored(self, world: World, reason: Any) -> None:
        with pytest.raises(errors.InvalidData) as refused:
            pfa_core.save(world.db, world.principal(), [Change("P-1", {"model": "A"}, reason)])
        assert [fault.code for fault in refused.value.details] == ["INVALID_TYPE"]

    def test_a_save_without_a_reason_keeps_the_one_there_is(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1200, reason="dearer")
        draft(world.db, world.principal(), model="B")
        (view,) = pfa_core.list_drafts(world.db, world.principal(), Filters())
        assert view.change_reason == "dearer"

    def test_replace_puts_the_delta_in_place_of_the_old_one(self, world: World) -> None:
        draft(world.db, world.principal(), monthlyRate=1200, model="A")
        result = save(world, Change("P-1", {"model": "B"}), replace=True)
        assert (result.saved[0].version, result.saved[0].status) == (2, "updated")
        assert stored(world) == [("P-1", "s", "draft", 2, {"model": "B"})]
        assert value(world, "monthlyRate") == 1000

    def test_replacing_by_the_same_delta_is_unchanged(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        result = save(world, Change("P-1", {"model": "A"}), replace=True)
        assert (result.saved[0].version, result.saved[0].status) == (1, "unchanged")

    def test_null_sets_null(self, world: World) -> None:
        draft(world.db, world.principal(), forecastEnd=None, model=None)
        assert (value(world, "forecastEnd"), value(world, "model")) == (None, None)
        assert "forecastEnd" in one(world).data

    def test_values_are_kept_digit_by_digit(self, world: World) -> None:
        rate = Decimal("1234567890123.123456789012")
        draft(world.db, world.principal(), monthlyRate=rate, model="00123")
        assert '"monthlyRate": 1234567890123.123456789012' in one(world).data_json
        assert (value(world, "monthlyRate"), value(world, "model")) == (rate, "00123")

    def test_a_generated_session_groups_the_drafts_of_one_save(self, world: World) -> None:
        changes = [Change("P-1", {"model": "A"}), Change("P-2", {"model": "A"})]
        result = save(world, *changes, session=None)
        assert result.session_id
        assert [(row[0], row[1]) for row in stored(world)] == [
            ("P-1", result.session_id),
            ("P-2", result.session_id),
        ]
        other = save(world, Change("P-3", {"model": "A"}), session=None)
        assert other.session_id != result.session_id

    def test_without_a_session_an_existing_draft_keeps_its_own(self, world: World) -> None:
        draft(world.db, world.principal(), session="spring", model="A")
        result = save(world, Change("P-1", {"model": "B"}), session=None)
        assert result.session_id == "spring"
        assert stored(world) == [("P-1", "spring", "draft", 2, {"model": "B"})]

    def test_another_session_is_refused_by_the_name_of_the_draft_s_own(self, world: World) -> None:
        draft(world.db, world.principal(), session="spring", model="A")
        with pytest.raises(errors.SessionMismatch) as refused:
            save(world, Change("P-1", {"model": "B"}), session="autumn")
        assert codes(refused.value) == [("P-1", "sessionId", "SESSION_MISMATCH")]
        assert "spring" in refused.value.details[0].message
        assert stored(world) == [("P-1", "spring", "draft", 1, {"model": "A"})]

    def test_move_takes_the_draft_along(self, world: World) -> None:
        draft(world.db, world.principal(), session="spring", model="A")
        result = save(world, Change("P-1", {"monthlyRate": 5}), session="autumn", move=True)
        assert result.saved[0].status == "updated"
        assert stored(world) == [
            ("P-1", "autumn", "draft", 2, {"model": "A", "monthlyRate": 5}),
        ]
        assert one(world).session_id == "autumn"

    @pytest.mark.parametrize(("drafted", "expected"), [(False, 0), (True, 1)])
    def test_the_version_that_was_seen_is_accepted(
        self, world: World, drafted: bool, expected: int
    ) -> None:
        if drafted:
            draft(world.db, world.principal(), model="A")
        save(world, Change("P-1", {"model": "B"}, expected_version=expected))
        assert stored(world)[0][3] == expected + 1

    @pytest.mark.parametrize(("drafted", "expected"), [(False, 1), (True, 0), (True, 2)])
    def test_another_version_is_a_conflict_and_nothing_is_saved(
        self, world: World, drafted: bool, expected: int
    ) -> None:
        if drafted:
            draft(world.db, world.principal(), model="A")
        before = stored(world)
        with pytest.raises(errors.VersionConflict) as refused:
            save(
                world,
                Change("P-2", {"model": "B"}),
                Change("P-1", {"model": "B"}, expected_version=expected),
            )
        assert codes(refused.value) == [("P-1", "expectedVersion", "VERSION_CONFLICT")]
        assert stored(world) == before

    def test_a_record_that_stands_twice_is_refused_once(self, world: World) -> None:
        with pytest.raises(errors.InvalidData) as refused:
            save(
                world,
                Change("P-1", {"model": "A"}),
                Change("P-2", {"model": "A"}),
                Change("P-1", {"model": "A"}),
            )
        assert codes(refused.value) == [("P-1", "pfaId", "DUPLICATE_RECORD")]
        assert stored(world) == []

    def test_an_unknown_record_is_not_found(self, world: World) -> None:
        with pytest.raises(errors.NotFound) as refused:
            save(world, Change("P-9", {"model": "A"}))
        assert codes(refused.value) == [("P-9", "", "NOT_FOUND")]

    def test_all_faults_are_reported_at_once_in_the_order_of_the_input(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", session="spring", model="A")
        changes = [
            Change("P-3", {"source": "Purchase", "purchasePrice": 1}),
            Change("P-9", {"model": "A"}),
            Change("P-1", {"montlyRate": 1, "dor": "HQ", "monthlyRate": -1}),
            Change("P-2", {"model": "B"}, expected_version=7),
            Change("P-0", {}),
        ]
        with pytest.raises(errors.InvalidData) as refused:
            save(world, *changes)
        assert codes(refused.value) == [
            ("P-3", "source", "BUSINESS_RULE_VIOLATION"),
            ("P-9", "", "NOT_FOUND"),
            ("P-1", "montlyRate", "UNKNOWN_FIELD"),
            ("P-1", "dor", "INVALID_ENUM_VALUE"),
            ("P-1", "monthlyRate", "INVALID_RANGE"),
            ("P-2", "expectedVersion", "VERSION_CONFLICT"),
            ("P-0", "delta", "EMPTY_DELTA"),
        ]

    def test_faults_of_a_file_s_shape_stand_in_the_file_s_order_too(
        self, world: World, tmp_path: Path
    ) -> None:
        path = a_delta_file(
            tmp_path,
            [
                {"pfaId": "P-1", "delta": {"dor": "HQ"}},
                {"pfaId": "P-2", "dleta": {"model": "A"}, "delta": {"model": "A"}},
                {"pfaId": "P-3", "delta": {"dor": "HQ"}},
            ],
        )
        file = pfa_core.read_delta_file(str(path))
        with pytest.raises(errors.InvalidData) as refused:
            save(world, *file.changes, faults=file.faults)
        assert [fault.position for fault in refused.value.details] == [
            "modification 1",
            "modification 2",
            "modification 3",
        ]

    def test_partial_keeps_the_good_ones_and_shows_the_others(self, world: World) -> None:
        result = save(
            world,
            Change("P-2", {"model": "A"}),
            Change("P-9", {"model": "A"}),
            Change("P-1", {"dor": "HQ"}),
            partial=True,
        )
        assert [(item.pfa_id, item.status) for item in result.saved] == [("P-2", "created")]
        assert [(fault.pfa_id, fault.code) for fault in result.errors] == [
            ("P-9", "NOT_FOUND"),
            ("P-1", "INVALID_ENUM_VALUE"),
        ]
        assert [row[0] for row in stored(world)] == ["P-2"]

    def test_partial_with_nothing_good_is_refused(self, world: World) -> None:
        with pytest.raises(errors.InvalidData):
            save(world, Change("P-1", {"dor": "HQ"}), partial=True)
        assert stored(world) == []

    def test_a_dry_run_shows_the_same_and_leaves_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", model="A")
        before = everything(world)
        result = save(
            world, Change("P-1", {"model": "B"}), Change("P-2", {"model": "B"}), dry_run=True
        )
        assert [(item.pfa_id, item.version, item.status) for item in result.saved] == [
            ("P-1", 1, "created"),
            ("P-2", 2, "updated"),
        ]
        assert everything(world) == before

    def test_a_dry_run_is_refused_for_the_same_faults(self, world: World) -> None:
        with pytest.raises(errors.InvalidData):
            save(world, Change("P-1", {"dor": "HQ"}), dry_run=True)

    def test_nothing_to_save_is_an_invalid_call(self, world: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            save(world)

    @pytest.mark.parametrize("session", ["", "  ", "s" * 201, "a\0b", "\ud800"])
    def test_a_session_id_that_is_none_is_refused(self, world: World, session: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            save(world, Change("P-1", {"model": "A"}), session=session)

    @pytest.mark.parametrize("session", ["s" * 200, "Frühjahr '26; DROP TABLE \\ %_", "-"])
    def test_any_other_text_names_a_session(self, world: World, session: str) -> None:
        save(world, Change("P-1", {"model": "A"}), session=session)
        assert ids(world, session=(session,)) == ["P-1"]

    def test_the_rules_hold_for_the_merged_record(self, world: World) -> None:
        with pytest.raises(errors.InvalidData) as refused:
            save(world, Change("P-1", {"forecastEnd": "2025-11-30"}))
        assert codes(refused.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        save(world, Change("P-1", {"forecastStart": "2025-11-01"}))
        save(world, Change("P-1", {"forecastEnd": "2025-11-30"}))

    def test_the_rules_count_what_is_committed_already(self, world: World) -> None:
        draft(world.db, world.principal(), forecastStart="2025-11-01", forecastEnd="2025-11-30")
        commit(world.db, world.principal())
        with pytest.raises(errors.InvalidData) as refused:
            save(world, Change("P-1", {"forecastStart": "2025-12-24"}))
        assert codes(refused.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]

    def test_two_users_draft_the_same_record_without_seeing_each_other(self, world: World) -> None:
        draft(world.db, world.principal("ann"), model="A")
        draft(world.db, world.principal("bob"), model="B")
        assert (value(world, "model", user="ann"), value(world, "model", user="bob")) == ("A", "B")

    def test_every_save_leaves_its_before_and_after_in_the_log(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", reason="why")
        draft(world.db, world.principal(), dor="BEO")
        entries = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")
        assert [(e.action, e.before, e.after, e.reason, e.session_id) for e in entries] == [
            ("save", {"model": "A"}, {"model": "A", "dor": "BEO"}, None, "s"),
            ("save", None, {"model": "A"}, "why", "s"),
        ]

    def test_faults_found_while_reading_count_as_faults_of_the_save(self, world: World) -> None:
        shape = Fault("", "", "INVALID_TYPE", "must be an object", position="modification 2")
        with pytest.raises(errors.InvalidData) as refused:
            save(world, Change("P-1", {"model": "A"}), faults=[shape], source="delta.json")
        assert refused.value.details == (shape,)
        assert "delta.json" in refused.value.message
        assert stored(world) == []


class TestSetFields:
    def set(self, world: World, filters: Filters, delta: dict[str, Any], **rest: Any) -> Any:
        return pfa_core.set_fields(
            world.db, world.principal(), filters, delta, **{"session_id": "s", **rest}
        )

    def test_the_same_delta_lies_over_every_matching_record(self, world: World) -> None:
        result = self.set(world, Filters(actualized=False), {"areaSilo": "Jetty"}, reason="moved")
        assert [(item.pfa_id, item.status) for item in result.saved] == [
            ("P-1", "created"),
            ("P-2", "created"),
        ]
        assert ids(world, area_silo=("Jetty",)) == ["P-1", "P-2"]

    def test_records_are_chosen_by_their_merged_values(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", category="Loader")
        self.set(world, Filters(category=("Loader",)), {"model": "L"})
        assert [(row[0], row[4]) for row in stored(world)] == [
            ("P-2", {"category": "Loader", "model": "L"})
        ]

    def test_an_id_that_does_not_exist_is_a_fault(self, world: World) -> None:
        with pytest.raises(errors.NotFound) as refused:
            self.set(world, Filters(id=("P-1", "P-9")), {"model": "A"})
        assert codes(refused.value) == [("P-9", "", "NOT_FOUND")]
        assert stored(world) == []

    def test_filters_that_match_nothing_are_not_found(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            self.set(world, Filters(category=("Loader",)), {"model": "A"})

    def test_a_fault_of_one_record_stops_all_unless_partial(self, world: World) -> None:
        purchase = {"source": "Purchase", "purchasePrice": 9}
        with pytest.raises(errors.InvalidData) as refused:
            self.set(world, Filters(), purchase)
        assert codes(refused.value) == [("P-3", "source", "BUSINESS_RULE_VIOLATION")]
        assert stored(world) == []
        result = self.set(world, Filters(), purchase, partial=True)
        assert [item.pfa_id for item in result.saved] == ["P-1", "P-2"]
        assert [fault.pfa_id for fault in result.errors] == ["P-3"]

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        before = everything(world)
        assert len(self.set(world, Filters(), {"model": "A"}, dry_run=True).saved) == 3
        assert everything(world) == before


class TestShift:
    def shift(self, world: World, days: int, user: str = "ann", **filters: Any) -> Any:
        rest = {name: filters.pop(name) for name in ("partial", "dry_run") if name in filters}
        return pfa_core.shift(
            world.db, world.principal(user), Filters(**filters), days, session_id="s", **rest
        )

    @pytest.mark.parametrize(
        ("days", "start", "end"),
        [(14, "2025-12-15", "2026-01-14"), (-31, "2025-10-31", "2025-11-30")],
    )
    def test_both_forecast_dates_move(self, world: World, days: int, start: str, end: str) -> None:
        self.shift(world, days, id=("P-1",))
        assert stored(world) == [
            ("P-1", "s", "draft", 1, {"forecastStart": start, "forecastEnd": end})
        ]

    def test_shifting_again_goes_on_from_the_drafted_dates(self, world: World) -> None:
        self.shift(world, 14, id=("P-1",))
        self.shift(world, 14, id=("P-1",))
        assert (value(world, "forecastStart"), value(world, "forecastEnd")) == (
            "2025-12-29",
            "2026-01-28",
        )

    def test_there_and_back_is_where_it_was(self, world: World) -> None:
        self.shift(world, 45, id=("P-1",))
        self.shift(world, -45, id=("P-1",))
        assert one(world).data == world.mirror()["P-1"]

    def test_an_actualized_record_is_refused_and_stops_all(self, world: World) -> None:
        with pytest.raises(errors.InvalidData) as refused:
            self.shift(world, 14)
        assert codes(refused.value) == [("P-3", "forecastStart", "BUSINESS_RULE_VIOLATION")]
        assert stored(world) == []

    def test_partial_shifts_the_others(self, world: World) -> None:
        result = self.shift(world, 14, partial=True)
        assert [item.pfa_id for item in result.saved] == ["P-1", "P-2"]
        assert [fault.pfa_id for fault in result.errors] == ["P-3"]

    def test_an_unknown_id_is_not_found(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            self.shift(world, 14, id=("P-1", "P-9"))
        assert stored(world) == []

    def test_the_date_that_is_there_moves_when_the_other_is_missing(self, world: World) -> None:
        draft(world.db, world.principal(), forecastEnd=None)
        self.shift(world, 1, id=("P-1",))
        assert (value(world, "forecastStart"), value(world, "forecastEnd")) == ("2025-12-02", None)

    @pytest.mark.parametrize("days", [0, 36_501, -36_501])
    def test_no_days_and_centuries_are_refused(self, world: World, days: int) -> None:
        with pytest.raises(errors.InvalidRequest):
            self.shift(world, days, id=("P-1",))

    def test_the_end_of_the_calendar_is_a_fault(self, world: World) -> None:
        draft(world.db, world.principal(), forecastEnd="9999-12-31")
        with pytest.raises(errors.InvalidData) as refused:
            self.shift(world, 1, id=("P-1",))
        assert codes(refused.value) == [("P-1", "forecastStart", "INVALID_RANGE")]

    def test_a_shift_never_carries_back_dates_that_pems_replaced_meanwhile(
        self, world: World
    ) -> None:
        """PEMS moves the record while the shift is between reading it and saving it."""
        world.add_user("eve", "admin")
        other = a_world(world.url, users={"eve": "admin"})
        moved = record("P-1", forecastStart="2026-03-01", forecastEnd="2026-03-31")
        pull = threading.Thread(target=other.pull, args=([moved],))

        def clock() -> datetime:
            if pull.ident is None:
                pull.start()
                pull.join(0.7)  # the shift may hold a lock that lets the pull in only afterwards
            return datetime.now(UTC)

        world.db.clock = clock
        self.shift(world, 14, id=("P-1",))
        pull.join()
        dates = (value(world, "forecastStart"), value(world, "forecastEnd"))
        conflicts = pfa_core.show_records(world.db, world.principal(), ["P-1"])[0].overtaken
        assert dates == ("2026-03-15", "2026-04-14") or conflicts


class TestUnset:
    def unset(self, world: World, *fields: str, user: str = "ann", **rest: Any) -> UnsetResult:
        dry_run = rest.pop("dry_run", False)
        return pfa_core.unset_fields(
            world.db, world.principal(user), Filters(**rest), fields, dry_run=dry_run
        )

    def test_a_field_goes_out_of_the_draft(self, world: World) -> None:
        made = draft(world.db, world.principal(), model="A", dor="BEO")
        result = self.unset(world, "model", id=("P-1",))
        assert [(i.pfa_id, i.modification_id, i.version, i.status) for i in result.unset] == [
            ("P-1", made.modification_id, 2, "updated")
        ]
        assert (result.emptied, result.unchanged) == ([], [])
        assert stored(world) == [("P-1", "s", "draft", 2, {"dor": "BEO"})]
        assert (value(world, "model"), value(world, "dor")) == ("LTM 1030", "BEO")

    def test_a_draft_vanishes_with_its_last_field(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        result = self.unset(world, "model", "dor", id=("P-1",))
        assert (result.unset, result.emptied, result.unchanged) == ([], ["P-1"], [])
        assert stored(world) == []
        assert one(world).sync_state == "pristine"
        assert one(world).version == 0

    def test_a_draft_without_the_field_is_left_as_it_is(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-2", dor="BEO")
        result = self.unset(world, "model", changed=True)
        assert (result.unset, result.emptied, result.unchanged) == ([], ["P-1"], ["P-2"])
        assert stored(world) == [("P-2", "s", "draft", 1, {"dor": "BEO"})]

    def test_a_committed_value_stays_under_an_unset_draft(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), model="B")
        self.unset(world, "model", id=("P-1",))
        assert (value(world, "model"), one(world).sync_state) == ("A", "committed")

    def test_unset_and_set_again_takes_todays_baseline_as_base(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine")
        world.pull([record("P-1", model="theirs")])
        assert pfa_core.status(world.db, world.principal()).overtaken == 1
        self.unset(world, "model", id=("P-1",))
        draft(world.db, world.principal(), model="mine")
        assert pfa_core.status(world.db, world.principal()).overtaken == 0
        assert len(commit(world.db, world.principal()).committed) == 1

    def test_what_stays_in_the_draft_is_still_valid_on_the_merged_record(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), forecastStart="2026-02-01", forecastEnd="2026-02-28")
        with pytest.raises(errors.InvalidData) as refused:
            self.unset(world, "forecastEnd", id=("P-1",))
        assert codes(refused.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        assert (value(world, "forecastStart"), value(world, "forecastEnd")) == (
            "2026-02-01",
            "2026-02-28",
        )

    def test_records_without_a_draft_of_mine_are_refused(self, world: World) -> None:
        draft(world.db, world.principal("bob"), model="A")
        with pytest.raises(errors.NoDrafts):
            self.unset(world, "model", id=("P-1",))
        assert value(world, "model", user="bob") == "A"

    @pytest.mark.parametrize("fields", [(), ("montlyRate",), ("originalStart",), ("model", "x")])
    def test_what_no_draft_can_hold_is_refused(self, world: World, fields: tuple[str, ...]) -> None:
        draft(world.db, world.principal(), model="A")
        with pytest.raises(errors.InvalidRequest):
            self.unset(world, *fields, id=("P-1",))
        assert len(stored(world)) == 1

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        before = everything(world)
        assert self.unset(world, "model", id=("P-1",), dry_run=True).emptied == ["P-1"]
        assert everything(world) == before


class TestAssignments:
    def test_texts_are_read_as_their_field_s_kind(self) -> None:
        assert pfa_core.parse_assignments(
            ["monthlyRate=5500.50", "isDiscontinued=Y", "dor=beo", "model=a=b", "forecastEnd="]
        ) == {
            "monthlyRate": Decimal("5500.50"),
            "isDiscontinued": True,
            "dor": "BEO",
            "model": "a=b",
            "forecastEnd": None,
        }

    @pytest.mark.parametrize("texts", [["model"], ["=x"], ["model=a", "model=b"]])
    def test_what_is_not_an_assignment_is_refused(self, texts: list[str]) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.parse_assignments(texts)

    def test_all_faults_are_reported_at_once(self) -> None:
        with pytest.raises(errors.InvalidData) as refused:
            pfa_core.parse_assignments(["monthlyRate=x", "pfaId=P-2", "mdel=1", "isActualized="])
        assert codes(refused.value) == [
            ("", "monthlyRate", "INVALID_TYPE"),
            ("", "pfaId", "READ_ONLY_FIELD"),
            ("", "mdel", "UNKNOWN_FIELD"),
            ("", "isActualized", "INVALID_TYPE"),
        ]


def test_a_draft_of_another_organization_is_out_of_reach(database_url: str) -> None:
    here = a_world(database_url, record("P-1"), organization="HERE")
    there = a_world(database_url, record("P-1"), organization="THERE", users={"ann": "admin"})
    draft(there.db, there.principal(), model="A")
    assert [row.sync_state for row in seen(here)] == ["pristine"]
    with pytest.raises(errors.NoDrafts):
        pfa_core.unset_fields(here.db, a_principal("ann", "HERE"), Filters(), ["model"])


def test_a_preview_names_its_first_records_by_id_whatever_the_order_of_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_preview, "MOST_NAMED", 2)
    for order in ((1, 2, 3), (3, 2, 1), (3, 1, 2)):
        given = [Change(f"P-{number}", {"model": "ELSE"}) for number in order]
        preview = save(world, *given, dry_run=True).preview
        assert preview is not None
        assert preview.records == 3
        assert [record.pfa_id for record in preview.changed] == ["P-1", "P-2"]
