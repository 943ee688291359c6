"""Checks of `pfa doctor` about the database, its server and its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.envelopes.checks import Finding
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render.humanize import count, size
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, IoFailure, PfaError
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.admin.server import DatabaseStatus
    from pfa_core.config.settings import Settings

# So much of the server's log, and reads after a change ask the server more often than not.
FAR_BEHIND = 16 * 1024 * 1024
# Less room than a checkpoint of the server may need, and than a bulk write does.
NO_ROOM, LITTLE_ROOM = 256_000_000, 2_000_000_000


def check_database(call: Invocation) -> Finding:
    """Check that the database answers; start an embedded one."""
    settings = call.settings
    own = settings.database_url is None
    status = core.database_status(settings) if own else None
    if status is None or not status.reachable:
        try:
            with core.open_database(settings, require_schema=False) as database:
                database.administer(lambda _: None)
        except PfaError as error:
            cure = error.hint if own else f"check the server and {settings.database_source}"
            return Finding(
                "database", "problem", error.message, cure=cure, exit_code=error.exit_code
            )
        if own:
            return Finding("database", "ok", f"embedded server started in {settings.embedded_dir}")
        status = _reachable(settings)
    from pfa_core.admin.replica import is_behind_pooler

    text = f"PostgreSQL {status.server_version}, {status.address}"
    if is_behind_pooler(settings):
        text += "; behind a pooler, settings go with each transaction"
    return Finding("database", "ok", text)


def _reachable(settings: Settings) -> DatabaseStatus:
    """Return the database's status.

    Raises:
        DatabaseUnavailable: It does not answer any more.
    """
    status = core.database_status(settings)
    if not status.reachable:
        raise DatabaseUnavailable(status.problem or "the database does not answer")
    return status


def check_data_directory(call: Invocation) -> Finding | None:
    """Check the embedded server's data against the programs; name what is kept."""
    from pfa_core.admin.server import data_directories

    found = data_directories(call.settings)
    if found is None:
        return None
    if found.problem:
        text, _, cure = found.problem.partition(": ")
        return Finding("data directory", "notice", text, cure=cure)
    if found.kept:
        sizes = ", ".join(f"{path} ({size(number)})" for path, number in found.kept)
        names = " ".join(shell.file(path) for path, _ in found.kept)
        text = f"kept since an upgrade of PostgreSQL: {sizes}"
        return Finding(
            "data directory", "notice", text, cure=f"when nothing is missed, type: rm -r {names}"
        )
    return None


def check_schema(call: Invocation) -> Finding:
    """Check that the schema is the program's, and its tables were analyzed."""
    from pfa_core.admin.server import require_released_schema

    status = _reachable(call.settings)
    if status.schema_version == status.program_schema:
        require_released_schema(call.settings)
        return _counted(call, f"version {status.schema_version}")
    is_new = status.schema_version is None
    found = "none" if is_new else f"version {status.schema_version}"
    text = f"{found}, this program needs {status.program_schema}"
    is_newer = (status.schema_version or 0) > status.program_schema
    cure = "type: pfa init --org CODE" if is_new else "type: pfa db upgrade"
    cure = "install the newer pfa" if is_newer else cure
    return Finding("schema", "problem", text, cure=cure, exit_code=ConfigInvalid.exit_code)


def _counted(call: Invocation, version: str) -> Finding:
    """Check that large tables were analyzed; those of a restored dump were not."""
    from pfa_core.admin.server import uncounted_tables

    uncounted = uncounted_tables(call.settings)
    if not uncounted:
        return Finding("schema", "ok", version)
    text = f"{version}; never analyzed: {', '.join(uncounted)}, so that lists and totals are slow"
    return Finding("schema", "notice", text, cure="type: pfa db upgrade")


def check_disk(call: Invocation) -> Finding | None:
    """Check that the file system of the embedded server has room."""
    from pfa_core.admin.upkeep import disk_room

    found = disk_room(call.settings)
    if found is None:
        return None
    text = f"{size(found.free)} free of {size(found.total)} in {found.path}"
    cure = f"make room: df -h {shell.file(found.path)}"
    if found.free < NO_ROOM:
        return Finding("disk", "problem", text, cure=cure, exit_code=IoFailure.exit_code)
    if found.free < LITTLE_ROOM:
        return Finding("disk", "notice", text, cure=cure)
    return Finding("disk", "ok", text)


