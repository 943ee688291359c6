"""The work in a report: movers, change sets, conflicts, synchronization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pfa_core.conflicts.views import ConflictView
from pfa_core.drafts.change_text import change_text
from pfa_core.drafts.review import ReviewedRecord
from pfa_core.files.sheets.text_writer import cell_text
from pfa_core.model.delta import FieldConflict
from pfa_core.model.humanize import ago, count, signed
from pfa_core.model.money import Amount, cents
from pfa_core.model.run import Run
from pfa_core.reports.content import OverPlan, ProjectReport
from pfa_core.reports.page import Column, Figure, Kind, Row, Section, Table
from pfa_core.reports.texts import moment
from pfa_core.status_summary import SessionStatus

_CHANGES = "Changes not yet in PEMS"
_MOVERS = (
    Column("Record", Kind.KEY),
    Column("Change"),
    Column("Effect on forecast", Kind.CHANGE),
    Column("Change set", Kind.KEY),
    Column("Reason"),
)


def over_plan(report: ProjectReport) -> Section | None:
    """List the records whose forecast is furthest above their plan."""
    if not report.over_plan:
        return None
    columns = (
        Column("Record", Kind.KEY),
        Column("Category"),
        Column("Area"),
        Column("Plan", Kind.MONEY),
        Column("Forecast", Kind.MONEY),
        Column("Over plan", Kind.CHANGE),
    )
    return Section(
        name="over-plan",
        title="Furthest over plan",
        tables=(
            Table(
                caption=_some("The", len(report.over_plan), "record", "furthest over plan"),
                columns=columns,
                rows=tuple(map(_over, report.over_plan)),
            ),
        ),
    )


def _over(item: OverPlan) -> Row:
    amounts = (_cents(item.plan), _cents(item.forecast), _cents(item.variance))
    return Row((item.pfa_id, item.category, item.area_silo, *amounts))


def _cents(amount: Amount) -> Amount:
    return None if amount is None else cents(amount)


def movers(report: ProjectReport) -> Section | None:
    """List the records that the caller's changes move most."""
    moved = report.moved
    if not moved.record_count:
        return None
    text = (
        f"{report.user_id} changes {count(moved.field_count, 'field')} of"
        f" {count(moved.record_count, 'record')}"
    )
    if report.masked:
        hidden = f"{text}; which of them move the forecast most is money, which is hidden."
        return Section(name="movers", title=_CHANGES, paragraphs=(hidden,))
    rows = tuple(_mover(one) for one in report.movers if one.cost_effect)
    together = f"together they move the forecast by {signed(moved.cost_effect)}"
    effect = together if rows else "none of them moves the forecast"
    paragraphs = (f"{text}; {effect}.", *_entering(report))
    if not rows:
        return Section(name="movers", title=_CHANGES, paragraphs=paragraphs)
    caption = _some("The", len(rows), "record", "with the largest effect, up or down")
    table = Table(caption=caption, columns=_MOVERS, rows=rows)
    return Section(name="movers", title="Top movers", paragraphs=paragraphs, tables=(table,))


def _mover(one: ReviewedRecord) -> Row:
    sessions, reasons = ", ".join(one.sessions), "; ".join(one.reasons)
    return Row((one.pfa_id, change_text(one), one.cost_effect, sessions, reasons))


def _entering(report: ProjectReport) -> Iterable[str]:
    """Explain an effect on the filtered forecast that is not that on the records."""
    impact = report.stats.figures.draft_impact
    if impact != report.moved.cost_effect:
        yield (
            f"Changes by {report.user_id} also bring records under the filters, or take them out: with that"
            f" their effect is {signed(impact)}."
        )


