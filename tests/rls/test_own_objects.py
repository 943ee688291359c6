"""Objects that a session creates, which replace nothing and show nothing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.rls.two import SCOPES, authorize

SHADOWS = [
    "CREATE FUNCTION pg_temp.pfa_records_organization() RETURNS text LANGUAGE sql RETURN 'FOREIGN'",
    "CREATE FUNCTION pg_temp.pfa_context() RETURNS text[] LANGUAGE sql"
    " RETURN '{FOREIGN,FOREIGN,manage_settings,read,eve}'::text[]",
    "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql RETURN 'x'",
    "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN '\\x00'::bytea",
    "CREATE FUNCTION pg_temp.always(bytea, bytea) RETURNS boolean LANGUAGE sql RETURN false",
    "CREATE OPERATOR pg_temp.<> (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.always)",
    "CREATE TEMP TABLE pfa_rls_secret (only_one boolean, inner_key bytea, outer_key bytea)",
    "INSERT INTO pg_temp.pfa_rls_secret VALUES (true, '\\x00', '\\x00')",
    "CREATE TEMP TABLE pfa_member (LIKE public.pfa_member)",
    "INSERT INTO pg_temp.pfa_member SELECT 'FOREIGN', 'ann', 'admin', '{read}', 'x', now()",
    "CREATE TEMP TABLE pfa_signing_key (key_id text, secret bytea, outer_key bytea, inner_key bytea,"
    " retired_at timestamptz, not_after timestamptz)",
]


def test_functions_operators_and_tables_of_a_session_replace_none_of_the_schema(two):
    with two.psql() as conn:
        for statement in SHADOWS:
            conn.execute(statement)
        conn.execute("SET search_path = pg_temp, pg_catalog, public")
        conn.execute("SET pfa.context = '" + "0" * 64 + " FOREIGN read read eve'")
        for table in two.tables:
            if table in ("pfa_member", "audit_expected"):  # theirs; one that the role does not read
                continue
            assert conn.execute(f"SELECT count(*) FROM public.{table}").fetchone() == (0,)
        with conn.transaction():
            authorize(conn, two.org.principal("ann"))
            codes = conn.execute(
                "SELECT DISTINCT organization_id FROM public.pfa_mirror"
            ).fetchall()
            assert codes == [("ORG",)]
        with pytest.raises(psycopg.Error), conn.transaction():
            authorize(conn, two.org.principal("ann"), organization="FOREIGN")


def test_conditions_of_a_session_are_evaluated_on_visible_rows_only(two):
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
                authorize(conn, two.org.principal("ann"))
                conn.execute(f"SELECT * FROM {table} WHERE pg_temp.listen({column}::text)")
        heard = [row[0] for row in conn.execute("SELECT what FROM heard")]
        assert heard
        assert not [what for what in heard if "Secret thing" in what or "888" in what]


def test_an_error_in_a_condition_tells_nothing_of_a_row_that_is_not_seen(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"))
        rows = conn.execute(
            "SELECT * FROM pfa_mirror WHERE 1 / (CASE WHEN category LIKE 'Secret%' THEN 0 ELSE 1 END) = 1"
        ).fetchall()
        assert len(rows) == 2
        casts = "SELECT * FROM pfa_mirror WHERE (CASE WHEN category = 'Crane' THEN '1' ELSE category END)::int = 1"
        assert len(conn.execute(casts).fetchall()) == 2


def test_a_view_of_a_session_shows_what_its_reader_sees(two):
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
                    authorize(conn, world.principal("ann" if world is two.org else "eve"))
                    assert conn.execute("EXECUTE all_of_them").fetchall() == expected
                assert conn.execute("EXECUTE all_of_them").fetchall() == []


def test_a_cursor_that_is_held_has_what_was_seen_when_it_was_opened_and_no_more(two):
    with two.psql() as conn:
        with conn.transaction():
            authorize(conn, two.org.principal("ann"))
            conn.execute(
                "DECLARE kept CURSOR WITH HOLD FOR SELECT DISTINCT organization_id FROM pfa_mirror"
            )
        assert conn.execute("FETCH ALL FROM kept").fetchall() == [("ORG",)]


@pytest.mark.parametrize("scope", SCOPES)
def test_copy_out_and_blocks_show_what_a_query_shows(two, scope):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), scope)
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
