"""Organizations, members, tokens: who comes in, with which rights, and who no longer."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

import pfa_core
from pfa_core import Filters, Query, errors
from pfa_core.access.tokens.issue import IssuedToken
from pfa_core.config.settings import os_user
from pfa_core.model.principal import RIGHTS_OF, Principal, Role
from tests.access.signing import a_world_of_three, settings
from tests.factories import SelfClosing, World, a_principal, a_world, draft, record
from tests.worlds import built_once

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def db(database_url: str) -> Iterator[SelfClosing]:
    with SelfClosing(database_url) as handle:
        yield handle


world = built_once(a_world_of_three)


def members(db: SelfClosing, principal: Principal) -> list[tuple[str, str]]:
    return [(m.user_id, m.role) for m in pfa_core.list_members(db, principal)]


class TestInitialize:
    def test_a_newcomer_is_admin_of_a_new_organization_and_signed_in(self, db: SelfClosing) -> None:
        made = pfa_core.initialize(db, settings(), "HOLNG")
        assert (made.organization_id, made.user_id, made.created) == ("HOLNG", os_user(), True)
        me = pfa_core.authenticate(settings())
        assert (me.user_id, me.organization_id, me.rights) == (
            os_user(),
            "HOLNG",
            RIGHTS_OF[Role.ADMIN],
        )
        assert members(db, me) == [(os_user(), "admin")]
        for path in (made.token_file, made.key_file):
            with open(path) as file:
                assert file.read().strip()
            assert stat.S_IMODE(settings().token_file.stat().st_mode) == 0o600

    def test_twice_keeps_what_is_there_and_renews_the_token(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG")
        before, key = settings().token, settings().key_file.read_text()
        db.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
        again = pfa_core.initialize(db, settings(), "HOLNG")
        assert again.created is False
        assert settings().key_file.read_text() == key
        after = settings().token
        assert before is not None
        assert after is not None
        assert after.reveal() != before.reveal()
        assert members(db, pfa_core.authenticate(settings())) == [(os_user(), "admin")]

    def test_a_second_user_is_no_member_of_an_organization_that_exists(
        self, db: SelfClosing
    ) -> None:
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        with pytest.raises(errors.Forbidden):
            pfa_core.initialize(db, settings(), "HOLNG", user_id="mallory")
        assert pfa_core.authenticate(settings()).user_id == "ann"
        assert members(db, a_principal("ann", "HOLNG")) == [("ann", "admin")]

    def test_a_member_who_is_no_admin_signs_in_as_what_they_are(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        pfa_core.grant(db, a_principal("ann", "HOLNG"), "vera", "viewer")
        pfa_core.logout(settings())
        assert pfa_core.initialize(db, settings(), "HOLNG", user_id="vera").created is False
        vera = pfa_core.authenticate(settings())
        assert (vera.user_id, vera.rights) == ("vera", RIGHTS_OF[Role.VIEWER])
        assert ("vera", "viewer") in members(db, vera)

    def test_a_second_organization_joins_the_first_in_the_token(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG")
        pfa_core.initialize(db, settings(), "RIO")
        with pytest.raises(errors.InvalidRequest):
            pfa_core.authenticate(settings())
        assert pfa_core.authenticate(settings("HOLNG")).organization_id == "HOLNG"
        assert dict(pfa_core.token_info(settings()).organizations) == {
            "HOLNG": "admin",
            "RIO": "admin",
        }

    @pytest.mark.parametrize(
        "code", ["", " ", "-x", ".x", "a b", "a/b", "a'b", "a\0", "é", "x" * 51, "a\n"]
    )
    def test_what_is_no_code_makes_no_organization(self, db: SelfClosing, code: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.initialize(db, settings(), code)
        assert settings().token is None

    @pytest.mark.parametrize("code", ["A", "0", "x" * 50, "PORT-ARTHUR_2.b"])
    def test_letters_digits_and_marks_make_a_code(self, db: SelfClosing, code: str) -> None:
        assert pfa_core.initialize(db, settings(), code).created is True


class TestOrganizations:
    def test_an_admin_adds_one_and_the_token_holds_both(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        made = pfa_core.add_organization(db, settings(), "RIO", name="Rio Grande")
        assert (made.organization_id, made.created) == ("RIO", True)
        found = pfa_core.list_organizations(db, settings())
        assert [(o.organization_id, o.name, o.status, o.role) for o in found] == [
            ("HOLNG", "", "active", "admin"),
            ("RIO", "Rio Grande", "active", "admin"),
        ]
        assert pfa_core.add_organization(db, settings(), "RIO").created is False

    def test_an_organization_of_others_is_not_mine_to_add(
        self, db: SelfClosing, database_url: str
    ) -> None:
        a_world(database_url, organization="THEIRS", users={"eve": "admin"})
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        with pytest.raises(errors.Forbidden):
            pfa_core.add_organization(db, settings(), "THEIRS")
        assert [o.organization_id for o in pfa_core.list_organizations(db, settings())] == ["HOLNG"]

    def test_who_administers_nothing_adds_nothing(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        pfa_core.grant(db, a_principal("ann", "HOLNG"), "bob", "editor")
        pfa_core.logout(settings())
        pfa_core.initialize(db, settings(), "HOLNG", user_id="bob")
        with pytest.raises(errors.PermissionDenied):
            pfa_core.add_organization(db, settings(), "RIO")

    def test_without_a_token_nobody_adds_or_lists(self, db: SelfClosing) -> None:
        with pytest.raises(errors.Unauthorized):
            pfa_core.add_organization(db, settings(), "RIO")
        with pytest.raises(errors.Unauthorized):
            pfa_core.list_organizations(db, settings())

    def test_a_dry_run_leaves_nothing(self, db: SelfClosing) -> None:
        pfa_core.initialize(db, settings(), "HOLNG", user_id="ann")
        assert pfa_core.add_organization(db, settings(), "RIO", dry_run=True).created is True
        assert [o.organization_id for o in pfa_core.list_organizations(db, settings())] == ["HOLNG"]
        assert dict(pfa_core.token_info(settings()).organizations) == {"HOLNG": "admin"}


class TestMembers:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.ADMIN])
    def test_a_grant_gives_a_role_with_its_rights(self, world: World, role: Role) -> None:
        member = pfa_core.grant(world.db, world.principal(), "carl", role)
        assert (member.user_id, member.role, set(member.rights)) == (
            "carl",
            role,
            set(RIGHTS_OF[role]),
        )
        assert (member.organization_id, member.granted_by) == ("ORG", "ann")
        assert ("carl", role) in members(world.db, world.principal())

    def test_a_grant_takes_the_place_of_the_former_role(self, world: World) -> None:
        pfa_core.grant(world.db, world.principal(), "bob", "viewer")
        assert members(world.db, world.principal()) == [
            ("ann", "admin"),
            ("bob", "viewer"),
            ("vera", "viewer"),
        ]

    @pytest.mark.parametrize("role", ["", "owner", "ADMIN", "admin;--", "service"])
    def test_what_is_no_role_is_refused(self, world: World, role: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.grant(world.db, world.principal(), "carl", role)

    @pytest.mark.parametrize(
        "user", ["", " ", "a b", "a\0", "a\n", "x" * 101, "\udcff", "service:x"]
    )
    def test_what_is_no_user_name_is_refused(self, world: World, user: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.grant(world.db, world.principal(), user, "viewer")

    @pytest.mark.parametrize("user", ["bob", "vera"])
    def test_only_admins_grant_and_revoke(self, world: World, user: str) -> None:
        with pytest.raises(errors.PermissionDenied):
            pfa_core.grant(world.db, world.principal(user), user, "admin")
        with pytest.raises(errors.PermissionDenied):
            pfa_core.revoke(world.db, world.principal(user), "ann")

    def test_the_last_admin_stays(self, world: World) -> None:
        ann = world.principal()
        for role in ("editor", "viewer"):
            with pytest.raises(errors.IllegalTransition):
                pfa_core.grant(world.db, ann, "ann", role)
        with pytest.raises(errors.IllegalTransition):
            pfa_core.revoke(world.db, ann, "ann")
        pfa_core.grant(world.db, ann, "bob", "admin")
        pfa_core.revoke(world.db, ann, "ann")
        assert members(world.db, a_principal("bob")) == [("bob", "admin"), ("vera", "viewer")]

    def test_a_revoked_member_s_valid_token_opens_nothing(self, world: World) -> None:
        draft(world.db, world.principal("bob"), model="B")
        pfa_core.revoke(world.db, world.principal(), "bob")
        with pytest.raises(errors.Forbidden):
            pfa_core.list_records(world.db, world.principal("bob"), Query())
        with pytest.raises(errors.Forbidden):
            draft(world.db, world.principal("bob"), model="C")

    def test_a_member_again_finds_their_drafts(self, world: World) -> None:
        draft(world.db, world.principal("bob"), model="B")
        pfa_core.revoke(world.db, world.principal(), "bob")
        pfa_core.grant(world.db, world.principal(), "bob", "editor")
        found = pfa_core.list_drafts(world.db, world.principal("bob"), Filters())
        assert [view.delta for view in found] == [{"model": "B"}]

    def test_a_lowered_role_narrows_a_token_that_says_more(self, world: World) -> None:
        bob = world.principal("bob")
        pfa_core.grant(world.db, world.principal(), "bob", "viewer")
        pfa_core.list_records(world.db, bob, Query())
        with pytest.raises(errors.PermissionDenied):
            draft(world.db, bob, model="B")

    def test_a_raised_role_does_not_widen_an_old_token(self, world: World) -> None:
        pfa_core.grant(world.db, world.principal(), "vera", "admin")
        with pytest.raises(errors.PermissionDenied):
            draft(world.db, world.principal("vera"), model="V")
        draft(world.db, a_principal("vera"), model="V")

    def test_who_is_no_member_cannot_be_revoked(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            pfa_core.revoke(world.db, world.principal(), "carl")

    def test_a_dry_run_leaves_nothing(self, world: World) -> None:
        ann = world.principal()
        pfa_core.grant(world.db, ann, "carl", "admin", dry_run=True)
        pfa_core.revoke(world.db, ann, "bob", dry_run=True)
        assert [user for user, _ in members(world.db, ann)] == ["ann", "bob", "vera"]
        assert [e.action for e in pfa_core.list_log(world.db, ann)] == ["pull", "begin"]

    def test_rights_differ_from_one_organization_to_another(self, world: World) -> None:
        there = a_world(
            world.url,
            record("P-1"),
            organization="THERE",
            users={"bob": "admin", "ann": "viewer"},
        )
        pfa_core.grant(there.db, there.principal("bob"), "carl", "viewer")
        with pytest.raises(errors.PermissionDenied):
            pfa_core.grant(world.db, world.principal("bob"), "carl", "viewer")
        assert ("carl", "viewer") not in members(world.db, world.principal())


class TestTokens:
    @pytest.fixture
    def signed(self, world: World) -> World:
        """The world of ann, with this installation's key."""
        from pfa_core.access.tokens import keyring

        keyring.ensure(settings())
        return world

    def issue(self, world: World, user: str = "bob", by: str = "ann", **rest: Any) -> IssuedToken:
        return pfa_core.issue_token(world.db, settings(), world.principal(by), user_id=user, **rest)

    def present(self, issued: IssuedToken, org: str | None = None) -> Principal:
        pfa_core.login(settings(), issued.token)
        return pfa_core.authenticate(settings(org))

    def test_a_member_s_token_carries_the_member_s_rights(self, signed: World) -> None:
        issued = self.issue(signed)
        assert (issued.user_id, issued.organization_id, issued.role) == ("bob", "ORG", "editor")
        bob = self.present(issued)
        assert bob == Principal(
            user_id="bob",
            organization_id="ORG",
            rights=RIGHTS_OF[Role.EDITOR],
            token_id=issued.token_id,
        )
        draft(signed.db, bob, model="B")

    def test_a_token_never_shows_itself(self, signed: World) -> None:
        issued = self.issue(signed)
        assert issued.token not in repr(issued)
        pfa_core.login(settings(), issued.token)
        assert issued.token not in repr(settings())

    def test_a_role_narrows_the_token(self, signed: World) -> None:
        bob = self.present(self.issue(signed, role="viewer"))
        assert bob.rights == RIGHTS_OF[Role.VIEWER]
        with pytest.raises(errors.PermissionDenied):
            draft(signed.db, bob, model="B")
        assert ("bob", "editor") in members(signed.db, signed.principal())

    def test_a_role_never_widens_it(self, signed: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            self.issue(signed, user="vera", role="admin")
        vera = self.present(self.issue(signed, user="vera"))
        assert vera.rights == RIGHTS_OF[Role.VIEWER]
        assert ("vera", "viewer") in members(signed.db, signed.principal())

    def test_a_new_user_becomes_a_member_with_the_role(self, signed: World) -> None:
        carl = self.present(self.issue(signed, user="carl", role="editor"))
        assert ("carl", "editor") in members(signed.db, signed.principal())
        draft(signed.db, carl, model="C")

    def test_a_new_user_without_a_role_is_not_found(self, signed: World) -> None:
        with pytest.raises(errors.NotFound):
            self.issue(signed, user="carl")

    @pytest.mark.parametrize("by", ["bob", "vera"])
    def test_only_admins_issue(self, signed: World, by: str) -> None:
        with pytest.raises(errors.PermissionDenied):
            self.issue(signed, user=by, by=by)

    @pytest.mark.parametrize(
        "ttl", [timedelta(0), timedelta(seconds=-1), timedelta(days=367), timedelta.max]
    )
    def test_a_life_of_nothing_or_of_years_is_refused(self, signed: World, ttl: timedelta) -> None:
        with pytest.raises(errors.InvalidRequest):
            self.issue(signed, ttl=ttl)

    def test_a_token_ends_with_its_life(self, signed: World) -> None:
        signed.db.clock = lambda: NOW
        issued = self.issue(signed, ttl=timedelta(hours=2))
        assert issued.expires_at == NOW + timedelta(hours=2)
        good = NOW + timedelta(hours=1, minutes=59)
        pfa_core.login(settings(), issued.token, now=good)
        assert pfa_core.authenticate(settings(), now=good).user_id == "bob"
        for late in (NOW + timedelta(hours=2), NOW + timedelta(days=9)):
            with pytest.raises(errors.TokenExpired):
                pfa_core.authenticate(settings(), now=late)
            with pytest.raises(errors.TokenExpired):
                pfa_core.login(settings(), issued.token, now=late)

    def test_login_keeps_the_token_and_logout_forgets_it(self, signed: World) -> None:
        issued = self.issue(signed)
        info = pfa_core.login(settings(), f" {issued.token}\n")
        assert (info.user_id, info.token_id, dict(info.organizations)) == (
            "bob",
            issued.token_id,
            {"ORG": "editor"},
        )
        assert info == pfa_core.token_info(settings())
        assert stat.S_IMODE(settings().token_file.stat().st_mode) == 0o600
        assert pfa_core.logout(settings()) is True
        assert pfa_core.logout(settings()) is False
        with pytest.raises(errors.Unauthorized):
            pfa_core.authenticate(settings())
        with pytest.raises(errors.Unauthorized):
            pfa_core.token_info(settings())

    @pytest.mark.parametrize("kind", ["text", "other key", "none", "claims", "truncated", "HS512"])
    def test_what_is_not_ours_is_refused_and_not_kept(self, signed: World, kind: str) -> None:
        issued = self.issue(signed)
        key = settings().key_file.read_text().strip()
        claims = jwt.decode(issued.token, options={"verify_signature": False})
        forged = {
            "text": "not.a.token",
            "other key": jwt.encode(claims, "k" * 43, "HS256"),
            "none": jwt.encode(claims, None, "none"),
            "claims": jwt.encode({**claims, "organizations": {"ORG": "admin"}}, key, "HS256"),
            "truncated": issued.token[:-2],
            "HS512": jwt.encode(claims, "k" * 64, "HS512"),
        }[kind]
        with pytest.raises(errors.InvalidToken) as refused:
            pfa_core.login(settings(), forged)
        assert forged not in refused.value.message
        assert settings().token is None

    def test_a_token_that_holds_another_organization_is_refused(self, signed: World) -> None:
        there = a_world(signed.url, record("P-1"), organization="THERE", users={"bob": "admin"})
        theirs = pfa_core.issue_token(there.db, settings(), there.principal("bob"), user_id="bob")
        assert self.present(theirs).organization_id == "THERE"
        with pytest.raises(errors.Forbidden):
            pfa_core.authenticate(settings("ORG"))
