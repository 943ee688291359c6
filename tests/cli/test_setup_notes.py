"""Notes on the setup, on a waiting terminal, on numbers, on a pull that did not end."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pfa_cli.commands import doctor_database
from pfa_cli.render import streams
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.status import status_text
from pfa_core.config.settings import Settings
from pfa_core.model.ids import OrganizationId, SessionId, UserId
from pfa_core.model.member import OrganizationStatus
from pfa_core.model.modification import State
from pfa_core.model.principal import Role
from pfa_core.status_summary import SessionStatus, StatusReport
from tests.cli.conftest import baseline_record
from tests.program import Pfa


@pytest.mark.parametrize("exists", [True, False])
def test_verbose_names_the_configuration_file_or_that_there_is_none(
    ready: Pfa, exists: bool
) -> None:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    file.unlink(missing_ok=True)
    if exists:
        file.write_text("")
        file.chmod(0o600)
    said = ready("status", "-v").err.splitlines()[0]
    assert said == (f"profile: default in {file}" if exists else f"profile: none, no {file}")


@pytest.mark.parametrize(
    ("version", "cure"), [(None, "type: pfa init --org CODE"), (0, "type: pfa db upgrade")]
)
def test_the_cure_of_a_missing_schema_is_the_first_start(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, version: int | None, cure: str
) -> None:
    found = doctor_database._reachable

    def older(settings: Settings) -> Any:
        return replace(found(settings), schema_version=version)

    monkeypatch.setattr(doctor_database, "_reachable", older)
    (schema,) = (
        one for one in ready("doctor", "-o", "json").json["data"] if one["check"] == "schema"
    )
    assert (schema["result"], schema["cure"]) == ("problem", cure)


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        (["draft", "save", "-"], True),
        (["sync", "pull", "--from", "-", "--format", "jsonl"], True),
        (["draft", "save", "-", "-q"], False),
        (["draft", "save", "FILE"], False),
    ],
    ids=["save", "pull", "quiet", "file"],
)
def test_a_command_that_waits_for_a_terminal_says_so(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, words: list[str], waits: bool
) -> None:
    (ready.folder / "FILE").write_text("")
    monkeypatch.chdir(ready.folder)
    typed = io.TextIOWrapper(io.BytesIO(b""))
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setattr(streams, "is_terminal", lambda stream: stream is typed)
    said = ready(*words).err
    assert ("reading from the terminal; Ctrl-D ends the input" in said) is waits


def test_a_status_says_that_a_pull_was_interrupted(ready: Pfa) -> None:
    from pfa_core.pems.sandbox.server import Sandbox

    records = [baseline_record(n) for n in range(1, 7)]
    with Sandbox(organization="HOLNG", records=records, faults=["500:1:on=grid:after=1"]) as pems:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PFA_PEMS_URL", pems.url)
            config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
            config.write_text(
                "[profiles.p.pems]\nretries = 0\n[profiles.p.pems.grid]\npage_size = 2\n"
            )
            config.chmod(0o600)
            assert ready("sync", "pull", "--profile", "p").code == 3
        lines = ready("status").out.splitlines()
    facts = {line[:20].strip(): line[20:].strip() for line in lines if "  " in line}
    assert facts["pull from PEMS"] == "interrupted just now"
    assert "last pull" not in facts
    assert facts["last whole pull"]
    assert lines[-1] == "next: pfa sync pull"


def test_numbers_of_a_status_have_separators_everywhere() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    session = SessionStatus(
        session_id=SessionId("s"), state=State.DRAFT, records=5070, last_change=at, overtaken=1234
    )
    report = StatusReport(
        organization_id=OrganizationId("HOLNG"),
        user_id=UserId("ann"),
        role=Role.ADMIN,
        organization_status=OrganizationStatus.ARCHIVED,
        record_count=20280,
        baseline_at=at,
        pull_interrupted_at=None,
        behind=0,
        behind_since=None,
        behind_run_id=None,
        sessions=[session],
        drafts=5070,
        committed=0,
        conflicts=0,
        sync_errors=0,
        overtaken=1234,
        runs=[],
        next_command="",
    )
    for look in (Look(Format.TABLE), Look(Format.TABLE, terminal=True, width=80)):
        text = status_text(report, look)
        assert (text.count("5,070"), text.count("1,234")) == (2, 2)
        assert "archived: it is read and not changed here" in text
        assert "5070" not in text
        assert "1234" not in text


def test_the_help_says_that_ends_are_exclusive(ready: Pfa) -> None:
    page = " ".join(ready("list", "--help").out.split())
    assert "An end is the first day without the equipment" in page
    meaning = ready("explain", "end date").out
    assert "the first day without the equipment" in meaning
    last_day, day_after = ("--end-to", "2026-03-01"), ("--end-to", "2026-03-02")
    assert ready("list", "--id", "H-002", "-o", "ids", *last_day).lines == []
    assert ready("list", "--id", "H-002", "-o", "ids", *day_after).lines == ["H-002"]
