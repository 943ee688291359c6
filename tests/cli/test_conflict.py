"""`pfa conflict …`: what a person sees of a conflict, and how it ends."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pfa_core.model.ids import new_id
from pfa_core.store import conflicts
from pfa_core.store.conflicts import NewConflict
from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.program import Pfa, a_stage

COLUMNS = [
    "conflictId",
    "pfaId",
    "field",
    "base",
    "mine",
    "pems",
    "pemsNow",
    "sessionId",
    "createdAt",
    "status",
    "resolution",
    "taken",
    "value",
    "resolvedBy",
    "resolvedAt",
    "modifiedBy",
    "changeReason",
    "modificationId",
]


def pems_has(pfa: Pfa, folder: Path, number: int, **changes: Any) -> None:
    file = write_lines(folder / "again.jsonl", [baseline_record(number, **changes)])
    assert pfa("sync", "pull", "--from", file).code == 0


@a_stage
def disputed(pfa: Pfa) -> None:
    """H-002 and H-004 in conflict with PEMS about their rate, as a push would have left them."""
    six_records(pfa)
    for number in (2, 4):
        pfa("draft", "set", f"H-00{number}", "monthlyRate=600", "dor=PROJECT", "--into", "rain")
    assert pfa("commit", "--session", "rain").code == 0
    for number in (2, 4):
        pems_has(pfa, pfa.folder, number, monthlyRate=700)
    with psycopg.connect(pfa.url) as conn:
        rows = conn.execute(
            "UPDATE pfa_modification SET state = 'conflict', attempts = 1"
            " RETURNING modification_id::text, pfa_id, user_id"
        ).fetchall()
        fields = [{"field": "monthlyRate", "base": 3044, "mine": 600, "pems": 700}]
        opened = [
            NewConflict(
                conflict_id=str(new_id()),
                modification_id=key,
                pfa_id=pfa,
                user_id=user,
                fields=fields,
            )
            for key, pfa, user in rows
        ]
        conflicts.insert(conn, "HOLNG", opened, datetime.now(UTC))


def test_none_at_all_is_said_and_is_no_failure(ready: Pfa) -> None:
    ran = ready("conflict", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "no unresolved conflicts\n")
    assert ready("conflict", "list", "-o", "json").json["data"] == []
    assert ready("conflict", "resolve", "--all", "--take", "mine").code == 0


def test_the_list_shows_each_field_and_the_next_command(disputed: Pfa) -> None:
    ran = disputed("conflict", "list", "-o", "table")
    assert ran.lines[0].split() == [
        "pfaId", "field", "base", "mine", "pems", "sessionId", "age",
    ]  # fmt: skip
    assert [line.split()[:6] for line in ran.lines[2:]] == [
        [pfa_id, "monthlyRate", "3044", "600", "700", "rain"] for pfa_id in ("H-004", "H-002")
    ]
    assert ran.err == "2 open conflicts; next: pfa conflict show H-004\n"
    assert len(disputed("conflict", "list", "--limit", "1").lines) == 1
    assert len(disputed("conflict", "list", "--id", "H-002").lines) == 1
    assert disputed("conflict", "list", "--category", "Loader").out == ""


def test_the_json_has_the_promised_shape(disputed: Pfa) -> None:
    ran = disputed("conflict", "list", "-o", "json")
    first = ran.json["data"][0]
    assert first["fields"] == [{"field": "monthlyRate", "base": 3044, "mine": 600, "pems": 700}]
    assert {"conflictId", "pfaId", "status", "modifiedBy", "createdAt"} <= first.keys()
    assert (first["pfaId"], first["status"], first["pemsNow"]) == ("H-004", "unresolved", {})
    assert ran.json["metadata"]["organization"] == "HOLNG"
    lines = disputed("conflict", "list", "-o", "jsonl").lines
    assert [json.loads(line)["pfaId"] for line in lines] == ["H-004", "H-002"]
    assert json.loads(lines[0])["conflictId"] == first["conflictId"]
    ids = disputed("conflict", "list", "-o", "ids").lines
    assert ids[0] == first["conflictId"]
    rows = list(csv.DictReader(io.StringIO(disputed("conflict", "list", "-o", "csv").out)))
    assert list(rows[0]) == COLUMNS


def test_a_conflict_is_shown_as_a_page_with_the_choices(disputed: Pfa, tmp_path: Path) -> None:
    ran = disputed("conflict", "show", "H-002")
    assert ran.lines[0] == "H-002: unresolved"
    assert "rain" in ran.out
    assert "field        base  pems  mine  merged" in ran.out
    assert "monthlyRate  3044   700   600     600" in ran.out
    assert ran.err.startswith("next: pfa conflict resolve H-002 --take mine")
    pems_has(disputed, tmp_path, 2, monthlyRate=800)
    assert "PEMS changed again since: monthlyRate 800" in disputed("conflict", "show", "H-002").out
    as_json = disputed("conflict", "show", "H-002", "-o", "json").json["data"]
    assert as_json["pemsNow"] == {"monthlyRate": 800}
    assert disputed("conflict", "show", "H-001").code == 6


@pytest.mark.parametrize(
    ("words", "resolution", "state", "rate"),
    [
        (("--take", "mine"), "mine", "committed", "600"),
        (("--take", "pems"), "pems", "committed", "700"),
        (("--take", "monthlyRate=pems"), "pems", "committed", "700"),
        (("--set", "monthlyRate=650.50"), "merged", "committed", "650.50"),
        (("--take", "mine", "--take", "monthlyRate=pems"), "pems", "committed", "700"),
    ],
)
def test_each_way_to_settle(
    disputed: Pfa, words: tuple[str, ...], resolution: str, state: str, rate: str
) -> None:
    ran = disputed("conflict", "resolve", "H-002", *words, "-o", "json")
    assert ran.code == 0
    assert ran.json["resolvedCount"] == 1
    (item,) = ran.json["resolved"]
    assert (item["pfaId"], item["resolution"], item["state"]) == ("H-002", resolution, state)
    assert ran.err.splitlines()[-1] == "next: pfa sync push"
    assert disputed("list", "--id", "H-002", "--columns", "monthlyRate").lines == [rate]
    assert (
        disputed("conflict", "list", "-o", "ids").lines
        == disputed("conflict", "list", "--id", "H-004", "-o", "ids").lines
    )


def test_all_of_them_by_filter_or_all_and_then_they_are_history(disputed: Pfa) -> None:
    assert disputed("conflict", "resolve", "--category", "Crane", "--take", "mine").code == 0
    assert disputed("conflict", "list").out == ""
    ran = disputed("conflict", "list", "--status", "resolved", "-o", "table")
    assert ran.lines[0].split()[-4:] == ["taken", "value", "resolvedBy", "resolvedAt"]
    assert len(ran.lines) == 4
    one = ran.lines[2].split()[0]
    again = disputed("conflict", "resolve", one, "--take", "mine")
    assert (again.code, "resolved already" in again.err) == (7, True)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(disputed: Pfa) -> None:
    ran = disputed("conflict", "resolve", "--all", "--take", "pems", "-n")
    assert ran.code == 0
    assert ran.err == ("dry run, rolled back: 2 conflicts resolved: 2 re-queued, 0 dropped\n")
    assert len(disputed("conflict", "list").lines) == 2


def test_where_pems_moved_again_it_is_refused_or_left_open(disputed: Pfa, tmp_path: Path) -> None:
    pems_has(disputed, tmp_path, 2, monthlyRate=800)
    ran = disputed("conflict", "resolve", "--all", "--take", "mine")
    assert ran.code == 7
    assert "PEMS has 800 now, had 700 before" in ran.err
    pems_has(disputed, tmp_path, 2, monthlyRate=900)
    ran = disputed("conflict", "resolve", "--all", "--take", "mine", "--partial")
    assert ran.code == 3
    assert ran.err.splitlines()[-1] == (
        "error: 1 conflict still open, 1 resolved [BASELINE_CONFLICT]"
    )
    assert disputed("conflict", "list", "--columns", "pfaId,pems").lines == ["H-002\t900"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("H-002",), 2),
        (("--take", "mine"), 2),
        (("H-002", "--all", "--take", "mine"), 2),
        (("H-002", "--take", "theirs"), 2),
        (("H-002", "--take", "mine", "--take", "pems"), 2),
        (("H-002", "--take", "=mine"), 2),
        (("H-002", "--take", "dor=mine", "--take", "dor=pems"), 2),
        (("H-002", "--take", "model=mine"), 2),
        (("H-002", "--set", "dor=BEO"), 2),
        (("H-002", "--set", "monthlyRate"), 2),
        (("H-002", "--set", "monthlyRate=-1"), 9),
        (("H-001", "--take", "mine"), 6),
        (("--category", "Loader", "--take", "mine"), 6),
    ],
)
def test_what_is_unclear_or_nowhere_changes_nothing(
    disputed: Pfa, words: tuple[str, ...], code: int
) -> None:
    assert disputed("conflict", "resolve", *words).code == code
    assert len(disputed("conflict", "list").lines) == 2


def test_an_admin_looks_at_and_settles_another_member_s(disputed: Pfa) -> None:
    with psycopg.connect(disputed.url) as conn:
        conn.execute("UPDATE pfa_modification SET user_id = 'bob'")
        conn.execute("UPDATE pfa_overlay SET user_id = 'bob'")
        conn.execute("UPDATE pfa_sync_conflict SET user_id = 'bob'")
    assert disputed("conflict", "list").out == ""
    ran = disputed("conflict", "list", "--user", "bob")
    assert ran.err.endswith("next: pfa conflict show H-004 --user bob\n")
    assert disputed("conflict", "resolve", "H-004", "--take", "pems", "--user", "bob").code == 0
    assert len(disputed("conflict", "list", "--user", "bob").lines) == 1


def test_control_characters_never_reach_the_terminal(disputed: Pfa) -> None:
    fields = [{"field": "monthlyRate", "base": "\x1b[2J", "mine": 600, "pems": 700}]
    with psycopg.connect(disputed.url) as conn:
        conn.execute("UPDATE pfa_sync_conflict SET fields = %s", (Jsonb(fields),))
    for words in (("list", "-o", "table"), ("show", "H-002")):
        assert "\x1b" not in disputed("conflict", *words).out
