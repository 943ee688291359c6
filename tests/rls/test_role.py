"""The role that the program works as, which owns nothing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.rls.two import authorize


def test_the_application_owns_nothing_and_may_nothing_that_goes_around_policies(two):
    facts = two.as_owner(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin"
        " FROM pg_roles WHERE rolname = 'pfa_app'"
    )
    assert facts[0][:5] == (False,) * 5
    owned = two.as_owner("SELECT relname FROM pg_class WHERE relowner = 'pfa_app'::regrole")
    assert owned == []
    with two.psql() as conn:
        for statement in (
            "CREATE TABLE public.mine (x int)",
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql RETURN 1",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                conn.execute(statement)


def test_every_tenant_table_has_forced_row_level_security(two):
    without = two.as_owner(
        "SELECT relname FROM pg_class WHERE relname = ANY(%s)"
        " AND NOT (relrowsecurity AND relforcerowsecurity)",
        two.tables,
    )
    assert without == []


def test_every_function_with_its_owner_s_rights_finds_nothing_of_its_caller_s(two):
    rows = two.as_owner(
        "SELECT proname, proconfig::text FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert len(rows) > 10
    strict = "search_path=pg_catalog, public, pg_temp"
    loose = [name for name, config in rows if strict not in (config or "")]
    assert loose == []


def test_no_other_role_may_call_the_functions_that_authorize(two):
    open_to_all = two.as_owner(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    )
    assert open_to_all == []


def test_the_trail_is_written_and_read_and_never_changed(two):
    with two.psql() as conn, conn.transaction(force_rollback=True):
        authorize(conn, two.org.principal("ann"), "manage_settings")
        for statement in ("UPDATE audit_log SET reason = 'x'", "DELETE FROM audit_log"):
            with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                conn.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM pfa_signing_key",
        "SELECT inner_key FROM pfa_signing_key",
        "SELECT * FROM pfa_signing_key",
        "SELECT key_id FROM pfa_signing_key WHERE outer_key IS NOT NULL",
        "INSERT INTO pfa_signing_key (key_id, secret, created_at) VALUES ('x', 'x', now())",
        "SELECT * FROM pfa_rls_secret",
        "UPDATE pfa_rls_secret SET inner_key = outer_key",
        "SELECT pfa_sign_context('ORG read read ann')",
        "SELECT pfa_verify_token('x', now())",
        "SELECT pfa_hmac_pad('x', 54)",
        "SELECT pfa_require_scope('{read}')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('base/1/1259')",
        "SELECT pg_ls_dir('.')",
        "COPY pfa_rls_secret TO STDOUT",
        "COPY (SELECT 1) TO '/tmp/pfa-wall'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT lo_import('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE pfa_app BYPASSRLS",
        "ALTER TABLE pfa_mirror DISABLE ROW LEVEL SECURITY",
        "DROP POLICY pfa_select ON pfa_mirror",
        "CREATE POLICY mine ON pfa_mirror USING (true)",
        "ALTER FUNCTION pfa_context() RESET ALL",
        "GRANT SELECT ON pfa_rls_secret TO PUBLIC",
        "TRUNCATE pfa_mirror",
        "TRUNCATE audit_log",
        "DROP TABLE pfa_mirror",
        "LOCK TABLE pfa_rls_secret",
        "CREATE TRIGGER t BEFORE UPDATE ON pfa_mirror FOR EACH ROW EXECUTE FUNCTION now()",
        "CREATE VIEW public.v AS SELECT * FROM pfa_mirror",
        "SET session_replication_role = replica",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "CREATE EXTENSION dblink",
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw",
        "ALTER SYSTEM SET row_security = off",
        "REASSIGN OWNED BY postgres TO pfa_app",
        "UPDATE audit_head SET number = 9",
        "INSERT INTO audit_head VALUES ('ORG', 1, '')",
        "INSERT INTO audit_link SELECT * FROM audit_link",
        "SELECT pfa_append_link('ORG')",
        "SELECT pfa_link_id('ORG')",
        "SELECT pfa_expect_link()",
        "SELECT pfa_expect_entries('acknowledge', NULL, 1)",
        "SELECT pfa_settled()",
        "SELECT pfa_require_caller('ORG', NULL, '{any}', 'none')",
        "SELECT pfa_deny('ORG', gen_random_uuid(), 'permission_denied', '', '', '')",
        "SET CONSTRAINTS ALL DEFERRED; ALTER TABLE audit_expected DISABLE TRIGGER ALL",
    ],
)
def test_what_would_bypass_row_level_security_is_refused(two, statement):
    before = two.everything()
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(statement)
    assert caught.value.sqlstate != "42601", "no SQL at all"
    assert two.everything() == before
