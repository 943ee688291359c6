"""JSON of drafts that are written; times in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import ABSENT, absent
from pfa_cli.envelopes.problems import Problem

if TYPE_CHECKING:
    from pfa_core.drafts.save_plan import Saved as SavedDraft
    from pfa_core.drafts.save_preview import SavePreview


@dataclass(frozen=True, slots=True)
class SaveMetadata:
    """Milliseconds of a save, and the number of drafts by session."""

    save_time: float
    sessions: Mapping[str, int] | None = absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """`pfa draft save`, `set` and `shift`.

    `unchanged`: records without a draft that have every value already; `emptied`: drafts removed; `skipped`:
    records in which a relative value had nothing to start from; `moved`: those that PEMS has changed since the
    sheet was written. `preview`: what a dry run would change.
    """

    session_id: str | None
    saved: Sequence[SavedDraft]
    unchanged: Sequence[str]
    emptied: Sequence[str]
    skipped: Sequence[str]
    moved: Sequence[str]
    preview: SavePreview | None = field(default=None, metadata={ABSENT: True})
    errors: list[Problem]
    metadata: SaveMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Unset:
    """`pfa draft unset`; `preview`: what a dry run would change."""

    unset: Sequence[SavedDraft]
    emptied: Sequence[str]
    unchanged: Sequence[str]
    preview: SavePreview | None = field(default=None, metadata={ABSENT: True})
    metadata: SaveMetadata
