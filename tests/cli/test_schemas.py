"""Published schemas: they are those of the types, they stay, and every command keeps to them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pfa_cli.schemas import catalog, line_of, meanings, models, names, read_schema
from pfa_cli.schemas.keys import keys_of
from tests.cli import shapes
from tests.cli.schema_changes import ADDED, BROKEN, SAME, change_of, version_fits
from tests.cli.walk import pulled, run, walked
from tests.forms import forms
from tests.program import Pfa

__all__ = ["pulled"]  # a fixture

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "run: python docs/generate_schemas.py"


def generator() -> ModuleType:
    path = ROOT / "docs" / "generate_schemas.py"
    spec = importlib.util.spec_from_file_location("generate_schemas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()


# -- the files --------------------------------------------------------------------------------


def test_the_files_are_those_that_the_types_give() -> None:
    made = GENERATOR.texts()
    there = {path.stem: path.read_text() for path in GENERATOR.PACKAGE.glob("*.json")}
    assert sorted(there) == sorted(made), AGAIN
    assert [name for name, text in made.items() if there[name] != text] == [], AGAIN


def test_what_was_published_stays_and_versions_say_what_came() -> None:
    published = {path.stem: json.loads(path.read_text()) for path in GENERATOR.PUBLISHED.glob("*")}
    assert len(published) > 40
    assert set(published) <= set(names())
    wrong = [name for name in published if not version_fits(published[name], read_schema(name))]
    assert wrong == [], "raise `version` in pfa_cli/schemas/catalog.py, or keep the keys"


@pytest.mark.slow
def test_every_meaning_is_that_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[tuple[str, str]] = set()

    def noted(shape: str, name: str) -> meanings.Meaning:
        asked.add((shape, name))
        return meanings.meaning(shape, name)

    monkeypatch.setattr(models, "meaning", noted)
    catalog.schemas()
    assert meanings.unused(asked) == []
    with pytest.raises(KeyError, match="'nope' of MergedRecord has no meaning"):
        meanings.meaning("MergedRecord", "nope")


@pytest.mark.parametrize("name", names())
def test_a_schema_says_of_every_key_what_it_means_and_refuses_others(name: str) -> None:
    schema = read_schema(name)
    assert shapes.unsupported(schema) == set()
    assert [key.key for key in keys_of(schema) if not key.means] == []
    objects = [schema, *schema.get("$defs", {}).values()]
    loose = [each for each in objects if "properties" in each and _is_loose(each)]
    assert loose == []


def _is_loose(schema: dict[str, Any]) -> bool:
    return schema.get("additionalProperties") is not False


def test_keys_are_in_camel_case_but_those_of_sums() -> None:
    snake = {name for name in names() if _last_words(name, "_")}
    assert snake == {"stats", "report", "config-file"}  # TOML has its own custom
    camel = [word for word in _last_words("stats", "") if word != word.lower()]
    assert camel == ["queryTime", "totalRecords"]


def _last_words(name: str, part: str) -> list[str]:
    words = [key.key.split(".")[-1] for key in keys_of(read_schema(name))]
    return [word for word in words if part in word]


# -- changes ----------------------------------------------------------------------------------


def a_schema(version: str = "1.0", *, commands: tuple[str, ...] = ("list",), **keys: str) -> Any:
    required = [name for name, kind in keys.items() if not kind.endswith("?")]
    return {
        "$schema": catalog.DIALECT,
        "$id": "urn:x",
        "title": "x",
        "x-version": version,
        "x-commands": list(commands),
        "type": "object",
        "properties": {
            name: {"anyOf": [{"type": each} for each in kind.rstrip("?").split("|")]}
            for name, kind in keys.items()
        },
        "required": required,
    }


@pytest.mark.parametrize(
    ("new", "change"),
    [
        ({"a": "string", "b": "integer?"}, SAME),
        ({"a": "string", "b": "integer?", "c": "null"}, ADDED),
        ({"a": "string", "b": "integer"}, ADDED),
        ({"a": "string|null", "b": "integer?"}, ADDED),
        ({"b": "integer?"}, BROKEN),
        ({"a": "integer", "b": "integer?"}, BROKEN),
        ({"a": "string?", "b": "integer?"}, BROKEN),
    ],
)
def test_an_addition_is_a_second_number_and_a_break_a_first_one(
    new: dict[str, str], change: str
) -> None:
    old = a_schema("1.3", a="string", b="integer?")
    assert change_of(old, a_schema(**new)) == change
    fitting = {SAME: "1.3", ADDED: "1.4", BROKEN: "2.0"}
    fits = {kind: version_fits(old, a_schema(version, **new)) for kind, version in fitting.items()}
    assert fits[change]
    assert not fits[SAME] or change == SAME
    assert not fits[ADDED] or change == ADDED


@pytest.mark.parametrize(
    ("values", "change"),
    [
        (True, SAME),
        ({"anyOf": [{"type": "object"}, {}]}, ADDED),
        ({"type": "object"}, BROKEN),
        ({"anyOf": [{"type": "object"}, {"type": "string"}]}, BROKEN),
    ],
)
def test_values_that_are_described_beside_any_others_are_an_addition(
    values: object, change: str
) -> None:
    old, new = a_schema(commands=()), a_schema(commands=())
    old["properties"] = {"delta": {"type": "object", "additionalProperties": True}}
    new["properties"] = {"delta": {"type": "object", "additionalProperties": values}}
    assert change_of(old, new) == change


def test_of_what_is_read_a_key_must_not_become_required() -> None:
    old = a_schema(commands=(), a="string", b="integer?")
    required = a_schema(commands=(), a="string", b="integer")
    optional = a_schema(commands=(), a="string?", b="integer?")
    assert (change_of(old, required), change_of(old, optional)) == (BROKEN, ADDED)
    new = a_schema(commands=(), a="string", b="integer?", c="string")
    assert change_of(old, new) == BROKEN


def test_the_lines_are_compared_too() -> None:
    old = a_schema(a="string") | {"$defs": {"line": a_schema(b="string")}}
    new = a_schema(a="string") | {"$defs": {"line": a_schema(c="string")}}
    assert (change_of(old, old), change_of(old, new)) == (SAME, BROKEN)


# -- the validator ----------------------------------------------------------------------------

LINE = {
    "pfaId": "H-1",
    "data": {"anything": [1]},
    "syncState": "draft",
    "sessionId": None,
    "version": 1,
    "modifiedAt": "2026-01-02T03:04:05.678Z",
    "modifiedBy": "anna",
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"modifiedAt": None}, []),
        ({"extra": 1}, ["$.extra is not documented"]),
        ({"version": "1"}, ["$.version: '1' is not of type integer"]),
        ({"version": True}, ["$.version: True is not of type integer"]),
        ({"syncState": "new"}, ["$.syncState: 'new' is not one of"]),
        ({"modifiedAt": "yesterday"}, ["$.modifiedAt: 'yesterday' is not a date-time"]),
        ({"data": None}, ["$.data: None is not of type object"]),
    ],
)
def test_a_line_is_checked_by_its_schema(changes: dict[str, Any], said: list[str]) -> None:
    schema = line_of(read_schema("records"))
    assert schema is not None
    found = shapes.faults({**LINE, **changes}, schema, schema)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))
    lacking = {name: value for name, value in LINE.items() if name != "version"}
    assert shapes.faults(lacking, schema, schema) == ["$.version is missing"]


def test_a_test_that_reads_an_undocumented_key_fails() -> None:
    out = json.dumps({"data": {"url": "x", "extra": 1}, "metadata": {}})
    with pytest.raises(AssertionError, match=r"\$\.data\.extra is not documented"):
        shapes.check(("db", "url", "-o", "json"), out, "")
    shapes.check(("db", "url", "-o", "json"), out.replace(', "extra": 1', ""), "")
    with pytest.raises(AssertionError, match="without a published schema"):
        shapes.check(("nope", "-o", "json"), "{}", "")


# -- every command ----------------------------------------------------------------------------


@pytest.mark.slow
@forms("styles", short=("json",), long=("json", "jsonl"))
def test_every_command_keeps_to_its_schema(
    styles: tuple[str, ...], pulled: Pfa, tmp_path: Path
) -> None:
    written: dict[str, set[tuple[str, ...]]] = {style: set() for style in styles}
    for line in walked(pulled, tmp_path):
        for style, found in written.items():
            ran = run(pulled, line, style, dry=style != styles[-1])
            assert ran.code in {0, 3}, (line.words, ran.err)
            if ran.out:
                found.add(line.command)
    left = {
        ("sandbox",),  # runs until it is interrupted: tests/pems/test_sandbox_command.py
        ("db", "restore"),  # takes a database without data: tests/cli/test_transfer.py
        ("db", "distribute"),  # needs a cluster: tests/store/test_distributed.py
    }
    silent = {style: set(shapes.COMMANDS) - found for style, found in written.items()}
    assert silent == dict.fromkeys(written, left)


# -- the command ------------------------------------------------------------------------------


def test_the_list_names_every_schema_and_its_commands(pfa: Pfa) -> None:
    listed = pfa("schema", "-o", "json").json["data"]
    assert [item["name"] for item in listed] == list(names())
    assert next(item for item in listed if item["name"] == "records") == {
        "name": "records",
        "version": "1.0",
        "commands": ["list"],
        "means": "merged records: a page of them, or all",
    }
    assert pfa("schema").out == pfa("schema", "list").out


def test_a_schema_is_found_by_its_name_and_by_its_command(pfa: Pfa) -> None:
    assert json.loads(pfa("schema", "records").out) == read_schema("records")
    assert pfa("schema", "draft", "save").out == pfa("schema", "saved-drafts").out
    line = json.loads(pfa("schema", "draft", "list", "--line").out)
    assert line == line_of(read_schema("drafts"))
    assert not shapes.unsupported(line)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["recods"], "unknown schema 'recods'", "type: pfa schema records"),
        (["draft", "sav"], "unknown schema 'draft sav'", "type: pfa schema draft save"),
        (["qqq"], "unknown schema 'qqq'", "type: pfa schema list"),
        (
            ["sync", "push"],
            "pfa sync push has several schemas: planned-push, push",
            "pfa schema push",
        ),
        (["error", "--line"], "error has no lines", ""),
        (["--line"], "--line needs the name of a schema", "type: pfa schema list"),
        (
            ["records", "--columns", "nope"],
            "unknown column 'nope'",
            "key, type, unit, presence, means",
        ),
    ],
)
def test_another_name_is_refused_with_the_nearest(
    words: list[str], message: str, hint: str, pfa: Pfa
) -> None:
    ran = pfa("schema", *words)
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {message}" in ran.err
    assert hint in ran.err


def test_the_keys_of_a_schema_are_lines_of_a_table(pfa: Pfa) -> None:
    lines = pfa("schema", "stats", "-o", "tsv").lines
    assert (
        "data.cost.variance_pct\tnumber or null\t%\talways\tvariance in percent of the plan; 0 without one"
        in lines
    )
    assert any(line.startswith("groups[].key.") for line in lines) is False
    assert pfa("schema", "records", "--columns", "key", "-o", "tsv").lines[:2] == [
        "data",
        "data[].pfaId",
    ]


# -- what is loaded ---------------------------------------------------------------------------

LIGHT = ["--version", "--help", "list", "show H-001", "stats", "status", "commit --session one",
         "schema list", "schema records", "version"]  # fmt: skip


LOADED = """
import sys
from pfa_cli.app import main
for line in sys.argv[1:]:
    code = main(line.split())
    heavy = [name for name in ("pydantic", "pydantic_core", "jwt") if name in sys.modules]
    print("after", line, heavy, code, file=sys.stderr)
"""


@pytest.mark.slow
def test_a_daily_command_in_a_pipe_loads_neither_pydantic_nor_pyjwt(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "areaSilo=Quay", "--into", "one").code == 0
    command = [sys.executable, "-c", LOADED, *LIGHT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if line.startswith("after ")]
    assert said == [f"after {line} [] 0" for line in LIGHT]
