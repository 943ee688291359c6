"""Valid names of organizations, users and services."""

from __future__ import annotations

import re

from pfa_core.errors import InvalidRequest
from pfa_core.model.principal import SERVICE_PREFIX

MAX_NAME = 200
MAX_REASON = 1000
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
_USER = re.compile(r"[^\x00-\x1f\x7f\s\ud800-\udfff]{1,100}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
_CODE_HINT = "up to 50 letters, digits, dots, dashes and underscores, a letter or digit first"


def require_code(code: str) -> None:
    """Refuse an invalid organization code."""
    if not _CODE.fullmatch(code):
        raise InvalidRequest(f"invalid organization code: {code!r}", hint=_CODE_HINT)


def require_service(name: str) -> None:
    """Refuse an invalid name of a service."""
    if not _CODE.fullmatch(name):
        raise InvalidRequest(f"invalid service name: {name!r}", hint=_CODE_HINT)


def require_user(user_id: str) -> None:
    """Refuse an invalid user name."""
    if not _USER.fullmatch(user_id):
        raise InvalidRequest(
            f"invalid user name: {user_id!r}", hint="1 to 100 characters, no blanks"
        )


def require_person(user_id: str) -> None:
    """Refuse an invalid user name, and that of a service."""
    require_user(user_id)
    if user_id.startswith(SERVICE_PREFIX):
        raise InvalidRequest(
            f"{user_id!r} is the name of a service",
            hint="type: pfa auth issue --service NAME --right RIGHT",
        )


def require_name(name: str) -> None:
    """Refuse an invalid full name of an organization."""
    if len(name) > MAX_NAME or not _TEXT.fullmatch(name):
        raise InvalidRequest(
            "invalid name of an organization", hint=f"a text of up to {MAX_NAME} characters"
        )


def require_reason(reason: str) -> None:
    """Refuse a reason that says nothing, or too much for the audit trail."""
    if not reason.strip() or len(reason) > MAX_REASON or not _TEXT.fullmatch(reason):
        raise InvalidRequest(
            f"invalid reason: {reason[:40]!r}",
            hint=f"a text of one line, up to {MAX_REASON} characters",
            parameter="reason",
        )
