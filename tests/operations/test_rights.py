"""Every operation asks at its door: a member, with the right, now?"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import pfa_core
from pfa_core import (
    Change,
    ConflictSelection,
    Decision,
    Filters,
    Principal,
    Query,
    Right,
    Selection,
    errors,
)
from pfa_core.model.principal import RIGHTS_OF, Role
from pfa_core.pems.sandbox import Sandbox
from tests.factories import World, a_world, commit, draft, record
from tests.far_side import a_profile
from tests.operations.views import everything

Call = Callable[[World, Principal], Any]

ONE = Filters(id=("P-1",))
RUN = "018f0000-0000-7000-8000-000000000000"

READING: dict[str, Call] = {
    "list_records": lambda w, p: pfa_core.list_records(w.db, p, Query()),
    "stream_records": lambda w, p: list(pfa_core.stream_records(w.db, p, Query())),
    "export_jsonl": lambda w, p: pfa_core.export_jsonl(w.db, p, Query(), bytes),
    "count_records": lambda w, p: pfa_core.count_records(w.db, p, Query()),
    "show_records": lambda w, p: pfa_core.show_records(w.db, p, ["P-1"]),
    "nearest_value": lambda w, p: pfa_core.nearest_value(w.db, p, Filters(category=("Crain",))),
    "compute_stats": lambda w, p: pfa_core.compute_stats(w.db, p, Filters()),
    "diff": lambda w, p: pfa_core.diff(w.db, p, Filters()),
    "list_conflicts": lambda w, p: pfa_core.list_conflicts(w.db, p),
    "show_conflict": lambda w, p: pfa_core.show_conflict(w.db, p, "P-4"),
    "list_drafts": lambda w, p: pfa_core.list_drafts(w.db, p, Filters()),
    "status": lambda w, p: pfa_core.status(w.db, p),
    "list_runs": lambda w, p: pfa_core.list_runs(w.db, p),
    "list_log": lambda w, p: pfa_core.list_log(w.db, p),
    "list_members": lambda w, p: pfa_core.list_members(w.db, p),
    "collect": lambda w, p: pfa_core.collect(w.db, p),
    "show_run": lambda w, p: pfa_core.show_run(w.db, p, pfa_core.list_runs(w.db, p)[0].run_id),
}
DRAFTING: dict[str, Call] = {
    "save": lambda w, p: pfa_core.save(w.db, p, [Change("P-2", {"model": "A"})]),
    "set_fields": lambda w, p: pfa_core.set_fields(w.db, p, ONE, {"model": "Z"}, session_id="s"),
    "unset_fields": lambda w, p: pfa_core.unset_fields(w.db, p, ONE, ["model"]),
    "shift": lambda w, p: pfa_core.shift(w.db, p, ONE, 7, session_id="s"),
    "discard": lambda w, p: pfa_core.discard(w.db, p, Selection(ids=("P-1",))),
}
SYNCING: dict[str, Call] = {
    "commit": lambda w, p: pfa_core.commit(w.db, p, Selection(session_id="s")),
    "resolve_conflicts": lambda w, p: pfa_core.resolve_conflicts(
        w.db, p, ConflictSelection(ids=("P-4",)), Decision("mine")
    ),
    "uncommit": lambda w, p: pfa_core.uncommit(w.db, p, Selection(session_id="c")),
}
PUSHING: dict[str, Call] = {
    "push_commitments": lambda w, p: beside_pems(
        lambda url: pfa_core.push_commitments(w.db, p, a_profile(url))
    ),
    "plan_push": lambda w, p: pfa_core.plan_push(w.db, p),
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
}
SETTING: dict[str, Call] = {
    "verify_database": lambda w, p: pfa_core.verify_database(w.db, p, repair=True),
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
ALL = pytest.mark.parametrize(
    ("right", "call"), [pytest.param(*needed, id=name) for name, needed in NEEDS.items()]
)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Everybody but the idle one has a draft on P-1 and a commitment on P-3."""
    from pfa_core import tokens

    tokens.ensure_key(pfa_core.resolve())
    users = {"ann": "admin", "edna": "editor", "vera": "admin", "idle": "viewer"}
    world = a_world(
        database_url, record("P-1"), record("P-2"), record("P-3"), record("P-4"), users=users
    )
    for user in ("ann", "edna", "vera"):
        draft(world.db, world.principal(user), "P-3", session="c", model="M")
        commit(world.db, world.principal(user), session="c")
        draft(world.db, world.principal(user), "P-4", session="x", model="M")
        commit(world.db, world.principal(user), session="x")
        draft(world.db, world.principal(user), "P-1", model="M", dor="BEO")
    dispute(world, "x")
    pfa_core.grant(world.db, world.principal(), "vera", "viewer")
    world.users["vera"] = "viewer"
    yield world
    world.db.close()


