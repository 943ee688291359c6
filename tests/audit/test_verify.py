"""The audit trail's chain: whatever is done to the tables behind the program's back is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import pfa_core
from pfa_core import Change, Selection, errors
from pfa_core.audit.verify import LogReport
from pfa_core.model.audit import Action
from pfa_core.model.ids import new_id
from pfa_core.store import audit, rls
from tests import citus
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.together import together
from tests.processes import started
from tests.worlds import built_once

REPOSITORY = Path(__file__).resolve().parents[2]
SAVED = "(SELECT link_id FROM audit_log WHERE action = 'save' LIMIT 1)"
ADDED = (
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id)"
    " SELECT 'ORG', gen_random_uuid(), now(), 'eve', 'grant', {}"
)


@built_once
def world(url: str) -> World:
    """Seven links: organization made without one, begin, pull, save of two, commit, save, discard, grant."""
    world = a_world(url, record("P-1"), record("P-2"), users={"ann": "admin"})
    ann = world.principal()
    changes = [Change("P-1", {"model": "A"}, "why"), Change("P-2", {"model": "B"})]
    pfa_core.save(world.db, ann, changes, session_id="s")
    commit(world.db, ann)
    draft(world.db, ann, "P-1", session="t", dor="BEO")
    pfa_core.discard(world.db, ann, Selection(session_id="t"))
    pfa_core.grant(world.db, ann, "carl", "viewer")
    return world


def verified(world: World, anchor: str | None = None) -> LogReport:
    return pfa_core.verify_log(world.db, world.principal(), anchor=anchor)


def kinds(world: World, anchor: str | None = None) -> list[tuple[str, int | None]]:
    return [(flaw.kind, flaw.number) for flaw in verified(world, anchor).flaws]


def test_a_trail_that_nobody_touched_is_whole_with_a_link_for_each_transaction(world: World):
    report = verified(world)
    assert (report.whole, report.links, report.entries, report.flaws) == (True, 7, 9, [])
    assert report.anchor.startswith("7:")
    assert world.rows("SELECT number, entry_count FROM audit_link ORDER BY number") == [
        (1, 1), (2, 1), (3, 2), (4, 2), (5, 1), (6, 1), (7, 1)
    ]  # fmt: skip


def test_an_empty_trail_is_whole(database_url: str):
    world = a_world(database_url)
    assert (verified(world).whole, verified(world).anchor) == (True, "0:")
    assert verified(world, "0:").whole


@pytest.mark.parametrize(
    "assignment",
    [
        "at = (at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'",
        "user_id = 'eve'",
        "action = 'discard'",
        "pfa_id = 'P-3'",
        "modification_id = '00000000-0000-4000-8000-0000000000a1'",
        "session_id = 'x'",
        "run_id = '00000000-0000-4000-8000-0000000000a1'",
        "before = '{}'",
        "before = 'null'",
        """after = '{"model": "a"}'""",
        "reason = 'another'",
        "reason = ''",
        "entry_id = '00000000-0000-4000-8000-0000000000a1'",
    ],
)
def test_an_altered_entry_is_found_whatever_the_column(world: World, assignment: str):
    where = "action = 'save' AND pfa_id = 'P-2'"
    assert world.execute(f"UPDATE audit_log SET {assignment} WHERE {where}") == 1
    assert kinds(world) == [("entries_altered", 3)]


def test_an_entry_that_is_made_a_restoring_one_is_found(world: World):
    world.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_restores_check")
    world.execute("UPDATE audit_log SET restores = entry_id WHERE action = 'grant'")
    assert kinds(world) == [("entries_altered", 7)]


# In the words that the program uses the reason stands for the column, in others the column is digested too.
@pytest.mark.parametrize("words", ["restores entry {}", "{} again", None])
@pytest.mark.parametrize("value", ["NULL", "'00000000-0000-4000-8000-0000000000a1'"])
def test_what_an_entry_restored_cannot_be_altered_unseen(
    world: World, words: str | None, value: str
):
    entry_id, restored = str(new_id()), str(new_id())
    reason = words and words.format(restored)
    entry = audit.Entry(entry_id, "P-1", reason=reason, restores=restored)

    def write(conn: Connection[Any]) -> None:
        if rls.applies(conn):
            rls.authorize(conn, world.principal(), "save_draft")
        audit.write(conn, "ORG", "ann", Action.RESTORE, world.db.clock(), entries=[entry])

    world.db.transact(write)
    assert verified(world).whole
    world.execute(f"UPDATE audit_log SET restores = {value} WHERE entry_id = %s", entry_id)
    assert kinds(world) == [("entries_altered", 8)]


@pytest.mark.parametrize(
    "value", ["NULL", "'{}'", 'base || \'{"model": "other"}\'', "'null'::jsonb"]
)
def test_what_a_discarded_draft_was_made_over_cannot_be_altered_unseen(world: World, value: str):
    altered = f"UPDATE audit_log SET base = {value} WHERE base IS NOT NULL"
    assert world.execute(altered) > 0
    assert {kind for kind, _ in kinds(world)} == {"entries_altered"}


def test_a_base_that_is_added_to_an_entry_is_found(world: World):
    world.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_base_check")
    world.execute("UPDATE audit_log SET base = '{}' WHERE action = 'grant'")
    assert kinds(world) == [("entries_altered", 7)]


@pytest.mark.parametrize("value", ["NULL", "'{}'", "was || '{\"version\": 9}'", "'null'::jsonb"])
def test_what_a_discarded_draft_was_cannot_be_altered_unseen(world: World, value: str):
    altered = f"UPDATE audit_log SET was = {value} WHERE action = 'discard'"
    assert world.execute(altered) > 0
    assert {kind for kind, _ in kinds(world)} == {"entries_altered"}


def test_what_was_that_is_added_to_an_entry_is_found(world: World):
    world.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_was_check")
    world.execute("UPDATE audit_log SET was = '{}' WHERE action = 'grant'")
    assert kinds(world) == [("entries_altered", 7)]


def test_a_restored_entry_verifies(world: World):
    pfa_core.restore(world.db, world.principal(), session_id="t")
    assert (verified(world).whole, verified(world).links) == (True, 8)


def test_every_column_of_an_entry_is_under_test_here_or_below(world: World):
    names = world.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'audit_log'::regclass AND attnum > 0"
    )
    assert {name for (name,) in names} == {
        "organization_id", "entry_id", "at", "user_id", "action", "pfa_id", "modification_id",
        "session_id", "run_id", "before", "after", "reason", "link_id", "restores", "base", "was",
    }  # fmt: skip


@pytest.mark.variants(8)
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM audit_log WHERE action = 'save' AND pfa_id = 'P-2'", [("entries_missing", 3)]),
        ("DELETE FROM audit_log WHERE action = 'grant'", [("entries_missing", 7)]),
        (ADDED.format(SAVED), [("entries_added", 3)]),
        (ADDED.format("gen_random_uuid()"), [("entry_unlinked", None)]),
        pytest.param("UPDATE audit_log SET organization_id = 'ELSE' WHERE action = 'grant'",
                     [("entries_missing", 7)], marks=citus.of_one_machine),
        (f"UPDATE audit_log SET link_id = {SAVED} WHERE action = 'grant'",
         [("entries_added", 3), ("entries_missing", 7)]),
        ("UPDATE audit_log SET link_id = '00000000-0000-4000-8000-0000000000b1' WHERE action = 'grant'",
         [("entries_missing", 7), ("entry_unlinked", None)]),
        ("UPDATE audit_log AS a SET user_id = 'eve', reason = b.reason FROM audit_log AS b"
         " WHERE a.organization_id = b.organization_id AND a.action = 'discard' AND b.action = 'grant'",
         [("entries_altered", 6)]),
        ("DELETE FROM audit_link WHERE number = 1",
         [("links_missing", 1), ("entry_unlinked", None)]),
        ("DELETE FROM audit_link WHERE number = 6",
         [("links_missing", 6), ("entry_unlinked", None)]),
        ("DELETE FROM audit_link WHERE number = 7",
         [("links_missing", 7), ("entry_unlinked", None)]),
        ("UPDATE audit_link SET at = (at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'"
            " WHERE number = 2",
         [("link_altered", 2)]),
        ("UPDATE audit_link SET digest = sha256('x') WHERE number = 2",
         [("link_altered", 2), ("link_altered", 3)]),
        ("UPDATE audit_link SET digest = sha256('x') WHERE number = 7",
         [("link_altered", 7), ("end_altered", 7)]),
        ("UPDATE audit_link SET content = sha256('x') WHERE number = 2",
         [("entries_altered", 2), ("link_altered", 2)]),
        ("UPDATE audit_link SET number = CASE number WHEN 10 THEN 2 ELSE number END"
         " WHERE number = 0", []),
        ("UPDATE audit_head SET number = 6", [("end_altered", 7)]),
        ("DELETE FROM audit_head", [("end_altered", 7)]),
        ("UPDATE audit_head SET digest = sha256('x')", [("end_altered", 7)]),
    ],
    ids=range(19),
)  # fmt: skip
def test_what_is_removed_added_or_changed_is_found_at_its_link(
    world: World, statement: str, found: list[tuple[str, int | None]]
):
    world.execute(statement)
    assert kinds(world) == found
    assert verified(world).whole is (not found)


def test_two_links_that_change_places_are_found(world: World):
    for number, other in ((5, 100), (6, 5), (100, 6)):
        world.execute("UPDATE audit_link SET number = %s WHERE number = %s", other, number)
    assert [number for _, number in kinds(world)] == [5, 6, 7]


def test_a_whole_transaction_taken_out_is_found(world: World):
    world.execute(
        "DELETE FROM audit_log WHERE link_id = (SELECT link_id FROM audit_link WHERE number = 4)"
    )
    world.execute("DELETE FROM audit_link WHERE number = 4")
    assert kinds(world) == [("links_missing", 4)]


def cut_off(world: World, last: int) -> None:
    """Take the chain's end away, with all that tells of it."""
    world.execute(
        "DELETE FROM audit_log WHERE organization_id = 'ORG' AND link_id IN"
        " (SELECT link_id FROM audit_link WHERE organization_id = 'ORG' AND number > %s)",
        last,
    )
    world.execute("DELETE FROM audit_link WHERE number > %s", last)
    world.execute(
        "UPDATE audit_head SET number = %s, digest = (SELECT digest FROM audit_link"
        " WHERE organization_id = 'ORG' AND number = %s) WHERE organization_id = 'ORG'",
        last, last,
    )  # fmt: skip


