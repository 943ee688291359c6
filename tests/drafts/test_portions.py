"""Writes of more drafts than one portion: the result is that of one portion, and a fault takes all back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, Relative, Selection, errors
from pfa_core.drafts import save_portions, withdraw
from pfa_core.drafts.save import SaveResult
from pfa_core.drafts.unset import UnsetResult
from pfa_core.store import portions
from tests.factories import World, a_world, draft, record
from tests.life_cycle.views import everything, stored
from tests.worlds import built_once

IDS = [f"P-{number}" for number in range(1, 10)]
EVERY = Filters()
Call = Callable[[World, bool], Any]


@built_once
def world(url: str) -> World:
    """Nine records, P-5 on site; ann has drafts of two sessions, and of P-9 the values it has."""
    actual = {"isActualized": True, "actualStart": "2025-12-01"}
    world = a_world(url, *(record(one, **(actual if one == "P-5" else {})) for one in IDS))
    for pfa_id, session in (("P-2", "a"), ("P-7", "b"), ("P-4", "b")):
        draft(world.db, world.principal(), pfa_id, session=session, model="A", monthlyRate=1200)
    return world


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def begin() -> None:
        monkeypatch.setattr(save_portions, "TOGETHER", 2)
        monkeypatch.setattr(withdraw, "_TOGETHER", 2)
        monkeypatch.setattr(portions, "PORTION", 2)

    return begin


def save(world: World, changes: list[Change], *, dry: bool, **options: Any) -> SaveResult:
    return pfa_core.save(world.db, world.principal(), changes, dry_run=dry, **options)


def some(order: list[str], **delta: Any) -> list[Change]:
    return [Change(one, delta, position=f"line {n}") for n, one in enumerate(order, 1)]


MIXED = ["P-8", "P-1", "P-4", "P-9", "P-2", "P-7", "P-3"]
WRONG = [
    Change("P-8", {"monthlyRate": -1}),
    Change("P-1", {"model": "B"}),
    Change("nope", {"model": "B"}),
    Change("P-3", {"model": "B"}),
    Change("P-3", {"model": "C"}),
    Change("P-4", {"nofield": 1}),
    Change("P-2", {"forecastEnd": "2020-01-01"}),
    Change("P\0", {"model": "B"}),
]

CALLS: dict[str, Call] = {
    "save": lambda w, dry: save(w, some(MIXED, model="B"), dry=dry, session_id="b", move=True),
    "save what is there": lambda w, dry: save(w, some(["P-2", "P-4", "P-1"], model="A"), dry=dry),
    "save and empty": lambda w, dry: save(
        w, some(["P-4", "P-2", "P-7"], monthlyRate=1000), dry=dry, replace=True
    ),
    "save partly": lambda w, dry: save(w, WRONG, dry=dry, partial=True),
    "save relative": lambda w, dry: save(
        w,
        [Change(one, {"monthlyRate": {"add": "5%"}, "purchasePrice": {"add": 1}}) for one in MIXED],
        dry=dry,
        skip_missing=True,
    ),
    "set relative": lambda w, dry: pfa_core.set_fields(
        w.db,
        w.principal(),
        EVERY,
        {"monthlyRate": Relative.plus(-200), "forecastEnd": Relative.later("1m")},
        dry_run=dry,
    ),
    "set": lambda w, dry: pfa_core.set_fields(
        w.db, w.principal(), EVERY, {"model": "Z"}, dry_run=dry
    ),
    "shift partly": lambda w, dry: pfa_core.shift(
        w.db, w.principal(), EVERY, 7, partial=True, dry_run=dry
    ),
    "unset": lambda w, dry: pfa_core.unset_fields(
        w.db, w.principal(), EVERY, ["model"], dry_run=dry
    ),
    "unset all": lambda w, dry: pfa_core.unset_fields(
        w.db, w.principal(), EVERY, ["model", "monthlyRate"], dry_run=dry
    ),
}


def verified(world: World) -> None:
    """Overlays agree with modifications, the trail with its chain."""
    assert pfa_core.verify_database(world.db, world.principal()).clean
    assert pfa_core.verify_log(world.db, world.principal()).whole


def shown(result: Any) -> Any:
    """A result without ids that are fresh each time."""
    if isinstance(result, SaveResult):
        saved = [(one.pfa_id, one.version, one.status) for one in result.saved]
        sizes = list(result.sessions.values())
        return saved, result.errors, sizes, result.unchanged, result.emptied, result.skipped
    if isinstance(result, UnsetResult):
        return replace(result, preview=None)
    return result


@pytest.mark.variants(3)
@pytest.mark.parametrize("name", CALLS)
def test_portions_give_the_result_of_one(
    world: World, split: Callable[[], None], name: str
) -> None:
    whole = shown(CALLS[name](world, True))
    untouched = everything(world)
    split()
    assert shown(CALLS[name](world, True)) == whole
    assert everything(world) == untouched
    assert shown(CALLS[name](world, False)) == whole
    verified(world)


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("save")])
def test_so_do_portions_that_end_where_their_texts_are_long(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = shown(CALLS[name](world, True))
    for module in ("save", "save_portions"):
        monkeypatch.setattr(f"pfa_core.drafts.{module}.CHARACTERS", 1)
    taken: list[int] = []
    take = save_portions.Saving.take
    monkeypatch.setattr(
        save_portions.Saving,
        "take",
        lambda saving, changes, *rest: (taken.append(len(changes)), take(saving, changes, *rest)),
    )
    assert shown(CALLS[name](world, False)) == whole
    assert len(taken) > 1 or name in (  # numbers have no length
        "save and empty",
        "save relative",
    )
    verified(world)


def test_a_fault_in_the_last_portion_takes_all_back_and_all_faults_are_named(
    world: World, split: Callable[[], None]
) -> None:
    before = everything(world)
    with pytest.raises(errors.InvalidData) as whole:
        save(world, WRONG, dry=False)
    split()
    with pytest.raises(errors.InvalidData) as found:
        save(world, WRONG, dry=False)
    assert found.value.details == whole.value.details
    assert found.value.message == whole.value.message
    assert len(found.value.details) == 6
    last = [*some(IDS[:8], model="B"), Change("P-9", {"monthlyRate": -1})]
    with pytest.raises(errors.InvalidData, match="1 problem, nothing was saved"):
        save(world, last, dry=False, move=True)
    assert everything(world) == before


def test_a_field_that_is_refused_in_the_last_portion_takes_all_back(
    world: World, split: Callable[[], None]
) -> None:
    world.add_user("carl", "editor")
    split()
    changes = [*some(IDS[:8], model="B"), Change("P-9", {"actualStart": "2026-01-01"})]
    before = everything(world)["pfa_modification"]
    with pytest.raises(errors.PermissionDenied, match="edit_actuals"):
        pfa_core.save(world.db, world.principal("carl"), changes)
    assert everything(world)["pfa_modification"] == before


@pytest.mark.slow
def test_what_was_committed_and_discarded_in_portions_comes_back_whole(
    world: World, split: Callable[[], None]
) -> None:
    split()
    ann = world.principal()
    save(world, some(IDS, category="Dozer"), dry=False)
    before = {row[0]: row[4] for row in stored(world)}
    assert len(before) == 9
    pfa_core.commit(world.db, ann, Selection(everything=True))
    undone = pfa_core.uncommit(world.db, ann, Selection(everything=True))
    assert [one.pfa_id for one in undone.uncommitted] == IDS
    pfa_core.discard(world.db, ann, Selection(everything=True))
    assert stored(world) == []
    draft(world.db, ann, "P-6", model="other")
    with pytest.raises(errors.VersionConflict, match="nothing was restored") as refused:
        pfa_core.restore(world.db, ann, ids=IDS)
    assert [fault.pfa_id for fault in refused.value.details] == ["P-6"]
    part = pfa_core.restore(world.db, ann, ids=IDS, partial=True)
    assert [one.pfa_id for one in part.restored] == [one for one in IDS if one != "P-6"]
    after = {row[0]: row[4] for row in stored(world)}
    assert after == {**before, "P-6": {"model": "other"}}
    verified(world)
