"""One bad row is one bad row: what an owner's hand left in a table stops no command of others.

Each test drops the checks of a table, as a restored dump of an older program has none, and spoils one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

import pfa_core
from pfa_cli.render.audit import change_text
from pfa_cli.render.conflicts import conflict_rows
from pfa_cli.render.runs import run_counts
from pfa_core import Query
from pfa_core.admin.metrics import exposition
from pfa_core.exact_json import dumps
from tests.factories import World, a_world, commit, draft, record
from tests.forms import long
from tests.pems_server import a_pems_beside, owned

DEEP = "'" + "[" * 5000 + "]" * 5000 + "'"
LONG = "'" + "9" * 5000 + "'"
ODD_TIMES = ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"]
ODD_OBJECTS = ["'5'", "'[1, 2]'", "'\"text\"'", DEEP, LONG, "'{\"a\": 1e131000}'",
               "('{\"a\": ' || " + DEEP + " || '}')", "('{\"a\": ' || " + LONG + " || '}')"]  # fmt: skip


@pytest.fixture
def world(database_url) -> Iterator[World]:
    users = {"ann": "admin", "ben": "editor", "vic": "viewer"}
    made = a_world(database_url, record("P-1"), record("P-2"), record("P-3"), users=users)
    yield made
    made.db.close()


@pytest.fixture
def owner(database_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def spoil(owner: psycopg.Connection, table: str, change: str) -> None:
    """Drop the table's checks, and run the owner's statement."""
    found = owner.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table]
    ).fetchall()
    for (name,) in found:
        owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    assert owner.execute(change).rowcount == 1


@pytest.mark.variants(1)
@pytest.mark.parametrize("at", ODD_TIMES)
def test_a_time_that_python_cannot_hold_ends_no_list(world, owner, at):
    draft(world.db, world.principal("ben"), "P-1", model="B")
    draft(world.db, world.principal("ben"), "P-2", model="C")
    spoil(owner, "audit_log", f"UPDATE audit_log SET at = '{at}' WHERE pfa_id = 'P-1'")
    found = pfa_core.list_log(world.db, world.principal("ann"))
    assert {entry.pfa_id for entry in found} >= {"P-1", "P-2"}
    assert all(entry.at.isoformat() and entry.at - timedelta(days=1) for entry in found)


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "value", [*ODD_OBJECTS[::3], *long(each for n, each in enumerate(ODD_OBJECTS) if n % 3)]
)
@pytest.mark.parametrize("user", ["ann", "vic"])
def test_whatever_an_entry_keeps_of_a_change_the_others_are_shown(world, owner, value, user):
    """The viewer sees no money, and their own entries."""
    draft(world.db, world.principal("ben"), "P-1", model="B")
    draft(world.db, world.principal("ben"), "P-2", model="C")
    name = "vic" if user == "vic" else "ben"
    spoil(
        owner,
        "audit_log",
        f"UPDATE audit_log SET user_id = '{name}', after = ({value})::jsonb WHERE pfa_id = 'P-1'",
    )
    found = pfa_core.list_log(world.db, world.principal(user))
    texts = [change_text(entry) for entry in found if entry.pfa_id]
    assert len(texts) == (2 if user == "ann" else 1)
    assert any("model=C" in text for text in texts) is (user == "ann")
    assert [dumps(entry.after) for entry in found]


DELTAS = {
    "deep": "jsonb_build_object('model', " + DEEP + "::jsonb)",
    "long": "jsonb_build_object('monthlyRate', " + LONG + "::jsonb)",
    "wrong type": '\'{"monthlyRate": "abc"}\'::jsonb',
    "unknown field": "'{\"x\": 1}'::jsonb",
    "choice": '\'{"source": "Zzz"}\'::jsonb',
}


def spoil_change(owner: psycopg.Connection, table: str, delta: str) -> None:
    spoil(owner, table, f"UPDATE {table} SET delta = {DELTAS[delta]} WHERE pfa_id = 'P-1'")


@pytest.mark.variants(1)
@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("table", ["pfa_modification", "pfa_overlay"])
def test_a_draft_that_is_none_stops_no_pull(world, owner, delta, table):
    draft(world.db, world.principal("ben"), "P-1", model="B")
    draft(world.db, world.principal("ben"), "P-2", model="C")
    spoil_change(owner, "pfa_modification", delta)
    if table == "pfa_overlay":
        spoil_change(owner, "pfa_overlay", delta)
    fresh = [record("P-1", manufacturer="new"), record("P-2", manufacturer="new"), record("P-3")]
    assert world.pull(fresh).updated == 2
    assert world.rows("SELECT data ->> 'manufacturer' FROM pfa_mirror WHERE pfa_id < 'P-3'") == [
        ("new",),
        ("new",),
    ]
    for user in world.users:
        page = pfa_core.list_records(world.db, world.principal(user), Query())
        assert len(page.records) == 3


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "value", [*ODD_OBJECTS[::3], *long(each for n, each in enumerate(ODD_OBJECTS) if n % 3)]
)
def test_the_counts_of_a_run_that_are_none_end_no_list_of_runs(world, owner, value):
    spoil(owner, "pfa_sync_log", f"UPDATE pfa_sync_log SET counts = ({value})::jsonb")
    found = pfa_core.list_runs(world.db, world.principal("vic"))
    assert [run_counts(run) for run in found]
    assert pfa_core.show_run(world.db, world.principal("vic"), found[0].run_id).run == found[0]
    assert "pfa_runs_total" in exposition(pfa_core.collect(world.db, world.principal("ann")))


@pytest.mark.variants(1)
@pytest.mark.parametrize("at", ODD_TIMES)
def test_a_run_at_an_odd_time_ends_neither_list_nor_metrics(world, owner, at):
    spoil(
        owner, "pfa_sync_log", f"UPDATE pfa_sync_log SET started_at = '{at}', finished_at = '{at}'"
    )
    assert pfa_core.list_runs(world.db, world.principal("vic"))
    assert exposition(pfa_core.collect(world.db, world.principal("ann")))
    assert pfa_core.status(world.db, world.principal("vic"))


@pytest.mark.parametrize("column", ["issued_at", "expires_at"])
@pytest.mark.parametrize("at", ["infinity", *long(ODD_TIMES[1:])])
def test_a_token_at_an_odd_time_keeps_none_from_being_listed_and_revoked(world, owner, at, column):
    times = {"issued_at": "now()", "expires_at": "now() + interval '1 day'", column: f"'{at}'"}
    insert = (
        "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed,"
        " organizations, key_id, issued_at, issued_by, expires_at) VALUES ('ORG', 'poison', 'vic', 'user',"
        f" 'viewer', '{{}}', false, '{{ORG}}', 'k', {times['issued_at']}, 'x', {times['expires_at']})"
    )
    spoil(owner, "pfa_token", insert)
    ann = world.principal("ann")
    listed = pfa_core.list_tokens(world.db, ann, ended=True)
    assert "poison" in {row.token_id for row in listed}
    pfa_core.revoke_tokens(world.db, ann, everyone=True)
    revoked = "SELECT bool_and(revoked_at IS NOT NULL) FROM pfa_token WHERE expires_at > now()"
    assert world.rows(revoked) in ([(True,)], [(None,)])


SPOILED_CHANGES = {
    "deep delta": "delta = jsonb_build_object('model', " + DEEP + "::jsonb)",
    "long delta": "delta = jsonb_build_object('monthlyRate', " + LONG + "::jsonb)",
    "wrong type": 'delta = \'{"monthlyRate": "abc"}\'',
    "not an object": "delta = '5'",
    "deep base": "base = jsonb_build_object('model', " + DEEP + "::jsonb)",
    "base not an object": "base = '[1]'",
    "unknown record": "pfa_id = 'NOPE-1'",
}
ODD_ATTEMPTS = {
    "attempts at their end": ("attempts = 1000000", "first_attempt_at"),
    "attempt at infinity": ("first_attempt_at = 'infinity'", "attempts"),
    "committed before all": ("committed_at = '-infinity'", "attempts"),
    "committed BC": ("committed_at = '0044-03-15 BC'", "attempts"),
}
RECORDS = [record("P-1", model="M1"), record("P-2", model="M2"), record("P-3", model="M3")]


@pytest.fixture
def far(database_url):
    users = {"ann": "admin", "ben": "editor"}
    world = a_world(database_url, *owned(RECORDS), users=users)
    for user, pfa_id in (("ben", "P-1"), ("ann", "P-2"), ("ben", "P-3")):
        draft(world.db, world.principal(user), pfa_id, session=pfa_id, model="NEW")
        commit(world.db, world.principal(user), session=pfa_id)
    with a_pems_beside(world, *RECORDS) as far:
        yield far


@pytest.mark.variants(1)
@pytest.mark.parametrize("change", SPOILED_CHANGES)
def test_a_change_that_cannot_be_read_is_a_dead_letter_and_the_others_are_sent(far, owner, change):
    world = far.world
    spoil(
        owner,
        "pfa_modification",
        f"UPDATE pfa_modification SET {SPOILED_CHANGES[change]} WHERE pfa_id = 'P-1'",
    )
    result = far.push()
    assert (result.synced, result.rejected) == (2, 1)
    assert world.rows(
        "SELECT user_id, state, next_attempt_at, left(sync_error, 14) FROM pfa_modification"
        " WHERE state <> 'synced'"
    ) == [("ben", "sync_error", None, "INVALID_TYPE: ")]
    assert world.rows("SELECT pfa_id, data ->> 'model' FROM pfa_mirror ORDER BY 1") == [
        ("P-1", "M1"),
        ("P-2", "NEW"),
        ("P-3", "NEW"),
    ]
    ann = world.principal("ann")
    assert len(pfa_core.show_run(world.db, ann, result.run_id).outcomes) == 3
    assert pfa_core.verify_log(world.db, ann).whole
    assert far.push().synced == 0


@pytest.mark.variants(1)
@pytest.mark.parametrize("change", ODD_ATTEMPTS)
def test_odd_attempts_and_times_of_a_change_stop_no_push(far, owner, change):
    statement, _ = ODD_ATTEMPTS[change]
    spoil(
        owner, "pfa_modification", f"UPDATE pfa_modification SET {statement} WHERE pfa_id = 'P-1'"
    )
    assert far.push().synced == 3
    assert exposition(pfa_core.collect(far.world.db, far.world.principal("ann")))


@pytest.mark.variants(1)
@pytest.mark.parametrize("delta", DELTAS)
def test_a_draft_that_is_none_stops_no_settlement_of_its_record(far, owner, delta):
    """Ben's change and his draft of the same record: the push settles the change."""
    world = far.world
    draft(world.db, world.principal("ben"), "P-1", session="bad", manufacturer="X")
    spoil(
        owner,
        "pfa_modification",
        f"UPDATE pfa_modification SET delta = {DELTAS[delta]} WHERE session_id = 'bad'",
    )
    assert far.push().synced == 3
    assert (
        world.rows("SELECT state FROM pfa_modification WHERE session_id <> 'bad'")
        == [("synced",)] * 3
    )


