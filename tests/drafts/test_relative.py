"""Relative values in saves: from the record as the caller sees it, stored as plain values, all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import Change, Filters, Relative, errors
from pfa_core.drafts import save_portions
from pfa_core.drafts.save import SaveResult
from pfa_core.drafts.save_preview import FieldPreview
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.views import codes, everything, one, save, stored, value
from tests.worlds import built_once

P1 = Filters(id=("P-1",))
FIVE = Relative.percent(5)


@built_once
def world(url: str) -> World:
    """Three rentals of 1,000, 1,001.01 and none; a purchase; bob sees no money."""
    return a_world(
        url,
        record("P-1"),
        record("P-2", monthlyRate=Decimal("1001.01")),
        record("P-3", monthlyRate=None, originalStart=None),
        record("P-4", source="Purchase", monthlyRate=None, purchasePrice=500),
        users={"ann": "admin", "bob": "editor"},
    )


def set_fields(world: World, filters: Filters = P1, **rest: Any) -> SaveResult:
    options = ("keep_equal", "partial", "dry_run", "skip_missing")
    more = {name: rest.pop(name) for name in options if name in rest}
    return pfa_core.set_fields(world.db, world.principal(), filters, rest, session_id="s", **more)


def deltas(world: World) -> dict[str, dict[str, Any]]:
    return {row[0]: row[4] for row in stored(world)}


class TestWhatTheyStartFrom:
    def test_the_value_of_pems(self, world: World) -> None:
        set_fields(world, Filters(id=("P-1", "P-2")), monthlyRate=FIVE)
        assert deltas(world) == {
            "P-1": {"monthlyRate": 1050},
            "P-2": {"monthlyRate": Decimal("1051.0605")},
        }

    def test_the_callers_committed_change(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", monthlyRate=2000)
        commit(world.db, world.principal())
        set_fields(world, monthlyRate=FIVE)
        assert value(world, "monthlyRate") == 2100

    def test_the_callers_draft(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", monthlyRate=2000)
        assert set_fields(world, monthlyRate=FIVE).saved[0].version == 2
        assert value(world, "monthlyRate") == 2100

    def test_not_another_users_draft(self, world: World) -> None:
        draft(world.db, world.principal("bob"), "P-1", monthlyRate=2000)
        set_fields(world, monthlyRate=FIVE)
        assert value(world, "monthlyRate") == 1050

    def test_with_replace_the_draft_too_which_then_goes(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", monthlyRate=2000, model="A")
        save(world, Change("P-1", {"monthlyRate": FIVE}), replace=True, move=True)
        assert deltas(world) == {"P-1": {"monthlyRate": 2100}}

    def test_another_field(self, world: World) -> None:
        world.pull([record("P-1", originalStart="2025-11-03")])
        set_fields(world, forecastStart=Relative.value_of("originalStart"))
        assert deltas(world) == {"P-1": {"forecastStart": "2025-11-03"}}

    def test_all_of_a_change_start_from_the_record_before_it(self, world: World) -> None:
        """As in an UPDATE of SQL: the order of fields does not matter."""
        world.pull([record("P-4", source="Purchase", monthlyRate=7, purchasePrice=500)])
        swap = {
            "monthlyRate": Relative.value_of("purchasePrice"),
            "purchasePrice": Relative.value_of("monthlyRate"),
        }
        save(world, Change("P-4", swap))
        assert deltas(world) == {"P-4": {"monthlyRate": 500, "purchasePrice": 7}}

    def test_twice_is_applied_twice_unless_the_version_is_expected(self, world: World) -> None:
        change = Change("P-1", {"monthlyRate": FIVE})
        save(world, change)
        save(world, change)
        assert value(world, "monthlyRate") == Decimal("1102.5")
        once = Change("P-1", {"monthlyRate": FIVE}, expected_version=2)
        save(world, once)
        with pytest.raises(errors.VersionConflict):
            save(world, once)
        assert value(world, "monthlyRate") == Decimal("1157.625")


class TestRules:
    def test_are_checked_on_the_result(self, world: World) -> None:
        before = everything(world)
        with pytest.raises(errors.InvalidData) as refusal:
            set_fields(world, forecastEnd=Relative.later("-1m"))
        assert codes(refusal.value) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        assert everything(world) == before
        set_fields(world, forecastEnd=Relative.later("-30d"))
        assert deltas(world) == {"P-1": {"forecastEnd": "2025-12-01"}}

    def test_an_actualized_record_is_edited_as_by_any_other_value(self, world: World) -> None:
        """Only a shift of a whole record, start and end, is refused."""
        world.pull([record("P-1", isActualized=True)])
        set_fields(world, forecastEnd=Relative.later("14d"))
        assert deltas(world) == {"P-1": {"forecastEnd": "2026-01-14"}}
        with pytest.raises(errors.InvalidData):
            pfa_core.shift(world.db, world.principal(), P1, 14)

    def test_every_fault_of_every_record_is_reported(self, world: World) -> None:
        change = {"monthlyRate": Relative.plus(-1001), "forecastEnd": Relative.later("9000y")}
        with pytest.raises(errors.InvalidData) as refusal:
            save(world, Change("P-1", change), Change("P-2", change), Change("P-9", change))
        assert codes(refusal.value) == [
            ("P-1", "monthlyRate", "INVALID_RANGE"),
            ("P-1", "forecastEnd", "INVALID_RANGE"),
            ("P-2", "forecastEnd", "INVALID_RANGE"),
            ("P-9", "", "NOT_FOUND"),
        ]

    def test_who_may_not_write_money_is_refused_before_it_is_computed(self, world: World) -> None:
        pfa_core.grant(world.db, world.principal(), "bob", "editor", without=["view_financials"])
        for delta in ({"monthlyRate": FIVE}, {"monthlyRate": Relative.plus(-(10**6))}):
            with pytest.raises(errors.PermissionDenied):
                save(world, Change("P-1", delta), user="bob")
        save(world, Change("P-1", {"forecastEnd": Relative.later("1m")}), user="bob")
        assert value(world, "forecastEnd", user="bob") == "2026-01-31"


class TestMissingValues:
    ALL = Filters(id=("P-1", "P-3", "P-4"))

    def test_are_faults_that_name_the_way_out(self, world: World) -> None:
        before = everything(world)
        with pytest.raises(errors.InvalidData) as refusal:
            set_fields(world, self.ALL, monthlyRate=FIVE)
        assert codes(refusal.value) == [
            ("P-3", "monthlyRate", "MISSING_REQUIRED_FIELD"),
            ("P-4", "monthlyRate", "MISSING_REQUIRED_FIELD"),
        ]
        assert {fault.message for fault in refusal.value.details} == {
            "is missing: nothing to apply +5% to"
        }
        assert "`skip_missing=True`" in refusal.value.hint
        assert everything(world) == before

    def test_partial_keeps_the_others_and_reports_them(self, world: World) -> None:
        result = set_fields(world, self.ALL, monthlyRate=FIVE, partial=True)
        assert [fault.pfa_id for fault in result.errors] == ["P-3", "P-4"]
        assert deltas(world) == {"P-1": {"monthlyRate": 1050}}

    def test_are_skipped_where_asked_and_listed(self, world: World) -> None:
        result = set_fields(world, self.ALL, monthlyRate=FIVE, skip_missing=True)
        assert (result.errors, result.skipped) == ([], ["P-3", "P-4"])
        assert deltas(world) == {"P-1": {"monthlyRate": 1050}}

    def test_only_the_field_is_skipped(self, world: World) -> None:
        result = set_fields(world, self.ALL, monthlyRate=FIVE, model="X", skip_missing=True)
        assert result.skipped == ["P-3", "P-4"]
        assert deltas(world) == {
            "P-1": {"monthlyRate": 1050, "model": "X"},
            "P-3": {"model": "X"},
            "P-4": {"model": "X"},
        }

    def test_where_all_is_skipped_nothing_is_saved(self, world: World) -> None:
        before = everything(world)
        result = set_fields(world, Filters(id=("P-3",)), monthlyRate=FIVE, skip_missing=True)
        assert (result.saved, result.unchanged, result.skipped) == ([], [], ["P-3"])
        assert everything(world) == before

    def test_a_skipped_value_does_not_hide_other_faults(self, world: World) -> None:
        with pytest.raises(errors.InvalidData) as refusal:
            set_fields(
                world,
                Filters(id=("P-3",)),
                monthlyRate=FIVE,
                forecastEnd=Relative.later("-1y"),
                skip_missing=True,
            )
        assert codes(refusal.value) == [("P-3", "forecastEnd", "INVALID_DATE_ORDER")]

    def test_another_field_without_a_value_is_missing_and_does_not_clear(
        self, world: World
    ) -> None:
        take = Relative.value_of("originalStart")
        with pytest.raises(errors.InvalidData) as refusal:
            set_fields(world, Filters(id=("P-3",)), forecastStart=take)
        assert refusal.value.details[0].message == "originalStart is missing"
        cleared = set_fields(world, Filters(id=("P-3",)), forecastStart=None)
        assert cleared.saved[0].pfa_id == "P-3"

    def test_a_plain_null_is_no_missing_value(self, world: World) -> None:
        result = set_fields(world, purchasePrice=None, model="X", skip_missing=True)
        assert (result.skipped, deltas(world)) == ([], {"P-1": {"model": "X"}})


NO_OPS = [
    {"monthlyRate": Relative.times(1)},
    {"monthlyRate": Relative.plus(0)},
    {"monthlyRate": Relative.percent(0)},
    {"monthlyRate": Relative.divided_by("1.0", decimals=6)},
    {"monthlyRate": Relative.value_of("monthlyRate")},
    {"forecastEnd": Relative.later("0d")},
    {"forecastStart": Relative.value_of("originalStart")},
]


class TestNoOps:
    @pytest.mark.parametrize("delta", NO_OPS, ids=str)
    def test_are_no_edits(self, world: World, delta: dict[str, Any]) -> None:
        before = everything(world)
        result = save(world, Change("P-1", delta, "why"))
        assert (result.saved, result.unchanged) == ([], ["P-1"])
        assert everything(world) == before

    @pytest.mark.parametrize("delta", NO_OPS, ids=str)
    def test_are_pinned_where_asked(self, world: World, delta: dict[str, Any]) -> None:
        result = save(world, Change("P-1", delta), keep_equal=True)
        assert [item.pfa_id for item in result.saved] == ["P-1"]
        assert deltas(world)["P-1"].keys() == delta.keys()

    def test_are_counted_beside_edits(self, world: World) -> None:
        result = set_fields(
            world, Filters(id=("P-1", "P-2")), monthlyRate=Relative.plus(0, decimals=1)
        )
        assert ([item.pfa_id for item in result.saved], result.unchanged) == (["P-2"], ["P-1"])
        assert deltas(world) == {"P-2": {"monthlyRate": 1001}}

    def test_what_brings_a_value_back_leaves_the_draft_which_goes_with_its_last(
        self, world: World
    ) -> None:
        set_fields(world, monthlyRate=Relative.times(2), forecastEnd=Relative.later("14d"))
        set_fields(world, monthlyRate=Relative.divided_by(2))
        assert deltas(world) == {"P-1": {"forecastEnd": "2026-01-14"}}
        assert set_fields(world, forecastEnd=Relative.later("-2w")).emptied == ["P-1"]
        assert stored(world) == []
        assert one(world).sync_state == "pristine"

    def test_over_a_draft_are_unchanged(self, world: World) -> None:
        set_fields(world, monthlyRate=2000)
        result = set_fields(world, monthlyRate=Relative.times(1))
        assert (result.saved[0].status, result.saved[0].version) == ("unchanged", 1)


class TestPreview:
    def test_says_what_changes_and_stores_nothing(self, world: World) -> None:
        before = everything(world)
        result = set_fields(
            world,
            Filters(source=("Rental",)),
            monthlyRate=FIVE,
            forecastEnd=Relative.later("1m"),
            skip_missing=True,
            dry_run=True,
        )
        assert everything(world) == before
        preview = result.preview
        assert preview is not None
        assert (preview.records, preview.fields) == (
            3,
            [
                FieldPreview("monthlyRate", 2, Decimal("2001.01"), Decimal("2101.06")),
                FieldPreview("forecastEnd", 3, None, None),
            ],
        )
        rates = Fraction(2001_01, 100)
        assert preview.forecast_before == cents(rates * 30 / Fraction(3044, 100))
        assert preview.forecast_after == cents(
            rates * Fraction(105, 100) * 61 / Fraction(3044, 100)
        )

    def test_is_what_stats_say_after_the_save(self, world: World) -> None:
        def forecast() -> Decimal:
            found = pfa_core.compute_stats(world.db, world.principal(), Filters())
            return found.with_amounts().figures.cost.forecast.total

        wide = Filters(id=("P-1", "P-2"))
        was = forecast()
        preview = set_fields(world, wide, monthlyRate=FIVE, dry_run=True).preview
        set_fields(world, wide, monthlyRate=FIVE)
        assert preview is not None
        assert preview.forecast_after is not None
        assert preview.forecast_before is not None
        assert preview.forecast_after - preview.forecast_before == forecast() - was

    def test_counts_only_what_changes_over_the_draft(self, world: World) -> None:
        set_fields(world, monthlyRate=2000)
        wide = Filters(id=("P-1", "P-2"))
        preview = set_fields(world, wide, monthlyRate=2000, dry_run=True).preview
        assert preview is not None
        assert preview.fields == [
            FieldPreview("monthlyRate", 1, Decimal("1001.01"), Decimal("2000.00"))
        ]

    def test_of_a_replaced_draft_shows_the_values_of_pems_again(self, world: World) -> None:
        set_fields(world, Filters(id=("P-1",)), model="MINE", manufacturer="Demag")
        ((below,),) = world.rows("SELECT data FROM pfa_mirror WHERE pfa_id = 'P-1'")
        preview = save(world, Change("P-1", {"monthlyRate": 5}), dry_run=True, replace=True).preview
        assert preview is not None
        (changed,) = preview.changed
        assert {one.field: one.after for one in changed.changes} == {
            "monthlyRate": 5, "model": below.get("model"), "manufacturer": below.get("manufacturer"),
        }  # fmt: skip

    def test_without_a_change_is_empty_and_a_save_has_none(self, world: World) -> None:
        preview = set_fields(world, monthlyRate=Relative.times(1), dry_run=True).preview
        assert preview is not None
        assert (preview.records, preview.fields) == (0, [])
        assert set_fields(world, monthlyRate=FIVE).preview is None

    def test_hides_money_from_who_may_not_see_it(self, world: World) -> None:
        pfa_core.grant(world.db, world.principal(), "bob", "editor", without=["view_financials"])
        later = Change("P-1", {"forecastEnd": Relative.later("1m")})
        preview = save(world, later, user="bob", dry_run=True).preview
        assert preview is not None
        assert preview.fields == [FieldPreview("forecastEnd", 1, None, None)]
        assert (preview.masked, preview.forecast_before, preview.forecast_after) == (
            True,
            None,
            None,
        )


def cents(amount: Fraction) -> Decimal:
    return Decimal(floor(amount * 100 + Fraction(1, 2))).scaleb(-2)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.lists(st.integers(0, 10**8), min_size=1, max_size=6),
    st.integers(-100, 300),
    st.sampled_from([None, 0, 2]),
)
def test_rates_by_a_percentage_are_those_of_fractions(
    world: World, given_cents: list[int], percent: int, decimals: int | None
) -> None:
    rates = {f"R-{n}": Fraction(each, 100) for n, each in enumerate(given_cents)}
    world.pull(
        [record(key, monthlyRate=Decimal(int(r * 100)).scaleb(-2)) for key, r in rates.items()]
    )
    edit = Relative.percent(percent, decimals=decimals)
    set_fields(world, Filters(id=tuple(rates)), monthlyRate=edit)
    for pfa_id, rate in rates.items():
        exact = rate * (100 + percent) / 100
        if decimals is not None:
            exact = Fraction(floor(exact * 10**decimals + Fraction(1, 2)), 10**decimals)
        assert Fraction(value(world, "monthlyRate", pfa_id)) == exact
    pfa_core.discard(world.db, world.principal(), pfa_core.Selection(everything=True))


def test_many_records_are_changed_in_portions_of_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_portions, "TOGETHER", 7)
    many = [record(f"Q-{n:03}", monthlyRate=n + 1) for n in range(40)]
    world.pull(many)
    found = Filters(id=tuple(each["pfaId"] for each in many))
    result = set_fields(world, found, monthlyRate=FIVE, dry_run=True)
    assert result.preview is not None
    assert (result.preview.records, result.preview.fields[0].before) == (40, Decimal("820.00"))
    assert result.preview.fields[0].after == Decimal("861.00")
    assert len(set_fields(world, found, monthlyRate=FIVE).saved) == 40
    assert value(world, "monthlyRate", "Q-039") == 42
    before = everything(world)
    with pytest.raises(errors.InvalidData):  # the first ones have less, the others are taken back
        set_fields(world, found, monthlyRate=Relative.plus(-5))
    assert everything(world) == before


def test_edits_at_the_same_time_start_from_each_other(world: World) -> None:
    """The value is read under the lock: none of them overwrites another's unseen."""

    def edit(number: int) -> None:
        set_fields(world, monthlyRate=Relative.plus(number))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(edit, range(1, 9)))
    assert value(world, "monthlyRate") == 1036
    assert stored(world)[0][3] == 8
