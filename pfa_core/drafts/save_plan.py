"""The plan of a save: new drafts, updates, refusals; without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_faults import fault_of, placed
from pfa_core.errors import Fault, FaultCode
from pfa_core.model.delta import Change, Delta, check, merge, same
from pfa_core.model.ids import EntryId, ModificationId, OrganizationId, PfaId, SessionId
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import DraftUpdate, ModificationRow, NewDraft


class SaveStatus(StrEnum):
    """What a save did with a draft; `unchanged`: no new version, nothing written."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Saved:
    """A draft after a save."""

    pfa_id: PfaId
    modification_id: ModificationId
    version: int
    status: SaveStatus


@dataclass(frozen=True, slots=True)
class Origin:
    """The session of a restored draft, and the audit entry of its discard."""

    session_id: SessionId
    entry_id: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOptions:
    """The treatment of existing drafts and of faults.

    Args:
        session_id: Groups the drafts. None: existing drafts keep theirs, new ones get a fresh one.
        replace: The delta replaces that of the draft instead of being merged into it.
        move: Drafts of other sessions move into this one instead of being refused.
        partial: The valid changes are saved when others are not.
        origins: Of drafts that are restored, by PFA id.
    """

    session_id: str | None = None
    replace: bool = False
    move: bool = False
    partial: bool = False
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDraftPlan:
    """A record that gets a draft.

    `only_modification`: it will be the record's only active modification of the caller. `restores`: the
    audit entry of the discard that it reverts.
    """

    pfa_id: PfaId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    change_reason: str | None
    only_modification: bool
    restores: EntryId | None

    def row(self, modification_id: ModificationId) -> NewDraft:
        """Return the row to insert."""
        return NewDraft(
            modification_id=modification_id,
            pfa_id=self.pfa_id,
            session_id=self.session_id,
            delta=self.delta,
            base=self.base,
            base_version=self.base_version,
            change_reason=self.change_reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftUpdatePlan:
    """An existing draft after a change; `changed`: not the same as before."""

    draft: ModificationRow
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    only_modification: bool
    changed: bool

    @property
    def pfa_id(self) -> PfaId:
        """Return the record's id."""
        return self.draft.pfa_id

    def row(self) -> DraftUpdate:
        """Return the row to update."""
        return DraftUpdate(
            modification_id=self.draft.modification_id,
            session_id=self.session_id,
            delta=self.delta,
            base=self.base,
            change_reason=self.change_reason,
            version=self.draft.version,
        )


Plan = NewDraftPlan | DraftUpdatePlan


def plan_changes(
    changes: Iterable[Change],
    records: Mapping[str, CurrentRecord],
    options: SaveOptions,
    *,
    organization_id: OrganizationId,
    session_id: SessionId,
) -> tuple[list[Plan], list[Fault]]:
    """Plan the changes, in their order; return the faults of those refused.

    Args:
        changes: Clean, each record once.
        records: By PFA id; none for a record that does not exist.
        session_id: The session of new drafts.
    """
    plans: list[Plan] = []
    faults: list[Fault] = []
    for change in changes:
        current = records.get(change.pfa_id)
        if current is None:
            planned = [fault_of(change, "", FaultCode.NOT_FOUND, f"not found in {organization_id}")]
        else:
            planned = _planned(change, current, options, session_id)
        if isinstance(planned, list):
            faults += placed(planned, change)
        else:
            plans.append(planned)
    return plans, faults


def _planned(
    change: Change, current: CurrentRecord, options: SaveOptions, session_id: SessionId
) -> Plan | list[Fault]:
    """Return the plan of a change, or why there is none."""
    if faults := _refused(change, current.draft, options):
        return faults
    plan = _plan(change, current, options, session_id)
    return check(change.pfa_id, current.without_draft(), plan.delta) or plan


def _refused(change: Change, draft: ModificationRow | None, options: SaveOptions) -> list[Fault]:
    version = draft.version if draft else 0
    if change.expected_version not in (None, version):
        reason = f"the draft has version {version}, expected {change.expected_version}"
        return [fault_of(change, "expectedVersion", FaultCode.VERSION_CONFLICT, reason)]
    if draft and options.session_id not in (None, draft.session_id) and not options.move:
        reason = f"its draft belongs to session {draft.session_id!r}; `move` moves it into this one"
        return [fault_of(change, "sessionId", FaultCode.SESSION_MISMATCH, reason)]
    return []


def _plan(
    change: Change, current: CurrentRecord, options: SaveOptions, session_id: SessionId
) -> Plan:
    draft = current.draft
    if draft is None:
        return _new_draft(change, current, options.origins.get(change.pfa_id), session_id)
    own = draft.session_id if options.session_id is None else session_id
    return _update(change, draft, current, own, replaces=options.replace)


def _new_draft(
    change: Change, current: CurrentRecord, origin: Origin | None, session_id: SessionId
) -> NewDraftPlan:
    return NewDraftPlan(
        pfa_id=current.row.pfa_id,
        session_id=origin.session_id if origin else session_id,
        delta=dict(change.delta),
        base=_base(change.delta, {}, current.row),
        base_version=current.row.version,
        change_reason=change.change_reason,
        only_modification=not current.stack,
        restores=origin.entry_id if origin else None,
    )


def _update(
    change: Change,
    draft: ModificationRow,
    current: CurrentRecord,
    session_id: SessionId,
    *,
    replaces: bool,
) -> DraftUpdatePlan:
    delta = dict(change.delta) if replaces else merge(draft.delta, change.delta)
    return DraftUpdatePlan(
        draft=draft,
        session_id=session_id,
        delta=delta,
        base=_base(delta, draft.base, current.row),
        change_reason=change.change_reason,
        only_modification=len(current.stack) == 1,
        changed=(
            not same(delta, draft.delta)
            or session_id != draft.session_id
            or change.change_reason not in (None, draft.change_reason)
        ),
    )


def _base(delta: Delta, known: Mapping[str, Any], row: MirrorRow) -> dict[str, Any]:
    """Return the mirror's value of each field when it was first drafted."""
    return {name: known[name] if name in known else row.data.get(name) for name in delta}
