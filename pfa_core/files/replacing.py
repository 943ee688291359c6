"""Files that are written whole, in place of another one or under a new name."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from pfa_core.errors import IllegalTransition, IoFailure, ReaderGone
from pfa_core.files.beside import (
    access_of,
    give,
    mark_written,
    name_beside,
    name_new,
    remove_left,
)
from pfa_core.files.descriptors import descriptor_of

PRIVATE = 0o600


@contextmanager
def replacing(path: str | os.PathLike[str], *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file whose content takes the place of another one's when the block ends.

    It is written beside it, brought to the disk and renamed: a full disk, an error or a killed process leave the
    old content; what a killed one leaves beside it, the next one for that file removes. A link stays, the file that
    it leads to is replaced. What is not a regular file, such as a pipe, gets the whole content at the end, as does
    what the process has open under a name of the system (/dev/stdout, /dev/fd/63).

    Args:
        mode: Its mode, the writer being its owner; None: owner, group, mode and access list of the file that it
            replaces, as far as the system lets, or the usual ones.

    Raises:
        IoFailure: It cannot be written; ReaderGone where it is a pipe whose reader did not take all of it.
    """
    name = os.fspath(path)
    with _explained(name):
        descriptor = descriptor_of(name)
        found = _status(name or os.curdir) if descriptor is None else os.fstat(descriptor)
        # To resolve a path loses the slash at its end.
        if name.endswith(os.sep) or (found is not None and stat.S_ISDIR(found.st_mode)):
            raise IoFailure(f"{name} is a folder, not a file")
        if descriptor is not None or (found is not None and not stat.S_ISREG(found.st_mode)):
            with TemporaryFile() as file:
                yield cast("BinaryIO", file)
                _copy(cast("BinaryIO", file), name, descriptor)
            return
        with _beside(Path(os.path.realpath(name)), mode) as file:
            yield file


@contextmanager
def creating(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file, which gets its name when the block ends.

    Its owner alone can read it. It is written as by `replacing`, and never takes the place of what is there, be it
    made meanwhile.

    Raises:
        IllegalTransition: There is something of that name.
        IoFailure: It cannot be written.
    """
    name = os.fspath(path)
    with _explained(name):
        target = Path(os.path.realpath(name))
        if name.endswith(os.sep) or target.is_dir():
            raise IoFailure(f"{name} is a folder, not a file")
        try:
            if os.path.lexists(target):
                remove_left(target)
                raise FileExistsError
            with _beside(target, PRIVATE, put=name_new) as file:
                yield file
        except FileExistsError:
            raise IllegalTransition(
                f"{name} is there, and is not overwritten", hint="name a file that is not there yet"
            ) from None


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say of a failure which file it is about."""
    try:
        yield
    except OSError as error:
        raise IoFailure(f"{name} cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise IoFailure(f"not a file name: {name!r}") from None


@contextmanager
def _beside(
    target: Path,
    mode: int | None,
    *,
    put: Callable[[Path, Path], object] = Path.replace,
) -> Iterator[BinaryIO]:
    temporary = name_beside(target)
    remove_left(target)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # Of the file whose name it gets: what a link led to a moment ago may be another user's.
    access = access_of(target) if mode is None else None
    # What replaces a file is its writer's alone until it has the mode of that one.
    usual = mode is None and access is None
    descriptor = os.open(temporary, flags, 0o666 if usual else PRIVATE)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            mark_written(descriptor)
            if access is not None:
                give(descriptor, access)
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        put(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _status(path: str) -> os.stat_result | None:
    """Return what the system says of what a path leads to; None: nothing is there.

    The kernel is asked: a name of an open pipe resolves to one that does not exist.
    """
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _copy(file: BinaryIO, path: str, descriptor: int | None) -> None:
    """Write the content to what cannot be replaced.

    What is open already is written where it stands: opened anew by its name, a file would be emptied.
    """
    file.seek(0)
    try:
        with open(path if descriptor is None else os.dup(descriptor), "wb") as stream:
            shutil.copyfileobj(file, stream)
    except BrokenPipeError:
        raise ReaderGone(f"{path} was not written: what reads it did not take all of it") from None


def _sync(folder: Path) -> None:
    """Bring the new name to the disk; some file systems cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
