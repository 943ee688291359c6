"""A portion of a save costs the same, however many portions were before it, whatever the statistics know."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

import pfa_core
from pfa_core.drafts import save_portions
from pfa_core.model.query import Filters
from tests.forms import long
from tests.plans.conftest import Guard
from tests.plans.watching import Plans

pytestmark = pytest.mark.every_version

PORTION = 1000
TABLES = ("pfa_mirror", "pfa_modification", "pfa_overlay")


@pytest.fixture
def thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save_portions, "TOGETHER", PORTION)


def by_statement(plans: Plans) -> dict[str, list[Plans]]:
    """The plans of each statement that was executed for many portions, in their order."""
    found: dict[str, list[Plans]] = defaultdict(list)
    for report in plans.reports:
        found[report["Query Text"]].append(Plans([report]))
    return {text: each for text, each in found.items() if len(each) > 10}


@pytest.mark.usefixtures("thousands")
@pytest.mark.parametrize(
    ("statistics", "user"),
    [
        ("none", "eve"),
        ("none", "mary"),
        *long([("elsewhere", "eve"), ("elsewhere", "mary"), ("known", "eve"), ("known", "mary")]),
    ],
)
def test_no_statement_of_a_portion_reads_what_earlier_portions_wrote(
    guard: Guard,
    guard_of_new_tables: Guard,
    guard_of_elsewhere: Guard,
    statistics: str,
    user: str,
) -> None:
    """eve has no draft before, mary 5,000: of each portion some are new, some updated."""
    guards = {"known": guard, "none": guard_of_new_tables, "elsewhere": guard_of_elsewhere}
    plans, result = guards[statistics].operation(
        pfa_core.set_fields, user, Filters(), {"equipment": "other"}
    )
    assert len(result.saved) == 20_000
    statements = by_statement(plans)
    assert len(statements) >= 4
    read: dict[Any, list[int]] = {
        (text.partition("\n")[0], table): [one.touched(table) for one in each]
        for text, each in statements.items()
        for table in TABLES
    }
    wrong = {what: rows for what, rows in read.items() if max(rows) > PORTION}
    assert wrong == {}, "\n".join(str(each[-1]) for each in statements.values())
