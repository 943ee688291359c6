"""Tokens as operations issue and present them, and a world to do it in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pfa_core
from pfa_core import Flags, Query
from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.issue import IssuedToken
from pfa_core.config.settings import Settings
from pfa_core.model.principal import Principal
from tests.factories import World, a_world, record

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def settings(org: str | None = None) -> Settings:
    """The settings as a command would find them now: with the stored token, if any."""
    return pfa_core.resolve(Flags(org=org))


def a_world_of_three(url: str) -> World:
    """An admin, an editor, a viewer and a record."""
    users = {"ann": "admin", "bob": "editor", "vera": "viewer"}
    return a_world(url, record("P-1"), users=users)


def a_signing_key() -> None:
    """The key of this installation, which signs tokens."""
    keyring.ensure(settings())


def a_second_tenant(world: World) -> World:
    """A second organization, where bob is the admin."""
    users = {"bob": "admin", "eve": "viewer"}
    return a_world(world.url, record("P-1"), organization="THERE", users=users)


def issue(world: World, user: str = "bob", by: str = "ann", **rest: Any) -> IssuedToken:
    return pfa_core.issue_token(world.db, settings(), world.principal(by), user_id=user, **rest)


def issue_service(world: World, *rights: str, service: str = "nightly", **rest: Any) -> IssuedToken:
    return pfa_core.issue_service_token(
        world.db, settings(), world.principal(), service=service, rights=rights, **rest
    )


def present(token: str, org: str | None = None) -> Principal:
    """Who acts once the token was kept."""
    pfa_core.login(settings(), token)
    return pfa_core.authenticate(settings(org))


def of_both(world: World, there: World) -> Principal:
    """Keep a token of bob's that holds both organizations; bob here."""
    pfa_core.initialize(world.db, settings(), "ORG", user_id="bob")
    pfa_core.initialize(world.db, settings(), "THERE", user_id="bob")
    return pfa_core.authenticate(settings("ORG"))


def listed(world: World, user: str = "ann", **rest: Any) -> list[str]:
    return [row.token_id for row in pfa_core.list_tokens(world.db, world.principal(user), **rest)]


def trail(world: World, *actions: str) -> list[tuple[str, str, Any]]:
    """The organization's audit entries of these actions, the oldest first."""
    log = pfa_core.list_log(world.db, world.principal(next(iter(world.users))))
    return [(e.user_id, e.action, e.after) for e in reversed(log) if e.action in actions]


def count(world: World, principal: Principal) -> int:
    return pfa_core.count_records(world.db, principal, Query())
