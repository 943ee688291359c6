"""Writes by calls in an order that the program never has, and what a trail keeps of them."""

from __future__ import annotations

import pfa_core
from pfa_core.model.ids import new_id
from tests.factories import draft
from tests.rls.two import Two, authorize
from tests.rls.writing import call, entry, record, refused


def whole(two: Two) -> bool:
    return pfa_core.verify_log(two.org.db, two.org.principal("ann")).whole


def test_an_entry_of_another_user_s_draft_cannot_be_made_to_read_it(two: Two) -> None:
    ann = two.org.principal("ann")
    draft(two.org.db, ann, "P-2", session="own", model="OLD")
    pfa_core.commit(two.org.db, ann, pfa_core.Selection(session_id="own"))
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ben"), "sync")
        found = "SELECT modification_id::text FROM pfa_modification WHERE session_id = 'own'"
        ids = [row[0] for row in conn.execute(found)]
    assert len(ids) == 1
    pfa_core.uncommit(two.org.db, ann, pfa_core.Selection(session_id="own"))
    draft(two.org.db, ann, "P-2", session="own", model="SECRET")
    with two.psql() as conn, conn.transaction(force_rollback=True):
        authorize(conn, two.org.principal("ben"), "save_draft")
        call(
            conn,
            "audit.write_of",
            action="token_refresh",
            user_id="ben",
            first_digits=new_id().hex[:24],
            before=True,
            after=False,
            base=True,
            was=True,
            modification_ids=ids,
        )
        seen = "SELECT count(*) FROM audit_log AS e WHERE e::text LIKE '%SECRET%'"
        assert conn.execute(seen).fetchall() == [(0,)]


def test_after_its_link_a_transaction_changes_nothing_more(two: Two) -> None:
    two.org.add_user("zoe", "viewer")
    ann = two.org.principal("ann")
    with two.psql() as conn, refused(conn, ann, "manage_users", match="has its link"):
        call(conn, "members.put_member", user_id="zoe", role="viewer", rights=["read"])
        record(conn, "ann", "grant", [entry(after={"user": "zoe"})])
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        conn.execute("SET CONSTRAINTS ALL DEFERRED")
        call(conn, "members.put_member", user_id="mallory", role="editor", rights=["read"])
    assert two.as_owner("SELECT count(*) FROM pfa_member WHERE user_id = 'mallory'") == [(0,)]
    assert whole(two)


def test_changes_are_withdrawn_from_those_alone_who_are_no_members_any_more(two: Two) -> None:
    before = two.as_owner("SELECT * FROM pfa_modification ORDER BY modification_id")
    ann = two.org.principal("ann")
    with two.psql() as conn, refused(conn, ann, "manage_users"):
        conn.execute("SELECT pfa_withdraw_changes('ben', '9000-01-01')")
    assert two.as_owner("SELECT * FROM pfa_modification ORDER BY modification_id") == before
    pfa_core.revoke(two.org.db, two.org.principal("ann"), "ben")
    assert whole(two)
