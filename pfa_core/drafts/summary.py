"""A summary of the caller's drafts, as far as a commit of them all is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal

from pfa_core.drafts.diff import Step, steps
from pfa_core.drafts.listing import BY_ID, active
from pfa_core.masking import Mask
from pfa_core.model.costing import Costing
from pfa_core.model.delta import changes
from pfa_core.model.ids import SessionId
from pfa_core.model.modification import State
from pfa_core.model.money import EXACT, ZERO, Amount, cents, forecast_money_days, money
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import members


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """The drafts of one session: how many records and fields they change.

    The forecast's cost of these records is that before and after the drafts, and `cost_effect` their exact
    difference, rounded as that of `diff`; None where money is masked.
    """

    session_id: SessionId
    records: int
    fields: int
    forecast_before: Amount
    forecast_after: Amount
    cost_effect: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSummary:
    """The caller's drafts by session name, and their versions by record."""

    sessions: list[SessionSummary]
    versions: Mapping[str, int]
    masked: bool = False


@dataclass(slots=True)
class _Sums:
    """Sums over the drafts of a session, money in money-days."""

    records: int = 0
    fields: int = 0
    before: Decimal = field(default=ZERO)
    after: Decimal = field(default=ZERO)

    def add(self, step: Step, costing: Costing, mask: Mask) -> None:
        """Count a draft; masked fields count whether they change or not."""
        self.records += 1
        self.fields += len(mask.changes(changes(step.before, step.after), step.row.delta))
        self.before += forecast_money_days(step.before, costing)
        self.after += forecast_money_days(step.after, costing)


@reads(Operation.SUMMARIZE_DRAFTS)
def summarize_drafts(tx: Tx) -> DraftSummary:
    """Count the caller's drafts by session, with the forecast's cost before and after.

    The versions are those to expect in a commit of exactly these drafts.
    """
    costing = members.costing(tx.conn, tx.organization_id)
    sums: dict[SessionId, _Sums] = {}
    versions: dict[str, int] = {}
    with closing(active(tx, Filters(), BY_ID)) as found:
        for rows, baseline in found:
            for step in steps(rows, baseline):
                if step.row.state == State.DRAFT:
                    sums.setdefault(step.row.session_id, _Sums()).add(step, costing, tx.mask)
                    versions[step.row.pfa_id] = step.row.version
    summaries = [
        SessionSummary(
            session_id=session_id,
            records=total.records,
            fields=total.fields,
            forecast_before=tx.mask.amount(cents(money(total.before))),
            forecast_after=tx.mask.amount(cents(money(total.after))),
            cost_effect=tx.mask.amount(cents(money(EXACT.subtract(total.after, total.before)))),
        )
        for session_id, total in sorted(sums.items())
    ]
    return DraftSummary(sessions=summaries, versions=versions, masked=tx.mask.hides)
