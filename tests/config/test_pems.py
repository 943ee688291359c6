"""PEMS's settings: environment, organization, profile, default; field maps as a whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfa_core.config.pems import pems_profile
from pfa_core.config.pems_source import PEMS_KEYS
from pfa_core.config.settings import Flags, resolve
from pfa_core.errors import ConfigInvalid
from pfa_core.model.ownership import Owner
from pfa_core.pems.mapping.field_map import (
    DEFAULT_FIELDS,
    DEFAULT_SCREEN_FIELDS,
    FieldMap,
    load_field_map,
)
from pfa_core.pems.profile import GridSettings, PemsProfile, ScreenSettings, WriterKind

CANARY = "canary-hunter2"
URL = "https://pems.example/base"


class Config:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pfa"
        self.folder.mkdir()
        self.environ = {"XDG_CONFIG_HOME": str(folder), "PFA_EMBEDDED_DIR": str(folder / "e")}

    def write(self, text: str) -> None:
        path = self.folder / "config.toml"
        path.write_text(text)
        path.chmod(0o600)

    def secret(self, name: str = "pems.secret", mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_text(CANARY + "\n")
        path.chmod(mode)
        return path

    def profile(self, org: str = "RIO", profile: str | None = None, **environ: str) -> PemsProfile:
        stated = {**self.environ, **environ}
        return pems_profile(resolve(Flags(profile=profile), stated), org, stated)


@pytest.fixture
def config(tmp_path):
    return Config(tmp_path)


def test_an_address_is_all_that_is_needed(config):
    assert config.profile(PFA_PEMS_URL=URL + "/") == PemsProfile(
        url=URL, organization_id="RIO", organization="RIO"
    )


def test_without_an_address_both_ways_to_give_one_are_told(config):
    config.write("[profiles.x.pems]\nwriter = 'rest'")
    with pytest.raises(ConfigInvalid) as caught:
        config.profile(profile="x")
    assert "PFA_PEMS_URL" in caught.value.hint
    assert "[profiles.x.pems]" in caught.value.hint


FULL = f"""
[profiles.default.pems]
url = "{URL}"
username = "ann"
password_file = "pems.secret"
tenant = "T"
organization = "SHARED"
writer = "screen"
timeout = 7
idempotency_keys = false
retries = 0
retry_delay = 0.5
grid = {{ name = "G", id = "7", page_size = 500, timeout = 90.5 }}
screen = {{ name = "S", timezone = "+0100" }}
ownership = {{ default = "mine", dor = "pems" }}
[profiles.default.pems.organizations.RIO]
organization = "PEMS-RIO"
grid = {{ name = "GRIO" }}
ownership = {{ dor = "ask" }}
timeout = 8
"""


def test_an_organizations_settings_take_the_place_of_the_profiles_one_by_one(config):
    config.write(FULL)
    config.secret()
    found = config.profile()
    assert found.password is not None
    assert found.password.reveal() == CANARY
    assert (found.organization_id, found.organization, found.tenant) == ("RIO", "PEMS-RIO", "T")
    assert (found.writer, found.timeout, found.grid_timeout) == (WriterKind.SCREEN, 8.0, 90.5)
    assert (found.idempotency_keys, found.retries, found.retry_delay) == (False, 0, 0.5)
    assert found.grid == GridSettings("GRIO", "7", 500)
    assert found.screen == ScreenSettings("S", "+0100")
    assert [found.ownership.of(name) for name in ("dor", "model")] == [Owner.ASK, Owner.MINE]
    other = config.profile("HOLNG")
    assert (other.organization, other.grid.name, other.timeout) == ("SHARED", "G", 7.0)
    assert other.ownership.of("dor") is Owner.PEMS


def test_the_environment_wins_over_everything(config, tmp_path):
    config.write(FULL)
    named = config.secret("other")
    named.write_text("of the file")
    field_map = tmp_path / "map.toml"
    field_map.write_text('[fields]\nid = "pfaId"\n')
    found = config.profile(
        PFA_PEMS_URL="http://other:8080",
        PFA_PEMS_USERNAME="bob",
        PFA_PEMS_PASSWORD_FILE=str(named),
        PFA_PEMS_PASSWORD="not this one",
        PFA_PEMS_TENANT="T2",
        PFA_PEMS_ORGANIZATION="O2",
        PFA_PEMS_WRITER="rest",
        PFA_PEMS_FIELD_MAP=str(field_map),
    )
    assert found.password is not None
    assert (found.url, found.username) == ("http://other:8080", "bob")
    assert (found.password.reveal(), found.tenant) == ("of the file", "T2")
    assert (found.organization, found.writer) == ("O2", WriterKind.REST)
    assert found.field_map.fields == {"id": "pfaId"}
    plain = config.profile(PFA_PEMS_PASSWORD=CANARY)
    assert plain.password is not None
    assert plain.password.reveal() == CANARY


def test_no_secret_shows_in_a_profile(config):
    config.write(FULL)
    config.secret()
    assert CANARY not in repr(config.profile())
    assert CANARY not in str(config.profile(PFA_PEMS_PASSWORD=CANARY))


@pytest.mark.parametrize("place", ["pems", "pems.organizations.RIO"])
def test_a_password_in_the_configuration_file_is_refused_without_being_shown(config, place):
    config.write(f'[profiles.default.{place}]\npassword = "{CANARY}"')
    with pytest.raises(ConfigInvalid) as caught:
        config.profile(PFA_PEMS_URL=URL)
    assert "password_file" in caught.value.hint
    assert CANARY not in caught.value.message + caught.value.hint


def test_a_password_file_is_found_beside_the_configuration_or_at_home(config, monkeypatch):
    monkeypatch.setenv("HOME", str(config.folder))
    config.secret()
    for path in ("pems.secret", "~/pems.secret", str(config.folder / "pems.secret")):
        config.write(f"[profiles.default.pems]\nusername = 'ann'\npassword_file = '{path}'")
        found = config.profile(PFA_PEMS_URL=URL)
        assert found.password is not None
        assert found.password.reveal() == CANARY


def test_a_password_file_must_be_there_and_the_owners_alone(config):
    config.write("[profiles.default.pems]\nusername = 'ann'\npassword_file = 'pems.secret'")
    with pytest.raises(ConfigInvalid, match=r"password_file: file not found"):
        config.profile(PFA_PEMS_URL=URL)
    config.secret(mode=0o640)
    with pytest.raises(ConfigInvalid, match="read by others"):
        config.profile(PFA_PEMS_URL=URL)


NOT_UTF8, NUL, LINES = "p\udcffw", "p\0w", "p\nw"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (NOT_UTF8, "is not UTF-8 text"),
        (NUL, "holds a line break or another control character"),
        (LINES, "holds a line break or another control character"),
        ("p\x1bw", "holds a line break or another control character"),
    ],
)
def test_a_password_that_http_cannot_carry_is_refused_by_the_name_of_its_place(
    config, password, reason
):
    with pytest.raises(ConfigInvalid) as caught:
        config.profile(PFA_PEMS_URL=URL, PFA_PEMS_USERNAME="ann", PFA_PEMS_PASSWORD=password)
    assert caught.value.message == f"the password of PEMS in PFA_PEMS_PASSWORD {reason}"
    with pytest.raises(ConfigInvalid) as caught:
        config.profile(PFA_PEMS_URL=URL, PFA_PEMS_USERNAME=password, PFA_PEMS_PASSWORD=CANARY)
    assert caught.value.message == f"PFA_PEMS_USERNAME {reason}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"p\xffw\n", "pems.secret is not UTF-8 text"),
        (b"p\0w\n", "pems.secret holds a NUL character; it is not a text"),
        (b"p\nw\n", "the password of PEMS in {} holds a line break or another control character"),
    ],
)
def test_a_password_file_that_http_cannot_carry_is_refused_by_name(config, content, message):
    named = config.secret()
    named.write_bytes(content)
    config.write("[profiles.default.pems]\nusername = 'ann'\npassword_file = 'pems.secret'")
    for place, environ in (
        ("PFA_PEMS_PASSWORD_FILE", {"PFA_PEMS_PASSWORD_FILE": str(named)}),
        ("[profiles.default.pems] password_file", {}),
    ):
        with pytest.raises(ConfigInvalid) as caught:
            config.profile(PFA_PEMS_URL=URL, **environ)
        assert caught.value.message.endswith(message.format(place))


def test_a_password_of_any_script_and_with_blanks_inside_is_taken(config):
    found = config.profile(
        PFA_PEMS_URL=URL, PFA_PEMS_USERNAME="Zoë", PFA_PEMS_PASSWORD="pässwörd 仮 ✓"
    )
    assert found.password is not None
    assert found.password.reveal() == "pässwörd 仮 ✓"


@pytest.mark.parametrize("key", ["password_file", "field_map"])
def test_a_file_name_with_a_nul_is_refused(config, key):
    config.write(f'[profiles.default.pems]\nusername = "ann"\n{key} = "a\\u0000b"')
    with pytest.raises(ConfigInvalid, match="holds a text with a NUL character"):
        config.profile(PFA_PEMS_URL=URL, PFA_PEMS_PASSWORD="" if key == "password_file" else "p")


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({"PFA_PEMS_USERNAME": "ann"}, "PFA_PEMS_PASSWORD_FILE"),
        ({"PFA_PEMS_PASSWORD": CANARY}, "PFA_PEMS_USERNAME"),
    ],
)
def test_user_and_password_come_together(config, environ, hint):
    with pytest.raises(ConfigInvalid) as caught:
        config.profile(PFA_PEMS_URL=URL, **environ)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "pems.example", "ftp://pems.example", "https://", "https:///base", "http://h:x",
        "http://h:99999", "http://[", "http://h/?q=1", "http://h/#f", "http://h/a b",
        "http://h\n.example", "http://zürich.example", "http://h:0",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(config, url):
    with pytest.raises(ConfigInvalid, match="PFA_PEMS_URL must be an address"):
        config.profile(PFA_PEMS_URL=url)


@pytest.mark.parametrize(
    "url", [f"https://ann:{CANARY}@pems.example", f"https://{CANARY}@h", f"ann:{CANARY}@h:x"]
)
def test_credentials_in_an_address_are_refused_without_being_shown(config, url):
    config.write(f"[profiles.default.pems]\nurl = '{url}'")
    for environ in ({}, {"PFA_PEMS_URL": url}):
        with pytest.raises(ConfigInvalid, match="credentials") as caught:
            config.profile(**environ)
        assert CANARY not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("urll = 'x'", "unknown key 'urll'"),
        ("grid = { size = 5 }", "unknown key 'size'"),
        ("screen = { fields = 5 }", "unknown key 'fields'"),
        ("grid = 5", "grid must be a table"),
        ("organizations = 5", "organizations must be a table"),
        ("organizations = { RIO = 5 }", "must be a table"),
        ("organizations = { RIO = { x = 5 } }", "unknown key 'x'"),
        ("organizations = { RIO = { organizations = {} } }", "unknown key 'organizations'"),
        ("username = 5", "username must be a text"),
        ("timeout = '5'", "timeout must be a number"),
        ("timeout = true", "timeout must be a number"),
        ("timeout = 0", "timeout must be from"),
        ("timeout = nan", "timeout must be from"),
        ("retries = 1.5", "retries must be a whole number"),
        ("retries = -1", "retries must be from 0"),
        ("idempotency_keys = 1", "idempotency_keys must be true or false"),
        ("writer = 'soap'", "writer must be rest or screen, not 'soap'"),
        ('tenant = "a\\nb"', "tenant must be printable ASCII"),
        ("organization = 'Zürich'", "organization must be printable ASCII"),
        ("grid = { page_size = 0 }", "grid.page_size must be from 1"),
        ("screen = { timezone = 'EST' }", "screen.timezone must be like -0500"),
        ("ownership = { dor = 'nobody' }", "invalid owner"),
        ("ownership = { pfaId = 'mine' }", "not an editable field"),
        ("ownership = { dor = 5 }", "dor must be a text"),
        ("username = 'a:b'\npassword_file = 'pems.secret'", "username must not hold a colon"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(config, text, stated):
    config.secret()
    config.write(f"[profiles.default.pems]\n{text}")
    with pytest.raises(ConfigInvalid, match=re.escape(stated)) as caught:
        config.profile(PFA_PEMS_URL=URL)
    assert "profiles.default.pems" in caught.value.message
    if "unknown key" in stated and "grid" not in text and "screen" not in text:
        assert all(key in caught.value.hint for key in PEMS_KEYS)


def test_a_wrong_variable_is_named_itself(config):
    with pytest.raises(ConfigInvalid, match="PFA_PEMS_WRITER must be"):
        config.profile(PFA_PEMS_URL=URL, PFA_PEMS_WRITER="soap")


def test_an_organization_of_ours_that_http_cannot_carry_needs_a_code_of_pems(config):
    with pytest.raises(ConfigInvalid, match="organization must be printable ASCII"):
        config.profile("Zürich", PFA_PEMS_URL=URL)
    assert config.profile("Zürich", PFA_PEMS_URL=URL, PFA_PEMS_ORGANIZATION="ZH").organization == (
        "ZH"
    )


# -- field maps -------------------------------------------------------------------------------


def loaded(tmp_path, text: str) -> FieldMap:
    path = tmp_path / "map.toml"
    path.write_text('[fields]\npfs_id = "pfaId"\npfs_f_rental = "monthlyRate"\n' + text)
    return load_field_map(path)


def test_a_map_of_fields_alone_has_the_usual_screen_and_changes_nothing(tmp_path):
    assert loaded(tmp_path, "") == FieldMap(
        {"pfs_id": "pfaId", "pfs_f_rental": "monthlyRate"}, {}, DEFAULT_SCREEN_FIELDS
    )
    assert FieldMap().fields == DEFAULT_FIELDS


def test_transforms_defaults_and_screen_are_read(tmp_path):
    found = loaded(
        tmp_path,
        """
