"""Headers that every request to PEMS carries."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from pfa_core.errors import ConfigInvalid
from pfa_core.model.secret import Secret, why_unsendable

_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def credentials(username: str, password: Secret | None) -> tuple[str, ...]:
    """Return the credentials as they are sent, and the password; empty without a user.

    Raises:
        ConfigInvalid: One of them is a text that HTTP cannot carry.
    """
    if not username or password is None:
        return ()
    revealed = password.reveal()
    for name, text in (("user name", username), ("password", revealed)):
        unsendable = why_unsendable(text)
        if unsendable:
            raise ConfigInvalid(f"the {name} of PEMS {unsendable}")
    return (base64.b64encode(f"{username}:{revealed}".encode()).decode(), revealed)


def common_headers(headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Return the headers of every request.

    Raises:
        ConfigInvalid: A value that HTTP cannot carry.
    """
    for name, value in headers.items():
        if not _HEADER_TEXT.fullmatch(value):
            raise ConfigInvalid(f"the header {name} of PEMS must be printable ASCII, not empty")
    common = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "pfa",
        **headers,
    }
    if secrets:
        common["Authorization"] = f"Basic {secrets[0]}"
    return common
