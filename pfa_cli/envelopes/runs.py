"""JSON of pulls and pushes; durations in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pfa_cli.envelopes.base import absent

if TYPE_CHECKING:
    from pfa_core.sync.pull.options import PullResult
    from pfa_core.sync.push.options import PushResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PullMetadata:
    """Circumstances of a pull.

    `foreign` counts records of other organizations, `older` those of an older PEMS version than the
    mirror's, `normalized` those of which a key came in another form, `behind` those that the next pull asks
    for again; `emptied` has, by field, the records that had a value of it and have none now.
    """

    duration: float
    foreign: int
    normalized: int
    empty_rows: int
    empty_columns: int
    behind: int
    older: int
    emptied: Mapping[str, int]
    new_fields: Sequence[str]
    masked: bool | None = absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """`pfa sync pull`."""

    run_id: str | None
    status: str
    total: int
    inserted: int
    updated: int
    unchanged: int
    missing: int
    rejected: int
    metadata: PullMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMetadata:
    """Circumstances of a push, and how many changes wait or were found cut off."""

    duration: float
    recovered: int
    waiting: int
    blocked: int
    masked: bool | None = absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """`pfa sync push` and `retry`."""

    run_id: str | None
    status: str
    total: int
    synced: int
    altered: int
    rejected: int
    conflicts: int
    retrying: int
    metadata: PushMetadata


@dataclass(frozen=True, slots=True)
class PlanMetadata:
    """Circumstances of a dry run."""

    duration: float
    masked: bool | None = absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPush:
    """A push that sent nothing: its dry run, or a retry that found no dead letter."""

    run_id: None = None
    status: str
    total: int
    synced: int = 0
    altered: int = 0
    rejected: int = 0
    conflicts: int = 0
    retrying: int = 0
    data: Iterable[Any]
    metadata: PlanMetadata


def pulled(result: PullResult, *, seconds: float, masked: bool | None) -> Pulled:
    """Describe a pull."""
    return Pulled(
        run_id=result.run_id,
        status=str(result.status),
        total=result.total,
        inserted=result.inserted,
        updated=result.updated,
        unchanged=result.unchanged,
        missing=result.missing,
        rejected=result.rejected,
        metadata=PullMetadata(
            duration=seconds,
            foreign=result.foreign,
            normalized=result.normalized,
            empty_rows=result.empty_rows,
            empty_columns=result.empty_columns,
            behind=result.behind.number,
            older=result.older,
            emptied=result.emptied,
            new_fields=result.new_fields,
            masked=masked,
        ),
    )


def pushed(result: PushResult, *, seconds: float, masked: bool | None) -> Pushed:
    """Describe a push."""
    return Pushed(
        run_id=result.run_id,
        status=str(result.status),
        total=result.total,
        synced=result.synced,
        altered=result.altered,
        rejected=result.rejected,
        conflicts=result.conflicts,
        retrying=result.retrying,
        metadata=PushMetadata(
            duration=seconds,
            recovered=result.recovered,
            waiting=result.waiting,
            blocked=result.blocked,
            masked=masked,
        ),
    )
