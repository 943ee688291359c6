"""`pfa plan` and `pfa commit --plan`."""

from __future__ import annotations

import json
import stat

import pytest

from tests.cli.conftest import baseline_record, ready, write_lines
from tests.program import Pfa

__all__ = ["ready"]  # a fixture


@pytest.fixture
def drafted(ready: Pfa) -> Pfa:
    assert ready("draft", "set", "H-001", "H-002", "monthlyRate=*2", "--into", "s").code == 0
    return ready


def test_a_plan_is_written_for_its_user_alone_and_committed(drafted: Pfa) -> None:
    path = drafted.folder / "plan.json"
    ran = drafted("plan", "--session", "s", "--to", str(path))
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines()[0].startswith("2 records, 2 fields, cost effect +")
    assert ran.err.splitlines()[-1] == f"next: pfa commit --plan {path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert drafted("commit", "--plan", str(path), "-n").code == 0
    assert drafted("commit", "--plan", str(path)).code == 0
    assert drafted("draft", "list", "--state", "committed", "-o", "ids").lines == ["H-001", "H-002"]
    assert drafted("commit", "--plan", str(path)).code == 7  # they are no drafts any more


def test_the_next_command_can_be_typed_whatever_the_file_s_name(drafted: Pfa) -> None:
    path = drafted.folder / "my plan.json"
    said = drafted("plan", "--session", "s", "--to", str(path)).err
    assert said.splitlines()[-1] == f"next: pfa commit --plan '{path}'"


def test_the_json_of_a_pipe_is_a_plan_too(drafted: Pfa) -> None:
    path = drafted.folder / "plan.json"
    path.write_text(drafted("plan", "--session", "s", "-o", "json").out)
    assert drafted("commit", "--plan", str(path)).code == 0


def test_what_pems_changed_since_is_named_and_nothing_is_committed(drafted: Pfa) -> None:
    path = drafted.folder / "plan.json"
    drafted("plan", "--session", "s", "--to", str(path), "-q")
    changed = [baseline_record(2, contract="C")]
    assert (
        drafted("sync", "pull", "--from", write_lines(drafted.folder / "one.jsonl", changed)).code
        == 0
    )
    ran = drafted("commit", "--plan", str(path), "--error-format", "json")
    error = json.loads(ran.err)["error"]
    assert (ran.code, error["code"]) == (7, "VERSION_CONFLICT")
    assert [(one["pfaId"], one["message"]) for one in error["details"]] == [
        ("H-002", "PEMS changed the record")
    ]
    assert drafted("draft", "list", "-o", "ids").lines == ["H-001", "H-002"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("commit", "--plan", "nowhere.json"), 6),
        (("commit", "--plan", "/dev/null"), 9),
        (("commit", "--plan", "/dev/zero"), 9),
        (("commit", "--plan", "/"), 74),
        (("commit", "--plan", "p.json", "--session", "s"), 2),
        (("commit", "--plan", "p.json", "--partial"), 2),
        (("plan",), 2),
        (("plan", "--session", "nothing"), 6),
        (("plan", "--all", "--to", "/dev/full"), 74),
        (("plan", "--all", "--to", "-"), 2),
    ],
)
def test_refused(drafted: Pfa, words: tuple[str, ...], code: int) -> None:
    assert drafted(*words).code == code
    assert drafted("draft", "list", "-o", "ids").lines == ["H-001", "H-002"]
