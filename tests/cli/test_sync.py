"""`pfa sync pull`, `push` and `retry` beside a PEMS: what they say, and how they end."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pfa_core.pems.sandbox.server import Sandbox
from tests.cli.conftest import baseline_record
from tests.processes import started
from tests.program import Pfa, a_stage

NUMBERS = range(1, 7)


@pytest.fixture
def pems(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with a_pems() as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        yield pems


def a_pems() -> Sandbox:
    records = [{**baseline_record(number), "organization": "HOLNG"} for number in NUMBERS]
    return Sandbox(organization="HOLNG", records=records)


@a_stage
def pulled_before(pfa: Pfa) -> None:
    assert pfa("init", "--org", "HOLNG").code == 0
    with a_pems() as pems, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PEMS_URL", pems.url)
        assert pfa("sync", "pull").code == 0


@pytest.fixture
def pulled(pulled_before: Pfa, pems: Sandbox) -> Pfa:
    return pulled_before


def committed(pfa: Pfa, *ids: str, value: str = "model=New") -> None:
    assert pfa("draft", "set", *(ids or ("H-001",)), value, "--into", "s").code == 0
    assert pfa("commit", "--session", "s").code == 0


def test_a_pull_from_pems_has_the_promised_shape(pfa: Pfa, pems: Sandbox) -> None:
    pfa("init", "--org", "HOLNG")
    ran = pfa("sync", "pull", "-o", "json")
    assert ran.code == 0
    assert ran.json.keys() == {
        "runId", "status", "total", "inserted", "updated", "unchanged", "missing", "rejected",
        "metadata",
    }  # fmt: skip
    assert (ran.json["status"], ran.json["inserted"]) == ("completed", 6)
    assert pfa("sync", "pull", "-o", "json").json["unchanged"] == 6


@pytest.mark.long
def test_a_record_behind_is_said_by_every_command_until_it_is_accepted(
    pulled: Pfa, pems: Sandbox
) -> None:
    hold(pems, "H-002", source="Lease", pemsVersion="2026-11-25T12:00:00.000Z")
    assert pulled("sync", "pull").code == 3
    for _ in range(2):
        ran = pulled("sync", "pull", "--incremental")
        assert ran.code == 3
        assert (
            "every incremental pull asks for 1 record again: for all changes since"
            " 2026-11-25 12:00 UTC" in ran.err
        )
    assert "1 of 6 records rejected" in ran.err
    assert "behind PEMS" in pulled("status").out
    assert "1 record since 2026-11-25 12:00 UTC" in pulled("status").out
    shown = pulled("status", "-o", "json").json["data"]
    assert (shown["behind"], shown["behindSince"]) == (1, "2026-11-25T12:00:00.000Z")
    found = {item["check"]: item for item in pulled("doctor", "-o", "json").json["data"]}
    assert found["baseline"]["result"] == "notice"
    assert "behind PEMS: 1 record since 2026-11-25 12:00 UTC" in found["baseline"]["finding"]
    assert found["baseline"]["cure"] == f"type: pfa sync show {shown['behindRunId']}"
    assert "H-002" in pulled("sync", "show", shown["behindRunId"]).out
    assert 'pfa_records_behind{organization="HOLNG"} 1' in pulled("metrics").out
    hold(pems, "H-002", source="Rental", pemsVersion="2026-11-25T12:00:00.000Z")
    ran = pulled("sync", "pull", "--incremental", "-o", "json")
    assert (ran.code, ran.json["metadata"]["behind"]) == (0, 0)
    assert "behind" not in pulled("status").out
    assert 'pfa_records_behind{organization="HOLNG"} 0' in pulled("metrics").out


def test_a_record_behind_since_an_unknown_time_is_said_too(pulled: Pfa, pems: Sandbox) -> None:
    hold(pems, "H-002", source="Lease", pemsVersion="once")
    ran = pulled("sync", "pull")
    assert ran.code == 3
    assert "for all of PEMS, since it is unknown when they were changed" in ran.err
    assert "1 record since an unknown time" in pulled("status").out


def test_a_resumed_pull_ends_with_3_for_what_was_refused_before_the_interruption(
    pulled: Pfa, pems: Sandbox
) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text("[profiles.default.pems]\nretry_delay = 0.01\ngrid.page_size = 3\n")
    config.chmod(0o600)
    hold(pems, "H-001", source="Lease")
    pems.faults = ["500:on=grid:after=1"]
    assert pulled("sync", "pull").code == 3
    pems.faults = []
    ran = pulled("sync", "pull")
    assert ran.code == 3
    assert "1 record rejected before the interruption" in ran.err


def hold(pems: Sandbox, pfa_id: str, **values: str) -> None:
    """PEMS holds these values of a record, whether pfa takes them or not."""
    held = pems.record(pfa_id)
    changed_at = values.get("pemsVersion", held.updated_at)
    with pems._state._lock:
        pems._state._records[held.organization, pfa_id] = replace(
            held, data={**held.data, **values}, updated_at=changed_at
        )
        pems._state.revision += 1


def test_a_push_has_the_promised_shape(pulled: Pfa) -> None:
    committed(pulled)
    ran = pulled("sync", "push", "-o", "json")
    assert ran.code == 0
    assert ran.json.keys() == {
        "runId", "status", "total", "synced", "altered", "rejected", "conflicts", "retrying",
        "metadata",
    }  # fmt: skip
    assert (ran.json["status"], ran.json["total"], ran.json["synced"]) == ("completed", 1, 1)
    assert "duration" in ran.json["metadata"]
    logged = pulled(
        "log", "--action", "begin", "--action", "push", "-o", "tsv", "--columns", "change"
    )
    assert logged.lines[-3:-1] == ["total=1, status=completed, synced=1", "direction=push"]


@pytest.mark.slow
def test_a_value_that_pems_stored_otherwise_ends_with_3_and_is_shown_with_both(
    pulled: Pfa, pems: Sandbox
) -> None:
    pems.faults = ["cuts:1:length=3"]
    committed(pulled, "H-001", value="model=Mobile")
    committed(pulled, "H-002", value="model=LTM")
    ran = pulled("sync", "push")
    assert ran.code == 3
    assert "H-001: PEMS stored model Mob, sent was Mobile" in ran.err.replace("H-001  ", "H-001: ")
    last = ran.err.splitlines()[-1]
    assert "1 stored with other values, 2 changes sent to PEMS [PEMS_ALTERED]" in last.replace(
        ";", ","
    )
    run = next(word for word in ran.out.split() if len(word) == 36)
    assert f"pfa sync show {run}" in ran.err
    shown = pulled("sync", "show", run, "-o", "json").json["data"]
    assert shown["run"]["counts"]["altered"] == 1
    first = shown["outcomes"][0]
    assert (first["pfaId"], first["outcome"], first["code"], first["message"]) == (
        "H-001", "synced", "PEMS_ALTERED", "PEMS stored model Mob, sent was Mobile",
    )  # fmt: skip
    assert (
        'pfa_run_records_total{organization="HOLNG",direction="push",outcome="altered"} 1'
        in pulled("metrics").out
    )
    again = pulled("sync", "push")
    assert (again.code, "nothing to push" in again.err) == (0, True)
    listed = [json.loads(line) for line in pulled("list", "-o", "jsonl").lines]
    assert {item["pfaId"]: item["data"]["model"] for item in listed}["H-001"] == "Mob"


@pytest.mark.long
def test_an_altered_change_beside_an_interruption_is_said_too(pulled: Pfa, pems: Sandbox) -> None:
    pems.faults = ["capitals"]
    committed(pulled, "H-001", "H-002", value="model=Mobile")
    ran = pulled("sync", "push", "--limit", "1")
    assert ran.code == 3
    assert "1 stored with other values; 1 change sent to PEMS, 1 not sent yet" in ran.err
    error = pulled("sync", "push", "--error-format", "json")
    assert error.code == 3
    failed = json.loads(error.err)["error"]
    assert (failed["code"], failed["retryable"]) == ("PEMS_ALTERED", False)


def test_nothing_to_push_is_no_failure(pulled: Pfa) -> None:
    ran = pulled("sync", "push")
    assert (ran.code, "nothing to push" in ran.err) == (0, True)


def test_a_push_before_the_next_attempt_says_when_that_is(pulled: Pfa, pems: Sandbox) -> None:
    committed(pulled)
    pems.faults = ["503:1:retry-after=300"]
    assert pulled("sync", "push").code == 69
    pems.faults = []
    early = pulled("sync", "push")
    assert (early.code, "nothing to push" in early.err) == (0, False)
    assert re.search(
        r"nothing was pushed; what failed before waits until 20[0-9-]+ [0-9:]+ UTC\n", early.err
    )
    assert "nothing to push" in pulled("sync", "push", "--session", "other").err


@pytest.mark.variants(1)
@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=["sent", "dry run"])
def test_a_session_that_is_not_known_is_hinted_at(pulled: Pfa, words: list[str]) -> None:
    assert pulled("draft", "set", "H-001", "model=A", "--into", "offer").code == 0
    push = ("sync", "push", *words, "--session")
    ran = pulled(*push, "offr")
    assert ran.code == 0
    assert "hint: no changes of a session 'offr'; did you mean offer?\n" in ran.err
    assert "hint: no changes of a session 'zz'\n" in pulled(*push, "zz").err
    assert "hint" not in pulled(*push, "zz", "-q").err
    assert "hint" not in pulled(*push, "offer").err


def test_a_service_without_read_is_refused_nothing_by_the_hint(pulled: Pfa) -> None:
    words = ("auth", "issue", "--service", "pusher", "--right", "sync", "--ttl", "1h", "-o", "json")
    token = pulled.folder / "pusher.token"
    token.write_text(pulled(*words).json["token"])
    token.chmod(0o600)
    before = pulled("log", "-o", "jsonl").out.count("permission_denied")
    ran = pulled("sync", "push", "--session", "zz", "--token-file", str(token))
    assert (ran.code, "nothing to push" in ran.err, "hint" in ran.err) == (0, True, False)
    assert pulled("log", "-o", "jsonl").out.count("permission_denied") == before


@pytest.mark.long
def test_a_retry_that_sent_nothing_in_time_says_what_is_left(
    pulled: Pfa, pems: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(pulled, "H-001", "H-002")
    kept = [item.data for item in pems.records]
    for pfa_id in ("H-001", "H-002"):
        pems.remove(pfa_id)
    pulled("sync", "push")
    pems.load(kept)
    with monkeypatch.context() as patch:
        soon = "pfa_cli.commands.sync.push.parse_duration"
        patch.setattr(soon, lambda _: timedelta(microseconds=1))
        late = pulled("sync", "retry", "--deadline", "1s")
    assert (late.code, "2 not sent yet" in late.err) == (3, True)
    assert "nothing to push" not in late.err
    assert pulled("sync", "retry", "-o", "json").json["synced"] == 2


def test_a_conflict_ends_with_3_and_leads_on(pulled: Pfa, pems: Sandbox) -> None:
    committed(pulled, "H-001", "H-002")
    pems.change("H-001", model="Theirs")
    ran = pulled("sync", "push")
    assert ran.code == 3
    assert "H-001: model was nothing, PEMS has Theirs, mine is New" in ran.err.replace(
        "model was ,", "model was nothing,"
    )
    assert "pfa conflict list" in ran.err
    assert "[BASELINE_CONFLICT]" in ran.err.splitlines()[-1]
    assert pulled("status", "-o", "json").json["data"]["nextCommand"] == "pfa conflict list"
    assert pulled("conflict", "resolve", "H-001", "--take", "mine").code == 0
    assert pulled("sync", "push").code == 0
    assert pems.record("H-001").data["model"] == "New"


def test_a_rejection_by_pems_is_reported_with_its_message_and_can_be_retried(
    pulled: Pfa, pems: Sandbox
) -> None:
    committed(pulled)
    pems.remove("H-001")
    ran = pulled("sync", "push")
    assert ran.code == 3
    assert "record H-001 was not found" in ran.err
    assert "[PEMS_REJECTED]" in ran.err.splitlines()[-1]
    letters = pulled("sync", "retry", "--dry-run", "-o", "jsonl")
    assert [json.loads(line)["pfaId"] for line in letters.lines] == ["H-001"]
    pems.load([{**baseline_record(1), "organization": "HOLNG"}])
    assert pulled("sync", "retry").code == 0
    assert pulled("sync", "retry", "--dry-run").err.endswith("no dead letters\n")


def test_a_dry_run_of_a_push_lists_what_it_would_send_without_contacting_pems(
    pulled: Pfa, pems: Sandbox
) -> None:
    committed(pulled)
    ran = pulled("sync", "push", "--dry-run", "-o", "jsonl")
    assert [json.loads(line)["delta"] for line in ran.lines] == [{"model": "New"}]
    assert pems.log == ()
    assert pulled("sync", "push", "-n", "-o", "csv").lines[0].startswith("pfaId,")


@pytest.mark.variants(1)
@pytest.mark.parametrize("command", [("sync", "pull"), ("sync", "push"), ("sync", "retry")])
def test_without_an_address_of_pems_it_is_78_and_the_variable_is_named(
    ready: Pfa, command: tuple[str, ...]
) -> None:
    ran = ready(*command)
    assert ran.code == 78
    assert "PFA_PEMS_URL" in ran.err


@pytest.mark.parametrize("command", [("sync", "pull"), ("sync", "push"), ("doctor",)])
def test_a_password_that_is_not_utf_8_is_78_and_named(
    pulled: Pfa, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PFA_PEMS_USERNAME", "ann")
    monkeypatch.setenv("PFA_PEMS_PASSWORD", "canary\udcff")
    ran = pulled(*command)
    assert ran.code == 78
    shown = ran.out + ran.err
    assert "the password of PEMS in PFA_PEMS_PASSWORD is not UTF-8 text" in shown
    assert "canary" not in shown


def test_a_pems_that_is_away_is_69(pulled: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_PEMS_URL", "http://127.0.0.1:9")
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text("[profiles.default.pems]\nretry_delay = 0.01\n")
    config.chmod(0o600)
    ran = pulled("sync", "pull", "--error-format", "json")
    assert ran.code == 69
    error = json.loads(ran.err)["error"]
    assert (error["code"], error["retryable"]) == ("PEMS_UNAVAILABLE", True)


def test_a_terminal_shows_every_wait_for_pems(pulled: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfa_cli.render.streams.is_terminal", lambda stream: stream is sys.stderr)
    monkeypatch.setenv("PFA_PEMS_URL", "http://127.0.0.1:9")
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text("[profiles.default.pems]\nretry_delay = 0.01\nretries = 3\n")
    config.chmod(0o600)
    lines = pulled("sync", "pull").err.splitlines()
    assert sum(line.endswith("next attempt in 1 s") for line in lines) == 3
    assert "next attempt in" not in pulled("sync", "pull", "-q").err


def test_another_run_at_work_is_75_or_skipped(pulled: Pfa) -> None:
    import psycopg

    with psycopg.connect(pulled.url) as conn:
        conn.execute(
            "INSERT INTO pfa_lease SELECT 'HOLNG', d, gen_random_uuid(), 'eve', clock_timestamp(),"
            " clock_timestamp() + interval '1 hour' FROM unnest('{pull,push}'::text[]) AS d"
        )
    for verb in ("pull", "push"):
        ran = pulled("sync", verb)
        assert ran.code == 75
        assert "[LEASE_HELD]" in ran.err
        ran = pulled("sync", verb, "--if-locked", "skip")
        assert (ran.code, "skipped" in ran.err) == (0, True)


def test_every_line_of_the_log_names_the_run_that_was_printed(pulled: Pfa, tmp_path: Path) -> None:
    committed(pulled)
    for verb in ("pull", "push"):
        file = tmp_path / f"{verb}.log"
        run = pulled("sync", verb, "-o", "json", "--log-file", str(file)).json["runId"]
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {line["run"] for line in lines} == {run}
        assert [lines[0]["event"], lines[-1]["event"]] == ["started", "ended"]


def test_files_and_options_about_pems_contradict_each_other(ready: Pfa) -> None:
    assert ready("sync", "pull", "--from", "x", "--incremental").code == 2
    assert ready("sync", "pull", "x.jsonl").code == 2
    assert ready("sync", "pull", "--since", "yesterday").code == 2


def start(*words: str) -> AbstractContextManager[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "pfa_cli", *words]
    return started(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_push_in_order(
    pulled: Pfa, pems: Sandbox, number: signal.Signals, code: int
) -> None:
    committed(pulled, *(f"H-00{place}" for place in NUMBERS))
    pems.faults = ["latency:300ms"]
    with start("sync", "push", "--concurrency", "1", "-o", "json") as child:
        while not any(entry.write.writer == "rest" for entry in pems.log):
            assert child.poll() is None
        child.send_signal(number)
        out, err = child.communicate(timeout=20)
    assert child.returncode == code
    assert "ending after the work in progress" in err
    ran = json.loads(out)
    assert 0 < ran["synced"] < 6
    assert f"{6 - ran['synced']} not sent yet; run pfa sync push to continue" in err
    pems.faults = []
    assert pulled("sync", "push", "-o", "json").json["synced"] == 6 - ran["synced"]


@pytest.mark.long
def test_an_interrupted_pull_says_what_it_kept(pulled: Pfa, pems: Sandbox) -> None:
    pems.faults = ["latency:1s"]
    with start("sync", "pull", "-o", "json") as child:
        while "running" not in pulled("sync", "runs", "-o", "json").out:
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert json.loads(out)["status"] == "partial"
    assert "the next pull resumes here" in err


def test_a_deadline_is_no_trouble_of_pems(pulled: Pfa, pems: Sandbox) -> None:
    committed(pulled, *(f"H-00{place}" for place in NUMBERS))
    said = pulled("sync", "push", "--rate", "2", "--deadline", "1s")
    assert said.code == 3
    assert "[DEADLINE_PASSED]" in said.err
    assert "error: the deadline passed; " in said.err
    assert " not sent yet" in said.err


@pytest.mark.long
def test_a_deadline_cuts_the_wait_for_a_retry(pulled: Pfa, pems: Sandbox) -> None:
    committed(pulled, *(f"H-00{place}" for place in NUMBERS))
    pems.faults = ["500:0.5:on=rest"]
    began = time.monotonic()
    said = pulled("sync", "push", "--deadline", "2s")
    assert time.monotonic() - began < 4
    assert said.code in (3, 69)
    if said.code == 3:
        assert "the deadline passed; " in said.err
        assert "run pfa sync push again" in said.err
    pems.faults = []


@pytest.mark.slow
def test_doctor_looks_at_pems(pulled: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, str]:
        items = pulled("doctor", "-o", "json").json["data"]
        return next(item for item in items if item["check"] == "PEMS")

    assert found()["result"] == "ok"
    monkeypatch.setenv("PFA_PEMS_URL", "http://127.0.0.1:9")
    assert (found()["result"], found()["exitCode"]) == ("problem", 69)
    monkeypatch.delenv("PFA_PEMS_URL")
    assert found()["result"] == "skipped"


@pytest.mark.long
def test_the_owner_of_a_field_settles_it_at_commit_and_at_push(pulled: Pfa, pems: Sandbox) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text('[profiles.default.pems.ownership]\nmodel = "mine"\nmanufacturer = "pems"\n')
    config.chmod(0o600)
    pulled("draft", "set", "H-001", "model=M", "manufacturer=M", "dor=PROJECT", "--into", "s")
    pems.change("H-001", model="Theirs", manufacturer="Theirs")
    assert pulled("sync", "pull").code == 0
    assert pulled("commit", "--session", "s").code == 0
    assert pulled("sync", "push").code == 0
    held = pems.record("H-001").data
    assert (held["model"], held["manufacturer"], held["dor"]) == ("M", "Theirs", "PROJECT")


@pytest.mark.long
def test_a_commit_tells_what_pems_keeps_from_what_it_has_and_how_it_comes_back(
    pulled: Pfa, pems: Sandbox
) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text('[profiles.default.pems.ownership]\nmodel = "pems"\n')
    config.chmod(0o600)
    pulled("draft", "set", "H-001", "model=M", "dor=PROJECT", "--into", "my work")
    pulled("draft", "set", "H-002", "model=M", "--into", "my work")
    pulled("draft", "set", "H-003", "model=Same", "--into", "my work")
    pems.change("H-001", model="Theirs")
    pems.change("H-002", model="Theirs")
    pems.change("H-003", model="Same")
    assert pulled("sync", "pull").code == 0
    ran = pulled("commit", "--session", "my work", "-o", "json")
    assert (ran.code, ran.json["committedCount"]) == (0, 1)
    assert ran.json["metadata"]["settled"] == ["H-002", "H-003"]
    assert ran.json["metadata"]["kept"] == [
        {"pfaId": "H-001", "fields": ["model"]},
        {"pfaId": "H-002", "fields": ["model"]},
    ]
    assert "1 draft removed: PEMS already has its values" in ran.err
    assert "PEMS keeps its model in 2 records: it owns these fields" in ran.err
    assert "type: pfa restore --session 'my work'" in ran.err
    ran = pulled("restore", "--session", "my work", "-o", "ids")
    assert (ran.code, ran.out.split()) == (0, ["H-001", "H-002"])


@pytest.mark.long
def test_the_same_by_id_names_the_record(pulled: Pfa, pems: Sandbox) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text('[profiles.default.pems.ownership]\nmodel = "pems"\n')
    config.chmod(0o600)
    for pfa_id in ("H-001", "H-002", "H-003"):
        pulled("draft", "set", pfa_id, "model=M", "--into", "s")
        pems.change(pfa_id, model="Theirs")
    assert pulled("sync", "pull").code == 0
    ran = pulled("commit", "--id", "H-001")
    assert ran.code == 0
    assert "removed" not in ran.err
    assert "PEMS keeps its model in 1 record: it owns these fields" in ran.err
    assert "hint: what was drafted there is kept, type: pfa restore --id H-001" in ran.err
    assert "type: pfa log --action settle" in pulled("commit", "--all").err
    assert pulled("restore", "--id", "H-001", "--id", "H-003").code == 0


@pytest.mark.variants(1)
@pytest.mark.parametrize("form", ["csv", "tsv --header", "json --all", "jsonl"])
@pytest.mark.parametrize("by_pipe", [False, True])
def test_what_a_list_wrote_comes_back_unchanged(
    pulled: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, by_pipe: bool
) -> None:
    name = form.split()[0]
    written = pulled("list", "-o", *form.split())
    assert written.code == 0
    file = tmp_path / f"listed.{name}"
    file.write_text(written.out)
    if by_pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    ran = pulled("sync", "pull", "--from", "-" if by_pipe else str(file), "-o", "json")
    assert (ran.code, ran.json["unchanged"], ran.json["updated"]) == (0, len(NUMBERS), 0)


def test_a_format_that_is_named_is_read_from_a_pipe(
    pulled: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"pfaId\nH-\\t9\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert pulled("sync", "pull", "--from", "-", "--format", "tsv", "-q").code == 9
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.replace(b"\\t", b"\\\\"))))
    assert pulled("sync", "pull", "--from", "-", "--format", "tsv", "-q").code == 0
    assert pulled("show", "H-\\9", "-o", "json").json["data"][0]["pfaId"] == "H-\\9"


def test_a_header_is_of_tsv(pulled: Pfa) -> None:
    listed = pulled("list", "-o", "tsv", "--header", "--columns", "pfaId,model", "--id", "H-001")
    assert [line.split("\t")[0] for line in listed.lines] == ["pfaId", "H-001"]
    refused = pulled("list", "-o", "csv", "--header")
    assert (refused.code, refused.out) == (2, "")
    assert "--header is of tsv, not of csv" in refused.err


def test_what_was_read_in_another_form_is_said_once_and_counted(
    pulled: Pfa, tmp_path: Path
) -> None:
    file = tmp_path / "in.csv"
    file.write_text("pfaId,model,\nN-1 ,a,\n,,\nN-2,\u00a0b,\n", encoding="utf-8")
    ran = pulled("sync", "pull", "--from", str(file), "-o", "json")
    found = ran.json["metadata"]
    assert (found["normalized"], found["emptyRows"], found["emptyColumns"]) == (2, 1, 1)
    assert "2 records stored without blanks or letter forms of their keys" in ran.err
    assert "passed over: 1 empty row and 1 empty column" in ran.err
    file.write_text("pfaId,model\nN-1,a\nN-2,b\n")
    ran = pulled("sync", "pull", "--from", str(file), "-o", "json")
    assert (ran.json["unchanged"], ran.json["metadata"]["normalized"]) == (2, 0)
    assert "passed over" not in ran.err


def test_a_text_for_nothing_is_declared_for_files(pulled: Pfa, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("pfaId,monthlyRate\nN-1,NULL\n")
    assert pulled("sync", "pull", "--from", str(file), "-q").code == 9
    assert pulled("sync", "pull", "--from", str(file), "--null", "NULL", "-q").code == 0
    refused = pulled("sync", "pull", "--null", "NULL")
    assert (refused.code, "--null is of files" in refused.err) == (2, True)


def test_a_pull_from_a_file_writes_its_log(pulled: Pfa, tmp_path: Path) -> None:
    file, log = tmp_path / "in.jsonl", tmp_path / "pull.log"
    file.write_text('{"pfaId":"N-1"}\n')
    ran = pulled("sync", "pull", "--from", str(file), "--log-file", str(log), "-o", "json")
    started_, ended = map(json.loads, log.read_text().splitlines())
    assert (started_["event"], started_["source"]) == ("started", "in.jsonl")
    assert (ended["event"], ended["status"], ended["inserted"]) == ("ended", "completed", 1)
    assert started_["run"] == ended["run"] == ran.json["runId"]


def test_the_names_of_pems_are_those_of_the_organization(
    pulled: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field_map = tmp_path / "map.toml"
    field_map.write_text(
        '[fields]\npfs_id = "pfaId"\npfs_a_org = "organization"\nrate = "monthlyRate"\n'
        '[transforms]\nmonthlyRate = { multiply = "4" }\n'
    )
    monkeypatch.setenv("PFA_PEMS_FIELD_MAP", str(field_map))
    monkeypatch.setenv("PFA_PEMS_ORGANIZATION", "HOLNG-P")
    file = tmp_path / "in.csv"
    file.write_text("pfs_id,pfs_a_org,rate\nN-1,HOLNG-P,100\nN-2,HOLNG,100\n")
    ran = pulled("sync", "pull", "--from", str(file), "-o", "json")
    assert (ran.code, ran.json["inserted"], ran.json["metadata"]["foreign"]) == (3, 1, 1)
    assert pulled("show", "N-1", "-o", "json").json["data"][0]["merged"]["monthlyRate"] == 400
