"""Saves: changed fields of records as drafts, private until they are committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pfa_core import exact_json
from pfa_core.authorization import require_fields
from pfa_core.drafts.save_plan import SaveOptions
from pfa_core.drafts.save_portions import (
    CHARACTERS,
    SaveResult,
    Saving,
    changes_in_portions,
    hold,
    in_portions,
)
from pfa_core.drafts.save_rights import require_known_prices, without_masked
from pfa_core.errors import Fault, InvalidRequest, NotFound
from pfa_core.model.delta import Change
from pfa_core.model.ids import PfaId
from pfa_core.model.progress import Phase, Progress, Report
from pfa_core.model.query import Filters, Query
from pfa_core.model.rights import Operation
from pfa_core.model.sized import text_length
from pfa_core.operation import Tx, writes
from pfa_core.store import members
from pfa_core.store.reads import merged

if TYPE_CHECKING:
    from pfa_core.drafts.save_preview import Preview

MAX_SESSION = 200


def _check_save(
    changes: Sequence[Change],
    *,
    session_id: str | None = None,
    faults: Sequence[Fault] = (),
    **_: object,
) -> None:
    if not changes and not faults:
        raise InvalidRequest("nothing to save")
    require_session(session_id)


@writes(Operation.SAVE, own=True, check=_check_save)
def save(
    tx: Tx,
    changes: Sequence[Change],
    *,
    session_id: str | None = None,
    replace: bool = False,
    move: bool = False,
    partial: bool = False,
    keep_equal: bool = False,
    skip_missing: bool = False,
    overwrite: bool = False,
    reason: str | None = None,
    dry_run: bool = False,
    faults: Sequence[Fault] = (),
    source: str = "",
    progress: Report | None = None,
) -> SaveResult:
    """Save deltas as drafts, all or none.

    A delta is merged into the record's draft (`old ‖ new`), with version + 1; the same content again
    is `unchanged`. A value that the caller's record has already changes nothing, and a drafted field that
    is set back to the value below the draft leaves it. The rules are checked on the merged record. A relative
    value (`Relative`, or `{"add": "5%"}` of a file) is computed from the record as the caller sees it: saved
    twice it is applied twice, unless the change has its `expected_version`. Of a sheet that `write_sheet`
    wrote only the edited cells are saved, each over the value of PEMS that the sheet showed: what PEMS has changed
    since is a conflict at the commit.

    Args:
        session_id: Groups the drafts; a fresh one when None. An existing draft keeps its session then.
        replace: The delta replaces that of the draft.
        move: Drafts of other sessions move into this one.
        partial: Save the valid changes when others are not.
        keep_equal: Draft values equal to the record's too: a commit then is in conflict when PEMS
            changes them, and a push sends them.
        skip_missing: Leave a field out where its relative value has nothing to start from, which is a
            fault otherwise; the result lists these records.
        overwrite: Edited cells of a sheet replace what the caller has changed since it was written, which
            is refused otherwise.
        reason: That of the drafts that change, where their change has none.
        faults: Those found while the changes were read; reported with the others.
        source: The name of the input in messages.
        progress: Called with the changes saved so far, now and then.

    Returns:
        The saved drafts; with `partial` also the faults of the others, with `dry_run` a preview.

    Raises:
        InvalidData: Faults, all of them in `details`; nothing was saved. When every fault is of
            one of these kinds: NotFound, VersionConflict, SessionMismatch instead.
        PermissionDenied: A field that the principal may not write.
    """
    require_known_prices(tx, changes)
    options = SaveOptions(
        session_id=session_id,
        replace=replace,
        move=move,
        partial=partial,
        keep_equal=keep_equal,
        skip_missing=skip_missing,
        overwrite=overwrite,
        reason=reason,
    )
    return save_changes(
        tx,
        changes,
        options,
        faults=faults,
        source=source,
        progress=progress,
        preview=preview_of(tx, dry_run=dry_run),
    )


def _check_set(*_: object, session_id: str | None = None, **__: object) -> None:
    require_session(session_id)


@writes(Operation.SET_FIELDS, own=True, check=_check_set)
def set_fields(
    tx: Tx,
    filters: Filters,
    delta: Mapping[str, Any],
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    keep_equal: bool = False,
    skip_missing: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Save the same delta over every matching record; unknown ids are faults.

    Its relative values are computed from each record as the caller sees it.

    Args:
        keep_equal, skip_missing: As in `save`.
    """
    require_fields(tx.principal, tx.member, tuple(delta), tx.operation)
    options = SaveOptions(
        session_id=session_id,
        move=move,
        partial=partial,
        keep_equal=keep_equal,
        skip_missing=skip_missing,
    )

    def make(ids: Sequence[PfaId]) -> list[Change]:
        return [Change(pfa_id, delta, reason) for pfa_id in ids]

    preview = preview_of(tx, dry_run=dry_run)
    return save_made(tx, filters, matching_ids(tx, filters), make, options, preview=preview)


