"""The caller's local operations: listed, and chosen to be taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pfa_core.errors import IllegalTransition, InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.archives import LogArchive
from pfa_core.model.operations import (
    LocalOperation,
    OperationKind,
    Step,
    last_to_redo,
    last_to_undo,
    undone,
)
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import archives, operations
from pfa_core.store.operations import Facts

_LOOKED_AT = 200  # entries, one or a few of each operation


def _check_list(*, limit: int = 10) -> None:
    require_limit(limit)


@reads(Operation.LIST_OPERATIONS, check=_check_list)
def list_operations(tx: Tx, *, limit: int = 10) -> list[LocalOperation]:
    """List the principal's local operations, the last first.

    Each says what undoing it does. Those that were taken back, the undos that did it and the redos are among them.

    Args:
        limit: The maximum number.
    """
    after = archives.end_of(archives.last(tx.conn, tx.organization_id)).number
    looked_at = max(_LOOKED_AT, 4 * limit)
    steps, everything = operations.latest(tx.conn, tx.principal, looked_at, after=after)
    while len(steps) < limit and not everything:
        looked_at *= 16
        steps, everything = operations.latest(tx.conn, tx.principal, looked_at, after=after)
    taken_back, shown = undone(steps), steps[:limit]
    facts = operations.facts(tx.conn, tx.principal, [step.number for step in shown])
    return [
        _listed(step, facts[step.number], taken_back=step.number in taken_back) for step in shown
    ]


def _listed(step: Step, facts: Facts, *, taken_back: bool) -> LocalOperation:
    return LocalOperation(
        operation=step.number,
        kind=step.kind,
        at=facts.at,
        records=facts.records,
        drafted=facts.drafted,
        changed=facts.changed,
        ended=facts.ended,
        sessions=tuple(facts.sessions or ()),
        pfa_id=facts.pfa_id if facts.records == 1 else None,
        takes_back=step.target if step.again is None else step.again,
        undone=taken_back,
        undoing=_undoing(step, facts, taken_back=taken_back),
    )


def _undoing(step: Step, facts: Facts, *, taken_back: bool) -> str:
    """Return what taking back does, or why it is not possible."""
    if taken_back:
        return "taken back already"
    match step.kind:
        case OperationKind.REDO:
            return f"undo {step.again} instead"
        case OperationKind.RESOLVE:
            return "not possible: a decision in a conflict is final"
        case _ if facts.sent:
            return f"not possible: {facts.sent:,} sent; {_instead(facts)}"
        case OperationKind.UNDO:
            return f"does operation {step.target} again"
        case OperationKind.COMMIT:
            made = facts.records - facts.ended
            return _joined(
                f"makes {_drafts(made)} again" if made else "",
                f"brings back {facts.ended:,} dropped" if facts.ended else "",
            )
        case OperationKind.UNCOMMIT:
            return f"commits {_drafts(facts.records)} again"
        case _:
            return _joined(
                f"deletes {_drafts(facts.drafted)}" if facts.drafted else "",
                f"sets {_drafts(facts.changed)} back" if facts.changed else "",
                f"brings {_drafts(facts.ended)} back" if facts.ended else "",
            )


def _instead(facts: Facts) -> str:
    """Return what to type instead; a revert is of what PEMS has taken."""
    if facts.in_pems:
        return f"pfa revert --session {shell.word(facts.in_pems[0])}"
    return f"why: pfa undo {facts.number} --dry-run"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _drafts(number: int) -> str:
    return f"{number:,} draft{'' if number == 1 else 's'}"


def choose(tx: Tx, number: int | None, *, redo: bool) -> tuple[Step, Step]:
    """Choose the operation to take back; return it, and the operation that is meant.

    They differ where an undo is taken back: what it took back is meant.

    Raises:
        NotFound: There is none.
        IllegalTransition: It is taken back already, or never is.
    """
    archive = archives.last(tx.conn, tx.organization_id)
    if number is not None:
        step = _named(tx, number, archive)
    else:
        step = _last(tx, last_to_redo if redo else last_to_undo, archive)
        if step is None:
            what = "no undo of yours is in effect" if redo else "nothing of yours is left to undo"
            if archive:
                what = f"{what}; operations of before {archive.day} are archived"
            raise NotFound(what, hint="type: pfa undo --list")
    if step.kind is OperationKind.RESOLVE:
        raise IllegalTransition(
            f"operation {step.number} decided conflicts, which is final",
            hint="an earlier operation: pfa undo NUMBER, of: pfa undo --list",
        )
    if step.kind is not OperationKind.UNDO or step.target is None:
        return step, step
    meant = operations.step(tx.conn, tx.principal, step.target)
    return step, meant or step


def _named(tx: Tx, number: int, archive: LogArchive | None) -> Step:
    if not 0 < number < 2**63:
        raise InvalidRequest(f"not the number of an operation: {number}")
    if archive and number <= archive.last:
        raise IllegalTransition(
            f"operation {number} cannot be taken back: it is of before {archive.day}, and archived",
            hint="what it left is changed by: pfa draft set, pfa discard, pfa uncommit, pfa revert",
        )
    step = operations.step(tx.conn, tx.principal, number)
    if step is None:
        raise NotFound(f"no operation {number} of {tx.user_id}", hint="type: pfa undo --list")
    if step.kind is OperationKind.REDO:
        raise IllegalTransition(
            f"operation {number} did operation {step.again} again",
            hint=f"type: pfa undo {step.again}",
        )
    if operations.is_undone(tx.conn, tx.principal, number):
        again = "--redo" if step.kind is not OperationKind.UNDO else "--list"
        raise IllegalTransition(
            f"operation {number} is taken back already", hint=f"type: pfa undo {again}"
        )
    return step


def _last(
    tx: Tx, find: Callable[[Sequence[Step]], Step | None], archive: LogArchive | None
) -> Step | None:
    looked_at, after = _LOOKED_AT, archives.end_of(archive).number
    while True:
        steps, everything = operations.latest(tx.conn, tx.principal, looked_at, after=after)
        found = find(steps)
        if found or everything:
            return found
        looked_at *= 8
