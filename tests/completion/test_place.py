"""Completion is for the organization and database that the command itself would take."""

from __future__ import annotations

import base64
import json
import os
from itertools import product
from pathlib import Path

import pytest

from pfa_cli.completion import place
from pfa_core.config.choices import ORGANIZATION, choose, place_of
from pfa_core.config.secret_files import write_secret_file
from pfa_core.config.settings import Flags, resolve

CONFIG = """
[profiles.default]
organization = "OF-DEFAULT"
[profiles.test]
organization = "OF-TEST"
database_url = "postgresql://test/pfa"
token_file = "{other}"
"""


def a_token(user: str, *codes: str) -> str:
    """A token that nothing has signed."""
    content = json.dumps({"sub": user, "organizations": {code: {} for code in codes}}).encode()
    return f"eyJhead.{base64.urlsafe_b64encode(content).decode().rstrip('=')}.sign"


@pytest.fixture
def files(home: Path) -> Path:
    """A stored token of anna's, one of ben's that the profile test names, and both profiles."""
    config = home / "config" / "pfa"
    other = home / "ben.token"
    write_secret_file(config / "token", a_token("anna", "ONE", "TWO"))
    write_secret_file(other, a_token("ben", "THREE"))
    write_secret_file(config / "config.toml", CONFIG.format(other=other))
    return home


def test_it_finds_what_the_settings_have(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = (
        ("--org", "org", "BY-FLAG"),
        ("--profile", "profile", "test"),
        ("--database-url", "database_url", "postgresql://flag/pfa"),
        ("--token-file", "token_file", str(files / "ben.token")),
    )
    environ = (
        ("PFA_ORG", "BY-VARIABLE"),
        ("PFA_PROFILE", "test"),
        ("DATABASE_URL", "postgresql://variable/pfa"),
        ("PFA_TOKEN", a_token("carl", "FOUR")),
    )
    for flags, variables in product(subsets(given), subsets(environ)):
        with monkeypatch.context() as patch:
            for name, value in variables:
                patch.setenv(name, value)
            settings = resolve(Flags(**{name: value for _, name, value in flags}))
            found = place.find({option: value for option, _, value in flags}, os.environ)
            assert settings.token is not None
            assert found[:2] == (
                settings.database_url or str(settings.embedded_dir),
                settings.organization,
            )
            assert found == found._replace(**whose(settings.token.reveal()))


def whose(token: str) -> dict[str, object]:
    content = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return {"user": content["sub"], "organizations": tuple(sorted(content["organizations"]))}


def subsets(items: tuple[tuple[str, ...], ...]) -> list[list[tuple[str, ...]]]:
    return [
        [item for item, wanted in zip(items, chosen, strict=True) if wanted]
        for chosen in product((False, True), repeat=len(items))
    ]


def test_without_a_name_the_only_organization_of_the_token_is_meant(home: Path) -> None:
    write_secret_file(home / "config" / "pfa" / "token", a_token("anna", "ONE"))
    assert place.find({}, os.environ).organization == "ONE"


def test_the_chosen_organization_wins_over_the_profile_and_loses_to_a_variable(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(ORGANIZATION, place_of(None, None, os.environ), "TWO", os.environ)
    assert place.find({}, os.environ).organization == "TWO"
    monkeypatch.setenv("PFA_ORG", "ONE")
    assert place.find({}, os.environ).organization == "ONE"


@pytest.mark.parametrize(
    "content", ["", "a.b", "eyJ.!!.x", "eyJ.e30.x", "x" * 500_000, "eyJ.W10.x"]
)
def test_a_token_that_is_none_names_nobody(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_TOKEN", content)
    assert place.find({}, os.environ)[1:] == ("", "", ())


def test_a_file_that_never_ends_is_not_waited_for(home: Path) -> None:
    folder = home / "config" / "pfa"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "token")
    os.mkfifo(folder / "config.toml")
    assert place.find({}, os.environ)[1:] == ("", "", ())


def test_a_configuration_of_thousands_of_levels_names_no_profile(home: Path) -> None:
    folder = home / "config" / "pfa"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    assert place.find({}, os.environ)[1:] == ("", "", ())


def test_a_token_in_a_pipe_is_left_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, a_token("anna", "ONE").encode())
        monkeypatch.setenv("PFA_TOKEN_FILE", f"/dev/fd/{reader}")
        assert place.find({}, os.environ).user == ""
        assert os.read(reader, 10) == b"eyJhead.ey"
    finally:
        os.close(reader)
        os.close(writer)
