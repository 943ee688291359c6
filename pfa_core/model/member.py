"""A user's membership of an organization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.principal import RIGHTS_OF, Role


class OrganizationStatus(StrEnum):
    """The status of an organization; only an active one exchanges data with PEMS."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user's role and rights in one organization, and who granted them when."""

    organization_id: OrganizationId
    user_id: UserId
    role: Role
    rights: list[str]
    granted_by: UserId
    granted_at: datetime

    @property
    def custom(self) -> bool:
        """Return whether the rights differ from those of the role's template."""
        return frozenset(self.rights) != RIGHTS_OF[self.role]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Member:
        """Make one of the values of its fields, in order."""
        organization_id, user_id, role, rights, granted_by, granted_at = row
        return cls(
            organization_id=organization_id,
            user_id=user_id,
            role=Role(role),
            rights=rights,
            granted_by=granted_by,
            granted_at=granted_at,
        )


@dataclass(frozen=True, slots=True)
class TokenMembership:
    """A membership as a token finds it.

    `token_revoked` means for this organization, `key_ended` for all of them.
    """

    member: Member
    token_revoked: bool
    key_ended: bool

    @classmethod
    def of(cls, row: Sequence[Any]) -> TokenMembership:
        """Make one of a member's values in order, then whether token and key were ended."""
        *member, revoked, ended = row
        return cls(Member.of(member), token_revoked=revoked, key_ended=ended)