@pytest.mark.variants(1)
@pytest.mark.parametrize("state", ["sync_error"])
@pytest.mark.parametrize("at", ["infinity", "2099-01-01Z"])
def test_a_retry_that_is_never_due_keeps_no_other_change_back(far, owner, state, at):
    """Ben's change of P-2 lies before ann's, and would be sent in 2099."""
    world = far.world
    draft(world.db, world.principal("ben"), "P-2", session="far", manufacturer="X")
    commit(world.db, world.principal("ben"), session="far")
    spoil(
        owner,
        "pfa_modification",
        f"UPDATE pfa_modification SET state = '{state}', next_attempt_at = '{at}',"
        " committed_at = '2000-01-01Z' WHERE session_id = 'far'",
    )
    assert far.push().synced == 4


FIELDS = ["'5'", "'[]'", "'{}'", "'{\"model\": 5}'", "'[5]'", "'[{\"mine\": 1}]'", DEEP,
          "jsonb_build_array(jsonb_build_object('field', 'model', 'mine', " + DEEP + "::jsonb))"]  # fmt: skip


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "value", [*FIELDS[::3], *long(each for n, each in enumerate(FIELDS) if n % 3)]
)
def test_a_conflict_whose_fields_are_none_is_listed_with_the_others(far, owner, value):
    world = far.world
    far.pems.change("P-1", model="THEIRS")
    far.pems.change("P-3", model="THEIRS")
    assert far.push().conflicts == 2
    spoil(
        owner,
        "pfa_sync_conflict",
        f"UPDATE pfa_sync_conflict SET fields = ({value})::jsonb WHERE pfa_id = 'P-1'",
    )
    found = pfa_core.list_conflicts(world.db, world.principal("ann"), user_id="ben")
    assert {item.pfa_id for item in found} == {"P-1", "P-3"}
    rows = [row for item in found for row in conflict_rows(item)]
    assert {"P-3"} <= {row["pfaId"] for row in rows}


