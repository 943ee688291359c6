"""Reports written as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import BinaryIO

from pfa_core.errors import InvalidRequest
from pfa_core.files.extras import require_extra
from pfa_core.files.replacing import replacing
from pfa_core.model.suggest import not_one_of
from pfa_core.reports.content import ProjectReport

REPORT_FORMATS = ("html", "md", "xlsx")
_ENDS = {"htm": "html", "markdown": "md"}


def write_report(
    report: ProjectReport,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    file_format: str = "auto",
) -> str:
    """Write a report as a page, and return its format.

    HTML is one file without scripts that loads nothing, for screens of any width, light and dark, and for paper;
    Markdown reads well as it is; a workbook has a sheet for each table. No text of a record is run by what shows
    it. A file is replaced whole or stays as it was.

    Args:
        target: The name of the file, or an open binary file.
        file_format: html, md or xlsx; auto: by the end of the file's name.

    Raises:
        InvalidRequest: The format is unknown.
        IoFailure: The file cannot be written; it is as it was.
        ConfigInvalid: The package for workbooks is not installed; the hint installs it.
    """
    chosen = report_format(target, file_format)
    from pfa_core.reports.sections import page_of

    page = page_of(report)
    with _opened(target) as file:
        if chosen == "xlsx":
            from pfa_core.reports.workbook_page import write_workbook

            write_workbook(page, file)
        elif chosen == "html":
            from pfa_core.reports.html_page import html_page

            file.write(html_page(page).encode(errors="replace"))
        else:
            from pfa_core.reports.markdown_page import markdown_page

            file.write(markdown_page(page).encode(errors="replace"))
    return chosen


def report_format(target: str | os.PathLike[str] | BinaryIO, file_format: str = "auto") -> str:
    """Return the format by its name, else by the end of the file's name.

    Raises:
        InvalidRequest: It is unknown.
        ConfigInvalid: The package for workbooks is not installed.
    """
    chosen = _ENDS.get(file_format, file_format)
    if chosen == "auto":
        name = os.fspath(target) if isinstance(target, str | os.PathLike) else ""
        end = PurePath(str(name)).suffix.lower().removeprefix(".")
        chosen = _ENDS.get(end, end)
        if chosen not in REPORT_FORMATS:
            raise InvalidRequest(
                f"the end of the file's name does not say its format: {name!r}",
                hint=f"let it end with {', '.join(f'.{each}' for each in REPORT_FORMATS)}",
            )
    if chosen not in REPORT_FORMATS:
        raise not_one_of(
            f"unknown format {file_format!r}", file_format, REPORT_FORMATS, listed="formats"
        )
    require_extra(chosen)
    return chosen


@contextmanager
def _opened(target: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(target, str | os.PathLike):
        with replacing(target) as file:
            yield file
    else:
        yield target
