"""Records on their way into the mirror: checked, refused one by one with a reason, each id once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.baseline import RawRecord
from pfa_core.masking import Mask
from pfa_core.model.baseline import FOREIGN, read_record
from pfa_core.model.text_rows import TextRows
from pfa_core.store import leases, runs
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.run import ActiveRun

MAX_FAULTS = 1000
MAX_TOLD = 20
PROGRESS_STEP = 1000


@dataclass
class Arrival:
    """What has arrived for an organization so far. `rejected` counts every refusal, `foreign` those
    of records that belong to another organization; `faults` holds the first 1,000. `mask` hides money
    of theirs from whoever did not bring the records themselves."""

    organization_id: str
    progress: Callable[[int], None] | None = None
    mask: Mask = field(default_factory=Mask)
    number: int = 0
    rejected: int = 0
    foreign: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = TextRows(self.organization_id, exact_json.dumps)

    def take(self, item: RawRecord | Fault) -> tuple[str, str] | None:
        """The id and the JSON text of a record that is accepted; None, and a fault kept, otherwise."""
        self.number += 1
        if self.progress and self.number % PROGRESS_STEP == 0:
            self.progress(self.number)
        if isinstance(item, RawRecord) and item.textual and isinstance(item.value, dict):
            text = self._rows.text(item.value)
            if text is not None and item.value["pfaId"] not in self.seen and _storable(text):
                self.seen.add(item.value["pfaId"])
                return item.value["pfaId"], text
        record = self._read(item) if isinstance(item, RawRecord) else item
        if isinstance(record, Fault):
            self.refuse(record)
            return None
        text = exact_json.dumps(record)
        if not _storable(text):
            reason = "holds a character that cannot be stored"
            self.refuse(
                Fault(_shown(record["pfaId"]), "", FaultCode.INVALID_TYPE, reason, item.position)
            )
            return None
        self.seen.add(record["pfaId"])
        return record["pfaId"], text

    def require_some(self, accepted: int) -> None:
        """Refuse an arrival of which nothing is good: that is another source than was meant."""
        if self.rejected and not accepted:
            foreign = self.foreign == self.rejected
            raise InvalidData(
                f"all {self.rejected:,} records were refused, the mirror is as it was",
                hint=f"they belong to another organization than {self.organization_id}"
                if foreign
                else "",
                details=self.mask.faults(self.faults[:MAX_TOLD]),
            )

    def _read(self, item: RawRecord) -> dict[str, Any] | Fault:
        record = read_record(item.value, self.organization_id, item.position, textual=item.textual)
        if isinstance(record, dict) and record["pfaId"] in self.seen:
            reason = "stands in this pull already; the first one counts"
            return Fault(
                record["pfaId"], "pfaId", FaultCode.DUPLICATE_RECORD, reason, item.position
            )
        return record

    def refuse(self, fault: Fault) -> None:
        """Count a refusal, and keep it while there are not too many."""
        self.rejected += 1
        self.foreign += fault.code == FOREIGN
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)


def end_pull(conn: Connection[Any], running: ActiveRun, result: PullResult) -> None:
    """Write a pull's end into history and audit trail, and what it refused into the history."""
    code, run, at = running.organization_id, running.run_id, leases.clock(conn)
    running.end(conn, result.status, result.counts(), result.message or None)
    outcomes = [
        runs.NewOutcome(
            str(running.db.new_id()),
            number,
            fault.pfa_id,
            fault.position,
            "rejected",
            fault.code,
            f"{fault.field} {fault.message}".strip(),
        )
        for number, fault in enumerate(result.faults, 1)
    ]
    runs.add_outcomes(conn, code, run, outcomes, at)


def _storable(text: str) -> bool:
    """Whether PostgreSQL can hold a JSON text: no NUL, no half of a surrogate pair."""
    if "\\u0000" in text:
        with suppress(exact_json.JsonFault):
            exact_json.refuse_unstorable(exact_json.loads(text))
            return True
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(pfa_id: str) -> str:
    return pfa_id.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
