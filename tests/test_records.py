"""Lists, pages, streams and single records: always the merged values, one row per record."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import Filters, Query, SortKey, errors
from pfa_core.model.delta import FieldConflict
from pfa_core.model.record import SORTABLE
from pfa_core.store.reads import search as finding
from pfa_core.store.reads import steps as stepping
from tests.factories import World, a_world, commit, draft, record
from tests.forms import drawn, long
from tests.life_cycle.views import ids, one, seen
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    """Cranes 1 and 2, a purchased loader 3, and a van 4 without dates."""
    return a_world(
        url,
        record("P-1", areaSilo="Silo 4", manufacturer="Müller", contract="C-1"),
        record("P-2", model="100%_\\x", description='O\'Neill "big"', isActualized=True),
        record(
            "P-3",
            category='Trailer, 40" flat',
            class_="Earth",
            source="Purchase",
            dor="BEO",
            areaSilo="Jetty",
            purchasePrice=5000,
            monthlyRate=None,
            isDiscontinued=True,
            forecastStart="2026-01-01",
            forecastEnd="2026-06-30",
            contract=None,
        ),
        record(
            "p-4",
            category="Van",
            isFundsTransferable=True,
            equipment="EQ-77 - Van",
            forecastStart=None,
            forecastEnd=None,
        ),
        users={"ann": "admin", "bob": "editor"},
    )


FILTERS = [
    ({}, ["P-1", "P-2", "P-3", "p-4"]),
    ({"category": ("Crane",)}, ["P-1", "P-2"]),
    ({"category": ("Crane", "Van")}, ["P-1", "P-2", "p-4"]),
    ({"category": ('Trailer, 40" flat',)}, ["P-3"]),
    ({"category": ("crane",)}, []),
    ({"class_": ("Earth",)}, ["P-3"]),
    ({"source": ("Purchase",)}, ["P-3"]),
    ({"dor": ("PROJECT",)}, ["P-1", "P-2", "p-4"]),
    ({"area_silo": ("Jetty",)}, ["P-3"]),
    ({"manufacturer": ("Müller",)}, ["P-1"]),
    ({"model": ("100%_\\x",)}, ["P-2"]),
    ({"contract": ("C-1",)}, ["P-1", "P-2", "p-4"]),
    ({"id": ("P-3", "P-1", "P-9")}, ["P-1", "P-3"]),
    ({"actualized": True}, ["P-2"]),
    ({"actualized": False}, ["P-1", "P-3", "p-4"]),
    ({"discontinued": True}, ["P-3"]),
    ({"discontinued": False}, ["P-1", "P-2", "p-4"]),
    ({"transferable": True}, ["p-4"]),
    ({"transferable": False}, ["P-1", "P-2", "P-3"]),
    ({"start_from": "2025-12-01"}, ["P-1", "P-2", "P-3"]),
    ({"start_from": "2025-12-02"}, ["P-3"]),
    ({"start_to": "2025-12-01"}, ["P-1", "P-2"]),
    ({"start_to": "2025-11-30"}, []),
    ({"end_from": "2026-06-30"}, ["P-3"]),
    ({"end_from": "2026-07-01"}, []),
    ({"end_to": "2025-12-31"}, ["P-1", "P-2"]),
    ({"start_from": "2025-12-01", "end_to": "2025-12-31", "actualized": False}, ["P-1"]),
    ({"state": ("pristine",)}, ["P-1", "P-2", "P-3", "p-4"]),
    ({"state": ("draft", "committed")}, []),
    ({"session": ("s",)}, []),
    ({"changed": True}, []),
    ({"search": "crane"}, ["P-1", "P-2", "P-3", "p-4"]),
    ({"search": "TRAILER"}, ["P-3"]),
    ({"search": "eq-77"}, ["p-4"]),
    ({"search": "P-4"}, ["p-4"]),
    ({"search": "müller"}, ["P-1"]),
    ({"search": "MÜLLER"}, ["P-1"]),
    ({"search": "100%"}, ["P-2"]),
    ({"search": "%_"}, ["P-2"]),
    ({"search": "_\\"}, ["P-2"]),
    ({"search": "\\"}, ["P-2"]),
    ({"search": "\\%"}, []),
    ({"search": "P_1"}, []),
    ({"search": 'o\'neill "BIG"'}, ["P-2"]),
    ({"search": "c-1"}, ["P-1", "P-2", "p-4"]),
    ({"search": "monthlyRate"}, []),
    ({"search": ""}, ["P-1", "P-2", "P-3", "p-4"]),
]


@pytest.mark.parametrize(("filters", "found"), FILTERS, ids=lambda value: str(value))
def test_a_filter_chooses_by_the_record_s_values(
    world: World, filters: dict[str, Any], found: list[str]
) -> None:
    assert ids(world, **filters) == found


CHANGES = [
    ("category", {"category": "Dozer"}, {"category": ("Dozer",)}, {"category": ("Crane",)}),
    ("class", {"class_": "Earth"}, {"class_": ("Earth",)}, {"class_": ("Lifting",)}),
    (
        "source",
        {"source": "Purchase", "purchasePrice": 1},
        {"source": ("Purchase",)},
        {"source": ("Rental",)},
    ),
    ("dor", {"dor": "BEO"}, {"dor": ("BEO",)}, {"dor": ("PROJECT",)}),
    ("area", {"areaSilo": "Jetty"}, {"area_silo": ("Jetty",)}, {"area_silo": ("Silo 4",)}),
    ("make", {"manufacturer": "X"}, {"manufacturer": ("X",)}, {"manufacturer": ("Müller",)}),
    ("model", {"model": "X"}, {"model": ("X",)}, {"model": ("LTM 1030",)}),
    ("actualized", {"isActualized": True}, {"actualized": True}, {"actualized": False}),
    ("discontinued", {"isDiscontinued": True}, {"discontinued": True}, {"discontinued": False}),
    (
        "transferable",
        {"isFundsTransferable": True},
        {"transferable": True},
        {"transferable": False},
    ),
    (
        "start",
        {"forecastStart": "2025-12-24"},
        {"start_from": "2025-12-24"},
        {"start_to": "2025-12-23"},
    ),
    ("end", {"forecastEnd": "2026-02-01"}, {"end_from": "2026-02-01"}, {"end_to": "2026-01-31"}),
    ("search", {"equipment": "EQ-9 - x"}, {"search": "eq-9"}, {"search": "Unimog"}),
    ("null", {"forecastStart": None}, {"id": ("P-1",)}, {"start_from": "0001-01-01"}),
]


@pytest.mark.parametrize(
    ("delta", "hits", "misses"), [c[1:] for c in CHANGES], ids=lambda v: str(v)
)
def test_a_drafted_record_is_found_by_its_merged_values_and_by_no_old_one(
    world: World, delta: dict[str, Any], hits: dict[str, Any], misses: dict[str, Any]
) -> None:
    draft(world.db, world.principal(), **delta)
    assert "P-1" in ids(world, **hits)
    assert "P-1" not in ids(world, **misses)
    assert "P-1" in ids(world, baseline=True, id=("P-1",))
    if "search" not in misses:
        assert "P-1" in ids(world, baseline=True, **misses)
        assert "P-1" in ids(world, "bob", **misses)


def test_state_session_and_changed_speak_of_my_topmost_modification(world: World) -> None:
    draft(world.db, world.principal(), "P-1", session="a", model="A")
    draft(world.db, world.principal(), "P-2", session="b", model="A")
    commit(world.db, world.principal(), session="b")
    draft(world.db, world.principal(), "P-2", session="c", model="B")
    draft(world.db, world.principal(), "P-3", session="d", model="A")
    commit(world.db, world.principal(), session="d")
    draft(world.db, world.principal("bob"), "p-4", session="a", model="B")
    assert ids(world, state=("draft",)) == ["P-1", "P-2"]
    assert ids(world, state=("committed",)) == ["P-3"]
    assert ids(world, state=("committed", "draft")) == ["P-1", "P-2", "P-3"]
    assert ids(world, state=("pristine",)) == ["p-4"]
    assert ids(world, state=("pristine", "committed")) == ["P-3", "p-4"]
    assert ids(world, session=("a",)) == ["P-1"]
    assert ids(world, session=("a", "c")) == ["P-1", "P-2"]
    assert ids(world, changed=True) == ["P-1", "P-2", "P-3"]
    assert ids(world, changed=True, state=("pristine",)) == []
    assert ids(world, session=("a",), state=("committed",)) == []
    assert ids(world, "bob", changed=True) == ["p-4"]


@pytest.mark.parametrize("state", ["syncing", "sync_error", "conflict"])
def test_a_change_on_its_way_stays_in_view(world: World, state: str) -> None:
    draft(world.db, world.principal(), model="A")
    commit(world.db, world.principal())
    world.execute(
        "UPDATE pfa_modification SET state = %s,"
        " claim_id = CASE WHEN %s = 'syncing' THEN modification_id END",
        state,
        state,
    )
    draft(world.db, world.principal(), "P-2", model="A")
    assert ids(world, state=(state,)) == ["P-1"]
    assert one(world).data["model"] == "A"
    draft(world.db, world.principal(), "P-1", dor="BEO")
    row = one(world)
    assert (row.sync_state, row.data["model"], row.data["dor"]) == ("draft", "A", "BEO")


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": ("pending",)},
        {"state": ("synced",)},
        {"start_from": "2025-13-01"},
        {"start_to": "2025-1-1"},
        {"end_from": "tomorrow"},
        {"end_to": "2025-02-30"},
        {"end_to": "20250201"},
        {"start_from": ""},
        {"category": ("a\0b",)},
        {"search": "\0"},
        {"search": "\ud800"},
        {"session": ("\0",)},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        Filters(**wrong)


SORTED_VALUES: dict[str, list[Any]] = {
    "monthlyRate": [9, Decimal("10.5"), 100, None],
    "purchasePrice": [Decimal("0.01"), 9, 10, None],
    "isActualized": [False, True],
    "isDiscontinued": [False, True],
    "isFundsTransferable": [False, True],
    "source": ["Purchase", "Rental"],
    "dor": ["BEO", "PROJECT"],
    "forecastStart": ["2025-09-30", "2025-10-01", "2026-01-01", None],
    "rateUom": ["28-day", "day", "month", "week", None],
    "currency": ["CHF", "EUR", "USD", None],
    "contract": ["A", "Z", "a", "Ä", None],
}


@pytest.mark.variants(8)
@pytest.mark.parametrize("field", sorted(SORTABLE))
def test_every_field_sorts_both_ways_by_merged_values_with_nulls_last(
    database_url: str, field: str
) -> None:
    dates = field.endswith(("Start", "End"))
    texts = ["A", "Z", "a", "Ä"]
    values = SORTED_VALUES.get(field, SORTED_VALUES["forecastStart"] if dates else texts)
    rows = [_sortable(field, number, value) for number, value in enumerate(values * 2)]
    shuffled = rows[:]
    random.Random(7).shuffle(shuffled)
    world = a_world(database_url, *shuffled)
    there = [row for row in rows if row[field] is not None]
    for descending in (False, True):
        # sorted() is stable also when it reverses: ties stay in the order of their ids.
        wanted = sorted(there, key=lambda row: row["pfaId"])
        wanted = sorted(wanted, key=lambda row: row[field], reverse=descending)
        wanted += sorted((row for row in rows if row[field] is None), key=lambda row: row["pfaId"])
        order = f"{'-' if descending else ''}{field}"
        assert ids(world, sort=order) == [row["pfaId"] for row in wanted]


def _sortable(field: str, number: int, value: Any) -> dict[str, Any]:
    if field == "pfaId":
        return record(f"{value}{number}")
    others = {name: None for pair in _PAIRS if field in pair for name in pair}
    return record(f"P-{number:02}", **{**others, field: value})


_PAIRS = [
    ("forecastStart", "forecastEnd"),
    ("originalStart", "originalEnd"),
    ("actualStart", "actualEnd"),
]


def test_the_order_is_by_code_point_and_follows_drafts(world: World) -> None:
    assert ids(world, sort="-pfaId") == ["p-4", "P-3", "P-2", "P-1"]
    assert ids(world, sort="forecastStart") == ["P-1", "P-2", "P-3", "p-4"]
    draft(world.db, world.principal(), "P-1", forecastStart="2026-12-24", forecastEnd="2026-12-31")
    draft(world.db, world.principal(), "p-4", forecastStart="2020-01-01", forecastEnd=None)
    assert ids(world, sort="forecastStart") == ["p-4", "P-2", "P-3", "P-1"]
    assert ids(world, sort="-forecastStart") == ["P-1", "P-3", "P-2", "p-4"]
    assert ids(world, "bob", sort="forecastStart") == ["P-1", "P-2", "P-3", "p-4"]


@pytest.mark.parametrize("text", ["monthlyrate", "data", "pfaId;drop", "category,-category", "--x"])
def test_an_order_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        pfa_core.parse_sort(text)


class TestPages:
    def test_a_page_says_how_many_there_are(self, world: World) -> None:
        ann = world.principal()
        first = pfa_core.list_records(world.db, ann, Query(), page=1, page_size=3)
        second = pfa_core.list_records(world.db, ann, Query(), page=2, page_size=3)
        assert [row.pfa_id for row in first.records] == ["P-1", "P-2", "P-3"]
        assert [row.pfa_id for row in second.records] == ["p-4"]
        assert (first.total_records, first.total_pages, first.page, first.page_size) == (4, 2, 1, 3)
        assert first.next
        assert (second.page, second.next) == (2, None)

    def test_a_page_behind_the_last_is_empty(self, world: World) -> None:
        page = pfa_core.list_records(world.db, world.principal(), Query(), page=9, page_size=3)
        assert (page.records, page.total_records, page.next) == ([], 4, None)

    def test_a_page_that_holds_exactly_the_rest_is_the_last(self, world: World) -> None:
        page = pfa_core.list_records(world.db, world.principal(), Query(), page_size=4)
        assert (len(page.records), page.next, page.total_pages) == (4, None, 1)

    def test_no_records_are_no_pages(self, world: World) -> None:
        query = Query(Filters(category=("Dozer",)))
        page = pfa_core.list_records(world.db, world.principal(), query)
        assert (page.records, page.total_records, page.total_pages, page.next) == ([], 0, 0, None)

    @pytest.mark.parametrize(
        ("page", "size"), [(0, 10), (-1, 10), (1, 0), (1, -1), (1, 10_001), (10**9 + 1, 10)]
    )
    def test_a_page_that_makes_no_sense_is_refused(
        self, world: World, page: int, size: int
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.list_records(world.db, world.principal(), Query(), page=page, page_size=size)

    def test_a_cursor_of_another_order_is_refused(self, world: World) -> None:
        ann = world.principal()
        cursor = pfa_core.list_records(world.db, ann, Query(), page_size=1).next
        for sort in ("-forecastStart", "category", "forecastStart,category"):
            query = Query(sort=pfa_core.parse_sort(sort), after=cursor)
            with pytest.raises(errors.InvalidRequest):
                pfa_core.list_records(world.db, ann, query)

    @pytest.mark.parametrize(
        "cursor",
        ["x", "é", "W10", "bnVsbA", "WyJmb3JlY2FzdFN0YXJ0LHBmYUlkIixbXV0", "../..", "'; --"],
    )
    def test_a_cursor_that_no_list_gave_is_refused(self, world: World, cursor: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.list_records(world.db, world.principal(), Query(after=cursor))

    def test_a_forged_place_in_a_cursor_is_refused_or_harmless(self, world: World) -> None:
        from pfa_core.model.cursor import encode_cursor

        sort = pfa_core.parse_sort("monthlyRate")
        forged = encode_cursor(sort, ["1000); DROP TABLE pfa_mirror; --", "P-1"])
        with pytest.raises(errors.InvalidRequest):
            pfa_core.list_records(world.db, world.principal(), Query(sort=sort, after=forged))
        assert len(ids(world)) == 4

    def test_a_record_drafted_between_two_pages_shows_at_most_where_it_is_now(
        self, world: World
    ) -> None:
        ann = world.principal()
        first = pfa_core.list_records(world.db, ann, Query(), page_size=2)
        draft(world.db, ann, "P-3", forecastStart="2026-02-01")
        query = Query(after=first.next)
        rest = pfa_core.list_records(world.db, ann, query, page_size=2)
        assert [row.pfa_id for row in rest.records] == ["P-3", "p-4"]
        assert rest.records[0].data["forecastStart"] == "2026-02-01"

    @drawn("examples", short=5, long=16, night=400)
    def test_any_order_in_any_page_size_equals_one_big_page(
        self, database_url: str, examples: int
    ) -> None:
        world = _many(database_url)
        ann = world.principal()
        names = sorted(SORTABLE)
        everything = pfa_core.list_records(world.db, ann, Query(), page_size=1000).records
        named = tuple(row.pfa_id for row in everything[::2])
        keys = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)

        @settings(max_examples=examples, deadline=None, database=None)
        @given(keys=keys, down=st.lists(st.booleans(), min_size=3, max_size=3), data=st.data())
        def check(keys: list[str], down: list[bool], data: st.DataObject) -> None:
            sort = tuple(SortKey(name, flag) for name, flag in zip(keys, down, strict=False))
            filters = data.draw(
                st.sampled_from(
                    [
                        Filters(),
                        Filters(category=("A", "b")),
                        Filters(changed=True),
                        Filters(state=("pristine",)),
                        Filters(id=named),
                    ]
                )
            )
            size = data.draw(st.integers(1, 25))
            whole = pfa_core.list_records(world.db, ann, Query(filters, sort), page_size=1000)
            paged: list[Any] = []
            after: str | None = None
            for _ in range(100):
                query = Query(filters, sort, after=after)
                page = pfa_core.list_records(world.db, ann, query, page_size=size)
                assert page.total_records == whole.total_records
                paged += page.records
                after = page.next
                if after is None:
                    break
            assert paged == whole.records
            assert len({row.pfa_id for row in paged}) == len(paged) == whole.total_records
            assert list(pfa_core.stream_records(world.db, ann, Query(filters, sort))) == paged
            numbered = [
                row
                for number in range(1, whole.total_records // size + 2)
                for row in pfa_core.list_records(
                    world.db, ann, Query(filters, sort), page=number, page_size=size
                ).records
            ]
            assert numbered == paged

        check()


def _many(database_url: str) -> World:
    """60 records of few distinct values, many nulls; a third of them drafted to others."""
    chance = random.Random(11)

    def values() -> dict[str, Any]:
        start, end = sorted(chance.choices(["2025-01-01", "2025-06-01", "2026-01-01"], k=2))
        return {
            "category": chance.choice(["A", "B", "a", "b", "Ä"]),
            "class": chance.choice(["", "x", "X"]),
            "manufacturer": chance.choice(["", "M", "m"]),
            "monthlyRate": chance.choice([0, 1, Decimal("1.50"), Decimal("1.5"), 10, 9]),
            "forecastStart": chance.choice([start, None]),
            "forecastEnd": chance.choice([end, None]),
            "isFundsTransferable": chance.choice([True, False]),
        }

    rows = [
        record(
            f"P-{n:03}",
            **values(),
            contract=chance.choice([None, "", "C"]),
            purchasePrice=chance.choice([None, 5]),
            originalStart=chance.choice([None, "2025-01-01"]),
            originalEnd=chance.choice([None, "2026-06-01"]),
            actualStart=chance.choice([None, "2025-02-01", "2025-03-01"]),
        )
        for n in range(60)
    ]
    world = a_world(database_url, *rows)
    for n in range(0, 60, 3):
        draft(world.db, world.principal(), f"P-{n:03}", session="s", **values())
    commit(world.db, world.principal())
    for n in range(0, 60, 6):
        draft(world.db, world.principal(), f"P-{n:03}", session="t", **values())
    return world


@pytest.mark.variants(6)
@pytest.mark.parametrize("ahead", [1, 4, 1000])
@pytest.mark.parametrize("most", [0, 3, 2000])
@pytest.mark.parametrize(
    "sort", ["forecastStart", "source,model", *long(["-pfaId", "actualStart"])]
)
def test_a_search_finds_the_same_in_the_same_order_whichever_way_it_is_read(
    world: World, ahead: int, most: int, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AHEAD", ahead)
    monkeypatch.setattr(finding, "MOST", most)
    draft(world.db, world.principal(), "P-3", model="a crane too", forecastStart="2020-01-01")
    draft(world.db, world.principal(), "P-1", forecastStart="2026-02-01", forecastEnd="2026-03-01")
    for search in ("crane", "an", "r", "zx", "eq-77", ""):
        everything = ids(world, sort=sort, search=search)
        matching = [one for one in ids(world, sort=sort) if one in everything]
        assert everything == matching
        assert _page_by_page(world, sort, search=search or None) == everything


BESIDE = ["", "x", "7", "-", "_", "\\", "%", " ", "ü", "東", "É"]


@pytest.mark.parametrize("served", [True, False], ids=["by the index", "read"])
def test_two_letters_are_found_whatever_stands_beside_them(
    database_url: str, served: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AHEAD", 1)
    pairs = [(before, behind) for before in BESIDE for behind in BESIDE]
    texts = {
        f"P-{n:03}": before + ("Q4", "q4")[n % 2] + behind
        for n, (before, behind) in enumerate(pairs)
    }
    texts |= {"P-500": "q 4", "P-501": "4q", "P-502": "q-4q"}
    world = a_world(database_url, *(record(name, model=text) for name, text in texts.items()))
    assert world.rows("SELECT pfa_finds_pairs() = (show_trgm('ü') = '{}')") == [(True,)]
    if not served:
        monkeypatch.setattr(finding, "_PAIR", re.compile("(?!)"))
    for db in (world.db, world.as_owner):
        for search in ("q4", "Q4", "_q4", "q4%", "\\q4", "東q4", "-q4-"):
            query = Query(Filters(search=search))
            page = pfa_core.list_records(db, world.principal(), query, page_size=1000)
            expected = [name for name, text in texts.items() if search.lower() in text.lower()]
            assert sorted(one.pfa_id for one in page.records) == expected, search
            assert page.total_records == len(expected)


# A cluster at the beginning says nothing of what comes behind it.
@pytest.mark.parametrize(("clustered", "in_order"), [(True, False), (False, True)])
def test_a_page_is_read_in_order_where_matches_are_spread(
    database_url: str, clustered: bool, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AHEAD", 100)
    rare = range(30) if clustered else range(0, 300, 3)
    rows = [record(f"P-{n:03}", model="zebra" if n in rare else "M") for n in range(300)]
    world = a_world(database_url, *rows)
    asked: list[bool] = []
    soon = finding.soon

    def noted(*given: Any) -> bool:
        asked.append(soon(*given))
        return asked[-1]

    monkeypatch.setattr(finding, "soon", noted)
    query = Query(Filters(search="zebra"), (SortKey("pfaId"),))
    page = pfa_core.list_records(world.db, world.principal(), query, page_size=40)
    assert [one.pfa_id for one in page.records] == [f"P-{n:03}" for n in rare][:40]
    assert (page.total_records, asked) == (len(rare), [in_order])
    # Far behind, all of them are fetched.
    assert (
        pfa_core.list_records(world.db, world.principal(), query, page=9, page_size=40).records
        == []
    )
    assert asked[1:] == [False]


# What the steps count on when nothing, some or all of what matches lies ahead, or is few.
@pytest.mark.slow
@pytest.mark.parametrize(("few", "ahead"), [(0, 1), *long([(0, 30), (10, 1), (1000, 1)])])
def test_a_filter_finds_the_same_in_the_same_order_whichever_way_it_is_read(
    database_url: str, few: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "_FEW", few)
    monkeypatch.setattr(stepping, "_AHEAD", ahead)
    world = _many(database_url)
    rare = ("originalEnd", "actualStart,category", "-actualEnd")
    for sort in (
        "-category",
        "class,-monthlyRate",
        "-monthlyRate",
        "purchasePrice",
        "contract",
        *rare,
    ):
        everything = ids(world, sort=sort)
        for filters in FILTERED:
            matching = set(ids(world, **filters))
            expected = [one for one in everything if one in matching]
            assert _page_by_page(world, sort, size=7, **filters) == expected
    world.close()


FILTERED: tuple[dict[str, Any], ...] = (
    {"category": ("A", "b")},
    {"class_": ("x",)},
    {"transferable": True, "manufacturer": ("M",)},
    {"no_rate": True},
    {"where": "monthlyRate < 2"},
)


def _page_by_page(world: World, sort: str, *, size: int = 1, **filters: Any) -> list[str]:
    """All records that filters find, some at a time."""
    query = Query(Filters(**filters), pfa_core.parse_sort(sort))
    found: list[str] = []
    while True:
        page = pfa_core.list_records(world.db, world.principal(), query, page_size=size)
        found += [row.pfa_id for row in page.records]
        if page.next is None:
            assert page.total_records == len(found)
            return found
        query = replace(query, after=page.next)


class TestStreams:
    def test_a_stream_gives_every_record_in_order(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", model="A")
        rows = seen(world, sort="-category")
        assert [(row.pfa_id, row.sync_state) for row in rows] == [
            ("p-4", "pristine"),
            ("P-3", "pristine"),
            ("P-1", "pristine"),
            ("P-2", "draft"),
        ]

    @pytest.mark.parametrize(("limit", "found"), [(0, 0), (2, 2), (9, 4), (None, 4)])
    def test_a_limit_ends_it(self, world: World, limit: int | None, found: int) -> None:
        ann = world.principal()
        assert len(list(pfa_core.stream_records(world.db, ann, Query(), limit=limit))) == found

    def test_it_speaks_of_one_moment(self, world: World) -> None:
        rows = pfa_core.stream_records(world.db, world.principal(), Query())
        first = next(rows)
        other = a_world(world.url, users={"ann": "admin"})
        draft(other.db, other.principal(), "P-2", model="A")
        assert [row.sync_state for row in (first, *rows)] == ["pristine"] * 4
        assert ids(world, state=("draft",)) == ["P-2"]

    def test_a_stream_given_up_leaves_the_handle_usable(self, world: World) -> None:
        rows = pfa_core.stream_records(world.db, world.principal(), Query())
        assert next(rows).pfa_id == "P-1"
        rows.close()
        draft(world.db, world.principal(), model="A")
        assert ids(world, changed=True) == ["P-1"]

    def test_a_handle_that_streams_never_blames_the_address_for_another_use(
        self, world: World
    ) -> None:
        rows = pfa_core.stream_records(world.db, world.principal(), Query())
        next(rows)
        stated: errors.PfaError | None = None
        try:
            pfa_core.count_records(world.db, world.principal(), Query())
        except errors.PfaError as error:
            stated = error
        finally:
            rows.close()
        assert not isinstance(stated, errors.ConfigInvalid), stated


class TestShow:
    def test_a_record_is_shown_with_baseline_mine_and_merged(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", dor="BEO", reason="why")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), session="later", model="B")
        draft(world.db, world.principal("bob"), model="his")
        (detail,) = pfa_core.show_records(world.db, world.principal(), ["P-1"])
        baseline = world.mirror()["P-1"]
        assert (detail.pfa_id, detail.baseline, detail.mirror_version) == ("P-1", baseline, 1)
        assert detail.mine == {"model": "B", "dor": "BEO"}
        assert detail.merged == {**baseline, "model": "B", "dor": "BEO"}
        assert (detail.sync_state, detail.overtaken, detail.missing_since) == ("draft", [], None)
        assert [(m.session_id, m.state, m.version, m.delta) for m in detail.modifications] == [
            ("s", "committed", 2, {"model": "A", "dor": "BEO"}),
            ("later", "draft", 1, {"model": "B"}),
        ]
        assert detail.modifications[0].change_reason == "why"

    def test_what_pems_did_meanwhile_is_told(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine", dor="BEO")
        world.pull([record("P-1", model="theirs", manufacturer="Müller")])
        (detail,) = pfa_core.show_records(world.db, world.principal(), ["P-1"])
        assert detail.overtaken == [FieldConflict("model", "LTM 1030", "mine", "theirs")]
        assert (detail.merged["model"], detail.mirror_version) == ("mine", 2)

    def test_records_come_in_the_order_asked_for(self, world: World) -> None:
        rows = pfa_core.show_records(world.db, world.principal(), ["p-4", "P-1", "P-3"])
        assert [row.pfa_id for row in rows] == ["p-4", "P-1", "P-3"]

    def test_unknown_ids_are_named_each(self, world: World) -> None:
        with pytest.raises(errors.NotFound) as refused:
            pfa_core.show_records(world.db, world.principal(), ["P-9", "P-1", "p-1"])
        assert [fault.pfa_id for fault in refused.value.details] == ["P-9", "p-1"]

    def test_an_untouched_record_has_nothing_of_mine(self, world: World) -> None:
        (detail,) = pfa_core.show_records(world.db, world.principal(), ["P-1"])
        assert (detail.mine, detail.modifications, detail.sync_state) == ({}, [], "pristine")
        assert detail.merged == detail.baseline


class TestNearestValue:
    def near(self, world: World, **filters: Any) -> str:
        return pfa_core.suggest_value(world.db, world.principal(), Filters(**filters))

    @pytest.mark.parametrize(
        ("filters", "names"),
        [
            ({"category": ("Crain",)}, ("category", "Crain", "Crane")),
            ({"category": ("crane",)}, ("category", "crane", "Crane")),
            ({"area_silo": ("Silo4",)}, ("area-silo", "Silo4", "Silo 4")),
            ({"class_": ("Lfting",)}, ("class", "Lfting", "Lifting")),
            ({"id": ("P-11",)}, ("id", "P-11", "P-1")),
            ({"session": ("absent",)}, ("ann has no session 'absent'",)),
        ],
    )
    def test_the_value_that_exists_nowhere_is_named_with_its_nearest(
        self, world: World, filters: dict[str, Any], names: tuple[str, ...]
    ) -> None:
        assert all(name in self.near(world, **filters) for name in names)

    @pytest.mark.parametrize(
        "filters", [{}, {"category": ("Crane",)}, {"category": ("zzzzzz",)}, {"search": "Crain"}]
    )
    def test_nothing_near_is_no_hint(self, world: World, filters: dict[str, Any]) -> None:
        assert self.near(world, **filters) == ""

    def test_a_value_of_my_drafts_exists(self, world: World) -> None:
        draft(world.db, world.principal(), category="Sky Crane")
        assert ids(world, category=("Sky Crane",)) == ["P-1"]
        assert "Sky Crane'" not in self.near(world, category=("Sky Crane",), dor=("BEO",))


@pytest.mark.parametrize(
    "query",
    [
        Query(Filters(search="o'neill \"BIG")),
        Query(Filters(search="100%_\\x")),
        Query(Filters(id=("P-1", "P-3"), state=("draft", "pristine")), (SortKey("model", True),)),
        Query(Filters(session=('it\'s \\ "mine"',))),
        Query(Filters(category=("nowhere",))),
        Query(baseline=True),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("limit", [None, 1])
def test_an_export_chooses_and_orders_as_the_stream_does(world, query, limit):
    draft(world.db, world.principal(), "P-3", session='it\'s \\ "mine"', model="X")
    lines: list[bytes] = []
    pfa_core.export_jsonl(world.db, world.principal(), query, lines.append, limit=limit)
    found = [pfa_core.exact_json.loads(line) for line in b"".join(lines).splitlines()]
    streamed = pfa_core.stream_records(world.db, world.principal(), query, limit=limit)
    assert [(item["pfaId"], item["data"]) for item in found] == [
        (row.pfa_id, row.data) for row in streamed
    ]


def test_exported_lines_are_the_records_of_the_stream(world):
    world.pull(
        [
            record("P-1", description='back\\slash "quote" \n line \t tab é 東', model="\\\\n"),
            record("P-2", forecastStart=None),
            record("P-3", monthlyRate=Decimal("1.10")),
        ]
    )
    draft(world.db, world.principal(), "P-3", session='s "\\" é', model="X")
    lines: list[bytes] = []
    written = pfa_core.export_jsonl(world.db, world.principal(), Query(), lines.append)
    found = [pfa_core.exact_json.loads(line) for line in b"".join(lines).splitlines()]
    streamed = list(pfa_core.stream_records(world.db, world.principal(), Query()))
    assert written == len(found) == len(streamed) == 4
    for item, row in zip(found, streamed, strict=True):
        assert (item["pfaId"], item["data"], item["syncState"]) == (
            row.pfa_id,
            row.data,
            row.sync_state,
        )
        assert (item["sessionId"], item["version"], item["modifiedBy"]) == (
            row.session_id,
            row.version,
            row.modified_by,
        )
    assert {item["modifiedAt"] is None for item in found} == {True, False}


def test_an_export_whose_writer_fails_ends_and_leaves_the_handle_usable(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback keeps the stream alive, which must not keep the connection locked."""
    world = a_world(database_url, *(record(f"P-{number}") for number in range(5)))
    monkeypatch.setattr("pfa_core.records.EXPORT_BLOCK", 1)
    ended: list[object] = []

    def full(_: bytes) -> None:
        raise OSError("disk full")

    def export() -> None:
        with pytest.raises(OSError, match="disk full") as caught:
            pfa_core.export_jsonl(world.db, world.principal(), Query(), full)
        ended.append(caught)

    thread = threading.Thread(target=export, daemon=True)
    thread.start()
    thread.join(20)
    assert ended, "the export waits for its own stream"
    assert pfa_core.count_records(world.db, world.principal(), Query()) == 5
