"""The database on several nodes: distribution of its tables, state of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, InvalidRequest
from pfa_core.store import distribution

if TYPE_CHECKING:
    from pfa_core.store.distribution import DistributionReport

MOST_SHARDS = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """Nodes of a distributed database, and what is not as the program needs it.

    `shards` of each distributed table; `unreachable` nodes that another node does not reach; `misplaced` tables;
    `unwritable` tables into which the address's role may not write.
    """

    workers: int
    shards: int
    unreachable: tuple[str, ...]
    misplaced: tuple[str, ...]
    unwritable: tuple[str, ...]


def distribute(
    settings: Settings, *, shards: int | None = None, dry_run: bool = False
) -> DistributionReport:
    """Distribute the tables by organization over the nodes of a Citus cluster.

    What is distributed already is left. Distributed tables have no row-level security. With `dry_run` it is rolled
    back.

    Args:
        shards: How many of each table that is distributed now; None: as many as citus.shard_count says.

    Raises:
        InvalidRequest: Fewer than one shard, or more than Citus makes.
        ConfigInvalid: The database is the embedded one or has no Citus, or the address is not that of the tables'
            owner on a coordinator with a worker.
        SchemaOutdated: The schema is not the program's own.
    """
    if shards is not None and not 1 <= shards <= MOST_SHARDS:
        raise InvalidRequest(f"`shards` is from 1 to {MOST_SHARDS:,}, not {shards}")
    if settings.database_url is None:
        raise ConfigInvalid(
            "the embedded server is one machine: its tables cannot be distributed",
            hint="for a cluster of your own type: pfa db distribute --database-url ADDRESS",
        )
    from pfa_core.store import migrations

    with open_database(settings) as db:
        return db.administer(
            lambda conn: migrations.distribute(conn, shards=shards, dry_run=dry_run)
        )


def cluster_status(settings: Settings) -> ClusterStatus | None:
    """Read the nodes of the database and their faults; None: one machine."""
    if settings.database_url is None:
        return None
    with open_database(settings) as db:
        return db.administer(_status)


def _status(conn: Connection[Any]) -> ClusterStatus | None:
    if not distribution.is_distributed(conn):
        return None
    nodes = distribution.nodes(conn)
    return ClusterStatus(
        workers=sum(not node.is_coordinator for node in nodes),
        shards=sum(node.shards for node in nodes),
        unreachable=tuple(distribution.unreachable(conn)),
        misplaced=tuple(distribution.faults(conn)),
        unwritable=tuple(distribution.unwritable(conn)),
    )
