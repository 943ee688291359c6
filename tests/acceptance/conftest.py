"""Worlds that are costly to make: pulled once in a run, copied for every test."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from tests.factories import World, a_world
from tests.program import Pfa
from tests.server import Server, bound_url

Record = dict[str, Any]
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's sample data, which lies beside the repository where there is any."""
    if not SHARED.is_dir():
        pytest.skip("there is no sample data at ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def pulled(postgres: Server, shared: Path) -> str:
    """The name of a database that holds the sample project, pulled; there is no connection to it."""

    def pull(url: str) -> None:
        world = a_world(url, organization="HOLNG")
        pfa_core.pull_files(
            world.db, world.principal(), [str(shared / "mirror-HOLNG.jsonl.gz")], file_format="auto"
        )
        world.close()

    name, _ = postgres.built("the sample project", pull)
    return name


@pytest.fixture
def holng(postgres: Server, pulled: str) -> Iterator[World]:
    """The sample project in a database of the test's own; `ann` is its admin."""
    with postgres.database(pulled) as url:
        world = a_world(url, organization="HOLNG")
        yield world
        world.db.close()


@pytest.fixture
def pfa(
    postgres: Server,
    pulled: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Pfa]:
    """The program on the sample project."""
    with postgres.database(pulled) as url:
        monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
        world = a_world(url, organization="HOLNG")
        pfa_core.grant(world.db, world.principal(), getuser(), "admin")
        world.db.close()
        program = Pfa(url, tmp_path, capsys, postgres.sessions)
        assert program("init", "--org", "HOLNG").code == 0
        yield program


@pytest.fixture(scope="session")
def records(shared: Path) -> list[Record]:
    """The records of the project's file."""
    with gzip.open(shared / "mirror-HOLNG.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line, parse_float=Decimal) for line in lines]
