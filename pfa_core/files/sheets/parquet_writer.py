"""Tables for programs (.parquet); the only module that imports pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from pfa_core.errors import InvalidData
from pfa_core.files.extras import extra
from pfa_core.files.sheets.text_writer import cell_text
from pfa_core.model.record import Kind
from pfa_core.model.values import MAX_DECIMALS

if TYPE_CHECKING:
    from pfa_core.files.sheets.columns import Column

_TOGETHER = 5000  # rows of a group
_DIGITS = 15 + MAX_DECIMALS


class ParquetWriter:
    """Rows as Parquet: exact decimals, days, flags and texts, missing values as null."""

    def __init__(self, arrow: Any, writer: Any, columns: Sequence[Column]) -> None:
        """Begin with no rows."""
        self._arrow, self._writer, self._columns = arrow, writer, columns
        self._waiting: list[list[Any]] = [[] for _ in columns]

    def write(self, values: Sequence[Any]) -> None:
        """Write the values of one row.

        Raises:
            InvalidData: A value is not of its column's kind.
        """
        for waiting, column, value in zip(self._waiting, self._columns, values, strict=True):
            waiting.append(_typed(column, value))
        if len(self._waiting[0]) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        schema = self._writer.schema
        try:
            arrays = [
                self._arrow.array(values, type=field.type)
                for values, field in zip(self._waiting, schema, strict=True)
            ]
        except (self._arrow.ArrowException, ValueError, TypeError) as error:
            raise InvalidData(f"a value is not of its column's kind: {error}") from error
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=schema))
        for waiting in self._waiting:
            waiting.clear()


@contextmanager
def parquet(file: BinaryIO, columns: Sequence[Column]) -> Iterator[ParquetWriter]:
    """Write Parquet into a file, some thousand rows at a time.

    Raises:
        ConfigInvalid: The package for it is not installed.
    """
    with extra("parquet", "to write Parquet"):
        import pyarrow
        import pyarrow.parquet
    schema = pyarrow.schema([(column.name, _type(pyarrow, column)) for column in columns])
    with pyarrow.parquet.ParquetWriter(file, schema) as inner:
        writer = ParquetWriter(pyarrow, inner, columns)
        yield writer
        writer.flush()


def _type(arrow: Any, column: Column) -> Any:
    if column.kind is Kind.MONEY:
        return arrow.decimal128(_DIGITS, MAX_DECIMALS)
    if column.kind is Kind.DATE:
        return arrow.date32()
    if column.kind is Kind.FLAG:
        return arrow.bool_()
    if column.name == "version":
        return arrow.int64()
    if column.name == "modifiedAt":
        return arrow.timestamp("ms", tz="UTC")
    return arrow.string()


def _typed(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is Kind.MONEY:
        return Decimal(value) if isinstance(value, int | Decimal) else value
    if column.kind is Kind.DATE:
        return date.fromisoformat(value)
    if column.kind is Kind.FLAG or column.name == "version":
        return value
    if column.name == "modifiedAt":
        return datetime.fromisoformat(value)
    return cell_text(value)
