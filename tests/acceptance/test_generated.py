"""A generated project against figures computed the slow way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, Query, Selection
from pfa_core.model.figures import Stats
from tests.acceptance import brute_force, generate
from tests.factories import World, a_world
from tests.server import Server

Project = tuple[World, list[dict[str, Any]], dict[str, dict[str, Any]]]

CHOICES: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda r: True),
    ({"category": ("Crane", "Loader")}, lambda r: r["category"] in ("Crane", "Loader")),
    ({"category": ("",)}, lambda r: r["category"] == ""),
    ({"area_silo": ("Área 7 – Ampliación",)}, lambda r: r["areaSilo"] == "Área 7 – Ampliación"),
    ({"source": ("Purchase",)}, lambda r: r["source"] == "Purchase"),
    ({"dor": ("BEO",), "actualized": True}, lambda r: r["dor"] == "BEO" and r["isActualized"]),
    ({"discontinued": True}, lambda r: r["isDiscontinued"]),
    ({"transferable": False}, lambda r: not r["isFundsTransferable"]),
    ({"manufacturer": ("100% \\ _x",)}, lambda r: r["manufacturer"] == "100% \\ _x"),
    (
        {"start_from": "2025-01-01", "end_to": "2025-12-31"},
        lambda r: (
            (r["forecastStart"] or "") >= "2025-01-01" and (r["forecastEnd"] or "~") <= "2025-12-31"
        ),
    ),
    (
        {"search": "o'neill"},
        lambda r: "o'neill" in r["manufacturer"].lower(),
    ),
]


@pytest.fixture(scope="module")
def project(postgres: Server, template: str) -> Iterator[Project]:
    """2,000 records, 300 of them drafted by ann, a third of those committed; and what ann sees."""
    rows = list(generate.records(2_000, seed=20_251_123))
    changes = dict(generate.deltas(rows, 300, seed=4))
    with postgres.database(template) as url:
        world = a_world(url, *rows, users={"ann": "admin", "bob": "editor"})
        ann = world.principal()
        for number, (pfa_id, delta) in enumerate(changes.items()):
            session = ("first", "second", "third")[number % 3]
            pfa_core.save(
                world.db, ann, [Change(pfa_id, delta)], session_id=session, keep_equal=True
            )
        pfa_core.commit(world.db, ann, Selection(session_id="first"))
        yield world, rows, changes
        world.db.close()


def stats(project: Project, user: str = "ann", **rest: Any) -> Stats:
    world = project[0]
    by, baseline = rest.pop("by", ()), rest.pop("baseline", False)
    return pfa_core.compute_stats(
        world.db, world.principal(user), Filters(**rest), by=by, baseline=baseline
    )


def pairs(project: Project, matches: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(mirror's, ann's) of the records that match by ann's values."""
    _, rows, changes = project
    both = [(row, {**row, **changes.get(row["pfaId"], {})}) for row in rows]
    return [pair for pair in both if matches(pair[1])]


@pytest.mark.long
def test_the_mirror_is_what_was_generated(project: Project) -> None:
    world, rows, _ = project
    mirror = world.mirror()
    assert len(mirror) == 2_000
    for row in rows:
        assert {name: mirror[row["pfaId"]][name] for name in row} == row


def test_kpis_without_drafts_are_those_computed_the_slow_way(project: Project) -> None:
    rows = project[1]
    expected = brute_force.figures((row, row) for row in rows)
    for result in (stats(project, "bob"), stats(project, baseline=True)):
        assert result.figures == expected
        assert result.category_breakdown == dict(sorted(brute_force.by_category(rows).items()))


@pytest.mark.variants(4)
@pytest.mark.parametrize(
    ("filters", "matches"), CHOICES, ids=lambda value: "" if callable(value) else str(value)[:50]
)
def test_kpis_with_drafts_are_those_computed_the_slow_way(
    project: Project, filters: dict[str, Any], matches: Any
) -> None:
    chosen = pairs(project, matches)
    drafts = [pfa_id for n, pfa_id in enumerate(project[2]) if n % 3]
    drafted = sum(merged["pfaId"] in drafts for _, merged in chosen)
    expected = brute_force.figures(chosen, drafted)
    found = stats(project, **filters)
    assert found.figures.cost.plan == expected.cost.plan
    assert found.figures.cost == expected.cost
    # What the same question answers without drafts is asked of other records: by the mirror's values.
    theirs = [(row, row) for row in project[1] if matches(row)]
    assert found.figures.baseline_cost == brute_force.figures(theirs).cost
    assert (found.figures.total_records, found.figures.draft_count) == (len(chosen), drafted)
    assert found.figures.total_monthly_rental == expected.total_monthly_rental
    assert found.figures.total_purchase_cost == expected.total_purchase_cost
    assert found.category_breakdown == dict(
        sorted(brute_force.by_category(merged for _, merged in chosen).items())
    )


@pytest.mark.variants(4)
@pytest.mark.parametrize(
    ("filters", "matches"), CHOICES, ids=lambda value: "" if callable(value) else str(value)[:50]
)
def test_a_list_holds_exactly_the_records_that_match_by_merged_values(
    project: Project, filters: dict[str, Any], matches: Any
) -> None:
    world = project[0]
    expected = {merged["pfaId"]: merged for _, merged in pairs(project, matches)}
    found = list(pfa_core.stream_records(world.db, world.principal(), Query(Filters(**filters))))
    assert len(found) == len(expected)
    for row in found:
        data = row.data
        assert {name: data[name] for name in expected[row.pfa_id]} == expected[row.pfa_id]


@pytest.mark.variants(2)
@pytest.mark.parametrize("by", ["category", "areaSilo", "manufacturer", "isDiscontinued", "model"])
def test_groups_are_the_kpis_of_their_records(project: Project, by: str) -> None:
    chosen = pairs(project, lambda _: True)
    drafts = {pfa_id for n, pfa_id in enumerate(project[2]) if n % 3}
    for group in stats(project, by=(by,)).groups:
        mine = [pair for pair in chosen if pair[1][by] == group.key[by]]
        expected = brute_force.figures(mine, sum(pair[0]["pfaId"] in drafts for pair in mine))
        assert group.figures.cost == expected.cost
        assert group.figures.total_records == expected.total_records
        assert group.figures.draft_count == expected.draft_count


def test_the_diff_adds_up_to_the_impact(project: Project) -> None:
    world = project[0]
    report = pfa_core.diff(world.db, world.principal(), Filters())
    expected = brute_force.figures(pairs(project, lambda _: True)).draft_impact
    assert (report.cost_effect, report.record_count) == (expected, 300)
    assert stats(project).figures.draft_impact == expected
