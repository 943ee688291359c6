"""An operation on tokens or keys, in a process that kills itself at one of its steps.

python -m tests.access.killed ADDRESS OPERATION STEP

A step is a text that reached the disk, a file that takes its place, and a COMMIT of a writing transaction, before
and after. Step 0 kills nothing; the steps that were passed are the output.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

import pfa_core
from pfa_core.store.database import Database
from tests.factories import a_principal

_passed: list[str] = []


def _pass(name: str, at: int) -> None:
    _passed.append(name)
    if len(_passed) == at:
        os.kill(os.getpid(), signal.SIGKILL)


def _watched(name: str, call: Callable[..., Any], at: int, *, before: bool) -> Callable[..., Any]:
    def watched(*words: Any, **named: Any) -> Any:
        if before:
            _pass(f"before {name}", at)
        result = call(*words, **named)
        _pass(f"after {name}", at)
        return result

    return watched


def _watch(at: int) -> None:
    plain: Any = Connection._exec_command

    def patched(self: Connection[Any], command: Any, *words: Any, **named: Any) -> Any:
        commits = (
            not self.read_only and isinstance(command, bytes) and command.startswith(b"COMMIT")
        )
        if commits:
            _pass("before commit", at)
        result = yield from plain(self, command, *words, **named)
        if commits:
            _pass("after commit", at)
        return result

    setattr(Connection, "_exec_command", patched)  # noqa: B010 - a generator that the type checker does not know
    os.fsync = _watched("fsync", os.fsync, at, before=False)
    setattr(Path, "replace", _watched("replace", Path.replace, at, before=True))  # noqa: B010


def _do(db: Database, operation: str) -> None:
    settings, ann = pfa_core.resolve(), a_principal("ann", "ORG", "admin")
    if operation == "refresh":
        pfa_core.refresh_token(db, settings)
    elif operation == "rotate":
        pfa_core.rotate_keys(db, settings, ann, overlap=timedelta(0))
    elif operation == "init":
        pfa_core.initialize(db, settings, "ORG", user_id="ann")
    else:
        pfa_core.retire_key(db, settings, ann, operation)


if __name__ == "__main__":
    _, address, operation, step = sys.argv
    _watch(int(step))
    with Database(address) as db:
        _do(db, operation)
    sys.stdout.write("".join(f"{name}\n" for name in _passed))
