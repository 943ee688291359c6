"""Results as workbooks on stdout."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pfa_cli.render import streams
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_cli.render.formats import Look


@contextmanager
def to_stdout(look: Look) -> Iterator[BinaryIO]:
    """Open a file whose content is written to stdout when the block ends.

    Raises:
        InvalidRequest: stdout is a terminal.
        StdoutFailure: stdout is closed.
    """
    if look.terminal:
        raise InvalidRequest(
            "a workbook is not for a terminal",
            hint="name a file: --to FILE.xlsx, or -o xlsx > FILE.xlsx",
        )
    with TemporaryFile() as file:
        yield cast("BinaryIO", file)
        file.seek(0)
        if sys.stdout is None:
            raise streams.StdoutFailure("stdout is closed")
        sys.stdout.flush()
        out = getattr(sys.stdout, "buffer", None)
        if out is None:
            raise streams.StdoutFailure("stdout takes text alone")
        shutil.copyfileobj(file, out)
        out.flush()


def write_rows(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]], look: Look) -> int:
    """Write rows as a workbook to stdout; return their number."""
    from pfa_core.files.sheets.columns import Column
    from pfa_core.files.sheets.workbook_writer import workbook

    number = 0
    with (
        to_stdout(look) as file,
        workbook(file, [Column(name=name) for name in columns], name="pfa") as writer,
    ):
        for row in rows:
            writer.write([row.get(name) for name in columns])
            number += 1
    return number
