"""A week with saved views on the sample project; what they choose is computed from its file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.acceptance.conftest import Record
from tests.program import Pfa, Ran

VIEW = (
    *("--category", "Crane", "--source", "Rental", "--no-discontinued"),
    *("--where", "monthlyRate > 10000 and forecastEnd > today-10y"),
)
NARROWER = ("--no-actualized", "--where", "not areaSilo is missing")


def chosen(record: Record) -> bool:
    """Whether the view has it, by its values in the file."""
    today = datetime.now(UTC).date()
    try:
        before = today.replace(year=today.year - 10)
    except ValueError:  # 29 February
        before = date(today.year - 10, 3, 1) - timedelta(days=1)
    return (
        record["category"] == "Crane"
        and record["source"] == "Rental"
        and not record["isDiscontinued"]
        and (record["monthlyRate"] or 0) > 10000
        and (record["forecastEnd"] or "") > before.isoformat()
    )


def narrower(record: Record) -> bool:
    return chosen(record) and not record["isActualized"] and bool(record["areaSilo"])


def done(pfa: Pfa, *words: str) -> Ran:
    ran = pfa(*words)
    assert ran.code == 0, ran.err
    return ran


@pytest.mark.long
def test_a_view_is_saved_listed_edited_committed_and_shared_in_one_command_each(
    pfa: Pfa, records: list[Record]
) -> None:
    expected = sorted(one["pfaId"] for one in records if chosen(one))
    editable = [one for one in records if narrower(one)]
    assert len(expected) > len(editable) > 10
    layout = ("--columns", "pfaId,monthlyRate", "--sort", "-monthlyRate")
    done(pfa, "view", "save", "dear cranes", *VIEW, *layout)
    # Monday: what is there.
    view = ("--view", "dear cranes")
    rows = [line.split("\t") for line in done(pfa, "list", *view).lines]
    assert sorted(row[0] for row in rows) == expected
    rates = {one["pfaId"]: Decimal(one["monthlyRate"] or 0) for one in records}
    assert [Decimal(row[1]) for row in rows] == sorted(map(rates.get, expected), reverse=True)
    stats = done(pfa, "stats", *view, "-o", "json").json["data"]
    assert stats["total_records"] == len(expected)
    assert stats["total_monthly_rental"] == sum(rates[one] for one in expected)
    # Tuesday: prices of those that are not on site yet go down; a dry run first.
    lower = ("draft", "set", *view, *NARROWER, "monthlyRate=-10%", "--into", "offer", "-o", "json")
    for words in ((*lower, "-n"), lower):
        saved = done(pfa, *words)
        assert sorted(one["pfaId"] for one in saved.json["saved"]) == sorted(
            one["pfaId"] for one in editable
        )
        assert saved.err.splitlines()[0].startswith("view dear cranes: --category Crane --source")
        assert "--no-actualized" in saved.err
    # Wednesday: the merged rate counts, so that some are dear no longer.
    still = [one for one in editable if rates[one["pfaId"]] * 9 / 10 > 10000]
    assert len(still) < len(editable)
    review = done(pfa, "diff", *view, "-o", "json").json
    assert sorted(one["pfaId"] for one in review["data"]) == sorted(one["pfaId"] for one in still)
    # Thursday: these are committed, the others stay drafts.
    committed = done(pfa, "commit", *view, "-o", "json").json["committed"]
    assert sorted(one["pfaId"] for one in committed) == sorted(one["pfaId"] for one in still)
    left = done(pfa, "draft", "list", "-o", "ids").lines
    assert sorted(left) == sorted(
        one["pfaId"] for one in editable if one["pfaId"] not in {each["pfaId"] for each in still}
    )
    # Friday: a file for the others, and the same list for a user who has it from there.
    file = pfa.folder / "dear-cranes.json"
    done(pfa, "view", "show", "dear cranes", "--to", str(file))
    assert json.loads(file.read_text())["filters"]["where"] == VIEW[-1]
    done(pfa, "user", "grant", "edna", "--role", "editor")
    token = pfa.folder / "edna.token"
    token.touch(mode=0o600)
    token.write_text(done(pfa, "auth", "issue", "--user", "edna").out)
    edna = ("--token-file", str(token))
    done(pfa, "view", "save", "--from", str(file), *edna)
    assert sorted(done(pfa, "list", *view, "-o", "ids", *edna).lines) == expected
