"""The options of a run's log: flag, environment, stderr, file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pfa_cli import app as program
from pfa_cli.app import main
from pfa_cli.framework.compose import command
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.talk import Talk
from pfa_core.errors import PemsUnavailable
from pfa_core.sync.run_log import LOGGER

RUN = "018f0000-0000-7000-8000-000000000001"
app = typer.Typer(rich_markup_mode=None)


@command(app, "exchange")
def exchange(talk: Talk, logs: Logs, *, fail: bool = False) -> None:
    """Exchange something with a PEMS that is not there."""
    with logs.attached():
        from pfa_core.sync.run_log import run_log

        log = run_log(RUN, "HOLNG")
        log.event("run_started", source="PEMS")
        talk.say("working")
        if fail:
            error = PemsUnavailable("PEMS does not answer")
            log.error("run_failed", error=error)
            raise error
        log.warning("run_ended", counts={"synced": 2})


@pytest.fixture(autouse=True)
def with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with one command more, which is all that these tests are about."""
    found = typer.main.get_command(app)
    monkeypatch.setattr(program.Program, "get_command", lambda *_: found)
    monkeypatch.setitem(program.COMMANDS, "exchange", "")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    code = main(["exchange", *words])
    return code, capsys.readouterr().err.splitlines()


def events(path: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["event"], line["run"]) for line in lines]


def test_without_an_option_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == (0, ["working"])


def test_a_format_alone_logs_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, "--log-format", "json", "-q")
    assert code == 0
    assert [json.loads(line)["run"] for line in lines] == [RUN, RUN]
    code, lines = run(capsys, "--log-format", "text", "-q")
    assert [line.partition(" ")[2] for line in lines] == [
        f"INFO run={RUN} run_started organization=HOLNG source=PEMS",
        f'WARNING run={RUN} run_ended organization=HOLNG counts={{"synced":2}}',
    ]


def test_a_file_alone_takes_json_and_stderr_stays_what_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "pfa.log"
    assert run(capsys, "--log-file", str(path)) == (0, ["working"])
    assert run(capsys, "--log-file", str(path)) == (0, ["working"])
    assert events(path) == [("run_started", RUN), ("run_ended", RUN)] * 2


def test_a_file_takes_text_when_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "pfa.log"
    assert run(capsys, "--log-file", str(path), "--log-format", "text") == (0, ["working"])
    assert f"INFO run={RUN} run_started" in path.read_text()


def test_the_environment_says_it_and_the_option_wins(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    monkeypatch.setenv("PFA_LOG_FILE", "~/pfa.log")
    monkeypatch.setenv("PFA_LOG_FORMAT", "text")
    assert run(capsys) == (0, ["working"])
    assert "INFO" in (home / "pfa.log").read_text()
    path = tmp_path / "other.log"
    assert run(capsys, "--log-file", str(path), "--log-format", "json") == (0, ["working"])
    assert events(path) == [("run_started", RUN), ("run_ended", RUN)]
    monkeypatch.setenv("PFA_LOG_FILE", "")
    monkeypatch.setenv("PFA_LOG_FORMAT", "")
    assert run(capsys) == (0, ["working"])


@pytest.mark.parametrize(
    ("name", "value"), [("PFA_LOG_FORMAT", "xml"), ("PFA_LOG_FILE", "~no-user-of-that-name/x")]
)
def test_an_environment_that_cannot_be_meant_is_78(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    code, lines = run(capsys)
    assert code == 78
    assert name in lines[-1]


def test_a_format_that_there_is_not_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--log-format", "xml")[0] == 2


def test_a_file_that_cannot_be_opened_is_74_before_the_run_begins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, lines = run(capsys, "--log-file", str(tmp_path))
    assert code == 74
    assert lines == [f"error: the log {tmp_path} cannot be opened: Is a directory [IO_ERROR]"]


def test_a_full_disk_is_reported_once_and_the_run_continues(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, lines = run(capsys, "--log-file", "/dev/full")
    assert code == 0
    assert lines == ["the log cannot be written: No space left on device", "working"]


def test_a_run_that_fails_leaves_its_error_and_no_handler_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "pfa.log"
    before = list(LOGGER.handlers)
    assert run(capsys, "--log-file", str(path), "--fail")[0] == 69
    (*_, last) = path.read_text().splitlines()
    assert json.loads(last)["error"] == {
        "code": "PEMS_UNAVAILABLE",
        "message": "PEMS does not answer",
    }
    assert "Traceback" not in path.read_text()
    assert before == LOGGER.handlers


@pytest.mark.variants(1)
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["sync", "pull", "--help"]])
def test_help_and_version_do_not_load_what_logs(words: list[str]) -> None:
    code = (
        "import sys; from pfa_cli.app import main; main(sys.argv[1:]);"
        "print([n for n in ('logging', 'pfa_core.sync.run_log') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
