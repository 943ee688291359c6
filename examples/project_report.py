"""Write a report as a page to forward, and print in one line how the forecast stands.

    python examples/project_report.py report.html
    python examples/project_report.py cranes.xlsx --category Crane --title "Cranes, May"
    python examples/project_report.py notes.md --where "forecastEnd > today"

The form of the page is by the end of the file's name: .html, .md or .xlsx. The numbers are those of
`pfa stats`, `pfa diff` and `pfa status`, read in one snapshot.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa


def main() -> int:
    """Read the command line, write the page, print the variance."""
    parser = argparse.ArgumentParser(description="A report as a page to forward.")
    parser.add_argument("file", nargs="?", default="report.html", help=".html, .md or .xlsx")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--category", action="append", default=[], help="only this category")
    parser.add_argument("--where", help="only records for which this expression is true")
    parser.add_argument("--title", default="", help="instead of the organization's name")
    arguments = parser.parse_args()
    try:
        settings = pfa.resolve(pfa.Flags(org=arguments.org))
        principal = pfa.authenticate(settings)
        filters = pfa.Filters(category=tuple(arguments.category), where=arguments.where)
        with pfa.open_database(settings) as db:
            found = pfa.report(db, principal, filters, title=arguments.title)
        pfa.write_report(found, arguments.file)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    print(f"{found.title}: {stands(found)}; written to {arguments.file}")
    return 0


def stands(found: pfa.ProjectReport) -> str:
    """How the forecast stands; without the right to see money, how many records there are."""
    if found.masked:
        return f"{found.stats.figures.total_records:,} records"
    variance = found.stats.with_amounts().figures.cost.variance
    return f"variance {variance:+,.2f}, {len(found.conflicts)} conflicts"


if __name__ == "__main__":
    sys.exit(main())
