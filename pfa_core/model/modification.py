"""Modifications: states, views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pfa_core.model.ids import ModificationId, PfaId, SessionId

if TYPE_CHECKING:  # states are asked for more often than values
    from pfa_core.model.delta import FieldConflict


class State(StrEnum):
    """The state of a modification; PRISTINE is the absence of one and never stored."""

    PRISTINE = "pristine"
    DRAFT = "draft"
    COMMITTED = "committed"
    SYNCING = "syncing"
    SYNCED = "synced"
    SYNC_ERROR = "sync_error"
    CONFLICT = "conflict"


OVERLAYING = (State.DRAFT, State.COMMITTED, State.SYNCING, State.SYNC_ERROR, State.CONFLICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModificationView:
    """A modification as its user sees it.

    `overtaken`: the fields that PEMS changed meanwhile. Where `masked`, money is None.
    """

    modification_id: ModificationId
    pfa_id: PfaId
    session_id: SessionId
    state: State
    version: int
    delta: Mapping[str, Any]
    base: Mapping[str, Any]
    change_reason: str | None
    created_at: datetime
    updated_at: datetime
    committed_at: datetime | None
    overtaken: tuple[FieldConflict, ...]
    masked: bool = False
