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

from pfa_cli.app import main
from tests.cli import shapes
from tests.conftest import CANARY
from tests.server import Server, bound_url


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
OWNER_S = {("init",), ("org", "add"), ("auth", "keys"), ("db",)}


@dataclass(frozen=True)
class Pfa:
    """Runs command lines in this process, and checks the JSON they write by the published schemas.

    What the owner has to do goes to the owner's address, everything else to that of a role to which
    row-level security applies."""

    url: str
    folder: Path
    capsys: pytest.CaptureFixture[str] = field(repr=False)

    def __call__(self, *words: str) -> Ran:
        with pytest.MonkeyPatch.context() as patch:
            if words[:1] in OWNER_S or words[:2] in OWNER_S:
                patch.setenv("PFA_DATABASE_URL", self.url)
            code = main(list(words))
        said = self.capsys.readouterr()
        assert CANARY not in said.out + said.err
        shapes.check(words, said.out, said.err)
        return Ran(code, said.out, said.err)


@pytest.fixture
def pfa(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Pfa:
    """The program on a database that is empty, its schema there."""
    monkeypatch.setenv("PFA_DATABASE_URL", bound_url(database_url))
    return Pfa(database_url, tmp_path, capsys)


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
            prepare(Pfa(url, tmp_path, capsys))
            kept = tmp_path_factory.mktemp("stage")
            shutil.copytree(tmp_path, kept / "folder")
            shutil.copytree(home, kept / "home")
            return kept

        name, files = postgres.built(prepare, build)
        shutil.copytree(files / "folder", tmp_path, dirs_exist_ok=True)
        shutil.copytree(files / "home", home, dirs_exist_ok=True)
        with postgres.database(name) as url:
            monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
            yield Pfa(url, tmp_path, capsys)

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


def baseline_record(number: int, **changes: Any) -> dict[str, Any]:
    """A mirror record; even ones are cranes in Silo 4, odd ones loaders in the Jetty."""
    return {
        "pfaId": f"H-{number:03}",
        "category": "Loader" if number % 2 else "Crane",
        "class": "Cranes",
        "areaSilo": "Jetty" if number % 2 else "Silo 4",
        "source": "Rental",
        "dor": "BEO",
        "monthlyRate": 3044,
        "originalStart": "2026-01-01",
        "originalEnd": "2026-01-31",
        "forecastStart": f"2026-02-{number:02}",
        "forecastEnd": f"2026-03-{number:02}",
        **changes,
    }


@contextmanager
def as_before_keys_were_checked() -> Iterator[None]:
    """Take keys with invisible characters, as a mirror may hold from earlier pulls."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("model.values", "model.text_rows", "files.deltas"):
            patch.setattr(f"pfa_core.{module}.invisible_in", lambda *_, **__: "")
            patch.setattr(f"pfa_core.{module}.normal_key", lambda text: text)
        yield


def write_lines(path: Path, items: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


def six_records(pfa: Pfa) -> None:
    """The organization HOLNG with the records H-001 to H-006; its admin is signed in."""
    assert pfa("init", "--org", "HOLNG").code == 0
    records = [baseline_record(number) for number in range(1, 7)]
    assert (
        pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", records)).code == 0
    )


ready = a_stage(six_records)
