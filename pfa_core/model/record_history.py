"""The history of one record, and where each of its values comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pfa_core.model.delta import FieldChange
from pfa_core.model.ids import PfaId, RunId, SessionId, UserId
from pfa_core.model.money import Amount


class Origin(StrEnum):
    """Where a value or a change comes from.

    MINE is a modification of the caller's over the PEMS value, USER a committed change on its way, PUSH one
    that a push brought to PEMS, PEMS everything else that a pull or a push found there.
    """

    MINE = "mine"
    USER = "user"
    PUSH = "push"
    PEMS = "pems"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One event of a record.

    `event` is new, changed or missing, or an action of the audit trail. `user_id` is the author of a change
    where the caller may know it, else the user of the run. `cost_effect` is that on the PEMS value's forecast
    cost, None for what PEMS does not have and where it is `masked`.
    """

    at: datetime
    origin: Origin
    event: str
    user_id: UserId | None
    session_id: SessionId | None
    run_id: RunId | None
    changes: tuple[FieldChange, ...]
    cost_effect: Amount
    reason: str | None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHistory:
    """The events of one record, the latest first."""

    pfa_id: PfaId
    entries: list[HistoryEntry]
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldBlame:
    """The present value of a field, and where it comes from.

    `before` is the value that it replaced. `at` is None where the value is older than what is kept.
    """

    field: str
    value: Any
    before: Any
    origin: Origin
    user_id: UserId | None
    at: datetime | None
    run_id: RunId | None
    session_id: SessionId | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBlame:
    """The fields of one record, in the order of the field table.

    Where `masked`, money is None.
    """

    pfa_id: PfaId
    fields: list[FieldBlame]
    masked: bool = False
