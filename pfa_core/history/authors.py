"""Authors of the values that versions of a record brought."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pfa_core.model.audit import Direction
from pfa_core.model.changes import ChangeRow
from pfa_core.model.delta import same
from pfa_core.model.ids import PfaId, SessionId, UserId
from pfa_core.model.record_history import Origin
from pfa_core.model.rights import OTHERS
from pfa_core.operation import Tx
from pfa_core.store.reads.changes import Settled, settled


@dataclass(frozen=True, slots=True)
class Author:
    """Who brought a value into PEMS.

    `user_id` is that of the change, or of the push where the caller may not see whose change it was; None: of
    PEMS nothing more is known.
    """

    origin: Origin
    user_id: UserId | None = None
    session_id: SessionId | None = None
    reason: str | None = None


PEMS = Author(Origin.PEMS)


def pushed(tx: Tx, pfa_id: PfaId, rows: Iterable[ChangeRow]) -> list[Settled]:
    """Read the changes that pushes brought with versions of a record.

    Their authors are those that the caller may see.
    """
    pushes = [row.run_id for row in rows if row.run_id and row.direction is Direction.PUSH]
    return settled(tx.conn, tx.principal, pfa_id, pushes, everyone=tx.holds(OTHERS))


def author(row: ChangeRow, sent: Sequence[Settled], name: str) -> Author:
    """Name who brought a field's value with a version.

    A push also finds what another user changed in PEMS: a value that no change of the run brought is by PEMS.
    Where there are changes that the caller may not see, the value may be of one of them.
    """
    of_run = [item for item in sent if item.run_id == row.run_id]
    for item in of_run:
        if item.user_id and _brought(item, row, name):
            return Author(Origin.PUSH, item.user_id, item.session_id, item.reason)
    if any(item.user_id is None for item in of_run):
        return Author(Origin.PUSH, row.run_by)
    return PEMS


def _brought(item: Settled, row: ChangeRow, name: str) -> bool:
    if name not in item.delta:
        return False
    return item.altered or same(item.delta[name], row.after.get(name))
