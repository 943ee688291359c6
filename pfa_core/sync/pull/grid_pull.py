"""The fixed part of one pull from PEMS: its run, profile and options."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.model.ids import OrganizationId, RunId
from pfa_core.model.run import Behind, RunKind
from pfa_core.pems.profile import PemsProfile
from pfa_core.store import pull_pages, runs
from pfa_core.sync.pull.options import Allowance
from pfa_core.sync.pull.paging import PageCursor, Position
from pfa_core.sync.run import ActiveRun
from pfa_core.sync.run_log import RunLog

RESUMABLE = timedelta(hours=6)
# PEMS's clock may differ from the database's: an incremental pull looks a little further back.
CLOCK_DIFFERENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPull:
    """What a pull works with; `since` None: a full pull."""

    run: ActiveRun
    profile: PemsProfile
    since: datetime | None
    stop: threading.Event
    log: RunLog
    dry_run: bool
    allow: Allowance

    @property
    def organization_id(self) -> OrganizationId:
        """Return the organization whose records are pulled."""
        return self.run.organization_id

    @property
    def is_full(self) -> bool:
        """Return whether every record is asked for."""
        return self.since is None

    @property
    def asked_since(self) -> datetime | None:
        """Return the time that stands for an unknown last change; None: none does.

        An incremental pull asks for records that were changed after the position that it began from.
        """
        if self.since is None or self.run.kind is not RunKind.INCREMENTAL:
            return None
        return self.since + CLOCK_DIFFERENCE

    @property
    def keeps_pages(self) -> bool:
        """Return whether the pull can be resumed and so records each page."""
        return self.is_full and not self.dry_run

    @property
    def has_to_stop(self) -> bool:
        """Return whether no further page may be asked for."""
        return self.stop.is_set() or self.run.lost


@dataclass(frozen=True, slots=True)
class Resumption:
    """An interrupted full pull that this one resumes.

    It has its run, start, position and refusals.
    """

    run_id: RunId
    began_at: datetime
    position: Position
    behind: Behind = field(default_factory=Behind)


def first_cursor(pull: GridPull, resumption: Resumption | None) -> PageCursor:
    """Return the cursor at the beginning, or after the rows of an interrupted pull."""
    size = pull.profile.grid.page_size
    if resumption is None:
        return PageCursor(page_size=size)
    position = resumption.position
    return PageCursor(page_size=size, position=position, resumed_at=position.offset)


def resume(pull: GridPull, *, restart: bool) -> Resumption | None:
    """Take over the pages of an interrupted full pull; None where there are none.

    Pages that are not taken over are dropped. The run then counts from when the interrupted one began:
    what changed since is what the next incremental pull has to ask for.
    """
    if not pull.keeps_pages:
        return None
    found = pull.run.transact(lambda conn: _take_over(conn, pull, restart=restart))
    if found:
        pull.log.event("resumed", run_before=found.run_id, behind=found.position.offset)
    return found


def forget_resumption(pull: GridPull) -> None:
    """Drop all pages, and count from the run's own beginning again."""
    run = pull.run
    run.since = None

    def forget(conn: Connection[Any]) -> None:
        pull_pages.drop(conn, run.organization_id)
        runs.put_behind(conn, run.organization_id, run.run_id, Behind())

    run.transact(forget)


def _take_over(conn: Connection[Any], pull: GridPull, *, restart: bool) -> Resumption | None:
    code, run = pull.organization_id, pull.run
    found = None if restart else _interrupted(conn, pull)
    if found:
        pull_pages.inherit(conn, code, run.run_id, found.run_id)
        run.since = found.began_at
        runs.put_since(conn, code, run.run_id, found.began_at)
        runs.put_behind(conn, code, run.run_id, found.behind)
    pull_pages.drop(conn, code, run.run_id)
    return found


def _interrupted(conn: Connection[Any], pull: GridPull) -> Resumption | None:
    code, run = pull.organization_id, pull.run
    earlier = runs.cut_off(conn, code, run.source, run.started_at - RESUMABLE)
    known = pull_pages.pages(conn, code, earlier[0]) if earlier else []
    if not earlier or not known:
        return None
    last = known[-1]
    position = Position(last.row_offset + last.row_count, last.last_id)
    run_id, began_at, behind = earlier
    return Resumption(run_id, began_at, position, behind) if position.offset else None
