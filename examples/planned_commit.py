"""Freeze your drafts, show what a commit of them would do, and commit exactly that.

    python examples/planned_commit.py
    python examples/planned_commit.py 10000

With an amount it commits only where the drafts change the forecast's cost by at most that, up or down, added up
record by record. What changes between the look and the commit ends it: nothing is committed then.
"""

from __future__ import annotations

import sys
from decimal import Decimal

import pfa_core as pfa


def main() -> int:
    """Plan, print, commit."""
    most = Decimal(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        settings = pfa.resolve()
        principal = pfa.authenticate(settings)
        with pfa.open_database(settings) as database:
            plan = pfa.plan_commit(database, principal, pfa.Selection(everything=True))
            print(f"{len(plan.drafts)} drafts, cost effect {plan.cost_effect}")
            guards = pfa.Guards(max_money=most, source="the command line")
            done = pfa.commit(database, principal, pfa.selection_of(plan), plan=plan, guards=guards)
            print(f"{len(done.committed)} committed")
    except pfa.errors.GuardExceeded as error:
        for limit in error.excesses:
            print(
                f"{limit.guard}: {limit.found}, at most {limit.most} ({limit.source}): nothing was committed"
            )
        return error.exit_code
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
