"""Back the database up, verify it, and keep a copy of one organization beside it.

    python examples/nightly_backup.py /srv/backups --org HOLNG

Needs the owner's address, as pfa db backup does. It ends with 1 where a trail or sums are not whole: the
backup is there then.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import pfa_core as pfa


def main() -> int:
    """Read the command line and write both files."""
    parser = argparse.ArgumentParser(description="Back the database up.")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    arguments = parser.parse_args()
    try:
        return back_up(arguments.folder, arguments.org)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def back_up(folder: Path, org: str | None) -> int:
    """Write the backup and the copy, and print where each trail ends."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    day = datetime.now(UTC).date().isoformat()
    made = pfa.backup_database(settings, folder / f"pfa-{day}.dump")
    for one in made.organizations:
        print(f"{one.organization_id}: {one.records:,} records, anchor {one.anchor}")
    with pfa.open_database(settings) as db:
        code = principal.organization_id
        copy = pfa.export_organization(db, principal, folder / f"{code}-{day}.pfa", copy=True)
    print(f"{code}: {copy.modifications:,} drafts and changes of {copy.members:,} members copied")
    return 0 if made.whole else 1


if __name__ == "__main__":
    sys.exit(main())