def save_made(
    tx: Tx,
    filters: Filters,
    ids: Sequence[PfaId],
    make: Callable[[Sequence[PfaId]], Sequence[Change]],
    options: SaveOptions,
    *,
    faults: Sequence[Fault] = (),
    preview: Preview | None = None,
) -> SaveResult:
    """Save the changes that are made of the records that filters matched.

    Args:
        make: Makes the changes of some records; a record without one has none, or one of the `faults`.

    Raises:
        NotFound: They matched none, or none of them changes.
    """
    saving = Saving(tx, options, faults=faults, touched=hold(tx, ids), preview=preview)
    for some in in_portions(ids):
        saving.take(make(some))
    if not saving.taken and not faults:
        from pfa_core.store.suggestions import suggest

        suggestion = suggest(tx.conn, tx.principal, filters)
        raise NotFound("no record matches, nothing was saved", hint=suggestion)
    unmade = {fault.pfa_id for fault in faults}
    return saving.result(pfa_id for pfa_id in ids if pfa_id not in unmade)


def save_changes(
    tx: Tx,
    changes: Sequence[Change],
    options: SaveOptions,
    *,
    faults: Sequence[Fault] = (),
    source: str = "",
    progress: Report | None = None,
    preview: Preview | None = None,
) -> SaveResult:
    """Save changes within a transaction, all or, with `partial`, the valid ones."""
    times, characters = Counter[str](), 0
    for change in changes:
        times[change.pfa_id] += 1
        characters += text_length(change)
    touched = hold(tx, times, characters=characters)
    several = {pfa_id: number for pfa_id, number in times.items() if number > 1}
    del times
    saving = Saving(tx, options, times=several, faults=faults, touched=touched, preview=preview)
    done = 0
    # Where all of their texts are few, no portion has too many: they are not counted again.
    is_small = characters < CHARACTERS
    for some in in_portions(changes) if is_small else changes_in_portions(changes):
        saving.take(without_masked(tx, some))
        done += len(some)
        if progress:
            progress(Progress(phase=Phase.SAVING, done=done, total=len(changes)))
    return saving.result((change.pfa_id for change in changes), source)


def preview_of(tx: Tx, *, dry_run: bool) -> Preview | None:
    """Begin the preview of a dry run; None for a save."""
    if not dry_run:
        return None
    from pfa_core.drafts.save_preview import Preview

    return Preview(members.costing(tx.conn, tx.organization_id), tx.mask)


def matching_ids(tx: Tx, filters: Filters) -> list[PfaId]:
    """Return the ids that match.

    Ids that are the only filter are returned unread, so that unknown ones become faults.

    Raises:
        PermissionDenied: An expression over money, which the caller may not see.
    """
    if filters.id and replace(filters, id=()) == Filters():
        return [PfaId(pfa_id) for pfa_id in dict.fromkeys(filters.id)]
    filters = tx.asked(filters)
    return [row[0] for row in merged.stream(tx.conn, tx.principal, Query(filters), limit=None)]


def require_session(session_id: str | None) -> None:
    """Refuse a session id that is empty, too long or cannot be stored.

    Raises:
        InvalidRequest: It is.
    """
    if session_id is None:
        return
    if not session_id.strip() or len(session_id) > MAX_SESSION:
        raise InvalidRequest(f"`session_id` must have 1 to {MAX_SESSION} characters")
    try:
        exact_json.refuse_unstorable(session_id)
    except exact_json.JsonFault as fault:
        raise InvalidRequest(f"`session_id` cannot be stored: {fault.reason}") from None
