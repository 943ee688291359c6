"""`pfa changes`, `pfa blame`, `pfa show --history` and `pfa log --pems` as people and programs see them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pfa_cli.framework.moments import parse_window
from pfa_cli.render.history import event_row
from pfa_core.errors import InvalidRequest
from pfa_core.model.audit import Direction
from pfa_core.model.changes import ChangeKind, RecordChange
from pfa_core.model.ids import PfaId, RunId, UserId
from tests.cli.conftest import baseline_record
from tests.factories import a_jsonl_file
from tests.forms import long
from tests.program import Pfa, a_stage

RUN = "018f6d5e-7c1a-7000-8000-0242ac120002"


@a_stage
def morning(pfa: Pfa) -> None:
    """H-001 to H-003; a night later H-001 is dearer, H-002 ends later and costs more, H-004 is new."""
    assert pfa("init", "--org", "HOLNG").code == 0
    first = [baseline_record(number) for number in (1, 2, 3)]
    night = [
        {**first[0], "monthlyRate": 4000},
        {**first[1], "forecastEnd": "2026-12-31", "monthlyRate": 5000},
        baseline_record(4),
    ]
    for records in (first, night):
        path = a_jsonl_file(pfa.folder, records)
        assert pfa("sync", "pull", "--from", str(path)).code == 0


def run(pfa: Pfa) -> str:
    return pfa("sync", "runs", "--limit", "1", "-o", "ids").out.strip()


def test_a_line_a_field_and_the_effect_in_the_first_of_a_record(morning: Pfa) -> None:
    shown = morning("changes", "--run", run(morning), "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [(row["pfaId"], row["change"], row["field"]) for row in rows] == [
        ("H-001", "changed", "monthlyRate"),
        ("H-002", "changed", "monthlyRate"),
        ("H-002", "changed", "forecastEnd"),
        ("H-004", "new", ""),
    ]
    effects = [row["costEffect"] for row in rows]
    assert (effects[2], all(effects[:2]), bool(effects[3])) == ("", True, True)
    total = sum(Decimal(effect) for effect in effects if effect)
    assert shown.err.endswith(f"3 records (2 changed, 1 new), forecast cost +{total:,.2f}\n")
    assert {row["direction"] for row in rows} == {"pull"}


def test_a_table_has_signs_and_the_sums(morning: Pfa) -> None:
    shown = morning("changes", "--run", run(morning), "-o", "table", "--limit", "1")
    assert shown.lines[0].split() == [
        "pfaId", "change", "field", "before", "after", "costEffect", "changedAt"
    ]  # fmt: skip
    assert "+" in shown.lines[2]
    assert "1 of 3 records; --limit 0 shows all" in shown.err
    whole = morning("changes", "--run", run(morning), "-o", "table", "--limit", "0")
    assert [line.split()[0] for line in whole.lines[2:]] == ["H-001", "H-002", "H-002", "H-004"]


def test_lines_ids_and_columns_are_those_of_other_lists(morning: Pfa) -> None:
    words = ("changes", "--run", run(morning))
    lines = [json.loads(line) for line in morning(*words, "-o", "jsonl").lines]
    assert [(line["pfaId"], len(line["changes"])) for line in lines] == [
        ("H-001", 1),
        ("H-002", 2),
        ("H-004", 0),
    ]
    assert morning(*words, "-o", "ids").lines == ["H-001", "H-002", "H-004"]
    assert morning(*words, "--columns", "pfaId,field").lines[0] == "H-001\tmonthlyRate"
    assert morning(*words, "--quiet", "-o", "ids").err == ""


def test_a_run_names_the_records_it_changed(morning: Pfa) -> None:
    shown = morning("sync", "show", run(morning), "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [(row["pfaId"], row["outcome"]) for row in rows] == [
        ("H-001", "changed"),
        ("H-002", "changed"),
        ("H-004", "new"),
    ]
    assert rows[0]["message"].startswith("monthlyRate: ")
    assert rows[0]["message"].endswith(" → 4000")
    few = morning("sync", "show", run(morning), "--limit", "1", "-o", "ids")
    assert few.lines == ["H-001"]
    assert f"all of them: pfa changes --run {run(morning)} --limit 0" in few.err


def test_a_history_and_the_log_of_pems_say_who_and_what(morning: Pfa) -> None:
    history = morning("show", "H-001", "--history", "-o", "table")
    assert [line.split()[1:3] for line in history.lines[-2:]] == [
        ["PEMS", "changed"],
        ["PEMS", "new"],
    ]
    assert "→ 4000" in history.out
    newest = morning("show", "H-001", "H-002", "--history", "--limit", "1", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(newest.out)))
    assert [(row["pfaId"], row["event"], row["from"]) for row in rows] == [
        ("H-001", "changed", "pems"),
        ("H-002", "changed", "pems"),
    ]
    assert "the newest 1 events; --limit N shows more" in newest.err
    log = morning("log", "--pems", "-o", "ids").lines
    assert log == ["H-001", "H-002", "H-004", "H-001", "H-002", "H-003"]
    assert morning("log", "H-003", "--pems", "-o", "ids").lines == ["H-003"]


def test_the_log_of_pems_does_not_name_who_pushed_as_an_author() -> None:
    change = RecordChange(
        pfa_id=PfaId("H-001"), change=ChangeKind.CHANGED, changed_at=datetime.now(UTC), changes=(),
        cost_effect=None, version=2, run_id=RunId(RUN), direction=Direction.PUSH,
        run_by=UserId("root"),
    )  # fmt: skip
    assert event_row(change, for_people=True)["by"] == "push of root"
    pulled = replace(change, direction=Direction.PULL)
    assert event_row(pulled, for_people=True)["by"] == "PEMS"


def test_blame_has_a_line_for_each_field_with_its_run(morning: Pfa) -> None:
    assert morning("draft", "set", "H-001", "areaSilo=Quay", "--into", "mine").code == 0
    rows = list(csv.DictReader(io.StringIO(morning("blame", "H-001", "-o", "csv").out)))
    found = {row["field"]: row for row in rows}
    assert (found["monthlyRate"]["value"], found["monthlyRate"]["runId"]) == ("4000", run(morning))
    assert (found["areaSilo"]["from"], found["areaSilo"]["sessionId"]) == ("mine", "mine")
    assert found["class"]["runId"] != run(morning)
    page = morning("blame", "H-001", "-o", "table").lines
    assert page[0].split()[:4] == ["field", "value", "by", "at"]


def test_amounts_are_masked_for_who_may_not_see_them(morning: Pfa, monkeypatch) -> None:
    granted = morning("user", "grant", "vera", "--role", "viewer", "--without", "view_financials")
    assert granted.code == 0
    token = morning("auth", "issue", "--user", "vera").out.strip()
    words = run(morning)
    monkeypatch.setenv("PFA_TOKEN", token)
    shown = morning("changes", "--run", words, "-o", "table")
    assert "4000" not in shown.out
    assert "monthlyRate" in shown.out
    assert "forecast cost masked" in shown.err
    for line in (
        ("log", "--pems"),
        ("show", "H-001", "--history"),
        ("blame", "H-001"),
        ("sync", "show", words),
    ):
        seen = morning(*line, "-o", "table")
        assert "4000" not in seen.out
        assert "masked" in seen.out
    assert morning("changes", "--sort", "costEffect").code == 5
    assert morning("changes", "--where", "monthlyRate > 1").code == 5


def test_nothing_changed_says_so_and_ends_with_0(morning: Pfa) -> None:
    nothing = morning("changes", "--since", "0s")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no changes in PEMS\n")
    unknown = morning("changes", "--category", "Crain")
    assert (unknown.code, unknown.out) == (0, "")
    assert "no record has category 'Crain'" in unknown.err
    log = morning("log", "--pems", "--since", "0s")
    assert (log.code, log.out, log.err) == (0, "", "hint: nothing changed in PEMS\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("changes", "--run", RUN), 6, f"run not found: '{RUN}'"),
        (("changes", "--run", RUN, "--since", "1h"), 2, "--run cannot be combined with"),
        *long(
            [
                (("changes", "--since", RUN), 6, f"run not found: '{RUN}'"),
                (("changes", "--since", "yesterday"), 2, "invalid time 'yesterday'"),
                (("changes", "--sort", "cost"), 2, "cannot sort by 'cost'"),
                (("changes", "--after", "x"), 2, "invalid cursor"),
                (("log", "--pems", "--action", "save"), 2, "--pems and --action"),
                (("log", "--pems", "--user", "ann"), 2, "--pems and --user"),
                (("show", "H-001", "--limit", "3"), 2, "--limit needs --history"),
                (("blame", "H-1"), 6, "did you mean H-001?"),
            ]
        ),
        (("log", "--pems", "--follow"), 2, "--pems and --follow cannot be combined"),
        (("show", "H-001", "--history", "--all-fields"), 2, "--all-fields and --history"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(
    morning: Pfa, words: tuple[str, ...], code: int, message: str
) -> None:
    refused = morning(*words)
    assert (refused.code, refused.out) == (code, "")
    assert message in refused.err


NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_a_window_is_of_times_or_of_runs() -> None:
    day = timedelta(hours=24)
    assert parse_window(None, None, None, NOW, otherwise=day).since == NOW - day
    assert parse_window(None, None, None, NOW).since is None
    assert parse_window("2h", None, None, NOW).since == NOW - timedelta(hours=2)
    until = parse_window(None, "2026-03-08", None, NOW, otherwise=day)
    assert (until.since, until.until) == (None, datetime(2026, 3, 9, tzinfo=UTC))
    of_run = parse_window(RUN, None, None, NOW)
    assert (of_run.since, of_run.since_run, of_run.run_id) == (None, RUN, None)
    assert parse_window(None, None, RUN, NOW, otherwise=day).run_id == RUN
    with pytest.raises(InvalidRequest, match="invalid time"):
        parse_window("last week", None, None, NOW)
