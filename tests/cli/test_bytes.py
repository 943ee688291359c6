"""Names, secrets and options of any bytes; output in any encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from pfa_cli.app import app
from pfa_cli.commands.catalog import COMMANDS
from tests.cli.conftest import baseline_record, ready, write_lines
from tests.forms import forms, long
from tests.program import Pfa

__all__ = ["ready"]
HALF = os.fsdecode(b"\xff")
NAMES = b"\xff\xfe g\xfcnstig.jsonl"
COMMAND_TREE = typer.main.get_command(app)


def leaves(group: Any, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""
    context = typer.Context(group)
    found = []
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        nested = hasattr(inner, "list_commands")
        found += leaves(inner, (*words, name)) if nested else [((*words, name), inner)]
    return found


def text_options() -> list[tuple[tuple[str, ...], str]]:
    """Every option of every command that takes a text which is not the name of a file."""
    return [
        (words, max(parameter.opts, key=len))
        for words, found in leaves(COMMAND_TREE)
        for parameter in found.params
        if parameter.param_type_name == "option"
        and not parameter.is_flag
        and "FILE" not in (parameter.metavar or "")
    ]


@pytest.mark.slow
def test_there_are_options_of_every_command():
    assert {words[0] for words, _ in text_options()} == set(COMMANDS)
    assert len(text_options()) > 300


@pytest.mark.slow
@forms("step", short=14, long=1)
def test_an_option_that_is_not_utf_8_is_refused_by_name(pfa: Pfa, step: int) -> None:
    for words, option in text_options()[::step]:
        # What an option refuses for another reason, a number for instance, names it as well.
        done = pfa(*words, option, f"a{HALF}")
        assert done.code == 2, (words, option, done.err)
        named = option in done.err or done.err.startswith("hint: type: pfa")
        assert named, (words, option, done.err)
        assert "INTERNAL" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        (HALF,),
        ("list", HALF),
        ("show", HALF),
        ("draft", "set", HALF, "monthlyRate=1"),
        ("draft", "set", "H-001", f"equipment={HALF}"),
        ("draft", "set", "H-001", f"{HALF}=1"),
        ("draft", "unset", "H-001", HALF),
        ("draft", "shift", HALF),
        ("conflict", "show", HALF),
        ("conflict", "resolve", HALF, "--take", "mine"),
        ("sync", "show", HALF),
        ("sync", "retry", HALF),
        ("log", HALF),
        ("user", "grant", HALF, "--role", "viewer"),
        ("org", "add", HALF),
        ("auth", "revoke", HALF),
        ("auth", "keys", "retire", HALF),
        ("diff", HALF),
    ],
)  # fmt: skip
def test_an_argument_that_is_not_utf_8_is_refused(ready: Pfa, words: tuple[str, ...]) -> None:
    done = ready(*words)
    assert done.code == 2, done.err
    assert "INTERNAL" not in done.err


VARIABLES = (
    "PFA_ORG",
    "PFA_PROFILE",
    "PFA_DATABASE_URL",
    "DATABASE_URL",
    "PFA_TOKEN",
    "PFA_TOKEN_FILE",
    "PFA_JWT_SECRET",
    "PFA_EMBEDDED_DIR",
    "PFA_EMBEDDED_USER",
    "PFA_LOG_FORMAT",
    "PFA_LOG_FILE",
    "PFA_PEMS_URL",
    "PFA_PEMS_USERNAME",
    "PFA_PEMS_TENANT",
    "PFA_PEMS_ORGANIZATION",
    "PFA_PEMS_FIELD_MAP",
    "PFA_PEMS_WRITER",
    "PFA_PEMS_PASSWORD_FILE",
    "PFA_PG_BINDIR",
    "CREDENTIALS_DIRECTORY",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HOME",
    "HTTP_PROXY",
)
WITHOUT_PEMS = (
    ("list",),
    ("version",),
    ("db", "status", "-o", "json"),
    ("auth", "status"),
    ("doctor", "-o", "json"),
)
WITH_PEMS = (("sync", "pull"), ("sync", "push"))


@pytest.mark.variants(6)
@pytest.mark.parametrize("value", [f"/nowhere/{HALF}", *long([f"http://{HALF}/"])])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_of_any_bytes_ends_no_command_in_a_bug(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    about_pems = variable.startswith("PFA_PEMS_")
    if about_pems:
        monkeypatch.setenv("PFA_PEMS_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv(variable, value)
    if variable == "DATABASE_URL":
        monkeypatch.delenv("PFA_DATABASE_URL")
    if variable in ("PFA_EMBEDDED_DIR", "PFA_PG_BINDIR"):
        monkeypatch.delenv("PFA_DATABASE_URL")
    for words in WITH_PEMS if about_pems else WITHOUT_PEMS:
        done = ready(*words)
        assert done.code in (0, 2, 3, 4, 6, 9, 69, 74, 78), (words, done.err)
        assert "INTERNAL" not in done.err + done.out


@pytest.mark.parametrize(
    "variable", ["PFA_ORG", "PFA_PROFILE", "PFA_DATABASE_URL", "PFA_TOKEN", "PFA_JWT_SECRET"]
)
def test_a_variable_that_is_not_utf_8_is_refused_by_name(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"a{HALF}")
    done = ready("list")
    assert (done.code, done.err) == (78, f"error: {variable} is not UTF-8 text [CONFIG_INVALID]\n")


@pytest.mark.parametrize("variable", ["PFA_PEMS_USERNAME", "PFA_PEMS_TENANT", "PFA_PEMS_WRITER"])
def test_a_variable_of_pems_that_is_not_utf_8_is_refused_by_name(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("PFA_PEMS_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv(variable, f"a{HALF}")
    done = ready("sync", "pull")
    assert (done.code, done.err) == (78, f"error: {variable} is not UTF-8 text [CONFIG_INVALID]\n")


def test_a_file_may_have_any_name(ready: Pfa) -> None:
    file = ready.folder / os.fsdecode(NAMES)
    write_lines(file, [baseline_record(1), baseline_record(2)])
    pulled = ready("sync", "pull", "--from", str(file), "-o", "json")
    assert pulled.code == 0, pulled.err
    runs = ready("sync", "runs", "-o", "json")
    assert runs.json["data"][0]["source"] == r"\xff\xfe g\xfcnstig.jsonl"
    delta = ready.folder / os.fsdecode(b"\xff.json")
    delta.write_text('{"pfaId": "H-001", "delta": {"monthlyRate": 1, "nonsense": 2}}')
    refused = ready("draft", "save", str(delta))
    assert (refused.code, r"\xff.json" in refused.err) == (9, True)
    missing = ready("sync", "pull", "--from", f"/nowhere/{HALF}")
    assert (missing.code, r"/nowhere/\xff" in missing.err) == (6, True)


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        (b"\xff\xfea\x00", "is not UTF-8 text"),
        (b"a\x00b", "NUL"),
        (b"\xef\xbb\xbfeyJ", "byte order mark"),
    ],
)
def test_a_token_file_of_other_bytes_is_refused_by_name(
    ready: Pfa, content: bytes, stated: str
) -> None:
    file = ready.folder / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    done = ready("list", "--token-file", str(file))
    assert (done.code, stated in done.err, str(file) in done.err) == (78, True, True)


@pytest.mark.long
def test_a_token_in_a_pipe_of_other_bytes_is_refused(ready: Pfa) -> None:
    argv = [sys.executable, "-m", "pfa_cli", "auth", "login"]
    for content in (b"\xff\xfe", b"\xef\xbb\xbfeyJ", b"a\x00b"):
        for locale in ({"PYTHONUTF8": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
            environ = {**os.environ, **locale}
            done = subprocess.run(argv, input=content, capture_output=True, env=environ, timeout=60)
            # Where the locale decodes any bytes, it is a malformed token.
            assert done.returncode in (2, 4), done.stderr
            assert b"[IN" in done.stderr
            assert b"INTERNAL" not in done.stderr


@pytest.mark.parametrize("key", ["organization", "database_url", "token_file", "output"])
def test_a_nul_in_the_configuration_is_refused(
    ready: Pfa, home: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.delenv("PFA_DATABASE_URL")
    config = home / "config" / "pfa" / "config.toml"
    config.write_text(f'[profiles.default]\n{key} = "a\\u0000b"\n')
    done = ready("list")
    assert (done.code, "NUL" in done.err, str(config) in done.err) == (78, True, True)


# --- encodings -----------------------------------------------------------------------------------

ENVIRONMENTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "utf-8": {"PYTHONUTF8": "1"},
}
SPOKEN = ["ascii", *long(["the C locale", "latin-1", "utf-8"])]
TEXT = "Grúa “α” 🏗"


def run(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "pfa_cli", *words]
    return subprocess.run(argv, env={**os.environ, **environ}, capture_output=True, timeout=60)


@pytest.fixture
def spoken(ready: Pfa) -> Pfa:
    """Six records, one of which has a category in several scripts."""
    records = [baseline_record(1, category=TEXT), *map(baseline_record, range(2, 7))]
    assert ready("sync", "pull", "--from", write_lines(ready.folder / "m.jsonl", records)).code == 0
    return ready


@pytest.mark.long
@pytest.mark.parametrize("name", SPOKEN)
def test_output_is_what_it_says_in_every_encoding(spoken: Pfa, name: str) -> None:
    environ = ENVIRONMENTS[name]
    for words in (
        ("list", "-o", "json", "--all"),
        ("show", "H-001", "-o", "json"),
    ):
        done = run(*words, environ=environ)
        assert done.returncode == 0, done.stderr
        assert TEXT in json.dumps(json.loads(done.stdout.decode()), ensure_ascii=False)
    for words in (("list", "-o", "jsonl"), ("list", "-o", "jsonl", "--columns", "pfaId,category")):
        done = run(*words, environ=environ)
        lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
        assert len(lines) == 6
        assert TEXT in json.dumps(lines, ensure_ascii=False)
    table = run("list", "-o", "table", environ=environ)
    assert (table.returncode, b"H-001" in table.stdout) == (0, True)
    for shape in ("csv", "tsv"):
        lines = run("list", "-o", shape, environ=environ)
        if "PYTHONIOENCODING" not in environ:
            assert (lines.returncode, TEXT in lines.stdout.decode().replace('""', '"')) == (0, True)
        else:
            assert lines.returncode == 74
            assert b"the encoding of stdout, " in lines.stderr
            assert b"hint: unset PYTHONIOENCODING" in lines.stderr
            assert TEXT.encode() not in lines.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", SPOKEN)
def test_options_and_errors_are_what_they_say_in_every_locale(spoken: Pfa, name: str) -> None:
    environ = ENVIRONMENTS[name]
    found = run("list", "--category", TEXT, "-o", "ids", environ=environ)
    assert (found.returncode, found.stdout) == (0, b"H-001\n"), found.stderr
    failed = run("show", TEXT, "-o", "json", environ=environ)
    error = json.loads(failed.stderr.decode())["error"]
    assert (failed.returncode, error["details"][0]["pfaId"]) == (6, TEXT)
    from_variable = run("list", environ={**environ, "PFA_ORG": TEXT})
    assert b"INTERNAL" not in from_variable.stderr


@pytest.mark.slow
def test_a_latin_1_pipe_of_what_it_can_hold_is_written(ready: Pfa) -> None:
    records = [baseline_record(1, category="Grúa")]
    assert ready("sync", "pull", "--from", write_lines(ready.folder / "m.jsonl", records)).code == 0
    done = run("list", "--id", "H-001", "-o", "csv", environ={"PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, "Grúa".encode("latin-1") in done.stdout) == (0, True)
