"""Plans hold whatever the planner knows of users' drafts: nothing, an empty table, ten rows, another user's.

Each operation, over each state of the statistics, visits about as many rows as over fresh ones. What is never
allowed is a loop in a loop: where the planner expects one row, it compared all drafts with all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfa_core.model.principal import Principal
from pfa_core.store.database import Database
from tests.forms import EFFORT, long, many
from tests.plans.matrix import MIDDLE, NIGHT, OPERATIONS, SMALL, Matrix, a_matrix
from tests.server import Server

# Of a mirror that nothing has analyzed the planner does not know that a category is a smaller part of it than a
# user's drafts. A restored dump is analyzed by an upgrade, a pull or the first bulk save; to look each draft up in
# the mirror whatever the filter would take twice as long with fresh statistics.
LEFT = {("stats --manufacturer", "dump")}
# One of each kind of statement; the rest are variants.
USUAL = (
    "list --session",
    "list --sort -monthlyRate",
    "stats",
    "stats --session",
    "diff",
    "diff, lines",
    "export --category",
    "undo --list",
    "unset",
    "restore",
)


@pytest.fixture(scope="module")
def small(postgres: Server) -> Iterator[Matrix]:
    with a_matrix(postgres, SMALL) as matrix:
        yield matrix


@pytest.fixture(scope="module")
def large_one(postgres: Server) -> Iterator[Matrix]:
    with a_matrix(postgres, (MIDDLE, NIGHT)[min(many(0, 1), 1)]) as matrix:
        yield matrix


@pytest.mark.long
@pytest.mark.parametrize("state", ["emptied", *long(["none"])])
@pytest.mark.parametrize("name", USUAL)
def test_an_operation_reads_no_more_where_the_planner_expects_no_draft(
    small: Matrix, name: str, state: str
) -> None:
    user, work = OPERATIONS[name]
    small.assert_holds(state, user, work)


# Each takes twenty seconds, and there are 84: before a release all of them.
AT_SIZE = tuple(OPERATIONS) if EFFORT > 1 else ("list --session", "list --state draft")


@pytest.mark.turns(12)
@pytest.mark.long
@pytest.mark.every_version
@pytest.mark.parametrize("name", AT_SIZE)
def test_no_statistics_make_an_operation_read_more(large_one: Matrix, name: str) -> None:
    user, work = OPERATIONS[name]
    for state in large_one.states:
        if (name, state) in LEFT:
            continue
        for one in (user,) if user != "mary" else ("mary", "fay", "eve"):
            large_one.assert_holds(state, one, work)


@pytest.mark.long
def test_a_loop_in_a_loop_would_be_found(small: Matrix) -> None:
    """What the statements were made of before: a join that is left to the planner."""
    compared = """
        SELECT count(*) FROM pfa_overlay AS r
        JOIN pfa_modification AS m ON m.organization_id = 'ORG' AND m.modification_id = r.modification_id
        WHERE r.organization_id = 'ORG' AND r.user_id = 'mary' AND m.state = 'draft'"""

    def work(db: Database, _: Principal) -> object:
        return db.read(lambda conn: conn.execute(compared).fetchall())

    small.assert_holds("fresh", "mary", work)
    with pytest.raises(AssertionError, match="emptied, mary"):
        small.assert_holds("emptied", "mary", work)
