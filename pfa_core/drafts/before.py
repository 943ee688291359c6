"""The part of a draft's state before a change that the trail's deltas do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from pfa_core.model.delta import same
from pfa_core.store.modifications import ModificationRow

# In `was` of an entry about some fields of a modification of which another entry of its operation says the rest.
PART = "part"


class Before(TypedDict):
    """What an entry of a changed draft keeps for an undo: `base` and `was`."""

    base: Mapping[str, Any] | None
    was: Mapping[str, Any]


def before(
    draft: ModificationRow,
    delta: Mapping[str, Any],
    session_id: str | None = None,
    change_reason: str | None = None,
) -> Before:
    """Return what the entry of a draft that is changed or deleted keeps.

    Of a draft that stays it is what the stored row does not say afterwards: mostly nothing.

    Args:
        delta: Of the draft afterwards; empty: it is deleted.
        session_id, change_reason: Those afterwards, None where they stay.
    """
    if not delta:
        return Before(base=draft.base, was=whole(draft))
    gone = {
        name: value
        for name, value in draft.base.items()
        if name not in delta or name not in draft.delta
    }
    was: dict[str, Any] = {}
    if session_id not in (None, draft.session_id):
        was["session_id"] = draft.session_id
    if change_reason is not None and not same(change_reason, draft.change_reason):
        was["change_reason"] = draft.change_reason
    return Before(base=gone or None, was=was)


def whole(draft: ModificationRow) -> dict[str, Any]:
    """Return all of a draft's state but its delta and base."""
    return {
        "session_id": draft.session_id,
        "change_reason": draft.change_reason,
        "base_version": draft.base_version,
        "version": draft.version,
        "generation": draft.generation,
        "created_at": draft.created_at.isoformat(),
    }
