"""A pull from files: JSON, JSONL, CSV or saved PEMS grid answers into the mirror."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import ConfigInvalid, Fault, InvalidRequest
from pfa_core.files.baseline import GridAnswer, RawRecord, read_baseline
from pfa_core.files.reading import rereadable, source_name
from pfa_core.model.audit import Direction
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import IfLocked, RunStatus
from pfa_core.model.secret import looks_like_token
from pfa_core.pems.mapping.field_map import read_field_map
from pfa_core.pems.services.grid import decode_page
from pfa_core.store import leases, members, mirror
from pfa_core.store.database import Database
from pfa_core.store.mirror import Merged
from pfa_core.sync.pull.intake import Accepted, Intake, end_pull
from pfa_core.sync.pull.options import SKIPPED, PullResult
from pfa_core.sync.run import ActiveRun, begin_dry_run, leased

MAX_SOURCES = 5  # files that a run's source names


def pull_files(
    db: Database,
    principal: Principal,
    paths: Sequence[str],
    *,
    file_format: str = "auto",
    field_map: Path | None = None,
    dry_run: bool = False,
    if_locked: IfLocked = IfLocked.FAIL,
    stdin: BinaryIO | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> PullResult:
    """Make the mirror agree with files: JSON, JSONL, CSV, saved PEMS grid answers.

    One transaction: all or, when a file cannot be read to its end, nothing. A record that is
    refused is reported and does not fail the rest; unchanged records are not touched. Drafts stay.

    Args:
        paths: Files, plain or gzip; `-` is standard input.
        field_map: Alias → field, for grid answers and for files whose columns are PEMS's aliases.
        if_locked: What to do while another pull of the organization runs.
        stop: Set it to give up waiting for that.
        progress: Called with the number of records read so far, now and then.

    Raises:
        NotFound, IoFailure, InvalidData: A file is not there, not readable, or not of its format;
            or every record in it was refused.
        LeaseHeld: Another pull runs.
        ConfigInvalid: A grid answer without a field map, or a bad map.
    """
    _check_paths(paths)
    aliases = read_field_map(field_map) if field_map else None
    source = _source(paths)
    with rereadable(paths, stdin) as copies:
        files = _Files(paths=paths, aliases=aliases, file_format=file_format, copies=copies)
        operation, direction = Operation.PULL_FILES, Direction.PULL
        if dry_run:
            run = begin_dry_run(db, principal, operation, direction, source=source)
            return _pull(run, files, progress, dry_run=True)
        with leased(
            db, principal, operation, direction, source=source, if_locked=if_locked, stop=stop
        ) as run:
            return _pull(run, files, progress) if run else SKIPPED


def _check_paths(paths: Sequence[str]) -> None:
    if not paths:
        raise InvalidRequest("no file to pull from", hint="pfa sync pull --from FILE")
    if any(looks_like_token(path) for path in paths):
        raise InvalidRequest(
            "a token was given in place of a file; everyone who saw the command line knows it now"
        )


def _source(paths: Sequence[str]) -> str:
    names = [Path(path).name if path != "-" else "standard input" for path in paths]
    more = len(names) - MAX_SOURCES
    return ", ".join(names[:MAX_SOURCES]) + (f" and {more} more" if more > 0 else "")


def _pull(
    run: ActiveRun,
    files: _Files,
    progress: Callable[[int], None] | None,
    *,
    dry_run: bool = False,
) -> PullResult:
    def work(conn: Connection[Any]) -> PullResult:
        authorize(conn, run.principal, Operation.PULL_FILES)
        files.rewind()
        only = members.only_currency(conn, run.organization_id)
        intake = Intake(run.organization_id, progress, only_currency=only)
        merged, missing = _store(conn, run, files, intake)
        result = _result(run, intake, merged, missing)
        end_pull(conn, run, result)
        return result

    return run.db.transact(work, dry_run=dry_run)


def _result(run: ActiveRun, intake: Intake, merged: Merged, missing: int) -> PullResult:
    accepted = merged.inserted + merged.updated + merged.unchanged
    return PullResult(
        run_id=run.run_id,
        status=RunStatus.COMPLETED,
        total=accepted + intake.rejected,
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        missing=missing,
        rejected=intake.rejected,
        foreign=intake.foreign,
        faults=intake.faults,
    )


def _store(
    conn: Connection[Any], run: ActiveRun, files: _Files, intake: Intake
) -> tuple[Merged, int]:
    """Store the records; return their counts, and how many mirror records are missing."""
    code = run.organization_id
    if mirror.is_empty(conn, code):
        members.lock_mirror(conn, code)
        # The lock blocks a push for as long as the files are read: an empty mirror has none to send.
        if mirror.is_empty(conn, code):
            return _fill(conn, run, files, intake), 0
    intake.require_some(mirror.copy_incoming(conn, files.rows(intake)))
    # Locked after reading, so that a slow file or pipe blocks no other transaction.
    members.lock_mirror(conn, code)
    missing = mirror.count_missing(conn, code)
    merged = mirror.merge(conn, code, run.run_id, leases.clock(conn))
    mirror.prune_rollup(conn, code)
    return merged, missing


def _fill(conn: Connection[Any], run: ActiveRun, files: _Files, intake: Intake) -> Merged:
    at = leases.clock(conn)
    code = run.organization_id
    written = mirror.fill(conn, code, run.run_id, files.rows(intake), at)
    intake.require_some(written)
    return Merged(inserted=written)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files to read; `copies` hold those that can be read only once."""

    paths: Sequence[str]
    aliases: Mapping[str, str] | None
    file_format: str
    copies: Mapping[str, BinaryIO]

    def rewind(self) -> None:
        """Go to the beginning again: a transaction may run more than once."""
        for copy in self.copies.values():
            copy.seek(0)

    def rows(self, intake: Intake) -> Iterator[Accepted]:
        """Yield every record accepted, file by file."""
        for path in self.paths:
            for item in self._items(path):
                row = intake.take(item)
                if row is not None:
                    yield row

    def _items(self, path: str) -> Iterator[RawRecord | Fault]:
        for item in read_baseline(path, self.file_format, content=self.copies.get(path)):
            if isinstance(item, GridAnswer):
                yield from self._grid_rows(item, source_name(path))
            elif isinstance(item, RawRecord) and self.aliases:
                yield _renamed(item, self.aliases)
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


def _renamed(item: RawRecord, aliases: Mapping[str, str]) -> RawRecord:
    if not isinstance(item.value, dict):
        return item
    fields = {aliases.get(name, name): value for name, value in item.value.items()}
    return RawRecord(fields, item.position, item.textual)
