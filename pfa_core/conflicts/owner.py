"""Owners of conflicts: the caller, or another member for those who manage users."""

from __future__ import annotations

from dataclasses import replace

from pfa_core.authorization import authorize, reauthorize, require
from pfa_core.masking import mask_for
from pfa_core.model.principal import Principal
from pfa_core.model.query import require_text
from pfa_core.model.rights import OTHERS
from pfa_core.operation import Tx
from pfa_core.store import members


def conflict_owner(tx: Tx, user_id: str | None) -> Principal:
    """Return whose conflicts the operation is about; None: the caller's.

    Raises:
        PermissionDenied: Another member's, without the right to manage users.
    """
    if user_id is None or user_id == tx.user_id:
        return tx.principal
    require_text(user_id)
    require(tx.principal, tx.member, OTHERS, tx.operation)
    reauthorize(tx.conn, tx.principal, tx.operation, scope=OTHERS)
    return replace(tx.principal, user_id=user_id)


def lock_owner(tx: Tx, user_id: str | None) -> tuple[Tx, Principal]:
    """Lock the memberships of caller and owner, then authorize the caller to write.

    Returns:
        The transaction with the membership as it is under the lock, and the owner.
    """
    owner = conflict_owner(tx, user_id)
    # Ordered by name: two callers who resolve each other's conflicts cannot deadlock.
    for name in sorted({owner.user_id, tx.user_id}):
        members.member(tx.conn, tx.organization_id, name, lock=True)
    member = authorize(tx.conn, tx.principal, tx.operation, writing=True)
    locked = replace(tx, member=member, mask=mask_for(tx.principal, member))
    return locked, conflict_owner(locked, user_id)
