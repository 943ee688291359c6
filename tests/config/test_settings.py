"""Where each setting comes from, and that no secret shows."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pfa_core.admin.database import open_database
from pfa_core.admin.server import database_status, psql_address
from pfa_core.config.explain import explain_setting
from pfa_core.config.secret_files import prepare_secret_file
from pfa_core.config.settings import (
    Flags,
    Secret,
    Settings,
    read_secret_file,
    resolve,
    write_secret_file,
)
from pfa_core.errors import ConfigInvalid, InvalidRequest, IoFailure, NotFound
from pfa_core.files.descriptors import descriptor_of
from pfa_core.model.pooling import Pooling
from pfa_core.store.database import Database

SECRET = "hunter2-the-secret"
URL = f"postgresql://ann:{SECRET}@db.example/pfa"


@pytest.fixture
def config(tmp_path):
    """Writes the configuration file; its environment is `config.environ`."""

    class Config:
        def __init__(self) -> None:
            self.folder = tmp_path / "pfa"
            self.environ = {
                "XDG_CONFIG_HOME": str(tmp_path),
                "PFA_EMBEDDED_DIR": str(tmp_path / "embedded"),
            }

        def write(self, text: str, mode: int = 0o600) -> Path:
            self.folder.mkdir(exist_ok=True)
            path = self.folder / "config.toml"
            path.write_text(text)
            path.chmod(mode)
            return path

        def resolve(self, flags: Flags | None = None, **environ: str) -> Settings:
            return resolve(flags, {**self.environ, **environ})

    return Config()


PROFILES = """
[profiles.default]
organization = "BYDEFAULT"
[profiles.rio]
organization = "RIO"
database_url = "postgresql:///rio"
output = "json"
[profiles.rio.pems]
field_map = "rio.toml"
"""


def test_without_anything_there_are_defaults(config):
    settings = config.resolve()
    assert settings == Settings(
        organization=None,
        profile=None,
        database_url=None,
        embedded_by={"PFA_EMBEDDED_DIR": config.environ["PFA_EMBEDDED_DIR"]},
        config_dir=config.folder,
        token=None,
        token_source="",
        output=None,
        pems_field_map=None,
        jwt_secret=None,
        origin={},
        values={},
    )
    assert settings.token_file == config.folder / "token"
    assert settings.key_file == config.folder / "jwt.key"


@pytest.mark.parametrize(
    ("flag", "variable", "profile", "organization", "origin"),
    [
        ("FLAG", "ENV", "rio", "FLAG", "flag"),
        (None, "ENV", "rio", "ENV", "PFA_ORG"),
        (None, "", "rio", "RIO", "profile rio"),
        (None, None, "rio", "RIO", "profile rio"),
        (None, None, None, "BYDEFAULT", "profile default"),
        ("", None, None, "BYDEFAULT", "profile default"),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_profile(
    config, flag, variable, profile, organization, origin
):
    config.write(PROFILES)
    environ = {} if variable is None else {"PFA_ORG": variable}
    settings = config.resolve(Flags(org=flag, profile=profile), **environ)
    assert (settings.organization, settings.origin["organization"]) == (organization, origin)


@pytest.mark.parametrize(
    ("flags", "environ", "url", "origin"),
    [
        (Flags(database_url="postgresql:///a"), {"PFA_DATABASE_URL": "b"}, "postgresql:///a", "flag"),
        (Flags(), {"PFA_DATABASE_URL": "b", "DATABASE_URL": "c"}, "b", "PFA_DATABASE_URL"),
        (Flags(), {"DATABASE_URL": "c"}, "c", "DATABASE_URL"),
        (Flags(profile="rio"), {}, "postgresql:///rio", "profile rio"),
        (Flags(), {"PFA_PROFILE": "rio"}, "postgresql:///rio", "profile rio"),
        (Flags(profile="default"), {"PFA_PROFILE": "rio"}, None, None),
    ],
)  # fmt: skip
def test_the_database_is_named_by_flag_variable_or_profile(config, flags, environ, url, origin):
    config.write(PROFILES)
    settings = config.resolve(flags, **environ)
    assert (settings.database_url, settings.origin.get("database_url")) == (url, origin)


POOLED = """
[profiles.default]
database_url = "postgresql:///a"
database_read_url = "postgresql:///replica"
database_pooled = "prepared"
"""


@pytest.mark.parametrize(
    ("flags", "environ", "read_url", "pooling"),
    [
        (Flags(), {}, "postgresql:///replica", Pooling.PREPARED),
        (Flags(), {"PFA_DATABASE_READ_URL": "r"}, "r", Pooling.PREPARED),
        (Flags(), {"PFA_DATABASE_POOLED": "1"}, "postgresql:///replica", Pooling.YES),
        (Flags(), {"PFA_DATABASE_POOLED": "0"}, "postgresql:///replica", Pooling.NO),
        # What the profile says is of its own database.
        (Flags(), {"PFA_DATABASE_URL": "b"}, None, Pooling.DETECTED),
        (Flags(), {"PFA_DATABASE_URL": "b", "PFA_DATABASE_READ_URL": "r"}, "r", Pooling.DETECTED),
        # And what a variable says not of the one that a flag names.
        (Flags(database_url="c"), {"PFA_DATABASE_READ_URL": "r"}, None, Pooling.DETECTED),
        (Flags(database_url="c"), {"PFA_DATABASE_POOLED": "prepared"}, None, Pooling.PREPARED),
    ],
)
def test_replica_and_pooler_are_those_of_the_database_in_effect(
    config, flags, environ, read_url, pooling
):
    config.write(POOLED)
    settings = config.resolve(flags, **environ)
    assert (settings.database_read_url, settings.pooling) == (read_url, pooling)
    environ = {**config.environ, **environ}
    explained = [
        explain_setting(key, flags, environ).value
        for key in ("database_read_url", "database_pooled")
    ]
    assert explained[0] == read_url
    assert (explained[1] is None) == (pooling is Pooling.DETECTED)


@pytest.mark.parametrize("value", ["maybe", "transaction", "2"])
def test_an_invalid_value_of_the_pooler_is_refused(config, value):
    with pytest.raises(
        ConfigInvalid, match=f"invalid value '{value}' of PFA_DATABASE_POOLED"
    ) as refused:
        config.resolve(Flags(), PFA_DATABASE_POOLED=value)
    assert refused.value.hint == "values: yes, no, prepared"


@pytest.mark.parametrize(
    ("flags", "environ", "source"),
    [
        (Flags(database_url="nonsense"), {"DATABASE_URL": "b"}, "--database-url"),
        (Flags(), {"PFA_DATABASE_URL": "nonsense", "DATABASE_URL": "c"}, "PFA_DATABASE_URL"),
        (Flags(), {"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        (Flags(profile="bad"), {}, "database_url of profile bad"),
    ],
)
def test_an_error_about_the_database_names_what_was_read(config, flags, environ, source):
    config.write("[profiles.bad]\ndatabase_url = 'nonsense'\n[profiles.default]\n")
    settings = config.resolve(flags, **environ)
    with open_database(settings) as db, pytest.raises(ConfigInvalid) as refused:
        db.read(lambda conn: None)
    assert refused.value.hint == f"see {source}"
    with pytest.raises(ConfigInvalid) as refused:
        psql_address(settings)
    assert refused.value.hint == f"see {source}"


def test_a_home_without_access_has_no_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr("pfa_core.config.profile.open_judged", _closed)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert resolve(environ={"HOME": str(tmp_path)}).values == {}
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        resolve(environ={"HOME": str(tmp_path)})


def _closed(path, *, beyond):
    raise PermissionError(13, "Permission denied")


def test_a_profile_holds_the_rest_too(config):
    config.write(PROFILES)
    settings = config.resolve(Flags(profile="rio"))
    assert (settings.profile, settings.output, settings.pems_field_map) == (
        "rio",
        "json",
        Path("rio.toml"),
    )
    override = config.resolve(Flags(profile="rio"), PFA_PEMS_FIELD_MAP="~/mine.toml")
    assert override.pems_field_map == Path("~/mine.toml").expanduser()


@pytest.mark.parametrize("profile", ["nowhere", "RIO", "rio.pems"])
def test_an_unknown_profile_is_refused_naming_those_there_are(config, profile):
    config.write(PROFILES)
    with pytest.raises(ConfigInvalid, match="profile not found") as caught:
        config.resolve(Flags(profile=profile))
    assert "default, rio" in caught.value.hint
    with pytest.raises(ConfigInvalid):
        config.resolve(PFA_PROFILE=profile)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("[profiles.default]\norganisation = 'X'", "unknown key 'organisation'"),
        ("[profiles.default]\npassword = 'X'", "unknown key 'password'"),
        ("[profiles.default]\norganization = 5", "organization has the wrong type"),
        ("[profiles.default]\npems = 'X'", "pems has the wrong type"),
        ("profiles = 5", "must be a table"),
        ("[profiles]\ndefault = 5", "must be a table"),
        ("[profiles.default", "not valid TOML"),
        ("[" + "a." * 2000 + "a]", "deeper than 20 levels"),
        ("a = " + "[" * 2000 + "]" * 2000, "deeper than 20 levels"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("[profiles.default.guard]\nmax_money = 1" + "0" * 400, "more than 64 bits"),
        ("[profiles.default.guard]\nmax_records = [0x" + "F" * 300 + "]", "more than 64 bits"),
        ("[profiles.a]\nx = '\xfc'", "unknown profile is not asked for"),
    ],
)
def test_a_bad_configuration_file_is_refused(config, text, stated):
    path = config.write(text)
    if "not asked for" in stated:
        assert config.resolve().organization is None
        return
    with pytest.raises(ConfigInvalid) as caught:
        config.resolve()
    assert stated in caught.value.message
    assert str(path) in caught.value.message


def test_a_field_map_that_is_no_text_is_refused(config):
    config.write("[profiles.default.pems]\nfield_map = 5")
    with pytest.raises(ConfigInvalid):
        config.resolve()


def test_the_rest_of_pems_is_not_looked_at_before_it_is_needed(config):
    config.write("[profiles.default.pems]\ntimeout = 5\nunknown = 'x'\ngrid = { name = 'G' }")
    assert config.resolve().values["pems"]["timeout"] == 5


def test_a_configuration_file_in_latin_1_is_refused(config):
    config.write("").write_bytes(b"# M\xfcller")
    with pytest.raises(ConfigInvalid, match="not valid TOML"):
        config.resolve()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400])
def test_a_configuration_file_may_be_read_by_others(config, mode):
    config.write(PROFILES, mode)
    assert config.resolve().organization == "BYDEFAULT"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_configuration_file_that_others_can_write_is_refused(config, mode):
    path = config.write(PROFILES, mode)
    with pytest.raises(ConfigInvalid, match="written by others") as caught:
        config.resolve()
    assert caught.value.hint == f"type: chmod 600 {path}"


@pytest.mark.parametrize("path", ["relative", ""])
def test_a_relative_configuration_folder_is_not_believed(tmp_path, path):
    environ = {"XDG_CONFIG_HOME": path, "HOME": str(tmp_path), "PFA_EMBEDDED_DIR": "/x"}
    assert resolve(None, environ).config_dir == tmp_path / ".config" / "pfa"


def secret_file(path: Path, text: str = SECRET, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_token_comes_from_the_named_file_then_the_variable_then_the_store(config, tmp_path):
    named = secret_file(tmp_path / "named", "of the flag\n")
    variable = secret_file(tmp_path / "variable", "of the variable")
    stored = secret_file(config.folder / "token", "of the store")
    kept = secret_file(tmp_path / "kept", "of the profile")

    def found(flags: Flags | None = None, **environ: str) -> tuple[str, str]:
        settings = config.resolve(flags, **environ)
        return settings.token.reveal(), settings.token_source

    everything = {"PFA_TOKEN_FILE": str(variable), "PFA_TOKEN": " in the variable "}
    assert found(Flags(token_file=str(named)), **everything) == ("of the flag", str(named))
    assert found(**everything) == ("of the variable", str(variable))
    assert found(PFA_TOKEN=" in the variable ") == ("in the variable", "PFA_TOKEN")
    assert found() == ("of the store", str(stored))
    config.write(f"[profiles.default]\ntoken_file = '{kept}'")
    assert found() == ("of the profile", str(kept))


def test_a_profile_s_token_is_stored_where_it_is_looked_for(config, tmp_path):
    config.write(f"[profiles.site]\ntoken_file = '{tmp_path / 'site' / 'token'}'")
    assert config.resolve(Flags(profile="site")).token_file == tmp_path / "site" / "token"
    assert config.resolve().token_file == config.folder / "token"
    config.write("[profiles.site]\ntoken_file = 'site.token'")
    assert config.resolve(Flags(profile="site")).token_file == config.folder / "site.token"


def test_a_token_file_that_is_named_must_be_there_but_the_store_need_not(config, tmp_path):
    assert config.resolve().token is None
    for flags, environ in (
        (Flags(token_file=str(tmp_path / "x")), {}),
        (None, {"PFA_TOKEN_FILE": "/x/y"}),
    ):
        with pytest.raises(NotFound):
            config.resolve(flags, **environ)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_file_of_the_owner_alone_is_read(tmp_path, mode):
    assert read_secret_file(secret_file(tmp_path / "s", f" {SECRET}\n", mode)) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o777])
def test_a_secret_file_that_others_can_touch_is_refused(tmp_path, mode):
    path = secret_file(tmp_path / "s", mode=mode)
    with pytest.raises(ConfigInvalid, match="can be read by others") as caught:
        read_secret_file(path)
    assert caught.value.hint == f"type: chmod 600 {path}"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_credential_may_have_the_group_s_bit_that_an_access_list_shows_as(config, tmp_path, mode):
    path = secret_file(tmp_path / "credentials" / "pfa-token", "of systemd", mode)
    environ = {"CREDENTIALS_DIRECTORY": str(path.parent)}
    settings = config.resolve(**environ)
    assert (settings.token.reveal(), settings.token_home) == ("of systemd", None)
    assert config.resolve(**environ, PFA_TOKEN="nearer").token.reveal() == "nearer"
    named = config.resolve(Flags(token_file=str(path)), **environ)
    assert named.token.reveal() == "of systemd"
    if mode & 0o040:
        with pytest.raises(ConfigInvalid):
            config.resolve(Flags(token_file=str(path)))


@pytest.mark.parametrize("mode", [0o444, 0o404, 0o460, 0o450, 0o601])
def test_a_credential_that_more_than_the_unit_can_touch_is_refused(config, tmp_path, mode):
    path = secret_file(tmp_path / "pfa-token", mode=mode)
    with pytest.raises(ConfigInvalid):
        config.resolve(CREDENTIALS_DIRECTORY=str(path.parent))


def test_a_link_is_followed_and_what_it_leads_to_is_judged(config, tmp_path):
    target = secret_file(tmp_path / "mounted" / "token", "of the mount")
    link = tmp_path / "link"
    link.symlink_to(target)
    assert config.resolve(PFA_TOKEN_FILE=str(link)).token.reveal() == "of the mount"
    target.chmod(0o644)
    with pytest.raises(ConfigInvalid):
        config.resolve(PFA_TOKEN_FILE=str(link))
    written = config.write("[profiles.default]\norganization = 'RIO'", 0o622)
    moved = written.rename(tmp_path / "elsewhere.toml")
    written.symlink_to(moved)
    with pytest.raises(ConfigInvalid, match="written by others"):
        config.resolve()
    moved.chmod(0o644)
    assert config.resolve().organization == "RIO"


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(config, tmp_path):
    config.folder.mkdir()
    for name in ("config.toml", "token"):
        os.mkfifo(config.folder / name, 0o600)
        with pytest.raises(ConfigInvalid, match="not a regular file"):
            config.resolve()
        (config.folder / name).unlink()


def test_a_file_of_another_user_decides_nothing(config, tmp_path, monkeypatch):
    config.write("[profiles.default]\norganization = 'RIO'")
    path = secret_file(tmp_path / "s")
    me = os.geteuid()
    if me == 0:
        os.chown(path, 12345, -1)
        os.chown(config.folder / "config.toml", 12345, -1)
        assert config.resolve().organization == "RIO"  # root reads for anybody
    monkeypatch.setattr(os, "geteuid", lambda: me + 4242)
    with pytest.raises(ConfigInvalid, match="another user"):
        read_secret_file(path)
    with pytest.raises(ConfigInvalid, match="another user"):
        config.resolve()


def test_a_token_in_the_place_of_a_file_s_name_is_not_said_again(config):
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
    for flags, environ in ((Flags(token_file=token), {}), (None, {"PFA_TOKEN_FILE": token})):
        with pytest.raises(InvalidRequest) as stated:
            config.resolve(flags, **environ)
        assert token[-12:] not in f"{stated.value!r}{stated.value.hint}{stated.value.__cause__}"


def test_a_secret_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(NotFound):
        read_secret_file(tmp_path / "gone")
    with pytest.raises((IoFailure, ConfigInvalid)):
        read_secret_file(tmp_path)
    latin = secret_file(tmp_path / "latin")
    latin.write_bytes(b"M\xfcller")
    with pytest.raises(ConfigInvalid, match="not UTF-8 text"):
        read_secret_file(latin)


def test_a_secret_is_written_for_the_owner_alone_and_leaves_nothing_else_behind(tmp_path):
    path = tmp_path / "a" / "b" / "token"
    old = os.umask(0)
    try:
        write_secret_file(path, "first")
        write_secret_file(path, SECRET)
    finally:
        os.umask(old)
    assert path.read_text() == SECRET + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]


def test_what_a_killed_process_left_of_a_secret_goes_with_the_next_one(tmp_path):
    path = tmp_path / "token"
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from pfa_core.config.secret_files import prepare_secret_file\n"
        "prepare_secret_file(Path(sys.argv[1]), 'secret')\nos.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert len(os.listdir(tmp_path)) == 1
    other = prepare_secret_file(path, "another process's, not yet published")
    write_secret_file(path, SECRET)
    assert (path.read_text(), other.temporary.exists()) == (SECRET + "\n", True)
    other.publish()
    assert os.listdir(tmp_path) == ["token"]


def test_a_secret_takes_the_place_of_nothing_that_is_open():
    with pytest.raises(IoFailure, match="is not the name of a file"):
        write_secret_file(Path("/proc/self/fd/1"), SECRET)


@pytest.mark.parametrize(
    ("name", "descriptor"),
    [
        ("/dev/stdout", 1),
        ("/dev//stderr", 2),
        ("//dev/stdout", 1),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/../fd/0", 0),
        ("/proc/thread-self/fd/7", 7),
        ("/dev/null", None),
        ("/dev/fd/x", None),
        ("stdout", None),
        ("", None),
    ],
)
def test_a_name_of_the_system_stands_for_what_is_open(name, descriptor):
    """Not tried out: root could replace the system's own links."""
    assert descriptor_of(name) == descriptor


