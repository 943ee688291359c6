"""Authorization of every operation: a member with the right, as of now."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import (
    Change,
    ChangeWindow,
    ConflictSelection,
    Decision,
    Filters,
    Layout,
    LineForm,
    Principal,
    Query,
    Right,
    Selection,
    View,
    errors,
)
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.keyring import SigningKey
from pfa_core.drafts.undo import undo_commit
from pfa_core.model.ids import utc_now
from pfa_core.model.principal import RIGHTS_OF, Role
from pfa_core.model.rights import NEEDS as STATED
from pfa_core.model.rights import Operation
from pfa_core.model.secret import Secret
from pfa_core.pems.sandbox.server import Sandbox
from pfa_core.store import signing_keys
from pfa_core.store.signing_keys import NewKey
from tests.factories import World, a_principal, a_world, commit, draft, record
from tests.forms import LONG
from tests.life_cycle.views import everything
from tests.pems_server import a_profile
from tests.server import Server
from tests.worlds import a_copy, built_once

Call = Callable[[World, Principal], Any]

ONE = Filters(id=("P-1",))
RUN = "018f0000-0000-7000-8000-000000000000"

READING: dict[str, Call] = {
    "list_records": lambda w, p: pfa_core.list_records(w.db, p, Query()),
    "stream_records": lambda w, p: list(pfa_core.stream_records(w.db, p, Query())),
    "export_jsonl": lambda w, p: pfa_core.export_jsonl(w.db, p, Query(), bytes),
    "write_sheet": lambda w, p: pfa_core.write_sheet(
        w.db, p, Query(), io.BytesIO(), file_format="csv"
    ),
    "count_records": lambda w, p: pfa_core.count_records(w.db, p, Query()),
    "show_records": lambda w, p: pfa_core.show_records(w.db, p, ["P-1"]),
    "list_values": lambda w, p: pfa_core.list_values(w.db, p),
    "suggest_value": lambda w, p: pfa_core.suggest_value(w.db, p, Filters(category=("Crain",))),
    "compute_stats": lambda w, p: pfa_core.compute_stats(w.db, p, Filters()),
    "diff": lambda w, p: pfa_core.diff(w.db, p, Filters()),
    "list_conflicts": lambda w, p: pfa_core.list_conflicts(w.db, p),
    "show_conflict": lambda w, p: pfa_core.show_conflict(w.db, p, "P-4"),
    "stream_diff": lambda w, p: list(pfa_core.stream_diff(w.db, p, Filters())),
    "plan_commit": lambda w, p: pfa_core.plan_commit(w.db, p, Selection(everything=True)),
    "review": lambda w, p: pfa_core.review(w.db, p, Filters()),
    "stream_review": lambda w, p: list(pfa_core.stream_review(w.db, p, Filters())),
    "compare_sessions": lambda w, p: list(
        pfa_core.compare_sessions(w.db, p, ("s", "c"), Filters())
    ),
    "stream_drafts": lambda w, p: list(pfa_core.stream_drafts(w.db, p, Filters())),
    "stream_draft_lines": lambda w, p: list(
        pfa_core.stream_draft_lines(w.db, p, Filters(), Layout(LineForm.JSON))
    ),
    "stream_diff_lines": lambda w, p: list(
        pfa_core.stream_diff_lines(w.db, p, Filters(), Layout(LineForm.JSON))
    ),
    "summarize_drafts": lambda w, p: pfa_core.summarize_drafts(w.db, p),
    "list_drafts": lambda w, p: pfa_core.list_drafts(w.db, p, Filters()),
    "status": lambda w, p: pfa_core.status(w.db, p),
    "report": lambda w, p: pfa_core.report(w.db, p),
    "list_runs": lambda w, p: pfa_core.list_runs(w.db, p),
    "list_operations": lambda w, p: pfa_core.list_operations(w.db, p),
    "list_log": lambda w, p: pfa_core.list_log(w.db, p),
    "stream_log": lambda w, p: list(pfa_core.stream_log(w.db, p)),
    "list_archives": lambda w, p: pfa_core.list_archives(w.db, p),
    "follow_log": lambda w, p: list(pfa_core.follow_log(w.db, p, wait=lambda: False)),
    "list_members": lambda w, p: pfa_core.list_members(w.db, p),
    "collect": lambda w, p: pfa_core.collect(w.db, p),
    "list_changes": lambda w, p: pfa_core.list_changes(w.db, p, ChangeWindow()),
    "stream_changes": lambda w, p: list(pfa_core.stream_changes(w.db, p, ChangeWindow())),
    "list_pems_log": lambda w, p: pfa_core.list_pems_log(w.db, p, ChangeWindow()),
    "stream_pems_log": lambda w, p: list(pfa_core.stream_pems_log(w.db, p, ChangeWindow())),
    "record_history": lambda w, p: pfa_core.record_history(w.db, p, "P-1"),
    "blame": lambda w, p: pfa_core.blame(w.db, p, "P-1"),
    "show_run": lambda w, p: pfa_core.show_run(w.db, p, a_run(w)),
    "list_views": lambda w, p: pfa_core.list_views(w.db, p),
    "show_view": lambda w, p: pfa_core.show_view(w.db, p, "common"),
    "save_view": lambda w, p: pfa_core.save_view(w.db, p, View(name="new", sort="pfaId")),
    "delete_view": lambda w, p: pfa_core.delete_view(w.db, p, "own"),
}
DRAFTING: dict[str, Call] = {
    "save": lambda w, p: pfa_core.save(w.db, p, [Change("P-2", {"model": "A"})]),
    "set_fields": lambda w, p: pfa_core.set_fields(w.db, p, ONE, {"model": "Z"}, session_id="s"),
    "unset_fields": lambda w, p: pfa_core.unset_fields(w.db, p, ONE, ["model"]),
    "shift": lambda w, p: pfa_core.shift(w.db, p, ONE, 7, session_id="s"),
    "discard": lambda w, p: pfa_core.discard(w.db, p, Selection(ids=("P-1",))),
    "restore": lambda w, p: pfa_core.restore(w.db, p, session_id="gone"),
    "undo": lambda w, p: pfa_core.undo(w.db, p),
    "revert": lambda w, p: pfa_core.revert(w.db, p, session_id="sent"),
    "save_shared_view": lambda w, p: pfa_core.save_view(
        w.db, p, View(name=f"of {p.user_id}", sort="pfaId"), shared=True
    ),
    "delete_shared_view": lambda w, p: pfa_core.delete_view(
        w.db, p, f"common {p.user_id}", shared=True
    ),
}
SYNCING: dict[str, Call] = {
    "commit": lambda w, p: pfa_core.commit(w.db, p, Selection(session_id="s")),
    "resolve_conflicts": lambda w, p: pfa_core.resolve_conflicts(
        w.db, p, ConflictSelection(ids=("P-4",)), Decision("mine")
    ),
    "uncommit": lambda w, p: pfa_core.uncommit(w.db, p, Selection(session_id="c")),
    "undo_commit": lambda w, p: undo_commit(
        w.db, p, operation=the_commit(w, p), redo=False, dry_run=False
    ),
}
PUSHING: dict[str, Call] = {
    "push_changes": lambda w, p: beside_pems(
        lambda url: pfa_core.push_changes(w.db, p, a_profile(url))
    ),
    "plan_push": lambda w, p: pfa_core.plan_push(w.db, p),
    "stream_plan_push": lambda w, p: list(pfa_core.stream_plan_push(w.db, p).changes),
    "retry": lambda w, p: pfa_core.retry(w.db, p, None, dry_run=True),
}
REFRESHING: dict[str, Call] = {
    "pull_pems": lambda w, p: beside_pems(lambda url: pfa_core.pull_pems(w.db, p, a_profile(url))),
}
IMPORTING: dict[str, Call] = {
    "pull_files": lambda w, p: pfa_core.pull_files(
        w.db, p, ["-"], stdin=io.BytesIO(b'{"pfaId":"P-9"}\n'), file_format="jsonl"
    ),
}
MANAGING: dict[str, Call] = {
    "grant": lambda w, p: pfa_core.grant(w.db, p, "carl", "viewer"),
    "revoke": lambda w, p: pfa_core.revoke(w.db, p, "idle"),
    "issue_token": lambda w, p: pfa_core.issue_token(
        w.db, pfa_core.resolve(), p, user_id="idle", role="viewer"
    ),
    "issue_service_token": lambda w, p: pfa_core.issue_service_token(
        w.db, pfa_core.resolve(), p, service="nightly", rights=["read"]
    ),
    "revoke_tokens": lambda w, p: pfa_core.revoke_tokens(w.db, p, user_id="idle"),
    "list_tokens": lambda w, p: pfa_core.list_tokens(w.db, p, user_id="idle"),
}
SETTING: dict[str, Call] = {
    "configure_organization": lambda w, p: pfa_core.configure_organization(
        w.db, p, rate_uom="week"
    ),
    "export_organization": lambda w, p: exported(w, p),
    "reopen_organization": lambda w, p: reopened(w, p),
    "verify_database": lambda w, p: pfa_core.verify_database(w.db, p, repair=True),
    "find_bad_rows": lambda w, p: pfa_core.find_bad_rows(w.db, p),
    "verify_log": lambda w, p: pfa_core.verify_log(w.db, p),
    "archive_log": lambda w, p: pfa_core.archive_log(
        w.db, p, "trail.gz", before=datetime(2020, 1, 1, tzinfo=UTC)
    ),
    "list_keys": lambda w, p: pfa_core.list_keys(w.db, pfa_core.resolve(), p),
    "rotate_keys": lambda w, p: pfa_core.rotate_keys(w.db, pfa_core.resolve(), p),
    "retire_key": lambda w, p: pfa_core.retire_key(w.db, pfa_core.resolve(), p, older_key(w)),
}
NEEDS: dict[str, tuple[Right, Call]] = {
    name: (right, call)
    for right, calls in (
        (Right.READ, READING),
        (Right.SAVE_DRAFT, DRAFTING),
        (Right.SYNC, SYNCING),
        (Right.SYNC, PUSHING),
        (Right.REFRESH_DATA, REFRESHING),
        (Right.IMPORT, IMPORTING),
        (Right.MANAGE_USERS, MANAGING),
        (Right.MANAGE_SETTINGS, SETTING),
    )
    for name, call in calls.items()
}
# Beside the operation's own: the fields that these calls write are all of the forecast.
WITHOUT_READING = (
    "pull_pems",
    "pull_files",
    "push_changes",
    "retry",
    "list_tokens",
    "revoke_tokens",
)
FORECAST = (
    *("save", "set_fields", "shift", "restore", "undo", "revert"),
    *("commit", "resolve_conflicts"),
)
ALL = pytest.mark.parametrize(
    ("name", "right", "call"),
    [pytest.param(name, *needed, id=name) for name, needed in NEEDS.items()],
)
# Of the same calls by other ways some are made always, all of them in the long form.
SOME = pytest.mark.parametrize(
    ("name", "right", "call"),
    [
        pytest.param(name, *needed, id=name, marks=() if place % 8 == 0 else LONG)
        for place, (name, needed) in enumerate(NEEDS.items())
    ],
)


@pytest.fixture(autouse=True)
def a_key() -> None:
    """The key of this installation, which signs tokens."""
    keyring.ensure(pfa_core.resolve())


def all_but_one_have_drafts(url: str) -> World:
    """Everybody but the idle one has a draft on P-1, a committed change on P-3 and one in PEMS on P-5."""
    users = {"ann": "admin", "edna": "editor", "vera": "admin", "idle": "viewer"}
    world = a_world(url, *(record(f"P-{number}") for number in range(1, 6)), users=users)
    for user in ("ann", "edna", "vera"):
        draft(world.db, world.principal(user), "P-3", session="c", model="M")
        commit(world.db, world.principal(user), session="c")
        draft(world.db, world.principal(user), "P-4", session="x", model="M")
        commit(world.db, world.principal(user), session="x")
        draft(world.db, world.principal(user), "P-5", session="sent", model="M")
        commit(world.db, world.principal(user), session="sent")
        draft(world.db, world.principal(user), "P-1", model="M", dor="BEO")
        draft(world.db, world.principal(user), "P-2", session="gone", model="M")
        pfa_core.discard(world.db, world.principal(user), Selection(session_id="gone"))
        own, common = View(name="own", sort="pfaId"), View(name=f"common {user}", sort="pfaId")
        pfa_core.save_view(world.db, world.principal(user), own)
        pfa_core.save_view(world.db, world.principal(user), common, shared=True)
    pfa_core.save_view(
        world.db, world.principal("ann"), View(name="common", sort="pfaId"), shared=True
    )
    dispute(world, "x")
    world.execute(
        "UPDATE pfa_modification SET state = 'synced', synced_at = now() WHERE session_id = 'sent'"
    )
    world.execute("DELETE FROM pfa_overlay WHERE pfa_id = 'P-5'")
    world.execute("UPDATE pfa_mirror SET data = data || '{\"model\": \"M\"}' WHERE pfa_id = 'P-5'")
    pfa_core.grant(world.db, world.principal(), "vera", "viewer")
    world.users["vera"] = "viewer"
    return world


world = built_once(all_but_one_have_drafts)


@pytest.fixture(scope="module")
def shared(postgres: Server) -> Iterator[World]:
    """One such world for what is refused and changes nothing."""
    with a_copy(postgres, all_but_one_have_drafts) as shared:
        yield shared


def exported(world: World, principal: Principal) -> None:
    """An export; what this world has that no operation made is refused, to who may do it."""
    with tempfile.TemporaryDirectory() as folder, suppress(errors.InvalidData):
        pfa_core.export_organization(world.db, principal, Path(folder) / "org.pfa")


def reopened(world: World, principal: Principal) -> None:
    """What is active is not reopened, which is said to who may do it."""
    with suppress(errors.IllegalTransition):
        pfa_core.reopen_organization(world.db, principal, reason="tried")


def older_key(world: World) -> str:
    """A key that the database knows and that signs nothing here."""
    key = SigningKey(Secret("an older key of thirty-two bytes and more"))
    new = NewKey(key.key_id, key.secret.reveal(), None)
    world.owner.transact(lambda conn: signing_keys.register(conn, [new], world.db.clock()))
    return key.key_id


def beside_pems(call: Callable[[str], object]) -> object:
    """What a call does that needs a PEMS."""
    with Sandbox(
        organization="ORG", records=[record(f"P-{number}") for number in (1, 2, 3)]
    ) as pems:
        return call(pems.url)


def dispute(world: World, session: str) -> None:
    """Put the session's committed changes into conflict, as a push does."""
    world.execute("UPDATE pfa_modification SET state = 'conflict' WHERE session_id = %s", session)
    world.execute(
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id,"
        " user_id, fields, status, created_at)"
        " SELECT organization_id, gen_random_uuid(), modification_id, pfa_id, user_id,"
        """ '[{"field": "model", "base": "LTM 1030", "mine": "M", "pems": "LTM 1030"}]',"""
        " 'unresolved', updated_at FROM pfa_modification WHERE session_id = %s",
        session,
    )


