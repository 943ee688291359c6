"""Published shapes: name, version, type and commands of each.

A key that is added raises the second number of a version; one that is removed, renamed or of another type
raises the first. tests/cli/test_schemas.py compares with the last published schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pfa_cli.completion.install import Installed
from pfa_cli.envelopes import (
    changes,
    checks,
    diff,
    drafts,
    failures,
    glossary,
    review,
    runs,
    undo,
    views,
    writes,
)
from pfa_cli.envelopes.base import Data
from pfa_cli.schemas import results
from pfa_cli.schemas.models import Models
from pfa_core.access.organizations import InitResult, Organization, OrgResult
from pfa_core.access.tokens.issue import IssuedToken
from pfa_core.access.tokens.refresh import RefreshedToken
from pfa_core.access.tokens.signing_keys import KeyInfo, Rotation
from pfa_core.admin.consistency import VerifyReport
from pfa_core.admin.metrics import Metric
from pfa_core.admin.server import DatabaseStatus
from pfa_core.config.edit import ConfigEdit
from pfa_core.config.explain import ConfigSetting
from pfa_core.config.profiles import ProfileInfo
from pfa_core.config.shape import ConfigFile
from pfa_core.conflicts.outcome import ResolvedConflict
from pfa_core.conflicts.views import ConflictView
from pfa_core.drafts import commit
from pfa_core.drafts.compare import ComparedField
from pfa_core.drafts.diff import DiffEntry
from pfa_core.drafts.plan import CommitPlan
from pfa_core.drafts.rebase import RecordConflict
from pfa_core.drafts.revert_decide import ChangedSince
from pfa_core.drafts.review import ReviewedRecord, ReviewGroup
from pfa_core.drafts.save_plan import Saved as SavedDraft
from pfa_core.drafts.save_preview import SavePreview
from pfa_core.drafts.undo_write import UndoneModification
from pfa_core.errors import Fault
from pfa_core.files.delta_shape import DeltaFile
from pfa_core.model.audit import LogEntry
from pfa_core.model.changes import RecordChange
from pfa_core.model.delta import FieldConflict
from pfa_core.model.figures import Cost, PhaseCost, Quantity
from pfa_core.model.merged import RecordDetail
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.operations import LocalOperation, OperationKind
from pfa_core.model.record_history import FieldBlame, RecordBlame, RecordHistory
from pfa_core.model.run import Outcome, Run
from pfa_core.pems.mapping.shape import FieldMapFile
from pfa_core.status_summary import SessionStatus
from pfa_core.store.distribution import DistributionReport
from pfa_core.store.queue import DeadLetter
from pfa_core.store.tokens import TokenRow
from pfa_core.store.waiting import Waiting
from pfa_core.sync.history import RunDetail
from pfa_core.transfer.archive import BackupResult
from pfa_core.transfer.export import ExportResult
from pfa_core.transfer.intake import ImportResult
from pfa_core.transfer.log_archive import LogArchiveResult
from pfa_core.transfer.upgrade import UpgradeResult

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMES = {
    "ChangedSince": ChangedSince,
    "OperationKind": OperationKind,
    "UndoneModification": UndoneModification,
    "commit": commit,
    "datetime": datetime,
    "DiffEntry": DiffEntry,
    "DiffSummary": diff.DiffSummary,
    "ReviewGroup": ReviewGroup,
    "ReviewedRecord": ReviewedRecord,
    "ComparedField": ComparedField,
    "FieldConflict": FieldConflict,
    "ModificationView": ModificationView,
    "State": State,
    "RecordChange": RecordChange,
    "RecordConflict": RecordConflict,
    "ResolvedConflict": ResolvedConflict,
    "SavedDraft": SavedDraft,
    "SavePreview": SavePreview,
    "Fault": Fault,
}
_SNAKE_CASE = (
    results.Totals,
    results.GroupTotals,
    results.MonthTotals,
    results.OtherTotals,
    results.OtherMonths,
    Cost,
    PhaseCost,
    Quantity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A published shape.

    Args:
        kind: The type of the JSON as a whole.
        line: The type of a line of JSONL; None: there is none.
        commands: The commands that write it.
        means: What it is, a phrase.
    """

    kind: Any
    means: str
    line: Any = None
    commands: tuple[str, ...] = ()
    version: str = "1.0"


