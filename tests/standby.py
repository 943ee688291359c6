"""A hot standby of a server of the tests, made and run with the same programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pfa_core.store.embedded import accounts
from tests.server import SHIM, program_directory, reachable_directory, url_of

_PORT, _SECONDS = 5433, 60.0
_SETTINGS = (
    "-F -c listen_addresses= -c shared_buffers=32MB -c jit=off -c logging_collector=off"
    " -c timezone=UTC -c wal_retrieve_retry_interval=100ms -c max_standby_streaming_delay=0"
)


@dataclass(frozen=True)
class Standby:
    """A running standby.

    `admin` is a connection to its database postgres.
    """

    folder: Path
    admin: psycopg.Connection[Any]
    server: psycopg.Connection[Any]

    def url(self, address: str) -> str:
        """The address of the same database here."""
        return url_of({**conninfo_to_dict(address), "host": self.folder, "port": _PORT})

    def catch_up(self) -> None:
        """Wait until it has what the server has."""
        row = self.server.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        self.until("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row[0])

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Within the block it stays where it is."""
        self.catch_up()
        self.admin.execute("SELECT pg_wal_replay_pause()")
        self.until("SELECT pg_get_wal_replay_pause_state() = 'paused'")
        try:
            yield
        finally:
            self.admin.execute("SELECT pg_wal_replay_resume()")

    def until(self, question: str, *values: object) -> None:
        """Wait for the answer true."""
        end = time.monotonic() + _SECONDS
        while self.admin.execute(question, values).fetchone() != (True,):
            assert time.monotonic() < end, question
            time.sleep(0.01)


def why_none() -> str:
    """Why no standby can be made; empty: one can be."""
    if os.environ.get("PFA_TEST_CITUS"):
        return "PFA_TEST_CITUS names a cluster, which the tests put nothing before or beside"
    if os.environ.get("PFA_TEST_DATABASE_URL"):
        return "PFA_TEST_DATABASE_URL names a server that the tests make no standby of"
    return ""


@contextmanager
def a_standby(address: str) -> Iterator[Standby]:
    """A standby of the server of an address, on which no role may write."""
    base = reachable_directory("pfa-standby-")
    owner = accounts.account(base)
    bindir, data = program_directory(base, owner), base / "data"
    shim = [sys.executable, "-ISc", SHIM, str(owner.uid), str(owner.gid)]
    os.chown(base, owner.uid, owner.gid)
    process = None
    try:
        copied = subprocess.run(
            [*shim, str(bindir / "pg_basebackup"), "-D", str(data), "-R", "-X", "stream", "-c", "fast",
             "--no-sync", "-d", _without_database(address)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert copied.returncode == 0, copied.stderr
        words = ["-D", str(data), "-k", str(base), "-p", str(_PORT), *_SETTINGS.split()]
        with (base / "log").open("wb") as log:
            process = subprocess.Popen(
                [*shim, str(bindir / "postgres"), *words], stdout=log, stderr=log
            )
        with (
            _connected(base, process) as admin,
            psycopg.connect(address, autocommit=True) as server,
        ):
            yield Standby(base, admin, server)
    finally:
        if process:
            process.send_signal(signal.SIGINT)  # SIGTERM waits for sessions to end
            process.wait(_SECONDS)
        shutil.rmtree(base, ignore_errors=True)


def _without_database(address: str) -> str:
    words = {**conninfo_to_dict(address), "dbname": "replication"}
    return " ".join(f"{name}={value}" for name, value in words.items())


def _connected(base: Path, process: subprocess.Popen[bytes]) -> psycopg.Connection[Any]:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return psycopg.connect(
                f"host={base} port={_PORT} user=postgres dbname=postgres", autocommit=True
            )
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError((base / "log").read_text()) from None
            time.sleep(0.02)
