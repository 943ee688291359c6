"""Limits on the sample project through the command line; the numbers are computed from its file."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from tests.acceptance.conftest import Record
from tests.acceptance.test_everyday import cents, cost
from tests.program import Pfa, Ran


def error(ran: Ran) -> dict[str, Any]:
    return json.loads(ran.err.splitlines()[-1], parse_float=Decimal)["error"]


@pytest.mark.long
def test_cheaper_cranes_and_dearer_loaders_are_judged_by_what_each_record_changes(
    pfa: Pfa, records: list[Record]
) -> None:
    """What the cranes save does not make up for what the loaders cost."""
    for category, change in (("Crane", "*0.9"), ("Loader", "*2")):
        where = f"category = {category} and source = Rental and monthlyRate > 0"
        assert (
            pfa("draft", "set", "--where", where, f"monthlyRate={change}", "--into", "job").code
            == 0
        )
    drafted = {
        one["pfaId"]: one["delta"]
        for line in pfa("draft", "list", "-o", "jsonl").lines
        for one in (json.loads(line, parse_float=Decimal),)
    }
    assert len(drafted) > 100
    by_id = {one["pfaId"]: one for one in records}
    effects = [cost({**by_id[key], **delta}) - cost(by_id[key]) for key, delta in drafted.items()]
    assert min(effects) < 0 < max(effects)
    gross, net = sum(map(abs, effects), Fraction(0)), sum(effects, Fraction(0))
    forecast = cents(sum(map(cost, records), Fraction(0)))
    percent = Decimal(ceil(Fraction(cents(gross)) * 10_000 / Fraction(forecast))).scaleb(-2)

    less = cents(gross) - Decimal("0.01")
    limits = (str(len(drafted) - 1), str(less), str(percent - Decimal("0.01")))
    setting = (
        "org",
        "set",
        "--max-records",
        limits[0],
        "--max-money",
        limits[1],
        "--max-percent",
        limits[2],
    )
    assert pfa(*setting).code == 0
    for words in (("-n",), ()):
        ran = pfa("commit", "--session", "job", "--error-format", "json", *words)
        found = error(ran)
        assert (ran.code, found["code"]) == (7, "GUARD_EXCEEDED")
        assert [(one["guard"], one["found"], str(one["most"])) for one in found["limits"]] == [
            ("records", len(drafted), limits[0]),
            ("money", cents(gross), limits[1]),
            ("percent", percent, limits[2]),
        ]
    assert f"net {cents(net):+,}" in found["message"]
    assert f"of the forecast cost of {forecast:,}" in found["message"]
    plan = pfa("plan", "--session", "job", "-o", "json").json["data"]
    assert plan["costEffect"] == cents(net)
    assert (
        pfa("stats", "--baseline", "-o", "json").json["data"]["cost"]["forecast"]["total"]
        == forecast
    )

    exact = ("org", "set", "--max-records", str(len(drafted)), "--max-money", str(cents(gross)),
             "--max-percent", str(percent))  # fmt: skip
    assert pfa(*exact).code == 0
    assert pfa("commit", "--session", "job").code == 0
    assert pfa("sync", "push", "-n", "-o", "ids").code == 0
    assert pfa(*setting).code == 0
    ran = pfa("sync", "push", "-n", "-o", "ids", "--error-format", "json")
    assert (ran.code, len(ran.lines)) == (7, len(drafted))
    assert [one["found"] for one in error(ran)["limits"]] == [len(drafted), cents(gross), percent]
