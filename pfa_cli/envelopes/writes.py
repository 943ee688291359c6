"""JSON of what becomes of drafts and of conflicts; times in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pfa_cli.envelopes.base import absent
from pfa_cli.envelopes.problems import Problem

if TYPE_CHECKING:
    from pfa_core.conflicts.outcome import ResolvedConflict
    from pfa_core.drafts import commit
    from pfa_core.drafts.rebase import RecordConflict
    from pfa_core.drafts.save_plan import Saved as SavedDraft


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """Milliseconds of a commit; number committed before; drafts removed.

    `kept`: the drafted fields that PEMS keeps as their owner.
    """

    commit_time: float
    already_committed: int
    settled: Sequence[str]
    kept: Sequence[commit.KeptByPems]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """`pfa commit`."""

    session_id: str | None
    committed_count: int
    committed: Sequence[commit.Committed]
    conflicts: Sequence[RecordConflict]
    metadata: CommitMetadata


@dataclass(frozen=True, slots=True)
class UncommitMetadata:
    """Milliseconds of an uncommit."""

    uncommit_time: float


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """`pfa uncommit`."""

    session_id: str | None
    uncommitted_count: int
    uncommitted: Sequence[commit.Committed]
    metadata: UncommitMetadata


@dataclass(frozen=True, slots=True)
class DiscardMetadata:
    """Milliseconds of a discard."""

    discard_time: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """`pfa discard`."""

    discarded_count: int
    discarded: Sequence[str]
    metadata: DiscardMetadata


@dataclass(frozen=True, slots=True)
class RestoreMetadata:
    """Milliseconds of a restore."""

    restore_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """`pfa restore`."""

    restored_count: int
    restored: Sequence[SavedDraft]
    already_restored: Sequence[str]
    errors: list[Problem]
    metadata: RestoreMetadata


@dataclass(frozen=True, slots=True)
class ResolveMetadata:
    """Milliseconds of a resolution; `masked` where money is hidden."""

    resolve_time: float
    masked: bool | None = absent()


@dataclass(frozen=True, slots=True)
class Resolved:
    """`pfa conflict resolve`."""

    resolved_count: int
    resolved: Sequence[ResolvedConflict]
    problems: list[Problem]
    metadata: ResolveMetadata


SampleStatus = Literal["written", "unchanged", "replaced"]


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of `pfa sample`, and what became of it."""

    file: str
    status: SampleStatus
    means: str
