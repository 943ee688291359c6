"""`pfa diff --by`, `--stat`, `--per record`, `--top` and of two sessions."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.cli.conftest import baseline_record, write_lines
from tests.program import Pfa, a_stage
from tests.terminals import on_terminal


@a_stage
def drafted(pfa: Pfa) -> None:
    """Three sessions: a shift of four records, rates of two of others, and other values of one of these."""
    assert pfa("init", "--org", "HOLNG").code == 0
    records = [baseline_record(number) for number in range(1, 9)]
    source = write_lines(pfa.folder / "records.jsonl", records)
    assert pfa("sync", "pull", "--from", source).code == 0
    for words in (
        ("shift", "14", "--where", "pfaId < 'H-005'", "--into", "weather", "--reason", "rain"),
        ("set", "H-005", "H-006", "monthlyRate=*2", "--into", "rates"),
        ("set", "H-007", "model=A", "forecastEnd=2026-04-07", "--into", "other", "--reason", "late"),
    ):  # fmt: skip
        assert pfa("draft", *words).code == 0, words


def summed(pfa: Pfa, *words: str) -> dict:
    return pfa("diff", *words, "-o", "json").json


class TestGroups:
    @pytest.mark.slow
    def test_fields_are_counted(self, drafted: Pfa) -> None:
        found = summed(drafted, "--stat")
        assert {one["key"]: one["records"] for one in found["data"]} == {
            "forecastStart": 4, "forecastEnd": 5, "monthlyRate": 2, "model": 1,
        }  # fmt: skip
        assert {one["costEffect"] for one in found["data"]} == {None}
        assert found["summary"] == summed(drafted)["summary"]
        screen = on_terminal("diff", "--stat")
        assert screen.lines[0].split() == ["field", "records", "fields"]
        assert len({len(line) for line in screen.lines[:6]}) == 1  # counts stand to the right

    @pytest.mark.parametrize(
        ("by", "records"),
        [
            ("session", {"weather": 4, "rates": 2, "other": 1}),
            ("reason", {"rain": 4, None: 2, "late": 1}),
            ("category", {"Crane": 3, "Loader": 4}),
            ("state", {"draft": 7}),
        ],
    )
    def test_sums_of_groups_are_those_of_the_whole(self, drafted: Pfa, by, records) -> None:
        found = summed(drafted, "--by", by)
        assert {one["key"]: one["records"] for one in found["data"]} == records
        whole = summed(drafted)["summary"]
        assert sum(one["records"] for one in found["data"]) == whole["records"] == 7
        assert sum(one["fields"] for one in found["data"]) == whole["fields"] == 12
        assert sum(one["costEffect"] for one in found["data"]) == whole["costEffect"]

    @pytest.mark.slow
    def test_the_largest_effect_is_first_and_drawn(self, drafted: Pfa) -> None:
        effects = [abs(one["costEffect"]) for one in summed(drafted, "--by", "session")["data"]]
        assert effects == sorted(effects, reverse=True)
        screen = on_terminal("diff", "--by", "session", "--chart")
        assert screen.lines[0].startswith("rates    +")
        assert "█" in screen.lines[0]
        assert max(map(len, screen.lines)) <= 80
        piped = drafted("diff", "--by", "session", "--chart").lines
        assert piped[0].startswith("rates    +")
        assert piped[0].isascii()
        assert "#" in piped[0]

    def test_an_unknown_group_names_the_nearest(self, drafted: Pfa) -> None:
        ran = drafted("diff", "--by", "reasn")
        assert (ran.code, "did you mean reason?" in ran.err) == (2, True)


class TestRecords:
    def test_a_shifted_record_is_one_line(self, drafted: Pfa) -> None:
        rows = [line.split("\t") for line in drafted("diff", "--per", "record").lines]
        assert [row[0] for row in rows] == [f"H-{number:03}" for number in range(1, 8)]
        assert rows[0][1] == "forecastStart, forecastEnd +14 d"
        assert rows[4][1] == "monthlyRate 3044 → 6088"
        assert rows[6][1] == "forecastEnd +31 d; model (none) → A"

    def test_a_stack_of_modifications_is_one_change(self, drafted: Pfa) -> None:
        assert drafted("commit", "--session", "weather").code == 0
        assert drafted("draft", "set", "H-001", "forecastEnd=+1d", "--into", "more").code == 0
        found = summed(drafted, "--per", "record", "--id", "H-001")["data"]
        assert [change["field"] for change in found[0]["changes"]] == [
            "forecastStart",
            "forecastEnd",
        ]
        assert found[0]["changes"][1] == {
            "field": "forecastEnd",
            "before": "2026-03-01",
            "after": "2026-03-16",
        }
        assert (found[0]["sessions"], found[0]["shifted"]) == (["weather", "more"], None)
        entries = summed(drafted, "--id", "H-001")["data"]
        assert found[0]["costEffect"] == sum(one["costEffect"] for one in entries)

    def test_the_largest_effects_up_or_down(self, drafted: Pfa) -> None:
        assert drafted("draft", "set", "H-008", "monthlyRate=1", "--into", "low").code == 0
        every = {
            one["pfaId"]: one["costEffect"] for one in summed(drafted, "--per", "record")["data"]
        }
        found = summed(drafted, "--top", "4")
        largest = sorted(every, key=lambda one: (-abs(every[one]), one))[:4]
        assert [one["pfaId"] for one in found["data"]] == largest
        assert any(effect < 0 for effect in every.values())
        assert found["summary"]["costEffect"] == sum(every.values())  # of all, not of the four
        said = drafted("diff", "--top", "3").err
        assert said.startswith("the 3 records with the largest effect; in all: 8 records, ")

    def test_names_alone_and_once(self, drafted: Pfa) -> None:
        assert drafted("commit", "--session", "weather").code == 0
        assert drafted("draft", "set", "H-001", "model=B", "--into", "more").code == 0
        assert drafted("diff", "--name-only").lines == [f"H-{number:03}" for number in range(1, 8)]

    def test_a_session_of_it(self, drafted: Pfa) -> None:
        assert drafted("diff", "rates", "--per", "record", "-o", "ids").lines == ["H-005", "H-006"]


class TestTwoSessions:
    def test_what_each_changes_beside_pems(self, drafted: Pfa) -> None:
        ran = drafted("diff", "rates", "other", "-o", "json").json
        assert [(one["pfaId"], one["field"], one["changedIn"]) for one in ran["data"]] == [
            ("H-005", "monthlyRate", "first"), ("H-006", "monthlyRate", "first"),
            ("H-007", "model", "second"), ("H-007", "forecastEnd", "second"),
        ]  # fmt: skip
        first = ran["data"][0]
        assert (first["pems"], first["first"], first["second"]) == (3044, 6088, 3044)
        alone = summed(drafted, "rates")["summary"]["costEffect"]
        assert ran["summary"]["firstEffect"] == alone
        assert ran["summary"]["secondEffect"] == summed(drafted, "other")["summary"]["costEffect"]

    def test_the_same_value_is_counted_and_another_is_shown(self, drafted: Pfa) -> None:
        assert drafted("commit", "--session", "other").code == 0
        words = ("H-007", "model=A", "forecastEnd=2026-05-01", "--into", "again", "--keep-equal")
        assert drafted("draft", "set", *words).code == 0
        ran = drafted("diff", "other", "again", "-o", "json").json
        assert [(one["field"], one["changedIn"], one["second"]) for one in ran["data"]] == [
            ("forecastEnd", "both", "2026-05-01")
        ]
        assert ran["summary"]["sameFields"] == 1

    @pytest.mark.parametrize(
        ("words", "code"),
        [(("rates", "rates"), 2), (("rates", "rate"), 6), (("a", "b", "c"), 2)],
    )
    def test_refused(self, drafted: Pfa, words: tuple[str, ...], code: int) -> None:
        assert drafted("diff", *words).code == code


class TestOptions:
    @pytest.mark.parametrize(
        "words",
        [
            ("--by", "session", "--stat"), ("--per", "field"), ("--chart",), ("--stat", "--chart"),
            ("--top", "3", "--by", "session"), ("rates", "other", "--per", "record"), ("--stat", "--sort", "model"),
            ("--by", "field", "--chart"), ("--top", "0"), ("--top", "1001"), ("--name-only", "-o", "json"),
            ("--per", "record", "--columns", "before"),
        ],
    )  # fmt: skip
    def test_what_excludes_each_other_is_refused(self, drafted: Pfa, words) -> None:
        assert drafted("diff", *words).code == 2

    def test_the_exit_code_says_whether_something_differs(self, drafted: Pfa) -> None:
        assert drafted("diff", "--stat", "--exit-code").code == 10
        assert drafted("diff", "--per", "record", "--exit-code", "--id", "H-008").code == 0


def test_effects_are_exact(drafted: Pfa) -> None:
    found = summed(drafted, "rates", "--by", "session")["data"]
    # Each of the two rents 28 days of February and March: 3,044 more of a month of 30.4375 days, rounded once.
    entries = summed(drafted, "rates")["data"]
    assert abs(found[0]["costEffect"] - sum(one["costEffect"] for one in entries)) <= Decimal(
        "0.01"
    )


class TestOptionsTogether:
    """What narrows narrows every view, or is refused there."""

    def test_two_sessions_are_compared_in_the_states_asked_for(self, drafted: Pfa) -> None:
        assert drafted("commit", "--session", "rates").code == 0
        both = summed(drafted, "rates", "weather")["summary"]
        drafts = summed(drafted, "rates", "weather", "--state", "draft")["summary"]
        committed = summed(drafted, "rates", "weather", "--state", "committed")["summary"]
        assert (both["records"], drafts["records"], committed["records"]) == (6, 4, 2)
        assert (drafts["firstEffect"], committed["secondEffect"]) == (0, 0)
        assert committed["firstEffect"] == both["firstEffect"] != 0

    def test_a_limit_narrows_a_comparison_and_is_refused_of_groups(self, drafted: Pfa) -> None:
        assert len(summed(drafted, "rates", "weather")["data"]) > 1
        limited = summed(drafted, "rates", "weather", "--limit", "1")
        assert len(limited["data"]) == 1
        assert limited["summary"] == summed(drafted, "rates", "weather")["summary"]
        said = drafted("diff", "rates", "weather", "--limit", "1").err
        assert said == drafted("diff", "rates", "weather").err
        for of_groups in (("--stat",), ("--by", "reason")):
            ran = drafted("diff", *of_groups, "--limit", "1")
            assert (ran.code, "--limit is of records" in ran.err) == (2, True)

    def test_a_limit_under_top_is_the_number_that_is_named(self, drafted: Pfa) -> None:
        ran = drafted("diff", "--top", "3", "--limit", "1")
        assert len(ran.lines) == len(drafted("diff", "--top", "1").lines)
        assert "the 1 record with the largest effect; in all: 7 records" in ran.err

    def test_names_are_alone_in_a_table_of_a_file_too(self, drafted: Pfa) -> None:
        lines = drafted("diff", "--name-only", "-o", "csv").lines
        assert lines == ["pfaId", *(f"H-{number:03}" for number in range(1, 8))]
