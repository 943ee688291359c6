"""Pulls and pushes as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import count
from pfa_cli.render.palette import STATES, Styled

if TYPE_CHECKING:
    from pfa_core.model.run import Run
    from pfa_core.sync.pull.options import PullResult
    from pfa_core.sync.push.options import PushResult

PULL_COUNTS = ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")
PUSH_COUNTS = ("total", "synced", "altered", "rejected", "conflicts", "retrying")


def pull_text(result: PullResult, look: Look, *, from_pems: bool) -> str:
    """Format the counts of a pull, one a line.

    Files mark nothing as missing: without that number.
    """
    names = PULL_COUNTS if from_pems else [name for name in PULL_COUNTS if name != "missing"]
    return _counted(result, names, look)


def passed_over(result: PullResult) -> list[str]:
    """Say what a pull read in another form than it came, or not at all."""
    lines: list[str] = []
    if result.normalized:
        what = (
            "blanks or letter forms of its keys"
            if result.normalized == 1
            else "blanks or letter forms of their keys"
        )
        lines.append(f"{count(result.normalized, 'record')} stored without {what}")
    empty = [
        count(number, noun)
        for number, noun in (
            (result.empty_rows, "empty row"),
            (result.empty_columns, "empty column"),
        )
        if number
    ]
    if empty:
        lines.append(f"passed over: {' and '.join(empty)}")
    return lines


def push_text(result: PushResult, look: Look) -> str:
    """Format the counts of a push, one a line; empty for one that did not run."""
    return "" if result.run_id is None else _counted(result, (*PUSH_COUNTS, "recovered"), look)


def push_summary(result: PushResult, *, deadline_passed: bool) -> str:
    """Summarize a push that did not bring every change to PEMS."""
    numbers = (
        (result.conflicts, "in conflict"),
        (result.rejected, "rejected"),
        (result.retrying, "waiting for a retry"),
        (result.altered, "stored with other values"),
    )
    problems = ", ".join(f"{number:,} {text}" for number, text in numbers if number)
    left = result.waiting - result.blocked
    rest = f", {left:,} not sent yet" if left else ""
    late = "the deadline passed" if deadline_passed else ""
    return "; ".join(part for part in (late, problems, f"{sent(result)}{rest}") if part)


def sent(result: PushResult) -> str:
    """Say how many changes PEMS has now."""
    return f"{count(result.synced, 'change')} sent to PEMS"


def run_counts(run: Run, *, total: bool = True) -> str:
    """Format the counts of a run that are not zero.

    Files mark nothing as missing: without that number.

    Args:
        total: The total too, where others are its parts.
    """
    found = {name: number for name, number in run.counts.items() if number}
    if run.is_of_files:
        found.pop("missing", None)
    if not total and len(found) > 1:
        found.pop("total", None)
    return ", ".join(f"{name} {number:,}" for name, number in found.items())


def run_heading(run: Run) -> list[str]:
    """Describe a run in a few lines."""
    lines = [f"{run.direction} {run.run_id}: {run.status}, by {run.user_id} from {run.source}"]
    return [*lines, *(text for text in (run_counts(run), run.message) if text)]


def _counted(result: PullResult | PushResult, names: Sequence[str], look: Look) -> str:
    from pfa_cli.render.tables import facts

    numbers = [(name, getattr(result, name)) for name in names]
    shown = [(name, number) for name, number in numbers if number or name == "total"]
    width = max(len(f"{number:,}") for _, number in shown)
    status = Styled(result.status, STATES.get(result.status, ""))
    aligned = [(name, f"{number:>{width},}") for name, number in shown]
    return facts([("run", result.run_id), ("status", status), *aligned], look)
