"""The embedded server: PostgreSQL of our own, reached only through a unix socket.

Connect first with `conninfo`; when that fails, `ensure` makes and starts the server, and it is
left running. Whoever wins the lock does the work, the others find it done. A killed client leaves
at most a directory `.init-…` behind, a killed server only what PostgreSQL recovers from.

    root/
      .lock             held while a server is made, started or stopped
      pgdata-18/        the data; the major version in the name
      run/              the socket; its mode is what keeps others out
      server/18.6/      copied binaries, only where the service user cannot run the package's
      setup.log, postgres.log
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, IoFailure, PfaError
from pfa_core.store.embedded import binaries as programs
from pfa_core.store.embedded import layout as files
from pfa_core.store.embedded.binaries import binaries, program
from pfa_core.store.embedded.layout import Account, Place

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

_LOCK_SECONDS = 120.0
_LAST_MOMENTS = 2.0  # seconds
_START_SECONDS = 60.0
_UNEXPLAINED_DEATHS = 3
_LEFTOVER_SECONDS = 600.0
_LOG_BYTES = 10_000_000

_SETTINGS = """
# pfa: a small database that has the machine to share.
shared_buffers = 128MB
max_connections = 60
listen_addresses = ''
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""

# A failed connect has no SQLSTATE; lc_messages = C keeps these texts.
_BUSY = ("starting up", "shutting down", "not accepting connections", "recovery")

# The children of a killed server live on for a moment; its successor waits for them.
_PASSING = ("pre-existing shared memory block", 'lock file "')