def test_a_secret_that_cannot_be_put_into_its_place_is_not_left_beside_it(tmp_path):
    prepared = prepare_secret_file(tmp_path / "token", SECRET)
    (tmp_path / "token").mkdir()
    with pytest.raises(IoFailure, match="cannot be written"):
        prepared.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_secret_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(IoFailure):
        write_secret_file(tmp_path / "file" / "token", SECRET)


def test_a_secret_never_shows_itself():
    secret = Secret(SECRET)
    assert secret.reveal() == SECRET
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert SECRET not in shown
    assert not hasattr(secret, "__dict__")


def test_no_setting_shows_a_secret(config):
    secret_file(config.folder / "token")
    config.write(f"[profiles.default]\ndatabase_url = '{URL}'")
    settings = config.resolve(PFA_JWT_SECRET=SECRET)
    assert settings.database_url == URL
    assert SECRET not in repr(settings)
    assert SECRET not in repr(config.resolve(Flags(database_url=URL), PFA_TOKEN=SECRET))


@pytest.mark.parametrize("made", [Database(URL), Flags(database_url=URL)], ids=["handle", "flags"])
def test_no_handle_shows_the_password_of_its_address(made):
    assert SECRET not in repr(made)


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{SECRET}@127.0.0.1:1/pfa",
        f"postgresql://ann@127.0.0.1:1/pfa?password={SECRET}",
        f"postgresql://127.0.0.1:1/pfa?user=ann&password={SECRET}",
        f"host=127.0.0.1 port=1 user=ann password={SECRET}",
        # libpq allows blanks round the sign and inside quotes.
        f"host=127.0.0.1 port=1 user=ann password = {SECRET}",
        f"host=127.0.0.1 port=1 user=ann password='a {SECRET}'",
        f"host=127.0.0.1 port=1 user=ann sslpassword={SECRET}",
    ],
    ids=["userinfo", "query", "query with user", "word", "blanks", "quotes", "key's password"],
)
def test_the_status_of_a_database_shows_its_address_without_any_password(config, address):
    status = database_status(replace(config.resolve(), database_url=address))
    assert not status.reachable
    assert SECRET not in repr(status)
    assert "127.0.0.1" in status.address
