"""Pages of the grid into the mirror, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import Fault
from pfa_core.model.keys import normal_key
from pfa_core.model.rights import Operation
from pfa_core.model.run import Behind
from pfa_core.store import digests, filling, leases, members, mirror, pull_pages, runs
from pfa_core.store.adapters import plain
from pfa_core.store.mirror import Merged
from pfa_core.store.pull_pages import Page
from pfa_core.sync.pull.drift import Columns, Drift
from pfa_core.sync.pull.grid_pull import GridPull
from pfa_core.sync.pull.intake import MAX_FAULTS, Accepted, Intake, Same, read_again
from pfa_core.sync.pull.merging import MergeResult, Merging
from pfa_core.sync.pull.paging import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A page ready to be stored.

    `ids` are those of all its rows of the organization, accepted or refused; `columns` is what the rows
    of the pull have had up to this page, `behind` what was refused up to its end. `same` are the rows whose
    records were as the mirror has them when the pull began.
    """

    page: Page
    records: Sequence[Accepted]
    ids: Sequence[str]
    asked_at: datetime
    columns: Columns
    behind: Behind = field(default_factory=Behind)
    same: Sequence[Same] = ()


def check_page(intake: Intake, step: Store, asked_at: datetime) -> Batch:
    """Check the rows of a page that are not stored yet."""
    intake.seen, intake.same = set(), []
    records: list[Accepted] = []
    for number, row in enumerate(step.rows, step.offset + 1):
        if row.get("pfaId", "") not in step.known:
            accepted = intake.take_row(row, number)
            if accepted:
                records.append(accepted)
    code = intake.organization_id
    ids = [normal_key(row.get("pfaId", "")) for row in step.rows if row.get("organization") == code]
    page = Page(step.offset, len(step.rows), step.cursor.position.last_id)
    return Batch(
        page=page,
        records=records,
        ids=ids,
        asked_at=asked_at,
        columns=intake.columns,
        behind=intake.behind,
        same=intake.same,
    )


@dataclass
class PageStore:
    """The pages stored so far.

    Args:
        counts: Sums of what became of their records.
        drift: What the records have lost.
        failed: A page could not be stored: none behind it is, or the next pull would resume after the gap.
        older: How many were left out as older than the mirror's; `faults` are the first thousand.
    """

    pull: GridPull
    _: KW_ONLY
    counts: Merged = field(default_factory=Merged)
    drift: Drift = field(default_factory=Drift)
    failed: bool = False
    older: int = 0
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        pull = self.pull
        self._merging = Merging(run=pull.run, allow=pull.allow, whole=pull.is_full)

    @property
    def stored(self) -> int:
        """Return the number of records that were accepted."""
        return self.counts.inserted + self.counts.updated + self.counts.unchanged

    def store(self, batch: Batch) -> None:
        """Store a page, and add to the counts once it is committed.

        Behind a page that failed none is stored.

        Raises:
            InvalidData: The page would empty fields that are hardly meant to be; it is not stored.
        """
        if self.failed:
            return
        pull = self.pull
        try:
            with pull.run.refused_by_lease():
                stored = pull.run.db.transact(
                    lambda conn: self._merge(conn, batch), dry_run=pull.dry_run
                )
        except BaseException:
            self.failed = True
            raise
        self.counts, self.drift = _sum(self.counts, stored.merged), stored.drift
        self.older += len(stored.older)
        self.faults += stored.older[: MAX_FAULTS - len(self.faults)]
        pull.log.event(
            "page",
            offset=batch.page.row_offset,
            rows=batch.page.row_count,
            inserted=self.counts.inserted,
            updated=self.counts.updated,
        )

    def _merge(self, conn: Connection[Any], batch: Batch) -> MergeResult:
        code, run_id = self.pull.organization_id, self.pull.run.run_id
        authorize(conn, self.pull.run.principal, Operation.PULL_PEMS)
        members.lock_mirror(conn, code)
        stored = self._merge_records(conn, batch)
        if self.pull.keeps_pages:
            ids = [_storable_id(pfa_id) for pfa_id in batch.ids]
            pull_pages.add(conn, code, run_id, batch.page, ids)
        runs.progress(conn, code, run_id, plain(_sum(self.counts, stored.merged)))
        if batch.behind.number:
            runs.put_behind(conn, code, run_id, batch.behind)
        return stored

    def _merge_records(self, conn: Connection[Any], batch: Batch) -> MergeResult:
        code, run_id = self.pull.organization_id, self.pull.run.run_id
        at, same = leases.clock(conn), len(batch.same)
        if not same and filling.put_new(conn, code, run_id, batch.records, at):
            return MergeResult(Merged(inserted=len(batch.records)), self.drift, [])
        # A push may have written since the pull began; now it waits.
        changed = self._changed(conn, batch.same)
        records = [*batch.records, *changed]
        mirror.copy_incoming(conn, records)
        return self._merging.merge(
            conn,
            batch.columns,
            self.drift,
            same=same - len(changed),
            ids=[pfa_id for pfa_id, *_ in records],
            asked_at=batch.asked_at,
        )

    def _changed(self, conn: Connection[Any], same: Sequence[Same]) -> list[Accepted]:
        """Read the rows whose records are no longer as they were."""
        code = self.pull.organization_id
        ids, found = [row.pfa_id for row in same], [row.digest for row in same]
        still = digests.still(conn, code, ids, found) if same else set[str]()
        return [read_again(code, row) for row in same if row.pfa_id not in still]


def _sum(one: Merged, other: Merged) -> Merged:
    return Merged(
        one.inserted + other.inserted,
        one.updated + other.updated,
        one.unchanged + other.unchanged,
    )


def _storable_id(pfa_id: str) -> str:
    return pfa_id.replace("\0", "").encode("utf-8", "replace").decode()
