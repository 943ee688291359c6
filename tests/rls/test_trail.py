"""The audit trail against members who write into it from psql."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

import pfa_core
from pfa_core import Change
from pfa_core.model.ids import new_id
from tests.rls.test_pushers import begin, lease
from tests.rls.two import authorize
from tests.rls.writing import call, entry, new_draft, record, refused

pytestmark = pytest.mark.every_version
REFUSED = errors.InsufficientPrivilege
# What once stood in the trail: no link, another one's link, a time without end.
ENTRIES = [
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
    " VALUES ('ORG', gen_random_uuid(), now(), 'ben', 'x', gen_random_uuid())",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
    " SELECT 'ORG', gen_random_uuid(), now(), 'ben', 'x', link_id FROM audit_link ORDER BY number DESC LIMIT 1",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
    " VALUES ('ORG', gen_random_uuid(), 'infinity', 'ben', 'permission_denied', gen_random_uuid())",
    "INSERT INTO audit_expected VALUES ('ORG', gen_random_uuid(), 1, 'entries', NULL, 0)",
    "DELETE FROM audit_expected",
]


def whole(two) -> bool:
    return pfa_core.verify_log(two.org.db, two.org.principal("ann")).whole


@pytest.mark.parametrize("statement", ENTRIES)
def test_no_entry_is_written_but_by_a_function(two, statement):
    with two.psql() as conn:
        for scope in ("member", "read", "save_draft", "commit", "sync"):
            with refused(conn, two.org.principal("ben"), scope):
                conn.execute(statement)
    assert whole(two)


def test_user_time_and_link_of_an_entry_are_the_database_s(two):
    written = entry(link_id="01900000-0000-7000-8000-000000000000", user_id="ann")
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ben"), "member")
        record(conn, "ben", "token_refresh", [written])
    ((user, recent, linked),) = two.as_owner(
        "SELECT e.user_id, abs(extract(epoch FROM clock_timestamp() - e.at)) < 60, l.entry_count"
        " FROM audit_log AS e JOIN audit_link AS l USING (organization_id, link_id) WHERE e.entry_id = %s",
        written["entry_id"],
    )
    assert (user, recent, linked) == ("ben", True, 1)
    assert whole(two)


def test_an_entry_in_another_s_name_is_refused(two):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "member"):
        call(conn, "audit.write", user_id="ann", action="token_refresh", entries=[entry()])


def test_an_entry_without_its_link_is_refused_at_the_commit(two):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "member", match="no link"):
        call(conn, "audit.write", user_id="ben", action="token_refresh", entries=[entry()])


def test_an_entry_after_its_link_is_refused_at_the_commit(two):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "member", match="no link"):
        record(conn, "ben", "token_refresh", [entry()])
        call(conn, "audit.write", user_id="ben", action="token_refresh", entries=[entry()])


def test_a_transaction_has_one_link(two):
    with two.psql() as conn, conn.transaction(force_rollback=True):
        authorize(conn, two.org.principal("ben"), "member")
        record(conn, "ben", "token_refresh", [entry()])
        with pytest.raises(psycopg.errors.UniqueViolation), conn.transaction():
            record(conn, "ben", "token_refresh", [entry()])


def test_checks_that_are_asked_for_at_once_are_no_way_around(two):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "member"):
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        call(conn, "audit.write", user_id="ben", action="token_refresh", entries=[entry()])


@pytest.mark.parametrize("action", ["x", "permission_denied", "sync_skipped", "grant", "pull"])
def test_an_action_outside_of_its_scope_is_refused(two, action):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "save_draft"):
        record(conn, "ben", action, [entry()])


def test_a_change_without_its_entry_is_refused_at_the_commit(two):
    draft = new_draft(model="x")
    with two.psql() as conn:
        with refused(conn, two.org.principal("ben"), "save_draft", match="no link"):
            call(conn, "modifications.insert_drafts", user_id="ben", drafts=[draft])
        with refused(conn, two.org.principal("ben"), "save_draft", match="differ"):
            call(conn, "modifications.insert_drafts", user_id="ben", drafts=[draft])
            record(conn, "ben", "token_refresh", [entry()])
        with refused(conn, two.org.principal("ben"), "save_draft", match="differ"):
            call(conn, "modifications.insert_drafts", user_id="ben", drafts=[draft])
            record(conn, "ben", "discard", [entry(draft["modification_id"])])
        with conn.transaction():
            authorize(conn, two.org.principal("ben"), "save_draft")
            call(conn, "modifications.insert_drafts", user_id="ben", drafts=[draft])
            record(conn, "ben", "save", [entry(draft["modification_id"], pfa_id="P-2")])
    assert whole(two)
    selection = pfa_core.Selection(session_id="psql")
    assert pfa_core.discard(two.org.db, two.org.principal("ben"), selection).discarded == ["P-2"]


def test_an_entry_without_its_change_is_refused_at_the_commit(two):
    with two.psql() as conn, refused(conn, two.org.principal("ben"), "save_draft", match="differ"):
        record(conn, "ben", "save", [entry(str(new_id()))])


def test_a_membership_does_not_change_without_its_entry(two):
    two.org.add_user("cleo", "viewer")
    with two.psql() as conn:
        with refused(conn, two.org.principal("ann"), "manage_users"):
            call(conn, "members.delete_member", user_id="cleo")
        with refused(conn, two.org.principal("ann"), "manage_users", match="differ"):
            record(conn, "ann", "grant", [entry()])
        with conn.transaction():
            authorize(conn, two.org.principal("ann"), "manage_users")
            call(conn, "members.delete_member", user_id="cleo")
            record(conn, "ann", "revoke", [entry()])
    assert whole(two)


def test_a_member_cannot_hide_their_denials(two):
    two.org.add_user("vic", "viewer")
    vic = two.org.principal("vic")

    def denied() -> int:
        count = (
            "SELECT count(*) FROM audit_log WHERE user_id = 'vic' AND action = 'permission_denied'"
        )
        return two.as_owner(count)[0][0]

    hour = "clock_timestamp() + '59 min'"
    with two.psql() as conn, refused(conn, vic, "member"):
        conn.execute(
            "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id) SELECT 'ORG',"
            f" gen_random_uuid(), {hour}, 'vic', 'permission_denied', gen_random_uuid()"
            " FROM generate_series(1, 1000)"
        )
    before = denied()
    with pytest.raises(pfa_core.errors.PermissionDenied):
        pfa_core.save(two.org.db, vic, [Change("P-1", {"model": "x"}, None)], session_id="s")
    assert denied() == before + 1
    assert whole(two)


@pytest.mark.slow
def test_at_most_a_hundred_denials_of_a_member_are_written_and_the_last_one_says_so(two):
    two.org.add_user("vera", "viewer")
    vera = two.org.principal("vera")
    written = 0
    with two.psql() as conn:
        for _ in range(102):
            with conn.transaction():
                authorize(conn, vera, "member")
                deny = "SELECT pfa_deny('ORG', gen_random_uuid(), 'permission_denied', 'save', 'x', 'no')"
                number = conn.execute(deny).fetchone()[0]
                if number:
                    conn.execute("SELECT pfa_append_link('ORG')")
                written += number
    assert written == 100
    last = (
        "SELECT count(*) FROM audit_log WHERE user_id = 'vera' AND reason LIKE '%%not recorded'"
        " AND action = 'permission_denied'"
    )
    assert two.as_owner(last) == [(1,)]
    assert whole(two)


def test_a_run_does_not_begin_or_end_without_its_entry(two):
    ann, run, other = two.org.principal("ann"), str(new_id()), str(new_id())
    with two.psql() as conn:
        with refused(conn, ann, "sync", match="no link"):
            begin(conn, "ann", run, with_entry=False)
        with refused(conn, ann, "sync", match="differ"):
            begin(conn, "ann", run, with_entry=False)
            record(conn, "ann", "begin", [entry(run_id=other)])
        with refused(conn, ann, "sync"):
            lease(conn, run)
            claims = [{"modification_id": str(new_id()), "sent_version": None, "sent_fields": None}]
            call(conn, "queue.claim", run_id=run, claims=claims)
        with conn.transaction():
            authorize(conn, ann, "sync")
            begin(conn, "ann", run)
        with refused(conn, ann, "sync", match="no link"):
            assert lease(conn, other)
            begin(conn, "ann", other, with_entry=False)
            given = {"message": "x", "direction": "push", "run_id": other}
            assert call(conn, "runs.mark_abandoned", **given) is not None
    assert two.as_owner("SELECT status FROM pfa_sync_log WHERE run_id = %s", run) == [("running",)]
    assert whole(two)


def test_who_may_not_override_a_limit_writes_no_entry_that_says_so(two):
    """Ann, an admin, has the right; ben, an editor, has not."""
    written = [entry(after={"records": 1}, reason="why")]
    with two.psql() as conn:
        for scope in ("commit", "sync", "save_draft", "read", "member"):
            with refused(conn, two.org.principal("ben"), scope):
                record(conn, "ben", "override", written)
        for scope in ("save_draft", "read", "member"):
            with refused(conn, two.org.principal("ann"), scope):
                record(conn, "ann", "override", written)
        for scope in ("commit", "sync"):
            with conn.transaction():
                authorize(conn, two.org.principal("ann"), scope)
                record(conn, "ann", "override", [entry(after={"records": 1}, reason="why")])
    ((number,),) = two.as_owner("SELECT count(*) FROM audit_log WHERE action = 'override'")
    assert number == 2
    assert whole(two)
