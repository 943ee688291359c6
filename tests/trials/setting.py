"""A place for a history, set up and taken down."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pfa_core.errors import PfaError
from pfa_core.store import migrations
from pfa_core.store.database import Database
from pfa_core.store.embedded import server as embedded
from pfa_core.store.embedded.address import conninfo
from pfa_core.store.embedded.process import is_alive
from tests.factories import a_jsonl_file, a_world, know_the_key, record
from tests.faults.nursery import a_nursery
from tests.pems_server import owned
from tests.server import bound_url, reachable_directory, roomy_memory
from tests.trials.place import IDS, USERS, Place

DISK = 300 * 1024 * 1024  # of the embedded directory, where it may become full
_PREFIX = "pfa-trials-"


@contextmanager
def a_place(url: str = "", bug: str = "") -> Iterator[Place]:
    """A place with the records on both sides.

    Args:
        url: A migrated database of a server that is not to be killed; empty: an embedded server of its own.
    """
    with ExitStack() as stack:
        _remove_left_behind()
        folder = reachable_directory(f"{_PREFIX}{os.getpid()}-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        said = folder / "said"
        said.mkdir()
        program = ("tests.trials.bodies", *([bug] if bug else []))
        nursery = stack.enter_context(a_nursery(said, *program))
        place = Place(folder, url, "", nursery)
        if not url:
            _make_root(place, stack)
        stack.callback(place.close)
        (_set_up_on if url else _set_up_embedded)(place)
        a_jsonl_file(folder, owned(records()), "pems.jsonl")
        place.start_pems()
        if not place.faketime:
            place.skipped["clocks that jump"] = "libfaketime is not installed"
        yield place


def _remove_left_behind() -> None:
    """Stop the servers and remove the folders of histories whose process was killed."""
    for folder in roomy_memory().glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not is_alive(int(pid)) and folder.stat().st_uid == os.geteuid():
            with suppress(PfaError):
                embedded.stop(folder / "embedded")
            if os.path.ismount(folder / "embedded"):
                _unmount(folder / "embedded")
            shutil.rmtree(folder, ignore_errors=True)


def records() -> list[dict[str, Any]]:
    """The records at first."""
    return [record(pfa_id) for pfa_id in IDS]


def _set_up_on(place: Place) -> None:
    world = a_world(place.url, *owned(records()), users=USERS)
    world.owner.transact(know_the_key)
    world.close()
    place.bound = bound_url(place.url)
    place.skipped["database stopped and killed, full disk of the embedded directory"] = (
        "the server is not the trial's own"
    )


def _make_root(place: Place, stack: ExitStack) -> None:
    """Make the embedded server's directory. Its disk is taken away after the server is stopped."""
    root = place.folder / "embedded"
    root.mkdir(mode=0o755)
    place.small_disk = _mount(root, stack)
    if not place.small_disk:
        place.skipped["full disk of the embedded directory"] = "no file system can be mounted here"
    place.root = root


def _set_up_embedded(place: Place) -> None:
    root = place.root
    assert root is not None
    embedded.ensure(root)
    with Database(None, root=root, owner=True) as db:
        db.transact(lambda conn: None)
        migrations.allow_app_login(db.connection())
    place.url = conninfo(root)
    place.bound = conninfo(root, user="pfa_app")
    world = a_world(place.url, *owned(records()), users=USERS)
    world.owner.transact(know_the_key)
    world.close()


def _mount(root: Path, stack: ExitStack) -> bool:
    """Put a small file system there."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(root)]
    if subprocess.run(argv, capture_output=True).returncode != 0:
        return False
    stack.callback(_unmount, root)
    return True


def _unmount(root: Path) -> None:
    subprocess.run(["umount", "-l", str(root)], capture_output=True)
