"""PgBouncer in transaction mode before a server of the tests, as Debian's package configures it otherwise.

$PFA_TEST_PGBOUNCER names its program, or `none`; else it is taken where it is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pfa_core.store.embedded import accounts
from tests.server import LOGIN, SHIM, reachable_directory, url_of

_PORT, _BOOT_SECONDS = 6432, 20.0
# Since 1.21 it follows prepared statements from one session to the next.
_SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = {own}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = {clients}
logfile = {folder}/log
{more}
"""


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer."""

    folder: Path

    def url(self, address: str) -> str:
        """The address of the same database by way of the pooler."""
        return url_of({**conninfo_to_dict(address), "host": self.folder, "port": _PORT})

    def log(self) -> str:
        return (self.folder / "log").read_text()


@cache
def program() -> str | None:
    """The program of PgBouncer; None: it is not installed here."""
    named = os.environ.get("PFA_TEST_PGBOUNCER", "")
    if named:
        return None if named == "none" else named
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


@cache
def version() -> tuple[int, ...]:
    """The version of the program."""
    found = program()
    if found is None:
        return (0, 0)
    printed = subprocess.run([found, "--version"], capture_output=True, text=True)
    number = re.search(r"PgBouncer (\d+)\.(\d+)", printed.stdout)
    return tuple(map(int, number.groups())) if number else (0, 0)


def why_none() -> str:
    """Why no pooler is started; empty: one can be."""
    if os.environ.get("PFA_TEST_CITUS"):
        return "PFA_TEST_CITUS names a cluster, which the tests put nothing before or beside"
    if os.environ.get("PFA_TEST_DATABASE_URL"):
        return "PFA_TEST_DATABASE_URL names a server that a pooler of the tests is not let into"
    if os.environ.get("PFA_TEST_PGBOUNCER") == "none":
        return "PFA_TEST_PGBOUNCER says none"
    return "" if program() else "no PgBouncer is installed here (Debian: apt-get install pgbouncer)"


@contextmanager
def a_pooler(
    address: str, *, size: int = 20, clients: int = 200, prepared: bool = False, **more: object
) -> Iterator[Pooler]:
    """PgBouncer before the server of an address, with so many of its sessions for each database and user.

    Args:
        more: Settings of its file.
    """
    words = conninfo_to_dict(address)
    folder = reachable_directory("pfa-pool-")
    owner = accounts.account(folder)
    # Before 1.21 it knows no such setting; since 1.24 it keeps 200 unasked.
    if version() >= (1, 21):
        more["max_prepared_statements"] = 50 if prepared else 0
    lines = "".join(f"{name} = {value}\n" for name, value in more.items())
    (folder / "users").write_text(
        "".join(f'"{name}" ""\n' for name in ("postgres", "pfa_app", LOGIN))
    )
    (folder / "ini").write_text(
        _SETTINGS.format(folder=folder, own=_PORT, size=size, clients=clients, more=lines, **words)
    )
    os.chown(folder, owner.uid, owner.gid)
    for name in ("users", "ini"):
        os.chown(folder / name, owner.uid, owner.gid)
    argv = [sys.executable, "-ISc", SHIM, str(owner.uid), str(owner.gid), program() or ""]
    process = subprocess.Popen(
        [*argv, str(folder / "ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        pooler = Pooler(folder)
        _wait(pooler, address, process)
        yield pooler
    finally:
        process.kill()  # asked to end, it waits for its clients from 1.23 on
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(pooler: Pooler, address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _BOOT_SECONDS
    while True:
        try:
            psycopg.connect(pooler.url(address), dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.02)
