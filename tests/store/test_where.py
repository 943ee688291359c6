"""An expression chooses exactly the records for which it is true, whichever statement reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

import pfa_core
from pfa_core import Filters
from pfa_core.store.reads.filters import conditions
from tests.factories import World, a_world, commit, draft, record
from tests.forms import drawn
from tests.life_cycle.views import ids, seen
from tests.store.expressions import TODAY, Meaning, expressions
from tests.worlds import a_copy

ALL = ["P-1", "P-2", "P-3", "P-4", "P-5", "P-6"]
EMPTY = {"manufacturer": None, "model": None, "contract": None, "description": None}


def _build(url: str) -> World:
    world = a_world(
        url,
        record(
            "P-1", areaSilo="Silo 4", manufacturer="Müller", equipment="EQ 40%", monthlyRate=1000.5
        ),
        record("P-2", model="a\\b", description="O'Neill_1", isActualized=True, currency="USD"),
        record(
            "P-3",
            category='Trailer, 40" flat',
            class_="",
            source="Purchase",
            dor="BEO",
            purchasePrice=5000,
            monthlyRate=None,
            isDiscontinued=True,
            forecastStart="2026-01-01",
            forecastEnd="2026-02-28",
            rateUom="MONTH",
        ),
        record("P-4", isFundsTransferable=True, forecastStart=None, forecastEnd=None, **EMPTY),
        record("P-5", category="Van", originalStart=None, originalEnd=None, monthlyRate=0.1),
        record("P-6", areaSilo="", actualStart="2026-01-15", actualEnd="2026-02-14", monthlyRate=0),
        users={"ann": "admin", "bob": "editor"},
    )
    ann = world.principal()
    draft(world.db, ann, "P-1", monthlyRate=1000, isActualized=True, areaSilo="Crane")
    commit(world.db, ann)
    draft(world.db, ann, "P-1", session="t", monthlyRate=999.99, equipment=None)
    draft(world.db, ann, "P-3", session="t", manufacturer="", forecastEnd="2026-02-15")
    draft(world.db, ann, "P-5", session="t", model="LTM 1030", monthlyRate=0.1, category="Crane")
    draft(world.db, world.principal("bob"), "P-6", model="of bob")
    return world


@pytest.fixture(scope="module")
def kept(postgres: Any) -> Any:
    """Six records with every kind of value and without, four of them changed, one of those twice."""
    with a_copy(postgres, _build) as copy:
        yield copy


def rows(world: World, user: str = "ann") -> dict[str, dict[str, Any]]:
    """What each record is to the user: merged, PEMS's, the user's own changes."""
    pems = {one.pfa_id: one.data for one in seen(world, user, baseline=True)}
    shown = pfa_core.show_records(world.db, world.principal(user), ALL)
    mine = {one.pfa_id: one.mine for one in shown}
    return {
        one.pfa_id: {"merged": one.data, "pems": pems[one.pfa_id], "mine": mine[one.pfa_id]}
        for one in seen(world, user)
    }


@drawn("examples", short=60, long=1000)
def test_an_expression_matches_what_it_is_true_of_and_its_opposite_what_it_is_false_of(
    kept: World, examples: int
) -> None:
    world, principal = kept, kept.principal()
    records = rows(world)
    pristine = {
        pfa_id: {"merged": row["pems"], "pems": row["pems"], "mine": {}}
        for pfa_id, row in records.items()
    }

    @given(expressions)
    @example(Meaning("isActualized", lambda row: bool(row["merged"]["isActualized"])))
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    def check(meaning: Meaning) -> None:
        truth = {pfa_id: meaning.of(row) for pfa_id, row in records.items()}
        filters = Filters(where=meaning.text, today=TODAY.isoformat())
        true = [pfa_id for pfa_id in ALL if truth[pfa_id] is True]
        assert ids(world, where=meaning.text, today=TODAY.isoformat()) == true
        opposite = f"not ({meaning.text})"
        false = [pfa_id for pfa_id in ALL if truth[pfa_id] is False]
        assert ids(world, where=opposite, today=TODAY.isoformat()) == false
        stats = pfa_core.compute_stats(world.db, principal, filters)
        assert stats.figures.total_records == len(true)
        of_pems = [pfa_id for pfa_id in ALL if meaning.of(pristine[pfa_id]) is True]
        asked = {"where": meaning.text, "today": TODAY.isoformat()}
        assert ids(world, baseline=True, **asked) == of_pems
        changed = pfa_core.list_drafts(world.db, principal, replace(filters, state=("draft",)))
        assert [one.pfa_id for one in changed] == [p for p in true if p in ("P-1", "P-3", "P-5")]

    check()


def test_filters_that_no_transaction_authorized_are_not_composed() -> None:
    with pytest.raises(AssertionError, match="not authorized"):
        conditions(Filters(where="hasPlan"))
    assert conditions(Filters(where="hasPlan", today="2026-01-01"))
