"""Tokens: registered, revoked, refreshed; no user gives by one what they do not hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.access.tokens import keyring
from pfa_core.model.ids import utc_now
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from tests.access.signing import (
    NOW,
    a_second_tenant,
    a_signing_key,
    a_world_of_three,
    count,
    issue,
    listed,
    of_both,
    present,
    settings,
    trail,
)
from tests.factories import World, draft
from tests.worlds import built_once

world = built_once(a_world_of_three)
key = pytest.fixture(a_signing_key, autouse=True)
there = pytest.fixture(a_second_tenant)


class TestTheRegister:
    def test_an_issued_token_is_in_it_without_itself(self, world: World) -> None:
        issued = issue(world, role="viewer", ttl=timedelta(hours=2))
        (row,) = pfa_core.list_tokens(world.db, world.principal())
        assert (row.token_id, row.user_id, row.kind, row.role) == (
            issued.token_id, "bob", "user", "viewer",
        )  # fmt: skip
        assert (row.issued_by, row.rights, row.narrowed) == ("ann", ["read"], True)
        assert (row.expires_at, row.key_id) == (
            issued.expires_at,
            keyring.load(settings()).signing.key_id,
        )
        everything = world.rows("SELECT t::text FROM pfa_token t")
        everything += world.rows("SELECT a::text FROM audit_log a")
        assert not any(issued.token[-20:] in text for (text,) in everything)

    def test_who_manages_no_users_sees_their_own(self, world: World) -> None:
        bobs, veras = issue(world).token_id, issue(world, "vera").token_id
        assert set(listed(world)) == {bobs, veras}
        assert listed(world, user_id="vera") == [veras]
        assert listed(world, "bob") == [bobs]
        assert listed(world, "bob", user_id="bob") == [bobs]
        with pytest.raises(errors.PermissionDenied):
            listed(world, "bob", user_id="vera")

    def test_ended_ones_are_shown_on_demand(self, world: World) -> None:
        world.db.clock = lambda: NOW
        old, gone, good = issue(world), issue(world), issue(world, ttl=timedelta(days=2))
        pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[gone.token_id])
        world.db.clock = lambda: NOW + timedelta(days=1)
        assert listed(world) == [good.token_id]
        assert set(listed(world, ended=True)) == {good.token_id, gone.token_id, old.token_id}
        assert len(listed(world, ended=True, limit=1)) == 1

    @pytest.mark.parametrize("limit", [0, -1, 100_001])
    def test_a_limit_that_makes_no_sense_is_refused(self, world: World, limit: int) -> None:
        with pytest.raises(errors.InvalidRequest):
            listed(world, limit=limit)

    def test_issues_are_audited(self, world: World) -> None:
        issued = issue(world)
        ((by, _, said),) = trail(world, "token_issue")
        assert (by, said["token"], said["user"]) == ("ann", issued.token_id, "bob")

    def test_what_fails_leaves_no_trace_of_a_token(self, world: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            issue(world, "vera", role="admin")
        with pytest.raises(errors.InvalidRequest):
            issue(world, "carl", role="viewer", ttl=timedelta(days=367))
        assert (listed(world), trail(world, "token_issue", "grant")) == ([], [])


class TestRevoking:
    def test_a_revoked_token_opens_nothing_any_more(self, world: World) -> None:
        issued = issue(world)
        bob = present(issued.token)
        draft(world.db, bob, model="B")
        (gone,) = pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[issued.token_id])
        assert (gone.revoked_by, gone.revoked_at is None) == ("ann", False)
        for call in (
            lambda: count(world, bob),
            lambda: draft(world.db, bob, model="C"),
            lambda: pfa_core.commit(world.db, bob, Selection(session_id="s")),
            lambda: pfa_core.plan_push(world.db, bob),
            lambda: pfa_core.list_organizations(world.db, settings()),
            lambda: pfa_core.add_organization(world.db, settings(), "NEW"),
            lambda: pfa_core.refresh_token(world.db, settings()),
            lambda: pfa_core.token_info(settings(), db=world.db),
        ):
            with pytest.raises(errors.InvalidToken, match="revoked"):
                call()
        assert present(issue(world).token).token_id != issued.token_id
        assert count(world, pfa_core.authenticate(settings())) == 1

    def test_repeating_is_success_and_changes_nothing(self, world: World) -> None:
        issued = issue(world)
        for expected in (1, 0):
            gone = pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[issued.token_id])
            assert len(gone) == expected
        assert [by for by, _, _ in trail(world, "token_revoke")] == ["ann"]

    def test_a_dry_run_leaves_the_token_good(self, world: World) -> None:
        bob = present(issue(world).token)
        assert len(
            pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob", dry_run=True)
        ) == 1  # fmt: skip
        assert count(world, bob) == 1

    def test_all_of_a_user_and_all_of_everybody(self, world: World) -> None:
        bobs = {issue(world).token_id, issue(world).token_id}
        veras = issue(world, "vera").token_id
        gone = pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
        assert ({row.token_id for row in gone}, listed(world)) == (bobs, [veras])
        pfa_core.revoke_tokens(world.db, world.principal(), everyone=True)
        assert listed(world) == []

    def test_without_the_right_one_ends_one_s_own_only(self, world: World) -> None:
        bobs, veras = issue(world), issue(world, "vera")
        bob = world.principal("bob")
        for selection in (
            {"token_ids": [veras.token_id]},
            {"token_ids": [bobs.token_id, veras.token_id]},
            {"user_id": "vera"},
            {"everyone": True},
        ):
            with pytest.raises(errors.PermissionDenied):
                pfa_core.revoke_tokens(world.db, bob, **selection)
        assert len(listed(world)) == 2
        pfa_core.revoke_tokens(world.db, bob, user_id="bob")
        assert listed(world) == [veras.token_id]

    @pytest.mark.parametrize(
        "selection",
        [{}, {"token_ids": ["x"], "user_id": "bob"}, {"user_id": "b", "everyone": True}],
    )
    def test_nothing_or_too_much_said_is_refused(self, world: World, selection: Any) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.revoke_tokens(world.db, world.principal(), **selection)

    def test_an_unknown_id_is_not_found_and_a_token_is_no_id(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            pfa_core.revoke_tokens(world.db, world.principal(), token_ids=["unknown"])
        token = issue(world).token
        with pytest.raises(errors.InvalidRequest) as stated:
            pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[token])
        assert token[:20] not in stated.value.message + stated.value.hint

    def test_an_admin_ends_it_for_their_organization_alone(
        self, world: World, there: World
    ) -> None:
        here = of_both(world, there)
        pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[here.token_id])
        with pytest.raises(errors.InvalidToken):
            count(world, here)
        over_there = pfa_core.authenticate(settings("THERE"))
        assert over_there.token_id == here.token_id
        assert count(there, over_there) == 1
        assert dict(pfa_core.token_info(settings(), db=world.db).organizations) == {
            "THERE": "admin"
        }
        assert [o.organization_id for o in pfa_core.list_organizations(world.db, settings())] == [
            "THERE"
        ]
        # Signing in anew does not bring back what was revoked.
        pfa_core.initialize(world.db, settings(), "THERE", user_id="bob")
        assert set(pfa_core.token_info(settings()).organizations) == {"THERE"}

    def test_one_s_own_ends_everywhere(self, world: World, there: World) -> None:
        here = of_both(world, there)
        pfa_core.revoke_tokens(world.db, here, token_ids=[here.token_id])
        for org, where in (("ORG", world), ("THERE", there)):
            with pytest.raises(errors.InvalidToken):
                count(where, pfa_core.authenticate(settings(org)))
            assert trail(where, "token_revoke")[-1][2]["token"] == here.token_id

    def test_one_s_own_makes_a_link_in_the_trail_of_each_organization_and_a_rehearsal_none(
        self, world: World, there: World
    ) -> None:
        def links() -> list[int]:
            reports = [pfa_core.verify_log(w.db, w.principal(u)) for w, u in trails]
            assert all(report.whole for report in reports)
            return [report.links for report in reports]

        here, trails = of_both(world, there), ((world, "ann"), (there, "bob"))
        before = links()
        pfa_core.revoke_tokens(world.db, here, token_ids=[here.token_id], dry_run=True)
        assert links() == before
        pfa_core.revoke_tokens(world.db, here, token_ids=[here.token_id])
        assert links() == [number + 1 for number in before]

    def test_an_admin_sees_no_token_of_another_organization(
        self, world: World, there: World
    ) -> None:
        theirs = issue(there, "eve", by="bob")
        assert listed(world) == []
        with pytest.raises(errors.NotFound):
            pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[theirs.token_id])


class TestRefreshing:
    def refresh(self, world: World, **rest: Any) -> Any:
        return pfa_core.refresh_token(world.db, settings(), **rest)

    def test_a_new_token_takes_the_place_of_the_kept_one(self, world: World) -> None:
        before = present(issue(world).token)
        fresh = self.refresh(world)
        after = pfa_core.authenticate(settings())
        assert (after.user_id, after.rights) == (before.user_id, before.rights)
        assert after.token_id == fresh.token_id != before.token_id == fresh.replaces
        assert (count(world, before), count(world, after)) == (1, 1)
        assert fresh.token not in repr(fresh)
        ((by, _, said),) = trail(world, "token_refresh")
        assert (by, said["token"], said["replaces"]) == ("bob", fresh.token_id, before.token_id)

    def test_the_old_one_ends_where_that_is_asked_for(self, world: World) -> None:
        before = present(issue(world).token)
        self.refresh(world, revoke_old=True)
        with pytest.raises(errors.InvalidToken):
            count(world, before)
        assert count(world, pfa_core.authenticate(settings())) == 1

    def test_rights_are_those_of_now(self, world: World) -> None:
        present(issue(world, "vera").token)
        pfa_core.grant(world.db, world.principal(), "vera", "editor")
        assert pfa_core.authenticate(settings()).rights == RIGHTS_OF[Role.VIEWER]
        self.refresh(world)
        assert pfa_core.authenticate(settings()).rights == RIGHTS_OF[Role.EDITOR]
        pfa_core.grant(world.db, world.principal(), "vera", "viewer")
        assert dict(self.refresh(world).organizations) == {"ORG": "viewer"}

    def test_a_narrowed_token_stays_narrowed_however_often(self, world: World) -> None:
        present(issue(world, "bob", role="viewer").token)
        for _ in range(2):
            self.refresh(world)
            assert pfa_core.authenticate(settings()).rights == RIGHTS_OF[Role.VIEWER]

    def test_it_holds_the_same_organizations_or_fewer(self, world: World, there: World) -> None:
        of_both(world, there)
        assert dict(self.refresh(world).organizations) == {"ORG": "editor", "THERE": "admin"}
        assert dict(self.refresh(world, only=["ORG"]).organizations) == {"ORG": "editor"}
        with pytest.raises(errors.Forbidden):
            self.refresh(world, only=["THERE"])

    def test_what_was_revoked_or_lost_falls_away(self, world: World, there: World) -> None:
        here = of_both(world, there)
        pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[here.token_id])
        with pytest.raises(errors.InvalidToken):
            self.refresh(world, only=["ORG"], keep=False)
        assert dict(self.refresh(world).organizations) == {"THERE": "admin"}
        pfa_core.grant(there.db, there.principal("bob"), "eve", "admin")
        pfa_core.revoke(there.db, a_principal_of(there, "eve"), "bob")
        with pytest.raises(errors.Forbidden):
            self.refresh(world)

    def test_its_life_is_that_of_the_one_before_or_shorter(self, world: World) -> None:
        start = utc_now().replace(microsecond=0)
        world.db.clock = lambda: start
        present(issue(world, ttl=timedelta(hours=2)).token)
        assert self.refresh(world).expires_at == start + timedelta(hours=2)
        with pytest.raises(errors.InvalidRequest, match="the one before, 2h"):
            self.refresh(world, ttl=timedelta(hours=3))
        present(issue(world, ttl=timedelta(days=30)).token)
        short = self.refresh(world, ttl=timedelta(hours=8), keep=False)
        assert short.expires_at == start + timedelta(hours=8)
        assert self.refresh(world).expires_at == start + timedelta(days=30)

    def test_a_clock_that_was_set_back_does_not_shorten_its_life(self, world: World) -> None:
        start = utc_now().replace(microsecond=0)
        world.db.clock = lambda: start
        before = issue(world, ttl=timedelta(days=30))
        present(before.token)
        world.db.clock = lambda: start - timedelta(days=3650)
        assert self.refresh(world).expires_at == before.expires_at
        world.db.clock = lambda: start + timedelta(days=29)
        assert self.refresh(world).expires_at == start + timedelta(days=59)

    def test_an_expired_token_is_not_refreshed(self, world: World) -> None:
        present(issue(world, ttl=timedelta(hours=1)).token)
        world.db.clock = lambda: utc_now() + timedelta(hours=2)
        with pytest.raises(errors.TokenExpired):
            self.refresh(world)

    def test_a_token_of_no_file_is_printed_or_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_TOKEN", issue(world).token)
        with pytest.raises(errors.InvalidRequest, match="PFA_TOKEN"):
            self.refresh(world)
        fresh = self.refresh(world, keep=False)
        assert (fresh.token_file, settings().token_file.exists()) == ("", False)

    def test_a_named_file_keeps_the_new_one(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "named"
        path.touch(0o600)
        path.write_text(issue(world).token)
        monkeypatch.setenv("PFA_TOKEN_FILE", str(path))
        assert self.refresh(world).token_file == str(path)
        kept = settings().token
        assert kept
        assert path.read_text().strip() == kept.reveal()
        assert not settings().token_file.exists()


def a_principal_of(world: World, user: str) -> Principal:
    return Principal(
        user_id=user, organization_id=world.organization, rights=frozenset(Right), token_id="t"
    )


def test_nobody_gives_by_a_token_what_they_do_not_hold(world: World) -> None:
    held = {Right.READ, Right.MANAGE_USERS}
    world.add_user("mia", "viewer", rights=held)
    mia = Principal(user_id="mia", organization_id="ORG", rights=frozenset(held), token_id="t")
    with pytest.raises(errors.PermissionDenied, match="cannot give it"):
        pfa_core.issue_token(world.db, settings(), mia, user_id="ann")
    with pytest.raises(errors.PermissionDenied, match="cannot give it"):
        pfa_core.issue_service_token(world.db, settings(), mia, service="job", rights=["sync"])
    assert (
        pfa_core.issue_token(world.db, settings(), mia, user_id="carl", role="viewer").role
        == "viewer"
    )


def test_a_token_of_one_s_own_role_holds_no_more_than_the_membership(world: World) -> None:
    pfa_core.grant(world.db, world.principal(), "bea", "editor", without=["view_financials"])
    issued = pfa_core.issue_token(
        world.db, settings(), world.principal(), user_id="bea", role="editor"
    )
    assert Right.VIEW_FINANCIALS not in present(issued.token).rights
