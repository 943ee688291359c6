"""The cache: whose values they are, what is kept of them, and that nothing about it is ever an error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pfa_cli.completion import cache

HERE = cache.key("postgresql://db/pfa", "HOLNG")


def the_file() -> Path:
    (found,) = Path(cache.folder()).iterdir()
    return found


def test_what_is_kept_is_read_again_newest_first() -> None:
    assert cache.keep(HERE, {"category": ["Crane", "Loader"]})
    assert cache.keep(HERE, {"category": ["Öl & Gas", "Crane"], "areaSilo": ["Silo 4"]})
    assert cache.read(HERE) == {"category": ["Öl & Gas", "Crane", "Loader"], "areaSilo": ["Silo 4"]}


def test_only_its_owner_can_read_it() -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    assert stat.S_IMODE(the_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(the_file().parent.stat().st_mode) == 0o700


def test_a_directory_that_others_can_enter_is_closed() -> None:
    os.makedirs(cache.folder(), mode=0o755)
    assert cache.keep(HERE, {"category": ["Crane"]})
    assert stat.S_IMODE(the_file().parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("database", "organization"),
    [
        ("postgresql://db/pfa", "RIO"),
        ("postgresql://other/pfa", "HOLNG"),
        ("/var/lib/pfa", "HOLNG"),
    ],
)
def test_another_organization_or_database_has_none_of_them(
    database: str, organization: str
) -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    assert cache.read(cache.key(database, organization)) == {}


def test_a_file_under_the_same_name_of_another_organization_is_not_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "crc32", lambda _: 7)
    other = cache.key("postgresql://db/pfa", "RIO")
    assert cache.keep(HERE, {"category": ["Crane"]})
    assert cache.read(other) == {}
    assert cache.keep(other, {"category": ["Loader"]})
    assert (cache.read(other), cache.read(HERE)) == ({"category": ["Loader"]}, {})


def test_sessions_are_their_user_s_alone() -> None:
    assert cache.own("session", "anna") != cache.own("session", "ben")
    assert cache.own("category", "anna") == cache.own("category", "ben")


def test_all_values_there_are_replace_those_before() -> None:
    assert cache.keep(HERE, {"session": ["a", "b"], "run": ["1"]})
    assert cache.keep(HERE, {"session": ["b"], "run": ["2"]}, whole=["session"])
    assert cache.read(HERE) == {"session": ["b"], "run": ["2", "1"]}
    assert cache.keep(HERE, {"session": []}, whole=["session"])
    assert cache.read(HERE) == {"run": ["2", "1"]}


def test_what_is_known_already_is_not_written_again() -> None:
    assert cache.keep(HERE, {"category": ["Crane", "Loader"]})
    assert not cache.keep(HERE, {"category": ["Loader"]})
    assert not cache.keep(HERE, {"category": ["Loader", "Crane"]}, whole=["category"])
    assert not cache.keep(HERE, {})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "\x1b[2J",
        "a\nb",
        "tab\there",
        "nul\0",
        "left\u202eright",
        "half\ud800",
        "x" * 201,
        "\x9b31m",
    ],
)
def test_a_value_that_a_terminal_acts_on_or_that_is_endless_is_not_kept(value: str) -> None:
    assert cache.keep(HERE, {"category": [value, "Crane"]})
    assert cache.read(HERE) == {"category": ["Crane"]}


def test_it_stays_small() -> None:
    many = {
        f"kind{kind}": [f"{kind} {number} {'ä' * 150}" for number in range(400)]
        for kind in range(9)
    }
    assert cache.keep(HERE, {**many, "record": [f"R-{number}" for number in range(5000)]})
    assert the_file().stat().st_size <= cache.LARGEST + 1
    found = cache.read(HERE)
    assert len(found["kind0"]) == cache.MOST
    for number in range(cache.MOST_FILES + 5):
        assert cache.keep(cache.key("postgresql://db/pfa", f"O{number}"), {"category": ["Crane"]})
    assert len(list(Path(cache.folder()).iterdir())) == cache.MOST_FILES


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://anna:geheim@db/pfa",
        "host=db user=anna password=geheim dbname=pfa",
        "host=db password = 'gehe\\'im' dbname=pfa",
        "postgresql://anna@db/pfa?password=geheim&sslmode=require",
    ],
)
def test_a_password_is_in_no_file(address: str) -> None:
    assert cache.keep(cache.key(address, "HOLNG"), {"category": ["Crane"]})
    assert "gehe" not in the_file().read_text()
    assert cache.read(cache.key(address, "HOLNG")) == {"category": ["Crane"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"pfa completion 2\n", b"\0" * 5000, b"pfa completion 1\n", b"x" * 400_000],
)
def test_a_broken_file_is_empty_and_is_replaced(content: bytes) -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    the_file().write_bytes(content)
    assert cache.read(HERE) == {}
    assert cache.keep(HERE, {"category": ["Loader"]})
    assert cache.read(HERE) == {"category": ["Loader"]}


def test_broken_lines_and_escapes_in_a_file_are_passed_over() -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    with the_file().open("a") as file:
        file.write("no tab\ncategory\t\x1b]0;owned\x07\ncategory\tLoader\n")
    assert cache.read(HERE) == {"category": ["Crane", "Loader"]}


def test_a_file_that_others_could_write_is_not_believed() -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    the_file().chmod(0o620)
    assert cache.read(HERE) == {}


def test_a_file_of_another_user_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert cache.read(HERE) == {}


def test_neither_a_link_nor_a_pipe_is_read_or_written_through(tmp_path: Path) -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})
    path, target = the_file(), tmp_path / "target"
    path.rename(target)
    path.symlink_to(target)
    assert cache.read(HERE) == {}
    before = target.read_bytes()
    assert cache.keep(HERE, {"category": ["Loader"]})
    assert (target.read_bytes(), path.is_symlink()) == (before, False)
    path.unlink()
    os.mkfifo(path)
    assert cache.read(HERE) == {}


def test_root_makes_nothing_in_the_home_of_another_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    real = os.stat
    other = os.stat_result((*real(home)[:4], 4711, *real(home)[5:]))
    monkeypatch.setattr(
        os, "stat", lambda path, **rest: other if path == str(home) else real(path, **rest)
    )
    assert not cache.keep(HERE, {"category": ["Crane"]})
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("cache_home", ["/proc/nothing", "/dev/null/x"])
def test_where_nothing_can_be_written_nothing_is_kept(
    cache_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache_home)
    assert not cache.keep(HERE, {"category": ["Crane"]})
    assert cache.read(HERE) == {}


@pytest.mark.parametrize("nameless", [True, False])
def test_nothing_is_written_into_the_working_directory(
    nameless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    if nameless:  # a user of whom there is neither HOME nor an entry in passwd
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    cache.keep(HERE, {"category": ["Crane"]})
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_the_values_before_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.keep(HERE, {"category": ["Crane"]})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not cache.keep(HERE, {"category": ["Loader"]})
    assert cache.read(HERE) == {"category": ["Crane"]}
    assert the_file().name.isalnum()
