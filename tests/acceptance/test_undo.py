"""Operations on the sample project taken back, before they are in PEMS and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from getpass import getuser
from pathlib import Path

import pytest

import pfa_core
from pfa_core.pems.sandbox.server import Sandbox
from tests.acceptance.conftest import Record
from tests.acceptance.test_everyday import cents, cost
from tests.factories import World, a_world
from tests.forms import LONG
from tests.life_cycle.undone import state
from tests.program import Pfa
from tests.server import Server, bound_url

CRANES = ("--category", "Crane", "--source", "Rental", "--no-actualized")


@pytest.fixture
def stage(
    postgres: Server,
    pulled: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[tuple[Pfa, World]]:
    """The program on the sample project, and its database."""
    with postgres.database(pulled) as url:
        monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
        world = a_world(url, organization="HOLNG")
        pfa_core.grant(world.db, world.principal(), getuser(), "admin")
        program = Pfa(url, tmp_path, capsys)
        assert program("init", "--org", "HOLNG").code == 0
        yield program, world
        world.close()


@LONG
def test_a_day_of_operations_is_taken_back_step_by_step(stage: tuple[Pfa, World]) -> None:
    pfa, world = stage
    day = [
        ("draft", "set", "--source", "Rental", "--no-actualized", "monthlyRate=+5%", "--into", "rates",
         "--skip-missing"),
        ("draft", "shift", "14", *CRANES, "--into", "cranes", "--move"),
        ("draft", "unset", "monthlyRate", *CRANES),
        ("discard", "--session", "rates"),
        ("restore", "--session", "rates"),
        ("commit", "--session", "cranes"),
        ("uncommit", "--session", "cranes"),
    ]  # fmt: skip
    before = []
    for words in day:
        before.append(state(world))
        ran = pfa(*words, "-q")
        assert ran.code == 0, ran.err
    listed = pfa("undo", "--list", "-o", "json").json["data"]
    assert [one["kind"] for one in reversed(listed)] == [
        "save", "save", "unset", "discard", "restore", "commit", "uncommit"
    ]  # fmt: skip
    assert max(one["records"] for one in listed) > 5_000
    after = state(world)
    for expected in reversed(before):
        ran = pfa("undo", "-q")
        assert ran.code == 0, ran.err
        assert state(world) == expected
    for _ in day:
        assert pfa("undo", "--redo", "-q").code == 0
    assert state(world) == after
    assert pfa("db", "verify").code == 0
    assert pfa("log", "verify").code == 0


@pytest.mark.long
def test_a_pushed_session_is_reverted_but_for_what_was_changed_since(
    stage: tuple[Pfa, World], records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    pfa, _ = stage
    cranes = {
        one["pfaId"]: one
        for one in records
        if (one["category"], one["source"], one["isActualized"]) == ("Crane", "Rental", False)
        and one["monthlyRate"]
    }
    assert len(cranes) > 100
    theirs = dict.fromkeys(sorted(cranes)[:7], Decimal("123.45"))
    owned = [{**one, "organization": "HOLNG"} for one in records]
    with Sandbox(organization="HOLNG", records=owned) as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        held = {one.pfa_id: dict(one.data) for one in pems.records}
        words = ("draft", "set", *CRANES, "monthlyRate=+10%", "--round", "2", "--skip-missing")
        assert pfa(*words, "--into", "up", "-q").code == 0
        assert pfa("commit", "--session", "up", "-q").code == 0
        assert pfa("sync", "push", "-q").code == 0
        sent = {one.pfa_id: one.data["monthlyRate"] for one in pems.records}
        assert sum(sent[one] != held[one]["monthlyRate"] for one in cranes) == len(cranes)
        for pfa_id, rate in theirs.items():
            pems.change(pfa_id, monthlyRate=rate)
        assert pfa("sync", "pull", "-q").code == 0
        assert pfa("undo", "-q").code == 7

        left = cranes.keys() - theirs.keys()
        tried = pfa("revert", "--session", "up", "-n", "-o", "json")
        assert tried.code == 3
        preview = tried.json["preview"]
        assert preview["records"] == len(left)
        before = sum(cost({**cranes[one], "monthlyRate": sent[one]}) for one in left)
        assert preview["forecastBefore"] == cents(before)
        assert preview["forecastAfter"] == cents(sum(cost(cranes[one]) for one in left))

        done = pfa("revert", "--session", "up", "-o", "json")
        assert (done.code, done.json["sessionId"]) == (3, "revert-up")
        found = {one["pfaId"]: (one["sent"], one["pems"]) for one in done.json["changedSince"]}
        assert found == {one: (sent[one], rate) for one, rate in theirs.items()}
        assert {one["pfaId"] for one in done.json["saved"]} == left

        assert pfa("commit", "--session", "revert-up", "-q").code == 0
        assert pfa("sync", "push", "-q").code == 0
        now = {one.pfa_id: dict(one.data) for one in pems.records}
        for pfa_id, rate in theirs.items():
            held[pfa_id]["monthlyRate"] = rate
        differing = {
            pfa_id for pfa_id in held
            if {**now[pfa_id], "pemsVersion": 0} != {**held[pfa_id], "pemsVersion": 0}
        }  # fmt: skip
        assert differing == set()
