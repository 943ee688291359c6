"""Writing records to PEMS, one at a time, by the service that the profile chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from pfa_core.model.exchange import Applied, Failure, Moved, Reading, Write
from pfa_core.model.ids import Clock, utc_now
from pfa_core.pems.http.client import open_client
from pfa_core.pems.profile import PemsProfile, WriterKind
from pfa_core.pems.services.rest import RestWriter
from pfa_core.pems.services.screen import ScreenWriter


class Writer(Protocol):
    """One service of PEMS that takes changes; every method is one attempt, from any thread."""

    @property
    def reads_first(self) -> bool:
        """Whether a record has to be read right before it is written."""
        ...

    def read(self, pfa_id: str) -> Reading | Failure:
        """The record as PEMS holds it now."""
        ...

    def write(self, write: Write) -> Applied | Moved | Failure:
        """Send a change."""
        ...

    def unwritable(self, changes: Mapping[str, Any]) -> str:
        """Why these changes cannot be sent as they are meant; empty when they can."""
        ...


@contextmanager
def open_writer(
    profile: PemsProfile, concurrency: int = 1, *, clock: Clock = utc_now
) -> Iterator[Writer]:
    """The profile's writer, with as many connections as there will be threads.

    Raises:
        ConfigInvalid: A header's value that HTTP cannot carry.
    """
    kind = RestWriter if profile.writer is WriterKind.REST else ScreenWriter
    with open_client(profile, concurrency=concurrency, clock=clock) as http:
        yield kind(http, profile)
