"""Merged records as sheets: workbooks, tables, Parquet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, BinaryIO, Protocol

from pfa_core import exact_json
from pfa_core.errors import InvalidRequest
from pfa_core.files.extras import require_extra
from pfa_core.files.replacing import replacing
from pfa_core.files.sheets.columns import SEEN_COLUMN, Column, chosen_columns
from pfa_core.masking import SHOWN_FIELDS
from pfa_core.model.principal import Principal
from pfa_core.model.progress import Phase, Progress, Report
from pfa_core.model.query import Query
from pfa_core.model.rights import MONEY, Operation
from pfa_core.model.seen import Seen
from pfa_core.model.suggest import not_one_of
from pfa_core.operation import Tx, snapshot
from pfa_core.records import asked_query, export_jsonl, require_record_limit
from pfa_core.store.database import Database
from pfa_core.store.reads import merged as store

SHEET_FORMATS = ("xlsx", "csv", "tsv", "jsonl", "parquet")
_EDITED = ("xlsx", "csv", "tsv")  # those that come back
_REPORT_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSheet:
    """What `write_sheet` wrote.

    `left_out`: the columns of money, where the caller may not see it; in JSONL they are null.
    """

    records: int
    file_format: str
    columns: Sequence[str]
    left_out: Sequence[str] = ()


class _Writer(Protocol):
    def write(self, values: Sequence[Any], /) -> None: ...


def write_sheet(
    db: Database,
    principal: Principal,
    query: Query,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    file_format: str = "auto",
    columns: Sequence[str] = (),
    limit: int | None = None,
    progress: Report | None = None,
) -> WrittenSheet:
    """Write every matching record in order as a row of a sheet.

    `read_delta_file` takes the sheet back. From one snapshot and in constant memory. A file is replaced
    whole or stays as it was. Workbooks, CSV and TSV have a last column, `pfa.seen`, hidden in a workbook: what
    PEMS had in each cell that can be edited. By it only the edited cells of a sheet are saved, whatever PEMS
    has changed since. No text runs as a formula.

    Args:
        target: The name of the file, or an open binary file.
        file_format: One of `SHEET_FORMATS`; auto: by the end of the file's name.
        columns: Fields, marks of a list, `data.NAME`; all where empty. The record's id is always among them.
        progress: Called with the records written so far, now and then.

    Raises:
        InvalidRequest: The format or a column is unknown; more records than a sheet of a workbook has.
        InvalidData: A text is longer than a cell of a workbook takes.
        IoFailure: The file cannot be written; it is as it was.
        ConfigInvalid: The package for the format is not installed; the hint installs it.
        PermissionDenied: See `list_records`.
    """
    chosen = _format_of(target, file_format)
    require_record_limit(limit)
    require_extra(chosen)
    chosen_columns(columns)
    if chosen == "jsonl" and columns:
        raise InvalidRequest("`columns` is not for jsonl, whose lines are whole records")
    with _opened(target) as file:
        if chosen == "jsonl":
            masked: list[str] = []
            written = export_jsonl(
                db,
                principal,
                query,
                file.write,
                limit=limit,
                masked=lambda: masked.extend(MONEY),
            )
            return WrittenSheet(records=written, file_format=chosen, columns=(), left_out=masked)
        with snapshot(db, principal, Operation.WRITE_SHEET) as tx:
            asked = replace(asked_query(tx, query), costs=False)
            return _write(
                tx,
                asked,
                file,
                file_format=chosen,
                names=columns,
                limit=limit,
                progress=progress,
            )


def _write(
    tx: Tx,
    query: Query,
    file: BinaryIO,
    *,
    file_format: str,
    names: Sequence[str],
    limit: int | None,
    progress: Report | None,
) -> WrittenSheet:
    shown = chosen_columns(names, SHOWN_FIELDS if tx.mask.hides else None)
    comes_back = file_format in _EDITED
    columns = [*shown, SEEN_COLUMN] if comes_back else shown
    editable = [column.name for column in shown if column.is_editable]
    number = 0
    rows = store.stream(tx.conn, tx.principal, query, limit=limit, layered=True)
    # The rows are closed before the snapshot ends: an open stream holds the connection's lock.
    with _writer(tx, file, file_format, columns) as writer, closing(rows):
        for number, row in enumerate(rows, 1):
            record = _Layered(tx, row)
            values = [column.value(record.merged, record.marks) for column in shown]
            if comes_back:
                values.append(record.seen(editable).text())
            writer.write(values)
            if progress and number % _REPORT_EVERY == 0:
                progress(Progress(phase=Phase.READING, done=number))
    all_names = [column.name for column in chosen_columns(names)]
    left = [name for name in all_names if name in MONEY] if tx.mask.hides else []
    return WrittenSheet(
        records=number,
        file_format=file_format,
        columns=[column.name for column in shown],
        left_out=left,
    )


class _Layered:
    """One record: merged, with what it is made of."""

    def __init__(self, tx: Tx, row: store.RowValues) -> None:
        self._pfa_id, layers, state, session, version, at = row[:6]
        self._version, self._pems, self._mine = exact_json.loads(layers)
        self.merged: Mapping[str, Any] = {**self._pems, **self._mine}
        self.marks: Mapping[str, Any] = {
            "syncState": str(state),
            "sessionId": session,
            "version": version,
            "modifiedAt": at
            and at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "modifiedBy": tx.user_id if at else None,
        }

    def seen(self, editable: Sequence[str]) -> Seen:
        """Return what its row shows in cells that can be edited."""
        return Seen(
            pfa_id=self._pfa_id,
            version=self._version,
            pems={name: self._pems.get(name) for name in editable},
            mine={name: self._mine[name] for name in editable if name in self._mine},
        )


@contextmanager
def _opened(target: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(target, str | os.PathLike):
        with replacing(target) as file:
            yield file
    else:
        yield target


def _format_of(target: str | os.PathLike[str] | BinaryIO, file_format: str) -> str:
    """Return the format by its name, else by the end of the file's name.

    Raises:
        InvalidRequest: It is unknown.
    """
    if file_format != "auto":
        if file_format not in SHEET_FORMATS:
            raise not_one_of(
                f"unknown format {file_format!r}", file_format, SHEET_FORMATS, listed="formats"
            )
        return file_format
    name = os.fspath(target) if isinstance(target, str | os.PathLike) else ""
    end = str(name).lower().rpartition(".")[2]
    if end not in SHEET_FORMATS or "." not in str(name):
        raise InvalidRequest(
            f"the end of the file's name does not say its format: {name!r}",
            hint=f"let it end with {', '.join(f'.{each}' for each in SHEET_FORMATS)}",
        )
    return end


@contextmanager
def _writer(
    tx: Tx, file: BinaryIO, file_format: str, columns: Sequence[Column]
) -> Iterator[_Writer]:
    if file_format == "xlsx":
        from pfa_core.files.sheets.workbook_writer import workbook

        with workbook(file, columns, at=tx.now().astimezone(UTC)) as writer:
            yield writer
    elif file_format == "parquet":
        from pfa_core.files.sheets.parquet_writer import parquet

        with parquet(file, columns) as rows:
            yield rows
    else:
        from pfa_core.files.sheets.text_writer import CsvWriter, TsvWriter

        made: Callable[[BinaryIO, Sequence[Column]], _Writer]
        made = CsvWriter if file_format == "csv" else TsvWriter
        yield made(file, columns)
