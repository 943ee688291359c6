"""A portion of a save costs the same, however many portions were before it, whatever the statistics know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

import pfa_core
from pfa_core import Selection
from pfa_core.drafts import save_portions
from pfa_core.model.query import Filters
from tests.factories import World
from tests.forms import LONG, long
from tests.plans.conftest import Guard
from tests.plans.large import FORGET, a_copy
from tests.plans.watching import Plans, Watching
from tests.server import Server

pytestmark = pytest.mark.every_version

PORTION = 250
RECORDS = 5000
EVERY = Filters(id=tuple(f"P-{number:06}" for number in range(1, RECORDS + 1)))
TABLES = ("pfa_mirror", "pfa_modification", "pfa_overlay")


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save_portions, "TOGETHER", PORTION)


def by_statement(plans: Plans) -> dict[str, list[Plans]]:
    """The plans of each statement that was executed for many portions, in their order."""
    found: dict[str, list[Plans]] = defaultdict(list)
    for report in plans.reports:
        found[report["Query Text"]].append(Plans([report]))
    return {text: each for text, each in found.items() if len(each) > 10}


def require_the_same(plans: Plans) -> None:
    """No statement of a portion looked at more rows than the portion has."""
    statements = by_statement(plans)
    assert len(statements) >= 4
    read: dict[Any, list[int]] = {
        (text.partition("\n")[0], table): [one.touched(table) for one in each]
        for text, each in statements.items()
        for table in TABLES
    }
    wrong = {what: rows for what, rows in read.items() if max(rows) > PORTION}
    assert wrong == {}, "\n".join(str(each[-1]) for each in statements.values())


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize(
    ("statistics", "user"),
    [
        ("none", "mary"),
        ("elsewhere", "eve"),
        *long([("none", "eve"), ("elsewhere", "mary"), ("known", "eve"), ("known", "mary")]),
    ],
)
def test_no_statement_of_a_portion_reads_what_earlier_portions_wrote(
    guard: Guard,
    guard_of_new_tables: Guard,
    guard_of_elsewhere: Guard,
    statistics: str,
    user: str,
) -> None:
    """eve has no draft before, mary some of each portion."""
    guards = {"known": guard, "none": guard_of_new_tables, "elsewhere": guard_of_elsewhere}
    plans, result = guards[statistics].operation(
        pfa_core.set_fields, user, EVERY, {"equipment": "other"}
    )
    assert len(result.saved) == RECORDS
    require_the_same(plans)


@pytest.fixture
def own_guard(postgres: Server, worlds: tuple[World, World, World], jit: str) -> Iterator[Guard]:
    """A world of the test's own that nothing has counted."""
    # A session of another test's may be connected to it: that one opens a new one.
    postgres._end_sessions(str(conninfo_to_dict(str(worlds[0].db.conninfo))["dbname"]))
    with a_copy(postgres, worlds[0], FORGET) as world:
        db = Watching(str(world.db.conninfo), forced_jit=jit == "jit on")
        with db:
            yield Guard(world, db, compiles=jit == "jit on")


@LONG
@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("work", ["restore", "unset"])
def test_nor_does_one_of_a_restore_or_of_an_unset(own_guard: Guard, work: str) -> None:
    db, mary = own_guard.world.db, own_guard.principal("mary")
    pfa_core.set_fields(
        db, mary, EVERY, {"equipment": "other", "model": "B"}, session_id="t", move=True
    )
    if work == "restore":
        pfa_core.discard(db, mary, Selection(session_id="t"))
        plans, result = own_guard.operation(pfa_core.restore, "mary", session_id="t")
        assert len(result.restored) == RECORDS
        entries = by_statement(plans).values()
        assert max(one.touched("audit_log") for each in entries for one in each) <= 4 * PORTION
    else:
        plans, result = own_guard.operation(pfa_core.unset_fields, "mary", EVERY, ["model"])
        assert len(result.unset) == RECORDS
    require_the_same(plans)