# A full disk leaves no room to say so, in the log either.
_FULL = ("No space left on device", "Disk quota exceeded", "Check free disk space")
_NO_ROOM = 1_000_000


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What there is of the embedded server in one root.

    `version` is the running server's, else that of the binaries it would be started from.
    """

    root: Path
    data_directory: Path
    running: bool
    pid: int | None
    version: str
    conninfo: str
    url: str
    log: Path


def default_root(environ: Mapping[str, str]) -> Path:
    """Where the embedded server lives unless something says otherwise.

    $PFA_EMBEDDED_DIR; for root /var/lib/pfa; else $XDG_DATA_HOME/pfa or ~/.local/share/pfa. The
    home is the passwd file's: cron and a login must find the same server.

    Raises:
        ConfigInvalid: PFA_EMBEDDED_DIR is relative, or this user has no passwd entry.
    """
    named = environ.get("PFA_EMBEDDED_DIR")
    if named:
        if not Path(named).is_absolute():
            raise ConfigInvalid(
                f"PFA_EMBEDDED_DIR is not an absolute path: {named}",
                hint="a relative one would be another database in every working directory",
            )
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/pfa")
    xdg = Path(environ.get("XDG_DATA_HOME", ""))
    if xdg.is_absolute():
        return xdg / "pfa"
    return Path(programs.passwd_entry(os.geteuid()).pw_dir) / ".local" / "share" / "pfa"


def conninfo(root: Path, dbname: str = "pfa", *, user: str = "pfa") -> str:
    """How to connect to the server of `root`, for psycopg; starts nothing, touches nothing.

    It leaves nothing to the caller's PG* variables that could turn the connection elsewhere.
    """
    words = _address(root) | {
        "dbname": dbname,
        "user": user,
        "hostaddr": "",
        "options": "",
        "sslmode": "disable",
        "gssencmode": "disable",
        "channel_binding": "prefer",
        "target_session_attrs": "any",
        "client_encoding": "UTF8",
        "connect_timeout": "10",
    }
    return " ".join(f"{word}={_quoted(value)}" for word, value in words.items())


def url(root: Path) -> str:
    """The address of the database for a person, psql or another tool."""
    words = _address(root)
    user = words.pop("user")
    query = "&".join(f"{word}={quote(os.fsencode(value), '')}" for word, value in words.items())
    return f"postgresql://{user}@/pfa?{query}"


def _address(root: Path) -> dict[str, str]:
    place = files.place(root)
    words = {"host": str(place.sockets), "port": "5432", "user": "pfa"}
    if place.sockets.parent != place.root:
        # In /tmp anybody could wait for us under that name.
        words["requirepeer"] = programs.account(place.root).name
    return words


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def ensure(root: Path) -> str:
    """Make sure that the server of `root` runs and has the database `pfa`; returns its conninfo.

    Safe for any number of processes at once, and after any of them or the server was killed.

    Raises:
        ConfigInvalid: It cannot be made or started; `hint` holds the end of the log.
        IoFailure: The disk is full or broken.
        DatabaseUnavailable: It does not answer in time, or has no connection left.
    """
    place = files.place(root)
    with _explained(place):
        files.make_root(place.root)
        with files.locked(place.lock, _LOCK_SECONDS):
            if _ask(place) is not _Answer.READY:
                _bring_up(place)
            _create_database(place)
    return conninfo(place.root)


def status(root: Path) -> EmbeddedStatus:
    """What there is of the server of `root`; starts and creates nothing.

    Raises:
        ConfigInvalid: There are neither data nor binaries.
    """
    place = files.place(root)
    with _explained(place):
        data, pid = _running(place)
        known = _running_version(place) if pid else ""
        known = known or programs.version(binaries())
        return EmbeddedStatus(
            root=place.root,
            data_directory=data or place.data(files.major(known)),
            running=pid is not None,
            pid=pid,
            version=known,
            conninfo=conninfo(place.root),
            url=url(place.root),
            log=place.log,
        )


def stop(root: Path, *, timeout: float = 60) -> bool:
    """Stop the server of `root`; what others are doing in it is rolled back.

    Returns:
        False when there was none.

    Raises:
        DatabaseUnavailable: It is still there after `timeout` seconds.
    """
    place = files.place(root)
    if not place.root.is_dir():
        return False
    with _explained(place), files.locked(place.lock, _LOCK_SECONDS):
        data, pid = _running(place)
        if data is None or pid is None:
            return False
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + timeout
        while files.is_server_of(pid, data):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"the embedded server (pid {pid}) does not stop",
                    hint=_with_log("it may still be writing", place.log, 0),
                )
            time.sleep(0.01)
        # On its way out a process has no working directory to be known by, and is there all the same.
        gone_by = time.monotonic() + _LAST_MOMENTS
        while files.is_alive(pid) and time.monotonic() < gone_by:
            time.sleep(0.01)
        return True


def _running(place: Place) -> tuple[Path | None, int | None]:
    """The data directory and pid of the live server, or the newest data directory and None."""
    present = files.data_directories(place.root)
    for data in present:
        if pid := files.server_pid(data):
            return data, pid
    return next(iter(present), None), None


def _running_version(place: Place) -> str:
    import psycopg

    try:
        with psycopg.connect(conninfo(place.root, "postgres")) as connection:
            shown = connection.info.parameter_status("server_version") or ""
    except psycopg.OperationalError:
        return ""
    return shown.split()[0] if shown else ""


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise files.io_error(error, place.root) from error


# -- asking -----------------------------------------------------------------------------------


class _Answer(Enum):
    READY = "takes connections"
    BUSY = "starts or stops"
    SILENT = "nobody answers"


def _ask(place: Place) -> _Answer:
    import psycopg

    try:
        with psycopg.connect(conninfo(place.root, "postgres")) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError as error:
        return _refusal(str(error))
    told = Path(row[0]) if row else Path()
    if told.parent.resolve() != place.root.resolve():
        raise ConfigInvalid(
            f"the server in {place.sockets} is that of {told}",
            hint="stop it (pfa db stop) when this directory was moved here",
        )
    return _Answer.READY


def _refusal(text: str) -> _Answer:
    if "FATAL" not in text:
        return _Answer.SILENT
    if any(phrase in text for phrase in _BUSY):
        return _Answer.BUSY
    reason = text.rpartition("FATAL:")[2].strip()
    raise DatabaseUnavailable(f"the embedded server refuses connections: {reason}")


def _create_database(place: Place) -> None:
    import psycopg

    try:
        with psycopg.connect(conninfo(place.root, "postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = 'pfa'")
            if found.rowcount == 0:
                connection.execute("CREATE DATABASE pfa")
    except psycopg.errors.DiskFull as error:
        raise IoFailure(f"no room for the database in {place.root}") from error
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"the embedded server went away: {str(error).strip()}",
            hint=_with_log("try again", place.log, 0),
        ) from error


# -- making -----------------------------------------------------------------------------------


def _bring_up(place: Place) -> None:
    """Make the data directory when there is none, then start its server."""
    directory = binaries()
    release = programs.version(directory)
    owner = programs.account(place.root)
    if owner.switch and not programs.runs_as(directory, owner):
        directory = _reachable(directory, place, release)
    data = place.data(files.major(release))
    if data not in files.data_directories(place.root):
        _refuse_other_major(place, files.major(release))
        _initialize(place, data, directory, owner)
    files.make_socket_directory(place.sockets, owner)
    _start(place, data, directory, owner)


def _reachable(directory: Path, place: Place, release: str) -> Path:
    if os.environ.get("PFA_PG_BINDIR"):
        raise ConfigInvalid(
            f"the service user of the embedded server cannot run {directory}/postgres",
            hint="name programs in PFA_PG_BINDIR that every user can run",
        )
    return programs.copy_installation(directory, place.root / "server" / release)


def _refuse_other_major(place: Place, ours: int) -> None:
    for other in files.data_directories(place.root):
        theirs = other.name.removeprefix("pgdata-")
        raise ConfigInvalid(
            f"{other} is of PostgreSQL {theirs}; these programs are of {ours}",
            hint=f"run PostgreSQL {theirs} on it (PFA_PG_BINDIR), save it with pg_dump, "
            f"stop it, move {other.name} out of {place.root}, "
            f"then start {ours} and load the dump",
        )


def _initialize(place: Place, data: Path, directory: Path, owner: Account) -> None:
    """Make a data directory under another name: whatever is called pgdata-NN is whole."""
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise ConfigInvalid(f"{data} is no data directory", hint=f"move {data} away")
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
    _make_durable(place.root)


def _initdb(place: Place, making: Path, directory: Path, owner: Account) -> None:
    argv = [str(directory / "initdb"), "-D", str(making), "-U", "pfa", "-A", "trust"]
    argv += ["-E", "UTF8", "--no-locale", "--data-checksums", "--no-instructions"]
    if files.major(programs.version(directory)) >= 17:
        # The same order and case rules on every machine, whatever its C library.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    since = files.size(place.setup_log)
    log = files.open_log(place.setup_log, owner)
    try:
        code = programs.run(argv, owner, log)
    finally:
        os.close(log)
    if code != 0:
        raise _failure("the embedded database cannot be made", place.setup_log, since)


def _append_settings(making: Path) -> None:
    text = _SETTINGS
    if files.major((making / "PG_VERSION").read_text()) >= 18:
        # Worker processes for reading ahead are not worth their memory here.
        text += "io_method = sync\n"
    descriptor = os.open(making / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "w", encoding="utf-8") as settings:
        settings.write(text)
        settings.flush()
        os.fsync(settings.fileno())


def _make_durable(directory: Path) -> None:
    # Else a power cut could take back the rename, and with it data committed since.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(root: Path) -> None:
    # A killed client's initdb goes on for a moment: only what has been still for long goes.
    for leftover in root.glob(".init-*"):
        if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


# -- starting ---------------------------------------------------------------------------------


def _start(place: Place, data: Path, directory: Path, owner: Account) -> None:
    deadline = time.monotonic() + _START_SECONDS
    pid, deaths = None, 0
    since = files.size(place.log)
    while not _comes_up(place, data, pid, deadline):
        if pid is not None:
            deaths += 1
            _judge_death(place.log, since, deaths)
            time.sleep(0.2)
        _remove_stale(place, data)
        _turn_log(place.log)
        since = files.size(place.log)
        pid = _spawn(place, data, directory, owner)


def _comes_up(place: Place, data: Path, pid: int | None, deadline: float) -> bool:
    """Wait until the server answers; False when there is none to wait for."""
    revived = False
    while (answer := _ask(place)) is not _Answer.READY:
        noted = files.server_pid(data)
        spawned = pid is not None and files.is_alive(pid)
        if answer is _Answer.SILENT and not (noted or spawned or files.is_being_noted(data)):
            return False
        if noted and not revived and files.is_noted_ready(data) and not place.socket.exists():
            # It lives but its socket was removed under it: nobody can ever reach it.
            os.kill(noted, signal.SIGINT)
            revived = True
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the embedded server does not answer after {_START_SECONDS:.0f} s",
                hint=_with_log("it may still be recovering; try again", place.log, 0),
            )
        time.sleep(0.02)
    return True


def _remove_stale(place: Place, data: Path) -> None:
    """Remove what says that a server runs: its pid may be somebody else's by now.

    Processes of the former server that still write are found by PostgreSQL itself, through their
    shared memory.
    """
    lock = place.socket.with_name(place.socket.name + ".lock")
    for path in (data / "postmaster.pid", place.socket, lock):
        path.unlink(missing_ok=True)


def _turn_log(log: Path) -> None:
    if files.size(log) > _LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def _spawn(place: Place, data: Path, directory: Path, owner: Account) -> int:
    """Start the server as nobody's child, out of the terminal's reach; returns its pid.

    pg_ctl would do the same 60 ms later and stumble over a quote or dollar in a path.
    """
    listed = '"' + str(place.sockets).replace('"', '""') + '"'
    server = [str(directory / "postgres"), "-D", str(data)]
    for setting in ("listen_addresses=", f"unix_socket_directories={listed}", "port=5432"):
        server += ["-c", setting]
    log = files.open_log(place.log, owner)
    try:
        done = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", '"$0" "$@" </dev/null >&2 & echo $!', *server],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=True,
            **programs.spawning(owner),
        )
    except subprocess.SubprocessError as error:
        raise DatabaseUnavailable(f"no process for the embedded server: {error}") from error
    finally:
        os.close(log)
    return int(done.stdout)


def _judge_death(log: Path, since: int, deaths: int) -> None:
    """Return when starting again may help, raise otherwise."""
    said = files.tail(log, since, lines=100)
    if any(phrase in said for phrase in _PASSING):
        return
    if "FATAL" in said or "PANIC" in said or deaths >= _UNEXPLAINED_DEATHS:
        raise _failure("the embedded server does not start", log, since)


def _failure(message: str, log: Path, since: int) -> PfaError:
    said = files.tail(log, since, lines=100)
    if any(phrase in said for phrase in _FULL) or shutil.disk_usage(log.parent).free < _NO_ROOM:
        return IoFailure(f"{message}: the disk is full", hint=_with_log("make room", log, since))
    if "Permission denied" in said:
        advice = "its user must be able to reach and write the directory (PFA_EMBEDDED_DIR)"
    else:
        advice = f"mend what its log says, or {programs.OWN_SERVER_HINT}"
    return ConfigInvalid(message, hint=_with_log(advice, log, since))


def _with_log(advice: str, log: Path, since: int) -> str:
    return f"{advice}\n{log}:\n{files.tail(log, since)}"
