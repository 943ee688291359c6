"""Shells at a terminal of their own.

Lines are typed there, and a function in place of `pfa` shows its arguments.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from select import select
from subprocess import run

import pytest

from pfa_cli import completion
from tests.processes import started
from tests.terminals import terminal

SCRIPTS = Path(completion.__file__).with_name("scripts")
ROOT = SCRIPTS.parents[2]
PATIENCE = 60  # seconds
BASH = ("bash", "--norc", "--noprofile", "-i")
ZSH = ("zsh", "-f", "-i")
_SHOW = "pfa() {{ printf '\\n<%s>' \"$@\" > {shown}; }}"
_START = {
    "bash": "PS1=''; bind 'set enable-bracketed-paste off'; source {script}; " + _SHOW,
    "zsh": "PS1=''; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -d {dump}; source {script}; "
    + _SHOW,
}


def needs(shell: str) -> None:
    """Skip a test by the name of a shell that is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def program(folder: Path) -> Path:
    """Put a `pfa` into a folder of PATH: that of this interpreter, wherever the tests run from."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    path = place / "pfa"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pfa_cli "$@"\n')
    path.chmod(0o755)
    return place


def typed(shell: str, lines: Sequence[str], folder: Path) -> list[list[str]]:
    """Type lines, in which a tab asks for completion, and return the arguments that each command got."""
    shown = folder / "shown"
    start = _START[shell].format(
        script=SCRIPTS / f"pfa.{shell}", shown=shown, dump=folder / "zcompdump"
    )
    argv = {"bash": BASH, "zsh": ZSH}[shell]
    found = []
    with terminal(200, 60) as (leader, follower):
        streams = {"stdin": follower, "stdout": follower, "stderr": follower}
        variables = _variables(folder)
        with started(argv, env=variables, cwd=folder, start_new_session=True, **streams) as process:
            os.close(follower)
            _say(leader, start)
            for line in lines:
                shown.unlink(missing_ok=True)
                _say(leader, line)
                text = shown.read_text() if shown.exists() else ""
                found.append([word.removesuffix(">") for word in text.split("\n<")[1:]])
            os.write(leader, b"exit\n")
            process.wait(timeout=20)
    return found


def fish(line: str, folder: Path, *, described: bool = False) -> list[str]:
    """Ask fish for the candidates of a line."""
    script = f"source {SCRIPTS / 'pfa.fish'}; complete -C $argv[1]"
    done = run(
        ["fish", "--no-config", "-c", script, line],
        env=_variables(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [row if described else row.partition("\t")[0] for row in done.stdout.splitlines()]


_marks = count(1)


def _say(leader: int, line: str) -> None:
    """Type a line, and wait until the shell has run it."""
    mark = next(_marks)
    # In two parts, so that the echo of what is typed is not taken for what the shell prints.
    os.write(leader, f"{line}\n echo ready-''{mark}.\n".encode())
    seen = b""
    while f"ready-{mark}.".encode() not in seen:
        if not select([leader], [], [], PATIENCE)[0]:
            raise AssertionError(f"after {line!r} the shell shows {seen.decode()!r}")
        seen += os.read(leader, 65_536)


def _variables(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("ENV", "BASH_ENV")}
    path = f"{program(folder)}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
