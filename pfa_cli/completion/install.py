"""The script of a shell, and its place in the user's start-up files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pfa_core.config.choices import home_of
from pfa_core.errors import InvalidRequest, IoFailure

SHELLS = ("bash", "zsh", "fish")
MARK = "# completion of pfa"


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation wrote.

    `startup_file` is the file that loads the script, '' where the shell finds it by itself; `changed`: not all
    of it was there before.
    """

    shell: str
    script_file: str
    startup_file: str
    changed: bool


def shell_of(name: str, environ: Mapping[str, str]) -> str:
    """Return a shell by its name; without one, the login shell of SHELL.

    Raises:
        InvalidRequest: Not one of `SHELLS`.
    """
    found = name or os.path.basename(environ.get("SHELL", ""))
    if found not in SHELLS:
        raise InvalidRequest(
            f"no completion for the shell {found!r}" if found else "which shell? SHELL is not set",
            hint="type: pfa completion --install bash, or with zsh or fish",
        )
    return found


def script_of(shell: str) -> str:
    """Return the script that a shell loads."""
    return files(__package__ or "").joinpath("scripts", f"pfa.{shell}").read_text("utf-8")


def install(shell: str, config_dir: Path, environ: Mapping[str, str]) -> Installed:
    """Write the script, and once the line of the start-up file that loads it.

    Args:
        config_dir: The program's directory of configuration; fish has one of its own.

    Raises:
        IoFailure: A file cannot be written, or there is no home.
    """
    home = _home(environ)
    config = _absolute(environ.get("XDG_CONFIG_HOME")) or home / ".config"
    if shell == "fish":
        script, startup = config / "fish" / "completions" / "pfa.fish", None
    else:
        script = config_dir / f"completion.{shell}"
        elsewhere = _absolute(environ.get("ZDOTDIR")) if shell == "zsh" else None
        startup = (elsewhere or home) / f".{shell}rc"
    try:
        changed = _write(script, script_of(shell))
        if startup:
            changed = _add_line(startup, script) or changed
    except OSError as error:
        raise IoFailure(
            f"{error.filename or script} cannot be written: {error.strerror}"
        ) from error
    return Installed(shell, str(script), str(startup or ""), changed)


def _absolute(path: str | None) -> Path | None:
    return Path(path) if path and os.path.isabs(path) else None


def _home(environ: Mapping[str, str]) -> Path:
    home = Path(home_of(environ))
    if not home.is_dir():
        raise IoFailure("there is no home directory with start-up files of a shell")
    return home


def _write(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text("utf-8", "replace") == text:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return True


def _add_line(startup: Path, script: Path) -> bool:
    """Append the line to a start-up file, which may be a link; what is there stays."""
    before = startup.read_text("utf-8", "surrogateescape") if startup.exists() else ""
    if MARK in before:
        return False
    quoted = shlex.quote(str(script))
    separator = "" if not before or before.endswith("\n") else "\n"
    with startup.open("a", encoding="utf-8") as file:
        file.write(f"{separator}[ ! -r {quoted} ] || . {quoted}  {MARK}\n")
    return True
