"""An interrupted write ends at once, stores all or nothing, and says which."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import termios
import time
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import baseline_record, ready, write_lines
from tests.faults.nursery import wait_for
from tests.forms import long
from tests.processes import started
from tests.program import Pfa

__all__ = ["ready"]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock'"
)


def unread(pipe: int) -> int:
    """Count the bytes in a pipe that its reader has not taken."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def start(*words: str) -> AbstractContextManager[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "pfa_cli", *words]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return started(argv, text=True, **pipes)


def interrupted_in_a_statement(url: str, table: str, *words: str, number: int) -> tuple[int, str]:
    """Interrupt a command while the server is at work for it; return its exit code and what it said."""
    with psycopg.connect(url) as other, psycopg.connect(url, autocommit=True) as looking:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        with start(*words) as child:
            while looking.execute(WAITING).fetchone() != (1,):
                assert child.poll() is None, child.communicate()
                time.sleep(0.02)
            child.send_signal(number)
            began = time.monotonic()
            while looking.execute(WAITING).fetchone() != (0,):
                assert time.monotonic() - began < 2
                time.sleep(0.02)
            other.rollback()
            said = child.communicate(timeout=20)[1]
            assert time.monotonic() - began < 4
    return child.returncode, said


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_pull_from_a_file_ends_at_once_and_is_stored_as_cancelled(
    ready: Pfa, number: int, code: int
) -> None:
    before = ready("list", "-o", "jsonl", "--all").out
    items = [baseline_record(n, model="NEW") for n in range(1, 7)]
    file = write_lines(ready.folder / "next.jsonl", items)
    words = ("sync", "pull", "--from", str(file))
    done = interrupted_in_a_statement(
        ready.url, "pfa_mirror_history, pfa_mirror", *words, number=number
    )
    assert done == (code, "interrupted, nothing was stored: the mirror is as it was\n")
    assert ready("list", "-o", "jsonl", "--all").out == before
    (latest, *_) = ready("sync", "runs", "-o", "json").json["data"]
    assert (latest["status"], latest["message"]) == ("cancelled", done[1].strip())
    assert ready("sync", "pull", "--from", str(file)).code == 0
    assert ready("log", "verify").code == 0


@pytest.mark.slow
def test_a_pull_that_waits_for_its_input_ends_at_once(ready: Pfa) -> None:
    with start("sync", "pull", "--from", "-", "--format", "jsonl") as child:
        assert child.stdin
        child.stdin.write(json.dumps(baseline_record(1, model="NEW")) + "\n")
        child.stdin.flush()
        pipe = child.stdin.fileno()
        wait_for(lambda: unread(pipe) == 0, "the input was not read", 20)
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        began = time.monotonic()
        code = child.wait(20)
        assert (code, time.monotonic() - began < 1.5) == (130, True), child.communicate()
    assert "NEW" not in ready("list", "-o", "jsonl").out


@pytest.mark.parametrize(("number", "code"), [SIGNALS[0], *long([SIGNALS[1]])])
@pytest.mark.parametrize(
    "words", [["draft", "set", "H-001", "model=B"], *long([["restore", "--all"]])]
)
def test_an_interrupted_write_says_that_nothing_was_stored(
    ready: Pfa, words: list[str], number: int, code: int
) -> None:
    if words[0] == "restore":
        assert ready("draft", "set", "H-001", "model=B", "--into", "s").code == 0
        assert ready("discard", "--all").code == 0
        words = ["restore", "--session", "s"]
    done = interrupted_in_a_statement(ready.url, "pfa_modification", *words, number=number)
    assert done == (code, "interrupted, nothing was stored\n")
    assert ready("diff", "-o", "ids").out == ""


@pytest.mark.long
def test_an_interrupted_export_to_a_file_leaves_no_half_of_it(ready: Pfa, tmp_path: Path) -> None:
    done = interrupted_in_a_statement(ready.url, "pfa_mirror", "list", "-o", "jsonl", number=2)
    assert done == (130, "")
