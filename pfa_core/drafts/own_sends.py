"""The caller's own changes of records that PEMS has taken."""

from __future__ import annotations

from collections.abc import Sequence

from pfa_core.model.ids import PfaId
from pfa_core.operation import Tx
from pfa_core.store import audit, modifications
from pfa_core.store.modifications import Synced


def own_sends(tx: Tx, ids: Sequence[PfaId]) -> dict[PfaId, list[Synced]]:
    """List what PEMS took of the caller's changes of records, by record, in order."""
    named = audit.committed_of(tx.conn, tx.principal, ids) if ids else []
    return modifications.synced_of(tx.conn, tx.principal, named)
