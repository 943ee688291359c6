"""`pfa explain` and `pfa fields`: every word of the program, and what each field takes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest

from pfa_cli.app import main
from pfa_cli.exit_codes import INTERRUPTED
from pfa_cli.glossary import lookup
from pfa_core import errors
from pfa_core.model.audit import Action
from pfa_core.model.modification import State
from pfa_core.model.principal import Right, Role
from pfa_core.model.query import LOOKED_AT, Filters
from pfa_core.model.record import EDITABLE, FIELDS, SORTABLE
from pfa_core.model.rights import MONEY
from pfa_core.model.run import RunStatus
from tests.cli import shapes
from tests.terminals import on_terminal


def kinds(kind: type[errors.PfaError]) -> list[type[errors.PfaError]]:
    found = [kind, *(inner for child in kind.__subclasses__() for inner in kinds(child))]
    return [one for one in found if one.__module__ == errors.__name__]


WORDS = {
    "error code": {kind.code for kind in kinds(errors.PfaError)} | {"DEADLINE_PASSED"},
    "fault code": set(errors.FaultCode),
    "field": set(FIELDS),
    "state": set(State),
    "action": set(Action),
    "right": set(Right),
    "role": set(Role),
    "run status": set(RunStatus),
    "exit code": {str(kind.exit_code) for kind in kinds(errors.PfaError)}
    | {"0", "3", "10", str(INTERRUPTED), "141", "143"},
}


@pytest.mark.parametrize("kind", WORDS)
def test_every_word_of_a_kind_is_explained(kind: str) -> None:
    explained = [one for one in lookup.explanations() if one.kind == kind]
    assert {one.word for one in explained} == set(map(str, WORDS[kind]))
    assert len(explained) == len(WORDS[kind])
    assert all(one.means.strip() for one in explained)


def test_an_error_code_has_its_exit_code_and_says_whether_to_try_again() -> None:
    by_code = {kind.code: kind for kind in kinds(errors.PfaError)}
    for one in lookup.explanations():
        if one.kind == "error code" and one.word in by_code:
            kind = by_code[one.word]
            assert (one.exit_code, one.retryable) == (kind.exit_code, kind.retryable), one.word
            assert one.next


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["baseline_conflict"], {"error code", "fault code"}),
        (["Forecast", "Start"], {"field"}),
        (["forecast-start"], {"field"}),
        (["SYNC_ERROR"], {"state"}),
        (["sync-error"], {"state"}),
        (["dead letter"], {"term"}),
        (["conflict"], {"state", "fault code"}),
        (["75"], {"exit code"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_a_word_is_found_however_it_is_spelled(
    words: list[str], found: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words, "-o", "json"]) == 0
    said = capsys.readouterr()
    shapes.check(("explain",), said.out, said.err)
    assert {one["kind"] for one in json.loads(said.out)["data"]} == found


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("forcastEnd", "did you mean forecastEnd?"),
        ("BASELINE_CONFLCT", "did you mean BASELINE_CONFLICT?"),
        ("comitted", "did you mean committed?"),
        ("overtakn", "did you mean overtaken?"),
        ("xyzzy", "pfa explain, which lists all words"),
    ],
)
def test_the_nearest_word_is_suggested(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", word]) == 2
    assert hint in capsys.readouterr().err


def test_a_page_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "LEASE_HELD"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "LEASE_HELD (error code)",
        "",
        "means      another run is active; trying again later helps",
        "next       try again later, or add --if-locked wait",
        "exit code  75",
        "try again  yes",
    ]


def test_without_a_word_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "-o", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(lookup.explanations())
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines)


class TestFields:
    def test_every_field_is_listed_with_what_it_takes(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["fields", "-o", "json"]) == 0
        said = capsys.readouterr()
        shapes.check(("fields",), said.out, said.err)
        found = {one["field"]: one for one in json.loads(said.out)["data"]}
        assert list(found) == list(FIELDS)
        assert {name for name, one in found.items() if one["editable"]} == set(EDITABLE)
        assert {name for name, one in found.items() if one["sortable"]} == set(SORTABLE)
        assert {name for name, one in found.items() if one["money"]} == set(MONEY) & set(FIELDS)
        rate = found["monthlyRate"]
        assert (rate["kind"], rate["type"], rate["unit"]) == (
            "money",
            "number",
            "currency per rateUom",
        )
        assert found["source"]["choices"] == ["Rental", "Purchase"]
        assert found["forecastEnd"]["filters"] == ["--end-from", "--end-to", "--no-end"]
        assert (found["pfaId"]["maxLength"], found["forecastEnd"]["maxLength"]) == (200, None)

    def test_each_filter_is_an_option_of_a_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fields", "-o", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)["data"]
        options = {option for one in rows for option in one["filters"]}
        assert len(options) == len(LOOKED_AT)
        assert main(["list", "--help"]) == 0
        page = capsys.readouterr().out
        assert all(option in page for option in options)
        assert {option[2:].replace("-", "_") for option in options} - {"class"} <= {
            name.rstrip("_") for name in Filters.__slots__
        }

    def test_every_format_has_every_field(self, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("csv", "tsv", "jsonl", "markdown", "table", "ids"):
            assert main(["fields", "-o", name]) == 0
            out = capsys.readouterr().out
            assert all(field in out for field in FIELDS), name
        assert main(["fields", "-o", "csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert rows[11]["filters"] == "--transferable"

    @pytest.mark.variants(1)
    @pytest.mark.parametrize("words", [["fields"], ["explain", "draft"]], ids=" ".join)
    def test_nothing_heavy_is_loaded(self, words: list[str]) -> None:
        heavy = ("psycopg", "rich", "pydantic", "jwt", "urllib3")
        code = (
            "import sys; from pfa_cli.app import main; main(sys.argv[1:]);"
            f"print([name for name in {heavy!r} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_names_of_fields_stay_whole_on_a_narrow_terminal() -> None:
    for cells in (60, 80):
        lines = on_terminal("fields", cells=cells).lines
        begun = {line.split()[0] for line in lines if line.strip()}
        assert [name for name in FIELDS if name not in begun] == []
        assert max(map(len, lines)) <= cells
