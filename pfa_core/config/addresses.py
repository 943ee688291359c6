"""Addresses of databases without their passwords."""

from __future__ import annotations

import re

# The keys of a profile that are addresses of databases.
ADDRESSES = ("database_url", "database_read_url")
_PASSWORD = re.compile(r"(password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&]*)")


def without_password(address: str) -> str:
    """Leave out the password of an address, whichever way libpq takes it."""
    scheme, separator, rest = address.partition("://")
    if separator:
        authority, slash, path = rest.partition("/")
        login, at, hosts = authority.rpartition("@")
        address = f"{scheme}{separator}{login.partition(':')[0]}{at}{hosts}{slash}{path}"
    return _PASSWORD.sub(r"\1", address)
