"""A run of pull or push while it is active.

It has a history row, audit entries and authorized transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from psycopg import Connection

from pfa_core.authorization import reauthorize
from pfa_core.errors import LeaseHeld, PfaError
from pfa_core.masking import Mask
from pfa_core.model.audit import Action, Direction
from pfa_core.model.ids import OrganizationId, RunId
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import Run, RunKind, RunStatus
from pfa_core.store import audit, leases, runs
from pfa_core.store.database import Database
from pfa_core.store.errors import Refused
from pfa_core.sync.lease import Lease, Transact

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class ActiveRun:
    """A run that may read and write; without a `lease` it is a dry run.

    `started_at` is the database's time. `mask` hides money in results and in the log of the run, not
    in what is stored.
    """

    db: Database
    principal: Principal
    operation: Operation
    direction: Direction
    run_id: RunId
    source: str
    kind: RunKind
    since: datetime | None
    started_at: datetime
    mask: Mask
    lease: Lease | None = None

    @property
    def organization_id(self) -> OrganizationId:
        """Return the organization of the run."""
        return self.principal.organization_id

    @property
    def lost(self) -> bool:
        """Return whether another run may have taken over: nothing may be sent any more."""
        return self.lease is not None and self.lease.lost

    def has_lost_lease(self) -> bool:
        """Ask the database whether another run holds the lease by now.

        Under row-level security it refuses what a run without its lease does.
        """
        if self.lease:
            with suppress(PfaError):
                self.lease.renew(self._transact)
        return self.lost

    @contextmanager
    def refused_by_lease(self) -> Iterator[None]:
        """Name the lease where the database refuses since another run has taken it.

        Raises:
            LeaseHeld: It has.
        """
        try:
            yield
        except Refused as refusal:
            if self.has_lost_lease():
                raise LeaseHeld("the lease was lost: another run has taken it") from refusal
            raise

    def transact(
        self,
        work: Callable[[Connection[Any]], Result],
        *,
        dry_run: bool = False,
        db: Database | None = None,
    ) -> Result:
        """Run work in an authorized transaction.

        It runs on the run's own handle unless another is given.

        Raises:
            LeaseHeld: The database refuses it, since another run has taken the lease.
        """
        with self.refused_by_lease():
            return self._transact(work, dry_run=dry_run, db=db)

    def _transact(
        self,
        work: Callable[[Connection[Any]], Result],
        /,
        *,
        dry_run: bool = False,
        db: Database | None = None,
    ) -> Result:
        return (db or self.db).transact(lambda conn: self._authorized(conn, work), dry_run=dry_run)

    def read(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """Run work in an authorized snapshot of the server itself.

        What other runs wrote counts, which a replica may lack.
        """
        return self.db.read(lambda conn: self._authorized(conn, work), latest=True)

    def transact_on(self, db: Database) -> Transact:
        """Return the run's transactions on another handle."""

        def transact(work: Callable[[Connection[Any]], Result], /) -> Result:
            return self.transact(work, db=db)

        return transact

    def _authorized(
        self, conn: Connection[Any], work: Callable[[Connection[Any]], Result]
    ) -> Result:
        reauthorize(conn, self.principal, self.operation)
        return work(conn)

    def as_row(
        self,
        status: RunStatus,
        counts: Mapping[str, int],
        *,
        at: datetime | None = None,
        message: str | None = None,
    ) -> Run:
        """Return the run's history row, running or, with `at`, ended."""
        return Run(
            run_id=self.run_id,
            direction=self.direction,
            source=self.source,
            status=status,
            user_id=self.principal.user_id,
            started_at=self.started_at,
            finished_at=at,
            counts=counts,
            message=message,
            kind=self.kind,
            since=self.since,
        )

    def end(
        self,
        conn: Connection[Any],
        status: RunStatus,
        counts: Mapping[str, int],
        message: str | None,
    ) -> None:
        """Write the run's end into history and audit trail."""
        at = leases.clock(conn)
        runs.put(conn, self.organization_id, self.as_row(status, counts, at=at, message=message))
        ended = {"status": status, **counts}
        self.audit(
            conn, self.direction.action, at, self.run_id, ended, reason=message or self.source
        )

    def audit(
        self,
        conn: Connection[Any],
        action: Action,
        at: datetime,
        run_id: RunId,
        after: Mapping[str, Any],
        *,
        reason: str | None = None,
    ) -> None:
        """Write an entry about a run into the audit trail."""
        entry = audit.Entry(str(self.db.new_id()), run_id=run_id, after=dict(after), reason=reason)
        audit.write(conn, self.organization_id, self.principal.user_id, action, at, entries=[entry])
