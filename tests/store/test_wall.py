"""The wall: what somebody reaches who has the application's database password and psql, and no right.

Each test speaks SQL as a login role that is a member of pfa_app, as psql would. Two organizations, ORG and
FOREIGN, with records, drafts, tokens and a trail; ann is an admin of ORG and nothing else, ben an editor
there, eve the admin of FOREIGN.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from time import sleep
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors, sql

import pfa_core
from pfa_core.model.principal import RIGHTS_OF, Principal, Role
from pfa_core.store import wall
from pfa_core.store.database import Database
from tests.factories import World, a_principal, a_token, a_world, draft, record
from tests.server import bound_url

TENANT_TABLES = """
    SELECT c.relname FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'organization_id'
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
SCOPES = ("member", "read", "save_draft", "commit", "sync", "import", "refresh_data",
          "manage_users", "manage_settings")  # fmt: skip


@dataclass
class Two:
    """Two organizations in one database: its owner's address and that of the application."""

    url: str
    bound: str
    org: World
    foreign: World
    tables: list[str]

    @contextmanager
    def psql(self) -> Iterator[Connection[Any]]:
        """A session of somebody who knows the application's password."""
        with psycopg.connect(self.bound, autocommit=True) as conn:
            yield conn

    def as_owner(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as conn:
            cursor = conn.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def everything(self) -> dict[str, str]:
        """What each table holds, as its owner sees it."""
        return {
            table: self.as_owner(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t")[0][0]
            for table in self.tables
        }  # fmt: skip


@pytest.fixture(scope="module")
def two(postgres, template) -> Iterator[Two]:
    with pytest.MonkeyPatch.context() as patch, postgres.database(template) as url:
        patch.setenv("PFA_TEST_BOUND", "1")
        org = a_world(url, record("P-1"), record("P-2"), users={"ann": "admin", "ben": "editor"})
        foreign = a_world(
            url,
            record("F-1", category="Secret thing", monthlyRate=777),
            organization="FOREIGN",
            users={"eve": "admin"},
        )
        draft(org.db, org.principal("ann"), "P-1", monthlyRate=1)
        draft(org.db, org.principal("ben"), "P-1", monthlyRate=2)
        draft(org.db, org.principal("ben"), "P-2", session="sent", monthlyRate=3)
        pfa_core.commit(org.db, org.principal("ben"), pfa_core.Selection(session_id="sent"))
        draft(foreign.db, foreign.principal("eve"), "F-1", monthlyRate=888)
        tables = [row[0] for row in org.rows(TENANT_TABLES)]
        yield Two(url, bound_url(url), org, foreign, tables)
        org.db.close()
        foreign.db.close()


def enter(
    conn: Connection[Any], who: Principal, scope: str = "read", *, organization: str | None = None
) -> list[tuple[Any, ...]]:
    assert who.token is not None
    return conn.execute(
        "SELECT * FROM pfa_enter(%s, %s, %s)",
        [who.token.reveal(), organization or who.organization_id, scope],
    ).fetchall()


def seen(conn: Connection[Any], two: Two) -> dict[str, set[str]]:
    """The organizations whose rows are seen, by table; tables that show nothing are left out."""
    found: dict[str, set[str]] = {}
    for table in two.tables:
        try:
            with conn.transaction():
                rows = conn.execute(f"SELECT DISTINCT organization_id FROM {table}").fetchall()
        except errors.InsufficientPrivilege:
            continue
        if rows:
            found[table] = {row[0] for row in rows}
    return found


# --- the role, and what it owns ------------------------------------------------------------------


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


def test_every_tenant_table_is_behind_the_wall_its_owner_s_too(two):
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


def test_nobody_else_may_call_what_lets_in(two):
    open_to_all = two.as_owner(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    )
    assert open_to_all == []


def test_the_trail_is_written_and_read_and_never_changed(two):
    with two.psql() as conn, conn.transaction(force_rollback=True):
        enter(conn, two.org.principal("ann"), "manage_settings")
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
        "SELECT * FROM pfa_wall",
        "UPDATE pfa_wall SET inner_key = outer_key",
        "SELECT pfa_sign_context('ORG read read ann')",
        "SELECT pfa_verify_token('x', now())",
        "SELECT pfa_hmac_pad('x', 54)",
        "SELECT pfa_require_scope('{read}')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('base/1/1259')",
        "SELECT pg_ls_dir('.')",
        "COPY pfa_wall TO STDOUT",
        "COPY (SELECT 1) TO '/tmp/pfa-wall'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT lo_import('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE pfa_app BYPASSRLS",
        "ALTER TABLE pfa_mirror DISABLE ROW LEVEL SECURITY",
        "DROP POLICY pfa_see ON pfa_mirror",
        "CREATE POLICY mine ON pfa_mirror USING (true)",
        "ALTER FUNCTION pfa_context() RESET ALL",
        "GRANT SELECT ON pfa_wall TO PUBLIC",
        "TRUNCATE pfa_mirror",
        "TRUNCATE audit_log",
        "DROP TABLE pfa_mirror",
        "LOCK TABLE pfa_wall",
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
        "SELECT pfa_append_link('ORG', gen_random_uuid())",
    ],
)
def test_what_goes_around_the_wall_is_refused(two, statement):
    before = two.everything()
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(statement)
    assert caught.value.sqlstate != "42601", "no SQL at all"
    assert two.everything() == before


