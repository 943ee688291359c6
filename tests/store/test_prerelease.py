"""Databases from before the first release: converted in place, and then the same as fresh ones."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

import pfa_core
from pfa_core import Selection, errors, sql
from pfa_core.model.costing import Costing
from pfa_core.model.money import forecast_money_days, money_days
from pfa_core.store import migrations, prerelease, schema
from pfa_core.store.database import Database
from pfa_core.store.embedded import binaries
from pfa_core.store.migrations import UpgradeReport
from tests import citus
from tests.factories import World, commit, draft
from tests.kpis import exact
from tests.life_cycle.views import seen, stats
from tests.server import bound_url

pytestmark = pytest.mark.every_version

# The eight migrations as they were, and the rows of a database that the program of that time filled: entries
# older than the audit trail's chain, a pull, pushes, drafts, committed changes, discards and restores of two
# organizations.
_FIXTURE = zipfile.ZipFile(Path(__file__).with_name("prerelease.zip"))
OLD = [name for name in sorted(_FIXTURE.namelist()) if name[:4].isdigit()]
CONVERTED = UpgradeReport(0, schema.program_version(), ("0001_schema.sql",))
RECORD = "INSERT INTO pfa_schema_migration VALUES (%s, %s, %s, now())"


def text_of(name: str) -> str:
    return _FIXTURE.read(name).decode()


def fill(url: str, *, files: int = len(OLD), rows: bool = True) -> None:
    """Make the database one of before the first release."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(migrations._SQL["create"])
        for version, name in enumerate(OLD[:files], 1):
            conn.execute(text_of(name))
            conn.execute(RECORD, [version, name, sha256(_FIXTURE.read(name)).hexdigest()])
        if rows:
            conn.execute(text_of("data.sql"))


@pytest.fixture
def old_url(empty_database_url: str) -> str:
    fill(empty_database_url)
    return empty_database_url


@pytest.fixture
def conn(old_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(old_url, autocommit=True) as connection:
        yield connection


def a_world_of(url: str, organization: str = "ORG", **users: str) -> World:
    db = Database(url, require_schema=False)
    return World(db, organization, users or {"ann": "admin", "bob": "editor"})


def catalog(url: str, postgres) -> str:
    """The whole catalogue of the schema, as pg_dump writes it."""
    version = postgres.admin.info.server_version // 10000
    program = Path(f"/usr/lib/postgresql/{version}/bin/pg_dump")
    argv = [str(program if program.exists() else binaries.program("pg_dump")), "--schema-only", url]
    dump = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in dump.splitlines() if "restrict" not in line)


# The columns that the conversion adds.
NEW = [
    "restores",
    "base",
    "was",
    "behind",
    "behind_since",
    "currency",
    "rate_uom",
    "foreign_currency",
    "max_records",
    "max_money",
    "max_percent",
    "sent_fields",
    "tokens_since",
    "written_by_run",
    "written_at",
    "rate_days",
    "forecast_purchase",
]
NEW_SUMS = ["without_start", "without_end", "without_price"]


