"""PostgreSQL's pg_dump and pg_restore: found, run, their failures explained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pfa_core.admin.server import psql_environment
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, InvalidData, IoFailure, PfaError
from pfa_core.store.embedded import server

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_SECONDS = 30.0
_SAID = 300  # characters of what a program says


@dataclass(frozen=True, slots=True)
class Program:
    """One of PostgreSQL's programs, and its major version."""

    path: Path
    major: int


def find(name: str, settings: Settings, least: int) -> Program:
    """Find the oldest of the programs that are not older than the server.

    Of one version those of PFA_PG_BINDIR come first, then those on the PATH, then the embedded server's own. For
    the embedded server these are the only ones. A newer pg_restore makes settings that the server may not know,
    and a newer pg_dump writes what the server's own pg_restore cannot read.

    Args:
        least: The server's major version, or that of the program that wrote what is read.

    Raises:
        ConfigInvalid: There is none, or all are older.
    """
    found = [Program(path, major) for path in _places(name, settings) if (major := _major(path))]
    fit = [one for one in found if one.major >= least]
    if fit:
        return min(fit, key=lambda one: one.major)
    hint = f"install the client of PostgreSQL {least}, or name its directory in PFA_PG_BINDIR"
    if not found:
        raise ConfigInvalid(f"{name} is not found", hint=hint)
    raise ConfigInvalid(
        f"{found[0].path} is of PostgreSQL {found[0].major}, older than the server's {least}",
        hint=hint,
    )


def run(
    program: Program,
    arguments: Sequence[str],
    settings: Settings,
    password: str,
    *,
    target: BinaryIO | None = None,
    source: BinaryIO | None = None,
) -> str:
    """Run a program to its end; return what it wrote to its standard output.

    Args:
        target: Where pg_dump writes; as its standard output the list of contents would be in it twice.
        source: Where its input comes from.

    Raises:
        DatabaseUnavailable, InvalidData, IoFailure: It failed.
    """
    argv, kept = [str(program.path), *arguments], list[int]()
    if target:
        kept.append(target.fileno())
        argv.append(f"--file=/dev/fd/{kept[0]}")
    try:
        done = subprocess.run(  # noqa: S603
            argv,
            pass_fds=kept,
            stdin=source or subprocess.DEVNULL,
            capture_output=True,
            env=psql_environment(settings, password),
            check=False,
        )
    except OSError as error:
        raise _does_not_run(program, error) from error
    if done.returncode:
        raise _failure(program, done.stderr.decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def output(
    program: Program, arguments: Sequence[str], settings: Settings, source: BinaryIO
) -> Iterator[Iterator[bytes]]:
    """Run a program for the block, which reads the lines of its output to their end.

    Args:
        source: Where its input comes from.

    Raises:
        DatabaseUnavailable, InvalidData, IoFailure: It failed.
    """
    argv = [str(program.path), *arguments]
    # A file: a pipe that is full while the output is read would hold the program up.
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=said,
                env=psql_environment(settings, ""),
            )
        except OSError as error:
            raise _does_not_run(program, error) from error
        with process:
            try:
                yield iter(process.stdout or ())
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            said.seek(0)
            raise _failure(program, said.read().decode("utf-8", "replace"))


def _does_not_run(program: Program, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"{program.path} does not run: {error.strerror}",
        hint="name another one in PFA_PG_BINDIR",
    )


def from_start(file: BinaryIO) -> BinaryIO:
    """Set a file back to its start: a program that gets it shares the place."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file


def _failure(program: Program, said: str) -> PfaError:
    lines = [line for line in said.splitlines() if "error:" in line or "FATAL" in line]
    reason = (lines or said.splitlines() or ["it said nothing"])[0].partition("error: ")
    text = (reason[2] or reason[0]).strip()[:_SAID]
    message = f"{program.path.name} failed: {text}"
    if "No space left" in said:
        return IoFailure(message)
    if "connection to server" in said:
        return DatabaseUnavailable(message, hint="type: pfa doctor")
    used = f"{program.path.name} of PostgreSQL {program.major} was used"
    if "unsupported version" in said:
        hint = f"{used}; name the directory of a newer one in PFA_PG_BINDIR"
    else:
        hint = f"{used}; where the server is older, name the directory of its own in PFA_PG_BINDIR"
    return InvalidData(message, hint=hint)


def _places(name: str, settings: Settings) -> Iterator[Path]:
    if settings.database_url is not None:
        if named := os.environ.get("PFA_PG_BINDIR"):
            yield Path(named) / name
        if found := shutil.which(name):
            yield Path(found)
    with suppress(ConfigInvalid):
        yield server.program(name)


def _major(path: Path) -> int:
    """Return a program's major version; 0: it does not run."""
    argv = [str(path), "--version"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = _VERSION.search(done.stdout)
    return int(found[1]) if found else 0
