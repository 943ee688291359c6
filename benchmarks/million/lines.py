"""Lists of a person's 5,000 drafts as lines, beside COPY of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pfa_core
from benchmarks.million import data
from benchmarks.million.measure import Figure, interleaved
from benchmarks.million.world import principal
from pfa_core import Database, Filters, Layout, LineForm

DRAFTS = ("pfaId", "modificationId", "sessionId", "state", "version", "delta", "changeReason", "createdAt",
          "updatedAt", "committedAt")  # fmt: skip
FIELDS = ("pfaId", "field", "before", "after", "costEffect", "sessionId", "state", "version", "changeReason",
          "modificationId")  # fmt: skip
OF_DRAFTS = f"""
    SELECT pfa_id, modification_id, session_id, state, version, delta, change_reason, created_at, updated_at,
           committed_at
    FROM pfa_modification
    WHERE organization_id = '{data.BIG}' AND user_id = 'many' AND state = 'draft' ORDER BY pfa_id"""
OF_FIELDS = f"""
    SELECT m.pfa_id, f.key, b.data -> f.key, f.value, m.session_id, m.state, m.version, m.change_reason,
           m.modification_id
    FROM pfa_modification AS m
    JOIN pfa_mirror AS b ON b.organization_id = '{data.BIG}' AND b.pfa_id = m.pfa_id
    CROSS JOIN LATERAL jsonb_each(m.delta) AS f
    WHERE m.organization_id = '{data.BIG}' AND m.user_id = 'many' AND m.state = 'draft' ORDER BY m.pfa_id"""


def figures(db: Database, rounds: int) -> Iterator[Figure]:
    who, every = principal("many"), Filters()
    drafts, fields = Layout(LineForm.CSV, DRAFTS), Layout(LineForm.CSV, FIELDS)
    own, yardstick = interleaved(
        lambda: sum(1 for _ in pfa_core.stream_draft_lines(db, who, every, drafts)),
        _copy(db, OF_DRAFTS),
        rounds,
    )
    yield Figure("draft list as CSV, 5,000 drafts", "COPY of the same rows", own, yardstick, 2)
    own, yardstick = interleaved(
        lambda: sum(1 for _ in pfa_core.stream_diff_lines(db, who, every, fields)),
        _copy(db, OF_FIELDS),
        rounds,
    )
    yield Figure("diff as CSV, 5,000 drafts", "COPY of the same rows", own, yardstick, 2)


def _copy(db: Database, rows: str) -> Callable[[], object]:
    def read(conn: Any) -> int:
        with conn.cursor() as cursor, cursor.copy(f"COPY ({rows}) TO STDOUT CSV") as copy:
            return sum(map(len, copy))

    return lambda: db.read(read)
