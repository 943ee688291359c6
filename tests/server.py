"""PostgreSQL for the tests: one server per run, one database per test.

$PFA_TEST_DATABASE_URL names a server to use instead of one of the tests' own; databases are made and
dropped there. $PFA_TEST_PGBIN names other binaries than the embedded server's. A second server, of an
older version, starts when the first test asks for it (versions.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
import testing.postgresql
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pfa_core.store import migrations
from pfa_core.store.embedded import accounts, binaries, process
from pfa_core.store.embedded import server as embedded
from tests import put_back
from tests.sessions import Sessions
from tests.versions import Version

_TMPFS = Path("/dev/shm")
_TMPFS_NEEDS = 2 * 1024 * 1024 * 1024
_SPARES = 8
_PREFIX = "pfa-test-"
Built = TypeVar("Built")
LOGIN = f"pfa_test_login_{os.getpid()}"

# Becomes another user where PostgreSQL refuses this one, dies with its parent, then is the program.
# ctypes first: the interpreter's files may be out of the other user's reach.
SHIM = """
import ctypes, os, signal, sys
uid, gid, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
libc = ctypes.CDLL(None)
os.umask(0o077)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
os.chdir("/")
os.execve(argv[0], argv, {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"})
"""


class Postgresql(testing.postgresql.Postgresql):
    """testing.postgresql made to work as root, with psycopg 3 and without TCP."""

    def __init__(self, bindir: Path, base_dir: Path, owner: accounts.Account) -> None:
        self._owner = owner
        self._shim = [sys.executable, "-ISc", SHIM, str(owner.uid), str(owner.gid)]
        super().__init__(
            base_dir=str(base_dir),
            initdb=str(bindir / "initdb"),
            postgres=str(bindir / "postgres"),
            port=5432,
            boot_timeout=60,
            initdb_args="-U postgres -A trust -E UTF8 --no-locale --no-sync",
            postgres_args=(
                "-F -c listen_addresses= -c full_page_writes=off -c synchronous_commit=off "
                "-c autovacuum=off -c shared_buffers=64MB -c jit=off -c logging_collector=off "
                "-c timezone=UTC"
            ),
        )

    def dsn(self, **wanted):
        return {
            "host": str(Path(self.base_dir) / "tmp"),
            "port": self.settings["port"],
            "user": "postgres",
            "dbname": "postgres",
        } | wanted

    def url(self, **wanted):
        return url_of(self.dsn(**wanted))

    def initialize_database(self):
        for name in self.subdirectories:
            os.chown(Path(self.base_dir) / name, self._owner.uid, self._owner.gid)
        argv = [*self._shim, self.initdb, "-D", self.get_data_directory(), "--lc-messages=C"]
        done = subprocess.run(
            [*argv, *self.settings["initdb_args"].split()], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def get_server_commandline(self):
        return [*self._shim, *super().get_server_commandline()]

    def is_server_available(self):
        try:
            psycopg.connect(**self.dsn()).close()
        except psycopg.OperationalError:
            return False
        return True

    def poststart(self):
        """The database `test` of the base class is of no use here."""


@dataclass
class Spare:
    """A database of a template for one block after the other."""

    name: str
    template: str | None
    copy: put_back.Copy | None

    def pids(self) -> list[int]:
        """The server's process of the session that puts it back."""
        conn = self.copy and self.copy.conn
        return [] if conn is None or conn.closed else [conn.info.backend_pid]


@dataclass
class Server:
    """A running server on which databases are made and dropped."""

    admin: psycopg.Connection
    parameters: Mapping[str, object]
    prefix: str = field(default_factory=lambda: f"pfa_test_{os.getpid()}_{uuid.uuid4().hex[:8]}")
    sessions: Sessions = field(default_factory=Sessions)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _built: dict[Hashable, tuple[str, Any]] = field(default_factory=dict)
    _contents: dict[str, put_back.Contents | None] = field(default_factory=dict)
    _spares: list[Spare] = field(default_factory=list)
    _touched: list[Spare] = field(default_factory=list)
    _lent: dict[str, Spare] = field(default_factory=dict)
    _roles: object = None

    def template(self) -> str:
        """The name of a database with the schema of today, to which no session is connected."""
        return self._once(None, "template0", _migrate)[0]

    def built(
        self, key: Hashable, build: Callable[[str], Built], template: str | None = None
    ) -> tuple[str, Built]:
        """The name of a migrated database, or a copy of the template, at whose address `build` has been at work,
        once for a key, and what it gave. Databases are made from it: no session is connected to it."""
        return self._once(key, template or self.template(), build)

    def _once(
        self, key: Hashable, template: str, build: Callable[[str], Built]
    ) -> tuple[str, Built]:
        if key not in self._built:
            name = self.create(template)
            made = build(self.url(name))
            self.sessions.end(name)
            # A first session leaves a file of the catalogs behind, which the copies then have too.
            with psycopg.connect(self.url(name), autocommit=True) as conn:
                self._contents[name] = put_back.contents(conn)
            self._built[key] = name, made
        return self._built[key]

    def url(self, name: str) -> str:
        return url_of({**self.parameters, "dbname": name})

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as its template is; returns its name."""
        lent = self._lent.get(template or "")
        if lent and lent.copy:
            lent.copy.close()  # PostgreSQL copies no database that has a session
        name = f"{self.prefix}_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        if self.admin.info.server_version >= 150000:
            # On tmpfs half as long as by way of the log.
            statement += sql.SQL(" STRATEGY file_copy")
        self.admin.execute(statement)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, with the connections to it."""
        self.admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """A database for the block, as its URL: new, or one of an earlier block that is as it was."""
        spare = self._a_spare(template) or self._a_new_one(template)
        began = put_back.next_transaction(self.admin)
        settings = self._settings(spare.name)
        self._lent[spare.name] = spare
        try:
            yield self.url(spare.name)
        finally:
            del self._lent[spare.name]
            self._end_sessions(spare)
            self._end_sessions_of_other_roles()
            # Whatever writes takes a number: where none was taken since, in any database, this is as it was.
            unchanged = put_back.next_transaction(self.admin) == began
            if unchanged or (self._settings(spare.name) == settings and self._put_back(spare)):
                self._spares.append(spare)
                if len(self._spares) > _SPARES:
                    self._touched.append(self._spares.pop(0))
            else:
                self._touched.append(spare)

    def _a_spare(self, template: str | None) -> Spare | None:
        """The one of this template that was used last."""
        for place in reversed(range(len(self._spares))):
            if self._spares[place].template == template:
                return self._spares.pop(place)
        return None

    def _a_new_one(self, template: str | None) -> Spare:
        """A new database; those that are no more of use are dropped first, while no block counts transactions."""
        while self._touched:
            self._drop(self._touched.pop())
        name = self.create(template)
        found = self._contents.get(template or "")
        began = put_back.next_transaction(self.admin)
        return Spare(name, template, found and put_back.Copy(found, self.url(name), began))

    def _put_back(self, spare: Spare) -> bool:
        return spare.copy is not None and spare.copy.put_back()

    def _settings(self, name: str) -> object:
        """What ALTER DATABASE changes."""
        return self.admin.execute(
            "SELECT d.xmin::text, (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid)"
            " FROM pg_database d WHERE d.datname = %s",
            [name],
        ).fetchone()

    def _end_sessions_of_other_roles(self) -> None:
        """End those of every database where a role was changed: what it may and is set to is read at a login."""
        self.admin.execute(put_back.FLUSH)
        row = self.admin.execute(put_back.ROLES).fetchone()
        if row != self._roles:
            self.sessions.end_all()
            self._roles = row

    def _end_sessions(self, spare: Spare) -> None:
        """End the sessions that were not left to the next test."""
        ended = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> ALL (%s)"
        )
        kept = [*self.sessions.of(spare.name), *spare.pids()]
        self.admin.execute(ended, [spare.name, kept])

    def _drop(self, spare: Spare) -> None:
        if spare.copy:
            spare.copy.close()
        self.sessions.end(spare.name)
        self.drop(spare.name)

    def close(self) -> None:
        """Drop everything that was made here."""
        for spare in (*self._touched, *self._spares):
            self._drop(spare)
        for name, _ in self._built.values():
            self.drop(name)


def _migrate(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        migrations.upgrade(connection)
        # Made now, and not by the first pull of each test.
        connection.execute("SELECT pfa_index_mirror()")


class Servers:
    """The servers of a run, each started when it is first asked for."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: dict[Version, Server] = {}

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, version: Version) -> Server:
        if version not in self._running:
            self._running[version] = self._stack.enter_context(running_server(version.bindir))
        return self._running[version]


@contextmanager
def running_server(bindir: Path | None = None) -> Iterator[Server]:
    """One of these binaries, else the server named in the environment, else one of the tests' own; what was
    made there is gone afterwards."""
    named = None if bindir else os.environ.get("PFA_TEST_DATABASE_URL")
    with ExitStack() as stack:
        if not bindir and os.environ.get("PFA_TEST_CITUS"):
            from tests.citus import the_cluster

            yield stack.enter_context(the_cluster())
            return
        own = None if named else stack.enter_context(own_postgresql(bindir))
        parameters = own.dsn() if own else conninfo_to_dict(named or "")
        admin = stack.enter_context(psycopg.connect(**parameters, autocommit=True))
        server = Server(admin, parameters)
        try:
            yield server
        finally:
            server.close()
        if named:
            admin.execute(f"DROP ROLE IF EXISTS {LOGIN}")


@contextmanager
def own_postgresql(bindir: Path | None = None) -> Iterator[Postgresql]:
    """A server of the tests' own in memory, where there is room; stopped and removed at the end."""
    base = _base_directory()
    own = None
    try:
        owner = accounts.account(base)
        own = Postgresql(bindir or program_directory(base, owner), base, owner)
        pid = int(own.server_pid or 0)
        yield own
        own.stop()
        assert not process.is_alive(pid), f"the test server (pid {pid}) is still there"
    finally:
        if own is not None:
            own.stop()
        shutil.rmtree(base, ignore_errors=True)


def bound_url(url: str) -> str:
    """The address of a migrated database for a login role that is no more than a member of pfa_app:
    what a person has who knows the application's password."""
    words = conninfo_to_dict(url)
    _make_login(url, f"{words.get('host')}:{words.get('port')}")
    return url_of({**words, "user": LOGIN, "password": LOGIN})


_logins: set[str] = set()


def _make_login(url: str, server: str) -> None:
    """Make the role, once on each server."""
    if server in _logins:
        return
    with psycopg.connect(url, autocommit=True) as admin:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [LOGIN]).rowcount:
            admin.execute(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{LOGIN}' IN ROLE pfa_app")
    _logins.add(server)


def url_of(parameters: Mapping[str, object]) -> str:
    """The address of a database as a URL that libpq, psql and people take."""
    words = {word: str(value) for word, value in parameters.items() if value is not None}
    dbname, user = quote(words.pop("dbname"), ""), quote(words.pop("user", ""), "")
    password = words.pop("password", None)
    account = user if password is None else f"{user}:{quote(password, '')}"
    at = f"{account}@" if account else ""
    query = "&".join(f"{word}={quote(value, '')}" for word, value in words.items())
    return f"postgresql://{at}/{dbname}?{query}"


def reachable_directory(prefix: str) -> Path:
    """A new directory that the service user can reach; pytest's own are closed to it."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=roomy_memory()))
    path.chmod(0o755)
    return path


def roomy_memory() -> Path:
    """The directory for what need not outlive the run: in memory where there is room."""
    roomy = _TMPFS.is_dir() and shutil.disk_usage(_TMPFS).free > _TMPFS_NEEDS
    return _TMPFS if roomy else Path(tempfile.gettempdir())


def _base_directory() -> Path:
    _remove_left_behind(roomy_memory())
    return reachable_directory(f"{_PREFIX}{os.getpid()}-")


def _remove_left_behind(within: Path) -> None:
    # A killed run's server dies with it; its directory stays, in memory.
    for path in within.glob(f"{_PREFIX}*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        mine = path.stat().st_uid == os.geteuid()
        if mine and pid.isdecimal() and not process.is_alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def program_directory(base: Path, owner: accounts.Account) -> Path:
    named = os.environ.get("PFA_TEST_PGBIN")
    if named:
        return Path(named)
    directory = embedded.binaries()
    if owner.switch and not binaries.runs_as(directory, owner):
        return binaries.copy_installation(directory, base / "server" / "copy")
    return directory
