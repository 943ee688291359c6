"""Variants of statements under row-level security: each means what the owner's statement means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection

from pfa_core import sql
from pfa_core.store import conflicts
from pfa_core.store.conflicts import NewConflict
from tests.rls.two import Two, authorize
from tests.store.test_sql import NOUNS

# What does less than the owner's statement: nothing but what its transaction has settled (test_pushers.py).
NARROWER = ("queue.shift_bases@rls",)
VARIANTS = [
    f"{noun}.{name.removesuffix('@rls')}"
    for noun in NOUNS
    for name in sql.statements(noun)
    if name.endswith("@rls") and f"{noun}.{name}" not in NARROWER
]


def nothing(_: Connection[Any]) -> None:
    """Most statements need no temporary table."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a pair is compared: what is asked of it, and what is read of the tables after it.

    `spoil` is what the owner changes before, so that the statement has something to do.
    """

    scope: str = "read"
    values: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    spoil: str = ""
    before: Callable[[Connection[Any]], None] = nothing
    after: str = ""


# As a check that is younger than the row leaves it.
A_BAD_ROW = (
    "ALTER TABLE pfa_sync_outcome DROP CONSTRAINT IF EXISTS pfa_sync_outcome_number_range;"
    " INSERT INTO pfa_sync_outcome VALUES ('ORG', gen_random_uuid(), gen_random_uuid(), -1, NULL, NULL, '',"
    " 'synced', '', '', now())"
)
PROOFS = {
    "counts.modifications": Proof(),
    "counts.waiting": Proof(),
    "counts.conflicts": Proof(),
    "search.few": Proof(
        values={"search": "%p-%", "most": 2000},
        parts={"conditions": "r.search_text LIKE pfa_fold_inline(%(search)s)"},
    ),
    "mirror.analyze": Proof(
        scope="refresh_data",
        spoil="DELETE FROM pg_statistic WHERE starelid = 'pfa_mirror'::regclass",
        after="SELECT staattnum FROM pg_statistic WHERE starelid = 'pfa_mirror'::regclass ORDER BY 1",
    ),
    "drift.bad_rows": Proof(scope="manage_settings", spoil=A_BAD_ROW),
    "drift.drop_bad_rows": Proof(
        scope="manage_settings", spoil=A_BAD_ROW, after="SELECT number FROM pfa_sync_outcome"
    ),
    "withdrawal.withdraw": Proof(
        scope="manage_users",
        values={"user_id": "ben", "at": datetime(2026, 1, 1, tzinfo=UTC)},
        after="SELECT organization_id, modification_id, state, delta, base, version, updated_at"
        " FROM pfa_modification ORDER BY 1, 2",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def disputed(two: Two) -> None:
    """A conflict of ben's, whom ann counts and does not see."""
    query = "SELECT modification_id::text FROM pfa_modification WHERE user_id = 'ben' AND pfa_id = 'P-2'"
    ((modification_id,),) = two.as_owner(query)
    row = NewConflict(
        conflict_id="01900000-0000-7000-8000-000000000000",
        modification_id=modification_id,
        pfa_id="P-2",
        user_id="ben",
        fields=[{"field": "model", "base": "a", "mine": "b", "pems": "c"}],
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    two.org.owner.transact(lambda conn: conflicts.insert(conn, "ORG", [row], at))


def test_every_variant_under_rls_is_proved() -> None:
    assert sorted(PROOFS) == sorted(VARIANTS)


@pytest.mark.parametrize("block", VARIANTS)
def test_a_variant_under_rls_means_what_the_owners_statement_does(two: Two, block: str) -> None:
    noun, _, name = block.partition(".")
    proof, statements = PROOFS[block], sql.statements(noun)
    values = {"organization_id": "ORG", **proof.values}
    if proof.spoil:
        two.as_owner(proof.spoil)
    untouched = two.as_owner(proof.after) if proof.after else []
    with owners(two) as conn:
        proof.before(conn)
        statement = statements.for_role(name, rls=False)
        if proof.parts:
            statement = statement.format(**proof.parts)
        expected = rows(conn, statement, values)
        expected_after = rows(conn, proof.after) if proof.after else []
    with two.psql() as conn, conn.transaction():
        assert authorize(conn, two.org.principal("ann"), proof.scope)
        proof.before(conn)
        found = rows(conn, statements.for_role(name, rls=True), values)
    if proof.after:
        assert expected_after != untouched
        assert two.as_owner(proof.after) == expected_after
    else:
        assert expected
        assert found == expected


@contextmanager
def owners(two: Two) -> Iterator[Connection[Any]]:
    """A transaction of the owner's that leaves nothing behind."""
    conn = two.org.owner.connection()
    with conn.transaction(force_rollback=True):
        yield conn


def rows(conn: Connection[Any], statement: Any, values: dict[str, Any] | None = None) -> list[Any]:
    """What a statement returns, in any order."""
    cursor = conn.execute(statement, values)
    return sorted(cursor.fetchall()) if cursor.description else []
