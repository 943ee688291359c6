"""Variants of statements under row-level security: each means what the owner's statement means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from pfa_core import sql
from pfa_core.access.tokens.jwt import Claims, Grant, sign
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.model.ids import OrganizationId, TokenId
from pfa_core.model.principal import Right, Role
from pfa_core.model.secret import Secret
from pfa_core.store import conflicts
from pfa_core.store.conflicts import NewConflict
from tests.factories import SECRET
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


# A token of each, one of them another organization's.
_REGISTERED = """
    DELETE FROM pfa_token;
    INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
                           issued_at, issued_by, expires_at)
    SELECT t.code, t.code || t.name, t.name, 'user', 'viewer', '{}', false, ARRAY[t.code], 'k', '2026-01-01',
           'ann', '2999-01-01'
    FROM (VALUES ('ORG', 'ben'), ('ORG', 'ann'), ('FOREIGN', 'ben')) AS t (code, name)"""


# As before the first records; the last index stands for all.
_UNINDEXED = "DROP INDEX IF EXISTS pfa_mirror_changed, pfa_mirror_model"


def nothing(_: Connection[Any]) -> None:
    """Most statements need no temporary table."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a pair is compared: what is asked of it, and what is read of the tables after it.

    `make` are values that a token makes, `spoil` is what the owner changes before, so that the statement has
    something to do.
    """

    scope: str = "read"
    values: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    make: Callable[[Two], dict[str, Any]] | None = None
    spoil: str = ""
    before: Callable[[Connection[Any]], None] = nothing
    after: str = ""


# As a check that is younger than the row leaves it.
A_BAD_ROW = (
    "ALTER TABLE pfa_sync_outcome DROP CONSTRAINT IF EXISTS pfa_sync_outcome_number_range;"
    " INSERT INTO pfa_sync_outcome VALUES ('ORG', gen_random_uuid(), gen_random_uuid(), -1, NULL, NULL, '',"
    " 'synced', '', '', now())"
)


def a_new_token(two: Two) -> dict[str, Any]:
    """A token of ben's that ann registers, and what the owner's statement is given for it."""
    ben = two.org.principal("ben")
    grants = {
        OrganizationId("FOREIGN"): Grant(Role.VIEWER, frozenset((Right.READ,))),
        OrganizationId("ORG"): Grant(
            Role.EDITOR, frozenset((Right.READ, Right.SYNC, Right.EXPORT))
        ),
    }
    claims = Claims(
        user_id=ben.user_id,
        token_id=TokenId("of ben"),
        issued_at=datetime.now(UTC).replace(microsecond=0),
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1),
        organizations=grants,
    )
    ring = Keyring((SigningKey(Secret(SECRET)),))
    return {
        "token": sign(claims, ring, narrowed=["ORG"], replaces=TokenId("before")),
        "token_id": "of ben",
        "user_id": "ben",
        "kind": "user",
        "role": "editor",
        "rights": ["export", "read", "sync"],
        "narrowed": True,
        "organizations": ["FOREIGN", "ORG"],
        "key_id": ring.signing.key_id,
        "issued_at": claims.issued_at,
        "issued_by": "ann",
        "expires_at": claims.expires_at,
        "replaces": "before",
        "revoked_at": None,
        "revoked_by": None,
    }


PROOFS = {
    "tokens.register": Proof(
        scope="manage_users",
        make=a_new_token,
        spoil="UPDATE pfa_member SET tokens_since = NULL",
        after="SELECT t::text FROM pfa_token AS t ORDER BY 1",
    ),
    "tokens.revoke": Proof(
        scope="member",
        values={"token_ids": None, "user_id": "ben", "by": "ann", "at": datetime.now(UTC)},
        spoil=_REGISTERED,
        after="SELECT organization_id, token_id, revoked_by FROM pfa_token ORDER BY 1, 2",
    ),
    "members.end_tokens": Proof(
        scope="member",
        values={"user_id": "ben", "at": datetime.now(UTC)},
        spoil="UPDATE pfa_member SET tokens_since = NULL",
        after="SELECT organization_id, user_id, tokens_since IS NULL FROM pfa_member ORDER BY 1, 2",
    ),
    "counts.modifications": Proof(),
    "counts.waiting": Proof(),
    "counts.conflicts": Proof(),
    "search.few": Proof(
        values={"search": "%p-%", "most": 2000},
        parts={"conditions": "r.search_text LIKE pfa_fold_inline(%(search)s)"},
    ),
    "search.few_of_pair": Proof(
        values={"pattern": "%an%", "pair": "an", "most": 2000},
        parts={"conditions": "r.search_text LIKE pfa_fold_inline(%(pattern)s)"},
    ),
    "mirror.analyze": Proof(
        scope="refresh_data",
        spoil="DELETE FROM pg_statistic WHERE starelid = 'pfa_mirror'::regclass",
        after="SELECT staattnum FROM pg_statistic WHERE starelid = 'pfa_mirror'::regclass ORDER BY 1",
    ),
    "mirror.reserve": Proof(scope="import", spoil=_UNINDEXED),
    "mirror.index": Proof(
        scope="refresh_data",
        spoil=_UNINDEXED,
        after="SELECT indexname FROM pg_indexes WHERE tablename = 'pfa_mirror' ORDER BY 1",
    ),
    "statistics.renew": Proof(
        scope="member",
        values={"written": 1_000_000, "within": False},
        # A table of one page is not analyzed: here dead rows fill some.
        spoil="DO $$ BEGIN FOR i IN 1..60 LOOP UPDATE pfa_overlay SET delta = delta; END LOOP; END $$;"
        " DELETE FROM pg_statistic WHERE starelid = 'pfa_overlay'::regclass",
        after="SELECT staattnum FROM pg_statistic WHERE starelid = 'pfa_overlay'::regclass ORDER BY 1",
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
    values = {"organization_id": "ORG", **proof.values, **(proof.make(two) if proof.make else {})}
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
    with entries_unasked(two), two.psql() as conn, conn.transaction():
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


@contextmanager
def entries_unasked(two: Two) -> Iterator[None]:
    """Let a change commit whose entries in the trail are other statements'."""
    if two.as_owner("SELECT to_regclass('audit_expected') IS NULL") == [(True,)]:
        yield
        return
    two.as_owner("ALTER TABLE audit_expected DISABLE TRIGGER USER")
    try:
        yield
    finally:
        two.as_owner("ALTER TABLE audit_expected ENABLE TRIGGER USER")


def rows(conn: Connection[Any], statement: Any, values: dict[str, Any] | None = None) -> list[Any]:
    """What a statement returns, in any order."""
    cursor = conn.execute(statement, values)
    return sorted(cursor.fetchall()) if cursor.description else []
