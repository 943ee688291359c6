"""The log of runs: lines, files, and what must not happen to a run because of its log."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.config.settings import Secret
from pfa_core.errors import IoFailure, PemsUnavailable
from pfa_core.sync import run_log
from tests.processes import started

RUN = "018f0000-0000-7000-8000-000000000001"


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def logged(
    work: Callable[[run_log.RunLog], None],
    formatter: logging.Formatter | None = None,
    level: int = logging.INFO,
) -> list[str]:
    """The lines that the work logs."""
    lines: list[str] = []
    handler = run_log.LineHandler(lines.append, formatter or run_log.JsonFormatter(), lines.append)
    with run_log.attached(handler, level):
        work(run_log.run_log(RUN, "HOLNG"))
    return lines


def document(**fields: Any) -> dict[str, Any]:
    (line,) = logged(lambda log: log.event("happened", **fields))
    return json.loads(line)


def text_line(name: str = "happened", **fields: Any) -> str:
    (line,) = logged(lambda log: log.event(name, **fields), run_log.TextFormatter())
    return line


class TestJson:
    def test_a_line_has_time_level_event_run_and_organization_first(self) -> None:
        line = document(records=3)
        assert list(line) == ["time", "level", "event", "run", "organization", "records"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line == {
            "level": "INFO",
            "event": "happened",
            "run": RUN,
            "organization": "HOLNG",
            "records": 3,
        }

    def test_the_time_is_utc_to_the_millisecond(self) -> None:
        record = logging.makeLogRecord({"created": 1795568462.0047, "event": "x"})
        assert (
            json.loads(run_log.JsonFormatter().format(record))["time"] == "2026-11-25T01:01:02.004Z"
        )

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (None, None),
            (True, True),
            (1.5, 1.5),
            (float("nan"), "nan"),
            (Decimal("1000.10"), "1000.10"),
            (
                datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))),
                "2026-01-02T02:00:00.000Z",
            ),
            (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00.000Z"),  # noqa: DTZ001 - has none
            (date(2026, 1, 2), "2026-01-02"),
            (timedelta(seconds=1.5), 1.5),
            (UUID(RUN), RUN),
            (Path("/a"), "/a"),
            (Colour.RED, "red"),
            (Level.HIGH, 3),
            ({"a": {1: (Decimal(2),)}}, {"a": {"1": ["2"]}}),
            (frozenset((1,)), [1]),
            (Secret("hunter2"), "Secret('…')"),
            ([Secret("hunter2")], ["Secret('…')"]),
            (b"\xff", "b'\\xff'"),
            ("Süd\n\x1b[31m\u202e\ud800", "Süd\n\x1b[31m\u202e\ud800"),
        ],
        ids=repr,
    )
    def test_any_value_is_written(self, value: Any, shown: Any) -> None:
        assert document(value=value)["value"] == shown

    def test_an_error_is_its_code_and_message_and_never_a_trace(self) -> None:
        error = PemsUnavailable("PEMS does not answer", hint="h")
        assert document(error=error)["error"] == {
            "code": "PEMS_UNAVAILABLE",
            "message": "PEMS does not answer",
        }
        assert document(error=ValueError("password hunter2"))["error"] == {
            "code": "INTERNAL",
            "message": "unexpected ValueError",
        }

    def test_an_exception_that_others_log_is_shortened_too(self) -> None:
        def work(_: run_log.RunLog) -> None:
            try:
                raise ValueError("hunter2")
            except ValueError:
                logging.getLogger("pfa.else").exception("it %s", "broke")

        (line,) = logged(work)
        found = json.loads(line)
        assert (found["event"], found["message"]) == ("pfa.else", "it broke")
        assert found["error"] == {"code": "INTERNAL", "message": "unexpected ValueError"}
        assert "hunter2" not in line

    def test_a_field_does_not_take_the_place_of_the_run(self) -> None:
        line = document(run="other", level="LOUD", time="never", name="n", message="m", fields=1)
        assert (line["run"], line["level"]) == (RUN, "INFO")
        assert (line["name"], line["message"], line["fields"]) == ("n", "m", 1)

    @given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.floats()))
    def test_every_record_is_one_line_that_is_json_and_names_its_run(
        self, fields: dict[str, Any]
    ) -> None:
        (line,) = logged(lambda log: log.event("happened", **fields))
        assert line.isprintable()
        assert json.loads(line)["run"] == RUN


class TestText:
    def test_a_line_is_time_level_run_event_and_fields(self) -> None:
        assert re.fullmatch(
            rf"\S+Z INFO run={RUN} happened organization=HOLNG records=3 of=null",
            text_line(records=3, of=None),
        )

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("plain", "plain"),
            ("", '""'),
            ("two words", '"two words"'),
            ('a="b"', '"a=\\"b\\""'),
            ("x\n2026 INFO run=forged", '"x\\n2026 INFO run=forged"'),
            ("\x1b[31m", '"\\u001b[31m"'),
            ("Süd", "Süd"),
            (True, "true"),
            (Decimal("1.50"), "1.50"),
            ({"a": [1]}, '{"a":[1]}'),
            (PemsUnavailable("no"), '{"code":"PEMS_UNAVAILABLE","message":"no"}'),
            (Secret("hunter2"), "\"Secret('…')\""),
        ],
        ids=repr,
    )
    def test_a_value_is_one_word_or_quoted(self, value: Any, shown: str) -> None:
        assert text_line(value=value).partition(" value=")[2] in (shown, shown.strip('"'))

    @given(st.dictionaries(st.text(), st.text()))
    def test_every_record_is_one_line_that_names_its_run(self, fields: dict[str, str]) -> None:
        line = text_line(**fields)
        assert line.isprintable()
        assert f" run={RUN} " in line


class TestAttaching:
    def test_levels_are_written_and_lower_ones_left_out(self) -> None:
        def work(log: run_log.RunLog) -> None:
            log.event("a")
            log.warning("b")
            log.error("c")

        levels = [(json.loads(line)["event"], json.loads(line)["level"]) for line in logged(work)]
        assert levels == [("a", "INFO"), ("b", "WARNING"), ("c", "ERROR")]
        assert len(logged(work, level=logging.WARNING)) == 2

    def test_after_the_block_nothing_is_logged_any_more(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = (list(run_log.LOGGER.handlers), run_log.LOGGER.level)
        lines: list[str] = []
        handler = run_log.LineHandler(lines.append, run_log.JsonFormatter(), lines.append)
        with pytest.raises(IoFailure), run_log.attached(handler):
            raise IoFailure("x")
        run_log.run_log(RUN, "HOLNG").warning("after")
        assert lines == []
        assert (run_log.LOGGER.handlers, run_log.LOGGER.level) == before

    def test_without_a_handler_nothing_is_written_anywhere(self) -> None:
        code = (
            "from pfa_core.sync.run_log import run_log; log = run_log('r', 'o');"
            "log.event('a'); log.warning('b'); log.error('c')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("", "")

    def test_a_log_that_cannot_be_written_is_reported_once_and_ends_nothing(self) -> None:
        reports: list[str] = []

        def full(_: str) -> None:
            raise OSError(28, "No space left on device")

        handler = run_log.LineHandler(full, run_log.JsonFormatter(), reports.append)
        with run_log.attached(handler):
            run_log.run_log(RUN, "HOLNG").event("a")
            run_log.run_log(RUN, "HOLNG").event("b")
        assert reports == ["the log cannot be written: No space left on device"]

    def test_a_value_that_cannot_be_shown_ends_nothing_either(self) -> None:
        nested: list[Any] = []
        nested.append(nested)
        lines = logged(lambda log: (log.event("a", value=nested), log.event("b"))[0])
        assert lines[0] == "the log cannot be written: RecursionError"
        assert json.loads(lines[1])["event"] == "b"


class TestFile:
    def test_a_new_file_is_its_owner_s_alone_and_lines_are_appended(self, tmp_path: Path) -> None:
        path = tmp_path / "pfa.log"
        for line in ("a", "b"):
            file = run_log.LogFile(path)
            file.write(line)
            file.close()
        assert path.read_text() == "a\nb\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_after_a_rotation_the_new_file_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "pfa.log"
        file = run_log.LogFile(path)
        file.write("a")
        path.rename(tmp_path / "pfa.log.1")
        file.write("b")
        path.rename(tmp_path / "pfa.log.2")
        path.write_text("")
        file.write("c")
        file.close()
        texts = [(tmp_path / name).read_text() for name in ("pfa.log.1", "pfa.log.2", "pfa.log")]
        assert texts == ["a\n", "b\n", "c\n"]

    def test_when_the_new_file_cannot_be_opened_the_old_one_takes_the_line(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "pfa.log"
        file = run_log.LogFile(path)
        path.rename(tmp_path / "pfa.log.1")
        path.mkdir()
        file.write("a")
        file.close()
        assert (tmp_path / "pfa.log.1").read_text() == "a\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
    def test_a_full_disk_is_reported_once_and_ends_nothing_not_even_at_the_end(self) -> None:
        reports: list[str] = []
        file = run_log.LogFile(Path("/dev/full"))
        handler = run_log.LineHandler(file.write, run_log.JsonFormatter(), reports.append)
        with run_log.attached(handler):
            run_log.run_log(RUN, "HOLNG").event("a")
            run_log.run_log(RUN, "HOLNG").event("b")
        file.close()
        assert reports == ["the log cannot be written: No space left on device"]

    @pytest.mark.slow
    def test_several_processes_share_a_file_line_by_line(self, tmp_path: Path) -> None:
        path = tmp_path / "pfa.log"
        code = (
            "import sys; from pathlib import Path; from pfa_core.sync import run_log as logs\n"
            "file = logs.LogFile(Path(sys.argv[1]))\n"
            "handler = logs.LineHandler(file.write, logs.JsonFormatter(), print)\n"
            "with logs.attached(handler):\n"
            "    log = logs.run_log(sys.argv[2], 'HOLNG')\n"
            "    for number in range(300): log.event('e', number=number, text='x' * 5000)\n"
        )
        with ExitStack() as running:
            argv = [sys.executable, "-c", code, str(path)]
            writers = [
                running.enter_context(started([*argv, f"run-{number}"])) for number in range(3)
            ]
            assert [writer.wait() for writer in writers] == [0, 0, 0]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == 900
        for number in range(3):
            own = [line["number"] for line in lines if line["run"] == f"run-{number}"]
            assert own == list(range(300))

    @pytest.mark.parametrize("name", ["", "no/pfa.log", "pipe"])
    def test_what_cannot_be_appended_to_is_refused_at_once(self, tmp_path: Path, name: str) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(IoFailure, match="cannot be opened"):
            run_log.LogFile(tmp_path / name)

    def test_a_link_of_one_s_own_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "there")
        file = run_log.LogFile(tmp_path / "link")
        file.write("a")
        file.close()
        assert (tmp_path / "there").read_text() == "a\n"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
    def test_a_link_of_another_user_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "there")
        os.chown(tmp_path / "link", 12345, 12345, follow_symlinks=False)
        with pytest.raises(IoFailure, match="another user's link"):
            run_log.LogFile(tmp_path / "link")
        assert not (tmp_path / "there").exists()


def test_a_moment_without_a_zone_is_taken_for_utc() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=UTC)
    assert document(at=at)["at"] == document(at=at.replace(tzinfo=None))["at"]
