"""What a user writes costs what is written: one record a few rows, a thousand of them no loop in a loop."""

from __future__ import annotations

from typing import Any

import pytest

import pfa_core
from pfa_core import Selection
from pfa_core.model.query import Filters
from pfa_core.store import modifications
from tests.plans.conftest import Guard
from tests.plans.large import DRAFTS, FRESH, MANY
from tests.plans.watching import Plans, assert_few_rows

pytestmark = pytest.mark.every_version

TABLES = ("pfa_mirror", "pfa_modification", "pfa_overlay")
# A record is read, checked and written by some statements, each of which looks up one row.
ONE = 12
# Many at once: a statement reads what it is about by a key, or, where the statistics know nothing of the user
# or the organization, all that the organization has, once; never once for each.
AT_ONCE = 20_000
STATEMENTS = 8
# Fewer, since jit compiles the columns that are generated for each of them.
SAVED = 200


ONE_OF_MANY = pytest.mark.parametrize(
    ("user", "pfa_id"), [("ann", "P-000097"), ("mary", "P-000008")]
)


def assert_looked_up(plans: Plans, most: int) -> None:
    for table in TABLES:
        assert_few_rows(plans, table, most)


def edit(guard: Guard, user: str, pfa_id: str) -> Plans:
    plans, result = guard.operation(
        pfa_core.set_fields, user, Filters(id=(pfa_id,)), {"equipment": "other"}
    )
    assert len(result.saved) == 1
    return plans


@pytest.mark.parametrize("user", ["ann", "mary", "eve"])
def test_a_first_edit_of_a_record_looks_up_its_rows(guard: Guard, user: str) -> None:
    assert_looked_up(edit(guard, user, "P-000002"), ONE)


@ONE_OF_MANY
def test_an_edit_of_a_draft_looks_up_its_rows(guard: Guard, user: str, pfa_id: str) -> None:
    assert_looked_up(edit(guard, user, pfa_id), ONE)


@ONE_OF_MANY
def test_one_draft_of_many_is_committed_by_looking_it_up(
    guard: Guard, user: str, pfa_id: str
) -> None:
    plans, result = guard.operation(pfa_core.commit, user, Selection(ids=(pfa_id,)))
    assert len(result.committed) == 1
    assert_looked_up(plans, ONE)


@pytest.mark.parametrize(("user", "pfa_id"), [("ann", "P-000097"), ("mary", "P-000008")])
def test_one_draft_of_many_is_dropped_by_looking_it_up(
    guard: Guard, user: str, pfa_id: str
) -> None:
    plans, result = guard.operation(pfa_core.discard, user, Selection(ids=(pfa_id,)))
    assert result.discarded == [pfa_id]
    assert_looked_up(plans, ONE)


# Until a table is counted for the first time every user is taken for one row, and PostgreSQL 15 to 16 then
# go through all of a user's: some times, never once for each.
@pytest.mark.parametrize("pfa_id", ["P-000008", "P-000002"], ids=["drafted", "pristine"])
def test_an_edit_reads_the_drafts_some_times_at_most_in_tables_that_were_never_counted(
    guard_of_new_tables: Guard, pfa_id: str
) -> None:
    plans = edit(guard_of_new_tables, "mary", pfa_id)
    assert_few_rows(plans, "pfa_mirror", ONE)
    assert plans.touched("pfa_modification") <= 6 * MANY, str(plans)
    assert plans.touched("pfa_overlay") <= 6 * MANY, str(plans)


MANY_AT_ONCE = pytest.mark.parametrize(
    "work", [pfa_core.commit, pfa_core.discard], ids=["commit", "discard"]
)


def assert_each_once(plans: Plans, result: Any) -> None:
    done = getattr(result, "committed", None) or getattr(result, "discarded", None)
    assert done is not None
    assert len(done) == FRESH
    for table in TABLES:
        assert plans.touched(table) <= STATEMENTS * AT_ONCE, f"{table}\n{plans}"
    assert plans.loops() <= AT_ONCE, str(plans)


