"""The frame of every operation: transaction, authorization, mask, clock and ids.

An operation is written as a function of a `Tx` and called with a database and a principal:

    @reads(Operation.LIST_RUNS)
    def list_runs(tx: Tx, *, limit: int = 20) -> list[Run]: ...

    list_runs(db, principal, limit=5)

`reads` runs it in one read-only snapshot, `writes` in one transaction, which starts from the beginning when
it lost against another one. Authorization is the first statement of each, so what a rerun sees is
authorized anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from psycopg import Connection

from pfa_core.authorization import authorize, holds, require_filters, require_open
from pfa_core.masking import Mask, mask_for
from pfa_core.model.ids import ModificationId, OrganizationId, UserId
from pfa_core.model.member import Member
from pfa_core.model.principal import Principal, Right
from pfa_core.model.rights import Operation
from pfa_core.store.database import Database

if TYPE_CHECKING:  # a read writes nothing into the trail
    from pfa_core.model.audit import Action
    from pfa_core.model.query import Filters
    from pfa_core.store import audit

P = ParamSpec("P")
Result = TypeVar("Result")
Body = Callable[Concatenate["Tx", P], Result]
Public = Callable[Concatenate[Database, Principal, P], Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """One authorized transaction of an operation.

    `member` is the caller's membership as the transaction found it, `mask` hides money in results from
    callers who may not see it.
    """

    conn: Connection[Any]
    db: Database
    principal: Principal
    operation: Operation
    member: Member
    mask: Mask

    @property
    def organization_id(self) -> OrganizationId:
        """Return the organization that the operation is about."""
        return self.principal.organization_id

    @property
    def user_id(self) -> UserId:
        """Return the caller's user id."""
        return self.principal.user_id

    def holds(self, right: Right) -> bool:
        """Return whether both the caller's token and membership hold the right."""
        return holds(self.principal, self.member, right)

    def asked(self, filters: Filters) -> Filters:
        """Return the filters as the transaction applies them, with its day as today.

        Raises:
            PermissionDenied: An expression over money, which the caller may not see.
        """
        if not filters.where:
            return filters
        require_filters(self.principal, self.member, filters, self.operation)
        return replace(
            filters, today=filters.today or self.now().astimezone(UTC).date().isoformat()
        )

    def now(self) -> datetime:
        """Return the time by the handle's clock."""
        return self.db.clock()

    def new_id(self) -> str:
        """Return a fresh id."""
        return str(self.db.new_id())

    def audit(
        self, action: Action, entries: Sequence[audit.Entry], *, at: datetime | None = None
    ) -> None:
        """Append entries of one action by the caller to the audit trail.

        Args:
            at: The time of all of them; None: now.
        """
        from pfa_core.store import audit

        at = self.now() if at is None else at
        with self._grown():
            audit.write(self.conn, self.organization_id, self.user_id, action, at, entries=entries)

    def audit_of(
        self,
        action: Action,
        modification_ids: Sequence[ModificationId],
        *,
        at: datetime,
        before: bool = True,
        after: bool = True,
        base: bool = False,
        was: bool = False,
    ) -> None:
        """Append an entry for each of the caller's modifications.

        Each entry is made from the stored content of its modification.

        Args:
            before: It had this content before the action.
            after: It has this content after the action.
            base: Keep what the content was made over, for a restore.
            was: Keep the rest of what the action changes, for an undo.
        """
        from pfa_core.store import audit

        with self._grown(deleting=not after):
            audit.write_of(
                self.conn,
                self.principal,
                action,
                at,
                modification_ids,
                new_id=self.db.new_id,
                before=before,
                after=after,
                base=base,
                was=was,
            )

    @contextmanager
    def _grown(self, *, deleting: bool = False) -> Iterator[None]:
        """Renew statistics behind a portion's entries, for the next portion."""
        from pfa_core.store import statistics
        from pfa_core.store.audit_chain import entries_so_far

        before = entries_so_far(self.conn)
        yield
        rows = entries_so_far(self.conn) - before
        statistics.renew_within(self.conn, before, rows, deleting=deleting)


