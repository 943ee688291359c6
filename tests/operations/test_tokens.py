"""Tokens after they were made: refreshed, revoked, a service's; and the keys that sign them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

import pfa_core
from pfa_core import Filters, Flags, Query, Selection, errors, keys, tokens
from pfa_core.issuing import IssuedToken
from pfa_core.keys import Keyring, SigningKey
from pfa_core.model.ids import utc_now
from pfa_core.model.principal import RIGHTS_OF, SERVICE_RIGHTS, Principal, Right, Role
from pfa_core.secrets import Secret
from pfa_core.settings import Settings
from tests.factories import World, a_world, draft, record
from tests.far_side import a_far_side

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def settings(org: str | None = None) -> Settings:
    """The settings as a command would find them now: with the stored token, if any."""
    return pfa_core.resolve(Flags(org=org))


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    keys.ensure(settings())
    world = a_world(
        database_url,
        record("P-1"),
        users={"ann": "admin", "bob": "editor", "vera": "viewer"},
    )
    yield world
    world.db.close()


@pytest.fixture
def there(world: World, database_url: str) -> World:
    """A second organization, where bob is the admin."""
    return a_world(
        database_url, record("P-1"), organization="THERE", users={"bob": "admin", "eve": "viewer"}
    )


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
            keys.load(settings()).signing.key_id,
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
        pfa_core.revoke_tokens(world.db, world.principal(), everybody=True)
        assert listed(world) == []

    def test_without_the_right_one_ends_one_s_own_only(self, world: World) -> None:
        bobs, veras = issue(world), issue(world, "vera")
        bob = world.principal("bob")
        for selection in (
            {"token_ids": [veras.token_id]},
            {"token_ids": [bobs.token_id, veras.token_id]},
            {"user_id": "vera"},
            {"everybody": True},
        ):
            with pytest.raises(errors.PermissionDenied):
                pfa_core.revoke_tokens(world.db, bob, **selection)
        assert len(listed(world)) == 2
        pfa_core.revoke_tokens(world.db, bob, user_id="bob")
        assert listed(world) == [veras.token_id]

    @pytest.mark.parametrize(
        "selection",
        [{}, {"token_ids": ["x"], "user_id": "bob"}, {"user_id": "b", "everybody": True}],
    )
    def test_nothing_or_too_much_said_is_refused(self, world: World, selection: Any) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.revoke_tokens(world.db, world.principal(), **selection)

    def test_an_unknown_id_is_not_found_and_a_token_is_no_id(self, world: World) -> None:
        with pytest.raises(errors.NotFound):
            pfa_core.revoke_tokens(world.db, world.principal(), token_ids=["unknown"])
        token = issue(world).token
        with pytest.raises(errors.InvalidRequest) as told:
            pfa_core.revoke_tokens(world.db, world.principal(), token_ids=[token])
        assert token[:20] not in told.value.message + told.value.hint

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

    def test_its_life_is_short_and_never_grows(self, world: World) -> None:
        start = utc_now().replace(microsecond=0)
        world.db.clock = lambda: start
        present(issue(world, ttl=timedelta(hours=2)).token)
        assert self.refresh(world).expires_at == start + timedelta(hours=2)
        with pytest.raises(errors.InvalidRequest):
            self.refresh(world, ttl=timedelta(hours=3))
        present(issue(world, ttl=timedelta(days=30)).token)
        assert self.refresh(world, keep=False).expires_at == start + timedelta(hours=8)
        long = self.refresh(world, ttl=timedelta(days=30))
        assert long.expires_at == start + timedelta(days=30)

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
    return Principal(user, world.organization, frozenset(Right), "t")


def test_nobody_gives_by_a_token_what_they_do_not_hold(world: World) -> None:
    held = {Right.READ, Right.MANAGE_USERS}
    world.add_user("mia", "viewer", rights=held)
    mia = Principal("mia", "ORG", frozenset(held), "t")
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


class TestServices:
    def test_a_service_is_a_member_with_its_rights_and_no_others(self, world: World) -> None:
        issued = issue_service(world, "sync", "read", ttl=timedelta(days=90))
        assert (issued.user_id, issued.role) == ("service:nightly", "service")
        job = present(issued.token)
        assert (job.is_service, job.rights) == (True, {Right.SYNC, Right.READ})
        found = pfa_core.list_members(world.db, job)
        assert [(m.role, m.rights) for m in found if m.user_id == "service:nightly"] == [
            ("service", ["read", "sync"])
        ]
        assert [row.kind for row in pfa_core.list_tokens(world.db, world.principal())] == [
            "service"
        ]
        assert [said["user"] for _, _, said in trail(world, "grant", "token_issue")] == [
            "service:nightly"
        ] * 2

    @pytest.mark.parametrize("right", sorted(set(Right) - SERVICE_RIGHTS))
    def test_no_right_over_drafts_or_members(self, world: World, right: str) -> None:
        with pytest.raises(errors.InvalidRequest, match=right):
            issue_service(world, "read", right)
        assert "service:nightly" not in str(pfa_core.list_members(world.db, world.principal()))

    @pytest.mark.parametrize("rights", [(), ("everything",), ("",), ("READ",)])
    def test_no_right_at_all_or_none_that_there_is(self, world: World, rights: Any) -> None:
        with pytest.raises(errors.InvalidRequest):
            issue_service(world, *rights)

    @pytest.mark.parametrize("name", ["", " ", "a b", "-x", "service:x", "x" * 51, "é", "a\n"])
    def test_what_is_no_name_of_a_service(self, world: World, name: str) -> None:
        with pytest.raises(errors.InvalidRequest):
            issue_service(world, "read", service=name)

    def test_it_lives_a_year_at_most(self, world: World) -> None:
        issue_service(world, "read", ttl=timedelta(days=366))
        with pytest.raises(errors.InvalidRequest):
            issue_service(world, "read", ttl=timedelta(days=367))

    def test_the_last_rights_issued_are_those_of_every_token(self, world: World) -> None:
        before = present(issue_service(world, "read", "sync").token)
        issue_service(world, "read")
        assert count(world, before) == 1
        with pytest.raises(errors.PermissionDenied):
            pfa_core.plan_push(world.db, before)

    def test_a_service_changes_no_draft_whatever_its_rights_say(self, world: World) -> None:
        issue_service(world, "sync", "read")
        job = Principal("service:nightly", "ORG", frozenset(Right), "t")
        for call in (
            lambda: draft(world.db, job, model="B"),
            lambda: pfa_core.commit(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.uncommit(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.discard(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.shift(world.db, job, Filters(), 7, session_id="s"),
        ):
            with pytest.raises(errors.PermissionDenied):
                call()

    def test_the_database_holds_no_service_with_other_rights(self, world: World) -> None:
        with pytest.raises(errors.PfaError):
            world.add_user("service:x", "service", rights=["save_draft"])
        with pytest.raises(errors.PfaError):
            world.add_user("carl", "service", rights=["read"])

    def test_nobody_becomes_or_speaks_for_a_service(self, world: World) -> None:
        for call in (
            lambda: pfa_core.grant(world.db, world.principal(), "service:x", "admin"),
            lambda: issue(world, "service:x", role="viewer"),
            lambda: pfa_core.initialize(world.db, settings(), "ORG", user_id="service:x"),
        ):
            with pytest.raises(errors.InvalidRequest):
                call()

    def test_a_revoked_membership_ends_its_tokens(self, world: World) -> None:
        job = present(issue_service(world, "read").token)
        pfa_core.revoke(world.db, world.principal(), "service:nightly")
        with pytest.raises(errors.Forbidden):
            count(world, job)

    def test_it_refreshes_and_revokes_its_own(self, world: World) -> None:
        job = present(issue_service(world, "sync").token)
        fresh = pfa_core.refresh_token(world.db, settings(), revoke_old=True)
        assert dict(fresh.organizations) == {"ORG": "service"}
        with pytest.raises(errors.InvalidToken):
            pfa_core.plan_push(world.db, job)
        pfa_core.revoke_tokens(
            world.db, pfa_core.authenticate(settings()), token_ids=[fresh.token_id]
        )
        with pytest.raises(errors.InvalidToken):
            pfa_core.plan_push(world.db, pfa_core.authenticate(settings()))

    def test_it_pulls_and_pushes_what_others_committed(self, database_url: str) -> None:
        keys.ensure(settings())
        with a_far_side(database_url, record("P-1"), users={"ann": "admin"}) as far:
            job = present(
                issue_service(far.world, "sync", "refresh_data", "import", "view_financials").token
            )
            draft(far.db, far.world.principal(), "P-1", model="X")
            pfa_core.commit(far.db, far.world.principal(), Selection(session_id="s"))
            assert pfa_core.push_commitments(far.db, job, far.profile).synced == 1
            assert pfa_core.pull_pems(far.db, job, far.profile).status == "completed"
            lines = io.BytesIO(b'{"pfaId":"P-9"}\n')
            pulled = pfa_core.pull_files(far.db, job, ["-"], stdin=lines, file_format="jsonl")
            assert pulled.inserted == 1
            only_push = present(issue_service(far.world, "sync", service="push").token)
            with pytest.raises(errors.PermissionDenied):
                pfa_core.pull_pems(far.db, only_push, far.profile)
            with pytest.raises(errors.PermissionDenied):
                count(far.world, only_push)
            far.world.db.close()


class TestKeys:
    def states(self, world: World) -> dict[str, str]:
        found = pfa_core.list_keys(world.db, settings(), world.principal())
        return {info.key_id: info.state for info in found}

    def test_the_list_makes_the_key_here_known_and_never_shows_it(self, world: World) -> None:
        secret = settings().key_file.read_text().strip()
        (info,) = pfa_core.list_keys(world.db, settings(), world.principal())
        assert (info.key_id, info.state, info.here) == (
            keys.load(settings()).signing.key_id,
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
        # Even to somebody whose ring knows the key still.
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
        mine = keys.load(settings()).signing.key_id
        with pytest.raises(errors.IllegalTransition):
            pfa_core.retire_key(world.db, settings(), world.principal(), mine)
        with pytest.raises(errors.NotFound):
            pfa_core.retire_key(world.db, settings(), world.principal(), "0" * 16)

    def test_a_machine_with_an_ended_key_signs_nothing_more(self, world: World) -> None:
        ring = keys.load(settings())
        pfa_core.rotate_keys(world.db, settings(), world.principal(), overlap=timedelta(0))
        keys.store(settings(), ring)
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

        monkeypatch.setattr(keys, "write_secret_file", full)
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
        ring = keys.load(settings())
        assert [key.key_id for key in ring.keys] == [second.key_id, first.key_id, first.previous]
        assert [key.not_after for key in ring.keys] == [
            None,
            second.overlap_until,
            first.overlap_until,
        ]

    def test_a_stolen_key_of_another_installation_opens_nothing_here(self, world: World) -> None:
        foreign = Keyring((SigningKey(Secret("f" * 43)),))
        claims = tokens.verify(issue(world).token, keys.load(settings()), utc_now())
        forged = tokens.sign(replace(claims, token_id="forged"), foreign)
        with pytest.raises(errors.InvalidToken):
            pfa_core.login(settings(), forged)
        assert world.rows("SELECT 1 FROM pfa_verify_token(%s, now())", forged) == []
