"""The decision which values of before a revert drafts, without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfa_core.model.delta import same
from pfa_core.model.ids import PfaId
from pfa_core.store.sent import SentChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedSince:
    """A field that was changed in PEMS after the caller's change of it.

    It is left as it is. `before` is the value that a revert would give, `sent` the one that PEMS took,
    `pems` that of today. Where money is masked they are None.
    """

    pfa_id: PfaId
    field: str
    before: Any
    sent: Any
    pems: Any


@dataclass(slots=True)
class Reverting:
    """What becomes of a record: values to draft, fields that were changed since.

    Neither: PEMS has the values of before already.
    """

    delta: dict[str, Any] = field(default_factory=dict)
    changed: list[ChangedSince] = field(default_factory=list)


def revert_record(sends: Sequence[SentChange], now: Mapping[str, Any]) -> Reverting:
    """Go back over a record's changes from the last on, field by field.

    A field goes back as far as nothing came between.

    Args:
        sends: The changes to revert, in the order in which PEMS took them.
        now: The mirror's record of today.
    """
    found = Reverting()
    for name in _fields(sends):
        value = now.get(name)
        for send in reversed(sends):
            if name not in send.after or same(value, send.before.get(name)):
                continue
            if not same(value, send.after[name]):
                found.changed.append(
                    ChangedSince(
                        pfa_id=send.pfa_id,
                        field=name,
                        before=send.before.get(name),
                        sent=send.after[name],
                        pems=value,
                    )
                )
                break
            value = send.before.get(name)
        if not same(value, now.get(name)):
            found.delta[name] = value
    return found


def _fields(sends: Iterable[SentChange]) -> dict[str, None]:
    return dict.fromkeys(name for send in sends for name in send.after)
