"""Move one work area's forecast by some days, and print what that does to its cost.

    python examples/weather_delay.py "Silo 4" 14
    python examples/weather_delay.py "Silo 4" 14 --org HOLNG --dry-run

Actualized and discontinued records stay as they are. The drafts wait in a session of their own:
look at them with `pfa diff SESSION`, keep them with `pfa commit --session SESSION`, drop them with
`pfa discard --session SESSION`. Running it again moves the same records once more.
"""

from __future__ import annotations

import argparse
import sys

import pfa_core as pfa


def main() -> int:
    """Read the command line, shift, print; the exit code of `pfa` for whatever goes wrong."""
    parser = argparse.ArgumentParser(description="Move one work area's forecast by some days.")
    parser.add_argument("area", help="work area, as the records name it")
    parser.add_argument("days", type=int, help="later by so many days, earlier when negative")
    parser.add_argument("--org", help="organization; not needed when the token holds one")
    parser.add_argument("--dry-run", action="store_true", help="do everything, then roll it back")
    arguments = parser.parse_args()
    try:
        delay(arguments.org, arguments.area, arguments.days, dry_run=arguments.dry_run)
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


def delay(org: str | None, area: str, days: int, *, dry_run: bool) -> None:
    """Shift what is still ahead in the area, and print the area's forecast before and after."""
    settings = pfa.resolve(pfa.Flags(org=org))
    principal = pfa.authenticate(settings)
    session = f"weather-{area.lower().replace(' ', '')}"
    whole_area = pfa.Filters(area_silo=(area,))
    ahead = pfa.Filters(area_silo=(area,), actualized=False, discontinued=False)
    with pfa.open_database(settings) as db:
        before = pfa.compute_stats(db, principal, whole_area).with_amounts().figures
        saved = pfa.shift(
            db,
            principal,
            ahead,
            days,
            reason=f"Weather: {area} stopped for {days} days",
            session_id=session,
            dry_run=dry_run,
        )
        after = pfa.compute_stats(db, principal, whole_area).with_amounts().figures
    print(f"{len(saved.saved)} of {before.total_records} records in {area} move by {days} days")
    print(f"session   {session}{' (rolled back)' if dry_run else ''}")
    print(f"forecast  {before.cost.forecast.total:,} → {after.cost.forecast.total:,}")
    print(f"variance  {after.cost.variance:+,}, of it by your changes {after.draft_impact:+,}")


if __name__ == "__main__":
    sys.exit(main())
