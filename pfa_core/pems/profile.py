"""Everything that is known of one organization's PEMS: where it is, what it calls things, its habits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pfa_core.model.ownership import Ownership
from pfa_core.model.secret import Secret
from pfa_core.pems.mapping.field_map import FieldMap


class WriterKind(StrEnum):
    """By which service records are written."""

    REST = "rest"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class GridSettings:
    """The grid that is pulled: its name and id in PEMS, and how many rows a page asks for."""

    name: str = "CUPFAG"
    id: str = "100541"
    page_size: int = 10_000


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """The user-defined screen: its name, and the zone whose midnights its dates are (`-0500`)."""

    name: str = "CUPFA2"
    timezone: str = "-0500"


@dataclass(frozen=True, slots=True)
class PemsProfile:
    """One organization's PEMS. `organization_id` is our code of it, `organization` PEMS's; times are
    in seconds; `idempotency_keys`: PEMS understands them; `retries` after the first attempt."""

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

    def our_organization(self, told: str) -> str:
        """The organization that a record of PEMS belongs to, by our code. Another one that happens
        to be called by our code stays a foreign one."""
        if told == self.organization:
            return self.organization_id
        return f"{told} of PEMS" if told == self.organization_id else told
