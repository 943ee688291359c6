"""Actions, entries and filters of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pfa_core.model.ids import EntryId, PfaId, RunId, SessionId, UserId


class Action(StrEnum):
    """The name of an action in the audit trail."""

    # Drafts and conflicts.
    SAVE = "save"
    UNSET = "unset"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    DISCARD = "discard"
    RESTORE = "restore"
    SETTLE = "settle"
    UNDO = "undo"
    RESOLVE = "resolve"
    OVERRIDE = "override"
    # Runs, and the outcome of a record in a push.
    BEGIN = "begin"
    PULL = "pull"
    PUSH = "push"
    RETRY = "retry"
    ACKNOWLEDGE = "acknowledge"
    REJECT = "reject"
    POSTPONE = "postpone"
    DISPUTE = "dispute"
    RELEASE = "release"
    # Saved views.
    VIEW_SAVE = "view_save"
    VIEW_DELETE = "view_delete"
    # Organizations, members, and the database itself.
    ORGANIZATION = "organization"
    CONFIGURE = "configure"
    GRANT = "grant"
    REVOKE = "revoke"
    REPAIR = "repair"
    ARCHIVE = "archive"
    # Tokens and the keys that sign them.
    TOKEN_ISSUE = "token_issue"  # noqa: S105 - an action, no token
    TOKEN_REFRESH = "token_refresh"  # noqa: S105
    TOKEN_REVOKE = "token_revoke"  # noqa: S105
    KEY_REGISTER = "key_register"
    KEY_ROTATE = "key_rotate"
    KEY_RETIRE = "key_retire"
    # What was refused.
    PERMISSION_DENIED = "permission_denied"
    SYNC_SKIPPED = "sync_skipped"


class Direction(StrEnum):
    """The direction of a run: PULL from PEMS, PUSH to PEMS."""

    PULL = "pull"
    PUSH = "push"

    @property
    def action(self) -> Action:
        """Return the action of the end of such a run."""
        return Action(self.value)


ACTIONS: tuple[Action, ...] = tuple(Action)
# Entries whose reason the program wrote, from a response of PEMS or the values of a conflict.
MADE_REASONS = frozenset(
    (
        Action.ACKNOWLEDGE,
        Action.REJECT,
        Action.DISPUTE,
        Action.POSTPONE,
        Action.RELEASE,
        Action.RETRY,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """An entry as read back; where `masked`, money is None in it."""

    entry_id: EntryId
    at: datetime
    user_id: UserId
    action: str
    pfa_id: PfaId | None
    session_id: SessionId | None
    run_id: RunId | None
    before: Any
    after: Any
    reason: str | None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """A choice of entries; None and () mean all. `since` is inclusive, `until` is not."""

    user_id: str | None = None
    pfa_id: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actions: tuple[str, ...] = ()
