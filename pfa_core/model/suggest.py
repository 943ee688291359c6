"""The known name that a mistyped one most likely means."""

from __future__ import annotations

from collections.abc import Iterable

from pfa_core.errors import InvalidRequest

# Below it other words come up.
_ALIKE = 0.6


def nearest(written: str, known: Iterable[str], alike: float = _ALIKE) -> str:
    """Return the known name that is most like a written one, empty where none is.

    Case does not count.
    """
    from difflib import get_close_matches

    names = {name.casefold(): name for name in known}
    found = get_close_matches(written.casefold(), names, 1, alike)
    return names[found[0]] if found else ""


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """Name the nearest known name as the end of a message, empty where none is."""
    near = nearest(written, known)
    return f"; did you mean {near}?" if near else ""


def not_one_of(
    message: str, written: str, known: Iterable[str], *, listed: str, parameter: str = ""
) -> InvalidRequest:
    """Build the refusal of a name outside a closed set.

    Args:
        message: What is wrong, with the name.
        listed: What the known names are called where none is near and all of them are listed.
    """
    names = tuple(known)
    suggestion = did_you_mean(written, names)
    return InvalidRequest(
        f"{message}{suggestion}",
        hint="" if suggestion else f"{listed}: {', '.join(names)}",
        parameter=parameter,
    )
