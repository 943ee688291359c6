"""The position of a pull in a grid whose rows shift: a pure value machine.

A grid is asked by offset, while rows are inserted and deleted before it. Each request therefore begins
with the last row of the page before: where another row comes back, the rows have shifted and a page is
read again. `PageCursor.next` decides what a page means; it neither asks nor stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pfa_core.pems.services.grid import GridPage, Row

MAX_SHIFTS = 5  # rewinds without a new row
RECENT_PAGES = 3  # of which the ids are kept: rows read again within them are not stored again


class PagingFault(StrEnum):
    """Why a grid could not be read to its end."""

    MOVING = "the grid kept moving while it was read"
    SHORT = "a page came empty before the total was reached"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the grid.

    Args:
        offset: The number of rows before it.
        last_id: The id of the last of them.
        reread: Rows from here on were read before, and the row before them is unknown.
    """

    offset: int = 0
    last_id: str = ""
    reread: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """Rows to store, numbered from `offset`; those in `known` are stored already."""

    cursor: PageCursor
    offset: int
    rows: Sequence[Row]
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rewind:
    """Rows shifted before the position: nothing to store, read on at an earlier page."""

    cursor: PageCursor


@dataclass(frozen=True, slots=True)
class Restart:
    """The grid is not as an interrupted pull read it: its pages count for nothing."""

    cursor: PageCursor


@dataclass(frozen=True, slots=True)
class End:
    """Every row was read."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The grid cannot be read to its end."""

    fault: PagingFault
    message: str


Step = Store | Rewind | Restart | End | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCursor:
    """The position of the next page, with what shows whether rows shifted before it.

    Args:
        resumed_at: The offset at which an interrupted pull is resumed, 0 where none is.
        shifts: Rewinds since the last page that held a new row.
        recent: The ids of the last pages, oldest first.
    """

    page_size: int
    position: Position = Position()
    resumed_at: int = 0
    shifts: int = 0
    recent: tuple[frozenset[str], ...] = ()

    @property
    def overlap(self) -> int:
        """Return how many rows before the position are asked for too, 0 or 1."""
        return 1 if self.position.offset and not self.position.reread else 0

    @property
    def first_row(self) -> int:
        """Return the offset to ask for."""
        return self.position.offset - self.overlap

    @property
    def row_count(self) -> int:
        """Return the number of rows to ask for."""
        return self.page_size + self.overlap

    def next(self, page: GridPage) -> Step:
        """Decide what the page at this position means."""
        if not self._follows(page.rows):
            return self._lost_place()
        rows = page.rows[self.overlap :]
        if not rows:
            return self._end(page.total)
        known = frozenset[str]().union(*self.recent)
        ids = frozenset(map(_id, rows))
        is_news = not ids <= known
        if not is_news and not self.position.reread:
            return self._rewind()
        return Store(self._behind(rows, ids, is_news=is_news), self.position.offset, rows, known)

    def _follows(self, rows: Sequence[Row]) -> bool:
        """Return whether no row that existed all the time was left out before these.

        A page read again follows when it holds a recent row: all rows before that one were read.
        """
        if self.overlap:
            return bool(rows) and _id(rows[0]) == self.position.last_id
        if not self.position.offset:
            return True
        return any(_id(row) in ids for row in rows if _id(row) for ids in self.recent)

    def _lost_place(self) -> Step:
        at_resumption = self.position.offset == self.resumed_at or self.position.reread
        return self._restart() if self.resumed_at and at_resumption else self._rewind()

    def _behind(self, rows: Sequence[Row], ids: frozenset[str], *, is_news: bool) -> PageCursor:
        return replace(
            self,
            position=Position(self.position.offset + len(rows), _id(rows[-1])),
            shifts=0 if is_news else self.shifts,
            recent=(*self.recent, ids)[-RECENT_PAGES:],
        )

    def _rewind(self) -> Step:
        if self.shifts == MAX_SHIFTS:
            return Failed(PagingFault.MOVING, PagingFault.MOVING)
        # Not by the size asked for: an installation may cap its pages far below it.
        rows = min(self.page_size, max(map(len, self.recent), default=self.page_size))
        before = Position(max(0, self.position.offset - rows), reread=True)
        return Rewind(replace(self, position=before, shifts=self.shifts + 1))

    def _restart(self) -> Restart:
        return Restart(PageCursor(page_size=self.page_size))

    def _end(self, total: int | None) -> Step:
        """End at a page without rows, and at nothing else.

        A total on the way does not count: some installations give that of the page, some cap their
        pages. One that is larger than what was read was not reached.
        """
        if total is None or total <= self.position.offset:
            return End()
        if self.resumed_at and self.position.offset == self.resumed_at:
            return self._restart()
        message = f"a page came empty before the total of {total:,} was reached"
        return Failed(PagingFault.SHORT, message)


def _id(row: Row) -> str:
    return row.get("pfaId", "")