def change_sets(report: ProjectReport) -> Section:
    """List the sessions that are not wholly in PEMS yet."""
    by_session: dict[str, list[SessionStatus]] = {}
    for item in report.status.sessions:
        by_session.setdefault(item.session_id, []).append(item)
    if not by_session:
        nothing = f"No change set waits: all changes by {report.user_id} are in PEMS."
        return Section(name="change-sets", title="Change sets waiting", paragraphs=(nothing,))
    money = () if report.masked else (Column("Effect on forecast", Kind.CHANGE),)
    effects = {group.key: group.cost_effect for group in report.change_sets.groups}
    columns = (
        Column("Change set", Kind.KEY),
        Column("State"),
        Column("Records", Kind.COUNT),
        Column("Overtaken", Kind.COUNT),
        *money,
        Column("Last change", Kind.TIME),
    )
    rows = tuple(
        Row(
            (
                session,
                _states(items),
                sum(item.records for item in items),
                sum(item.overtaken for item in items),
                *([] if report.masked else [effects.get(session)]),
                max(item.last_change for item in items),
            )
        )
        for session, items in by_session.items()
    )
    caption = f"{count(len(rows), 'change set')}, one a session"
    return Section(
        name="change-sets",
        title="Change sets waiting",
        paragraphs=(f"All changes by {report.user_id}, whatever the filters.",)
        if report.filters
        else (),
        tables=(Table(caption=caption, columns=columns, rows=rows),),
    )


def _states(items: Iterable[SessionStatus]) -> str:
    return ", ".join(f"{item.state} {item.records:,}" for item in items)


def conflicts(report: ProjectReport) -> Section:
    """List the newest open conflicts of matching records."""
    number, shown = report.status.conflicts, report.conflicts
    if not number:
        nothing = f"No field is changed both in PEMS and by {report.user_id}."
        return Section(name="conflicts", title="Conflicts", paragraphs=(nothing,))
    text = f"Open conflicts of {report.user_id}, whatever the filters: {number:,}."
    columns = (
        Column("Record", Kind.KEY),
        Column("Field: before → changed, PEMS"),
        Column("Change set", Kind.KEY),
        Column("Since", Kind.TIME),
    )
    rows = tuple(Row((one.pfa_id, _fields(one), one.session_id, one.created_at)) for one in shown)
    table = Table(
        caption=_some("The newest", len(rows), "conflict", "of these records"),
        columns=columns,
        rows=rows,
    )
    return Section(
        name="conflicts", title="Conflicts", paragraphs=(text,), tables=(table,) if rows else ()
    )


def _fields(one: ConflictView) -> str:
    return "; ".join(_field(item, masked=one.masked) for item in one.fields)


def _field(item: FieldConflict, *, masked: bool) -> str:
    values = (item.base, item.mine, item.pems)
    if masked and values == (None, None, None):
        return f"{item.field}: hidden"
    base, mine, pems = (cell_text(value) or "(none)" for value in values)
    return f"{item.field}: {base} → {mine}, PEMS {pems}"


def synchronization(report: ProjectReport) -> Section:
    """Say how old the data of PEMS are, and how the last runs ended."""
    status, now = report.status, report.made_at
    figures = (
        Figure(
            label="Last whole pull",
            value=moment(status.baseline_at) if status.baseline_at else "never",
            kind=Kind.TEXT,
            note=ago(status.baseline_at, now) if status.baseline_at else "",
        ),
        Figure(label="Waiting to be pushed", value=status.committed, kind=Kind.COUNT),
        Figure(label="Rejected by PEMS", value=status.sync_errors, kind=Kind.COUNT),
        Figure(label="Overtaken by PEMS", value=status.overtaken, kind=Kind.COUNT),
        Figure(label="Missing from the last pull", value=status.behind, kind=Kind.COUNT),
    )
    columns = (
        Column("Run"),
        Column("Status"),
        Column("Started", Kind.TIME),
        Column("Records"),
        Column("By"),
    )
    rows = tuple(map(_run, status.runs))
    table = Table(caption=_some("The last", len(rows), "run"), columns=columns, rows=rows)
    return Section(
        name="synchronization",
        title="PEMS data and synchronization",
        paragraphs=(
            f"All data of the organization and changes by {report.user_id}, whatever the filters.",
        )
        if report.filters
        else (),
        figures=figures,
        tables=(table,) if rows else (),
    )


def _some(first: str, number: int, noun: str, rest: str = "") -> str:
    """Name the things of a table: `The last run`, `The last 5 runs`."""
    return f"{first} {noun if number == 1 else count(number, noun)} {rest}".rstrip()


def _run(run: Run) -> Row:
    return Row(
        (f"{run.direction}", f"{run.status}", run.started_at, _counts(run.counts), run.user_id)
    )


def _counts(counts: Mapping[str, int]) -> str:
    found = ", ".join(f"{name} {number:,}" for name, number in counts.items() if number)
    return found or "none"
