"""The file of the stored token: what is in it is not lost to another token."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

import pfa_core
from pfa_core import Database, errors
from pfa_core.access.tokens import jwt, keyring
from pfa_core.model.ids import utc_now
from tests.access.signing import a_signing_key, a_world_of_three, issue, settings
from tests.factories import World
from tests.worlds import built_once

world = built_once(a_world_of_three)
key = pytest.fixture(a_signing_key, autouse=True)


def stored(text: str) -> Path:
    file = settings().token_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def init(world: World, code: str = "ORG", user: str = "ann") -> str:
    """Sign in; return the token that is stored then."""
    pfa_core.initialize(world.db, pfa_core.resolve(), code, user_id=user)
    return settings().token_file.read_text()


def elsewhere(world: World, user: str = "ann") -> str:
    """A token of another installation, for the same user."""
    own = settings().key_file.read_text()
    settings().key_file.unlink()
    keyring.ensure(settings())
    token = pfa_core.issue_token(
        world.db, settings(), world.principal(), user_id=user, ttl=timedelta(days=9)
    ).token
    settings().key_file.write_text(own)
    return token


@pytest.mark.parametrize("text", ["my notes\n", "www.example.org", "eyJh.eyJi.c and more", "{}"])
def test_what_is_not_a_token_is_never_overwritten_or_deleted(world: World, text: str) -> None:
    file = stored(text)
    token = issue(world).token
    for act in (
        lambda: init(world),
        lambda: pfa_core.login(settings(), token),
        lambda: pfa_core.logout(settings()),
    ):
        with pytest.raises(
            errors.IllegalTransition, match="something else than a token"
        ) as refused:
            act()
        assert "pfa config set token_file FILE" in refused.value.hint
        assert text.strip() not in f"{refused.value.message} {refused.value.hint}"
        assert file.read_text() == text
    assert world.rows("SELECT count(*) FROM pfa_organization") == [(1,)]


def test_another_user_s_token_is_kept_and_the_cure_named(world: World) -> None:
    file = stored(issue(world, "vera").token)
    before = file.read_text()
    with pytest.raises(errors.IllegalTransition, match="a token of vera for ORG") as refused:
        init(world, "NEW")
    assert "type: pfa auth logout" in refused.value.hint
    assert file.read_text() == before
    assert world.rows("SELECT count(*) FROM pfa_organization") == [(1,)]
    assert pfa_core.logout(settings())
    assert init(world) != before


def test_another_installation_s_token_of_the_same_user_is_kept(world: World) -> None:
    file = stored(elsewhere(world))
    before = file.read_text()
    with pytest.raises(errors.IllegalTransition, match="a token of ann for ORG"):
        init(world, "NEW")
    assert file.read_text() == before
    assert init(world) != before  # of the same organization it is renewed


@pytest.mark.parametrize("text", ["", "eyJhbGciOiJIUzI1NiJ9.eyJh.c"])
def test_what_is_of_no_use_to_anyone_is_replaced(world: World, text: str) -> None:
    stored(text)
    assert init(world).startswith("eyJ")


def test_a_token_that_has_ended_is_replaced(world: World) -> None:
    then = utc_now() - timedelta(days=2)
    with Database(world.url, clock=lambda: then) as db:
        old = pfa_core.issue_token(db, settings(), world.principal(), user_id="vera").token
    before = stored(old).read_text()
    assert init(world) != before


def test_one_s_own_token_is_renewed_with_all_its_organizations(world: World) -> None:
    init(world)
    init(world, "NEW")
    claims = jwt.present(settings(), utc_now())
    assert set(claims.organizations) == {"ORG", "NEW"}


def test_with_a_token_of_a_variable_the_stored_one_keeps_its_organizations(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(world)
    init(world, "NEW")
    narrow = issue(world, "ann").token
    assert set(jwt.verify(narrow, keyring.load(settings()), utc_now()).organizations) == {"ORG"}
    monkeypatch.setenv("PFA_TOKEN", narrow)
    init(world, "THIRD")
    monkeypatch.delenv("PFA_TOKEN")
    assert set(jwt.present(settings(), utc_now()).organizations) == {"ORG", "NEW", "THIRD"}


def test_a_pipe_is_not_deleted_by_a_logout(world: World) -> None:
    given, file = settings(), stored("")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(errors.IoFailure, match="not a regular file"):
        pfa_core.logout(given)
    assert file.is_fifo()


def test_of_a_large_file_no_more_is_read_than_a_token_may_have(world: World) -> None:
    given, file = settings(), stored("eyJ")
    os.truncate(file, 1 << 33)
    with pytest.raises(errors.IllegalTransition, match="something else than a token"):
        pfa_core.logout(given)
    assert file.stat().st_size == 1 << 33
    file.unlink()
