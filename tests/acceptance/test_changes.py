"""What changed in PEMS on the sample project; the answers are computed from its file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from tests.acceptance.conftest import Record
from tests.acceptance.test_everyday import cents, cost
from tests.factories import a_jsonl_file, a_world
from tests.forms import long
from tests.program import Pfa
from tests.server import Server, bound_url

BEFORE_ALL = "2020-01-01"


def dearer(record: Record) -> Record:
    return {**record, "monthlyRate": (record["monthlyRate"] or 0) + Decimal("12.34")}


def later(record: Record) -> Record:
    end = date.fromisoformat(record["forecastEnd"]) + timedelta(days=10)
    return {**record, "forecastEnd": end.isoformat(), "pemsVersion": "2027-01-01T00:00:00Z"}


def cancelled(record: Record) -> Record:
    return {**record, "isDiscontinued": True}


def altered(records: list[Record]) -> dict[str, Record]:
    """Every 50th record as PEMS has it after a night, each in one of three ways, and two that are new."""
    ways: tuple[Callable[[Record], Record], ...] = (dearer, later, cancelled)
    chosen = [record for record in records[::50] if record["forecastEnd"]]
    found = {
        record["pfaId"]: ways[number % 3](record)
        for number, record in enumerate(chosen)
        if ways[number % 3](record) != record
    }
    new = {f"HOLNG-9{number:05}": records[number] for number in (0, 1)}
    return found | {pfa_id: {**record, "pfaId": pfa_id} for pfa_id, record in new.items()}


@pytest.fixture(scope="module")
def night(
    postgres: Server, pulled: str, records: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a database with the project after a nightly pull; there is no connection to it."""
    name = postgres.create(pulled)
    world = a_world(postgres.url(name), organization="HOLNG")
    pfa_core.grant(world.db, world.principal(), getuser(), "admin")
    path = a_jsonl_file(tmp_path_factory.mktemp("night"), altered(records).values())
    result = pfa_core.pull_files(world.db, world.principal(), [str(path)])
    assert (result.inserted, result.updated) == (2, len(altered(records)) - 2)
    world.close()
    yield name
    postgres.drop(name)


@pytest.fixture
def pfa(
    postgres: Server,
    night: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Pfa]:
    """The program on that morning."""
    with postgres.database(night) as url:
        monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
        program = Pfa(url, tmp_path, capsys)
        assert program("init", "--org", "HOLNG").code == 0
        yield program


Found = dict[str, tuple[str, dict[str, tuple[Any, Any]], Decimal]]


def expected(records: list[Record]) -> Found:
    """Kind, fields and effect of each record that the night altered."""
    before = {record["pfaId"]: record for record in records}
    found: Found = {}
    for pfa_id, after in altered(records).items():
        was = before.get(pfa_id)
        if was is None:
            found[pfa_id] = ("new", {}, cents(cost(after)))
            continue
        fields = {
            name: (was[name], value)
            for name, value in after.items()
            if value != was[name] and name != "pemsVersion"
        }
        found[pfa_id] = ("changed", fields, cents(cost(after) - cost(was)))
    return found


def total(records: list[Record], wanted: Callable[[Record], bool] = lambda _: True) -> Decimal:
    """The effect of all that match after the night, rounded once."""
    before = {record["pfaId"]: record for record in records}
    effects = [
        cost(after) - (cost(before[pfa_id]) if pfa_id in before else 0)
        for pfa_id, after in altered(records).items()
        if wanted(after)
    ]
    return cents(sum(effects, Fraction(0)))


def found_in(data: list[dict[str, Any]]) -> Found:
    return {
        item["pfaId"]: (
            item["change"],
            {one["field"]: (one["before"], one["after"]) for one in item["changes"]},
            item["costEffect"],
        )
        for item in data
    }


def last_run(pfa: Pfa) -> str:
    return pfa("sync", "runs", "--limit", "1", "-o", "ids").out.strip()


@pytest.mark.long
def test_what_changed_in_pems_is_one_command(pfa: Pfa, records: list[Record]) -> None:
    right, run = expected(records), last_run(pfa)
    assert len(right) > 300
    seen = pfa("changes", "--run", run, "--limit", "0", "-o", "json").json
    assert found_in(seen["data"]) == right
    assert seen["summary"] == {
        "records": len(right),
        "new": 2,
        "changed": len(right) - 2,
        "missing": 0,
        "costEffect": total(records),
    }
    page = pfa("changes", "--since", run, "-o", "json").json
    assert page["summary"] == seen["summary"]
    assert page["pagination"]["totalRecords"] == len(right)
    rest = pfa("changes", "--since", run, "-o", "json", "--after", page["pagination"]["next"],
               "--limit", "10000")  # fmt: skip
    assert [*page["data"], *rest.json["data"]] == seen["data"]
    said = pfa("changes", "--run", run, "-o", "table")
    assert f"50 of {len(right)} records; --limit 0 shows all" in said.err
    assert f"{len(right)} records ({len(right) - 2} changed, 2 new), forecast cost" in said.err


