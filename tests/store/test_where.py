"""An expression chooses exactly the records for which it is true, whichever statement reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

import pfa_core
from pfa_core import Filters, Query, errors
from pfa_core.store.reads.filters import conditions
from tests.factories import SelfClosing, World, a_world, commit, draft, record
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
    draft(world.db, ann, "P-5", session="t", model="Silo 4", category="Crane")
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


@drawn("examples", short=12, long=150, night=2000)
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


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("monthlyRate < pems.monthlyRate", ["P-1"]),
        ("pems.manufacturer = Liebherr and manufacturer is missing", ["P-3"]),
        ("pems.equipment is not null and equipment is null", ["P-1"]),
        ("pems.isActualized != isActualized", ["P-1"]),
        ("pems.category != category and pems.category contains VAN", ["P-5"]),
        ("mine.manufacturer is missing and manufacturer is changed", ["P-3"]),
        ("mine.equipment is null and equipment is changed", ["P-1"]),
        ("mine.category != pems.category", ["P-5"]),
        ("manufacturer contains 'MÜLL'", ["P-1"]),
        ("manufacturer is missing", ["P-3", "P-4"]),
        ("manufacturer is null", []),
        ("contract is missing and contract is null", ["P-4"]),
        # The rollup keeps a missing text as an empty one.
        ("currency = ''", []),
        ("currency in ('', usd)", ["P-2"]),
        ("not currency = USD", []),
        ("currency = USD", ["P-2"]),
        ("rateUom = month and not isActualized", ["P-3"]),
        ("isActualized and dor = PROJECT", ["P-1", "P-2"]),
        ("forecastEnd between 2026-01-15+1m and 2026-01-31+1m", ["P-3"]),
        ("pfaId in (P-9, P-5, P-2) and monthlyRate is not null", ["P-2", "P-5"]),
        ("model = 'a\\\\b' or model = 'of bob'", ["P-2"]),
    ],
)
def test_an_expression_distinguishes_what_is_pems_s_the_caller_s_and_missing(
    kept: World, where: str, expected: list[str]
) -> None:
    assert ids(kept, where=where, today=TODAY.isoformat()) == expected


def test_each_user_sees_their_own_changes(kept: World) -> None:
    assert ids(kept, where="model is changed", today=TODAY.isoformat()) == ["P-5"]
    assert ids(kept, "bob", where="model is changed", today=TODAY.isoformat()) == ["P-6"]
    assert ids(kept, "bob", where="mine.model contains BOB", today=TODAY.isoformat()) == ["P-6"]


def test_today_is_the_day_of_the_operation_unless_another_is_named(kept: World) -> None:
    late = replace_clock(kept, datetime(2026, 2, 14, 23, 59, tzinfo=UTC))
    expression = "forecastEnd = today+1d"
    assert ids(kept, where=expression, today="2026-02-14") == ["P-3"]
    assert ids(late, where=expression) == ["P-3"]
    east = datetime(2026, 2, 15, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert ids(replace_clock(kept, east), where=expression) == ["P-3"]
    assert ids(late, where=expression, today="2026-02-15") == []


def replace_clock(world: World, at: datetime) -> World:
    """The world at another time."""
    db = SelfClosing(str(world.db.conninfo), clock=lambda: at)
    return World(db, world.organization, dict(world.users), as_owner=world.as_owner)


@pytest.mark.parametrize("search", ["crane", "an", "zzz"])
def test_an_expression_narrows_what_a_search_finds(kept: World, search: str) -> None:
    found = ids(kept, search=search)
    for where in (
        "not isActualized",
        "monthlyRate > 0.5",
        "category = Crane",
        "mine.model is null",
    ):
        both = ids(kept, search=search, where=where, today=TODAY.isoformat())
        assert both == [
            one for one in ids(kept, where=where, today=TODAY.isoformat()) if one in found
        ]
    assert (len(found) > 1) == (search != "zzz")


def test_pages_of_an_expression_follow_one_another(kept: World) -> None:
    filters = Filters(where="hasPlan or pfaId = P-5", today=TODAY.isoformat())
    for sort in ("forecastStart", "-monthlyRate", "pfaId"):
        query = Query(filters, pfa_core.parse_sort(sort))
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            asked = replace(query, after=after or None)
            page = pfa_core.list_records(kept.db, kept.principal(), asked, page_size=2)
            assert page.total_records == len(ALL)
            found += [one.pfa_id for one in page.records]
            after = page.next
        assert found == [one.pfa_id for one in seen(kept, sort=sort)]


LARGEST = [
    ("model = a or " * 1500 + "pfaId = P-1", ["P-1"]),
    ("category != 'x' and " * 900 + "pfaId = P-1", ["P-1"]),
    (f"pfaId in ({', '.join(f'P-{n}' for n in range(6, 2500))})", ["P-6"]),
    ("not (" * 25 + "hasPlan" + ")" * 25, ["P-5"]),
    ("(" * 50 + "not hasPlan" + ")" * 49 + ")", None),
    ("(" * 49 + "not hasPlan" + ")" * 49, ["P-5"]),
]


@pytest.mark.parametrize(("where", "expected"), LARGEST, ids=range(len(LARGEST)))
def test_the_largest_expressions_are_answered(
    kept: World, where: str, expected: list[str] | None
) -> None:
    if expected is None:
        with pytest.raises(errors.InvalidRequest, match="within one another"):
            Filters(where=where)
    else:
        assert ids(kept, where=where, today=TODAY.isoformat()) == expected