# The statistics do not know of fay's drafts: taken for one row, they would be read again for each of them.
@MANY_AT_ONCE
def test_a_thousand_fresh_drafts_are_committed_or_dropped_without_a_loop_in_a_loop(
    guard: Guard, work: Any
) -> None:
    assert_each_once(*guard.operation(work, "fay", Selection(session_id="of fay")))


@MANY_AT_ONCE
def test_nor_are_they_where_the_tables_were_never_counted(
    guard_of_new_tables: Guard, work: Any
) -> None:
    session = Selection(session_id="of fay")
    assert_each_once(*guard_of_new_tables.operation(work, "fay", session))


# A B-tree of PostgreSQL 18 skips over columns without a condition: the index of sessions then serves to
# read all of a user's modifications, and did for each record, where the statistics knew only others.
@MANY_AT_ONCE
def test_nor_are_they_where_the_statistics_are_another_organization_s(
    guard_of_elsewhere: Guard, work: Any
) -> None:
    session = Selection(session_id="of fay")
    assert_each_once(*guard_of_elsewhere.operation(work, "fay", session))


@pytest.mark.variants(2)
@pytest.mark.parametrize("statistics", ["known", "none", "elsewhere"])
@pytest.mark.parametrize("user", ["eve", "mary"])
def test_hundreds_of_records_are_saved_without_a_loop_in_a_loop(
    guard: Guard,
    guard_of_new_tables: Guard,
    guard_of_elsewhere: Guard,
    statistics: str,
    user: str,
) -> None:
    ids = tuple(f"P-{number * 13:06}" for number in range(1, SAVED + 1))
    guards = {"known": guard, "none": guard_of_new_tables, "elsewhere": guard_of_elsewhere}
    chosen = guards[statistics]
    plans, result = chosen.operation(
        pfa_core.set_fields, user, Filters(id=ids), {"equipment": "other"}
    )
    assert len(result.saved) == SAVED
    # Beside some of its rows the mirror may as well be read from end to end, once.
    for table in TABLES:
        assert plans.touched(table) <= STATEMENTS * AT_ONCE, f"{table}\n{plans}"
    assert plans.loops() <= AT_ONCE, str(plans)


def test_fields_are_unset_without_a_look_at_records_that_have_no_draft(guard: Guard) -> None:
    plans, result = guard.operation(pfa_core.unset_fields, "ann", Filters(), ["equipment"])
    assert len(result.emptied) == DRAFTS
    assert_few_rows(plans, "pfa_mirror", STATEMENTS * DRAFTS)


def test_the_users_active_modifications_of_a_few_records_are_looked_up(guard: Guard) -> None:
    ids = ["P-000097", "P-000194"]
    plans, found = guard.read(lambda conn, who: modifications.active(conn, who, ids))
    assert len(found) == 2
    assert_looked_up(plans, 10)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "never counted"])
def test_a_thousand_fresh_drafts_are_undone_without_a_loop_in_a_loop(
    guard: Guard, guard_of_new_tables: Guard, counted: bool
) -> None:
    plans, result = (guard if counted else guard_of_new_tables).operation(pfa_core.undo, "fay")
    assert len(result.undone) == FRESH
    for table in TABLES:
        assert plans.touched(table) <= STATEMENTS * AT_ONCE, f"{table}\n{plans}"
    assert plans.touched("audit_log") <= STATEMENTS * FRESH, str(plans)


def test_an_operation_of_a_thousand_entries_is_found_by_one_of_them(guard: Guard) -> None:
    work = lambda: pfa_core.list_operations(guard.db, guard.principal("fay"))  # noqa: E731
    plans, (found,) = guard.db.watch(work)
    assert (found.kind, found.records) == ("save", FRESH)
    walk = plans.of("RECURSIVE walk")
    assert 0 < walk.touched("audit_log") <= ONE, str(walk)