def test_a_chain_cut_off_with_all_traces_is_found_by_an_anchor_alone(world: World):
    before, middle = verified(world).anchor, "5:" + digest(world, 5)
    cut_off(world, 5)
    assert verified(world).whole
    assert kinds(world, before) == [("anchor", 7)]
    assert verified(world, middle).whole
    draft(world.db, world.principal(), "P-2", session="n", model="N")
    draft(world.db, world.principal(), "P-2", session="n", model="M")
    assert verified(world).whole
    assert kinds(world, before) == [("anchor", 7)]
    assert verified(world, middle).whole


def digest(world: World, number: int) -> str:
    ((found,),) = world.rows("SELECT digest FROM audit_link WHERE number = %s", number)
    return found.hex()


@pytest.mark.parametrize(
    "anchor", ["", "7", "7:", "7:xyz", "-1:" + "0" * 64, "0:" + "0" * 64, "a:b"]
)
def test_what_is_no_anchor_is_refused(world: World, anchor: str):
    with pytest.raises(errors.InvalidRequest):
        verified(world, anchor)


def test_organizations_have_chains_of_their_own(world: World):
    there = a_world(world.url, record("X-1"), organization="THERE")
    world.execute("DELETE FROM audit_log WHERE action = 'grant'")
    assert (verified(there).whole, verified(there).links) == (True, 2)
    assert not verified(world).whole


