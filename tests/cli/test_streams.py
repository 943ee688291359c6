"""Stdout as the program finds it: what cannot be written completely is an error."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pfa_core
from tests.cli.conftest import six_records
from tests.forms import long
from tests.program import Pfa, Ran, a_stage

resource = pytest.importorskip("resource")


@pytest.mark.variants(1)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_file_that_takes_only_a_part_is_an_error_and_no_short_result(
    unbuffered: str, tmp_path: Path
) -> None:
    """Python's unbuffered stdout, common in containers, drops the rest of a partial write."""
    file = tmp_path / "out"

    def help_page(limit: int) -> subprocess.CompletedProcess[str]:
        with file.open("wb") as stdout:
            return subprocess.run(
                [sys.executable, "-m", "pfa_cli", "--help"],
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            )

    whole = help_page(resource.RLIM_INFINITY)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert file.read_text().startswith("Usage: pfa")
    assert file.stat().st_size > 2000

    part = help_page(1000)
    assert (part.returncode, file.stat().st_size) == (74, 1000)
    assert part.stderr == "error: cannot read or write: File too large [IO_ERROR]\n"


# --- stored, and then stdout fails ------------------------------------------------------------------


@a_stage
def ready(pfa: Pfa) -> None:
    """Six records, two drafts, one discarded, and a second member."""
    six_records(pfa)
    for words in (
        ("draft", "set", "H-001", "model=A", "--into", "open"),
        ("draft", "set", "H-002", "model=B", "--into", "done"),
        ("commit", "--session", "done"),
        ("draft", "set", "H-003", "model=C", "--into", "gone"),
        ("discard", "--session", "gone"),
        ("user", "grant", "bob", "--role", "editor"),
    ):
        assert pfa(*words).code == 0
    token = pfa("auth", "issue", "--user", "bob", "--ttl", "1h").out
    (pfa.folder / "bob.token").write_text(token)
    (pfa.folder / "bob.token").chmod(0o600)


WRITES = {
    "set": ("draft", "set", "H-004", "model=X", "--into", "new"),
    "shift": ("draft", "shift", "3", "--id", "H-004", "--into", "new"),
    "unset": ("draft", "unset", "--session", "open", "model"),
    "commit": ("commit", "--session", "open"),
    "uncommit": ("uncommit", "--session", "done"),
    "discard": ("discard", "--session", "open"),
    "restore": ("restore", "--session", "gone"),
    "pull": ("sync", "pull", "--from", "FOLDER/mirror.jsonl"),
    "grant": ("user", "grant", "eve", "--role", "viewer"),
    "revoke": ("user", "revoke", "bob"),
    "rotate": ("auth", "keys", "rotate"),
    "revoke tokens": ("auth", "revoke", "--user", "bob"),
    "refresh": ("auth", "refresh"),
    "login": ("auth", "login", "FOLDER/bob.token"),
    "add": ("org", "add", "OTHER"),
    "init": ("init", "--org", "MORE"),
}
STORED = "the change is stored"


class Full(io.StringIO):
    """A stdout whose every flush fails, as that of a full disk or of a pipe without a reader."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        if self.getvalue():
            raise self.error


@contextmanager
def stdout_as(stream: io.StringIO | None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield


def run(pfa: Pfa, stream: io.StringIO | None, *words: str) -> Ran:
    words = tuple(word.replace("FOLDER", str(pfa.folder)) for word in words)
    with stdout_as(stream):
        return pfa(*words)


def full() -> Full:
    return Full(OSError(28, "No space left on device"))


@pytest.mark.variants(2)
@pytest.mark.parametrize("form", ["table", *long(["json"])])
@pytest.mark.parametrize("name", WRITES)
def test_what_is_stored_is_said_where_stdout_is_full(ready: Pfa, name: str, form: str) -> None:
    ran = run(ready, full(), *WRITES[name], "-o", form, "--error-format", "text")
    assert ran.code == 74
    assert ran.err.splitlines()[-1] == (
        f"error: cannot read or write: No space left on device; {STORED} [IO_ERROR]"
    )


@pytest.mark.variants(1)
@pytest.mark.parametrize("stream", [None, Full(BrokenPipeError())], ids=["closed", "no reader"])
def test_what_is_stored_is_said_where_stdout_is_gone(ready: Pfa, stream: Full | None) -> None:
    ran = run(ready, stream, *WRITES["shift"])
    assert (ran.code, STORED in ran.err) == (74 if stream is None else 141, True)
    assert "H-004" in ready("draft", "list").out


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("draft", "shift", "3", "--id", "H-004", "--into", "new", "--dry-run"),
        ("draft", "set", "H-001", "model=A", "--into", "open"),
    ],
    ids=["read", "dry run", "unchanged"],
)
def test_what_stored_nothing_does_not_say_so(ready: Pfa, words: tuple[str, ...]) -> None:
    ran = run(ready, full(), *words)
    assert (ran.code, STORED in ran.err) == (74, False)


@pytest.mark.variants(1)
@pytest.mark.parametrize("stream", [full, lambda: Full(BrokenPipeError()), lambda: None])
@pytest.mark.parametrize(
    "words",
    [
        ("auth", "issue", "--user", "bob"),
        ("auth", "issue", "--service", "nightly", "--right", "sync"),
        ("auth", "issue", "--user", "bob", "-o", "json"),
        ("auth", "refresh", "--print"),
    ],
    ids=" ".join,
)
def test_a_token_that_could_not_be_shown_is_revoked(
    ready: Pfa, words: tuple[str, ...], stream: Callable[[], Full | None]
) -> None:
    def good() -> set[str]:
        return {item["tokenId"] for item in ready("auth", "list", "-o", "json").json["data"]}

    before = good()
    ran = run(ready, stream(), *words)
    assert ran.code == 74
    assert "was not shown, and is revoked" in ran.err
    assert good() == before
    shown = ready(*words)
    assert shown.code == 0
    assert len(good() - before) == 1


def test_a_refreshed_token_that_was_not_shown_is_revoked_with_the_old_one(ready: Pfa) -> None:
    ran = run(ready, full(), "auth", "refresh", "--print", "--revoke-old")
    assert (ran.code, "was not shown, and is revoked" in ran.err) == (74, True)
    assert ready("list").code == 4


def test_a_token_that_cannot_be_revoked_is_named(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise pfa_core.errors.DatabaseUnavailable("it is away")

    with monkeypatch.context() as patch:
        patch.setattr("pfa_core.revoke_tokens", fail)
        ran = run(ready, full(), "auth", "issue", "--user", "bob")
    listed = ready("auth", "list", "--user", "bob", "-o", "json").json["data"]
    assert ran.code == 74
    assert f"{listed[0]['tokenId']} was not shown, but it is valid" in ran.err
