"""Sessions have pfa's settings, whatever the environment, the role and the database set."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core import Query, export_jsonl, list_records, stream_records
from pfa_core.errors import DatabaseUnavailable
from pfa_core.store.database import Database
from tests.factories import a_world, record
from tests.forms import long

# A value that another program may want, and the one of pfa.
SETTINGS = {
    "datestyle": ("German, DMY", "ISO, MDY"),
    "intervalstyle": ("iso_8601", "postgres"),
    "timezone": ("America/New_York", "UTC"),
    "extra_float_digits": ("-15", "1"),
    "bytea_output": ("escape", "hex"),
    "array_nulls": ("off", "on"),
    "standard_conforming_strings": ("off", "on"),
    "transform_null_equals": ("on", "off"),
    "gin_fuzzy_search_limit": ("1", "0"),
    "row_security": ("off", "on"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_read_only": ("on", "off"),
    "geqo": ("off", "on"),
    "jit": ("on", "off"),
    "work_mem": ("64kB", "32MB"),
    "statement_timeout": ("1h", "0"),
    "lock_timeout": ("1h", "10min"),
    "idle_in_transaction_session_timeout": ("1h", "0"),
    "idle_session_timeout": ("1h", "0"),
    "transaction_timeout": ("1h", "0"),
    "client_connection_check_interval": ("0", "3s"),
    "client_encoding": ("LATIN1", "UTF8"),
}
# How another program's settings come upon pfa.
SOURCES = ("role", "database", "role in the database", "PGOPTIONS", "address")


@pytest.fixture
def admin(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def bent(database_url: str, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, request):
    """The address of a superuser of the test's own, in whose sessions others' settings are the default."""
    source, wanted = request.param
    if "transaction_timeout" in wanted and admin.info.server_version < 170000:
        wanted = {name: value for name, value in wanted.items() if name != "transaction_timeout"}
    role = f"pfa_test_bent_{os.getpid()}"
    admin.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
    options = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in wanted.items()
    )
    address = make_conninfo(database_url, user=role)
    if source == "PGOPTIONS":
        monkeypatch.setenv("PGOPTIONS", options)
    elif source == "address":
        address = make_conninfo(address, options=options)
    else:
        for name, value in wanted.items():
            admin.execute(_alter(source, role, admin.info.dbname, name, value))
    yield address
    monkeypatch.undo()
    admin.execute(f"DROP ROLE {role}")


def _alter(source: str, role: str, database: str, name: str, value: str) -> sql.Composed:
    whose = {
        "role": "ALTER ROLE {role}",
        "database": "ALTER DATABASE {database}",
        "role in the database": "ALTER ROLE {role} IN DATABASE {database}",
    }[source]
    statement = whose + (" SET {name} = {value}")
    words = [value] if name != "datestyle" else value.split(", ")
    return sql.SQL(statement).format(
        role=sql.Identifier(role),
        database=sql.Identifier(database),
        name=sql.Identifier(name),
        value=sql.SQL(", ").join(map(sql.Literal, words)),
    )


BENT = {name: bent for name, (bent, _) in SETTINGS.items()}
WANTED = {name: wanted for name, (_, wanted) in SETTINGS.items()}


@pytest.mark.variants(4)
@pytest.mark.parametrize("bent", [(source, BENT) for source in SOURCES], ids=SOURCES, indirect=True)
@pytest.mark.parametrize("require_schema", [True, False], ids=["use", "upgrade"])
def test_a_session_has_the_settings_of_pfa_wherever_others_come_from(
    bent, require_schema, monkeypatch
):
    if "options" not in conninfo_to_dict(bent) and "PGOPTIONS" not in os.environ:
        with psycopg.connect(bent) as plain:
            assert _shown(plain)["datestyle"] == BENT["datestyle"]
    with Database(bent, require_schema=require_schema) as db:
        assert db.administer(_shown) == {**WANTED, **_absent(db)}


def _shown(conn: psycopg.Connection) -> dict[str, str]:
    known = conn.execute("SELECT lower(name) FROM pg_settings").fetchall()
    names = [name for name in SETTINGS if (name,) in known]
    return {name: _value(conn, f"SHOW {name}") for name in names} | dict.fromkeys(
        set(SETTINGS) - set(names), "unknown"
    )


def _absent(db: Database) -> dict[str, str]:
    version = db.administer(lambda conn: conn.info.server_version)
    return {"transaction_timeout": "unknown"} if version < 170000 else {}


def _value(conn: psycopg.Connection, statement: str) -> str:
    row = conn.execute(statement).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGDATESTYLE", "German"),
        ("PGTZ", "America/New_York"),
        ("PGGEQO", "off"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGOPTIONS", "-c datestyle=German"),
        # What no server knows must not even be sent.
        ("PGDATESTYLE", "nonsense"),
        ("PGTZ", "Nowhere/At/All"),
        ("PGGEQO", "nonsense"),
        ("PGCLIENTENCODING", "nonsense"),
        ("PGOPTIONS", "-c no_such_setting=1"),
    ],
)
def test_no_variable_of_the_environment_changes_a_session(
    database_url, monkeypatch, variable, value
):
    monkeypatch.setenv(variable, value)
    with Database(database_url) as db:
        assert db.administer(_shown) == {**WANTED, **_absent(db)}
    assert os.environ[variable] == value


def test_variables_of_the_connection_still_supply_what_the_address_leaves_open(
    database_url, monkeypatch
):
    words = conninfo_to_dict(database_url)
    monkeypatch.setenv("PGHOST", str(words.pop("host")))
    monkeypatch.setenv("PGUSER", str(words.pop("user")))
    monkeypatch.setenv("PGDATESTYLE", "German")
    with Database(make_conninfo("", **words)) as db:
        assert db.administer(_shown)["datestyle"] == "ISO, MDY"
    monkeypatch.setenv("PGUSER", "no_such_role")
    with Database(make_conninfo("", **words)) as db, pytest.raises(Exception, match="refuses"):
        db.administer(_shown)


def test_an_option_of_the_address_that_is_no_setting_of_pfa_stays(database_url):
    address = make_conninfo(database_url, options="-c search_path=pg_catalog,public")
    with Database(address) as db:
        assert db.administer(lambda conn: _value(conn, "SHOW search_path")) == "pg_catalog,public"


def test_opening_a_database_takes_the_round_trips_of_its_schema_s_version_and_no_more(
    database_url, monkeypatch
):
    sent = []
    execute = psycopg.Connection.execute

    def counting(conn, *args, **kwargs):
        sent.append(args[0])
        return execute(conn, *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "execute", counting)
    with Database(database_url) as db:
        db.connection()
    assert len(sent) == 2


# --- statements whose client is gone --------------------------------------------------------------

_CLIENT = """
import sys
from pfa_core.store.database import Database
Database(sys.argv[1]).administer(lambda conn: conn.execute(sys.argv[2]))
"""
_OF_CLIENT = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pfa' AND datname = current_database()"
GONE_SECONDS = 10.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement", ["SELECT pg_sleep(600)", *long(["DO $$ BEGIN LOOP END LOOP; END $$"])]
)
def test_a_statement_ends_within_ten_seconds_of_its_client(database_url, admin, statement):
    client = subprocess.Popen([sys.executable, "-c", _CLIENT, database_url, statement])
    try:
        at_work = f"{_OF_CLIENT} AND state = 'active' AND query = %s"
        assert _until(lambda: admin.execute(at_work, [statement]).fetchone())
    finally:
        client.kill()
        client.wait()
    assert _until(lambda: admin.execute(_OF_CLIENT).fetchone() is None), "it goes on"


def _until(happened: Callable[[], Any]) -> bool:
    """Whether it happens in time."""
    end = time.monotonic() + GONE_SECONDS
    while not (done := bool(happened())) and time.monotonic() < end:
        time.sleep(0.1)
    return done


# --- time limits ---------------------------------------------------------------------------------

LIMITS = {
    "idle_in_transaction_session_timeout": "100ms",
    "transaction_timeout": "300ms",
    "statement_timeout": "300ms",
    "idle_session_timeout": "100ms",
}


@pytest.fixture
def limited(database_url: str, admin: psycopg.Connection):
    """A world with a thousand records, in whose database everything slow is ended by a limit."""
    world = a_world(database_url, *(record(f"P-{number:04}") for number in range(1000)))
    world.close()
    for name, value in LIMITS.items():
        if name != "transaction_timeout" or admin.info.server_version >= 170000:
            admin.execute(_alter("database", "", admin.info.dbname, name, value))
    yield world
    world.close()


def test_the_limits_of_these_tests_end_another_program_s_transaction(limited, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT 1")
        time.sleep(0.3)
        with pytest.raises(psycopg.Error):
            conn.execute("SELECT 1")


def test_a_slow_reader_gets_the_whole_export(limited):
    pieces = []

    def slowly(piece: bytes) -> None:
        pieces.append(piece)
        time.sleep(0.15)

    written = export_jsonl(limited.db, limited.principal(), Query(), slowly)
    assert len(pieces) > 3
    assert written == b"".join(pieces).count(b"\n") == 1000


@pytest.mark.long
def test_a_slow_reader_gets_the_whole_stream(limited):
    found = 0
    for _ in stream_records(limited.db, limited.principal(), Query()):
        found += 1
        if found in (1, 400, 999):
            time.sleep(0.35)
    assert found == 1000


def test_a_handle_that_rested_is_used_again(limited):
    for _ in range(2):
        assert (
            list_records(limited.db, limited.principal(), Query(), page_size=1).total_records
            == 1000
        )
        time.sleep(0.3)


def test_a_long_transaction_is_stored(limited):
    def work(conn: psycopg.Connection) -> str:
        time.sleep(0.4)
        return _value(conn, "SELECT pg_sleep(0.4)::text || 'done'")

    assert limited.db.transact(work) == "done"


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("limit", "state"),
    [("idle_in_transaction_session_timeout", "25P03"), ("transaction_timeout", "25P04")],
)
def test_a_transaction_that_is_ended_by_a_limit_all_the_same_says_so(limited, admin, limit, state):
    """An administrator may set a limit that a pooler or an extension enforces."""
    if limit == "transaction_timeout" and admin.info.server_version < 170000:
        pytest.skip("since 17")

    def work(conn: psycopg.Connection) -> None:
        conn.execute(sql.SQL("SET LOCAL {} = '50ms'").format(sql.Identifier(limit)))
        time.sleep(0.3)
        conn.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable, match=limit) as ended:
        limited.db.transact(work)
    assert getattr(ended.value.__cause__, "sqlstate", "") == state


def test_a_stream_that_is_broken_off_says_how_far_it_came(limited, admin):
    pieces = []

    def end_it(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) == 2:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(DatabaseUnavailable) as broken:
        export_jsonl(limited.db, limited.principal(), Query(), end_it)
    whole = b"".join(pieces).count(b"\n")
    assert 0 < whole < 1000
    assert f"the output ends after {whole} records" in broken.value.message
    records = stream_records(limited.db, limited.principal(), Query())
    assert next(records)
    records.close()
