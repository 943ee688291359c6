"""`pfa log`, `log verify` and `restore` on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

import psycopg
import pytest

from tests.audit.aging import age_trail
from tests.cli.conftest import six_records
from tests.processes import started
from tests.program import Pfa, a_stage

REPOSITORY = Path(__file__).resolve().parents[2]


@a_stage
def logged(pfa: Pfa) -> None:
    """H-001 was drafted and discarded in the session s."""
    six_records(pfa)
    assert (
        pfa("draft", "set", "H-001", "model=A", "--session", "s", "--reason", "Weather").code == 0
    )
    assert pfa("discard", "--session", "s").code == 0


def test_the_trail_is_filtered_by_record_user_time_action_and_run(logged: Pfa) -> None:
    entries = logged("log", "H-001", "-o", "json").json["data"]
    assert [entry["action"] for entry in entries] == ["discard", "save"]
    user = entries[0]["userId"]
    assert len(logged("log", "--user", user, "--action", "save", "-o", "jsonl").lines) == 1
    assert logged("log", "--user", "nobody", "-o", "jsonl").lines == []
    assert len(logged("log", "--since", "1h", "--limit", "2", "-o", "ids").lines) == 2
    assert logged("log", "--until", "2020-01-01", "-o", "ids").lines == []
    assert logged("log", "--until", entries[0]["at"][:10], "--action", "save", "-o", "ids").lines
    run = logged("sync", "runs", "-o", "json").json["data"][0]["runId"]
    pulled = logged("log", "--run", run, "-o", "json").json["data"]
    assert [entry["action"] for entry in pulled] == ["pull", "begin"]
    ended, began = logged("log", "--run", run, "-o", "tsv", "--columns", "change").lines[-2:]
    assert began == "kind=full, direction=pull"
    assert ended == "total=6, status=completed, inserted=6"
    assert (
        logged("log", "-o", "csv", "--limit", "1").lines[0].startswith("at,entryId,userId,action")
    )


def test_log_is_the_same_as_log_show_and_takes_options_before_it(logged: Pfa) -> None:
    shown = logged("log", "show", "H-001", "-o", "jsonl")
    assert shown == logged("log", "-o", "jsonl", "H-001")
    assert shown == logged("log", "H-001", "--output=jsonl")
    assert logged("log", "--org", "HOLNG", "verify", "-q").code == 0


@pytest.mark.parametrize(
    "words", [["--since", "soon"], ["--limit", "0"], ["--follow", "-o", "json"], ["--nonsense"]]
)
def test_what_makes_no_sense_is_a_wrong_command_line(logged: Pfa, words: list[str]) -> None:
    assert logged("log", *words).code == 2


def test_a_record_that_there_is_not_is_not_one_without_entries(logged: Pfa) -> None:
    assert logged("log", "verfy").code == 6
    assert logged("log", "H-001", "--action", "push").code == 0


def test_verify_prints_an_anchor_that_a_later_check_takes(logged: Pfa) -> None:
    first = logged("log", "verify", "-o", "json")
    assert (first.code, first.json["data"]["whole"], first.json["data"]["flaws"]) == (0, True, [])
    anchor = logged("log", "verify", "-o", "ids").out.strip()
    assert anchor == first.json["data"]["anchor"]
    assert "the audit trail is intact: " in logged("log", "verify", "-o", "table").out
    assert logged("draft", "set", "H-002", "model=B").code == 0
    assert logged("log", "verify", "--anchor", anchor, "-q").code == 0
    number = int(anchor.partition(":")[0])
    forged = f"{number}:{'0' * 64}"
    assert logged("log", "verify", "--anchor", forged).code == 1
    with psycopg.connect(logged.url, autocommit=True) as conn:
        conn.execute("UPDATE audit_log SET reason = 'none' WHERE pfa_id = 'H-001'")
    broken = logged("log", "verify", "-o", "json")
    assert (broken.code, broken.json["data"]["whole"]) == (1, False)
    assert {flaw["kind"] for flaw in broken.json["data"]["flaws"]} == {"entries_altered"}
    assert "the audit trail is not intact: 2 flaws" in broken.err


def aged(pfa: Pfa) -> None:
    """Move the trail back by 400 days."""
    with psycopg.connect(pfa.url) as conn:
        past = timedelta(days=400)
        age_trail(conn, {"code": "HOLNG", "past": past, "links": 10**9})


def test_old_entries_are_archived_and_what_shows_the_trail_says_where_they_are(
    logged: Pfa, tmp_path: Path
) -> None:
    aged(logged)
    file = tmp_path / "trail.jsonl.gz"
    words = ("log", "archive", "--before", "300d", "--to", str(file))
    counted = logged(*words, "-n", "-o", "json").json["data"]
    assert (counted["removed"], counted["entries"] > 0, file.exists()) == (0, True, False)
    made = logged(*words, "-o", "json")
    assert (made.code, made.json["data"]["entries"]) == (0, counted["entries"])
    assert "copy " in made.err
    assert logged(*words, "-o", "json").json["data"]["already"] is True
    shown = logged("log")
    assert len(shown.lines) == 1
    of_it = logged("log", "--action", "archive", "-o", "json").json["data"][0]["after"]
    assert f"links 1 to {of_it['last']}, 0 of them kept; sha256 {of_it['sha256']}" in shown.out
    assert of_it["keptDigest"] not in shown.out
    assert "are archived in trail.jsonl.gz" in shown.err
    assert "type: pfa log --from trail.jsonl.gz" in shown.err
    assert "archived" in logged("log", "--since", "500d", "H-001").err
    assert "archived" not in logged("log", "--since", "2h").err
    found = logged("log", "--from", str(file), "H-001", "-o", "json").json["data"]
    assert [entry["action"] for entry in found] == ["discard", "save"]
    assert logged("log", "--from", str(file), "--follow").code == 2
    text = logged("log", "verify").out
    assert "archived in trail.jsonl.gz, not verified: --archive FILE" in text
    whole = logged("log", "verify", "--archive", str(file))
    assert (whole.code, "verified too" in whole.out) == (0, True)
    assert logged("log", "verify", str(file)).code == 2
    file.write_bytes(file.read_bytes()[:-9])
    cut = logged("log", "verify", "--archive", str(file))
    assert (cut.code, "is cut off" in cut.out, "verified too" in cut.out) == (1, True, False)
    assert "not verified: " in cut.out


def test_restore_gives_a_discarded_session_back_once(logged: Pfa) -> None:
    assert logged("restore", "--session", "s", "--dry-run", "-o", "json").json["restoredCount"] == 1
    ran = logged("restore", "--session", "s", "-o", "json").json
    assert (ran["restoredCount"], ran["restored"][0]["pfaId"]) == (1, "H-001")
    again = logged("restore", "--session", "s", "-o", "json")
    assert (again.code, again.json["restoredCount"]) == (0, 0)
    assert again.json["alreadyRestored"] == ["H-001"]
    assert logged("restore").code == 2
    assert logged("restore", "--session", "never").code == 6
    assert logged("draft", "set", "H-002", "model=C", "--session", "t").code == 0
    assert logged("discard", "--session", "t").code == 0
    assert logged("draft", "set", "H-002", "model=D", "--session", "u").code == 0
    refused = logged("restore", "--id", "H-002")
    assert refused.code == 7
    assert "has a draft" in refused.err


@pytest.mark.slow
def test_a_partial_restore_names_what_it_leaves_out(pfa: Pfa) -> None:
    six_records(pfa)
    assert pfa("draft", "set", "H-001", "H-002", "areaSilo=Quay", "--into", "one").code == 0
    assert pfa("discard", "--session", "one").err == "2 drafts discarded\n"
    assert pfa("discard", "--session", "one").err == "session one is already discarded\n"
    assert pfa("draft", "set", "H-001", "areaSilo=Dock", "--into", "two").code == 0

    assert pfa("restore", "--session", "one").code == 7
    ran = pfa("restore", "--session", "one", "--partial", "-o", "ids")
    assert (ran.code, ran.out) == (3, "H-002\n")
    assert ran.err.splitlines()[-1] == "error: 1 problem, 1 restored [INVALID_DATA]"
    assert pfa("draft", "list", "-o", "ids").lines == ["H-001", "H-002"]


@contextmanager
def following(*words: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """The program following the log in a process of its own, its output and its errors."""
    argv = [sys.executable, "-m", "pfa_cli", "log", "--follow", "-o", "jsonl", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(argv, cwd=REPOSITORY, text=True, **pipes) as process:
        assert process.stdout
        assert process.stderr
        yield process, process.stdout, process.stderr


@pytest.mark.slow
def test_following_shows_what_is_added_and_ends_with_the_interrupt(logged: Pfa) -> None:
    with following("--limit", "1") as (process, out, err):
        assert json.loads(out.readline())["action"] == "discard"
        assert logged("draft", "set", "H-003", "model=F", "--session", "f").code == 0
        assert json.loads(out.readline())["pfaId"] == "H-003"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert (out.read(), err.read()) == ("", "")


@pytest.mark.long
def test_a_reader_that_goes_away_ends_following_quietly(logged: Pfa) -> None:
    with following() as (process, out, err):
        assert out.readline()
        out.close()
        assert logged("draft", "set", "H-003", "model=F").code == 0
        assert process.wait(20) == 141
        assert err.read() == ""


@pytest.mark.parametrize(
    "words", [("--action", "archive"), ("--session", "verify"), ("--user", "show")]
)
def test_a_value_that_is_the_name_of_a_command_stays_a_value(
    ready: Pfa, words: tuple[str, str]
) -> None:
    done = ready("log", *words, "-o", "jsonl")
    assert (done.code, done.out) == (0, "")
