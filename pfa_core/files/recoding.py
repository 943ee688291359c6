"""Text in other encodings than UTF-8, read as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any, BinaryIO, cast

from pfa_core.errors import InvalidData
from pfa_core.files.dialect import wide_encoding

_BLOCK = 64 << 10


def recoded(file: BinaryIO, encoding: str, name: str, *, kept: str) -> BinaryIO:
    """Return the content as UTF-8, without a byte order mark, in constant memory.

    Args:
        encoding: As Python names it.
        kept: What is said of the effect, as in "nothing was stored".

    Raises:
        InvalidData: While it is read: its bytes are not of the encoding.
    """
    return cast("BinaryIO", io.BufferedReader(_Recoded(file, encoding, name, kept), _BLOCK))


class _Recoded(io.RawIOBase):
    def __init__(self, file: BinaryIO, encoding: str, name: str, kept: str) -> None:
        self._file, self._encoding, self._name, self._kept = file, encoding, name, kept
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._waiting, self._is_first, self._is_over = b"", True, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._waiting and not self._is_over:
            self._waiting = self._next()
        part = self._waiting[: len(buffer)]
        buffer[: len(part)] = part
        self._waiting = self._waiting[len(part) :]
        return len(part)

    def _next(self) -> bytes:
        block = self._file.read(_BLOCK)
        self._is_over = not block
        try:
            text = self._decoder.decode(block, final=self._is_over)
        except UnicodeDecodeError as error:
            raise InvalidData(
                f"{self._name} is not {self._encoding}: {error.reason}; {self._kept}"
            ) from None
        if self._is_first and text:
            self._is_first = False
            text = text.removeprefix("\ufeff")
        return text.encode("utf-8", "surrogatepass")


def as_utf8(
    file: BinaryIO, head: bytes, name: str, encoding: str, *, kept: str
) -> tuple[BinaryIO, str]:
    """Return content as UTF-8 and the encoding that it has.

    Args:
        head: Its first bytes.
        encoding: What it is said to have; empty: UTF-16 where its first bytes show that, else UTF-8.
    """
    found = encoding or _WIDE.get(wide_encoding(head), "utf-8")
    if codecs.lookup(found).name == "utf-8":
        return file, "utf-8"
    return recoded(file, found, name, kept=kept), found


# UTF-32 is not among them: no program writes tables in it.
_WIDE = {"UTF-16": "utf-16", "UTF-16LE": "utf-16-le", "UTF-16BE": "utf-16-be"}
