"""Plans of a save (new drafts, updates, nothing to do) and the options of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pfa_core.model.delta import same
from pfa_core.model.ids import EntryId, ModificationId, PfaId, SessionId
from pfa_core.store.draft_writes import DraftUpdate, NewDraft
from pfa_core.store.modifications import ModificationRow


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
    """The session of a restored draft, and the audit entry of its discard.

    `base`: PEMS's values when the fields were first drafted; None in entries that do not have them.
    """

    session_id: SessionId
    entry_id: EntryId
    base: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOptions:
    """The treatment of existing drafts and of faults.

    Args:
        session_id: Groups the drafts. None: existing drafts keep theirs, new ones get a fresh one.
        replace: The delta replaces that of the draft instead of being merged into it.
        move: Drafts of other sessions move into this one instead of being refused.
        partial: The valid changes are saved when others are not.
        keep_equal: Values equal to the record's become part of the draft too.
        skip_missing: Fields are left out whose relative value has nothing to start from.
        overwrite: Edited cells of a sheet replace what the user has changed since it was written.
        reason: That of the drafts that change, where their change has none.
        origins: Of drafts that are restored, by PFA id.
    """

    session_id: str | None = None
    replace: bool = False
    move: bool = False
    partial: bool = False
    keep_equal: bool = False
    skip_missing: bool = False
    overwrite: bool = False
    reason: str | None = None
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
    """An existing draft after a change; `changed`: not the same as before.

    An empty delta: the draft is to be removed. `base_version`: of the record, where the change was made over
    values that PEMS has changed since.
    """

    draft: ModificationRow
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    only_modification: bool
    changed: bool
    base_version: int | None = None

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
            base_version=self.base_version,
        )


@dataclass(frozen=True, slots=True)
class NothingPlan:
    """A record without a draft that has every value of its change."""

    pfa_id: str


DraftPlan = NewDraftPlan | DraftUpdatePlan
Plan = DraftPlan | NothingPlan


def drafted_fields(plan: Plan) -> Iterable[str]:
    """List the fields whose drafted values the plan changes."""
    if isinstance(plan, NewDraftPlan):
        return plan.delta
    if isinstance(plan, NothingPlan) or not plan.changed:
        return ()
    old = plan.draft.delta
    return [
        name
        for name in {**old, **plan.delta}
        if name not in old or name not in plan.delta or not same(old[name], plan.delta[name])
    ]
