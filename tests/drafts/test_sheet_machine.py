"""Sheets edited at random, while PEMS and the user change records too, against a model without a database."""

from __future__ import annotations

import csv
import datetime
import io
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

import pfa_core
from pfa_core import Filters, Query, Selection
from pfa_core.model.formulas import guarded
from tests.factories import World, a_world, record
from tests.forms import drawn
from tests.worlds import built_once

IDS = ("P-1", "P-2", "P-3")
TEXTS = [
    "",
    "A",
    "=1+1",
    "'x",
    "-5",
    "+5%",
    '2" x 3, 4; 5',
    "é ü",
    "00123",
    "1/2",
    "TRUE",
    " b\nc ",
]
VALUES: dict[str, list[Any]] = {
    "equipment": [None, *TEXTS[1:]],
    "manufacturer": ["A", "=1", '2" x 3, 4; 5', "é ü", "00123", "TRUE", "NULL"],
    "purchasePrice": [None, 0, 5, Decimal("1200.5"), Decimal("0.1"), Decimal("1234.567")],
    "monthlyRate": [1000, Decimal("1000.01"), 99],
    "forecastEnd": [None, "2026-03-01", "2099-12-31"],
    "isFundsTransferable": [True, False],
}
Cell = tuple[str, str]
cells = st.sampled_from([(pfa_id, name) for pfa_id in IDS for name in VALUES])
indexes = st.integers(0, 11)
steps = st.lists(
    st.tuples(st.sampled_from(["edit", "edit", "edit", "pems", "mine", "save"]), cells, indexes),
    min_size=1,
    max_size=10,
)


@built_once
def world(url: str) -> World:
    """Three records."""
    return a_world(url, *(record(pfa_id) for pfa_id in IDS))


@dataclass
class Model:
    """What PEMS has, what the user has changed, what a sheet showed and what was typed into it."""

    pems: dict[Cell, Any]
    mine: dict[Cell, Any] = field(default_factory=dict)
    shown: dict[Cell, Any] = field(default_factory=dict)
    seen: dict[Cell, Any] = field(default_factory=dict)
    typed: dict[Cell, Any] = field(default_factory=dict)

    def export(self) -> None:
        self.shown, self.seen, self.typed = {**self.pems, **self.mine}, dict(self.pems), {}

    def save(self) -> None:
        """Take the cells that differ from what they showed, and no other."""
        for cell, value in self.typed.items():
            if not same(value, self.shown[cell]):
                self.mine[cell] = value
        # What PEMS has needs no draft.
        for cell in {*self.typed} & {*self.mine}:
            if same(self.typed[cell], self.pems[cell]) and not same(
                self.typed[cell], self.shown[cell]
            ):
                del self.mine[cell]

    def drafts(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for (pfa_id, name), value in self.mine.items():
            found.setdefault(pfa_id, {})[name] = value
        return found

    def moved(self) -> set[str]:
        """The records that do not show what PEMS has: a draft that PEMS agrees with does."""
        return {
            cell[0]
            for cell, value in self.seen.items()
            if not same(value, self.pems[cell]) and not same(self.shown[cell], self.pems[cell])
        }


def same(one: Any, other: Any) -> bool:
    return one is other if isinstance(one, bool) or isinstance(other, bool) else one == other


class Sheet:
    """The sheet as another program has it: rows of cells."""

    def __init__(self, world: World, form: str) -> None:
        self._world, self._form = world, form
        file = io.BytesIO()
        columns = ("pfaId", *VALUES)
        pfa_core.write_sheet(
            world.db, world.principal(), Query(), file, file_format=form, columns=columns
        )
        self.content = file.getvalue()
        if form == "xlsx":
            book = CalamineWorkbook.from_filelike(io.BytesIO(self.content))
            self.rows: list[list[Any]] = book.get_sheet_by_index(0).to_python()
        else:
            text = self.content.decode("utf-8-sig")
            self.rows = [list(row) for row in csv.reader(io.StringIO(text, newline=""))]

    def type(self, cell: Cell, value: Any) -> None:
        pfa_id, name = cell
        row = next(row for row in self.rows if row[0] == pfa_id)
        row[self.rows[0].index(name)] = self._as_typed(name, value)

    def holds(self, cell: Cell, value: Any) -> bool:
        """Whether the cell has what a user would type for the value."""
        row = next(row for row in self.rows if row[0] == cell[0])
        found = row[self.rows[0].index(cell[1])]
        typed = self._as_typed(cell[1], value)
        return str(found).upper() == str(typed).upper()

    def _as_typed(self, name: str, value: Any) -> Any:
        if value is None:
            return ""
        if self._form == "xlsx":
            if name == "forecastEnd":
                return datetime.date.fromisoformat(value)
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return float(value) if is_number else value
        text = str(value).upper() if isinstance(value, bool) else str(value)
        return guarded(text) if isinstance(value, str) else text

    def written(self) -> bytes:
        return self._workbook() if self._form == "xlsx" else self._table()

    def _table(self) -> bytes:
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows(self.rows)
        return out.getvalue().encode("utf-16")

    def _workbook(self) -> bytes:
        out = io.BytesIO()
        book = xlsxwriter.Workbook(out)
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "d/m/yy"})
        for number, row in enumerate(self.rows):
            for place, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, place, cell)
                elif isinstance(cell, datetime.date):
                    sheet.write_datetime(number, place, cell, day)
                else:
                    sheet.write(number, place, cell)
        book.close()
        return out.getvalue()


