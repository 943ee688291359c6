"""Extents of commits: records, and the change of the forecast's cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from pfa_core.drafts.diff import steps
from pfa_core.guarding import Judge, Tally, costing_of, forecast_cost
from pfa_core.model.delta import Delta
from pfa_core.model.guards import Extent
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.operation import Tx
from pfa_core.store import mirror, modifications
from pfa_core.store.portions import portions

_TOGETHER = 2500  # records whose content is in memory at one time


class Drafted(Protocol):
    """A draft: its id, and that of its record."""

    @property
    def modification_id(self) -> ModificationId:
        """Return the id of the modification."""
        ...

    @property
    def pfa_id(self) -> PfaId:
        """Return the id of its record."""
        ...


def committed_extent(
    tx: Tx,
    judge: Judge,
    marks: Sequence[Drafted],
    deltas: Mapping[ModificationId, Delta],
) -> Extent:
    """Measure a commit of drafts, one of each record, in the order of their ids.

    What the money of each is, `diff` and `plan_commit` compute too: with the caller's earlier changes of the record
    before it.

    Args:
        deltas: What is committed of drafts that lost fields.
    """
    if not judge.of_money:
        return Extent(records=len(marks))
    tally = Tally(costing_of(tx))
    for some in portions(marks, _TOGETHER):
        add_drafts(tx, tally, some, deltas)
    return tally.extent(forecast_cost(tx, judge))


def add_drafts(
    tx: Tx,
    tally: Tally,
    marks: Sequence[Drafted],
    deltas: Mapping[ModificationId, Delta],
) -> None:
    """Add some of them."""
    chosen = {mark.modification_id for mark in marks}
    ids = [mark.pfa_id for mark in marks]
    baseline = mirror.rows(tx.conn, tx.organization_id, ids)
    rows = [
        replace(row, delta=dict(deltas.get(row.modification_id, row.delta)))
        for row in modifications.active(tx.conn, tx.principal, ids)
    ]
    for step in steps(rows, baseline):
        if step.row.modification_id in chosen:
            tally.count(step.row.pfa_id, step.money_days(tally.costing))
