"""Raise the monthly rate of a category's rentals, and show every record that refused.

    python examples/bulk_review.py Crane 3.5
    python examples/bulk_review.py Crane 3.5 --partial

Each change says which version of the draft it is for: a rate raised twice would be wrong. When another process
saved one of them again in between (you, in another window), that record answers VERSION_CONFLICT instead of being
raised again. Nothing is saved then, or with --partial everything else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal

import pfa_core as pfa

SESSION = "rate-review"


def main() -> int:
    """Read the command line, save, print what was saved and what was not."""
    parser = argparse.ArgumentParser(description="Raise the monthly rate of a category's rentals.")
    parser.add_argument("category")
    parser.add_argument("percent", type=Decimal, help="by how much, for instance 3.5")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--partial", action="store_true", help="save the good ones all the same")
    arguments = parser.parse_args()
    try:
        return review(
            arguments.org, arguments.category, arguments.percent, partial=arguments.partial
        )
    except pfa.errors.PfaError as error:
        show_faults(error.details)
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code


def review(org: str | None, category: str, percent: Decimal, *, partial: bool) -> int:
    """Compute the new rates and save them as drafts; 3 when some were refused."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    rentals = pfa.Filters(category=(category,), source=("Rental",), discontinued=False)
    with pfa.open_database(settings) as db:
        records = list(pfa.stream_records(db, principal, pfa.Query(rentals)))
        changes = [raised(record, percent) for record in records if record.data.get("monthlyRate")]
        if not changes:
            print(f"no rental of {category} has a rate")
            return 0
        result = pfa.save(db, principal, changes, session_id=SESSION, partial=partial)
        impact = pfa.diff(db, principal, pfa.Filters(), session_id=SESSION).cost_effect
    print(f"{len(result.saved)} of {len(changes)} rates drafted, cost effect {impact:+,}")
    show_faults(result.errors)
    return 3 if result.errors else 0


def raised(record: pfa.MergedRecord, percent: Decimal) -> pfa.Change:
    """The change for one record; its draft must still be the one that was read, or none."""
    seen = record.version if record.sync_state == "draft" else 0
    return pfa.Change(
        record.pfa_id,
        {"monthlyRate": pfa.Relative.percent(percent, decimals=2)},
        change_reason=f"Rates up by {percent} %",
        expected_version=seen,
    )


def show_faults(faults: Sequence[pfa.errors.Fault]) -> None:
    """One line for each fault, on stderr."""
    for fault in faults:
        print(f"  {fault.pfa_id} {fault.field}: {fault.message} [{fault.code}]", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
