"""The line that says how far a long command is."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_cli.framework.progress import described
from pfa_core.model.progress import Phase, Progress
from tests.cli.conftest import baseline_record, ready, write_lines
from tests.processes import started
from tests.program import Pfa

__all__ = ["ready"]


@pytest.mark.parametrize(
    ("progress", "in_phase", "says"),
    [
        (None, 0.0, "reading, 1 min 05 s"),
        (Progress(phase=Phase.READING, done=1000), 0.5, "reading 1,000 records, 1 min 05 s"),
        (Progress(phase=Phase.READING, done=9000), 3.0, "reading 9,000 records, 3,000/s"),
        (
            Progress(phase=Phase.READING, done=9000, total=200_000, rejected=3),
            3.0,
            "reading 9,000 of 200,000 records, 3,000/s, 1 min 04 s left, 3 rejected",
        ),
        (
            Progress(phase=Phase.STORING, done=9000, total=9000),
            3.0,
            "storing 9,000 of 9,000 records, 1 min 05 s",
        ),
        (
            Progress(phase=Phase.SENDING, done=1, total=2),
            2.0,
            "sending 1 of 2 records, 0/s, 2 s left",
        ),
    ],
)
def test_the_line_says_phase_count_rate_and_time_left(
    progress: Progress | None, in_phase: float, says: str
) -> None:
    assert described(progress, "record", "reading", elapsed=65.0, in_phase=in_phase) == says


@given(
    st.builds(
        Progress,
        phase=st.sampled_from(Phase),
        done=st.integers(0, 10**8),
        total=st.none() | st.integers(0, 10**8),
        rejected=st.integers(0, 10**6),
    ),
    st.floats(0, 10**5),
)
def test_the_line_is_short(progress: Progress, seconds: float) -> None:
    text = described(progress, "record", "reading", elapsed=seconds, in_phase=seconds)
    assert len(text) < 100
    assert "\n" not in text


def on_a_terminal(*words: str, until: bytes) -> tuple[bytes, int]:
    """Run a command whose stderr is a terminal until it has said something; return all it said."""
    screen, end = pty.openpty()
    argv = [sys.executable, "-m", "pfa_cli", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": end}
    with started(argv, **pipes) as child:
        os.close(end)
        said, ends = b"", time.monotonic() + 20
        while until not in said:
            assert time.monotonic() < ends, said
            said += os.read(screen, 4096)
        child.send_signal(signal.SIGINT)
        code = child.wait(20)
        while True:
            try:
                more = os.read(screen, 4096)
            except OSError:
                break
            if not more:
                break
            said += more
        os.close(screen)
    return said, code


@pytest.mark.slow
def test_a_command_that_waits_shows_its_line_and_leaves_none(ready: Pfa) -> None:
    said, code = on_a_terminal("sync", "pull", "--from", "-", "--format", "jsonl", until=b" s")
    assert code == 130, said
    assert b"\rreading, " in said
    # The line is erased before the last words.
    assert said.rindex(b"\r\x1b[K") > said.rindex(b"reading, ")
    assert b"interrupted" in said[said.rindex(b"\r\x1b[K") :]


@pytest.mark.long
def test_a_pipe_gets_no_line(ready: Pfa) -> None:
    items = [baseline_record(number) for number in range(1, 7)]
    file = write_lines(ready.folder / "m.jsonl", items)
    argv = [sys.executable, "-m", "pfa_cli", "sync", "pull", "--from", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, re.findall("reading|storing|\x1b", done.stderr)) == (0, [])
