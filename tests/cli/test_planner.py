"""Tables of a given width: what gives way, and that nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from pfa_cli.render.cells import clusters, width
from pfa_cli.render.escape import visible
from pfa_cli.render.folding import ATOM, fold
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.kinds import Column, Kind
from pfa_cli.render.planner import plan
from pfa_cli.render.tables import card, facts, grid, lines_of, prose

KEY = Column(name="pfaId", kind=Kind.KEY)
START = Column(name="forecastStart", kind=Kind.DATE, rank=1)
RATE = Column(name="monthlyRate", kind=Kind.MONEY, rank=2)
TEXT = Column(name="category", rank=3)
STATE = Column(name="syncState", kind=Kind.STATE, rank=4, role="state")
COLUMNS = (KEY, START, RATE, TEXT, STATE)
ROW = ("HOLNG-000001", "2026-12-01", "1234567.89", 'Trailer, 40" flat, with a ramp', "pristine")


def terminal(cells: int, **more: Any) -> Look:
    return Look(Format.TABLE, terminal=True, width=cells, **more)


def drawn(rows: list[tuple[str, ...]], cells: int, **more: Any) -> str:
    return grid(COLUMNS, rows, terminal(cells, **more))


def widest(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def test_where_there_is_room_every_column_is_as_wide_as_its_cells_and_header() -> None:
    made = plan(COLUMNS, [ROW], 200, width)
    assert (made.shown, made.widths, made.dropped) == ((0, 1, 2, 3, 4), (12, 13, 11, 30, 9), ())


def test_a_text_folds_before_a_column_goes() -> None:
    made = plan(COLUMNS, [ROW], 64, width)
    assert (made.shown, made.widths) == ((0, 1, 2, 3, 4), (12, 10, 10, 16, 8))


def test_columns_go_by_rank_the_highest_first() -> None:
    made = plan(COLUMNS, [ROW], 56, width)
    assert (made.shown, made.dropped) == ((0, 1, 2, 3), (4,))
    made = plan(COLUMNS, [ROW], 40, width)
    assert (made.shown, made.dropped) == ((0, 1, 2), (3, 4))


def test_a_column_without_a_value_goes_before_one_with_some() -> None:
    rows = [(*ROW[:2], "", *ROW[3:])]
    assert plan(COLUMNS, rows, 64, width).dropped == (2,)
    assert plan(COLUMNS, rows, 200, width).dropped == ()


def test_where_none_may_go_bars_still_do() -> None:
    columns = (KEY, RATE, Column(name="share", kind=Kind.BAR, rank=9))
    made = plan(columns, [("P-1", "5.00", "█" * 30)], 30, width, may_drop=False)
    assert (made.shown, made.dropped) == ((0, 1), (2,))


def test_where_less_than_half_are_left_or_none_may_go_the_fields_stand_one_a_line() -> None:
    assert plan(COLUMNS, [ROW], 30, width).vertical
    assert not plan(COLUMNS, [ROW], 40, width).vertical
    assert plan(COLUMNS, [ROW], 40, width, may_drop=False).vertical


ROWS = [
    ROW,
    ("HOLNG-2", "2027-01-31", "12", "起重机和起重机和起重机", "draft"),
    ("HOLNG-3", "", "-5.10", "e\u0301te\u0301 ע\u05b4ברית عربي", "conflict"),
    ("HOLNG-4", "2027-02-28", "", "👩‍👩‍👧 ❤️ 🇩🇪 family", "sync_error"),
]
SNAPSHOTS = Path(__file__).with_name("snapshots")


@pytest.mark.parametrize("cells", [40, 60, 80, 100, 120, 200])
def test_tables_of_each_width_are_as_they_were_reviewed(cells: int) -> None:
    assert drawn(ROWS, cells) + "\n" == (SNAPSHOTS / f"{cells}.txt").read_text("utf-8")


def test_a_dumb_terminal_gets_the_same_without_line_drawing_and_colours() -> None:
    usual = drawn(ROWS, 80)
    assert grid(COLUMNS, ROWS, terminal(80, unicode=False)) == usual.replace("─", "-")
    assert "\x1b" not in usual


def test_colours_change_no_character() -> None:
    colored = grid(COLUMNS, ROWS, terminal(80, colored=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == drawn(ROWS, 80)
    assert "\x1b[1;35mconflict\x1b[0m" in colored
    assert "\x1b[33mdraft\x1b[0m" in colored


def test_what_gave_way_is_noted_in_the_look_once() -> None:
    look = terminal(56)
    grid(COLUMNS, [ROW], look)
    grid(COLUMNS, [ROW], look)
    assert look.omitted == ["syncState"]


def test_chosen_columns_never_give_way() -> None:
    look = Look(Format.TABLE, ("pfaId", "syncState"), terminal=True, width=20)
    assert grid(("pfaId", "syncState"), [("HOLNG-000001", "sync_error")], look) == (
        "pfaId\n  HOLNG-000001\nsyncState\n  sync_error"
    )
    assert look.omitted == []


def test_rows_that_do_not_fit_the_columns_before_them_get_their_own() -> None:
    rows = [("P-1", "2026-01-01", "1", "a", "draft")] * 1000
    late = ("P-2", "2026-01-01", "12345678901234567890.10", "x" * 90, "draft")
    *_, blank, header, last = lines_of(COLUMNS, [*rows, late], terminal(80))
    assert blank == ""
    assert "monthlyRate" in header
    assert "12345678901234567890.10" in last
    assert widest(last) <= 80


def test_instants_fold_between_day_and_time_and_show_seconds() -> None:
    row = ("P-1", "2026-11-29T23:33:01.123Z", "x" * 40)
    names = ("pfaId", "createdAt", "change")
    assert grid(names, [row], terminal(80)).split("\n")[-1] == (
        f"P-1    2026-11-29 23:33:01Z  {'x' * 40}"
    )
    assert grid(names, [row], terminal(40)).split("\n")[-2:] == [
        f"P-1  2026-11-29  {'x' * 23}",
        f"     23:33:01Z   {'x' * 17}",
    ]


texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("起é👩\u200d❤️🇩🇪ע \u0301=/,-"),
    max_size=40,
)
money = st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False)
dates = st.dates()
value = st.one_of(
    texts,
    st.builds("{}={}, {} → {}".format, st.sampled_from(["monthlyRate", "x"]), money, dates, money),
)
tables = st.lists(
    st.tuples(
        st.from_regex(r"[A-Z]{1,6}-[0-9]{1,9}", fullmatch=True),
        dates.map(str) | st.just(""),
        money,
        texts,
        value,
        st.sampled_from(["draft", "conflict", "sync_error", ""]),
    ),
    min_size=1,
    max_size=6,
)
SIX = (*COLUMNS[:4], Column(name="after", kind=Kind.VALUE, rank=5), STATE)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(rows=tables, cells=st.integers(20, 220), may_drop=st.booleans())
def test_no_line_is_wider_than_the_terminal_and_no_digit_of_money_or_date_is_lost(
    rows: list[tuple[Any, ...]], cells: int, may_drop: bool
) -> None:
    look = terminal(cells)
    made = grid(SIX, rows, look, may_drop=may_drop)
    assert widest(made) <= cells
    lost = set(look.omitted)
    assert KEY.name not in lost
    assert may_drop or not lost
    for key, start, rate, text, after, state in rows:
        assert key in made
        assert start in made or "forecastStart" in lost
        assert str(rate) in made or "monthlyRate" in lost
        assert state in made or "syncState" in lost
        numbers = [atom for atom in ATOM.findall(visible(after)) if len(atom) <= cells]
        assert "after" in lost or all(number in made for number in numbers)
        assert "category" in lost or set(bare(visible(text))) <= set(bare(made))


@settings(max_examples=60, deadline=None)
@given(text=texts | value, cells=st.integers(2, 60))
@example("verylongword(12345.67)tail", 12)
@example(" 000", 3)
def test_folding_loses_no_character_and_keeps_numbers_whole(text: str, cells: int) -> None:
    text = visible(text)
    lines = fold(text, cells, cell_len)
    assert max(map(cell_len, lines)) <= cells
    assert bare("".join(lines)) == bare(text)
    for atom in ATOM.findall(text):
        assert cell_len(atom) > cells or any(atom in line for line in lines)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(["run", "cost effect"]), value), min_size=1),
    cells=st.integers(20, 90),
)
def test_facts_cards_and_prose_fit_too(pairs: list[tuple[str, str]], cells: int) -> None:
    look = terminal(cells)
    assert widest(facts(pairs, look)) <= cells
    assert widest(card("HOLNG, " + "x" * cells, pairs, look)) <= cells
    assert widest(prose([visible(text) for _, text in pairs], look)) <= cells


@pytest.mark.parametrize(("cells", "begin"), [(79, 2), (67, 1), (66, 0)])
def test_a_checksum_that_does_not_fit_beside_its_name_stands_below_it_whole(
    cells: int, begin: int
) -> None:
    anchor = "4:" + "a" * 64
    drawn = facts([("schemaVersion", 1), ("anchor", anchor)], terminal(cells))
    assert drawn.splitlines()[1:] == ["anchor", " " * begin + anchor]
    assert facts([("anchor", anchor)], terminal(80)) == f"anchor  {anchor}"


@settings(max_examples=60, deadline=None)
@given(texts)
def test_a_text_is_the_sum_of_its_clusters(text: str) -> None:
    assert "".join(clusters(text)) == text
    assert width(text) == sum(map(width, clusters(text)))


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("Kran", 4),
        ("起重机", 6),
        ("e\u0301", 1),
        ("ｆｕｌｌ", 8),
        ("👩\u200d👩\u200d👧", 2),
        ("❤\ufe0f", 2),
        ("🇩🇪", 2),
        ("👍🏽", 2),
        ("\u200b", 0),
    ],
)
def test_widths_are_those_of_a_terminal(text: str, cells: int) -> None:
    assert width(text) == cells
    assert text == "\u200b" or cell_len(text) == cells


def test_tables_in_a_pipe_count_cells_too() -> None:
    rows = [("P-1", "起重机", "x"), ("P-2", "Kran", "y")]
    assert grid(("pfaId", "category", "z"), rows, Look(Format.TABLE)) == (
        "pfaId  category  z\n-----  --------  -\nP-1    起重机    x\nP-2    Kran      y"
    )


def test_data_is_never_markup() -> None:
    cell = "[red]:smile:[/red] http://x"
    made = grid(("pfaId", "text"), [("P-1", cell)], terminal(80, colored=True))
    assert cell in made
    assert cell in card("[bold]", [("[b]", cell)], terminal(80))


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)
