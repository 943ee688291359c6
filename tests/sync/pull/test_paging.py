"""Paging: rows that shift, totals that lie, restarts: nothing is lost, and it always ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfa_core.pems.services.grid import GridPage
from pfa_core.sync.pull.paging import (
    MAX_SHIFTS,
    End,
    Failed,
    PageCursor,
    PagingFault,
    Position,
    Restart,
    Rewind,
    Step,
    Store,
)

ENOUGH = 2000  # requests after which a pull would not have ended


def page(*ids: str, total: int | None = None) -> GridPage:
    return GridPage([{"pfaId": pfa_id} for pfa_id in ids], total)


def at(offset: int, last_id: str = "", **rest) -> PageCursor:
    """A cursor over pages of two rows."""
    return PageCursor(page_size=2, position=Position(offset, last_id), **rest)


# --- single steps -------------------------------------------------------------------------------------


def test_a_first_page_is_stored_and_the_next_one_begins_with_its_last_row():
    step = at(0).next(page("A", "B"))
    assert isinstance(step, Store)
    assert (step.offset, step.known) == (0, frozenset())
    assert step.cursor == at(2, "B", recent=(frozenset("AB"),))
    assert (at(0).first_row, at(0).row_count) == (0, 2)
    assert (step.cursor.first_row, step.cursor.row_count) == (1, 3)


def test_the_row_that_was_asked_for_again_is_not_stored_again():
    step = at(2, "B", recent=(frozenset("AB"),)).next(page("B", "C", "D"))
    assert isinstance(step, Store)
    assert [row["pfaId"] for row in step.rows] == ["C", "D"]
    assert step.cursor.position == Position(4, "D")


@pytest.mark.parametrize("rows", [("C", "D"), ()], ids=["another row", "no row"])
def test_another_row_than_the_last_one_rewinds_by_a_page(rows):
    step = at(4, "D", recent=(frozenset("AB"), frozenset("CD"))).next(page(*rows))
    assert isinstance(step, Rewind)
    assert step.cursor.position == Position(2, reread=True)
    assert (step.cursor.first_row, step.cursor.row_count, step.cursor.shifts) == (2, 2, 1)


def test_a_rewind_is_as_long_as_the_pages_that_came():
    capped = replace(at(6, "F", recent=(frozenset("CD"), frozenset("EF"))), page_size=100)
    step = capped.next(page("G"))
    assert isinstance(step, Rewind)
    assert step.cursor.position == Position(4, reread=True)


def test_a_page_read_again_is_stored_where_it_holds_a_recent_row():
    cursor = replace(at(0), position=Position(2, reread=True), recent=(frozenset("CD"),), shifts=3)
    step = cursor.next(page("D", "E"))
    assert isinstance(step, Store)
    assert step.known == frozenset("CD")
    assert (step.cursor.position, step.cursor.shifts) == (Position(4, "E"), 0)


@pytest.mark.parametrize("rows", [("G", "H"), ()], ids=["other rows", "no row"])
def test_a_page_read_again_without_a_recent_row_rewinds_further(rows):
    cursor = replace(at(0), position=Position(4, reread=True), recent=(frozenset("EF"),), shifts=1)
    step = cursor.next(page(*rows))
    assert isinstance(step, Rewind)
    assert step.cursor.position == Position(2, reread=True)


def test_a_page_without_a_new_row_rewinds_and_counts():
    cursor = at(2, "B", recent=(frozenset("AB"),), shifts=1)
    step = cursor.next(page("B", "A", "B"))
    assert isinstance(step, Rewind)
    assert step.cursor.shifts == 2


def test_too_many_shifts_in_a_row_fail():
    step = at(4, "D", shifts=MAX_SHIFTS).next(page("X"))
    assert step == Failed(PagingFault.MOVING, "the grid kept moving while it was read")


@pytest.mark.parametrize("total", [None, 0, 1, 2], ids=str)
def test_a_page_without_a_row_is_the_end_where_no_total_is_larger(total):
    assert at(2, "B").next(page("B", total=total)) == End()


def test_a_page_without_a_row_before_the_total_fails():
    step = at(2, "B").next(page("B", total=1003))
    assert step == Failed(
        PagingFault.SHORT, "a page came empty before the total of 1,003 was reached"
    )


@pytest.mark.parametrize(
    "answer", [page("X", "Y"), page(), page("B", total=3)], ids=["another row", "no row", "total"]
)
def test_a_resumed_pull_restarts_where_the_grid_is_another_one(answer):
    assert at(2, "B", resumed_at=2).next(answer) == Restart(at(0))


def test_a_resumed_pull_goes_on_where_the_last_row_is_the_same():
    step = at(2, "B", resumed_at=2).next(page("B", "C"))
    assert isinstance(step, Store)
    assert step.cursor == at(3, "C", resumed_at=2, recent=(frozenset("C"),))


def test_a_resumed_pull_that_finds_no_recent_row_again_restarts():
    cursor = replace(
        at(0, resumed_at=2), position=Position(2, reread=True), recent=(frozenset("X"),)
    )
    assert cursor.next(page("C", "D")) == Restart(at(0))


# --- whole pulls over a grid that changes ---------------------------------------------------------------


@dataclass
class Grid:
    """Rows in the order of their ids. Before the n-th request it inserts and deletes as planned, and
    it gives at most `cap` rows a page, with the total that `lie` makes of the real one."""

    rows: list[int]
    inserts: dict[int, list[int]]
    deletes: dict[int, list[int]]
    lie: str
    cap: int
    requests: int = 0
    there_all_the_time: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.there_all_the_time = set(self.rows)

    def answer(self, first_row: int, row_count: int) -> GridPage:
        gone = set(self.deletes.get(self.requests, ()))
        self.there_all_the_time -= gone
        self.rows = sorted({*self.rows, *self.inserts.get(self.requests, ())} - gone)
        self.requests += 1
        found = self.rows[first_row : first_row + min(row_count, self.cap)]
        whole = len(self.rows)
        total = {"none": None, "true": whole, "page": len(found), "more": whole + 7, "zero": 0}
        return page(*map(str, found), total=total[self.lie])


@dataclass
class Pull:
    """What a pull stored, and how it ended; `resumable` is where it was cut off."""

    stored: Counter[str] = field(default_factory=Counter)
    ended: Step | None = None
    resumable: Position = field(default_factory=Position)
    rewinds: int = 0


def pull(grid: Grid, size: int, *, pages: int = ENOUGH, earlier: Pull | None = None) -> Pull:
    """Read the grid until it ends, or until so many requests were made."""
    resumed = earlier.resumable if earlier else Position()
    cursor = PageCursor(page_size=size, position=resumed, resumed_at=resumed.offset)
    work = Pull(Counter(earlier.stored) if earlier else Counter())
    for _ in range(pages):
        match step := cursor.next(grid.answer(cursor.first_row, cursor.row_count)):
            case Store():
                ids = [row["pfaId"] for row in step.rows]
                work.stored.update(pfa_id for pfa_id in ids if pfa_id not in step.known)
                cursor = step.cursor
                work.resumable = Position(cursor.position.offset, cursor.position.last_id)
            case Rewind():
                work.rewinds += 1
                cursor = step.cursor
            case Restart():
                work.stored.clear()
                work.resumable = Position()
                cursor = step.cursor
            case End() | Failed():
                work.ended = step
                return work
    return work


def changes(most: int) -> st.SearchStrategy[dict[int, list[int]]]:
    """Which ids to insert or delete before which request."""
    ids: Sequence[int] = range(100)
    few = st.lists(st.sampled_from(ids), min_size=1, max_size=20)
    return st.dictionaries(st.integers(0, 30), few, max_size=most)


grids = st.builds(
    Grid,
    rows=st.lists(st.integers(0, 99), unique=True, max_size=80).map(sorted),
    inserts=changes(6),
    deletes=changes(6),
    lie=st.sampled_from(["none", "true", "page", "more", "zero"]),
    cap=st.integers(2, 30),
)


@settings(deadline=None)
@given(grids, st.integers(1, 20))
def test_whatever_shifts_a_pull_ends_and_is_complete_only_when_whole(grid, size):
    work = pull(grid, size)
    assert work.ended is not None
    if work.ended == End():
        assert work.stored.keys() >= set(map(str, grid.there_all_the_time))
        assert work.rewinds > 0 or set(work.stored.values()) <= {1}


@settings(deadline=None)
@given(grids, st.integers(1, 20), st.integers(1, 12))
def test_a_pull_that_was_cut_off_and_resumed_is_complete_only_when_whole(grid, size, pages):
    first = pull(grid, size, pages=pages)
    work = pull(grid, size, earlier=first)
    assert work.ended is not None
    if work.ended == End():
        assert work.stored.keys() >= set(map(str, grid.there_all_the_time))


@settings(deadline=None)
@given(st.integers(0, 90), st.integers(1, 20), st.sampled_from(["none", "true", "page", "zero"]))
def test_a_grid_that_keeps_still_is_read_once_and_whole(number, size, lie):
    rows = list(range(number))
    work = pull(Grid(rows, {}, {}, lie, cap=30), size)
    assert (work.ended, work.rewinds) == (End(), 0)
    assert work.stored == Counter(map(str, rows))


@settings(deadline=None)
@given(st.integers(0, 90), st.integers(1, 20))
def test_a_total_that_is_never_reached_is_never_complete(number, size):
    work = pull(Grid(list(range(number)), {}, {}, "more", cap=30), size)
    assert isinstance(work.ended, Failed)
    assert work.ended.fault is PagingFault.SHORT


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(2, 30))
def test_a_server_that_gives_the_same_page_whatever_is_asked_ends_as_moving(size, rows):
    cursor = PageCursor(page_size=size)
    same = page(*map(str, range(rows)))
    for _ in range(ENOUGH):
        step = cursor.next(same)
        if isinstance(step, Store | Rewind):
            cursor = step.cursor
            continue
        assert isinstance(step, Failed)
        assert step.fault is PagingFault.MOVING
        return
    pytest.fail("it did not end")