[transforms]
monthlyRate = [{ multiply = 4.345 }, { round = 2 }]
isActualized = "equals_y"
[defaults]
monthlyRate = 100
source = "Rental"
isDiscontinued = false
[screen.fields]
ID = "pfaId"
ORG = "organization"
""",
    )
    assert found.chains["monthlyRate"].read("", {}) == "434.5"
    assert found.chains["monthlyRate"].read("2", {}) == "8.69"
    assert found.chains["isActualized"].read("y", {}) == "true"
    assert found.chains["source"].read("", {}) == "Rental"
    assert found.chains["isDiscontinued"].read("", {}) == "false"
    assert found.screen_fields == {"ID": "pfaId", "ORG": "organization"}
    assert (found.alias_of("pfaId"), found.alias_of("model")) == ("pfs_id", "")


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("[transform]", "unknown table [transform]"),
        ("[transforms]\ncolour = 'trim'", "unknown field 'colour'"),
        ("[transforms]\nmodel = 'shrink'", "[transforms] model: unknown transform 'shrink'"),
        ("[transforms]\nmodel = [5]", "[transforms] model"),
        ("[transforms]\npfaId = 'trim'", "cannot change the pfaId"),
        ("[defaults]\npfaId = 'x'", "cannot change the pfaId"),
        ("[defaults]\nmodel = ['x']", "[defaults] model must be a text or a number"),
        ("[defaults]\ncolour = 'x'", "unknown field 'colour'"),
        ("[screen]\nname = 'x'", "may hold [screen.fields] only"),
        ("[screen.fields]\nID = 'pfaId'", "does not name the organization"),
        ("[screen.fields]\nORG = 'organization'", "does not name the pfaId"),
        ("[screen.fields]\nA = 'pfaId'\nB = 'pfaId'", "two screen names"),
        ("[screen.fields]\nA = 'colour'", "unknown field 'colour'"),
        ("[screen.fields]\nA = 5", "[screen.fields] holds"),
    ],
)
def test_a_map_with_something_else_in_it_is_refused(tmp_path, text, stated):
    with pytest.raises(ConfigInvalid, match=re.escape(stated)):
        loaded(tmp_path, text)


def test_an_organization_of_pems_is_ours_only_by_its_own_code():
    renamed = PemsProfile(url=URL, organization_id="RIO", organization="P-RIO")
    assert [renamed.organization_of(code) for code in ("P-RIO", "RIO", "X")] == [
        "RIO",
        "RIO of PEMS",
        "X",
    ]
    assert (
        PemsProfile(url=URL, organization_id="RIO", organization="RIO").organization_of("RIO")
        == "RIO"
    )
