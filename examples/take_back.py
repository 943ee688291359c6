"""Take back your last operation, or draft the values of before for a session that is in PEMS.

    python examples/take_back.py
    python examples/take_back.py --session weather-silo4
    python examples/take_back.py --session weather-silo4 --dry-run

What was sent to PEMS cannot be undone, only changed once more: the second form drafts that. Fields that were
changed in PEMS since are printed and left as they are; it ends with 3 then.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa


def main() -> int:
    """Read the command line, take back, print what became of it."""
    parser = argparse.ArgumentParser(description="Take back an operation, or a pushed session.")
    parser.add_argument("--session", help="one whose changes are in PEMS")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--dry-run", action="store_true", help="show the effect, store nothing")
    arguments = parser.parse_args()
    try:
        settings = pfa.resolve(pfa.Flags(org=arguments.org))
        principal = pfa.authenticate(settings)
        with pfa.open_database(settings) as db:
            if arguments.session:
                return revert(db, principal, arguments.session, dry_run=arguments.dry_run)
            return undo(db, principal, dry_run=arguments.dry_run)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def undo(db: pfa.Database, principal: pfa.Principal, *, dry_run: bool) -> int:
    """Take back the last operation, and name the one that is the last now."""
    done = pfa.undo(db, principal, dry_run=dry_run)
    print(f"{done.kind} of {done.records} records of {done.at:%H:%M} taken back")
    for one in pfa.list_operations(db, principal, limit=20):
        if not one.undone and one.operation != done.operation and one.kind not in ("undo", "redo"):
            print(f"before it: {one.kind} of {one.records} records; undoing it {one.undoing}")
            break
    return 0


def revert(db: pfa.Database, principal: pfa.Principal, session: str, *, dry_run: bool) -> int:
    """Draft the values of before; 3 when some were changed in PEMS since."""
    done = pfa.revert(db, principal, session_id=session, dry_run=dry_run)
    print(f"{len(done.saved)} drafts in session {done.session_id}")
    for one in done.changed_since:
        print(f"  {one.pfa_id} {one.field}: {one.sent} was sent, PEMS has {one.pems} now")
    return 3 if done.changed_since else 0


if __name__ == "__main__":
    sys.exit(main())
