"""Views as values: their content and back, filters joined, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.model import view as views
from pfa_core.model.query import Filters
from pfa_core.model.view import View, parse_view

# Of every filter a value, as it is given.
EVERY: dict[str, Any] = {
    **dict.fromkeys(
        ("category", "class_", "manufacturer", "model", "contract"),
        ("Crane", 'Trailer, 40" flat', "Kran Ö"),
    ),
    **dict.fromkeys(("source", "dor", "area_silo", "currency", "id"), ("A",)),
    **dict.fromkeys(("start_from", "start_to", "end_from", "end_to"), "2026-12-01"),
    **dict.fromkeys(("actualized", "discontinued", "transferable"), False),
    **dict.fromkeys(("no_start", "no_end", "no_rate", "no_price", "changed"), True),
    "state": ("draft", "pristine"),
    "session": ("weather silo 4",),
    "search": "50% off_hire \\",
    "where": "forecastStart between today and today+30d and not category in (Crane, 'a, b')",
}
CRANES = View(name="cranes", filters=Filters(category=("Crane",), actualized=False))


def test_every_filter_has_a_value_here() -> None:
    assert {item.name for item in fields(Filters)} - EVERY.keys() == {"today"}


@pytest.mark.parametrize("name", EVERY)
def test_every_filter_is_what_it_was_after_it_was_stored(name: str) -> None:
    view = View(name="one", filters=Filters(**{name: EVERY[name]}))
    stored = json.loads(json.dumps(view.content()))
    assert parse_view("one", stored, "it") == view
    assert list(stored) == ["filters"]
    assert len(stored["filters"]) == 1


def test_all_of_them_columns_and_order_too() -> None:
    view = View(name="all", filters=Filters(**EVERY), columns=("pfaId", "data.x"), sort="-category")
    assert parse_view("all", json.loads(json.dumps(view.content())), "it") == view


def test_dates_relative_to_today_stay_so() -> None:
    assert CRANES.content() == {"filters": {"category": ["Crane"], "actualized": False}}
    view = View(name="soon", filters=Filters(where="forecastStart < today+30d"))
    assert view.content() == {"filters": {"where": "forecastStart < today+30d"}}
    with pytest.raises(InvalidRequest, match="no day of its own"):
        View(name="soon", filters=Filters(where="forecastStart < today", today="2026-01-01"))


@pytest.mark.parametrize("name", EVERY)
def test_a_filter_is_taken_from_the_view_or_from_beside_it(name: str) -> None:
    one = Filters(**{name: EVERY[name]})
    other = Filters(category=("Pump",)) if name != "category" else Filters(dor=("BEO",))
    both = replace(other, **{name: EVERY[name]})
    assert View(name="v", filters=one).narrowed(Filters()) == one
    assert View(name="v", filters=Filters()).narrowed(one) == one
    assert View(name="v", filters=one).narrowed(other) == both
    assert View(name="v", filters=other).narrowed(one) == both
    assert View(name="v", filters=one).narrowed(one) == one  # the same twice says nothing else


@pytest.mark.parametrize(
    "other",
    [
        {"category": ("Pump",)},
        {"category": ("Crane", "Pump")},
        {"actualized": True},
    ],
)
def test_the_same_filter_with_another_value_could_mean_either_and_is_refused(other: Any) -> None:
    with pytest.raises(
        InvalidRequest, match=r"in the view cranes with another value: (Crane|false)"
    ):
        CRANES.narrowed(Filters(**other))


def test_of_two_expressions_both_have_to_be_true() -> None:
    view = View(name="v", filters=Filters(where="category = Crane or category = Pump"))
    joined = view.narrowed(Filters(where="dor = BEO or dor = PROJECT"))
    assert joined.where == "(category = Crane or category = Pump) and (dor = BEO or dor = PROJECT)"
    assert view.narrowed(Filters(today="2026-01-01")).today == "2026-01-01"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"filters": {"colour": ["red"]}}, "does not know its filter 'colour'"),
        ({"filters": {"categry": ["A"]}}, "its filter 'categry'; did you mean category?"),
        ({"filters": {"today": "2026-01-01"}}, "does not know its filter 'today'"),
        ({"filters": {}, "groups": ["a"]}, "does not know its part 'groups'"),
        ({"filters": []}, "filters must be an object"),
        ({"filters": {"category": "Crane"}}, "category must be a list of texts"),
        ({"filters": {"category": []}}, "category must be a list of texts"),
        ({"filters": {"category": [1]}}, "category must be a list of texts"),
        ({"filters": {"changed": False}}, "changed must be true"),
        ({"filters": {"actualized": None}}, "actualized must be true or false"),
        ({"filters": {"search": None}}, "search must be a text"),
        ({"filters": {"a": 1, "b": 2}}, "its filter 'a', and 1 more"),
        ({"filters": {}, "columns": "pfaId"}, "columns must be a list of texts"),
        ({"filters": {}, "columns": ["a,b"]}, "invalid column 'a,b'"),
        ({"filters": {}, "sort": 1}, "sort must be a text"),
        ({"filters": {}, "sort": "colour"}, "cannot sort by 'colour'"),
        ({"filters": {"startFrom": "soon"}}, "must be a date"),
        ({"filters": {"state": ["done"]}}, "invalid state"),
        ({"filters": {"where": "colour = red"}}, "colour"),
    ],
)
def test_what_this_version_does_not_know_is_refused_and_not_left_out(
    content: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidData, match=r"^the view v cannot be used") as refused:
        parse_view("v", content, "the view v")
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("name", "kept"),
    [(" cranes ", "cranes"), ("a b", "a b"), ("Kra\u0308ne", "Kr\u00e4ne"), ("x" * 200, "x" * 200)],
)
def test_a_name_has_the_form_of_a_key(name: str, kept: str) -> None:
    assert View(name=name).name == kept


@pytest.mark.parametrize(
    "name", ["", " ", "x" * 201, "-x", "--all", "a\nb", "a\0", "a\u200bb", "\ud800"]
)
def test_a_name_that_cannot_be_typed_or_seen_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        View(name=name)


def test_the_bounds_are_those_of_the_statements() -> None:
    from pfa_core import sql

    statements = sql.statements("views")
    assert f"< {views.MOST_OWN}\n" in statements["put_own"]
    assert f"< {views.MOST_SHARED}\n" in statements["put_shared"]
