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
from pfa_core.model.delta import FieldChange, FieldConflict, same, three_way
from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.model.push import Result, Sending, Task, Verdict
from pfa_core.pems.services.writer import Writer
from pfa_core.sync.push.arrival import Origin, Sent, origin_of

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
            return _unwritable(task, unwritable, in_doubt=None)
        reading = self.writer.read(task.pfa_id)
        if isinstance(reading, Failure):
            return _unreadable(task, reading)
        if task.sent_version is not None:
            return self._resolve_doubt(task, task.sent_version, reading, unwritable)
        return self._decide(task, reading)

    def send(self, sending: Sending) -> Result | PrepareAgain:
        """Send a change whose key and version the caller has recorded."""
        task = sending.task
        answer = self.writer.write(_write(task, sending.changes, sending.version))
        if isinstance(answer, Applied):
            return self._verified(sending, answer)
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

    def _verified(self, sending: Sending, answer: Applied) -> Result:
        """Compare what PEMS stored with what was sent.

        Where the answer does not show all of it, the record is read back; where that fails the change stays
        in doubt, so that a later attempt reads what PEMS made of it.
        """
        shown = answer.record or {}
        if sending.changes.keys() <= shown.keys():
            return _applied(sending, answer)
        reading = self.writer.read(sending.task.pfa_id)
        if isinstance(reading, Failure):
            return _unread(sending, reading)
        if reading.version != answer.version:  # what became of this write is not known any more
            note = "; ".join(filter(None, (sending.note, "changed in PEMS again at once")))
            return _seen(sending.task, sending.delta, reading, note)
        return _applied(sending, replace(answer, record={**shown, **reading.record}))

    def _read_back(self, sending: Sending, failure: Failure) -> Result:
        """Resolve a send without an answer.

        Where PEMS does not show the change, it is retried later. One that it altered is recognized here only
        without keys, which say more at the next attempt.
        """
        task = sending.task
        reading = self.writer.read(task.pfa_id)
        if isinstance(reading, Failure) or reading.version == sending.version:
            return _failed(task, failure, in_doubt=sending.version)
        if not _differing(sending.delta, reading.record):
            return _seen(task, sending.delta, reading)
        if not self._keyed:
            sent = self._sent(task, sending.version, sending.changes, sending.reading)
            if self._origin(sent, reading) is Origin.OWN:
                return _seen(task, sending.delta, reading, changes=sending.changes)
        return _failed(task, failure, in_doubt=sending.version)

    def _resolve_doubt(
        self, task: Task, sent: str, reading: Reading, unwritable: str
    ) -> Sending | Result:
        """Resolve an earlier send on version `sent` by what PEMS holds now.

        Args:
            unwritable: Why the change cannot be sent again; empty when it can.
        """
        unchanged = reading.version == sent
        if not unchanged and not _differing(task.delta, reading.record):
            return _seen(task, task.delta, reading)
        if unchanged and not unwritable:
            return self._decide(task, reading)
        origin = Origin.OTHER
        if not unchanged:
            origin = self._origin(self._sent(task, sent, task.sent), reading)
        if origin is Origin.OWN and (unwritable or not self._keyed):
            return _seen(task, task.delta, reading, changes=task.sent)
        if unwritable:
            in_doubt = None if origin is Origin.OTHER else sent
            return _unwritable(task, unwritable, in_doubt=in_doubt)
        return self._ask_again(task, sent, reading, origin)

    def _ask_again(
        self, task: Task, sent: str, reading: Reading, origin: Origin
    ) -> Sending | Result:
        """Send the same request again, byte by byte.

        If it was applied its answer is repeated, else its version is rejected; what PEMS refuses for good
        before it looks at the version is refused for good.
        """
        answer = self.writer.write(_write(task, task.sent, sent))
        if isinstance(answer, Applied):
            altered = answer.version == reading.version
            return _seen(task, task.delta, reading, changes=task.sent if altered else {})
        never_arrived = self._keyed or origin is Origin.OTHER
        if isinstance(answer, Failure):
            final = answer.advice is RetryAdvice.NONE
            return _failed(task, answer, in_doubt=None if final and never_arrived else sent)
        if never_arrived:
            return self._decide(task.next_generation(), reading)
        return _all_disputed(task, reading)

    @property
    def _keyed(self) -> bool:
        """Return whether PEMS repeats its answer to a write that it applied before.

        A service that has to be read first knows no keys, whatever the profile says of PEMS.
        """
        return self.with_keys and not self.writer.reads_first

    def _sent(
        self,
        task: Task,
        version: str,
        changes: Mapping[str, Any],
        before: Reading | None = None,
    ) -> Sent:
        return Sent(
            version=version,
            changes=changes,
            names=self.writer.names_of(task.user_id),
            before=before,
            known=task.now if task.revision == version else task.base,
            recorded=task.revision,
        )

    def _origin(self, sent: Sent, reading: Reading) -> Origin:
        return origin_of(sent, reading, consecutive=not self.writer.reads_first)

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

    What the answer shows is newer than what was sent, which is newer than what was read before.
    """
    shown = answer.record or {}
    reading = sending.reading
    if shown.keys() - sending.changes.keys():
        before = reading.record if reading else {}
        reading = Reading(answer.version, {**before, **shown})
    result = Result(
        task=sending.task,
        verdict=Verdict.SYNCED,
        delta=sending.delta,
        message=sending.note,
        changes={name: shown.get(name, value) for name, value in sending.changes.items()},
        revision=answer.version or None,
        stamp=answer.stamp,
        reading=reading,
    )
    return _altered(result, sending.changes, shown)


def _altered(result: Result, sent: Mapping[str, Any], stored: Mapping[str, Any]) -> Result:
    """Add to a result the fields of which PEMS stored another value than was sent."""
    altered = tuple(
        FieldChange(name, value, stored[name])
        for name, value in sent.items()
        if name in stored and not same(stored[name], value)
    )
    if not altered:
        return result
    fields = "; ".join(
        f"PEMS stored {item.field} {_shown(item.after)}, sent was {_shown(item.before)}"
        for item in altered
    )
    message = "; ".join(filter(None, (fields, result.message)))
    return replace(result, code=FaultCode.PEMS_ALTERED, message=message, altered=altered)


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
    task: Task,
    delta: Mapping[str, Any],
    reading: Reading,
    message: str = "seen by reading it back",
    changes: Mapping[str, Any] | None = None,
) -> Result:
    """Return the result of a change that PEMS holds.

    `changes` are what the change's own write sent, where `reading` shows what became of it.
    """
    result = Result(
        task=task,
        verdict=Verdict.SYNCED,
        delta=delta,
        message=message,
        revision=reading.version,
        reading=reading,
    )
    return _altered(result, changes or {}, reading.record)


def _unwritable(task: Task, reason: str, *, in_doubt: str | None) -> Result:
    return Result(
        task=task,
        verdict=Verdict.REJECTED,
        delta=task.delta,
        code=FaultCode.UNWRITABLE_FIELD,
        message=reason,
        in_doubt=in_doubt,
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


def _unread(sending: Sending, failure: Failure) -> Result:
    """Return the result of an applied send of which it is not known what PEMS stored.

    Whatever the reason, it is retried: the change is in PEMS, and may be there with other values.
    """
    passes = failure.advice is not RetryAdvice.NONE
    again = failure if passes else replace(failure, advice=RetryAdvice.RETRY)
    message = f"PEMS applied it, what it stored was not read back: {failure.message}"
    return _failed(sending.task, replace(again, message=message), in_doubt=sending.version)


def _unreadable(task: Task, failure: Failure) -> Result:
    """Return the result of a task whose record cannot be read.

    That of one that was sent before says so.
    """
    if task.sent_version is not None:
        message = f"sent before, not read back: {failure.message}"
        failure = replace(failure, message=message)
    return _failed(task, failure, in_doubt=task.sent_version)


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
