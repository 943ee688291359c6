"""Principals with their roles and rights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.secret import Secret


class Right(StrEnum):
    """A permission of a member, by the names that PEMS uses."""

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
    OVERRIDE_GUARDS = "override_guards"


class Role(StrEnum):
    """A template of rights."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    # Of a job, not a person: without a template, its rights are those it was issued.
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
# What a service may be issued: it has no drafts to save or commit, and it manages no users.
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
# Distinguishes the names of services from those of people.
SERVICE_PREFIX = "service:"


# Of a principal that the program makes itself: no token was presented.
NO_TOKEN = TokenId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified identity acting for one organization.

    Rights are the token's; the membership, read again by every operation, can only narrow them. `key_id`
    names the key that signed the token: once it, the token or all that were issued at `issued_at` are revoked,
    every operation refuses the principal. `token` itself is presented to a database with row-level security,
    which verifies it again.
    """

    user_id: UserId
    organization_id: OrganizationId
    rights: frozenset[Right]
    token_id: TokenId
    key_id: str = field(default="", compare=False)
    issued_at: datetime | None = field(default=None, compare=False)
    token: Secret | None = field(default=None, compare=False, repr=False)

    @property
    def is_service(self) -> bool:
        """Return whether the principal is a service."""
        return self.user_id.startswith(SERVICE_PREFIX)

    def holds(self, right: Right, granted: Collection[str]) -> bool:
        """Return whether both the token and the membership hold the right.

        The membership has the `granted` rights.
        """
        return right in self.rights and right in granted
