"""The embedded server, reached only through a unix socket.

Connect first with `conninfo`; when that fails, `ensure` makes and starts the server, which keeps
running. The process with the lock does the work, others wait for it. A killed client leaves at most a
directory `.init-…`, a killed server only what PostgreSQL recovers from.

    root/
      .lock             held while a server is made, started or stopped
      pgdata-18/        the data; the major version in the name
      pgdata-17-kept/   what they were brought over from, until the user removes it
      run/              the socket; its mode denies access to other users
      server/18.6/      copied binaries, only where the service user cannot run the package's
      setup.log, postgres.log
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, IoFailure
from pfa_core.store.embedded import layout
from pfa_core.store.embedded.accounts import Account, account
from pfa_core.store.embedded.address import conninfo, default_root, url
from pfa_core.store.embedded.binaries import (
    binaries,
    copy_installation,
    named_programs,
    program,
    runs_as,
    version,
)
from pfa_core.store.embedded.cluster import initialize, make_durable, require_major
from pfa_core.store.embedded.crowding import is_crowded
from pfa_core.store.embedded.directories import make_root, make_socket_directory
from pfa_core.store.embedded.failures import io_error, with_log
from pfa_core.store.embedded.launch import start
from pfa_core.store.embedded.layout import Place, data_directories, kept, major, major_of
from pfa_core.store.embedded.lock import locked
from pfa_core.store.embedded.probe import UP, Answer, ask, connect
from pfa_core.store.embedded.process import is_alive, is_server_of, server_pid

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = [
    "EmbeddedStatus",
    "binaries",
    "conninfo",
    "default_root",
    "ensure",
    "program",
    "status",
    "stop",
    "url",
]

LOCK_SECONDS = 120.0
_END_SECONDS = 2.0
_CROWD_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStatus:
    """The state of the embedded server of a root.

    `version` is the running server's, else that of its data, else that of the binaries it would be made with.
    `problem`: why these binaries do not start it, and what to type.
    """

    root: Path
    data_directory: Path
    running: bool
    pid: int | None
    version: str
    conninfo: str
    url: str
    log: Path
    problem: str = ""


def ensure(root: Path) -> str:
    """Ensure that the server of `root` runs and has the database `pfa`.

    Safe for any number of processes at once, and after any of them or the server was killed. A server all of
    whose connections are taken is left as it is.

    Returns:
        Its conninfo.

    Raises:
        ConfigInvalid: It cannot be made or started; `hint` holds the end of the log.
        IoFailure: The disk is full or broken.
        DatabaseUnavailable: It does not answer in time.
    """
    place = layout.place(root)
    with explained(place):
        make_root(place.root)
        with locked(place.lock, LOCK_SECONDS):
            if (answer := ask(place)) not in UP:
                _bring_up(place)
            # Who has taken all connections has them of this database.
            if answer is not Answer.CROWDED:
                _create_database(place)
    return conninfo(place.root)


def status(root: Path) -> EmbeddedStatus:
    """Read the state of the server of `root`, without starting or creating anything.

    Raises:
        ConfigInvalid: Neither data nor binaries exist.
    """
    place = layout.place(root)
    with explained(place):
        data, pid = _running(place)
        known = _running_version(place) if pid else ""
        if data is None:
            known = version(binaries())
        return EmbeddedStatus(
            root=place.root,
            data_directory=data or place.data(major(known)),
            running=pid is not None,
            pid=pid,
            version=known or str(major_of(data) if data else ""),
            conninfo=conninfo(place.root),
            url=url(place.root),
            log=place.log,
            problem=_refusal(place),
        )


def stop(root: Path, *, timeout: float = 60) -> bool:
    """Stop the server of `root`; open transactions are rolled back.

    Returns:
        False: it did not run.

    Raises:
        DatabaseUnavailable: It still runs after `timeout` seconds.
    """
    place = layout.place(root)
    if not place.root.is_dir():
        return False
    with explained(place), locked(place.lock, LOCK_SECONDS):
        return end(place, timeout=timeout)


def end(place: Place, *, timeout: float = 60) -> bool:
    """Stop the server of a place, whose lock the caller holds.

    Returns:
        False: it did not run.

    Raises:
        DatabaseUnavailable: It still runs after `timeout` seconds.
    """
    data, pid = _running(place)
    if data is None or pid is None:
        return False
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + timeout
    while is_server_of(pid, data):
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the embedded server (pid {pid}) does not stop",
                hint=with_log("it may still be writing", place.log, 0),
            )
        time.sleep(0.01)
    # A process that is ending has no working directory to be recognized by, but still exists.
    deadline = time.monotonic() + _END_SECONDS
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return True


def _running(place: Place) -> tuple[Path | None, int | None]:
    """Find the running server's data directory and pid.

    Where no server runs, they are the newest data directory and None.
    """
    present = data_directories(place.root)
    for data in present:
        if pid := server_pid(data):
            return data, pid
    return next(iter(present), None), None


def _refusal(place: Place) -> str:
    try:
        require_major(place, major(version(binaries())))
    except ConfigInvalid as error:
        return f"{error.message}: {error.hint}" if data_directories(place.root) else ""
    return ""


def _running_version(place: Place) -> str:
    import psycopg

    try:
        with connect(place) as connection:
            shown = connection.info.parameter_status("server_version") or ""
    except psycopg.OperationalError:
        return ""
    return shown.split()[0] if shown else ""


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Raise what the operating system refuses as an error that says where."""
    try:
        yield
    except OSError as error:
        raise io_error(error, place.root) from error


