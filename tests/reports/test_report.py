"""What a report holds: the numbers of the other reads, of one moment."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import pfa_core
from pfa_core import Filters, Guards, Principal, Query, Right, errors
from pfa_core.conflicts.views import ConflictView
from pfa_core.drafts.diff import DiffTotals
from pfa_core.model.decision import ConflictStatus
from pfa_core.model.delta import FieldConflict
from pfa_core.model.guards import kept_by_refusal
from pfa_core.model.ids import ConflictId, ModificationId, PfaId, SessionId, UserId
from pfa_core.model.modification import OVERLAYING
from pfa_core.model.run import RunStatus
from pfa_core.reports import content
from pfa_core.reports.sections import page_of
from pfa_core.reports.texts import by_states
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import a_pems_beside, owned
from tests.reports import worlds
from tests.worlds import built_once

world = built_once(worlds.usual)
huge = built_once(worlds.huge)
FILTERS = [Filters(), Filters(category=("Crane", "Dozer")), Filters(where="monthlyRate > 300")]


@pytest.mark.parametrize("filters", FILTERS, ids=["all", "category", "where"])
def test_every_number_is_that_of_the_read_of_its_name(world: World, filters: Filters) -> None:
    db, ann = world.db, world.principal()
    found = pfa_core.report(db, ann, filters, top=2)
    assert found.stats == pfa_core.compute_stats(db, ann, filters, by=("category",), top=2)
    assert found.calendar == pfa_core.compute_stats(db, ann, filters, by=("year", "month"))
    totals = DiffTotals()
    movers = tuple(pfa_core.stream_review(db, ann, filters, top=2, totals=totals))
    assert found.movers == movers
    states = {
        group.key: group.records for group in pfa_core.review(db, ann, filters, by="state").groups
    }
    assert found.moved == content.Moved(
        totals.record_count, totals.field_count, totals.cost_effect, states
    )
    assert found.change_sets == pfa_core.review(db, ann, Filters(), by="session")
    assert list(found.conflicts) == pfa_core.list_conflicts(db, ann, filters, limit=2)
    assert found.status == pfa_core.status(db, ann)
    query = Query(filters, pfa_core.parse_sort("-variance"), costs=True)
    over = [
        (one.pfa_id, one.costs.variance)
        for one in pfa_core.list_records(db, ann, query, page_size=2).records
        if one.costs and one.costs.variance and one.costs.variance > 0
    ]
    assert [(one.pfa_id, one.variance) for one in found.over_plan] == over
    assert over


def test_changes_that_cost_nothing_are_counted_and_no_movers(database_url: str) -> None:
    world = a_world(database_url, record("P-1"), record("P-2"))
    ann = world.principal()
    draft(world.db, ann, "P-1", model="Other")
    sections = {each.name: each for each in page_of(pfa_core.report(world.db, ann)).sections}
    assert sections["movers"].title == "Changes not yet in PEMS"
    assert sections["movers"].tables == ()
    assert sections["movers"].paragraphs == (
        "ann changes 1 field of 1 record; none of them moves the forecast.",
    )


def test_drafts_that_bring_a_record_under_the_filters_are_told_apart(world: World) -> None:
    ann = world.principal()
    whole = pfa_core.report(world.db, ann)
    assert whole.moved.cost_effect == whole.stats.figures.draft_impact
    part = pfa_core.report(world.db, ann, Filters(where="monthlyRate > 300"))
    assert (part.moved.cost_effect, part.stats.figures.draft_impact) == (
        Decimal("1067.67"),
        Decimal("1149.80"),
    )
    texts = [
        {each.name: each for each in page_of(found).sections}["movers"].paragraphs
        for found in (whole, part)
    ]
    assert [len(each) for each in texts] == [1, 2]
    assert texts[1][1].endswith("with that their effect is +1,149.80.")


def test_it_says_who_asked_for_what_and_when(world: World) -> None:
    ann = world.principal()
    filters = Filters(category=("Crane", "Pump"), discontinued=False, where="monthlyRate > 1")
    found = pfa_core.report(world.db, ann, filters, title="May")
    assert (found.title, found.organization_id, found.user_id) == ("May", "ORG", "ann")
    assert found.filters == (
        ("category", "Crane, Pump"),
        ("discontinued", "no"),
        ("where", "monthlyRate > 1"),
    )
    assert found.made_at.tzinfo is not None
    assert pfa_core.report(world.db, ann).title == "ORG"
    facts = dict(page_of(found).facts)
    assert facts["Made for"] == "ann, admin"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(.*(now|ago)\)", facts["PEMS data"])


def test_without_a_title_the_heading_says_what_the_page_is(world: World) -> None:
    ann = world.principal()
    page = page_of(pfa_core.report(world.db, ann))
    assert (page.title, page.subject) == ("ORG: plan, forecast and actuals", "")
    page = page_of(pfa_core.report(world.db, ann, title="May"))
    assert (page.title, page.subject) == ("May", "Plan, forecast and actuals")


def test_it_says_whose_changes_are_in_what_state(world: World) -> None:
    ann = world.principal()
    commit(world.db, ann, session="one")
    notes: list[str] = []
    for filters in (Filters(), Filters(category=("Crane",)), Filters(category=("Dozer",))):
        page = page_of(pfa_core.report(world.db, ann, filters))
        (waiting,) = [each for each in page.sections[0].figures if "not yet" in each.label]
        assert waiting.label == "Changes not yet in PEMS"
        assert isinstance(waiting.value, Decimal)
        raised = f"Changes by ann, not yet in PEMS, raise it by {waiting.value:,.2f}."
        assert page.lead.endswith(f" {raised}")
        notes.append(waiting.note)
    assert notes == ["by ann: 1 draft, 1 committed", "by ann: 1 committed", "by ann: 1 draft"]
    vera = page_of(pfa_core.report(world.db, world.principal("vera")))
    assert [each.note for each in vera.sections[0].figures if "not yet" in each.label] == [
        "by vera: none"
    ]


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({}, "by ann: none"),
        ({"committed": 18}, "by ann: 18 committed"),
        (
            {"draft": 1300, "syncing": 1, "sync_error": 2, "conflict": 3},
            "by ann: 1,300 drafts, 1 being sent, 2 not taken by PEMS, 3 in conflict",
        ),
    ],
)
def test_states_are_plain_words(states: dict[str, int], text: str) -> None:
    assert by_states(states, "ann") == text


def test_every_state_that_waits_has_words() -> None:
    for state in OVERLAYING:
        assert by_states({state: 1}, "ann").startswith("by ann: 1 ")


@pytest.mark.parametrize(
    "arguments", [{"top": 0}, {"top": 101}, {"title": "x" * 201}, {"title": "a\0b"}], ids=repr
)
def test_what_cannot_be_shown_is_refused(world: World, arguments: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidRequest):
        pfa_core.report(world.db, world.principal(), **arguments)
    pfa_core.report(world.db, world.principal(), top=100, title="x" * 200)


def test_a_commit_in_the_middle_of_it_is_in_none_of_its_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, other = world.principal(), replace(world, db=world.db.beside())
    before = pfa_core.report(world.db, ann)
    calls: list[str] = []
    original = content._calendar

    def between(tx: object, filters: Filters) -> object:
        def save() -> None:
            draft(other.db, ann, "P-3", purchasePrice=5_000_000, session="three")
            other.pull([record("P-9", category="New", monthlyRate=7_000_000)])

        thread = threading.Thread(target=save)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        calls.append("saved")
        return original(tx, filters)

    monkeypatch.setattr(content, "_calendar", between)
    within = pfa_core.report(world.db, ann)
    assert calls == ["saved"]
    assert replace(within, made_at=before.made_at) == before
    monkeypatch.setattr(content, "_calendar", original)
    after = pfa_core.report(world.db, ann)
    assert after.stats.figures.total_records == before.stats.figures.total_records + 1
    assert after.status.drafts == before.status.drafts + 1
    other.db.close()


def test_without_the_right_to_see_money_there_is_none_in_it(world: World) -> None:
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    ann = world.add_user("ann", "editor", rights=rights)
    found = pfa_core.report(world.db, ann)
    assert found.masked
    assert (found.movers, found.over_plan) == ((), ())
    assert (found.moved.record_count, found.moved.cost_effect) == (2, None)
    assert found.stats.figures.cost.plan.total is None
    page = page_of(found)
    assert "requires the right view_financials" in page.lead
    amounts = [
        value
        for section in page.sections
        for value in (
            *(figure.value for figure in section.figures),
            *(value for table in section.tables for row in table.rows for value in row.values),
        )
        if isinstance(value, Decimal)
    ]
    assert amounts == []
    with pytest.raises(errors.PermissionDenied):
        pfa_core.report(world.db, ann, Filters(where="monthlyRate > 1"))


def test_an_empty_organization_has_a_report_too(database_url: str) -> None:
    with closed(a_world(database_url)) as world:
        found = pfa_core.report(world.db, world.principal())
        page = page_of(found)
        assert page.lead == "There are no records yet."
        assert [section.name for section in page.sections] == [
            "figures", "change-sets", "conflicts", "synchronization", "numbers",
        ]  # fmt: skip
        assert (
            page_of(pfa_core.report(world.db, world.principal(), Filters(category=("No",)))).lead
            == "No records match the filters."
        )


def test_of_400_categories_the_largest_are_listed_and_the_others_added_up(huge: World) -> None:
    found = pfa_core.report(huge.db, huge.principal(), top=5)
    (section,) = [each for each in page_of(found).sections if each.name == "categories"]
    (table,) = section.tables
    names = [row.values[0] for row in table.rows]
    assert names == ["Immense", "Cheaper", *names[2:5], "399 others", "Total"]
    plans = [row.values[2] for row in table.rows]
    assert abs(sum(plans[:-1]) - plans[-1]) <= Decimal("0.06")
    assert section.chart is not None
    assert section.chart.labels == tuple(names[:-1])
    assert dict(zip(names, section.chart.notes, strict=False))["Cheaper"].startswith("-")


def test_dates_that_are_missing_cost_nothing_and_are_named(huge: World) -> None:
    found = pfa_core.report(huge.db, huge.principal())
    (figures, *_) = page_of(found).sections
    assert figures.paragraphs == (
        "1 rental without a start: 0 counted.",
        "1 rental without an end: 0 counted.",
    )


def test_months_become_years_where_there_are_too_many(
    huge: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = huge.principal()
    by_month = pfa_core.report(huge.db, ann)
    assert by_month.calendar_by == ("year", "month")
    monkeypatch.setattr(content, "MAX_MONTHS", 12)
    by_year = pfa_core.report(huge.db, ann)
    assert by_year.calendar_by == ("year",)
    assert by_year.calendar == pfa_core.compute_stats(huge.db, ann, Filters(), by=("year",))
    sections = {each.name: each for each in page_of(by_year).sections}
    assert "months" not in sections
    rows = sections["calendar"].tables[0].rows
    assert [row.values[0] for row in rows] == [*map(str, range(2020, 2035)), "Total"]
    assert rows[-1].values == (
        {each.name: each for each in page_of(by_month).sections}["calendar"]
        .tables[0]
        .rows[-1]
        .values
    )


def test_an_end_in_the_year_9999_leaves_a_report_of_years(database_url: str) -> None:
    with closed(a_world(database_url, record("P-1", forecastEnd="9999-12-31"))) as world:
        found = pfa_core.report(world.db, world.principal())
        (section,) = [each for each in page_of(found).sections if each.name == "calendar"]
        year = found.made_at.year
        assert found.calendar_by == ("year",)
        assert [item.key["year"] for item in found.calendar.months] == [
            str(each) for each in range(2025, year + 31)
        ]
        assert section.paragraphs[0].startswith(f"Costs before {year - 30}, after {year + 30} or")
        total = section.tables[0].rows[-1].values
        assert total[2] == found.stats.figures.cost.forecast.total
        (numbers,) = [each for each in page_of(found).sections if each.name == "numbers"]
        assert f"pfa stats --by year --from {year - 30} --to {year + 30}" in numbers.commands


def test_another_users_work_is_not_in_it(world: World) -> None:
    vera: Principal = world.principal("vera")
    found = pfa_core.report(world.db, vera)
    assert (found.moved.record_count, found.status.sessions) == (0, [])
    assert found.change_sets.groups == []


@contextmanager
def closed(world: World) -> Iterator[World]:
    try:
        yield world
    finally:
        world.close()


def test_what_a_reader_has_to_know_first_stands_at_the_top(world: World) -> None:
    found = pfa_core.report(world.db, world.principal())
    assert page_of(found).warnings == ()
    status = replace(
        found.status,
        baseline_at=found.made_at - timedelta(days=2),
        pull_interrupted_at=found.made_at,
        behind=3,
        runs=[replace(found.status.runs[0], status=RunStatus.FAILED)],
        conflicts=1,
        sync_errors=2,
        overtaken=4,
    )
    assert page_of(replace(found, status=status)).warnings == (
        f"The data of PEMS are old: last pull {found.made_at - timedelta(days=2):%Y-%m-%d %H:%M} UTC"
        " (2 days ago).",
        "The last pull from PEMS was interrupted; records are of different times.",
        "PEMS is ahead: the last pull rejected 3 records since an unknown time.",
        "The last pull failed.",
        "1 conflict to resolve.",
        "2 changes rejected by PEMS.",
        "4 changes overtaken by PEMS.",
    )
    never = replace(found, status=replace(found.status, baseline_at=None))
    assert page_of(never).warnings == ("No pull from PEMS has completed yet.",)
    assert dict(page_of(never).facts)["PEMS data"] == "never"


def test_a_push_that_a_limit_stopped_is_told_from_one_that_failed(database_url: str) -> None:
    records = [record("P-1"), record("P-2")]
    world = a_world(database_url, *owned(records))
    with closed(world), a_pems_beside(world, *records) as far:
        ann = world.principal()
        for pfa_id in ("P-1", "P-2"):
            draft(world.db, ann, pfa_id, model="Other")
        commit(world.db, ann)
        with pytest.raises(errors.GuardExceeded):
            far.push(guards=Guards(max_records=1))
        found = pfa_core.report(world.db, ann)
        assert page_of(found).warnings == (
            "The last push was stopped by a limit: nothing was sent.",
        )
        run = replace(found.status.runs[0], status=RunStatus.FAILED, message="PEMS is unreachable")
        failed = replace(found, status=replace(found.status, runs=[run]))
        assert page_of(failed).warnings == ("The last push failed.",)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("", ""),
        ("PEMS is unreachable: over a limit; no change was confirmed", ""),
        ("the version is over the other: kept; nothing was sent", ""),
        (
            "the push is over a limit: 2 records, at most 1 (ann); nothing was sent",
            "nothing was sent",
        ),
        (
            "with what was committed meanwhile the push is over 2 limits: 3 records, at most 1 (the caller);"
            " money, at most 5.00 (the caller); what it had claimed was sent, the rest waits",
            "what it had claimed was sent, the rest waits",
        ),
    ],
)
def test_a_refusal_is_known_by_its_message(message: str, kept: str) -> None:
    assert kept_by_refusal(message) == kept


def test_one_category_and_one_month_are_not_compared_with_others(database_url: str) -> None:
    dates = {"originalStart": "2026-03-01", "originalEnd": "2026-03-10", "actualStart": None}
    one = record(
        "P-1", category="Crane", forecastStart="2026-03-01", forecastEnd="2026-03-20",
        actualEnd=None, **dates,
    )  # fmt: skip
    with closed(a_world(database_url, one)) as world:
        page = page_of(pfa_core.report(world.db, world.principal()))
        sections = {each.name: each for each in page.sections}
        charts = [sections[name].chart for name in ("categories", "calendar")]
        assert [chart and chart.summary for chart in charts] == [
            "Crane is all there is; its forecast is above the plan. The table below has every number.",
            "All of it is in 2026-03. Every month is listed at the end.",
        ]


def test_the_page_lists_the_commands_that_the_docs_name(world: World) -> None:
    (*_, numbers) = page_of(pfa_core.report(world.db, world.principal())).sections
    text = Path("docs/everyday-work.md").read_text()
    part = text[text.index("All numbers are of one moment") : text.index("`--top N` lists")]
    assert re.findall(r"`(pfa [^`]*)`", part) == list(numbers.commands)
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    (*_, blind) = page_of(
        pfa_core.report(world.db, world.add_user("vera", "viewer", rights=rights))
    ).sections
    assert not [line for line in blind.commands if "variance" in line or "pfa diff --top" in line]


@pytest.mark.parametrize("masked", [False, True])
def test_conflicts_are_listed_with_the_three_values_of_each_field(
    world: World, masked: bool
) -> None:
    found = pfa_core.report(world.db, world.principal())
    rate = FieldConflict("monthlyRate", None, None, None)
    if not masked:
        rate = FieldConflict("monthlyRate", Decimal("1000"), Decimal("1200"), Decimal("900"))
    conflict = ConflictView(
        conflict_id=ConflictId("c"),
        pfa_id=PfaId("P-1"),
        fields=(rate, FieldConflict("model", None, "A", "B")),
        status=ConflictStatus.OPEN,
        modified_by=UserId("ann"),
        created_at=found.made_at,
        modification_id=ModificationId("m"),
        session_id=SessionId("one"),
        change_reason=None,
        pems_now={},
        resolution=None,
        settlement=None,
        resolved_at=None,
        resolved_by=None,
        masked=masked,
    )
    status = replace(found.status, conflicts=5)
    page = page_of(replace(found, conflicts=(conflict,), status=status))
    (section,) = [each for each in page.sections if each.name == "conflicts"]
    shown = "monthlyRate: hidden" if masked else "monthlyRate: 1000 → 1200, PEMS 900"
    assert section.paragraphs == ("Open conflicts of ann, whatever the filters: 5.",)
    assert [row.values for row in section.tables[0].rows] == [
        ("P-1", f"{shown}; model: (none) → A, PEMS B", "one", found.made_at)
    ]
