"""Which PostgreSQL beside the run's own: the oldest supported one that is installed here.

The run's own is the embedded 18. No package of PyPI brings a 15 that runs without the libraries of one
distribution (docs/decisions.md), so an older one is taken where it is found. $PFA_TEST_OLDER_PGBIN
names its programs, or `none`. Who chose the run's own server is taken at their word: no other then.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from pfa_core.store.embedded import binaries

OLDEST, OWN = 15, 18
# Debian's and PGDG's for Debian, PGDG's for Red Hat, Homebrew's on either processor.
_USUAL = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)
_CONTRIB = ("pg_trgm.control", "btree_gin.control")


@dataclass(frozen=True)
class Version:
    """A PostgreSQL to run tests on; without `bindir` the server of this run."""

    name: str
    bindir: Path | None = None

    def __str__(self) -> str:
        return self.name


OF_THE_RUN = Version("own")


@cache
def older() -> Version | None:
    """The oldest supported version that is installed with the extensions the schema needs."""
    named = os.environ.get("PFA_TEST_OLDER_PGBIN", "")
    if named:
        return None if named == "none" else Version(_name(Path(named)), Path(named))
    if os.environ.get("PFA_TEST_PGBIN") or os.environ.get("PFA_TEST_DATABASE_URL"):
        return None
    return next(_found(), None)


def why_none() -> str:
    """What to tell when there is no older version."""
    for name in ("PFA_TEST_OLDER_PGBIN", "PFA_TEST_PGBIN", "PFA_TEST_DATABASE_URL"):
        if os.environ.get(name):
            return f"{name} chooses the only server of this run"
    return (
        f"no PostgreSQL {OLDEST} to {OWN - 1} with contrib is installed here (Debian 12: apt-get install "
        f"postgresql-{OLDEST})"
    )


@cache
def compiles(version: Version) -> bool:
    """Whether its server has the library that compiles expressions; a server without it compiles nothing."""
    url = os.environ.get("PFA_TEST_DATABASE_URL")
    if version.bindir is None and url:
        with psycopg.connect(url) as conn:
            row = conn.execute("SELECT pg_jit_available()").fetchone()
        return bool(row and row[0])
    named = os.environ.get("PFA_TEST_PGBIN")
    bindir = version.bindir or (Path(named) if named else binaries.binaries())
    return any(_libraries(bindir).glob("llvmjit.*"))


def _libraries(bindir: Path) -> Path:
    try:
        asked = [str(bindir / "pg_config"), "--pkglibdir"]
        printed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return bindir.parent / "lib"
    return Path(printed.strip())


def _found() -> Iterator[Version]:
    for major in range(OLDEST, OWN):
        for place in _USUAL:
            bindir = Path(place.format(major))
            if (bindir / "initdb").exists() and _has_contrib(bindir):
                yield Version(f"PostgreSQL {major}", bindir)


def _has_contrib(bindir: Path) -> bool:
    """Some distributions pack the extensions apart."""
    try:
        asked = [str(bindir / "pg_config"), "--sharedir"]
        shared = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return True  # the migrations will tell
    return all((Path(shared) / "extension" / name).exists() for name in _CONTRIB)


def _name(bindir: Path) -> str:
    asked = [str(bindir / "postgres"), "--version"]
    stated = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    major = re.search(r"\d+", stated)
    return f"PostgreSQL {major[0]}" if major else bindir.name
