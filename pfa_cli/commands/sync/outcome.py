"""Outcome of a push, in sentences and an exit code."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from pfa_cli.framework.talk import Talk
from pfa_cli.render.humanize import count
from pfa_cli.render.runs import push_summary, sent
from pfa_core.errors import BaselineConflict, FaultCode, PemsRejected, PemsUnavailable
from pfa_core.model.run import RunStatus

if TYPE_CHECKING:
    from pfa_core.sync.push.options import PushResult

SHOWN_FAULTS = 20
DEADLINE_PASSED = "DEADLINE_PASSED"


def report_push(talk: Talk, result: PushResult) -> int:
    """Say what is not in PEMS and how to continue, and return the exit code."""
    if result.blocked and result.status is not RunStatus.SKIPPED:
        blocked = count(result.blocked, "change")
        talk.say(f"{blocked} blocked by a conflict or a dead letter of the same record")
        talk.hint("pfa conflict list; pfa sync retry --dry-run")
    sentence = _sentence(result)
    if sentence is not None:
        talk.say(sentence)
        return 0
    return talk.partly_done(
        push_summary(result, deadline_passed=_deadline_passed(result)),
        _code(result),
        list(result.problems[:SHOWN_FAULTS]),
        _hint(result),
        retryable=_code(result) in (DEADLINE_PASSED, PemsUnavailable.code),
    )


def _sentence(result: PushResult) -> str | None:
    """Describe a push after which nothing failed; None where something did."""
    left = result.waiting - result.blocked
    unsent = left + result.retrying
    failed = result.conflicts or result.rejected or result.altered
    in_time = not _deadline_passed(result)
    interrupted = f"{sent(result)}; {unsent:,} not sent yet; run pfa sync push to continue"
    later = _later(result)
    outcomes = (
        (result.status is RunStatus.SKIPPED, f"skipped: {result.message}"),
        (result.interrupted and unsent and not failed, interrupted),
        (in_time and not result.total and later, f"nothing was pushed{later}"),
        (in_time and not result.total and result.waiting, "nothing was pushed"),
        (in_time and not result.total, "nothing to push"),
        (
            in_time and result.total == result.synced and left and not failed,
            f"{sent(result)}, {left:,} left",
        ),
        (in_time and result.total == result.synced and not failed, sent(result)),
    )
    return next((text for applies, text in outcomes if applies), None)


def _later(result: PushResult) -> str:
    due = result.next_attempt_at
    return (
        f"; what failed before waits until {due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        if due
        else ""
    )


def _deadline_passed(result: PushResult) -> bool:
    from pfa_core.model.push import StopReason

    return result.stop_reason is StopReason.DEADLINE


def _code(result: PushResult) -> str:
    """Return the code of the most serious failure."""
    codes = (
        (result.rejected, PemsRejected.code),
        (result.conflicts, BaselineConflict.code),
        (_deadline_passed(result), DEADLINE_PASSED),
        (result.altered and not result.retrying, FaultCode.PEMS_ALTERED),
    )
    return next((code for applies, code in codes if applies), PemsUnavailable.code)


def _hint(result: PushResult) -> str:
    run = result.run_id
    late = _deadline_passed(result) and not result.retrying
    hints = (
        (result.conflicts, "conflicts: pfa conflict list"),
        (result.rejected, f"rejected: pfa sync show {run}, then pfa sync retry {run}"),
        (result.retrying, "waiting for a retry: run pfa sync push again"),
        (result.altered, f"stored with other values: pfa sync show {run}"),
        (late, "to continue: pfa sync push"),
    )
    return "\n".join(text for applies, text in hints if applies)
