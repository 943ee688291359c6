"""The right that each operation requires.

Authorization, documentation and a test read it here. A member holds the rights of their role's
template, with more or fewer where an admin granted so. An operation is allowed where both the token and
the membership allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pfa_core.model.principal import Right
from pfa_core.model.record import EDITABLE, FIELDS, Kind


class Operation(StrEnum):
    """An operation of a principal, by the name of its public function."""

    LIST_RECORDS = "list_records"
    STREAM_RECORDS = "stream_records"
    EXPORT_JSONL = "export_jsonl"
    WRITE_SHEET = "write_sheet"
    COUNT_RECORDS = "count_records"
    SHOW_RECORDS = "show_records"
    SUGGEST_VALUE = "suggest_value"
    LIST_VALUES = "list_values"
    COMPUTE_STATS = "compute_stats"
    LIST_DRAFTS = "list_drafts"
    STREAM_DRAFTS = "stream_drafts"
    STREAM_DRAFT_LINES = "stream_draft_lines"
    SUMMARIZE_DRAFTS = "summarize_drafts"
    DIFF = "diff"
    STREAM_DIFF = "stream_diff"
    STREAM_DIFF_LINES = "stream_diff_lines"
    REVIEW = "review"
    STREAM_REVIEW = "stream_review"
    COMPARE_SESSIONS = "compare_sessions"
    PLAN_COMMIT = "plan_commit"
    STATUS = "status"
    REPORT = "report"
    LIST_RUNS = "list_runs"
    SHOW_RUN = "show_run"
    LIST_LOG = "list_log"
    STREAM_LOG = "stream_log"
    FOLLOW_LOG = "follow_log"
    LIST_ARCHIVES = "list_archives"
    LIST_CHANGES = "list_changes"
    STREAM_CHANGES = "stream_changes"
    LIST_PEMS_LOG = "list_pems_log"
    STREAM_PEMS_LOG = "stream_pems_log"
    RECORD_HISTORY = "record_history"
    BLAME = "blame"
    COLLECT = "collect"
    LIST_MEMBERS = "list_members"
    LIST_CONFLICTS = "list_conflicts"
    SHOW_CONFLICT = "show_conflict"
    LIST_VIEWS = "list_views"
    SHOW_VIEW = "show_view"
    SAVE_VIEW = "save_view"
    SAVE_SHARED_VIEW = "save_shared_view"
    DELETE_VIEW = "delete_view"
    DELETE_SHARED_VIEW = "delete_shared_view"
    SAVE = "save"
    SET_FIELDS = "set_fields"
    SHIFT = "shift"
    UNSET_FIELDS = "unset_fields"
    DISCARD = "discard"
    RESTORE = "restore"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    LIST_OPERATIONS = "list_operations"
    UNDO = "undo"
    UNDO_COMMIT = "undo_commit"
    REVERT = "revert"
    RESOLVE_CONFLICTS = "resolve_conflicts"
    PUSH_CHANGES = "push_changes"
    PLAN_PUSH = "plan_push"
    STREAM_PLAN_PUSH = "stream_plan_push"
    RETRY = "retry"
    PULL_PEMS = "pull_pems"
    PULL_FILES = "pull_files"
    GRANT = "grant"
    REVOKE = "revoke"
    ADD_ORGANIZATION = "add_organization"
    CONFIGURE_ORGANIZATION = "configure_organization"
    EXPORT_ORGANIZATION = "export_organization"
    REOPEN_ORGANIZATION = "reopen_organization"
    ISSUE_TOKEN = "issue_token"  # noqa: S105 - the operation's name, no token
    ISSUE_SERVICE_TOKEN = "issue_service_token"  # noqa: S105
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    LIST_TOKENS = "list_tokens"
    REVOKE_TOKENS = "revoke_tokens"
    LIST_KEYS = "list_keys"
    ROTATE_KEYS = "rotate_keys"
    RETIRE_KEY = "retire_key"
    VERIFY_DATABASE = "verify_database"
    FIND_BAD_ROWS = "find_bad_rows"
    VERIFY_LOG = "verify_log"
    ARCHIVE_LOG = "archive_log"


_BY_RIGHT: Mapping[Right, tuple[Operation, ...]] = {
    Right.READ: (
        Operation.LIST_RECORDS,
        Operation.STREAM_RECORDS,
        Operation.EXPORT_JSONL,
        Operation.WRITE_SHEET,
        Operation.COUNT_RECORDS,
        Operation.SHOW_RECORDS,
        Operation.SUGGEST_VALUE,
        Operation.LIST_VALUES,
        Operation.COMPUTE_STATS,
        Operation.LIST_DRAFTS,
        Operation.STREAM_DRAFTS,
        Operation.STREAM_DRAFT_LINES,
        Operation.SUMMARIZE_DRAFTS,
        Operation.DIFF,
        Operation.STREAM_DIFF,
        Operation.STREAM_DIFF_LINES,
        Operation.REVIEW,
        Operation.STREAM_REVIEW,
        Operation.COMPARE_SESSIONS,
        Operation.PLAN_COMMIT,
        Operation.STATUS,
        Operation.REPORT,
        Operation.LIST_RUNS,
        Operation.SHOW_RUN,
        Operation.LIST_LOG,
        Operation.LIST_OPERATIONS,
        Operation.STREAM_LOG,
        Operation.FOLLOW_LOG,
        Operation.LIST_ARCHIVES,
        Operation.LIST_CHANGES,
        Operation.STREAM_CHANGES,
        Operation.LIST_PEMS_LOG,
        Operation.STREAM_PEMS_LOG,
        Operation.RECORD_HISTORY,
        Operation.BLAME,
        Operation.COLLECT,
        Operation.LIST_MEMBERS,
        Operation.LIST_CONFLICTS,
        Operation.SHOW_CONFLICT,
        Operation.LIST_VIEWS,
        Operation.SHOW_VIEW,
        Operation.SAVE_VIEW,
        Operation.DELETE_VIEW,
    ),
    Right.SAVE_DRAFT: (
        Operation.SAVE,
        Operation.SET_FIELDS,
        Operation.SHIFT,
        Operation.UNSET_FIELDS,
        Operation.DISCARD,
        Operation.RESTORE,
        Operation.UNDO,
        Operation.REVERT,
        Operation.SAVE_SHARED_VIEW,
        Operation.DELETE_SHARED_VIEW,
    ),
    Right.SYNC: (
        Operation.COMMIT,
        Operation.UNCOMMIT,
        Operation.UNDO_COMMIT,
        Operation.RESOLVE_CONFLICTS,
        Operation.PUSH_CHANGES,
        Operation.PLAN_PUSH,
        Operation.STREAM_PLAN_PUSH,
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
        Operation.FIND_BAD_ROWS,
        Operation.VERIFY_LOG,
        Operation.ARCHIVE_LOG,
        Operation.ADD_ORGANIZATION,
        Operation.CONFIGURE_ORGANIZATION,
        Operation.EXPORT_ORGANIZATION,
        Operation.REOPEN_ORGANIZATION,
        Operation.LIST_KEYS,
        Operation.ROTATE_KEYS,
        Operation.RETIRE_KEY,
    ),
}

# Every member may do these with their own tokens; those of others require the right above.
MEMBERSHIP = (Operation.REFRESH_TOKEN, Operation.LIST_TOKENS, Operation.REVOKE_TOKENS)
# Allowed without the right to read: these return no records.
JOBS = (
    Operation.PULL_PEMS,
    Operation.PULL_FILES,
    Operation.PUSH_CHANGES,
    Operation.RETRY,
)

# In addition to READ, which all but MEMBERSHIP and JOBS require.
NEEDS: Mapping[Operation, Right] = {
    operation: right for right, operations in _BY_RIGHT.items() for operation in operations
}

# Files hold prices, and a dry run reports which of them are new. The chain covers all users' entries, an exported
# organization all that they have. What is committed is one's own draft.
ALSO: Mapping[Operation, Right] = {
    Operation.COMMIT: Right.SAVE_DRAFT,
    Operation.UNCOMMIT: Right.SAVE_DRAFT,
    Operation.UNDO_COMMIT: Right.SAVE_DRAFT,
    Operation.RESOLVE_CONFLICTS: Right.SAVE_DRAFT,
    Operation.PULL_FILES: Right.VIEW_FINANCIALS,
    Operation.VERIFY_LOG: Right.MANAGE_USERS,
    Operation.ARCHIVE_LOG: Right.MANAGE_USERS,
    Operation.EXPORT_ORGANIZATION: Right.MANAGE_USERS,
}

# What an archived organization takes beside reads. Access is given and taken away there as before; its content,
# which may go on in another database, changes no more.
OF_ARCHIVED = frozenset(
    (
        *_BY_RIGHT[Right.MANAGE_USERS],
        *MEMBERSHIP,
        Operation.EXPORT_ORGANIZATION,
        Operation.REOPEN_ORGANIZATION,
        Operation.VERIFY_DATABASE,
        Operation.ROTATE_KEYS,
        Operation.RETIRE_KEY,
        Operation.LIST_KEYS,
    )
)

# Required to change a shared view of another author.
VIEWS_OF_OTHERS = Right.MANAGE_SETTINGS
# Required to read what other members did: their conflicts, their entries of the audit trail.
OTHERS = Right.MANAGE_USERS

ACTUALS = ("isActualized", "actualStart", "actualEnd")
MONEY = tuple(field.name for field in FIELDS.values() if field.kind is Kind.MONEY)


def _rights_of(name: str) -> frozenset[Right]:
    if name in ACTUALS:
        return frozenset((Right.EDIT_ACTUALS,))
    if name in MONEY:
        return frozenset((Right.EDIT_FORECAST, Right.VIEW_FINANCIALS))
    return frozenset((Right.EDIT_FORECAST,))


# What drafting a field, committing it or keeping it in a conflict requires.
FIELD_NEEDS: Mapping[str, frozenset[Right]] = {name: _rights_of(name) for name in EDITABLE}


def needed_for(operation: Operation) -> list[Right]:
    """List the rights that the operation requires.

    They are in the order in which they are checked.
    """
    if operation in MEMBERSHIP:
        return []
    also = [ALSO[operation]] if operation in ALSO else []
    first = [] if operation in JOBS else [Right.READ]
    return list(dict.fromkeys((*first, NEEDS[operation], *also)))


def needed_by(fields: Iterable[str]) -> Mapping[Right, list[str]]:
    """Map the rights that writing these fields requires to the fields.

    Unknown names need no right.
    """
    needed: dict[Right, list[str]] = {}
    for name in fields:
        for right in sorted(FIELD_NEEDS.get(name, ())):
            needed.setdefault(right, []).append(name)
    return needed
