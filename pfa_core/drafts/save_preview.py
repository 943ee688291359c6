"""Previews of changes to drafts: fields that change, in how many records, money."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import ClassVar

from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_plan import DraftUpdatePlan, NothingPlan, Plan
from pfa_core.masking import Mask
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.ids import PfaId
from pfa_core.model.money import EXACT, ZERO, Amount, cents, forecast_money_days, money
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import MONEY

MOST_NAMED = 100  # records; the result of a save of a million has to stay small
# What the forecast cost of a record depends on.
COSTED = frozenset(
    (
        *("isDiscontinued", "isFundsTransferable", "rateUom", "currency", "source"),
        *("forecastStart", "forecastEnd", "monthlyRate", "purchasePrice"),
    )
)


@dataclass(frozen=True, slots=True)
class FieldPreview:
    """The number of records in which a field changes; of money also the sums."""

    field: str
    records: int
    before: Amount
    after: Amount


@dataclass(frozen=True, slots=True)
class RecordPreview:
    """The fields of a record that change, before and after.

    Money is None where the caller may not see it.
    """

    pfa_id: PfaId
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavePreview:
    """What a save would change; money is None where the caller may not see it.

    `forecast_before` and `forecast_after` are the forecast costs of these records, `cost_effect` is their exact
    difference, rounded as that of `diff`. `changed` names the first `MOST_NAMED` of them by id.
    """

    records: int
    fields: list[FieldPreview]
    changed: list[RecordPreview]
    forecast_before: Amount
    forecast_after: Amount
    cost_effect: Amount
    masked: bool = False


@dataclass(slots=True)
class _Tally:
    records: int = 0
    before: Decimal = ZERO
    after: Decimal = ZERO


@dataclass(slots=True)
class Preview:
    """Sums of the plans of a save, in constant memory."""

    # The fields that its records are read with, beside those that change.
    costed: ClassVar[Set[str]] = COSTED
    costing: Costing
    mask: Mask
    _records: int = field(default=0, init=False)
    _fields: dict[str, _Tally] = field(default_factory=dict, init=False)
    _changed: list[RecordPreview] = field(default_factory=list, init=False)
    _cost: _Tally = field(default_factory=_Tally, init=False)

    def add(self, plans: Iterable[Plan], records: Mapping[str, CurrentRecord]) -> None:
        """Count some plans over the records that they change."""
        with localcontext(EXACT):
            for plan in plans:
                if isinstance(plan, NothingPlan):
                    continue
                if isinstance(plan, DraftUpdatePlan) and not plan.changed:
                    continue
                current = records[plan.pfa_id]
                below = current.without_draft()
                before = current.merged()
                self._add(plan.pfa_id, before, merge(below, plan.delta))

    def compare(
        self, pfa_id: PfaId, before: Mapping[str, object], after: Mapping[str, object]
    ) -> None:
        """Count one record, before and after."""
        with localcontext(EXACT):
            self._add(pfa_id, before, after)

    def result(self) -> SavePreview:
        """Return the sums; money is rounded to cents once."""
        fields = [
            FieldPreview(name, tally.records, *self._sums(name, tally))
            for name in FIELDS
            if (tally := self._fields.get(name))
        ]
        return SavePreview(
            records=self._records,
            fields=fields,
            changed=self._changed,
            forecast_before=self.mask.amount(cents(money(self._cost.before))),
            forecast_after=self.mask.amount(cents(money(self._cost.after))),
            cost_effect=self.mask.amount(
                cents(money(EXACT.subtract(self._cost.after, self._cost.before)))
            ),
            masked=self.mask.hides,
        )

    def _add(
        self, pfa_id: PfaId, before: Mapping[str, object], after: Mapping[str, object]
    ) -> None:
        changed = changes(before, after)
        self._records += bool(changed)
        if changed and (len(self._changed) < MOST_NAMED or pfa_id < self._changed[-1].pfa_id):
            shown = self.mask.changes(changed, dict.fromkeys(one.field for one in changed))
            # As a list by id has them: records come in the order of a file.
            insort(self._changed, RecordPreview(pfa_id, shown), key=_id)
            del self._changed[MOST_NAMED:]
        for one in changed:
            tally = self._fields.setdefault(one.field, _Tally())
            tally.records += 1
            if one.field in MONEY:
                tally.before += Decimal(one.before or 0)
                tally.after += Decimal(one.after or 0)
        self._cost.before += forecast_money_days(before, self.costing)
        self._cost.after += forecast_money_days(after, self.costing)

    def _sums(self, name: str, tally: _Tally) -> tuple[Amount, Amount]:
        if name not in MONEY:
            return None, None
        return self.mask.amount(cents(tally.before)), self.mask.amount(cents(tally.after))


def _id(preview: RecordPreview) -> PfaId:
    return preview.pfa_id