def a_run(world: World) -> str:
    return str(world.rows("SELECT run_id FROM pfa_sync_log")[0][0])


def the_commit(world: World, principal: Principal) -> int:
    """The user's operation that committed the session c."""
    found = world.rows(
        "SELECT l.number FROM audit_log AS e JOIN audit_link AS l USING (organization_id, link_id)"
        " WHERE e.action = 'commit' AND e.session_id = 'c' AND e.user_id = %s",
        principal.user_id,
    )
    return found[0][0] if found else 1


OF_DRAFTS = ("commit", "uncommit", "undo_commit", "resolve_conflicts")


def needed(name: str, right: Right) -> frozenset[Right]:
    more = {Right.EDIT_FORECAST} if name in FORECAST else set()
    of_money = ("pull_files", "export_organization", "archive_log")
    more |= {Right.VIEW_FINANCIALS} if name in of_money else set()
    of_all = ("verify_log", "export_organization", "archive_log")
    more |= {Right.MANAGE_USERS} if name in of_all else set()
    more |= {Right.SAVE_DRAFT} if name in OF_DRAFTS else set()
    more |= set() if name in WITHOUT_READING else {Right.READ}
    return frozenset({right} | more)


@contextmanager
def nothing_changed(world: World) -> Iterator[None]:
    """What is done in the block leaves every table as it is, but for denials in the audit trail."""
    before = everything(world)
    yield
    assert everything(world) == before


