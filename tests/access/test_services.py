"""Services: tokens for jobs, with rights that touch no draft."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

import pfa_core
from pfa_core import Filters, Selection, errors
from pfa_core.access.tokens import keyring
from pfa_core.model.principal import SERVICE_RIGHTS, Principal, Right
from tests.access.signing import (
    a_signing_key,
    a_world_of_three,
    count,
    issue,
    issue_service,
    present,
    settings,
    trail,
)
from tests.factories import World, draft, record
from tests.pems_server import a_far_side
from tests.worlds import built_once

world = built_once(a_world_of_three)
key = pytest.fixture(a_signing_key, autouse=True)


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
        job = Principal(
            user_id="service:nightly", organization_id="ORG", rights=frozenset(Right), token_id="t"
        )
        for call in (
            lambda: draft(world.db, job, model="B"),
            lambda: pfa_core.commit(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.uncommit(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.discard(world.db, job, Selection(session_id="s")),
            lambda: pfa_core.shift(world.db, job, Filters(), 7, session_id="s"),
        ):
            with pytest.raises(errors.PermissionDenied):
                call()

    def test_what_a_service_may_not_is_told_by_the_right_it_lacks(self, world: World) -> None:
        issue_service(world, "sync", "read")
        job = Principal(
            user_id="service:nightly",
            organization_id="ORG",
            rights=frozenset({Right.SYNC, Right.READ}),
            token_id="t",
        )
        with pytest.raises(errors.PermissionDenied, match="lacks the right manage_users"):
            pfa_core.grant(world.db, job, "carl", "viewer")
        with pytest.raises(errors.PermissionDenied, match="it has no drafts"):
            pfa_core.commit(world.db, job, Selection(session_id="s"))

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
        keyring.ensure(settings())
        with a_far_side(database_url, record("P-1"), users={"ann": "admin"}) as far:
            job = present(
                issue_service(far.world, "sync", "refresh_data", "import", "view_financials").token
            )
            draft(far.db, far.world.principal(), "P-1", model="X")
            pfa_core.commit(far.db, far.world.principal(), Selection(session_id="s"))
            assert pfa_core.push_changes(far.db, job, far.profile).synced == 1
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
