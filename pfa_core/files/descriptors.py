"""Names of the files, pipes and devices that a process has open already."""

from __future__ import annotations

import os
import re

STDOUT = 1
_NAMED = {"/dev/stdin": 0, "/dev/stdout": STDOUT, "/dev/stderr": 2}
_NUMBERED = re.compile(r"(?:/dev|/proc/self|/proc/thread-self)/fd/(\d{1,9})", re.ASCII)


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """Return the open descriptor that a name of the system stands for.

    Such as /dev/stdout or /dev/fd/63. None: it is the name of a file.
    """
    name = os.path.normpath(os.fspath(path))
    if name.startswith("//"):  # which normpath keeps
        name = name[1:]
    numbered = _NUMBERED.fullmatch(name)
    return int(numbered[1]) if numbered else _NAMED.get(name)