class _Frame(Protocol):
    """Turns the body of an operation into its public function."""

    def __call__(self, body: Body[P, Result], /) -> Public[P, Result]: ...


def reads(operation: Operation, *, check: Callable[..., object] | None = None) -> _Frame:
    """Frame an operation that reads, all of it from one snapshot.

    Args:
        check: Called with the operation's arguments before anything else, to refuse invalid ones without
            a connection.
    """

    def frame(body: Body[P, Result], /) -> Public[P, Result]:
        @wraps(body)
        def public(db: Database, principal: Principal, *args: P.args, **kwargs: P.kwargs) -> Result:
            if check is not None:
                check(*args, **kwargs)
            return db.read(
                lambda conn: body(_authorized(conn, db, principal, operation), *args, **kwargs)
            )

        return _signed(public, body)

    return frame


def writes(
    operation: Operation,
    *,
    own: bool = False,
    as_owner: bool = False,
    check: Callable[..., object] | None = None,
) -> _Frame:
    """Frame an operation that writes, all of it in one transaction.

    Where the operation takes `dry_run`, the frame reads it: the same happens and is rolled back.

    Args:
        own: It changes the caller's own work: their other transactions of this kind wait until it ends,
            and services, which have no work of their own, are refused.
        as_owner: It changes tokens or keys, which only the owner of the tables may: the transaction is the
            owner's on the embedded server; elsewhere the address has to be the owner's.
        check: As in `reads`.
    """

    def frame(body: Body[P, Result], /) -> Public[P, Result]:
        @wraps(body)
        def public(db: Database, principal: Principal, *args: P.args, **kwargs: P.kwargs) -> Result:
            if check is not None:
                check(*args, **kwargs)
            with db.administration() if as_owner else nullcontext(db) as handle:
                return handle.transact(
                    lambda conn: body(
                        _writing(conn, db, principal, operation, own=own), *args, **kwargs
                    ),
                    dry_run=bool(kwargs.get("dry_run")),
                )

        return _signed(public, body)

    return frame


def inside(operation: Public[P, Result]) -> Body[P, Result]:
    """Return the body of an operation that `reads` framed.

    Another operation calls it in its own transaction, with its own authorization, and returns the same numbers.
    """
    return cast("Body[P, Result]", inspect.unwrap(operation))


@contextmanager
def snapshot(db: Database, principal: Principal, operation: Operation) -> Iterator[Tx]:
    """Open an authorized snapshot.

    It serves results that are read while the caller consumes them.
    """
    with db.snapshot() as conn:
        yield _authorized(conn, db, principal, operation)


def _writing(
    conn: Connection[Any], db: Database, principal: Principal, operation: Operation, *, own: bool
) -> Tx:
    tx = _authorized(conn, db, principal, operation, own=own)
    # Behind the caller's own lock, which an export takes too: what it does not see, it waits for.
    require_open(conn, principal, operation, writing=own)
    return tx


def _authorized(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    operation: Operation,
    *,
    own: bool = False,
) -> Tx:
    member = authorize(conn, principal, operation, writing=own)
    return Tx(
        conn=conn,
        db=db,
        principal=principal,
        operation=operation,
        member=member,
        mask=mask_for(principal, member),
    )


_FIRST: Mapping[str, str] = {"db": "Database", "principal": "Principal"}


def _signed(public: Public[P, Result], body: Callable[..., Any]) -> Public[P, Result]:
    """Show the public parameters to `help`, `inspect` and the reference."""
    own = inspect.signature(body)
    _, *rest = own.parameters.values()
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = [inspect.Parameter(name, kind, annotation=of) for name, of in _FIRST.items()]
    public.__signature__ = own.replace(parameters=[*first, *rest])
    return public
