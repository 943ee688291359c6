"""Writes under row-level security: nothing foreign, and nothing beyond a right."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from time import sleep

import pytest
from psycopg import errors

import pfa_core
from tests.factories import a_principal, a_token
from tests.rls.two import SCOPES, a_forged, authorize, seen
from tests.rls.writing import call, new_draft

pytestmark = pytest.mark.every_version
# Every change that one could try, once without authorization and once as ann in each of her scopes.
CHANGES = [
    "UPDATE pfa_mirror SET data = data || '{{\"model\": \"mine\"}}' WHERE organization_id = '{org}'",
    "UPDATE pfa_modification SET delta = '{{\"model\": \"mine\"}}' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_modification WHERE organization_id = '{org}'",
    "DELETE FROM pfa_overlay WHERE organization_id = '{org}'",
    "UPDATE pfa_member SET rights = rights || '{{manage_users}}' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_member WHERE organization_id = '{org}'",
    "INSERT INTO pfa_member VALUES ('{org}', 'mallory', 'admin', '{{read}}', 'x', now())",
    "UPDATE pfa_organization SET name = 'mine' WHERE organization_id = '{org}'",
    "UPDATE pfa_organization SET currency = 'EUR' WHERE organization_id = '{org}'",
    "DELETE FROM kpi_rollup WHERE organization_id = '{org}'",
    "DELETE FROM kpi_overlay WHERE organization_id = '{org}'",
    "DELETE FROM kpi_month WHERE organization_id = '{org}'",
    "DELETE FROM kpi_field WHERE organization_id = '{org}'",
    "DELETE FROM pfa_digest WHERE organization_id = '{org}'",
    "UPDATE pfa_digest SET digest = repeat('x', 16)::bytea WHERE organization_id = '{org}'",
    "UPDATE pfa_sync_log SET message = 'mine' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_lease WHERE organization_id = '{org}'",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action)"
    " VALUES ('{org}', gen_random_uuid(), now(), 'eve', 'x')",
    "UPDATE pfa_mirror SET organization_id = 'ORG' WHERE organization_id = '{org}'",
    "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,"
    " key_id, issued_at, issued_by, expires_at) VALUES ('{org}', 'x', 'eve', 'user', 'admin', '{{}}', false,"
    " '{{{org}}}', 'k', now(), 'x', now())",
]


@pytest.mark.variants(8)
@pytest.mark.parametrize("change", CHANGES)
def test_nothing_of_another_organization_is_changed(two, change):
    before = two.everything()
    assert [
        scope for scope in ("", *SCOPES) if changed(two, change.format(org="FOREIGN"), "ann", scope)
    ] == []
    assert two.everything() == before


REFUSED = (errors.InsufficientPrivilege, errors.CheckViolation)


def changed(two, change, user, scope, refused=REFUSED):
    """How many rows the change touches, by the user in the scope; it is rolled back. What is refused
    touches none."""
    with two.psql() as conn, conn.transaction(force_rollback=True):
        if scope:
            authorize(conn, two.org.principal(user), scope)
        try:
            with conn.transaction():
                return conn.execute(change).rowcount
        except refused:
            return 0


# What an editor's rights do not hold, whichever scope is asked for.
BEYOND_AN_EDITOR = [
    "UPDATE pfa_member SET rights = rights || '{manage_users}', role = 'admin' WHERE user_id = 'ben'",
    "INSERT INTO pfa_member VALUES ('ORG', 'mallory', 'admin', '{read}', 'x', now())",
    "DELETE FROM pfa_member WHERE user_id = 'ann'",
    "UPDATE pfa_organization SET name = 'mine'",
    "UPDATE pfa_organization SET currency = 'EUR', foreign_currency = 'refuse'",
    "DELETE FROM pfa_overlay WHERE user_id = 'ann'",
    "DELETE FROM pfa_modification WHERE user_id = 'ann'",
    "UPDATE pfa_modification SET session_id = 'mine' WHERE user_id = 'ann'",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action)"
    " VALUES ('ORG', gen_random_uuid(), now(), 'ann', 'x')",
    "INSERT INTO pfa_overlay SELECT 'ORG', 'ann', 'P-2', '{}', '{}', gen_random_uuid()",
]


@pytest.mark.parametrize("change", BEYOND_AN_EDITOR)
def test_an_editor_gives_no_rights_and_touches_no_drafts_of_others(two, change):
    refused = (*REFUSED, errors.GeneratedAlways)
    assert [scope for scope in SCOPES if changed(two, change, "ben", scope, refused)] == []


@pytest.mark.slow
def test_settings_of_costs_are_changed_in_the_scope_of_settings_alone_and_the_name_in_none(two):
    limits = {"max_records": 1, "max_money": 1, "max_percent": 1}
    values = {"currency": "EUR", "rate_uom": "week", "foreign_currency": "exclude", **limits}
    assert allowed(two, "ann", "members.put_settings", **values) == ["manage_settings"]
    for change in (
        "name = 'EUR'",
        "status = 'EUR'",
        "currency = 'EUR'",
        "max_records = NULL",
        "max_money = 2",
    ):
        change = f"UPDATE pfa_organization SET {change}"
        assert [scope for scope in SCOPES if changed(two, change, "ann", scope)] == []


def allowed(two, user, block, **values):
    """The scopes in which the user may call the function of a block."""
    found = []
    with two.psql() as conn:
        for scope in SCOPES:
            with conn.transaction(force_rollback=True):
                authorize(conn, two.org.principal(user), scope)
                try:
                    with conn.transaction():
                        call(conn, block, **values)
                    found.append(scope)
                except errors.InsufficientPrivilege:
                    pass
    return found


def test_a_manager_of_users_grants_no_right_that_they_do_not_hold(two):
    rights = ("read", "manage_users")
    two.org.add_user("mia", rights=rights)
    who = a_principal("mia", rights=rights)
    who = replace(who, token=pfa_core.config.settings.Secret(a_token(who, role="viewer")))
    with two.psql() as conn:
        for given, refused in ([["read"], False], [["read", "sync"], True]):
            with conn.transaction(force_rollback=True):
                authorize(conn, who, "manage_users")
                with nullcontext() if not refused else pytest.raises(errors.InsufficientPrivilege):
                    call(conn, "members.put_member", user_id="ben", role="viewer", rights=given)


def test_a_transaction_that_is_held_open_ends_with_its_token(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, a_forged(two, ttl=timedelta(seconds=2)))
        assert seen(conn, two)
        sleep(2.5)
        assert seen(conn, two) == {}


def test_who_may_not_commit_commits_nothing(two):
    two.org.add_user("dora", rights=("read", "save_draft", "edit_forecast"))
    who = a_principal("dora", rights=("read", "save_draft", "edit_forecast"))
    who = replace(who, token=pfa_core.config.settings.Secret(a_token(who, role="editor")))
    draft = new_draft(model="x")
    with two.psql() as conn:
        for scope in SCOPES:
            with conn.transaction(force_rollback=True):
                authorize(conn, who, scope)
                try:
                    with conn.transaction():
                        call(conn, "modifications.insert_drafts", user_id="dora", drafts=[draft])
                    drafted = True
                except errors.InsufficientPrivilege:
                    drafted = False
                assert drafted == (scope == "save_draft")
                values = {"user_id": "dora", "modification_ids": [draft["modification_id"]]}
                with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                    call(conn, "modifications.commit_up_to_date@one", **values)


@pytest.mark.parametrize(
    ("crossing", "scopes"),
    [
        ("pfa_rebuild_overlays('{ben}', '{P-1}')", {"sync"}),
        ("pfa_shift_bases('[]')", {"sync"}),
        ("pfa_modification_counts()", {"read"}),
        ("pfa_waiting_counts()", {"read"}),
        ("pfa_conflict_count()", {"read"}),
        ("pfa_analyze_mirror()", {"refresh_data", "import"}),
        ("pfa_reserve_empty_mirror()", {"refresh_data", "import"}),
        ("pfa_index_filled_mirror()", {"refresh_data", "import"}),
        ("pfa_analyze_written(1, false)", set(SCOPES)),
        ("pfa_renew_statistics(1, false)", set()),
    ],
)
def test_what_crosses_users_asks_for_its_scope(two, crossing, scopes):
    with two.psql() as conn:
        for scope in ("", *SCOPES):
            with conn.transaction(force_rollback=True):
                if scope:
                    authorize(conn, two.org.principal("ann"), scope)
                if scope in scopes:
                    conn.execute(f"SELECT * FROM {crossing}")
                else:
                    with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                        conn.execute(f"SELECT * FROM {crossing}")


def test_a_search_finds_nothing_of_others(two):
    with two.psql() as conn:
        assert conn.execute("SELECT pfa_search('%', NULL)").fetchall() == []
        with conn.transaction():
            authorize(conn, two.org.principal("ben"))
            assert sorted(conn.execute("SELECT pfa_search('%', NULL)").fetchall()) == [
                ("P-1",),
                ("P-2",),
            ]
            assert conn.execute("SELECT pfa_search('%secret%', NULL)").fetchall() == []


def test_digests_are_seen_by_who_pulls_and_written_by_no_statement(two):
    """Of who reads only, a digest would confirm a guess at an amount."""
    count = "SELECT count(*), count(*) FILTER (WHERE organization_id <> 'ORG') FROM pfa_digest"
    seen_by = {}
    for scope in SCOPES:
        with two.psql() as conn, conn.transaction(force_rollback=True):
            authorize(conn, two.org.principal("ann"), scope)
            own, foreign = conn.execute(count).fetchone()
            seen_by[scope] = own
            assert foreign == 0
    assert {scope for scope, own in seen_by.items() if own} == {"import", "refresh_data"}
    digest = "INSERT INTO pfa_digest VALUES ('ORG', 'P-1', 1, '3', repeat('x', 16)::bytea, 0)"
    for change in (digest, *(one.format(org="ORG") for one in CHANGES if "pfa_digest" in one)):
        assert changed(two, change, "ann", "import") == 0
