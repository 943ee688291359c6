"""Owners of tables who are no superusers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from pfa_core.store import migrations
from tests.server import Server


@contextmanager
def an_owner(postgres: Server) -> Iterator[str]:
    """A migrated database of a role that owns it and is nothing else; its address."""
    postgres.template()  # with it the role of the program is made, which such an owner cannot make
    with postgres.database() as url:
        name = f"pfa_test_mover_{os.getpid()}"
        role = sql.Identifier(name)
        database = sql.Identifier(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        postgres.admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        try:
            owned = url.replace("postgres@", f"{name}:x@")
            with psycopg.connect(owned, autocommit=True) as conn:
                migrations.upgrade(conn)
            yield owned
        finally:
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute(sql.SQL("REASSIGN OWNED BY {} TO postgres").format(role))
                conn.execute(sql.SQL("DROP OWNED BY {}").format(role))
            postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(database))
            postgres.admin.execute(sql.SQL("DROP ROLE {}").format(role))