def refused(
    world: World,
    name: str,
    call: Call,
    principal: Principal,
    how: type[errors.PfaError],
    why: str | None = None,
) -> None:
    """Refused as it should be, and the audit trail has the denial."""
    known = denied(world)
    with pytest.raises(how, match=why) as stated:
        call(world, principal)
    assert type(stated.value) is how
    traces = [(user, entry["operation"]) for user, entry in denials(world, known)]
    assert traces == ([] if how is errors.NotFound else [(principal.user_id, name)])


def offenders(world: World, check: Callable[[str, Right, Call], None]) -> list[str]:
    """The operations of which it does not hold, each with what happened instead."""
    found = []
    # Of a user's refusals so many an hour are recorded: each operation has an hour of its own.
    hour_later = (
        "UPDATE audit_log SET at = (at AT TIME ZONE 'UTC' - interval '1 hour') AT TIME ZONE 'UTC'"
        " WHERE action = 'permission_denied' AND at > %s"
    )
    for name, (right, call) in NEEDS.items():
        began = utc_now() - timedelta(minutes=59)  # before it are those of the operations before
        try:
            check(name, right, call)
        except (Exception, pytest.fail.Exception) as failure:
            found.append(f"{name}: {type(failure).__name__}: {failure}")
        world.execute(hour_later, began)
    return found


