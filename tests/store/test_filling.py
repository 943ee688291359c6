"""First records: the mirror's indexes come with them, or neither does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.store import copying, filling, migrations
from pfa_core.store.ahead import made_ahead
from tests import citus
from tests.factories import World, a_jsonl_file, a_world, record
from tests.forms import long
from tests.server import bound_url

pytestmark = pytest.mark.every_version

INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'pfa_mirror' ORDER BY 1"
KEY = ["pfa_mirror_pkey"]
WRITERS = "SELECT count(*) FROM pg_locks WHERE relation = 'pfa_mirror'::regclass AND NOT granted"
RECORDS = [record(f"P-{number}", model=f"M{number}") for number in range(7)]


@pytest.fixture(params=["bound", *long(["owner"])])
def fresh(request, monkeypatch, postgres, template) -> Iterator[World]:
    """A database that has never had a record."""
    monkeypatch.setenv("PFA_TEST_BOUND", "1" if request.param == "bound" else "")
    with postgres.database(template) as url:
        with psycopg.connect(url, autocommit=True) as conn:
            for (name,) in conn.execute(INDEXES.replace(", indexdef", "")).fetchall():
                if name not in KEY:
                    conn.execute(f"DROP INDEX {name}")
        world = a_world(url)
        yield world
        world.close()


def is_consistent(world: World) -> bool:
    return pfa_core.verify_database(world.owner, world.principal()).clean


def indexes(world: World) -> dict[str, str]:
    return dict(world.rows(INDEXES))


@pytest.mark.slow
def test_a_database_is_made_without_them(empty_database_url):
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        migrations.upgrade(conn)
        assert [name for name, _ in conn.execute(INDEXES)] == KEY


@citus.of_one_machine
def test_the_first_records_bring_the_indexes_that_every_mirror_has(fresh, postgres, template):
    assert [*indexes(fresh)] == KEY
    fresh.pull(RECORDS)
    with psycopg.connect(postgres.url(template)) as conn:
        assert indexes(fresh) == dict(conn.execute(INDEXES).fetchall())
    assert len(indexes(fresh)) > 10
    assert fresh.mirror().keys() == {f"P-{number}" for number in range(7)}
    second = a_world(fresh.url, RECORDS[0] | {"pfaId": "Q-1"}, organization="TWO")
    assert [*second.mirror()] == ["Q-1"]
    second.close()


@pytest.mark.slow
@citus.of_one_machine
def test_what_is_rolled_back_leaves_neither_records_nor_indexes(fresh, tmp_path, monkeypatch):
    path = str(a_jsonl_file(tmp_path, RECORDS))
    pfa_core.pull_files(fresh.db, fresh.principal(), [path], dry_run=True)
    assert ([*indexes(fresh)], fresh.mirror()) == (KEY, {})
    # The second portion is not JSON: what the first one had brought is gone with it.
    monkeypatch.setattr(copying, "BLOCK", 3)
    (tmp_path / "cut.json").write_text("[[[")
    with pytest.raises(errors.InvalidData):
        pfa_core.pull_files(fresh.db, fresh.principal(), [path, str(tmp_path / "cut.json")])
    assert ([*indexes(fresh)], fresh.mirror()) == (KEY, {})
    assert is_consistent(fresh)
    fresh.pull(RECORDS)
    assert is_consistent(fresh)


@pytest.mark.slow
@citus.of_one_machine
@pytest.mark.parametrize("behind", ["records", *long(["indexes"])])
def test_a_session_that_is_ended_leaves_neither_records_nor_indexes(fresh, monkeypatch, behind):
    step = "index" if behind == "indexes" else "_copy_new" if fresh.db is fresh.owner else "_write"
    done = getattr(filling, step)

    def ended(conn: psycopg.Connection, *rest: Any) -> Any:
        result = done(conn, *rest)
        with psycopg.connect(fresh.url) as other:
            other.execute("SELECT pg_terminate_backend(%s::int, 10000)", [conn.info.backend_pid])
        return result

    monkeypatch.setattr(copying, "BLOCK", 3)
    with monkeypatch.context() as patch:
        patch.setattr(filling, step, ended)
        with pytest.raises(errors.PfaError):
            fresh.pull(RECORDS)
    assert ([*indexes(fresh)], fresh.mirror()) == (KEY, {})
    fresh.pull(RECORDS)
    assert (len(indexes(fresh)) > 10, len(fresh.mirror())) == (True, 7)


@citus.of_one_machine
def test_the_first_pull_holds_no_reader_up_and_another_one_waits(fresh):
    other = a_world(fresh.url, organization="TWO")
    with psycopg.connect(fresh.url) as first, psycopg.connect(fresh.url, autocommit=True) as seen:
        assert first.execute("SELECT pfa_reserve_mirror()").fetchone() == (True,)
        seen.execute("SET lock_timeout = '1s'")
        assert seen.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (0,)
        assert seen.execute("SELECT FROM pfa_mirror FOR SHARE").fetchall() == []
        waiting = threading.Thread(target=other.pull, args=[RECORDS])
        waiting.start()
        while seen.execute(WRITERS).fetchone() == (0,):
            assert waiting.is_alive()
        first.execute("SELECT pfa_index_mirror()")
        first.commit()
        waiting.join()
    assert len(other.mirror()) == 7
    assert len(indexes(fresh)) > 10
    other.close()


@citus.of_one_machine
def test_an_indexed_mirror_is_not_locked(postgres, template):
    with postgres.database(template) as url:
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT pfa_reserve_mirror()").fetchone() == (False,)
            held = "SELECT mode FROM pg_locks WHERE relation = 'pfa_mirror'::regclass"
            assert conn.execute(held).fetchall() == []
        with psycopg.connect(bound_url(url)) as conn:
            for function in ("reserve_mirror", "index_mirror"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(f"SELECT pfa_{function}()")


@citus.of_one_machine
def test_records_in_portions_are_those_of_one(fresh, monkeypatch):
    monkeypatch.setattr(copying, "BLOCK", 3)
    fresh.pull([*RECORDS, RECORDS[2]])
    assert len(fresh.mirror()) == 7
    assert is_consistent(fresh)
    again = fresh.pull(RECORDS)
    assert (again.unchanged, again.inserted, again.updated) == (7, 0, 0)
    assert fresh.rows("SELECT count(*), count(DISTINCT version) FROM pfa_digest") == [(7, 1)]


def test_items_are_made_in_their_order_and_their_error_comes_behind_them():
    def items() -> Iterator[int]:
        yield from range(5)
        raise errors.InvalidData("the sixth")

    seen: list[int] = []
    with made_ahead(items()) as made, pytest.raises(errors.InvalidData, match="the sixth"):
        seen.extend(made)
    assert seen == [*range(5)]


def test_no_item_is_made_behind_the_block():
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with made_ahead(items()) as ahead:
        assert next(ahead) == 0
    number = len(made)
    assert number <= 4
    assert not [one for one in threading.enumerate() if one.name == "pfa-ahead"]
