"""Options of every command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from pfa_cli.framework.help import EVERYWHERE
from pfa_cli.framework.options import OptionGroup
from pfa_cli.render import streams
from pfa_cli.render.formats import ErrorFormat, Format
from pfa_cli.render.names import camel_case
from pfa_cli.render.streams import Color


def everywhere(*names: str, text: str, **rest: Any) -> Any:
    """Declare an option of every command."""
    return typer.Option(*names, help=text, rich_help_panel=EVERYWHERE, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common(OptionGroup):
    """The options that every command takes, as far as they were given."""

    org: Annotated[
        str | None, everywhere("--org", metavar="CODE", text="Organization [PFA_ORG].")
    ] = None
    profile: Annotated[
        str | None,
        everywhere(
            "--profile", metavar="NAME", text="Profile of the configuration file [PFA_PROFILE]."
        ),
    ] = None
    database_url: Annotated[
        str | None,
        everywhere(
            "--database-url",
            metavar="URL",
            text="PostgreSQL server [PFA_DATABASE_URL, DATABASE_URL]; default: the embedded one.",
        ),
    ] = None
    token_file: Annotated[
        str | None,
        everywhere(
            "--token-file",
            metavar="FILE",
            text="Token [PFA_TOKEN_FILE, PFA_TOKEN, `pfa auth login`].",
        ),
    ] = None
    output: Annotated[
        Format | None,
        everywhere(
            "-o",
            "--output",
            metavar="FORMAT",
            text=f"{', '.join(Format)}. In a pipe: tsv (no header) for lists, text for reports.",
        ),
    ] = None
    columns: Annotated[
        str | None,
        everywhere("--columns", metavar="A,B", text="Only these columns, in this order."),
    ] = None
    header: Annotated[
        bool,
        everywhere(
            "--header", text="In tsv, a first line of column names, and every column as in csv."
        ),
    ] = False
    compact: Annotated[
        bool,
        everywhere("--compact", text="JSON on one line on a terminal too, as in a pipe."),
    ] = False
    quiet: Annotated[
        bool,
        everywhere(
            "-q",
            "--quiet",
            text="Print nothing when all is well, but what was asked for: a list, or a result with -o.",
        ),
    ] = False
    verbose: Annotated[
        bool, everywhere("-v", "--verbose", text="Print the source of each setting.")
    ] = False
    error_format: Annotated[
        ErrorFormat | None,
        everywhere(
            "--error-format",
            metavar="text|json",
            text="Format of errors; json is the default with -o json in a pipe.",
        ),
    ] = None
    color: Annotated[
        Color | None,
        everywhere("--color", metavar="WHEN", text="auto, always, never [NO_COLOR, FORCE_COLOR]."),
    ] = None
    no_pager: Annotated[
        bool,
        everywhere(
            "--no-pager", text="Print what is longer than the terminal too [PFA_PAGER, PAGER]."
        ),
    ] = False
    csv_safe: Annotated[
        bool,
        everywhere(
            "--csv-safe",
            text="In CSV, prefix an apostrophe to cells that a spreadsheet would run as formulas.",
        ),
    ] = False
    debug: Annotated[bool, everywhere("--debug", text="Print the traceback of an error.")] = False
    dry_run: Annotated[
        bool,
        everywhere(
            "-n", "--dry-run", text="Of commands that write: show the result without saving."
        ),
    ] = False
    yes: Annotated[
        bool,
        everywhere("--yes", text="Of commands that write: do not ask; for a protected profile."),
    ] = False

    def over(self, outer: Common) -> Common:
        """Combine with the options of the level around; the inner ones win."""
        return Common(
            **{
                item.name: getattr(self, item.name) or getattr(outer, item.name)
                for item in fields(Common)
            }
        )

    @property
    def chosen_columns(self) -> tuple[str, ...]:
        """The columns of --columns, as JSON spells them; empty: the default ones."""
        names = (self.columns or "").split(",")
        return tuple(camel_case(name.strip()) for name in names if name.strip())

    @property
    def error_style(self) -> ErrorFormat:
        """The format of errors: as asked, else JSON for programs that read JSON."""
        if self.error_format:
            return self.error_format
        machine = self.output in (Format.JSON, Format.JSONL) and not streams.is_terminal(sys.stderr)
        return ErrorFormat.JSON if machine else ErrorFormat.TEXT


class Line:
    """The command line while it is read, from the program in to the command."""

    def __init__(self, program: Callable[[Sequence[str]], int], *, is_ascii: bool = False) -> None:
        """Begin without options.

        Args:
            program: Runs another command line in this process.
            is_ascii: Whether no argument needs a look at how it was decoded.
        """
        self.program = program
        self.is_ascii = is_ascii
        self.common = Common()
        self.has_stored: Callable[[], bool] = lambda: False
        self.is_writing = False

    def read(self, common: Common) -> Common:
        """Add the options of the next level; the inner ones win."""
        self.common = common.over(self.common)
        return self.common


def require_columns(
    columns: tuple[str, ...], known: tuple[str, ...], *, open_ended: bool = False
) -> None:
    """Refuse columns that a command does not have.

    Args:
        open_ended: `data.NAME` is a column too, whatever the name.

    Raises:
        InvalidRequest: Naming the first unknown one, and the known ones.
    """
    for column in columns:
        if column in known or (open_ended and column.startswith("data.")):
            continue
        from pfa_core.model.suggest import not_one_of

        also = ("data.NAME for any other field of the record",) if open_ended else ()
        raise not_one_of(f"unknown column {column!r}", column, (*known, *also), listed="columns")
