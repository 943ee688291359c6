"""How memory grows with the number of records: client and server, command by command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import sizes
from tests.forms import LONG

# Each record may add so many bytes. A record is about 900 of them, its draft 700: a program that holds all
# in Python needs 4,000 and more. Results of writes have an id, a version and a status for each record.
CLIENT_BYTES, SERVER_BYTES = 1500, 2500
# Smaller ones are smaller than the portions, which then look as if they grew.
SMALL, LARGE = 5_000, 12_500
# What another one of them does as well, in another format or a second time.
LIKE_OTHERS = {"list -o csv", "diff -o json", "discard again", "restore -o json", "log -o json"}
COMMANDS = {name: words for name, words in sizes.COMMANDS.items() if name not in LIKE_OTHERS}


@pytest.fixture(scope="module")
def folders() -> Iterator[list[Path]]:
    """Two directories that the server's user can reach."""
    with (
        tempfile.TemporaryDirectory(prefix="pfa-sizes-") as one,
        tempfile.TemporaryDirectory(prefix="pfa-sizes-") as two,
    ):
        for name in (one, two):
            os.chmod(name, 0o755)
        yield [Path(one), Path(two)]


@LONG
@pytest.mark.early
def test_no_command_holds_all_records(folders: list[Path]) -> None:
    small = {one.name: one for one in sizes.peaks(folders[0], SMALL, commands=COMMANDS)}
    large = {one.name: one for one in sizes.peaks(folders[1], LARGE, commands=COMMANDS)}
    assert small.keys() == large.keys() == COMMANDS.keys()
    more = (LARGE - SMALL) / (1 << 20)
    grown = {
        name: (
            (large[name].client - one.client) / more,
            (large[name].server - one.server) / more,
        )
        for name, one in small.items()
    }
    assert {
        name: found
        for name, found in grown.items()
        if found[0] > CLIENT_BYTES or found[1] > SERVER_BYTES
    } == {}
    assert {name: one for name, one in large.items() if not one.good} == {}