def test_flaws_past_a_thousand_are_counted_only(world: World):
    world.execute(ADDED.format("gen_random_uuid() FROM generate_series(1, 1200)"))
    report = verified(world)
    assert (len(report.flaws), report.flaw_count) == (1000, 1200)


def test_a_dry_run_and_a_refused_write_leave_no_link(world: World):
    pfa_core.grant(world.db, world.principal(), "dora", "viewer", dry_run=True)
    with pytest.raises(errors.InvalidData):
        draft(world.db, world.principal(), dor="HQ")
    assert (verified(world).whole, verified(world).links) == (True, 7)


def test_what_is_rolled_back_to_a_savepoint_makes_no_link(world: World):
    def work(conn: psycopg.Connection) -> None:
        with conn.transaction() as inner:
            entry = audit.Entry(str(world.db.new_id()))
            audit.write(conn, "ORG", "ann", "save", world.db.clock(), entries=[entry])
            raise psycopg.Rollback(inner)

    world.db.transact(work)
    assert (verified(world).whole, verified(world).links) == (True, 7)


@pytest.mark.parametrize(
    "kept", [(True,), (True, True), (False, True), (True, False), (False, True, True)]
)
def test_entries_written_one_by_one_are_all_in_the_link(world: World, kept: tuple[bool, ...]):
    ids = [str(world.db.new_id()) for _ in kept]

    def work(conn) -> None:
        for entry_id, stays in zip(ids, kept, strict=True):
            with conn.transaction(force_rollback=not stays):
                at = world.db.clock()
                audit.write(conn, "ORG", "ann", "grant", at, entries=[audit.Entry(entry_id)])

    world.owner.transact(work)
    assert verified(world).whole
    assert world.rows("SELECT entry_count FROM audit_link ORDER BY number DESC LIMIT 1") == [
        (sum(kept),)
    ]


