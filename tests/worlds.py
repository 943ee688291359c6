"""Worlds that are built once and copied for each test that asks for one.

@built_once
def world(url: str) -> World:
    '''Two records, one of them drafted by ann.'''
    world = a_world(url, record("P-1"), record("P-2"))
    draft(world.db, world.principal(), "P-1", model="A")
    return world

is a fixture: each test has that world in a database of its own, a copy of the one in which it was built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.factories import World, is_bound
from tests.server import Server

Build = Callable[[str], World]


@contextmanager
def a_copy(server: Server, build: Build) -> Iterator[World]:
    """The world that `build` makes at the address of a migrated database, in one of the block's own."""
    name, world = server.built((build, is_bound()), lambda url: _closed(build(url)))
    with server.database(name) as url:
        copy = world.at(url)
        with server.sessions.left_to_the_next():
            try:
                yield copy
            finally:
                copy.close()


def _closed(world: World) -> World:
    world.close()
    return world


def built_once(build: Build) -> Callable[..., Iterator[World]]:
    """A fixture that gives each test a copy of the world that `build` makes."""

    @pytest.fixture
    def world(postgres: Server) -> Iterator[World]:
        with a_copy(postgres, build) as copy:
            yield copy

    world.__doc__ = build.__doc__
    return world
