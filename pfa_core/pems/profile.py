"""The profile of one organization's PEMS: address, credentials, names and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pfa_core.model.ownership import Ownership
from pfa_core.model.secret import Secret
from pfa_core.pems.mapping.field_map import FieldMap


class WriterKind(StrEnum):
    """Name the service by which records are written."""

    REST = "rest"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class GridSettings:
    """The grid that is pulled: its name and id in PEMS, the rows of a request."""

    name: str = "CUPFAG"
    id: str = "100541"
    page_size: int = 10_000


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """The user-defined screen: its name, the zone of its dates (`-0500`)."""

    name: str = "CUPFA2"
    timezone: str = "-0500"


@dataclass(frozen=True, slots=True, kw_only=True)
class PemsProfile:
    """One organization's PEMS; times are in seconds.

    Args:
        organization_id: The code of the organization in pfa; `organization` is PEMS's.
        idempotency_keys: Whether PEMS supports them.
        retries: Further attempts after the first one.
    """

    url: str
    organization_id: str
    organization: str
    username: str = ""
    password: Secret | None = field(default=None, repr=False)
    tenant: str = ""
    writer: WriterKind = WriterKind.REST
    field_map: FieldMap = field(default_factory=FieldMap, repr=False)
    grid: GridSettings = GridSettings()
    screen: ScreenSettings = ScreenSettings()
    ownership: Ownership = field(default_factory=Ownership)
    timeout: float = 30.0
    grid_timeout: float = 60.0
    idempotency_keys: bool = True
    retries: int = 3
    retry_delay: float = 5.0

    def organization_of(self, pems_code: str) -> str:
        """Return pfa's code of the organization that PEMS calls by a code.

        Another organization that PEMS calls by pfa's code of this one stays a foreign one.
        """
        if pems_code == self.organization:
            return self.organization_id
        return f"{pems_code} of PEMS" if pems_code == self.organization_id else pems_code
