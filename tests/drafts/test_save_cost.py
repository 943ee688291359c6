"""What a save costs the client: calls of functions for each change, which no neighbour disturbs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pfa_core
from pfa_core.files import deltas
from tests.factories import World, a_world, record
from tests.worlds import built_once

FEW, MORE = 50, 250
IDS = [f"P-{number:03}" for number in range(FEW + MORE)]


@built_once
def world(url: str) -> World:
    return a_world(url, *map(record, IDS))


def written(path: Path, ids: list[str]) -> Path:
    """A file of deltas, one line, that no rule is about."""
    delta = {"equipment": "E-1", "manufacturer": "Rain"}
    items = [{"pfaId": pfa_id, "delta": delta} for pfa_id in ids]
    path.write_text(json.dumps({"sessionId": "rain", "modifications": items}))
    return path


def calls(work: Callable[[], object]) -> int:
    """How many functions of Python's a call calls."""
    number = 0

    def watch(_: FrameType, event: str, __: object) -> None:
        nonlocal number
        number += event == "call"

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return number


def test_a_change_of_a_file_costs_ninety_calls_at_most(world, tmp_path):
    few = written(tmp_path / "few.json", IDS[:FEW])
    more = written(tmp_path / "more.json", IDS[FEW:])

    def save(path: Path) -> None:
        file = deltas.read_delta_file(str(path))
        pfa_core.save(world.db, world.principal(), file.changes, session_id=file.session_id)

    save(written(tmp_path / "first.json", IDS[:1]))  # loads what is loaded once
    first = calls(lambda: save(few))
    assert (calls(lambda: save(more)) - first) / (MORE - FEW) <= 90


def test_a_document_of_one_line_is_parsed_once(tmp_path, monkeypatch):
    parsed: list[str] = []
    parse = deltas.loads_strict
    monkeypatch.setattr(deltas, "loads_strict", lambda text: parsed.append(text) or parse(text))
    path = written(tmp_path / "one.json", IDS[:2])
    assert len(deltas.read_delta_file(str(path)).changes) == 2
    assert parsed == [path.read_text()]
