"""Files that are named on the command line."""

from __future__ import annotations

from pathlib import Path

from pfa_core.errors import InvalidData, InvalidRequest, IoFailure, NotFound


def read_text(path: Path, otherwise: str, most: int) -> str:
    """Read a file of UTF-8 text.

    Args:
        otherwise: What it is not, where it cannot be one of these.
        most: Bytes that such a file has at most.

    Raises:
        NotFound: There is no such file.
        InvalidData: It is not UTF-8 text, or larger.
        IoFailure: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        text = content.decode()
    except FileNotFoundError:
        raise NotFound(f"file not found: {path}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"{otherwise}: not UTF-8 text") from None
    except OSError as error:
        raise IoFailure(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InvalidData(f"{otherwise}: larger than any")
    return text


def require_file(to: str | Path, hint: str) -> None:
    """Refuse - for a file that is written: it would be one of this name.

    Raises:
        InvalidRequest: It is -.
    """
    if str(to) == "-":
        raise InvalidRequest("--to names a file", hint=hint)
