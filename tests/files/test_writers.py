"""Writers of whole files under attack: disks that are full, folders and links that lead nowhere, many at once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pfa_core.config.secret_files import write_secret_file
from pfa_core.errors import IllegalTransition, IoFailure
from pfa_core.files.replacing import creating, replacing
from tests.forms import LONG


def _replace(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def _create(path: Path, text: str) -> None:
    with creating(path) as file:
        file.write(text.encode())


WRITERS = {"replacing": _replace, "creating": _create, "a secret": write_secret_file}
Writer = Callable[[Path, str], None]


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Writer:
    return WRITERS[request.param]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 201])
def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path, write: Writer, name: str) -> None:
    write(tmp_path / name, "new")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("place", ["file/a", "loop/a", "folder"])
def test_what_leads_to_no_file_is_refused_by_name(
    tmp_path: Path, write: Writer, place: str
) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(IoFailure, match=f"{place} (?:is|cannot be written)") as refused:
        write(tmp_path / place, "new")
    assert "exists" not in refused.value.message
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_text() == "old"


# A folder of root's that another user writes into: no other user may become one.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a process of another user")
@pytest.mark.parametrize("mode", [0o555, 0o1777], ids=["read-only", "sticky"])
def test_a_folder_of_another_user_keeps_its_file(tmp_path: Path, write: Writer, mode: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("old")
    for parent in (*tmp_path.parents[:2], tmp_path):
        parent.chmod(0o755)
    folder.chmod(mode)
    pid = os.fork()
    if not pid:
        code = 1
        with suppress(BaseException):
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                write(folder / "a", "new")
            except (IoFailure, IllegalTransition):
                code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (os.listdir(folder), (folder / "a").read_text()) == (["a"], "old")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root mounts a disk, and not in every container")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("room", ["some", "none"])
def test_a_full_disk_keeps_the_old_file_and_nothing_beside_it(
    small_disk: Path, write: Writer, room: str
) -> None:
    (small_disk / "a").write_text("old")
    if room == "none":
        with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
    before = sorted(os.listdir(small_disk))
    for name in ("a", "b"):
        with suppress(IllegalTransition), pytest.raises(IoFailure, match="No space left"):
            write(small_disk / name, "x" * (2 << 20))
    assert sorted(os.listdir(small_disk)) == before
    assert (small_disk / "a").read_text() == "old"


def _write_often(kind: str, path: Path, letter: str, number: int) -> None:
    for _ in range(number):
        with suppress(IllegalTransition):
            WRITERS[kind](path, letter * 3000)


@LONG
@pytest.mark.parametrize("kind", WRITERS)
def test_of_many_writers_at_once_a_reader_finds_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    forked = multiprocessing.get_context("fork")
    writers = [
        forked.Process(target=_write_often, args=(kind, path, letter, 60)) for letter in "abcd"
    ]
    for writer in writers:
        writer.start()
    found: set[str] = set()
    while any(writer.is_alive() for writer in writers):
        with suppress(FileNotFoundError):
            found.add(path.read_text().strip())
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert found <= {letter * 3000 for letter in "abcd"}
    assert len(found) == 1 or kind != "creating"
    assert os.listdir(tmp_path) == ["a"]
