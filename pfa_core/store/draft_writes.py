"""Writes of drafts and committed changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.errors import VersionConflict
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.principal import Principal
from pfa_core.store import writing
from pfa_core.store.modifications import Mark, of_caller
from pfa_core.store.portions import json_portions

_SQL = sql.statements("modifications")
_REPEAT = "type: pfa status, then repeat the command"
_OF_ONE = {"update_drafts": "update_draft", "commit_drafts": "commit_draft"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDraft:
    """A draft to insert."""

    modification_id: ModificationId
    pfa_id: PfaId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    change_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftUpdate:
    """A draft's new content, over the version that was read.

    `base_version`: of the record, where the content was made over an older one than the draft's.
    """

    modification_id: ModificationId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    version: int
    base_version: int | None = None


@dataclass(frozen=True, slots=True)
class RebasedDraft:
    """A draft to commit, over the version that was read."""

    modification_id: ModificationId
    delta: dict[str, Any]
    version: int


def insert_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[NewDraft], at: datetime
) -> None:
    """Insert new drafts of records that have none."""
    for portion in json_portions(drafts):
        values = {**of_caller(principal), "drafts": portion.json, "at": at}
        writing.changed(conn, _SQL, "insert_drafts", values)


def update_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[DraftUpdate], at: datetime
) -> None:
    """Update the drafts' contents, each version raised by one."""
    write_drafts(conn, (_SQL, "update_drafts"), principal, drafts, at)


def delete_drafts(
    conn: Connection[Any], principal: Principal, ids: Sequence[ModificationId]
) -> None:
    """Delete drafts by modification id."""
    if ids:
        values = {**of_caller(principal), "modification_ids": list(ids)}
        _require_all(len(ids), writing.changed(conn, _SQL, "delete_drafts", values, ids=ids))


def commit_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[RebasedDraft], at: datetime
) -> None:
    """Commit drafts with their new deltas, each version raised by one."""
    write_drafts(conn, (_SQL, "commit_drafts"), principal, drafts, at)


def commit_up_to_date(
    conn: Connection[Any], principal: Principal, drafts: Sequence[Mark], at: datetime
) -> None:
    """Commit drafts as they are, each version raised by one."""
    if drafts:
        ids = [draft.modification_id for draft in drafts]
        values = {**of_caller(principal), "modification_ids": ids, "at": at}
        _require_all(len(drafts), writing.changed(conn, _SQL, "commit_up_to_date", values, ids=ids))


def uncommit(
    conn: Connection[Any], principal: Principal, ids: Sequence[ModificationId], at: datetime
) -> None:
    """Make committed changes drafts again, by modification id; raise their versions."""
    if ids:
        values = {**of_caller(principal), "modification_ids": list(ids), "at": at}
        _require_all(len(ids), writing.changed(conn, _SQL, "uncommit", values, ids=ids))


def write_drafts(
    conn: Connection[Any],
    statement: tuple[sql.Statements, str],
    principal: Principal,
    drafts: Sequence[Any],
    at: datetime,
    *,
    hint: str = _REPEAT,
) -> None:
    """Write drafts by a statement that takes them as JSON, in portions.

    Args:
        statement: The statements of a noun, and the name of the one; where there is one for a single draft
            (`_OF_ONE`), that is used for it.
        drafts: Values with a `modification_id`, whose fields the statement reads.
        hint: What to do where some of them changed meanwhile.

    Raises:
        VersionConflict: Some of them changed meanwhile.
    """
    statements, name = statement
    changed = 0
    for portion in json_portions(drafts):
        some = drafts[portion.start : portion.stop]
        values = {
            **of_caller(principal),
            "drafts": portion.json,
            "modification_ids": [draft.modification_id for draft in some],
            "at": at,
        }
        single = _OF_ONE.get(name, name) if len(some) == 1 else name
        changed += writing.changed(conn, statements, single, values)
    _require_all(len(drafts), changed, hint=hint)


def _require_all(expected: int, changed: int, *, hint: str = _REPEAT) -> None:
    if changed != expected:
        raise VersionConflict(
            f"{expected - changed} of {expected} drafts changed meanwhile; nothing was done",
            hint=hint,
        )
