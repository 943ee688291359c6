"""Probes of an embedded server by a connection."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfa_core.errors import ConfigInvalid, DatabaseUnavailable
from pfa_core.store.embedded import environment
from pfa_core.store.embedded.address import conninfo
from pfa_core.store.embedded.crowding import is_crowded
from pfa_core.store.embedded.layout import Place

if TYPE_CHECKING:
    from psycopg import Connection

# A failed connect has no SQLSTATE; lc_messages = C keeps these texts.
_BUSY = ("starting up", "shutting down", "not accepting connections", "recovery")


class Answer(Enum):
    """The result of a probe."""

    READY = "takes connections"
    CROWDED = "runs, and all connections are taken"
    BUSY = "starts or stops"
    SILENT = "no answer"


UP = (Answer.READY, Answer.CROWDED)


def connect(place: Place) -> Connection[Any]:
    """Connect to the server of a root in autocommit mode, without the PG* variables."""
    import psycopg

    with environment.hidden():
        return psycopg.connect(conninfo(place.root, "postgres"), autocommit=True)


def ask(place: Place) -> Answer:
    """Connect to the server of a root.

    Raises:
        ConfigInvalid: The server there has other data.
        DatabaseUnavailable: It refuses connections.
    """
    import psycopg

    try:
        with connect(place) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError as error:
        return _refusal(str(error))
    actual = Path(row[0]) if row else Path()
    if actual.parent.resolve() != place.root.resolve():
        raise ConfigInvalid(
            f"the server in {place.sockets} is that of {actual}",
            hint="stop it (pfa db stop) when this directory was moved here",
        )
    return Answer.READY


def _refusal(text: str) -> Answer:
    if "FATAL" not in text:
        return Answer.SILENT
    if is_crowded(text):
        return Answer.CROWDED
    if any(phrase in text for phrase in _BUSY):
        return Answer.BUSY
    reason = text.rpartition("FATAL:")[2].strip()
    raise DatabaseUnavailable(f"the embedded server refuses connections: {reason}")
