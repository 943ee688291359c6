"""Lists as sheets: files for `--to`, a workbook for a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.text_files import require_file
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import InvalidRequest
from pfa_core.files.descriptors import descriptor_of
from pfa_core.model import shell

if TYPE_CHECKING:
    from typing import BinaryIO

    from pfa_cli.framework.invocation import Invocation
    from pfa_cli.framework.paging import Paging
    from pfa_cli.framework.talk import Talk
    from pfa_cli.render.formats import Look
    from pfa_core.model.query import Query
    from pfa_core.sheets import WrittenSheet

_FORMATS = (Format.XLSX, Format.CSV, Format.TSV, Format.JSONL)


def write_file(call: Invocation, talk: Talk, query: Query, paging: Paging, path: str) -> int:
    """Write a list to a file; return the number of its records.

    The format is that of -o, else that of the file's name.
    """
    require_file(path, "for a pipe: pfa list -o csv, or -o xlsx")
    output = call.common.output
    if output is not None and output not in _FORMATS:
        names = ", ".join(_FORMATS)
        raise InvalidRequest(f"--to cannot be combined with -o {output}", hint=f"formats: {names}")
    written = _write(call, query, paging, path, str(output) if output else "auto")
    _say(talk, written, path)
    return written.records


def write_workbook(call: Invocation, talk: Talk, query: Query, paging: Paging, look: Look) -> int:
    """Write a list to stdout as a workbook; return the number of its records."""
    from pfa_cli.render.workbook import to_stdout

    with to_stdout(look) as file:
        written = _write(call, query, paging, file, "xlsx")
    talk.masked = talk.masked or bool(written.left_out)
    return written.records


def _write(
    call: Invocation, query: Query, paging: Paging, target: str | BinaryIO, file_format: str
) -> WrittenSheet:
    if paging.by_page:
        raise InvalidRequest("a sheet has every record", hint="--limit N writes the first N")
    database, principal = call.open()
    with ProgressLine(call.common, "record", "writing") as progress:
        return core.write_sheet(
            database,
            principal,
            query,
            target,
            file_format=file_format,
            columns=call.common.chosen_columns,
            limit=paging.limit or None,
            progress=progress.update,
        )


def _say(talk: Talk, written: WrittenSheet, path: str) -> None:
    talk.say(f"{count(written.records, 'record')} written to {path}")
    if written.left_out:
        state = "masked" if written.file_format == "jsonl" else "left out"
        names = " and ".join(written.left_out)
        talk.say(f"note: {names} {state}; money requires the right view_financials")
    comes_back = written.file_format in ("xlsx", "csv", "tsv") and descriptor_of(path) is None
    if written.records and comes_back:
        talk.say(f"next: edit it, then pfa draft save {shell.file(path)} -n")
