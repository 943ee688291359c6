"""Options and result of a pull."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pfa_core.errors import Fault
from pfa_core.model.ids import RunId
from pfa_core.model.run import IfLocked, RunStatus
from pfa_core.sync.lease import LIFETIME


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """How to pull from PEMS.

    Args:
        incremental: Only what changed since the last complete pull began; a full pull where none was.
        since: Only what changed since then, whatever was pulled before; needs a time zone.
        restart: Begin anew although an interrupted full pull could be resumed.
        if_locked: What to do while another pull of the organization runs.
        lifetime: How long a killed pull blocks the next one.
    """

    incremental: bool = False
    since: datetime | None = None
    restart: bool = False
    if_locked: IfLocked = IfLocked.FAIL
    lifetime: timedelta = LIFETIME


COUNTS = ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a pull did.

    Args:
        run_id: None where the pull was skipped.
        status: COMPLETED, PARTIAL (not every record arrived: `message` says why) or SKIPPED.
        missing: Mirror records that did not arrive. From files they are only counted, a complete
            pull from PEMS marks them.
        rejected: Every record refused; `foreign` of them belong to another organization.
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
    faults: list[Fault] = field(default_factory=list)
    message: str = ""
    interrupted: bool = False
    masked: bool = False

    def counts(self) -> dict[str, int]:
        """Return the numbers, as the history keeps them."""
        return {name: getattr(self, name) for name in COUNTS}


SKIPPED = PullResult(run_id=None, status=RunStatus.SKIPPED, message="another pull is running")
