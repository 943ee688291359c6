"""Files that are written whole, in place of another one or under a new name."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from pfa_core.errors import IllegalTransition, IoFailure

_PRIVATE = 0o600


@contextmanager
def replacing(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file whose content takes the place of another one's when the block ends.

    It is written beside it, brought to the disk and renamed: a full disk, an error or a killed process leave the
    old content; what a killed one leaves beside it, the next one for that file removes. A link stays, the file that
    it leads to is replaced, with its mode. What is not a regular file, such as a pipe, gets the whole content at
    the end.

    Args:
        private: Its owner alone can read it, whatever the mode of the file that it replaces.

    Raises:
        IoFailure: It cannot be written.
    """
    name = os.fspath(path)
    with _explained(name):
        target = Path(os.path.realpath(name))
        mode = _mode(target)
        # To resolve a path loses the slash at its end.
        if name.endswith(os.sep) or (mode is not None and stat.S_ISDIR(mode)):
            raise IoFailure(f"{name} is a folder, not a file")
        if mode is not None and not stat.S_ISREG(mode):
            with TemporaryFile() as file:
                yield cast("BinaryIO", file)
                _copy(cast("BinaryIO", file), target)
            return
        with _beside(target, _PRIVATE if private else mode) as file:
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
                raise FileExistsError
            with _beside(target, _PRIVATE, _name_new) as file:
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


def _name_new(temporary: Path, target: Path) -> None:
    """Give a file its name unless that is taken, which `rename` does not ask."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without a second name
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
        temporary.replace(target)
    else:
        temporary.unlink()


@contextmanager
def _beside(
    target: Path, mode: int | None, put: Callable[[Path, Path], object] = Path.replace
) -> Iterator[BinaryIO]:
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    _remove_left(target)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, _PRIVATE if mode == _PRIVATE else 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with suppress(OSError):  # some network file systems have no locks
                flock(descriptor, LOCK_EX | LOCK_NB)
            if mode is not None:
                os.fchmod(descriptor, stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(descriptor)
        put(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _remove_left(target: Path) -> None:
    """Remove what killed processes left beside a file.

    The number of such a process is free, and so is the lock of its file: a process of another machine or another
    container holds it.
    """
    left = re.compile(rf"\.{re.escape(target.name)}\.(\d+)-[0-9a-f]{{8}}")
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            found = left.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and not _is_there(int(found[1])):
                with suppress(OSError):
                    _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with open(path, "rb") as file:
        flock(file.fileno(), LOCK_EX | LOCK_NB)
        os.unlink(path)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _copy(file: BinaryIO, target: Path) -> None:
    file.seek(0)
    with target.open("wb") as stream:
        shutil.copyfileobj(file, stream)


def _sync(folder: Path) -> None:
    """Bring the new name to the disk; some file systems cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
