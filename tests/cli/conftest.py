"""The program at work, and records for it to work on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.program import Pfa, a_stage
from tests.server import Server, bound_url


@pytest.fixture
def pfa(
    postgres: Server,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Pfa:
    """The program on a database that is empty, its schema there."""
    monkeypatch.setenv("PFA_DATABASE_URL", bound_url(database_url))
    return Pfa(database_url, tmp_path, capsys, postgres.sessions)


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
