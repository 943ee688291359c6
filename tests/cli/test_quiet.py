"""`--quiet`: no byte on either stream when all is well, but for what was asked for."""

from __future__ import annotations

import json

import pytest

from pfa_core.pems.sandbox.server import Sandbox
from tests.cli.conftest import baseline_record, write_lines
from tests.cli.test_sync import a_pems, pulled, pulled_before
from tests.program import Pfa

__all__ = ["pulled", "pulled_before"]


@pytest.fixture
def pems(monkeypatch: pytest.MonkeyPatch):
    with a_pems() as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        yield pems


def test_a_day_of_quiet_commands_says_nothing(pfa: Pfa, pems: Sandbox) -> None:
    file = write_lines(pfa.folder / "m.jsonl", [baseline_record(number) for number in range(1, 7)])
    delta = pfa.folder / "delta.json"
    delta.write_text(json.dumps([{"pfaId": "H-002", "delta": {"model": "B"}}]))
    for line in (
        "init --org HOLNG",
        f"sync pull --from {file}",
        "sync pull",
        "sync pull --incremental --if-locked skip",
        "draft set H-001 model=New --into s",
        f"draft save {delta} --session s",
        "draft shift 14 --id H-003 --no-actualized --into s",
        "draft unset model --id H-002",
        "commit --session s",
        "uncommit --session s",
        "discard --session s",
        "restore --session s",
        "commit --session s",
        "sync push --if-locked skip --deadline 8m",
        "sync push",
        "sync retry -n",
        "user grant bob --role editor",
        "user revoke bob",
        "org set --currency EUR",
        "db verify",
    ):
        ran = pfa(*line.split(), "--quiet")
        assert (ran.code, len(ran.out) + len(ran.err)) == (0, 0), (line, ran)


@pytest.mark.variants(4)
@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize(
    "words",
    [
        ["list", "-o", "ids"],
        ["draft", "set", "H-001", "model=New", "-o", "json"],
        ["draft", "set", "H-001", "model=New", "-n"],
        ["auth", "issue", "--user", "ann"],
        ["status"],
    ],
    ids=" ".join,
)
def test_what_was_asked_for_is_written(pulled: Pfa, words: list[str], before: bool) -> None:
    assert pulled("user", "grant", "ann", "--role", "editor", "-q").code == 0
    ran = pulled("-q", *words) if before else pulled(*words, "-q")
    assert (ran.code, bool(ran.out), ran.err) == (0, True, "")


def test_what_fails_is_said(pulled: Pfa) -> None:
    ran = pulled("draft", "set", "H-001", "modl=New", "-q")
    assert (ran.code, ran.out) == (9, "")
    assert "did you mean model?" in ran.err
    ran = pulled("sync", "pull", "--from", "/nowhere/x.jsonl", "-q")
    assert (ran.code, ran.out) == (6, "")
    assert "error: " in ran.err
