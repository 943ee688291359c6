"""The import of an organization from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg
from psycopg import Connection

from pfa_core.access.names import require_code, require_person
from pfa_core.admin.consistency import compared
from pfa_core.audit.verify import verified
from pfa_core.config.settings import os_user
from pfa_core.errors import (
    IllegalTransition,
    InvalidData,
    InvalidRequest,
    SchemaOutdated,
)
from pfa_core.files.bundle import BundleReader
from pfa_core.files.reading import open_file
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, RunId, UserId
from pfa_core.model.member import OrganizationStatus
from pfa_core.model.principal import Role
from pfa_core.sql.tables import CARRIED
from pfa_core.store import audit, filling, members, queue, schema, statistics, transfer
from pfa_core.store.database import Database
from pfa_core.transfer.closing import require_unbound, shown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import stored.

    `admins` are the users who may manage the organization; `rows` is the number of rows by table.
    """

    organization_id: OrganizationId
    path: str
    sha256: str
    status: OrganizationStatus
    copy: bool
    records: int
    modifications: int
    members: int
    admins: list[UserId]
    entries: int
    anchor: str
    rows: Mapping[str, int]


def import_organization(
    db: Database,
    path: str | os.PathLike[str],
    *,
    user_id: str | None = None,
    dry_run: bool = False,
) -> ImportResult:
    """Store everything of an organization from a file of `export_organization`.

    The file is read whole and checked before anything is written; all is stored in one transaction, whose audit
    trail and sums are verified before it ends. It takes the right to set up the
    database, and makes no user a member. Claims of a push that ended without settling them are given back.

    Args:
        user_id: Who does it, for the audit trail; None: the OS user.

    Raises:
        NotFound: There is no such file.
        InvalidData: It is another file, is cut off, was altered, or its content contradicts itself.
        SchemaOutdated: It is of another schema than the database.
        IllegalTransition: The database has the organization already.
        ConfigInvalid: The address is not that of the tables' owner.
    """
    user = UserId(user_id or os_user())
    require_person(user)
    name = os.fspath(path)
    with _opened(name) as reader:
        head = _checked(reader)

        def work(conn: Connection[Any]) -> ImportResult:
            return _stored(conn, db, reader, head, user)

        with db.administration() as owner:
            return owner.transact(work, dry_run=dry_run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    code: OrganizationId
    copy: bool
    status: OrganizationStatus
    anchor: str
    columns: Mapping[str, list[str]]


@contextmanager
def _opened(name: str) -> Iterator[BundleReader]:
    with open_file(name) as file:
        if not file.seekable():
            raise InvalidRequest(f"{name} is read twice, and a pipe only once", hint="name a file")
        yield BundleReader(file, name)


def _checked(reader: BundleReader) -> _Head:
    """Read the whole file; return its head where all of it is as it was written."""
    head = _parse(reader)
    for part in reader.parts(CARRIED):
        if not transfer.are_all_of(head.code, part.content):
            raise InvalidData(
                f"{reader.name} has rows of another organization than {head.code}; nothing was stored",
                hint=f"type: {shell.command('pfa org export', [head.code, 'FILE'])}",
            )
    return head


def _parse(reader: BundleReader) -> _Head:
    given, number = reader.head, schema.program_version()
    if given.get("schema") != number:
        raise SchemaOutdated(
            f"{reader.name} is of schema {given.get('schema')}, this program's is {number}; nothing was stored",
            hint="upgrade the database that it comes from (pfa db upgrade), then: pfa org export CODE FILE",
        )
    try:
        code = OrganizationId(given["organization"])
        require_code(code)
        columns = {table: [str(column) for column in given["columns"][table]] for table in CARRIED}
        return _Head(
            code=code,
            copy=bool(given["copy"]),
            status=OrganizationStatus(given["status"]),
            anchor=str(given["anchor"]),
            columns=columns,
        )
    except (InvalidRequest, KeyError, TypeError, ValueError):
        raise InvalidData(
            f"{reader.name} does not say what it holds; nothing was stored",
            hint="it is made by: pfa org export CODE FILE",
        ) from None


def _stored(
    conn: Connection[Any], db: Database, reader: BundleReader, head: _Head, user: UserId
) -> ImportResult:
    require_unbound(conn)
    code = head.code
    for table, names in head.columns.items():
        if names != transfer.columns(conn, table):
            raise SchemaOutdated(
                f"{table} has other columns in {reader.name} than in this database; nothing was stored",
                hint="upgrade both databases with one pfa (pfa db upgrade), then: pfa org export CODE FILE",
            )
    _write(conn, reader, head)
    _require_as_written(conn, reader, head)
    queue.recover(conn, code, RunId(str(db.new_id())))
    status = OrganizationStatus.SUSPENDED if head.copy else head.status
    transfer.put_status(conn, code, status)
    after = {"status": status, "anchor": head.anchor, "sha256": reader.digest}
    entry = audit.Entry(
        str(db.new_id()), after=after, reason=f"imported from {shown_name(reader.name)}"
    )
    audit.write(conn, code, user, Action.ORGANIZATION, db.clock(), entries=[entry])
    statistics.ask(conn)  # the tables were filled
    rows = reader.rows
    return ImportResult(
        organization_id=code,
        path=reader.name,
        sha256=reader.digest,
        status=status,
        copy=head.copy,
        records=rows["pfa_mirror"],
        modifications=rows["pfa_modification"],
        members=rows["pfa_member"],
        admins=[one.user_id for one in members.members(conn, code) if one.role is Role.ADMIN],
        entries=rows["audit_log"],
        anchor=head.anchor,
        rows=rows,
    )


def _write(conn: Connection[Any], reader: BundleReader, head: _Head) -> None:
    """Write the rows of each table.

    Raises:
        IllegalTransition: The database has the organization.
        InvalidData: A table refuses a row.
    """
    exists = IllegalTransition(
        f"the database has an organization {head.code} already; nothing was stored",
        hint=f"name another database: pfa org import {shell.file(reader.name)} --database-url ADDRESS",
    )
    if members.organization(conn, head.code):
        raise exists
    lacks_indexes = filling.reserve(conn)
    # The checksums are read again: the file may have been changed since.
    for table, parts in groupby(reader.parts(CARRIED), key=lambda part: part.table):
        try:
            blocks = (part.content for part in parts)
            transfer.write(conn, head.code, table, head.columns[table], blocks)
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.UniqueViolation) and table == CARRIED[0]:
                raise exists from None
            if not transfer.is_refusal(error):
                raise
            raise InvalidData(
                f"{reader.name} has a row that {table} does not take"
                f" ({error.diag.constraint_name or error.sqlstate}); nothing was stored",
                hint=f"type: {shell.command('pfa org export', [head.code, 'FILE'])}",
            ) from None
    if lacks_indexes:
        filling.index(conn)
    # What follows is planned for tables that are full.
    statistics.renew_within(conn, 0, sum(reader.rows.values()))


def _require_as_written(conn: Connection[Any], reader: BundleReader, head: _Head) -> None:
    """Refuse content that contradicts itself.

    Raises:
        InvalidData: The trail is not whole or ends elsewhere, or sums differ from their records.
    """
    for table, number in reader.rows.items():
        if transfer.count(conn, head.code, table) != number:
            raise _contradiction(reader, f"{table} took other rows than the file has")
    if reader.rows[CARRIED[0]] != 1:
        raise _contradiction(reader, f"it has no row of {head.code} itself")
    trail = verified(conn, head.code)
    if not trail.whole or trail.anchor != head.anchor:
        raise _contradiction(reader, "its audit trail is not whole")
    if not compared(conn, head.code).clean:
        raise _contradiction(reader, "its sums or overlays differ from its records")


def _contradiction(reader: BundleReader, what: str) -> InvalidData:
    return InvalidData(
        f"{reader.name} was altered: {what}; nothing was stored",
        hint="copy it again, and compare: sha256sum FILE",
    )
