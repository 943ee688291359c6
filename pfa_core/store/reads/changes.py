"""Changes of the mirror, read in order, streamed, summed."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.audit import Direction
from pfa_core.model.change_order import Place, complete
from pfa_core.model.changes import ChangeRow
from pfa_core.model.costing import RATE_DAYS, SPELLINGS, WEIGHTS, Costing
from pfa_core.model.delta import Delta
from pfa_core.model.ids import ModificationId, PfaId, RunId, SessionId, UserId
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.run import Run
from pfa_core.store import archives, rls
from pfa_core.store.adapters import object_or_none, typed_row
from pfa_core.store.reads.filters import TRUE, conditions, narrowing, touched_values

_SQL = sql.statements("changes")
_STREAMED = 1000  # rows that a stream reads at once
# A span ends before its end, and a run has written until it.
_TO_ITS_END = timedelta(microseconds=1)
_FALSE: LiteralString = "false"
# What Python's strip takes from the ends of a text.
_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_COLUMNS: Mapping[str, LiteralString] = {
    "changedAt": "at",
    "pfaId": "pfa_id",
    "change": 'what COLLATE "C"',
    "costEffect": "cost_after - cost_before",
}
_TYPES: Mapping[str, LiteralString] = {"changedAt": "timestamptz", "costEffect": "numeric"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The versions that arrived within times, or with one run.

    Args:
        run_id: Only those of this run; the times are its own then.
        each: Every version of its own, each against the one before. Else a record once, the last version
            against what was there before the span.
        finds_missing: Whether missing records are asked of.
        pfa_id: Only this record.
    """

    since: datetime | None = None
    until: datetime | None = None
    run_id: RunId | None = None
    each: bool = False
    finds_missing: bool = True
    pfa_id: PfaId | None = None


