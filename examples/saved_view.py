"""Print what a saved view has: its records, and their forecast cost by area.

    python examples/saved_view.py cranes
    python examples/saved_view.py cranes --category Crane --where 'monthlyRate > 1000'
    python examples/saved_view.py cranes --area "Silo 4"

With filters the view is saved first; `--area` narrows it. `pfa list --view cranes` has the same records.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa


def main() -> int:
    """Read the command line, print the view."""
    parser = argparse.ArgumentParser(description="What a saved view has.")
    parser.add_argument("name", help="the view")
    parser.add_argument("--category", action="append", default=[], help="save it with these")
    parser.add_argument("--where", help="save it with this expression")
    parser.add_argument("--shared", action="store_true", help="save it for the organization")
    parser.add_argument("--area", action="append", default=[], help="only of this area")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    arguments = parser.parse_args()
    try:
        print(of_view(arguments))
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


def of_view(arguments: argparse.Namespace) -> str:
    """A line for the view, its first records and each area."""
    settings = pfa.resolve(pfa.Flags(org=arguments.org))
    principal = pfa.authenticate(settings)
    filters = pfa.Filters(category=tuple(arguments.category), where=arguments.where)
    with pfa.open_database(settings) as db:
        if filters.given():
            view = pfa.View(name=arguments.name, filters=filters)
            pfa.save_view(db, principal, view, shared=arguments.shared)
        found = pfa.show_view(db, principal, arguments.name)
        # An expression keeps its text: what is relative to today is so at each use.
        narrowed = found.view.narrowed(pfa.Filters(area_silo=tuple(arguments.area)))
        page = pfa.list_records(db, principal, pfa.Query(narrowed), page_size=3)
        stats = pfa.compute_stats(db, principal, narrowed, by=("areaSilo",)).with_amounts()
    ids = ", ".join(record.pfa_id for record in page.records)
    whose = f"shared by {found.created_by}" if found.shared else "yours"
    areas = [
        f"{group.key['areaSilo']}: {group.figures.cost.forecast.total:,.2f}"
        for group in stats.groups
    ]
    first = f"{found.name} ({whose}): {page.total_records} records, the first {ids}"
    return "\n".join([first, *areas])


if __name__ == "__main__":
    sys.exit(main())
