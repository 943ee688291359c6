"""The guards of a push.

It is judged before anything is sent, and again with each batch that is claimed. What is committed after the
judgement is sent too, as far as the limits go: a batch is judged in the transaction that claims it, together with
what the run claimed before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import GuardExcess
from pfa_core.guarding import (
    Judge,
    Subject,
    Tally,
    checked_reason,
    costing_of,
    forecast_cost,
    open_judge,
)
from pfa_core.model.delta import is_delta, merge
from pfa_core.model.guards import Extent, Guards
from pfa_core.model.ids import ModificationId, PfaId, RunId
from pfa_core.model.member import Member
from pfa_core.model.money import ZERO, cents, cost_effect, money
from pfa_core.operation import Tx
from pfa_core.store import mirror, waiting
from pfa_core.store.portions import portions
from pfa_core.store.queue import QueueRow, Scope
from pfa_core.sync.active_run import ActiveRun

SUBJECT = Subject(
    what="the push", kept="nothing was sent", fewer="fewer at once: `session_id` or `limit`"
)
_LATER = Subject(
    what="with the next changes the push",
    kept="what it had claimed was sent, the rest waits",
    fewer="or push again, which judges the rest by itself",
)
_TOGETHER = 2500  # records whose content is in memory at one time


def judge_push(
    tx: Tx,
    scope: Scope,
    limit: int | None,
    guards: Guards | None,
    override: str | None,
    *,
    run_id: RunId | None = None,
) -> list[GuardExcess]:
    """Judge all that a push would send, due or not.

    Args:
        run_id: The run that sends it, beside which the audit trail keeps `override`; None: it is only judged.

    Returns:
        The limits that are overridden.

    Raises:
        GuardExceeded: More than a limit allows, and no `override`.
        PermissionDenied: `override` without the right to; limits of money by a caller who may see none.
    """
    judge = open_judge(tx, guards, checked_reason(override), SUBJECT)
    return _judge_all(tx, judge, scope, limit, run_id)


def _judge_all(
    tx: Tx, judge: Judge, scope: Scope, limit: int | None, run_id: RunId | None
) -> list[GuardExcess]:
    if not judge.limits:
        return []
    if not judge.of_money:
        records = waiting.records(tx.conn, tx.organization_id, scope, limit)
        return judge.judge(tx, Extent(records=records), run_id=run_id, records=run_id is not None)
    tally = Tally(costing_of(tx))
    with closing(waiting.by_record(tx.conn, tx.organization_id, scope, limit)) as found:
        by_record = (list(changes) for _, changes in groupby(found, lambda change: change[1]))
        for some in portions(by_record, _TOGETHER):
            _add(tx, tally, some)
    extent = tally.extent(forecast_cost(tx, judge))
    return judge.judge(tx, extent, run_id=run_id, records=run_id is not None)


def _add(tx: Tx, tally: Tally, some: Sequence[Sequence[tuple[ModificationId, PfaId, Any]]]) -> None:
    """Add the changes of some records; one that cannot be read is not sent."""
    rows = mirror.rows(tx.conn, tx.organization_id, [changes[0][1] for changes in some])
    for changes in some:
        pfa_id = changes[0][1]
        deltas = [delta for _, _, delta in changes if is_delta(delta)]
        if pfa_id in rows and deltas:
            before = rows[pfa_id].data
            tally.add(pfa_id, before, merge(before, *deltas))


@dataclass(slots=True, kw_only=True)
class PushGuard:
    """The limits of a run, and what it has claimed.

    `overridden` are the limits that it is over. Those of its beginning hold for all of it.
    """

    run: ActiveRun
    scope: Scope
    limit: int | None
    guards: Guards | None
    override: str | None
    overridden: list[GuardExcess] = field(default_factory=list)
    _judge: Judge | None = None
    _forecast: Decimal | None = None
    _money_days: Decimal = ZERO
    _net: Decimal = ZERO
    _effects: dict[PfaId, Decimal] = field(default_factory=dict)
    _claimed: set[ModificationId] = field(default_factory=set)

    def begin(self) -> None:
        """Judge what the run would send, before it claims anything.

        Raises:
            GuardExceeded, PermissionDenied: As `judge_push`.
        """

        def work(conn: Connection[Any]) -> list[GuardExcess]:
            member = authorize(conn, self.run.principal, self.run.operation)
            tx = _transaction(self.run, conn, member)
            judge = open_judge(tx, self.guards, checked_reason(self.override), SUBJECT)
            self._judge = replace(judge, subject=_LATER)
            return _judge_all(tx, judge, self.scope, self.limit, self.run.run_id)

        # Only what is overridden is written.
        self.overridden = self.run.read(work) if self.override is None else self.run.transact(work)

    def admit(
        self, conn: Connection[Any], member: Member, rows: Sequence[QueueRow]
    ) -> Batch | None:
        """Judge a batch together with what was claimed before.

        It is done within the transaction that claims it.

        Args:
            member: The pusher, as that transaction found them.

        Returns:
            What to `keep` when the transaction has ended; None: no limit asks for it.

        Raises:
            GuardExceeded: It is too much together.
        """
        judge = self._judge
        if judge is None or not judge.limits:
            return None
        tx = _transaction(self.run, conn, member)
        if self._forecast is None:  # before anything was sent
            self._forecast = forecast_cost(tx, judge)
        batch = self._with(self._effects_of(tx, judge, rows), [row.modification_id for row in rows])
        extent = Extent(
            records=len(self._effects) + batch.records,
            money=cents(money(batch.money_days)),
            net=cents(money(batch.net)),
            forecast=self._forecast,
        )
        known = {one.guard for one in self.overridden}
        over = judge.judge(tx, extent, run_id=self.run.run_id, overridden=known)
        return replace(batch, overridden=over)

    def keep(self, batch: Batch | None) -> None:
        """Count a batch that was claimed."""
        if batch is not None:
            self._money_days, self._net = batch.money_days, batch.net
            self._effects.update(batch.effects)
            self._claimed.update(batch.ids)
            self.overridden = [*self.overridden, *batch.overridden]

    def _effects_of(
        self, tx: Tx, judge: Judge, rows: Sequence[QueueRow]
    ) -> list[tuple[PfaId, Decimal]]:
        """Compute what changes add to the forecast that were not claimed before."""
        new = [row for row in rows if row.modification_id not in self._claimed]
        if not judge.of_money or not new:
            return [(row.pfa_id, ZERO) for row in new]
        costing = costing_of(tx)
        records = mirror.rows(tx.conn, tx.organization_id, [row.pfa_id for row in new])
        return [
            (row.pfa_id, cost_effect(record.data, merge(record.data, row.delta), costing))
            for row in new
            if (record := records.get(row.pfa_id)) and is_delta(row.delta)
        ]

    def _with(self, added: Iterable[tuple[PfaId, Decimal]], ids: Sequence[ModificationId]) -> Batch:
        """Add effects to what was claimed."""
        effects: dict[PfaId, Decimal] = {}
        money_days, net = self._money_days, self._net
        for pfa_id, effect in added:
            before = effects.get(pfa_id, self._effects.get(pfa_id, ZERO))
            effects[pfa_id] = before + effect
            money_days += abs(before + effect) - abs(before)
            net += effect
        return Batch(
            effects=effects,
            ids=ids,
            records=len(effects.keys() - self._effects.keys()),
            money_days=money_days,
            net=net,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a run has claimed together with a batch: sums, and what the batch adds.

    `records` are those that it had not claimed anything of.
    """

    effects: Mapping[PfaId, Decimal]
    ids: Sequence[ModificationId]
    records: int
    money_days: Decimal
    net: Decimal
    overridden: list[GuardExcess] = field(default_factory=list)


def _transaction(run: ActiveRun, conn: Connection[Any], member: Member) -> Tx:
    return Tx(
        conn=conn,
        db=run.db,
        principal=run.principal,
        operation=run.operation,
        member=member,
        mask=run.mask,
    )
