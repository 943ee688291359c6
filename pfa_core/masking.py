"""Masks of financial fields.

The fields become null wherever a value leaves an operation. The fields shown are a list of those known
not to be money: a field of unknown meaning may be a price too. Texts written by people are shown; texts
written by the program may quote a value, so their numbers are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pfa_core import exact_json
from pfa_core.errors import Fault
from pfa_core.model.principal import Principal, Right
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:  # a list masks records only and need not load the other shapes
    from pfa_core.model.audit import LogEntry
    from pfa_core.model.changes import RecordChange
    from pfa_core.model.delta import FieldChange, FieldConflict
    from pfa_core.model.figures import Stats
    from pfa_core.model.member import Member
    from pfa_core.model.modification import ModificationView
    from pfa_core.model.money import Amount
    from pfa_core.model.record_history import FieldBlame
    from pfa_core.model.run import Outcome
    from pfa_core.store.queue import DeadLetter
    from pfa_core.store.waiting import Waiting

SHOWN_FIELDS = tuple(field.name for field in FIELDS.values() if field.kind is not Kind.MONEY)
HIDDEN_NUMBER = "***"

_SHOWN = frozenset(SHOWN_FIELDS)
# What entries of the audit trail have of money beside the values of records.
_OF_GUARDS = frozenset(("money", "net", "percent", "forecast", "max_money", "max_percent"))
_NULLS: Mapping[str, Any] = dict.fromkeys(MONEY)
# A pattern that also asks for a digit would try each place of a long word without one.
_WORD = re.compile(r"\S+")
_DIGIT = re.compile(r"\d")
# The time of day is bounded: a point can belong to it and to what follows, which would be tried at each point.
_MOMENT = re.compile(r"\W*\d{4}-\d\d-\d\d(?:T[\d:.]{1,32}(?:Z|\+00:00)?)?\W*")


def mask_for(principal: Principal, member: Member) -> Mask:
    """Make the mask that the caller's rights require."""
    return Mask(not principal.holds(Right.VIEW_FINANCIALS, member.rights))


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces money with null where it `hides`, and nothing where it does not.

    Each method is for one shape, and returns its argument where nothing is hidden.
    """

    hides: bool = False

    def record(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Mask a whole record: every money field is null, present or not."""
        return {**_values(data), **_NULLS} if self.hides else data

    def record_json(self, text: str) -> str:
        """Mask the JSON text of a whole record, digits kept."""
        return exact_json.dumps(self.record(exact_json.loads(text))) if self.hides else text

    def values(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Mask some fields of a record, a delta or a base; their names stay visible."""
        return _values(fields) if self.hides else fields

    def conflicts(self, items: Sequence[FieldConflict]) -> tuple[FieldConflict, ...]:
        """Mask fields in conflict."""
        if not self.hides:
            return tuple(items)
        from pfa_core.model.delta import FieldConflict

        return tuple(
            item if item.field in _SHOWN else FieldConflict(item.field, None, None, None)
            for item in items
        )

    def changes(
        self, items: Iterable[FieldChange], delta: Mapping[str, Any]
    ) -> tuple[FieldChange, ...]:
        """Mask fields before and after.

        A masked field of the delta is listed whether it changes or not: leaving out an unchanged one would
        reveal the other value.
        """
        if not self.hides:
            return tuple(items)
        from pfa_core.model.delta import FieldChange

        shown = {item.field: item for item in items if item.field in _SHOWN}
        shown |= {name: FieldChange(name, None, None) for name in delta if name not in _SHOWN}
        order = {**dict.fromkeys(FIELDS), **dict.fromkeys(sorted(shown))}
        return tuple(shown[name] for name in order if name in shown)

    def settlement(self, taken: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Mask the outcome of a conflict, field by field.

        Whose value it was stays visible.
        """
        if not self.hides or taken is None:
            return taken
        return {
            name: item if name in _SHOWN else {**item, "value": None}
            for name, item in taken.items()
        }

    def amount(self, money: Decimal) -> Amount:
        """Mask a sum of money."""
        return None if self.hides else money

    def stats(self, found: Stats[Decimal]) -> Stats[Amount]:
        """Mask KPIs: counts stay, amounts, percentages and months with money only do not."""
        return found.without_amounts() if self.hides else found

    def view(self, item: ModificationView) -> ModificationView:
        """Mask a modification."""
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
        """Mask an entry of the audit trail.

        Without a record it holds no money but that of guards.
        """
        if not self.hides:
            return item
        if item.pfa_id is None:
            return _without_limits(item)
        from pfa_core.model.audit import MADE_REASONS  # of the entry's own module

        made = item.action in MADE_REASONS
        return replace(
            item,
            before=item.before and _values(item.before),
            after=item.after and _values(item.after),
            reason=_text_or_none(item.reason) if made else item.reason,
            masked=True,
        )

    def record_change(self, item: RecordChange) -> RecordChange:
        """Mask a record that changed: which fields changed stays visible."""
        if not self.hides:
            return item
        fields = {change.field: None for change in item.changes}
        shown = self.changes(item.changes, fields)
        return replace(item, changes=shown, cost_effect=None, masked=True)

    def field_blame(self, item: FieldBlame) -> FieldBlame:
        """Mask the value of a field; where it comes from stays visible."""
        if not self.hides or item.field in _SHOWN:
            return item
        return replace(item, value=None, before=None)

    def waiting(self, item: Waiting) -> Waiting:
        """Mask a committed modification that waits to be sent."""
        return replace(item, delta=_values(item.delta), masked=True) if self.hides else item

    def letter(self, item: DeadLetter) -> DeadLetter:
        """Mask a committed modification that is not sent again without a retry."""
        if not self.hides:
            return item
        error = _text_or_none(item.sync_error)
        return replace(item, delta=_values(item.delta), sync_error=error, masked=True)

    def outcome(self, item: Outcome) -> Outcome:
        """Mask the outcome of one record in a run."""
        return replace(item, message=_text(item.message)) if self.hides else item

    def text(self, made: str) -> str:
        """Mask a text that the program wrote: numbers are hidden, dates are not."""
        return _text(made) if self.hides else made

    def faults(self, items: Iterable[Fault]) -> list[Fault]:
        """Mask the messages of faults, which the program wrote."""
        if not self.hides:
            return list(items)
        return [replace(item, message=_text(item.message)) for item in items]


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in _SHOWN else None for name, value in fields.items()}


def _text(made: str) -> str:
    return _WORD.sub(lambda word: _hidden_number(word[0]), made)


def _without_limits(item: LogEntry) -> LogEntry:
    """Hide the money of guards in an entry of the settings or of an override."""
    if item.action not in ("configure", "override"):
        return item
    before, after = (
        value and {name: None if name in _OF_GUARDS else one for name, one in value.items()}
        for value in (item.before, item.after)
    )
    return replace(item, before=before, after=after, masked=True)


def _hidden_number(word: str) -> str:
    shown = not _DIGIT.search(word) or _MOMENT.fullmatch(word)
    return word if shown else HIDDEN_NUMBER


def _text_or_none(made: str | None) -> str | None:
    return None if made is None else _text(made)