def run_span(run: Run) -> Span:
    """Return the span of a run's own changes, between its begin and its end."""
    return Span(
        since=run.started_at,
        until=run.finished_at and run.finished_at + _TO_ITS_END,
        run_id=run.run_id,
        finds_missing=run.direction is Direction.PULL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A change that a push brought to PEMS.

    `user_id` is None where the caller may not see whose it is, `delta` is empty then. `altered`:
    PEMS stored another value than was sent, rounded or cut.
    """

    run_id: RunId
    modification_id: ModificationId
    user_id: UserId | None
    session_id: SessionId | None
    reason: str | None
    delta: Delta
    altered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changes within a span of records that match.

    `filters` are authorized ones, see `Tx.asked`.
    """

    conn: Connection[Any]
    principal: Principal
    span: Span
    filters: Filters
    costing: Costing

    def page(self, keys: Sequence[SortKey], place: Place | None, *, limit: int) -> list[ChangeRow]:
        """Read some in order, after a place."""
        rows: list[ChangeRow] = []
        for segment in _segments(keys, place):
            if len(rows) < limit:
                statement, values = self._statement(keys, place, segment)
                with self.conn.cursor(row_factory=typed_row(ChangeRow)) as cursor:
                    rows += cursor.execute(statement, {**values, "limit": limit - len(rows)})
        return rows

    def stream(
        self, keys: Sequence[SortKey], place: Place | None, *, limit: int | None
    ) -> Generator[ChangeRow, None, None]:
        """Stream them in order, in constant memory."""
        statement, values = self._statement(keys, place, None)
        with self.conn.cursor(name="pfa_changes", row_factory=typed_row(ChangeRow)) as cursor:
            cursor.itersize = _STREAMED
            cursor.execute(statement, {**values, "limit": limit})
            yield from cursor

    def totals(self) -> tuple[int, int, int, Decimal]:
        """Count new, changed and missing records, and sum the effect in money-days."""
        statement = _SQL["totals"].format(parts=self._parts(TRUE, ""))
        row = self.conn.execute(statement, self._values()).fetchone()
        assert row is not None  # noqa: S101 - an aggregate has one row
        return row

    def _statement(
        self, keys: Sequence[SortKey], place: Place | None, segment: LiteralString | None
    ) -> tuple[LiteralString, dict[str, Any]]:
        order, after = _order(keys), TRUE if segment or place is None else _after(keys)
        ordered: LiteralString = f"ORDER BY {order} LIMIT %(limit)s" if segment else ""
        found = _SQL["found"].format(
            parts=self._parts(segment or TRUE, ordered), place=after, order=order
        )
        values = {f"place_{number}": text for number, text in enumerate(place or ())}
        return _SQL["page"].format(found=found, order=order), {**self._values(), **values}

    def _parts(self, segment: LiteralString, ordered: LiteralString) -> LiteralString:
        parts: list[LiteralString] = [self._versions("present", "r", segment, ordered)]
        if self.span.each or self.span.run_id or self.span.until:
            parts.append(self._versions("replaced", "h", segment, ordered))
        if self.span.finds_missing:
            missing = _SQL["missing"].format(
                window=self._marked(),
                segment=_bound(segment, "r.missing_since", "r.pfa_id"),
                matching=self._matching(),
                ordered=ordered,
            )
            parts.append(missing)
        return " UNION ALL ".join(parts)

    def _versions(
        self,
        name: LiteralString,
        table: LiteralString,
        segment: LiteralString,
        ordered: LiteralString,
    ) -> LiteralString:
        """Compose the part of the versions of a table."""
        present, each = table == "r", self.span.each
        at: LiteralString = "r.updated_at" if present else "h.written_at"
        parts: list[LiteralString] = [self._times(at), self._of_run(table)]
        if not present:
            parts.append("h.written_at IS NOT NULL")
            if not each:
                parts.append(self._ended())
        marked: LiteralString = "" if each else f"WHEN {self._missing_too()} THEN 'missing' "
        born: LiteralString = f"{table}.version = 1" if each else "b.version IS NULL"
        return _SQL[name].format(
            kind=f"CASE {marked}WHEN {born} THEN 'new' ELSE 'changed' END",
            before=self._before(table, of_a_page=bool(ordered)),
            cost_before=_cost("b"),
            cost_after=_cost(table),
            window=_all(parts),
            segment=_bound(segment, at, f"{table}.pfa_id"),
            matching=self._matching(),
            differs=TRUE if each else self._differs(table),
            ordered=ordered,
        )

    def _times(self, at: LiteralString) -> LiteralString:
        parts: list[LiteralString] = []
        if self.span.since:
            parts.append(f"{at} >= %(since)s")
        if self.span.until:
            parts.append(f"{at} < %(until)s")
        return _all(parts)

    def _of_run(self, table: LiteralString) -> LiteralString:
        parts: list[LiteralString] = []
        if self.span.run_id:
            column: LiteralString = "r.run_id" if table == "r" else "h.written_by_run"
            parts.append(f"{column} = %(run_id)s")
        if self.span.pfa_id:
            parts.append(f"{table}.pfa_id = %(pfa_id)s")
        return _all(parts)

    def _ended(self) -> LiteralString:
        """Compose that a version was the last one of the span."""
        if self.span.run_id:
            return "h.replaced_by_run <> %(run_id)s"
        return "h.replaced_at >= %(until)s"

    def _before(self, table: LiteralString, *, of_a_page: bool) -> LiteralString:
        """Compose the version before the span, or before each version of it."""
        span = self.span
        if span.each:
            outside: LiteralString = f"b.version = {table}.version - 1"
        elif span.since is None:
            outside = self._never("b")
        elif of_a_page:
            earlier: LiteralString = "(o.written_at IS NULL OR o.written_at < %(since)s)"
            outside = "o.written_by_run IS DISTINCT FROM %(run_id)s" if span.run_id else earlier
            return _SQL["looked_up"].format(table=table, outside=outside)
        else:
            outside = "b.replaced_at >= %(since)s AND " + (
                "b.replaced_by_run = %(run_id)s AND b.written_by_run IS DISTINCT FROM %(run_id)s"
                if span.run_id
                else "(b.written_at IS NULL OR b.written_at < %(since)s)"
            )
        return _SQL["joined"].format(table=table, outside=outside)

    def _never(self, table: LiteralString) -> LiteralString:
        """Compose what is true of no row.

        A distributed server leaves a part that is `false` out before it looks on which node the others are,
        and then refuses to join them.
        """
        return f"{table}.version < 0" if rls.is_distributed(self.conn) else _FALSE

    def _missing_too(self) -> LiteralString:
        if not self.span.finds_missing:
            return _FALSE
        return f"r.missing_since IS NOT NULL AND {self._times('r.missing_since')}"

    def _marked(self) -> LiteralString:
        """Compose that a record was found missing, and is in no other part."""
        parts: list[LiteralString] = [self._times("r.missing_since")]
        if self.span.pfa_id:
            parts.append("r.pfa_id = %(pfa_id)s")
        if not self.span.each:
            parts.append(
                "r.run_id <> %(run_id)s"
                if self.span.run_id
                else "r.updated_at < %(since)s"
                if self.span.since
                else self._never("r")
            )
        return _all(parts)

    def _differs(self, table: LiteralString) -> LiteralString:
        return f"(b.version IS NULL OR b.data <> {table}.data OR {self._missing_too()})"

    def _matching(self) -> LiteralString:
        """Compose that the caller sees the record match, as `pfa list` does."""
        filters = self.filters
        if not filters.given():
            return TRUE
        where, of_overlays = conditions(filters)[0], conditions(filters, overlay=True)[0]
        touched = _SQL["touched"].format(conditions=of_overlays, narrowing=narrowing(filters))
        if not filters.wants_pristine():
            return touched
        untouched = _SQL["untouched"]
        return f"(({where} AND {untouched}) OR {touched})"

    def _values(self) -> dict[str, Any]:
        span, costing = self.span, self.costing
        return {
            "organization_id": self.principal.organization_id,
            "user_id": self.principal.user_id,
            "since": span.since,
            "until": span.until,
            "run_id": span.run_id,
            "pfa_id": span.pfa_id,
            "blanks": _BLANKS,
            "currency": costing.currency or "",
            "rate_days": RATE_DAYS,
            "weight": costing.weight(None),
            "weights": json.dumps({text: str(WEIGHTS[unit]) for text, unit in SPELLINGS.items()}),
            **conditions(self.filters)[1],
            **conditions(self.filters, overlay=True)[1],
            **touched_values(self.filters),
        }


def settled(
    conn: Connection[Any],
    principal: Principal,
    pfa_id: PfaId,
    run_ids: Sequence[RunId],
    *,
    everyone: bool,
) -> list[Settled]:
    """List a record's changes that these pushes brought to PEMS, the latest first.

    Args:
        everyone: Those of all users with their authors, else the principal's own.
    """
    if not run_ids:
        return []
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "pfa_id": pfa_id,
        "run_ids": list(run_ids),
        "everyone": everyone,
    }
    with conn.cursor(row_factory=class_row(Settled)) as cursor:
        found = cursor.execute(_SQL["settled"], values).fetchall()
        if archives.last(conn, principal.organization_id):
            archived = cursor.execute(_SQL["settled_archived"], values).fetchall()
            known = {item.modification_id for item in archived}
            found = [item for item in found if item.modification_id not in known] + archived
    return [replace(item, delta=object_or_none(item.delta) or {}) for item in found]


