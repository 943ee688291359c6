"""What a member had under way when their membership ends: kept as drafts, audited, and not sent."""

from __future__ import annotations

import pytest

import pfa_core
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import a_pems_beside, owned

RECORDS = [record("P-1", model="M1", manufacturer="F1"), record("P-2", model="M2"), record("P-3")]


@pytest.fixture
def world(database_url):
    users = {"ann": "admin", "ben": "editor", "eve": "editor"}
    made = a_world(database_url, *owned(RECORDS), users=users)
    ben, eve = made.principal("ben"), made.principal("eve")
    draft(made.db, ben, "P-1", session="one", model="ONE", manufacturer="FB")
    commit(made.db, ben, session="one")
    draft(made.db, ben, "P-1", session="two", model="TWO")
    commit(made.db, ben, session="two")
    draft(made.db, ben, "P-2", session="one", model="B2")
    commit(made.db, ben, session="one")
    draft(made.db, ben, "P-2", session="new", model="DRAFT")
    draft(made.db, ben, "P-3", session="new", model="B3")
    draft(made.db, eve, "P-1", session="eve", category="E")
    commit(made.db, eve, session="eve")
    yield made
    made.db.close()


def changes(world: World, user: str = "ben") -> list[tuple]:
    return world.rows(
        "SELECT pfa_id, state, delta ->> 'model', delta ->> 'manufacturer', base ->> 'model'"
        " FROM pfa_modification WHERE user_id = %s ORDER BY 1, 2",
        user,
    )


DRAFTS = [
    ("P-1", "draft", "TWO", "FB", "M1"),
    ("P-2", "draft", "DRAFT", None, "M2"),
    ("P-3", "draft", "B3", None, record("P-3")["model"]),
]


def test_what_waits_of_a_member_who_leaves_is_a_draft_again_and_only_others_changes_are_sent(world):
    with a_pems_beside(world, *RECORDS) as far:
        before = world.merged("ben")
        pfa_core.revoke(world.db, world.principal("ann"), "ben")
        assert changes(world) == DRAFTS
        assert [state for _, state, *_ in changes(world, "eve")] == ["committed"]
        assert world.merged("ben") == before
        assert far.push().synced == 1
        assert changes(world) == DRAFTS
    assert pfa_core.verify_database(world.db, world.principal("ann")).clean


def test_the_trail_says_who_withdrew_the_changes_of_which_records(world):
    pfa_core.revoke(world.db, world.principal("ann"), "ben")
    (entry,) = [
        entry
        for entry in pfa_core.list_log(world.db, world.principal("ann"))
        if entry.action == "revoke"
    ]
    assert entry.user_id == "ann"
    assert entry.before == {
        "user": "ben",
        "role": "editor",
        "withdrawn": 2,
        "records": ["P-1", "P-2"],
    }
    assert pfa_core.verify_log(world.db, world.principal("ann")).whole


def test_a_member_who_comes_back_commits_them_again(world):
    ann, ben = world.principal("ann"), world.principal("ben")
    pfa_core.revoke(world.db, ann, "ben")
    pfa_core.grant(world.db, ann, "ben", "editor")
    world.execute("UPDATE pfa_member SET tokens_since = NULL")  # as for a token that is issued now
    for session in ("two", "new"):
        assert commit(world.db, ben, session=session).committed
    with a_pems_beside(world, *RECORDS) as far:
        assert far.push().synced == 4
        assert far.pems.record("P-1").data["model"] == "TWO"
        assert far.pems.record("P-1").data["manufacturer"] == "FB"


def test_a_preview_withdraws_nothing(world):
    before = changes(world)
    pfa_core.revoke(world.db, world.principal("ann"), "ben", dry_run=True)
    assert changes(world) == before


def test_what_may_have_been_sent_is_left_to_the_push(world):
    world.execute("UPDATE pfa_modification SET sent_version = '1' WHERE delta ->> 'model' = 'ONE'")
    pfa_core.revoke(world.db, world.principal("ann"), "ben")
    assert changes(world)[:2] == [
        ("P-1", "committed", "ONE", "FB", "M1"),
        ("P-1", "draft", "TWO", None, "M1"),
    ]
