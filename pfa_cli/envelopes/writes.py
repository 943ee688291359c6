"""JSON of writes: what was changed, and how long it took in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pfa_cli.envelopes.base import Problem, absent


@dataclass(frozen=True, slots=True)
class SaveMetadata:
    """Milliseconds of a save, and the number of drafts by session."""

    save_time: float
    sessions: Mapping[str, int] | None = absent()


@dataclass(frozen=True, slots=True)
class Saved:
    """`pfa draft save`, `set` and `shift`."""

    session_id: str | None
    saved: Sequence[Any]
    errors: list[Problem]
    metadata: SaveMetadata


@dataclass(frozen=True, slots=True)
class Unset:
    """`pfa draft unset`."""

    unset: Sequence[Any]
    emptied: Sequence[str]
    unchanged: Sequence[str]
    metadata: SaveMetadata


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """Milliseconds of a commit, what was committed before, and drafts whose values PEMS has."""

    commit_time: float
    already_committed: Any
    settled: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """`pfa commit`."""

    session_id: str | None
    committed_count: int
    committed: Sequence[Any]
    conflicts: Sequence[Any]
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
    uncommitted: Sequence[Any]
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
    restored: Sequence[Any]
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
    resolved: Sequence[Any]
    problems: list[Problem]
    metadata: ResolveMetadata
