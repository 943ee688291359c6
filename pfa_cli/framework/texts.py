"""Texts of the command line as UTF-8, whatever the locale."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from pfa_core.errors import InvalidRequest


def readable(parameters: Iterable[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Decode the texts that the locale could not decode.

    The names of files stay as they are: they may be any bytes.

    Args:
        parameters: Those of click, which have the names that people type.

    Raises:
        InvalidRequest: A text is not UTF-8.
    """
    read = dict(values)
    for parameter in parameters:
        value = read.get(parameter.name)
        if not isinstance(value, str | list | tuple) or "FILE" in (parameter.metavar or ""):
            continue
        name = max(parameter.opts, key=len)
        name = name if name.startswith("-") else parameter.metavar or name
        if isinstance(value, str):
            read[parameter.name] = _decoded(value, name)
        elif value and isinstance(value[0], str):
            read[parameter.name] = [_decoded(item, name) for item in value]
    return read


def _decoded(value: str, name: str) -> str:
    if _is_whole(value):
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        raise InvalidRequest(f"{name} is not UTF-8 text") from None


def _is_whole(text: str) -> bool:
    """Return whether a text has no half surrogates, as which undecodable bytes arrive."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