class Run:
    """The library beside the model."""

    def __init__(self, world: World, form: str) -> None:
        self.world, self.form, self.ann = world, form, world.principal()
        if self.drafts():
            pfa_core.discard(world.db, self.ann, Selection(everything=True))
        self.model = Model({(pfa_id, name): VALUES[name][-1] for pfa_id in IDS for name in VALUES})
        self.pull()
        self.export()

    def drafts(self) -> dict[str, dict[str, Any]]:
        found = pfa_core.list_drafts(self.world.db, self.ann, Filters())
        return {item.pfa_id: dict(item.delta) for item in found}

    def pull(self) -> None:
        stamp = f"2026-01-01T00:00:00.{next(STAMPS):06}Z"
        self.world.pull(
            record(
                pfa_id,
                pemsVersion=stamp,
                **{name: self.model.pems[pfa_id, name] for name in VALUES},
            )
            for pfa_id in IDS
        )

    def export(self) -> None:
        self.sheet = Sheet(self.world, self.form)
        self.model.export()

    def saved(self, content: bytes) -> Any:
        delta = pfa_core.read_delta_file("-", stdin=io.BytesIO(content))
        assert delta.faults == ()
        return pfa_core.save(self.world.db, self.ann, delta.changes, session_id="s", overwrite=True)

    def edit(self, cell: Cell, value: Any) -> None:
        self.sheet.type(cell, value)
        self.model.typed[cell] = value

    def pems(self, cell: Cell, value: Any) -> None:
        self.model.pems[cell] = value
        self.pull()

    def mine(self, cell: Cell, value: Any) -> None:
        change = pfa_core.Change(cell[0], {cell[1]: value})
        pfa_core.save(self.world.db, self.ann, [change], session_id="s")
        known = self.model.mine.pop(cell, _NONE)
        if not same(value, self.model.pems[cell]) or (known is not _NONE and same(known, value)):
            self.model.mine[cell] = value

    def save(self, *_: Any) -> None:
        found = self.saved(self.sheet.written())
        self.model.save()
        assert self.drafts() == self.model.drafts()
        assert {*found.moved} == self.model.moved()
        self.export()
        unedited = self.saved(self.sheet.content)
        assert {item.status for item in unedited.saved} <= {"unchanged"}
        assert (self.drafts(), unedited.moved) == (self.model.drafts(), [])
        for cell, value in self.model.shown.items():
            assert self.sheet.holds(cell, value), (cell, value)


STAMPS = iter(range(10**6))
_NONE = object()


@pytest.mark.slow
@pytest.mark.variants(1)
@drawn("examples", short=3, long=12, night=600)
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_only_edited_cells_become_drafts_and_a_new_sheet_shows_them(
    world: World, form: str, examples: int
) -> None:
    @settings(
        max_examples=examples,
        phases=(Phase.explicit, Phase.generate),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(steps)
    def check(drawn: list[tuple[str, Cell, int]]) -> None:
        run = Run(world, form)
        for kind, cell, index in drawn:
            values = VALUES[cell[1]]
            getattr(run, kind)(cell, values[index % len(values)])
        run.save()

    check()
