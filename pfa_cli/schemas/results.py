"""Types of results that commands write as mappings.

Each says what a command puts together; tests compare them with what it writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pfa_cli.envelopes.base import Metadata, absent
from pfa_cli.envelopes.records import Pagination
from pfa_cli.envelopes.runs import PlanMetadata
from pfa_core.access.authentication import TokenInfo
from pfa_core.audit.verify import Flaw
from pfa_core.conflicts.views import ConflictView
from pfa_core.drafts.review import ReviewedRecord, ReviewGroup
from pfa_core.model.figures import Cost, Figures, Period, Quantity
from pfa_core.model.ids import SessionId
from pfa_core.model.modification import State
from pfa_core.model.money import Amount
from pfa_core.model.principal import Role
from pfa_core.reports.content import Moved, OverPlan
from pfa_core.status_summary import StatusReport
from pfa_core.store.queue import DeadLetter
from pfa_core.store.waiting import Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRecord:
    """A record as its user sees it."""

    pfa_id: str
    data: Mapping[str, Any]
    sync_state: State
    session_id: str | None
    version: int
    modified_at: datetime | None
    modified_by: str | None


@dataclass(frozen=True, slots=True)
class RecordList:
    """A page of merged records."""

    data: Sequence[MergedRecord]
    pagination: Pagination
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(Figures[Amount]):
    """The sums of all matching records."""

    currency: str | None
    category_breakdown: Mapping[str, int]
    period: Period | None
    quantity: Quantity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTotals(Figures[Amount]):
    """The sums of one group."""

    key: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTotals:
    """A month's share of the sums."""

    key: Mapping[str, Any]
    quantity: Quantity
    cost: Cost[Amount]
    baseline_cost: Cost[Amount]
    draft_impact: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTotals(Figures[Amount]):
    """The sums of the groups of one level that are not listed."""

    key: Mapping[str, Any]
    group_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMonths:
    """The sums of the months of one level, or of groups by month, that are not listed."""

    key: Mapping[str, Any]
    group_count: int
    quantity: Quantity | None
    cost: Cost[Amount]
    baseline_cost: Cost[Amount]
    draft_impact: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsReport:
    """Counts and costs of the matching records, and of their groups."""

    data: Totals
    groups: Sequence[GroupTotals | MonthTotals]
    subtotals: Sequence[GroupTotals | MonthTotals]
    others: Sequence[OtherTotals | OtherMonths]
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportShown:
    """What a report holds, in the shapes of the commands that give the same."""

    title: str
    organization_id: str
    organization_name: str
    user_id: str
    made_at: datetime
    filters: Mapping[str, str]
    top: int
    stats: Totals
    categories: Sequence[GroupTotals]
    other_categories: Sequence[OtherTotals]
    calendar_by: Sequence[str]
    calendar_period: Period | None
    periods: Sequence[MonthTotals]
    years: Sequence[MonthTotals]
    moved: Moved
    movers: Sequence[ReviewedRecord]
    over_plan: Sequence[OverPlan]
    change_sets: Sequence[ReviewGroup]
    conflicts: Sequence[ConflictView]
    status: StatusReport


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberShown:
    """A member of an organization."""

    organization_id: str
    user_id: str
    role: Role
    rights: Sequence[str]
    granted_by: str
    granted_at: datetime
    custom: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShown(TokenInfo):
    """The current token, without its text."""

    valid: bool
    expires_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewedToken:
    """A token that was stored in place of the one before."""

    token_id: str
    user_id: str
    organizations: Mapping[str, str]
    expires_at: datetime
    replaces: str
    revoked: bool
    token_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusShown(StatusReport):
    """The state of the user's work, and the session that they work in."""

    current_session: SessionId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionShown:
    """One session's modifications in one state; `current`: the user works in it.

    A current session without any is pristine.
    """

    session_id: SessionId
    state: State
    records: int
    last_change: datetime | None
    overtaken: int
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChosen:
    """The current session; `source` named it, '' where there is none."""

    session_id: SessionId | None
    source: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChosen:
    """The organization that the user chose; `source` is '' without one."""

    organization: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationReopened:
    """An organization and its status, before and after."""

    organization: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChosen:
    """The profile that the user chose; `source` is '' without one."""

    profile: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionScript:
    """What a shell loads to complete command lines."""

    shell: str
    script: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A new token that was written to a file."""

    token_id: str
    user_id: str
    organization: str
    role: Role
    expires_at: datetime
    token_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReportShown:
    """The state of the audit trail."""

    links: int
    entries: int
    archived_links: int
    archived_entries: int
    files: Sequence[str]
    verified_files: int
    anchor: str
    flaw_count: int
    flaws: Sequence[Flaw]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCounts:
    """How many sums and overlays differ, and how many rows break a check."""

    rollup: int
    overlays: int
    overlay_sums: int
    bad_rows: int
    repaired: bool


@dataclass(frozen=True, slots=True)
class Address:
    """An address."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Versions of the program and of what it runs on."""

    pfa: str
    python: str
    system: str
    program_schema: int
    dependencies: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCounts:
    """The counts of a pull, in one line."""

    run_id: str | None
    status: str
    total: int
    inserted: int
    updated: int
    unchanged: int
    missing: int
    rejected: int
    foreign: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCounts:
    """The counts of a push, in one line."""

    run_id: str | None
    status: str
    total: int
    synced: int
    altered: int
    rejected: int
    conflicts: int
    retrying: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOfUnset:
    """A draft that lost fields, in one line."""

    pfa_id: str
    modification_id: str | None = absent()
    version: int | None
    status: Literal["updated", "unchanged", "emptied", "created"]


@dataclass(frozen=True, slots=True)
class LineOfMetrics:
    """A sample, in one line."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class LineOfDiscard:
    """A record whose draft was discarded, in one line."""

    pfa_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A push that sent nothing: what it would send, or the dead letters of a retry."""

    run_id: None
    status: Literal["planned", "completed"]
    total: int
    synced: int
    altered: int
    rejected: int
    conflicts: int
    retrying: int
    data: Sequence[Waiting | DeadLetter]
    metadata: PlanMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsShown:
    """The settings of an organization: what its costs depend on, and guards."""

    organization_id: str
    currency: str | None
    rate_uom: str
    foreign_currency: str
    max_records: int | None
    max_money: Decimal | None
    max_percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaEntry:
    """A published schema."""

    name: str
    version: str
    commands: Sequence[str]
    means: str
