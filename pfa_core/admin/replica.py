"""The replica that reads ask, compared with its server."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.store import replica as replicas
from pfa_core.store.connection import safe_address
from pfa_core.store.database import Database
from pfa_core.store.session import is_pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """What the replica is; `behind_bytes` of the server's log it has not applied yet.

    `of_server`: it has the history of the server; `read_only`: it is a replica at all, not the server itself.
    """

    address: str
    of_server: bool
    read_only: bool
    behind_bytes: int


def replica_status(settings: Settings) -> ReplicaStatus | None:
    """Compare the replica with its server; None: no replica is configured.

    Raises:
        DatabaseUnavailable: One of them does not answer.
        ConfigInvalid: An address is not valid, or one of them refuses its user, password or database.
        SchemaOutdated: One of them lacks the schema.
    """
    address = settings.database_read_url
    with open_database(settings) as server:
        if address is None or server.replica is None:
            return None
        history, _, end = server.administer(replicas.facts)
        with Database(address, named_by=settings.read_source, pooling=settings.pooling) as replica:
            own, read_only, place = replica.administer(replicas.facts)
        behind = server.administer(lambda conn: replicas.bytes_between(conn, place, end))
    return ReplicaStatus(
        address=safe_address(address),
        of_server=own == history,
        read_only=read_only,
        behind_bytes=behind,
    )


def is_behind_pooler(settings: Settings) -> bool:
    """Return whether a pooler lies between the program and its server."""
    if settings.database_url is None:
        return False
    with open_database(settings, require_schema=False) as server:
        return server.administer(is_pooled)
