"""The handle of the embedded server: started, upgraded, connected to as the bound role."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pfa_core.errors import Internal
from pfa_core.store import migrations, schema
from pfa_core.store.database import Database
from pfa_core.store.embedded import server
from pfa_core.store.rls import APP_ROLE
from tests.server import reachable_directory

USER = "SELECT current_user::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
DRAFTS = "SELECT count(*) FROM pfa_modification"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The root of a server that is not made yet; it is stopped afterwards."""
    base = reachable_directory("pfa-handle-")
    try:
        yield base / "pfa"
        server.stop(base / "pfa")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def user(db: Database) -> tuple[str, bool]:
    return db.read(lambda conn: conn.execute(USER).fetchone())


@pytest.mark.slow
def test_the_first_use_starts_the_server_and_makes_the_schema(root: Path) -> None:
    with Database(None, root) as db:
        assert db.read(schema.version) == schema.program_version()
        assert db.read(lambda conn: conn.execute(DRAFTS).fetchone()) == (0,)
    assert server.status(root).pid is not None


def test_the_program_is_bound_and_administration_is_the_owner(root: Path) -> None:
    with Database(None, root) as db:
        assert user(db) == (APP_ROLE, False)
        with db.administration() as owner:
            assert user(owner)[1] is True
            with owner.administration() as same:
                assert same is owner
        assert user(db) == (APP_ROLE, False)


def test_a_set_up_that_is_missing_is_made_again(root: Path) -> None:
    with Database(None, root) as db, db.administration() as owner:
        owner.administer(lambda conn: conn.execute(f"ALTER ROLE {APP_ROLE} NOLOGIN"))
    with Database(None, root) as db:
        assert user(db) == (APP_ROLE, False)


@contextmanager
def upgrading(root: Path) -> Iterator[psycopg.Connection]:
    """Another process within an upgrade: its session, which holds the lock of upgrades."""
    with psycopg.connect(server.conninfo(root), autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [migrations._LOCK])
        yield conn


@pytest.mark.parametrize(
    ("undone", "done"),
    [
        (f"ALTER ROLE {APP_ROLE} NOLOGIN", f"ALTER ROLE {APP_ROLE} LOGIN"),
        (
            "ALTER TABLE pfa_schema_migration RENAME TO pfa_kept_aside",
            "ALTER TABLE pfa_kept_aside RENAME TO pfa_schema_migration",
        ),
    ],
    ids=["role", "schema"],
)
def test_what_another_process_has_set_up_is_not_done_again_after_it(
    root: Path, undone: str, done: str
) -> None:
    with Database(None, root) as db:
        user(db)
    with upgrading(root) as other, ThreadPoolExecutor() as pool:
        other.execute(undone)
        waiting = [pool.submit(_user_of_a_new_handle, root) for _ in range(3)]
        time.sleep(0.2)
        assert not any(one.done() for one in waiting)
        other.execute(done)
        # The lock is held to the end: they do not take turns.
        assert [one.result(10) for one in waiting] == [(APP_ROLE, False)] * 3


def _user_of_a_new_handle(root: Path) -> tuple[str, bool]:
    with Database(None, root) as db:
        return user(db)


def test_a_handle_that_requires_no_schema_is_the_owner_and_makes_none(root: Path) -> None:
    with Database(None, root, require_schema=False) as db:
        assert user(db)[1] is True
        db.administer(lambda conn: conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    with Database(None, root, require_schema=False) as db:
        assert db.read(schema.version) is None
    with Database(None, root) as db:
        assert db.read(schema.version) == schema.program_version()
        assert user(db) == (APP_ROLE, False)


@pytest.mark.parametrize("options", [{}, {"owner": True}], ids=["bound", "owner"])
def test_a_handle_that_names_no_server_is_an_internal_error(options: dict[str, bool]) -> None:
    with pytest.raises(Internal):
        Database(None, None, **options).connection()
