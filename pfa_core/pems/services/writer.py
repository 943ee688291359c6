"""The writer of records to PEMS, by the service that the profile chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from pfa_core.model.exchange import Applied, Failure, Moved, Reading, Write
from pfa_core.model.ids import Clock, UserId, utc_now
from pfa_core.pems.http.client import open_client
from pfa_core.pems.profile import PemsProfile, WriterKind
from pfa_core.pems.services.rest import RestWriter
from pfa_core.pems.services.screen import ScreenWriter


class Writer(Protocol):
    """A service of PEMS that takes changes; a method is one attempt, from any thread."""

    @property
    def reads_first(self) -> bool:
        """Return whether a record has to be read right before it is written."""
        ...

    def read(self, pfa_id: str) -> Reading | Failure:
        """Read the record as PEMS holds it now."""
        ...

    def write(self, write: Write) -> Applied | Moved | Failure:
        """Send a change."""
        ...

    def names_of(self, user_id: UserId) -> frozenset[str]:
        """Return the names that PEMS may show as the writer of this user's changes."""
        ...

    def unwritable(self, changes: Mapping[str, Any]) -> str:
        """Return why these changes cannot be sent exactly; empty when they can."""
        ...


@contextmanager
def open_writer(
    profile: PemsProfile, concurrency: int = 1, *, clock: Clock = utc_now
) -> Iterator[Writer]:
    """Open the profile's writer, with a connection for each thread.

    Raises:
        ConfigInvalid: A header's value that HTTP cannot carry.
    """
    kind = RestWriter if profile.writer is WriterKind.REST else ScreenWriter
    with open_client(profile, concurrency=concurrency, clock=clock) as http:
        yield kind(http, profile)
