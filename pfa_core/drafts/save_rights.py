"""Rights to the fields of a save.

Values that a record has already need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pfa_core.authorization import may_write_all, require_fields
from pfa_core.drafts.save_plan import Plan, drafted_fields
from pfa_core.model.delta import Change
from pfa_core.model.rights import MONEY
from pfa_core.operation import Tx


def with_known_prices(tx: Tx, changes: Sequence[Change]) -> Sequence[Change]:
    """Return the changes without the masked prices of lists.

    Any other price takes its rights even where it is the record's: the answer "unchanged" would reveal it.

    Raises:
        PermissionDenied: A price that the caller may not write.
    """
    if tx.mask.hides:
        changes = [_without_masked(change) for change in changes]
    prices = [name for name in _fields_of(changes) if name in MONEY]
    require_fields(tx.principal, tx.member, prices, tx.operation)
    return changes


def require_writable(tx: Tx, changes: Sequence[Change], plans: Sequence[Plan]) -> None:
    """Refuse changes of fields that the caller may not write.

    Those of changes that were refused count whole: what they would change is not known.

    Raises:
        PermissionDenied: With each such field in `details`.
    """
    if may_write_all(tx.principal, tx.member):
        return
    planned = {plan.pfa_id for plan in plans}
    fields = _fields_of(change for change in changes if change.pfa_id not in planned)
    fields += [name for plan in plans for name in drafted_fields(plan)]
    require_fields(tx.principal, tx.member, fields, tx.operation)


def _without_masked(change: Change) -> Change:
    if not change.read_only:
        return change
    shown = {n: v for n, v in change.delta.items() if n not in MONEY or v is not None}
    return replace(change, delta=shown)


def _fields_of(changes: Iterable[Change]) -> list[str]:
    """Return the names in the deltas that are objects; others become faults later."""
    deltas = [change.delta for change in changes if isinstance(change.delta, Mapping)]
    return list(dict.fromkeys(name for delta in deltas for name in delta))
