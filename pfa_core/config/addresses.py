"""Addresses of databases without their passwords."""

from __future__ import annotations

import re
from typing import Any

# The keys of a profile that are addresses of databases.
ADDRESSES = ("database_url", "database_read_url")
NOT_A_TEXT = "(not a text)"
_PASSWORD = re.compile(r"(password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&]*)")


def shown_value(name: str, value: Any) -> str | bool | int | float | None:
    """Return what a file has under a key, as it may be shown.

    A hand may have written anything there: see `json_value`. Addresses are without their
    passwords; in one that is not a text a password would not be found.
    """
    if value is None or not _is_address(name):
        from pfa_core.model.toml_files import json_value  # a TAB shows addresses alone

        return json_value(value)
    return without_password(value) if isinstance(value, str) else NOT_A_TEXT


def _is_address(name: str) -> bool:
    return name in ADDRESSES or name.rpartition(".")[2] == "url"


def without_password(address: str) -> str:
    """Leave out the password of an address, whichever way libpq takes it."""
    scheme, separator, rest = address.partition("://")
    if separator:
        authority, slash, path = rest.partition("/")
        login, at, hosts = authority.rpartition("@")
        address = f"{scheme}{separator}{login.partition(':')[0]}{at}{hosts}{slash}{path}"
    return _PASSWORD.sub(r"\1", address)
