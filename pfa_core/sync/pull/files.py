"""A pull from files: JSON, JSONL, CSV, TSV or saved PEMS grid answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.files.baseline import Leftovers
from pfa_core.files.reading import MAX_SIZE, open_input, require_size, rereadable, source_name
from pfa_core.model.audit import Direction
from pfa_core.model.principal import Principal
from pfa_core.model.progress import Phase, Report
from pfa_core.model.rights import Operation
from pfa_core.model.run import IfLocked, RunStatus
from pfa_core.model.secret import looks_like_token
from pfa_core.pems.mapping.field_map import load_field_map
from pfa_core.pems.profile import PemsNames
from pfa_core.store import digests, filling, leases, members, mirror
from pfa_core.store.database import Database
from pfa_core.store.mirror import Merged
from pfa_core.sync.pull.drift import Drift
from pfa_core.sync.pull.file_rows import FileRows
from pfa_core.sync.pull.intake import MAX_FAULTS, Accepted, Intake
from pfa_core.sync.pull.merging import MergeResult, Merging
from pfa_core.sync.pull.options import SKIPPED, Allowance, PullResult
from pfa_core.sync.pull.recognition import Known, Recognition, is_worthwhile
from pfa_core.sync.pull.run_history import end_pull
from pfa_core.sync.run import ActiveRun, begin_dry_run, leased
from pfa_core.sync.run_log import run_log

MAX_SOURCES = 5  # files that a run's source names
_KEPT = "nothing was stored: the mirror is as it was"


def pull_files(
    db: Database,
    principal: Principal,
    paths: Sequence[str],
    *,
    file_format: str = "auto",
    field_map: Path | None = None,
    names: PemsNames | None = None,
    nulls: Collection[str] = (),
    dry_run: bool = False,
    if_locked: IfLocked = IfLocked.FAIL,
    allow_emptied: Collection[str] = (),
    allow_older: bool = False,
    max_size: int = MAX_SIZE,
    stdin: BinaryIO | None = None,
    stop: threading.Event | None = None,
    progress: Report | None = None,
) -> PullResult:
    """Make the mirror agree with files: JSON, JSONL, CSV, TSV, saved grid answers.

    One transaction: all or, when a file cannot be read to its end, nothing. A record that is
    refused is reported and does not fail the rest; unchanged records are not touched. Drafts stay.
    Files without a record, and records of an older PEMS version than the mirror's, make it `partial`.

    Args:
        paths: Files, plain or gzip; `-` is standard input.
        field_map: The field map of PEMS, for rows under its aliases; in place of that of `names`.
        names: The names that PEMS has for fields and for the organization; without both, the default map.
        nulls: Texts that a cell of a CSV or TSV holds in place of nothing, such as NULL.
        if_locked: What to do while another pull of the organization runs.
        allow_emptied: Fields that may be emptied in many records, or `all`.
        allow_older: Store records of an older PEMS version than the mirror's.
        max_size: Bytes, unpacked, that a line or a JSON document may have.
        stop: Set it to give up waiting for that.
        progress: Called now and then with the records read so far, and when they are all read.

    Raises:
        NotFound, IoFailure, InvalidData: A file is not there, not readable, or not of its format;
            or every record in it was refused, or fields would be emptied that are hardly meant to be.
        LeaseHeld: Another pull runs.
        ConfigInvalid: A bad field map.
    """
    _check_paths(paths)
    require_size(max_size)
    allow = Allowance(allow_emptied, allow_older)
    names = names or PemsNames()
    if field_map:
        names = replace(names, field_map=load_field_map(field_map))
    source = _source(paths)
    with rereadable(paths, stdin) as copies:
        reader = FileRows(names=names, file_format=file_format, nulls=nulls, max_size=max_size)
        files = _Files(paths=paths, reader=reader, copies=copies)
        files.require_content()
        operation, direction = Operation.PULL_FILES, Direction.PULL
        if dry_run:
            run = begin_dry_run(db, principal, operation, direction, source=source)
            return _pull(run, files, allow, progress, dry_run=True)
        with leased(
            db,
            principal,
            operation,
            direction,
            source=source,
            if_locked=if_locked,
            stop=stop,
            kept=_KEPT,
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
    names = [source_name(path if path == "-" else Path(path).name) for path in paths]
    more = len(names) - MAX_SOURCES
    return ", ".join(names[:MAX_SOURCES]) + (f" and {more} more" if more > 0 else "")


def _pull(
    run: ActiveRun,
    files: _Files,
    allow: Allowance,
    progress: Report | None,
    *,
    dry_run: bool = False,
) -> PullResult:
    merging = Merging(run=run, allow=allow, whole=True)

    def work(conn: Connection[Any], *, recognizing: bool) -> PullResult:
        authorize(conn, run.principal, Operation.PULL_FILES)
        files.rewind()
        intake = _intake(conn, run, files, progress)
        stored, missing = _store(conn, merging, files, intake, recognizing=recognizing)
        result = _result(run, intake, stored, missing, files.reader.leftovers)
        end_pull(conn, run, result)
        return result

    log = run_log(run.run_id, run.organization_id)
    log.event("started", direction=Direction.PULL, source=run.source, kind=run.kind)
    try:
        result = run.db.transact(lambda conn: work(conn, recognizing=True), dry_run=dry_run)
    except _NotRecognized:
        result = run.db.transact(lambda conn: work(conn, recognizing=False), dry_run=dry_run)
    log.event("ended", status=result.status, **result.counts())
    return result


def _intake(
    conn: Connection[Any], run: ActiveRun, files: _Files, progress: Report | None
) -> Intake:
    only, reader = members.only_currency(conn, run.organization_id), files.reader
    reader.recognition = Recognition(run.organization_id, only)
    return Intake(
        run.organization_id,
        progress,
        only_currency=only,
        carried=reader.fields,
        undeclared=reader.undeclared,
        layout=lambda: reader.layout,
        recognition=reader.recognition,
    )


def _result(
    run: ActiveRun, intake: Intake, stored: MergeResult, missing: int, leftovers: Leftovers
) -> PullResult:
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
        normalized=intake.normalized,
        empty_rows=leftovers.rows,
        empty_columns=leftovers.columns,
        older=older,
        emptied=stored.drift.reported(intake.columns),
        new_fields=stored.drift.new_fields,
        faults=[*intake.faults, *stored.older][:MAX_FAULTS],
        message="; ".join(filter(None, texts)),
        code=code,
        hint="; ".join(filter(None, (hint, intake.hint))),
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
    conn: Connection[Any],
    merging: Merging,
    files: _Files,
    intake: Intake,
    *,
    recognizing: bool,
) -> tuple[MergeResult, int]:
    """Store the records.

    Returns:
        What became of them, and how many mirror records are missing.

    Raises:
        _NotRecognized: All of them have to be read, without `recognizing`.
    """
    code = merging.run.organization_id
    if mirror.is_empty(conn, code):
        members.lock_mirror(conn, code)
        # The lock blocks a push for as long as the files are read: an empty mirror has none to send.
        if mirror.is_empty(conn, code):
            return MergeResult(_fill(conn, merging.run, files, intake), Drift(), []), 0
    if recognizing:
        _learn(conn, files, intake)
    received = mirror.copy_incoming(conn, files.rows(intake))
    intake.require_some(received + intake.unchanged)
    # Locked after reading, so that a slow file or pipe blocks no other transaction.
    members.lock_mirror(conn, code)
    missing = _recognized(conn, intake) if intake.unchanged else mirror.count_missing(conn, code)
    stored = merging.merge(conn, intake.columns, Drift(), same=intake.unchanged)
    mirror.prune_rollup(conn, code)
    return stored, missing


class _NotRecognized(Exception):
    """A record was taken as unchanged that may not be: all have to be read."""


def _learn(conn: Connection[Any], files: _Files, intake: Intake) -> None:
    """Let unchanged records be recognized, where that saves more than it takes."""
    code = intake.organization_id
    if intake.recognition and is_worthwhile(digests.expected(conn, code), files.sizes()):
        intake.recognition.known = Known(digests.load(conn, code))


def _recognized(conn: Connection[Any], intake: Intake) -> int:
    """Refuse to go on where a record has changed since, or came in two versions.

    A push may have written while the files were read. Of two lines of a record the first one counts, and which
    record a line is of that was not read, is known only by its digest.

    Returns:
        How many of the mirror's records did not come.

    Raises:
        _NotRecognized: All records have to be read.
    """
    code, recognition = intake.organization_id, intake.recognition
    known = recognition.known if recognition else Known()
    state = digests.state(conn, code)
    if state != known.state:
        raise _NotRecognized
    if intake.unread and known.any_seen(digests.of_received(conn, code)):
        raise _NotRecognized
    return state.records - intake.unchanged - digests.count_received(conn, code)


def _fill(conn: Connection[Any], run: ActiveRun, files: _Files, intake: Intake) -> Merged:
    at = leases.clock(conn)
    code = run.organization_id
    written = filling.fill(conn, code, run.run_id, files.rows(intake), at)
    intake.require_some(written)
    return Merged(inserted=written)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files to read; `copies` hold those that can be read only once."""

    paths: Sequence[str]
    reader: FileRows
    copies: Mapping[str, BinaryIO]

    def require_content(self) -> None:
        """Refuse an input that is missing or empty: no run begins for it.

        Raises:
            NotFound, IoFailure: It is not there, or cannot be read.
            InvalidData: There is nothing in it.
        """
        self.rewind()
        for path in self.paths:
            with open_input(path, self.copies.get(path)) as file:
                if not file.read(1):
                    raise InvalidData(f"{source_name(path)} is empty, nothing was stored")

    def sizes(self) -> Sequence[int]:
        """Return how many bytes each input has, packed or not."""
        found = list[int]()
        for path in self.paths:
            copy = self.copies.get(path)
            if copy is not None:
                found.append(copy.seek(0, os.SEEK_END))
                copy.seek(0)
            else:
                with suppress(OSError):  # reported when it is read
                    found.append(Path(path).stat().st_size)
        return found

    def rewind(self) -> None:
        """Go to the beginning again: a transaction may run more than once."""
        self.reader.leftovers.clear()
        for copy in self.copies.values():
            copy.seek(0)

    def rows(self, intake: Intake) -> Iterator[Accepted]:
        """Yield every record accepted, file by file, and say when all are read."""
        for path in self.paths:
            for item in self.reader.records(path, self.copies.get(path)):
                row = intake.take(item)
                if row is not None:
                    yield row
        intake.expected = intake.number
        intake.report(Phase.STORING)
