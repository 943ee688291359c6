"""A short form of the fuzzing of every parser, and what finds deliberate faults."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pfa_core.errors import InvalidData
from tests.forms import forms
from tests.fuzz.targets import CORPUS, TARGETS, Target, pool
from tests.fuzz.trial import reason_of, trial


@forms("cases", short=150, long=4000)
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_reads_or_refuses_whatever_it_gets(name: str, cases: int) -> None:
    found = trial(TARGETS[name].take, pool(name), seed=cases, cases=cases)
    assert (found.cases, found.findings) == (cases, [])


def test_the_corpus_is_of_the_targets_and_each_has_one() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert [name for name in TARGETS if len(pool(name)) < 2] == []


@pytest.mark.long
def test_an_error_a_slow_input_a_hang_and_memory_are_found() -> None:
    def breaks(content: bytes) -> None:
        if b"{" in content:
            raise KeyError(content)

    def refuses(content: bytes) -> None:
        if b"{" in content:
            raise InvalidData("refused")

    def slow(content: bytes) -> None:
        if b"{" in content:
            end = time.process_time() + 1.2
            while time.process_time() < end:
                pass

    def hangs(content: bytes) -> None:
        while b"{" in content:
            pass

    held: list[bytes] = []
    assert trial(Target(refuses).take, [b"a"], seed=1, cases=500).findings == []
    (found,) = trial(Target(breaks).take, [b"a"], seed=1, cases=500).findings
    assert b"{" in found.content
    assert found.reason.startswith("KeyError in ")
    assert reason_of(slow, b"{") == "takes more than 1 s"
    assert reason_of(hangs, b"{") == "hangs for more than 2 s"
    # Written, since zeros need no memory before; the process may have some that is free, which is filled first.
    grows = trial(lambda content: held.append(b"x" * 200_000), [b"a"], seed=1, cases=4000)
    assert "MiB more after " in grows.findings[-1].reason


def test_a_seed_makes_the_same_inputs() -> None:
    seen: list[list[bytes]] = [[], []]
    for one in seen:
        trial(one.append, pool("where"), seed=7, cases=200)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 150


@pytest.mark.slow
def test_the_command_runs_targets_and_keeps_what_it_finds(tmp_path: Path) -> None:
    words = ["where", "cursor", "--cases", "50", "--findings", str(tmp_path / "found")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "100 cases in 2 targets, findings: 0"
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_of_the_corpus_is_read(name: str) -> None:
    """What is changed at random begins with what is taken, not with what is refused at its first byte."""
    for content in pool(name):
        if content:
            TARGETS[name].read(content)
