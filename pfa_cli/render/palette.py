"""Styles by meaning; each is also said in words or by a sign."""

from __future__ import annotations

from typing import Final

HEADER: Final = "bold"
NOTE: Final = "dim"
BEFORE: Final = "red"
AFTER: Final = "green"
STATES: Final = {
    "draft": "yellow",
    "committed": "cyan",
    "syncing": "blue",
    "synced": "green",
    "sync_error": "bold red",
    "conflict": "bold magenta",
    "discarded": "dim",
    "ok": "green",
    "notice": "yellow",
    "problem": "bold red",
    "skipped": "dim",
    "completed": "green",
    "partial": "yellow",
    "failed": "bold red",
    "abandoned": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "rejected": "bold red",
    "retrying": "yellow",
    "unresolved": "bold magenta",
    "resolved": "green",
    "created": "green",
    "updated": "cyan",
    "active": "green",
    "revoked": "red",
    "expired": "dim",
}


class Styled(str):
    """A cell with a style of its own."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str) -> Styled:
        """Mark a text with a style."""
        made = super().__new__(cls, text)
        made.style = style
        return made


def of(role: str, text: str) -> str:
    """Choose the style of a cell by the role of its column and its text."""
    if not text:
        return ""
    if role == "state":
        return STATES.get(text, "")
    if role == "variance":
        return of_sign(text)
    return {"before": BEFORE, "after": AFTER, "note": NOTE, "strong": HEADER}.get(role, "")


def of_sign(text: str) -> str:
    """Choose the style of an amount beside the plan: over it, under it, on it."""
    return {"+": "red", "-": "green"}.get(text[:1], "") if text[1:] else ""  # "-": no percentage
