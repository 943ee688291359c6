"""The start of an embedded server's process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pfa_core.errors import DatabaseUnavailable
from pfa_core.store.embedded.accounts import Account
from pfa_core.store.embedded.binaries import spawning
from pfa_core.store.embedded.failures import failure, with_log
from pfa_core.store.embedded.layout import Place
from pfa_core.store.embedded.logs import open_log, size, tail
from pfa_core.store.embedded.probe import UP, Answer, ask
from pfa_core.store.embedded.process import (
    is_alive,
    is_being_recorded,
    is_recorded_ready,
    server_pid,
)

_START_SECONDS = 60.0
_UNEXPLAINED_DEATHS = 3
_LOG_BYTES = 10_000_000

# Refusals of clients that ask whether a server is up: no reason for its end.
_TO_CLIENTS = (
    "the database system is starting up",
    "the database system is not yet accepting connections",
    "the database system is not accepting connections",
    "the database system is in recovery mode",
    "the database system is shutting down",
)

# The children of a killed server end a moment later; the next server waits for them.
_PASSING = ("pre-existing shared memory block", 'lock file "')


def start(
    place: Place, data: Path, directory: Path, owner: Account, settings: Sequence[str] = ()
) -> None:
    """Start the server, again where that can help, until it answers.

    Args:
        settings: Of this start alone, `name=value` each.

    Raises:
        ConfigInvalid, IoFailure: It does not start; `hint` has the end of its log.
        DatabaseUnavailable: It does not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    pid, deaths = None, 0
    since = size(place.log)
    while not _comes_up(place, data, pid, deadline):
        if pid is not None:
            deaths += 1
            _refuse_final_death(place.log, since, deaths, owner)
            time.sleep(0.2)
        _remove_stale(place, data)
        _rotate_log(place.log)
        since = size(place.log)
        pid = _spawn(place, data, directory, owner, settings)


def _comes_up(place: Place, data: Path, pid: int | None, deadline: float) -> bool:
    """Wait until the server answers; False: no server is starting."""
    stopped = False
    while (answer := ask(place)) not in UP:
        recorded = server_pid(data)
        spawned = pid is not None and is_alive(pid)
        if answer is Answer.SILENT and not (recorded or spawned or is_being_recorded(data)):
            return False
        if recorded and not stopped and is_recorded_ready(data) and not place.socket.exists():
            # It runs but its socket was removed, so that no client can reach it any more.
            os.kill(recorded, signal.SIGINT)
            stopped = True
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the embedded server does not answer after {_START_SECONDS:.0f} s",
                hint=with_log("it may still be recovering; try again", place.log, 0),
            )
        time.sleep(0.02)
    return True


def _remove_stale(place: Place, data: Path) -> None:
    """Remove the files of a former server.

    Its pid may belong to another process by now. PostgreSQL itself detects processes of the former
    server that still write, by their shared memory.
    """
    lock = place.socket.with_name(place.socket.name + ".lock")
    for path in (data / "postmaster.pid", place.socket, lock):
        path.unlink(missing_ok=True)


def _rotate_log(log: Path) -> None:
    if size(log) > _LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def _spawn(
    place: Place, data: Path, directory: Path, owner: Account, settings: Sequence[str]
) -> int:
    """Start the server as an orphan without a terminal; return its pid.

    pg_ctl would take 60 ms longer and fails on a quote or dollar in a path.
    """
    listed = '"' + str(place.sockets).replace('"', '""') + '"'
    server = [str(directory / "postgres"), "-D", str(data)]
    own = ("listen_addresses=", f"unix_socket_directories={listed}", "port=5432")
    for setting in (*settings, *own):
        server += ["-c", setting]
    log = open_log(place.log, owner)
    try:
        done = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", '"$0" "$@" </dev/null >&2 & echo $!', *server],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=True,
            **spawning(owner),
        )
    except subprocess.SubprocessError as error:
        raise DatabaseUnavailable(f"cannot start the embedded server: {error}") from error
    finally:
        os.close(log)
    return int(done.stdout)


def _refuse_final_death(log: Path, since: int, deaths: int, owner: Account) -> None:
    """Raise unless another start can help."""
    text = _of_server(tail(log, since, lines=100))
    if any(phrase in text for phrase in _PASSING):
        return
    if "FATAL" in text or "PANIC" in text or deaths >= _UNEXPLAINED_DEATHS:
        raise failure("the embedded server does not start", log, since, owner)


def _of_server(text: str) -> str:
    """Return the lines of a log that say something about the server itself."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if not any(one in line for one in _TO_CLIENTS))
