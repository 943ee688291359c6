"""Tables of one database on several nodes: a Citus coordinator and its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import args_row

from pfa_core import sql
from pfa_core.errors import ConfigInvalid
from pfa_core.model import shell
from pfa_core.sql.names import typed
from pfa_core.sql.tables import PLACEMENTS, Placement, placed

_SQL = sql.statements("distribution")
# Every node finds functions and tables by the search_path that a new session has.
_SCHEMA = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionReport:
    """Which tables lie where now, on how many workers, in how many shards each.

    `changed`: the tables that were not there before.
    """

    workers: int
    shards: int
    reference: tuple[str, ...]
    distributed: tuple[str, ...]
    local: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the cluster, and how many shards of each distributed table it has."""

    address: str
    is_coordinator: bool
    is_active: bool
    shards: int


class Place(NamedTuple):
    """Where a table lies.

    `together`: the number that it shares with the tables beside it; `column`: what it is distributed by.
    """

    table: str
    placement: Placement
    together: int
    column: str | None


class _Facts(NamedTuple):
    is_coordinator: bool
    is_owner: bool
    schema: str
    workers: int


def has_extension(conn: Connection[Any]) -> bool:
    """Return whether the database has Citus."""
    row = conn.execute(_SQL["has_extension"]).fetchone()
    return bool(row and row[0])


def places(conn: Connection[Any]) -> list[Place]:
    """List the tables that are distributed or on every node; none: one machine."""
    if not has_extension(conn):
        return []
    rows = conn.execute(_SQL["placed"], {"tables": list(PLACEMENTS)})
    return [Place(table, Placement(kind), *rest) for table, kind, *rest in rows]


def is_distributed(conn: Connection[Any]) -> bool:
    """Return whether the tables are distributed."""
    return bool(places(conn))


def distribute(conn: Connection[Any], *, shards: int | None = None) -> DistributionReport:
    """Distribute the tables by organization, within the caller's transaction.

    What is done already is left.

    Args:
        shards: How many of each table; None: as many as citus.shard_count says.

    Raises:
        ConfigInvalid: The database has no Citus or no worker, the server is itself one, or another role owns the
            tables.
    """
    facts = _require_possible(conn)
    if shards is not None:
        conn.execute(_SQL["shards"].format(shards=sql.numeral(shards)))
    changed = settle(conn)
    return _report(conn, facts, changed)


def use_one_connection(conn: Connection[Any]) -> None:
    """Let the transaction change each node's tables by one connection.

    One beside it would not see what it made.
    """
    conn.execute(_SQL["sequential"])


def settle(conn: Connection[Any]) -> list[str]:
    """Distribute the tables that are not; return which.

    It is within the caller's transaction. What distributed tables cannot have is taken from all of them, and the
    program's role gets the privileges that it needs without.
    """
    use_one_connection(conn)
    before = {place.table for place in places(conn)}
    lacking = [name for name in PLACEMENTS if name not in before]
    conn.execute(_SQL["lift"])
    if lacking:
        conn.execute(_SQL["index"])
        conn.execute(_SQL["functions"])
    tables = placed(Placement.DISTRIBUTED)
    changed = [name for name in lacking if PLACEMENTS[name] is not Placement.LOCAL]
    for name in changed:
        if PLACEMENTS[name] is Placement.REFERENCE:
            conn.execute(_SQL["reference"], {"table": name})
        else:
            together = "none" if name == tables[0] else tables[0]
            conn.execute(_SQL["distribute"], {"table": name, "with": together})
    for name in changed:
        conn.execute(_SQL["empty"], {"table": name})
    conn.execute(_SQL["grants"])
    return changed


def faults(conn: Connection[Any]) -> list[str]:
    """List the tables that are elsewhere than they should be, or apart from others."""
    found = {place.table: place for place in places(conn)}
    wrong = []
    for name, wanted in PLACEMENTS.items():
        place = found.get(name)
        is_there = place.placement if place else Placement.LOCAL
        if is_there is not wanted:
            wrong.append(f"{name} is {is_there.value}, not {wanted.value}")
        elif place and wanted is Placement.DISTRIBUTED and place.column != "organization_id":
            wrong.append(f"{name} is distributed by {place.column}, not by organization_id")
    apart = {
        place.together: place.table
        for place in found.values()
        if place.placement is Placement.DISTRIBUTED
    }
    if len(apart) > 1:
        wrong.append(f"not together on the nodes: {', '.join(sorted(apart.values()))}")
    return wrong


def nodes(conn: Connection[Any]) -> list[Node]:
    """List the nodes of the cluster, the coordinator first."""
    rows = conn.execute(_SQL["nodes"]).fetchall()
    return [
        Node(
            address=f"{name}:{port}",
            is_coordinator=group == 0,
            is_active=active,
            shards=shards,
        )
        for name, port, group, active, _, shards in rows
    ]


def unreachable(conn: Connection[Any]) -> list[str]:
    """List the nodes that another one does not reach."""
    return [f"{name}:{port}" for name, port in conn.execute(_SQL["health"])]


def size(conn: Connection[Any]) -> int:
    """Return the bytes of all tables on all nodes."""
    row = conn.execute(_SQL["size"], {"tables": list(PLACEMENTS)}).fetchone()
    return row[0] if row else 0


def unwritable(conn: Connection[Any]) -> list[str]:
    """List the distributed tables that the session's role may not write into."""
    tables = [name for name in placed(Placement.DISTRIBUTED) if name != "pfa_organization"]
    return [row[0] for row in conn.execute(_SQL["lacking"], {"tables": tables})]


def _require_possible(conn: Connection[Any]) -> _Facts:
    if not has_extension(conn):
        raise ConfigInvalid(
            "the database has no Citus: its tables cannot be distributed",
            hint="a superuser types in this database on every node: CREATE EXTENSION citus",
        )
    with conn.cursor(row_factory=args_row(_Facts)) as cursor:
        facts = cursor.execute(_SQL["facts"]).fetchone()
    if facts is None or not facts.is_coordinator:
        raise ConfigInvalid(
            "this server is a worker: tables are distributed by the coordinator",
            hint="name the coordinator: pfa db distribute --database-url ADDRESS",
        )
    if not facts.is_owner:
        raise ConfigInvalid(
            f"{conn.info.user} does not own the tables: only their owner distributes them",
            hint="name the owner's address: pfa db distribute --database-url ADDRESS",
        )
    if facts.schema != _SCHEMA:
        statement = f"ALTER SCHEMA {typed(facts.schema)} RENAME TO {_SCHEMA}"
        raise ConfigInvalid(
            f"the tables are in the schema {facts.schema}; the nodes look for them in {_SCHEMA}",
            hint=f"type: pfa db psql -- -c {shell.word(statement)}",
        )
    if facts.workers == 0:
        raise ConfigInvalid(
            "the coordinator has no worker that takes shards",
            hint="""a superuser types: pfa db psql -- -c "SELECT citus_add_node('HOST', 5432)\"""",
        )
    return facts


def _report(conn: Connection[Any], facts: _Facts, changed: Sequence[str]) -> DistributionReport:
    return DistributionReport(
        workers=facts.workers,
        shards=sum(node.shards for node in nodes(conn)),
        reference=tuple(sorted(placed(Placement.REFERENCE))),
        distributed=tuple(sorted(placed(Placement.DISTRIBUTED))),
        local=tuple(sorted(placed(Placement.LOCAL))),
        changed=tuple(sorted(changed)),
    )