def test_entries_outside_of_our_transactions_are_refused(world: World):
    entry = audit.Entry(str(world.db.new_id()))
    with psycopg.connect(world.url) as conn, pytest.raises(errors.Internal):
        audit.write(conn, "ORG", "ann", "save", world.db.clock(), entries=[entry])


def test_one_transaction_may_write_for_several_organizations(world: World):
    there = a_world(world.url, record("X-1"), organization="THERE")

    def work(conn: psycopg.Connection) -> None:
        for code in ("THERE", "ORG", "THERE"):
            entry = audit.Entry(str(world.db.new_id()))
            audit.write(conn, code, "ann", "save", world.db.clock(), entries=[entry])

    world.db.transact(work)
    assert (verified(world).links, verified(there).links) == (8, 3)
    assert verified(world).whole
    assert verified(there).whole


@pytest.mark.slow
def test_many_writers_at_once_make_one_chain_without_a_gap(database_url: str):
    users = {"ann": "admin"} | {f"u{n}": "editor" for n in range(6)}
    world = a_world(database_url, *[record(f"P-{n}") for n in range(6)], users=users)
    there = a_world(database_url, record("X-1"), organization="THERE", users=users)

    def writer(user: str, home: World, pfa_id: str):
        def work() -> None:
            with home.db.beside() as own:
                for number in range(6):
                    draft(own, home.principal(user), pfa_id, session="s", model=f"M{number}")

        return work

    before = verified(world).links
    answers = together(
        *(writer(f"u{number}", world, f"P-{number}") for number in range(6)),
        *(writer(user, there, "X-1") for user in ("u0", "u1")),
    )
    assert answers == [None] * 8
    assert (verified(world).links, verified(there).links) == (before + 36, before + 12)
    assert verified(world).whole
    assert verified(there).whole


WRITER = """
import sys
from tests.factories import a_principal, draft
from pfa_core import Database

with Database(sys.argv[1]) as db:
    for number in range(100_000):
        draft(db, a_principal(), "P-1", session="k", model=f"M{number}")
        print(number, flush=True)
"""


@pytest.mark.long
def test_writers_killed_at_any_moment_leave_the_chain_whole(world: World):
    for stated in (1, 2, 3):
        argv = [sys.executable, "-c", WRITER, str(world.db.conninfo)]
        with started(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
            for _ in range(stated * 3):
                assert child.stdout
                assert child.stdout.readline()
            child.kill()
            child.wait(10)
        assert verified(world).whole
    draft(world.db, world.principal(), "P-2", session="k", model="after")
    assert verified(world).whole
