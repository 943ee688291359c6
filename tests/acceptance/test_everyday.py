"""Everyday jobs on the sample project, by one command each; the answers are computed from its file."""

from __future__ import annotations

import json
from calendar import monthrange
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest

from tests.acceptance.conftest import Record
from tests.forms import long
from tests.program import Pfa


def cents(amount: Fraction) -> Decimal:
    return Decimal(floor(amount * 100 + Fraction(1, 2))).scaleb(-2)


def cost(record: Record) -> Fraction:
    """The forecast cost of a record, by the formula of the field."""
    if record["isDiscontinued"] or record["isFundsTransferable"]:
        return Fraction(0)
    if record["source"] == "Purchase":
        return Fraction(record["purchasePrice"] or 0)
    if not record["forecastStart"] or not record["forecastEnd"]:
        return Fraction(0)
    start, end = (date.fromisoformat(record[n]) for n in ("forecastStart", "forecastEnd"))
    return max(0, (end - start).days) * Fraction(record["monthlyRate"] or 0) / Fraction("30.44")


def a_month_later(day: str) -> str:
    found = date.fromisoformat(day)
    year, month = (found.year, found.month + 1) if found.month < 12 else (found.year + 1, 1)
    return found.replace(
        year=year, month=month, day=min(found.day, monthrange(year, month)[1])
    ).isoformat()


def raised(record: Record) -> Record:
    rate = Fraction(record["monthlyRate"]) * Fraction(105, 100)
    return {"monthlyRate": cents(rate)}


def prolonged(record: Record) -> Record:
    return {"forecastEnd": a_month_later(record["forecastEnd"])}


def on_plan(record: Record) -> Record:
    return {
        name: record[name.replace("forecast", "original")]
        for name in ("forecastStart", "forecastEnd")
    }


@dataclass(frozen=True)
class Job:
    """A command, and what it is to make of which records.

    `sources`: the fields that it starts from.
    """

    words: tuple[str, ...]
    sources: tuple[str, ...]
    edit: Callable[[Record], Record]
    matches: Callable[[Record], bool]


JOBS = {
    "a supplier's rates up by 5 %": Job(
        ("--source", "Rental", "--no-actualized", "monthlyRate=+5%", "--round", "2"),
        ("monthlyRate",),
        raised,
        lambda r: r["source"] == "Rental" and not r["isActualized"],
    ),
    "cranes a month longer": Job(
        ("--category", "Crane", "forecastEnd=+1m"),
        ("forecastEnd",),
        prolonged,
        lambda r: r["category"] == "Crane",
    ),
    "purchases as planned": Job(
        ("--source", "Purchase", "forecastStart=originalStart", "forecastEnd=originalEnd"),
        ("originalStart", "originalEnd"),
        on_plan,
        lambda r: r["source"] == "Purchase",
    ),
}
FIRST, *OTHERS = JOBS


@dataclass
class Answer:
    """What a job has to come to."""

    deltas: dict[str, Record] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    unchanged: set[str] = field(default_factory=set)
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)


def answer(job: Job, records: list[Record]) -> Answer:
    found = Answer()
    for record in filter(job.matches, records):
        pfa_id = record["pfaId"]
        if None in [record[name] for name in job.sources]:
            found.skipped.add(pfa_id)
            continue
        delta = {name: value for name, value in job.edit(record).items() if record[name] != value}
        if not delta:
            found.unchanged.add(pfa_id)
            continue
        found.deltas[pfa_id] = delta
        found.before += cost(record)
        found.after += cost({**record, **delta})
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", [FIRST, *long(OTHERS)])
def test_a_job_is_one_command_previewed_and_done(
    pfa: Pfa, records: list[Record], name: str
) -> None:
    right = answer(JOBS[name], records)
    assert len(right.deltas) > 100

    words = ("draft", "set", *JOBS[name].words, "--skip-missing", "--into", "job", "-o", "json")
    preview = pfa(*words, "-n").json["preview"]
    assert preview["records"] == len(right.deltas)
    assert preview["forecastBefore"] == cents(right.before)
    assert preview["forecastAfter"] == cents(right.after)
    fields = Counter(name for delta in right.deltas.values() for name in delta)
    assert {one["field"]: one["records"] for one in preview["fields"]} == fields
    assert pfa("draft", "list", "-o", "ids").lines == []

    done = pfa(*words).json
    assert {one["pfaId"] for one in done["saved"]} == right.deltas.keys()
    assert (set(done["skipped"]), set(done["unchanged"])) == (right.skipped, right.unchanged)
    lines = pfa("draft", "list", "-o", "jsonl").lines
    stored = [json.loads(line, parse_float=Decimal) for line in lines]
    assert {one["pfaId"]: one["delta"] for one in stored} == right.deltas
    impact = pfa("stats", "-o", "json").json["data"]["draft_impact"]
    assert abs(impact - cents(right.after - right.before)) <= Decimal("0.01")
