"""The frame of operations: authorization first, one transaction, reruns, dry runs, public signatures."""

from __future__ import annotations

import inspect
import threading
from datetime import UTC, datetime

import psycopg.errors
import pytest

import pfa_core as pfa
from pfa_core.errors import Forbidden, InvalidRequest, PermissionDenied
from pfa_core.model.audit import Action
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot, writes
from pfa_core.store import members
from pfa_core.store.audit import Entry
from pfa_core.store.errors import TryAgain
from tests.factories import World, a_principal, a_world

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def world(database_url: str) -> World:
    return a_world(database_url, users={"ann": "admin", "vera": "viewer"})


@reads(Operation.LIST_RUNS)
def who(tx: Tx, *, greeting: str = "hello") -> str:
    """Greet the caller."""
    return f"{greeting} {tx.user_id} of {tx.organization_id}, {tx.member.role}"


@writes(Operation.SAVE)
def rename(tx: Tx, name: str, *, dry_run: bool = False) -> str:
    """Leave an entry of that reason."""
    tx.audit(Action.SAVE, [Entry(tx.new_id(), reason=name)], at=NOW)
    return name


def reasons(world: World) -> list[str | None]:
    return [entry.reason for entry in pfa.list_log(world.db, world.principal("ann"))]


def test_a_read_gets_the_caller_as_the_transaction_found_them(world: World) -> None:
    assert who(world.db, world.principal("ann")) == "hello ann of ORG, admin"
    assert who(world.db, world.principal("ann"), greeting="hi") == "hi ann of ORG, admin"


def test_a_caller_without_membership_or_right_is_refused_before_the_body_runs(
    world: World,
) -> None:
    with pytest.raises(Forbidden):
        who(world.db, a_principal("stranger"))
    with pytest.raises(PermissionDenied):
        rename(world.db, world.principal("vera"), "x")
    assert "x" not in reasons(world)


def test_a_check_refuses_arguments_without_a_connection() -> None:
    def check(*, limit: int) -> None:
        raise InvalidRequest(f"invalid limit: {limit}")

    @reads(Operation.LIST_RUNS, check=check)
    def body(tx: Tx, *, limit: int) -> int:
        return limit

    nowhere = pfa.Database("host=/nowhere")
    with pytest.raises(InvalidRequest, match="invalid limit: 7"):
        body(
            nowhere,
            pfa.Principal(user_id="ann", organization_id="ORG", rights=frozenset(), token_id=""),
            limit=7,
        )


def test_a_write_is_stored_and_a_dry_run_is_rolled_back(world: World) -> None:
    assert rename(world.db, world.principal("ann"), "kept") == "kept"
    assert rename(world.db, world.principal("ann"), "lost", dry_run=True) == "lost"
    # Whatever is true to Python: a flag that was meant must never store.
    assert rename(world.db, world.principal("ann"), "lost", dry_run=1) == "lost"
    assert "kept" in reasons(world)
    assert "lost" not in reasons(world)


def test_a_write_that_lost_against_another_runs_again_from_its_authorization(world: World) -> None:
    seen: list[str] = []

    @writes(Operation.SAVE)
    def body(tx: Tx) -> int:
        seen.append(tx.member.role)
        tx.audit(Action.SAVE, [Entry(tx.new_id(), reason=f"try {len(seen)}")], at=NOW)
        if len(seen) == 1:
            members.put_member(
                tx.conn,
                "ORG",
                "bob",
                role="editor",
                rights=[],
                granted_by="ann",
                at=NOW,
            )
            raise psycopg.errors.SerializationFailure
        return len(seen)

    assert body(world.db, world.principal("ann")) == 2
    assert seen == ["admin", "admin"]
    assert "try 2" in reasons(world)
    assert "try 1" not in reasons(world)


def test_a_write_gives_up_after_a_bounded_number_of_tries(world: World) -> None:
    tries: list[int] = []

    @writes(Operation.SAVE)
    def body(tx: Tx) -> None:
        tries.append(1)
        raise TryAgain("lost against another transaction")

    with pytest.raises(TryAgain):
        body(world.db, world.principal("ann"))
    assert len(tries) == 5


def test_what_is_a_persons_own_work_is_refused_to_a_service(world: World) -> None:
    service = world.add_user("service:nightly", "service", rights=["read", "sync"])

    @writes(Operation.RETRY, own=True)
    def of_a_person(tx: Tx) -> str:
        return tx.user_id

    @writes(Operation.RETRY)
    def of_anyone(tx: Tx) -> str:
        return tx.user_id

    assert of_a_person(world.db, world.principal("ann")) == "ann"
    assert of_anyone(world.db, service) == "service:nightly"
    with pytest.raises(PermissionDenied, match="has no drafts"):
        of_a_person(world.db, service)


def test_a_persons_own_transactions_wait_for_each_other(world: World) -> None:
    """The second one would read what the first has not committed yet."""
    ann, inside, ended = world.principal("ann"), threading.Event(), threading.Event()
    order: list[str] = []

    @writes(Operation.SAVE, own=True)
    def body(tx: Tx, name: str) -> None:
        inside.set()
        if name == "first":
            ended.wait(0.3)
        order.append(name)

    first = threading.Thread(target=body, args=(world.db.beside(), ann, "first"))
    first.start()
    inside.wait(5)
    body(world.db, ann, "second")
    first.join()
    assert order == ["first", "second"]


def test_a_snapshot_is_authorized_too(world: World) -> None:
    with snapshot(world.db, world.principal("ann"), Operation.STREAM_RECORDS) as tx:
        assert tx.member.user_id == "ann"
    with (
        pytest.raises(Forbidden),
        snapshot(world.db, a_principal("stranger"), Operation.STREAM_RECORDS),
    ):
        pass


def test_the_public_signature_takes_a_database_and_a_principal() -> None:
    assert str(inspect.signature(who)) == (
        "(db: 'Database', principal: 'Principal', *, greeting: 'str' = 'hello') -> 'str'"
    )
    assert who.__doc__ == "Greet the caller."
