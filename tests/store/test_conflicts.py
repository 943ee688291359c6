"""Statements on conflicts: one open per modification, every change guarded by what it expects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection

from pfa_core import errors
from pfa_core.model.delta import FieldConflict
from pfa_core.model.ids import new_id
from pfa_core.store import conflicts
from pfa_core.store.conflicts import ConflictRow, NewConflict, Recommitment, Resolution
from tests.factories import World, a_world, commit, draft, record
from tests.worlds import built_once

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
FIELDS = [{"field": "model", "base": "LTM 1030", "mine": "A", "pems": "B"}]


@built_once
def world(url: str) -> World:
    """A committed change of ann's that is in conflict, without a conflict row yet."""
    world = a_world(url, record("P-1"), users={"ann": "admin", "bob": "editor"})
    draft(world.db, world.principal(), model="A")
    commit(world.db, world.principal())
    world.execute("UPDATE pfa_modification SET state = 'conflict'")
    return world


def run(world: World, work: Callable[[Connection[Any]], Any]) -> Any:
    return world.db.transact(work)


def modification(world: World) -> str:
    return world.rows("SELECT modification_id::text FROM pfa_modification")[0][0]


def opened(world: World, fields: list[dict[str, Any]] | None = None, at: datetime = AT) -> str:
    row = NewConflict(
        conflict_id=str(new_id()),
        modification_id=modification(world),
        pfa_id="P-1",
        user_id="ann",
        fields=FIELDS if fields is None else fields,
    )
    run(world, lambda conn: conflicts.insert(conn, "ORG", [row], at))
    return row.conflict_id


def found(world: World, user: str = "ann", **of: Any) -> list[ConflictRow]:
    return run(world, lambda conn: conflicts.find(conn, world.principal(user), **of))


def resolve(world: World, conflict_id: str, user: str = "ann") -> None:
    how = [Resolution(conflict_id, "mine", {"model": {"take": "mine", "value": "A"}})]
    run(
        world,
        lambda conn: conflicts.resolve(conn, world.principal(user), how, resolved_by="ann", at=AT),
    )


def left(world: World, version: int = 2, **delta: Any) -> Recommitment:
    return Recommitment(
        modification_id=modification(world),
        version=version,
        delta=delta,
        base={"model": "B"},
        base_version=7,
    )


def test_a_new_conflict_is_found_with_its_modification(world: World) -> None:
    conflict_id = opened(world)
    (row,) = found(world)
    assert (row.conflict_id, row.status, row.created_at) == (conflict_id, "unresolved", AT)
    assert (row.state, row.session_id, row.delta) == ("conflict", "s", {"model": "A"})
    assert row.disputed == (FieldConflict("model", "LTM 1030", "A", "B"),)
    assert found(world, names=[conflict_id]) == found(world, names=["P-1"]) == [row]
    assert found(world, names=["P-2"]) == found(world, names=[]) == []
    assert found(world, "bob") == found(world, status="resolved") == []


def test_nothing_to_open_is_nothing_done(world: World) -> None:
    run(world, lambda conn: conflicts.insert(conn, "ORG", [], AT))
    assert found(world) == []


def test_disputed_again_the_open_conflict_has_the_new_fields(world: World) -> None:
    conflict_id = opened(world)
    opened(world, [{**FIELDS[0], "pems": "C"}], AT.replace(day=6))
    (row,) = found(world)
    assert (row.conflict_id, row.created_at, row.fields[0]["pems"]) == (conflict_id, AT, "C")


def test_a_resolved_conflict_leaves_room_for_another(world: World) -> None:
    resolve(world, opened(world))
    second = opened(world, at=AT.replace(day=6))
    assert [row.status for row in found(world)] == ["unresolved", "resolved"]
    assert [row.conflict_id for row in found(world, limit=1)] == [second]


def test_a_conflict_is_resolved_once_and_by_its_own_user_s_hand(world: World) -> None:
    conflict_id = opened(world)
    with pytest.raises(errors.VersionConflict):
        resolve(world, conflict_id, "bob")
    resolve(world, conflict_id)
    (row,) = found(world)
    assert (row.resolution, row.resolved_by, row.resolved_at) == ("mine", "ann", AT)
    assert row.settlement == {"model": {"take": "mine", "value": "A"}}
    with pytest.raises(errors.VersionConflict):
        resolve(world, conflict_id)


def test_only_open_conflicts_are_refreshed(world: World) -> None:
    conflict_id = opened(world)
    for pems in ("C", "D"):
        fields = {conflict_id: [FieldConflict("model", "LTM 1030", "A", pems)]}
        run(world, lambda conn, f=fields: conflicts.refresh(conn, world.principal(), f))
        if pems == "C":
            resolve(world, conflict_id)
    assert found(world)[0].fields[0]["pems"] == "C"


def test_what_is_left_is_committed_and_what_is_not_is_gone(world: World) -> None:
    ann, rows = world.principal(), [left(world, dor="BEO")]
    run(world, lambda conn: conflicts.settle(conn, ann, rows, AT))
    assert world.rows("SELECT state, delta, base, base_version, version FROM pfa_modification") == [
        ("committed", {"dor": "BEO"}, {"model": "B"}, 7, 3)
    ]
    world.execute("UPDATE pfa_modification SET state = 'conflict'")
    nothing = [left(world, 3)]
    run(world, lambda conn: conflicts.settle(conn, ann, nothing, AT))
    assert world.rows("SELECT state FROM pfa_modification") == []


@pytest.mark.parametrize("delta", [{}, {"dor": "BEO"}])
@pytest.mark.parametrize("wrong", ["version", "state", "user"])
def test_a_modification_that_is_not_as_expected_is_not_settled(
    world: World, delta: dict[str, Any], wrong: str
) -> None:
    if wrong == "state":
        world.execute("UPDATE pfa_modification SET state = 'committed'")
    user = world.principal("bob" if wrong == "user" else "ann")
    rows = [left(world, 1 if wrong == "version" else 2, **delta)]
    before = world.rows("SELECT xmin::text, state FROM pfa_modification")
    with pytest.raises(errors.VersionConflict):
        run(world, lambda conn: conflicts.settle(conn, user, rows, AT))
    assert world.rows("SELECT xmin::text, state FROM pfa_modification") == before
