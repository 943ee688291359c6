"""The token of an embedded server's own user renews itself; no other one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import pfa_core
from pfa_core import errors
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.own_renewal import keep_signed_in
from pfa_core.config.settings import Settings, os_user
from pfa_core.model.ids import utc_now
from tests.access.signing import a_signing_key, a_world_of_three, issue, settings, trail
from tests.factories import World
from tests.worlds import built_once

ME = os_user()
HOURS = timedelta(hours=1)


def a_world_of_mine(url: str) -> World:
    """A world where this OS user is an admin too."""
    world = a_world_of_three(url)
    world.add_user(ME, "admin")
    return world


world = built_once(a_world_of_mine)
key = pytest.fixture(a_signing_key, autouse=True)


@pytest.fixture
def signed_in(world: World) -> World:
    """Signed in as `pfa init` does."""
    pfa_core.initialize(world.owner, settings(), "ORG")
    return world


def kept(world: World, later: timedelta, of: Settings | None = None) -> jwt.Claims | None:
    """The claims after a command at that time; None where its token has ended by then."""
    now = utc_now() + later
    at = replace(world.owner, clock=lambda: now)
    present = keep_signed_in(of or settings(), lambda: at, now)
    try:
        return jwt.present(present, now)
    except errors.TokenExpired:
        return None


@pytest.mark.parametrize("later", [7 * HOURS, 9 * HOURS, 90 * 24 * HOURS], ids=str)
def test_it_is_renewed_before_and_after_it_ends(later: timedelta, signed_in: World) -> None:
    before = jwt.present(settings(), utc_now())
    claims = kept(signed_in, later)
    assert claims is not None
    assert claims.token_id != before.token_id
    assert (claims.organizations, claims.user_id) == (before.organizations, ME)
    assert claims.expires_at - claims.issued_at == jwt.DEFAULT_TTL
    assert jwt.present(settings(), utc_now() + later).token_id == claims.token_id
    user, action, after = trail(signed_in, "token_refresh")[-1]
    assert (user, action, after["replaces"]) == (ME, "token_refresh", before.token_id)


def test_early_in_its_life_nothing_is_opened(signed_in: World) -> None:
    def never() -> Any:
        raise AssertionError("a database was opened")

    present = settings()
    assert keep_signed_in(present, never, utc_now() + 5 * HOURS) is present


def test_it_holds_what_its_user_may_by_then(signed_in: World) -> None:
    pfa_core.grant(
        signed_in.owner, signed_in.principal("ann"), ME, "admin", without=["view_financials"]
    )
    claims = kept(signed_in, 9 * HOURS)
    assert claims is not None
    assert "view_financials" not in claims.organizations["ORG"].rights


def _shared(world: World) -> Settings:
    return replace(settings(), database_url=world.url)


def _of_a_variable(world: World) -> Settings:
    return replace(settings(), token_source="PFA_TOKEN")


def _of_a_named_file(world: World) -> Settings:
    return replace(settings(), token_source="/somewhere/else")


def _of_another_user(world: World) -> Settings:
    issued = issue(world, "bob")
    pfa_core.login(settings(), issued.token)
    return settings()


def _limited(world: World) -> Settings:
    pfa_core.refresh_token(world.owner, settings(), ttl=2 * HOURS)
    return settings()


def _narrowed(world: World) -> Settings:
    issued = issue(world, ME, role="viewer")
    pfa_core.login(settings(), issued.token)
    return settings()


def _revoked(world: World) -> Settings:
    pfa_core.revoke_tokens(world.owner, world.principal("ann"), user_id=ME)
    return settings()


def _with_an_ended_key(world: World) -> Settings:
    pfa_core.rotate_keys(world.owner, settings(), world.principal("ann"), overlap=timedelta(0))
    return settings()


def _no_admin_any_more(world: World) -> Settings:
    pfa_core.grant(world.owner, world.principal("ann"), ME, "editor")
    return settings()


def _no_member_any_more(world: World) -> Settings:
    pfa_core.revoke(world.owner, world.principal("ann"), ME)
    return settings()


def _with_a_foreign_key(world: World) -> Settings:
    (settings().config_dir / "jwt.key").unlink()
    keyring.ensure(settings())
    return settings()


@pytest.mark.parametrize(
    "case",
    [
        _shared,
        _of_a_variable,
        _of_a_named_file,
        _of_another_user,
        _limited,
        _narrowed,
        _revoked,
        _with_an_ended_key,
        _no_admin_any_more,
        _no_member_any_more,
        _with_a_foreign_key,
    ],
    ids=lambda case: case.__name__.strip("_").replace("_", " "),
)
def test_no_other_token_is(case: Callable[[World], Settings], signed_in: World) -> None:
    changed = case(signed_in)
    now = utc_now() + 9 * HOURS
    present = keep_signed_in(changed, lambda: replace(signed_in.owner, clock=lambda: now), now)
    assert present is changed
    with pytest.raises((errors.TokenExpired, errors.InvalidToken)):
        pfa_core.authenticate(replace(present, organization="ORG"), now)


def test_where_the_server_cannot_be_reached_the_token_s_own_end_is_said(signed_in: World) -> None:
    def down() -> Any:
        raise errors.DatabaseUnavailable("no server")

    now = utc_now() + 9 * HOURS
    present = keep_signed_in(settings(), down, now)
    with pytest.raises(errors.TokenExpired):
        pfa_core.authenticate(present, now)


def test_where_the_file_cannot_be_written_the_old_one_still_counts(
    signed_in: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise errors.IoFailure("no space")

    monkeypatch.setattr("pfa_core.access.tokens.own_renewal.write_secret_file", full)
    before = settings()
    now: datetime = utc_now() + 7 * HOURS
    assert keep_signed_in(before, lambda: signed_in.owner, now) is before
    assert pfa_core.authenticate(before, now).user_id == ME
