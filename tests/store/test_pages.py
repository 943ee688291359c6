"""Pages of merged records: one order, cut anywhere, with nothing twice and nothing lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfa_core import exact_json
from pfa_core.model.delta import merge
from pfa_core.model.ordering import SortKey
from pfa_core.model.query import Filters, Query, parse_sort
from pfa_core.model.record import SORTABLE
from pfa_core.store.reads import merged as records
from tests.factories import World, a_world, draft, record
from tests.forms import EFFORT

TEXTS = ["", "a", "B", "Z", "ä", "_", "%", "a b", "😀", "É"]


def some_record(number: int) -> dict:
    """Records that differ in every way and share values too."""
    return record(
        f"P-{number:02}",
        category=TEXTS[number % len(TEXTS)],
        class_=TEXTS[number % 3],
        source="Purchase" if number % 4 == 0 else "Rental",
        purchasePrice=Decimal(number) / 8,
        monthlyRate=None if number % 5 == 0 else Decimal(number % 3),
        contract=None if number % 2 else f"C-{number % 4}",
        forecastStart=None if number % 7 == 0 else f"2025-{number % 12 + 1:02}-01",
        forecastEnd=None if number % 6 == 0 else "2026-12-31",
        isActualized=number % 3 == 0,
    )


@pytest.fixture(scope="module")
def world(postgres, template):
    with postgres.database(template) as url:
        world = a_world(url, *map(some_record, range(30)), users={"ann": "admin", "eve": "editor"})
        ann = world.principal("ann")
        for number in range(0, 30, 4):
            draft(
                world.db,
                ann,
                f"P-{number:02}",
                category="Z",
                forecastStart=f"2024-{number % 12 + 1:02}-15",
            )
        draft(world.db, ann, "P-01", forecastStart=None, category=None)
        draft(world.db, world.principal("eve"), "P-02", category="hers", forecastStart="1999-01-01")
        yield world
        world.db.close()


def merged(world: World) -> dict[str, dict]:
    return {
        key: merge(value, world.merged("ann").get(key, {})) for key, value in world.mirror().items()
    }


def pages(world: World, query: Query, size: int) -> list[str]:
    """The ids of all pages, read through cursors."""
    found: list[str] = []
    after = None
    for _ in range(50):
        step = Query(query.filters, query.sort, after, query.baseline)
        rows, after = world.db.read(
            lambda conn, step=step: records.page(conn, world.principal("ann"), step, limit=size)
        )
        assert len(rows) <= size
        found += [row[0] for row in rows]
        if after is None:
            return found
    raise AssertionError("the cursor runs in circles")


def in_order(found: dict[str, dict], keys: tuple[SortKey, ...]) -> list[str]:
    """What Python makes of the order: code points, nulls last either way, ties by id."""
    ids = sorted(found)
    for key in reversed(keys):
        values = {one: found[one].get(key.field) for one in ids}
        present = [one for one in ids if values[one] is not None]
        present.sort(key=lambda one, values=values: values[one], reverse=key.descending)
        if key.descending:  # sort() keeps equal ones in order only when it does not reverse
            present = [
                one
                for value in dict.fromkeys(values[one] for one in present)
                for one in ids
                if values[one] == value
            ]
        ids = present + [one for one in ids if values[one] is None]
    return ids


sorts = st.lists(st.sampled_from(sorted(SORTABLE)), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(SortKey, st.just(name), st.booleans()) for name in names))
)


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=12 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sort=sorts, size=st.integers(1, 12), baseline=st.booleans())
def test_pages_of_any_size_make_up_the_whole_in_order(world, sort, size, baseline):
    expected = in_order(world.mirror() if baseline else merged(world), sort)
    assert pages(world, Query(sort=sort, baseline=baseline), size) == expected


@settings(
    deadline=None,
    max_examples=8 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sort=sorts, offset=st.integers(0, 35), size=st.integers(1, 12))
def test_pages_by_number_are_slices_of_the_same_order(world, sort, offset, size):
    rows, _ = world.db.read(
        lambda conn: records.page(
            conn, world.principal("ann"), Query(sort=sort), limit=size, offset=offset
        )
    )
    assert [row[0] for row in rows] == in_order(merged(world), sort)[offset : offset + size]


FILTERS = [
    (Filters(category=("Z",)), lambda one: one["category"] == "Z"),
    (Filters(category=("Z", "")), lambda one: one["category"] in ("Z", "")),
    (Filters(category=("hers",)), lambda one: False),
    (Filters(source=("Purchase",)), lambda one: one["source"] == "Purchase"),
    (Filters(contract=("C-0",)), lambda one: one["contract"] == "C-0"),
    (Filters(start_from="2025-06-01"), lambda one: (one["forecastStart"] or "") >= "2025-06-01"),
    (Filters(start_to="2025-06-01"), lambda one: (one["forecastStart"] or "9") <= "2025-06-01"),
    (Filters(end_to="2026-12-31"), lambda one: one["forecastEnd"] is not None),
    (Filters(end_from="2027-01-01"), lambda one: False),
    (Filters(actualized=True), lambda one: one["isActualized"]),
    (Filters(actualized=False, class_=("a",)), lambda one: not one["isActualized"] and one["class"] == "a"),
    (Filters(search="p-0"), lambda one: one["pfaId"].startswith("P-0")),
    (Filters(search="%"), lambda one: one["category"] == "%"),
    (Filters(search="_"), lambda one: one["category"] == "_"),
    (Filters(search="LIEBHERR"), lambda one: True),
    (Filters(search="É"), lambda one: one["category"] == "É"),
    (Filters(id=("P-03", "P-04", "nobody")), lambda one: one["pfaId"] in ("P-03", "P-04")),
]  # fmt: skip


@pytest.mark.variants(8)
@pytest.mark.parametrize(("filters", "wanted"), FILTERS, ids=range(len(FILTERS)))
@pytest.mark.parametrize("baseline", [False, True])
def test_a_filter_speaks_of_the_values_that_are_shown(world, filters, wanted, baseline):
    shown = world.mirror() if baseline else merged(world)
    expected = {key: value for key, value in shown.items() if wanted(value)}
    query = Query(filters, parse_sort("category,-monthlyRate"), baseline=baseline)
    assert pages(world, query, 5) == in_order(expected, query.sort)
    counted = world.db.read(lambda conn: records.count(conn, world.principal("ann"), query))
    assert counted == len(expected)


def test_a_search_ignores_the_case_of_every_letter(world):
    found = pages(world, Query(Filters(search="é"), baseline=True), 5)
    assert sorted(found) == ["P-09", "P-19", "P-29"]


def test_a_stream_gives_what_the_pages_give_with_the_state_of_each(world):
    def read(conn):
        return list(records.stream(conn, world.principal("ann"), Query(), limit=None))

    rows = world.db.read(read)
    expected = merged(world)
    touched = world.merged("ann").keys()
    assert [row[0] for row in rows] == in_order(expected, (SortKey("forecastStart"),))
    for pfa_id, data, state, session, version, at in rows:
        assert exact_json.loads(data) == expected[pfa_id]
        mine = pfa_id in touched
        assert (state, session, version, at is not None) == (
            ("draft", "s", 1, True) if mine else ("pristine", None, 0, False)
        )


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(changed=True), 9),
        (Filters(state=("draft",)), 9),
        (Filters(state=("pristine",)), 21),
        (Filters(state=("draft", "pristine")), 30),
        (Filters(state=("committed",)), 0),
        (Filters(session=("s",)), 9),
        (Filters(session=("other",)), 0),
        (Filters(state=("pristine",), session=("s",)), 0),
    ],
)
def test_filters_on_my_own_modifications(world, filters, count):
    query = Query(filters)
    assert len(pages(world, query, 4)) == count
    assert world.db.read(lambda conn: records.count(conn, world.principal("ann"), query)) == count


@pytest.mark.parametrize("rate", ["0.0000001", "0.000000000001", "1234567.000000000001"])
def test_a_cursor_behind_any_amount_is_taken_back(database_url, rate):
    world = a_world(
        database_url, *(record(f"P-{number}", monthlyRate=Decimal(rate)) for number in range(3))
    )
    assert pages(world, Query(sort=(SortKey("monthlyRate"),)), 1) == ["P-0", "P-1", "P-2"]


@pytest.mark.parametrize("filters", [Filters(), Filters(search="liebherr")], ids=["all", "search"])
@pytest.mark.parametrize(
    "sort", ["class,variance", "-monthlyRate,-planCost", "forecastStart,actualCost"]
)
def test_a_cost_may_be_a_later_key_of_an_order(world, sort, filters):
    query = Query(filters, parse_sort(sort))
    read = world.db.read(
        lambda conn: list(records.stream(conn, world.principal("ann"), query, limit=None))
    )
    assert pages(world, query, 1) == [row[0] for row in read]
    assert len(read) == 30
