"""`pfa config` and `pfa profile`: what counts and from where, and profiles that are protected."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pfa_cli.render import streams
from tests.cli.conftest import ready
from tests.program import Pfa, Ran
from tests.terminals import on_terminal

__all__ = ["ready"]  # a fixture


def config_file() -> Path:
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"


@pytest.fixture
def guarded(ready: Pfa) -> Pfa:
    """The usual profile is protected, and one record has a draft."""
    assert ready("draft", "set", "H-001", "model=A", "--into", "s").code == 0
    assert ready("config", "set", "protected", "true").code == 0
    return ready


@pytest.fixture
def typing(guarded: Pfa, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command as in a terminal where an answer is typed."""

    def run(answer: str, *words: str) -> Ran:
        with monkeypatch.context() as patch:
            typed = io.StringIO(answer)
            patch.setattr(sys, "stdin", typed)
            patch.setattr(streams, "is_terminal", lambda stream: stream in (typed, sys.stderr))
            return guarded(*words)

    return run


def drafts(pfa: Pfa) -> list[str]:
    return pfa("draft", "list", "--state", "draft", "-o", "ids").lines


class TestProtected:
    @pytest.mark.parametrize(
        "words",
        [
            ("commit", "--session", "s"),
            ("draft", "set", "H-002", "model=B"),
            ("discard", "--session", "s"),
            ("sync", "push"),
            ("config", "unset", "protected"),
        ],
    )
    def test_a_script_needs_the_option(self, guarded: Pfa, words: tuple[str, ...]) -> None:
        ran = guarded(*words)
        assert ran.code == 2
        assert "profile default is protected; nothing was changed" in ran.err
        assert f"type: pfa {words[0]}" in ran.err
        assert "--yes" in ran.err
        assert drafts(guarded) == ["H-001"]

    def test_with_it_the_write_goes_on(self, guarded: Pfa) -> None:
        assert guarded("commit", "--session", "s", "--yes").code == 0
        assert drafts(guarded) == []

    def test_a_dry_run_and_a_read_need_none(self, guarded: Pfa) -> None:
        assert guarded("commit", "--session", "s", "-n").code == 0
        assert guarded("list", "-o", "ids").code == 0
        assert drafts(guarded) == ["H-001"]

    def test_on_a_terminal_it_asks(self, guarded: Pfa, typing: Callable[..., Ran]) -> None:
        ran = typing("n\n", "commit", "--session", "s")
        asked = "profile default is protected; pfa commit changes it. Go on? [y/N] "
        assert (ran.code, ran.err) == (130, f"{asked}nothing was changed\n")
        assert drafts(guarded) == ["H-001"]
        assert typing("y\n", "commit", "--session", "s").code == 0
        assert drafts(guarded) == []

    def test_yes_answers_a_commit_of_everything_too(
        self, guarded: Pfa, typing: Callable[..., Ran]
    ) -> None:
        ran = typing("", "commit", "--yes")
        assert ran.code == 0
        assert "[y/N]" not in ran.err
        assert drafts(guarded) == []

    def test_a_check_of_the_database_asks_only_before_repairs(self, guarded: Pfa) -> None:
        assert guarded("db", "verify").code == 0
        refused = guarded("db", "verify", "--repair")
        assert (refused.code, "is protected; nothing was changed" in refused.err) == (2, True)
        assert guarded("db", "verify", "--repair", "-n").code == 0
        assert guarded("db", "verify", "--repair", "--yes").code == 0

    def test_the_current_one_is_asked_about_once(
        self, guarded: Pfa, typing: Callable[..., Ran]
    ) -> None:
        ran = typing("y\n", "profile", "remove", "default")
        assert (ran.code, ran.err.count("Go on?")) == (0, 1)

    def test_a_new_profile_changes_none_that_is_protected(
        self, guarded: Pfa, typing: Callable[..., Ran]
    ) -> None:
        assert guarded("profile", "add", "test").code == 0
        ran = typing("", "profile", "add", "other", "--protected")
        assert (ran.code, "Go on?" in ran.err) == (0, False)
        assert guarded("config", "set", "organization", "HOLNG", "--profile", "other").code == 2
        assert guarded("profile", "remove", "other").code == 2

    def test_another_profile_is_not_protected_by_it(self, guarded: Pfa) -> None:
        assert guarded("profile", "add", "test").code == 0
        assert guarded("commit", "--session", "s", "--profile", "test").code == 0

    def test_a_protected_one_is_not_removed_unasked(self, ready: Pfa) -> None:
        assert ready("profile", "add", "prod", "--protected").code == 0
        before = config_file().read_text()
        assert ready("profile", "remove", "prod").code == 2
        assert ready("profile", "remove", "prod", "--dry-run").code == 0
        assert config_file().read_text() == before
        assert ready("profile", "remove", "prod", "--yes").code == 0

    def test_reads_do_not_take_the_option(self, ready: Pfa) -> None:
        assert ready("list", "--yes").code == 2