BAD = {
    "a draft": ("pfa_modification", f"UPDATE pfa_modification SET delta = {DELTAS['deep']} WHERE pfa_id = 'P-1'"),
    "an attempt": ("pfa_modification", "UPDATE pfa_modification SET attempts = -5 WHERE pfa_id = 'P-1'"),
    "a run": ("pfa_sync_log", "UPDATE pfa_sync_log SET started_at = 'infinity'"),
    "counts": ("pfa_sync_log", "UPDATE pfa_sync_log SET counts = '5'"),
    "a sum": ("kpi_rollup", "UPDATE kpi_rollup SET monthly_rental = 'NaN'"),
    "an overlay": ("pfa_overlay", f"UPDATE pfa_overlay SET delta = {DELTAS['choice']} WHERE pfa_id = 'P-1'"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("what", BAD)
def test_verify_names_a_bad_row_and_repair_deletes_it_and_keeps_what_it_held(world, owner, what):
    draft(world.db, world.principal("ben"), "P-1", model="B")
    draft(world.db, world.principal("ben"), "P-2", model="C")
    ann = world.principal("ann")
    assert pfa_core.verify_database(world.db, ann).clean
    table, change = BAD[what]
    spoil(owner, table, change)
    (bad,) = pfa_core.verify_database(world.db, ann).bad_rows
    assert bad.table == table
    assert bad.columns
    assert not pfa_core.verify_database(world.db, ann, repair=True, dry_run=True).bad_rows
    assert len(pfa_core.verify_database(world.db, ann).bad_rows) == 1
    report = pfa_core.verify_database(world.db, ann, repair=True)
    assert (report.bad_rows, report.dropped) == ([], 1)
    assert pfa_core.verify_database(world.db, ann).clean
    assert len(pfa_core.list_records(world.db, world.principal("ben"), Query()).records) == 3
    kept = [
        entry.before
        for entry in pfa_core.list_log(world.db, ann)
        if entry.action == "repair" and "row" in entry.before
    ]
    assert [one["table"] for one in kept] == [table]
    assert '"organization_id": "ORG"' in kept[0]["row"]
    assert pfa_core.verify_log(world.db, ann).whole


def test_what_repair_does_not_delete_is_named_until_it_is_replaced(world, owner):
    spoil(owner, "pfa_mirror", "UPDATE pfa_mirror SET updated_at = 'infinity' WHERE pfa_id = 'P-1'")
    ann = world.principal("ann")
    report = pfa_core.verify_database(world.db, ann, repair=True)
    assert [(bad.table, bad.columns, bad.row_key) for bad in report.bad_rows] == [
        ("pfa_mirror", ["updated_at"], '{"pfa_id": "P-1"}')
    ]
    assert not report.clean
    world.pull([record("P-1", model="new"), record("P-2"), record("P-3")])
    assert pfa_core.verify_database(world.db, ann).clean


def test_nothing_of_another_organization_is_named_or_deleted(world, owner, database_url):
    a_world(database_url, record("F-1"), organization="FOREIGN", users={"eve": "admin"}).db.close()
    spoil(
        owner,
        "pfa_sync_log",
        "UPDATE pfa_sync_log SET counts = '5' WHERE organization_id = 'FOREIGN'",
    )
    assert pfa_core.verify_database(world.db, world.principal("ann"), repair=True).clean
