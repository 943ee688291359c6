"""The sandbox: the read and write contracts of PEMS over HTTP, faults on request.

with Sandbox(organization="RIO", records=baseline) as sandbox:
    sandbox.faults = ["429:0.1:retry-after=2:on=rest", "reset-after:1:times=1"]
    push(sandbox.url)
    assert [entry.write.pfa_id for entry in sandbox.log] == …
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from pfa_core.errors import ConfigInvalid, Fault, FaultCode, InvalidData, InvalidRequest, NotFound
from pfa_core.model.baseline import read_record
from pfa_core.model.ids import Clock, utc_now
from pfa_core.pems.sandbox import rest
from pfa_core.pems.sandbox.faults import FaultBox, FaultRule
from pfa_core.pems.sandbox.grid import DEFAULT_MAP, PAGE_LIMIT, Grid, RowShape, Totals
from pfa_core.pems.sandbox.http import Refused, Request, Response
from pfa_core.pems.sandbox.http_server import HttpServer
from pfa_core.pems.sandbox.records import LogEntry, Outcome, StoredRecord
from pfa_core.pems.sandbox.screen import DEFAULT_SCREEN_MAP, Screen
from pfa_core.pems.sandbox.service import Access, Service
from pfa_core.pems.sandbox.state import State

__all__ = ["LogEntry", "Outcome", "RowShape", "Sandbox", "StoredRecord", "Totals"]
SHOWN_FAULTS = 20


class Placed(Protocol):
    """A record with its position in a file; `textual`: every value is text."""

    @property
    def value(self) -> Any: ...
    @property
    def position(self) -> str: ...
    @property
    def textual(self) -> bool: ...


Baseline = Mapping[str, Any] | Placed | Fault
Watcher = Callable[[Request, Response], None]


class Sandbox:
    """A PEMS on 127.0.0.1 within a `with` block.

    Args:
        port: 0 takes a free one, which `url` shows.
        state: A file that keeps records and log; without it they end with the sandbox.
        records: Loaded at the start of the block, as by `load`.
        organization: The only one served; None serves any that a request names.
        tenant, username, password: What requests must have; None is not checked.
        faults, seed: The first faults, and the seed of their random numbers.
        with_keys: Whether idempotency keys are supported.
        field_map: Alias → field of the grid.
        watcher: Called with each request and its answer, from the threads of the connections.

    Raises:
        ConfigInvalid: A user name without a password.
        InvalidRequest: An invalid fault.
        InvalidData, IoFailure, LeaseHeld: At the start of the block; see `load`, `Journal`, `HttpServer`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state: Path | None = None,
        records: Iterable[Baseline] = (),
        organization: str | None = None,
        tenant: str | None = None,
        username: str | None = None,
        password: str | None = None,
        faults: Iterable[str | FaultRule] = (),
        seed: int = 0,
        with_keys: bool = True,
        field_map: Mapping[str, str] = DEFAULT_MAP,
        screen_map: Mapping[str, str] = DEFAULT_SCREEN_MAP,
        shape: RowShape = RowShape.CELL,
        totals: Totals = Totals.TEXT,
        page_limit: int = PAGE_LIMIT,
        clock: Clock = utc_now,
        watcher: Watcher | None = None,
    ) -> None:
        if (username is None) != (password is None):
            raise ConfigInvalid(
                "a sandbox that checks credentials needs a user name and a password",
                hint="set PFA_PEMS_PASSWORD or PFA_PEMS_PASSWORD_FILE beside --username",
            )
        self._access = Access(organization, tenant, username, password)
        self._faults = FaultBox()
        self._faults.set(faults, seed)
        self._port, self._path, self._records, self._clock = port, state, records, clock
        self._with_keys, self._screen_map, self._watcher = with_keys, screen_map, watcher
        self._field_map, self._shape, self._totals = field_map, shape, totals
        self._page_limit = page_limit
        self._open = ExitStack()

    def __enter__(self) -> Sandbox:
        """Read the state, load the records, and listen."""
        with ExitStack() as opening:
            self._state = State(self._path, self._clock)
            opening.callback(self._state.close)
            self.load(self._records)
            self._server = HttpServer(self._answer, self._port)
            self._service = self._new_service()
            opening.enter_context(self._server)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and the state."""
        self._open.close()

    @property
    def url(self) -> str:
        """Return the base address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def records(self) -> tuple[StoredRecord, ...]:
        """Return all records, by id."""
        found = self._state.records()
        return tuple(sorted(found, key=lambda item: (item.pfa_id, item.organization)))

    @property
    def log(self) -> tuple[LogEntry, ...]:
        """Return every write in order: applied, replayed, refused."""
        return tuple(self._state.log())

    @property
    def faults(self) -> tuple[FaultRule, ...]:
        """Return the faults in force; set rules or texts to replace them all."""
        return self._faults.rules

    @faults.setter
    def faults(self, rules: Iterable[str | FaultRule]) -> None:
        self._faults.set(rules)

    @property
    def struck(self) -> Mapping[str, int]:
        """Count how often each kind of fault struck since the faults were set."""
        return self._faults.struck

    def record(self, pfa_id: str, organization: str | None = None) -> StoredRecord:
        """Return one record.

        Raises:
            NotFound: The sandbox does not hold it.
        """
        found = self._state.find(self._organization(organization), pfa_id)
        if found is None:
            raise NotFound(f"record {pfa_id} not found in the sandbox")
        return found

    def change(self, pfa_id: str, organization: str | None = None, **changes: Any) -> None:
        """Change or create a record as another user of PEMS would.

        Raises:
            InvalidRequest: An unknown field, or an invalid value.
        """
        try:
            rest.change_record(
                self._state, self._organization(organization), pfa_id, {"changes": changes}
            )
        except Refused as refused:
            raise InvalidRequest(str(refused)) from refused

    def remove(self, pfa_id: str, organization: str | None = None) -> None:
        """Delete a record as PEMS would; a missing one is ignored."""
        rest.remove_record(self._state, self._organization(organization), pfa_id)

    def load(self, records: Iterable[Baseline]) -> int:
        """Load baseline records; known ones are not changed: a state survives a restart.

        Args:
            records: As a baseline file holds them; one without an organization gets the sandbox's.

        Returns:
            The number of new records.

        Raises:
            InvalidData: Records with faults; none was loaded.
        """
        good: list[dict[str, Any]] = []
        faults: list[Fault] = []
        for number, record in enumerate(records, 1):
            read = self._read(record, f"record {number}")
            if isinstance(read, Fault):
                faults.append(read)
            else:
                good.append(read)
        if faults:
            raise InvalidData(
                f"{len(faults):,} of {len(faults) + len(good):,} records are invalid, "
                "none was loaded",
                details=faults[:SHOWN_FAULTS],
            )
        return self._state.load(good)

    def _read(self, record: Baseline, position: str) -> dict[str, Any] | Fault:
        if isinstance(record, Fault):
            return record
        value, textual = record, False
        if not isinstance(record, Mapping):
            value, position, textual = record.value, record.position, record.textual
        own = value.get("organization") if isinstance(value, Mapping) else None
        organization = own or self._access.organization
        if not isinstance(organization, str):
            return Fault(
                "",
                "organization",
                FaultCode.MISSING_REQUIRED_FIELD,
                "is missing",
                position=position,
            )
        return read_record(value, organization, position, textual=textual)

    def _organization(self, wanted: str | None) -> str:
        code = wanted or self._access.organization
        if code is None:
            raise InvalidRequest("organization is required: the sandbox serves several")
        return code

    def _new_service(self) -> Service:
        grid = Grid(
            self._state,
            self._field_map,
            shape=self._shape,
            totals=self._totals,
            page_limit=self._page_limit,
        )
        return Service(
            state=self._state,
            faults=self._faults,
            access=self._access,
            grid=grid,
            screen=Screen(self._state, self._screen_map),
            wait=self._server.stopping.wait,
            with_keys=self._with_keys,
        )

    def _answer(self, request: Request) -> Response:
        response = self._service.answer(request)
        if self._watcher is not None:
            self._watcher(request, response)
        return response
