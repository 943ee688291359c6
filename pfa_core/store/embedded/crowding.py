"""Refusals of a connection by a server or pooler that has none to spare."""

from __future__ import annotations

import re

# What it says (53300; a connection that failed has no SQLSTATE): all of the server's are taken, or those that are
# not kept for its owner, those of the role or the database; PgBouncer's clients are too many.
_PHRASES = (
    "too many clients already",
    "remaining connection slots are reserved",
    "too many connections for",
    "no more connections allowed",
    "client connections exceeded",
)


# Of a limit that an administrator has set, which may be 0: no command that ends frees a connection then.
_LIMITED = re.compile(r'too many connections for (role|database) "([^"\n]{1,63})"')


def limited(refusal: object) -> tuple[str, str] | None:
    """Return whose own limit of connections refused one; None for another reason.

    That is `role` or `database`, and its name.
    """
    found = _LIMITED.search(str(refusal))
    return (found[1], found[2]) if found else None


def is_crowded(refusal: object) -> bool:
    """Return whether a connection was refused since all are taken.

    A later attempt can succeed.
    """
    text = str(refusal)
    return any(phrase in text for phrase in _PHRASES)
