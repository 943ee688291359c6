"""A corpus of small files as they arrive, and the outcome of each (`tests/data/inputs/outcomes.toml`)."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.forms import LONG
from tests.program import Pfa, a_stage

INPUTS = Path(__file__).parents[1] / "data" / "inputs"
OUTCOMES = tomllib.loads((INPUTS / "outcomes.toml").read_text(), parse_float=Decimal)
# Beside inputs: the table, the state before and the field map that some are read with.
BESIDE = {"outcomes.toml", "base.jsonl", "weekly.toml"}
NO_RATES = {f"RIO-000{number}": {"monthlyRate": None} for number in (1, 2, 4, 5, 6)}
EDIT = {
    "pull": {"RIO-0002": {"monthlyRate": 1300, "pemsVersion": "2026-11-24T08:00:00Z"}},
    "save": {"RIO-0002": {"monthlyRate": 1300}},
}

Outcome = dict[str, Any]


@a_stage
def six_of_rio(pfa: Pfa) -> None:
    """The organization RIO with six records."""
    assert pfa("init", "--org", "RIO").code == 0
    assert pfa("sync", "pull", "--from", str(INPUTS / "base.jsonl")).code == 0


def words(outcome: Outcome) -> list[str]:
    given = outcome["file"]
    file, *options = given if isinstance(given, list) else [given]
    return [str(INPUTS / word) if (INPUTS / word).is_file() else word for word in (file, *options)]


def each(command: str) -> pytest.MarkDecorator:
    """Each file; those of a format that end like one before them in the long form."""
    known: set[str] = set()
    cases = []
    for outcome in OUTCOMES[command]:
        file, *options = (Path(word).name for word in words(outcome))
        end = str((file.split(".")[1:], *(outcome.get(key) for key in ("exit", "changes"))))
        marks = [LONG] if end in known else []
        known.add(end)
        cases.append(pytest.param(outcome, id=" ".join((file, *options)), marks=marks))
    return pytest.mark.parametrize("outcome", cases)


def expected(outcome: Outcome, command: str) -> dict[str, Any]:
    changes = outcome.get("changes", {})
    if isinstance(changes, str):
        return EDIT[command] if changes == "edit" else NO_RATES
    return {
        pfa_id: {name: None if value == "<null>" else value for name, value in fields.items()}
        for pfa_id, fields in changes.items()
    }


def mirror(pfa: Pfa) -> dict[str, dict[str, Any]]:
    shown = pfa("list", "--baseline", "-o", "json", "--limit", "100").json
    return {item["pfaId"]: item["data"] for item in shown["data"]}


def drafts(pfa: Pfa) -> dict[str, dict[str, Any]]:
    return {
        item["pfaId"]: item["delta"] for item in pfa("draft", "list", "-o", "json").json["data"]
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pfa_id in sorted(before.keys() | after.keys()):
        old, new = before.get(pfa_id, {}), after.get(pfa_id, {})
        changed = {
            name: new.get(name)
            for name in old.keys() | new.keys()
            if old.get(name) != new.get(name)
        }
        if changed:
            found[pfa_id] = changed
    return found


@pytest.mark.variants(8)
@each("pull")
def test_a_pulled_file_changes_the_mirror_as_its_line_says(
    six_of_rio: Pfa, outcome: Outcome
) -> None:
    before = mirror(six_of_rio)
    ran = six_of_rio("sync", "pull", "--from", *words(outcome))
    assert ran.code == outcome.get("exit", 0), ran.err
    assert [word for word in outcome.get("says", []) if word not in ran.out + ran.err] == []
    assert differences(before, mirror(six_of_rio)) == expected(outcome, "pull")


@pytest.mark.variants(6)
@each("save")
def test_a_saved_file_drafts_what_its_line_says(six_of_rio: Pfa, outcome: Outcome) -> None:
    ran = six_of_rio("draft", "save", *words(outcome))
    assert ran.code == outcome.get("exit", 0), ran.err
    assert [word for word in outcome.get("says", []) if word not in ran.out + ran.err] == []
    assert drafts(six_of_rio) == expected(outcome, "save")


def test_every_file_of_the_corpus_has_an_outcome() -> None:
    named = {Path(words(outcome)[0]).name for kind in OUTCOMES.values() for outcome in kind}
    assert {path.name for path in INPUTS.iterdir()} - BESIDE == named
    assert len(named) >= 60
