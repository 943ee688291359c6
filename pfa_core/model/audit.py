"""What the audit trail calls the things that people and programs do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

Action = Literal[
    # Drafts and conflicts.
    "save",
    "unset",
    "commit",
    "uncommit",
    "discard",
    "restore",
    "settle",
    "resolve",
    # Runs, and what became of a record in a push.
    "begin",
    "pull",
    "push",
    "retry",
    "acknowledge",
    "reject",
    "postpone",
    "dispute",
    "release",
    # Organizations, members, and the database itself.
    "organization",
    "grant",
    "revoke",
    "repair",
    # Tokens and the keys that sign them.
    "token_issue",
    "token_refresh",
    "token_revoke",
    "key_register",
    "key_rotate",
    "key_retire",
    # What was refused.
    "permission_denied",
    "sync_skipped",
]
Direction = Literal["pull", "push"]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the trail as read back; where `masked`, money is None in it."""

    entry_id: str
    at: datetime
    user_id: str
    action: str
    pfa_id: str | None
    session_id: str | None
    run_id: str | None
    before: Any
    after: Any
    reason: str | None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries; None and () mean all. `since` is inclusive, `until` is not."""

    user_id: str | None = None
    pfa_id: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actions: tuple[str, ...] = ()
