"""The schema's own rules (design.md, "Schema rules"), read from the catalog."""

from __future__ import annotations

import re
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from pfa_core.model.record import FIELDS
from tests.factories import a_world, record

pytestmark = pytest.mark.every_version

# The list of migrations, the signing keys and what signs a context belong to the installation, not to an
# organization.
SHARED = {"pfa_schema_migration", "pfa_signing_key", "pfa_rls_secret"}


@pytest.fixture(scope="module")
def catalog(postgres, template):
    """A connection to a migrated database that the tests of this module only read."""
    with postgres.database(template) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


def column(catalog, statement: str, *values) -> list:
    return [row[0] for row in catalog.execute(statement, values)]


TABLES = """
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1"""
GENERATED = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
           a.attcollation::regcollation::text
    FROM pg_attribute AS a
    JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %s::regclass AND a.attgenerated = 's' ORDER BY a.attname"""


def test_the_mirror_and_the_overlay_generate_the_same_columns_by_the_same_expressions(catalog):
    mirror = catalog.execute(GENERATED, ["pfa_mirror"]).fetchall()
    assert mirror == catalog.execute(GENERATED, ["pfa_overlay"]).fetchall()
    assert len(mirror) > 20


def test_every_field_with_a_column_has_it_in_mirror_and_overlay_drawn_from_its_own_key(catalog):
    for table in ("pfa_mirror", "pfa_overlay"):
        generated = {name: text for name, _, text, _ in catalog.execute(GENERATED, [table])}
        for field in FIELDS.values():
            if field.column and field.name != "pfaId":
                assert re.search(
                    rf"(\"{field.name}\"\?|'{field.name}'::text)", generated[field.column]
                )


def test_every_tenant_table_has_the_organization_first_in_its_key_and_not_null(catalog):
    tables = column(catalog, TABLES)
    assert len(tables) > 10
    keys = dict(
        catalog.execute(
            """
            SELECT i.indrelid::regclass::text, a.attname
            FROM pg_index AS i
            JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indisprimary AND i.indrelid::regclass::text = ANY(%s)""",
            [tables],
        ).fetchall()
    )
    assert {table for table in tables if keys.get(table) != "organization_id"} == SHARED
    nullable = column(
        catalog,
        """SELECT attrelid::regclass::text FROM pg_attribute
           WHERE attname = 'organization_id' AND NOT attnotnull
             AND attrelid::regclass::text = ANY(%s)""",
        tables,
    )
    assert nullable == []


def test_every_index_of_a_tenant_table_begins_with_the_organization(catalog):
    others = column(
        catalog,
        """
        SELECT i.indexrelid::regclass::text
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indrelid
        LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE c.relnamespace = 'public'::regnamespace
          AND a.attname IS DISTINCT FROM 'organization_id'""",
    )
    assert set(others) == {f"{table}_pkey" for table in SHARED}


def test_foreign_keys_of_tenant_tables_would_begin_with_the_organization_too(catalog):
    first = column(
        catalog,
        """
        SELECT a.attname FROM pg_constraint AS f
        JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
        WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace""",
    )
    assert set(first) <= {"organization_id"}


def test_text_that_is_compared_is_in_code_point_order(catalog):
    others = column(
        catalog,
        """
        SELECT a.attrelid::regclass || '.' || a.attname
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) AS k (number)
        JOIN pg_class AS c ON c.oid = i.indrelid
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE c.relnamespace = 'public'::regnamespace
          AND a.atttypid = 'text'::regtype AND a.attcollation <> '"C"'::regcollation""",
    )
    # A lease's name is a constant of the package, found by equality.
    assert set(others) <= {"pfa_lease.name", "pfa_sync_log.direction", "pfa_modification.state"}


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("triggers", "SELECT tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
                     "WHERE NOT tgisinternal AND c.relnamespace = 'public'::regnamespace "
                     "AND tgrelid <> 'audit_expected'::regclass"),
        ("rules", "SELECT rulename FROM pg_rules WHERE schemaname = 'public'"),
        ("sequences", "SELECT relname FROM pg_class WHERE relkind = 'S' "
                      "AND relnamespace = 'public'::regnamespace"),
        ("identity columns", "SELECT attname FROM pg_attribute WHERE attidentity <> ''"),
        ("materialized views", "SELECT matviewname FROM pg_matviews WHERE schemaname = 'public'"),
        ("volatile defaults", "SELECT a.attname FROM pg_attrdef AS d JOIN pg_attribute AS a "
                              "ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
                              "JOIN pg_class AS c ON c.oid = d.adrelid AND c.relnamespace = 'public'::regnamespace "
                              "WHERE pg_get_expr(d.adbin, d.adrelid) ~* 'now|random|nextval|uuid|clock'"),
        ("enum types", "SELECT typname FROM pg_type WHERE typtype = 'e' "
                       "AND typnamespace = 'public'::regnamespace"),
    ],
    ids=lambda value: value if " " not in value or value.count(" ") == 1 else "",
)  # fmt: skip
def test_the_schema_has_nothing_that_a_distributed_server_refuses(catalog, what, statement):
    assert column(catalog, statement) == [], what


def test_no_name_is_longer_than_45_characters(catalog):
    names = column(
        catalog,
        """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                  WHERE c.relnamespace = 'public'::regnamespace""",
    )
    assert [name for name in names if len(name) > 45] == []


def test_functions_in_generated_columns_are_immutable_and_run_in_no_parallel_worker(catalog):
    """What catches an error needs a subtransaction, which no parallel worker may begin; only writes call it."""
    assert catalog.execute(
        "SELECT proname, provolatile, proparallel FROM pg_proc WHERE proname IN ('pfa_days', 'pfa_fold')"
        " ORDER BY 1"
    ).fetchall() == [("pfa_days", "i", "u"), ("pfa_fold", "i", "s")]


# --- illegal states are refused by the database itself ------------------------------------------

CLAIM = "018f0000-0000-7000-8000-00000000c1a1"
MODIFICATION = {
    "organization_id": "ORG", "modification_id": None, "pfa_id": "P-1", "user_id": "ann",
    "session_id": "s", "state": "draft", "delta": {"model": "x"}, "base": {}, "base_version": 1,
    "version": 1, "created_at": "2025-12-01Z", "updated_at": "2025-12-01Z", "committed_at": None,
    "claim_id": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def scratch(postgres, template):
    """A connection whose every test rolls back."""
    with postgres.database(template) as url:
        a_world(url, record("P-1"))
        with psycopg.connect(url) as connection:
            yield connection


@pytest.fixture
def insert(scratch):
    def put(table: str = "pfa_modification", **values) -> None:
        row = {**MODIFICATION, "modification_id": uuid4()} if table == "pfa_modification" else {}
        row |= values
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        wrapped = [
            Jsonb(value) if isinstance(value, dict | list) else value for value in row.values()
        ]
        scratch.execute(statement, wrapped)

    yield put
    scratch.rollback()


def test_the_rows_that_the_next_tests_spoil_are_in_order(insert):
    insert()
    insert(pfa_id="P-2")
    insert(user_id="eve")
    insert(state="committed", committed_at="2025-12-01Z")
    insert(state="syncing", committed_at="2025-12-01Z", claim_id=uuid4())
    insert(state="synced", committed_at="2025-12-01Z")
    insert(state="sync_error", committed_at="2025-12-01Z")
    insert(state="conflict", committed_at="2025-12-01Z")


def test_one_user_has_one_draft_on_a_record_whatever_the_sessions(insert):
    insert()
    with pytest.raises(psycopg.errors.UniqueViolation, match="pfa_modification_one_draft"):
        insert(session_id="another")


@pytest.mark.parametrize(
    "values",
    [
        {"delta": {}},
        {"delta": []},
        {"delta": [1]},
        {"base": []},
        {"state": "pristine"},
        {"state": "DRAFT"},
        {"state": "done"},
        {"state": ""},
        {"state": "committed"},
        {"state": "synced"},
        {"committed_at": "2025-12-01Z"},
        {"state": "syncing", "committed_at": "2025-12-01Z"},
        {"state": "committed", "committed_at": "2025-12-01Z", "claim_id": CLAIM},
        {"claim_id": CLAIM},
        {"session_id": ""},
        {"version": 0},
        {"version": -1},
    ],
    ids=str,
)
def test_a_modification_that_must_never_be_is_refused(insert, values):
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(**values)


@pytest.mark.parametrize(
    "name", [name for name in MODIFICATION if name not in ("committed_at", "claim_id")]
)
def test_a_modification_lacks_nothing(insert, name):
    # Whose the row is a distributed server has to know before it asks what the column takes.
    refused = (psycopg.errors.NotNullViolation, psycopg.errors.NullValueNotAllowed)
    with pytest.raises(refused):
        insert(**{name: None})


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("pfa_organization", {"organization_id": "", "created_at": "2025-12-01Z"}),
        ("pfa_organization", {"organization_id": "a b", "created_at": "2025-12-01Z"}),
        ("pfa_organization", {"organization_id": "-a", "created_at": "2025-12-01Z"}),
        ("pfa_organization", {"organization_id": "x" * 51, "created_at": "2025-12-01Z"}),
        ("pfa_organization", {"organization_id": "X", "status": "gone", "created_at": "2025-12-01Z"}),
        ("pfa_member", {"organization_id": "ORG", "user_id": "x", "role": "root", "rights": [],
                        "granted_by": "x", "granted_at": "2025-12-01Z"}),
        ("pfa_member", {"organization_id": "ORG", "user_id": "", "role": "admin", "rights": [],
                        "granted_by": "x", "granted_at": "2025-12-01Z"}),
        ("pfa_mirror", {"organization_id": "ORG", "pfa_id": "", "data": {}, "version": 1,
                        "run_id": uuid4(), "updated_at": "2025-12-01Z"}),
        ("pfa_mirror", {"organization_id": "ORG", "pfa_id": "P-9", "data": [], "version": 1,
                        "run_id": uuid4(), "updated_at": "2025-12-01Z"}),
        ("pfa_mirror", {"organization_id": "ORG", "pfa_id": "P-9", "data": {"source": "Lease"},
                        "version": 1, "run_id": uuid4(), "updated_at": "2025-12-01Z"}),
        ("pfa_mirror", {"organization_id": "ORG", "pfa_id": "P-9", "data": {"dor": "HQ"},
                        "version": 1, "run_id": uuid4(), "updated_at": "2025-12-01Z"}),
        ("pfa_sync_log", {"organization_id": "ORG", "run_id": uuid4(), "direction": "up",
                          "source": "x", "status": "completed", "user_id": "x",
                          "started_at": "2025-12-01Z"}),
        ("pfa_sync_log", {"organization_id": "ORG", "run_id": uuid4(), "direction": "pull",
                          "source": "x", "status": "fine", "user_id": "x",
                          "started_at": "2025-12-01Z"}),
    ],
    ids=range(13),
)  # fmt: skip
def test_other_rows_that_must_never_be_are_refused(insert, scratch, table, values):
    if "rights" in values:
        values = values | {"rights": "{}"}
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(table, **values)


def test_two_records_of_one_id_in_one_organization_are_refused(insert):
    row = {
        "pfa_id": "P-1",
        "data": {},
        "version": 1,
        "run_id": uuid4(),
        "updated_at": "2025-12-01Z",
    }
    insert("pfa_mirror", organization_id="OTHER", **row)
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert("pfa_mirror", organization_id="ORG", **row)


def test_a_modification_has_one_open_conflict_at_most(insert):
    row = {"organization_id": "ORG", "modification_id": uuid4(), "pfa_id": "P-1", "user_id": "ann",
           "fields": [{"field": "model"}], "created_at": "2025-12-01Z"}  # fmt: skip
    insert("pfa_sync_conflict", conflict_id=uuid4(), status="resolved", **row)
    insert("pfa_sync_conflict", conflict_id=uuid4(), status="unresolved", **row)
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert("pfa_sync_conflict", conflict_id=uuid4(), status="unresolved", **row)


def test_an_index_that_begins_with_organization_and_user_goes_on_with_the_record(database_url):
    """Else a look-up by record may read all of a user's modifications, as long as the statistics know none of
    them: ten thousand drafts took 4 s to discard, 40 ms of it now. One with a condition that a look-up does not
    name, `version > 0`, serves none."""
    with psycopg.connect(database_url) as conn:
        found = conn.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'pfa_modification'"
            " AND indexdef LIKE '%(organization_id, user_id, %'"
            " AND indexdef NOT LIKE '%(organization_id, user_id, pfa_id)%' AND indexdef NOT LIKE '%(version > 0)%'"
        ).fetchall()
    assert found == []
