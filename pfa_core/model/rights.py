"""Which right each operation needs, in this one place: the doors, the documentation and a test follow it.

A member holds what their role's template says, more or less of it where an admin said so. What one
may do is what both the token and the membership allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pfa_core.model.principal import Right
from pfa_core.model.record import EDITABLE, FIELDS, Kind


class Operation(StrEnum):
    """What is done in the name of a principal; the names are those of the public functions."""

    LIST_RECORDS = "list_records"
    STREAM_RECORDS = "stream_records"
    EXPORT_JSONL = "export_jsonl"
    COUNT_RECORDS = "count_records"
    SHOW_RECORDS = "show_records"
    NEAREST_VALUE = "nearest_value"
    COMPUTE_STATS = "compute_stats"
    LIST_DRAFTS = "list_drafts"
    DIFF = "diff"
    STATUS = "status"
    LIST_RUNS = "list_runs"
    SHOW_RUN = "show_run"
    LIST_LOG = "list_log"
    FOLLOW_LOG = "follow_log"
    COLLECT = "collect"
    LIST_MEMBERS = "list_members"
    LIST_CONFLICTS = "list_conflicts"
    SHOW_CONFLICT = "show_conflict"
    SAVE = "save"
    SET_FIELDS = "set_fields"
    SHIFT = "shift"
    UNSET_FIELDS = "unset_fields"
    DISCARD = "discard"
    RESTORE = "restore"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    RESOLVE_CONFLICTS = "resolve_conflicts"
    PUSH_COMMITMENTS = "push_commitments"
    PLAN_PUSH = "plan_push"
    RETRY = "retry"
    PULL_PEMS = "pull_pems"
    PULL_FILES = "pull_files"
    GRANT = "grant"
    REVOKE = "revoke"
    ADD_ORGANIZATION = "add_organization"
    ISSUE_TOKEN = "issue_token"  # noqa: S105 - the operation's name, no token
    ISSUE_SERVICE_TOKEN = "issue_service_token"  # noqa: S105
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    LIST_TOKENS = "list_tokens"
    REVOKE_TOKENS = "revoke_tokens"
    LIST_KEYS = "list_keys"
    ROTATE_KEYS = "rotate_keys"
    RETIRE_KEY = "retire_key"
    VERIFY_DATABASE = "verify_database"
    VERIFY_LOG = "verify_log"


_BY_RIGHT: Mapping[Right, tuple[Operation, ...]] = {
    Right.READ: (
        Operation.LIST_RECORDS,
        Operation.STREAM_RECORDS,
        Operation.EXPORT_JSONL,
        Operation.COUNT_RECORDS,
        Operation.SHOW_RECORDS,
        Operation.NEAREST_VALUE,
        Operation.COMPUTE_STATS,
        Operation.LIST_DRAFTS,
        Operation.DIFF,
        Operation.STATUS,
        Operation.LIST_RUNS,
        Operation.SHOW_RUN,
        Operation.LIST_LOG,
        Operation.FOLLOW_LOG,
        Operation.COLLECT,
        Operation.LIST_MEMBERS,
        Operation.LIST_CONFLICTS,
        Operation.SHOW_CONFLICT,
    ),
    Right.SAVE_DRAFT: (
        Operation.SAVE,
        Operation.SET_FIELDS,
        Operation.SHIFT,
        Operation.UNSET_FIELDS,
        Operation.DISCARD,
        Operation.RESTORE,
    ),
    Right.SYNC: (
        Operation.COMMIT,
        Operation.UNCOMMIT,
        Operation.RESOLVE_CONFLICTS,
        Operation.PUSH_COMMITMENTS,
        Operation.PLAN_PUSH,
        Operation.RETRY,
    ),
    Right.REFRESH_DATA: (Operation.PULL_PEMS,),
    Right.IMPORT: (Operation.PULL_FILES,),
    Right.MANAGE_USERS: (
        Operation.GRANT,
        Operation.REVOKE,
        Operation.ISSUE_TOKEN,
        Operation.ISSUE_SERVICE_TOKEN,
        Operation.LIST_TOKENS,
        Operation.REVOKE_TOKENS,
    ),
    Right.MANAGE_SETTINGS: (
        Operation.VERIFY_DATABASE,
        Operation.VERIFY_LOG,
        Operation.ADD_ORGANIZATION,
        Operation.LIST_KEYS,
        Operation.ROTATE_KEYS,
        Operation.RETIRE_KEY,
    ),
}

# What every member may do with tokens of their own; others' take the right beside which it stands.
MEMBERSHIP = (Operation.REFRESH_TOKEN, Operation.LIST_TOKENS, Operation.REVOKE_TOKENS)
# What a job may do that reads nothing to anybody.
JOBS = (
    Operation.PULL_PEMS,
    Operation.PULL_FILES,
    Operation.PUSH_COMMITMENTS,
    Operation.RETRY,
)

# Beside READ, without which a member does nothing at all but those above.
NEEDS: Mapping[Operation, Right] = {
    operation: right for right, operations in _BY_RIGHT.items() for operation in operations
}

# Files bring prices along, and a rehearsal tells which of them are new: neither is done blind.
# The chain is made of everybody's entries.
ALSO: Mapping[Operation, Right] = {
    Operation.PULL_FILES: Right.VIEW_FINANCIALS,
    Operation.VERIFY_LOG: Right.MANAGE_USERS,
}

# Looking at what other members did: their conflicts, their entries of the audit trail.
OTHERS = Right.MANAGE_USERS

ACTUALS = ("isActualized", "actualStart", "actualEnd")
MONEY = tuple(field.name for field in FIELDS.values() if field.kind is Kind.MONEY)


def _rights_of(name: str) -> frozenset[Right]:
    if name in ACTUALS:
        return frozenset((Right.EDIT_ACTUALS,))
    if name in MONEY:
        return frozenset((Right.EDIT_FORECAST, Right.VIEW_FINANCIALS))
    return frozenset((Right.EDIT_FORECAST,))


# What it takes to let a field have another value: to draft it, to commit it, to keep it in a conflict.
FIELD_NEEDS: Mapping[str, frozenset[Right]] = {name: _rights_of(name) for name in EDITABLE}


def needed_for(operation: Operation) -> list[Right]:
    """The rights that the operation takes, in the order in which they are asked for."""
    if operation in MEMBERSHIP:
        return []
    also = [ALSO[operation]] if operation in ALSO else []
    first = [] if operation in JOBS else [Right.READ]
    return list(dict.fromkeys((*first, NEEDS[operation], *also)))


def needed_by(fields: Iterable[str]) -> Mapping[Right, list[str]]:
    """The rights that writing these fields takes, and for which of them; names of no field take none."""
    needed: dict[Right, list[str]] = {}
    for name in fields:
        for right in sorted(FIELD_NEEDS.get(name, ())):
            needed.setdefault(right, []).append(name)
    return needed
