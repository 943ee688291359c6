"""Authorization by a token, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

import pfa_core
from pfa_core.model.principal import RIGHTS_OF, Role
from tests.factories import a_principal, a_token
from tests.rls.two import a_forged, authorize, seen


def test_without_a_token_nothing_is_seen_of_anybody(two):
    with two.psql() as conn:
        assert seen(conn, two) == {}


def test_control_a_right_token_shows_exactly_its_organization(two):
    with two.psql() as conn, conn.transaction():
        assert authorize(conn, two.org.principal("ann"))[0][:3] == ("ORG", "ann", "admin")
        found = seen(conn, two)
        assert {code for codes in found.values() for code in codes} == {"ORG"}
        assert {
            "pfa_mirror",
            "pfa_member",
            "pfa_overlay",
            "kpi_rollup",
            "kpi_overlay",
            "kpi_month",
            "kpi_field",
            "audit_log",
            "audit_link",
            "audit_head",
        } <= found.keys()
        assert conn.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (2,)


def test_control_a_draft_is_seen_by_its_user_only(two):
    with two.psql() as conn:
        for user, rows in (
            ("ann", [("P-1", "draft")]),
            ("ben", [("P-1", "draft"), ("P-2", "committed")]),
        ):
            with conn.transaction():
                authorize(conn, two.org.principal(user))
                assert (
                    conn.execute("SELECT pfa_id, state FROM pfa_modification ORDER BY 1").fetchall()
                    == rows
                )
                owners = conn.execute("SELECT DISTINCT user_id FROM pfa_overlay").fetchall()
                assert owners == [(user,)]  # fmt: skip


def test_a_push_sees_the_changes_of_all_users_and_only_the_pushers_drafts(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), "sync")
        rows = conn.execute("SELECT user_id, state FROM pfa_modification ORDER BY 1").fetchall()
        assert rows == [("ann", "draft"), ("ben", "committed")]
        assert conn.execute("SELECT DISTINCT user_id FROM pfa_overlay").fetchall() == [("ann",)]


@pytest.mark.parametrize("scope", ["manage_users", "manage_settings"])
def test_an_admins_scope_sees_all_members_of_the_organization(two, scope):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), scope)
        rows = conn.execute(
            "SELECT DISTINCT organization_id, user_id FROM pfa_overlay ORDER BY 2"
        ).fetchall()
        assert rows == [("ORG", "ann"), ("ORG", "ben")]  # fmt: skip


@pytest.mark.parametrize("scope", ["manage_users", "manage_settings", "refresh_data", "import"])
def test_a_scope_that_the_rights_do_not_hold_shows_nothing(two, scope):
    with two.psql() as conn, conn.transaction():
        assert authorize(conn, two.org.principal("ben"), scope)[0][2] == "editor"
        assert seen(conn, two) == {}


def test_a_scope_that_there_is_not_shows_nothing(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), "superuser")
        assert seen(conn, two) == {}


def test_membership_without_a_right_shows_no_record(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ben"), "member")
        assert seen(conn, two).keys() <= {
            "pfa_organization",
            "pfa_member",
            "pfa_token",
            "audit_log",
            "audit_link",
            "audit_head",
        }


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"ttl": timedelta(seconds=-1)}, "PFA02"),
        ({"secret": "another key than that of the installation"}, "PFA01"),
    ],
    ids=["expired", "forged"],
)
def test_a_token_that_is_no_good_raises(two, changes, state):
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        authorize(conn, a_forged(two, **changes))
    assert caught.value.sqlstate == state


def test_a_token_of_another_organization_raises(two):
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        authorize(conn, two.org.principal("ann"), organization="FOREIGN")
    assert caught.value.sqlstate == "PFA04"


@pytest.mark.parametrize(
    "token", [None, "", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 300_000]
)
def test_what_is_no_token_raises(two, token):
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute("SELECT * FROM pfa_authorize(%s, 'ORG', 'read')", [token])
    assert caught.value.sqlstate == "PFA01"


def test_a_revoked_token_raises_and_stays_revoked(two):
    who = a_forged(two, token_id="to be revoked")
    two.as_owner(
        "INSERT INTO pfa_token SELECT 'ORG', 'to be revoked', 'ann', 'user', 'admin', '{}', false,"
        " '{ORG}', 'k', now(), 'ann', now() + '1 day', NULL, now(), 'ann'"
    )
    with two.psql() as conn:
        with pytest.raises(psycopg.Error) as caught, conn.transaction():
            authorize(conn, who)
        assert caught.value.sqlstate == "PFA03"
        with conn.transaction():
            authorize(conn, two.org.principal("ann"), "manage_users")
            back = "UPDATE pfa_token SET revoked_at = NULL, revoked_by = NULL"
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(back)


def test_a_key_that_has_ended_authorizes_no_user(two):
    who = two.org.principal("ann")
    two.as_owner("UPDATE pfa_signing_key SET not_after = now() - interval '1 second'")
    try:
        with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
            authorize(conn, who)
        assert caught.value.sqlstate == "PFA05"
    finally:
        two.as_owner("UPDATE pfa_signing_key SET not_after = NULL")


def test_rights_are_those_of_now(two):
    two.org.add_user("cleo", "admin")
    who = two.org.principal("cleo")
    two.as_owner("UPDATE pfa_member SET rights = '{read}', role = 'viewer' WHERE user_id = 'cleo'")
    with two.psql() as conn:
        with conn.transaction():
            authorize(conn, who, "manage_users")
            assert seen(conn, two) == {}
        two.as_owner("DELETE FROM pfa_member WHERE user_id = 'cleo'")
        with conn.transaction():
            assert authorize(conn, who) == []
            assert seen(conn, two) == {}


def test_a_narrowed_token_holds_less_than_its_member(two):
    viewer = a_principal("ann", rights=RIGHTS_OF[Role.VIEWER])
    token = pfa_core.config.settings.Secret(a_token(viewer, role="viewer"))
    with two.psql() as conn, conn.transaction():
        authorize(conn, replace(viewer, token=token), "manage_users")
        assert seen(conn, two) == {}
