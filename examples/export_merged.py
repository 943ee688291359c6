"""Write every merged record that matches into a JSONL or CSV file, in constant memory.

    python examples/export_merged.py cranes.jsonl --category Crane
    python examples/export_merged.py late.csv --where 'forecastEnd > originalEnd'
    python examples/export_merged.py everything.csv

The records come from one snapshot of the database. The file is written under another name and
renamed at the end, so that a reader never finds half of it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import pfa_core as pfa
from pfa_core.model.record import FIELDS

COLUMNS = [*FIELDS, "syncState"]


def main() -> int:
    """Read the command line, export, say how many records went out."""
    parser = argparse.ArgumentParser(description="Export merged records to JSONL or CSV.")
    parser.add_argument("file", type=Path, help="ends in .jsonl or .csv")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--category", action="append", default=[], help="may be repeated")
    parser.add_argument("--where", metavar="EXPR", help="an expression, as that of pfa list")
    arguments = parser.parse_args()
    try:
        filters = pfa.Filters(category=tuple(arguments.category), where=arguments.where)
        number = export(arguments.org, filters, arguments.file)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    print(f"{number} records written to {arguments.file.name}", file=sys.stderr)
    return 0


def export(org: str | None, filters: pfa.Filters, path: Path) -> int:
    """Stream the matching records into the file; how many they were."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    query = pfa.Query(filters, sort=pfa.parse_sort("pfaId"))
    write = write_csv if path.suffix == ".csv" else write_jsonl
    unfinished = path.with_name(f".{path.name}.part")
    with (
        pfa.open_database(settings) as db,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        number = write(file, pfa.stream_records(db, principal, query))
    unfinished.replace(path)
    return number


def write_jsonl(file: TextIO, records: Iterable[pfa.MergedRecord]) -> int:
    """One record a line, exactly as PostgreSQL wrote it: no digit goes through a float."""
    number = 0
    for number, record in enumerate(records, 1):  # noqa: B007 - the last one is the count
        file.write(record.data_json + "\n")
    return number


def write_csv(file: TextIO, records: Iterable[pfa.MergedRecord]) -> int:
    """The known fields in the order of the field table; null is an empty cell."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    number = 0
    for number, record in enumerate(records, 1):  # noqa: B007 - the last one is the count
        data = record.data | {"syncState": record.sync_state}
        writer.writerow(["" if data.get(name) is None else data[name] for name in COLUMNS])
    return number


if __name__ == "__main__":
    sys.exit(main())
