"""The audit trail read: filters, following, who was refused, what runs leave."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest

import pfa_core
from pfa_core import Change, LogFilter, Principal, Query, Right, Selection, errors
from pfa_core.model.ids import new_id
from pfa_core.store import audit, members
from tests.factories import World, a_principal, a_world, commit, draft, record
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    users = {"ann": "admin", "bob": "editor", "vera": "viewer"}
    world = a_world(url, record("P-1"), record("P-2"), users=users)
    draft(world.db, world.principal("ann"), "P-1", session="a", reason="Weather", model="A")
    draft(world.db, world.principal("bob"), "P-2", session="b", model="B")
    commit(world.db, world.principal("bob"), session="b")
    return world


def actions(world: World, user: str = "ann", **filters: Any) -> list[tuple[str, str]]:
    entries = pfa_core.list_log(world.db, world.principal(user), LogFilter(**filters))
    return [(entry.action, entry.user_id) for entry in entries]


# --- filters ------------------------------------------------------------------------------------


def test_filters_narrow_and_go_together(world: World) -> None:
    assert actions(world, user_id="bob") == [("commit", "bob"), ("save", "bob")]
    assert actions(world, user_id="bob", actions=("save", "grant")) == [("save", "bob")]
    assert actions(world, pfa_id="P-1") == [("save", "ann")]
    assert actions(world, session_id="b", user_id="ann") == []
    run = pfa_core.list_runs(world.db, world.principal())[0]
    assert actions(world, run_id=run.run_id.upper()) == [("pull", "ann"), ("begin", "ann")]


def test_a_time_is_from_since_on_and_before_until(world: World) -> None:
    at = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0].at
    assert ("save", "ann") in actions(world, since=at)
    assert ("save", "ann") not in actions(world, until=at)
    later = at + timedelta(microseconds=1)
    assert actions(world, since=at, until=later) == [("save", "ann")]
    assert actions(world, since=at.replace(tzinfo=None), until=later) == [("save", "ann")]
    assert actions(world, until=datetime(2000, 1, 1, tzinfo=UTC)) == []


def test_the_entries_of_others_are_refused_to_who_manages_no_users(world: World) -> None:
    assert actions(world, "bob", user_id="bob") == actions(world, "bob")
    with pytest.raises(errors.PermissionDenied):
        actions(world, "bob", user_id="ann")


def test_what_is_no_run_is_not_found(world: World) -> None:
    with pytest.raises(errors.NotFound):
        actions(world, run_id="yesterday's")


def test_a_handle_whose_ids_only_count_writes_each_entry_under_an_id_of_its_own(
    world: World,
) -> None:
    numbers = count(10**6)
    world.db.new_id = lambda: UUID(int=next(numbers))
    for step in ("A", "B"):
        changes = [Change(pfa_id, {"model": step}) for pfa_id in ("P-1", "P-2")]
        pfa_core.save(world.db, world.principal(), changes, session_id="s", move=True)
        commit(world.db, world.principal())
    assert pfa_core.verify_log(world.db, world.principal()).whole


def test_an_action_that_there_is_not_is_refused_with_the_nearest(world: World) -> None:
    with pytest.raises(errors.InvalidRequest, match="unknown action: 'comit'; did you mean commit"):
        actions(world, actions=("save", "comit"))
    with pytest.raises(errors.InvalidRequest, match=r"unknown action: 'xyz'$") as no:
        actions(world, actions=("xyz",))
    assert "token_issue" in no.value.hint


@pytest.mark.parametrize("what", [{"user_id": "a\0"}, {"actions": ("\ud800",)}])
def test_a_text_that_no_database_holds_is_refused(world: World, what: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        actions(world, **what)


# --- following ----------------------------------------------------------------------------------


class Steps:
    """What happens whenever everything is shown; the end after the last."""

    def __init__(self, *steps: Any) -> None:
        self.left = list(steps)

    def __call__(self) -> bool:
        if not self.left:
            return False
        self.left.pop(0)()
        return True


def followed(world: World, *steps: Any, history: int = 10, **filters: Any) -> list[Any]:
    entries = pfa_core.follow_log(
        world.db, world.principal(), LogFilter(**filters), history=history, wait=Steps(*steps)
    )
    return [(entry.action, entry.pfa_id) for entry in entries]


def test_the_last_entries_come_first_then_each_new_one_once(world: World) -> None:
    ann = world.principal()
    assert followed(
        world,
        lambda: draft(world.db, ann, "P-2", session="a", model="X"),
        lambda: None,
        lambda: pfa_core.discard(world.db, ann, Selection(session_id="a")),
        history=2,
    ) == [
        ("save", "P-2"),
        ("commit", "P-2"),
        ("save", "P-2"),
        ("discard", "P-1"),
        ("discard", "P-2"),
    ]


def test_following_takes_the_filters_too(world: World) -> None:
    ann = world.principal()
    step = [lambda n=n: draft(world.db, ann, "P-1", session="a", model=f"M{n}") for n in range(3)]
    assert followed(world, *step, history=0, pfa_id="P-2") == []
    assert followed(world, *step, history=0, actions=("save",)) == [("save", "P-1")] * 3


def test_more_entries_than_are_read_at_once_all_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfa_core.audit.log.FOLLOWED_AT_ONCE", 2)
    world.pull([record(f"P-{n}") for n in range(1, 8)])
    changes = [pfa_core.Change(f"P-{n}", {"model": "Z"}) for n in range(2, 8)]
    step = [
        lambda: pfa_core.save(world.db, world.principal(), changes, session_id="z"),
        lambda: None,
    ]
    assert followed(world, *step, history=0) == [("save", f"P-{n}") for n in range(2, 8)]


def test_an_entry_whose_transaction_ends_late_is_not_lost(world: World) -> None:
    """Its id is older than those of entries that were shown before it was there."""
    wrote, go_on = threading.Event(), threading.Event()

    def slow(conn: psycopg.Connection) -> None:
        entry = audit.Entry(str(new_id()), "slow")
        audit.write(conn, "ORG", "ann", "save", world.db.clock(), entries=[entry])
        wrote.set()
        assert go_on.wait(20)

    with pfa_core.Database(world.url) as other:
        thread = threading.Thread(target=other.transact, args=(slow,))

        def begin() -> None:
            thread.start()
            assert wrote.wait(20)
            draft(world.db, world.principal(), "P-1", session="a", model="fast")

        def end() -> None:
            go_on.set()
            thread.join(20)

        found = followed(world, begin, lambda: None, end, lambda: None, history=0)
    assert found == [("save", "P-1"), ("save", "slow")]


# --- who was refused ----------------------------------------------------------------------------


def denials(world: World) -> list[tuple[str, dict[str, Any], str | None]]:
    wanted = LogFilter(actions=("permission_denied", "sync_skipped"))
    entries = pfa_core.list_log(world.db, world.principal(), wanted)
    return [(entry.user_id, entry.after, entry.reason) for entry in entries]


def asked(operation: str, permission: str) -> dict[str, Any]:
    return {"operation": operation, "permission": permission, "success": False}


def refused(world: World, call: Any) -> None:
    with pytest.raises(errors.NotAllowed):
        call()
    assert pfa_core.verify_log(world.db, world.principal()).whole


def test_a_denial_says_who_wanted_what_and_why_not(world: World) -> None:
    vera = world.principal("vera")
    refused(world, lambda: draft(world.db, vera, model="V"))
    refused(world, lambda: draft(world.db, replace(vera, rights=frozenset(Right)), model="V"))
    refused(world, lambda: pfa_core.list_records(world.db, a_principal("mallory"), Query()))
    refused(world, lambda: list(pfa_core.stream_records(world.db, a_principal("eve"), Query())))
    narrow = replace(world.principal(), rights=frozenset((Right.READ,)))
    refused(world, lambda: pfa_core.grant(world.db, narrow, "carl", "viewer", dry_run=True))
    assert denials(world) == [
        ("ann", asked("grant", "manage_users"), "ann lacks the right manage_users in ORG"),
        ("eve", asked("stream_records", "read"), "eve is not a member of ORG"),
        ("mallory", asked("list_records", "read"), "mallory is not a member of ORG"),
        ("vera", asked("save", "save_draft"), "vera lacks the right save_draft in ORG"),
        ("vera", asked("save", "save_draft"), "vera lacks the right save_draft in ORG"),
    ]


def test_an_organization_that_is_not_there_gets_no_entry(world: World) -> None:
    nowhere = Principal(
        user_id="ann", organization_id="NOWHERE", rights=frozenset(Right), token_id="t"
    )
    with pytest.raises(errors.NotFound):
        pfa_core.list_records(world.db, nowhere, Query())
    assert world.rows("SELECT count(*) FROM audit_log WHERE organization_id = 'NOWHERE'") == [(0,)]


def test_a_stranger_who_begins_an_organization_anew_is_written_down(world: World) -> None:
    with pytest.raises(errors.Forbidden):
        pfa_core.initialize(world.db, pfa_core.resolve(), "ORG", user_id="mallory")
    assert denials(world)[0][:2] == (
        "mallory",
        asked("initialize", "read, manage_settings"),
    )


def test_a_run_of_a_suspended_organization_is_written_down_as_skipped(world: World) -> None:
    world.execute("UPDATE pfa_organization SET status = 'suspended'")
    refused(world, lambda: world.pull([record("P-1")]))
    assert denials(world) == [
        (
            "ann",
            asked("pull_files", "import, view_financials"),
            "the organization ORG is suspended: nothing is exchanged",
        )
    ]


def test_who_is_refused_in_a_loop_does_not_fill_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfa_core.store.audit._DENIALS", 3)
    monkeypatch.setattr("pfa_core.store.audit._ALL_DENIALS", 5)
    for user in ("mallory", "eve", "oscar"):
        for _ in range(4):
            refused(world, lambda name=user: pfa_core.status(world.db, a_principal(name)))
    found = denials(world)
    assert [user for user, _, _ in found] == ["eve", "eve", "mallory", "mallory", "mallory"]
    stated = "further denials within this hour are not recorded"
    assert [stated in (reason or "") for _, _, reason in found] == [True, False, True, False, False]
    world.execute(
        "UPDATE audit_log SET at = (at AT TIME ZONE 'UTC' - interval '1 hour') AT TIME ZONE 'UTC'"
        " WHERE action = 'permission_denied'"
    )
    with pytest.raises(errors.Forbidden):
        pfa_core.status(world.db, a_principal("eve"))
    assert len(denials(world)) == 6


@pytest.mark.parametrize("user", ["x" * 100_000, "nul\0"])
def test_a_refusal_stays_that_refusal_whatever_the_user_is_called(world: World, user: str) -> None:
    principal = a_principal(user)
    before = denials(world)
    with pytest.raises(errors.PfaError) as stated:
        pfa_core.status(world.db, principal)
    if isinstance(stated.value, errors.NotAllowed):
        assert all(len(name) <= 200 for name, _, _ in denials(world))
    else:
        assert denials(world) == before


def test_a_denial_that_cannot_be_written_stays_the_denial(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(world.url)["dbname"]
    world.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    world.execute(
        "ALTER TABLE audit_log ADD CONSTRAINT never CHECK (action <> 'permission_denied')"
    )
    with pytest.raises(errors.Forbidden):
        pfa_core.status(world.db, a_principal("mallory"))
    assert "a denial could not be recorded" in caplog.text


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_that_fails_leaves_its_beginning_and_its_end(world: World, tmp_path: Any) -> None:
    path = tmp_path / "in.json"
    path.write_text("{")
    with pytest.raises(errors.InvalidData) as stated:
        pfa_core.pull_files(world.db, world.principal(), [str(path)])
    end, begin = pfa_core.list_log(world.db, world.principal())[:2]
    assert (begin.action, begin.after["direction"], begin.reason) == ("begin", "pull", "in.json")
    assert (end.action, end.after["status"], end.reason) == ("pull", "failed", stated.value.message)
    assert begin.run_id == end.run_id is not None


def test_a_run_that_was_killed_is_ended_in_the_trail_by_the_next(world: World) -> None:
    dead = str(new_id())
    world.execute(
        "INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id,"
        " started_at) VALUES ('ORG', %s, 'pull', 'x', 'running', 'bob', now())",
        dead,
    )
    world.pull([record("P-1")])
    assert actions(world, run_id=dead) == [("pull", "ann")]


def test_members_are_not_needed_to_write_a_denial(world: World) -> None:
    ann = world.principal()
    world.db.transact(lambda conn: members.delete_member(conn, "ORG", "bob"))
    with pytest.raises(errors.Forbidden):
        pfa_core.status(world.db, world.principal("bob"))
    assert denials(world)[0][0] == "bob"
    assert pfa_core.verify_log(world.db, ann).whole
