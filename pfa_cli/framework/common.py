"""The options that every command takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from pfa_cli.framework.help import EVERYWHERE
from pfa_cli.render.failures import ErrorFormat
from pfa_cli.render.formats import Format
from pfa_cli.render.streams import Color


def everywhere(*names: str, text: str, **rest: Any) -> Any:
    """An option of every command."""
    return typer.Option(*names, help=text, rich_help_panel=EVERYWHERE, **rest)


def common_options(
    *,
    org: Annotated[
        str | None,
        everywhere("--org", metavar="CODE", text="Organization [PFA_ORG]."),
    ] = None,
    profile: Annotated[
        str | None,
        everywhere(
            "--profile", metavar="NAME", text="Profile of the configuration file [PFA_PROFILE]."
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        everywhere(
            "--database-url",
            metavar="URL",
            text="PostgreSQL server [PFA_DATABASE_URL, DATABASE_URL]; none: the embedded one.",
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        everywhere(
            "--token-file",
            metavar="FILE",
            text="Token [PFA_TOKEN_FILE, PFA_TOKEN, `pfa auth login`].",
        ),
    ] = None,
    output: Annotated[
        Format | None,
        everywhere(
            "-o",
            "--output",
            metavar="FORMAT",
            text=f"{', '.join(Format)}. In a pipe: tsv (no header) for lists, text for reports.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        everywhere("--columns", metavar="A,B", text="Only these columns, in this order."),
    ] = None,
    quiet: Annotated[bool, everywhere("-q", "--quiet", text="No hints, no headings.")] = False,
    verbose: Annotated[
        bool, everywhere("-v", "--verbose", text="Say where settings come from.")
    ] = False,
    error_format: Annotated[
        ErrorFormat | None,
        everywhere(
            "--error-format",
            metavar="text|json",
            text="How errors are written; json goes with -o json in a pipe.",
        ),
    ] = None,
    color: Annotated[
        Color | None,
        everywhere("--color", metavar="WHEN", text="auto, always, never [NO_COLOR]."),
    ] = None,
    csv_safe: Annotated[
        bool,
        everywhere(
            "--csv-safe",
            text="In CSV, an apostrophe before what a spreadsheet would take for a formula.",
        ),
    ] = False,
    debug: Annotated[bool, everywhere("--debug", text="Show where an error came from.")] = False,
    dry_run: Annotated[
        bool, everywhere("-n", "--dry-run", text="Do everything, then roll it back.")
    ] = False,
) -> Common:
    """The options everywhere."""
    return Common(**locals())


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command takes, as far as they were given."""

    org: str | None = None
    profile: str | None = None
    database_url: str | None = None
    token_file: str | None = None
    output: Format | None = None
    columns: str | None = None
    quiet: bool = False
    verbose: bool = False
    error_format: ErrorFormat | None = None
    color: Color | None = None
    csv_safe: bool = False
    debug: bool = False
    dry_run: bool = False

    def over(self, outer: Common) -> Common:
        """These options, and where none was given those of the level around them."""
        return Common(
            **{
                item.name: getattr(self, item.name) or getattr(outer, item.name)
                for item in fields(Common)
            }
        )


class Line:
    """The command line while it is read from the outside in, from the program to the command."""

    common = Common()

    def read(self, common: Common) -> Common:
        """Take the options of the next level in; the inner ones win."""
        self.common = common.over(self.common)
        return self.common
