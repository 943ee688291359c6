"""Restored drafts: discarded ones, drafted again from the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pfa_core.authorization import may_write_all, require_fields
from pfa_core.drafts.own_sends import own_sends
from pfa_core.drafts.save_plan import Origin, Saved, SaveOptions
from pfa_core.drafts.save_portions import Saving, hold, in_portions
from pfa_core.errors import Fault, FaultCode, InvalidRequest, NoDrafts, NotFound
from pfa_core.model.delta import Change, over_own_sends
from pfa_core.model.ids import EntryId, PfaId, SessionId
from pfa_core.model.modification import State
from pfa_core.model.query import given_key, require_text
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import archives, audit, mirror, modifications
from pfa_core.store.audit import Discard, DiscardedDraft
from pfa_core.store.mirror import MirrorRow


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """The drafts restored, in PFA id order.

    `already_restored`: the PFA ids of those that an earlier call restored. `errors`: why others stay
    discarded (only with `partial`).
    """

    restored: list[Saved]
    already_restored: list[PfaId]
    errors: list[Fault]


def _check_restore(
    *,
    session_id: str | None = None,
    ids: Sequence[str] = (),
    entry_ids: Sequence[str] = (),
    **_: object,
) -> None:
    if session_id is None and not ids and not entry_ids:
        raise InvalidRequest("nothing selected", hint="give `session_id`, `ids` or `entry_ids`")
    require_text(session_id or "")
    for pfa_id in ids:
        given_key(pfa_id)
    for entry_id in entry_ids:
        _canonical(entry_id)


@writes(Operation.RESTORE, own=True, check=_check_restore)
def restore(
    tx: Tx,
    *,
    session_id: str | None = None,
    ids: Sequence[str] = (),
    entry_ids: Sequence[str] = (),
    partial: bool = False,
    dry_run: bool = False,
) -> RestoreResult:
    """Restore the principal's discarded drafts, all or none.

    What a commit dropped because PEMS owns the field and has changed it counts as discarded. Of each record
    the newest is restored. They are revalidated like any save, on the PEMS values of today, and return into
    the sessions they were in. What PEMS changed since a field was first drafted is a conflict at the commit,
    as if the draft had stayed. A draft restored before is not restored twice, unless it was emptied since, or
    discarded again.

    Args:
        session_id: Of this session.
        ids: Of these records; with a session, both conditions must match.
        entry_ids: The audit entries of the discards, older than the newest ones too.
        partial: Restore the others when some cannot be.

    Raises:
        InvalidRequest: Nothing is selected.
        NoDrafts: Nothing of the principal's that matches was discarded.
        PermissionDenied: One of them changes a field that the principal may not write (any more).
        VersionConflict: A record has a draft; more faults of other kinds make it InvalidData.
    """
    entries = [_canonical(entry_id) for entry_id in entry_ids]
    ids = [given_key(pfa_id) for pfa_id in ids]
    found = _discarded(tx, session_id, ids, entries)
    wanted = [item for item in found if not item.restored]
    _require_writable(tx, wanted)
    faults = [*_never_discarded(ids, found), *_unknown_entries(entries, found)]
    already = [item.pfa_id for item in found if item.restored]
    del found
    if not wanted and not faults:
        return RestoreResult([], already, [])
    return _restore(tx, wanted, already, faults, partial=partial)


def _require_writable(tx: Tx, wanted: Sequence[Discard]) -> None:
    if may_write_all(tx.principal, tx.member):
        return
    fields: dict[str, None] = {}
    for some in in_portions(wanted):
        for draft in _drafts(tx, some):
            fields.update(dict.fromkeys(draft.delta))
    require_fields(tx.principal, tx.member, fields, tx.operation)


def _drafts(tx: Tx, discards: Sequence[Discard]) -> list[DiscardedDraft]:
    """Read what was discarded, in PFA id order."""
    return audit.discarded(tx.conn, tx.principal, [item.entry_id for item in discards])


def _discarded(
    tx: Tx, session_id: str | None, ids: Sequence[str], entry_ids: Sequence[EntryId]
) -> list[Discard]:
    archive = archives.last(tx.conn, tx.organization_id)
    found = audit.discards(
        tx.conn,
        tx.principal,
        session_id=session_id,
        ids=[PfaId(pfa_id) for pfa_id in ids] or None,
        entry_ids=entry_ids or None,
        after=archives.end_of(archive).number,
    )
    if not found:
        since = f" since {archive.day}; what was before is archived" if archive else ""
        raise NoDrafts(
            f"no matching draft of {tx.user_id} was discarded or replaced by PEMS{since}",
            hint="type: pfa log --action discard",
        )
    return found


def _restore(
    tx: Tx,
    wanted: list[Discard],
    already: list[PfaId],
    faults: list[Fault],
    *,
    partial: bool,
) -> RestoreResult:
    """Restore entries.

    `wanted` is emptied on the way: its entries are not in memory beside the results.
    """
    touched = hold(tx, (item.pfa_id for item in wanted))
    options = SaveOptions(partial=partial, keep_equal=True)
    saving = Saving(tx, options, faults=faults, touched=touched)
    taken: set[PfaId] = set()
    order = [item.pfa_id for item in wanted]
    for some in in_portions(_taken_from(wanted)):
        taken.update(_take(tx, saving, some, touched, faults))
    result = saving.result(pfa_id for pfa_id in order if pfa_id not in taken)
    return RestoreResult(result.saved, already, result.errors)


def _take(
    tx: Tx,
    saving: Saving,
    discards: Sequence[Discard],
    touched: Set[str] | None,
    faults: list[Fault],
) -> list[PfaId]:
    """Save a portion of what was discarded, but where the record has a draft.

    Nothing of the portion is kept, so that one is in memory at a time.

    Args:
        faults: Those of records that have a draft are added, before the others are saved.

    Returns:
        The PFA ids of records that have a draft.
    """
    drafts = _drafts(tx, discards)
    rows, drafted = _lock(tx, sorted(item.pfa_id for item in drafts), touched)
    faults += [_has_draft(pfa_id, session) for pfa_id, session in drafted.items()]
    free = [item for item in drafts if item.pfa_id not in drafted]
    del drafts
    changes = [Change(item.pfa_id, item.delta, item.reason) for item in free]
    origins: dict[str, Origin] = {
        item.pfa_id: Origin(item.session_id, item.entry_id, base)
        for item, base in _over_own(tx, free, rows)
    }
    saving.take(changes, origins)
    return list(drafted)


def _taken_from(items: list[Discard]) -> Iterator[Discard]:
    """Yield the items of a list in their order, without keeping them."""
    items.reverse()
    while items:
        yield items.pop()


def _lock(
    tx: Tx, ids: Sequence[PfaId], touched: Set[str] | None
) -> tuple[dict[PfaId, MirrorRow], dict[PfaId, SessionId]]:
    """Lock records; return them, and the sessions of their drafts, by PFA id."""
    rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    asked = ids if touched is None else [pfa_id for pfa_id in ids if pfa_id in touched]
    stack = modifications.of_records(tx.conn, tx.principal, asked) if asked else ()
    return rows, {row.pfa_id: row.session_id for row in stack if row.state == State.DRAFT}


def _over_own(
    tx: Tx, wanted: Sequence[DiscardedDraft], rows: Mapping[PfaId, MirrorRow]
) -> Iterable[tuple[DiscardedDraft, Mapping[str, Any] | None]]:
    """Yield the drafts over their bases and what PEMS took of the caller's since.

    An acknowledged change becomes the base of its user's drafts; those that were not there then missed it.
    """
    synced = own_sends(tx, [item.pfa_id for item in wanted])
    for item in wanted:
        row = rows.get(item.pfa_id)
        since = [one.delta for one in synced.get(item.pfa_id, ()) if one.at >= item.at]
        if item.base is None or row is None or not since:
            yield item, item.base
        else:
            yield item, over_own_sends(item.base, row.data, since)


def _has_draft(pfa_id: PfaId, session_id: SessionId) -> Fault:
    reason = f"has a draft in session {session_id!r}; discard or commit it first"
    return Fault(pfa_id, "", FaultCode.VERSION_CONFLICT, reason)


def _never_discarded(ids: Iterable[str], found: Sequence[Discard]) -> list[Fault]:
    """Return faults for ids without a discard: a typo must not count as restored."""
    known = {item.pfa_id for item in found}
    reason = "no draft of yours on it was discarded"
    return [Fault(pfa_id, "", FaultCode.NOT_FOUND, reason) for pfa_id in ids if pfa_id not in known]


def _unknown_entries(entry_ids: Iterable[str], found: Sequence[Discard]) -> list[Fault]:
    """Return faults for entry ids that restore nothing."""
    known = {item.entry_id for item in found}
    reason = (
        "not a draft of yours that was discarded or that PEMS replaced, or older than another given entry"
        " of the same record"
    )
    return [
        Fault("", "", FaultCode.NOT_FOUND, reason, position=f"entry {entry_id}")
        for entry_id in entry_ids
        if entry_id not in known
    ]


def _canonical(entry_id: str) -> EntryId:
    """Return an entry id as PostgreSQL spells it."""
    try:
        return EntryId(str(UUID(entry_id.strip())))
    except ValueError:
        raise NotFound(f"entry not found: {entry_id!r}", hint="type: pfa log -o ids") from None
