"""What a row may hold: each column has its check, and the checks are the program's own rules."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_dumps

from pfa_core import exact_json
from pfa_core.model.audit import Action, Direction
from pfa_core.model.decision import ConflictResolution, ConflictStatus
from pfa_core.model.delta import clean, is_delta
from pfa_core.model.member import OrganizationStatus
from pfa_core.model.modification import State
from pfa_core.model.principal import Right, Role
from pfa_core.model.push import Verdict
from pfa_core.model.record import EDITABLE, FIELDS
from pfa_core.model.run import RunKind, RunStatus
from pfa_core.store.tokens import TokenKind
from tests.factories import a_world, record
from tests.forms import EFFORT
from tests.model.strategies import any_deltas, clean_deltas, json_values

pytestmark = pytest.mark.every_version

CHECKED = {"timestamp with time zone", "integer", "bigint", "numeric", "text", "text[]", "jsonb"}
UNCHECKED = {"uuid", "uuid[]", "boolean", "bytea", "xid"}  # every value of them can be read
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
           coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint AS k
                     WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)
                       AND k.convalidated AND k.conname = c.relname || '_' || a.attname || '_range'), '')
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"""
DEEP = "[" * 5000 + "]" * 5000


@pytest.fixture(scope="module")
def conn(postgres, template):
    """A connection whose every statement rolls back."""
    with postgres.database(template) as url:
        world = a_world(url, record("P-1"))
        world.db.close()
        with psycopg.connect(url, autocommit=True) as connection:
            set_json_dumps(exact_json.dumps, connection)
            yield connection


