"""Print the records that are most over plan, and that they add up to the variance.

    python examples/over_plan.py
    python examples/over_plan.py --category Crane --first 5

A record's costs are those that `pfa stats` adds up: their sum, rounded to cents, is its variance.
"""

from __future__ import annotations

import argparse
import sys
from decimal import ROUND_HALF_UP, Decimal

import pfa_core as pfa

CENT = Decimal("0.01")


def main() -> int:
    """Read the command line, print the records."""
    parser = argparse.ArgumentParser(description="The records that are most over plan.")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--category", action="append", default=[], help="only this category")
    parser.add_argument("--first", type=int, default=10, help="so many records")
    arguments = parser.parse_args()
    filters = pfa.Filters(category=tuple(arguments.category))
    try:
        print(over_plan(arguments.org, filters, arguments.first))
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


def over_plan(org: str | None, filters: pfa.Filters, first: int) -> str:
    """A line for each of the first records, and the sum of all."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    query = pfa.Query(filters, pfa.parse_sort("-variance"), costs=True)
    lines, variance = [], Decimal(0)
    with pfa.open_database(settings) as db:
        for record in pfa.stream_records(db, principal, query):
            if record.costs is None or record.costs.variance is None:
                continue  # left out of costs, or masked
            variance += record.costs.variance
            if len(lines) < first:
                lines.append(f"{record.pfa_id}  {rounded(record.costs.variance):+,.2f}")
        figures = pfa.compute_stats(db, principal, filters).with_amounts().figures
    agrees = "as" if rounded(variance) == figures.cost.variance else "NOT as"
    return "\n".join([*lines, f"all: {rounded(variance):+,.2f}, {agrees} pfa stats says"])


def rounded(amount: Decimal) -> Decimal:
    """Half up to cents, once, at the end."""
    return amount.quantize(CENT, ROUND_HALF_UP)


if __name__ == "__main__":
    sys.exit(main())
