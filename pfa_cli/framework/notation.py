"""Options that say how tables are written."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfa_cli.framework.options import OptionGroup

if TYPE_CHECKING:
    from pfa_core.model.notation import Notation

NOTATION = "Notation of tables and workbooks, where it is not certain"


def _notation(*names: str, metavar: str, text: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=NOTATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotationOptions(OptionGroup):
    """The notation, named as that of the library."""

    decimal: Annotated[
        str, _notation("--decimal", metavar="CHAR", text="Before decimals: . or , (point, comma).")
    ] = ""
    thousands: Annotated[
        str,
        _notation(
            "--thousands",
            metavar="CHAR",
            text="Between thousands: point, comma, blank, apostrophe, or the character.",
        ),
    ] = ""
    dates: Annotated[
        str,
        _notation(
            "--dates",
            metavar="ORDER",
            text="Of day, month and year: dmy, mdy, ymd; serial: days as spreadsheets count them.",
        ),
    ] = ""
    separator: Annotated[
        str,
        _notation(
            "--separator",
            metavar="CHAR",
            text="Between columns: comma, semicolon, tab, bar, or the character.",
        ),
    ] = ""
    encoding: Annotated[
        str,
        _notation(
            "--encoding", metavar="NAME", text="Of a table that is not UTF-8, such as cp1252."
        ),
    ] = ""
    sheet: Annotated[
        str, _notation("--sheet", metavar="NAME", text="Of a workbook with several of records.")
    ] = ""

    def taken(self) -> Notation:
        """Return the notation, as the library takes it."""
        from pfa_core.model.notation import Notation

        return Notation(**{item.name: getattr(self, item.name) for item in fields(self)})