def denied(world: World) -> int:
    """How many denials are recorded: some tests leave hundreds."""
    return world.rows(
        "SELECT count(*) FROM audit_log WHERE action = 'permission_denied' AND organization_id = %s",
        world.organization,
    )[0][0]


def denials(world: World, known: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Who was denied what, after the first so many."""
    return world.rows(
        "SELECT user_id, after FROM audit_log WHERE action = 'permission_denied'"
        " AND organization_id = %s ORDER BY entry_id OFFSET %s",
        world.organization,
        known,
    )


@SOME
def test_an_admin_may(world: World, name: str, right: Right, call: Call) -> None:
    call(world, world.principal("ann"))


@pytest.mark.parametrize(
    ("user", "call"),
    [
        pytest.param(user, call, id=f"{user}-{name}")
        for user, role in (("edna", Role.EDITOR), ("vera", Role.VIEWER))
        for name, (right, call) in NEEDS.items()
        if right in RIGHTS_OF[role]
    ],
)
def test_a_role_may_what_its_rights_say(world: World, user: str, call: Call) -> None:
    call(world, world.principal(user))


def test_a_role_may_no_more(shared: World) -> None:
    def check(name: str, right: Right, call: Call) -> None:
        with nothing_changed(shared):
            for user, role in (("edna", Role.EDITOR), ("vera", Role.VIEWER)):
                if right not in RIGHTS_OF[role]:
                    who = shared.principal(user)
                    refused(shared, name, call, who, errors.PermissionDenied, right)

    assert offenders(shared, check) == []


@ALL
def test_the_rights_it_needs_suffice(world: World, name: str, right: Right, call: Call) -> None:
    call(world, replace(world.principal("ann"), rights=needed(name, right)))


@pytest.mark.slow
def test_all_other_rights_do_not_suffice(shared: World) -> None:
    """Neither when the token lacks one of them, nor when the membership does."""
    ann = shared.principal("ann")

    def check(name: str, right: Right, call: Call) -> None:
        rights = needed(name, right)
        with nothing_changed(shared):
            for one in rights:
                narrowed = replace(ann, rights=ann.rights - {one})
                refused(shared, name, call, narrowed, errors.PermissionDenied, one)
        try:
            for one in rights:
                shared.add_user("ann", "admin", rights=ann.rights - {one})
                with nothing_changed(shared):
                    refused(shared, name, call, ann, errors.PermissionDenied, one)
        finally:
            shared.add_user("ann", "admin")

    assert offenders(shared, check) == []


@pytest.mark.slow
def test_a_token_s_rights_do_not_outlive_the_membership_s(shared: World) -> None:
    everything_allowed = replace(shared.principal("vera"), rights=frozenset(Right))

    def check(name: str, right: Right, call: Call) -> None:
        if right is Right.READ:
            call(shared, everything_allowed)
        else:
            with nothing_changed(shared):
                refused(shared, name, call, everything_allowed, errors.PermissionDenied, right)

    assert offenders(shared, check) == []


@pytest.mark.slow
def test_strangers_members_of_elsewhere_and_organizations_that_are_none_are_refused(
    shared: World,
) -> None:
    a_world(shared.url, record("X-1"), organization="THERE", users={"eve": "admin"})

    def check(name: str, right: Right, call: Call) -> None:
        with nothing_changed(shared):
            for user in ("mallory", "eve"):
                outsider = Principal(
                    user_id=user, organization_id="ORG", rights=frozenset(Right), token_id="t"
                )
                refused(shared, name, call, outsider, errors.Forbidden)
            nowhere = Principal(
                user_id="ann", organization_id="null", rights=frozenset(Right), token_id="t"
            )
            refused(shared, name, call, nowhere, errors.NotFound)

    assert offenders(shared, check) == []


KEY = "another key, of thirty-two characters at least"


def a_token(key: str | None = None, code: str = "ORG", hours: float = 1) -> str:
    """Ann's token for the organization, with all rights."""
    now = utc_now()
    granted = {code: jwt.Grant(Role.ADMIN, frozenset(Right))}
    claims = jwt.Claims(
        user_id="ann",
        token_id="t",
        issued_at=now - timedelta(hours=9),
        expires_at=now + timedelta(hours=hours),
        organizations=granted,
    )
    ring = keyring.Keyring((SigningKey(Secret(key)),)) if key else keyring.load(pfa_core.resolve())
    return jwt.sign(claims, ring)


def signed_in(token: str | None) -> Principal:
    """Whom the token stands for, as every command finds out first."""
    settings = replace(
        pfa_core.resolve(pfa_core.Flags(org="ORG")), token=Secret(token) if token else None
    )
    return pfa_core.authenticate(settings)


@pytest.mark.slow
def test_a_token_leads_in_only_while_it_is_ours_good_and_of_a_member(shared: World) -> None:
    before = everything(shared)
    good = a_token()
    head, body, mark = good.split(".")
    bad = (
        (None, errors.Unauthorized),
        ("", errors.Unauthorized),
        ("ann", errors.InvalidToken),
        (f"{head}.{body}.", errors.InvalidToken),
        (f"{head}.{a_token(hours=9).split('.')[1]}.{mark}", errors.InvalidToken),
        (a_token(KEY), errors.InvalidToken),
        (a_token(hours=-1), errors.TokenExpired),
        (a_token(code="THERE"), errors.Forbidden),
    )

    def check(name: str, right: Right, call: Call) -> None:
        for token, how in bad:
            with pytest.raises(how):
                call(shared, signed_in(token))

    assert offenders(shared, check) == []
    assert everything(shared) == before
    ann = signed_in(good)
    shared.execute("DELETE FROM pfa_member WHERE user_id = 'ann'")

    def check_without_membership(name: str, right: Right, call: Call) -> None:
        with nothing_changed(shared):
            refused(shared, name, call, ann, errors.Forbidden)

    try:
        assert offenders(shared, check_without_membership) == []
    finally:
        shared.add_user("ann", "admin")


@SOME
def test_a_good_token_of_a_member_leads_in(
    world: World, name: str, right: Right, call: Call
) -> None:
    world.execute("DELETE FROM pfa_member WHERE user_id = 'ann'")
    world.add_user("ann", "admin")
    call(world, signed_in(a_token()))


def test_every_operation_of_the_library_on_a_database_is_here() -> None:
    from inspect import isfunction, signature

    taking = {
        thing.__name__  # a name of an earlier shape gives the function's own
        for name in pfa_core.__all__
        if isfunction(thing := getattr(pfa_core, name))
        and {"db", "principal"} <= set(signature(thing).parameters)
    }
    # `undo` does it, where a commit or an uncommit is to be taken back, which requires the right to commit.
    # A shared view is saved and deleted by the functions for all views.
    inside = {"undo_commit", "save_shared_view", "delete_shared_view"}
    assert taking | inside == set(NEEDS)


def test_the_table_of_the_code_is_the_one_tested_here() -> None:
    by_token = {Operation.ADD_ORGANIZATION}  # its principal is found out from the token
    assert {str(name): right for name, right in STATED.items() if name not in by_token} == {
        name: right for name, (right, _) in NEEDS.items()
    }
    assert set(STATED) | {Operation.REFRESH_TOKEN} == set(Operation)


class TestFields:
    """What a right to draft may draft."""

    @pytest.fixture
    def allowed(self, world: World) -> Callable[..., Principal]:
        """A member who may draft and commit, and has these rights beside."""

        def member(*rights: Right) -> Principal:
            usual = {Right.READ, Right.SAVE_DRAFT, Right.SYNC}
            return world.add_user("finn", "editor", rights=usual | set(rights))

        return member

    @pytest.mark.parametrize(
        ("rights", "fields"),
        [
            (
                (Right.EDIT_FORECAST,),
                {"forecastStart": "2025-11-01", "model": "A", "isDiscontinued": True},
            ),
            ((Right.EDIT_ACTUALS,), {"actualStart": "2025-12-01", "isActualized": True}),
            ((Right.EDIT_ACTUALS,), {"actualEnd": "2025-12-02"}),
            ((Right.EDIT_FORECAST, Right.VIEW_FINANCIALS), {"monthlyRate": 5, "purchasePrice": 6}),
        ],
    )
    def test_each_field_takes_its_rights_and_no_others(
        self,
        world: World,
        allowed: Callable[..., Principal],
        rights: tuple[Right, ...],
        fields: dict[str, Any],
    ) -> None:
        for lacking in rights:
            finn = allowed(*set(Right) - {lacking})
            with pytest.raises(errors.PermissionDenied, match=lacking) as stated:
                draft(world.db, finn, "P-2", **fields)
            assert {fault.field for fault in stated.value.details} == set(fields)
        finn = allowed(*rights)
        assert draft(world.db, finn, "P-2", **fields).status == "created"
        assert len(commit(world.db, finn).committed) == 1

    def test_an_editor_edits_forecasts_and_prices_but_no_actuals(self, world: World) -> None:
        edna = world.principal("edna")
        draft(world.db, edna, "P-2", monthlyRate=7, forecastEnd="2026-01-01")
        with pytest.raises(errors.PermissionDenied, match=Right.EDIT_ACTUALS):
            draft(world.db, edna, "P-2", actualStart="2025-12-01")
        pfa_core.grant(world.db, world.principal(), "edna", "editor", rights=["edit_actuals"])
        draft(world.db, replace(edna, rights=frozenset(Right)), "P-2", actualStart="2025-12-01")

    def test_one_field_too_many_refuses_all_and_names_each(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        finn = allowed(Right.EDIT_FORECAST)
        changes = [
            Change("P-1", {"model": "A"}),
            Change("P-2", {"actualEnd": "2026-01-05", "dor": "BEO"}),
        ]
        with pytest.raises(errors.PermissionDenied) as stated:
            pfa_core.save(world.db, finn, changes, partial=True)
        assert [(fault.field, fault.code) for fault in stated.value.details] == [
            ("actualEnd", "PERMISSION_DENIED")
        ]
        with pytest.raises(errors.PermissionDenied):
            pfa_core.set_fields(world.db, finn, ONE, {"monthlyRate": 1})
        assert pfa_core.list_drafts(world.db, finn, Filters()) == []

    def test_a_value_that_is_there_already_takes_no_right_but_a_price_does(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        """Of a price the answer would tell what it is."""
        finn = allowed(Right.EDIT_FORECAST)
        same = Change("P-1", {"model": "A", "actualEnd": None})
        assert len(pfa_core.save(world.db, finn, [same]).saved) == 1
        for wrong in ({"monthlyRate": 1000}, {"model": "B", "actualEnd": 5}):
            with pytest.raises(errors.PermissionDenied):
                pfa_core.save(world.db, finn, [Change("P-2", wrong)])
        with pytest.raises(errors.PermissionDenied):
            pfa_core.set_fields(world.db, finn, ONE, {"actualEnd": None})

    def test_the_masked_prices_of_a_list_are_no_change(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        finn = allowed(Right.EDIT_FORECAST)
        masked = {"model": "A", "monthlyRate": None, "purchasePrice": None}
        of_a_list = Change("P-1", masked, read_only={"pfaId": "P-1"})
        pfa_core.save(world.db, finn, [of_a_list])
        assert pfa_core.list_drafts(world.db, finn, Filters())[0].delta == {"model": "A"}
        for refused in (
            Change("P-1", masked),
            Change("P-1", {"monthlyRate": 5}, read_only={"pfaId": "P-1"}),
        ):
            with pytest.raises(errors.PermissionDenied):
                pfa_core.save(world.db, finn, [refused])

    def test_shifting_takes_the_right_to_the_forecast(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        with pytest.raises(errors.PermissionDenied, match=Right.EDIT_FORECAST):
            pfa_core.shift(world.db, allowed(Right.EDIT_ACTUALS), ONE, 7)

    def test_what_one_may_no_longer_write_is_not_committed_but_can_be_dropped(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        draft(world.db, allowed(Right.EDIT_ACTUALS), "P-2", actualEnd="2025-12-02")
        finn = allowed(Right.EDIT_FORECAST)
        draft(world.db, finn, "P-1", model="Z")
        with pytest.raises(errors.PermissionDenied, match=Right.EDIT_ACTUALS):
            commit(world.db, finn)
        assert pfa_core.unset_fields(world.db, finn, Filters(id=("P-2",)), ["actualEnd"]).emptied
        assert [item.pfa_id for item in commit(world.db, finn).committed] == ["P-1"]

    def test_what_one_may_no_longer_write_is_not_restored(
        self, world: World, allowed: Callable[..., Principal]
    ) -> None:
        finn = allowed(Right.EDIT_ACTUALS)
        draft(world.db, finn, "P-2", actualEnd="2025-12-02")
        pfa_core.discard(world.db, finn, Selection(ids=("P-2",)))
        with pytest.raises(errors.PermissionDenied, match=Right.EDIT_ACTUALS) as stated:
            pfa_core.restore(world.db, allowed(Right.EDIT_FORECAST), ids=["P-2"])
        assert [fault.field for fault in stated.value.details] == ["actualEnd"]
        restored = pfa_core.restore(world.db, allowed(Right.EDIT_ACTUALS), ids=["P-2"]).restored
        assert [item.pfa_id for item in restored] == ["P-2"]

    def test_a_conflict_is_settled_in_one_s_own_favour_only_with_the_right_to_the_field(
        self, world: World
    ) -> None:
        four, edna = ConflictSelection(ids=("P-4",)), world.principal("edna")
        narrow = replace(edna, rights=edna.rights - {Right.EDIT_FORECAST})
        for decision in (Decision("mine"), Decision(values={"model": "X"})):
            with pytest.raises(errors.PermissionDenied, match=Right.EDIT_FORECAST):
                pfa_core.resolve_conflicts(world.db, narrow, four, decision)
        (done,) = pfa_core.resolve_conflicts(world.db, narrow, four, Decision("pems")).resolved
        assert done.state == "pristine"


class TestDenials:
    def test_a_denial_says_who_what_which_right_and_why(self, world: World) -> None:
        with pytest.raises(errors.PermissionDenied):
            commit(world.db, world.principal("vera"), session="s")
        (entry,) = [
            item
            for item in pfa_core.list_log(world.db, world.principal())
            if item.action == "permission_denied"
        ]
        assert (entry.user_id, entry.pfa_id, entry.before) == ("vera", None, None)
        assert entry.after == {"operation": "commit", "permission": "sync", "success": False}
        assert entry.reason == "vera lacks the right sync in ORG"

    def test_a_stranger_s_attempt_is_kept_where_it_was_made(self, world: World) -> None:
        with pytest.raises(errors.Forbidden):
            pfa_core.list_records(world.db, a_principal("mallory"), Query())
        assert denials(world) == [
            ("mallory", {"operation": "list_records", "permission": "read", "success": False})
        ]

    def test_a_refused_rehearsal_and_a_refused_stream_leave_their_traces_too(
        self, world: World
    ) -> None:
        with pytest.raises(errors.PermissionDenied):
            pfa_core.shift(world.db, world.principal("vera"), ONE, 7, dry_run=True)
        with pytest.raises(errors.Forbidden):
            next(pfa_core.stream_records(world.db, a_principal("mallory"), Query()))
        assert [entry["operation"] for _, entry in denials(world)] == ["shift", "stream_records"]

    def test_a_database_that_takes_no_writes_refuses_all_the_same(self, world: World) -> None:
        (name,) = world.rows("SELECT current_database()")[0]
        world.db.administer(
            lambda conn: conn.execute(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
            )
        )
        world.db.close()
        reading = world.db.beside()
        world.db.connection().execute("SET default_transaction_read_only = on")
        with reading, pytest.raises(errors.Forbidden):
            pfa_core.list_records(reading, a_principal("mallory"), Query())


class TestOverrides:
    def test_rights_are_added_to_a_role_and_left_out(self, world: World) -> None:
        ann = world.principal()
        member = pfa_core.grant(
            world.db, ann, "edna", "editor", rights=["edit-actuals"], without=["export"]
        )
        wanted = RIGHTS_OF[Role.EDITOR] - {Right.EXPORT} | {Right.EDIT_ACTUALS}
        assert (member.role, member.custom) == ("editor", True)
        assert set(member.rights) == wanted
        custom = {item.user_id for item in pfa_core.list_members(world.db, ann) if item.custom}
        assert custom == {"edna"}
        assert pfa_core.list_log(world.db, ann)[0].after == {
            "user": "edna",
            "role": "editor",
            "rights": sorted(wanted),
        }

    def test_granting_the_role_again_is_the_template_again(self, world: World) -> None:
        ann = world.principal()
        pfa_core.grant(world.db, ann, "edna", "editor", without=["sync"])
        assert pfa_core.grant(world.db, ann, "edna", "editor").custom is False

    def test_what_the_role_says_anyway_is_no_deviation(self, world: World) -> None:
        ann = world.principal()
        member = pfa_core.grant(
            world.db, ann, "edna", "editor", rights=["sync"], without=["manage_users"]
        )
        assert member.custom is False

    @pytest.mark.parametrize(
        ("rights", "without"),
        [(["fly"], []), ([], ["fly"]), (["sync"], ["sync"]), ([], ["read"]), ([""], [])],
    )
    def test_what_makes_no_sense_is_refused(
        self, world: World, rights: list[str], without: list[str]
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.grant(
                world.db, world.principal(), "edna", "editor", rights=rights, without=without
            )

    def test_nobody_gives_what_they_do_not_hold(self, world: World) -> None:
        lead = world.add_user("lead", "editor", rights=["read", "manage_users", "save_draft"])
        pfa_core.grant(world.db, lead, "carl", "viewer", rights=["save_draft"])
        for role, rights in (("viewer", ["view_financials"]), ("editor", []), ("admin", [])):
            with pytest.raises(errors.PermissionDenied, match="cannot give"):
                pfa_core.grant(world.db, lead, "lead", role, rights=rights)
        kept = pfa_core.grant(world.db, lead, "edna", "editor", without=["export"])
        assert Right.SYNC in kept.rights  # she held it before; nothing was given

    def test_the_last_admin_who_manages_users_stays_one(self, world: World) -> None:
        with pytest.raises(errors.IllegalTransition):
            pfa_core.grant(world.db, world.principal(), "ann", "admin", without=["manage_users"])

    def test_rights_differ_by_organization(self, world: World) -> None:
        there = a_world(world.url, organization="THERE", users={"ann": "viewer", "x": "admin"})
        pfa_core.grant(world.db, world.principal(), "carl", "viewer")
        with pytest.raises(errors.PermissionDenied):
            pfa_core.grant(there.db, replace(there.principal("ann")), "carl", "viewer")
        there.db.close()
