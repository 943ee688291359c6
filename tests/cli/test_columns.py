"""Columns, formats and lifetimes of tokens, checked before a command does anything."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import typer

import pfa_cli.app
from pfa_cli.app import main
from tests.cli.conftest import six_records
from tests.program import Pfa, a_stage

UNREACHABLE = "postgresql://pfa@127.0.0.1:1/pfa?connect_timeout=1"
AN_ID = "01a2109c-0a59-70c0-aacd-970c40143a9b"

# A command line for each command that prints a result.
COMMANDS = [
    "init",
    "list",
    "show H-001",
    "stats",
    "stats --by category,source",
    "stats --by month",
    "status",
    "report",
    "doctor",
    "version",
    "draft save delta.json",
    "draft set H-001 areaSilo=Quay",
    "draft shift 1 --all",
    "draft unset H-001 areaSilo",
    "draft list",
    "diff",
    "commit",
    "discard --all",
    "uncommit --all",
    "restore --id H-001",
    "sync pull",
    "sync push",
    "sync push --dry-run",
    "sync retry",
    "sync retry --dry-run",
    "sync runs",
    f"sync show {AN_ID}",
    "conflict list",
    "conflict show H-001",
    "conflict resolve H-001 --take mine",
    "log",
    "log --follow",
    "log verify",
    "log archive --before 2020-01-01 --to trail.gz",
    "metrics",
    "auth login some.token",
    "auth status",
    "auth issue --user ben",
    "auth refresh",
    "auth refresh --print",
    "auth list",
    "auth revoke --all",
    "auth keys",
    "auth keys list",
    "auth keys rotate",
    "auth keys retire 3f1c9a7e55d20b64",
    "org add RIO",
    "org use RIO",
    "org set --currency USD",
    "org list",
    "org export RIO rio.pfa",
    "org import rio.pfa",
    "org reopen RIO --reason x",
    "user grant ben --role viewer",
    "user revoke ben",
    "user list",
    "db upgrade",
    "db distribute",
    "db status",
    "db verify",
    "db backup pfa.dump",
    "db restore pfa.dump",
    "changes",
    "blame H-001",
    "log --pems",
    "show H-001 --history",
    "db url",
    "sample",
    "sandbox",
    "schema",
    "schema records",
    "explain",
    "explain draft",
    "fields",
    "completion bash",
    "completion bash --install",
    "session use one",
    "session show",
    "session list",
    "config list",
    "config get pems.retries",
    "config explain organization",
    "config set pems.tenant T",
    "config unset pems.tenant",
    "profile list",
    "profile show",
    "profile add one",
    "profile remove one",
    "profile use one",
    "view save one --dor BEO",
    "view list",
    "view show one",
    "view delete one",
    "plan --all",
    "undo",
    "undo --list",
    "revert --session one",
]
# These print no result.
SILENT = {"auth logout", "db psql", "db role add", "db stop", "demo"}


@a_stage
def ready(pfa: Pfa) -> None:
    """Six records, a draft of H-001."""
    six_records(pfa)
    assert pfa("draft", "set", "H-001", "areaSilo=Quay", "--into", "one").code == 0


@pytest.mark.variants(24)
@pytest.mark.parametrize("line", COMMANDS)
def test_an_unknown_column_is_refused_before_the_database_is_asked(
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PFA_DATABASE_URL", UNREACHABLE)
    monkeypatch.chdir(tmp_path)
    code = main([*line.split(), "--org", "HOLNG", "--columns", "xqz"])
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.splitlines()[-1] == "error: unknown column 'xqz' [INVALID_REQUEST]"


def test_each_command_that_prints_a_result_is_among_these() -> None:
    named = {" ".join(words) for line in COMMANDS for words in _beginnings(line.split())}
    assert {name for name in _all_commands() if name not in named} == SILENT


def test_a_write_whose_columns_are_refused_stores_nothing(ready: Pfa) -> None:
    refused = ["--columns", "xqz"]
    assert ready("draft", "set", "H-002", "areaSilo=Quay", *refused).code == 2
    assert ready("commit", "--session", "one", *refused).code == 2
    assert ready("user", "grant", "ben", "--role", "viewer", *refused).code == 2
    assert ready("auth", "keys", "rotate", *refused).code == 2
    assert ready("draft", "list", "-o", "ids").lines == ["H-001"]
    assert len(ready("user", "list").lines) == 1
    assert len(ready("auth", "keys").lines) == 1

    taken = ["--columns", "pfaId,version"]
    assert ready("commit", "--session", "one", *taken, "-o", "tsv").out == "H-001\t2\n"


def test_a_write_whose_configured_format_is_refused_stores_nothing(ready: Pfa, home: Path) -> None:
    file = home / "config" / "pfa" / "config.toml"
    file.write_text('[profiles.odd]\noutput = "xml"\n')
    ran = ready("commit", "--session", "one", "--profile", "odd")
    assert (ran.code, ran.out) == (2, "")
    assert "invalid output format 'xml'" in ran.err
    assert ready("draft", "list", "-o", "ids").lines == ["H-001"]

    assert ready("commit", "--session", "one", "--profile", "odd", "-o", "ids").out == "H-001\n"


@pytest.mark.variants(12)
@pytest.mark.parametrize(
    "line",
    [
        *("list", "show H-001", "stats", "stats --by category", "stats --by month", "status"),
        *("doctor", "version", "draft list", "diff", "sync runs", "conflict list", "log"),
        *(
            "log verify",
            "log archive --before 2020-01-01 --to trail.gz -n",
            "metrics",
            "auth status",
            "auth list",
            "auth keys",
            "org set --currency USD",
            "org list",
            "user list",
        ),
        *("db status", "db verify", "db url", "init", "auth refresh", "auth refresh --print"),
        *("draft set H-002 areaSilo=Quay -n", "draft shift 1 --id H-001 -n", "commit -n"),
        *("draft unset H-001 areaSilo -n", "discard --all -n", "sync push -n", "sync retry -n"),
        *("auth revoke --all -n", "auth keys rotate -n", "user grant b --role viewer"),
        *("org add RIO -n", "db upgrade -n", "sync pull --from mirror.jsonl -n"),
    ],
)
def test_every_column_that_the_refusal_names_is_one_of_the_result(
    line: str, ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ready.folder)
    words = [*line.split(), "--org", "HOLNG"]
    refusal = ready(*words, "--columns", "nope")
    (hint,) = (each for each in refusal.err.splitlines() if each.startswith("hint: columns: "))
    names = hint.removeprefix("hint: columns: ").partition(";")[0].split(", ")
    ran = ready(*words, "--columns", ",".join(names), "-o", "csv")
    assert ran.code in {0, 6}  # doctor finds no PEMS here
    assert next(csv.reader(io.StringIO(ran.out))) == names

    default = ready(*words, "-o", "csv")
    assert set(next(csv.reader(io.StringIO(default.out)))) <= set(names)


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "words",
    [
        ("auth", "issue", "--user", "anna", "--ttl", "0s"),
        ("auth", "issue", "--user", "anna", "--ttl", "367d"),
        ("auth", "issue", "--service", "job", "--right", "sync", "--ttl", "367d"),
        ("auth", "refresh", "--ttl", "0s"),
    ],
    ids=" ".join,
)
def test_a_lifetime_that_no_token_may_have_is_refused_before_the_database_is_asked(
    words: tuple[str, ...], ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_DATABASE_URL", UNREACHABLE)
    ran = ready(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "invalid lifetime of a token: more than 0, at most 366 days" in ran.err
    assert ready("auth", "issue", "--user", "anna", "--ttl", "366d").code == 69


def _beginnings(words: list[str]) -> list[list[str]]:
    return [words[:length] for length in range(1, 4)] + [[*words[:1], "show"]]


def _all_commands() -> list[str]:
    def inside(command: object, name: str) -> list[str]:
        if not hasattr(command, "list_commands"):
            return [name]
        context = typer.Context(command)
        return [
            each
            for inner in command.list_commands(context)
            for each in inside(command.get_command(context, inner), f"{name} {inner}".strip())
        ]

    return inside(typer.main.get_command(pfa_cli.app.app), "")
