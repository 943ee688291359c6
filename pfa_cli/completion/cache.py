"""Values that commands kept for completion.

There is a small file for each database and organization. A line of it is a kind and a value. The
first lines say whose values they are, so that a file name that two organizations share by chance shows neither
the other's. Nothing here fails a command: whatever goes wrong, nothing is kept.
"""

from __future__ import annotations

import os
import stat
from binascii import crc32
from collections.abc import Container, Mapping, Sequence

from pfa_core.config.choices import without_password

FORMAT = "pfa completion 1"
MOST = 300
MOST_RECORDS = 1000
LONGEST = 200
LARGEST = 262_144
MOST_FILES = 32
RECORD = "record"
SESSION = "session"
VIEW = "view"

Values = dict[str, list[str]]


def folder() -> str:
    """Return the directory of the cache; empty where this user has none."""
    from platformdirs import user_cache_dir

    path = os.path.join(user_cache_dir("pfa"), "completion")
    return path if os.path.isabs(path) else ""


def key(database: str, organization: str) -> str:
    """Name whose values a file holds, without a password."""
    return " ".join((without_password(database), organization)).replace("\n", " ")


def own(kind: str, user: str) -> str:
    """Name the kind of a value that is one user's alone.

    Change sets are private, and views may be.
    """
    return f"{kind}@{user}" if kind in (SESSION, VIEW) else kind


def read(of: str) -> Values:
    """Read the values of a key; none where the file is broken or another user's."""
    found: Values = {}
    path = _path(of)
    lines = _content(path).split("\n") if path else []
    if lines[:2] != [FORMAT, of]:
        return found
    for line in lines[2:]:
        kind, tab, value = line.partition("\t")
        if tab and is_fit(value):
            found.setdefault(kind, []).append(value)
    return found


def keep(of: str, learned: Mapping[str, Sequence[str]], whole: Container[str] = ()) -> bool:
    """Add values to those of a key; return whether the file was written.

    What is new comes first; of more than a kind may have, the last ones go.

    Args:
        whole: The kinds of which `learned` has every value there is.
    """
    try:
        return _keep(of, learned, whole)
    except Exception:
        return False


def is_fit(value: str) -> bool:
    """Tell whether a value may be offered: one that a terminal would act on may not."""
    return 0 < len(value) <= LONGEST and value.isprintable()


def _keep(of: str, learned: Mapping[str, Sequence[str]], whole: Container[str]) -> bool:
    path = _path(of)
    if not path:
        return False
    before = read(of)
    after = dict(before)
    for kind, values in learned.items():
        most = MOST_RECORDS if kind == RECORD else MOST
        new = [value for value in values[:most] if is_fit(value)]
        old = before.get(kind, [])
        if set(new) == set(old) or (kind not in whole and set(new) <= set(old)):
            continue
        after[kind] = list(dict.fromkeys(new if kind in whole else (*new, *old)))[:most]
    if after == before:
        return False
    _write(path, _text(of, after))
    return True


def _text(of: str, values: Mapping[str, Sequence[str]]) -> str:
    lines = [FORMAT, of]
    lines += [f"{kind}\t{value}" for kind, found in values.items() for value in found]
    text = "\n".join(lines)
    while len(text.encode()) > LARGEST:
        lines = lines[: len(lines) * 3 // 4]
        text = "\n".join(lines)
    return text + "\n"


def _path(of: str) -> str:
    place = folder()
    return os.path.join(place, f"{crc32(of.encode()):08x}") if place else ""


def _content(path: str) -> str:
    """Read a file of this user's that no other can write; empty where it is not one."""
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022:
                return ""
            if status.st_uid != os.geteuid():
                return ""
            return file.read(LARGEST + 1).decode()
    except (OSError, ValueError):
        return ""


def _write(path: str, text: str) -> None:
    place = os.path.dirname(path)
    _make(place)
    temporary = f"{path}.{os.getpid()}"
    _remove(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(text.encode())
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    _prune(place)


def _make(place: str) -> None:
    """Make the directory for this user alone.

    Root may have the HOME of another user: what it made there, that user could not write.
    """
    above = place
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if os.geteuid() == 0 != os.stat(above).st_uid:
        raise PermissionError(above)
    os.makedirs(place, mode=0o700, exist_ok=True)
    if os.stat(place).st_mode & 0o077:
        os.chmod(place, 0o700)


def _prune(place: str) -> None:
    """Remove the files that were written longest ago, and what a killed command left."""
    with os.scandir(place) as entries:
        files = sorted(entries, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)
    for entry in files[:-MOST_FILES]:
        _remove(entry.path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
