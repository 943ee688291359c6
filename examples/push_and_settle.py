"""Push what is committed, settle conflicts over forecast dates by a rule, and push what was settled.

    python examples/push_and_settle.py
    python examples/push_and_settle.py --dry-run

The rule: of two dates the later one wins, whichever side it is from. A conflict that touches any other field
stays open for a person (`pfa conflict list`). Needs to know where PEMS is, as `pfa sync push` does.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa

DATES = ("forecastStart", "forecastEnd")


def main() -> int:
    """Read the command line, push, settle, push; 3 when something is not in PEMS then."""
    parser = argparse.ArgumentParser(description="Push, and let later forecast dates stand.")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be sent")
    arguments = parser.parse_args()
    try:
        return push_and_settle(arguments.org, dry_run=arguments.dry_run)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def push_and_settle(org: str | None, *, dry_run: bool) -> int:
    """Push, settle what the rule can settle, and push again."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    with pfa.open_database(settings) as db:
        if dry_run:
            print(f"{len(pfa.plan_push(db, principal))} changes would be sent")
            return 0
        profile = pfa.pems_profile(settings, principal.organization_id)
        options = pfa.PushOptions(if_locked=pfa.IfLocked.WAIT)
        first = pfa.push_changes(db, principal, profile, options)
        settled = settle(db, principal, profile)
        second = pfa.push_changes(db, principal, profile, options) if settled else None
        still_open = len(pfa.list_conflicts(db, principal))
    synced = first.synced + (second.synced if second else 0)
    print(f"{synced} changes in PEMS, {settled} conflicts settled, {still_open} open")
    failed = (second or first).rejected + (second or first).retrying
    return 3 if still_open or failed else 0


def settle(db: pfa.Database, principal: pfa.Principal, profile: pfa.PemsProfile) -> int:
    """Settle my open conflicts that are about forecast dates only; how many."""
    settled = 0
    for conflict in pfa.list_conflicts(db, principal):
        # A date that is missing on either side is for a person too.
        if not all(item.field in DATES and item.mine and item.pems for item in conflict.fields):
            continue
        takes = {item.field: later(item.mine, item.pems) for item in conflict.fields}
        chosen = pfa.ConflictSelection(ids=(conflict.conflict_id,))
        try:
            pfa.resolve_conflicts(
                db, principal, chosen, pfa.Decision(fields=takes), ownership=profile.ownership
            )
        except (pfa.errors.BaselineConflict, pfa.errors.InvalidData) as error:
            # PEMS moved once more, or an end would lie before its start.
            print(f"{conflict.pfa_id} stays open: {error.message}", file=sys.stderr)
        else:
            settled += 1
    return settled


def later(mine: str, pems: str) -> str:
    """Whose date is the later one; dates are YYYY-MM-DD, so that their texts compare as they do."""
    return "mine" if mine > pems else "pems"


if __name__ == "__main__":
    sys.exit(main())
