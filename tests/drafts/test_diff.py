"""What is drafted, and what it changes and costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import Filters, errors
from pfa_core.drafts import listing as module
from pfa_core.drafts.diff import DiffReport
from pfa_core.model.delta import FieldChange, FieldConflict
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.views import stats
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    return a_world(
        url,
        record("P-1"),
        record("P-2", category="Loader"),
        record("P-3", source="Purchase", purchasePrice=50),
        users={"ann": "admin", "bob": "editor"},
    )


def diff(
    world: World, user: str = "ann", session_id: str | None = None, **filters: Any
) -> DiffReport:
    return pfa_core.diff(world.db, world.principal(user), Filters(**filters), session_id=session_id)


def drafts(world: World, user: str = "ann", **filters: Any) -> list[tuple[str, str]]:
    views = pfa_core.list_drafts(world.db, world.principal(user), Filters(**filters))
    return [(view.pfa_id, view.state) for view in views]


def test_a_preview_a_question_and_a_diff_have_one_effect(world: World) -> None:
    """Each rounds the exact difference: that of rounded amounts is a cent off at times."""
    ann, off = world.principal(), 0
    for rate in range(1003, 1040, 3):
        one, value = Filters(id=("P-1",)), {"monthlyRate": rate}
        preview = pfa_core.set_fields(world.db, ann, one, value, dry_run=True).preview
        assert preview is not None
        draft(world.db, ann, monthlyRate=rate)
        (session,) = pfa_core.summarize_drafts(world.db, ann).sessions
        effect = diff(world).cost_effect
        assert (preview.cost_effect, session.cost_effect) == (effect, effect)
        off += effect != preview.forecast_after - preview.forecast_before
        pfa_core.discard(world.db, ann, pfa_core.Selection(session_id="s"))
    assert off


class TestDiff:
    def test_each_field_is_reported_before_and_after_with_the_cost(self, world: World) -> None:
        made = draft(
            world.db,
            world.principal(),
            monthlyRate=1500,
            forecastEnd=None,
            reason="why",
        )
        draft(world.db, world.principal(), monthlyRate=2000, forecastEnd="2026-01-10")
        (entry,) = diff(world).entries
        assert (entry.pfa_id, entry.modification_id, entry.session_id) == (
            "P-1",
            made.modification_id,
            "s",
        )
        assert (entry.state, entry.version, entry.change_reason) == ("draft", 2, "why")
        assert entry.changes == (
            FieldChange("monthlyRate", 1000, 2000),
            FieldChange("forecastEnd", "2025-12-31", "2026-01-10"),
        )
        # (40 days × 2000 − 30 days × 1000) / 30.44
        assert entry.cost_effect == Decimal("1642.58")

    def test_the_effects_add_up_to_the_draft_impact(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", monthlyRate=1500)
        commit(world.db, world.principal())
        draft(world.db, world.principal(), "P-1", session="t", isDiscontinued=True)
        draft(world.db, world.principal(), "P-2", session="t", forecastEnd="2026-02-01")
        draft(world.db, world.principal(), "P-3", session="t", purchasePrice=Decimal("49.995"))
        report = diff(world)
        assert (report.record_count, report.field_count, len(report.entries)) == (3, 4, 4)
        assert report.cost_effect == stats(world).figures.draft_impact
        assert [(entry.pfa_id, entry.state) for entry in report.entries] == [
            ("P-1", "committed"),
            ("P-1", "draft"),
            ("P-2", "draft"),
            ("P-3", "draft"),
        ]
        assert report.entries[0].cost_effect == Decimal("492.77")
        assert report.entries[1].cost_effect == Decimal("-1478.32")
        assert report.entries[3].cost_effect == Decimal("-0.01")

    def test_a_stacked_draft_is_reported_against_what_is_committed(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), session="t", model="B")
        assert [entry.changes for entry in diff(world).entries] == [
            (FieldChange("model", "LTM 1030", "A"),),
            (FieldChange("model", "A", "B"),),
        ]
        (later,) = diff(world, session_id="t").entries
        assert later.changes == (FieldChange("model", "A", "B"),)

    def test_a_drafted_value_that_pems_has_by_now_changes_nothing(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        world.pull([record("P-1", model="A")])
        (entry,) = diff(world).entries
        assert (entry.changes, entry.cost_effect) == ((), 0)

    @pytest.mark.parametrize(
        ("chosen", "found"),
        [
            ({}, ["P-1", "P-2", "P-3"]),
            ({"session_id": "s"}, ["P-1", "P-3"]),
            ({"session": ("s", "t")}, ["P-1", "P-2", "P-3"]),
            ({"category": ("Dozer",)}, ["P-2"]),
            ({"category": ("Loader",)}, []),
            ({"state": ("committed",)}, ["P-3"]),
            ({"state": ("draft",)}, ["P-1", "P-2"]),
            ({"id": ("P-1",), "session_id": "t"}, []),
        ],
    )
    def test_records_are_chosen_by_merged_values_and_modifications_by_session(
        self, world: World, chosen: dict[str, Any], found: list[str]
    ) -> None:
        draft(world.db, world.principal(), "P-3", model="A")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), "P-1", model="A")
        draft(world.db, world.principal(), "P-2", session="t", category="Dozer")
        draft(world.db, world.principal("bob"), "P-1", model="his")
        report = diff(world, **chosen)
        assert [entry.pfa_id for entry in report.entries] == found
        assert report.record_count == len(found)

    def test_nothing_drafted_is_an_empty_report(self, world: World) -> None:
        draft(world.db, world.principal("bob"), model="his")
        assert diff(world) == DiffReport(
            entries=[], cost_effect=Decimal("0.00"), record_count=0, field_count=0
        )


class TestListDrafts:
    def test_drafts_are_listed_and_what_is_committed_only_when_asked_for(
        self, world: World
    ) -> None:
        draft(world.db, world.principal(), "P-1", model="A")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), "P-3", session="t", model="A")
        draft(world.db, world.principal(), "P-1", session="t", model="B")
        assert drafts(world) == [("P-1", "draft"), ("P-3", "draft")]
        assert drafts(world, state=("committed",)) == [("P-1", "committed")]
        assert drafts(world, state=("committed", "draft")) == [
            ("P-1", "committed"),
            ("P-1", "draft"),
            ("P-3", "draft"),
        ]
        assert drafts(world, session=("s",)) == []
        assert drafts(world, session=("t",), id=("P-1",)) == [("P-1", "draft")]
        assert drafts(world, category=("Loader",)) == []
        assert drafts(world, "bob") == []

    def test_a_draft_is_shown_whole(self, world: World) -> None:
        made = draft(world.db, world.principal(), model="mine", forecastEnd=None, reason="why")
        world.pull([record("P-1", model="theirs")])
        (view,) = pfa_core.list_drafts(world.db, world.principal(), Filters())
        assert (view.modification_id, view.pfa_id, view.session_id) == (
            made.modification_id,
            "P-1",
            "s",
        )
        assert view.delta == {"model": "mine", "forecastEnd": None}
        assert view.base == {"model": "LTM 1030", "forecastEnd": "2025-12-31"}
        assert (view.version, view.change_reason, view.committed_at) == (1, "why", None)
        assert view.overtaken == (FieldConflict("model", "LTM 1030", "mine", "theirs"),)

    def test_a_session_that_never_was_is_not_found(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            diff(world, session_id="none")

    def test_a_state_that_is_none_is_refused(self, world: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            drafts(world, state=("pending",))


class TestStreams:
    def test_a_stream_yields_what_the_list_has_some_records_at_a_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draft(world.db, world.principal(), "P-3", model="A")
        commit(world.db, world.principal())
        for pfa_id in ("P-1", "P-2", "P-3"):
            draft(world.db, world.principal(), pfa_id, monthlyRate=1200, category="Dozer")
        every = Filters(state=("draft", "committed"))
        report = diff(world)
        views = pfa_core.list_drafts(world.db, world.principal(), every)
        assert (len(report.entries), len(views)) == (4, 4)
        for together in (1, 2, 3):
            monkeypatch.setattr(module, "_TOGETHER", together)
            totals = pfa_core.DiffTotals()
            found = pfa_core.stream_diff(world.db, world.principal(), Filters(), totals=totals)
            assert list(found) == report.entries
            assert (totals.record_count, totals.field_count, totals.cost_effect) == (
                report.record_count,
                report.field_count,
                report.cost_effect,
            )
            assert list(pfa_core.stream_drafts(world.db, world.principal(), every)) == views

    def test_a_session_that_is_none_is_refused_before_the_first_entry(self, world: World) -> None:
        with pytest.raises(errors.NotFound, match="no session 'nope'"):
            next(pfa_core.stream_diff(world.db, world.principal(), Filters(), session_id="nope"))

    def test_a_stream_that_is_left_leaves_the_connection_free(self, world: World) -> None:
        for pfa_id in ("P-1", "P-2"):
            draft(world.db, world.principal(), pfa_id, model="A")
        found = pfa_core.stream_diff(world.db, world.principal(), Filters())
        next(found)
        found.close()
        assert diff(world).record_count == 2
