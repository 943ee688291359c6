"""Where each value of a record comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pfa_core.history.authors import PEMS, author, pushed
from pfa_core.history.pems_log import require_record, versions
from pfa_core.model.changes import ChangeKind, ChangeRow, ChangeWindow
from pfa_core.model.delta import same
from pfa_core.model.ids import PfaId, UserId
from pfa_core.model.ordering import CHANGES
from pfa_core.model.query import MAX_ROWS, given_key
from pfa_core.model.record import in_field_order
from pfa_core.model.record_history import FieldBlame, Origin, RecordBlame
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import ModificationRow
from pfa_core.store.reads.changes import Settled

_LATEST = CHANGES.parse()


def _check(pfa_id: str) -> None:
    given_key(pfa_id)


@reads(Operation.BLAME, check=_check)
def blame(tx: Tx, pfa_id: str) -> RecordBlame:
    """Show of each field of a record where its value comes from.

    That is who, when, and which run or change set. The record is the one that the caller sees, with their
    modifications. Of what a push brought, the author is named to those who may see their commit (see
    `record_history`); others see the user of the run. What a push found changed in PEMS is by PEMS.

    Raises:
        NotFound: There is no such record.
    """
    named = PfaId(given_key(pfa_id))
    rows = versions(tx, ChangeWindow(), named).page(_LATEST, None, limit=MAX_ROWS)
    rows = [row for row in rows if row.kind is not ChangeKind.MISSING]
    record = _record(tx, named)
    sent = pushed(tx, named, rows)
    own = _own(modifications.active(tx.conn, tx.principal, [named]))
    fields = [
        _mine(name, record, own[name], tx.user_id)
        if name in own
        else _of_pems(name, record, rows, sent)
        for name in in_field_order({**record, **own})
    ]
    return RecordBlame(
        pfa_id=named,
        fields=[tx.mask.field_blame(item) for item in fields],
        masked=tx.mask.hides,
    )


def _record(tx: Tx, pfa_id: PfaId) -> Mapping[str, Any]:
    found = mirror.rows(tx.conn, tx.organization_id, [pfa_id])
    if pfa_id not in found:
        require_record(tx, pfa_id)
    return found[pfa_id].data


def _own(stack: Sequence[ModificationRow]) -> dict[str, ModificationRow]:
    """Return the topmost modification of each field, the last of the stack."""
    return {name: row for row in stack for name in row.delta}


def _mine(name: str, record: Mapping[str, Any], row: ModificationRow, user: UserId) -> FieldBlame:
    return FieldBlame(
        field=name,
        value=row.delta[name],
        before=record.get(name),
        origin=Origin.MINE,
        user_id=user,
        at=row.updated_at,
        run_id=None,
        session_id=row.session_id,
        reason=row.change_reason,
    )


def _of_pems(
    name: str, record: Mapping[str, Any], rows: Sequence[ChangeRow], sent: Sequence[Settled]
) -> FieldBlame:
    """Find the version in which a field got its value; rows come latest first."""
    row = next((row for row in rows if _brings(row, name)), None)
    by = author(row, sent, name) if row else PEMS
    return FieldBlame(
        field=name,
        value=record.get(name),
        before=(row.before or {}).get(name) if row else None,
        origin=by.origin,
        user_id=by.user_id,
        at=row.at if row else None,
        run_id=row.run_id if row else None,
        session_id=by.session_id,
        reason=by.reason,
    )


def _brings(row: ChangeRow, name: str) -> bool:
    return row.before is None or not same(row.before.get(name), row.after.get(name))
