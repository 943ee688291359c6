"""Texts of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pfa_core.errors import ConfigInvalid, InvalidRequest


def environment_text(environ: Mapping[str, str], name: str) -> str:
    """Read a variable as UTF-8, whatever the locale; empty when it is not set.

    Raises:
        ConfigInvalid: It is not UTF-8.
    """
    value = environ.get(name, "")
    if not _has_halves(value):
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        raise ConfigInvalid(f"{name} is not UTF-8 text") from None


def require_text(text: str, name: str) -> None:
    """Refuse a text that the database could not hold.

    Raises:
        InvalidRequest: It holds a NUL or half a surrogate pair.
    """
    if "\0" in text or _has_halves(text):
        raise InvalidRequest(f"`{name}` is not UTF-8 text", parameter=name)


def _has_halves(text: str) -> bool:
    """Return whether a text has half surrogates.

    Bytes that the locale cannot decode arrive as such.
    """
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
