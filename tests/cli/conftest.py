"""The program at work on a database of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pfa_cli.app import main
from tests.conftest import CANARY
from tests.server import bound_url


@dataclass(frozen=True)
class Told:
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


Pfa = Callable[..., Told]
# What needs the owner's address on a server of one's own: who comes in is decided there.
OWNER_S = {("init",), ("org", "add"), ("auth", "keys"), ("db",)}


@pytest.fixture
def pfa(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Pfa:
    """Run a command line in this process; the database is empty, its schema there. What the owner has to
    do goes to the owner's address, everything else behind the wall."""
    bound = bound_url(database_url)
    monkeypatch.setenv("PFA_DATABASE_URL", bound)

    def run(*words: str) -> Told:
        with pytest.MonkeyPatch.context() as patch:
            if words[:1] in OWNER_S or words[:2] in OWNER_S:
                patch.setenv("PFA_DATABASE_URL", database_url)
            code = main(list(words))
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        return Told(code, said.out, said.err)

    return run


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


def write_lines(path: Path, items: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


@pytest.fixture
def ready(pfa: Pfa, tmp_path: Path) -> Pfa:
    """The organization HOLNG with the records H-001 to H-006; its admin is signed in."""
    assert pfa("init", "--org", "HOLNG").code == 0
    file = write_lines(
        tmp_path / "mirror.jsonl", [baseline_record(number) for number in range(1, 7)]
    )
    assert pfa("sync", "pull", "--from", file).code == 0
    return pfa
