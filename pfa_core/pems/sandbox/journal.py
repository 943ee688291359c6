"""The journal of the sandbox: a file to which changes are appended.

Every change is appended before it is acknowledged. What a process wrote to a file survives its kill, so
that a killed sandbox loses nothing. A power cut may lose the last writes: the file is not synchronized to the disk.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pfa_core.errors import InvalidData, IoFailure, LeaseHeld
from pfa_core.exact_json import dumps, loads

_FIRST_LINE = b'{"format":"pfa-sandbox","version":1}\n'


class Journal:
    """A file of JSON lines, open for one process; without a path nothing is kept.

    Raises:
        IoFailure: The file cannot be opened or written.
        LeaseHeld: Another sandbox has the file open.
        InvalidData: The file is not a journal, or damaged before its last line.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._size = 0
        if path is not None:
            self._open(path)

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> Iterator[Any]:
        """Yield what was appended, in order; remove an incomplete last line."""
        if self._descriptor is None or self.path is None:
            return
        with self.path.open("rb") as file:
            self._size = len(file.readline())
            for number, line in enumerate(file, 2):
                if not line.endswith(b"\n"):
                    os.ftruncate(self._descriptor, self._size)
                    return
                yield self._parsed(line, number)
                self._size += len(line)

    def append(self, values: Iterable[Any]) -> None:
        """Append values, all or none."""
        if self._descriptor is None:
            return
        content = "".join(dumps(value) + "\n" for value in values).encode()
        try:
            self._write(self._descriptor, content)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise IoFailure(f"{self.path} cannot be written: {error.strerror}") from error

    def _open(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first = os.pread(self._descriptor, len(_FIRST_LINE), 0)
            if not first:
                self._write(self._descriptor, _FIRST_LINE)
        except BlockingIOError:
            self.close()
            raise LeaseHeld(f"another sandbox uses {path}") from None
        except OSError as error:
            self.close()
            raise IoFailure(f"{path} cannot be opened: {error.strerror}") from error
        if first not in (b"", _FIRST_LINE):
            self.close()
            raise InvalidData(f"{path} is not the state of a sandbox; it was not changed")

    def _write(self, descriptor: int, content: bytes) -> None:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        self._size += len(content)

    def _parsed(self, line: bytes, number: int) -> Any:
        try:
            return loads(line)
        except ValueError:
            raise InvalidData(f"{self.path} line {number} is damaged") from None