# --- who comes in --------------------------------------------------------------------------------


def test_without_a_token_nothing_is_seen_of_anybody(two):
    with two.psql() as conn:
        assert seen(conn, two) == {}


def test_control_a_right_token_shows_exactly_its_organization(two):
    with two.psql() as conn, conn.transaction():
        assert enter(conn, two.org.principal("ann"))[0][:3] == ("ORG", "ann", "admin")
        found = seen(conn, two)
        assert {code for codes in found.values() for code in codes} == {"ORG"}
        assert {
            "pfa_mirror",
            "pfa_member",
            "pfa_overlay",
            "kpi_rollup",
            "audit_log",
            "audit_link",
            "audit_head",
        } <= found.keys()
        assert conn.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (2,)


def test_control_drafts_are_their_user_s_alone(two):
    with two.psql() as conn:
        for user, rows in (
            ("ann", [("P-1", "draft")]),
            ("ben", [("P-1", "draft"), ("P-2", "committed")]),
        ):
            with conn.transaction():
                enter(conn, two.org.principal(user))
                assert (
                    conn.execute("SELECT pfa_id, state FROM pfa_modification ORDER BY 1").fetchall()
                    == rows
                )
                owners = conn.execute("SELECT DISTINCT user_id FROM pfa_overlay").fetchall()
                assert owners == [(user,)]  # fmt: skip


