"""Files that only their owner can read or write."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pfa_core.errors import ConfigInvalid, InvalidRequest, IoFailure, NotFound
from pfa_core.model import shell
from pfa_core.model.secret import looks_like_token

# What the shell opens for <(command).
_OWN_PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
# The home of a user without one: nothing is there, and nothing is written there.
HOMELESS = Path("/nonexistent")
OTHERS = 0o077
# systemd grants the unit's user a credential by an access list, which shows as the group's bit.
OTHERS_OF_A_CREDENTIAL = 0o037


def open_judged(path: Path, *, beyond: int) -> BinaryIO:
    """Open a file of settings or secrets that no other user can write or read.

    Links are followed, as mounted secrets and dotfile managers need it. Mode and owner are those of the
    opened file, so that it cannot be swapped between the check and the reading.

    Args:
        beyond: The bits of the mode that may not be set.

    Raises:
        FileNotFoundError, OSError: It is not there, or cannot be read.
        ConfigInvalid: It has one of the bits, belongs to another user, or is not a regular file.
    """
    # Opening a pipe without a writer would block for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb")
    try:
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode) and str(path).startswith(_OWN_PIPES):
            os.set_blocking(descriptor, True)
        elif not stat.S_ISREG(status.st_mode):
            raise ConfigInvalid(f"{path} is not a regular file")
        if stat.S_IMODE(status.st_mode) & beyond:
            verb = "read" if beyond & 0o044 else "written"
            raise ConfigInvalid(
                f"{path} can be {verb} by others", hint=f"type: chmod 600 {shell.file(path)}"
            )
        # Root may read any user's file; another owner of the file could rewrite it.
        if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
            raise ConfigInvalid(f"{path} belongs to another user")
    except BaseException:
        file.close()
        raise
    return file


def read_secret_file(path: Path, *, beyond: int = OTHERS) -> str:
    """Read the text of a file that only its owner can read.

    Args:
        beyond: The bits of its mode that may not be set.

    Raises:
        NotFound, IoFailure: It is not there, or cannot be read.
        ConfigInvalid: Group or others have access to it, it is not UTF-8 text, or not text alone: a byte
            order mark would become a part of the secret.
    """
    if looks_like_token(str(path)):
        raise InvalidRequest(
            "that is a token, not the name of its file; anyone who saw the command line knows it now",
            hint="revoke it; a token is taken from a file, a pipe or PFA_TOKEN",
        )
    try:
        with open_judged(path, beyond=beyond) as file:
            text = file.read(1 << 20).decode().strip()
    except FileNotFoundError:
        raise NotFound(f"file not found: {path}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path} is not UTF-8 text") from None
    except ValueError:  # a NUL in the path
        raise ConfigInvalid(f"not a file name: {str(path)!r}") from None
    except OSError as error:
        raise IoFailure(f"{path} cannot be read: {error.strerror}") from error
    if text.startswith("\ufeff"):
        raise ConfigInvalid(
            f"{path} begins with a byte order mark", hint="save it as UTF-8 without one"
        )
    if "\0" in text:
        raise ConfigInvalid(f"{path} holds a NUL character; it is not a text")
    return text


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A text on disk beside the file whose content it becomes.

    `written` is open until then: others would take it for what a killed process left.
    """

    path: Path
    temporary: Path
    written: BinaryIO

    def publish(self) -> None:
        """Put the text into the place of the file's content.

        Raises:
            IoFailure: It cannot be put there.
        """
        with self.written:
            try:
                self.temporary.replace(self.path)
            except OSError as error:
                self.temporary.unlink(missing_ok=True)  # it is a secret
                raise IoFailure(f"{self.path} cannot be written: {error.strerror}") from error

    def publish_first(self) -> bool:
        """Put the text there unless there is a file already; return whether it was put.

        Of several processes at once one puts its text, and the others find that.

        Raises:
            IoFailure: It cannot be put there.
        """
        from pfa_core.files.beside import name_new

        try:
            name_new(self.temporary, self.path)
        except FileExistsError:
            return False
        except OSError as error:
            raise IoFailure(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            self.discard()
        return True

    def discard(self) -> None:
        """Delete the text that was not published."""
        self.written.close()
        self.temporary.unlink(missing_ok=True)


def require_replaceable(path: Path) -> None:
    """Refuse a path that is not that of a file.

    A device would be gone, as would the system's own link to what the process has open.

    Raises:
        IoFailure: It is not one.
    """
    if not path.name or path.name == "..":
        raise IoFailure(f"{str(path)!r} is not the name of a file")
    from pfa_core.files.descriptors import descriptor_of

    if descriptor_of(path) is not None:
        raise IoFailure(f"{path} is not the name of a file")
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise IoFailure(f"{path} is not a regular file")


def write_secret_file(path: Path, text: str) -> None:
    """Write a text to a file of mode 0600, whole or not at all.

    Raises:
        IoFailure: It cannot be written.
        ConfigInvalid: It belongs into the home of a user who has none.
    """
    prepare_secret_file(path, text).publish()


def prepare_secret_file(path: Path, text: str) -> PreparedFile:
    """Write a text beside a file, on disk, with mode 0600, for its place later.

    Raises:
        IoFailure: It cannot be written.
        ConfigInvalid: It belongs into the home of a user who has none.
    """
    if path.is_relative_to(HOMELESS):
        raise ConfigInvalid(
            f"there is no folder for the file {path.name}: this user has no home directory",
            hint="name one in HOME or XDG_CONFIG_HOME",
        )
    require_replaceable(path)
    from pfa_core.files.beside import (  # a read has no use for it
        mark_written,
        name_beside,
        remove_left,
    )

    temporary = name_beside(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_left(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.fdopen(os.open(temporary, flags, 0o600), "wb")
        try:
            mark_written(file.fileno())
            file.write(f"{text}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            raise
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        # To make a folder where something else is fails with "File exists".
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise IoFailure(f"{path} cannot be written: {reason}") from error
    return PreparedFile(path, temporary, file)
