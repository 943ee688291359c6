"""Page of the caller's status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import ago, records_behind
from pfa_cli.render.palette import STATES, Styled

if TYPE_CHECKING:
    from pfa_core.drafts.current_session import CurrentSession
    from pfa_core.status_summary import StatusReport


_STATES = {
    "archived": "archived: it is read and not changed here",
    "suspended": "suspended: nothing is exchanged with PEMS",
}


def status_text(
    report: StatusReport,
    look: Look,
    *,
    session: CurrentSession | None = None,
    chosen: bool = False,
) -> str:
    """Format the status as a page, with the command to type next.

    Args:
        session: The current one.
        chosen: The organization is that of `pfa org use`.
    """
    from pfa_cli.render.tables import card, next_step

    who = visible(f"{report.organization_id}, {report.user_id} ({report.role})")
    facts = [*_choices(report, session, chosen=chosen), *_facts(report)]
    parts = [card(who, facts, look)]
    if report.sessions:
        parts.append(_sessions(report, look))
    if report.runs:
        parts.append(_runs(report, look))
    if report.next_command:
        parts.append(next_step(report.next_command, look))
    return "\n\n".join(parts)


def _choices(
    report: StatusReport, session: CurrentSession | None, *, chosen: bool
) -> list[tuple[str, str]]:
    pairs = [("organization", f"{report.organization_id} (pfa org use)")] if chosen else []
    if session:
        pairs.append(("current session", f"{session.session_id} ({session.source})"))
    return [(name, visible(text)) for name, text in pairs]


def _facts(report: StatusReport) -> list[tuple[str, str]]:
    pairs = [
        *(
            [("organization is", state)]
            if (state := _STATES.get(report.organization_status))
            else []
        ),
        ("records", f"{report.record_count:,}"),
        *(
            [("pull from PEMS", f"interrupted {ago(report.pull_interrupted_at)}")]
            if report.pull_interrupted_at
            else []
        ),
        (
            "last pull" if not report.pull_interrupted_at else "last whole pull",
            ago(report.baseline_at),
        ),
        *(
            [("behind PEMS", records_behind(report.behind, report.behind_since))]
            if report.behind
            else []
        ),
        ("drafts", _marked(report.drafts, "draft")),
        ("waiting to be pushed", _marked(report.committed, "committed")),
        ("conflicts", _marked(report.conflicts, "conflict")),
    ]
    if report.sync_errors:
        pairs.append(("rejected by PEMS", _marked(report.sync_errors, "sync_error")))
    if report.overtaken:
        pairs.append(("overtaken by PEMS", _marked(report.overtaken, "conflict")))
    return pairs


def _marked(number: int, state: str) -> str:
    """Format a number of records, in the colour of their state."""
    return Styled(f"{number:,}", STATES[state] if number else "")


def _sessions(report: StatusReport, look: Look) -> str:
    from pfa_cli.render.kinds import Column, Kind
    from pfa_cli.render.tables import grid

    rows = [
        [
            item.session_id,
            str(item.state),
            f"{item.records:,}",
            ago(item.last_change),
            f"{item.overtaken:,}" if item.overtaken else "",
        ]
        for item in report.sessions
    ]
    columns = (
        Column(name="session", kind=Kind.KEY),
        Column(name="state", kind=Kind.STATE, role="state"),
        Column(name="records", kind=Kind.NUMBER, rank=1),
        Column(name="last change", kind=Kind.STATE, rank=3),
        Column(name="overtaken", kind=Kind.NUMBER, rank=2),
    )
    return grid(columns, rows, look, numeric=frozenset((2, 4)))


def _runs(report: StatusReport, look: Look) -> str:
    from pfa_cli.render.kinds import Column, Kind
    from pfa_cli.render.tables import grid

    rows = [
        [run.direction, str(run.status), ago(run.started_at), run.user_id, run.source]
        for run in report.runs
    ]
    columns = (
        Column(name="last runs", kind=Kind.KEY),
        Column(name="status", kind=Kind.STATE, role="state"),
        Column(name="started", kind=Kind.STATE, rank=1),
        Column(name="by", rank=2),
        Column(name="from", rank=3),
    )
    return grid(columns, rows, look)
