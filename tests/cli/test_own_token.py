"""The token of an embedded server's own user, from command to command."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import pfa_core
from pfa_core import Database
from pfa_core.model.ids import utc_now
from tests.cli.conftest import ready
from tests.program import Pfa

__all__ = ["ready"]  # a fixture


@pytest.fixture
def yesterday(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Signed in yesterday; the test's server stands for an embedded one. Returns the stored token."""
    file = pfa_core.resolve().token_file
    file.unlink()
    then = utc_now() - timedelta(hours=30)
    with Database(ready.url, clock=lambda: then) as db:
        pfa_core.initialize(db, pfa_core.resolve(), "HOLNG")
    monkeypatch.delenv("PFA_DATABASE_URL")
    monkeypatch.setattr(
        "pfa_core.admin.database.open_database", lambda _, **__: Database(ready.url)
    )
    return file.read_text


def test_the_next_command_renews_it_without_a_word(
    yesterday: Callable[[], str], ready: Pfa
) -> None:
    before = yesterday()
    done = ready("list", "-o", "ids")
    assert (done.code, len(done.lines), done.err) == (0, 6, "")
    after = yesterday()
    assert after != before
    assert ready("auth", "status").code == 0
    assert yesterday() == after


@pytest.mark.parametrize(
    "words",
    [("auth", "status"), ("auth", "refresh"), ("org", "list"), ("status",), ("draft", "list")],
    ids=" ".join,
)
def test_every_command_that_needs_it_does(
    words: tuple[str, ...], yesterday: Callable[[], str], ready: Pfa
) -> None:
    assert ready(*words).code == 0


def test_on_a_server_that_is_shared_it_ends(yesterday: Callable[[], str], ready: Pfa) -> None:
    before = yesterday()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_DATABASE_URL", ready.url)
        done = ready("list")
    assert (done.code, "the token expired" in done.err) == (4, True)
    assert yesterday() == before


def test_one_that_a_variable_holds_ends(
    yesterday: Callable[[], str], ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_TOKEN", yesterday())
    assert ready("list").code == 4
    assert "PFA_TOKEN" in os.environ


def test_a_profile_with_a_token_of_its_own_is_signed_in_and_out_there(
    ready: Pfa, tmp_path: Path
) -> None:
    usual = pfa_core.resolve().token_file
    before, own = usual.read_bytes(), tmp_path / "site" / "token"
    (usual.parent / "config.toml").write_text(f"[profiles.site]\ntoken_file = '{own}'\n")
    made = ready("init", "--org", "SITE", "--profile", "site", "-o", "json")
    assert (made.code, made.json["data"]["tokenFile"]) == (0, str(own))
    assert "next: pfa sync pull --org SITE --profile site --from FILE" in made.err
    assert usual.read_bytes() == before
    assert ready("list", "--org", "SITE", "--profile", "site").code == 0
    assert ready("auth", "logout", "--profile", "site").code == 0
    assert (own.exists(), usual.read_bytes()) == (False, before)
    assert ready("list", "--profile", "site", "--org", "SITE").code == 4
