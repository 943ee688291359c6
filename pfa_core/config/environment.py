"""Texts of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pfa_core.errors import ConfigInvalid


def environment_text(environ: Mapping[str, str], name: str) -> str:
    """Read a variable as UTF-8, whatever the locale; empty when it is not set.

    Raises:
        ConfigInvalid: It is not UTF-8.
    """
    value = environ.get(name, "")
    if value.isascii():
        return value
    try:
        # Bytes that the locale's encoding lacks arrive as half surrogates.
        return os.fsencode(value).decode()
    except UnicodeError:
        raise ConfigInvalid(f"{name} is not UTF-8 text") from None
