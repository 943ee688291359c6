"""Files that are replaced whole or stay as they were."""

from __future__ import annotations

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pfa_core.config.secret_files import prepare_secret_file
from pfa_core.errors import IllegalTransition, IoFailure, ReaderGone
from pfa_core.files import beside
from pfa_core.files.replacing import creating, replacing


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert os.listdir(tmp_path) == ["a"]


# What the system refuses a plain user says nothing of what the program would do.
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")


@as_root
def test_root_leaves_a_file_to_its_owner_and_keeps_what_is_private(tmp_path: Path) -> None:
    """A report that cron writes as root stays the engineer's; a backup is its writer's."""
    path = tmp_path / "a"
    for mode, owner in ((None, (1234, 2345)), (0o600, (0, 0))):
        path.write_text("old")
        path.chmod(0o640)
        os.chown(path, 1234, 2345)
        with replacing(path, mode=mode) as file:
            file.write(b"new")
        found = path.stat()
        assert (found.st_uid, found.st_gid) == owner
        assert found.st_mode & 0o777 == (mode or 0o640)


@as_root
@pytest.mark.parametrize(
    ("group", "before", "after"),
    [(2345, 0o640, 0o640), (3456, 0o640, 0o600), (3456, 0o664, 0o644), (3456, 0o604, 0o600)],
)
def test_a_group_s_permissions_are_no_other_group_s(group: int, before: int, after: int) -> None:
    """One user replaces another one's file in a folder of both; group 2345 is theirs."""
    code = (
        "import os, sys\nfrom pfa_core.files.replacing import replacing\n"
        "os.setgroups([2345]); os.setgid(4567); os.setuid(4567)\n"
        "with replacing(sys.argv[1]) as file:\n    file.write(b'new')\n"
    )
    with TemporaryDirectory() as folder:  # pytest's own folders are root's alone
        os.chown(folder, 4567, 4567)
        path = Path(folder, "a")
        path.write_text("old")
        os.chown(path, 1234, group)
        path.chmod(before)
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        found = path.stat()
    assert (found.st_uid, found.st_gid) == (4567, group if group == 2345 else 4567)
    assert found.st_mode & 0o777 == after


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_system_that_gives_no_owner_and_no_group_lets_the_file_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    """EINVAL: the namespace of a container has no such group. The mode is given before the file is given away."""
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o664)

    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "chown", refuse)
    with replacing(path) as file:
        file.write(b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o644)


@as_root
def test_a_file_has_its_mode_when_it_is_given_away(tmp_path: Path, monkeypatch) -> None:
    """Root may own the right to give a file away, and not the one to change another user's."""
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 1234, 2345)
    chmod = os.fchmod

    def own_alone(file: int, mode: int) -> None:
        assert os.fstat(file).st_uid == 0
        chmod(file, mode)

    monkeypatch.setattr(os, "fchmod", own_alone)
    with replacing(path) as file:
        file.write(b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o640)


def a_list(*entries: tuple[int, int, int]) -> bytes:
    """An access list as Linux keeps it: kind, permissions and number of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ANYONE = 0xFFFFFFFF
OWNER, USER, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
LIST, LIST_OF_NEW = "system.posix_acl_access", "system.posix_acl_default"
# User 1005 may read and write, the group nothing: its permissions in the mode are the most of the list.
OF_A_USER = a_list(
    (OWNER, 6, ANYONE), (USER, 6, 1005), (GROUP, 0, ANYONE), (MASK, 6, ANYONE), (OTHERS, 0, ANYONE)
)  # fmt: skip


def with_list(path: Path, name: str, content: bytes) -> None:
    try:
        os.setxattr(path, name, content)
    except (OSError, AttributeError):
        pytest.skip("this file system has no access lists")


def test_an_access_list_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with_list(path, LIST, OF_A_USER)
    with replacing(path) as file:
        file.write(b"new")
    assert (path.read_text(), os.getxattr(path, LIST)) == ("new", OF_A_USER)


def test_where_an_access_list_cannot_be_kept_the_group_gets_what_all_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with_list(path, LIST, OF_A_USER)
    monkeypatch.setattr(beside, "_list", lambda *_: False)
    with replacing(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_folder_s_list_does_not_add_to_who_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    with_list(tmp_path, LIST_OF_NEW, OF_A_USER)
    with replacing(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o640
    assert LIST not in os.listxattr(path)


@as_root
def test_root_gives_a_file_to_no_one_but_the_owner_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is led elsewhere between two looks at it."""
    own, victim, link = (tmp_path / name for name in ("own", "victim", "link"))
    for path, owner in ((own, 1234), (victim, 0)):
        path.write_text("old")
        path.chmod(0o600)
        os.chown(path, owner, owner)
    link.symlink_to(own)
    resolve = os.path.realpath

    def later(path: str) -> str:
        link.unlink()
        link.symlink_to(victim)
        return resolve(path)

    monkeypatch.setattr(os.path, "realpath", later)
    with replacing(link) as file:
        file.write(b"new")
    assert (victim.read_text(), victim.stat().st_uid) == ("new", 0)


