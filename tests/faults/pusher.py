"""Pushes and pulls in processes of their own that end themselves in the middle, when asked to.

`python -m tests.faults.pusher` reads jobs from its standard input, one JSON object a line, forks a
process for each, and tells {"job", "pid"} when it began and {"job", "status"} when it ended. Forking
what has everything imported costs milliseconds, and a SIGKILL is as final as for any other process.
A job: {"job": 1, "kind": "push" or "pull", "database", "profile", "options", "output", "log",
"times", "step", "nth", "signal"}. At the step's nth time the process sends itself the signal.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pfa_core
from pfa_core import errors
from pfa_core.model.run import IfLocked
from pfa_core.model.secret import Secret
from pfa_core.pems.profile import GridSettings, WriterKind
from pfa_core.pems.services.rest import RestWriter
from pfa_core.pems.services.screen import ScreenWriter
from pfa_core.store import leases, mirror, pull_pages, queue
from pfa_core.store.database import Database
from pfa_core.sync.active_run import ActiveRun
from pfa_core.sync.pull.options import PullOptions
from pfa_core.sync.push.options import PushOptions
from pfa_core.sync.push.pipeline import PushPipeline
from pfa_core.sync.push.settlement import Settler
from pfa_core.sync.run_log import JsonFormatter, LineHandler, LogFile, attached
from tests.factories import a_principal
from tests.pems_server import a_profile

BUG = 70

# Where a process can be made to end. inside: done and not yet committed; committed: and nothing else.
PUSH_STEPS = (
    "lease:before",
    "recover:inside",
    "recover:committed",
    "claim:before",
    "claim:inside",
    "claim:committed",
    "read:before",
    "read:after",
    "mark:before",
    "mark:inside",
    "mark:committed",
    "write:before",
    "write:after",
    "settle:before",
    "settle:inside",
    "settle:committed",
    "end:before",
    "end:inside",
    "end:committed",
    "release:inside",
    "release:committed",
)
PULL_STEPS = (
    "page:before",
    "page:inside",
    "page:committed",
    "marking:before",
    "marking:inside",
    "end:inside",
    "end:committed",
)


class Trap:
    """Counts a step's times and sends the signal at the nth."""

    def __init__(self, step: str, nth: int, number: int) -> None:
        self._step, self._left, self._number = step, nth, number
        self._lock = threading.Lock()
        self._local = threading.local()

    def hit(self, step: str) -> None:
        """The process is at the step."""
        if step != self._step:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._number)
                time.sleep(0.05)  # the signal may take a moment

    def around(self, owner: Any, name: str, step: str, *, commits: bool = True) -> None:
        """Be at `step`:before and :inside (or :after) around a function, :committed behind its
        transaction."""
        original = getattr(owner, name)

        def trapped(*args: Any, **kwargs: Any) -> Any:
            self.hit(f"{step}:before")
            answer = original(*args, **kwargs)
            self.hit(f"{step}:{'inside' if commits else 'after'}")
            if commits:
                self._local.pending = step
            return answer

        setattr(owner, name, trapped)

    def behind_transactions(self) -> None:
        """Be at …:committed when the transaction of what was done is through."""
        original = Database.transact

        def trapped(db: Database, *args: Any, **kwargs: Any) -> Any:
            self._local.pending = None
            answer = original(db, *args, **kwargs)
            if self._local.pending:
                self.hit(f"{self._local.pending}:committed")
            return answer

        # Its signature is generic, which what wraps any call cannot say of itself.
        Database.transact = trapped  # pyright: ignore[reportAttributeAccessIssue]


def set_trap(step: str, nth: int, number: int) -> None:
    """Wrap what the steps are about."""
    trap = Trap(step, nth, number)
    trap.behind_transactions()
    trap.around(PushPipeline, "run", "lease", commits=False)
    trap.around(Settler, "settle", "settle")
    trap.around(ActiveRun, "end", "end")
    trap.around(leases, "release", "release")
    for name in ("recover", "claim", "mark"):
        trap.around(queue, name, name)
    for writer in (RestWriter, ScreenWriter):
        trap.around(writer, "read", "read", commits=False)
        trap.around(writer, "write", "write", commits=False)
    trap.around(pull_pages, "add", "page")
    trap.around(mirror, "mark_missing", "marking")


def work(job: Mapping[str, Any]) -> None:
    """Do a job in this process; prints what came of it."""
    if job.get("step"):
        set_trap(job["step"], job.get("nth", 1), getattr(signal, job.get("signal", "SIGKILL")))
    profile = read_profile(job["profile"])
    options = dict(job.get("options", {}))
    if "lifetime" in options:
        options["lifetime"] = timedelta(seconds=options["lifetime"])
    if "if_locked" in options:
        options["if_locked"] = IfLocked(options["if_locked"])
    ann = a_principal("ann")
    act: Callable[[Database], Any] = (
        (lambda db: pfa_core.push_changes(db, ann, profile, PushOptions(**options)))
        if job["kind"] == "push"
        else (lambda db: pfa_core.pull_pems(db, ann, profile, PullOptions(**options)))
    )
    with Database(job["database"]) as db:
        for _ in range(job.get("times", 1)):
            result = act(db)
            say(json.dumps(asdict(result), default=str))


def read_profile(stated: Mapping[str, Any]) -> Any:
    """A profile of what JSON can hold."""
    stated = dict(stated)
    stated["writer"] = WriterKind(stated["writer"])
    stated["password"] = Secret(stated["password"]) if stated.get("password") else None
    stated["grid"] = GridSettings(page_size=stated.pop("page_size"))
    return a_profile(stated.pop("url"), **stated)


def become(job: Mapping[str, Any]) -> None:
    """Be the job's process, to its end."""
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 0
    try:
        handler = LineHandler(LogFile(Path(job["log"])).write, JsonFormatter(), say)
        with attached(handler):
            work(job)
    except errors.PfaError as error:
        say(f"{error.code}: {error.message} {error.hint} {error.details}")
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        code = BUG
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def serve(become: Callable[[Mapping[str, Any]], None]) -> None:
    """Take jobs until there are no more, each in a process that becomes it."""
    children: dict[int, int] = {}
    open_still = True
    unread = b""
    while open_still or children:
        ready, _, _ = select.select([0] if open_still else [], [], [], 0.002 if children else None)
        if ready:
            piece = os.read(0, 1 << 16)
            open_still = bool(piece)
            *lines, unread = (unread + piece).split(b"\n")
            for line in lines:
                job = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    become(job)
                children[pid] = job["job"]
                say(json.dumps({"job": job["job"], "pid": pid}))
        elif not open_still:
            time.sleep(0.002)
        for pid in list(children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                say(json.dumps({"job": children.pop(pid), "status": code}))


if __name__ == "__main__":
    serve(become)
