"""Where a history happens: a database, a PEMS in a process of its own, users with tokens, a folder."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg

from pfa_core.errors import PfaError
from pfa_core.store.embedded import server as embedded
from tests.factories import (
    SECRET,
    SelfClosing,
    World,
    a_principal,
    a_token,
)  # fmt: skip
from tests.faults.nursery import Child, Nursery, wait_for
from tests.pems_server import ORG, FarSide, a_profile
from tests.trials.bugs import OWNER
from tests.trials.remote import RemotePems
from tests.trials.steps import Turn

USERS: Mapping[str, str] = {"ann": "admin", "bob": "admin", "cat": "editor", "dan": "editor"}
ANYONE = "ann"  # who acts where no user is named
RECORDS = 12
IDS = tuple(f"P-{number}" for number in range(1, RECORDS + 1))
FAKETIME = ("/usr/lib/{}/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_SETTINGS = """
[profiles.default.pems]
retry_delay = 0.01
retries = 1
timeout = 5
grid = {{ page_size = 5, timeout = 5 }}
"""


@dataclass
class Place:
    """A place at work.

    Args:
        url: The address of the database for its owner; `bound` that of the application's role.
        root: The embedded server's directory; None where the server must not be killed.
        skipped: The kinds of faults that cannot be had here, with the reason.
    """

    folder: Path
    url: str
    bound: str
    nursery: Nursery
    root: Path | None = None
    port: int = 0
    pems_process: Child | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    small_disk: bool = False
    was_full: bool = False
    _local: threading.local = field(default_factory=threading.local)
    _connections: list[psycopg.Connection[Any]] = field(default_factory=list)

    @property
    def data(self) -> str:
        """The data directory of the server."""
        return str(next(self.root.glob("pgdata-*"))) if self.root else ""

    @property
    def is_full(self) -> bool:
        """Whether the embedded directory's disk is full."""
        return self.root is not None and (self.root / "filler").exists()

    @property
    def world(self) -> World:
        """The database as tests look at it; new handles each time, since servers end."""
        db = SelfClosing(self.url)
        return World(db, ORG, dict(USERS), as_owner=db)

    def far(self) -> FarSide:
        """Both sides, for those who check."""
        profile = a_profile(f"http://127.0.0.1:{self.port}", retry_delay=0.02)
        # The sandbox is a process of its own here: what is asked of it in tests is asked by HTTP.
        pems = cast("Any", RemotePems(self.port, ORG))
        return FarSide(self.world, pems, profile)

    # --- processes ----------------------------------------------------------------------------------

    def job(self, turn: Turn, commands: Sequence[Sequence[str]], **more: Any) -> dict[str, Any]:
        """A turn as a job of the nursery. A token or an address of its own come in `more`."""
        environment = self.environment(turn.actor, more.pop("token", ""), more.pop("address", ""))
        if turn.clock:
            environment |= {
                "LD_PRELOAD": self.faketime, "FAKETIME": turn.clock, "DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
        return {
            "acts": turn.as_json()["acts"],
            "commands": [list(words) for words in commands],
            "way": str(turn.way),
            "user": turn.actor if turn.actor in USERS else ANYONE,
            "hit": turn.as_json()["hit"],
            "room": turn.room,
            "data": self.data,
            "database": self.url,
            "environment": environment,
            "pems": {
                "url": f"http://127.0.0.1:{self.port}", "writer": "rest", "retry_delay": 0.02,
                "timeout": 5, "page_size": 5,
            },
            **more,
        }  # fmt: skip

    def environment(self, actor: str, token: str = "", address: str = "") -> dict[str, str]:
        """What a person's processes have around them."""
        user = actor if actor in USERS else ANYONE
        home = self.folder / "home" / user
        if not home.exists():
            (home / ".config/pfa").mkdir(parents=True)
            (home / ".config/pfa/config.toml").write_text(_SETTINGS.format())
            (home / ".config/pfa/config.toml").chmod(0o600)
        found = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_STATE_HOME": str(home / ".state"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PFA_NO_COMPLETION_CACHE": "1",
            "PFA_ORG": ORG,
            "PFA_TOKEN": token or a_token(a_principal(user, ORG, USERS[user]), role=USERS[user]),
            "PFA_JWT_SECRET": SECRET,
            "PFA_PEMS_URL": f"http://127.0.0.1:{self.port}",
            "LC_ALL": "C.UTF-8",
            OWNER: self.url,
        }
        if address or self.root is None:
            found["PFA_DATABASE_URL"] = address or self.bound
        else:
            found["PFA_EMBEDDED_DIR"] = str(self.root)
        return found

    @property
    def faketime(self) -> str:
        """The library that makes a clock jump; empty where it is not installed."""
        machine = os.uname().machine + "-linux-gnu"
        return next((p for p in (f.format(machine) for f in FAKETIME) if Path(p).exists()), "")

    # --- the database -------------------------------------------------------------------------------

    def ensure_database(self) -> None:
        """Start the server where it does not run and may: on a full disk it only ends again."""
        if self.root and not self.is_full:
            with suppress(PfaError):
                embedded.ensure(self.root)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Whatever a statement reads or does, once more where the server is gone."""
        for attempt in range(120):
            try:
                cursor = self._connection().execute(statement, values)
                return cursor.fetchall() if cursor.description is not None else []
            except psycopg.OperationalError:
                if attempt == 119 or (self.root is None and attempt > 3):
                    raise
                self._wait_for_room()
                self.ensure_database()
                time.sleep(0.1 if attempt else 0)
        raise AssertionError("unreachable")

    def _connection(self) -> psycopg.Connection[Any]:
        """The thread's own connection, which is opened anew where it is broken."""
        conn = getattr(self._local, "conn", None)
        if conn is None or conn.closed:
            conn = psycopg.connect(self.url, autocommit=True, options="-c statement_timeout=20s")
            self._local.conn = conn
            self._connections.append(conn)
        return conn

    def can_lock(self, statement: str, *values: Any) -> bool:
        """Whether a statement that locks gets its lock within three seconds."""
        for attempt in range(5):
            self.rows("SELECT")
            conn = self._connection()
            try:
                with conn.transaction():
                    conn.execute("SET LOCAL lock_timeout = '3s'")
                    conn.execute(statement, values)
            except psycopg.errors.LockNotAvailable:
                return False
            except psycopg.OperationalError:
                if attempt == 4:
                    raise
            else:
                return True
        raise AssertionError("unreachable")

    def _wait_for_room(self) -> None:
        """Wait until the disk is not full any more."""
        end = time.monotonic() + 60
        while self.is_full and time.monotonic() < end:
            time.sleep(0.1)

    def fill(self) -> None:
        """Take every byte of the embedded directory's disk."""
        assert self.root is not None
        self.was_full = True
        with suppress(OSError), (self.root / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65536)

    def free(self) -> None:
        """Give the room back, and let the server recover."""
        if self.root:
            (self.root / "filler").unlink(missing_ok=True)
            self.ensure_database()

    # --- PEMS ---------------------------------------------------------------------------------------

    def start_pems(self) -> None:
        """Start the sandbox, at the port it had."""
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                self.port = taken.getsockname()[1]
        words = ["sandbox", "--org", ORG, "--port", str(self.port), "--state",
                 str(self.folder / "pems.state"), "--load", str(self.folder / "pems.jsonl")]  # fmt: skip
        turn = Turn(number=0, actor="ann", acts=())
        self.pems_process = self.nursery.start(**self.job(turn, [words]))
        wait_for(self._pems_answers, "the sandbox does not answer", 20)

    def _pems_answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def kill_pems(self) -> None:
        """Kill the sandbox, and see it dead."""
        if self.pems_process:
            self.pems_process.send(signal.SIGKILL)
            self.pems_process.wait()

    def close(self) -> None:
        """Stop what runs, remove what was made."""
        self.kill_pems()
        if self.root:
            with suppress(PfaError):
                embedded.stop(self.root)
        for conn in self._connections:
            conn.close()
