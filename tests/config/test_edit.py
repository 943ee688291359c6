"""Edits of the configuration file: what is asked for and nothing else, comments kept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core import (
    add_profile,
    list_profiles,
    remove_profile,
    set_setting,
    show_profile,
    unset_setting,
    use_profile,
)
from pfa_core.config import edit
from pfa_core.config.settings import Flags, resolve
from pfa_core.errors import ConfigInvalid, IllegalTransition, InvalidRequest, IoFailure, NotFound
from pfa_core.files import beside

COMMENTED = """\
# how we work
[profiles.default] # the usual one
organization = "RIO"   # the river

[profiles.prod.pems]
url = "https://pems.example/base" # the plant
# slow on Mondays
retries = 3
"""


class Home:
    """A configuration directory of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "pfa" / "config.toml"
        self.environ = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}

    def write(self, text: str, mode: int = 0o600) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)
        self.file.chmod(mode)

    def put(self, key: str, text: str, profile: str | None = None, *, dry_run: bool = False):
        return set_setting(key, text, Flags(profile=profile), self.environ, dry_run=dry_run)

    def unset(self, key: str, profile: str | None = None):
        return unset_setting(key, Flags(profile=profile), self.environ)

    @property
    def content(self) -> dict:
        return tomllib.loads(self.file.read_text())


@pytest.fixture
def own(tmp_path: Path) -> Home:
    return Home(tmp_path)


