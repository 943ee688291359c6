"""The content of a report, read from one snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from pfa_core.conflicts.views import ConflictView, list_conflicts
from pfa_core.drafts.diff import DiffTotals
from pfa_core.drafts.review import Review, ReviewBy, ReviewedRecord, review, top_movers
from pfa_core.errors import InvalidRequest
from pfa_core.kpis import calendar_stats, compute_stats
from pfa_core.model.figures import Stats
from pfa_core.model.ids import OrganizationId, PfaId, UserId
from pfa_core.model.merged import MergedRecord
from pfa_core.model.modification import State
from pfa_core.model.money import Amount
from pfa_core.model.query import Filters, Query, parse_sort, require_text
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, inside, reads
from pfa_core.records import list_records
from pfa_core.status_summary import StatusReport, status
from pfa_core.store import members

USUAL_TOP = 12
MAX_TOP = 100
MAX_TITLE = 200
MAX_MONTHS = 180  # of a chart; costs over more are given by year
MAX_YEARS = 60  # around today where dates are further apart
BY_MONTH, BY_YEAR = ("year", "month"), ("year",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverPlan:
    """A record whose forecast is above its plan."""

    pfa_id: PfaId
    category: str
    area_silo: str
    plan: Amount
    forecast: Amount
    variance: Amount


@dataclass(frozen=True, slots=True)
class Moved:
    """Sums of the caller's modifications of matching records.

    `states` counts the records with a modification in each state.
    """

    record_count: int
    field_count: int
    cost_effect: Amount
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectReport:
    """The state of an organization's records and of the caller's work, at one moment.

    `stats` are the figures of the matching records by category, `calendar` the same costs by `calendar_by`: year
    and month, or year alone where there are too many months; within a period where dates are too far apart.
    `movers` are the matching records that the caller's modifications move most, `moved` the sums over all of these;
    `over_plan` those furthest above their plan. `conflicts` are the newest open ones of matching records.
    `change_sets` and `status` are of all the caller's work, whatever the filters. `filters` are names and values as
    the command line spells them. Where `masked`, money is None, and no order by it is there: `movers` and
    `over_plan` are empty.
    """

    title: str
    organization_id: OrganizationId
    organization_name: str
    user_id: UserId
    made_at: datetime
    filters: tuple[tuple[str, str], ...]
    top: int
    stats: Stats[Amount]
    calendar_by: tuple[str, ...]
    calendar: Stats[Amount]
    moved: Moved
    movers: tuple[ReviewedRecord, ...]
    over_plan: tuple[OverPlan, ...]
    change_sets: Review
    conflicts: tuple[ConflictView, ...]
    status: StatusReport
    masked: bool = False


def _check(_filters: Filters | None = None, *, title: str = "", top: int = USUAL_TOP) -> None:
    require_text(title)
    if len(title) > MAX_TITLE:
        raise InvalidRequest(f"`title` has {len(title):,} characters; at most {MAX_TITLE}")
    if not 1 <= top <= MAX_TOP:
        raise InvalidRequest(f"`top` is 1 to {MAX_TOP}, not {top}")


@reads(Operation.REPORT, check=_check)
def report(
    tx: Tx, filters: Filters | None = None, *, title: str = "", top: int = USUAL_TOP
) -> ProjectReport:
    """Report figures, charts' data, changes, conflicts and synchronization.

    Every number is that of `compute_stats`, `review`, `stream_review`, `list_records`, `list_conflicts` and
    `status`, called in one snapshot; `write_report` makes pages of it.

    Args:
        filters: Of the records, as in `compute_stats`; None: all.
        title: Empty: the name of the organization.
        top: How many categories and records are listed, at most; the other categories are added up.

    Raises:
        InvalidRequest: A title that is too long or cannot be stored, `top` out of range.
        PermissionDenied: An expression over money, which the caller may not see.
    """
    chosen = tx.asked(filters or Filters())
    organization = members.organization(tx.conn, tx.organization_id)
    name = (organization and organization.name) or tx.organization_id
    totals, states = DiffTotals(), Counter[State]()
    movers = top_movers(tx, chosen, top, totals=totals, states=states)
    counted = {state.value: states[state] for state in State if states[state]}
    calendar_by, calendar = _calendar(tx, chosen)
    return ProjectReport(
        title=title or name,
        organization_id=tx.organization_id,
        organization_name=name,
        user_id=tx.user_id,
        made_at=tx.now(),
        filters=described(filters or Filters()),
        top=top,
        stats=inside(compute_stats)(tx, chosen, by=("category",), top=top),
        calendar_by=calendar_by,
        calendar=calendar,
        moved=Moved(totals.record_count, totals.field_count, totals.cost_effect, counted),
        movers=movers,
        over_plan=_over_plan(tx, chosen, top),
        change_sets=inside(review)(tx, Filters(), by=ReviewBy.SESSION),
        conflicts=tuple(inside(list_conflicts)(tx, chosen, limit=top)),
        status=inside(status)(tx),
        masked=tx.mask.hides,
    )


def described(filters: Filters) -> tuple[tuple[str, str], ...]:
    """List the filters in force by their names on the command line, with their values."""
    return tuple(
        (item.name.rstrip("_").replace("_", "-"), _value(getattr(filters, item.name)))
        for item in fields(filters)
        if item.name != "today" and getattr(filters, item.name) not in (item.default, "")
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _calendar(tx: Tx, filters: Filters) -> tuple[tuple[str, ...], Stats[Amount]]:
    """Spread the costs by month, by year where there are too many months for a page.

    Where even the years are too many, the costs are limited to those around today.
    """
    months = calendar_stats(tx, filters, by=BY_MONTH, most_months=MAX_MONTHS)
    if months:
        return BY_MONTH, months
    years = calendar_stats(tx, filters, by=BY_YEAR, most_months=MAX_YEARS * 12)
    if years:
        return BY_YEAR, years
    now = tx.now().year
    start, end = str(now - MAX_YEARS // 2), str(now + MAX_YEARS // 2)
    return BY_YEAR, inside(compute_stats)(tx, filters, by=BY_YEAR, start=start, end=end)


def _over_plan(tx: Tx, filters: Filters, top: int) -> tuple[OverPlan, ...]:
    if tx.mask.hides:  # the order would reveal what is hidden
        return ()
    query = Query(filters, parse_sort("-variance"), costs=True)
    found = inside(list_records)(tx, query, page=1, page_size=top)
    return tuple(_over(record) for record in found.records if _variance(record) > 0)


def _variance(record: MergedRecord) -> Any:
    return (record.costs and record.costs.variance) or 0


def _over(record: MergedRecord) -> OverPlan:
    data, costs = record.data, record.costs
    assert costs is not None  # noqa: S101 - the query asks for them
    return OverPlan(
        pfa_id=record.pfa_id,
        category=data.get("category") or "",
        area_silo=data.get("areaSilo") or "",
        plan=costs.plan,
        forecast=costs.forecast,
        variance=costs.variance,
    )
