"""Writes of modifications that are again what they were before an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.store.draft_writes import write_drafts

_SQL = sql.statements("operations")
_LIST = "type: pfa undo --list"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftAgain:
    """A draft to insert again; `version` is the last that it had."""

    modification_id: ModificationId
    pfa_id: PfaId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    version: int
    generation: int
    change_reason: str | None
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeDraft:
    """The whole content of a draft, over the version that was read."""

    modification_id: ModificationId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedAgain:
    """A draft that becomes a committed change again, or one that PEMS had rejected."""

    modification_id: ModificationId
    state: State
    delta: dict[str, Any]
    committed_at: str
    attempts: int
    failures: int
    first_attempt_at: str | None
    sync_error: str | None
    version: int


def insert_again(
    conn: Connection[Any], principal: Principal, drafts: Sequence[DraftAgain], at: datetime
) -> None:
    """Insert drafts that were deleted, under their ids."""
    write_drafts(conn, (_SQL, "insert_again"), principal, drafts, at, hint=_LIST)


def rewrite_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[WholeDraft], at: datetime
) -> None:
    """Write the whole content of drafts, each version raised by one."""
    write_drafts(conn, (_SQL, "rewrite_drafts"), principal, drafts, at, hint=_LIST)


def recommit(
    conn: Connection[Any], principal: Principal, drafts: Sequence[CommittedAgain], at: datetime
) -> None:
    """Make drafts committed changes again, each version raised by one."""
    write_drafts(conn, (_SQL, "recommit"), principal, drafts, at, hint=_LIST)
