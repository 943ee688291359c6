"""Worlds that are costly to make: pulled once per module, copied for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pfa_core
from tests.factories import World, a_world
from tests.server import Server

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's sample data, which lies beside the repository where there is any."""
    if not SHARED.is_dir():
        pytest.skip("there is no sample data at ../shared/data")
    return SHARED


@pytest.fixture(scope="module")
def pulled(postgres: Server, template: str, shared: Path) -> Iterator[str]:
    """The name of a database that holds the sample project, pulled; there is no connection to it."""
    name = postgres.create(template)
    world = a_world(postgres.url(name), organization="HOLNG")
    pfa_core.pull_files(
        world.db, world.principal(), [str(shared / "mirror-HOLNG.jsonl.gz")], file_format="auto"
    )
    world.db.close()
    yield name
    postgres.drop(name)


@pytest.fixture
def holng(postgres: Server, pulled: str) -> Iterator[World]:
    """The sample project in a database of the test's own; `ann` is its admin."""
    with postgres.database(pulled) as url:
        world = a_world(url, organization="HOLNG")
        yield world
        world.db.close()
