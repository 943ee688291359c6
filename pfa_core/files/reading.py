"""Inputs by path, or `-` for standard input; plain or gzip, always UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from pfa_core.errors import InvalidData, InvalidRequest, IoFailure, NotFound
from pfa_core.files.dialect import HEAD_BYTES, STORED

SPOOL_BYTES = 64 << 20
# Bytes, unpacked, of what is read whole: a document, or a line of JSONL, CSV and TSV. Some hundred kilobytes of
# gzip can hold gigabytes.
MAX_SIZE = 64 << 20
_GZIP = b"\x1f\x8b"


@contextmanager
def open_input(path: str, content: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """Open a file as bytes, decompressed where its content is gzip.

    Args:
        content: Read in place of the path, or of standard input for `-`.

    Raises:
        NotFound: The file is missing.
        IoFailure: It is a directory, unreadable, or a damaged gzip.
    """
    name = source_name(path)
    try:
        if content is not None or path == "-":
            yield _unzipped(_peekable(content or _standard_input()))
        else:
            with Path(path).open("rb") as file:
                yield _unzipped(file)
    except FileNotFoundError:
        raise NotFound(f"file not found: {name}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise IoFailure(f"{name} is a damaged gzip file; nothing was stored") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or "not a file name"
        raise IoFailure(f"{name} cannot be read: {reason}") from error


@contextmanager
def open_file(path: str | os.PathLike[str], *, buffered: bool = True) -> Iterator[BinaryIO]:
    """Open a file as the bytes that it has.

    Raises:
        NotFound: The file is missing.
        IoFailure: It is a directory, unreadable, or not a file name.
    """
    name = os.fspath(path)
    try:
        with Path(name).open("rb", buffering=-1 if buffered else 0) as file:
            yield cast("BinaryIO", file)
    except FileNotFoundError:
        raise NotFound(f"file not found: {name}") from None
    except OSError as error:
        raise IoFailure(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise IoFailure(f"not a file name: {name!r}") from None


@contextmanager
def rereadable(
    paths: Sequence[str], stdin: BinaryIO | None = None
) -> Iterator[Mapping[str, BinaryIO]]:
    """Copy each input that can be read only once, standard input or a pipe.

    A transaction that lost against another, or whose connection broke, starts from the beginning and has to
    read its input again.

    Raises:
        IoFailure: An input cannot be read.
    """
    with ExitStack() as stack:
        copies: dict[str, BinaryIO] = {}
        for path in dict.fromkeys(paths):
            if path == "-" or _is_stream(path):
                spool = stack.enter_context(SpooledTemporaryFile(max_size=SPOOL_BYTES))
                copies[path] = cast("BinaryIO", spool)
                _copy_once(path, stdin, copies[path])
        yield copies


def _is_stream(path: str) -> bool:
    """Return whether the path is a pipe or a device."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False  # reported when it is opened
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _copy_once(path: str, stdin: BinaryIO | None, copy: BinaryIO) -> None:
    try:
        if path == "-":
            shutil.copyfileobj(stdin or _standard_input(), copy)
        else:
            with Path(path).open("rb") as file:
                shutil.copyfileobj(file, copy)
    except OSError as error:
        raise IoFailure(f"{source_name(path)} cannot be read: {error.strerror}") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise IoFailure("standard input is closed")
    return sys.stdin.buffer


def source_name(path: str) -> str:
    """Return the name of an input in messages and runs.

    Bytes that are not UTF-8 are written as \\xff.
    """
    if path == "-":
        return "standard input"
    if path.isascii():
        return path
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return path.encode("utf-8", "backslashreplace").decode()


def read_text(path: str, stdin: BinaryIO | None = None) -> str:
    """Read the whole text of an input, without its byte order mark.

    Raises:
        InvalidData: The input is not UTF-8; the message has line and column. Or it is too large.
    """
    name = source_name(path)
    with open_input(path, stdin) as file:
        content = read_whole(file, name)
    return decode(content, name)


def require_size(max_size: int) -> None:
    """Refuse a limit that is not a positive number of bytes.

    Raises:
        InvalidRequest: It is not.
    """
    if max_size < 1:
        raise InvalidRequest(f"`max_size` must be at least 1 byte, not {max_size}")


def head_of(file: BinaryIO) -> bytes:
    """Return the first bytes of a file without reading past them."""
    if isinstance(file, io.BufferedReader | gzip.GzipFile):
        return file.peek(HEAD_BYTES)
    begin = file.tell()
    head = file.read(HEAD_BYTES)
    file.seek(begin)
    return head


def read_whole(
    file: BinaryIO, name: str, max_size: int = MAX_SIZE, *, first: bytes = b"", kept: str = STORED
) -> bytes:
    """Read the rest of a document.

    Args:
        max_size: Bytes that the document may have.
        first: What was read of it already.
        kept: What is said of the effect, as in "nothing was stored".

    Raises:
        InvalidData: It is larger.
    """
    rest = file.read(max(max_size - len(first), 0) + 1)
    if len(first) + len(rest) > max_size:
        raise _too_large(name, max_size, kept)
    return first + rest if first else rest


def read_lines(
    file: BinaryIO, name: str, max_size: int = MAX_SIZE, *, number: int = 1, kept: str = STORED
) -> Iterator[bytes]:
    """Yield lines with their ends.

    Args:
        max_size: Bytes that a line may have.
        number: That of the first line, for messages.
        kept: As in `read_whole`.

    Raises:
        InvalidData: A line is longer.
    """
    while line := file.readline(max_size + 1):
        if len(line) > max_size:
            raise _too_large(f"{name} line {number}", max_size, kept)
        yield line
        number += 1


def _too_large(what: str, max_size: int, kept: str) -> InvalidData:
    return InvalidData(
        f"{what} has more than {_bytes(max_size)}; {kept}",
        hint="to read it all the same, raise `max_size`",
    )


def _bytes(number: int) -> str:
    """Write a number of bytes as 64 MiB, with all digits where it is not whole."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number % unit == 0:
            return f"{number // unit:,} {name}"
    return f"{number:,} bytes"


def decode(content: bytes, name: str, line: int | None = None, *, hint: str = "") -> str:
    """Decode bytes; `line` is the number of a single line, None for a whole input.

    Args:
        hint: What to do with another encoding; empty: convert it.
    """
    if line in (None, 1):
        content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        at = line or before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise InvalidData(
            f"{name} is not UTF-8: line {at} column {column}{_guess(content)}",
            hint=hint or "convert it first: iconv -f … -t UTF-8",
        ) from None


def _guess(content: bytes) -> str:
    return " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""


def _peekable(file: BinaryIO) -> BinaryIO:
    """Return the stream if its first bytes can be read ahead, else a copy of it."""
    if isinstance(file, io.BufferedReader) or file.seekable():
        return file
    copy = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115  its memory, or file, ends with it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return cast("BinaryIO", copy)


def _unzipped(file: BinaryIO) -> BinaryIO:
    """Return the file, or its decompressed content, whose closing keeps it open."""
    if _begins_as_gzip(file):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _begins_as_gzip(file: BinaryIO) -> bool:
    if isinstance(file, io.BufferedReader):
        return file.peek(2)[:2] == _GZIP
    begin = file.tell()
    head = file.read(2)
    file.seek(begin)
    return head == _GZIP
