"""Ids of different things: the type checker takes each where it belongs and refuses it elsewhere.

Nothing runs it. Each ignore is the proof: were its line accepted, `reportUnnecessaryTypeIgnoreComment`
would refuse the comment.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from pfa_core.access.members import grant
from pfa_core.drafts.save_plan import Saved
from pfa_core.model.audit import LogEntry
from pfa_core.model.ids import ConflictId, ModificationId, OrganizationId, PfaId, RunId, UserId
from pfa_core.model.member import Member
from pfa_core.model.principal import Principal
from pfa_core.model.push import Task
from pfa_core.model.run import Run
from pfa_core.store import (
    audit,
    conflicts,
    draft_writes,
    leases,
    members,
    mirror,
    modifications,
    overlays,
    queue,
    runs,
    tokens,
)
from pfa_core.store.database import Database
from pfa_core.store.modifications import Mark, ModificationRow
from pfa_core.store.tokens import TokenRow
from pfa_core.sync.active_run import ActiveRun


def where_they_belong(
    conn: Connection[Any], principal: Principal, row: ModificationRow, run: ActiveRun
) -> None:
    """What is taken: ids go from rows and principals to statements as they are."""
    draft_writes.delete_drafts(conn, principal, [row.modification_id])
    modifications.of_records(conn, principal, [row.pfa_id])
    mirror.rows(conn, principal.organization_id, [row.pfa_id])
    overlays.refresh_overlays(conn, principal, [row.pfa_id])
    members.member(conn, principal.organization_id, principal.user_id)
    queue.acknowledge(conn, run.organization_id, run.run_id, [row.modification_id], run.started_at)
    runs.run(conn, run.organization_id, run.run_id)


def as_text(row: ModificationRow, member: Member) -> str:
    """What is taken: an id is text where it is shown."""
    ids: list[str] = [row.pfa_id, row.modification_id, member.user_id]
    return f"{member.organization_id} {', '.join(ids)}"


def of_a_user(db: Database, principal: Principal) -> Member:
    """What is taken: public functions take plain text, and their results carry ids."""
    return grant(db, principal, "max", role="viewer")


def records_as_modifications(
    conn: Connection[Any], principal: Principal, row: ModificationRow, run: ActiveRun
) -> None:
    """The ignores are the proof: a record is not a modification."""
    draft_writes.delete_drafts(conn, principal, [row.pfa_id])  # pyright: ignore[reportArgumentType]
    draft_writes.uncommit(conn, principal, [row.pfa_id], run.started_at)  # pyright: ignore[reportArgumentType]
    overlays.put_only_overlays(conn, principal, [row.pfa_id])  # pyright: ignore[reportArgumentType]
    queue.requeue(conn, run.organization_id, [row.pfa_id], run.started_at)  # pyright: ignore[reportArgumentType]
    Mark(row.pfa_id, row.modification_id, 1)  # pyright: ignore[reportArgumentType]


def modifications_as_records(
    conn: Connection[Any], principal: Principal, row: ModificationRow, task: Task
) -> None:
    """The ignores are the proof: a modification is not a record."""
    modifications.of_records(conn, principal, [row.modification_id])  # pyright: ignore[reportArgumentType]
    mirror.lock_records(conn, principal.organization_id, [task.modification_id])  # pyright: ignore[reportArgumentType]
    overlays.refresh_overlays(conn, principal, [row.modification_id])  # pyright: ignore[reportArgumentType]


def organizations_as_users(conn: Connection[Any], principal: Principal, member: Member) -> None:
    """The ignores are the proof: an organization is not a user, nor the other way about."""
    members.member(conn, principal.user_id, principal.organization_id)  # pyright: ignore[reportArgumentType]
    members.lock_users(conn, member.organization_id, [member.organization_id])  # pyright: ignore[reportArgumentType]
    audit.was_discarded(conn, member.user_id, member.organization_id, "s-1")  # pyright: ignore[reportArgumentType]
    tokens.revoke(conn, member.organization_id, by=member.organization_id, at=member.granted_at)  # pyright: ignore[reportArgumentType]
    leases.holder(conn, principal.user_id, "pull")  # pyright: ignore[reportArgumentType]


def tokens_as_others(conn: Connection[Any], row: TokenRow) -> None:
    """The ignores are the proof: a token is not its user, nor its organization."""
    tokens.token(conn, row.organization_id, row.user_id)  # pyright: ignore[reportArgumentType]
    members.member(conn, row.organization_id, row.token_id)  # pyright: ignore[reportArgumentType]


def conflicts_as_modifications(
    conn: Connection[Any], principal: Principal, row: conflicts.ConflictRow
) -> None:
    """The ignores are the proof: a conflict is not its modification."""
    conflicts.hold(conn, principal, [row.modification_id])  # pyright: ignore[reportArgumentType]
    modifications.by_id(conn, principal, [row.conflict_id])  # pyright: ignore[reportArgumentType]
    conflicts.hold(conn, principal, [row.conflict_id])


def runs_as_entries(conn: Connection[Any], run: Run, entry: LogEntry, code: OrganizationId) -> None:
    """The ignores are the proof: an entry is not a run."""
    runs.run(conn, code, entry.entry_id)  # pyright: ignore[reportArgumentType]
    runs.outcomes(conn, code, run.run_id)


def plain_text(
    conn: Connection[Any], code: str, user: str
) -> tuple[OrganizationId, UserId, PfaId, RunId]:
    """The ignores are the proof: statements take no plain text; it is named once, where it comes in."""
    members.member(conn, code, user)  # pyright: ignore[reportArgumentType]
    members.member(conn, OrganizationId(code), UserId(user))
    return code, user, "P-1", "r-1"  # pyright: ignore[reportReturnType]


def results(saved: Saved) -> tuple[PfaId, ModificationId, ConflictId]:
    """The ignore is the proof: results carry the ids of what they are about."""
    return saved.pfa_id, saved.modification_id, saved.pfa_id  # pyright: ignore[reportReturnType]
