"""The data directory of an embedded server."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from pfa_core.errors import ConfigInvalid
from pfa_core.store.embedded.accounts import Account, passwd_entry
from pfa_core.store.embedded.binaries import run, version
from pfa_core.store.embedded.failures import failure
from pfa_core.store.embedded.layout import Place, data_directories, major, major_of
from pfa_core.store.embedded.logs import open_log, size

_LEFTOVER_SECONDS = 600.0

_SETTINGS = """
# pfa: a small database on a machine with other tasks.
shared_buffers = 128MB
max_connections = 200
listen_addresses = ''
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""


def require_major(place: Place, present: int) -> None:
    """Refuse a root whose newest data are of another major version than the programs.

    Raises:
        ConfigInvalid: They are.
    """
    for newest in data_directories(place.root)[:1]:
        found = major_of(newest)
        if found == present:
            return
        if found < present:
            hint = (
                "type: pfa db upgrade; or go on as before with the programs of"
                f" PostgreSQL {found} in PFA_PG_BINDIR"
            )
        else:
            hint = (
                f"install a newer pfa, or name the programs of PostgreSQL {found} in PFA_PG_BINDIR"
            )
        raise ConfigInvalid(
            f"{newest} is of PostgreSQL {found}; these programs are of {present}", hint=hint
        )


def initialize(place: Place, data: Path, directory: Path, owner: Account) -> None:
    """Make a data directory under a temporary name.

    It is renamed when it is done, so that one named pgdata-NN is complete.

    Raises:
        ConfigInvalid: The name is taken by something else, initdb fails, or the user has no passwd entry.
        IoFailure: The disk is full.
    """
    passwd_entry(owner.uid, "which PostgreSQL's initdb requires")
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise ConfigInvalid(f"{data} is not a data directory", hint=f"move {data} away")
    _remove_leftovers(place.root)
    making = Path(tempfile.mkdtemp(prefix=".init-", dir=place.root))
    try:
        os.chown(making, owner.uid, owner.gid)
        _initdb(place, making, directory, owner)
        _append_settings(making)
        making.rename(data)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    make_durable(place.root)


def _initdb(place: Place, making: Path, directory: Path, owner: Account) -> None:
    argv = [str(directory / "initdb"), "-D", str(making), "-U", "pfa", "-A", "trust"]
    argv += ["-E", "UTF8", "--no-locale", "--data-checksums", "--no-instructions"]
    if major(version(directory)) >= 17:
        # The same order and case rules on every machine, whatever its C library.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    run_logged(place, argv, owner, otherwise="the embedded database cannot be made")


def run_logged(place: Place, argv: list[str], owner: Account, *, otherwise: str) -> None:
    """Run a program whose output goes to the log of the setup.

    Raises:
        ConfigInvalid, IoFailure: It failed; the message is `otherwise`, the hint holds the end of the log.
    """
    since = size(place.setup_log)
    log = open_log(place.setup_log, owner)
    try:
        code = run(argv, owner, log)
    finally:
        os.close(log)
    if code != 0:
        raise failure(otherwise, place.setup_log, since, owner)


def _append_settings(making: Path) -> None:
    text = _SETTINGS
    if major((making / "PG_VERSION").read_text()) >= 18:
        # Worker processes for reading ahead need more memory than they are worth here.
        text += "io_method = sync\n"
    descriptor = os.open(making / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "w", encoding="utf-8") as settings:
        settings.write(text)
        settings.flush()
        os.fsync(settings.fileno())


def make_durable(directory: Path) -> None:
    """Write the names in a directory to the disk."""
    # Else a power failure could undo the rename, and with it data committed since.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(root: Path) -> None:
    # A killed client's initdb still runs for a moment: only directories unchanged for long are removed.
    for leftover in root.glob(".init-*"):
        if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
