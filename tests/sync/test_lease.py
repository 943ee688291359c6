"""The lease: one holder at a time, renewed, released, expired."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pfa_core.authorization import reauthorize
from pfa_core.errors import DatabaseUnavailable
from pfa_core.model.audit import Direction
from pfa_core.model.rights import Operation
from pfa_core.store.database import Database
from pfa_core.sync.lease import Lease, Transact, heartbeat
from tests.factories import World, a_world
from tests.worlds import built_once

FIRST, SECOND = (f"018f0000-0000-7000-8000-00000000000{number}" for number in (1, 2))


@built_once
def world(url: str) -> World:
    return a_world(url, users={"ann": "admin"})


def a_lease(owner: str, seconds: float = 30) -> Lease:
    return Lease(
        organization_id="ORG",
        direction=Direction.PUSH,
        owner_id=owner,
        user_id="ann",
        lifetime=timedelta(seconds=seconds),
    )


def transacted(world: World, db: Database | None = None) -> Transact:
    """The transactions of a push by ann."""

    def transact(work: Any, /) -> Any:
        def authorized(conn: Any) -> Any:
            reauthorize(conn, world.principal(), Operation.PUSH_CHANGES)
            return work(conn)

        return (db or world.db).transact(authorized)

    return transact


def test_a_lease_has_one_holder_until_it_is_released(world: World):
    transact = transacted(world)
    first, second = a_lease(FIRST), a_lease(SECOND)
    assert transact(first.take) is None
    holder = transact(second.take)
    assert holder is not None
    assert (holder.owner_id, holder.owner) == (FIRST, "ann")
    assert "another push of ORG is running: ann on" in second.held_by(holder).message
    first.release(transact)
    assert transact(second.take) is None


def test_a_lease_that_was_waited_for_has_its_whole_lifetime_left(world: World):
    """Its row may be locked by a session of a client that is gone, until the server ends that."""
    first, second = a_lease(FIRST, 1), a_lease(SECOND, 1)
    taken = threading.Event()

    def hold(conn: Any) -> None:
        first.take(conn)
        first.release(lambda work: work(conn))
        taken.set()
        time.sleep(1.2)

    with world.db.beside() as other:
        holder = threading.Thread(target=lambda: transacted(world, other)(hold))
        holder.start()
        assert taken.wait(5)
        assert transacted(world)(second.take) is None
        assert not second.lost
        rows = world.rows("SELECT expires_at > clock_timestamp() + interval '0.5 s' FROM pfa_lease")
        holder.join()
    assert rows == [(True,)]


def test_a_lease_that_another_owner_took_over_is_lost(world: World):
    first, second = a_lease(FIRST), a_lease(SECOND)
    transacted(world)(first.take)
    assert (first.renew(transacted(world)), first.lost) == (True, False)
    world.execute("UPDATE pfa_lease SET expires_at = now() - interval '1 second'")
    assert transacted(world)(second.take) is None
    assert (first.renew(transacted(world)), first.lost, second.lost) == (False, True, False)
    first.release(transacted(world))
    assert world.rows("SELECT owner_id::text FROM pfa_lease") == [(SECOND,)]


def test_a_lease_that_is_not_renewed_is_lost_after_its_lifetime(world: World):
    now = 100.0
    lease = replace(a_lease(FIRST, 30), clock=lambda: now)
    transacted(world)(lease.take)
    now += 30
    assert not lease.lost
    now += 0.5
    assert lease.lost


def test_the_heartbeat_renews_and_survives_a_database_that_is_away_for_a_moment(world: World):
    lease = a_lease(FIRST, 0.6)
    transacted(world)(lease.take)
    calls: list[bool] = []

    def transact_on(db: Any) -> Any:
        def transact(work: Any, /) -> Any:
            calls.append(len(calls) != 1)
            if not calls[-1]:
                raise DatabaseUnavailable("away")
            return transacted(world, db)(work)

        return transact

    with heartbeat(lease, world.db, transact_on):
        time.sleep(1.0)
        assert not lease.lost
    assert calls[:3] == [True, False, True]
