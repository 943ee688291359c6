"""Pull: the baseline from PEMS into the mirror. Here from files that PEMS or somebody else saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from psycopg import Connection

from pfa_core import jsontext
from pfa_core.errors import ConfigInvalid, Fault, InvalidData, InvalidRequest, PfaError
from pfa_core.files.baseline import GridAnswer, RawRecord, read_baseline
from pfa_core.files.reading import rereadable, source_name
from pfa_core.guard import enter
from pfa_core.model.baseline import FOREIGN, read_record
from pfa_core.model.principal import Principal, Right
from pfa_core.pems.fieldmap import read_field_map
from pfa_core.pems.grid import decode_page
from pfa_core.store import audit, members, mirror, runs
from pfa_core.store.database import Database

MAX_FAULTS = 1000
MAX_TOLD = 20
PROGRESS_STEP = 1000


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull did. `rejected` counts every record refused, `foreign` those of them that belong
    to another organization; `missing` counts mirror records that did not arrive and stay as they
    are. `faults` holds at most 1,000 of the refusals."""

    run_id: str
    status: str
    total: int
    inserted: int
    updated: int
    unchanged: int
    missing: int
    rejected: int
    foreign: int
    faults: list[Fault]


def pull_files(
    db: Database,
    principal: Principal,
    paths: Sequence[str],
    *,
    file_format: str = "auto",
    field_map: Path | None = None,
    dry_run: bool = False,
    stdin: BinaryIO | None = None,
    progress: Callable[[int], None] | None = None,
) -> PullResult:
    """Make the mirror agree with baseline files: JSON, JSONL, CSV, saved PEMS grid answers.

    One transaction: all or, when a file cannot be read to its end, nothing. A record that is
    refused is reported and does not sink the rest; unchanged records are not touched. Drafts stay.

    Args:
        paths: Files, plain or gzip; `-` is standard input.
        field_map: Alias → field, for grid answers and for files whose columns are PEMS's aliases.
        progress: Called with the number of records read so far, now and then.

    Raises:
        NotFound, IoFailure, InvalidData: A file is not there, not readable, or not of its format;
            or every record in it was refused.
        ConfigInvalid: A grid answer without a field map, or a bad map.
    """
    if not paths:
        raise InvalidRequest("no file to pull from", hint="give --from FILE")
    aliases = read_field_map(field_map) if field_map else None

    def pull(piped: BinaryIO | None) -> PullResult:
        def work(conn: Connection[Any]) -> PullResult:
            enter(conn, principal, Right.IMPORT)
            if piped:
                piped.seek(0)
            arrival = _Arrival(principal.organization_id, aliases, file_format, piped, progress)
            return _pull(conn, db, principal, arrival, paths)

        return db.transact(work, dry_run=dry_run)

    started = db.clock()
    try:
        with rereadable(paths, stdin) as piped:
            return pull(piped)
    except (InvalidData, ConfigInvalid) as error:
        if not dry_run:
            _record_failure(db, principal, paths, started, error)
        raise


def _pull(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    arrival: _Arrival,
    paths: Sequence[str],
) -> PullResult:
    code, run_id, started = principal.organization_id, db.new_id(), db.clock()
    accepted = mirror.copy_incoming(conn, arrival.rows(paths))
    arrival.require_some(accepted)
    # Only now: nobody waits for a slow file or pipe.
    members.lock_mirror(conn, code)
    missing = mirror.count_missing(conn, code)
    unchanged = mirror.drop_unchanged(conn, code)
    changed, written = mirror.take_in(conn, code, run_id, started)
    result = PullResult(
        run_id=str(run_id),
        status="completed",
        total=accepted + arrival.rejected,
        inserted=written - changed,
        updated=changed,
        unchanged=unchanged,
        missing=missing,
        rejected=arrival.rejected,
        foreign=arrival.foreign,
        faults=arrival.faults,
    )
    _record(conn, db, principal, result, run_id, paths, started)
    return result


