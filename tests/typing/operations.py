"""Calls of framed operations: the type checker takes the first of each kind and refuses the others.

Nothing runs it. Each ignore is the proof: were its line accepted, `reportUnnecessaryTypeIgnoreComment`
would refuse the comment.
"""

from __future__ import annotations

from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import Run
from pfa_core.operation import Tx, reads, writes
from pfa_core.store.database import Database
from pfa_core.sync.history import list_runs


def as_declared(db: Database, principal: Principal) -> list[Run]:
    """The frame keeps the parameters, their names and the result."""
    return list_runs(db, principal, limit=5)


def without_a_principal(db: Database) -> None:
    """The ignore is the proof: a caller has to be named."""
    list_runs(db)  # pyright: ignore[reportCallIssue]


def by_a_wrong_name(db: Database, principal: Principal) -> None:
    """The ignore is the proof: no parameter is added."""
    list_runs(db, principal, most=5)  # pyright: ignore[reportCallIssue]


def of_a_wrong_type(db: Database, principal: Principal) -> None:
    """The ignore is the proof: parameters keep their types."""
    list_runs(db, principal, limit="5")  # pyright: ignore[reportArgumentType]


@reads(Operation.LIST_RUNS)  # pyright: ignore[reportArgumentType]
def without_a_transaction(limit: int) -> int:
    """The ignore is the proof: a body takes the transaction first."""
    return limit


@writes(Operation.SAVE)
def renamed(tx: Tx, name: str, *, dry_run: bool = False) -> str:
    """What is taken: a body with the transaction first."""
    return f"{tx.user_id} {name}"


def result(db: Database, principal: Principal) -> int:
    """The ignore is the proof: the result keeps its type."""
    return renamed(db, principal, "x")  # pyright: ignore[reportReturnType]
