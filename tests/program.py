"""The program at work on a database of the test's own, empty or with a stage set.

@a_stage
def ready(pfa: Pfa) -> None:
    '''The organization HOLNG.'''
    assert pfa("init", "--org", "HOLNG").code == 0

is a fixture: each test has the program where those commands left it. They are run once; database and
files are then copied.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pfa_cli.app import main
from tests.cli import shapes
from tests.server import Server, bound_url
from tests.sessions import Sessions

# The password of PEMS in every test that asks the environment for one; nothing may ever show it.
CANARY = "canary-4f1c9a7e55d2"


@dataclass(frozen=True)
class Ran:
    """What one call said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_float=Decimal)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


# What needs the owner's address on a server of one's own: who comes in is decided there.
OWNER_S = {
    *(("init",), ("auth", "keys"), ("db",)),
    *(("org", "add"), ("org", "export"), ("log", "archive"), ("org", "import"), ("org", "reopen")),
}


@dataclass(frozen=True)
class Pfa:
    """Runs command lines in this process, and checks the JSON they write by the published schemas.

    What the owner has to do goes to the owner's address, everything else to that of a role to which
    row-level security applies. A command leaves its session of the database to the next."""

    url: str
    folder: Path
    capsys: pytest.CaptureFixture[str] = field(repr=False)
    sessions: Sessions = field(default_factory=Sessions, repr=False)

    def connect_anew(self) -> None:
        """Let the next command begin a session: what the server refuses or sets then is the test's matter."""
        self.sessions.end(str(conninfo_to_dict(self.url)["dbname"]))

    def __call__(self, *words: str) -> Ran:
        with pytest.MonkeyPatch.context() as patch, self.sessions.left_to_the_next():
            if words[:1] in OWNER_S or words[:2] in OWNER_S:
                patch.setenv("PFA_DATABASE_URL", self.url)
            code = main(list(words))
        said = self.capsys.readouterr()
        assert CANARY not in said.out + said.err
        shapes.check(words, said.out, said.err)
        return Ran(code, said.out, said.err)


@pytest.fixture
def copied(
    postgres: Server,
    home: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[Callable[[Pfa], None]], AbstractContextManager[Pfa]]:
    """Copies of the program where a function left it, which is called once a run."""

    @contextmanager
    def copy(prepare: Callable[[Pfa], None]) -> Iterator[Pfa]:
        def build(url: str) -> Path:
            monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
            prepare(Pfa(url, tmp_path, capsys, postgres.sessions))
            kept = tmp_path_factory.mktemp("stage")
            shutil.copytree(tmp_path, kept / "folder")
            shutil.copytree(home, kept / "home")
            return kept

        name, files = postgres.built(prepare, build)
        shutil.copytree(files / "folder", tmp_path, dirs_exist_ok=True)
        shutil.copytree(files / "home", home, dirs_exist_ok=True)
        with postgres.database(name) as url:
            monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
            yield Pfa(url, tmp_path, capsys, postgres.sessions)

    return copy


def a_stage(prepare: Callable[[Pfa], None]) -> Callable[..., Iterator[Pfa]]:
    """A fixture that gives each test the program where `prepare` left it."""

    @pytest.fixture
    def stage(
        copied: Callable[[Callable[[Pfa], None]], AbstractContextManager[Pfa]],
    ) -> Iterator[Pfa]:
        with copied(prepare) as pfa:
            yield pfa

    stage.__doc__ = prepare.__doc__
    return stage