def rows_of(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Every row of every table, by the name the table has now and without the columns that are new."""
    names = conn.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    return {
        name.replace("pfa_wall", "pfa_rls_secret"): [
            row[0]
            for row in conn.execute(
                f"SELECT (to_jsonb(t) - %s::text[])::text FROM {name} AS t ORDER BY 1",
                [NEW + NEW_SUMS],
            )
        ]
        for (name,) in names
        if name != "pfa_schema_migration"
    }


def reads(world: World) -> list[object]:
    """A list and a list of changes, as each user reads them."""
    return [
        read
        for user in world.users
        for read in (seen(world, user), seen(world, user, changed=True))
    ]


def kpis(world: World) -> list[object]:
    """The KPIs of each user, computed from the tables alone."""
    everything = exact.Question(by=("category",))
    mirror = world.mirror()
    return [exact.expected(everything, exact.seen_by(world, user, mirror)) for user in world.users]


def test_the_history_is_that_of_the_eight_files():
    checksums = {int(name[:4]): sha256(_FIXTURE.read(name)).hexdigest() for name in OLD}
    assert checksums == prerelease.HISTORY


@pytest.mark.slow
@citus.of_one_machine
def test_the_converted_catalogue_is_that_of_a_fresh_database(old_url, conn, postgres, template):
    assert schema.version(conn) == 0
    assert migrations.upgrade(conn) == CONVERTED
    assert catalog(old_url, postgres) == catalog(postgres.url(template), postgres)
    assert schema.version(conn) == schema.program_version()
    assert migrations.upgrade(conn) == UpgradeReport(CONVERTED.after, CONVERTED.after, ())


@pytest.mark.slow
def test_no_row_changes_and_every_restore_names_its_entry(conn):
    before = rows_of(conn)
    assert all(before.values())
    migrations.upgrade(conn)
    after = rows_of(conn)
    # Who sets limits may be over them.
    assert [row.count("override_guards") for row in after["pfa_member"]] == [
        int('"manage_settings"' in row) for row in before["pfa_member"]
    ]
    members = [row.replace(', "override_guards"', "") for row in after["pfa_member"]]
    new = {"audit_expected": [], "pfa_view": [], "pfa_digest": []}
    sums = after.pop("kpi_overlay")
    assert after.pop("kpi_month")
    assert after.pop("kpi_field")
    assert {**after, "pfa_member": members} == {**before, **new}
    assert {json.loads(row)["user_id"] for row in sums} == {
        json.loads(row)["user_id"] for row in before["pfa_overlay"]
    }
    named = conn.execute(
        "SELECT reason, restores::text FROM audit_log WHERE action = 'restore' OR restores IS NOT NULL"
    ).fetchall()
    assert len(named) == 2
    assert all(reason == f"restores entry {entry}" for reason, entry in named)


def test_versions_of_records_say_which_run_brought_them_and_what_they_cost(old_url, conn):
    migrations.upgrade(conn)
    versions = conn.execute("""
        SELECT h.pfa_id, h.version, h.written_by_run, h.written_at, b.replaced_by_run, b.replaced_at,
               h.rate_days, h.forecast_purchase, h.data
        FROM pfa_mirror_history AS h
        LEFT JOIN pfa_mirror_history AS b
          ON (b.organization_id, b.pfa_id, b.version) = (h.organization_id, h.pfa_id, h.version - 1)""")
    rows = versions.fetchall()
    assert rows
    assert all((run, at) == (before, then) for _, _, run, at, before, then, *_ in rows)
    for *_, rate_days, purchase, data in rows:
        cost = forecast_money_days(data, Costing())
        assert money_days(rate_days * 7, purchase) == cost
    world = a_world_of(old_url)
    everything = pfa_core.list_changes(
        world.db, world.principal(), pfa_core.ChangeWindow(), limit=1000
    )
    assert everything.totals.record_count == len(world.mirror())
    world.db.close()


def test_what_users_read_is_what_they_read_before(old_url, conn):
    world = a_world_of(old_url)
    # Today's reads ask for it with the membership.
    conn.execute("ALTER TABLE pfa_member ADD COLUMN tokens_since timestamptz")
    before, expected = reads(world), kpis(world)
    migrations.upgrade(conn)
    assert reads(world) == before
    assert [stats(world, user, by=("category",)) for user in world.users] == expected
    world.db.close()


@pytest.mark.slow
def test_the_trail_and_the_kept_sums_verify(old_url, conn):
    migrations.upgrade(conn)
    for world in (a_world_of(old_url), a_world_of(old_url, "THERE", eve="admin")):
        who = world.principal(next(iter(world.users)))
        report = pfa_core.verify_log(world.db, who)
        assert (report.whole, report.links > 3) == (True, True)
        drift = pfa_core.verify_database(world.db, who)
        assert (drift.rollup, drift.overlays) == ([], [])
        world.db.close()


def test_entries_older_than_the_chain_are_still_its_first_link(old_url, conn):
    migrations.upgrade(conn)
    first = "SELECT organization_id, entry_count FROM audit_link WHERE number = 1 ORDER BY 1"
    assert conn.execute(first).fetchall() == [("ORG", 50), ("THERE", 3)]
    world = a_world_of(old_url)
    draft(world.db, world.principal(), "P-20", model="A")
    assert pfa_core.verify_log(world.db, world.principal()).whole
    conn.execute("UPDATE audit_log SET reason = '' WHERE pfa_id = 'P-7' AND action = 'save'"
                 " AND entry_id < '00000000-0000-0000-0001-000000000000'")  # fmt: skip
    (flaw,) = pfa_core.verify_log(world.db, world.principal()).flaws
    assert (flaw.kind, flaw.number) == ("entries_altered", 1)
    world.db.close()


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("value", ["NULL", "gen_random_uuid()"])
def test_what_an_old_entry_restored_cannot_be_altered_unseen(old_url, conn, value):
    migrations.upgrade(conn)
    world = a_world_of(old_url)
    conn.execute(f"UPDATE audit_log SET restores = {value} WHERE restores IS NOT NULL")
    assert {flaw.kind for flaw in pfa_core.verify_log(world.db, world.principal()).flaws} == {
        "entries_altered"
    }
    world.db.close()


@pytest.mark.slow
def test_what_was_restored_before_is_not_restored_again(old_url, conn):
    """P-5 was restored, P-6 restored and discarded once more, P-7 never restored."""
    migrations.upgrade(conn)
    world = a_world_of(old_url)
    result = pfa_core.restore(world.db, world.principal(), session_id="d")
    assert [one.pfa_id for one in result.restored] == ["P-6", "P-7"]
    assert result.already_restored == ["P-5"]
    world.db.close()


def test_work_goes_on_where_it_was(old_url, conn):
    migrations.upgrade(conn)
    world = a_world_of(old_url)
    commit(world.db, world.principal(), session="t")
    draft(world.db, world.principal("bob"), "P-1", session="new", model="C")
    pfa_core.discard(world.db, world.principal("bob"), Selection(session_id="new"))
    assert pfa_core.verify_log(world.db, world.principal()).whole
    world.db.close()


@pytest.mark.long
def test_the_program_s_role_works_in_it_by_token(old_url, conn, monkeypatch):
    migrations.upgrade(conn)
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    with Database(bound_url(old_url)) as bound:
        world = World(bound, "ORG", {"ann": "admin"})
        assert len(seen(world)) == 24
        assert len(seen(world, search="crane")) == 24
        draft(bound, world.principal(), "P-21", model="A")
        assert pfa_core.verify_log(bound, world.principal()).whole


@pytest.mark.long
def test_a_dry_run_converts_nothing(old_url, conn, postgres):
    before = catalog(old_url, postgres)
    assert migrations.upgrade(conn, dry_run=True) == CONVERTED
    assert catalog(old_url, postgres) == before
    assert schema.version(conn) == 0


@pytest.mark.long
def test_a_failed_conversion_leaves_the_database_as_it_was(old_url, conn, postgres, monkeypatch):
    before = catalog(old_url, postgres)
    real = sql.prerelease()
    monkeypatch.setattr(sql, "prerelease", lambda: real + "\nSELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.upgrade(conn)
    assert catalog(old_url, postgres) == before
    assert schema.version(conn) == 0
    monkeypatch.undo()
    assert migrations.upgrade(conn) == CONVERTED


@pytest.mark.long
def test_the_conversion_may_run_again(old_url, conn, postgres, template):
    migrations.upgrade(conn)
    before = rows_of(conn)
    prerelease.convert(conn, sql.migrations()[0][2])
    assert rows_of(conn) == before
    assert catalog(old_url, postgres) == catalog(postgres.url(template), postgres)


def test_a_handle_says_how_to_upgrade(old_url):
    with Database(old_url) as db, pytest.raises(errors.SchemaOutdated) as caught:
        db.read(lambda conn: None)
    assert "from before the first release" in caught.value.message
    assert caught.value.hint == "type: pfa db upgrade"


@pytest.mark.long
def test_rows_that_break_a_check_are_all_named_and_nothing_is_changed(old_url, conn, postgres):
    before = catalog(old_url, postgres)
    conn.execute("UPDATE audit_log SET at = 'infinity' WHERE pfa_id = 'P-7'")
    conn.execute("UPDATE pfa_modification SET attempts = -5 WHERE user_id = 'bob'")
    with Database(old_url, require_schema=False) as db, pytest.raises(errors.InvalidData) as caught:
        db.administer(migrations.upgrade)
    lines = caught.value.message.splitlines()
    assert lines[0] == "rows hold what no row may hold:"
    assert [line.split(":")[0] for line in lines[1:-1]] == [
        "audit_log.at",
        "pfa_modification.attempts",
    ]
    assert "pfa_id P-7" in lines[1]
    assert "user_id bob" in lines[2]
    assert lines[-1] == "nothing was changed"
    assert catalog(old_url, postgres) == before
    conn.execute("UPDATE audit_log SET at = now() WHERE at = 'infinity'")
    conn.execute("UPDATE pfa_modification SET attempts = 0 WHERE user_id = 'bob'")
    assert migrations.upgrade(conn) == CONVERTED


def test_an_incomplete_history_is_refused(empty_database_url):
    fill(empty_database_url, files=5, rows=False)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        with pytest.raises(errors.SchemaOutdated, match="5 of 8 recorded") as caught:
            migrations.upgrade(connection)
        assert caught.value.hint == "with the pfa that made the database, type: pfa db upgrade"


def test_a_right_that_was_granted_by_name_is_kept(conn, postgres):
    role = f"pfa_test_reader_{os.getpid()}"
    postgres.admin.execute(f"CREATE ROLE {role}")
    try:
        conn.execute(f"GRANT EXECUTE ON FUNCTION pfa_verify_token TO {role}")
        migrations.upgrade(conn)
        assert conn.execute(
            "SELECT has_function_privilege(%s, 'pfa_verify_token(text, timestamptz)', 'EXECUTE')", [role]
        ).fetchone() == (True,)  # fmt: skip
        conn.execute(f"DROP OWNED BY {role}")
    finally:
        postgres.admin.execute(f"DROP ROLE {role}")
