"""Print what changed in PEMS in the last hours: the greatest effects on cost, and where their rates come from.

    python examples/what_changed.py 24
    python examples/what_changed.py 168 --category Crane --top 5

Run it after the nightly pull. Where nothing changed it says so and ends with 0.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

import pfa_core as pfa


def main() -> int:
    """Read the command line and print the changes."""
    parser = argparse.ArgumentParser(description="Print what changed in PEMS.")
    parser.add_argument("hours", type=float, help="how far back, for instance 24")
    parser.add_argument("--category", action="append", default=[], help="only this category")
    parser.add_argument("--top", type=int, default=10, help="how many records to print")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    arguments = parser.parse_args()
    window = pfa.ChangeWindow(since=datetime.now(UTC) - timedelta(hours=arguments.hours))
    filters = pfa.Filters(category=tuple(arguments.category))
    try:
        return report(arguments.org, window, filters, arguments.top)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def report(org: str | None, window: pfa.ChangeWindow, filters: pfa.Filters, top: int) -> int:
    """Print the totals, then the records that raise the forecast most, field by field."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    with pfa.open_database(settings) as db:
        page = pfa.list_changes(db, principal, window, filters, limit=top, sort="-costEffect")
        totals = page.totals
        print(f"{totals.changed} changed, {totals.new} new, {totals.missing} missing")
        print(f"forecast cost {totals.cost_effect:+,}")
        for item in page.changes:
            print(f"{item.pfa_id} {item.change} {item.cost_effect:+,}")
            for change in item.changes:
                print(f"  {change.field}: {change.before} -> {change.after}")
        if page.changes:
            print_origin(pfa.blame(db, principal, page.changes[0].pfa_id), "monthlyRate")
    return 0


def print_origin(blame: pfa.RecordBlame, name: str) -> None:
    """Print where the value of one field comes from."""
    for item in blame.fields:
        if item.field == name:
            who = item.user_id or "PEMS"
            print(f"{blame.pfa_id}: {name} {item.value} is by {who}, run {item.run_id}")


if __name__ == "__main__":
    sys.exit(main())