@pytest.mark.long
def test_the_total_is_what_the_forecast_of_pems_moved_by(pfa: Pfa, records: list[Record]) -> None:
    forecast = pfa("stats", "--baseline", "-o", "json").json["data"]["cost"]["forecast"]["total"]
    before = cents(sum(map(cost, records), Fraction(0)))
    assert abs(forecast - before - total(records)) <= Decimal("0.01")


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "matches"),
    [
        (("--category", "Crane"), lambda r: r["category"] == "Crane"),
        *long(
            [
                (
                    ("--where", "monthlyRate > 10000 and not isDiscontinued"),
                    lambda r: (r["monthlyRate"] or 0) > 10_000 and not r["isDiscontinued"],
                ),
                (("--discontinued",), lambda r: r["isDiscontinued"]),
                (("--source", "Purchase"), lambda r: r["source"] == "Purchase"),
            ]
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_filters_and_expressions_choose_among_them(
    pfa: Pfa, records: list[Record], words: tuple[str, ...], matches: Callable[[Record], bool]
) -> None:
    right = {pfa_id for pfa_id, after in altered(records).items() if matches(after)}
    assert right
    seen = pfa("changes", "--run", last_run(pfa), "--limit", "0", "-o", "json", *words).json
    assert found_in(seen["data"]).keys() == right
    assert seen["summary"]["costEffect"] == total(records, matches)


@pytest.mark.long
def test_the_greatest_effects_come_first_where_they_are_asked_for(
    pfa: Pfa, records: list[Record]
) -> None:
    effects = {pfa_id: effect for pfa_id, (_, _, effect) in expected(records).items()}
    out = pfa("changes", "--since", "24h", "--run", last_run(pfa))
    assert (out.code, out.out) == (2, "")
    words = ("changes", "--run", last_run(pfa), "--sort", "-cost-effect", "--limit", "20")
    rows = list(csv.DictReader(io.StringIO(pfa(*words, "-o", "csv").out)))
    shown = [(row["pfaId"], Decimal(row["costEffect"])) for row in rows if row["costEffect"]]
    assert [effect for _, effect in shown] == sorted(effects.values(), reverse=True)[:20]
    assert dict(shown).items() <= effects.items()


@pytest.mark.long
def test_a_run_names_its_records_and_the_log_of_pems_has_each(
    pfa: Pfa, records: list[Record]
) -> None:
    right, run = expected(records), last_run(pfa)
    shown = pfa("sync", "show", run, "-o", "json").json["data"]
    assert [item["pfaId"] for item in shown["changes"]] == sorted(right)[:100]
    assert shown["moreChanges"]
    said = pfa("sync", "show", run, "-o", "csv")
    assert f"100 changed records are named; all of them: pfa changes --run {run}" in said.err
    lines = pfa("log", "--pems", "--since", "24h", "--run", run)
    assert (lines.code, lines.err.count("cannot be combined")) == (2, 1)
    log = pfa("log", "--pems", "--run", run, "--limit", "5000", "-o", "json").json
    assert found_in(log["data"]) == right
    everything = pfa("log", "--pems", "--since", BEFORE_ALL, "--limit", "50000", "-o", "ids").lines
    assert len(everything) == len(records) + len(right)


@pytest.mark.long
def test_who_changed_a_record_is_one_command(pfa: Pfa, records: list[Record]) -> None:
    right, run = expected(records), last_run(pfa)
    pfa_id, fields, effect = next(
        (pfa_id, fields, effect)
        for pfa_id, (_, fields, effect) in right.items()
        if "forecastEnd" in fields
    )
    history = pfa("show", pfa_id, "--history", "-o", "json").json["data"][0]["entries"]
    assert [(item["event"], item["origin"]) for item in history] == [
        ("changed", "pems"),
        ("new", "pems"),
    ]
    assert (history[0]["runId"], history[0]["costEffect"]) == (run, effect)
    blame = pfa("blame", pfa_id, "-o", "json").json["data"]["fields"]
    of_run = {item["field"] for item in blame if item["runId"] == run}
    assert of_run == {*fields, "pemsVersion"}
    end = next(item for item in blame if item["field"] == "forecastEnd")
    assert (end["before"], end["value"]) == fields["forecastEnd"]
    assert pfa("blame", "HOLNG-nothing").code == 6
    assert pfa("show", "HOLNG-nothing", "--history").code == 6


@pytest.mark.long
def test_nothing_changed_is_an_empty_list_and_no_failure(pfa: Pfa) -> None:
    for style in ("tsv", "jsonl", "ids"):
        nothing = pfa("changes", "--since", "0s", "-o", style)
        assert (nothing.code, nothing.out) == (0, "")
    assert "no changes in PEMS" in nothing.err
    empty = pfa("changes", "--since", "0s", "-o", "json").json
    assert (empty["data"], empty["summary"]["records"], empty["pagination"]["next"]) == (
        [],
        0,
        None,
    )
    assert pfa("log", "--pems", "--since", "0s", "-o", "json").json["data"] == []
    assert pfa("changes", "--run", "00000000-0000-4000-8000-000000000000").code == 6
