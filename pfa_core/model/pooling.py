"""What lies between the program and the database server."""

from __future__ import annotations

from enum import StrEnum


class Pooling(StrEnum):
    """Whether a pooler lies between.

    It gives each transaction any session of the server. PREPARED is one that follows prepared statements from
    one session to the next; DETECTED leaves it to the connection to find out.
    """

    DETECTED = "detected"
    NO = "no"
    YES = "yes"
    PREPARED = "prepared"

    @property
    def is_named(self) -> bool:
        """Whether a pooler is said to lie between, so that none need be detected."""
        return self in (Pooling.YES, Pooling.PREPARED)
