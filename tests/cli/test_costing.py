"""What costs leave out, on the command line: said, found and set."""

from __future__ import annotations

import csv
import io

import pytest

from tests.cli.conftest import baseline_record, write_lines
from tests.program import Pfa, a_stage


@a_stage
def ready(pfa: Pfa) -> None:
    """A rental that counts, two without an end, one without start and rate, purchases, two currencies."""
    rows = [
        baseline_record(1, currency="USD"),
        baseline_record(2, forecastEnd=None),
        baseline_record(3, forecastEnd=None),
        baseline_record(4, forecastStart=None, monthlyRate=None),
        baseline_record(5, source="Purchase", purchasePrice=None),
        baseline_record(6, currency="EUR", rateUom="WEEK"),
        baseline_record(7, forecastEnd=None, isDiscontinued=True),
    ]
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "mirror.jsonl", rows)).code == 0


SAID = [
    "1 rental without a start: 0 counted",
    "2 rentals without an end: 0 counted",
    "1 rental without a rate: 0 counted",
    "1 purchase without a price: 0 counted",
]


def test_stats_says_what_counts_nothing_and_why(ready: Pfa) -> None:
    lines = ready("stats", "-o", "table").lines
    assert [line for line in lines if "0 counted" in line] == SAID
    assert "several currencies are added up as one: EUR (1), USD (1)" in lines
    ready("org", "set", "--currency", "usd")
    lines = ready("stats", "-o", "table").lines
    assert [line for line in lines if "counted" in line] == [
        *SAID,
        "1 record in EUR: not counted (organization: USD)",
    ]
    ready("draft", "set", "H-002", "forecastEnd=2026-06-01")
    assert "1 rental without an end: 0 counted" in ready("stats", "-o", "table").lines
    assert (
        "2 rentals without an end: 0 counted" in ready("stats", "--baseline", "-o", "table").lines
    )


def test_stats_says_nothing_where_everything_counts(ready: Pfa) -> None:
    out = ready("stats", "--id", "H-001", "-o", "table").out
    assert "counted" not in out
    assert "currenc" not in out


def test_programs_get_the_numbers(ready: Pfa) -> None:
    ready("org", "set", "--currency", "USD")
    data = ready("stats", "-o", "json").json["data"]
    wanted = {
        "rentals_without_start": 1,
        "rentals_without_end": 2,
        "rentals_without_rate": 1,
        "purchases_without_price": 1,
        "excluded_count": 1,
        "excluded": {"EUR": 1},
        "currencies": {},
        "currency": "USD",
    }
    assert {name: data[name] for name in wanted} == wanted
    (group,) = ready("stats", "--by", "class", "-o", "json").json["groups"]
    assert group["rentals_without_end"] == 2
    rows = csv.DictReader(io.StringIO(ready("stats", "-o", "csv").out))
    values = {row["measure"]: row["value"] for row in rows}
    assert (values["rentals_without_end"], values["excluded_count"]) == ("2", "1")
    (row,) = csv.DictReader(io.StringIO(ready("stats", "--by", "class", "-o", "csv").out))
    assert (row["rentals_without_end"], row["purchases_without_price"]) == ("2", "1")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--no-end",), ["H-002", "H-003", "H-007"]),
        (("--no-end", "--source", "Rental", "--no-discontinued"), ["H-002", "H-003"]),
        (("--no-start",), ["H-004"]),
        (("--no-rate",), ["H-004"]),
        (("--no-price", "--source", "Purchase"), ["H-005"]),
        (("--currency", "EUR"), ["H-006"]),
    ],
)
def test_they_are_found_and_can_be_changed_by_the_same_filters(
    ready: Pfa, options: tuple[str, ...], found: list[str]
) -> None:
    listed = ready("list", *options, "--sort", "pfaId", "-o", "json").json
    assert [row["pfaId"] for row in listed["data"]] == found
    assert ready("stats", *options, "-o", "json").json["data"]["total_records"] == len(found)
    assert ready("draft", "set", *options, "model=New").code == 0
    drafted = ready("draft", "list", *options, "-o", "json").json["data"]
    assert [row["pfaId"] for row in drafted] == found
    changed = ready("diff", *options, "-o", "json").json["data"]
    assert [row["pfaId"] for row in changed] == found


def test_a_unit_is_shown_as_one_of_four(ready: Pfa) -> None:
    columns = ("--columns", "pfaId,rateUom,currency", "-o", "csv")
    assert ready("list", "--id", "H-006", *columns).lines[1:] == ["H-006,week,EUR"]
    assert ready("list", "--id", "H-002", *columns).lines[1:] == ["H-002,,"]


def test_doctor_says_what_costs_leave_out(ready: Pfa) -> None:
    def data() -> dict[str, str]:
        findings = ready("doctor", "-o", "json").json["data"]
        return next(item for item in findings if item["check"] == "data")

    before = data()
    assert before["result"] == "notice"
    assert all(text in before["finding"] for text in SAID)
    assert before["cure"] == (
        "type: pfa list --source Rental --no-start --no-discontinued --no-transferable"
    )
    ready("org", "set", "--currency", "USD")
    assert "1 record in EUR: not counted (organization: USD)" in data()["finding"]


def test_the_settings_are_set_and_shown(ready: Pfa) -> None:
    shown = ready("org", "set", "--currency", "eur", "--rate-uom", "weekly", "-o", "json").json
    assert shown["data"] | {"organization": "HOLNG"} == {
        "organization": "HOLNG",
        "currency": "EUR",
        "rateUom": "week",
        "foreignCurrency": "exclude",
        "maxRecords": None,
        "maxMoney": None,
        "maxPercent": None,
    }
    (row,) = ready("org", "list", "-o", "json").json["data"]
    assert (row["currency"], row["rateUom"], row["foreignCurrency"]) == ("EUR", "week", "exclude")
    assert ready("log", "--action", "configure", "-o", "json").json["data"][0]["after"] == {
        "currency": "EUR",
        "rate_uom": "week",
        "foreign_currency": "exclude",
    }


def test_invalid_settings_are_refused_by_name(ready: Pfa) -> None:
    for options, said in (
        ((), "no setting is given"),
        (("--currency", "dollar"), "invalid currency: 'dollar'"),
        (("--rate-uom", "fortnight"), "unknown rate unit: 'fortnight'"),
        (("--foreign-currency", "drop"), "unknown value of foreign currency: 'drop'"),
        (("--foreign-currency", "refuse"), "has no currency"),
    ):
        ran = ready("org", "set", *options)
        assert ran.code == 2
        assert said in ran.err


def test_foreign_records_are_refused_by_name_where_so_configured(ready: Pfa) -> None:
    ready("org", "set", "--currency", "USD", "--foreign-currency", "refuse")
    rows = [baseline_record(8, currency="CHF"), baseline_record(9, currency="USD")]
    ran = ready("sync", "pull", "--from", write_lines(ready.folder / "more.jsonl", rows))
    assert "H-008 currency: is CHF, the organization's is USD" in ran.err
    assert "[FOREIGN_CURRENCY]" in ran.err
    listed = ready("list", "--id", "H-008", "--id", "H-009", "-o", "json").json["data"]
    assert [row["pfaId"] for row in listed] == ["H-009"]
