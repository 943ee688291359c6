"""The span of versions that a window of changes asks of."""

from __future__ import annotations

from dataclasses import replace

from pfa_core.model.changes import ChangeWindow
from pfa_core.model.ids import PfaId
from pfa_core.operation import Tx
from pfa_core.store import runs
from pfa_core.store.reads.changes import Span, run_span


def span_of(
    tx: Tx, window: ChangeWindow, *, each: bool = False, pfa_id: PfaId | None = None
) -> Span:
    """Return the span of a window; that of a run lies between its begin and its end.

    Args:
        each, pfa_id: As in `Span`.

    Raises:
        NotFound: The organization has no such run.
    """
    since, until = window.since, window.until
    if window.run_id:
        run = runs.named(tx.conn, tx.organization_id, window.run_id)
        return replace(run_span(run), each=each, pfa_id=pfa_id)
    if window.since_run:
        since = runs.named(tx.conn, tx.organization_id, window.since_run).started_at
    return Span(since=since, until=until, each=each, pfa_id=pfa_id)
