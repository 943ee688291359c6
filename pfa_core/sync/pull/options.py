"""Options and result of a pull."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pfa_core.errors import Fault
from pfa_core.model.ids import RunId
from pfa_core.model.record import CHECKED
from pfa_core.model.run import Behind, IfLocked, RunStatus
from pfa_core.model.suggest import not_one_of
from pfa_core.sync.lease import LIFETIME

EVERY_FIELD = "all"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a pull stores although it looks like a fault of its source.

    Raises:
        InvalidRequest: A field is unknown, or is never reported as emptied.
    """

    emptied: Collection[str] = ()
    older: bool = False
    no_records: bool = False

    def __post_init__(self) -> None:
        for name in self.emptied:
            if name not in CHECKED and name != EVERY_FIELD:
                raise not_one_of(
                    f"unknown field {name!r}",
                    name,
                    (*CHECKED, EVERY_FIELD),
                    listed="fields",
                    parameter="allow_emptied",
                )

    def may_empty(self, name: str) -> bool:
        """Return whether a field may be emptied."""
        return name in self.emptied or EVERY_FIELD in self.emptied


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """How to pull from PEMS.

    Args:
        incremental: Only what changed since the last complete pull began, and what that refused; a full pull
            where none was.
        since: Only what changed since then, whatever was pulled before; needs a time zone.
        restart: Begin anew although an interrupted full pull could be resumed.
        if_locked: What to do while another pull of the organization runs.
        lifetime: How long a killed pull blocks the next one.
        allow_emptied: Fields that may be emptied in many records, or `all`.
        allow_older: Store records of an older PEMS version than the mirror's.
        allow_no_records: Take an answer without any record as it is: every record is then missing.
    """

    incremental: bool = False
    since: datetime | None = None
    restart: bool = False
    if_locked: IfLocked = IfLocked.FAIL
    lifetime: timedelta = LIFETIME
    allow_emptied: Collection[str] = ()
    allow_older: bool = False
    allow_no_records: bool = False

    @property
    def allow(self) -> Allowance:
        """Return what is stored although it looks like a fault."""
        return Allowance(self.allow_emptied, self.allow_older, self.allow_no_records)


COUNTS = ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a pull did.

    Args:
        run_id: None where the pull was skipped.
        status: COMPLETED, PARTIAL (not everything arrived or was stored: `message` says why, `code` is
            that of the error, `hint` helps) or SKIPPED.
        missing: Mirror records that did not arrive. From files they are only counted, a complete
            pull from PEMS marks them.
        rejected: Every record refused; `foreign` of them belong to another organization, `older` are
            of an older version than the mirror's.
        normalized: Accepted records of which a key came in another form: blanks, letters not composed.
        empty_rows: Rows without a value that were passed over, `empty_columns` likewise columns.
        behind: The refused records of PEMS for which the next incremental pull asks again, those of the
            interrupted pull that this one resumed among them.
        emptied: Field → number of records that had a value of it and have none now.
        new_fields: Fields unknown to the program that the changed records did not have before.
        faults: At most 1,000 of the refusals; where `masked`, without the numbers in them.
        interrupted: `stop` was set before the last page.
    """

    run_id: RunId | None
    status: RunStatus
    total: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    rejected: int = 0
    foreign: int = 0
    normalized: int = 0
    empty_rows: int = 0
    empty_columns: int = 0
    behind: Behind = field(default_factory=Behind)
    older: int = 0
    emptied: Mapping[str, int] = field(default_factory=dict)
    new_fields: Sequence[str] = ()
    faults: list[Fault] = field(default_factory=list)
    message: str = ""
    code: str = ""
    hint: str = ""
    interrupted: bool = False
    masked: bool = False

    def counts(self) -> dict[str, int]:
        """Return the numbers, as the history keeps them."""
        return {name: getattr(self, name) for name in COUNTS}


SKIPPED = PullResult(run_id=None, status=RunStatus.SKIPPED, message="another pull is running")
