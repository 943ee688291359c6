"""Choices that a user made for later commands: profile, organization, change set.

They are lines of one file in the directory of state: kind, whose choice it is, value. The module is loaded by
completion too, so that it imports next to nothing.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

ORGANIZATION, SESSION, PROFILE = "organization", "session", "profile"
EMBEDDED = "embedded"
LONGEST = 1000
_LARGEST = 1_000_000


def chosen(kind: str, of: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Read a choice; None where there is none.

    Args:
        of: Whose choice it is: profile and database, for a change set organization and user too; of a
            profile nothing.

    Raises:
        ConfigInvalid: The file is broken, or others could have written it.
    """
    return _read(choices_file(environ)).get((kind, _joined(of)))


def choose(kind: str, of: Sequence[str], value: str | None, environ: Mapping[str, str]) -> bool:
    """Store a choice, or with None remove it; return whether that changed anything.

    Raises:
        IoFailure, ConfigInvalid: It cannot be read or written.
    """
    from pathlib import Path

    from pfa_core.config.secret_files import write_secret_file

    path = choices_file(environ)
    with alone(path):
        before = _read(path)
        place = (kind, _joined(of))
        after = {key: kept for key, kept in before.items() if key != place}
        if value is not None:
            after[place] = value
        if after == before:
            return False
        lines = ("\t".join((*key, kept)) for key, kept in after.items())
        write_secret_file(Path(path), "\n".join(lines))
        return True


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Keep other processes from changing a file meanwhile.

    Their change would be lost.

    Raises:
        IoFailure: There can be no lock beside it.
    """
    from pfa_core.errors import IoFailure

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise IoFailure(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def drop_unreadable(environ: Mapping[str, str]) -> None:
    """Delete a file that cannot be read, with every choice in it.

    Raises:
        IoFailure: It cannot be deleted.
    """
    from pfa_core.errors import ConfigInvalid, IoFailure

    path = choices_file(environ)
    try:
        _read(path)
    except ConfigInvalid:
        try:
            os.unlink(path)
        except OSError as error:
            raise IoFailure(f"{path} cannot be deleted: {error.strerror}") from error


def choices_file(environ: Mapping[str, str]) -> str:
    """Return the path of the file."""
    configured = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(configured):
        return os.path.join(configured, "pfa", "choices")
    return os.path.join(home_of(environ), ".local", "state", "pfa", "choices")


def home_of(environ: Mapping[str, str]) -> str:
    """Return the home directory: of HOME, or where that is empty the user's.

    Without any it is one that does not exist.
    """
    home = environ.get("HOME") or _home_of_user()
    return home if os.path.isabs(home) else "/nonexistent"


def _home_of_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def place_of(
    profile: str | None, database_url: str | None, environ: Mapping[str, str]
) -> tuple[str, str]:
    """Name the profile and database that a choice is for, without a password."""
    embedded = environ.get("PFA_EMBEDDED_DIR") or EMBEDDED
    return profile or "default", without_password(database_url) if database_url else embedded


def without_password(address: str) -> str:
    """Leave out the password of a database's address; a directory has none."""
    if "://" not in address and "=" not in address:
        return address
    from pfa_core.config import addresses  # patterns take as long to load as the rest

    return addresses.without_password(address)


def _joined(of: Sequence[str]) -> str:
    return " ".join(word.replace("\t", " ").replace("\n", " ") for word in of)


def _read(path: str) -> dict[tuple[str, str], str]:
    content = _content(path)
    found: dict[tuple[str, str], str] = {}
    for line in content.split("\n") if content else ():
        parts = line.split("\t")
        if len(parts) != 3 or not parts[2].isprintable() or not 0 < len(parts[2]) <= LONGEST:
            raise _broken(f"{path} is not a file of choices")
        found[parts[0], parts[1]] = parts[2]
    return found


def _content(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except PermissionError as error:
        # The home of another user, which a change of user left in HOME: this user chose nothing there.
        if os.access(os.path.dirname(path), os.X_OK):
            raise _broken(f"{path} cannot be read: {error.strerror}") from error
        return ""
    except OSError as error:
        raise _broken(f"{path} cannot be read: {error.strerror}") from error
    try:
        if fault := _fault(os.fstat(descriptor)):
            raise _broken(f"{path} {fault}")
        return os.read(descriptor, _LARGEST).decode().strip("\n")
    except UnicodeDecodeError:
        raise _broken(f"{path} is not UTF-8 text") from None
    finally:
        os.close(descriptor)


def _fault(status: os.stat_result) -> str:
    """Say why a file is not to be trusted; empty where it is."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_mode & 0o022:
        return "can be written by others"
    own = os.geteuid() in (0, status.st_uid) or status.st_uid == 0
    return "" if own else "belongs to another user"


def _broken(message: str) -> Exception:
    from pfa_core.errors import ConfigInvalid

    return ConfigInvalid(message, hint="type: pfa session use --none")
