"""A pull from files: JSON, JSONL, CSV or saved PEMS grid answers into the mirror."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import ConfigInvalid, Fault, InvalidData, InvalidRequest
from pfa_core.files.baseline import GridAnswer, RawRecord, read_baseline
from pfa_core.files.reading import rereadable, source_name
from pfa_core.model.audit import Direction
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import IfLocked, RunStatus
from pfa_core.model.secret import looks_like_token
from pfa_core.model.values import shorten
from pfa_core.pems.mapping.field_map import read_field_map
from pfa_core.pems.services.grid import decode_page
from pfa_core.store import leases, members, mirror
from pfa_core.store.database import Database
from pfa_core.store.mirror import Merged
from pfa_core.sync.pull.drift import Drift
from pfa_core.sync.pull.intake import MAX_FAULTS, Accepted, Intake, end_pull
from pfa_core.sync.pull.merging import MergeResult, Merging
from pfa_core.sync.pull.options import SKIPPED, Allowance, PullResult
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
    allow_emptied: Collection[str] = (),
    allow_older: bool = False,
    stdin: BinaryIO | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> PullResult:
    """Make the mirror agree with files: JSON, JSONL, CSV, saved PEMS grid answers.

    One transaction: all or, when a file cannot be read to its end, nothing. A record that is
    refused is reported and does not fail the rest; unchanged records are not touched. Drafts stay.
    Files without a record, and records of an older PEMS version than the mirror's, make it `partial`.

    Args:
        paths: Files, plain or gzip; `-` is standard input.
        field_map: Alias → field, for grid answers and for files whose columns are PEMS's aliases.
        if_locked: What to do while another pull of the organization runs.
        allow_emptied: Fields that may be emptied in many records, or `all`.
        allow_older: Store records of an older PEMS version than the mirror's.
        stop: Set it to give up waiting for that.
        progress: Called with the number of records read so far, now and then.

    Raises:
        NotFound, IoFailure, InvalidData: A file is not there, not readable, or not of its format;
            or every record in it was refused, or fields would be emptied that are hardly meant to be.
        LeaseHeld: Another pull runs.
        ConfigInvalid: A grid answer without a field map, or a bad map.
    """
    _check_paths(paths)
    allow = Allowance(allow_emptied, allow_older)
    aliases = read_field_map(field_map) if field_map else None
    source = _source(paths)
    with rereadable(paths, stdin) as copies:
        files = _Files(paths=paths, aliases=aliases, file_format=file_format, copies=copies)
        operation, direction = Operation.PULL_FILES, Direction.PULL
        if dry_run:
            run = begin_dry_run(db, principal, operation, direction, source=source)
            return _pull(run, files, allow, progress, dry_run=True)
        with leased(
            db, principal, operation, direction, source=source, if_locked=if_locked, stop=stop
        ) as run:
            return _pull(run, files, allow, progress) if run else SKIPPED


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
    allow: Allowance,
    progress: Callable[[int], None] | None,
    *,
    dry_run: bool = False,
) -> PullResult:
    merging = Merging(run=run, allow=allow, whole=True)

    def work(conn: Connection[Any]) -> PullResult:
        authorize(conn, run.principal, Operation.PULL_FILES)
        files.rewind()
        intake = Intake(run.organization_id, progress)
        stored, missing = _store(conn, merging, files, intake)
        result = _result(run, intake, stored, missing)
        end_pull(conn, run, result)
        return result

    return run.db.transact(work, dry_run=dry_run)


def _result(run: ActiveRun, intake: Intake, stored: MergeResult, missing: int) -> PullResult:
    merged, older = stored.merged, len(stored.older)
    accepted = merged.inserted + merged.updated + merged.unchanged
    rejected = intake.rejected + older
    code, message, hint = _incomplete(run, older, total=accepted + rejected)
    texts = (message, stored.drift.text(intake.columns))
    return PullResult(
        run_id=run.run_id,
        status=RunStatus.PARTIAL if code else RunStatus.COMPLETED,
        total=accepted + rejected,
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        missing=missing,
        rejected=rejected,
        foreign=intake.foreign,
        older=older,
        emptied=stored.drift.reported(intake.columns),
        new_fields=stored.drift.new_fields,
        faults=[*intake.faults, *stored.older][:MAX_FAULTS],
        message="; ".join(filter(None, texts)),
        code=code,
        hint=hint,
    )


def _incomplete(run: ActiveRun, older: int, *, total: int) -> tuple[str, str, str]:
    """Return error code, message and hint of an incomplete pull, else empty texts."""
    if not total:
        return InvalidData.code, f"no record in {run.source}, nothing was stored", ""
    if not older:
        return "", "", ""
    text = "1 record is" if older == 1 else f"{older:,} records are"
    message = f"{text} older than the mirror's and left out"
    return InvalidData.code, message, "to store them all the same, add `allow_older`"


def _store(
    conn: Connection[Any], merging: Merging, files: _Files, intake: Intake
) -> tuple[MergeResult, int]:
    """Store the records.

    Returns:
        What became of them, and how many mirror records are missing.
    """
    code = merging.run.organization_id
    if mirror.is_empty(conn, code):
        members.lock_mirror(conn, code)
        # The lock blocks a push for as long as the files are read: an empty mirror has none to send.
        if mirror.is_empty(conn, code):
            return MergeResult(_fill(conn, merging.run, files, intake), Drift(), []), 0
    intake.require_some(mirror.copy_incoming(conn, files.rows(intake)))
    # Locked after reading, so that a slow file or pipe blocks no other transaction.
    members.lock_mirror(conn, code)
    missing = mirror.count_missing(conn, code)
    stored = merging.merge(conn, intake.columns, Drift())
    mirror.prune_rollup(conn, code)
    return stored, missing


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
        records = read_baseline(
            path,
            self.file_format,
            content=self.copies.get(path),
            check_header=self._require_key,
        )
        for item in records:
            if isinstance(item, GridAnswer):
                yield from self._grid_rows(item, source_name(path))
            elif isinstance(item, RawRecord) and self.aliases:
                yield _renamed(item, self.aliases)
            else:
                yield item

    def _require_key(self, header: Sequence[str], name: str) -> None:
        """Refuse a table without the records' key: an error page is read as one too."""
        aliases = self.aliases or {}
        if "pfaId" in (aliases.get(column, column) for column in header):
            return
        alias = next((alias for alias, field in aliases.items() if field == "pfaId"), "")
        wanted = f"pfaId, or {alias} by the field map" if alias else "pfaId"
        shown = shorten(header[0])
        raise InvalidData(
            f"{name} is not a table of records: no column {wanted} in its header, "
            f"which begins {shown}; nothing was stored"
        )

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
