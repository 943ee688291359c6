"""The processes that push and pull for the trials: started, signalled, waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT = 300.0  # being asked to slow down, a push may take its time


@dataclass
class Child:
    """A process at its job. `status`: its exit code, negative for the signal that ended it."""

    number: int
    output: Path
    _told: Queue[dict[str, Any] | None] = field(default_factory=Queue)
    pid: int = 0
    status: int | None = None

    def send(self, number: int) -> None:
        """Send it a signal, unless it is gone."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end."""
        if self.status is None:
            self.status = int(self.next_message(timeout)["status"])
        return self.status

    def next_message(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Return what the program that starts processes says next of this one.

        Raises:
            ChildProcessError: That program has ended.
        """
        said = self._told.get(timeout=timeout)
        if said is None:
            raise ChildProcessError("the program that starts processes has ended: see its stderr")
        return said

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped itself; fail where it ended instead."""
        wait_for(lambda: process_state(self.pid) in ("T", "Z", ""), "the process did not stop")
        assert process_state(self.pid) == "T", self.said()

    def said(self) -> str:
        """What it printed."""
        return self.output.read_text() if self.output.exists() else ""


class Nursery:
    """Starts processes by way of `pusher.py`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.folder = folder
        self._process = process
        self._children: dict[int, Child] = {}
        self._number = 0
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, **job: Any) -> Child:
        """Let a process begin with a job."""
        with self._lock:
            self._number += 1
            number = self._number
            child = Child(number, self.folder / f"{number}.out")
            self._children[number] = child
            if self._ended:
                child._told.put(None)
            stated = {**job, "job": number, "output": str(child.output), "log": str(self.log)}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(stated) + "\n")
            self._process.stdin.flush()
        child.pid = int(child.next_message()["pid"])
        return child

    @property
    def log(self) -> Path:
        """The JSON log of all processes."""
        return self.folder / "runs.log"

    def everything_said(self) -> str:
        """What all processes printed and logged since the last `forget`."""
        return "\n".join(path.read_text() for path in sorted(self.folder.iterdir()))

    def forget(self) -> None:
        """Remove what was printed and logged."""
        for path in self.folder.iterdir():
            path.unlink()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            stated = json.loads(line)
            self._children[stated["job"]]._told.put(stated)
        self._ended = True
        for child in list(self._children.values()):
            child._told.put(None)


@contextmanager
def a_nursery(folder: Path, *program: str) -> Iterator[Nursery]:
    """A nursery whose processes write into an empty folder.

    Args:
        program: The module that takes the jobs, and its arguments; `pusher.py` unless another is named.
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *(program or ("tests.faults.pusher",))],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Nursery(process, folder)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def process_state(pid: int) -> str:
    """The letter of /proc: T stopped, Z dead and not looked at yet; empty for none."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def kill_now(pid: int) -> None:
    """Kill a process and see it dead before going on."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: process_state(pid) in ("", "Z"), "the process did not die")


def wait_for(is_so: Callable[[], bool], otherwise: str, timeout: float = TIMEOUT) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < end, otherwise
        time.sleep(0.001)
