"""Sums kept of overlays: written by whatever changes them, by two sides that never wait for each other."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

import pfa_core
from pfa_core import Filters, Selection
from pfa_core.store import overlays
from tests.factories import World, a_world, commit, draft, record

BOTH = [record(f"P-{number}", areaSilo=f"Silo {number % 3}") for number in range(1, 41)]


@pytest.fixture
def world(database_url: str) -> World:
    world = a_world(database_url, *BOTH, users={"ann": "admin", "bob": "admin"})
    for number in (1, 2, 3):
        draft(world.db, world.principal(), f"P-{number}", monthlyRate=5, category="Van")
    return world


def sides(world: World) -> list[tuple[bool, int]]:
    """Of each side, how many overlays its rows count."""
    return world.rows(
        "SELECT of_mirror, sum(touched_count)::int FROM kpi_overlay"
        " WHERE user_id = 'ann' AND grain = 'class' GROUP BY 1 ORDER BY 1"
    )


def require_right(world: World) -> None:
    assert pfa_core.verify_database(world.db, world.principal()).clean
    for filters in ({}, {"category": ("Van",)}, {"source": ("Rental",)}):
        kept, read = (
            pfa_core.compute_stats(
                world.db, world.principal(), Filters(**filters, search=search), by=["dor"]
            )
            for search in (None, "-")
        )
        assert kept == read


def written(world: World) -> list[tuple[str, ...]]:
    return sorted(world.rows("SELECT k::text, k.xmin::text FROM kpi_overlay AS k"))


def test_a_commit_and_its_taking_back_write_none_and_the_drafts_are_counted(world: World) -> None:
    before = written(world)
    for step, drafts in ((pfa_core.commit, 2), (pfa_core.uncommit, 3)):
        step(world.db, world.principal(), Selection(ids=("P-1",)))
        stats = pfa_core.compute_stats(world.db, world.principal(), Filters())
        assert stats.figures.draft_count == drafts
        require_right(world)
    assert written(world) == before


def test_an_edit_that_changes_no_sum_writes_none(world: World) -> None:
    before = written(world)
    draft(world.db, world.principal(), "P-1", model="another")
    assert written(world) == before
    draft(world.db, world.principal(), "P-1", monthlyRate=6)
    assert written(world) != before
    require_right(world)


def test_a_pull_s_run_leaves_what_it_posted_on_the_user_s_side(world: World) -> None:
    world.pull([record("P-1", dor="BEO", forecastEnd="2031-01-01")])
    assert sides(world) == [(False, 3)]
    require_right(world)


@pytest.mark.slow
def test_of_a_user_who_is_writing_it_stays_where_it_is_until_the_next_run(world: World) -> None:
    with psycopg.connect(world.url) as busy:
        busy.execute(
            "SELECT FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ann' FOR NO KEY UPDATE"
        )
        world.pull([record("P-1", class_="Other")])
        assert [side for side, _ in sides(world)] == [False, True]
        require_right(world)
    draft(world.db, world.principal(), "P-1", category="Crane")
    require_right(world)
    world.pull([record("P-9", class_="Other")])
    assert sides(world) == [(False, 3)]
    require_right(world)


@pytest.mark.slow
@pytest.mark.parametrize("posted", [False, True])
def test_without_drafts_nothing_is_left_but_what_a_pull_posted_meanwhile(
    world: World, posted: bool
) -> None:
    for number in range(4, 31):
        draft(world.db, world.principal(), f"P-{number}", monthlyRate=number)
    if posted:
        with psycopg.connect(world.url) as busy:
            busy.execute(
                "SELECT FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ann' FOR NO KEY UPDATE"
            )
            world.pull([record("P-1", class_="Other"), record("P-7", monthlyRate=3)])
    pfa_core.discard(world.db, world.principal(), Selection(everything=True))
    require_right(world)
    assert bool(written(world)) == posted
    world.pull([record("P-9", class_="Other")])
    assert written(world) == []


@pytest.mark.slow
def test_sums_of_nothing_go_where_many_drafts_go_at_once(world: World) -> None:
    for number in range(4, 31):
        draft(world.db, world.principal(), f"P-{number}", session="t", areaSilo=f"New {number}")
    pfa_core.discard(world.db, world.principal(), Selection(session_id="t"))
    assert world.rows("SELECT count(*) FROM kpi_overlay WHERE touched_count = 0 AND record_count = 0"
                      " AND area_silo LIKE 'New%%'") == [(0,)]  # fmt: skip
    require_right(world)


def test_those_of_another_user_and_organization_are_not_mixed_in(world: World) -> None:
    there = a_world(world.url, record("P-1"), organization="THERE", users={"ann": "admin"})
    draft(there.db, there.principal(), "P-1", monthlyRate=9)
    draft(world.db, world.principal("bob"), "P-1", monthlyRate=8)
    commit(world.db, world.principal("bob"))
    pfa_core.discard(world.db, world.principal(), Selection(everything=True))
    for one, user, drafts in ((world, "ann", 0), (world, "bob", 0), (there, "ann", 1)):
        found = pfa_core.compute_stats(one.db, one.principal(user), Filters())
        assert found.figures.draft_count == drafts
        plain = pfa_core.compute_stats(one.db, one.principal(user), Filters(search="-"))
        assert found == plain


@pytest.mark.slow
def test_the_sums_of_one_record_are_added_up_by_the_client_as_by_the_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on distributed tables. Amounts have more digits than a number of the client keeps by itself."""
    long = Decimal("123456789012345.123456789012")
    changes = [{"monthlyRate": long}, {"forecastEnd": "2093-07-01"}, {"areaSilo": "Silo 9"},
               {"monthlyRate": long + 1, "category": "Boat"}, {"isDiscontinued": True}]  # fmt: skip
    for number, fields in enumerate(changes):
        monkeypatch.setattr(overlays.rls, "is_distributed", lambda _, odd=number % 2: not odd)
        draft(world.db, world.principal(), "P-1", **fields)
        draft(world.db, world.principal(), "P-5", **fields)
        require_right(world)
    before = written(world)
    monkeypatch.setattr(overlays.rls, "is_distributed", lambda _: True)
    draft(world.db, world.principal(), "P-1", model="another")
    assert written(world) == before
