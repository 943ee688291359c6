"""Money that one may not see: null wherever a record, a delta or a sum leaves an operation.

Which fields are shown is a list of those known to be no money: what nobody knows the meaning of may
be a price too. Texts that people wrote are theirs; texts that the program made may quote a value, so
their numbers are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from pfa_core import exact_json
from pfa_core.errors import Fault
from pfa_core.model.audit import Action
from pfa_core.model.delta import FieldChange, FieldConflict
from pfa_core.model.modification import ModificationView
from pfa_core.model.principal import Principal, Right
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:  # a list masks records alone and need not load what it is not made of
    from pfa_core.model.audit import LogEntry
    from pfa_core.model.kpi import Stats
    from pfa_core.model.run import Outcome
    from pfa_core.store.members import Member
    from pfa_core.store.queue import DeadLetter, Waiting

SHOWN_FIELDS = tuple(field.name for field in FIELDS.values() if field.kind is not Kind.MONEY)
HIDDEN_NUMBER = "***"

_SHOWN = frozenset(SHOWN_FIELDS)
_NULLS: Mapping[str, Any] = dict.fromkeys(MONEY)
_WORD = re.compile(r"[^\s]*\d[^\s]*")
_MOMENT = re.compile(r"\W*\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|\+00:00)?)?\W*")
# Entries whose reason the program wrote, out of what PEMS answered or two sides said.
_MADE_REASONS = frozenset(
    (
        Action.ACKNOWLEDGE,
        Action.REJECT,
        Action.DISPUTE,
        Action.POSTPONE,
        Action.RELEASE,
        Action.RETRY,
    )
)

Value = TypeVar("Value")


def mask_for(principal: Principal, member: Member) -> Mask:
    """What lies between the principal and the money of the organization."""
    return Mask(not principal.holds(Right.VIEW_FINANCIALS, member.rights))


@dataclass(frozen=True, slots=True)
class Mask:
    """Lets everything through as it is, or, where it `hides`, with null in the place of money.

    Each method is for one shape, and gives back what it was given where nothing is to be hidden.
    """

    hides: bool = False

    def record(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A whole record: money is null whether it has any or not."""
        return {**_values(data), **_NULLS} if self.hides else data

    def record_json(self, text: str) -> str:
        """The same of JSON text, digits kept."""
        return exact_json.dumps(self.record(exact_json.loads(text))) if self.hides else text

    def values(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Some fields of a record, a delta or a base: which ones stays visible."""
        return _values(fields) if self.hides else fields

    def conflicts(self, items: Sequence[FieldConflict]) -> tuple[FieldConflict, ...]:
        """Fields in conflict."""
        if not self.hides:
            return tuple(items)
        return tuple(
            item if item.field in _SHOWN else FieldConflict(item.field, None, None, None)
            for item in items
        )

    def changes(
        self, items: Iterable[FieldChange], delta: Mapping[str, Any]
    ) -> tuple[FieldChange, ...]:
        """Fields before and after. What the delta hides is told whether it changes anything or not: that it
        does not would tell the other value."""
        if not self.hides:
            return tuple(items)
        told = {item.field: item for item in items if item.field in _SHOWN}
        told |= {name: FieldChange(name, None, None) for name in delta if name not in _SHOWN}
        order = {**dict.fromkeys(FIELDS), **dict.fromkeys(sorted(told))}
        return tuple(told[name] for name in order if name in told)

    def settlement(self, taken: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What a conflict ended with, field by field: whose value it was stays visible."""
        if not self.hides or taken is None:
            return taken
        return {
            name: item if name in _SHOWN else {**item, "value": None}
            for name, item in taken.items()
        }

    def amount(self, money: Decimal) -> Decimal:
        """A sum of money; None, whatever its type says, where it is hidden."""
        return _nothing() if self.hides else money

    def stats(self, found: Stats) -> Stats:
        """KPIs: counts stay, every amount and percentage goes, and months that only money is in."""
        if not self.hides:
            return found
        counted = [item for item in found.months if any(_numbers(item.quantity))]
        return replace(
            found,
            figures=_without_amounts(found.figures),
            groups=tuple(_without_amounts(item) for item in found.groups),
            months=tuple(_without_amounts(item) for item in counted),
            masked=True,
        )

    def view(self, item: ModificationView) -> ModificationView:
        """A modification."""
        if not self.hides:
            return item
        return replace(
            item,
            delta=_values(item.delta),
            base=_values(item.base),
            overtaken=self.conflicts(item.overtaken),
            masked=True,
        )

    def log_entry(self, item: LogEntry) -> LogEntry:
        """An entry of the audit trail; those of no record hold no values of one."""
        if not self.hides or item.pfa_id is None:
            return item
        made = item.action in _MADE_REASONS
        return replace(
            item,
            before=item.before and _values(item.before),
            after=item.after and _values(item.after),
            reason=_text(item.reason) if made else item.reason,
            masked=True,
        )

    def waiting(self, item: Waiting) -> Waiting:
        """A commitment that waits to be sent."""
        return replace(item, delta=_values(item.delta), masked=True) if self.hides else item

    def letter(self, item: DeadLetter) -> DeadLetter:
        """A commitment that is not sent again by itself."""
        if not self.hides:
            return item
        error = _text(item.sync_error)
        return replace(item, delta=_values(item.delta), sync_error=error, masked=True)

    def outcome(self, item: Outcome) -> Outcome:
        """What became of one record in a run."""
        return replace(item, message=_text(item.message)) if self.hides else item

    def text(self, made: str) -> str:
        """A text that the program made: its numbers go, dates stay."""
        return _text(made) if self.hides else made

    def faults(self, items: Iterable[Fault]) -> list[Fault]:
        """What is wrong with records, in texts that the program made."""
        if not self.hides:
            return list(items)
        return [replace(item, message=_text(item.message)) for item in items]


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in _SHOWN else None for name, value in fields.items()}


def _text(made: Any) -> Any:
    if made is None:
        return None
    return _WORD.sub(lambda word: word[0] if _MOMENT.fullmatch(word[0]) else HIDDEN_NUMBER, made)


def _without_amounts(value: Value) -> Value:
    """The same with None for every Decimal, however deep."""
    if isinstance(value, Decimal):
        return _nothing()
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(
        value, **{item.name: _without_amounts(getattr(value, item.name)) for item in fields(value)}
    )


def _numbers(value: Any) -> list[int]:
    return [getattr(value, item.name) for item in fields(value)]


def _nothing() -> Any:
    """None for an amount: callers look at `masked`, and need not ask at every sum."""
    return None
