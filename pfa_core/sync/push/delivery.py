"""The delivery of one change to PEMS.

The steps are read, compare and send; every step may be interrupted. A write has an idempotency key and
a base version, so the same request can be sent again without harm: it is applied once or not at all.
Before any send its key and version are recorded in the database (by the caller, between `prepare` and
`send`); a send that was interrupted after that is resolved by reading the record back.
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

MOST_GENERATIONS = 8  # in a row, before a record that keeps changing in PEMS is retried later


@dataclass(frozen=True, slots=True)
class PrepareAgain:
    """The record changed in PEMS since it was read: prepare the task once more."""

    task: Task


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way to one PEMS; `with_keys`: it knows idempotency keys."""

    writer: Writer
    ownership: Ownership
    with_keys: bool = True

    def without_reading(self, task: Task) -> Sending | None:
        """Return the sending of a task that PEMS need not be read for; None: `prepare` it.

        The mirror knows the version of its values, nothing is in doubt, and no field conflicts.
        """
        if self.writer.reads_first or task.revision is None or task.sent_version is not None:
            return None
        if three_way(task.base, task.delta, task.now) or self.writer.unwritable(task.delta):
            return None
        changes = _differing(task.delta, task.now)
        if not changes:
            return None
        return Sending(task=task, delta=task.delta, changes=changes, version=task.revision)

    def prepare(self, task: Task) -> Sending | Result:
        """Read the record, and decide what to send on which version."""
        unwritable = self.writer.unwritable(task.delta)
        if unwritable and task.sent_version is None:
            return Result(
                task=task,
                verdict=Verdict.REJECTED,
                delta=task.delta,
                code=FaultCode.UNWRITABLE_FIELD,
                message=unwritable,
            )
        reading = self.writer.read(task.pfa_id)
        if isinstance(reading, Failure):
            return _failed(task, reading, in_doubt=task.sent_version)
        if task.sent_version is not None:
            return self._resolve_doubt(task, task.sent_version, reading)
        return self._decide(task, reading)

    def send(self, sending: Sending) -> Result | PrepareAgain:
        """Send a change whose key and version the caller has recorded."""
        task = sending.task
        answer = self.writer.write(_write(task, sending.changes, sending.version))
        if isinstance(answer, Applied):
            return _applied(sending, answer)
        if isinstance(answer, Moved):
            anew = task.next_generation()
            if anew.generation % MOST_GENERATIONS:
                return PrepareAgain(anew)
            unstable = Failure(
                FaultCode.VERSION_CONFLICT, "the record keeps changing in PEMS", RetryAdvice.RETRY
            )
            return _failed(anew, unstable, in_doubt=None)
        if answer.maybe_applied:
            return self._read_back(sending, answer)
        return _failed(task, answer, in_doubt=None)

    def _read_back(self, sending: Sending, failure: Failure) -> Result:
        """Resolve a send without an answer.

        Where PEMS does not show the change, it is retried later.
        """
        reading = self.writer.read(sending.task.pfa_id)
        if isinstance(reading, Reading) and _has_it(sending, reading):
            return _seen(sending.task, sending.delta, reading)
        return _failed(sending.task, failure, in_doubt=sending.version)

    def _resolve_doubt(self, task: Task, sent: str, reading: Reading) -> Sending | Result:
        """Resolve an earlier send on version `sent` by what PEMS holds now."""
        if reading.version == sent:
            return self._decide(task, reading)
        if not _differing(task.delta, reading.record):
            return _seen(task, task.delta, reading)
        # The same request again: if it was applied its answer is repeated, else its version is rejected.
        answer = self.writer.write(_write(task, task.delta, sent))
        if isinstance(answer, Applied):
            return _seen(task, task.delta, reading)
        if isinstance(answer, Failure) and answer.advice is not RetryAdvice.NONE:
            return _failed(task, answer, in_doubt=sent)
        if isinstance(answer, Moved) and self._never_arrived(sent, reading):
            return self._decide(task.next_generation(), reading)
        return _all_disputed(task, reading)

    def _never_arrived(self, sent: str, reading: Reading) -> bool:
        """Return whether a write with a rejected version was certainly not applied before.

        A service that has to be read first knows no keys, whatever the profile says of PEMS, and its
        versions are times, which are not consecutive.
        """
        if self.writer.reads_first:
            return False
        return self.with_keys or _is_next(sent, reading.version)

    def _decide(self, task: Task, reading: Reading) -> Sending | Result:
        """Split the fields of a change by what is to be done with them.

        Some are in conflict, some PEMS already has, and the others are to be sent.
        """
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
        return Sending(
            task=task,
            delta=delta,
            changes=changes,
            version=reading.version,
            reading=reading,
            note=note,
        )


def _applied(sending: Sending, answer: Applied) -> Result:
    """Return the result of an applied send.

    The answer of the send is newer than what was read before.
    """
    shown = answer.record
    return Result(
        task=sending.task,
        verdict=Verdict.SYNCED,
        delta=sending.delta,
        message=sending.note,
        changes=sending.changes if shown is None else {},
        revision=answer.version or None,
        stamp=answer.stamp,
        reading=sending.reading if shown is None else Reading(answer.version, shown),
    )


def _has_it(sending: Sending, reading: Reading) -> bool:
    changed = reading.version != sending.version
    return changed and not _differing(sending.delta, reading.record)


def _differing(delta: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in delta.items() if not same(record.get(name), value)}


def _write(task: Task, changes: Mapping[str, Any], version: str) -> Write:
    return Write(
        pfa_id=task.pfa_id,
        changes=changes,
        version=version,
        key=task.key,
        modified_by=task.user_id,
        reason=task.reason,
    )


def _seen(
    task: Task, delta: Mapping[str, Any], reading: Reading, message: str = "seen by reading it back"
) -> Result:
    return Result(
        task=task,
        verdict=Verdict.SYNCED,
        delta=delta,
        message=message,
        revision=reading.version,
        reading=reading,
    )


def _failed(task: Task, failure: Failure, *, in_doubt: str | None) -> Result:
    final = failure.advice is RetryAdvice.NONE
    return Result(
        task=task,
        verdict=Verdict.REJECTED if final else Verdict.RETRYING,
        delta=task.delta,
        code=failure.code,
        message=failure.message,
        failure=failure,
        in_doubt=in_doubt,
    )


def _disputed(
    task: Task, delta: Mapping[str, Any], conflicts: list[FieldConflict], reading: Reading
) -> Result:
    message = "; ".join(
        f"{item.field} was {_shown(item.base)}, PEMS has {_shown(item.pems)}, mine is"
        f" {_shown(item.mine)}"
        for item in conflicts
    )
    return Result(
        task=task,
        verdict=Verdict.CONFLICT,
        delta=delta,
        code=FaultCode.BASELINE_CONFLICT,
        message=message,
        revision=reading.version,
        reading=reading,
        conflicts=tuple(conflicts),
    )


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)


def _all_disputed(task: Task, reading: Reading) -> Result:
    """Return every differing field as a conflict.

    Without keys it is unknown whether the send arrived and was overwritten, or never arrived: a user
    decides, so that no change is made twice.
    """
    conflicts = [
        FieldConflict(name, task.base.get(name), value, reading.record.get(name))
        for name, value in _differing(task.delta, reading.record).items()
    ]
    return _disputed(task, task.delta, conflicts, reading)


def _is_next(sent: str, now: str) -> bool:
    """Return whether exactly one write lies between two versions.

    If so, it was another writer's.
    """
    return sent.isdecimal() and now.isdecimal() and int(now) == int(sent) + 1
