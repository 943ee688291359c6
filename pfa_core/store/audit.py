"""The audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection, capabilities
from psycopg.rows import args_row, class_row, tuple_row

from pfa_core import sql
from pfa_core.errors import Denial
from pfa_core.model.audit import Action, LogEntry, LogFilter
from pfa_core.model.ids import (
    EntryId,
    ModificationId,
    NewId,
    OrganizationId,
    PfaId,
    RunId,
    SessionId,
    UserId,
    counting_from,
)
from pfa_core.model.ordering import LOG, SortKey
from pfa_core.model.principal import Principal
from pfa_core.store import rls, writing
from pfa_core.store.adapters import object_or_none
from pfa_core.store.audit_chain import link_of
from pfa_core.store.ordering import By, order_by
from pfa_core.store.portions import PORTION, json_portions, portions

_SQL = sql.statements("audit")
# A condition for each filter. A statement contains only those that are asked for, so that the planner knows
# which index serves.
_FILTERS: dict[str, LiteralString] = {
    "user_id": "AND e.user_id = %(user_id)s",
    "pfa_id": "AND e.pfa_id = %(pfa_id)s",
    "session_id": "AND e.session_id = %(session_id)s",
    "run_id": "AND e.run_id = %(run_id)s",
    "since": "AND e.at >= %(since)s",
    "until": "AND e.at < %(until)s",
    "actions": "AND e.action = ANY(%(actions)s)",
}
_ORDERS = {
    "at": By("e.at"),
    "userId": By('e.user_id COLLATE "C"'),
    "action": By('e.action COLLATE "C"'),
    "pfaId": By("e.pfa_id", nullable=True),
    "sessionId": By("e.session_id", nullable=True),
}
# The columns of `list` and of `following` after the number of the link.
_COLUMNS = tuple(one.name for one in fields(LogEntry) if one.name != "masked")
# How many denials of one user, and of all users, are recorded within the time: a client that is denied in a
# loop must not fill the disk.
_DENIALS, _ALL_DENIALS, _DENIALS_TIME = 100, 1000, timedelta(hours=1)
_LONGEST_USER = 200
_STREAMED = 1000  # entries that a stream reads at once


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: before → after, null where there was or is nothing.

    `restores`: the entry whose draft this entry made a draft again, or that it takes back. `base`: what values
    were made over that are gone from the draft. `was`: what the modification was before, beside its delta, as
    far as the action changed it: an undo needs it.
    """

    entry_id: str
    pfa_id: PfaId | None = None
    _: KW_ONLY
    modification_id: ModificationId | None = None
    session_id: SessionId | None = None
    run_id: RunId | None = None
    before: Any = None
    after: Any = None
    reason: str | None = None
    restores: EntryId | None = None
    base: Any = None
    was: Any = None


class Place(NamedTuple):
    """An entry's place in the chain: the number of its link, then its id."""

    number: int
    entry_id: EntryId


FIRST_ID = EntryId("00000000-0000-0000-0000-000000000000")
LAST_ID = EntryId("ffffffff-ffff-ffff-ffff-ffffffffffff")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardedDraft:
    """A draft that was discarded, or dropped because PEMS owns its fields.

    `at` is when, by the database's clock. `base`: PEMS's values when its fields were first drafted; None in
    entries from before these were kept.
    """

    entry_id: EntryId
    pfa_id: PfaId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any] | None
    reason: str | None
    at: datetime


class Discard(NamedTuple):
    """The entry of such a draft; `restored`: it was made a draft again since."""

    entry_id: EntryId
    pfa_id: PfaId
    restored: bool


def write(
    conn: Connection[Any],
    organization_id: OrganizationId,
    user_id: UserId,
    action: Action,
    at: datetime,
    *,
    entries: Sequence[Entry],
) -> None:
    """Append entries of one action and time, within `Database.transact` only."""
    if not entries:
        return
    values = {
        "organization_id": organization_id,
        "user_id": user_id,
        "action": action,
        "at": at,
        "link_id": link_of(conn, organization_id, entries[0].entry_id, len(entries)),
    }
    for portion in json_portions(entries):
        writing.changed(conn, _SQL, "write", {**values, "entries": portion.json})


