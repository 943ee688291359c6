"""How organizations and users may be called."""

from __future__ import annotations

import re

from pfa_core.errors import InvalidRequest

MAX_NAME = 200
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
_USER = re.compile(r"[^\x00-\x1f\x7f\s\ud800-\udfff]{1,100}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")


def require_code(code: str) -> None:
    """Refuse what cannot be an organization's code."""
    if not _CODE.fullmatch(code):
        raise InvalidRequest(
            f"{code!r} is no organization code",
            hint="up to 50 letters, digits, dots, dashes and underscores, a letter or digit first",
        )


def require_user(user_id: str) -> None:
    """Refuse what cannot be a user's name."""
    if not _USER.fullmatch(user_id):
        raise InvalidRequest(f"{user_id!r} is no user name", hint="1 to 100 characters, no blanks")


def require_name(name: str) -> None:
    """Refuse what cannot be an organization's full name."""
    if len(name) > MAX_NAME or not _TEXT.fullmatch(name):
        raise InvalidRequest(
            "that is no name for an organization", hint=f"a text of up to {MAX_NAME}"
        )
