"""Losses of values that a pull would bring, judged before they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.model.record import CHECKED, DEFAULTED, Kind
from pfa_core.sync.pull.options import EVERY_FIELD, Allowance

# So many records may lose a field whose column is there: PEMS's users empty fields too.
FEW = 10
# From so many on, a field that no record has any more is gone, if all had it: a grid leaves out empty cells.
ALL = 3
# Above one in so many of the records that have the field, its loss is refused.
SHARE = 5
MAX_NAMED = 5
NOTHING_STORED = "; nothing was stored"
_DEFAULT = "at the default now, some for want of a value"
_GONE = "would be emptied in {}: the source does not have the field at all"
_MANY = "would be emptied in {}, more than a fifth of those that have it"


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields that the source of a pull did not have.

    Args:
        absent: Known fields that no record had, whatever a field map puts in their place.
        unknown: Fields unknown to the program that some records had.
        undeclared: Known fields that a table of the source has no column for; a grid or JSON may leave out
            what is empty.
        blank: Fields with a default that some records had no value of.
    """

    absent: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    undeclared: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()

    @property
    def lacking(self) -> frozenset[str]:
        """Return the fields whose values in the records are not the source's."""
        return self.absent | self.undeclared


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What the records of a pull have lost so far.

    Args:
        known: The records received that the mirror had.
        emptied: Field → records that had a value of it, default values not counted, and have none now.
        holders: Field → records of the mirror that had a value before the pull, where it was asked.
        unknown_lost: Records that lost a field unknown to the program.
        lost_fields: Those fields.
        new_fields: Unknown fields that the changed records did not have.
    """

    known: int = 0
    emptied: Mapping[str, int] = field(default_factory=dict)
    holders: Mapping[str, int] = field(default_factory=dict)
    unknown_lost: int = 0
    lost_fields: tuple[str, ...] = ()
    new_fields: tuple[str, ...] = ()

    def plus(self, emptied: Mapping[str, int], *, known: int, unknown_lost: int) -> Drift:
        """Return the sums with those of further records."""
        names = {**self.emptied, **emptied}
        sums = {name: self.emptied.get(name, 0) + emptied.get(name, 0) for name in names}
        return replace(
            self,
            known=self.known + known,
            emptied=sums,
            unknown_lost=self.unknown_lost + unknown_lost,
        )

    def in_question(self, columns: Columns, allow: Allowance) -> Sequence[str]:
        """Return the fields whose loss depends on how many records have them."""
        return [
            name
            for name, number in self.emptied.items()
            if number >= (ALL if name in columns.absent else FEW)
            and name not in columns.undeclared
            and not allow.may_empty(name)
        ]

    def require_meant(self, columns: Columns, allow: Allowance, *, whole: bool) -> None:
        """Refuse losses that are hardly meant.

        Refused are a field that a table has no column for, whatever it was in the mirror; a field that no
        record has, where all that the mirror knows had it; and a field that many records lose, in relation to
        those that have it.

        Args:
            whole: The pull asks for every record: those it brought count, not the whole mirror.

        Raises:
            InvalidData: With a fault for each field.
        """
        gone = [n for n in self.emptied if n in columns.undeclared and not allow.may_empty(n)]
        asked = self.in_question(columns, allow)
        base = {name: self._base(name, whole=whole) for name in asked}
        gone += [n for n in asked if n in columns.absent and self.emptied[n] >= base[n]]
        many = [
            name
            for name in asked
            if name not in gone
            and (CHECKED[name].kind is not Kind.FLAG or name in columns.lacking)
            and self._are_many(name, base[name])
        ]
        if not gone and not many:
            return
        faults = [self._fault(name, _GONE) for name in gone]
        faults += [self._fault(name, _MANY) for name in many]
        raise InvalidData(
            f"this pull would empty {self._listed((*gone, *many))}{NOTHING_STORED}",
            hint=_hint((*gone, *many), columns),
            details=faults,
        )

    def reported(self, columns: Columns) -> Mapping[str, int]:
        """Return the losses to report.

        The default of a choice and off are values too, unless the source has no value of the field for some
        records, or many get them at once.
        """
        return {
            name: number
            for name, number in self.emptied.items()
            if name not in DEFAULTED
            or name in columns.lacking
            or name in columns.blank
            or (name in self.holders and self._are_many(name, self.holders[name]))
        }

    def text(self, columns: Columns) -> str:
        """Describe the losses and the new fields, empty where there are none."""
        reported = self.reported(columns)
        unclear = [
            name
            for name in reported
            if name in DEFAULTED and name in columns.blank and name not in columns.lacking
        ]
        emptied = [name for name in reported if name not in unclear]
        parts = [f"emptied: {self._listed(emptied)}"] if emptied else []
        if unclear:
            parts.append(f"{_DEFAULT}: {self._listed(unclear)}")
        if self.unknown_lost:
            gone = f"fields unknown to pfa are gone from {_records(self.unknown_lost)}"
            parts.append(f"{gone}: {_named(self.lost_fields)}")
        if self.new_fields:
            parts.append(f"new fields, kept as they came: {_named(self.new_fields)}")
        return "; ".join(parts)

    def _are_many(self, name: str, base: int) -> bool:
        return self.emptied[name] >= FEW and self.emptied[name] * SHARE > base

    def _base(self, name: str, *, whole: bool) -> int:
        holders = self.holders[name]
        return min(self.known, holders) if whole else holders

    def _fault(self, name: str, text: str) -> Fault:
        message = text.format(_records(self.emptied[name]))
        return Fault("", name, FaultCode.EMPTIED_FIELD, message)

    def _listed(self, names: Sequence[str] | Mapping[str, int]) -> str:
        return _named([f"{name} in {_records(self.emptied[name])}" for name in names])


def _hint(names: Sequence[str], columns: Columns) -> str:
    wanted = names if len(names) <= MAX_NAMED else (EVERY_FIELD,)
    allowed = " ".join(f"`allow_emptied={name}`" for name in wanted)
    hint = f"if the source is right, add {allowed}"
    if columns.unknown:
        hint = f"unknown fields of this pull: {_named(sorted(columns.unknown))}; {hint}"
    return hint


def _named(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _records(number: int) -> str:
    return f"{number:,} record{'' if number == 1 else 's'}"