def test_a_new_file_has_the_mode_that_the_user_gives_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a"])


def test_a_disk_without_room_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(IoFailure, match="a cannot be written"), replacing(path) as file:
            file.write(b"new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a"])


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    code = (
        "import os, sys\nfrom pfa_core.files.replacing import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'new' * 100000); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert (ran.returncode, path.read_text()) == (-9, "old")
    assert len(os.listdir(tmp_path)) == 2
    others = [".a.1-0123456x", ".ab.1-01234567", f".a.{os.getpid()}-01234567", ".a.x-01234567"]
    for name in others:
        (tmp_path / name).touch()
    with replacing(path) as file:
        file.write(b"newer")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", *others])


def test_what_another_machine_s_process_writes_beside_it_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    written = tmp_path / f".a.{ended.pid}-01234567"  # its number is free on this one
    with written.open("w") as there:
        flock(there, LOCK_EX)
        with replacing(tmp_path / "a") as file:
            file.write(b"new")
        assert written.exists()
    with replacing(tmp_path / "a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    link = tmp_path / "a"
    link.symlink_to(folder / "b")
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert (folder / "b").read_text() == "new"


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "a"
    os.mkfifo(path)
    reader = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
    with replacing(path) as file:
        file.write(b"new")
    assert reader.communicate()[0] == b"new"
    assert path.is_fifo()


@pytest.mark.parametrize("size", [3, 1_000_000])
def test_a_pipe_whose_reader_is_gone_is_said_to_be_one(size: int) -> None:
    """Be it that it never read, or that it went away in the middle of more than a pipe holds."""
    reading, writing = os.pipe()
    os.close(reading)
    with (
        pytest.raises(ReaderGone, match=f"/dev/fd/{writing} was not written") as raised,
        replacing(f"/dev/fd/{writing}") as file,
    ):
        file.write(b"x" * size)
    os.close(writing)
    assert raised.value.exit_code == 141


def test_what_is_open_gets_the_content_by_its_system_s_name(tmp_path: Path) -> None:
    """As of `>(command)` in bash, and of /dev/stdout: a pipe, or a file where it stands."""
    reading, writing = os.pipe()
    with replacing(f"/dev/fd/{writing}") as file:
        file.write(b"new")
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b"new"
    path = tmp_path / "a"
    with path.open("wb") as there:
        there.write(b"before, ")
        there.flush()
        with replacing(f"/proc/self/fd/{there.fileno()}") as file:
            file.write(b"new")
        there.write(b", after")
    assert (path.read_text(), os.listdir(tmp_path)) == ("before, new, after", ["a"])


def test_what_is_not_open_is_refused_before_anything_is_written() -> None:
    with (
        pytest.raises(IoFailure, match="/dev/fd/98765 cannot be written"),
        replacing("/dev/fd/98765"),
    ):
        pytest.fail("it was opened")


def test_a_name_that_is_taken_is_freed_of_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    code = (
        "import os, sys\nfrom pfa_core.files.replacing import creating\n"
        "link = os.link\nos.link = lambda *names: (link(*names), os.kill(os.getpid(), 9))\n"
        "with creating(sys.argv[1]) as file:\n    file.write(b'new')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert (ran.returncode, len(os.listdir(tmp_path))) == (-9, 2)
    with pytest.raises(IllegalTransition, match="is not overwritten"), creating(path):
        pytest.fail("it was opened")
    assert (path.read_text(), os.listdir(tmp_path)) == ("new", ["a"])


@pytest.mark.parametrize("name", [".", "none/a", "a.html/", "a\0b", "x" * 300, ""])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}" if name else ""
    with pytest.raises(IoFailure), replacing(path) as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def no_second_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT and some network file systems."""

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("no_second_names")
def test_without_second_names_a_new_file_is_made_and_a_taken_name_refused(tmp_path: Path) -> None:
    with creating(tmp_path / "one") as file:
        file.write(b"first")
    with (
        pytest.raises(IllegalTransition, match="not overwritten"),
        creating(tmp_path / "one") as file,
    ):
        file.write(b"second")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"one": b"first"}


@pytest.mark.usefixtures("no_second_names")
def test_without_second_names_a_secret_is_put_where_none_is(tmp_path: Path) -> None:
    path = tmp_path / "jwt.key"
    assert prepare_secret_file(path, "first").publish_first()
    assert not prepare_secret_file(path, "second").publish_first()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"jwt.key": b"first\n"}
    assert path.stat().st_mode & 0o777 == 0o600
