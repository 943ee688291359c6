"""The whole job through the command line, on a real database."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pfa_core.model.record import FIELDS
from pfa_core.store import connection, statistics
from tests.cli.conftest import as_before_keys_were_checked, baseline_record, write_lines
from tests.processes import started
from tests.program import Pfa, a_stage
from tests.server import url_of

WEATHER = {
    "sessionId": "weather",
    "organization": "HOLNG",
    "modifications": [
        {"pfaId": "H-002", "delta": {"forecastEnd": "2026-03-09"}, "changeReason": "Rain"},
        {"pfaId": "H-004", "delta": {"monthlyRate": 1000.50}},
    ],
}


@pytest.fixture
def weather(tmp_path: Path) -> str:
    file = tmp_path / "weather.json"
    file.write_text(json.dumps(WEATHER))
    return str(file)


def test_the_three_uses_work_literally(ready: Pfa, weather: str) -> None:
    listed = ready("list", "--org", "HOLNG", "--category", "Crane")
    assert [line.split("\t")[0] for line in listed.lines] == ["H-002", "H-004", "H-006"]
    assert ready("draft", "save", weather).code == 0
    assert ready("commit", "--session", "weather").code == 0


def test_init_may_be_repeated(pfa: Pfa) -> None:
    first, second = (pfa("init", "--org", "HOLNG", "-o", "json").json["data"] for _ in range(2))
    assert (first["organization"], first["created"], second["created"]) == ("HOLNG", True, False)


def test_a_pull_counts_what_it_did_and_the_second_changes_nothing(pfa: Pfa, tmp_path: Path) -> None:
    pfa("init", "--org", "HOLNG")
    one = write_lines(tmp_path / "one.jsonl", [baseline_record(1)])
    two = write_lines(tmp_path / "two.jsonl", [baseline_record(2)])
    first = pfa("sync", "pull", "--from", one, two, "-o", "json")
    second = pfa("sync", "pull", "--from", one, "--from", two, "-o", "json")
    assert first.code == second.code == 0
    run_id, metadata = first.json.pop("runId"), first.json["metadata"]
    assert run_id
    assert set(first.json) == {
        "runId",
        "status",
        "total",
        "inserted",
        "updated",
        "unchanged",
        "missing",
        "rejected",
        "metadata",
    }
    assert "duration" in metadata
    assert (first.json["inserted"], second.json["inserted"], second.json["unchanged"]) == (2, 0, 2)


def test_a_pull_with_bad_records_keeps_the_good_ones_and_ends_with_3(
    pfa: Pfa, tmp_path: Path
) -> None:
    pfa("init", "--org", "HOLNG")
    file = write_lines(
        tmp_path / "m.jsonl", [baseline_record(1), baseline_record(2, source="Lease")]
    )
    ran = pfa("sync", "pull", "--from", file)
    assert ran.code == 3
    assert "H-002 source:" in ran.err
    assert "m.jsonl line 2" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: 1 of 2 records rejected")
    run = pfa("sync", "runs", "-o", "ids").lines[0]
    assert pfa("sync", "show", run, "-o", "json").json["data"]["outcomes"][0]["pfaId"] == "H-002"
    assert pfa("list", "-o", "ids").lines == ["H-001"]


def test_a_page_behind_the_last_is_not_called_a_search_without_a_find(ready: Pfa) -> None:
    assert "this page is after the last of 6 records" in ready("list", "--page", "99").err
    assert "no record matches" in ready("list", "--category", "zzz", "--page", "99").err


@pytest.mark.parametrize(
    "words",
    [("list",), ("stats",), ("diff",), ("draft", "list"), ("conflict", "list"), ("list", "-o", "json"),
     ("draft", "set", "model=X"), ("draft", "shift", "3")],
    ids=" ".join,
)  # fmt: skip
def test_a_mistyped_filter_is_answered_with_a_suggestion(
    ready: Pfa, words: tuple[str, ...]
) -> None:
    ran = ready(*words, "--category", "Crain")
    assert "no record has category 'Crain'; did you mean 'Crane'?" in ran.err
    assert ran.code == (6 if words[-1] in ("model=X", "3") else 0)
    assert "did you mean" not in ready(*words, "--category", "Crane", "--source", "Purchase").err
    if words[0] != "draft" or words[1] == "list":
        assert "did you mean" not in ready(*words, "--category", "Crain", "-q").err


@pytest.mark.parametrize("words", [("list",), ("stats",), ("draft", "list")], ids=" ".join)
def test_an_organization_without_records_says_so(pfa: Pfa, words: tuple[str, ...]) -> None:
    pfa("init", "--org", "HOLNG")
    ran = pfa(*words)
    assert (ran.code, "HOLNG has no records yet" in ran.err) == (0, True)


def test_drafts_that_keep_their_sessions_are_reported_by_session(ready: Pfa) -> None:
    ready("draft", "set", "H-001", "model=A", "--into", "mine")
    ran = ready("draft", "set", "--all", "model=B", "-o", "json")
    fresh = ran.json["sessionId"]
    assert ran.json["metadata"]["sessions"] == {fresh: 5, "mine": 1}
    assert f"6 drafts saved in their sessions: {fresh} (5), mine (1)" in ran.err
    assert ran.err.endswith("next: pfa diff\n")
    again = ready("draft", "set", "H-001", "model=C", "-n")
    assert "1 draft saved in session mine (1 updated)" in again.err


def test_unset_of_an_unknown_field_suggests_one(ready: Pfa) -> None:
    ready("draft", "set", "H-001", "model=A")
    ran = ready("draft", "unset", "H-001", "modle")
    assert ran.code == 2
    assert "modle: unknown field; did you mean model?" in ran.err


def test_equal_problems_are_shown_once_with_their_number(ready: Pfa, tmp_path: Path) -> None:
    items = [{"pfaId": f"X-{number}", "delta": {"model": "A"}} for number in range(120)]
    file = tmp_path / "many.json"
    file.write_text(json.dumps(items))
    ran = ready("draft", "save", str(file))
    assert ran.code == 6
    assert ran.err.count("not found in HOLNG") == 1
    assert "  120 records: not found in HOLNG [NOT_FOUND]\n    X-0 (" in ran.err
    asked = json.loads(ready("draft", "save", str(file), "--error-format", "json").err)["error"]
    assert len(asked["details"]) == 120
    (group,) = asked["groups"]
    assert (group["code"], group["count"]) == ("NOT_FOUND", 120)
    assert group["examples"] == [f"X-{number}" for number in range(10)]


def test_of_very_many_problems_a_hundred_are_shown(ready: Pfa, tmp_path: Path) -> None:
    items = [{"pfaId": "H-001", "delta": {f"{number}th": number for number in range(120)}}]
    file = tmp_path / "many.json"
    file.write_text(json.dumps(items))
    ran = ready("draft", "save", str(file))
    assert ran.code == 9
    assert "  and 20 more (20 UNKNOWN_FIELD); all of them: --error-format json" in ran.err
    assert ran.err.count("unknown field (modification 1)") == 100


def test_init_again_does_not_propose_a_first_pull(pfa: Pfa) -> None:
    assert "next: pfa sync pull --org HOLNG --from FILE" in pfa("init", "--org", "HOLNG").err
    assert "next: pfa status --org HOLNG" in pfa("init", "--org", "HOLNG").err


def test_list_as_json_is_one_page_with_a_way_on(ready: Pfa) -> None:
    first = ready(
        "list", "-o", "json", "--page-size", "4", "--category", "Crane", "--category", "Loader"
    )
    assert first.json["pagination"] | {"next": None} == {
        "page": 1,
        "pageSize": 4,
        "totalRecords": 6,
        "totalPages": 2,
        "next": None,
    }
    assert first.json["metadata"]["filters"] == ["category"]
    assert first.json["metadata"]["organization"] == "HOLNG"
    assert set(first.json["data"][0]) == {
        "pfaId",
        "data",
        "syncState",
        "sessionId",
        "version",
        "modifiedAt",
        "modifiedBy",
    }
    cursor = first.json["pagination"]["next"]
    rest = ready(
        "list",
        "-o",
        "json",
        "--page-size",
        "4",
        "--after",
        cursor,
        "--category",
        "Crane",
        "--category",
        "Loader",
    )
    ids = [item["pfaId"] for ran in (first, rest) for item in ran.json["data"]]
    assert ids == [f"H-00{number}" for number in range(1, 7)]
    assert rest.json["pagination"]["next"] is None
    assert len(ready("list", "-o", "json", "--all").json["data"]) == 6


def test_every_format_holds_the_same_records(ready: Pfa) -> None:
    ids = [f"H-00{number}" for number in range(1, 7)]
    assert ready("list", "-o", "ids").lines == ids
    assert [json.loads(line)["pfaId"] for line in ready("list", "-o", "jsonl").lines] == ids
    rows = list(csv.DictReader(io.StringIO(ready("list", "-o", "csv").out)))
    assert [row["pfaId"] for row in rows] == ids
    assert list(rows[0]) == [
        *FIELDS,
        "syncState",
        "sessionId",
        "version",
        "modifiedAt",
        "modifiedBy",
    ]
    for name in ("table", "markdown", "tsv"):
        ran = ready("list", "-o", name).out
        assert [one for one in ids if one not in ran] == []


def test_limits_hold_in_every_format_and_a_table_says_how_to_get_the_rest(ready: Pfa) -> None:
    for name in ("ids", "tsv", "jsonl"):
        assert len(ready("list", "-o", name, "--limit", "2").lines) == 2
    table = ready("list", "-o", "table", "--limit", "2")
    assert len(table.lines) == 4
    assert "2 of 6 records" in table.err
    assert ready("list", "-o", "table", "--limit", "2", "-q").err == ""
    assert "of 6" not in ready("list", "-o", "table", "--limit", "0").err


def test_no_rows_is_not_an_error_and_the_closest_value_is_suggested(ready: Pfa) -> None:
    ran = ready("list", "--category", "Crnae")
    assert (ran.code, ran.out) == (0, "")
    assert "'Crane'" in ran.err
    assert ready("list", "--category", "Crnae", "-q").err == ""


def test_saving_shows_the_drafts_and_says_what_comes_next(ready: Pfa, weather: str) -> None:
    saved = ready("draft", "save", weather, "-o", "json")
    assert saved.json["sessionId"] == "weather"
    assert [(item["pfaId"], item["version"], item["status"]) for item in saved.json["saved"]] == [
        ("H-002", 1, "created"),
        ("H-004", 1, "created"),
    ]
    assert saved.json["errors"] == []
    assert "next: pfa diff weather" in saved.err
    again = ready("draft", "save", weather)
    assert "nothing to save: no value given differs from the record's (2 records)" in again.err


def test_a_dry_run_of_a_save_leaves_nothing(ready: Pfa, weather: str) -> None:
    ran = ready("draft", "save", weather, "--dry-run")
    assert ran.code == 0
    assert "dry run" in ran.err
    assert ready("draft", "list").out == ""


def test_all_faults_of_a_file_are_reported_at_once(ready: Pfa, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "bad.jsonl",
        [
            {"pfaId": "H-002", "delta": {"monthlyRate": -1}},
            {"pfaId": "H-004", "delta": {"colour": "red"}},
            {"pfaId": "H-006", "delta": {"dor": "PROJECT"}},
        ],
    )
    whole = ready("draft", "save", file, "--session", "s")
    assert (whole.code, whole.out) == (9, "")
    problems = whole.err.splitlines()
    assert [line.split(":")[0].strip() for line in problems[:2]] == [
        "H-002 monthlyRate",
        "H-004 colour",
    ]
    assert problems[-1].endswith("nothing was saved [INVALID_DATA]")
    assert ready("draft", "list").out == ""

    partial = ready("draft", "save", file, "--session", "s", "--partial", "-o", "json")
    assert partial.code == 3
    assert [item["code"] for item in partial.json["errors"]] == ["INVALID_RANGE", "UNKNOWN_FIELD"]
    assert json.loads(partial.err.splitlines()[-1])["error"]["exitCode"] == 3
    assert ready("draft", "list", "-o", "ids").lines == ["H-006"]


def test_a_diff_shows_before_after_and_the_cost(ready: Pfa, weather: str) -> None:
    assert ready("diff", "--exit-code").code == 0
    ready("draft", "save", weather)
    ran = ready("diff", "weather", "--exit-code")
    assert ran.code == 10
    assert [line.split("\t")[:4] for line in ran.lines] == [
        ["H-002", "forecastEnd", "2026-03-02", "2026-03-09"],
        ["H-004", "monthlyRate", "3044", "1000.5"],
    ]
    report = ready("diff", "-o", "json").json
    assert report["data"][0]["costEffect"] == Decimal("700.00")
    assert report["summary"]["records"] == 2
    total = sum(entry["costEffect"] for entry in report["data"])
    assert report["summary"]["costEffect"] == total


def test_a_diff_of_drafts_that_change_nothing_has_nothing_to_tell(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "model=NEW", "--into", "same").code == 0
    assert ready("diff", "same", "--exit-code").code == 10
    lines = (ready.folder / "mirror.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    changed = [{**item, "model": "NEW"} if item["pfaId"] == "H-001" else item for item in records]
    pulled = ready("sync", "pull", "--from", write_lines(ready.folder / "next.jsonl", changed))
    assert pulled.code == 0
    ran = ready("diff", "same", "--exit-code")
    assert (ran.code, "1 record, 0 fields" in ran.err) == (0, True)


def test_stats_move_with_my_drafts_but_the_plan_does_not(ready: Pfa, weather: str) -> None:
    before = ready("stats", "-o", "json").json["data"]
    ready("draft", "save", weather)
    after = ready("stats", "-o", "json").json["data"]
    assert after["cost"]["plan"] == before["cost"]["plan"]
    assert after["baseline_cost"] == before["cost"]
    assert (
        after["draft_impact"]
        == after["cost"]["forecast"]["total"] - before["cost"]["forecast"]["total"]
    )
    assert after["draft_count"] == 2
    grouped = ready("stats", "--by", "category,area-silo", "-o", "json").json["groups"]
    assert [group["key"] for group in grouped] == [
        {"category": "Crane", "areaSilo": "Silo 4"},
        {"category": "Loader", "areaSilo": "Jetty"},
    ]
    assert "variance" in ready("stats").out
    assert "drafted by you      2\n" in ready("stats").out
    ready("commit")
    committed = ready("stats").out  # what is not in PEMS yet moves the forecast still
    assert "drafted by you      0\n" in committed
    assert f"of it by your changes     {after['draft_impact']:+,.2f}" in committed
    assert ready("stats", "--baseline", "-o", "json").json["data"]["draft_impact"] == 0


def test_commit_uncommit_discard_go_round(ready: Pfa, weather: str) -> None:
    ready("draft", "save", weather)
    dry = ready("commit", "--session", "weather", "-n", "-o", "json")
    assert dry.json["committedCount"] == 2
    committed = ready("commit", "--session", "weather", "-o", "json").json
    assert set(committed) == {"sessionId", "committedCount", "committed", "conflicts", "metadata"}
    assert (committed["sessionId"], committed["committedCount"]) == ("weather", 2)
    versions = [(item["pfaId"], item["version"]) for item in committed["committed"]]
    assert versions == [("H-002", 2), ("H-004", 2)]
    again = ready("commit", "--session", "weather", "-o", "json")
    assert (again.code, again.json["committedCount"]) == (0, 0)
    assert "session weather is already committed: 2 changes\n" in again.err
    assert ready("list", "--state", "committed", "-o", "ids").lines == ["H-002", "H-004"]
    assert ready("discard", "--session", "weather").code == 7
    assert "1 change turned back into a draft\n" in ready("uncommit", "--id", "H-002").err
    ready("commit", "--id", "H-002")
    back = ready("uncommit", "--session", "weather", "-o", "json")
    assert back.json["uncommittedCount"] == 2
    assert "2 changes turned back into drafts\n" in back.err
    dropped = ready("discard", "--session", "weather", "-o", "json")
    assert (dropped.json["discardedCount"], dropped.json["discarded"]) == (2, ["H-002", "H-004"])
    assert ready("commit").code == 6
    assert ready("discard", "--session", "nowhere").code == 6


def test_a_baseline_that_moved_stops_the_commit_and_names_the_field(
    ready: Pfa, weather: str, tmp_path: Path
) -> None:
    ready("draft", "save", weather)
    moved = [baseline_record(number) for number in range(1, 7)]
    moved[1]["forecastEnd"] = "2026-05-01"
    ready("sync", "pull", "--from", write_lines(tmp_path / "moved.jsonl", moved))
    whole = ready("commit", "--session", "weather")
    assert whole.code == 7
    assert "H-002 forecastEnd:" in whole.err
    assert whole.err.splitlines()[-1].endswith("[BASELINE_CONFLICT]")
    partial = ready("commit", "--session", "weather", "--partial", "-o", "json")
    assert partial.code == 3
    assert partial.json["committedCount"] == 1
    assert partial.json["conflicts"][0]["fields"] == [
        {"field": "forecastEnd", "base": "2026-03-02", "mine": "2026-03-09", "pems": "2026-05-01"}
    ]
    assert "changed in PEMS as well since your draft" in ready("show", "H-002").out


def test_small_edits_need_no_file(ready: Pfa) -> None:
    ran = ready(
        "draft", "set", "H-002", "H-004", "dor=PROJECT", "monthlyRate=10.10", "--session", "s"
    )
    assert ran.code == 0
    shown = ready("show", "H-002", "-o", "json").json["data"][0]
    assert shown["mine"] == {"dor": "PROJECT", "monthlyRate": Decimal("10.10")}
    assert shown["modifications"][0]["sessionId"] == "s"
    assert ready("draft", "unset", "H-002", "dor").code == 0
    assert ready("show", "H-002", "-o", "json").json["data"][0]["mine"] == {
        "monthlyRate": Decimal("10.10")
    }
    assert "* " in ready("show", "H-002").out
    assert ready("draft", "set", "H-999", "dor=PROJECT").code == 6
    assert ready("draft", "set", "H-002", "dor=HQ").code == 9


def test_filters_choose_what_is_shifted_and_days_may_be_negative(ready: Pfa) -> None:
    ran = ready("draft", "shift", "-14", "--area-silo", "Silo 4", "--into", "early", "-o", "ids")
    assert ran.lines == ["H-002", "H-004", "H-006"]
    assert ready(
        "list", "--id", "H-002", "-o", "tsv", "--columns", "forecastStart,forecastEnd,sessionId"
    ).lines == ["2026-01-19\t2026-02-16\tearly"]
    assert ready("draft", "shift", "1", "--session", "early").code == 0
    assert len(ready("draft", "list").lines) == 3


def test_the_log_shows_who_changed_what(ready: Pfa, weather: str) -> None:
    ready("draft", "save", weather)
    entries = [json.loads(line) for line in ready("log", "H-002", "-o", "jsonl").lines]
    assert [(entry["action"], entry["sessionId"], entry["reason"]) for entry in entries] == [
        ("save", "weather", "Rain")
    ]
    assert "forecastEnd=2026-03-09" in ready("log", "--session", "weather").out


def test_status_shows_drafts_and_the_next_command(ready: Pfa, weather: str) -> None:
    assert ready("status", "--exit-code").code == 0
    ready("draft", "save", weather)
    ran = ready("status", "--exit-code")
    assert ran.code == 10
    assert "weather" in ran.out
    report = ready("status", "-o", "json").json["data"]
    assert (report["organization"], report["recordCount"], report["drafts"]) == ("HOLNG", 6, 2)


def test_the_doctor_finds_all_well_or_suggests_the_fix(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ready("doctor").code == 0
    monkeypatch.setenv("PFA_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    sick = ready("doctor")
    assert sick.code == 69
    assert "fix:" in sick.out
    assert "secret" not in sick.out + sick.err


def test_the_doctor_names_large_tables_that_were_never_analyzed(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a restored dump; an upgrade analyzes them."""

    def schema() -> dict[str, str]:
        findings = ready("doctor", "-o", "json").json["data"]
        return next(item for item in findings if item["check"] == "schema")

    monkeypatch.setattr(statistics, "LARGE", ("pfa_mirror", "restored"))
    with psycopg.connect(ready.url, autocommit=True) as owner:
        owner.execute(
            "CREATE TABLE restored AS SELECT repeat('x', 999) FROM generate_series(1, 2000)"
        )
        found = schema()
        assert (found["result"], found["cure"]) == ("notice", "type: pfa db upgrade")
        assert "never analyzed: restored, so" in found["finding"]
        owner.execute("ANALYZE restored")
        assert schema()["result"] == "ok"
        owner.execute("DROP TABLE restored")


