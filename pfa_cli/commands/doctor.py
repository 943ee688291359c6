"""Checks of `pfa doctor`: one function for each precondition."""

from __future__ import annotations

import platform
import shlex
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.envelopes.checks import Finding
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render import failures
from pfa_cli.render.humanize import ago, count, records_behind
from pfa_core.errors import DatabaseUnavailable, Internal, IoFailure, PfaError
from pfa_core.model.gaps import uncosted

if TYPE_CHECKING:
    from pfa_core.admin.server import DatabaseStatus
    from pfa_core.config.settings import Settings

OLDEST_PYTHON = (3, 11)
CONFIG_INVALID = 78
PEMS_CURE = (
    "check PFA_PEMS_URL, PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, or ask the operator of PEMS"
)
# So much of the server's log, and reads after a change ask the server more often than not.
FAR_BEHIND = 16 * 1024 * 1024
# Less room than a checkpoint of the server may need, and than a bulk write does.
NO_ROOM, LITTLE_ROOM = 256 * 1024 * 1024, 2 * 1024 * 1024 * 1024
LARGE_TRAIL, OLD_TRAIL = 5_000_000, timedelta(days=3 * 366)
Check = Callable[[Invocation], Finding | None]


def examine(call: Invocation) -> list[Finding]:
    """Run every check in order; those that need a failed one are skipped."""
    findings: list[Finding] = []
    broken: set[str] = set()
    for name, (check, needs) in CHECKS.items():
        if broken & set(needs):
            finding = Finding(name, "skipped", f"needs {', '.join(sorted(broken & set(needs)))}")
        else:
            finding = _run(name, check, call)
        if finding is None:
            continue
        if finding.result == "problem" or (finding.result == "skipped" and broken & set(needs)):
            broken.add(name)
        findings.append(finding)
    return findings


def _run(name: str, check: Check, call: Invocation) -> Finding | None:
    """Run one check; None: it is about what is not configured."""
    try:
        return check(call)
    except Exception as error:
        failure = failures.of_exception(error)
        return Finding(
            name, "problem", failure.message, cure=failure.hint, exit_code=failure.exit_code
        )


def _python(_call: Invocation) -> Finding:
    found = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding(
            "python",
            "problem",
            found,
            cure="install Python 3.11 or later",
            exit_code=CONFIG_INVALID,
        )
    return Finding("python", "ok", found)


def _configuration(call: Invocation) -> Finding:
    settings = call.settings
    path = settings.config_dir / "config.toml"
    if not path.exists():
        return Finding("configuration", "ok", f"no {path}; optional")
    return Finding("configuration", "ok", f"{path}, profile {settings.profile or 'default'}")


def _key(call: Invocation) -> Finding:
    settings = call.settings
    if settings.jwt_secret:
        return _judged_key(settings, "PFA_JWT_SECRET")
    return _judged_file(settings)