def _create_database(place: Place) -> None:
    import psycopg

    try:
        with _connect_in_crowd(place) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = 'pfa'")
            if found.rowcount == 0:
                connection.execute("CREATE DATABASE pfa")
    except psycopg.errors.DiskFull as error:
        raise IoFailure(f"no room for the database in {place.root}") from error
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"the connection to the embedded server broke: {str(error).strip()}",
            hint=with_log("try again", place.log, 0),
        ) from error


def _connect_in_crowd(place: Place) -> Connection[Any]:
    """Connect, again while all connections are taken.

    Those who took them found no database, and wait for the lock by now.
    """
    import psycopg

    deadline = time.monotonic() + _CROWD_SECONDS
    while True:
        try:
            return connect(place)
        except psycopg.OperationalError as error:
            if not is_crowded(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _bring_up(place: Place) -> None:
    """Make the data directory if it is missing, then start its server."""
    directory = binaries()
    release = version(directory)
    owner = account(place.root)
    require_major(place, major(release))
    directory = runnable(directory, place, release, owner, named_by=named_programs())
    data = place.data(major(release))
    if data not in data_directories(place.root):
        initialize(place, data, directory, owner)
    discard_attempt(place)
    keep_older(place)
    make_socket_directory(place.sockets, owner)
    start(place, data, directory, owner)


def discard_attempt(place: Place) -> None:
    """Remove what an upgrade that was killed left, and end its servers.

    Raises:
        DatabaseUnavailable: One does not stop.
    """
    if not place.beside.exists():
        return
    for one in (place.old, place.new):
        end(one)
        if one.sockets.parent != one.root:
            shutil.rmtree(one.sockets, ignore_errors=True)
    shutil.rmtree(place.beside, ignore_errors=True)


def keep_older(place: Place) -> None:
    """Keep aside the data that newer ones have taken the place of.

    Both have their names only where the process that brought them over was killed between its last two steps.
    """
    for older in data_directories(place.root)[1:]:
        older.rename(kept(older))
        make_durable(place.root)


def runnable(
    directory: Path, place: Place, release: str, owner: Account, *, named_by: str = ""
) -> Path:
    """Return a directory of programs that the server's user can run: these, or a copy.

    Args:
        named_by: What named them, where they are not a package's.

    Raises:
        ConfigInvalid: They were named, and that user cannot run them.
    """
    if not owner.switch or runs_as(directory, owner):
        return directory
    if named_by:
        raise ConfigInvalid(
            f"the service user of the embedded server cannot run {directory}/postgres",
            hint=f"name programs in {named_by} that every user can run",
        )
    return copy_installation(directory, place.root / "server" / release)
