"""Cells of tables and workbooks as values of fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pfa_core.errors import InvalidData
from pfa_core.model.notation import Notation, of_serial, readings_of_date, readings_of_number
from pfa_core.model.record import Field, Kind
from pfa_core.model.values import Wrong
from pfa_core.model.values import read_text as read_field_text

NULL = "null"
_MARKS = {".": "point", ",": "comma"}


@dataclass(slots=True)
class _Seen:
    """The first of some cells, and how many there are."""

    text: str = ""
    place: str = ""
    number: int = 0

    def note(self, text: str, place: str) -> None:
        """Count one more."""
        if not self.number:
            self.text, self.place = text.strip(), place
        self.number += 1

    def __str__(self) -> str:
        return f"{self.text!r} ({self.place})"


@dataclass(frozen=True, slots=True)
class CellFault:
    """What stands in a cell in place of a value."""

    reason: str


class CellReader:
    """Reads cells by a notation, and refuses at the end what is in doubt.

    Cells that are not of their field's kind stay as they are, for their fault.

    Args:
        is_point_usual: A point alone is that of decimals: a comma separates the columns.
        is_1904: Numbers that stand for days count from 1904.
    """

    def __init__(
        self, notation: Notation, *, is_point_usual: bool = True, is_1904: bool = False
    ) -> None:
        self._notation, self._is_1904 = notation, is_1904
        self._is_point_usual = is_point_usual and not (notation.decimal or notation.thousands)
        self._points, self._commas, self._assumed = _Seen(), _Seen(), _Seen()
        self._numbers, self._dates = _Seen(), _Seen()
        self._orders = {"dmy": _Seen(), "mdy": _Seen()}

    def read(self, known: Field, cell: Any, place: str) -> Any:
        """Return a cell as a value of its field.

        Of an empty one it is None; a cell that is not such a value is returned as it is.
        """
        if not isinstance(cell, str):
            return self._typed(known, cell)
        if known.name == "equipment" and cell.strip() != NULL:
            return cell  # its blanks are part of it
        if known.kind is Kind.MONEY:
            return self._number(known, cell, place)
        value = read_field_text(known, cell)
        if not isinstance(value, Wrong):
            return value
        return self._date(cell, place) if known.kind is Kind.DATE else cell

    def _number(self, known: Field, cell: str, place: str) -> Any:
        if self._is_point_usual and not isinstance(value := read_field_text(known, cell), Wrong):
            if "." in cell:
                groups = len(readings_of_number(cell, self._notation)) > 1
                (self._assumed if groups else self._points).note(cell, place)
            return value
        if cell.strip() in ("", NULL):
            return None
        readings = readings_of_number(cell, self._notation)
        if len(readings) > 1:
            self._numbers.note(cell, place)
            return None
        for mark, text in readings.items():
            if mark:
                (self._points if mark == "." else self._commas).note(cell, place)
            value = read_field_text(known, text)
            return text if isinstance(value, Wrong) else value
        return cell

    def _date(self, cell: str, place: str) -> Any:
        readings = readings_of_date(cell, self._notation)
        if len(set(readings.values())) > 1:
            self._dates.note(cell, place)
            return None
        if len(readings) == 1:
            (order,) = readings
            if order in self._orders:
                self._orders[order].note(cell, place)
        return next(iter(readings.values()), cell)

    def _typed(self, known: Field, cell: Any) -> Any:
        """Return a number or a flag of a workbook."""
        if isinstance(cell, bool):
            return cell if known.kind is Kind.FLAG else plain_cell(cell)
        if known.kind is Kind.MONEY:
            number = _exact(cell)
            return int(number) if number == number.to_integral_value() else number
        if known.kind is Kind.DATE:
            return of_serial(cell, is_1904=self._is_1904) or plain_cell(cell)
        value = read_field_text(known, plain_cell(cell))
        return plain_cell(cell) if isinstance(value, Wrong) else value

    def refuse_doubts(self, name: str, kept: str) -> None:
        """Refuse a table in which something can be read in two ways.

        Raises:
            InvalidData: The hint says what to add.
        """
        problems = [each for each in (self._number_problem(), self._date_problem()) if each]
        if problems:
            reasons, hints = zip(*problems, strict=True)
            raise InvalidData(
                f"{name}: {' and '.join(reasons)}; {kept}", hint=f"add {', and '.join(hints)}"
            )

    def _number_problem(self) -> tuple[str, str] | None:
        points, commas = self._points, self._commas
        if not commas.number and not self._numbers.number:
            return None
        beside = points if points.number else self._assumed
        if self._numbers.number:
            certain = [mark for mark, seen in ((".", points), (",", commas)) if seen.number]
            reason = _doubtful(self._numbers, "number")
            return reason, _add("decimal", [_MARKS[mark] for mark in certain or (".", ",")])
        if beside.number and not self._notation.decimal:
            return (
                f"{commas} has a decimal comma, {beside} a point",
                _add("decimal", ["comma", "point"]),
            )
        return None

    def _date_problem(self) -> tuple[str, str] | None:
        days, months = self._orders["dmy"], self._orders["mdy"]
        if self._dates.number:
            certain = [name for name, seen in self._orders.items() if seen.number]
            return _doubtful(self._dates, "date"), _add("dates", certain or [*self._orders])
        if days.number and months.number:
            return f"{days} begins with the day, {months} with the month", _add(
                "dates", ["dmy", "mdy"]
            )
        return None


def _doubtful(seen: _Seen, noun: str) -> str:
    if seen.number == 1:
        return f"the {noun} {seen} can be read in two ways"
    return f"{seen.number:,} {noun}s such as {seen} can be read in two ways"


def _add(parameter: str, values: Iterable[str]) -> str:
    return " or ".join(f"`{parameter}={value}`" for value in values)


def plain_cell(cell: Any) -> str:
    """Return a cell as text; of a number the fifteen digits that a spreadsheet shows."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return format(_exact(cell), "f")
    return "" if cell is None else str(cell)


def _exact(number: float) -> Decimal:
    """Return a number with the fifteen digits that a spreadsheet computes with."""
    return Decimal(format(number, ".15g"))


def is_blank(cell: Any) -> bool:
    """Return whether a cell has no value, or a text without one."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def is_number(cell: Any) -> bool:
    """Return whether a cell is a number, and not a flag."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def is_shown_as(cell: Any, shown: Any, written: str) -> bool:
    """Return whether a cell has what was written into it for a value.

    Args:
        written: The value as the text of a cell.
    """
    if isinstance(cell, bool) or isinstance(shown, bool):
        return cell is shown or cell == written
    if is_number(cell):
        is_money = isinstance(shown, int | Decimal)
        return is_money and format(cell, ".15g") == format(float(shown), ".15g")
    if cell == written:
        return True
    # Line ends are those of the spreadsheet, and XML lacks two characters.
    return isinstance(cell, str) and _loose(cell) == _loose(written)


_LOOSE = str.maketrans({"\r": "\n", "\ufffe": "\ufffd", "\uffff": "\ufffd"})


def _loose(text: str) -> str:
    return (
        text
        if text.isascii() and "\r" not in text
        else text.replace("\r\n", "\n").translate(_LOOSE)
    )
