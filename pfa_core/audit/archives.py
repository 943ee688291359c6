"""Archives of the audit trail, as the trail itself says them."""

from __future__ import annotations

from pfa_core.model.archives import LogArchive
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import archives


@reads(Operation.LIST_ARCHIVES)
def list_archives(tx: Tx) -> list[LogArchive]:
    """List the parts of the audit trail that are in files, the oldest first."""
    return list(archives.archives(tx.conn, tx.organization_id))
