"""Deltas: storable values, rules of the merged record, the merge law, the three-way check."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import Fault
from pfa_core.model.delta import (
    RULED,
    FieldChange,
    FieldConflict,
    changes,
    check,
    clean,
    merge,
    same,
    three_way,
    unwritable,
)
from pfa_core.model.record import EDITABLE, FIELDS
from tests.factories import record
from tests.model.strategies import any_deltas, clean_deltas, json_values


def found(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.field, fault.code) for fault in faults]


# --- clean -------------------------------------------------------------------------------------


def test_a_clean_delta_is_trimmed_and_cast():
    values, faults = clean(
        "P-1",
        {
            "category": " Crane ",
            "monthlyRate": "5500.50",
            "forecastStart": "2025-12-10T00:00:00Z",
            "isDiscontinued": True,
            "actualEnd": None,
        },
    )
    assert faults == []
    assert values == {
        "category": "Crane",
        "monthlyRate": Decimal("5500.50"),
        "forecastStart": "2025-12-10",
        "isDiscontinued": True,
        "actualEnd": None,
    }


def test_all_faults_of_a_delta_are_reported_in_its_order_and_the_good_fields_kept():
    values, faults = clean(
        "P-1",
        {
            "montlyRate": 1,
            "originalStart": "2025-01-01",
            "monthlyRate": -1,
            "category": "Crane",
            "source": "Lease",
            "isActualized": "yes",
            "forecastStart": "2025-02-30",
        },
    )
    assert values == {"category": "Crane"}
    assert {fault.pfa_id for fault in faults} == {"P-1"}
    assert found(faults) == [
        ("montlyRate", "UNKNOWN_FIELD"),
        ("originalStart", "READ_ONLY_FIELD"),
        ("monthlyRate", "INVALID_RANGE"),
        ("source", "INVALID_ENUM_VALUE"),
        ("isActualized", "INVALID_TYPE"),
        ("forecastStart", "INVALID_TYPE"),
    ]
    assert "monthlyRate" in faults[0].message


@pytest.mark.parametrize(
    ("delta", "code"),
    [({}, "EMPTY_DELTA"), ([], "INVALID_TYPE"), (None, "INVALID_TYPE"), ("x", "INVALID_TYPE")],
)
def test_a_delta_that_changes_nothing_or_is_not_an_object_is_refused(delta, code):
    values, faults = clean("P-1", delta)
    assert (values, found(faults)) == ({}, [("delta", code)])


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_only_editable_fields_may_stand_in_a_delta(name):
    wrong = unwritable(name)
    assert (wrong is None) == (name in EDITABLE)
    assert wrong is None or wrong.code == "READ_ONLY_FIELD"


@pytest.mark.parametrize(
    "name", ["", "PFAID", "hasplan", pytest.param("x" * 10_000, id="long"), "__proto__"]
)
def test_a_name_that_is_not_a_field_is_refused(name):
    wrong = unwritable(name)
    assert wrong is not None
    assert wrong.code == "UNKNOWN_FIELD"


@given(any_deltas)
def test_cleaning_twice_is_cleaning_once(delta):
    values, _ = clean("P-1", delta)
    if values:
        assert clean("P-1", values) == (values, [])


@given(clean_deltas.filter(bool))
def test_a_clean_delta_has_no_faults_and_stays_as_it_is(delta):
    assert clean("P-1", delta) == (delta, [])


# --- the rules of the merged record (domain.md 9, cases 97 to 109) -----------------------------


@pytest.mark.parametrize(
    ("current", "delta"),
    [
        ({}, {"monthlyRate": 5000, "forecastStart": "2025-12-10"}),
        ({}, {"monthlyRate": 0}),
        ({}, {"source": "Rental"}),
        ({}, {"source": "Purchase", "purchasePrice": 150_000}),
        ({"purchasePrice": 0}, {"source": "Purchase"}),
        ({}, {"purchasePrice": None}),
        ({}, {"forecastStart": "2025-12-31"}),
        ({}, {"forecastStart": None}),
        ({"forecastEnd": None}, {"forecastStart": "2030-01-01"}),
        ({}, {"dor": "BEO"}),
        ({"isActualized": True, "actualStart": "2025-12-10"}, {"actualStart": "2025-12-05"}),
        ({"isActualized": True, "actualStart": "2025-12-10"}, {"actualStart": "2025-12-10"}),
        ({"isActualized": True}, {"actualStart": "2025-12-10"}),
        ({"isActualized": True}, {"source": "Rental"}),
        ({"isActualized": True}, {"forecastEnd": "2026-02-01"}),
        ({}, {"isActualized": True, "source": "Purchase", "purchasePrice": 1}),
        ({"isDiscontinued": True}, {"isDiscontinued": True}),
        ({"isDiscontinued": True}, {"monthlyRate": 1}),
        ({"isFundsTransferable": True}, {"isDiscontinued": True, "isFundsTransferable": False}),
    ],
)
def test_these_deltas_keep_the_rules(current, delta):
    assert check("P-1", record(**current), delta) == []


@pytest.mark.parametrize(
    ("current", "delta", "faults"),
    [
        (
            {},
            {"forecastStart": "2027-05-02", "forecastEnd": "2027-05-01"},
            [("forecastEnd", "INVALID_DATE_ORDER")],
        ),
        ({}, {"forecastEnd": "2025-11-30"}, [("forecastEnd", "INVALID_DATE_ORDER")]),
        ({}, {"forecastStart": "2026-01-01"}, [("forecastEnd", "INVALID_DATE_ORDER")]),
        (
            {"actualStart": "2025-12-10"},
            {"actualEnd": "2025-12-09"},
            [("actualEnd", "INVALID_DATE_ORDER")],
        ),
        ({}, {"monthlyRate": None}, [("monthlyRate", "MISSING_REQUIRED_FIELD")]),
        ({}, {"source": "Purchase"}, [("purchasePrice", "MISSING_REQUIRED_FIELD")]),
        (
            {"source": "Purchase", "purchasePrice": 1, "monthlyRate": None},
            {"source": "Rental"},
            [("monthlyRate", "MISSING_REQUIRED_FIELD")],
        ),
        (
            {"isActualized": True, "actualStart": "2025-12-10"},
            {"actualStart": "2025-12-11"},
            [("actualStart", "BUSINESS_RULE_VIOLATION")],
        ),
        (
            {"isActualized": True, "purchasePrice": 1},
            {"source": "Purchase"},
            [("source", "BUSINESS_RULE_VIOLATION")],
        ),
        (
            {"isDiscontinued": True},
            {"isDiscontinued": False},
            [("isDiscontinued", "BUSINESS_RULE_VIOLATION")],
        ),
        (
            {"isDiscontinued": True},
            {"isFundsTransferable": True},
            [("isFundsTransferable", "BUSINESS_RULE_VIOLATION")],
        ),
        (
            {"isFundsTransferable": True},
            {"isDiscontinued": True},
            [("isDiscontinued", "BUSINESS_RULE_VIOLATION")],
        ),
        (
            {"isActualized": True, "actualStart": "2025-12-10"},
            {
                "actualStart": "2025-12-20",
                "forecastEnd": "2025-01-01",
                "source": "Purchase",
                "actualEnd": "2025-12-19",
            },
            [
                ("forecastEnd", "INVALID_DATE_ORDER"),
                ("actualEnd", "INVALID_DATE_ORDER"),
                ("purchasePrice", "MISSING_REQUIRED_FIELD"),
                ("source", "BUSINESS_RULE_VIOLATION"),
                ("actualStart", "BUSINESS_RULE_VIOLATION"),
            ],
        ),
    ],
)
def test_these_deltas_break_a_rule_and_every_one_is_reported(current, delta, faults):
    reported = check("P-1", record(**current), delta)
    assert found(reported) == faults
    assert {fault.pfa_id for fault in reported} == {"P-1"}


@pytest.mark.parametrize(
    "current",
    [
        {"forecastStart": "2026-01-01", "forecastEnd": "2025-01-01"},
        {"monthlyRate": None},
        {"isDiscontinued": True, "isFundsTransferable": True},
        {"originalStart": "2026-01-01", "originalEnd": "2025-01-01"},
    ],
)
def test_a_fault_of_pems_itself_does_not_stop_an_edit_elsewhere(current):
    assert check("P-1", record(**current), {"manufacturer": "Grove"}) == []


# --- the merge law -----------------------------------------------------------------------------


def test_the_last_word_on_a_field_wins_and_null_sets_null():
    baseline = {"a": 1, "b": {"x": 1, "y": 2}, "c": 3}
    merged = merge(baseline, {"a": 2, "b": {"x": 9}}, {"a": None}, {"d": 4})
    assert merged == {"a": None, "b": {"x": 9}, "c": 3, "d": 4}
    assert baseline == {"a": 1, "b": {"x": 1, "y": 2}, "c": 3}


@given(any_deltas, any_deltas, any_deltas)
def test_merge_is_associative(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three)) == merge(one, two, three)


@given(any_deltas)
def test_merging_nothing_changes_nothing(delta):
    assert merge(delta) == merge(delta, {}) == merge({}, delta) == delta


@given(any_deltas, any_deltas)
def test_merging_the_same_delta_again_changes_nothing(baseline, delta):
    assert merge(baseline, delta, delta) == merge(baseline, delta)


@given(any_deltas, any_deltas)
def test_a_merged_record_has_the_deltas_fields_and_the_baselines_others(baseline, delta):
    merged = merge(baseline, delta)
    assert merged.keys() == baseline.keys() | delta.keys()
    for name, value in merged.items():
        assert value is (delta if name in delta else baseline)[name]


# --- same, changes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, Decimal("1.00")),
        (0, Decimal("-0")),
        ("a", "a"),
        (None, None),
        (True, True),
        ({"a": 1, "b": [1]}, {"b": [Decimal("1.0")], "a": Decimal(1)}),
        ([], []),
    ],
)
def test_values_that_are_the_same_to_the_database(one, other):
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        (None, False),
        (None, ""),
        ("1", 1),
        ([1], [True]),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1, "b": None}),
        ([1, 2], [2, 1]),
        ("a", "A"),
    ],
)
def test_values_that_differ_to_the_database(one, other):
    assert not same(one, other)
    assert not same(other, one)


@given(json_values)
def test_every_value_is_the_same_as_itself(value):
    assert same(value, value)


def test_changes_stand_in_the_order_of_the_field_table_and_then_by_name():
    before = {"zeta": 1, "category": "Crane", "monthlyRate": 5000, "contract": None, "dor": "BEO"}
    after = {"alpha": 2, "monthlyRate": Decimal("5500"), "category": "Truck", "dor": "BEO"}
    assert changes(before, after) == [
        FieldChange("category", "Crane", "Truck"),
        FieldChange("monthlyRate", 5000, Decimal("5500")),
        FieldChange("alpha", None, 2),
        FieldChange("zeta", 1, None),
    ]


@given(any_deltas)
def test_nothing_changes_between_a_record_and_itself(delta):
    assert changes(delta, delta) == []


# --- three-way (cases 61 to 70) ----------------------------------------------------------------


def test_a_field_that_both_sides_changed_conflicts_and_no_other_does():
    base = {"forecastStart": "2025-12-01", "monthlyRate": 5000, "category": "Crane"}
    mine = {"forecastStart": "2025-12-10", "monthlyRate": 5500, "category": "Truck"}
    pems = {"forecastStart": "2025-12-05", "monthlyRate": 6000, "category": "Crane"}
    assert three_way(base, mine, pems) == [
        FieldConflict("forecastStart", "2025-12-01", "2025-12-10", "2025-12-05"),
        FieldConflict("monthlyRate", 5000, 5500, 6000),
    ]


def test_a_field_where_pems_has_my_value_already_is_settled():
    assert (
        three_way({"monthlyRate": 5000}, {"monthlyRate": 5500}, {"monthlyRate": Decimal("5500.00")})
        == []
    )


def test_null_and_missing_are_one():
    assert three_way({"actualEnd": None}, {"actualEnd": "2025-12-31"}, {}) == []
    assert three_way({}, {"actualEnd": "2025-12-31"}, {"actualEnd": None}) == []


def test_a_field_that_pems_cleared_conflicts():
    assert three_way({"monthlyRate": 1}, {"monthlyRate": 2}, {}) == [
        FieldConflict("monthlyRate", 1, 2, None)
    ]


@given(any_deltas, any_deltas, any_deltas)
def test_only_drafted_fields_that_pems_changed_ever_conflict(base, mine, pems):
    for conflict in three_way(base, mine, pems):
        assert conflict.field in mine
        assert not same(base.get(conflict.field), pems.get(conflict.field))


@given(any_deltas, any_deltas)
def test_where_pems_did_not_move_nothing_conflicts(base, mine):
    assert three_way(base, mine, base) == []


@given(any_deltas, any_deltas)
def test_where_pems_has_mine_nothing_conflicts(base, mine):
    assert three_way(base, mine, merge(base, mine)) == []


@given(any_deltas, st.data())
def test_the_check_does_not_depend_on_fields_outside_the_delta(base, data):
    mine = data.draw(any_deltas)
    pems = data.draw(any_deltas)
    touched = {name: value for name, value in pems.items() if name in mine}
    assert three_way(base, mine, pems) == three_way(base, mine, touched)


@given(clean_deltas, clean_deltas, clean_deltas)
def test_the_rules_look_at_no_other_fields_than_they_say(baseline, earlier, delta):
    current = merge(record(**baseline), earlier)
    looked_at = {name: value for name, value in current.items() if name in RULED}
    assert check("P-1", looked_at, delta) == check("P-1", current, delta)
