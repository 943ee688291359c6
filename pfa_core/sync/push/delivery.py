"""One commitment on its way to PEMS: looked at, compared, sent, settled. Every step may be cut off.

A write is known to PEMS by its key, and it bases on a version, so the very same request can be sent
again without harm: it is applied once or not at all. Before any send its key and version are put
down in the database (by the caller, between `prepare` and `send`); what was cut off after that is
settled by reading the record back, never by hope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.delta import FieldConflict, same, three_way
from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.model.push import Result, Sending, Task, Verdict
from pfa_core.pems.services.writer import Writer

MOST_GENERATIONS = 8  # in a row, before a record that keeps moving is left for later


@dataclass(frozen=True, slots=True)
class Again:
    """The record moved in PEMS while we looked: prepare the task once more."""

    task: Task


@dataclass(frozen=True, slots=True)
class Delivery:
    """How tasks go to one PEMS. `with_keys`: it knows idempotency keys."""

    writer: Writer
    ownership: Ownership
    with_keys: bool = True

    def direct(self, task: Task) -> Sending | None:
        """The sending of a task that needs no look at PEMS before: the mirror knows the version that
        its values are, nothing is in doubt, and no field conflicts. None: `prepare` it."""
        if self.writer.reads_first or task.revision is None or task.sent_version is not None:
            return None
        if three_way(task.base, task.delta, task.now) or self.writer.unwritable(task.delta):
            return None
        changes = _differing(task.delta, task.now)
        return Sending(task, task.delta, changes, task.revision) if changes else None

    def prepare(self, task: Task) -> Sending | Result:
        """Read the record and decide: what is there to send, and on which version?"""
        unwritable = self.writer.unwritable(task.delta)
        if unwritable and task.sent_version is None:
            return Result(
                task, Verdict.REJECTED, task.delta, FaultCode.UNWRITABLE_FIELD, unwritable
            )
        reading = self.writer.read(task.pfa_id)
        if isinstance(reading, Failure):
            return _troubled(task, reading, in_doubt=task.sent_version)
        if task.sent_version is not None:
            return self._settle_doubt(task, task.sent_version, reading)
        return self._decide(task, reading)

    def send(self, sending: Sending) -> Result | Again:
        """Send it; the caller has put its key and version down."""
        task = sending.task
        answer = self.writer.write(_write(task, sending.changes, sending.version))
        if isinstance(answer, Applied):
            return _applied(sending, answer)
        if isinstance(answer, Moved):
            anew = task.afresh()
            if anew.generation % MOST_GENERATIONS:
                return Again(anew)
            moving = Failure(
                FaultCode.VERSION_CONFLICT, "the record keeps changing in PEMS", RetryAdvice.RETRY
            )
            return _troubled(anew, moving, in_doubt=None)
        if answer.maybe_applied:
            return self._look_back(sending, answer)
        return _troubled(task, answer, in_doubt=None)

    def _look_back(self, sending: Sending, failure: Failure) -> Result:
        """No answer came: does PEMS have it? If not, or if it cannot be seen, it is tried later."""
        reading = self.writer.read(sending.task.pfa_id)
        if isinstance(reading, Reading) and _has_it(sending, reading):
            return _seen(sending.task, sending.delta, reading)
        return _troubled(sending.task, failure, in_doubt=sending.version)

    def _settle_doubt(self, task: Task, sent: str, reading: Reading) -> Sending | Result:
        """An earlier send on version `sent` may have arrived; what PEMS holds now tells."""
        if reading.version == sent:
            return self._decide(task, reading)
        if not _differing(task.delta, reading.record):
            return _seen(task, task.delta, reading)
        # The very same request: applied once, it is answered as then; else its version is refused.
        answer = self.writer.write(_write(task, task.delta, sent))
        if isinstance(answer, Applied):
            return _seen(task, task.delta, reading)
        if isinstance(answer, Failure) and answer.advice is not RetryAdvice.NONE:
            return _troubled(task, answer, in_doubt=sent)
        if isinstance(answer, Moved) and self._never_arrived(sent, reading):
            return self._decide(task.afresh(), reading)
        return _ask_about_everything(task, reading)

    def _never_arrived(self, sent: str, reading: Reading) -> bool:
        """Whether a write that was refused because the record moved was surely not applied before.

        A service that has to be read first knows no keys, whatever the profile says of PEMS, and its
        versions are moments, which do not count.
        """
        if self.writer.reads_first:
            return False
        return self.with_keys or _next_to(sent, reading.version)

    def _decide(self, task: Task, reading: Reading) -> Sending | Result:
        """Field by field: what conflicts, what does PEMS have already, what is left to send?"""
        owners = self.ownership.split(three_way(task.base, task.delta, reading.record))
        theirs = {conflict.field for conflict in owners[Owner.PEMS]}
        delta = {name: value for name, value in task.delta.items() if name not in theirs}
        if owners[Owner.ASK]:
            disputed = _disputed(task, delta, owners[Owner.ASK], reading)
            rebased = {conflict.field: conflict.pems for conflict in owners[Owner.MINE]}
            return replace(disputed, rebased=rebased)
        changes = _differing(delta, reading.record)
        note = f"PEMS keeps its {', '.join(sorted(theirs))}" if theirs else ""
        if not changes:
            return _seen(task, delta, reading, note or "PEMS has these values already")
        return Sending(task, delta, changes, reading.version, reading, note)


def _applied(sending: Sending, answer: Applied) -> Result:
    """PEMS took it; what its answer shows is newer than what was read before."""
    shown = answer.record
    return Result(
        sending.task,
        Verdict.SYNCED,
        sending.delta,
        message=sending.note,
        changes=sending.changes if shown is None else {},
        revision=answer.version or None,
        stamp=answer.stamp,
        reading=sending.reading if shown is None else Reading(answer.version, shown),
    )


def _has_it(sending: Sending, reading: Reading) -> bool:
    moved = reading.version != sending.version
    return moved and not _differing(sending.delta, reading.record)


def _differing(delta: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in delta.items() if not same(record.get(name), value)}


def _write(task: Task, changes: Mapping[str, Any], version: str) -> Write:
    return Write(task.pfa_id, changes, version, task.key, task.user_id, task.reason)


def _seen(
    task: Task, delta: Mapping[str, Any], reading: Reading, message: str = "seen by reading it back"
) -> Result:
    return Result(
        task,
        Verdict.SYNCED,
        delta,
        message=message,
        revision=reading.version,
        reading=reading,
    )


def _troubled(task: Task, failure: Failure, *, in_doubt: str | None) -> Result:
    final = failure.advice is RetryAdvice.NONE
    return Result(
        task,
        Verdict.REJECTED if final else Verdict.RETRYING,
        task.delta,
        failure.code,
        failure.message,
        failure=failure,
        in_doubt=in_doubt,
    )


def _disputed(
    task: Task, delta: Mapping[str, Any], conflicts: list[FieldConflict], reading: Reading
) -> Result:
    told = "; ".join(
        f"{item.field} was {_shown(item.base)}, PEMS has {_shown(item.pems)}, mine is"
        f" {_shown(item.mine)}"
        for item in conflicts
    )
    return Result(
        task,
        Verdict.CONFLICT,
        delta,
        FaultCode.BASELINE_CONFLICT,
        told,
        revision=reading.version,
        reading=reading,
        conflicts=tuple(conflicts),
    )


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)


def _ask_about_everything(task: Task, reading: Reading) -> Result:
    """Whether the send arrived and was changed again, or never arrived, cannot be told: without keys
    a person decides, field by field, rather than that a change is made twice."""
    conflicts = [
        FieldConflict(name, task.base.get(name), value, reading.record.get(name))
        for name, value in _differing(task.delta, reading.record).items()
    ]
    return _disputed(task, task.delta, conflicts, reading)


def _next_to(sent: str, now: str) -> bool:
    """Whether one write alone lies between two versions that count: then it was not ours."""
    return sent.isdecimal() and now.isdecimal() and int(now) == int(sent) + 1
