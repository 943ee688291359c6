"""Write a category's records as a sheet, and save what was edited in it as drafts.

    python examples/spreadsheet.py write cranes.xlsx Crane
    python examples/spreadsheet.py save cranes.xlsx --decimal ,

Of the sheet only the edited cells are saved. Records that PEMS has changed since it was written are named: an
edited cell of theirs may be in conflict at the commit. Workbooks need pip install 'pfa[xlsx]'; a name that ends
with .csv does without.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa

SESSION = "spreadsheet"


def main() -> int:
    """Read the command line, write or save, print what was done."""
    parser = argparse.ArgumentParser(description="Records in a spreadsheet, and back.")
    parser.add_argument("what", choices=("write", "save"))
    parser.add_argument("file")
    parser.add_argument("category", nargs="?", default="Crane")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--decimal", default="", help="the mark before decimals in texts")
    arguments = parser.parse_args()
    try:
        settings = pfa.resolve(pfa.Flags(org=arguments.org))
        principal = pfa.authenticate(settings)
        with pfa.open_database(settings) as db:
            if arguments.what == "write":
                return write(db, principal, arguments.file, arguments.category)
            notation = pfa.Notation(decimal=arguments.decimal)
            return save(db, principal, arguments.file, notation)
    except pfa.errors.PfaError as error:
        for fault in error.details:
            print(f"  {fault.position}: {fault.pfa_id} {fault.message}", file=sys.stderr)
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def write(db: pfa.Database, principal: pfa.Principal, path: str, category: str) -> int:
    """Write the sheet; a file of that name stays as it is if anything fails."""
    query = pfa.Query(pfa.Filters(category=(category,)))
    written = pfa.write_sheet(db, principal, query, path)
    print(f"{written.records} records with {len(written.columns)} columns written to {path}")
    return 0


def save(db: pfa.Database, principal: pfa.Principal, path: str, notation: pfa.Notation) -> int:
    """Save the edited cells as drafts, all or none."""
    sheet = pfa.read_delta_file(path, notation=notation)
    result = pfa.save(
        db, principal, sheet.changes, session_id=SESSION, faults=sheet.faults, source=sheet.source
    )
    print(f"{len(result.saved)} drafts, {len(result.unchanged)} records without an edited cell")
    if result.moved:
        print(f"changed by PEMS since the sheet was written: {', '.join(result.moved)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
