"""Pull: the baseline into the mirror, from PEMS or from files that PEMS or somebody else saved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from pfa_core.model.run import IfLocked
from pfa_core.model.secret import looks_like_token
from pfa_core.pems.mapping.field_map import read_field_map
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import decode_page
from pfa_core.store import leases, members, mirror, runs
from pfa_core.store.database import Database
from pfa_core.store.mirror import Merged
from pfa_core.sync.pull.grid import pull_pages
from pfa_core.sync.pull.intake import Arrival, end_pull
from pfa_core.sync.pull.options import PullOptions, PullResult
from pfa_core.sync.run import ActiveRun, begin_dry_run, leased

SKIPPED = PullResult(None, "skipped", message="another pull is at work")
# PEMS's clock may differ from the database's: an incremental pull looks a little further back.
CLOCK_DIFFERENCE = timedelta(minutes=5)


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
    """Make the mirror agree with baseline files: JSON, JSONL, CSV, saved PEMS grid answers.

    One transaction: all or, when a file cannot be read to its end, nothing. A record that is
    refused is reported and does not sink the rest; unchanged records are not touched. Drafts stay.

    Args:
        paths: Files, plain or gzip; `-` is standard input.
        field_map: Alias → field, for grid answers and for files whose columns are PEMS's aliases.
        if_locked: What to do while another pull of the organization is at work.
        stop: Set it to give up waiting for that.
        progress: Called with the number of records read so far, now and then.

    Raises:
        NotFound, IoFailure, InvalidData: A file is not there, not readable, or not of its format;
            or every record in it was refused.
        LeaseHeld: Another pull is at work.
        ConfigInvalid: A grid answer without a field map, or a bad map.
    """
    if not paths:
        raise InvalidRequest("no file to pull from", hint="give --from FILE")
    aliases = read_field_map(field_map) if field_map else None
    source = _source(paths)
    if any(looks_like_token(path) for path in paths):
        raise InvalidRequest(
            "that is a token, not a file; whoever saw the command line knows it now"
        )
    with rereadable(paths, stdin) as copies:
        files = _Files(paths, aliases, file_format, copies)
        if dry_run:
            return _pull_files(
                begin_dry_run(db, principal, Operation.PULL_FILES, Direction.PULL, source=source),
                files,
                progress,
                dry_run=True,
            )
        lease = leased(
            db,
            principal,
            Operation.PULL_FILES,
            Direction.PULL,
            source=source,
            if_locked=if_locked,
            stop=stop,
        )
        with lease as running:
            if running is None:
                return SKIPPED
            return _pull_files(running, files, progress)


def pull_pems(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PullOptions | None = None,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> PullResult:
    """Make the mirror agree with PEMS, page by page, each page in a transaction of its own.

    A pull that is cut off is `partial`: what arrived stays, nothing is marked missing, and the next
    full pull goes on behind it. A complete full pull marks the records that PEMS no longer has. What a
    push writes meanwhile is not undone. Drafts stay.

    Args:
        options: Full, or only what changed since; what to do while another pull is at work.
        stop: Set it to end early: the pages that have arrived are stored.
        progress: Called with the number of records read so far, now and then.

    Raises:
        LeaseHeld: Another pull is at work, or has taken over because this one was not heard of.
        PemsUnavailable, PemsRejected, PemsProtocol: PEMS gave not even one page.
        InvalidData: Every record was refused.
        PermissionDenied: The principal lacks the right `refresh_data`.
    """
    options, stop = options or PullOptions(), stop or threading.Event()
    since = _since(db, principal, profile, options)
    # What somebody asked for by hand says nothing of what lies between the last pull and then.
    kind = "full" if since is None else "incremental" if options.since is None else "since"
    if dry_run:
        operation = Operation.PULL_PEMS
        running = begin_dry_run(
            db, principal, operation, Direction.PULL, source=profile.url, kind=kind
        )
        return pull_pages(
            running, profile, options, since=since, stop=stop, progress=progress, dry_run=True
        )
    lease = leased(
        db,
        principal,
        Operation.PULL_PEMS,
        Direction.PULL,
        source=profile.url,
        kind=kind,
        since=since,
        if_locked=options.if_locked,
        stop=stop,
        lifetime=options.lifetime,
    )
    with lease as running:
        if running is None:
            return SKIPPED
        return pull_pages(running, profile, options, since=since, stop=stop, progress=progress)


def _since(
    db: Database, principal: Principal, profile: PemsProfile, options: PullOptions
) -> datetime | None:
    """From when on an incremental pull looks; None: all, for a full one and where none was whole."""
    if options.since is not None or not options.incremental:
        return options.since

    def work(conn: Connection[Any]) -> datetime | None:
        authorize(conn, principal, Operation.PULL_PEMS)
        return runs.last_from_pems(conn, principal.organization_id, profile.url)

    last = db.read(work)
    return None if last is None else last - CLOCK_DIFFERENCE


def _pull_files(
    running: ActiveRun,
    files: _Files,
    progress: Callable[[int], None] | None,
    *,
    dry_run: bool = False,
) -> PullResult:
    code = running.organization_id

    def work(conn: Connection[Any]) -> PullResult:
        authorize(conn, running.principal, Operation.PULL_FILES)
        for copy in files.copies.values():
            copy.seek(0)
        arrival = Arrival(code, progress)
        merged, missing = _take_in(conn, running, files, arrival)
        accepted = merged.inserted + merged.updated + merged.unchanged
        result = PullResult(
            run_id=running.run_id,
            status="completed",
            total=accepted + arrival.rejected,
            inserted=merged.inserted,
            updated=merged.updated,
            unchanged=merged.unchanged,
            missing=missing,
            rejected=arrival.rejected,
            foreign=arrival.foreign,
            faults=arrival.faults,
        )
        end_pull(conn, running, result)
        return result

    return running.db.transact(work, dry_run=dry_run)


def _take_in(
    conn: Connection[Any], running: ActiveRun, files: _Files, arrival: Arrival
) -> tuple[Merged, int]:
    """What became of the records, and how many of the mirror did not arrive."""
    code = running.organization_id
    if mirror.is_empty(conn, code):
        members.lock_mirror(conn, code)
        if mirror.is_empty(conn, code):  # nobody waits long: an empty mirror has nothing to push
            at = leases.clock(conn)
            written = mirror.fill(conn, code, running.run_id, files.rows(arrival), at)
            arrival.require_some(written)
            return Merged(inserted=written), 0
    arrival.require_some(mirror.copy_incoming(conn, files.rows(arrival)))
    # Only now: nobody waits for a slow file or pipe.
    members.lock_mirror(conn, code)
    at = leases.clock(conn)
    missing = mirror.count_missing(conn, code)
    merged = mirror.merge(conn, code, running.run_id, at)
    mirror.prune_rollup(conn, code)
    return merged, missing


@dataclass(frozen=True, slots=True)
class _Files:
    """The files to read, and how."""

    paths: Sequence[str]
    aliases: Mapping[str, str] | None
    file_format: str
    copies: Mapping[str, BinaryIO]

    def rows(self, arrival: Arrival) -> Iterator[tuple[str, str]]:
        """Id and JSON text of every record accepted, file by file."""
        for path in self.paths:
            for item in self._items(path):
                row = arrival.take(item)
                if row is not None:
                    yield row

    def _items(self, path: str) -> Iterator[RawRecord | Fault]:
        for item in read_baseline(path, self.file_format, content=self.copies.get(path)):
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


def _source(paths: Sequence[str]) -> str:
    names = [Path(path).name if path != "-" else "standard input" for path in paths]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
