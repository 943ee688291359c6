"""Live-merged plan, forecast and actuals over a mirror of PEMS.

The drafts over the mirror are private. Every command of `pfa` is one call of the same name here. Names
load at first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pfa_core import errors, exact_json
    from pfa_core import exact_json as jsontext
    from pfa_core.access.authentication import (
        authenticate,
        login,
        logout,
        token_info,
        use_organization,
    )
    from pfa_core.access.members import grant, list_members, revoke
    from pfa_core.access.organization_settings import configure_organization
    from pfa_core.access.organizations import add_organization, initialize, list_organizations
    from pfa_core.access.tokens.issue import issue_service_token, issue_token
    from pfa_core.access.tokens.own_renewal import keep_signed_in
    from pfa_core.access.tokens.refresh import refresh_token
    from pfa_core.access.tokens.revoke import list_tokens, revoke_tokens
    from pfa_core.access.tokens.signing_keys import list_keys, retire_key, rotate_keys
    from pfa_core.admin.consistency import find_bad_rows, verify_database
    from pfa_core.admin.database import open_database
    from pfa_core.admin.distribution import cluster_status, distribute
    from pfa_core.admin.login_roles import add_login_role, login_role_statement
    from pfa_core.admin.metrics import Metric, collect, exposition
    from pfa_core.admin.row_level_security import rls_status
    from pfa_core.admin.row_level_security import rls_status as wall_status
    from pfa_core.admin.server import (
        database_status,
        database_url,
        psql_address,
        psql_environment,
        psql_program,
        stop_embedded,
    )
    from pfa_core.audit.archives import list_archives
    from pfa_core.audit.log import follow_log, list_log, stream_log
    from pfa_core.audit.verify import verify_log
    from pfa_core.config.edit import set_setting, unset_setting
    from pfa_core.config.explain import explain_setting, list_settings, setting_value
    from pfa_core.config.guards import profile_guards
    from pfa_core.config.pems import (
        pems_configured,
        pems_names,
        pems_ownership,
        pems_profile,
    )
    from pfa_core.config.profiles import (
        add_profile,
        list_profiles,
        remove_profile,
        show_profile,
        use_profile,
    )
    from pfa_core.config.settings import Flags, Settings, resolve
    from pfa_core.conflicts.resolve import resolve_conflicts
    from pfa_core.conflicts.selection import ConflictSelection
    from pfa_core.conflicts.views import list_conflicts, show_conflict
    from pfa_core.drafts.assignments import parse_assignments
    from pfa_core.drafts.commit import commit
    from pfa_core.drafts.compare import ComparedField, Comparison, compare_sessions
    from pfa_core.drafts.current_session import CurrentSession, current_session, use_session
    from pfa_core.drafts.diff import DiffTotals, diff, stream_diff
    from pfa_core.drafts.lines import stream_diff_lines, stream_draft_lines
    from pfa_core.drafts.listing import list_drafts, stream_drafts
    from pfa_core.drafts.operations import list_operations
    from pfa_core.drafts.plan import CommitPlan, plan_commit, read_plan, selection_of
    from pfa_core.drafts.restore import restore
    from pfa_core.drafts.revert import revert
    from pfa_core.drafts.review import Review, ReviewedRecord, review, stream_review
    from pfa_core.drafts.save import save, set_fields
    from pfa_core.drafts.selection import Selection
    from pfa_core.drafts.shift import shift
    from pfa_core.drafts.summary import summarize_drafts
    from pfa_core.drafts.undo import undo
    from pfa_core.drafts.unset import unset_fields
    from pfa_core.drafts.withdraw import discard, uncommit
    from pfa_core.files.deltas import DeltaFile, read_delta_file
    from pfa_core.history.blame import blame
    from pfa_core.history.changes import list_changes, stream_changes
    from pfa_core.history.pems_log import list_pems_log, stream_pems_log
    from pfa_core.history.record import record_history
    from pfa_core.kpis import compute_stats
    from pfa_core.model.audit import LogFilter
    from pfa_core.model.changes import ChangeCount, ChangeWindow, RecordChange
    from pfa_core.model.decision import Decision
    from pfa_core.model.delta import Change, merge, three_way
    from pfa_core.model.guards import Guards
    from pfa_core.model.layout import Layout, LineForm
    from pfa_core.model.merged import MergedRecord
    from pfa_core.model.notation import Notation
    from pfa_core.model.ordering import SortKey
    from pfa_core.model.ownership import Owner, Ownership
    from pfa_core.model.principal import Principal, Right, Role
    from pfa_core.model.progress import Phase, Progress
    from pfa_core.model.push import StopReason
    from pfa_core.model.query import Filters, Query, parse_sort
    from pfa_core.model.record_history import RecordBlame, RecordHistory
    from pfa_core.model.relative import Relative
    from pfa_core.model.run import IfLocked, RunStatus
    from pfa_core.model.view import SavedView, View
    from pfa_core.pems.profile import PemsProfile
    from pfa_core.record_types import PfaRecord, typed_record
    from pfa_core.records import (
        count_records,
        export_jsonl,
        list_records,
        list_values,
        show_records,
        stream_records,
        suggest_value,
    )
    from pfa_core.records import suggest_value as nearest_value
    from pfa_core.reports.content import ProjectReport, report
    from pfa_core.reports.writing import write_report
    from pfa_core.sheets import WrittenSheet, write_sheet
    from pfa_core.status_summary import status
    from pfa_core.store.database import Database
    from pfa_core.sync.history import list_runs, show_run
    from pfa_core.sync.pull.files import pull_files
    from pfa_core.sync.pull.grid import pull_pems
    from pfa_core.sync.pull.options import PullOptions
    from pfa_core.sync.push.options import PushOptions
    from pfa_core.sync.push.push import plan_push, push_changes, retry, stream_plan_push
    from pfa_core.sync.push.push import push_changes as push_commitments
    from pfa_core.transfer.backup import backup_database
    from pfa_core.transfer.closing import reopen_organization
    from pfa_core.transfer.export import export_organization
    from pfa_core.transfer.intake import import_organization
    from pfa_core.transfer.log_archive import archive_log
    from pfa_core.transfer.restoring import restore_database
    from pfa_core.transfer.upgrade import upgrade
    from pfa_core.views import (
        SavedViewResult,
        delete_view,
        list_views,
        read_view,
        save_view,
        show_view,
        view_file,
    )

_HOME = {
    name: module
    for module, names in {
        "access.authentication": "authenticate login logout token_info use_organization",
        "access.members": "grant list_members revoke",
        "access.organization_settings": "configure_organization",
        "access.organizations": "add_organization initialize list_organizations",
        "access.tokens.issue": "issue_service_token issue_token",
        "access.tokens.own_renewal": "keep_signed_in",
        "access.tokens.refresh": "refresh_token",
        "access.tokens.revoke": "list_tokens revoke_tokens",
        "access.tokens.signing_keys": "list_keys retire_key rotate_keys",
        "admin.consistency": "find_bad_rows verify_database",
        "admin.database": "open_database",
        "admin.row_level_security": "rls_status",
        "admin.distribution": "cluster_status distribute",
        "admin.login_roles": "add_login_role login_role_statement",
        "admin.metrics": "Metric collect exposition",
        "admin.server": "database_status database_url psql_address psql_environment psql_program stop_embedded",
        "audit.archives": "list_archives",
        "audit.log": "follow_log list_log stream_log",
        "audit.verify": "verify_log",
        "config.edit": "set_setting unset_setting",
        "config.explain": "explain_setting list_settings setting_value",
        "config.guards": "profile_guards",
        "config.profiles": "add_profile list_profiles remove_profile show_profile use_profile",
        "config.pems": "pems_configured pems_names pems_ownership pems_profile",
        "config.settings": "Flags Settings resolve",
        "conflicts.resolve": "resolve_conflicts",
        "conflicts.selection": "ConflictSelection",
        "conflicts.views": "list_conflicts show_conflict",
        "drafts.assignments": "parse_assignments",
        "drafts.commit": "commit",
        "drafts.compare": "ComparedField Comparison compare_sessions",
        "drafts.current_session": "CurrentSession current_session use_session",
        "drafts.diff": "DiffTotals diff stream_diff",
        "drafts.lines": "stream_diff_lines stream_draft_lines",
        "drafts.listing": "list_drafts stream_drafts",
        "drafts.plan": "CommitPlan plan_commit read_plan selection_of",
        "drafts.operations": "list_operations",
        "drafts.restore": "restore",
        "drafts.revert": "revert",
        "drafts.review": "Review ReviewedRecord review stream_review",
        "drafts.save": "save set_fields",
        "drafts.selection": "Selection",
        "drafts.shift": "shift",
        "drafts.summary": "summarize_drafts",
        "drafts.undo": "undo",
        "drafts.unset": "unset_fields",
        "drafts.withdraw": "discard uncommit",
        "files.deltas": "DeltaFile read_delta_file",
        "history.blame": "blame",
        "history.changes": "list_changes stream_changes",
        "history.pems_log": "list_pems_log stream_pems_log",
        "history.record": "record_history",
        "kpis": "compute_stats",
        "model.audit": "LogFilter",
        "model.changes": "ChangeCount ChangeWindow RecordChange",
        "model.decision": "Decision",
        "model.delta": "Change merge three_way",
        "model.guards": "Guards",
        "model.layout": "Layout LineForm",
        "model.merged": "MergedRecord",
        "model.notation": "Notation",
        "model.ownership": "Owner Ownership",
        "model.principal": "Principal Right Role",
        "model.progress": "Phase Progress",
        "model.push": "StopReason",
        "model.ordering": "SortKey",
        "model.query": "Filters Query parse_sort",
        "model.record_history": "RecordBlame RecordHistory",
        "model.relative": "Relative",
        "model.run": "IfLocked RunStatus",
        "model.view": "SavedView View",
        "pems.profile": "PemsProfile",
        "records": "count_records export_jsonl list_records list_values suggest_value show_records"
        " stream_records",
        "reports.content": "ProjectReport report",
        "reports.writing": "write_report",
        "sheets": "WrittenSheet write_sheet",
        "status_summary": "status",
        "store.database": "Database",
        "sync.history": "list_runs show_run",
        "sync.pull.files": "pull_files",
        "sync.pull.grid": "pull_pems",
        "sync.pull.options": "PullOptions",
        "sync.push.options": "PushOptions",
        "sync.push.push": "plan_push push_changes retry stream_plan_push",
        "record_types": "PfaRecord typed_record",
        "transfer.backup": "backup_database",
        "transfer.closing": "reopen_organization",
        "transfer.export": "export_organization",
        "transfer.intake": "import_organization",
        "transfer.log_archive": "archive_log",
        "transfer.restoring": "restore_database",
        "transfer.upgrade": "upgrade",
        "views": "SavedViewResult delete_view list_views read_view save_view show_view view_file",
    }.items()
    for name in names.split()
}

# Names under which programs written earlier know `rls_status` and `exact_json`.
_EARLIER = {
    "nearest_value": "suggest_value",
    "push_commitments": "push_changes",
    "wall_status": "rls_status",
}
_MODULES = {"errors": "errors", "exact_json": "exact_json", "jsontext": "exact_json"}

__all__ = [
    "Change",
    "ChangeCount",
    "ChangeWindow",
    "CommitPlan",
    "ComparedField",
    "Comparison",
    "ConflictSelection",
    "CurrentSession",
    "Database",
    "Decision",
    "DeltaFile",
    "DiffTotals",
    "Filters",
    "Flags",
    "Guards",
    "IfLocked",
    "Layout",
    "LineForm",
    "LogFilter",
    "MergedRecord",
    "Metric",
    "Notation",
    "Owner",
    "Ownership",
    "PemsProfile",
    "PfaRecord",
    "Phase",
    "Principal",
    "Progress",
    "ProjectReport",
    "PullOptions",
    "PushOptions",
    "Query",
    "RecordBlame",
    "RecordChange",
    "RecordHistory",
    "Relative",
    "Review",
    "ReviewedRecord",
    "Right",
    "Role",
    "RunStatus",
    "SavedView",
    "SavedViewResult",
    "Selection",
    "Settings",
    "SortKey",
    "StopReason",
    "View",
    "WrittenSheet",
    "add_login_role",
    "add_organization",
    "add_profile",
    "archive_log",
    "authenticate",
    "backup_database",
    "blame",
    "cluster_status",
    "collect",
    "commit",
    "compare_sessions",
    "compute_stats",
    "configure_organization",
    "count_records",
    "current_session",
    "database_status",
    "database_url",
    "delete_view",
    "diff",
    "discard",
    "distribute",
    "errors",
    "exact_json",
    "explain_setting",
    "export_jsonl",
    "export_organization",
    "exposition",
    "find_bad_rows",
    "follow_log",
    "grant",
    "import_organization",
    "initialize",
    "issue_service_token",
    "issue_token",
    "jsontext",
    "keep_signed_in",
    "list_archives",
    "list_changes",
    "list_conflicts",
    "list_drafts",
    "list_keys",
    "list_log",
    "list_members",
    "list_operations",
    "list_organizations",
    "list_pems_log",
    "list_profiles",
    "list_records",
    "list_runs",
    "list_settings",
    "list_tokens",
    "list_values",
    "list_views",
    "login",
    "login_role_statement",
    "logout",
    "merge",
    "nearest_value",
    "open_database",
    "parse_assignments",
    "parse_sort",
    "pems_configured",
    "pems_names",
    "pems_ownership",
    "pems_profile",
    "plan_commit",
    "plan_push",
    "profile_guards",
    "psql_address",
    "psql_environment",
    "psql_program",
    "pull_files",
    "pull_pems",
    "push_changes",
    "push_commitments",
    "read_delta_file",
    "read_plan",
    "read_view",
    "record_history",
    "refresh_token",
    "remove_profile",
    "reopen_organization",
    "report",
    "resolve",
    "resolve_conflicts",
    "restore",
    "restore_database",
    "retire_key",
    "retry",
    "revert",
    "review",
    "revoke",
    "revoke_tokens",
    "rls_status",
    "rotate_keys",
    "save",
    "save_view",
    "selection_of",
    "set_fields",
    "set_setting",
    "setting_value",
    "shift",
    "show_conflict",
    "show_profile",
    "show_records",
    "show_run",
    "show_view",
    "status",
    "stop_embedded",
    "stream_changes",
    "stream_diff",
    "stream_diff_lines",
    "stream_draft_lines",
    "stream_drafts",
    "stream_log",
    "stream_pems_log",
    "stream_plan_push",
    "stream_records",
    "stream_review",
    "suggest_value",
    "summarize_drafts",
    "three_way",
    "token_info",
    "typed_record",
    "uncommit",
    "undo",
    "unset_fields",
    "unset_setting",
    "upgrade",
    "use_organization",
    "use_profile",
    "use_session",
    "verify_database",
    "verify_log",
    "view_file",
    "wall_status",
    "write_report",
    "write_sheet",
]


def __getattr__(name: str) -> Any:
    name = _EARLIER.get(name, name)
    if name in _HOME:
        return getattr(import_module(f"pfa_core.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"pfa_core.{_MODULES[name]}")
    raise AttributeError(f"module 'pfa_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