class TestSet:
    def test_the_file_is_made_where_there_is_none_for_its_user_alone(self, own: Home) -> None:
        made = own.put("organization", "RIO")
        assert (made.before, made.after, made.changed) == (None, "RIO", True)
        assert own.content == {"profiles": {"default": {"organization": "RIO"}}}
        assert stat.S_IMODE(own.file.stat().st_mode) == 0o600

    def test_one_value_changes_and_comments_stay(self, own: Home) -> None:
        own.write(COMMENTED)
        own.put("pems.retries", "5", "prod")
        assert own.file.read_text() == COMMENTED.replace("retries = 3", "retries = 5")

    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            ("protected", "true", True),
            ("pems.timeout", "2.5", 2.5),
            ("pems.retries", "0", 0),
            ("pems.idempotency_keys", "no", False),
            ("pems.ownership.monthlyRate", "mine", "mine"),
            ("pems.organizations.RIO.grid.name", "X", "X"),
            ("pems.screen.timezone", "-0500", "-0500"), ("database_url", "postgresql:///a", "postgresql:///a"),
        ],
    )  # fmt: skip
    def test_a_value_has_the_type_of_its_key(self, own: Home, key, text, value) -> None:
        assert own.put(key, text).after == value
        inside = own.content["profiles"]["default"]
        for step in key.split("."):
            inside = inside[step]
        assert inside == value
        assert type(inside) is type(value)
        resolve(None, own.environ)  # the readers take it

    @pytest.mark.parametrize(
        ("key", "text", "reason"),
        [
            ("pems.retries", "many", "is not a whole number"),
            ("pems.retries", "٣", "is not a whole number"),
            ("pems.retries", "50", "must be a whole number from 0 to 20"),
            ("protected", "perhaps", "is not true or false"),
            ("pems.writer", "fax", "must be rest or screen"),
            ("pems.ownership.monthlyRate", "his", "mine"),
            ("pems.ownership.pfaId", "mine", "unknown field"),
            ("pems.url", "ftp://x", "must be an address such as"),
            ("pems.retires", "3", "did you mean pems.retries?"),
            ("organizaton", "RIO", "did you mean organization?"),
            ("pems.organizations.RIO.organizations.X.url", "https://x", "unknown key"),
            ("organization", " ", "would be empty"),
            ("pems", "x", "unknown key"),
        ],
    )
    def test_a_value_that_it_cannot_have_is_refused(self, own: Home, key, text, reason) -> None:
        own.write(COMMENTED)
        with pytest.raises(InvalidRequest, match=reason):
            own.put(key, text)
        assert own.file.read_text() == COMMENTED

    @pytest.mark.parametrize("text", ["none", "", "null"])
    def test_what_would_clear_it_leads_to_unset(self, own: Home, text: str) -> None:
        own.write(COMMENTED)
        with pytest.raises(InvalidRequest) as caught:
            own.put("guard.max_records", text)
        assert caught.value.hint == "type: pfa config unset guard.max_records"

    @pytest.mark.parametrize(
        ("key", "text"),
        [
            ("database_url", "postgresql://ann:hunter2@db/x"),
            ("database_url", "host=db password=hunter2"),
            ("pems.url", "https://ann:hunter2@pems.example"),
            ("pems.password", "hunter2"),
        ],
    )
    def test_a_password_is_refused_and_not_repeated(self, own: Home, key, text) -> None:
        with pytest.raises(InvalidRequest) as refused:
            own.put(key, text)
        assert "hunter2" not in f"{refused.value} {refused.value.hint}"
        assert not own.file.exists()

    def test_a_dry_run_leaves_the_file(self, own: Home) -> None:
        own.write(COMMENTED)
        assert own.put("organization", "GULF", dry_run=True).changed
        assert own.file.read_text() == COMMENTED

    def test_a_profile_that_is_not_there_is_not_made(self, own: Home) -> None:
        own.write(COMMENTED)
        with pytest.raises(NotFound, match="did you mean prod") as refused:
            own.put("organization", "RIO", "prd")
        assert refused.value.hint == "type: pfa profile add prd"

    def test_a_link_mode_and_owner_stay(self, own: Home, tmp_path: Path) -> None:
        own.write(COMMENTED, 0o644)
        kept = tmp_path / "dotfiles.toml"
        own.file.rename(kept)
        own.file.symlink_to(kept)
        own.put("organization", "GULF")
        assert own.file.is_symlink()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o644
        assert kept.read_text() == COMMENTED.replace("RIO", "GULF")

    def test_a_link_put_in_place_of_what_is_written_changes_no_other_file(
        self, own: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_text("theirs")
        victim.chmod(0o600)

        def swapped(target: Path) -> beside.Access | None:
            (written,) = target.parent.glob(f".{target.name}.*-*")
            written.unlink()
            written.symlink_to(victim)
            return beside.access_of(target)

        own.write(COMMENTED, 0o644)
        monkeypatch.setattr(edit, "access_of", swapped)
        own.put("organization", "GULF")
        assert (stat.S_IMODE(victim.stat().st_mode), victim.read_text()) == (0o600, "theirs")

    def test_a_broken_key_beside_it_is_no_obstacle(self, own: Home) -> None:
        own.write('[profiles.default]\norganisation = "RIO"\n')
        own.put("organization", "RIO")
        assert own.content["profiles"]["default"] == {"organisation": "RIO", "organization": "RIO"}

    @pytest.mark.parametrize(
        "text", ["profiles = 3\n", "[profiles]\ndefault = 1\n", "[[profiles\n"]
    )
    def test_a_file_without_room_for_it_is_refused(self, own: Home, text: str) -> None:
        own.write(text)
        with pytest.raises(ConfigInvalid):
            own.put("organization", "RIO")
        assert own.file.read_text() == text

    def test_an_edit_that_would_change_something_else_is_not_saved(
        self, own: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own.write(COMMENTED)
        monkeypatch.setattr(edit.tomlkit, "dumps", lambda _: "profiles = {default = {}}")
        with pytest.raises(ConfigInvalid, match="without a change of something else"):
            own.put("organization", "GULF")
        assert own.file.read_text() == COMMENTED

    def test_a_byte_order_mark_is_named(self, own: Home) -> None:
        own.write("\ufeff" + COMMENTED)
        with pytest.raises(ConfigInvalid, match="begins with a byte order mark"):
            own.put("organization", "GULF")
        assert own.file.read_text() == "\ufeff" + COMMENTED

    def test_a_file_that_others_can_write_is_refused(self, own: Home) -> None:
        own.write(COMMENTED, 0o666)
        with pytest.raises(ConfigInvalid, match="can be written by others"):
            own.put("organization", "GULF")

    def test_a_folder_that_cannot_be_made_is_said(self, own: Home) -> None:
        own.file.parent.write_text("a file where the folder should be")
        with pytest.raises((IoFailure, ConfigInvalid), match="config"):
            own.put("organization", "GULF")
        assert own.file.parent.read_text() == "a file where the folder should be"


class TestUnset:
    def test_it_goes_with_the_tables_that_are_empty_then(self, own: Home) -> None:
        own.put("pems.grid.name", "X")
        own.put("organization", "RIO")
        assert own.unset("pems.grid.name").before == "X"
        assert own.content == {"profiles": {"default": {"organization": "RIO"}}}
        own.unset("organization")
        assert own.content == {"profiles": {"default": {}}}

    def test_a_profile_stays_though_empty(self, own: Home) -> None:
        own.write(COMMENTED)
        own.unset("pems.url", "prod")
        own.unset("pems.retries", "prod")
        assert own.content["profiles"]["prod"] == {}
        own.put("organization", "RIO", "prod")

    def test_without_it_nothing_happens(self, own: Home) -> None:
        own.write(COMMENTED)
        assert not own.unset("pems.tenant", "prod").changed
        assert own.file.read_text() == COMMENTED


class TestProfiles:
    def test_one_is_added_listed_and_removed(self, own: Home) -> None:
        own.write(COMMENTED)
        add_profile(
            "test",
            {"organization": "RIO", "pems.url": "http://127.0.0.1:1", "protected": "true"},
            own.environ,
        )
        assert [one.profile for one in list_profiles(environ=own.environ)] == [
            "default",
            "prod",
            "test",
        ]
        made = show_profile("test", environ=own.environ)
        assert (made.organization, made.pems_url) == ("RIO", "http://127.0.0.1:1")
        assert (made.protected, made.current) == (True, False)  # fmt: skip
        remove_profile("test", own.environ)
        assert own.file.read_text() == COMMENTED

    def test_what_is_there_is_not_replaced(self, own: Home) -> None:
        own.write(COMMENTED)
        with pytest.raises(IllegalTransition, match="already"):
            add_profile("prod", {}, own.environ)
        assert own.file.read_text() == COMMENTED

    @pytest.mark.parametrize("name", ["", "a b", "a\n", "-x", "a" * 65, "é"])
    def test_a_name_that_nobody_can_type_is_refused(self, own: Home, name: str) -> None:
        with pytest.raises(InvalidRequest, match="invalid profile name"):
            add_profile(name, {}, own.environ)

    def test_a_name_with_a_dot_is_one_name(self, own: Home) -> None:
        add_profile("a.b", {"organization": "RIO"}, own.environ)
        assert own.content == {"profiles": {"a.b": {"organization": "RIO"}}}

    def test_the_one_in_use_counts_where_choices_do(self, own: Home) -> None:
        own.write(COMMENTED)
        assert use_profile("prod", own.environ)
        assert resolve(None, own.environ, stored=True).profile == "prod"
        assert resolve(None, own.environ).profile is None
        named = resolve(Flags(profile="default"), own.environ, stored=True)
        assert (named.profile, named.profile_source) == ("default", "--profile")
        assert show_profile(environ=own.environ).profile == "prod"
        assert use_profile(None, own.environ)
        assert not use_profile(None, own.environ)

    def test_one_that_is_not_there_is_not_chosen(self, own: Home) -> None:
        with pytest.raises(NotFound):
            use_profile("prod", own.environ)

    def test_a_chosen_one_that_was_taken_out_by_hand_says_how_to_go_on(self, own: Home) -> None:
        own.write(COMMENTED)
        use_profile("prod", own.environ)
        own.write("")
        with pytest.raises(ConfigInvalid) as refused:
            resolve(None, own.environ, stored=True)
        assert refused.value.hint == "type: pfa profile use --none"

    def test_the_choice_goes_with_the_profile(self, own: Home) -> None:
        own.write(COMMENTED)
        use_profile("prod", own.environ)
        remove_profile("prod", own.environ)
        assert resolve(None, own.environ, stored=True).profile is None


@pytest.mark.long
def test_edits_at_the_same_time_are_all_kept(own: Home) -> None:
    code = (
        "import sys, os; from pfa_core import set_setting;"
        "set_setting(sys.argv[1], sys.argv[2], environ=os.environ)"
    )
    edits = {"organization": "RIO", "pems.tenant": "T", "pems.username": "u", "pems.grid.name": "X"}
    running = [
        subprocess.Popen([sys.executable, "-c", code, *one], env=os.environ | own.environ)
        for one in edits.items()
    ]
    assert [process.wait() for process in running] == [0] * len(edits)
    assert own.content["profiles"]["default"] == {
        "organization": "RIO",
        "pems": {"tenant": "T", "username": "u", "grid": {"name": "X"}},
    }


_WRITTEN = st.sampled_from([
    ("default", "organization", "RIO"), ("default", "pems.grid.name", 'a "b" # c'), ("prod", "pems.retries", "7"),
    ("default", "protected", "true"), ("prod", "pems.ownership.model", "ask"), ("prod", "pems.organizations.A.url", "https://a"),
    ("prod", "pems.url", None), ("default", "organization", None), ("default", "pems.grid.name", None),
])  # fmt: skip


@pytest.mark.slow
@given(st.lists(_WRITTEN, max_size=8))
def test_any_edits_of_a_commented_file_leave_what_they_do_not_name(tmp_path_factory, edits) -> None:
    own = Home(tmp_path_factory.mktemp("home"))
    own.write(COMMENTED)
    expected = {("prod", "pems.url"): "https://pems.example/base", ("prod", "pems.retries"): "3",
                ("default", "organization"): "RIO"}  # fmt: skip
    for profile, key, text in edits:
        if text is None:
            own.unset(key, profile)
            expected.pop((profile, key), None)
        else:
            own.put(key, text, profile)
            expected[profile, key] = text
    assert _flat(own.content["profiles"]) == expected
    for comment in ("# how we work", "# the usual one"):
        assert comment in own.file.read_text()


def _flat(profiles: dict) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}

    def walk(profile: str, above: str, table: dict) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                walk(profile, f"{above}{name}.", value)
            else:
                found[profile, f"{above}{name}"] = (
                    str(value).lower() if value is True else str(value)
                )

    for profile, table in profiles.items():
        walk(profile, "", table)
    return found


def test_line_ends_of_another_system_stay(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write("")
    home.file.write_bytes(b'[profiles.default]\r\n# kept\r\noutput = "csv"\r\n')
    home.put("organization", "RIO")
    assert home.file.read_bytes() == (
        b'[profiles.default]\r\n# kept\r\noutput = "csv"\r\norganization = "RIO"\r\n'
    )
    home.unset("output")
    assert home.file.read_bytes() == b'[profiles.default]\r\n# kept\r\norganization = "RIO"\r\n'
