"""How memory grows with the number of drafts: portions, not all of them, are in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, Filters, Relative, Selection
from pfa_core.drafts import listing, save_portions, withdraw
from pfa_core.files.packed import packed
from pfa_core.store import portions
from pfa_core.store.reads import merged
from tests.factories import World, a_world, record
from tests.forms import LONG
from tests.worlds import built_once

ALL = Selection(everything=True)
EVERY = Filters()
SMALL, LARGE = 200, 500
# Bytes that a record may add. Its result has an id, a modification id, a version and a status; its
# content, or that of its modification, has 4,000 and more.
MOST = 700
Step = Callable[[World, Sequence[Change]], object]

# In this order: each finds what those before it left.
STEPS: dict[str, Step] = {
    "save": lambda w, c: pfa_core.save(w.db, w.principal(), c, session_id="s"),
    "save again": lambda w, c: pfa_core.save(w.db, w.principal(), c, reason="again"),
    "stream_drafts": lambda w, _: sum(
        1 for _ in pfa_core.stream_drafts(w.db, w.principal(), EVERY)
    ),
    "stream_diff": lambda w, _: sum(1 for _ in pfa_core.stream_diff(w.db, w.principal(), EVERY)),
    "set": lambda w, _: pfa_core.set_fields(w.db, w.principal(), EVERY, {"manufacturer": "B"}),
    "set relative": lambda w, _: pfa_core.set_fields(
        w.db, w.principal(), EVERY, {"monthlyRate": Relative.percent(5)}
    ),
    "shift": lambda w, _: pfa_core.shift(w.db, w.principal(), EVERY, 3),
    "unset": lambda w, _: pfa_core.unset_fields(w.db, w.principal(), EVERY, ["manufacturer"]),
    "commit": lambda w, _: pfa_core.commit(w.db, w.principal(), ALL),
    "uncommit": lambda w, _: pfa_core.uncommit(w.db, w.principal(), ALL),
    "discard": lambda w, _: pfa_core.discard(w.db, w.principal(), ALL),
    "restore": lambda w, _: pfa_core.restore(w.db, w.principal(), session_id="s"),
    **{
        f"undo of {kind}": lambda w, _: pfa_core.undo(w.db, w.principal())
        for kind in ("restore", "discard", "uncommit", "commit", "unset", "shift")
    },
    "redo": lambda w, _: pfa_core.undo(w.db, w.principal(), redo=True),
    "undo of many": lambda w, _: [pfa_core.undo(w.db, w.principal()) for _ in range(3)],
    "list_operations": lambda w, _: pfa_core.list_operations(w.db, w.principal()),
}


@built_once
def small(url: str) -> World:
    return a_world(url, *map(a_record, range(SMALL)))


@built_once
def large(url: str) -> World:
    return a_world(url, *map(a_record, range(LARGE)))


def a_record(number: int) -> dict[str, Any]:
    return record(f"P-{number:05}", description="x" * 400)


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save_portions, "TOGETHER", 100)
    monkeypatch.setattr(withdraw, "_TOGETHER", 100)
    monkeypatch.setattr(listing, "_TOGETHER", 100)
    monkeypatch.setattr(portions, "PORTION", 100)
    monkeypatch.setattr(merged, "STREAM_BATCH", 100)


def peaks(world: World, number: int) -> dict[str, int]:
    """The largest allocations of each step over so many records, in bytes."""
    changes = [Change(f"P-{n:05}", {"model": "B", "equipment": "y" * 400}) for n in range(number)]
    found: dict[str, int] = {}
    for name, step in STEPS.items():
        tracemalloc.start()
        try:
            step(world, changes)
            found[name] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    return found


@LONG
def test_a_record_adds_its_result_and_not_its_content(
    small: World, large: World, small_portions: None
) -> None:
    few, many = peaks(small, SMALL), peaks(large, LARGE)
    grown = {name: (many[name] - few[name]) // (LARGE - SMALL) for name in STEPS}
    assert {name: found for name, found in grown.items() if found > MOST} == {}


@pytest.mark.long
def test_packed_changes_take_a_fraction_of_their_list() -> None:
    def found(number: int) -> Iterator[Change]:
        for n in range(number):
            yield Change(f"P-{n:07}", {"model": "NEW", "monthlyRate": n}, position=f"line {n}")

    sizes: list[int] = []
    for keep in (packed, list):
        tracemalloc.start()
        kept = keep(found(30_000))
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(kept) == 30_000
    assert sizes[0] * 5 < sizes[1]