def test_the_doctor_ends_with_the_code_of_what_it_found(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as any other command that finds it."""
    url = os.environ["PFA_DATABASE_URL"]
    login = conninfo_to_dict(url)["user"]
    # The tests' server trusts everyone: a user that it does not know is what it refuses.
    stranger = url_of({**conninfo_to_dict(url), "user": "nobody_here"})

    def limit(number: int) -> None:
        with psycopg.connect(ready.url, autocommit=True) as owner:
            owner.execute(f"ALTER ROLE {login} CONNECTION LIMIT {number}")

    monkeypatch.setattr(connection, "LIMITED_SECONDS", 0.2)
    ready.connect_anew()
    limit(0)
    try:
        full = ready("doctor"), ready("list")
    finally:
        limit(-1)
    monkeypatch.setenv("PFA_DATABASE_URL", stranger)
    refused = ready("doctor"), ready("list")
    assert [[ran.code for ran in pair] for pair in (full, refused)] == [[69, 69], [78, 78]]


def test_rights_are_those_of_the_role(ready: Pfa, weather: str, tmp_path: Path) -> None:
    issued = ready("auth", "issue", "--user", "vera", "--role", "viewer", "--ttl", "1h")
    assert issued.err == ""
    token = tmp_path / "vera.token"
    token.write_text(issued.out)
    token.chmod(0o600)
    assert ready("list", "--token-file", str(token), "-o", "ids").code == 0
    refused = ready("draft", "save", weather, "--token-file", str(token))
    assert (refused.code, refused.err.splitlines()[-1].endswith("[PERMISSION_DENIED]")) == (5, True)
    assert ready("user", "grant", "vera", "--role", "editor").code == 0
    assert [line.split("\t")[:2] for line in ready("user", "list").lines][1] == ["vera", "editor"]
    assert ready("user", "revoke", "vera").code == 0
    assert ready("list", "--token-file", str(token)).code == 5


def test_a_token_comes_in_through_a_pipe(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    token = ready("auth", "issue", "--user", "vera", "--role", "viewer").out
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    assert ready("auth", "login").code == 0
    assert ready("auth", "status", "-o", "json").json["data"]["userId"] == "vera"
    assert ready("auth", "logout").code == 0
    assert ready("list").code == 4


def test_a_dry_run_of_members_and_organizations_says_nothing_that_was_not_done(
    ready: Pfa,
) -> None:
    assert ready("user", "grant", "vera", "--role", "viewer").code == 0
    gone = "vera is no longer a member of HOLNG"
    assert ready("user", "revoke", "vera", "-n").err == f"dry run, rolled back: {gone}\n"
    assert ready("org", "add", "RIO", "-n").err == "dry run, rolled back\n"
    assert len(ready("user", "list").lines) == 2
    assert len(ready("org", "list").lines) == 1

    assert ready("user", "revoke", "vera").err == f"{gone}\n"
    hint = "several organizations; to work in this one type: pfa org use RIO"
    assert hint in ready("org", "add", "RIO").err


def test_organizations_are_added_and_then_must_be_named(ready: Pfa) -> None:
    assert ready("org", "add", "RIO", "--name", "Rio Grande").code == 0
    assert [line.split("\t")[0] for line in ready("org", "list").lines] == ["HOLNG", "RIO"]
    assert ready("list").code == 2
    assert ready("list", "--org", "RIO").out == ""
    assert len(ready("--org", "HOLNG", "list").lines) == 6
    assert ready("list", "--org", "NOPE").code == 5


def test_the_database_describes_itself(ready: Pfa) -> None:
    assert ready("db", "url").out == ready.url + "\n"
    status = ready("db", "status", "-o", "json").json["data"]
    assert (status["kind"], status["reachable"]) == ("server", True)
    assert ready("db", "upgrade").out.endswith("up to date\n")


@pytest.mark.long
def test_a_schema_that_is_missing_is_made_by_upgrade(
    pfa: Pfa, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_DATABASE_URL", empty_database_url)
    init = ("init", "--org", "HOLNG")
    assert alone(*init) == 78
    assert pfa("db", "upgrade", "--dry-run").code == 0
    assert alone(*init) == 78
    assert pfa("db", "upgrade").code == 0
    assert pfa("init", "--org", "HOLNG").code == 0


def test_what_data_holds_cannot_reach_a_terminal(ready: Pfa, tmp_path: Path) -> None:
    odd = baseline_record(9, category="a\x1b[31mb\nc", manufacturer="x|y")
    with as_before_keys_were_checked():
        ready("sync", "pull", "--from", write_lines(tmp_path / "odd.jsonl", [odd]))
    for name in ("table", "markdown"):
        ran = ready("list", "-o", name).out
        assert "\x1b" not in ran
        assert r"a\x1b[31mb\nc" in ran
    rows = list(csv.reader(io.StringIO(ready("list", "--id", "H-009", "-o", "csv").out)))
    assert "a\x1b[31mb\nc" in rows[1]


def start(*words: str, stdout: Any = subprocess.PIPE) -> AbstractContextManager[Any]:
    argv = [sys.executable, "-m", "pfa_cli", *words]
    return started(argv, stdout=stdout, stderr=subprocess.PIPE)


def alone(*words: str) -> int:
    with start(*words) as process:
        return process.wait(20)


@a_stage
def many(pfa: Pfa) -> None:
    """More records than a pipe takes in at once."""
    pfa("init", "--org", "HOLNG")
    items = [baseline_record(number % 27 + 1, pfaId=f"H-{number:05}") for number in range(3000)]
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "many.jsonl", items)).code == 0


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_stream_quietly(number: int, code: int, many: None) -> None:
    with start("list", "-o", "jsonl") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(number)
        process.stdout.close()
        assert process.wait(20) == code
        assert process.stderr.read() == b""


@pytest.mark.variants(1)
@pytest.mark.parametrize("name", ["jsonl", "csv", "table", "json"])
def test_a_reader_that_goes_away_ends_the_program_quietly(name: str, many: None) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("list", "-o", name, "--limit", "40", stdout=writing) as process:
        os.close(writing)
        assert process.stderr
        assert process.wait(20) == 141
        assert process.stderr.read() in (
            b"",
            b"40 of 3,000 records; --limit 0 shows all, -o csv or -o jsonl streams them\n",
        )


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("words", [["list", "-o", "jsonl"], ["stats"], ["--version"]], ids=" ".join)
def test_a_full_disk_is_an_error_not_a_loss(words: list[str], many: None) -> None:
    with Path("/dev/full").open("wb") as full, start(*words, stdout=full) as process:
        assert process.stderr
        assert process.wait(20) == 74
        assert b"[IO_ERROR]" in process.stderr.read().replace(b'"code":"IO_ERROR"', b"[IO_ERROR]")