SHAPES: Mapping[str, Shape] = {
    "records": Shape(
        kind=results.RecordList,
        line=results.MergedRecord,
        commands=("list",),
        means="merged records: a page of them, or all",
    ),
    "record-details": Shape(
        kind=Data[list[RecordDetail]],
        line=RecordDetail,
        commands=("show",),
        means="records with PEMS value, own value and merged value of each field",
    ),
    "record-histories": Shape(
        kind=Data[list[RecordHistory]],
        line=RecordHistory,
        commands=("show",),
        means="events of records: what PEMS changed, what was committed (--history)",
    ),
    "stats": Shape(
        kind=results.StatsReport,
        line=results.Totals
        | results.GroupTotals
        | results.MonthTotals
        | results.OtherTotals
        | results.OtherMonths,
        commands=("stats",),
        means="counts and costs; data and groups have their keys in snake case",
        version="1.1",
    ),
    "status": Shape(
        kind=Data[results.StatusShown],
        line=SessionStatus,
        commands=("status",),
        means="drafts, pending changes, conflicts and last runs",
        version="1.2",
    ),
    "report": Shape(
        kind=Data[results.ReportShown],
        line=results.ReportShown,
        commands=("report",),
        means="what a report holds, read in one snapshot",
        version="1.1",
    ),
    "drafts": Shape(
        kind=Data[list[ModificationView]],
        line=ModificationView,
        commands=("draft list",),
        means="the user's modifications",
    ),
    "saved-drafts": Shape(
        kind=drafts.Saved,
        line=SavedDraft,
        commands=("draft save", "draft set", "draft shift"),
        means="what a save made of each record",
        version="1.1",
    ),
    "unset-drafts": Shape(
        kind=drafts.Unset,
        line=results.LineOfUnset,
        commands=("draft unset",),
        means="drafts that lost fields",
        version="1.1",
    ),
    "diff": Shape(
        kind=diff.Diff,
        line=DiffEntry,
        commands=("diff",),
        means="drafted fields before and after, with their cost effect",
    ),
    "review-groups": Shape(
        kind=review.ReviewedGroups,
        line=ReviewGroup,
        commands=("diff",),
        means="sums of drafts by group",
    ),
    "review-records": Shape(
        kind=review.ReviewedRecords,
        line=ReviewedRecord,
        commands=("diff",),
        means="drafts by record",
    ),
    "compared-sessions": Shape(
        kind=review.ComparedSessions,
        line=ComparedField,
        commands=("diff",),
        means="fields that two sessions change differently",
    ),
    "commit-plan": Shape(
        kind=Data[CommitPlan],
        line=CommitPlan,
        commands=("plan",),
        means="drafts frozen for a review, as `pfa commit --plan` reads it",
    ),
    "changes": Shape(
        kind=changes.Changes,
        line=RecordChange,
        commands=("changes",),
        means="records that changed in PEMS, with the effect on the forecast cost",
    ),
    "blame": Shape(
        kind=Data[RecordBlame],
        line=FieldBlame,
        commands=("blame",),
        means="where each value of a record comes from",
    ),
    "committed": Shape(
        kind=writes.Committed,
        line=commit.Committed,
        commands=("commit",),
        means="drafts that were committed, and those that were not",
    ),
    "uncommitted": Shape(
        kind=writes.Uncommitted,
        line=commit.Committed,
        commands=("uncommit",),
        means="modifications that are drafts again",
    ),
    "discarded": Shape(
        kind=writes.Discarded,
        line=results.LineOfDiscard,
        commands=("discard",),
        means="records whose drafts were discarded",
    ),
    "restored": Shape(
        kind=writes.Restored,
        line=SavedDraft,
        commands=("restore",),
        means="discarded drafts that are there again",
    ),
    "operations": Shape(
        kind=Data[list[LocalOperation]],
        line=LocalOperation,
        commands=("undo",),
        means="the caller's local operations, the last first",
    ),
    "undone": Shape(
        kind=undo.Undone,
        line=UndoneModification,
        commands=("undo",),
        means="the operation that was taken back, and what became of its modifications",
    ),
    "reverted": Shape(
        kind=undo.Reverted,
        line=SavedDraft,
        commands=("revert",),
        means="drafts of the values of before, and fields that were changed in PEMS since",
    ),
    "pull": Shape(
        kind=runs.Pulled,
        line=results.PullCounts,
        commands=("sync pull",),
        means="counts of a pull",
    ),
    "push": Shape(
        kind=runs.Pushed,
        line=results.PushCounts,
        commands=("sync push", "sync retry"),
        means="counts of a push",
    ),
    "planned-push": Shape(
        kind=results.Plan,
        line=Waiting | DeadLetter,
        commands=("sync push", "sync retry"),
        means="a push that sent nothing: its dry run, or a retry without dead letters",
    ),
    "runs": Shape(
        kind=Data[list[Run]], line=Run, commands=("sync runs",), means="runs, newest first"
    ),
    "run": Shape(
        kind=Data[RunDetail],
        line=Outcome | RecordChange,
        commands=("sync show",),
        means="a run, the outcomes of its records and the records that it changed",
        version="1.1",
    ),
    "conflicts": Shape(
        kind=Data[list[ConflictView]],
        line=ConflictView,
        commands=("conflict list",),
        means="conflicts with PEMS, newest first",
    ),
    "conflict": Shape(
        kind=Data[ConflictView],
        line=ConflictView,
        commands=("conflict show",),
        means="one conflict with PEMS",
    ),
    "resolved-conflicts": Shape(
        kind=writes.Resolved,
        line=ResolvedConflict,
        commands=("conflict resolve",),
        means="conflicts after their resolution",
    ),
    "log": Shape(
        kind=Data[list[LogEntry]],
        line=LogEntry,
        commands=("log", "log show"),
        means="entries of the audit trail",
    ),
    "pems-log": Shape(
        kind=Data[list[RecordChange]],
        line=RecordChange,
        commands=("log", "log show"),
        means="changes of records in PEMS (--pems)",
    ),
    "log-check": Shape(
        kind=Data[results.LogReportShown],
        line=results.LogReportShown,
        commands=("log verify",),
        means="whether the audit trail is intact",
        version="1.1",
    ),
    "log-archive": Shape(
        kind=Data[LogArchiveResult],
        line=LogArchiveResult,
        commands=("log archive",),
        means="entries of the audit trail that went into a file",
    ),
    "metrics": Shape(
        kind=Data[list[Metric]],
        line=results.LineOfMetrics,
        commands=("metrics",),
        means="metrics of the organization",
    ),
    "issued-token": Shape(
        kind=IssuedToken, line=IssuedToken, commands=("auth issue",), means="a new token"
    ),
    "stored-token": Shape(
        kind=Data[results.StoredToken],
        line=results.StoredToken,
        commands=("auth issue",),
        means="a new token that was written to a file (--to)",
    ),
    "refreshed-token": Shape(
        kind=RefreshedToken,
        line=RefreshedToken,
        commands=("auth refresh",),
        means="a new token that was printed (--print)",
    ),
    "renewed-token": Shape(
        kind=Data[results.RenewedToken],
        line=results.RenewedToken,
        commands=("auth refresh",),
        means="a token that was stored in place of the one before",
    ),
    "token": Shape(
        kind=Data[results.TokenShown],
        line=results.TokenShown,
        commands=("auth status", "auth login"),
        means="the current token, without its text",
    ),
    "tokens": Shape(
        kind=Data[list[TokenRow]],
        line=TokenRow,
        commands=("auth list", "auth revoke"),
        means="tokens, without their text",
    ),
    "signing-keys": Shape(
        kind=Data[list[KeyInfo]],
        line=KeyInfo,
        commands=("auth keys", "auth keys list"),
        means="keys that sign tokens, without their secret",
    ),
    "signing-key": Shape(
        kind=Data[KeyInfo], line=KeyInfo, commands=("auth keys retire",), means="one signing key"
    ),
    "key-rotation": Shape(
        kind=Data[Rotation],
        line=Rotation,
        commands=("auth keys rotate",),
        means="a new signing key and the one before",
    ),
    "first-start": Shape(
        kind=Data[InitResult],
        line=InitResult,
        commands=("init",),
        means="the organization and files of a first start",
    ),
    "added-organization": Shape(
        kind=Data[OrgResult], line=OrgResult, commands=("org add",), means="a new organization"
    ),
    "exported-organization": Shape(
        kind=Data[ExportResult],
        line=ExportResult,
        commands=("org export",),
        means="an organization in a file",
    ),
    "imported-organization": Shape(
        kind=Data[ImportResult],
        line=ImportResult,
        commands=("org import",),
        means="an organization that was stored from a file",
    ),
    "reopened-organization": Shape(
        kind=Data[results.OrganizationReopened],
        line=results.OrganizationReopened,
        commands=("org reopen",),
        means="an organization that is active again",
    ),
    "chosen-organization": Shape(
        kind=Data[results.OrganizationChosen],
        line=results.OrganizationChosen,
        commands=("org use",),
        means="the organization that the user chose",
    ),
    "chosen-session": Shape(
        kind=Data[results.SessionChosen],
        line=results.SessionChosen,
        commands=("session use", "session show"),
        means="the session that the user works in",
    ),
    "settings": Shape(
        kind=Data[list[ConfigSetting]],
        line=ConfigSetting,
        commands=("config list",),
        means="every setting with its value in effect",
    ),
    "setting": Shape(
        kind=Data[ConfigSetting],
        line=ConfigSetting,
        commands=("config get", "config explain"),
        means="a setting and the places that it may come from",
    ),
    "edited-setting": Shape(
        kind=Data[ConfigEdit],
        line=ConfigEdit,
        commands=("config set", "config unset"),
        means="a key of the configuration file before and after an edit",
    ),
    "profiles": Shape(
        kind=Data[list[ProfileInfo]],
        line=ProfileInfo,
        commands=("profile list",),
        means="the profiles of the configuration file",
    ),
    "profile": Shape(
        kind=Data[ProfileInfo],
        line=ProfileInfo,
        commands=("profile show", "profile add", "profile remove"),
        means="a profile of the configuration file",
    ),
    "chosen-profile": Shape(
        kind=Data[results.ProfileChosen],
        line=results.ProfileChosen,
        commands=("profile use",),
        means="the profile that the user chose",
    ),
    "sessions": Shape(
        kind=Data[list[results.SessionShown]],
        line=results.SessionShown,
        commands=("session list",),
        means="the user's sessions, by state",
    ),
    "views": Shape(
        kind=Data[list[views.ViewShown]],
        line=views.ViewShown,
        commands=("view list",),
        means="saved views of the user and of the organization, by name",
    ),
    "view": Shape(
        kind=Data[views.ViewShown],
        line=views.ViewShown,
        commands=("view save", "view show", "view delete"),
        means="a saved view, which pfa view save --from reads too",
    ),
    "completion-script": Shape(
        kind=Data[results.CompletionScript],
        line=results.CompletionScript,
        commands=("completion",),
        means="what a shell loads to complete command lines",
    ),
    "installed-completion": Shape(
        kind=Data[Installed],
        line=Installed,
        commands=("completion",),
        means="the files of an installed completion",
    ),
    "organization-settings": Shape(
        kind=Data[results.SettingsShown],
        line=results.SettingsShown,
        commands=("org set",),
        means="the settings of an organization: costs and guards",
        version="1.1",
    ),
    "organizations": Shape(
        kind=Data[list[Organization]],
        line=Organization,
        commands=("org list",),
        means="the user's organizations",
        version="1.1",
    ),
    "member": Shape(
        kind=Data[results.MemberShown],
        line=results.MemberShown,
        commands=("user grant", "user revoke"),
        means="one member of an organization",
    ),
    "members": Shape(
        kind=Data[list[results.MemberShown]],
        line=results.MemberShown,
        commands=("user list",),
        means="members of an organization",
    ),
    "database-upgrade": Shape(
        kind=Data[UpgradeResult],
        line=UpgradeResult,
        commands=("db upgrade",),
        means="versions of schema and embedded server before and after an upgrade",
        version="1.1",
    ),
    "database-distribution": Shape(
        kind=Data[DistributionReport],
        line=DistributionReport,
        commands=("db distribute",),
        means="where each table lies on the nodes of a cluster",
    ),
    "database-status": Shape(
        kind=Data[DatabaseStatus],
        line=DatabaseStatus,
        commands=("db status",),
        means="which database is used, its schema and growth",
        version="1.2",
    ),
    "database-check": Shape(
        kind=Data[VerifyReport],
        line=results.VerifyCounts,
        commands=("db verify",),
        means="stored sums and overlays that differ from what is behind them, rows that break a check",
        version="1.3",
    ),
    "database-backup": Shape(
        kind=Data[BackupResult],
        line=BackupResult,
        commands=("db backup", "db restore"),
        means="a database in a file, and what was found in it",
    ),
    "address": Shape(
        kind=Data[results.Address],
        line=results.Address,
        commands=("db url", "sandbox"),
        means="an address",
    ),
    "sample": Shape(
        kind=Data[list[writes.SampleFile]],
        line=writes.SampleFile,
        commands=("sample",),
        means="the files of the sample",
    ),
    "checks": Shape(
        kind=Data[list[checks.Finding]],
        line=checks.Finding,
        commands=("doctor",),
        means="checks of the setup, each with its cure",
    ),
    "versions": Shape(
        kind=Data[results.Versions],
        line=results.Versions,
        commands=("version",),
        means="versions of the program and of what it runs on",
        version="1.1",
    ),
    "schemas": Shape(
        kind=Data[list[results.SchemaEntry]],
        line=results.SchemaEntry,
        commands=("schema",),
        means="the published schemas",
    ),
    "explanations": Shape(
        kind=Data[list[glossary.Explanation]],
        line=glossary.Explanation,
        commands=("explain",),
        means="what words of the program mean",
    ),
    "fields": Shape(
        kind=Data[list[glossary.FieldInfo]],
        line=glossary.FieldInfo,
        commands=("fields",),
        means="the fields of a record",
    ),
    "config-file": Shape(
        kind=ConfigFile,
        means="the file pfa/config.toml of the configuration directory (TOML)",
        version="1.1",
    ),
    "delta-file": Shape(
        kind=DeltaFile, means="a file of modifications for `pfa draft save`", version="1.1"
    ),
    "field-map": Shape(
        kind=FieldMapFile, means="a file with the names that PEMS has for fields (TOML)"
    ),
    "error": Shape(kind=failures.Error, means="an error on stderr, of any command", version="1.1"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Make every published schema, by its name."""
    models = Models(_NAMES, _SNAKE_CASE)
    return {name: _published(name, shape, models) for name, shape in SHAPES.items()}


def _published(name: str, shape: Shape, models: Models) -> dict[str, Any]:
    made = _plain(models.json_schema(shape.kind, line=shape.line))
    definitions = made.pop("$defs", {})
    head = {
        "$schema": DIALECT,
        "$id": f"urn:pfa:schema:{name}",
        "title": name,
        "description": shape.means,
        "x-version": shape.version,
        "x-commands": list(shape.commands),
    }
    made = {key: value for key, value in made.items() if key not in head}
    return {**head, **made, **({"$defs": dict(sorted(definitions.items()))} if definitions else {})}


def _plain(schema: Any) -> Any:
    """Leave out of a schema texts for messages, and defaults of absent keys."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _plain(inner)
        for name, inner in schema.items()
        if name != "x-must" and not (name == "default" and inner is None)
    }
