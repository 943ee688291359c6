"""`pfa db role add`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pfa_core
from pfa_core import errors
from tests import citus
from tests.program import Pfa
from tests.server import bound_url

NAME = f"pfa_test_of_edna_{os.getpid()}"
CREATED = (
    f'CREATE ROLE "{NAME}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION IN ROLE'
    ' "pfa_app";\n'
)


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"DROP ROLE IF EXISTS {NAME}")
        yield conn
        conn.execute(f"DROP ROLE IF EXISTS {NAME}")


def test_the_sql_is_printed_and_nothing_is_created(pfa: Pfa, owner: psycopg.Connection) -> None:
    done = pfa("db", "role", "add", NAME, "--print")
    assert (done.code, done.out) == (0, CREATED)
    assert not owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [NAME]).fetchall()
    owner.execute(done.out.encode())
    assert owner.execute("SELECT pg_has_role(%s, 'pfa_app', 'USAGE')", [NAME]).fetchone() == (True,)


@citus.has_policies
def test_a_role_is_created_that_policies_bind(
    pfa: Pfa, owner: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("a secret of theirs\n")
    secret.chmod(0o600)
    words = (
        "db",
        "role",
        "add",
        NAME,
        "--database-url",
        database_url,
        "--password-file",
        str(secret),
    )
    done = pfa(*words)
    assert (done.code, done.err) == (0, "")
    assert "a secret" not in done.out
    with psycopg.connect(make_conninfo(database_url, user=NAME)) as conn:
        assert conn.execute("SELECT row_security_active('pfa_mirror')").fetchone() == (True,)
    kept = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [NAME]).fetchone()
    assert kept
    assert kept[0].startswith("SCRAM-SHA-256$")
    assert pfa(*words).code == 7


def test_a_dry_run_creates_none(pfa: Pfa, owner: psycopg.Connection, database_url: str) -> None:
    assert pfa("db", "role", "add", NAME, "--database-url", database_url, "--dry-run").code == 0
    assert not owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [NAME]).fetchall()


def test_a_role_that_may_not_create_roles_is_told(pfa: Pfa, database_url: str) -> None:
    done = pfa("db", "role", "add", NAME, "--database-url", bound_url(database_url))
    assert done.code == 78


@pytest.mark.parametrize("name", ["", "pfa_app", "pg_x", "A", 'a"b', "a b", "a" * 64])
def test_an_invalid_name_is_refused(pfa: Pfa, name: str) -> None:
    assert pfa("db", "role", "add", name, "--print").code == 2


def test_the_embedded_server_has_no_login_roles(pfa: Pfa) -> None:
    settings = replace(pfa_core.resolve(), database_url=None)
    with pytest.raises(errors.ConfigInvalid, match="has no login roles"):
        pfa_core.add_login_role(settings, NAME)
