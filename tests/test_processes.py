"""What tests start takes signals as anywhere, and is gone when its test is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import started

ROOT = Path(__file__).parents[1]
# As a shell starts what it runs in the background of a script.
IGNORING = 'trap "" INT QUIT HUP; exec "$@"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM])
def test_a_child_is_ended_by_a_signal(number: signal.Signals) -> None:
    with started(["sleep", "60"]) as child:
        child.send_signal(number)
        assert child.wait(10) == -number


@pytest.mark.long
def test_so_it_is_where_the_run_itself_ignores_interrupts() -> None:
    one = f"{Path(__file__).relative_to(ROOT)}::{test_a_child_is_ended_by_a_signal.__name__}"
    run = [sys.executable, "-m", "pytest", "-q", "--numprocesses=0", one]
    ignoring = ["sh", "-c", IGNORING, "sh", *run]
    done = subprocess.run(ignoring, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_what_a_failing_test_started_is_ended() -> None:
    with pytest.raises(ZeroDivisionError), started(["sleep", "60"]) as child:
        raise ZeroDivisionError
    assert child.poll() == -signal.SIGKILL
