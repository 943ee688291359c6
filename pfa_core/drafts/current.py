"""Records as a transaction finds them: mirror row, the caller's modifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pfa_core.model.delta import Record, merge
from pfa_core.model.modification import State
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow


@dataclass(frozen=True, slots=True)
class CurrentRecord:
    """A mirror row and the caller's active modifications of it, the draft last."""

    row: MirrorRow
    stack: Sequence[ModificationRow]

    @property
    def draft(self) -> ModificationRow | None:
        """Return the caller's draft of the record."""
        if not self.stack:
            return None
        return next((item for item in self.stack if item.state == State.DRAFT), None)

    def without_draft(self) -> Record:
        """Return the record without the draft: mirror ‖ committed changes."""
        if not self.stack:
            return self.row.data
        committed = (item.delta for item in self.stack if item.state != State.DRAFT)
        return merge(self.row.data, *committed)

    def merged(self) -> dict[str, Any]:
        """Return the record as the caller sees it: mirror ‖ committed changes ‖ draft."""
        draft = self.draft
        return merge(self.without_draft(), draft.delta if draft else {})