class TestConfig:
    def test_set_get_explain_and_unset(self, ready: Pfa) -> None:
        assert ready("config", "get", "pems.tenant").code == 6
        assert (
            ready("config", "set", "pems.tenant", "T").err
            == "pems.tenant is T in profile default\n"
        )
        got = ready("config", "get", "pems.tenant")
        assert (got.out, got.err) == ("T\n", "")
        assert ready("config", "explain", "pems.tenant").lines[-1].split("\t") == [
            "profile default", "T", "yes",
        ]  # fmt: skip
        assert ready("config", "unset", "pems.tenant").code == 0
        assert ready("config", "get", "pems.tenant").code == 6

    def test_a_value_that_something_else_wins_over_is_said(
        self, ready: Pfa, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_PEMS_TENANT", "MINE")
        ran = ready("config", "set", "pems.tenant", "T")
        assert "hint: PFA_PEMS_TENANT is set to MINE and wins over it" in ran.err

    def test_a_broken_file_can_be_looked_at_and_mended(self, ready: Pfa) -> None:
        path = config_file()
        path.parent.mkdir(exist_ok=True)
        path.write_text('[profiles.default]\noutput = "fax"\n')
        path.chmod(0o600)
        assert ready("status").code != 0
        assert ready("config", "get", "output").out == "fax\n"
        assert ready("config", "set", "output", "fax2").code == 2
        assert ready("config", "set", "output", "table").code == 0
        assert ready("status").code == 0

    def test_quiet_means_quiet(self, ready: Pfa) -> None:
        ran = ready("config", "set", "pems.tenant", "T", "-q")
        assert (ran.out, ran.err) == ("", "")
        assert ready("config", "get", "pems.tenant", "-q").out == "T\n"

    @pytest.mark.slow
    def test_a_list_fits_a_terminal(self, ready: Pfa) -> None:
        screen = on_terminal("config", "list")
        assert screen.code == 0
        assert max(map(len, screen.lines)) <= 80
        assert "pems.retries" in screen.text


class TestProfile:
    @pytest.mark.long
    def test_the_one_in_use_counts_on_a_terminal_alone(self, ready: Pfa) -> None:
        assert ready("profile", "add", "other", "--org", "NOWHERE").code == 0
        assert ready("profile", "use", "other").code == 0
        assert ready("list", "-o", "ids").code == 0
        assert on_terminal("list", "-o", "ids").code == 5
        assert "pfa profile use" in on_terminal("status", "-v").text
        assert on_terminal("profile", "use", "--none").code == 0
        assert on_terminal("list", "-o", "ids").code == 0

    def test_settings_of_the_common_options_are_taken(self, ready: Pfa) -> None:
        ran = ready(
            "profile", "add", "p", "--org", "RIO", "--database-url", "postgresql:///x",
            "--set", "pems.url=https://p.example", "--set", "pems.tenant=a=b", "-o", "json",
        )  # fmt: skip
        assert ran.json["data"] == {
            "profile": "p",
            "current": False,
            "protected": False,
            "organization": "RIO",
            "databaseUrl": "postgresql:///x",
            "pemsUrl": "https://p.example",
        }
        assert ready("config", "get", "pems.tenant", "--profile", "p").out == "a=b\n"
        assert ready("profile", "add", "p").code == 7

    def test_a_wrong_setting_adds_nothing(self, ready: Pfa) -> None:
        assert ready("profile", "add", "p", "--set", "pems.url").code == 2
        assert ready("profile", "add", "p", "--set", "pems.retries=x").code == 2
        assert ready("profile", "list", "-o", "ids").lines == []

    def test_an_unknown_one_names_the_nearest(self, ready: Pfa) -> None:
        ready("profile", "add", "prod")
        ran = ready("profile", "show", "prd")
        assert (ran.code, "did you mean prod?" in ran.err) == (6, True)