@dataclass
class _Arrival:
    """Records on their way in: read, checked, refused one by one; each id counts once."""

    organization_id: str
    aliases: Mapping[str, str] | None
    file_format: str
    stdin: BinaryIO | None
    progress: Callable[[int], None] | None
    rejected: int = 0
    foreign: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def rows(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Id and JSON text of every record accepted, file by file."""
        number = 0
        for path in paths:
            for item in self._items(path):
                number += 1
                if self.progress and number % PROGRESS_STEP == 0:
                    self.progress(number)
                record = self._accepted(item)
                if record is not None:
                    yield record["pfaId"], jsontext.dumps(record)

    def require_some(self, accepted: int) -> None:
        """Refuse an arrival of which nothing is good: that is another file than was meant."""
        if self.rejected and not accepted:
            foreign = self.foreign == self.rejected
            raise InvalidData(
                f"all {self.rejected:,} records were refused, the mirror is as it was",
                hint=f"they belong to another organization than {self.organization_id}"
                if foreign
                else "",
                details=self.faults[:MAX_TOLD],
            )

    def _items(self, path: str) -> Iterator[RawRecord | Fault]:
        for item in read_baseline(path, self.file_format, stdin=self.stdin):
            if isinstance(item, GridAnswer):
                yield from self._grid_rows(item, source_name(path))
            elif isinstance(item, RawRecord) and self.aliases and isinstance(item.value, dict):
                renamed = {
                    self.aliases.get(name, name): value for name, value in item.value.items()
                }
                yield RawRecord(renamed, item.position, item.textual)
            else:
                yield item

    def _grid_rows(self, answer: GridAnswer, name: str) -> Iterator[RawRecord]:
        if self.aliases is None:
            raise ConfigInvalid(
                f"{name} is a PEMS grid answer, which needs a field map",
                hint="give --field-map FILE, or set PFA_PEMS_FIELD_MAP",
            )
        for number, row in enumerate(decode_page(answer.content, self.aliases).rows, 1):
            yield RawRecord(row, f"{name} row {number}", textual=True)

    def _accepted(self, item: RawRecord | Fault) -> dict[str, Any] | None:
        record = item
        if isinstance(item, RawRecord):
            record = read_record(
                item.value, self.organization_id, item.position, textual=item.textual
            )
            if isinstance(record, dict) and record["pfaId"] in self.seen:
                reason = "stands in this pull already; the first one counts"
                record = Fault(record["pfaId"], "pfaId", "DUPLICATE_RECORD", reason, item.position)
        if isinstance(record, dict):
            self.seen.add(record["pfaId"])
            return record
        assert isinstance(record, Fault)  # noqa: S101 - what is no record is a fault
        self.rejected += 1
        self.foreign += record.code == FOREIGN
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(record)
        return None


def _record(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    result: PullResult,
    run_id: UUID,
    paths: Sequence[str],
    started: datetime,
) -> None:
    code, at = principal.organization_id, db.clock()
    counts = {
        name: getattr(result, name)
        for name in ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")
    }
    source = _source(paths)
    runs.finish(
        conn,
        code,
        runs.Run(
            str(run_id), "pull", source, result.status, principal.user_id, started, at, counts, None
        ),
    )
    outcomes = [
        runs.NewOutcome(
            str(db.new_id()),
            number,
            fault.pfa_id,
            fault.position,
            "rejected",
            fault.code,
            f"{fault.field} {fault.message}".strip(),
        )
        for number, fault in enumerate(result.faults, 1)
    ]
    runs.add_outcomes(conn, code, str(run_id), outcomes, at)
    entry = audit.Entry(str(db.new_id()), run_id=str(run_id), after=counts, reason=source)
    audit.write(conn, code, principal.user_id, "pull", at, [entry])


def _record_failure(
    db: Database, principal: Principal, paths: Sequence[str], started: datetime, error: PfaError
) -> None:
    """A pull that failed leaves its run behind, so that `sync runs` and cron mail tell the same."""
    run = runs.Run(
        str(db.new_id()),
        "pull",
        _source(paths),
        "failed",
        principal.user_id,
        started,
        db.clock(),
        {},
        error.message,
    )

    def work(conn: Connection[Any]) -> None:
        enter(conn, principal, Right.IMPORT)
        runs.finish(conn, principal.organization_id, run)

    db.transact(work)


def _source(paths: Sequence[str]) -> str:
    names = [Path(path).name if path != "-" else "standard input" for path in paths]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
