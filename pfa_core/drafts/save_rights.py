"""Rights to the fields of a save.

Values that a record has already need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pfa_core.authorization import may_write_all, require_fields
from pfa_core.drafts.save_plan import Plan, drafted_fields
from pfa_core.model.delta import Change
from pfa_core.model.rights import MONEY
from pfa_core.operation import Tx


def require_known_prices(tx: Tx, changes: Iterable[Change]) -> None:
    """Refuse prices that the caller may not write, but the masked ones of lists.

    Any other price takes its rights even where it is the record's: the answer "unchanged" would reveal it.

    Raises:
        PermissionDenied: A price that the caller may not write.
    """
    if may_write_all(tx.principal, tx.member) and not tx.mask.hides:
        return
    shown = (_without_masked(change) for change in changes) if tx.mask.hides else changes
    prices = [name for name in fields_of(shown) if name in MONEY]
    require_fields(tx.principal, tx.member, prices, tx.operation)


def without_masked(tx: Tx, changes: Sequence[Change]) -> Sequence[Change]:
    """Return the changes without the masked prices of lists."""
    return [_without_masked(change) for change in changes] if tx.mask.hides else changes


def fields_to_write(plans: Iterable[Plan]) -> Iterator[str]:
    """Yield the fields that plans change; one may come more than once."""
    for plan in plans:
        yield from drafted_fields(plan)


def _without_masked(change: Change) -> Change:
    if not change.read_only:
        return change
    shown = {n: v for n, v in change.delta.items() if n not in MONEY or v is not None}
    return change.holding(shown)


def fields_of(changes: Iterable[Change]) -> list[str]:
    """Return the names in the deltas that are objects; others become faults later."""
    deltas = (change.delta for change in changes if isinstance(change.delta, Mapping))
    return list(dict.fromkeys(name for delta in deltas for name in delta))