def check_upkeep(call: Invocation) -> Finding | None:
    """Check that dead rows are removed, and old transactions frozen."""
    from pfa_core.admin.upkeep import upkeep_of

    if core.cluster_status(call.settings):
        return None  # each node's own
    found = upkeep_of(call.settings)

    def notice(text: str, *statements: str) -> Finding:
        typed = " ".join(f'-c "{one}"' for one in statements)
        return Finding("upkeep", "notice", text, cure=f"type: pfa db psql -- {typed}")

    if found.is_old:
        text = f"the oldest transaction is {found.server.age:,} back; at 2,000,000,000 the server takes no writes"
        return notice(text, "VACUUM (FREEZE)")
    if not found.server.autovacuum:
        return notice(
            "autovacuum is off: deleted rows stay, and plans go by old statistics",
            "ALTER SYSTEM RESET autovacuum",
            "SELECT pg_reload_conf()",
        )
    if found.excluded:
        name = found.excluded[0]
        return notice(
            f"autovacuum leaves out {name}", f"ALTER TABLE {name} RESET (autovacuum_enabled)"
        )
    if found.overdue:
        one = found.overdue[0]
        text = (
            f"{one.name} has {one.dead:,} dead rows beside {one.rows:,}, which a vacuum makes free"
        )
        return notice(text, f"VACUUM (ANALYZE) {one.name}")
    if found.untouched:
        name = found.untouched[0]
        return notice(f"{name} was never vacuumed or analyzed", f"VACUUM (ANALYZE) {name}")
    return Finding("upkeep", "ok", "autovacuum keeps up")


def check_replica(call: Invocation) -> Finding | None:
    """Check that the replica is one of the server, and how far behind."""
    from pfa_core.admin.replica import replica_status

    settings = call.settings
    try:
        found = replica_status(settings)
    except PfaError as error:
        cure = f"check it and {settings.read_source}; reads ask the server meanwhile"
        return Finding("replica", "problem", error.message, cure=cure, exit_code=error.exit_code)
    if found is None:
        return None
    if not found.of_server:
        text = f"{found.address} is not a replica of the database's server"
        return Finding(
            "replica",
            "problem",
            text,
            cure=f"see {settings.read_source}",
            exit_code=ConfigInvalid.exit_code,
        )
    if not found.read_only:
        text = f"{found.address} takes writes: it is the server itself, not a replica"
        return Finding("replica", "notice", text, cure=f"see {settings.read_source}")
    text = f"{found.address}, {count(found.behind_bytes, 'byte')} of the log behind"
    if found.behind_bytes > FAR_BEHIND:
        return Finding(
            "replica", "notice", text, cure="look at its log; reads ask the server meanwhile"
        )
    return Finding("replica", "ok", text)


def check_nodes(call: Invocation) -> Finding | None:
    """Check that nodes reach each other and tables lie where they should."""
    found = core.cluster_status(call.settings)
    if found is None:
        return None
    text = f"{count(found.workers, 'worker')}, {count(found.shards, 'shard')} of each table"
    if found.unreachable:
        cure = "check these nodes; what is of organizations on others works meanwhile"
        text = f"{text}; not reached: {', '.join(found.unreachable)}"
        return Finding("nodes", "problem", text, cure=cure, exit_code=DatabaseUnavailable.exit_code)
    cure = "as the owner of the tables type: pfa db distribute"
    if found.misplaced:
        text = f"{text}; {'; '.join(found.misplaced)}"
        return Finding("nodes", "problem", text, cure=cure, exit_code=ConfigInvalid.exit_code)
    if found.unwritable:
        text = f"{text}; the role may not write into {', '.join(found.unwritable)}"
        return Finding("nodes", "problem", text, cure=cure, exit_code=ConfigInvalid.exit_code)
    return Finding("nodes", "ok", text)


def check_row_level_security(call: Invocation) -> Finding:
    """Check whether row-level security applies to this connection."""
    found = core.rls_status(call.settings)
    if not found.applies:
        text = f"not enforced: {found.reason} ({found.role})"
        cure = "see docs/administration.md, Enable row-level security"
        if found.is_distributed:
            cure = "keep the address where the program alone reads it: docs/security.md, Citus"
        return Finding("row-level security", "notice", text, cure=cure)
    text = f"applies to {found.role}"
    if found.may_create:
        cure = "as the owner: REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        return Finding(
            "row-level security", "notice", f"{text}, which may create functions", cure=cure
        )
    return Finding("row-level security", "ok", text)
