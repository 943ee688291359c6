"""Processes of the trials: each is forked with the program loaded, and does the acts of a turn.

`python -m tests.trials.bodies [BUG]` takes jobs as `tests/faults/pusher.py` does. A process notes what it does, one
JSON object a line: {"backend"} a session of the server, {"begun"} an act, {"done", "code"} its end.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Mapping
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pfa_cli.app
import pfa_core.drafts
import pfa_core.model
import pfa_core.pems
import pfa_core.store
import pfa_core.sync
from pfa_cli.commands.catalog import COMMANDS
from pfa_core import errors
from pfa_core.store.database import Database
from tests.factories import a_principal
from tests.faults import pusher
from tests.trials import acting, bugs, traps
from tests.trials.steps import Act, Way, act_of

BUG = 70
LOADED = {"draft", "commit", "uncommit", "discard", "restore", "undo", "conflict", "list", "stats", "sync", "auth",
          "log", "sandbox"}  # fmt: skip


def become(job: Mapping[str, Any]) -> None:
    """Be a turn's process, to its end."""
    notes = os.open(job["output"] + ".notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _redirect(job)
    os.environ.clear()
    os.environ.update(job["environment"])

    def note(what: Mapping[str, Any]) -> None:
        os.write(notes, json.dumps(what).encode() + b"\n")

    code = 0
    began = time.process_time()
    try:
        if job["room"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["room"], resource.RLIM_INFINITY))
        traps.note_sessions(note)
        hit = traps.stated(job["hit"])
        if hit:
            traps.lay(hit, job["data"], note)
        code = _do(job, note)
    except BaseException:
        traceback.print_exc()
        code = BUG
    sys.stdout.flush()
    sys.stderr.flush()
    note({"cpu": time.process_time() - began})
    os._exit(code)


def _redirect(job: Mapping[str, Any]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, ""), (2, ".err")):
        path = job["output"] + name
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)


def _do(job: Mapping[str, Any], note: Any) -> int:
    """Do the acts until one is not answered; the exit code of the last."""
    code = 0
    if job["way"] == Way.PYTHON:
        with Database(job["database"]) as db:
            principal = a_principal(job["user"])
            for place, act in enumerate(map(act_of, job["acts"])):
                note({"begun": place})
                code = _call(db, principal, act, job)
                note({"done": place, "code": code})
                if code in acting.UNANSWERED:
                    break
        return code
    for place, words in enumerate(job["commands"]):
        note({"begun": place})
        if job["way"] == Way.EXEC:
            argv = [sys.executable, "-m", "pfa_cli", *words]
            os.execve(sys.executable, argv, dict(job["environment"]))
        code = pfa_cli.app.main(list(words))
        sys.stdout.flush()
        note({"done": place, "code": code})
        if code in acting.UNANSWERED:
            break
    return code


def _call(db: Database, principal: Any, act: Act, job: Mapping[str, Any]) -> int:
    try:
        acting.in_library(db, principal, act, job["pems"])
    except errors.PfaError as error:
        sys.stderr.write(f"{error.code}: {error.message} {error.details}\n")
        return error.exit_code
    return 0


def load() -> None:
    """Import what acts need and gather no garbage of it: each process would do so anew, on pages of its own."""
    for name in ("drafts.set_fields", "drafts.shift", "drafts.unset", "lifecycle", "restore", "undo", "conflict",
                 "records", "stats", "sync.pull", "sync.push", "auth.tokens", "log", "sandbox"):  # fmt: skip
        import_module(f"pfa_cli.commands.{name}")
    for package in (pfa_core.store, pfa_core.sync, pfa_core.drafts, pfa_core.pems, pfa_core.model):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    for name in COMMANDS:
        if name in LOADED:
            pfa_cli.app._root().get_command(None, name)
    gc.collect()
    gc.freeze()


def main() -> None:
    """Take jobs; with the bug that is named switched on."""
    load()
    if sys.argv[1:]:
        bugs.BUGS[sys.argv[1]].switch_on()
    pusher.serve(become)


if __name__ == "__main__":
    main()
