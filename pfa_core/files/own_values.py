"""Rows with a user's own values, which a pull may not take for PEMS's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.model.modification import State
from pfa_core.model.seen import SEEN
from pfa_core.model.spelling import folded

OWN_VALUES_HINT = "PEMS's values: pfa list --baseline; edits: pfa draft save FILE"
_MARK = "syncState"
_STATES = frozenset(str(state) for state in State if state is not State.PRISTINE)
_SHEET = folded(SEEN)


def fault_of_element(value: Mapping[str, Any], position: str) -> Fault | None:
    """Return why an object of JSON is not PEMS's record; None where nothing says so."""
    if SEEN in value:
        reason = "is of a sheet for editing, not of PEMS"
        return Fault(
            _text(value.get("pfaId")), SEEN, FaultCode.OWN_VALUES, reason, position=position
        )
    return _fault(value.get("pfaId"), value.get(_MARK), position)


def refuse_sheet(columns: Sequence[str], name: str) -> None:
    """Refuse a table that `pfa list --to` wrote to be edited.

    Raises:
        InvalidData: It is one.
    """
    if any(folded(column) == _SHEET for column in columns):
        raise InvalidData(
            f"{name} is a sheet for editing (column {SEEN}); nothing was stored",
            hint=OWN_VALUES_HINT,
        )


def row_check(
    columns: Sequence[str], keys: Collection[str]
) -> Callable[[Sequence[str], str], Fault | None] | None:
    """Return what finds the fault of a row of a table.

    None where no column says whose values a row has.
    """
    names = [folded(column) for column in columns]
    if folded(_MARK) not in names:
        return None
    mark = names.index(folded(_MARK))
    key = next((names.index(one) for one in map(folded, keys) if one in names), mark)

    def check(cells: Sequence[str], position: str) -> Fault | None:
        return _fault(cells[key] if key != mark else "", cells[mark], position)

    return check


def _fault(pfa_id: Any, state: Any, position: str) -> Fault | None:
    if state == State.PRISTINE or not isinstance(state, str):
        return None
    state = state.strip().casefold()
    if state not in _STATES:  # a column of PEMS that is called so
        return None
    reason = f"is {state}: the row has a user's own values, not PEMS's"
    return Fault(_text(pfa_id), _MARK, FaultCode.OWN_VALUES, reason, position=position)


def _text(pfa_id: Any) -> str:
    return pfa_id if isinstance(pfa_id, str) else ""
