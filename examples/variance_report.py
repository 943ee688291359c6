"""Print a Markdown report: plan, forecast and variance by category, the worst first.

    python examples/variance_report.py > variance.md
    python examples/variance_report.py --by dor --baseline
    python examples/variance_report.py --top 10

With your drafts overlaid unless --baseline is given. Discontinued and funds-transferable records
are counted and cost nothing, as everywhere in pfa.
"""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal

import pfa_core as pfa
from pfa_core.model.figures import Figures


def main() -> int:
    """Read the command line, print the report."""
    parser = argparse.ArgumentParser(description="Variance by category, as Markdown.")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--by", default="category", help="dimension: category, source, dor, …")
    parser.add_argument("--top", type=int, help="so many groups, the others in one line")
    parser.add_argument("--baseline", action="store_true", help="without my modifications")
    arguments = parser.parse_args()
    if arguments.by in ("month", "quarter", "year"):
        parser.error("months have no groups of records; try pfa stats --by month")
    try:
        print(report(arguments.org, arguments.by, arguments.top, baseline=arguments.baseline))
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


def report(org: str | None, by: str, top: int | None, *, baseline: bool) -> str:
    """The report as Markdown."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    with pfa.open_database(settings) as db:
        found = pfa.compute_stats(
            db, principal, pfa.Filters(), by=[by], sort="-variance", top=top, baseline=baseline
        )
    stats = found.with_amounts()
    whole = stats.figures
    lines = [
        f"# Variance of {principal.organization_id} by {by}",
        "",
        f"{whole.total_records:,} records, forecast {money(whole.cost.forecast.total)}, "
        f"variance {money(whole.cost.variance)} ({whole.cost.variance_pct:+.2f} %), "
        f"of it by changes not in PEMS yet {money(whole.draft_impact)}.",
        "",
        f"| {by} | records | plan | forecast | variance | % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [line(cell(group.key[by]), group.figures) for group in stats.groups]
    lines += [
        line(f"*{others.group_count} others*", others.figures)
        for others in stats.others
        if others.figures
    ]
    return "\n".join([*lines, line("**total**", whole)])


def line(name: str, figures: Figures[Decimal]) -> str:
    """A line of the table."""
    cost = figures.cost
    return (
        f"| {name} | {figures.total_records:,} | {money(cost.plan.total)} "
        f"| {money(cost.forecast.total)} | {money(cost.variance)} | {cost.variance_pct:+.2f} |"
    )


def money(amount: Decimal) -> str:
    """Cents exactly, thousands apart."""
    return f"{amount:,.2f}"


def cell(value: object) -> str:
    """A value that cannot break the table."""
    return str(value).replace("|", "\\|") if value not in (None, "") else "(none)"


if __name__ == "__main__":
    sys.exit(main())
