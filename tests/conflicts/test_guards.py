"""A resolution that commits more than a limit again is refused, or recorded with a reason."""

from __future__ import annotations

import pytest

import pfa_core
from pfa_core import ConflictSelection, Decision, Filters, errors
from pfa_core.conflicts.outcome import ResolveResult
from tests.conflicts.test_conflicts import disputed
from tests.factories import World, a_world, record
from tests.worlds import built_once

BOUGHT = {"source": "Purchase", "monthlyRate": None, "purchasePrice": 1000}


@built_once
def world(url: str) -> World:
    """Two prices in conflict: 1,100 over PEMS's 1,010, and 900 over its 1,020."""
    records = [record(f"P-{n}", **BOUGHT) for n in (1, 2, 3)]
    world = a_world(url, *records, users={"ann": "admin", "bob": "editor"})
    disputed(world, "P-1", mine={"purchasePrice": 1100}, pems={"purchasePrice": 1010})
    disputed(world, "P-2", mine={"purchasePrice": 900}, pems={"purchasePrice": 1020}, session="t")
    return world


def resolved(world: World, take: str, **options: object) -> ResolveResult:
    everything = ConflictSelection((), Filters(), True)
    return pfa_core.resolve_conflicts(
        world.db, world.principal(), everything, Decision(take), **options
    )


def states(world: World) -> list[tuple[str, str]]:
    return world.rows("SELECT pfa_id, state FROM pfa_modification ORDER BY 1")


def test_more_than_a_limit_stays_open_with_the_numbers(world: World) -> None:
    pfa_core.configure_organization(world.db, world.principal(), max_records=1, max_money=209)
    with pytest.raises(errors.GuardExceeded) as caught:
        resolved(world, "mine")
    assert [(one.guard, one.found, one.most) for one in caught.value.excesses] == [
        ("records", 2, 1),
        ("money", 210, 209),  # from PEMS's values of today: +90 and -120
    ]
    assert caught.value.message.endswith("; nothing was resolved")
    assert states(world) == [("P-1", "conflict"), ("P-2", "conflict")]


def test_what_is_at_the_limit_is_resolved(world: World) -> None:
    pfa_core.configure_organization(world.db, world.principal(), max_records=2, max_money=210)
    assert len(resolved(world, "mine").resolved) == 2


def test_pems_s_values_commit_nothing(world: World) -> None:
    pfa_core.configure_organization(world.db, world.principal(), max_records=0, max_money=0)
    assert len(resolved(world, "pems").resolved) == 2


def test_an_override_resolves_and_is_recorded(world: World) -> None:
    pfa_core.configure_organization(world.db, world.principal(), max_records=1)
    result = resolved(world, "mine", override="agreed with PEMS")
    assert [one.guard for one in result.overridden] == ["records"]
    assert states(world) == [("P-1", "committed"), ("P-2", "committed")]
    assert world.rows("SELECT reason FROM audit_log WHERE action = 'override'") == [
        ("agreed with PEMS",)
    ]


def test_an_admin_who_resolves_another_s_conflicts_is_judged_too(world: World) -> None:
    disputed(
        world, "P-3", mine={"purchasePrice": 1}, pems={"purchasePrice": 7}, user="bob", session="b"
    )
    pfa_core.configure_organization(world.db, world.principal(), max_money=5)
    with pytest.raises(errors.GuardExceeded):
        resolved(world, "mine", user_id="bob")
    assert len(resolved(world, "mine", user_id="bob", override="agreed").resolved) == 1
