"""A report as a page of sections."""

from __future__ import annotations

from collections.abc import Iterator

from pfa_core.model.gaps import uncosted
from pfa_core.model.guards import kept_by_refusal
from pfa_core.model.humanize import count, money, records_behind
from pfa_core.model.run import Run, RunStatus
from pfa_core.reports.content import ProjectReport
from pfa_core.reports.costs import calendar, categories, months
from pfa_core.reports.page import Figure, Kind, Page, Section
from pfa_core.reports.texts import by_states, moment_and_age, percent
from pfa_core.reports.work import change_sets, conflicts, movers, over_plan, synchronization
from pfa_core.status_summary import OLD_BASELINE

_SUBJECT = "plan, forecast and actuals"
_WAITING = "Changes not yet in PEMS"


def page_of(report: ProjectReport) -> Page:
    """Arrange a report as a page."""
    sections = (
        _figures(report),
        calendar(report),
        categories(report),
        over_plan(report),
        movers(report),
        change_sets(report),
        conflicts(report),
        synchronization(report),
        months(report),
        _numbers(report),
    )
    named = report.title != report.organization_name
    return Page(
        title=report.title if named else f"{report.title}: {_SUBJECT}",
        subject=_SUBJECT.capitalize() if named else "",
        facts=_facts(report),
        filters=report.filters,
        made_at=report.made_at,
        lead=_lead(report),
        warnings=_warnings(report),
        sections=tuple(section for section in sections if section),
    )


def _facts(report: ProjectReport) -> tuple[tuple[str, str], ...]:
    name = report.organization_name
    organization = report.organization_id
    if name != organization:
        organization = f"{name} ({report.organization_id})"
    return (
        ("Organization", organization),
        ("Made for", f"{report.user_id}, {report.status.role}"),
        ("Currency", report.stats.currency or "not set"),
        ("PEMS data", moment_and_age(report.status.baseline_at, report.made_at)),
    )


def _lead(report: ProjectReport) -> str:
    """Say in one sentence how forecast and plan stand."""
    figures = report.stats.figures
    if not figures.total_records:
        matching = "No records match the filters" if report.filters else "There are no records yet"
        return f"{matching}."
    if report.masked:
        return (
            f"{count(figures.total_records, 'record')}, {report.moved.record_count:,} with changes by"
            f" {report.user_id} that are not yet in PEMS."
            " Money is hidden: to see it requires the right view_financials."
        )
    cost = report.stats.with_amounts().figures.cost
    variance = cost.variance
    if not variance:
        stands = "exactly as planned"
    else:
        by = f" ({percent(cost.variance_pct)})" if cost.plan.total else ""
        stands = f"{money(abs(variance))} {'over' if variance > 0 else 'under'} plan{by}"
    text = f"The forecast is {money(cost.forecast.total)}, {stands}."
    if impact := figures.draft_impact:
        text += (
            f" Changes by {report.user_id}, not yet in PEMS, {'raise' if impact > 0 else 'lower'} it by"
            f" {money(abs(impact))}."
        )
    return text


def _warnings(report: ProjectReport) -> tuple[str, ...]:
    """List what a reader should know before the figures."""
    found: list[str] = []
    status = report.status
    if status.record_count:
        if status.baseline_at is None:
            found.append("No pull from PEMS has completed yet.")
        elif report.made_at - status.baseline_at > OLD_BASELINE:
            found.append(
                "The data of PEMS are old: last pull"
                f" {moment_and_age(status.baseline_at, report.made_at)}."
            )
    if status.pull_interrupted_at:
        found.append("The last pull from PEMS was interrupted; records are of different times.")
    if status.behind:
        behind = records_behind(status.behind, status.behind_since)
        found.append(f"PEMS is ahead: the last pull rejected {behind}.")
    found.extend(_last_run(status.runs[0]) if status.runs else ())
    if status.conflicts:
        found.append(f"{count(status.conflicts, 'conflict')} to resolve.")
    if status.sync_errors:
        found.append(f"{count(status.sync_errors, 'change')} rejected by PEMS.")
    if status.overtaken:
        found.append(f"{count(status.overtaken, 'change')} overtaken by PEMS.")
    return tuple(found)


def _last_run(run: Run) -> Iterator[str]:
    """Say that a run failed, or that a limit stopped it and what came of that."""
    kept = kept_by_refusal(run.message or "")
    if run.status is RunStatus.FAILED:
        yield f"The last {run.direction} failed."
    elif run.status is RunStatus.CANCELLED and kept:
        yield f"The last {run.direction} was stopped by a limit: {kept}."


def _figures(report: ProjectReport) -> Section:
    figures = report.stats.figures
    waiting = by_states(report.moved.states, report.user_id)
    found: list[Figure] = []
    if not report.masked:
        cost = figures.cost
        found += [
            Figure(label="Plan", value=cost.plan.total, kind=Kind.MONEY),
            Figure(label="Forecast", value=cost.forecast.total, kind=Kind.MONEY),
            Figure(
                label="Variance",
                value=cost.variance,
                kind=Kind.CHANGE,
                note=_of_plan(report),
            ),
            Figure(label="Actual", value=cost.actual.total, kind=Kind.MONEY),
            Figure(
                label=_WAITING,
                value=figures.draft_impact,
                kind=Kind.CHANGE,
                note=waiting,
            ),
        ]
    else:
        number = report.moved.record_count
        found.append(Figure(label=_WAITING, value=number, kind=Kind.COUNT, note=waiting))
    found.append(
        Figure(
            label="Records",
            value=figures.total_records,
            kind=Kind.COUNT,
            note=_kinds(
                (figures.actualized_count, "actualized"),
                (figures.discontinued_count, "discontinued"),
                (figures.funds_transferable_count, "transferable"),
            ),
        )
    )
    gaps = tuple(f"{gap.text}." for gap in uncosted(report.stats)) if not report.masked else ()
    return Section(name="figures", title="Key figures", figures=tuple(found), paragraphs=gaps)


def _of_plan(report: ProjectReport) -> str:
    cost = report.stats.figures.cost
    if not cost.plan.total or cost.variance_pct is None:
        return "no plan to compare with"
    return f"{percent(cost.variance_pct)} of plan"


def _kinds(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{number:,} {name}" for number, name in counts if number)


def _by_money(top: int, where: str) -> list[str]:
    return [f"pfa list --sort -variance --limit {top}{where}", f"pfa diff --top {top} --all{where}"]


def _numbers(report: ProjectReport) -> Section:
    """Say what the numbers leave out, and the commands that give the same."""
    where = " FILTERS" if report.filters else ""
    text = (
        "All numbers are of one moment: one snapshot of the database. Costs leave out discontinued and"
        " funds-transferable records, and those of another currency than the organization's. Each line is rounded"
        " by itself. The same numbers are given by:"
    )
    period = report.calendar.period
    within = (
        f" --from {period.start[:4]} --to {period.end[:4]}"
        if period and period.start and period.end
        else ""
    )
    commands = [
        f"pfa stats --by category --top {report.top}{where}",
        f"pfa stats --by {','.join(report.calendar_by)}{within}{where}",
        *([] if report.masked else _by_money(report.top, where)),
        "pfa diff --by session --all",
        f"pfa conflict list{where}",
        "pfa status",
    ]
    return Section(
        name="numbers",
        title="About these numbers",
        paragraphs=(text,),
        commands=tuple(commands),
    )
