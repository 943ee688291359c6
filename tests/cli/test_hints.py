"""Suggestions for mistyped names: the nearest of every closed set, whatever its case."""

from __future__ import annotations

import pytest

from pfa_core.model.suggest import nearest
from tests.cli.conftest import ready
from tests.program import Pfa

__all__ = ["ready"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["list", "--sort", "-montlyRate"], 2, "did you mean monthlyRate?"),
        (["list", "--sort", "MONTHLYRATE"], 2, "did you mean monthlyRate?"),
        (["stats", "--by", "categori"], 2, "did you mean category?"),
        (["list", "--columns", "pfaid"], 2, "did you mean pfaId?"),
        (["list", "--state", "drafts"], 2, "did you mean draft?"),
        (["log", "--action", "comit"], 2, "did you mean commit?"),
        (["conflict", "list", "--status", "resolvd"], 2, "did you mean resolved?"),
        (["list", "--category", "crane"], 0, "did you mean 'Crane'?"),
        (["diff", "mine-x"], 6, "did you mean mine?"),
        (["commit", "--session", "MINE"], 6, "did you mean mine?"),
        (["discard", "--session", "mien"], 6, "did you mean mine?"),
        (["uncommit", "--session", "mien"], 6, "did you mean mine?"),
        (["show", "h-001"], 6, "did you mean H-001?"),
        (["log", "h-001"], 6, "did you mean H-001?"),
        (["commit", "--id", "h-001"], 6, "did you mean H-001?"),
        (["show", "H-1"], 6, "did you mean H-001?"),
        (["show", "h-00001"], 6, "did you mean H-001?"),
        (["commit", "--id", "H-1"], 6, "did you mean H-001?"),
        (["list", "--id", "H-001,H-002"], 0, "hint: type: --id H-001 --id H-002\n"),
        (["discard", "H-001"], 2, "hint: type: --id H-001, or --session H-001\n"),
        (["commit", "H-001", "H-002"], 2, "hint: type: --id H-001 --id H-002, or --session H-001"),
        (["draft", "shift", "7", "H-001"], 2, "hint: type: --id H-001, or --session H-001\n"),
        (["fields", "monthlyRate"], 2, "hint: type: pfa explain monthlyRate\n"),
        (["version", "H-001"], 2, "hint: type: pfa version --help\n"),
        (["help", "set"], 2, "hint: type: pfa help draft set\n"),
        (["set"], 2, "hint: type: pfa draft set\n"),
        (["help", "lits"], 2, "hint: type: pfa help list\n"),
        (["help", "xyzzy"], 2, "hint: type: pfa --help\n"),
        (["draft", "set", "H-001", "montlyRate=1"], 9, "did you mean monthlyRate?"),
        (["draft", "shfit"], 2, "Did you mean 'shift'?"),
        (["lits"], 2, "type: pfa list"),
        (["list", "--catgory", "Crane"], 2, "--category"),
        (["list", "--org", "HLONG"], 6, "did you mean HOLNG?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_nearest_of_a_closed_set_is_named(
    ready: Pfa, words: list[str], code: int, says: str
) -> None:
    assert ready("draft", "set", "H-001", "model=X", "--into", "mine").code == 0
    ran = ready(*words)
    assert (ran.code, says in ran.err) == (code, True), ran.err


def test_an_organization_is_never_proposed_where_a_known_one_is_meant(ready: Pfa) -> None:
    assert "pfa init" not in ready("list", "--org", "HLONG").err
    assert "pfa init --org ELSEWHERE" in ready("list", "--org", "ELSEWHERE").err


def test_what_was_typed_is_not_suggested(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "model=X", "--into", "mine").code == 0
    assert "did you mean" not in ready("uncommit", "--session", "mine").err


def test_a_word_that_only_begins_alike_is_not_meant(ready: Pfa) -> None:
    assert "conflict" not in ready("config").err
    assert "hint: columns: pfaId" in ready("list", "--columns", "xyz").err


def test_the_nearest_is_found_whatever_the_case() -> None:
    assert nearest("CRANE", ["Loader", "Crane"]) == "Crane"
    assert nearest("zzz", ["Loader", "Crane"]) == ""


def test_a_record_that_differs_in_more_than_zeros_is_not_meant(ready: Pfa) -> None:
    for other in ("H-10", "H-", "X-1", "H-1x"):
        assert "did you mean" not in ready("show", other).err, other
