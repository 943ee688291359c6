"""An archive of the trail that is killed, that a disk stops, or that goes on beside others: each entry is once."""

from __future__ import annotations

import errno
import gzip
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.files import trail
from pfa_core.transfer import log_archive
from pfa_core.transfer.log_archive import LogArchiveResult
from tests.audit.aging import age
from tests.factories import World, a_world, draft, record
from tests.life_cycle.together import together
from tests.worlds import built_once

REPOSITORY = Path(__file__).resolve().parents[2]
DAYS = 300
KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pfa_core
from pfa_core.files import trail
from pfa_core.store import archives, audit
from pfa_core.transfer import log_archive
from tests.factories import SelfClosing, a_principal

url, file, point = sys.argv[1:]

def die(*_args, **_how):
    os.kill(os.getpid(), signal.SIGKILL)

if point == "writing":
    trail.TrailWriter.finish = die
elif point == "read back":
    trail.TrailReader.verify = die
elif point == "between its names":
    link = os.link
    os.link = lambda *names: (link(*names), die())
elif point == "named":
    archives.hold = die
elif point == "removing":
    archives.digest_of = die
elif point == "before the commit":
    audit.write = die
with SelfClosing(url) as db:
    pfa_core.archive_log(db, a_principal(), file, before=datetime.now(UTC) - timedelta(days=300))
    die()
"""


@built_once
def old(url: str) -> World:
    """A trail of a year ago: some drafts, discarded again."""
    world = a_world(url, *(record(f"P-{number}") for number in range(1, 4)), users={"ann": "admin"})
    for number in (1, 2, 3):
        draft(world.db, world.principal(), f"P-{number}", session="gone", model="M")
    pfa_core.discard(world.db, world.principal(), Selection(session_id="gone"))
    age(world)
    return world


def archived(world: World, file: Path) -> LogArchiveResult:
    before = datetime.now(UTC) - timedelta(days=DAYS)
    return pfa_core.archive_log(world.db, world.principal(), file, before=before)


def require_once(world: World, files: list[Path], entries: int) -> None:
    """Every entry is in a file or in the database, and the chain verifies across both."""
    report = pfa_core.verify_log(world.db, world.principal(), files=files)
    assert report.flaws == []
    archives = pfa_core.list_archives(world.db, world.principal())
    assert len(archives) == 1
    assert report.archived_entries + report.entries == entries + 1  # and the one of the archive


@pytest.mark.long
@pytest.mark.parametrize(
    "point",
    [
        "between its names",
        "named",
        "committed",
        "writing",
        "read back",
        "removing",
        "before the commit",
    ],
)
def test_an_archive_that_is_killed_goes_on_with_the_same_command(
    old: World, tmp_path: Path, point: str
) -> None:
    entries = old.rows("SELECT count(*) FROM audit_log")[0][0]
    file = tmp_path / "trail.gz"
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, old.url, str(file), point],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    left = old.rows("SELECT count(*) FROM audit_log WHERE action = 'archive'")[0][0]
    assert left == (point == "committed")
    assert file.exists() == (point not in ("writing", "read back"))
    assert archived(old, file).already == (point == "committed")
    require_once(old, [file], entries)
    assert [path.name for path in tmp_path.iterdir()] == ["trail.gz"]


def test_a_full_disk_leaves_no_file_and_every_entry(
    old: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.rows("SELECT count(*) FROM audit_log")[0][0]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(trail.TrailWriter, "add", full)
        with pytest.raises(errors.IoFailure, match="No space left"):
            archived(old, tmp_path / "a.gz")
    assert list(tmp_path.iterdir()) == []
    assert old.rows("SELECT count(*) FROM audit_log")[0][0] == before
    archived(old, tmp_path / "a.gz")
    require_once(old, [tmp_path / "a.gz"], before)


@pytest.mark.long
def test_a_file_that_was_left_is_not_believed(old: World, tmp_path: Path) -> None:
    entries = old.rows("SELECT count(*) FROM audit_log")[0][0]
    file = tmp_path / "a.gz"
    subprocess.run(
        [sys.executable, "-c", KILLED, old.url, str(file), "named"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    whole = file.read_bytes()
    text = gzip.decompress(whole)
    for altered in (whole[:-30], gzip.compress(text.replace(b'"ann"', b'"eve"'))):
        file.write_bytes(altered)
        with pytest.raises(errors.IllegalTransition, match="is not overwritten"):
            archived(old, file)
        assert old.rows("SELECT count(*) FROM audit_log")[0][0] == entries
    file.write_bytes(whole)
    assert archived(old, file).removed == entries
    require_once(old, [file], entries)


def test_of_two_archives_at_once_one_removes_the_entries(old: World, tmp_path: Path) -> None:
    entries = old.rows("SELECT count(*) FROM audit_log")[0][0]
    other = old.at(old.url)
    try:
        answers = together(
            lambda: archived(old, tmp_path / "a.gz"), lambda: archived(other, tmp_path / "b.gz")
        )
    finally:
        other.close()
    done = [one for one in answers if isinstance(one, LogArchiveResult) and one.removed]
    assert len(done) == 1
    # The other one came too late, before it wrote its file or after it.
    late = next(one for one in answers if one is not done[0])
    assert isinstance(late, errors.IllegalTransition) or late.links == 0
    require_once(old, [Path(done[0].path)], entries)


def test_an_archive_that_another_overtakes_before_it_writes_says_so(
    old: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, creating = old.at(old.url), log_archive.creating

    def overtaken(path: str) -> Any:
        monkeypatch.undo()
        assert archived(other, tmp_path / "b.gz").removed
        return creating(path)

    monkeypatch.setattr(log_archive, "creating", overtaken)
    try:
        with pytest.raises(
            errors.IllegalTransition, match=r"meanwhile: b\.gz; nothing was written"
        ):
            archived(old, tmp_path / "a.gz")
    finally:
        other.close()
    assert not (tmp_path / "a.gz").exists()


@pytest.mark.long
def test_work_goes_on_beside_an_archive(old: World, tmp_path: Path) -> None:
    worker, stop = old.at(old.url), threading.Event()
    saved = 0

    def work() -> None:
        nonlocal saved
        while not stop.is_set():
            draft(worker.db, worker.principal(), "P-1", session="new", model=f"M {saved}")
            pfa_core.undo(worker.db, worker.principal())
            saved += 2

    entries = old.rows("SELECT count(*) FROM audit_log")[0][0]
    thread = threading.Thread(target=work)
    thread.start()
    try:
        result = archived(old, tmp_path / "a.gz")
    finally:
        stop.set()
        thread.join(30)
        worker.close()
    assert result.entries == entries
    require_once(old, [tmp_path / "a.gz"], entries + saved)