def write_of(
    conn: Connection[Any],
    principal: Principal,
    action: Action,
    at: datetime,
    modification_ids: Sequence[ModificationId],
    *,
    new_id: NewId,
    before: bool = True,
    after: bool = True,
    base: bool = False,
    was: bool = False,
) -> None:
    """Append an entry of one action for each modification, in PFA id order.

    The delta is the modification's present one.

    Args:
        before, after: Whether the delta existed before the action, and exists after it.
        base: Whether to keep what the delta was made over, for a restore.
        was: Whether to keep the rest of what the action changes, for an undo.
    """
    for some in portions(modification_ids):
        first_digits = counting_from(new_id())
        first = f"{first_digits}{1:08x}"
        values = {
            "organization_id": principal.organization_id,
            "user_id": principal.user_id,
            "action": action,
            "at": at,
            "modification_ids": some,
            "first_digits": first_digits,
            "before": before,
            "after": after,
            "base": base,
            "was": was,
            "link_id": link_of(conn, principal.organization_id, first, len(some)),
        }
        writing.changed(conn, _SQL, "write_of", values, ids=some)


def deny(conn: Connection[Any], denial: Denial, entry_id: str) -> None:
    """Append a denial: what was denied to which user, and why.

    At most 100 an hour are recorded of a user, and 1,000 of an organization. Under row-level security only
    those of members are: its policies allow no other writes.
    """
    if denial.by and not rls.admits(conn, denial.by):
        return
    code = OrganizationId(denial.organization_id)
    if rls.applies(conn):
        _deny_under_rls(conn, code, denial, entry_id)
        return
    user = UserId(denial.user_id[:_LONGEST_USER].replace("\0", ""))
    from pfa_core.store import leases  # a denial is rare

    at = leases.clock(conn)
    values = {"organization_id": code, "user_id": user, "since": at - _DENIALS_TIME}
    row = conn.execute(_SQL["denials"], values).fetchone()
    own, total = row or (0, 0)
    if own >= _DENIALS or total >= _ALL_DENIALS:
        return
    last = own + 1 == _DENIALS or total + 1 == _ALL_DENIALS
    more = "; further denials within this hour are not recorded" if last else ""
    after = {
        "operation": denial.operation,
        "permission": denial.permission,
        "success": False,
    }
    entry = Entry(entry_id, after=after, reason=f"{denial.reason}{more}")
    write(conn, code, user, Action(denial.action), at, entries=[entry])


def _deny_under_rls(
    conn: Connection[Any], organization_id: OrganizationId, denial: Denial, entry_id: str
) -> None:
    values = {
        "organization_id": organization_id,
        "entry_id": entry_id,
        "action": denial.action,
        "operation": denial.operation,
        "permission": denial.permission,
        "reason": denial.reason,
    }
    row = conn.execute(_SQL["deny_under_rls"], values).fetchone()
    if row and row[0]:
        link_of(conn, organization_id, entry_id, row[0])


def entries(
    conn: Connection[Any],
    organization_id: OrganizationId,
    which: LogFilter,
    *,
    limit: int,
    keys: Sequence[SortKey] = (),
) -> list[LogEntry]:
    """List entries, the newest first unless keys say otherwise."""
    statement, values = _filtered("list", organization_id, which, keys)
    with conn.cursor(row_factory=class_row(LogEntry)) as cursor:
        return [_readable(row) for row in cursor.execute(statement, {**values, "limit": limit})]


