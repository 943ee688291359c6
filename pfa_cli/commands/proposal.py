"""Proposal of a commit that selects nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.framework.consent import confirmed
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.changes import amount_change
from pfa_cli.render.escape import visible
from pfa_cli.render.humanize import count

if TYPE_CHECKING:
    from pfa_core.drafts.summary import DraftSummary, SessionSummary

MOST_NAMED = 20


def propose(call: Invocation, talk: Talk) -> core.Selection | None:
    """Name all drafts by session, and ask whether to commit them.

    Returns:
        Exactly the drafts that were named; None where the answer is no. Without drafts, or in a dry run, all
        of them unasked.
    """
    database, principal = call.open()
    with ProgressLine(call.common, "draft", "reading drafts"):
        summary = core.summarize_drafts(database, principal)
    everything = core.Selection(everything=True)
    if not summary.sessions:
        return everything
    for line in _lines(summary):
        streams.say(visible(line))  # a part of the question, with --quiet too
    talk.mask(summary)
    if call.dry_run:
        return everything
    agreed = call.common.yes or _answer(summary)
    return core.Selection(expected_versions=summary.versions) if agreed else None


def _answer(summary: DraftSummary) -> bool:
    drafts = count(len(summary.versions), "draft")
    one = len(summary.versions) == 1
    return confirmed(f"commit {'this' if one else 'these'} {drafts}?")


def _lines(summary: DraftSummary) -> list[str]:
    """Describe each session in a line, the first twenty."""
    lines = [_line(session) for session in summary.sessions[:MOST_NAMED]]
    more = len(summary.sessions) - MOST_NAMED
    return [
        *lines,
        *([f"  and {count(more, 'session')} more; type: pfa status"] if more > 0 else []),
    ]


def _line(session: SessionSummary) -> str:
    numbers = f"{count(session.records, 'record')}, {count(session.fields, 'field')}"
    return f"  {session.session_id}: {numbers}{_cost(session)}"


def _cost(session: SessionSummary) -> str:
    if session.cost_effect is None:
        return ""
    change = amount_change(session.forecast_before, session.forecast_after, session.cost_effect)
    return f", forecast {change}"
