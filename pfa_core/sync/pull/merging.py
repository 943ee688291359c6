"""Received records into the mirror, after what they would lose was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.pems_version import is_older
from pfa_core.store import comparison, leases, mirror
from pfa_core.store.comparison import Losses
from pfa_core.store.mirror import Merged
from pfa_core.sync.active_run import ActiveRun
from pfa_core.sync.pull.drift import Columns, Drift
from pfa_core.sync.pull.options import Allowance

_OLDER = "{} is older than {}, which the mirror has"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """How the records of one pull are stored; `whole`: it asks for every record."""

    run: ActiveRun
    allow: Allowance
    whole: bool

    def merge(
        self,
        conn: Connection[Any],
        columns: Columns,
        before: Drift,
        *,
        same: int = 0,
        ids: Sequence[str] | None = None,
        asked_at: datetime | None = None,
    ) -> MergeResult:
        """Update the mirror with the records of `copy_incoming`.

        Its history, overlays and rollup are updated too.

        Args:
            columns: The fields that the records of the pull have had so far.
            before: The losses of what the pull has stored already.
            same: Further records that were received, and are as the mirror has them.
            ids: Those of `copy_incoming`, where they are few enough to be named.
            asked_at: Records that the mirror has of a later time stay as they are.

        Raises:
            InvalidData: The records would lose values that are hardly meant to be lost.
        """
        code = self.run.organization_id
        unchanged = same + mirror.drop_unchanged(conn, code, ids, asked_at=asked_at)
        losses = comparison.losses(conn, code, columns.lacking)
        older, same = list[Fault](), 0
        if losses.maybe_older and not self.allow.older:
            older, same = _drop_older(conn, code)
            losses = comparison.losses(conn, code, columns.lacking)
        drift = self._judged(conn, columns, before, losses, unchanged + same + len(older))
        at = leases.clock(conn)
        changed, written = mirror.take_in(conn, code, self.run.run_id, at)
        return MergeResult(Merged(written - changed, changed, unchanged + same), drift, older)

    def _judged(
        self,
        conn: Connection[Any],
        columns: Columns,
        before: Drift,
        losses: Losses,
        unchanged: int,
    ) -> Drift:
        code = self.run.organization_id
        drift = before.plus(
            losses.emptied, known=unchanged + losses.changed, unknown_lost=losses.unknown
        )
        asked = [n for n in drift.in_question(columns, self.allow) if n not in drift.holders]
        if asked:
            held = comparison.holders(conn, code, asked)
            # What earlier pages have emptied is no longer in the mirror, unless they were rolled back.
            gone = before.emptied if self.run.lease else {}
            had = {name: number + gone.get(name, 0) for name, number in held.items()}
            drift = replace(drift, holders={**drift.holders, **had})
        drift.require_meant(columns, self.allow, whole=self.whole)
        if losses.unknown:
            lost = {*drift.lost_fields, *comparison.lost_fields(conn, code)}
            drift = replace(drift, lost_fields=tuple(sorted(lost)))
        unknown = columns.unknown.difference(drift.new_fields)
        if losses.changed and unknown:
            found = comparison.new_fields(conn, code, unknown)
            drift = replace(drift, new_fields=(*drift.new_fields, *found))
        return drift


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What became of received records; `older` were left out."""

    merged: Merged
    drift: Drift
    older: Sequence[Fault]


def _drop_older(conn: Connection[Any], code: str) -> tuple[list[Fault], int]:
    """Leave out records of an older version than the mirror's.

    Returns:
        A fault for each, and how many others differ in nothing but the version: the mirror's stays.
    """
    found = [row for row in comparison.older(conn, code) if is_older(row.version, row.held)]
    comparison.drop(conn, [row.pfa_id for row in found])
    faults = [
        Fault(
            row.pfa_id, "pemsVersion", FaultCode.OLDER_VERSION, _OLDER.format(row.version, row.held)
        )
        for row in found
        if not row.same
    ]
    return faults, len(found) - len(faults)
