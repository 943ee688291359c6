"""What the audit trail calls the things that people and programs do."""

from __future__ import annotations

from typing import Literal, get_args

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
