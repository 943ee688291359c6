"""Fields removed from drafts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pfa_core.drafts.before import before
from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save import matching_ids, preview_of
from pfa_core.drafts.save_faults import count
from pfa_core.drafts.save_plan import Saved, SaveStatus
from pfa_core.drafts.save_portions import hold, in_portions
from pfa_core.errors import Fault, InvalidData, InvalidRequest, NoDrafts, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.delta import check, merge, unwritable
from pfa_core.model.ids import PfaId
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, draft_writes, mirror, modifications, overlays
from pfa_core.store.draft_writes import DraftUpdate
from pfa_core.store.modifications import ModificationRow, by_record

if TYPE_CHECKING:
    from pfa_core.drafts.save_preview import Preview, SavePreview


@dataclass(frozen=True, slots=True)
class UnsetResult:
    """Drafts that lost fields, and PFA ids.

    `emptied`: of the drafts that were deleted with their last field. `unchanged`: of those without any of
    the fields. `preview`: of a dry run, what changes.
    """

    unset: list[Saved]
    emptied: list[PfaId]
    unchanged: list[PfaId]
    preview: SavePreview | None = None


def _check_unset(_filters: Filters, fields: Sequence[str], **_: object) -> None:
    for name in fields:
        wrong = unwritable(name)
        if wrong:
            raise InvalidRequest(f"{name}: {wrong.reason}")
    if not fields:
        raise InvalidRequest("no field given", hint="give at least one in `fields`")


@writes(Operation.UNSET_FIELDS, own=True, check=_check_unset)
def unset_fields(
    tx: Tx, filters: Filters, fields: Sequence[str], *, dry_run: bool = False
) -> UnsetResult:
    """Remove fields from the drafts of the matching records.

    A draft without a field left is deleted.

    Raises:
        InvalidRequest: No field, or one that no draft can hold.
        NoDrafts: None of the records has a draft.
        InvalidData: What stays in a draft does not make a valid record.
    """
    names = frozenset(fields)
    ids = sorted(_changed_ids(tx, filters))
    hold(tx, ids)
    result, faults, lost, at = UnsetResult([], [], []), list[Fault](), set[PfaId](), tx.now()
    preview = preview_of(tx, dry_run=dry_run)
    for some in in_portions(ids):
        faults += _unset_some(
            tx, some, names, result, lost, preview=preview, at=at, write=not faults
        )
    _refuse(filters, lost, faults)
    if not (result.unset or result.emptied or result.unchanged):
        from pfa_core.store.suggestions import suggest

        suggestion = suggest(tx.conn, tx.principal, filters)
        raise NoDrafts(
            "none of these records has a draft of yours", hint=suggestion or "type: pfa draft list"
        )
    return replace(result, preview=preview.result()) if preview else result


def _changed_ids(tx: Tx, filters: Filters) -> list[PfaId]:
    """Return the ids that match, of records that the caller has changed.

    No other record has a draft; all that match would be read and locked, up to a million. Ids are returned as
    they are given.
    """
    changed = filters if filters.id else replace(filters, changed=True)
    return matching_ids(tx, changed)


def _unset_some(
    tx: Tx,
    ids: Sequence[PfaId],
    fields: frozenset[str],
    result: UnsetResult,
    lost: set[PfaId],
    *,
    preview: Preview | None,
    at: datetime,
    write: bool,
) -> list[Fault]:
    """Remove the fields from a portion of drafts, if all stay valid.

    Ids that are no records are added to `lost`. Nothing of the portion is kept, so that one is in memory
    at a time.

    Args:
        write: Or look for faults only.
    """
    records = _lock_drafted(tx, ids, lost)
    faults = _faults_of_rest(records, fields)
    if preview:
        _compare(preview, records, fields)
    if write and not faults:
        _unset(tx, [item.draft for item in records if item.draft], fields, at, result)
    return faults


def _compare(preview: Preview, records: Sequence[CurrentRecord], fields: frozenset[str]) -> None:
    """Add some records to the preview, as they are and without the fields."""
    for item in records:
        if item.draft:
            rest = _without(item.draft.delta, fields)
            preview.compare(item.row.pfa_id, item.merged(), merge(item.without_draft(), rest))


def _refuse(filters: Filters, lost: Collection[str], faults: Sequence[Fault]) -> None:
    """Refuse ids that are no records, then invalid rests."""
    unknown = next((pfa_id for pfa_id in filters.id if pfa_id in lost), None)
    if unknown is not None:
        raise NotFound(f"not a record, nor a field: {unknown!r}, nothing was changed")
    if faults:
        raise InvalidData(
            f"{count(len(faults), 'problem')}, nothing was changed",
            hint="unset the field named too",
            details=faults,
        )


def _lock_drafted(tx: Tx, ids: Sequence[PfaId], lost: set[PfaId]) -> list[CurrentRecord]:
    """Lock the records that the caller has modified.

    Ids that are no records are added to `lost`.
    """
    rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    lost.update(pfa_id for pfa_id in ids if pfa_id not in rows)
    stacks = by_record(modifications.of_records(tx.conn, tx.principal, list(rows)))
    return [CurrentRecord(rows[pfa_id], stack) for pfa_id, stack in stacks.items()]


def _faults_of_rest(records: Sequence[CurrentRecord], fields: frozenset[str]) -> list[Fault]:
    """Return why what stays in drafts does not make valid records."""
    faults: list[Fault] = []
    for item in records:
        if item.draft and fields & item.draft.delta.keys():
            rest = _without(item.draft.delta, fields)
            faults += check(item.row.pfa_id, item.without_draft(), rest)
    return faults


def _unset(
    tx: Tx,
    drafts: Sequence[ModificationRow],
    fields: frozenset[str],
    at: datetime,
    result: UnsetResult,
) -> None:
    """Remove the fields from some drafts, and add them to the result."""
    touched = [draft for draft in drafts if fields & draft.delta.keys()]
    emptied = [draft for draft in touched if draft.delta.keys() <= fields]
    shrunk = [draft for draft in touched if not draft.delta.keys() <= fields]
    updates = [_update(draft, fields) for draft in shrunk]
    draft_writes.update_drafts(tx.conn, tx.principal, updates, at)
    draft_writes.delete_drafts(tx.conn, tx.principal, [item.modification_id for item in emptied])
    overlays.refresh_overlays(tx.conn, tx.principal, [draft.pfa_id for draft in touched])
    _audit(tx, touched, fields, at)
    result.unset.extend(map(_saved, shrunk))
    result.emptied.extend(draft.pfa_id for draft in emptied)
    result.unchanged.extend(draft.pfa_id for draft in drafts if not fields & draft.delta.keys())


def _update(draft: ModificationRow, fields: frozenset[str]) -> DraftUpdate:
    return DraftUpdate(
        modification_id=draft.modification_id,
        session_id=draft.session_id,
        delta=_without(draft.delta, fields),
        base=_without(draft.base, fields),
        change_reason=None,
        version=draft.version,
    )


def _audit(tx: Tx, drafts: Sequence[ModificationRow], fields: frozenset[str], at: datetime) -> None:
    entries = [
        audit.Entry(
            entry_id=tx.new_id(),
            pfa_id=draft.pfa_id,
            modification_id=draft.modification_id,
            session_id=draft.session_id,
            before=draft.delta,
            after=rest or None,
            **before(draft, rest),
        )
        for draft in drafts
        for rest in (_without(draft.delta, fields),)
    ]
    tx.audit(Action.UNSET, entries, at=at)


def _saved(draft: ModificationRow) -> Saved:
    return Saved(
        draft.pfa_id,
        draft.modification_id,
        draft.version + 1,
        SaveStatus.UPDATED,
    )


def _without(values: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in fields}
