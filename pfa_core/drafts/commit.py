"""Committed drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING

from pfa_core.authorization import may_write_all, require_fields
from pfa_core.drafts.before import PART, whole
from pfa_core.drafts.extent import committed_extent
from pfa_core.drafts.rebase import Rebased, RecordConflict, Settled, Valid, rebase
from pfa_core.drafts.selection import (
    Selection,
    describe,
    modification_ids,
    require_selection,
    select_drafts,
)
from pfa_core.errors import Fault, FaultCode, GuardExcess, NoDrafts, VersionConflict
from pfa_core.guarding import Judge, Subject, checked_reason, open_judge
from pfa_core.model.audit import Action
from pfa_core.model.delta import Delta, same
from pfa_core.model.guards import Guards
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.ownership import Ownership
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import draft_writes, leases, modifications, overlays
from pfa_core.store.audit import Entry
from pfa_core.store.draft_writes import RebasedDraft
from pfa_core.store.modifications import Mark, ModificationRow, Sent
from pfa_core.store.suggestions import like_session

if TYPE_CHECKING:
    from pfa_core.drafts.plan import CommitPlan


_SUBJECT = Subject(
    what="the commit",
    kept="nothing was committed, the drafts are kept",
    fewer="fewer at once: `session_id`, `ids` or `where`",
)


@dataclass(frozen=True, slots=True)
class Committed:
    """A modification after commit or uncommit."""

    pfa_id: PfaId
    modification_id: ModificationId
    version: int


@dataclass(frozen=True, slots=True)
class KeptByPems:
    """A record, and its drafted fields of which PEMS keeps its values as their owner."""

    pfa_id: PfaId
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """The committed modifications, in PFA id order, and the other drafts.

    `conflicts`: those of drafts that stay behind (only with `partial`), `problems`: every reason why a
    draft does. `already_committed`: the number of the session's modifications committed before.
    `settled`: the PFA ids of drafts that were removed because nothing of them was left to commit: PEMS has
    their values, or keeps its own. `kept`: the fields that PEMS keeps because it owns them; `restore` makes
    what was drafted there a draft again. `overridden`: the limits that the commit was over. `suspended`: the
    organization exchanges nothing with PEMS, so that no push sends them.
    """

    session_id: str | None
    committed: list[Committed]
    conflicts: list[RecordConflict]
    already_committed: int
    settled: list[PfaId]
    problems: list[Fault]
    kept: list[KeptByPems] = field(default_factory=list)
    overridden: list[GuardExcess] = field(default_factory=list)
    suspended: bool = False


def _check(selection: Selection, *, override: str | None = None, **_: object) -> None:
    require_selection(selection)
    checked_reason(override)


@writes(Operation.COMMIT, own=True, check=_check)
def commit(
    tx: Tx,
    selection: Selection,
    *,
    partial: bool = False,
    ownership: Ownership | None = None,
    plan: CommitPlan | None = None,
    guards: Guards | None = None,
    override: str | None = None,
    dry_run: bool = False,
) -> CommitResult:
    """Commit the principal's drafts, all or none.

    Committed modifications stay visible in the live merge and wait for the next push. A field
    where PEMS already has the drafted value drops out, as does one that PEMS owns and has changed, of which the
    audit trail keeps the draft; a draft of which nothing is left is removed.
    Committing a session that is committed already changes nothing; the result says so.

    Args:
        partial: Commit the others when some are in conflict or invalid by now.
        ownership: Whose value wins where PEMS changed the field too; None: every such field is a conflict.
        plan: What the commit is to do (`plan_commit`); anything else is refused. `selection` is then
            `selection_of(plan)`.
        guards: The caller's own limits, beside those of the organization; the stricter of both holds.
        override: Why to commit although it is over a limit; the audit trail keeps it, and where no limit is
            exceeded nothing of it.

    Raises:
        NoDrafts: Nothing of the principal's matches the selection.
        VersionConflict: A draft was saved again since the caller read it, or something is not as planned.
        BaselineConflict: PEMS changed a field that a draft changes too.
        InvalidData: The baseline changed so that a merged record breaks a rule.
        GuardExceeded: More than a limit allows, and no `override`; the exception has the numbers.
        PermissionDenied: A draft changes a field that the principal may not write (any more); `override`
            without the right to; limits of money by a principal who may see none.
    """
    judge = open_judge(tx, guards, checked_reason(override), _SUBJECT)
    if plan is not None:
        from pfa_core.drafts.plan import require_as_planned

        require_as_planned(tx, plan)
    drafts = select_drafts(tx, selection)
    if not drafts:
        return _nothing_to_commit(tx, selection)
    _require_versions(drafts, selection)
    _require_writable(tx, drafts)
    outdated = modifications.outdated(tx.conn, tx.principal, drafts)
    up_to_date = [draft for draft in drafts if draft.modification_id not in outdated]
    stale = [draft for draft in drafts if draft.modification_id in outdated]
    rows = modifications.by_id(tx.conn, tx.principal, modification_ids(stale))
    rebased = rebase(tx, rows, ownership or Ownership())
    if not partial:
        rebased.require_all_valid(len(drafts))
    overridden = _judge(tx, judge, up_to_date, rebased, selection)
    done = _commit(tx, up_to_date, rebased, selection)
    return replace(done, overridden=overridden, suspended=not judge.exchanges)


def _judge(
    tx: Tx, judge: Judge, up_to_date: Sequence[Mark], rebased: Rebased, selection: Selection
) -> list[GuardExcess]:
    """Judge what the commit stores: drafts of which nothing is left are not among it."""
    deltas: dict[ModificationId, Delta] = {
        item.draft.modification_id: item.delta for item in rebased.valid
    }
    marks = _in_id_order([*up_to_date, *(item.draft for item in rebased.valid)])
    extent = committed_extent(tx, judge, marks, deltas)
    return judge.judge(tx, extent, session_id=selection.session_id)


def _commit(
    tx: Tx, up_to_date: Sequence[Mark], rebased: Rebased, selection: Selection
) -> CommitResult:
    # The database's clock: clocks of a user's computers that differ must not reorder committed changes.
    at = leases.clock(tx.conn)
    _audit_kept(tx, rebased, at)
    draft_writes.commit_up_to_date(tx.conn, tx.principal, up_to_date, at)
    draft_writes.commit_drafts(tx.conn, tx.principal, _ready(rebased), at)
    narrowed = [item for item in rebased.valid if not same(item.delta, item.draft.delta)]
    as_they_were = [item.draft for item in rebased.valid if same(item.delta, item.draft.delta)]
    tx.audit_of(Action.COMMIT, modification_ids(_in_id_order([*up_to_date, *as_they_were])), at=at)
    tx.audit(Action.COMMIT, [_narrowed_entry(tx, item) for item in narrowed], at=at)
    agreed = [item.draft for item in rebased.results if isinstance(item, Settled) and not item.kept]
    tx.audit_of(Action.SETTLE, modification_ids(agreed), at=at, after=False, base=True, was=True)
    draft_writes.delete_drafts(tx.conn, tx.principal, modification_ids(rebased.settled))
    _refresh_overlays(tx, rebased)
    done = _in_id_order([*up_to_date, *(item.draft for item in rebased.valid)])
    return CommitResult(
        session_id=selection.session_id,
        committed=raised(done),
        conflicts=rebased.conflicts,
        already_committed=0,
        settled=[draft.pfa_id for draft in rebased.settled],
        problems=rebased.problems(),
        kept=[
            KeptByPems(item.draft.pfa_id, tuple(one.field for one in item.kept))
            for item in rebased.kept
        ],
    )


def _audit_kept(tx: Tx, rebased: Rebased, at: datetime) -> None:
    """Record what was drafted where PEMS keeps its values, for a restore."""
    tx.audit(Action.SETTLE, [_kept_entry(tx, item) for item in rebased.kept], at=at)


def _kept_entry(tx: Tx, item: Valid | Settled) -> Entry:
    """Make the entry of a draft that goes, or of the fields that one loses."""
    draft = item.draft
    lost = draft.delta if isinstance(item, Settled) else [one.field for one in item.kept]
    return Entry(
        tx.new_id(),
        draft.pfa_id,
        modification_id=draft.modification_id,
        session_id=draft.session_id,
        before={name: draft.delta[name] for name in lost},
        base={name: draft.base.get(name) for name in lost},
        was=whole(draft) if isinstance(item, Settled) else {PART: True},
        reason=draft.change_reason,
    )


def _narrowed_entry(tx: Tx, item: Valid) -> Entry:
    """Make the entry of a draft that is committed without some of its fields."""
    draft = item.draft
    return Entry(
        tx.new_id(),
        draft.pfa_id,
        modification_id=draft.modification_id,
        session_id=draft.session_id,
        before=draft.delta,
        after=item.delta,
        reason=draft.change_reason,
    )


def _ready(rebased: Rebased) -> list[RebasedDraft]:
    return [
        RebasedDraft(item.draft.modification_id, item.delta, item.draft.version)
        for item in rebased.valid
    ]


def _in_id_order(rows: Sequence[Mark | ModificationRow]) -> list[Mark | ModificationRow]:
    return sorted(rows, key=attrgetter("pfa_id"))


def _refresh_overlays(tx: Tx, rebased: Rebased) -> None:
    """Rebuild the overlays of drafts that lost fields or were deleted."""
    narrowed = [item.draft.pfa_id for item in rebased.valid if item.delta != item.draft.delta]
    settled = [draft.pfa_id for draft in rebased.settled]
    overlays.refresh_overlays(tx.conn, tx.principal, [*narrowed, *settled])


def raised(rows: Sequence[Mark | Sent | ModificationRow]) -> list[Committed]:
    """Return the modifications with the version that a change of state has raised."""
    return [Committed(row.pfa_id, row.modification_id, row.version + 1) for row in rows]


def _nothing_to_commit(tx: Tx, selection: Selection) -> CommitResult:
    if selection.session_id and not selection.ids and not selection.narrows:
        states = modifications.states_of_session(tx.conn, tx.principal, selection.session_id)
        if states:
            return CommitResult(
                session_id=selection.session_id,
                committed=[],
                conflicts=[],
                already_committed=sum(states.values()),
                settled=[],
                problems=[],
            )
    raise no_drafts(tx, selection)


def no_drafts(tx: Tx, selection: Selection) -> NoDrafts:
    """Return the error of a selection without drafts."""
    name = selection.session_id
    like = like_session(tx.conn, tx.principal, name) if name and not selection.ids else ""
    return NoDrafts(
        f"no drafts of {tx.user_id} {describe(selection)}{like}", hint="type: pfa status"
    )


def _require_versions(drafts: Sequence[Mark], selection: Selection) -> None:
    found: dict[str, int] = {draft.pfa_id: draft.version for draft in drafts}
    faults = [
        Fault(
            pfa_id,
            "expectedVersion",
            FaultCode.VERSION_CONFLICT,
            f"the draft has version {found.get(pfa_id, 0)}, expected {version}",
        )
        for pfa_id, version in selection.expected_versions.items()
        if found.get(pfa_id, 0) != version
    ]
    if faults:
        raise VersionConflict(
            "drafts were saved again meanwhile, nothing was committed", details=faults
        )


def _require_writable(tx: Tx, drafts: Sequence[Mark]) -> None:
    if not may_write_all(tx.principal, tx.member):
        fields = modifications.fields_of(tx.conn, tx.principal, modification_ids(drafts))
        require_fields(tx.principal, tx.member, fields, tx.operation)
