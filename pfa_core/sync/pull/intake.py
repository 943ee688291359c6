"""Checks of records: each is accepted as JSON text, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.baseline import RawRecord
from pfa_core.masking import Mask
from pfa_core.model.baseline import FOREIGN, alters_key, is_blank, read_record
from pfa_core.model.ids import OrganizationId, PfaId
from pfa_core.model.progress import Phase, Progress, Report
from pfa_core.model.record import CHECKED, DEFAULTED, FIELDS
from pfa_core.model.run import Behind
from pfa_core.model.text_rows import TextRows
from pfa_core.store import leases, runs, statistics
from pfa_core.sync.pull.drift import Columns
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.run import ActiveRun

MAX_FAULTS = 1000
MAX_DETAILS = 20
PROGRESS_STEP = 1000
UNOWNED = "is missing: the owner of the record is unknown"

_DEFAULTED = frozenset(DEFAULTED)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Refused, and nothing is missed: the record of another organization, or one that is there already.
_NOT_BEHIND = (FOREIGN, FaultCode.DUPLICATE_RECORD)

Accepted = tuple[str, str]  # the id of a record and its JSON text


@dataclass
class Intake:
    """The records of one pull: how many came, which are seen, and what is refused.

    Args:
        mask: Hides money in messages about records that the caller did not bring.
        only_currency: Records that name another one are refused; None: none are.
        expected: The records that the source has, where it says so.
        number: The records so far, refused ones included.
        rejected: Every refusal; `foreign` of them are of another organization's records.
        normalized: The accepted records of which a key came in another form.
        faults: The first 1,000 refusals.
        seen: The ids among which a record counts once.
        behind: The rows of the grid that are refused although they are, or may be, the organization's.
        asked_since: Stands for the time of a row's last change where that is unknown.
        carried: Returns the fields that the records so far had columns or cells for.
        undeclared: Returns the fields that a table of the source has no column for.
    """

    organization_id: OrganizationId
    progress: Report | None = None
    mask: Mask = field(default_factory=Mask)
    _: KW_ONLY
    only_currency: str | None = None
    expected: int | None = None
    number: int = 0
    rejected: int = 0
    foreign: int = 0
    normalized: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    behind: Behind = field(default_factory=Behind)
    asked_since: datetime | None = None
    carried: Callable[[], Set[str]] = CHECKED.keys
    undeclared: Callable[[], Set[str]] = frozenset

    def __post_init__(self) -> None:
        self._rows = TextRows(self.organization_id, exact_json.dumps)
        self._unknown: set[str] = set()
        self._blank: set[str] = set()
        self._width = 0

    @property
    def columns(self) -> Columns:
        """Return the fields that the source lacks so far, and its unknown ones."""
        absent = frozenset(CHECKED.keys() - self.carried())
        blank = frozenset(self._blank | self._rows.blank())
        return Columns(absent, frozenset(self._unknown), frozenset(self.undeclared()), blank)

    def take(self, item: RawRecord | Fault) -> Accepted | None:
        """Return the id and JSON text of an accepted record; None for a refused one."""
        self._count()
        if isinstance(item, Fault):
            return self.refuse(item)
        if isinstance(item.value, dict):
            self._note(item.value)
        as_text = item.textual and isinstance(item.value, dict)
        found = (self._as_text(item.value) if as_text else None) or self._read(item)
        return self.refuse(found) if isinstance(found, Fault) else found

    def take_row(self, row: dict[str, str], number: int) -> Accepted | None:
        """Take a row of the grid, which must name its organization."""
        self._count()
        self._note(row)
        owner = row.get("organization")
        if owner:
            accepted = self._as_text(row)
            # The position is made only for a fault: a page has thousands of rows without one.
            found = accepted or self._read(RawRecord(row, _row_position(number), textual=True))
            if not isinstance(found, Fault):
                return found
        else:
            pfa_id, position = row.get("pfaId", ""), _row_position(number)
            found = Fault(pfa_id, "organization", FOREIGN, UNOWNED, position=position)
        if not owner or found.code not in _NOT_BEHIND:
            changed_at = _moment(row.get("pemsVersion", "")) or self.asked_since
            self.behind = self.behind.and_one(changed_at)
        return self.refuse(found)

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
        refused = (
            f"all {self.rejected:,} records were" if self.rejected > 1 else "the only record was"
        )
        raise InvalidData(
            f"{refused} refused, the mirror is unchanged",
            hint=f"they belong to another organization than {self.organization_id}"
            if foreign
            else "",
            details=self.mask.faults(self.faults[:MAX_DETAILS]),
        )

    def _note(self, row: dict[str, Any]) -> None:
        """Note unknown fields and lacking ones; nearly all records have the same."""
        if len(row) != self._width:
            self._width = len(row)
            self._unknown |= row.keys() - FIELDS.keys()
            self._blank |= _DEFAULTED - row.keys()

    def _count(self) -> None:
        self.number += 1
        if self.progress and self.number % PROGRESS_STEP == 0:
            self.report(Phase.READING)

    def report(self, phase: Phase) -> None:
        """Tell the caller how far the pull is."""
        if self.progress:
            self.progress(
                Progress(phase=phase, done=self.number, total=self.expected, rejected=self.rejected)
            )

    def _as_text(self, row: dict[str, Any]) -> Accepted | None:
        """Convert a row of texts in one pass; None where `_read` has to find a fault."""
        if self._is_foreign(row.get("currency")):
            return None
        text = self._rows.text(row)
        if text is None or row["pfaId"] in self.seen or not _storable(text):
            return None
        self.seen.add(row["pfaId"])
        self.normalized += self._rows.altered
        return row["pfaId"], text

    def _read(self, item: RawRecord) -> Accepted | Fault:
        record = read_record(item.value, self.organization_id, item.position, textual=item.textual)
        if isinstance(record, Fault):
            return record
        for name in DEFAULTED:
            given = item.value.get(name)
            if given is not True and given is not False and is_blank(given):
                self._blank.add(name)
        pfa_id = record["pfaId"]
        if self._is_foreign(record.get("currency")):
            reason = f"is {record['currency']}, the organization's is {self.only_currency}"
            code = FaultCode.FOREIGN_CURRENCY
            return Fault(pfa_id, "currency", code, reason, position=item.position)
        if pfa_id in self.seen:
            reason = "is listed twice in this pull; the first one counts"
            code = FaultCode.DUPLICATE_RECORD
            return Fault(pfa_id, "pfaId", code, reason, position=item.position)
        text = exact_json.dumps(record)
        if not _storable(text):
            reason = "holds a character that cannot be stored"
            pfa_id = _printable(pfa_id)
            return Fault(pfa_id, "", FaultCode.INVALID_TYPE, reason, position=item.position)
        self.seen.add(pfa_id)
        self.normalized += alters_key(item.value, record)
        return pfa_id, text

    def _is_foreign(self, currency: str | None) -> bool:
        """Return whether a record's currency is refused."""
        own = self.only_currency
        return bool(own and currency and currency.strip() and currency.strip().upper() != own)


def _moment(stamp: str) -> datetime | None:
    """Parse the moment of a last change, None for any other text; UTC is assumed."""
    try:
        moment = datetime.fromisoformat(stamp.strip())
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _EPOCH else None  # PEMS is not that old: it stands for no time


def _row_position(number: int) -> str:
    return f"PEMS row {number}"


def end_pull(conn: Connection[Any], run: ActiveRun, result: PullResult) -> None:
    """Write a pull's end and refusals into the history, its end into the audit trail."""
    run.end(conn, result.status, result.counts(), result.message or None)
    outcomes = [_outcome(run, number, fault) for number, fault in enumerate(result.faults, 1)]
    runs.add_outcomes(conn, run.organization_id, run.run_id, outcomes, leases.clock(conn))
    statistics.ask(conn)


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