def stream_entries(
    conn: Connection[Any],
    organization_id: OrganizationId,
    which: LogFilter,
    *,
    limit: int,
    keys: Sequence[SortKey] = (),
) -> Iterator[LogEntry]:
    """Stream what `entries` lists, in constant memory."""
    statement, values = _filtered("list", organization_id, which, keys)
    with conn.cursor(name="pfa_log", row_factory=class_row(LogEntry)) as cursor:
        cursor.itersize = _STREAMED
        for row in cursor.execute(statement, {**values, "limit": limit}):
            yield _readable(row)


def following(
    conn: Connection[Any],
    organization_id: OrganizationId,
    which: LogFilter,
    *,
    after: Place,
    limit: int,
) -> list[tuple[Place, LogEntry]]:
    """List the entries after a place, in the order in which their transactions ended."""
    statement, values = _filtered("following", organization_id, which)
    values |= {"number": after.number, "entry_id": after.entry_id, "limit": limit}
    with conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(statement, values).fetchall()
    return [
        (Place(number, rest[0]), _readable(LogEntry(**dict(zip(_COLUMNS, rest, strict=True)))))
        for number, *rest in rows
    ]


def _readable(entry: LogEntry) -> LogEntry:
    """Return the entry, with objects for whatever its values are."""
    before, after = object_or_none(entry.before), object_or_none(entry.after)
    if before is entry.before and after is entry.after:
        return entry
    return replace(entry, before=before, after=after)


def _filtered(
    name: str,
    organization_id: OrganizationId,
    which: LogFilter,
    keys: Sequence[SortKey] = (),
) -> tuple[LiteralString, dict[str, Any]]:
    given = {one.name: getattr(which, one.name) for one in fields(which)}
    given = {name: value for name, value in given.items() if value not in (None, ())}
    values = {name: list(value) if name == "actions" else value for name, value in given.items()}
    filters = " ".join(_FILTERS[name] for name in given)
    order = order_by(keys or LOG.parse(), _ORDERS, "e.entry_id")
    statement = _SQL[name].format(filters=filters, order=order)
    return statement, {**values, "organization_id": organization_id}


def was_discarded(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId, session_id: str
) -> bool:
    """Return whether the user discarded drafts of this session before."""
    values = {"organization_id": organization_id, "user_id": user_id, "session_id": session_id}
    row = conn.execute(_SQL["was_discarded"], values).fetchone()
    return bool(row and row[0])


def committed_of(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]
) -> list[ModificationId]:
    """List the principal's modifications of records that were ever committed.

    Synced ones have no index by record; the trail's entries have, and lead to them.
    """
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "ids": list(ids),
    }
    return [row[0] for row in conn.execute(_SQL.for_ids("committed_of", ids), values)]


def discards(
    conn: Connection[Any],
    principal: Principal,
    *,
    session_id: str | None,
    ids: Sequence[PfaId] | None,
    entry_ids: Sequence[EntryId] | None,
    after: int = 0,
) -> list[Discard]:
    """List the entries of discarded drafts, those lost to PEMS too, by PFA id.

    They are the principal's; only the last one of each record is listed.

    Args:
        after: The last link that is archived.
    """
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "session_id": session_id,
        "ids": None if ids is None else list(ids),
        "entry_ids": None if entry_ids is None else list(entry_ids),
        "archived": after,
    }
    among: LiteralString = "" if ids is None else _SQL["of_records"]
    taken_back = _SQL["taken_back"].format(of_records=among)
    statement = _SQL["discards"].format(of_records=among, taken_back=taken_back)
    # Row by row: libpq's result of hundreds of thousands would be in memory beside them.
    size = PORTION if capabilities.has_stream_chunked() else 1
    with conn.cursor(row_factory=args_row(Discard)) as cursor:
        return list(cursor.stream(statement, values, size=size))


def discarded(
    conn: Connection[Any], principal: Principal, entry_ids: Sequence[EntryId]
) -> list[DiscardedDraft]:
    """Read the principal's discarded drafts, in PFA id order."""
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "entry_ids": list(entry_ids),
    }
    with conn.cursor(row_factory=class_row(DiscardedDraft)) as cursor:
        return cursor.execute(_SQL["discarded"], values).fetchall()