def _cost(table: LiteralString) -> LiteralString:
    """Compose the forecast cost of a version: of the mirror (r), or of its history."""
    kept = table != "r"
    return _SQL["cost"].format(
        table=table,
        rate_days=f"{table}.rate_days" if kept else _SQL["rate_days"],
        purchase=f"{table}.forecast_purchase" if kept else _SQL["purchase"],
        weight=_SQL["weight"].format(table=table),
    )


def _segments(keys: Sequence[SortKey], place: Place | None) -> Iterator[LiteralString | None]:
    """Yield the parts of an order after a place, one after the other.

    None: no index has the order. In the usual order they are the rest of the changes of one time, then those
    of earlier times.
    """
    if not _is_usual(keys):
        yield None
    elif place is None:
        yield TRUE
    else:
        yield "{at} = %(place_0)s::timestamptz AND {pfa_id} > %(place_1)s"
        yield "{at} < %(place_0)s::timestamptz"


def _is_usual(keys: Sequence[SortKey]) -> bool:
    return list(keys) in (
        [SortKey("changedAt", descending=True)],
        [SortKey("changedAt", descending=True), SortKey("pfaId")],
    )


def _bound(segment: LiteralString, at: LiteralString, pfa_id: LiteralString) -> LiteralString:
    return segment.format(at=at, pfa_id=pfa_id)


def _order(keys: Sequence[SortKey]) -> LiteralString:
    parts: list[LiteralString] = [
        f"{_COLUMNS[key.field]}{' DESC' if key.descending else ''}" for key in complete(keys)
    ]
    return ", ".join(parts)


def _after(keys: Sequence[SortKey]) -> LiteralString:
    """Compose that a row comes after a place in an order."""
    ways: list[LiteralString] = []
    same: list[LiteralString] = []
    for number, key in enumerate(complete(keys)):
        column = _COLUMNS[key.field]
        place: LiteralString = f"%(place_{sql.numeral(number)})s::{_TYPES.get(key.field, 'text')}"
        ways.append(_all([*same, f"{column} {'<' if key.descending else '>'} {place}"]))
        same.append(f"{column} = {place}")
    return f"({' OR '.join(ways)})"


def _all(parts: Sequence[LiteralString]) -> LiteralString:
    given: list[LiteralString] = [part for part in parts if part != TRUE]
    return " AND ".join(given or [TRUE])