def _judged_file(settings: Settings) -> Finding:
    path = settings.key_file
    if not path.exists():
        cure = "type: pfa init --org CODE, or set PFA_JWT_SECRET"
        return Finding(
            "signing key", "problem", f"{path} is not there", cure=cure, exit_code=CONFIG_INVALID
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    return _judged_key(settings, f"{path}, mode {mode:04o}")


def _judged_key(settings: Settings, source: str) -> Finding:
    from pfa_core.access.tokens import keyring

    length = len(keyring.load(settings).signing.secret.reveal())
    if length < 32:
        cure = "use at least 32 random characters; tokens signed with the old key become invalid"
        return Finding("signing key", "notice", f"{source}: only {length} characters", cure=cure)
    return Finding("signing key", "ok", source)


def _token(call: Invocation) -> Finding:
    info = core.token_info(call.signed_in)
    codes = ", ".join(info.organizations) or "no organization"
    until = f"valid until {info.expires_at:%Y-%m-%d %H:%M} UTC"
    return Finding("token", "ok", f"{info.user_id} in {codes}, {until}, from {info.source}")


def _database(call: Invocation) -> Finding:
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


def _data_directory(call: Invocation) -> Finding | None:
    """Check the embedded server's data against the programs; name what is kept."""
    from pfa_core.admin.server import data_directories

    found = data_directories(call.settings)
    if found is None:
        return None
    if found.problem:
        text, _, cure = found.problem.partition(": ")
        return Finding("data directory", "notice", text, cure=cure)
    if found.kept:
        sizes = ", ".join(f"{path} ({size / 1e6:,.0f} MB)" for path, size in found.kept)
        names = " ".join(shlex.quote(str(path)) for path, _ in found.kept)
        text = f"kept since an upgrade of PostgreSQL: {sizes}"
        return Finding(
            "data directory", "notice", text, cure=f"when nothing is missed, type: rm -r {names}"
        )
    return None


def _schema(call: Invocation) -> Finding:
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
    return Finding("schema", "problem", text, cure=cure, exit_code=CONFIG_INVALID)


def _counted(call: Invocation, version: str) -> Finding:
    """Check that large tables were analyzed; those of a restored dump were not."""
    from pfa_core.admin.server import uncounted_tables

    uncounted = uncounted_tables(call.settings)
    if not uncounted:
        return Finding("schema", "ok", version)
    text = f"{version}; never analyzed: {', '.join(uncounted)}, so that lists and totals are slow"
    return Finding("schema", "notice", text, cure="type: pfa db upgrade")


def _disk(call: Invocation) -> Finding | None:
    """Check that the file system of the embedded server has room."""
    from pfa_core.admin.upkeep import disk_room

    found = disk_room(call.settings)
    if found is None:
        return None
    text = f"{_gibibytes(found.free)} free of {_gibibytes(found.total)} in {found.path}"
    cure = f"make room: df -h {shlex.quote(found.path)}"
    if found.free < NO_ROOM:
        return Finding("disk", "problem", text, cure=cure, exit_code=IoFailure.exit_code)
    if found.free < LITTLE_ROOM:
        return Finding("disk", "notice", text, cure=cure)
    return Finding("disk", "ok", text)


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"


def _upkeep(call: Invocation) -> Finding | None:
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


def _trail(call: Invocation) -> Finding:
    """Check that the audit trail is not larger or older than it has to be."""
    from pfa_core.admin.upkeep import upkeep_of
    from pfa_core.model.ids import utc_now

    if not _may_read(call):
        return Finding("trail", "skipped", "requires the right read")
    entries = upkeep_of(call.settings).trail_entries
    archives = core.list_archives(call.database, call.principal)
    begin = core.LogFilter(since=archives[-1].before if archives else None)
    first = core.list_log(call.database, call.principal, begin, limit=1, sort="at")
    now = utc_now()
    oldest = first[0].at if first else now
    text = f"about {entries:,} entries, the oldest of {oldest:%Y-%m-%d}"
    if entries <= LARGE_TRAIL and now - oldest <= OLD_TRAIL:
        return Finding("trail", "ok", text)
    year = now.year - 1
    cure = f"type: pfa log archive --before {year}-01-01 --to trail-{year - 1}.jsonl.gz"
    return Finding("trail", "notice", text, cure=cure)


def _replica(call: Invocation) -> Finding | None:
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
            "replica", "problem", text, cure=f"see {settings.read_source}", exit_code=CONFIG_INVALID
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


def _nodes(call: Invocation) -> Finding | None:
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
        return Finding("nodes", "problem", text, cure=cure, exit_code=CONFIG_INVALID)
    if found.unwritable:
        text = f"{text}; the role may not write into {', '.join(found.unwritable)}"
        return Finding("nodes", "problem", text, cure=cure, exit_code=CONFIG_INVALID)
    return Finding("nodes", "ok", text)


def _row_level_security(call: Invocation) -> Finding:
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


def _membership(call: Invocation) -> Finding:
    if not _may_read(call):
        principal = call.principal
        text = f"{principal.user_id} in {principal.organization_id}, by its token, without the right read"
        return Finding("membership", "ok", text)
    report = core.status(call.database, call.principal)
    text = f"{report.user_id} is {report.role} in {report.organization_id}"
    for one in core.list_organizations(call.database, call.signed_in):
        if one.organization_id == report.organization_id and one.status != "active":
            text += f", which is {one.status}: nothing is exchanged with PEMS"
    return Finding("membership", "ok", text)


def _pems(call: Invocation) -> Finding:
    """Check that PEMS, where configured, answers and accepts the credentials."""
    from pfa_core.model.exchange import Failure, RetryAdvice
    from pfa_core.pems.services.grid_reader import open_reader
    from pfa_core.pems.services.rest import health

    code = call.principal.organization_id
    if not core.pems_configured(call.settings, code):
        return Finding("PEMS", "skipped", "no address is configured; optional with files")
    profile = call.pems()
    found = health(profile)
    failure = found.failure
    if failure is None or failure.advice is not RetryAdvice.RETRY:  # some PEMS lack that service
        with open_reader(profile) as reader:
            page = reader.page(0, 1)
        failure = page if isinstance(page, Failure) else None
    if failure is None:
        return Finding("PEMS", "ok", f"{profile.url} answers in {found.latency * 1000:.0f} ms")
    return Finding(
        "PEMS", "problem", f"{profile.url}: {failure.message}", cure=PEMS_CURE, exit_code=69
    )


def _baseline(call: Invocation) -> Finding:
    from pfa_core.model.ids import utc_now
    from pfa_core.status_summary import OLD_BASELINE

    if not _may_read(call):
        return Finding("baseline", "skipped", "requires the right read")
    report = core.status(call.database, call.principal)
    age = f"{count(report.record_count, 'record')}, last pull {ago(report.baseline_at)}"
    if report.baseline_at is None or utc_now() - report.baseline_at > OLD_BASELINE:
        return Finding("baseline", "notice", age, cure="type: pfa sync pull")
    if report.behind:
        late = records_behind(report.behind, report.behind_since)
        refused = f"{age}; behind PEMS: {late}, refused by the last pull"
        return Finding(
            "baseline", "notice", refused, cure=f"type: pfa sync show {report.behind_run_id}"
        )
    return Finding("baseline", "ok", age)


def _data(call: Invocation) -> Finding:
    """Check that the costs leave nothing out and are of one currency."""
    from pfa_core.model.query import Filters

    if not _may_read(call):
        return Finding("data", "skipped", "requires the right read")
    found = core.compute_stats(call.database, call.principal, Filters())
    gaps = uncosted(found)
    if not gaps:
        return Finding("data", "ok", "nothing is left out of the costs")
    text = "; ".join(gap.text for gap in gaps)
    return Finding("data", "notice", text, cure=f"type: {gaps[0].command}")


def _rows(call: Invocation) -> Finding:
    """Check that no row holds what its table's checks refuse."""
    from pfa_core.model.principal import Right

    if not {Right.READ, Right.MANAGE_SETTINGS} <= call.principal.rights:
        return Finding("rows", "skipped", "requires the right manage_settings")
    found = core.find_bad_rows(call.database, call.principal)
    if not found:
        return Finding("rows", "ok", "every row is within the checks of its table")
    first = found[0]
    text = f"{count(len(found), 'row')} with invalid values: {first.table} {first.row_key}"
    return Finding(
        "rows", "problem", text, cure="type: pfa db verify --repair", exit_code=Internal.exit_code
    )


def _may_read(call: Invocation) -> bool:
    """Tell whether the token may read; a job that only pushes needs no such right."""
    from pfa_core.model.principal import Right

    return Right.READ in call.principal.rights


CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "python": (_python, ()),
    "configuration": (_configuration, ()),
    "signing key": (_key, ("configuration",)),
    "token": (_token, ("configuration", "signing key")),
    "database": (_database, ("configuration",)),
    "disk": (_disk, ("configuration",)),
    "data directory": (_data_directory, ("configuration", "database")),
    "schema": (_schema, ("database",)),
    "upkeep": (_upkeep, ("schema",)),
    "replica": (_replica, ("schema",)),
    "nodes": (_nodes, ("schema",)),
    "row-level security": (_row_level_security, ("schema",)),
    "membership": (_membership, ("token", "schema")),
    "PEMS": (_pems, ("configuration", "token")),
    "baseline": (_baseline, ("membership",)),
    "data": (_data, ("membership",)),
    "rows": (_rows, ("membership",)),
    "trail": (_trail, ("membership",)),
}
