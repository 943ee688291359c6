"""--where goes wherever filters go, and says where it is wrong."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.program import Pfa, Ran, a_stage

CRANES = ["H-002", "H-004", "H-006"]


@a_stage
def mixed(pfa: Pfa) -> None:
    """Six records: three drafted cranes, two loaders, one without a rate, and a trailer."""
    six_records(pfa)
    others = [
        baseline_record(3, category='Trailer, 40" flat', description="50% off_hire"),
        baseline_record(5, monthlyRate=None, forecastStart=None),
    ]
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "more.jsonl", others)).code == 0
    for number, name in enumerate(CRANES):
        rate = f"monthlyRate={3000 + 44 * number}"
        assert pfa("draft", "set", name, rate, "--into", f"s{number}", "--keep-equal").code == 0


def ids(pfa: Pfa, *words: str) -> list[str]:
    ran = pfa("list", "-o", "ids", *words)
    assert ran.code == 0, ran.err
    return sorted(ran.lines)


@pytest.mark.variants(5)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("category = Crane", CRANES),
        ("not category in (Crane, 'Trailer, 40\" flat')", ["H-001", "H-005"]),
        (
            'category in (Crane, "Trailer, 40\\" flat") and forecastEnd > 2026-03-03',
            ["H-004", "H-006"],
        ),
        ("monthlyRate < pems.monthlyRate", ["H-002"]),
        ("mine.monthlyRate >= 3044.00", ["H-004", "H-006"]),
        ("monthlyRate is changed and category != Loader", CRANES),
        ("monthlyRate is null or forecastStart = 2026-02-01", ["H-001", "H-005"]),
        ("monthlyRate != 3044", ["H-002", "H-006"]),
        ("description contains '50% OFF_'", ["H-003"]),
        ("forecastStart between today-200y and today and hasPlan", None),
        ("forecastStart < 2026-02-01 + 3d and not (areaSilo = Jetty)", ["H-002"]),
    ],
)
def test_a_list_is_of_what_an_expression_is_true_of(
    mixed: Pfa, where: str, expected: list[str] | None
) -> None:
    if expected is None:
        refused = mixed("list", "--where", where)
        assert (refused.code, "a hundred years" in refused.err) == (2, True)
    else:
        assert ids(mixed, "--where", where) == expected


def test_it_narrows_beside_the_other_filters_and_is_named_in_the_metadata(mixed: Pfa) -> None:
    ran = mixed("list", "--category", "Crane", "--where", "monthlyRate < 3044", "-o", "json")
    assert [one["pfaId"] for one in ran.json["data"]] == ["H-002"]
    assert ran.json["pagination"]["totalRecords"] == 1
    assert ran.json["metadata"]["filters"] == ["category", "where"]
    assert ids(mixed, "--where", "category = Crane", "--session", "s2") == ["H-006"]
    assert ids(mixed, "--where", "category = Crane", "--baseline") == CRANES


def data(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return sorted(one["pfaId"] for one in ran.json["data"])


def test_it_is_taken_by_every_command_that_takes_filters(mixed: Pfa) -> None:
    where = ("--where", "monthlyRate between 3044 and 4000 and category = Crane")
    few = ["H-004", "H-006"]
    assert ids(mixed, *where) == few
    assert mixed("stats", *where, "-o", "json").json["data"]["total_records"] == 2
    assert data(mixed("draft", "list", *where, "-o", "json")) == few
    assert data(mixed("diff", *where, "-o", "json")) == few
    assert data(mixed("conflict", "list", *where, "-o", "json")) == []
    assert mixed("conflict", "resolve", *where, "--take", "mine").code == 6
    kept = mixed("draft", "set", *where, "model=X", "--into", "n", "--move", "-o", "json")
    assert sorted(one["pfaId"] for one in kept.json["saved"]) == few
    moved = mixed("draft", "shift", "7", *where, "--into", "n", "-o", "json")
    assert sorted(one["pfaId"] for one in moved.json["saved"]) == few
    assert mixed("draft", "unset", *where, "model").code == 0
    assert ids(mixed, "--where", "model is changed") == []
    assert ids(mixed, "--where", "forecastStart is changed") == few


def test_commit_uncommit_and_discard_take_it_too(mixed: Pfa) -> None:
    where = ("--where", "monthlyRate < pems.monthlyRate or pfaId = H-004")
    for words, key in ((("commit",), "committed"), (("uncommit",), "uncommitted")):
        ran = mixed(*words, *where, "-o", "json")
        assert ran.code == 0, ran.err
        assert [one["pfaId"] for one in ran.json[key]] == ["H-002", "H-004"]
    assert mixed("discard", *where, "-o", "json").json["discarded"] == ["H-002", "H-004"]
    assert ids(mixed, "--state", "draft") == ["H-006"]
    nothing = mixed("commit", "--where", "category = Loader")
    assert (nothing.code, "that match --where" in nothing.err) == (6, True)
    assert mixed("discard", "--where", "hasPlan", "--all").code == 2
    for verb in ("commit", "discard", "uncommit"):
        assert mixed(verb, "--where", "").code == 2
    assert ids(mixed, "--state", "draft") == ["H-006"]


def test_a_mistake_is_shown_with_its_place(mixed: Pfa) -> None:
    ran = mixed("list", "--where", "category = Crane and montlyRate > 3", "--error-format", "text")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "hint: look here:",
        "  category = Crane and montlyRate > 3",
        "                       ^^^^^^^^^^",
        "error: unknown field: 'montlyRate'; did you mean monthlyRate? (--where) [INVALID_REQUEST]",
    ]
    in_json = json.loads(mixed("list", "--where", "a", "--error-format", "json").err)["error"]
    assert (in_json["code"], in_json["exitCode"]) == ("INVALID_REQUEST", 2)


def test_an_empty_expression_never_means_everything(mixed: Pfa) -> None:
    for empty in ("", " "):
        ran = mixed("draft", "set", "--where", empty, "model=X")
        assert (ran.code, "the expression is empty" in ran.err) == (2, True)
    assert ids(mixed, "--where", "model is changed") == []


def test_a_value_that_no_record_has_is_answered_with_the_nearest(mixed: Pfa) -> None:
    ran = mixed("list", "--where", "category in (Crain) and hasPlan", "-o", "ids")
    assert (ran.code, ran.out) == (0, "")
    assert "hint: no record has category 'Crain'; did you mean 'Crane'?" in ran.err


def test_an_expression_over_masked_money_is_refused(mixed: Pfa) -> None:
    assert (
        mixed("user", "grant", "vic", "--role", "editor", "--without", "view_financials").code == 0
    )
    token = mixed.folder / "vic.token"
    token.write_text(mixed("auth", "issue", "--user", "vic").out)
    token.chmod(0o600)
    for words in (("list",), ("stats",), ("diff",), ("draft", "list"), ("conflict", "list")):
        ran = mixed(*words, "--where", "monthlyRate > 3000", "--token-file", str(token))
        assert (ran.code, ran.out) == (5, "")
        assert "monthlyRate: is masked: what matches would reveal it" in ran.err
        seen = mixed(*words, "--where", "category = Crane", "--token-file", str(token))
        assert seen.code == 0