def beside_pems(call: Callable[[str], object]) -> object:
    """What a call does that needs a PEMS."""
    with Sandbox(
        organization="ORG", records=[record(f"P-{number}") for number in (1, 2, 3)]
    ) as pems:
        return call(pems.url)


def dispute(world: World, session: str) -> None:
    """Put the session's commitments into conflict, as a push does."""
    world.execute("UPDATE pfa_modification SET state = 'conflict' WHERE session_id = %s", session)
    world.execute(
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id,"
        " user_id, fields, status, created_at)"
        " SELECT organization_id, gen_random_uuid(), modification_id, pfa_id, user_id,"
        """ '[{"field": "model", "base": "LTM 1030", "mine": "M", "pems": "LTM 1030"}]',"""
        " 'unresolved', updated_at FROM pfa_modification WHERE session_id = %s",
        session,
    )


def refused(world: World, call: Call, principal: Principal, how: type[errors.PfaError]) -> None:
    before = everything(world)
    with pytest.raises(how) as told:
        call(world, principal)
    assert type(told.value) is how
    assert everything(world) == before


@ALL
def test_an_admin_may(world: World, right: Right, call: Call) -> None:
    call(world, world.principal("ann"))


@ALL
@pytest.mark.parametrize(("user", "role"), [("edna", Role.EDITOR), ("vera", Role.VIEWER)])
def test_a_role_may_what_its_rights_say_and_no_more(
    world: World, right: Right, call: Call, user: str, role: Role
) -> None:
    if right in RIGHTS_OF[role]:
        call(world, world.principal(user))
    else:
        refused(world, call, world.principal(user), errors.PermissionDenied)


@ALL
def test_the_one_right_it_needs_suffices_and_all_others_do_not(
    world: World, right: Right, call: Call
) -> None:
    ann = world.principal("ann")
    refused(world, call, replace(ann, rights=ann.rights - {right}), errors.PermissionDenied)
    needed = frozenset((right, Right.READ))
    call(world, replace(ann, rights=needed))


@ALL
def test_a_token_s_rights_do_not_outlive_the_membership_s(
    world: World, right: Right, call: Call
) -> None:
    everything_allowed = replace(world.principal("vera"), rights=frozenset(Right))
    if right is Right.READ:
        call(world, everything_allowed)
    else:
        refused(world, call, everything_allowed, errors.PermissionDenied)


@ALL
def test_a_stranger_is_refused(world: World, right: Right, call: Call) -> None:
    stranger = Principal("mallory", "ORG", frozenset(Right), "t")
    refused(world, call, stranger, errors.Forbidden)


@ALL
def test_a_member_of_another_organization_is_refused_and_sees_only_their_own(
    world: World, database_url: str, right: Right, call: Call
) -> None:
    a_world(database_url, record("X-1"), organization="THERE", users={"eve": "admin"})
    refused(world, call, Principal("eve", "ORG", frozenset(Right), "t"), errors.Forbidden)


@ALL
def test_an_organization_that_does_not_exist_is_not_found(
    world: World, right: Right, call: Call
) -> None:
    nowhere = Principal("ann", "null", frozenset(Right), "t")
    refused(world, call, nowhere, errors.NotFound)


def test_every_operation_of_the_library_that_takes_a_principal_is_here() -> None:
    from inspect import isfunction, signature

    taking = {
        name
        for name in pfa_core.__all__
        if isfunction(thing := getattr(pfa_core, name))
        and "principal" in signature(thing).parameters
    }
    assert taking == set(NEEDS)
