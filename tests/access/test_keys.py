"""Signing keys: a ring of them, rotated and retired."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.access.tokens import jwt as tokens
from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.model.ids import utc_now
from pfa_core.model.principal import RIGHTS_OF, Role
from pfa_core.model.secret import Secret
from tests.access.signing import (
    a_signing_key,
    a_world_of_three,
    count,
    issue,
    present,
    settings,
    trail,
)
from tests.factories import World
from tests.worlds import built_once

world = built_once(a_world_of_three)
key = pytest.fixture(a_signing_key, autouse=True)


class TestKeys:
    def states(self, world: World) -> dict[str, str]:
        found = pfa_core.list_keys(world.db, settings(), world.principal())
        return {info.key_id: info.state for info in found}

    def test_the_list_makes_the_key_here_known_and_never_shows_it(self, world: World) -> None:
        secret = settings().key_file.read_text().strip()
        (info,) = pfa_core.list_keys(world.db, settings(), world.principal())
        assert (info.key_id, info.state, info.here) == (
            keyring.load(settings()).signing.key_id,
            "signing",
            True,
        )
        assert secret not in repr(info)
        assert trail(world, "key_register") == [("ann", "key_register", {"key": info.key_id})]
        self.states(world)
        assert len(trail(world, "key_register")) == 1
        assert not any(secret in text for (text,) in world.rows("SELECT a::text FROM audit_log a"))

    def test_a_token_without_a_key_id_goes_on(self, world: World) -> None:
        """As installations made them before keys had names."""
        key = settings().key_file.read_text().strip()
        at = int(utc_now().timestamp())
        grant = {"role": "editor", "rights": sorted(RIGHTS_OF[Role.EDITOR])}
        old = jwt.encode(
            {
                "sub": "bob",
                "jti": "old",
                "iat": at,
                "exp": at + 600,
                "organizations": {"ORG": grant},
            },
            key,
            "HS256",
        )
        bob = present(old)
        assert count(world, bob) == 1
        asked = "SELECT user_id, key_id FROM pfa_verify_token(%s, now())"
        assert world.rows(asked, old) == []
        self.states(world)
        assert world.rows(asked, old) == [("bob", bob.key_id)]
        pfa_core.rotate_keys(world.db, settings(), world.principal())
        assert pfa_core.authenticate(settings()) == bob
        fresh = pfa_core.refresh_token(world.db, settings())
        assert dict(fresh.organizations) == {"ORG": "editor"}
        assert pfa_core.authenticate(settings()).rights == RIGHTS_OF[Role.EDITOR]

    def test_after_a_rotation_old_tokens_stay_good_until_the_overlap_ends(
        self, world: World
    ) -> None:
        before = issue(world, ttl=timedelta(days=9))
        made = pfa_core.rotate_keys(
            world.db, settings(), world.principal(), overlap=timedelta(hours=8)
        )
        assert made.ending_tokens == 1
        assert self.states(world) == {made.key_id: "signing", made.previous: "verifying"}
        bob = present(before.token)
        assert count(world, bob) == 1
        after = issue(world)
        assert present(after.token).key_id == made.key_id
        late = made.overlap_until + timedelta(seconds=1)
        with pytest.raises(errors.InvalidToken):
            pfa_core.login(settings(), before.token, now=late)
        asked = "SELECT user_id FROM pfa_verify_token(%s, %s)"
        assert world.rows(asked, before.token, late) == []
        assert world.rows(asked, before.token, utc_now()) == [("bob",)]
        assert world.rows(asked, after.token, utc_now()) == [("bob",)]
        assert [said["key"] for _, _, said in trail(world, "key_rotate")] == [made.key_id]

    def test_without_overlap_the_old_key_ends_at_once(self, world: World) -> None:
        bob = present(issue(world).token)
        made = pfa_core.rotate_keys(world.db, settings(), world.principal(), overlap=timedelta(0))
        assert self.states(world)[made.previous] == "ended"
        with pytest.raises(errors.InvalidToken):
            pfa_core.authenticate(settings())
        # Even to a user whose ring knows the key still.
        with pytest.raises(errors.InvalidToken, match="key that signed"):
            count(world, bob)
        pfa_core.initialize(world.db, settings(), "ORG", user_id="bob")
        assert count(world, pfa_core.authenticate(settings())) == 1

    def test_a_retired_key_ends_every_token_it_signed(self, world: World) -> None:
        old = issue(world)
        bob = present(old.token)
        made = pfa_core.rotate_keys(world.db, settings(), world.principal())
        gone = pfa_core.retire_key(world.db, settings(), world.principal(), made.previous)
        assert (gone.state, gone.here) == ("retired", False)
        with pytest.raises(errors.InvalidToken):
            count(world, bob)
        with pytest.raises(errors.InvalidToken):
            pfa_core.login(settings(), old.token)
        again = pfa_core.retire_key(world.db, settings(), world.principal(), made.previous)
        assert again.retired_at == gone.retired_at
        assert trail(world, "key_retire")[0][2] == {"key": made.previous}

    def test_the_key_that_signs_is_rotated_first(self, world: World) -> None:
        mine = keyring.load(settings()).signing.key_id
        with pytest.raises(errors.IllegalTransition):
            pfa_core.retire_key(world.db, settings(), world.principal(), mine)
        with pytest.raises(errors.NotFound):
            pfa_core.retire_key(world.db, settings(), world.principal(), "0" * 16)

    def test_a_machine_with_an_ended_key_signs_nothing_more(self, world: World) -> None:
        ring = keyring.load(settings())
        pfa_core.rotate_keys(world.db, settings(), world.principal(), overlap=timedelta(0))
        keyring.store(ring)
        for call in (
            lambda: issue(world),
            lambda: pfa_core.initialize(world.db, settings(), "ORG", user_id="ann"),
            lambda: pfa_core.list_keys(world.db, settings(), world.principal()),
        ):
            with pytest.raises(errors.ConfigInvalid, match="has ended"):
                call()

    def test_a_key_of_the_environment_is_rotated_where_it_is_set(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_JWT_SECRET", "o" * 40)
        old = issue(world)
        with pytest.raises(errors.ConfigInvalid, match="PFA_JWT_SECRET"):
            pfa_core.rotate_keys(world.db, settings(), world.principal())
        until = utc_now() + timedelta(hours=1)
        monkeypatch.setenv("PFA_JWT_SECRET", f"{'n' * 40}\n{until:%Y-%m-%dT%H:%M:%SZ} {'o' * 40}")
        assert sorted(self.states(world).values()) == ["signing", "verifying"]
        assert count(world, present(old.token)) == 1
        late = until + timedelta(seconds=1)
        assert world.rows("SELECT 1 FROM pfa_verify_token(%s, %s)", old.token, late) == []

    def test_a_dry_run_changes_neither_file_nor_database(self, world: World) -> None:
        issue(world)
        before, text = self.states(world), settings().key_file.read_text()
        pfa_core.rotate_keys(world.db, settings(), world.principal(), dry_run=True)
        assert (self.states(world), settings().key_file.read_text()) == (before, text)

    def test_a_file_that_cannot_be_written_leaves_the_database_as_it_was(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        issue(world)
        before = self.states(world)

        def full(*_: object) -> None:
            raise errors.IoFailure("no space left")

        monkeypatch.setattr(keyring, "write_secret_file", full)
        with pytest.raises(errors.IoFailure):
            pfa_core.rotate_keys(world.db, settings(), world.principal())
        assert self.states(world) == before

    @pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=367)])
    def test_an_overlap_that_makes_no_sense_is_refused(
        self, world: World, overlap: timedelta
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.rotate_keys(world.db, settings(), world.principal(), overlap=overlap)

    def test_a_second_rotation_keeps_the_first_overlap(self, world: World) -> None:
        first = pfa_core.rotate_keys(world.db, settings(), world.principal())
        second = pfa_core.rotate_keys(
            world.db, settings(), world.principal(), overlap=timedelta(days=30)
        )
        ring = keyring.load(settings())
        assert [key.key_id for key in ring.keys] == [second.key_id, first.key_id, first.previous]
        assert [key.not_after for key in ring.keys] == [
            None,
            second.overlap_until,
            first.overlap_until,
        ]

    def test_a_stolen_key_of_another_installation_opens_nothing_here(self, world: World) -> None:
        foreign = Keyring((SigningKey(Secret("f" * 43)),))
        claims = tokens.verify(issue(world).token, keyring.load(settings()), utc_now())
        forged = tokens.sign(replace(claims, token_id="forged"), foreign)
        with pytest.raises(errors.InvalidToken):
            pfa_core.login(settings(), forged)
        assert world.rows("SELECT 1 FROM pfa_verify_token(%s, now())", forged) == []
