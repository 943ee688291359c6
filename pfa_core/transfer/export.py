"""The export of an organization into a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.admin.consistency import compared
from pfa_core.audit.verify import LogReport, verified
from pfa_core.authorization import authorize
from pfa_core.errors import ConfigInvalid, InvalidData, PfaError
from pfa_core.files.bundle import BundleWriter
from pfa_core.files.replacing import PRIVATE, replacing
from pfa_core.model.ids import OrganizationId
from pfa_core.model.member import OrganizationStatus
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.sql.tables import CARRIED
from pfa_core.store import leases, schema, transfer
from pfa_core.store.database import Database
from pfa_core.transfer.closing import (
    archive,
    require_money,
    require_unbound,
    shown_name,
    status_of,
    take_back,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export wrote.

    `anchor` is the end of the audit trail, `sha256` the checksum of the file, empty in
    a dry run. `status` is the organization's here from now on, `rows` the number of rows by table.
    """

    organization_id: OrganizationId
    path: str
    size_bytes: int
    sha256: str
    schema_version: int
    status: OrganizationStatus
    copy: bool
    records: int
    modifications: int
    members: int
    entries: int
    anchor: str
    rows: Mapping[str, int]


def export_organization(
    db: Database,
    principal: Principal,
    path: str | os.PathLike[str],
    *,
    copy: bool = False,
    dry_run: bool = False,
) -> ExportResult:
    """Write everything of the caller's organization into a file, and archive it here.

    The file takes the place of another one at the end, and its owner alone can read it. Audit trail and sums are
    verified first. In an archived organization nothing is saved, committed, pulled or pushed: it goes on
    where the file is imported, and no change is sent by both. Where the export fails it is active again.

    Args:
        copy: It stays active here; what is imported is suspended, so that it exchanges nothing with PEMS.
        dry_run: Verify and count; write and archive nothing.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings`, `manage_users` or `view_financials`.
        ConfigInvalid: The address is not that of the tables' owner.
        LeaseHeld: A pull or a push is running.
        InvalidData: The audit trail is not whole, or sums differ from their records.
        IoFailure: The file cannot be written.
    """
    with (
        db.administration() as owner,
        nullcontext() if copy or dry_run else _archived(owner, principal, shown_name(path)),
        # It gets its name when nothing can fail any more, after which the organization would be active beside it.
        nullcontext() if dry_run else replacing(path, mode=PRIVATE) as file,
    ):

        def work(conn: Connection[Any]) -> ExportResult:
            require_unbound(conn)
            require_money(principal, authorize(conn, principal, Operation.EXPORT_ORGANIZATION))
            trail = _verified(conn, principal.organization_id)
            status = status_of(conn, principal.organization_id)
            given = _Given(principal.organization_id, os.fspath(path), copy, status)
            return _written(conn, given, trail, file) if file else _counted(conn, given, trail)

        # What a replica has may be older than what was just archived.
        return owner.read(work, latest=True)


@dataclass(frozen=True, slots=True)
class _Given:
    code: OrganizationId
    path: str
    copy: bool
    status: OrganizationStatus


@contextmanager
def _archived(owner: Database, principal: Principal, name: str) -> Iterator[None]:
    """Archive the organization for the block.

    A failure takes it back, unless it was archived before; an interrupt says what it is from then on.
    """
    before = archive(owner, principal, reason=f"exported to {name}")
    try:
        yield
    except BaseException as error:
        kept = "stays archived"
        if before is not None:
            with suppress(PfaError):
                take_back(owner, principal, status=before, reason=f"the export to {name} failed")
                kept = f"is {before} again"
        if isinstance(error, KeyboardInterrupt):
            code = principal.organization_id
            error.add_note(f"interrupted, {name} was not written; {code} {kept}")
        raise


def _verified(conn: Connection[Any], code: OrganizationId) -> LogReport:
    """Refuse an organization that could not be imported.

    Raises:
        InvalidData: Its trail is not whole, or something derived differs from its source.
    """
    trail = verified(conn, code)
    if not trail.whole:
        raise InvalidData(
            f"the audit trail of {code} is not whole: {trail.flaw_count:,} flaws; nothing was written",
            hint=f"type: pfa log verify --org {code}",
        )
    if not compared(conn, code).clean:
        raise InvalidData(
            f"stored sums or overlays of {code} differ from their records; nothing was written",
            hint=f"type: pfa db verify --repair --org {code}",
        )
    return trail


def _counted(conn: Connection[Any], given: _Given, trail: LogReport) -> ExportResult:
    return _result(
        given, trail, {table: transfer.count(conn, given.code, table) for table in CARRIED}
    )


def _written(
    conn: Connection[Any], given: _Given, trail: LogReport, file: BinaryIO
) -> ExportResult:
    columns = {table: _columns(conn, table) for table in CARRIED}
    head = {
        "organization": given.code,
        "schema": schema.program_version(),
        "at": leases.clock(conn).isoformat(),
        "copy": given.copy,
        "status": _before(conn, given),
        "anchor": trail.anchor,
        "columns": columns,
    }
    # A transaction that is done again writes it again.
    file.seek(0)
    file.truncate()
    writer = BundleWriter(file, head)
    for table, names in columns.items():
        writer.add(table, transfer.read(conn, given.code, table, names))
    writer.finish()
    return _result(given, trail, writer.rows, digest=writer.digest, size=file.tell())


def _before(conn: Connection[Any], given: _Given) -> OrganizationStatus:
    """Return what the organization was before it was archived."""
    if given.status is not OrganizationStatus.ARCHIVED:
        return given.status
    return transfer.status_before(conn, given.code) or OrganizationStatus.ACTIVE


def _columns(conn: Connection[Any], table: str) -> list[str]:
    names = transfer.columns(conn, table)
    if not names:
        raise ConfigInvalid(f"the database has no table {table}", hint="type: pfa db upgrade")
    return names


def _result(
    given: _Given,
    trail: LogReport,
    rows: Mapping[str, int],
    *,
    digest: str = "",
    size: int = 0,
) -> ExportResult:
    return ExportResult(
        organization_id=given.code,
        path=given.path,
        size_bytes=size,
        sha256=digest,
        schema_version=schema.program_version(),
        status=given.status,
        copy=given.copy,
        records=rows["pfa_mirror"],
        modifications=rows["pfa_modification"],
        members=rows["pfa_member"],
        entries=rows["audit_log"],
        anchor=trail.anchor,
        rows=rows,
    )
