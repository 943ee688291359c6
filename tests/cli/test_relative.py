"""Relative values on the command line: forms, preview, rounding, files, what stays literal."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.cli.conftest import ready
from tests.program import Pfa, Ran

__all__ = ["ready"]  # a fixture


def delta(pfa: Pfa, pfa_id: str) -> dict[str, Any]:
    """The drafted values of a record; none without a draft."""
    found = pfa("draft", "list", "--id", pfa_id, "-o", "json").json["data"]
    return found[0]["delta"] if found else {}


@pytest.mark.variants(8)
@pytest.mark.parametrize(
    ("assignment", "result"),
    [
        ("monthlyRate=+5%", Decimal("3196.2")),
        ("monthlyRate=*1.05", Decimal("3196.2")),
        ("monthlyRate=/2", 1522),
        ("monthlyRate=+250", 3294),
        ("monthlyRate=-10%", Decimal("2739.6")),
        ("monthlyRate=-250", 2794),
        ("forecastEnd=+14d", "2026-03-15"),
        ("forecastEnd=+2w", "2026-03-15"),
        ("forecastEnd=+1m", "2026-04-01"),
        ("forecastEnd=-1m", "2026-02-01"),
        ("forecastStart=originalStart", "2026-01-01"),
        ("monthlyRate=1", 1),
        ("purchasePrice=monthlyRate", 3044),
        # Texts have no relative values: these are the texts themselves.
        ("model=+5%", "+5%"),
        ("model=*1.05", "*1.05"),
        ("model==X", "=X"),
        ("equipment=category", "category"),
        ("areaSilo=/2", "/2"),
    ],
)
def test_an_assignment_becomes_a_plain_value(ready: Pfa, assignment: str, result: Any) -> None:
    ran = ready("draft", "set", "H-001", assignment)
    assert (ran.code, "1 created" in ran.err) == (0, True), ran.err
    assert delta(ready, "H-001") == {assignment.partition("=")[0]: result}


def test_an_empty_value_clears(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "forecastEnd=").code == 0
    assert delta(ready, "H-001") == {"forecastEnd": None}


@pytest.mark.variants(6)
@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["monthlyRate=5%"], 9, "must be a number, not '5%'; relative ones: +5%, -10%, +250"),
        (["monthlyRate=+14d"], 9, "must be a number, not '+14d'; relative ones"),
        (["forecastEnd=+14"], 9, "must be a date YYYY-MM-DD, not '+14'; relative ones: +14d"),
        (["forecastStart=orignalStart"], 9, "did you mean originalStart?"),
        (["forecastStart=monthlyRate"], 9, "must be a date, and monthlyRate is a number"),
        (["monthlyRate=/0"], 9, "cannot be divided by zero"),
        (["monthlyRate=/7"], 9, "more than 12 decimals after /7; round it with --round 2"),
        (["monthlyRate=-4000"], 9, "must not be negative, is -956 after -4000"),
        (["purchasePrice=+5%"], 9, "is missing: nothing to apply +5% to"),
        (["forecastEnd=-3m"], 9, "INVALID_DATE_ORDER"),
        (["source=+5%"], 9, "must be Rental or Purchase"),
        (
            ["monthlyRate=4", "--round", "2"],
            2,
            "--round rounds relative numbers, and there is none",
        ),
        (["forecastEnd=+1m", "--round", "2"], 2, "--round rounds relative numbers"),
        (["monthlyRate=+5%", "--round", "7"], 2, "--round"),
    ],
)
def test_what_means_nothing_is_refused_and_nothing_saved(
    ready: Pfa, words: list[str], code: int, part: str
) -> None:
    ran = ready("draft", "set", "H-001", *words)
    assert ran.code == code
    assert part in " ".join(ran.err.split())
    assert delta(ready, "H-001") == {}


def test_rounding_is_asked_for(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "monthlyRate=/7", "--round", "2").code == 0
    assert ready("draft", "set", "H-002", "monthlyRate=+3.33%", "--round", "0").code == 0
    assert ready("draft", "set", "H-003", "monthlyRate=+3.33%").code == 0
    rates = [delta(ready, f"H-00{n}")["monthlyRate"] for n in (1, 2, 3)]
    assert rates == [Decimal("434.86"), 3145, Decimal("3145.3652")]


def a_mixed_world(pfa: Pfa) -> Ran:
    """H-006 has no rate, since it is bought."""
    return pfa("draft", "set", "H-006", "source=Purchase", "purchasePrice=5", "monthlyRate=")


def test_a_preview_says_what_changes_and_stores_nothing(ready: Pfa) -> None:
    words = ("draft", "set", "--category", "Crane", "monthlyRate=+5%", "forecastEnd=+1m")
    ran = ready(*words, "-n")
    assert ran.code == 0
    assert ran.err.splitlines()[:4] == [
        "dry run, rolled back: 3 drafts saved in session "
        + ran.err.split("session ")[1].split()[0]
        + " (3 created)",
        "  monthlyRate  3 records, in all 9,132.00 → 9,588.60 (+456.60)",
        "  forecastEnd  3 records",
        "  forecast cost of 3 records: 8,400.00 → 18,585.00 (+10,185.00)",
    ]
    assert delta(ready, "H-002") == {}
    stored = ready(*words)
    assert "→" not in stored.err
    impact = ready("stats", "-o", "json").json["data"]["draft_impact"]
    assert impact == Decimal("10185.00")


def test_a_table_of_a_preview_has_the_values_before_and_after(ready: Pfa) -> None:
    words = ("draft", "set", "--category", "Crane", "monthlyRate=+5%", "forecastEnd=+1m")
    rows = [line.split() for line in ready(*words, "-n", "-o", "table").lines[2:]]
    assert rows[:2] == [
        ["H-002", "monthlyRate", "3044", "3196.2"],
        ["H-002", "forecastEnd", "2026-03-02", "2026-04-02"],
    ]
    assert len(rows) == 6
    assert ready(*words, "-n", "-o", "csv").lines[0] == "pfaId,modificationId,version,status"
    assert ready(*words).code == 0
    ran = ready("draft", "unset", "--category", "Crane", "monthlyRate", "-n")
    assert ran.lines[2].split() == ["H-002", "monthlyRate", "3196.2", "3044"]
    assert "  monthlyRate  3 records, in all 9,588.60 → 9,132.00 (-456.60)" in ran.err
    assert delta(ready, "H-002")["monthlyRate"] == Decimal("3196.20")


@pytest.mark.slow
def test_of_many_records_a_preview_shows_a_few(ready: Pfa) -> None:
    mirror = ready.folder / "many.jsonl"
    mirror.write_text(
        "".join(
            json.dumps({"pfaId": f"M-{number:03}", "category": "Lift", "source": "Rental",
                        "monthlyRate": 100}) + "\n"
            for number in range(120)
        )
    )  # fmt: skip
    assert ready("sync", "pull", "--from", str(mirror)).code == 0
    words = ("draft", "set", "--category", "Lift", "monthlyRate=+5%", "-n")
    ran = ready(*words, "-o", "table")
    assert [line.split()[0] for line in ran.lines[2:]] == [f"M-00{n}" for n in range(5)]
    assert "the first 5 of 120 records by id are shown; -o json has the first 100" in ran.err
    changed = ready(*words, "-o", "json").json["preview"]["changed"]
    assert [item["pfaId"] for item in changed] == [f"M-{n:03}" for n in range(100)]


def test_a_shift_has_a_preview_too(ready: Pfa) -> None:
    ran = ready("draft", "shift", "14", "--category", "Crane", "-n")
    assert ran.err.splitlines()[1:4] == [
        "  forecastStart  3 records",
        "  forecastEnd    3 records",
        "  forecast cost of 3 records: 8,400.00 → 8,400.00 (0.00)",
    ]
    assert delta(ready, "H-002") == {}


def test_a_preview_of_nothing_says_nothing(ready: Pfa) -> None:
    ran = ready("draft", "set", "H-001", "monthlyRate=*1", "-n")
    assert ran.err.strip() == (
        "dry run, rolled back: nothing to save: no value given differs from the record's (1 record)"
    )


def test_a_preview_hides_money_without_the_right(ready: Pfa) -> None:
    assert (
        ready("user", "grant", "bob", "--role", "editor", "--without", "view_financials").code == 0
    )
    token = ready("auth", "issue", "--user", "bob").out.strip()
    (ready.folder / "bob").write_text(token)
    (ready.folder / "bob").chmod(0o600)
    as_bob = ("--token-file", str(ready.folder / "bob"))
    ran = ready("draft", "set", "H-001", "forecastEnd=+1m", "-n", *as_bob)
    assert ran.code == 0, ran.err
    assert "  forecast cost of 1 record: masked" in ran.err
    assert "money is masked" in ran.err
    assert ready("draft", "set", "H-001", "monthlyRate=+5%", "-n", *as_bob).code == 5
    assert ready("draft", "set", "H-001", "monthlyRate=4000", "--into", "x").code == 0
    shown = ready("draft", "set", "H-001", "forecastEnd=+1m", "-n", "-o", "json", *as_bob).json
    assert "4000" not in str(shown)
    assert (shown["preview"]["forecastBefore"], shown["preview"]["forecastAfter"]) == (None, None)
    assert shown["preview"]["costEffect"] is None


def test_a_preview_says_masked_in_place_of_money_that_was_drafted_before(ready: Pfa) -> None:
    assert ready("user", "grant", "bob", "--role", "editor").code == 0
    file = ready.folder / "bob"
    file.write_text(ready("auth", "issue", "--user", "bob").out)
    file.chmod(0o600)
    as_bob = ("--token-file", str(file))
    assert ready("draft", "set", "H-001", "monthlyRate=4000", "model=NEW", *as_bob).code == 0
    hidden = ("--role", "editor", "--without", "view_financials")
    assert ready("user", "grant", "bob", *hidden).code == 0
    ran = ready("draft", "unset", "H-001", "monthlyRate", "model", "-n", "-o", "table", *as_bob)
    rows = [line.split() for line in ran.lines]
    assert ["H-001", "monthlyRate", "masked", "masked"] in rows, ran
    assert "4000" not in ran.out + ran.err


def test_a_preview_is_in_the_json_of_a_dry_run_only(ready: Pfa) -> None:
    words = ("draft", "set", "H-001", "monthlyRate=+5%", "-o", "json")
    preview = ready(*words, "-n").json["preview"]
    assert preview == {
        "records": 1,
        "fields": [
            {"field": "monthlyRate", "records": 1, "before": 3044, "after": Decimal("3196.20")}
        ],
        "changed": [
            {
                "pfaId": "H-001",
                "changes": [{"field": "monthlyRate", "before": 3044, "after": Decimal("3196.20")}],
            }
        ],
        "forecastBefore": 2800,
        "forecastAfter": 2940,
        "costEffect": Decimal("140.00"),
    }
    assert "preview" not in ready(*words).json


def test_missing_values_are_grouped_and_can_be_skipped(ready: Pfa) -> None:
    assert a_mixed_world(ready).code == 0
    words = ("draft", "set", "--category", "Crane", "monthlyRate=+5%")
    refused = ready(*words)
    assert refused.code == 9
    assert "monthlyRate: is missing: nothing to apply +5% to" in refused.err
    assert "--skip-missing" in refused.err
    assert delta(ready, "H-002") == {}
    skipped = ready(*words, "--skip-missing", "-o", "json")
    assert (skipped.code, skipped.json["skipped"]) == (0, ["H-006"])
    assert [one["pfaId"] for one in skipped.json["saved"]] == ["H-002", "H-004"]
    again = ready("draft", "set", "H-006", "monthlyRate=+5%", "--skip-missing")
    assert (again.code, again.err.strip()) == (
        0,
        "nothing to save: 1 skipped without a value to start from",
    )


def test_no_ops_are_told_beside_edits(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "monthlyRate=3000.40").code == 0
    ran = ready("draft", "set", "--all", "monthlyRate=*1", "--round", "0")
    assert "1 draft saved" in ran.err
    assert "(1 updated), 5 unchanged" in ran.err
    assert delta(ready, "H-001") == {"monthlyRate": 3000}
    back = ready("draft", "set", "H-001", "monthlyRate=+44")
    assert "1 draft removed (nothing left to change): H-001" in back.err
    assert ready("draft", "set", "H-001", "monthlyRate=+0").err.startswith("nothing to save")
    assert ready("draft", "set", "H-001", "monthlyRate=+0", "--keep-equal").code == 0
    assert delta(ready, "H-001") == {"monthlyRate": 3044}


def saved(pfa: Pfa, text: str, *words: str, name: str = "delta.json") -> Ran:
    (pfa.folder / name).write_text(text)
    return pfa("draft", "save", str(pfa.folder / name), *words)


@pytest.mark.parametrize("lines", [False, True])
def test_a_file_has_relative_values_in_json(ready: Pfa, *, lines: bool) -> None:
    changes = [
        {"pfaId": "H-001", "delta": {"monthlyRate": {"add": "5%", "round": 0}}},
        {"pfaId": "H-002", "delta": {"monthlyRate": {"multiply": "1.5"}}},
        {"pfaId": "H-003", "delta": {"forecastEnd": {"add": "1m"}, "model": "+5%"}},
        {"pfaId": "H-004", "delta": {"forecastStart": {"field": "originalStart"}}},
        {"pfaId": "H-005", "delta": {"monthlyRate": {"add": -44}}},
    ]
    text = "\n".join(map(json.dumps, changes)) if lines else json.dumps({"modifications": changes})
    ran = saved(ready, text, name="delta.jsonl" if lines else "delta.json")
    assert ran.code == 0, ran.err
    assert [delta(ready, f"H-00{n}") for n in range(1, 6)] == [
        {"monthlyRate": 3196},
        {"monthlyRate": 4566},
        {"forecastEnd": "2026-04-03", "model": "+5%"},
        {"forecastStart": "2026-01-01"},
        {"monthlyRate": 3000},
    ]


def test_a_file_has_all_its_faults_at_once_with_their_places(ready: Pfa) -> None:
    text = json.dumps(
        [
            {"pfaId": "H-001", "delta": {"monthlyRate": {"ad": "5%"}}},
            {"pfaId": "H-002", "delta": {"monthlyRate": {"divide": 7}, "model": {"add": 1}}},
            {"pfaId": "H-003", "delta": {"purchasePrice": {"add": 1}}},
            {"pfaId": "H-004", "delta": {"monthlyRate": {"add": "5%"}}},
        ]
    )
    ran = saved(ready, text, "--error-format", "json")
    assert ran.code == 9
    details = json.loads(ran.err.splitlines()[-1])["error"]["details"]
    assert [(one["position"], one["field"], one["code"]) for one in details] == [
        ("modification 1", "monthlyRate", "UNKNOWN_FIELD"),
        ("modification 1", "monthlyRate", "INVALID_TYPE"),
        ("modification 2", "model", "INVALID_TYPE"),
        ("modification 3", "purchasePrice", "MISSING_REQUIRED_FIELD"),
    ]
    assert delta(ready, "H-004") == {}


def test_a_table_has_values_only(ready: Pfa) -> None:
    """A spreadsheet reads +5% as 0.05, and saving a sheet again has to change nothing."""
    ran = saved(ready, "pfaId,monthlyRate\nH-001,+5%\n", name="delta.csv")
    assert ran.code == 9
    assert "must be a number, not '+5%'" in ran.err
    assert 'relative values are objects of JSON: {"add": "5%"}' in " ".join(ran.err.split())
    assert delta(ready, "H-001") == {}


def test_a_record_of_a_list_in_json_may_have_some(ready: Pfa) -> None:
    record = json.loads(ready("list", "--id", "H-001", "-o", "jsonl").out)
    record["data"]["monthlyRate"] = {"add": "5%"}
    assert saved(ready, json.dumps(record)).code == 0
    assert delta(ready, "H-001") == {"monthlyRate": Decimal("3196.2")}
    again = saved(ready, json.dumps(record))  # the list is older than the draft
    assert (again.code, "VERSION_CONFLICT" in again.err) == (7, True)


def test_a_file_that_names_the_version_is_saved_once(ready: Pfa) -> None:
    change = {"pfaId": "H-001", "delta": {"monthlyRate": {"add": 1}}, "expectedVersion": 0}
    assert saved(ready, json.dumps(change)).code == 0
    assert saved(ready, json.dumps(change)).code == 7
    assert delta(ready, "H-001") == {"monthlyRate": 3045}
    assert saved(ready, json.dumps({**change, "expectedVersion": 1})).code == 0
    assert delta(ready, "H-001") == {"monthlyRate": 3046}


def test_a_resolution_takes_no_relative_value(ready: Pfa) -> None:
    ran = ready("conflict", "resolve", "H-001", "--set", "monthlyRate=+5%")
    assert ran.code == 9
    assert "must be a number, not '+5%'" in ran.err
