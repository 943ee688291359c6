"""What the application's role may do with tables: read, lock rows, and nothing else."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from psycopg import errors

from pfa_core import sql
from pfa_core.model.rights import ACTUALS, FIELD_NEEDS, MONEY
from tests.rls.two import SCOPES, authorize
from tests.rls.writing import call, entry, new_draft, record, refused

pytestmark = pytest.mark.every_version
REFUSED = errors.InsufficientPrivilege
REFUSAL = pytest.raises(REFUSED, match="may not write")
# The register of tokens has grants of its own.
ELSEWHERE = ("pfa_token",)


def test_the_role_has_no_right_on_a_table_but_to_read_it(two):
    granted = two.as_owner(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
        " WHERE grantee = 'pfa_app' AND table_schema = 'public' AND privilege_type <> 'SELECT'"
        " AND table_name <> ALL (%s)",
        list(ELSEWHERE),
    )
    assert granted == []


def test_the_role_may_update_one_column_for_the_locks_of_rows_and_no_row_passes(two):
    granted = two.as_owner(
        "SELECT DISTINCT column_name FROM information_schema.column_privileges"
        " WHERE grantee = 'pfa_app' AND table_schema = 'public' AND privilege_type = 'UPDATE'"
        " AND table_name <> ALL (%s)",
        list(ELSEWHERE),
    )
    assert granted == [("organization_id",)]
    locked = (
        "pfa_organization",
        "pfa_member",
        "pfa_mirror",
        "pfa_modification",
    )
    with two.psql() as conn:
        for table in locked:
            tried = 0
            for scope in SCOPES:
                with conn.transaction():
                    authorize(conn, two.org.principal("ann"), scope)
                    if conn.execute(f"SELECT 1 FROM {table} FOR UPDATE").fetchall():
                        tried += 1
                        with pytest.raises(REFUSED), conn.transaction():
                            conn.execute(f"UPDATE {table} SET organization_id = organization_id")
            assert tried > 3, table


def test_no_table_is_locked_as_a_whole(two):
    tables = [table for table in two.tables if table not in ELSEWHERE]
    with two.psql() as conn:
        for table in tables:
            for mode in ("ROW EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"):
                with pytest.raises(REFUSED), conn.transaction():
                    conn.execute(f"LOCK TABLE {table} IN {mode} MODE")


def test_every_function_that_writes_asks_for_a_context(two):
    names = two.as_owner(
        "SELECT p.oid::regproc::text, p.pronargs FROM pg_proc AS p WHERE p.proname LIKE 'pfa\\_do\\_%%'"
    )
    assert len(names) > 50
    with two.psql() as conn:
        for name, number in names:
            arguments = ", ".join(["NULL"] * number)
            with pytest.raises(REFUSED), conn.transaction():
                conn.execute(f"SELECT {name}({arguments})")


def test_no_function_takes_null_or_another_organization_for_the_context_s(two):
    with two.psql() as conn:
        for organization in (None, "", "FOREIGN"):
            with refused(conn, two.org.principal("ann"), "refresh_data"):
                call(conn, "mirror.prune_rollup", organization_id=organization)
        with refused(conn, two.org.principal("ann"), "save_draft"):
            call(conn, "modifications.insert_drafts", user_id=None, drafts=[new_draft(model="x")])


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TEMP TABLE pfa_incoming (pfa_id text, data jsonb, revision text)",
        "CREATE TEMP VIEW pfa_incoming AS SELECT 'P-1' AS pfa_id, '{}'::jsonb AS data, '' AS revision",
    ],
)
def test_no_function_reads_what_its_caller_made(two, made):
    with two.psql() as conn, conn.transaction(force_rollback=True):
        conn.execute(made)
        authorize(conn, two.org.principal("ann"), "refresh_data")
        with pytest.raises(REFUSED, match="another table"), conn.transaction():
            call(conn, "mirror.take_in", run_id="01900000-0000-7000-8000-000000000001")
        with pytest.raises(errors.DuplicateTable), conn.transaction():
            call(conn, "mirror.create_incoming")


def test_the_table_of_received_records_takes_no_code_of_its_caller(two):
    attempts = [
        "CREATE TRIGGER t BEFORE INSERT ON pfa_incoming FOR EACH ROW EXECUTE FUNCTION pg_temp.f()",
        "CREATE RULE r AS ON INSERT TO pfa_incoming DO INSTEAD NOTHING",
        "ALTER TABLE pfa_incoming ADD COLUMN x int DEFAULT 1",
        "CREATE INDEX ON pfa_incoming ((pg_temp.g(pfa_id)))",
        "CREATE TEMP TABLE child () INHERITS (pfa_incoming)",
        "DROP TABLE pfa_incoming",
        "ALTER TABLE pfa_incoming RENAME TO other",
    ]
    with two.psql() as conn, conn.transaction(force_rollback=True):
        conn.execute(
            "CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        conn.execute(
            "CREATE FUNCTION pg_temp.g(t text) RETURNS text IMMUTABLE LANGUAGE sql RETURN t"
        )
        authorize(conn, two.org.principal("ann"), "refresh_data")
        call(conn, "mirror.create_incoming")
        for attempt in attempts:
            with pytest.raises(REFUSED), conn.transaction():
                conn.execute(attempt)


def test_overlays_sums_and_history_are_written_by_no_statement_of_the_role(two):
    with two.psql() as conn:
        for statement in (
            "INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id) VALUES"
            " ('ORG', 'ben', 'P-2', '{\"monthlyRate\": \"abc\"}', '{}', gen_random_uuid())",
            'UPDATE pfa_overlay SET delta = \'{"monthlyRate": "abc"}\'',
            "DELETE FROM pfa_overlay",
            "UPDATE kpi_rollup SET monthly_rental = 'NaN'",
            "INSERT INTO pfa_mirror_history SELECT organization_id, pfa_id, 9, data, run_id, now() FROM pfa_mirror",
        ):
            for scope in SCOPES:
                with refused(conn, two.org.principal("ann"), scope):
                    conn.execute(statement)


def test_queue_columns_runs_leases_and_outcomes_are_written_by_no_statement_of_the_role(two):
    with two.psql() as conn:
        for statement in (
            "UPDATE pfa_modification SET attempts = 2147483647",
            "UPDATE pfa_modification SET first_attempt_at = 'infinity'",
            "UPDATE pfa_modification SET pfa_id = 'NOPE-1'",
            "UPDATE pfa_modification SET state = 'sync_error', next_attempt_at = '2099-01-01'",
            "UPDATE pfa_mirror SET updated_at = '2099-01-01'",
            "UPDATE pfa_mirror SET version = 2147483647",
            "INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id, started_at)"
            " VALUES ('ORG', gen_random_uuid(), 'pull', 'x', 'completed', 'ben', '2098-01-01')",
            "INSERT INTO pfa_sync_outcome VALUES ('ORG', gen_random_uuid(), gen_random_uuid(), 1, 'P-1', NULL,"
            " '', 'x', 'x', 'x', 'infinity', 1)",
            "INSERT INTO pfa_lease VALUES ('ORG', 'push', gen_random_uuid(), 'x', now(), 'infinity')",
            "DELETE FROM pfa_lease",
            "UPDATE pfa_sync_conflict SET fields = '5'",
            "INSERT INTO pfa_sync_conflict VALUES ('ORG', gen_random_uuid(), gen_random_uuid(), 'P-1', 'ann', '5',"
            " 'unresolved', NULL, now())",
        ):
            for scope in SCOPES:
                with refused(conn, two.org.principal("ann"), scope):
                    conn.execute(statement)


def test_the_rights_of_fields_are_those_of_the_program():
    ((_, _, schema), *_) = sql.migrations()
    for names in (ACTUALS, MONEY):
        assert f"f.key IN ({', '.join(repr(name) for name in names)})" in schema
    assert {right for rights in FIELD_NEEDS.values() for right in rights} == {
        "edit_forecast",
        "edit_actuals",
        "view_financials",
    }


def test_a_field_that_one_may_not_write_is_refused_in_psql_too(two):
    two.org.add_user("fred", rights=("read", "save_draft", "edit_forecast"))
    with two.psql() as conn:
        for pfa_id, delta, outcome in (
            ("P-1", {"model": "x"}, nullcontext()),
            ("P-2", {"monthlyRate": 5}, REFUSAL),
        ):
            draft = new_draft(pfa_id, **delta)
            with outcome, conn.transaction():
                authorize(conn, two.org.principal("fred"), "save_draft")
                call(conn, "modifications.insert_drafts", user_id="fred", drafts=[draft])
                record(conn, "fred", "save", [entry(draft["modification_id"])])
    assert two.as_owner("SELECT delta FROM pfa_modification WHERE user_id = 'fred'") == [
        ({"model": "x"},)
    ]
