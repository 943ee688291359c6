"""What changed in PEMS: each record once, before and after, with what it adds to the forecast cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pfa_core
from pfa_core import errors
from pfa_core.model.change_order import decode_place, encode_place
from pfa_core.model.changes import ChangeKind, ChangeRow, ChangeTotals, ChangeWindow, RecordChange
from pfa_core.model.costing import Costing
from pfa_core.model.money import cents, forecast_money_days, money
from pfa_core.model.ordering import CHANGES
from pfa_core.model.query import Filters
from tests.factories import World, a_world, draft, record
from tests.forms import long
from tests.worlds import built_once

# 30 days of 1,000 a month; the mirror has P-1 to P-5 of it.
ONE = Decimal("985.55")


@built_once
def world(url: str) -> World:
    """Five records; then P-1 raised, P-2 raised and lowered again, P-3 shortened, P-6 new."""
    world = a_world(
        url,
        *(record(f"P-{number}") for number in range(1, 6)),
        users={"ann": "admin", "bob": "editor"},
    )
    world.add_user("vera", "viewer", rights=["read"])
    world.pull([record("P-1", monthlyRate=2000), record("P-2", monthlyRate=3000)])
    world.pull(
        [
            record("P-2"),
            record("P-3", forecastEnd="2025-12-16"),
            record("P-6", category="Pump", monthlyRate=500),
        ]
    )
    return world


def starts(world: World) -> list[datetime]:
    """When each pull began, the first of them first."""
    return [row[0] for row in world.rows("SELECT started_at FROM pfa_sync_log ORDER BY 1")]


def runs(world: World) -> list[str]:
    return [
        row[0] for row in world.rows("SELECT run_id::text FROM pfa_sync_log ORDER BY started_at")
    ]


def changes(
    world: World,
    window: ChangeWindow,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    user: str = "ann",
    **rest: Any,
) -> list[RecordChange]:
    """The page, which the stream has to agree with."""
    page = pfa_core.list_changes(world.db, world.principal(user), window, filters, **rest)
    counted = pfa_core.ChangeCount()
    streamed = pfa_core.stream_changes(
        world.db, world.principal(user), window, filters, counted=counted, **rest
    )
    assert list(streamed) == page.changes
    if not rest:
        assert counted.totals == page.totals
    return page.changes


def described(found: Sequence[RecordChange]) -> list[tuple[Any, ...]]:
    return [
        (
            item.pfa_id,
            str(item.change),
            [(one.field, one.before, one.after) for one in item.changes],
            item.cost_effect,
        )
        for item in found
    ]


RAISED = ("P-1", "changed", [("monthlyRate", 1000, 2000)], ONE)
SHORTENED = (
    "P-3",
    "changed",
    [("forecastEnd", "2025-12-31", "2025-12-16")],
    Decimal("-492.77"),
)
NEW = ("P-6", "new", [], Decimal("492.77"))


def test_a_record_is_listed_once_as_it_was_before_and_as_it_is(world):
    since = starts(world)[1]
    assert described(changes(world, ChangeWindow(since=since))) == [SHORTENED, NEW, RAISED]


def test_a_record_that_changed_and_changed_back_is_left_out_of_both_and_is_in_each(world):
    _, second, third = starts(world)
    back = ("P-2", "changed", [("monthlyRate", 3000, 1000)], Decimal("-1971.09"))
    up = ("P-2", "changed", [("monthlyRate", 1000, 3000)], Decimal("1971.09"))
    assert described(changes(world, ChangeWindow(since=third))) == [back, SHORTENED, NEW]
    assert described(changes(world, ChangeWindow(since=second, until=third))) == [RAISED, up]


def test_the_first_pull_brings_new_records_and_nothing_came_after_the_last(world):
    first, *_ = starts(world)
    found = changes(world, ChangeWindow(since=first - timedelta(days=1)))
    assert {item.change for item in found} == {ChangeKind.NEW}
    assert [item.pfa_id for item in found] == ["P-2", "P-3", "P-6", "P-1", "P-4", "P-5"]
    assert changes(world, ChangeWindow(since=datetime.now(UTC) + timedelta(days=1))) == []
    assert changes(world, ChangeWindow(until=first)) == []


def test_a_run_s_own_changes_are_those_of_no_other(world):
    first, second, third = runs(world)
    up = ("P-2", "changed", [("monthlyRate", 1000, 3000)], Decimal("1971.09"))
    back = ("P-2", "changed", [("monthlyRate", 3000, 1000)], Decimal("-1971.09"))
    assert described(changes(world, ChangeWindow(run_id=second))) == [RAISED, up]
    assert described(changes(world, ChangeWindow(run_id=third))) == [back, SHORTENED, NEW]
    assert [item.pfa_id for item in changes(world, ChangeWindow(run_id=first))] == [
        f"P-{number}" for number in range(1, 6)
    ]
    assert {item.run_id for item in changes(world, ChangeWindow(run_id=second))} == {second}


def test_since_a_run_means_from_its_beginning(world):
    _, second, _ = runs(world)
    since_run = changes(world, ChangeWindow(since_run=second))
    assert described(since_run) == [SHORTENED, NEW, RAISED]


def test_what_a_run_brought_names_the_run_and_its_user(world):
    [item] = changes(world, ChangeWindow(since=starts(world)[1]), Filters(id=("P-1",)))
    assert (item.run_id, item.direction, item.run_by) == (runs(world)[1], "pull", "ann")
    assert item.version == 2


def test_the_totals_are_of_all_and_rounded_once(world):
    page = pfa_core.list_changes(
        world.db, world.principal(), ChangeWindow(since=starts(world)[1]), limit=1
    )
    assert page.totals == ChangeTotals(new=1, changed=2, missing=0, cost_effect=ONE)
    assert page.totals.record_count == 3


def test_the_total_effect_is_what_the_forecast_of_pems_moved_by(world):
    def forecast() -> Decimal:
        found = pfa_core.compute_stats(world.db, world.principal(), Filters(), baseline=True)
        return found.figures.cost.forecast.total

    before, now = forecast(), datetime.now(UTC)
    world.pull(
        [
            record("P-1", monthlyRate=Decimal("33.33"), forecastStart="2025-12-02"),
            record("P-4", source="Purchase", purchasePrice=7777),
            record("P-5", isDiscontinued=True),
            record("P-7", rateUom="week", monthlyRate=10),
            record("P-8", rateUom="fortnight"),
        ]
    )
    page = pfa_core.list_changes(world.db, world.principal(), ChangeWindow(since=now))
    assert page.totals.cost_effect == forecast() - before
    assert page.totals.cost_effect != 0


ODD = [
    {"rateUom": unit, "currency": currency, **rest}
    for unit, currency in (
        (None, None), ("week", "EUR"), (" WK ", " eur "), ("28 days", None), ("d", "USD"),
    )
    for rest in (
        {},
        {"source": "Purchase", "purchasePrice": Decimal("99.995")},
        {"isFundsTransferable": True},
        {"forecastEnd": None, "monthlyRate": Decimal("0.015")},
        {"forecastStart": "2026-02-01"},
    )
]  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"currency": "EUR", "rate_uom": "week"}], ids=str)
def test_an_effect_is_the_difference_of_costs_in_any_unit_and_currency(world, settings):
    if settings:
        pfa_core.configure_organization(world.db, world.principal(), **settings)
    costing = Costing(**settings)
    first = {f"X-{number:02}": {**fields} for number, fields in enumerate(ODD)}
    second = {f"X-{number:02}": {**fields} for number, fields in enumerate([*ODD[7:], *ODD[:7]])}
    began = datetime.now(UTC)
    world.pull(record(pfa_id, **fields) for pfa_id, fields in first.items())
    # A pull takes no unknown unit; a mirror may have one from before that.
    first["X-00"]["rateUom"] = "fortnight"
    odd = (
        """UPDATE pfa_mirror SET data = data || '{"rateUom": "fortnight"}' WHERE pfa_id = 'X-00'"""
    )
    assert world.execute(odd) == 1
    between = datetime.now(UTC)
    world.pull(record(pfa_id, **fields) for pfa_id, fields in second.items())

    def cost(pfa_id: str, versions: dict[str, dict[str, Any]]) -> Decimal:
        return forecast_money_days(record(pfa_id, **versions[pfa_id]), costing)

    born = changes(world, ChangeWindow(since=began, until=between), limit=1000)
    assert {item.pfa_id: item.cost_effect for item in born} == {
        pfa_id: cents(money(cost(pfa_id, first))) for pfa_id in first
    }
    moved = changes(world, ChangeWindow(since=between), limit=1000)
    assert {item.pfa_id: item.cost_effect for item in moved} == {
        pfa_id: cents(money(cost(pfa_id, second) - cost(pfa_id, first))) for pfa_id in first
    }
    assert len({item.cost_effect for item in moved}) > 5


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-changedAt", ["P-3", "P-6", "P-1"]),
        *long(
            [
                ("changedAt", ["P-1", "P-3", "P-6"]),
                ("-pfaId", ["P-6", "P-3", "P-1"]),
                ("change,-pfaId", ["P-3", "P-1", "P-6"]),
            ]
        ),
        ("-costEffect", ["P-1", "P-6", "P-3"]),
    ],
)
def test_pages_in_every_order_follow_one_another_to_the_end(world, sort, expected):
    window, found, after = ChangeWindow(since=starts(world)[1]), [], None
    for _ in expected:
        page = pfa_core.list_changes(
            world.db, world.principal(), window, limit=1, after=after, sort=sort
        )
        found += [item.pfa_id for item in page.changes]
        after = page.next
    assert (found, after) == (expected, None)
    assert [item.pfa_id for item in changes(world, window, sort=sort)] == expected


def test_filters_choose_records_as_the_caller_sees_them_now(world):
    since = ChangeWindow(since=starts(world)[1])
    draft(world.db, world.principal(), "P-1", category="Pump", session="mine")
    pumps = Filters(category=("Pump",))
    assert [item.pfa_id for item in changes(world, since, pumps)] == ["P-6", "P-1"]
    assert [item.pfa_id for item in changes(world, since, pumps, "bob")] == ["P-6"]
    assert [item.pfa_id for item in changes(world, since, Filters(changed=True))] == ["P-1"]
    assert changes(world, since, Filters(changed=True), "bob") == []
    assert [item.pfa_id for item in changes(world, since, Filters(session=("mine",)))] == ["P-1"]
    assert [item.pfa_id for item in changes(world, since, Filters(search="p-3"))] == ["P-3"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("monthlyRate > 600 and category = Crane", ["P-3", "P-1"]),
        *long(
            [
                ("pems.monthlyRate >= 2000", ["P-1"]),
                ("mine.category = Pump", []),
                ("forecastEnd < 2025-12-20", ["P-3"]),
            ]
        ),
    ],
)
def test_an_expression_chooses_records_too(world, where, expected):
    since = ChangeWindow(since=starts(world)[1])
    assert [item.pfa_id for item in changes(world, since, Filters(where=where))] == expected


def test_missing_records_are_listed_with_no_effect(world):
    at, [run] = datetime.now(UTC), runs(world)[-1:]
    world.execute("UPDATE pfa_mirror SET missing_since = %s WHERE pfa_id IN ('P-3', 'P-5')", at)
    found = described(changes(world, ChangeWindow(since=starts(world)[1])))
    lost = ("P-3", "missing", *SHORTENED[2:])
    assert found == [("P-5", "missing", [], 0), lost, NEW, RAISED]
    assert described(changes(world, ChangeWindow(since=at - timedelta(microseconds=1)))) == [
        ("P-3", "missing", [], 0),
        ("P-5", "missing", [], 0),
    ]
    [item] = changes(world, ChangeWindow(since=at), Filters(id=("P-5",)))
    assert item.run_id == run
    assert changes(world, ChangeWindow(until=at), Filters(id=("P-5",)))[0].change == "new"


def test_who_may_not_see_money_sees_which_fields_changed_and_no_amount(world):
    since = ChangeWindow(since=starts(world)[1])
    found = described(changes(world, since, user="vera"))
    assert found == [
        ("P-3", "changed", SHORTENED[2], None),
        ("P-6", "new", [], None),
        ("P-1", "changed", [("monthlyRate", None, None)], None),
    ]
    page = pfa_core.list_changes(world.db, world.principal("vera"), since)
    assert page.totals == ChangeTotals(new=1, changed=2, cost_effect=None, masked=True)
    for refused in ({"sort": "costEffect"}, {"filters": Filters(where="monthlyRate > 1")}):
        with pytest.raises(errors.PermissionDenied, match="view_financials"):
            pfa_core.list_changes(world.db, world.principal("vera"), since, **refused)


def test_the_stamp_is_named_where_nothing_else_changed(world):
    now = datetime.now(UTC)
    world.pull(
        [
            record("P-4", pemsVersion="2025-11-02T00:00:00Z"),
            record("P-5", pemsVersion="2025-11-02T00:00:00Z", description="Another"),
        ]
    )
    found = {item.pfa_id: item for item in changes(world, ChangeWindow(since=now))}
    assert [one.field for one in found["P-4"].changes] == ["pemsVersion"]
    assert [one.field for one in found["P-5"].changes] == ["description"]


def test_another_organization_s_changes_are_never_seen(world, postgres):
    other = a_world(world.url, record("P-1", monthlyRate=9), organization="ELSE")
    other.pull([record("P-1", monthlyRate=10)])
    long_ago = ChangeWindow(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert len(changes(world, long_ago)) == 6
    assert described(changes(other, ChangeWindow(run_id=runs(other)[-1]))) == [
        ("P-1", "changed", [("monthlyRate", 9, 10)], Decimal("0.99"))
    ]
    with pytest.raises(errors.NotFound, match="run not found"):
        changes(world, ChangeWindow(run_id=runs(other)[-1]))
    other.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run_id": "r", "since": datetime(2026, 1, 1, tzinfo=UTC)}, "cannot be combined"),
        *long(
            [({"since_run": "r", "since": datetime(2026, 1, 1, tzinfo=UTC)}, "cannot be combined")]
        ),
    ],
)
def test_a_window_has_one_beginning(given, message):
    with pytest.raises(errors.InvalidRequest, match=message):
        ChangeWindow(**given)
    assert ChangeWindow(since=datetime.fromisoformat("2026-01-01")).since == datetime(
        2026, 1, 1, tzinfo=UTC
    )


@pytest.mark.parametrize("run_id", ["nonsense", *long(["00000000-0000-4000-8000-000000000000"])])
def test_an_unknown_run_is_not_found(world, run_id):
    for window in (ChangeWindow(run_id=run_id), ChangeWindow(since_run=run_id)):
        with pytest.raises(errors.NotFound, match="run not found"):
            changes(world, window)


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyItY2hhbmdlZEF0LHBmYUlkIixbIm5vbiIsIlAiXV0"])
def test_a_cursor_that_no_list_returned_is_refused(cursor):
    with pytest.raises(errors.InvalidRequest, match="cursor"):
        decode_place(CHANGES.parse(), cursor or "=")


def test_a_cursor_of_another_order_is_refused(world):
    window = ChangeWindow(since=starts(world)[1])
    page = pfa_core.list_changes(world.db, world.principal(), window, limit=1)
    with pytest.raises(errors.InvalidRequest, match="another order"):
        changes(world, window, after=page.next, sort="pfaId")


@given(
    pfa_id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    effect=st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12
    ),
)
def test_a_cursor_holds_the_place_of_any_row(pfa_id, effect):
    row = ChangeRow(
        pfa_id=pfa_id,
        kind=ChangeKind.CHANGED,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        version=2,
        run_id=None,
        direction=None,
        run_by=None,
        before={},
        after={},
        cost_before=Decimal(0),
        cost_after=effect,
    )
    keys = CHANGES.parse("change,costEffect")
    kind, cost, name = decode_place(keys, encode_place(keys, row))
    assert (kind, Decimal(cost), name) == ("changed", effect, pfa_id)
