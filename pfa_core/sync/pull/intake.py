"""Checks of records: each is accepted as JSON text, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.baseline import RawRecord
from pfa_core.masking import Mask
from pfa_core.model.baseline import FOREIGN, read_record
from pfa_core.model.ids import OrganizationId, PfaId
from pfa_core.model.text_rows import TextRows
from pfa_core.store import leases, runs
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.run import ActiveRun

MAX_FAULTS = 1000
MAX_DETAILS = 20
PROGRESS_STEP = 1000
UNOWNED = "is missing: the owner of the record is unknown"

Accepted = tuple[str, str]  # the id of a record and its JSON text


@dataclass
class Intake:
    """The records of one pull: how many came, which are seen, and what is refused.

    Args:
        mask: Hides money in messages about records that the caller did not bring.
        only_currency: Records that name another one are refused; None: none are.
        number: The records so far, refused ones included.
        rejected: Every refusal; `foreign` of them are of another organization's records.
        faults: The first 1,000 refusals.
        seen: The ids among which a record counts once.
    """

    organization_id: OrganizationId
    progress: Callable[[int], None] | None = None
    mask: Mask = field(default_factory=Mask)
    _: KW_ONLY
    only_currency: str | None = None
    number: int = 0
    rejected: int = 0
    foreign: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = TextRows(self.organization_id, exact_json.dumps)

    def take(self, item: RawRecord | Fault) -> Accepted | None:
        """Return the id and JSON text of an accepted record; None for a refused one."""
        self._count()
        if isinstance(item, Fault):
            return self.refuse(item)
        as_text = item.textual and isinstance(item.value, dict)
        return (self._as_text(item.value) if as_text else None) or self._read(item)

    def take_row(self, row: dict[str, str], number: int) -> Accepted | None:
        """Take a row of the grid, which must name its organization."""
        self._count()
        if row.get("organization"):
            accepted = self._as_text(row)
            # The position is made only for a fault: a page has thousands of rows without one.
            return accepted or self._read(RawRecord(row, _row_position(number), textual=True))
        pfa_id, position = row.get("pfaId", ""), _row_position(number)
        return self.refuse(Fault(pfa_id, "organization", FOREIGN, UNOWNED, position=position))

    def refuse(self, fault: Fault) -> None:
        """Count a refusal, and keep the first thousand."""
        self.rejected += 1
        self.foreign += fault.code == FOREIGN
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)

    def require_some(self, accepted: int) -> None:
        """Refuse a pull whose records are all refused: the source is not the intended one."""
        if not self.rejected or accepted:
            return
        foreign = self.foreign == self.rejected
        raise InvalidData(
            f"all {self.rejected:,} records were refused, the mirror is unchanged",
            hint=f"they belong to another organization than {self.organization_id}"
            if foreign
            else "",
            details=self.mask.faults(self.faults[:MAX_DETAILS]),
        )

    def _count(self) -> None:
        self.number += 1
        if self.progress and self.number % PROGRESS_STEP == 0:
            self.progress(self.number)

    def _as_text(self, row: dict[str, Any]) -> Accepted | None:
        """Convert a row of texts in one pass; None where `_read` has to find a fault."""
        if self._is_foreign(row.get("currency")):
            return None
        text = self._rows.text(row)
        if text is None or row["pfaId"] in self.seen or not _storable(text):
            return None
        self.seen.add(row["pfaId"])
        return row["pfaId"], text

    def _read(self, item: RawRecord) -> Accepted | None:
        record = read_record(item.value, self.organization_id, item.position, textual=item.textual)
        if isinstance(record, Fault):
            return self.refuse(record)
        pfa_id = record["pfaId"]
        if self._is_foreign(record.get("currency")):
            reason = f"is {record['currency']}, the organization's is {self.only_currency}"
            code = FaultCode.FOREIGN_CURRENCY
            return self.refuse(Fault(pfa_id, "currency", code, reason, position=item.position))
        if pfa_id in self.seen:
            reason = "is listed twice in this pull; the first one counts"
            code = FaultCode.DUPLICATE_RECORD
            return self.refuse(Fault(pfa_id, "pfaId", code, reason, position=item.position))
        text = exact_json.dumps(record)
        if not _storable(text):
            reason = "holds a character that cannot be stored"
            pfa_id = _printable(pfa_id)
            return self.refuse(
                Fault(pfa_id, "", FaultCode.INVALID_TYPE, reason, position=item.position)
            )
        self.seen.add(pfa_id)
        return pfa_id, text

    def _is_foreign(self, currency: str | None) -> bool:
        """Return whether a record's currency is refused."""
        own = self.only_currency
        return bool(own and currency and currency.strip() and currency.strip().upper() != own)


def _row_position(number: int) -> str:
    return f"PEMS row {number}"


def end_pull(conn: Connection[Any], run: ActiveRun, result: PullResult) -> None:
    """Write a pull's end and refusals into the history, its end into the audit trail."""
    run.end(conn, result.status, result.counts(), result.message or None)
    outcomes = [_outcome(run, number, fault) for number, fault in enumerate(result.faults, 1)]
    runs.add_outcomes(conn, run.organization_id, run.run_id, outcomes, leases.clock(conn))


def _outcome(run: ActiveRun, number: int, fault: Fault) -> runs.NewOutcome:
    return runs.NewOutcome(
        outcome_id=str(run.db.new_id()),
        number=number,
        pfa_id=PfaId(fault.pfa_id),
        position=fault.position,
        outcome="rejected",
        code=fault.code,
        message=f"{fault.field} {fault.message}".strip(),
    )


def _storable(text: str) -> bool:
    """Return whether PostgreSQL can hold a JSON text: no NUL, no lone surrogate."""
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


def _printable(pfa_id: str) -> str:
    return pfa_id.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
