"""Checks of records: each is accepted as JSON text, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pfa_core import exact_json
from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.baseline import RawRecord, Unchanged
from pfa_core.files.own_values import OWN_VALUES_HINT
from pfa_core.masking import Mask
from pfa_core.model.baseline import (
    FOREIGN,
    alters_key,
    read_changes,
    read_record,
    with_changes,
)
from pfa_core.model.casts import KEYS, LEFT_OUT, MAX_REMEMBERED, is_blank
from pfa_core.model.id_set import IdSet
from pfa_core.model.ids import OrganizationId
from pfa_core.model.keys import MAX_REMEMBERED_LENGTH
from pfa_core.model.progress import Phase, Progress, Report
from pfa_core.model.record import CHECKED, DEFAULTED, FIELDS
from pfa_core.model.run import Behind
from pfa_core.model.shape import Shape, shape_of
from pfa_core.model.text_rows import TextRows
from pfa_core.pems.mapping.layouts import Layout
from pfa_core.store.copying import Mark
from pfa_core.sync.pull.changed_lines import changed_line
from pfa_core.sync.pull.drift import Columns
from pfa_core.sync.pull.recognition import MAX_UNKNOWN, Recognition

MAX_FAULTS = 1000
MAX_DETAILS = 20
PROGRESS_STEP = 1000
UNOWNED = "is missing: the owner of the record is unknown"

_DEFAULTED = frozenset(DEFAULTED)
_KEYS = frozenset(KEYS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Refused, and nothing is missed: the record of another organization, or one that is there already.
_NOT_BEHIND = (FOREIGN, FaultCode.DUPLICATE_RECORD)

Accepted = tuple[str, str, Mark | None]  # the id of a record, its JSON text, what it was read from
# The blank ones among the values of fields with a default, which are flags and few texts.
_blanks_of: dict[tuple[Any, ...], list[str]] = {}
_ROW = Shape()  # that of a row is read from the row again


class Same(NamedTuple):
    """A row of the grid whose record is as the mirror has it, by its digest."""

    pfa_id: str
    digest: bytes
    row: dict[str, str]


def _no_layout() -> None:
    return None


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
        layout: Returns what the columns of the record at hand are, or None.
        recognition: Knows the texts that records of the mirror were read from.
        unchanged: The records that were recognized; `unread` of them are of a file.
        same: The rows of the page at hand that were recognized.
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
    seen: set[str] | IdSet = field(default_factory=IdSet)
    behind: Behind = field(default_factory=Behind)
    asked_since: datetime | None = None
    carried: Callable[[], Set[str]] = CHECKED.keys
    undeclared: Callable[[], Set[str]] = frozenset
    layout: Callable[[], Layout | None] = _no_layout
    recognition: Recognition | None = None
    unchanged: int = 0
    unread: int = 0
    same: list[Same] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows = TextRows(self.organization_id, exact_json.dumps)
        self._has_own_values = False
        self._unknown: set[str] = set()
        self._blank: set[str] = set()
        self._layout: Layout | None = None
        self._names: tuple[str, ...] = ()
        self._shape: Shape | None = None
        self._shape_blank: list[str] = []

    @property
    def columns(self) -> Columns:
        """Return the fields that the source lacks so far, and its unknown ones."""
        unread = Shape()
        if self.recognition and self.unread:
            unread = self.recognition.known.seen_shape()
        absent = frozenset(CHECKED.keys() - self.carried() - unread.carried)
        blank = frozenset(self._blank | self._rows.blank() | unread.blank)
        unknown = frozenset(self._unknown.union(unread.unknown))
        return Columns(absent, unknown, frozenset(self.undeclared()), blank)

    def take(self, item: RawRecord | Fault | Unchanged) -> Accepted | None:
        """Return what is to be compared and stored of a record.

        None for a refused one and for one that is surely unchanged.
        """
        if isinstance(item, Unchanged):
            self.unread += item.number
            self.unchanged += item.number
            return self._count(item.number)
        self._count()
        if isinstance(item, Fault):
            return self.refuse(item)
        value, digest = item.value, b""
        is_row = isinstance(value, dict)
        if is_row:
            self._note(value)
            digest = self._digest(value, textual=item.textual)
            if self._is_same(value, digest):
                return None
        found = self._as_text(value, digest) if item.textual and is_row else None
        found = found or self._read(item, digest)
        return self.refuse(found) if isinstance(found, Fault) else found

    def take_row(self, row: dict[str, str], number: int) -> Accepted | None:
        """Take a row of the grid, which must name its organization.

        One that is surely unchanged is added to `same`.
        """
        self._count()
        self._note(row)
        owner = row.get("organization")
        if owner:
            digest = self._digest(row, textual=True)
            if self._is_same_row(row, digest):
                self.same.append(Same(row["pfaId"], digest, row))
                return None
            accepted = self._as_text(row, digest)
            # The position is made only for a fault: a page has thousands of rows without one.
            found = accepted or self._read(
                RawRecord(row, _row_position(number), textual=True), digest
            )
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
        self._has_own_values |= fault.code == FaultCode.OWN_VALUES
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)

    @property
    def hint(self) -> str:
        """Return what helps where rows are refused for whose values they have, else empty."""
        return OWN_VALUES_HINT if self._has_own_values else ""

    def require_some(self, accepted: int) -> None:
        """Refuse a pull whose records are all refused: the source is not the intended one."""
        if not self.rejected or accepted:
            return
        hint = self.hint
        if self.foreign == self.rejected:
            hint = f"they belong to another organization than {self.organization_id}"
        refused = (
            f"all {self.rejected:,} records were" if self.rejected > 1 else "the only record was"
        )
        raise InvalidData(
            f"{refused} refused, the mirror is unchanged",
            hint=hint,
            details=self.mask.faults(self.faults[:MAX_DETAILS]),
        )

    def _note(self, row: dict[str, Any]) -> None:
        """Note unknown fields and lacking ones; nearly all records have the same."""
        layout = self.layout()
        if layout is None:
            names = tuple(row)
            if names == self._names:
                return
            self._names = names
        elif layout is self._layout:
            return
        self._layout, self._shape = layout, None
        self._unknown |= row.keys() - FIELDS.keys()
        self._blank |= _DEFAULTED - row.keys()

    def _digest(self, row: dict[str, Any], *, textual: bool) -> bytes:
        if self.recognition is None:
            return b""
        return self.recognition.line or self.recognition.of_row(row, textual=textual)

    def _is_same(self, row: dict[str, Any], digest: bytes) -> bool:
        """Return whether the record of a row is surely unchanged, and count it.

        A line was looked for before it was read. A row that came before is left to be refused.
        """
        recognition = self.recognition
        if not (recognition and digest and recognition.known) or recognition.line:
            return False
        if not recognition.known.see(digest):
            return False
        self.unread += 1
        self.unchanged += 1
        self._blank.update(_blanks(row))
        return True

    def _is_same_row(self, row: dict[str, Any], digest: bytes) -> bool:
        """The same of a row of the grid, which may come again with a later page."""
        pfa_id = row.get("pfaId", "")
        if pfa_id in self.seen or not (self.recognition and self.recognition.knows(digest)):
            return False
        self.seen.add(pfa_id)
        self.unchanged += 1
        self._blank.update(_blanks(row))
        return True

    def _came_before(self, pfa_id: str, digest: bytes) -> bool:
        if pfa_id in self.seen:
            return True
        if not (self.unread and digest and self.recognition):
            return False
        return self.recognition.known.was_seen(digest)

    def _mark(self, row: dict[str, Any], digest: bytes, blank: list[str]) -> Mark | None:
        """Return what a record was read from."""
        if not digest:
            return None
        if not (self.recognition and self.recognition.line):
            return digest, _ROW
        if self._shape is None or self._shape_blank != blank:
            carried = self._layout.targets if self._layout else row
            self._shape = shape_of(carried, blank, row.keys() - FIELDS.keys())
            self._shape_blank = blank
        return None if len(self._shape.unknown) > MAX_UNKNOWN else (digest, self._shape)

    def _count(self, number: int = 1) -> None:
        before, self.number = self.number, self.number + number
        if self.progress and before // PROGRESS_STEP != self.number // PROGRESS_STEP:
            self.report(Phase.READING)

    def report(self, phase: Phase) -> None:
        """Tell the caller how far the pull is."""
        if self.progress:
            self.progress(
                Progress(phase=phase, done=self.number, total=self.expected, rejected=self.rejected)
            )

    def _as_text(self, row: dict[str, Any], digest: bytes) -> Accepted | None:
        """Convert a row of texts in one pass; None where `_read` has to find a fault."""
        if self._is_foreign(row.get("currency")):
            return None
        text = self._rows.text(row)
        if text is None or self._came_before(row["pfaId"], digest) or not _storable(text):
            return None
        self.seen.add(row["pfaId"])
        if self._rows.altered:
            self.normalized += 1
            return row["pfaId"], text, None
        return row["pfaId"], text, self._mark(row, digest, _blanks(row))

    def _read(self, item: RawRecord, digest: bytes) -> Accepted | Fault:
        raw, code = item.value, self.organization_id
        changes = read_changes(raw, code, item.position, textual=item.textual)
        if isinstance(changes, Fault):
            return changes
        blank = _blanks(raw)
        self._blank.update(blank)
        pfa_id = changes.get("pfaId", raw["pfaId"])
        currency = changes.get("currency", raw.get("currency"))
        if currency is not LEFT_OUT and self._is_foreign(currency):
            reason = f"is {currency}, the organization's is {self.only_currency}"
            code = FaultCode.FOREIGN_CURRENCY
            return Fault(pfa_id, "currency", code, reason, position=item.position)
        if self._came_before(pfa_id, digest):
            reason = "is listed twice in this pull; the first one counts"
            code = FaultCode.DUPLICATE_RECORD
            return Fault(pfa_id, "pfaId", code, reason, position=item.position)
        text = changed_line(item.json, changes) if item.json else None
        if text is None:
            text = exact_json.dumps(with_changes(raw, changes))
            if not _storable(text):
                reason = "holds a character that cannot be stored"
                pfa_id = _printable(pfa_id)
                return Fault(pfa_id, "", FaultCode.INVALID_TYPE, reason, position=item.position)
        self.seen.add(pfa_id)
        if not _KEYS.isdisjoint(changes) and alters_key(raw, with_changes(raw, changes)):
            self.normalized += 1
            return pfa_id, text, None
        return pfa_id, text, self._mark(raw, digest, blank)

    def _is_foreign(self, currency: str | None) -> bool:
        """Return whether a record's currency is refused."""
        own = self.only_currency
        return bool(own and currency and currency.strip() and currency.strip().upper() != own)


def _blanks(row: Mapping[str, Any]) -> list[str]:
    """Return the fields with a default that a row has no value of."""
    given = tuple(map(row.get, DEFAULTED))
    try:
        return _blanks_of[given]
    except KeyError:
        pass
    except TypeError:  # a list or an object, which is refused elsewhere
        return _blank_among(given)
    found = _blank_among(given)
    if len(_blanks_of) < MAX_REMEMBERED and len(str(given)) <= MAX_REMEMBERED_LENGTH:
        _blanks_of[given] = found
    return found


def _blank_among(given: Sequence[Any]) -> list[str]:
    return [name for name, value in zip(DEFAULTED, given, strict=True) if is_blank(value)]


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


def read_again(organization_id: OrganizationId, same: Same) -> Accepted:
    """Read a row that was recognized: what has its digest was accepted before."""
    record = read_record(same.row, organization_id, "", textual=True)
    return same.pfa_id, exact_json.dumps(record), (same.digest, _ROW)


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
