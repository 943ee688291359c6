"""JSON of undos and reverts; times in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import ABSENT
from pfa_cli.envelopes.problems import Problem

if TYPE_CHECKING:
    from datetime import datetime

    from pfa_core.drafts.revert_decide import ChangedSince
    from pfa_core.drafts.save_plan import Saved as SavedDraft
    from pfa_core.drafts.save_preview import SavePreview
    from pfa_core.drafts.undo_write import UndoneModification
    from pfa_core.model.operations import OperationKind


@dataclass(frozen=True, slots=True)
class UndoMetadata:
    """Milliseconds of an undo."""

    undo_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """`pfa undo`: the operation that was taken back, and its modifications.

    `preview`: what a dry run would change.
    """

    operation: int
    kind: OperationKind
    redone: bool
    at: datetime
    records: int
    undone: Sequence[UndoneModification]
    preview: SavePreview | None = field(default=None, metadata={ABSENT: True})
    metadata: UndoMetadata


@dataclass(frozen=True, slots=True)
class RevertMetadata:
    """Milliseconds of a revert."""

    revert_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """`pfa revert`: compensating drafts.

    `changed_since`: fields that were changed in PEMS since. `unchanged`: records that have the values of
    before already. `waiting`: how many of the session PEMS does not have. `preview`: what a dry run would
    change.
    """

    session_id: str
    saved: Sequence[SavedDraft]
    changed_since: Sequence[ChangedSince]
    unchanged: Sequence[str]
    emptied: Sequence[str]
    waiting: int
    preview: SavePreview | None = field(default=None, metadata={ABSENT: True})
    errors: list[Problem]
    metadata: RevertMetadata
