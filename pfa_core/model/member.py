"""A user's membership of an organization."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pfa_core.model.principal import RIGHTS_OF, Role


@dataclass(frozen=True, slots=True)
class Member:
    """A user's role and rights in one organization, and who granted them when."""

    organization_id: str
    user_id: str
    role: str
    rights: list[str]
    granted_by: str
    granted_at: datetime

    @property
    def custom(self) -> bool:
        """Return whether the rights differ from those of the role's template."""
        return frozenset(self.rights) != RIGHTS_OF[Role(self.role)]


@dataclass(frozen=True, slots=True)
class TokenMembership:
    """A membership as a token finds it.

    `token_revoked` means for this organization, `key_ended` for all of them.
    """

    member: Member
    token_revoked: bool
    key_ended: bool