def takes(conn, table: str, **values: object) -> bool:
    """Return whether the owner may insert the row."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statement, list(values.values()))
    except psycopg.errors.CheckViolation:
        return False
    return True


def test_every_column_has_a_check_or_a_type_of_which_every_value_can_be_read(conn):
    rows = conn.execute(COLUMNS).fetchall()
    kinds = {(table, name): kind for table, name, kind, *_ in rows}
    assert {kind for kind in kinds.values() if kind not in CHECKED} == UNCHECKED
    lacking = [
        f"{table}.{name}"
        for table, name, kind, generated, check in rows
        if kind in CHECKED and not generated and not check
    ]
    assert lacking == []
    assert len([check for *_, check in rows if check]) > 100


def test_a_column_without_its_check_is_found(conn):
    with conn.transaction(force_rollback=True):
        conn.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_at_range")
        with pytest.raises(AssertionError, match=r"audit_log\.at"):
            test_every_column_has_a_check_or_a_type_of_which_every_value_can_be_read(conn)


CLOSED = {
    ("audit_log", "action"): Action,
    ("pfa_sync_outcome", "outcome"): Verdict,
    ("pfa_sync_log", "direction"): Direction,
    ("pfa_sync_log", "kind"): RunKind,
    ("pfa_lease", "name"): Direction,
    ("pfa_token", "role"): Role,
    ("pfa_token", "kind"): TokenKind,
    ("pfa_token", "rights"): Right,
    ("pfa_member", "role"): Role,
    ("pfa_member", "rights"): Right,
    ("pfa_organization", "status"): OrganizationStatus,
    ("pfa_sync_conflict", "status"): ConflictStatus,
    ("pfa_sync_conflict", "resolution"): ConflictResolution,
    ("pfa_modification", "sent_fields"): EDITABLE,
}


@pytest.mark.parametrize(("table", "column"), CLOSED)
def test_a_closed_set_is_the_enumeration_of_the_program(conn, table, column):
    """The state of a modification and of a run have a value more in the program than in a row."""
    found = conn.execute(
        """SELECT pg_get_constraintdef(k.oid) FROM pg_constraint AS k
           JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attname = %s
           WHERE k.conrelid = %s::regclass AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]""",
        [column, table],
    ).fetchall()
    sets = [set(re.findall(r"'([a-zA-Z_]+)'::text", text)) for (text,) in found if "ARRAY" in text]
    sets += [
        set(text.split("'{")[1].split("}'")[0].split(",")) for (text,) in found if "'{" in text
    ]
    assert sets == [{str(one) for one in CLOSED[table, column]}]


@pytest.mark.parametrize(
    ("table", "column", "more"),
    [
        ("pfa_modification", "state", {State.PRISTINE}),
        ("pfa_sync_log", "status", {RunStatus.SKIPPED}),
    ],
)
def test_the_states_of_a_row_are_those_of_the_program_but_one(conn, table, column, more):
    name = f"{table}_{column}_check"
    (text,) = conn.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name]
    ).fetchone()
    found = set(re.findall(r"'([a-z_]+)'::text", text))
    assert found == {str(one) for one in type(next(iter(more))) if one not in more}


odd = st.sampled_from(
    ["", "abc", "2025-02-29", "2024-02-29", "0000-01-01", "2025-13-01", "2025-1-1", "٢٠٢٥-01-01",
     "2025-01-01T00:00", "2025-01-01\n", "Rental", "rental", "Zzz", "BEO", "true", 0, -1, Decimal("-0"),
     10**15, 10**15 - 1, Decimal("0.000000000001"), Decimal("0.0000000000001"), Decimal("1E+3"),
     Decimal("1E-13"), 10**4000, True, False, None, "x" * 200, "x" * 201, "é" * 200, "é" * 201,
     [], {}, [1], {"a": 1}]
)  # fmt: skip
poisoned = st.dictionaries(
    st.sampled_from((*EDITABLE, "pfaId", "contract", "x", "")), odd | json_values, max_size=3
)


def says(conn, delta: object) -> bool:
    return conn.execute("SELECT pfa_is_delta(%s)", [Jsonb(delta)]).fetchone()[0]


@settings(
    deadline=None,
    max_examples=150 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(poisoned | any_deltas | clean_deltas | json_values)
@example({"equipment": "x" * 100_000})
@example({"equipment": "x" * 100_001})
def test_the_database_takes_the_deltas_that_the_program_takes(conn, delta):
    assert says(conn, delta) is is_delta(delta)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(poisoned | any_deltas)
def test_what_is_left_of_a_delta_after_its_faults_is_one(conn, delta):
    values, _ = clean("P-1", delta)
    assert not values or says(conn, values)


@pytest.mark.parametrize("name", EDITABLE)
def test_each_editable_field_is_one_of_a_delta_and_no_other_is(conn, name):
    good = {"text": "x", "date YYYY-MM-DD": "2025-01-01", "number ≥ 0": 5, "true or false": True}
    field = FIELDS[name]
    value = field.choices[0] if field.choices else good[field.kind.value]
    assert says(conn, {name: value})
    assert not says(conn, {name: [value]})
    assert not says(conn, {name: value, "pfaId": "P-1"})


@pytest.mark.parametrize(
    ("base", "taken"),
    [
        ({}, True),
        ({"model": None, "monthlyRate": 5, "isActualized": False}, True),
        ({"model": ["x"]}, False),
        ({"model": {"x": 1}}, False),
        ({"contract": "x"}, False),
        ({"monthlyRate": 10**4000}, False),
        ([], False),
        (5, False),
    ],
)
def test_a_base_holds_values_of_editable_fields(conn, base, taken):
    assert conn.execute("SELECT pfa_is_base(%s)", [Jsonb(base)]).fetchone()[0] is taken


ENTRY = {"organization_id": "ORG", "at": "2025-12-01Z", "user_id": "ann", "action": "save"}
TIMES = {
    "2025-12-01Z": True, "0001-01-02Z": True, "9999-12-29Z": True, "infinity": False,
    "-infinity": False, "0044-03-15 BC": False, "20000-01-01": False, "9999-12-30Z": False,
    "0001-01-01Z": False,
}  # fmt: skip


@pytest.mark.parametrize("at", TIMES)
def test_a_time_is_one_that_every_client_can_name(conn, at):
    row = {**ENTRY, "entry_id": uuid4(), "link_id": uuid4(), "at": at}
    assert takes(conn, "audit_log", **row) is TIMES[at]


@pytest.mark.parametrize(
    ("document", "taken"),
    [
        ("{}", True),
        (None, True),
        ('{"a": [1, {"b": null}]}', True),
        ("5", False),
        ("[1, 2]", False),
        ('"text"', False),
        ("null", True),
        (f'{{"a": {DEEP}}}', False),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", False),
        ('{"a": ' + "9" * 5000 + "}", False),
        ('{"a": 1e131000}', False),
        ('{"a": "' + "x" * 5_000_000 + '"}', False),
    ],
)
@pytest.mark.parametrize("column", ["before", "after", "base"])
def test_what_the_trail_says_of_a_change_is_an_object_of_bounded_depth_and_numbers(
    conn, column, document, taken
):
    row = {**ENTRY, "entry_id": uuid4(), "link_id": uuid4(), "action": "discard", column: document}
    assert takes(conn, "audit_log", **row) is taken


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"action": "save", "reason": "x" * 100_000}, True),
        ({"reason": "x" * 100_001}, False),
        ({"action": "x"}, False),
        ({"session_id": "s" * 201}, False),
        ({"user_id": "u" * 201}, False),
    ],
)
def test_the_texts_of_an_entry_are_bounded(conn, values, taken):
    row = {**ENTRY, "entry_id": uuid4(), "link_id": uuid4(), **values}
    assert takes(conn, "audit_log", **row) is taken


CONFLICT = {"organization_id": "ORG", "pfa_id": "P-1", "user_id": "ann", "status": "unresolved",
            "created_at": "2025-12-01Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ('[{"field": "model", "base": null, "mine": "a", "pems": 5}]', True),
        ("5", False),
        ("[]", False),
        ("{}", False),
        ('{"model": 5}', False),
        ("[5]", False),
        ("[[]]", False),
        ('[[{"field": "model"}]]', False),
        ('[{"mine": 1}]', False),
        ('[{"field": 5}]', False),
        (f'[{{"field": "model", "mine": {DEEP}}}]', False),
        ('[{"field": "model", "mine": ' + "9" * 5000 + "}]", False),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_the_fields_of_a_conflict_are_objects_with_a_field(conn, fields, taken):
    row = {**CONFLICT, "conflict_id": uuid4(), "modification_id": uuid4(), "fields": fields}
    assert takes(conn, "pfa_sync_conflict", **row) is taken


RUN = {"organization_id": "ORG", "direction": "pull", "source": "f", "status": "completed",
       "user_id": "ann", "started_at": "2025-12-01Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "taken"),
    [
        ("{}", True),
        ('{"total": 5, "updated": 0}', True),
        ("5", False),
        ("[]", False),
        ('{"total": "5"}', False),
        ('{"total": -1}', False),
        ('{"total": 0.5}', False),
        ('{"total": 1e300}', False),
        ('{"total": {}}', False),
        ('{"total": []}', False),
        ('{"total": [1]}', False),
    ],
)
def test_the_counts_of_a_run_are_whole_numbers_by_name(conn, counts, taken):
    assert takes(conn, "pfa_sync_log", **RUN, run_id=uuid4(), counts=counts) is taken


MODIFICATION = {
    "organization_id": "ORG", "pfa_id": "P-1", "user_id": "ann", "session_id": "s", "state": "draft",
    "delta": '{"model": "x"}', "base": "{}", "base_version": 1, "version": 1,
    "created_at": "2025-12-01Z", "updated_at": "2025-12-01Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"attempts": 1_000_000}, True),
        ({"attempts": 2_147_483_647}, False),
        ({"attempts": -5}, False),
        ({"failures": 2_147_483_647}, False),
        ({"generation": 2_147_483_647}, False),
        ({"version": 2_147_483_647}, False),
        ({"base_version": -1}, False),
        ({"first_attempt_at": "infinity"}, False),
        ({"next_attempt_at": "infinity"}, False),
        ({"next_attempt_at": "2099-01-01Z"}, True),
        ({"change_reason": "x" * 100_001}, False),
        ({"sent_fields": ["model"]}, True),
        ({"sent_fields": ["contract"]}, False),
        ({"delta": '{"monthlyRate": "abc"}'}, False),
        ({"delta": '{"source": "Zzz"}'}, False),
        ({"delta": '{"isActualized": "maybe"}'}, False),
        ({"delta": '{"forecastStart": "x"}'}, False),
        ({"delta": f'{{"model": {DEEP}}}'}, False),
        ({"base": f'{{"model": {DEEP}}}'}, False),
        ({"base": '{"model": ' + "9" * 5000 + "}"}, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_modification_holds_what_operations_write(conn, values, taken):
    assert (
        takes(conn, "pfa_modification", **{**MODIFICATION, "modification_id": uuid4(), **values})
        is taken
    )


MIRROR = {"organization_id": "ORG", "pfa_id": "P-9", "version": 1, "run_id": str(uuid4()),
          "updated_at": "2025-12-01Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"data": "{}"}, True),
        ({"data": '{"x": ' + "[" * 100 + "]" * 100 + "}"}, True),
        ({"data": '{"x": ' + "[" * 101 + "1" + "]" * 101 + "}"}, False),
        ({"data": f'{{"x": {DEEP}}}'}, False),
        ({"data": "{}", "version": 2_147_483_647}, False),
        ({"data": "{}", "version": 2_000_000_000}, True),
        ({"data": "{}", "updated_at": "infinity"}, False),
        ({"data": "{}", "pems_revision": "x" * 10_001}, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mirror_row_is_of_bounded_depth_and_counts(conn, values, taken):
    assert takes(conn, "pfa_mirror", **{**MIRROR, **values}) is taken


ODD_DATA = [
    '{"monthlyRate": "abc"}', '{"monthlyRate": "NaN"}', '{"monthlyRate": 1e131000}', '{"monthlyRate": []}',
    '{"monthlyRate": -1}', '{"isActualized": "maybe"}', '{"isActualized": {}}',
    '{"forecastStart": "x", "forecastEnd": "2025-01-01"}',
    '{"forecastStart": "2025-02-30", "forecastEnd": "2025-03-01"}',
    '{"actualStart": [1], "actualEnd": {"a": 1}}', '{"originalStart": "0000-00-00", "originalEnd": "9"}',
    '{"category": {"a": [1]}, "description": 5}',
]  # fmt: skip


@pytest.mark.parametrize("data", ODD_DATA)
@pytest.mark.parametrize("table", ["pfa_mirror", "pfa_overlay"])
def test_no_value_of_a_record_stops_its_row(conn, table, data):
    row = {"organization_id": "ORG", "pfa_id": "P-9", "data": data}
    if table == "pfa_mirror":
        row = {**MIRROR, **row}
    else:
        row |= {"user_id": "ann", "delta": '{"model": "x"}', "modification_id": uuid4()}
    assert takes(conn, table, **row)


def test_what_is_not_a_value_of_its_column_is_null_there_and_the_others_are_right(conn):
    data = {
        "monthlyRate": "abc", "purchasePrice": Decimal("12.50"), "isActualized": "maybe",
        "isDiscontinued": True, "forecastStart": "x", "forecastEnd": "2025-01-01",
        "actualStart": "2025-01-01", "actualEnd": "2025-03-01",
    }  # fmt: skip
    with conn.transaction(force_rollback=True):
        conn.execute("INSERT INTO pfa_mirror (organization_id, pfa_id, data, version, run_id, updated_at)"
                     " VALUES ('ORG', 'P-9', %s, 1, gen_random_uuid(), now())", [Jsonb(data)])  # fmt: skip
        found = conn.execute(
            "SELECT monthly_rate, purchase_price, is_actualized, is_discontinued, forecast_days,"
            " actual_days, plan_days FROM pfa_mirror WHERE pfa_id = 'P-9'"
        ).fetchone()
    assert found == (None, Decimal("12.50"), False, True, None, 59, 0)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e41"])
def test_a_sum_is_a_number_in_range(conn, amount):
    keys = ("category", "class", "source", "dor", "area_silo", "rate_uom", "currency")
    flags = ("is_actualized", "is_discontinued", "is_funds_transferable")
    sums = ("monthly_rental", "purchase_cost", "actual_purchase", "plan_rate_days",
            "forecast_rate_days", "actual_rate_days")  # fmt: skip
    counts = ("record_count", "without_start", "without_end", "without_price")
    row = {**dict.fromkeys(keys, "x"), **dict.fromkeys(flags, False), **dict.fromkeys(sums, 1),
           **dict.fromkeys(counts, 1), "organization_id": "ORG"}  # fmt: skip
    assert takes(conn, "kpi_rollup", **row)
    for name in sums:
        assert not takes(conn, "kpi_rollup", **{**row, name: amount})


def test_a_row_is_checked_and_its_columns_are_made_whatever_the_search_path(conn):
    """A dump is restored with an empty one: there a function of the schema finds no other by its name."""
    called = conn.execute(
        "SELECT DISTINCT p.proname, p.prosrc FROM pg_depend AS d"
        " JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid"
        " WHERE d.classid IN ('pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_class'::regclass)"
        " AND p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'pfa\\_%'"
    ).fetchall()
    assert {"pfa_is_delta", "pfa_is_base", "pfa_days", "pfa_fold"} <= {name for name, _ in called}
    assert [name for name, body in called if re.search(r"\bpfa_\w+\(", body)] == []