def test_a_push_sees_what_everybody_committed_and_nobody_s_drafts_but_the_pusher_s(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"), "sync")
        rows = conn.execute("SELECT user_id, state FROM pfa_modification ORDER BY 1").fetchall()
        assert rows == [("ann", "draft"), ("ben", "committed")]
        assert conn.execute("SELECT DISTINCT user_id FROM pfa_overlay").fetchall() == [("ann",)]


@pytest.mark.parametrize("scope", ["manage_users", "manage_settings"])
def test_an_admin_s_scope_sees_everybody_of_the_organization(two, scope):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"), scope)
        rows = conn.execute(
            "SELECT DISTINCT organization_id, user_id FROM pfa_overlay ORDER BY 2"
        ).fetchall()
        assert rows == [("ORG", "ann"), ("ORG", "ben")]  # fmt: skip


@pytest.mark.parametrize("scope", ["manage_users", "manage_settings", "refresh_data", "import"])
def test_a_scope_that_the_rights_do_not_hold_shows_nothing(two, scope):
    with two.psql() as conn, conn.transaction():
        assert enter(conn, two.org.principal("ben"), scope)[0][2] == "editor"
        assert seen(conn, two) == {}


def test_a_scope_that_there_is_not_shows_nothing(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"), "superuser")
        assert seen(conn, two) == {}


def test_membership_alone_shows_no_record(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ben"), "member")
        assert seen(conn, two).keys() <= {
            "pfa_organization",
            "pfa_member",
            "pfa_token",
            "audit_log",
            "audit_link",
            "audit_head",
        }


def a_forged(two: Two, **changes: Any) -> Principal:
    ann = two.org.principal("ann")
    return replace(ann, token=pfa_core.settings.Secret(a_token(ann, **changes)))


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
        enter(conn, a_forged(two, **changes))
    assert caught.value.sqlstate == state


def test_a_token_of_another_organization_raises(two):
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        enter(conn, two.org.principal("ann"), organization="FOREIGN")
    assert caught.value.sqlstate == "PFA04"


@pytest.mark.parametrize(
    "token", [None, "", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 300_000]
)
def test_what_is_no_token_raises(two, token):
    with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute("SELECT * FROM pfa_enter(%s, 'ORG', 'read')", [token])
    assert caught.value.sqlstate == "PFA01"


def test_a_revoked_token_raises_and_stays_revoked(two):
    who = a_forged(two, token_id="to be revoked")
    two.as_owner(
        "INSERT INTO pfa_token SELECT 'ORG', 'to be revoked', 'ann', 'user', 'admin', '{}', false,"
        " '{ORG}', 'k', now(), 'ann', now() + '1 day', NULL, now(), 'ann'"
    )
    with two.psql() as conn:
        with pytest.raises(psycopg.Error) as caught, conn.transaction():
            enter(conn, who)
        assert caught.value.sqlstate == "PFA03"
        with conn.transaction():
            enter(conn, two.org.principal("ann"), "manage_users")
            back = "UPDATE pfa_token SET revoked_at = NULL, revoked_by = NULL"
            assert conn.execute(back).rowcount == 0


def test_a_key_that_has_ended_lets_nobody_in(two):
    who = two.org.principal("ann")
    two.as_owner("UPDATE pfa_signing_key SET not_after = now() - interval '1 second'")
    try:
        with two.psql() as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
            enter(conn, who)
        assert caught.value.sqlstate == "PFA05"
    finally:
        two.as_owner("UPDATE pfa_signing_key SET not_after = NULL")


def test_rights_are_those_of_now(two):
    two.org.add_user("cleo", "admin")
    who = two.org.principal("cleo")
    two.as_owner("UPDATE pfa_member SET rights = '{read}', role = 'viewer' WHERE user_id = 'cleo'")
    with two.psql() as conn:
        with conn.transaction():
            enter(conn, who, "manage_users")
            assert seen(conn, two) == {}
        two.as_owner("DELETE FROM pfa_member WHERE user_id = 'cleo'")
        with conn.transaction():
            assert enter(conn, who) == []
            assert seen(conn, two) == {}


def test_a_narrowed_token_holds_less_than_its_member(two):
    viewer = a_principal("ann", rights=RIGHTS_OF[Role.VIEWER])
    token = pfa_core.settings.Secret(a_token(viewer, role="viewer"))
    with two.psql() as conn, conn.transaction():
        enter(conn, replace(viewer, token=token), "manage_users")
        assert seen(conn, two) == {}


# --- a context made by hand, or carried away ---------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SET pfa.context = 'ORG read read ann'",
        "SET pfa.context = '{}'",
        "SELECT set_config('pfa.context', repeat('0', 64) || ' FOREIGN read read eve', false)",
        "SELECT set_config('pfa.context', repeat('0', 64) || ' FOREIGN manage_settings x eve', false)",
        "SET pfa.organization = 'FOREIGN'",
        "SET pfa.context TO DEFAULT",
        "SET row_security = off",
    ],
)  # fmt: skip
def test_a_context_that_is_written_down_by_hand_shows_nothing(two, statement):
    with two.psql() as conn:
        conn.execute(statement)
        with conn.transaction():
            assert_sees_nothing(conn, two)


def assert_sees_nothing(conn: Connection[Any], two: Two) -> None:
    for table in two.tables:
        with pytest.MonkeyPatch.context():
            try:
                with conn.transaction():
                    assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
            except errors.InsufficientPrivilege:  # also what `row_security = off` comes to
                pass


def test_a_context_cannot_be_changed_into_another(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"))
        mine = conn.execute("SELECT current_setting('pfa.context')").fetchone()[0]
        for other in (
            mine.replace(" ORG ", " FOREIGN "),
            mine.replace(" read ", " manage_settings ", 1),
            mine[:64] + mine[64:].replace(" ann", " ben"),
            mine + " ",
            " " + mine,
        ):
            with conn.transaction(force_rollback=True):
                conn.execute("SELECT set_config('pfa.context', %s, true)", [other])
                assert seen(conn, two) == {}, other
        assert "pfa_mirror" in seen(conn, two)


def test_a_context_is_worth_nothing_in_a_later_transaction(two):
    with two.psql() as conn:
        with conn.transaction():
            enter(conn, two.foreign.principal("eve"))
            carried = conn.execute("SELECT current_setting('pfa.context')").fetchone()[0]
            conn.execute("SELECT set_config('pfa.context', %s, false)", [carried])
        assert conn.execute("SELECT current_setting('pfa.context')").fetchone() == (carried,)
        assert seen(conn, two) == {}
        with conn.transaction():
            conn.execute("SELECT set_config('pfa.context', %s, true)", [carried])
            assert seen(conn, two) == {}


def test_a_context_is_worth_nothing_in_another_connection(two):
    with two.psql() as one, two.psql() as other, one.transaction(), other.transaction():
        enter(one, two.foreign.principal("eve"))
        carried = one.execute("SELECT current_setting('pfa.context')").fetchone()[0]
        other.execute("SELECT set_config('pfa.context', %s, true)", [carried])
        assert seen(other, two) == {}
        assert seen(one, two) != {}


def test_nobody_stays_in_behind_a_rollback_or_a_commit(two):
    with two.psql() as conn:
        for end in ("COMMIT", "ROLLBACK"):
            conn.execute("BEGIN")
            enter(conn, two.org.principal("ann"))
            conn.execute(end)
            assert seen(conn, two) == {}
        with conn.transaction():
            enter(conn, two.org.principal("ann"))
            with pytest.raises(psycopg.Error), conn.transaction():
                enter(conn, two.org.principal("ann"), organization="FOREIGN")
            # The attempt was undone with its savepoint: as before, and no more than before.
            assert {code for codes in seen(conn, two).values() for code in codes} == {"ORG"}


# --- what a session can make of its own ------------------------------------------------------------------


SHADOWS = [
    "CREATE FUNCTION pg_temp.pfa_organization() RETURNS text LANGUAGE sql RETURN 'FOREIGN'",
    "CREATE FUNCTION pg_temp.pfa_context() RETURNS text[] LANGUAGE sql"
    " RETURN '{FOREIGN,FOREIGN,manage_settings,read,eve}'::text[]",
    "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql RETURN 'x'",
    "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN '\\x00'::bytea",
    "CREATE FUNCTION pg_temp.always(bytea, bytea) RETURNS boolean LANGUAGE sql RETURN false",
    "CREATE OPERATOR pg_temp.<> (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.always)",
    "CREATE TEMP TABLE pfa_wall (only_one boolean, inner_key bytea, outer_key bytea)",
    "INSERT INTO pg_temp.pfa_wall VALUES (true, '\\x00', '\\x00')",
    "CREATE TEMP TABLE pfa_member (LIKE public.pfa_member)",
    "INSERT INTO pg_temp.pfa_member SELECT 'FOREIGN', 'ann', 'admin', '{read}', 'x', now()",
    "CREATE TEMP TABLE pfa_signing_key (key_id text, secret bytea, outer_key bytea, inner_key bytea,"
    " retired_at timestamptz, not_after timestamptz)",
]


def test_functions_operators_and_tables_of_one_s_own_stand_in_for_nothing(two):
    with two.psql() as conn:
        for statement in SHADOWS:
            conn.execute(statement)
        conn.execute("SET search_path = pg_temp, pg_catalog, public")
        conn.execute("SET pfa.context = '" + "0" * 64 + " FOREIGN read read eve'")
        for table in two.tables:
            if table == "pfa_member":
                continue
            assert conn.execute(f"SELECT count(*) FROM public.{table}").fetchone() == (0,)
        with conn.transaction():
            enter(conn, two.org.principal("ann"))
            codes = conn.execute(
                "SELECT DISTINCT organization_id FROM public.pfa_mirror"
            ).fetchall()
            assert codes == [("ORG",)]
        with pytest.raises(psycopg.Error), conn.transaction():
            enter(conn, two.org.principal("ann"), organization="FOREIGN")


def test_conditions_of_one_s_own_are_asked_about_no_row_that_is_not_seen(two):
    with two.psql() as conn:
        conn.execute("CREATE TEMP TABLE heard (what text)")
        conn.execute(
            "CREATE FUNCTION pg_temp.listen(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
            " AS $$ BEGIN INSERT INTO pg_temp.heard VALUES (what); RETURN true; END $$"
        )
        for table, column in (
            ("pfa_mirror", "data"),
            ("pfa_overlay", "delta"),
            ("audit_log", "action"),
        ):
            conn.execute(f"SELECT * FROM {table} WHERE pg_temp.listen({column}::text)")
            with conn.transaction():
                enter(conn, two.org.principal("ann"))
                conn.execute(f"SELECT * FROM {table} WHERE pg_temp.listen({column}::text)")
        heard = [row[0] for row in conn.execute("SELECT what FROM heard")]
        assert heard
        assert not [what for what in heard if "Secret thing" in what or "888" in what]


def test_an_error_in_a_condition_tells_nothing_of_a_row_that_is_not_seen(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"))
        rows = conn.execute(
            "SELECT * FROM pfa_mirror WHERE 1 / (CASE WHEN category LIKE 'Secret%' THEN 0 ELSE 1 END) = 1"
        ).fetchall()
        assert len(rows) == 2
        casts = "SELECT * FROM pfa_mirror WHERE (CASE WHEN category = 'Crane' THEN '1' ELSE category END)::int = 1"
        assert len(conn.execute(casts).fetchall()) == 2


def test_a_view_of_one_s_own_shows_what_its_reader_sees(two):
    with two.psql() as conn:
        conn.execute("CREATE TEMP VIEW mine AS SELECT * FROM public.pfa_mirror")
        assert conn.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_a_statement_prepared_for_one_identity_shows_another_its_own(two):
    with two.psql() as conn:
        conn.execute(
            "PREPARE all_of_them AS SELECT organization_id, count(*) FROM pfa_mirror GROUP BY 1"
        )
        conn.execute("SET plan_cache_mode = force_generic_plan")
        for world, expected in ((two.org, [("ORG", 2)]), (two.foreign, [("FOREIGN", 1)])):
            for _ in range(3):
                with conn.transaction():
                    enter(conn, world.principal("ann" if world is two.org else "eve"))
                    assert conn.execute("EXECUTE all_of_them").fetchall() == expected
                assert conn.execute("EXECUTE all_of_them").fetchall() == []


def test_a_cursor_that_is_held_has_what_was_seen_when_it_was_opened_and_no_more(two):
    with two.psql() as conn:
        with conn.transaction():
            enter(conn, two.org.principal("ann"))
            conn.execute(
                "DECLARE kept CURSOR WITH HOLD FOR SELECT DISTINCT organization_id FROM pfa_mirror"
            )
        assert conn.execute("FETCH ALL FROM kept").fetchall() == [("ORG",)]


@pytest.mark.parametrize("scope", SCOPES)
def test_copy_out_and_blocks_show_what_a_query_shows(two, scope):
    with two.psql() as conn, conn.transaction():
        enter(conn, two.org.principal("ann"), scope)
        for table in ("pfa_mirror", "pfa_overlay", "pfa_modification"):
            with conn.cursor().copy(
                f"COPY (SELECT organization_id FROM {table}) TO STDOUT"
            ) as copy:
                assert {bytes(line) for line in copy} <= {b"ORG\n"}
            with conn.cursor().copy(f"COPY {table} (organization_id) TO STDOUT") as copy:
                assert {bytes(line) for line in copy} <= {b"ORG\n"}
        conn.execute(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pfa_mirror WHERE organization_id <> 'ORG')"
            " THEN RAISE 'seen'; END IF; END $$"
        )


def test_statistics_of_the_tables_are_not_shown(two):
    two.as_owner("ANALYZE")
    with two.psql() as conn:
        rows = conn.execute(
            "SELECT tablename FROM pg_stats WHERE schemaname = 'public' AND tablename = ANY(%s)",
            [two.tables],
        ).fetchall()
        assert rows == []
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM pg_statistic")


def test_nothing_waits_in_sequences_large_objects_or_notifications(two):
    assert two.as_owner("SELECT relname FROM pg_class WHERE relkind = 'S'") == []
    with two.psql() as conn:
        conn.execute("LISTEN pfa")
        assert list(conn.notifies(timeout=0.05)) == []
        assert conn.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


# --- what is written -----------------------------------------------------------------------------------

# Every change that one could try, once with nobody let in and once as ann in each of her scopes.
CHANGES = [
    "UPDATE pfa_mirror SET data = data || '{{\"model\": \"mine\"}}' WHERE organization_id = '{org}'",
    "UPDATE pfa_modification SET delta = '{{\"model\": \"mine\"}}' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_modification WHERE organization_id = '{org}'",
    "DELETE FROM pfa_overlay WHERE organization_id = '{org}'",
    "UPDATE pfa_member SET rights = rights || '{{manage_users}}' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_member WHERE organization_id = '{org}'",
    "INSERT INTO pfa_member VALUES ('{org}', 'mallory', 'admin', '{{read}}', 'x', now())",
    "UPDATE pfa_organization SET name = 'mine' WHERE organization_id = '{org}'",
    "DELETE FROM kpi_rollup WHERE organization_id = '{org}'",
    "UPDATE pfa_sync_log SET message = 'mine' WHERE organization_id = '{org}'",
    "DELETE FROM pfa_lease WHERE organization_id = '{org}'",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action)"
    " VALUES ('{org}', gen_random_uuid(), now(), 'eve', 'x')",
    "UPDATE pfa_mirror SET organization_id = 'ORG' WHERE organization_id = '{org}'",
    "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,"
    " key_id, issued_at, issued_by, expires_at) VALUES ('{org}', 'x', 'eve', 'user', 'admin', '{{}}', false,"
    " '{{{org}}}', 'k', now(), 'x', now())",
]


@pytest.mark.parametrize("scope", ["", *SCOPES])
@pytest.mark.parametrize("change", CHANGES)
def test_nothing_of_another_organization_is_changed(two, change, scope):
    before = two.as_owner("SELECT count(*) FROM pfa_member")
    with two.psql() as conn, conn.transaction(force_rollback=True):
        if scope:
            enter(conn, two.org.principal("ann"), scope)
        try:
            with conn.transaction():
                assert conn.execute(change.format(org="FOREIGN")).rowcount == 0
        except (errors.InsufficientPrivilege, errors.CheckViolation):
            pass
    assert two.as_owner("SELECT count(*) FROM pfa_member") == before


# What an editor's rights do not hold, whichever scope is asked for.
BEYOND_AN_EDITOR = [
    "UPDATE pfa_member SET rights = rights || '{manage_users}', role = 'admin' WHERE user_id = 'ben'",
    "INSERT INTO pfa_member VALUES ('ORG', 'mallory', 'admin', '{read}', 'x', now())",
    "DELETE FROM pfa_member WHERE user_id = 'ann'",
    "UPDATE pfa_organization SET name = 'mine'",
    "DELETE FROM pfa_overlay WHERE user_id = 'ann'",
    "DELETE FROM pfa_modification WHERE user_id = 'ann'",
    "UPDATE pfa_modification SET session_id = 'mine' WHERE user_id = 'ann'",
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action)"
    " VALUES ('ORG', gen_random_uuid(), now(), 'ann', 'x')",
    "INSERT INTO pfa_overlay SELECT 'ORG', 'ann', 'P-2', '{}', '{}', gen_random_uuid()",
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("change", BEYOND_AN_EDITOR)
def test_an_editor_gives_no_rights_and_touches_no_drafts_of_others(two, change, scope):
    with two.psql() as conn, conn.transaction(force_rollback=True):
        enter(conn, two.org.principal("ben"), scope)
        try:
            with conn.transaction():
                assert conn.execute(change).rowcount == 0
        except (errors.InsufficientPrivilege, errors.CheckViolation, errors.GeneratedAlways):
            pass


def test_who_manages_users_gives_nobody_what_they_do_not_hold(two):
    rights = ("read", "manage_users")
    two.org.add_user("mia", rights=rights)
    who = a_principal("mia", rights=rights)
    who = replace(who, token=pfa_core.settings.Secret(a_token(who, role="viewer")))
    change = "UPDATE pfa_member SET role = 'viewer', rights = %s WHERE user_id = 'ben'"
    with two.psql() as conn:
        for given, refused in ([["read"], False], [["read", "sync"], True]):
            with conn.transaction(force_rollback=True):
                enter(conn, who, "manage_users")
                with nullcontext() if not refused else pytest.raises(errors.InsufficientPrivilege):
                    assert conn.execute(change, [given]).rowcount == 1


def test_nobody_adds_to_a_link_that_an_earlier_transaction_closed(two):
    entry = (
        "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
        " VALUES ('ORG', gen_random_uuid(), now(), 'ann', 'x', {})"
    )
    old = "(SELECT link_id FROM audit_link WHERE organization_id = 'ORG' ORDER BY number LIMIT 1)"
    with two.psql() as conn:
        with conn.transaction(force_rollback=True):
            enter(conn, two.org.principal("ann"))
            assert conn.execute(entry.format("gen_random_uuid()")).rowcount == 1
        with conn.transaction(force_rollback=True):
            enter(conn, two.org.principal("ann"))
            with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                conn.execute(entry.format(old))


def test_a_transaction_that_is_held_open_ends_with_its_token(two):
    with two.psql() as conn, conn.transaction():
        enter(conn, a_forged(two, ttl=timedelta(seconds=2)))
        assert seen(conn, two)
        sleep(2.5)
        assert seen(conn, two) == {}


def test_who_may_not_commit_makes_no_commitment(two):
    two.org.add_user("dora", rights=("read", "save_draft"))
    who = a_principal("dora", rights=("read", "save_draft"))
    who = replace(who, token=pfa_core.settings.Secret(a_token(who, role="editor")))
    row = (
        "INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id, state,"
        " delta, base, base_version, version, created_at, updated_at, committed_at) VALUES ('ORG',"
        " gen_random_uuid(), 'P-2', 'dora', 's', %s, '{\"model\": \"x\"}', '{}', 1, 1, now(), now(), %s)"
    )
    with two.psql() as conn:
        with conn.transaction(force_rollback=True):
            enter(conn, who, "save_draft")
            assert conn.execute(row, ["draft", None]).rowcount == 1
        for scope in SCOPES:
            with conn.transaction(force_rollback=True):
                enter(conn, who, scope)
                with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(row, ["committed", "2025-12-01Z"])


@pytest.mark.parametrize(
    ("call", "scopes"),
    [
        ("pfa_refresh_overlays('{P-1}')", {"sync", "refresh_data", "import"}),
        ("pfa_rebuild_overlays('{ben}', '{P-1}')", {"sync"}),
        ("pfa_shift_bases('[]')", {"sync"}),
        ("pfa_modification_counts()", {"read"}),
        ("pfa_waiting_counts()", {"read"}),
        ("pfa_conflict_count()", {"read"}),
        ("pfa_analyze_mirror()", {"refresh_data", "import"}),
    ],
)
def test_what_crosses_users_asks_for_its_scope(two, call, scopes):
    with two.psql() as conn:
        for scope in ("", *SCOPES):
            with conn.transaction(force_rollback=True):
                if scope:
                    enter(conn, two.org.principal("ann"), scope)
                if scope in scopes:
                    conn.execute(f"SELECT * FROM {call}")
                else:
                    with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                        conn.execute(f"SELECT * FROM {call}")


def test_a_search_finds_nothing_of_others(two):
    with two.psql() as conn:
        assert conn.execute("SELECT pfa_found('%', NULL)").fetchall() == []
        with conn.transaction():
            enter(conn, two.org.principal("ben"))
            assert sorted(conn.execute("SELECT pfa_found('%', NULL)").fetchall()) == [
                ("P-1",),
                ("P-2",),
            ]
            assert conn.execute("SELECT pfa_found('%secret%', NULL)").fetchall() == []


# --- the program's own side -------------------------------------------------------------------------------


def test_a_principal_without_a_token_is_turned_away(two):
    with pytest.raises(pfa_core.errors.Unauthorized):
        pfa_core.list_records(
            two.org.db, replace(two.org.principal("ann"), token=None), pfa_core.Query()
        )


def test_a_principal_never_shows_its_token(two):
    ann = two.org.principal("ann")
    assert ann.token is not None
    assert ann.token.reveal() not in f"{ann!r} {ann}"


def test_who_is_bound_is_told(two, postgres):
    with Database(two.url) as owner, Database(two.bound) as app:
        assert owner.read(wall.is_bound) is False
        assert app.read(wall.is_bound) is True
        facts = app.read(wall.role)
        assert facts is not None
        assert facts[1:] == (False, False, False, True, False, False)


@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="makes roles of its own")
def test_the_owner_need_be_no_superuser(postgres):
    from pfa_core.store import migrations

    with postgres.database() as url:
        name = f"pfa_test_owner_{os.getpid()}"
        role = sql.Identifier(name)
        database = sql.Identifier(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        postgres.admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PFA_TEST_BOUND", "1")
                owned = url.replace("postgres@", f"{name}:x@")
                with psycopg.connect(owned, autocommit=True) as conn:
                    migrations.upgrade(conn)
                    conn.execute("SELECT 1")
                with psycopg.connect(url, autocommit=True) as conn:
                    bound_url(url)
                with Database(owned) as db:
                    assert db.read(wall.stands) == (True, False)
                world = a_world(owned, record("P-1"), login=url)
                assert (
                    len(
                        pfa_core.list_records(world.db, world.principal(), pfa_core.Query()).records
                    )
                    == 1
                )
                found = pfa_core.list_records(
                    world.db, world.principal(), pfa_core.Query(pfa_core.Filters(search="north"))
                )
                assert len(found.records) == 1
                world.db.close()
                world.owner.close()
        finally:
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute(sql.SQL("REASSIGN OWNED BY {} TO postgres").format(role))
                conn.execute(sql.SQL("DROP OWNED BY {}").format(role))
            postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(database))
            postgres.admin.execute(sql.SQL("DROP ROLE {}").format(role))
