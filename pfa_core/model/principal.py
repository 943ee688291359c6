"""Who acts, for which organization, with which rights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pfa_core.model.secret import Secret


class Right(StrEnum):
    """What a member may do; the field's own flags that mean something here."""

    READ = "read"
    EXPORT = "export"
    VIEW_FINANCIALS = "view_financials"
    SAVE_DRAFT = "save_draft"
    EDIT_FORECAST = "edit_forecast"
    EDIT_ACTUALS = "edit_actuals"
    SYNC = "sync"
    IMPORT = "import"
    REFRESH_DATA = "refresh_data"
    MANAGE_USERS = "manage_users"
    MANAGE_SETTINGS = "manage_settings"


class Role(StrEnum):
    """A template of rights."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    # A job's, not a person's: no template, its rights are those it was issued.
    SERVICE = "service"


_EDITOR = frozenset(
    (
        Right.READ,
        Right.EXPORT,
        Right.VIEW_FINANCIALS,
        Right.SAVE_DRAFT,
        Right.EDIT_FORECAST,
        Right.SYNC,
    )
)
RIGHTS_OF: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset((Right.READ,)),
    Role.EDITOR: _EDITOR,
    Role.ADMIN: frozenset(Right),
    Role.SERVICE: frozenset(),
}
# What a service may be issued: it has no drafts to save or commit, and it manages nobody.
SERVICE_RIGHTS = frozenset(
    (
        Right.READ,
        Right.EXPORT,
        Right.VIEW_FINANCIALS,
        Right.SYNC,
        Right.IMPORT,
        Right.REFRESH_DATA,
    )
)
# Keeps the names of services apart from those of people.
SERVICE_PREFIX = "service:"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity acting for one organization. Rights are the token's; the database's
    membership, read again by every operation, can only narrow them. `key_id` names the key that
    signed the token: when it or the token has been ended, no operation lets the principal in. `token`
    is what a database that does not take the program's word for it is shown."""

    user_id: str
    organization_id: str
    rights: frozenset[Right]
    token_id: str
    key_id: str = field(default="", compare=False)
    token: Secret | None = field(default=None, compare=False, repr=False)

    @property
    def is_service(self) -> bool:
        """Whether a job acts, not a person."""
        return self.user_id.startswith(SERVICE_PREFIX)

    def holds(self, right: Right, granted: Collection[str]) -> bool:
        """Whether both the token and the membership, which grants these rights, hold the right."""
        return right in self.rights and right in granted
