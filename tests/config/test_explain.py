"""The place that each setting comes from, and its default as the readers have it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from pfa_core import explain_setting, list_settings, pems_profile, setting_value
from pfa_core.config import choices
from pfa_core.config.keys import config_keys
from pfa_core.config.pems_source import PEMS_VARIABLES
from pfa_core.config.profile import PROFILE_KEYS
from pfa_core.config.settings import Flags, resolve
from pfa_core.errors import InvalidRequest, NotFound

FILE = """
[profiles.default]
organization = "FILED"
database_url = "postgresql://ann:hunter2@db/pfa"
[profiles.default.pems]
url = "https://pems.example"
retries = 4
[profiles.default.pems.organizations.FILED]
retries = 9
[profiles.default.pems.ownership]
monthlyRate = "mine"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "pfa"
    folder.mkdir()
    (folder / "config.toml").write_text(FILE)
    (folder / "config.toml").chmod(0o600)
    return {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


def found(key: str, environ: dict[str, str], flags: Flags | None = None) -> tuple:
    setting = explain_setting(key, flags, environ)
    return setting.value, setting.source


def test_option_before_variable_before_choice_before_profile(environ: dict[str, str]) -> None:
    assert found("organization", environ) == ("FILED", "profile default")
    place = choices.place_of(None, "postgresql://ann@db/pfa", environ)
    choices.choose(choices.ORGANIZATION, place, "CHOSEN", environ)
    assert found("organization", environ) == ("CHOSEN", "pfa org use")
    named = environ | {"PFA_ORG": "NAMED"}
    assert found("organization", named) == ("NAMED", "PFA_ORG")
    assert found("organization", named, Flags(org="GIVEN")) == ("GIVEN", "--org")
    places = explain_setting("organization", Flags(org="GIVEN"), named).places
    assert [(place.source, place.value) for place in places] == [
        ("--org", "GIVEN"),
        ("PFA_ORG", "NAMED"),
        ("pfa org use", "CHOSEN"),
        ("profile default", "FILED"),
        ("default", None),
    ]


def test_it_is_what_the_program_does(environ: dict[str, str]) -> None:
    for given, more in ((None, {}), (None, {"PFA_ORG": "NAMED"}), (Flags(org="GIVEN"), {})):
        settings = resolve(given, environ | more, stored=True)
        assert explain_setting("organization", given, environ | more).value == settings.organization
    assert pems_profile(resolve(None, environ), "FILED", environ).retries == 9
    assert found("pems.retries", environ) == (9, "organization FILED")
    assert found("pems.retries", environ, Flags(org="OTHER")) == (4, "profile default")


def test_defaults_are_those_of_the_readers(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PFA_PEMS_URL": "https://pems.example"}
    profile = pems_profile(resolve(None, environ), "RIO", environ)
    usual = {key.name: key.default for key in config_keys().values() if key.default is not None}
    flat = {f"pems.{item.name}": getattr(profile, item.name) for item in fields(profile)}
    flat |= {
        f"pems.grid.{name}": getattr(profile.grid, name) for name in ("name", "id", "page_size")
    }
    flat |= {f"pems.screen.{name}": getattr(profile.screen, name) for name in ("name", "timezone")}
    flat |= {"pems.grid.timeout": profile.grid_timeout, "protected": False}
    flat |= {"pems.ownership.default": profile.ownership.default}
    assert {name: flat[name] for name in usual} == usual


def test_every_key_of_the_readers_is_listed() -> None:
    names = {name.split(".")[0] for name in config_keys()}
    assert names == set(PROFILE_KEYS)
    assert {f"pems.{name}" for name in PEMS_VARIABLES} <= config_keys().keys()


def test_no_secret_is_shown(environ: dict[str, str]) -> None:
    secret = {"PFA_TOKEN": "hunter2", "PFA_PEMS_PASSWORD": "hunter2"}
    listed = list_settings(None, environ | secret)
    assert "hunter2" not in repr(listed)
    by_key = {one.key: one for one in listed}
    assert by_key["database_url"].value == "postgresql://ann@db/pfa"
    assert (by_key["token_file"].note, by_key["token_file"].source) == ("a secret", "PFA_TOKEN")


def test_fields_that_are_owned_are_listed(environ: dict[str, str]) -> None:
    listed = {one.key: one.value for one in list_settings(None, environ)}
    assert listed["pems.ownership.monthlyRate"] == "mine"


def test_faults_of_the_file_do_not_hide_it(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "pfa" / "config.toml"
    path.write_text(
        FILE + "[profiles.other]\nnonsense = 1\n[profiles.default.pems.grid]\npage_size = 'x'\n"
    )
    assert found("pems.grid.page_size", environ) == ("x", "profile default")


def test_a_value_that_is_not_set(environ: dict[str, str]) -> None:
    with pytest.raises(NotFound, match=r"pems\.tenant is not set"):
        setting_value(explain_setting("pems.tenant", None, environ))
    assert setting_value(explain_setting("pems.writer", None, environ)) == "rest"


def test_an_unknown_key_names_the_nearest(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=r"did you mean pems\.username"):
        explain_setting("pems.usrname", None, environ)
