"""Print what your drafts change, by the reason you gave, and the largest effects on cost.

python examples/review_drafts.py
python examples/review_drafts.py 5
"""

from __future__ import annotations

import sys

import pfa_core as pfa


def main() -> int:
    """Print sums by reason, then the records with the largest effect."""
    top = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    every = pfa.Filters()
    try:
        settings = pfa.resolve()
        principal = pfa.authenticate(settings)
        with pfa.open_database(settings) as database:
            found = pfa.review(database, principal, every, by="reason")
            for group in found.groups:
                print(f"{group.key or 'without a reason'}: {group.records}, {group.cost_effect:+}")
            for record in pfa.stream_review(database, principal, every, top=top):
                names = ", ".join(change.field for change in record.changes)
                print(f"{record.pfa_id}  {record.cost_effect:+}  {names}")
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
