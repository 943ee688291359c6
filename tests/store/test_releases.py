"""The database of every release, upgraded: the schema is a fresh one's, what was in it is there, work goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256

import psycopg
import pytest

import pfa_core
from pfa_cli import __version__
from pfa_core import sql
from pfa_core.model.modification import State
from pfa_core.store import migrations, schema
from pfa_core.store.database import Database
from tests import citus, releases
from tests.factories import World, a_principal, a_token, commit, draft
from tests.forms import LONG
from tests.pems_server import a_pems_beside
from tests.program import Pfa
from tests.releases import RECORDS, SIGNING, USERS, Release, rows_of
from tests.store.test_prerelease import catalog

pytestmark = pytest.mark.every_version

RELEASES = releases.releases()
# What a next release may bring: a column with values for rows that are there, a table of the tenants' with its
# policy, the functions that write anew, an index and a check in place of others.
NEXT = [
    (
        2,
        "0002_weight.sql",
        "ALTER TABLE pfa_view ADD COLUMN weight integer NOT NULL DEFAULT 1;"
        " UPDATE pfa_view SET weight = 2 WHERE user_id = '';",
    ),
    (
        3,
        "0003_note.sql",
        """
        CREATE TABLE pfa_note (
            organization_id text COLLATE "C" NOT NULL,
            note_id         uuid NOT NULL,
            pfa_id          text COLLATE "C" NOT NULL,
            PRIMARY KEY (organization_id, note_id)
        );
        ALTER TABLE pfa_note ENABLE ROW LEVEL SECURITY;
        ALTER TABLE pfa_note FORCE ROW LEVEL SECURITY;
        CREATE POLICY pfa_owner ON pfa_note TO CURRENT_USER USING (true) WITH CHECK (true);
        GRANT SELECT ON pfa_note TO pfa_app;
        INSERT INTO pfa_note
        SELECT m.organization_id, m.modification_id, m.pfa_id FROM pfa_modification AS m;
        """,
    ),
    (
        4,
        "0004_functions.sql",
        sql.composed(
            "-- The functions that write go here, anew.\n"
            "CREATE INDEX pfa_note_pfa_id ON pfa_note (organization_id, pfa_id);\n"
            "ALTER TABLE pfa_view ADD CONSTRAINT pfa_view_weight_check CHECK (weight > 0);\n"
        ),
    ),
]


@pytest.fixture(params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    return request.param


@pytest.fixture
def url(release: Release, empty_database_url: str) -> str:
    """The address of a database of the release."""
    release.load(empty_database_url)
    return empty_database_url


@pytest.fixture
def bring(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the program have so many of the next migrations."""
    real = sql.migrations()

    def program_of(number: int) -> None:
        known = [*real, *NEXT[:number]]
        monkeypatch.setattr(sql, "migrations", lambda: known)
        monkeypatch.setattr(sql, "newest_migration", lambda: known[-1][0])

    return program_of


@pytest.fixture
def pfa(url: str, tmp_path, capsys, monkeypatch) -> Pfa:
    """The program at the database of the release, as its owner."""
    monkeypatch.setenv("PFA_DATABASE_URL", url)
    monkeypatch.setenv("PFA_JWT_SECRET", SIGNING)
    monkeypatch.setenv("PFA_ORG", "ORG")
    monkeypatch.setenv("PFA_TOKEN", a_token(a_principal("ann"), secret=SIGNING))
    return Pfa(url, tmp_path, capsys)


def the_world(url: str) -> World:
    db = Database(url)
    return World(db, "ORG", dict(USERS), as_owner=db)


def require_as_before(before: dict[str, list[dict]], after: dict[str, list[dict]]) -> None:
    """Each row is there, with what it had in the columns that there were."""
    for name, rows in before.items():
        if name != "pfa_schema_migration":
            columns = rows[0].keys() if rows else ()
            kept = [{column: row[column] for column in columns} for row in after[name]]
            key = lambda row: json.dumps(row, sort_keys=True)  # noqa: E731
            assert sorted(kept, key=key) == sorted(rows, key=key), name


def require_a_day_s_work(url: str) -> None:
    """A pull, drafts, a commit and a push, and what users read; trail and sums verify before and after."""
    world = the_world(url)
    ann = world.principal("ann")
    assert pfa_core.verify_log(world.db, ann).whole
    assert pfa_core.verify_database(world.db, ann).clean
    with a_pems_beside(world, *RECORDS) as far:
        far.pull()
        waiting = far.states().get("committed", 0)
        draft(world.db, ann, "P-20", session="today", monthlyRate=2020)
        draft(world.db, ann, "P-21", session="today", model="Today")
        commit(world.db, ann, session="today")
        assert far.push().synced >= 2
        assert far.states().get("committed", 0) <= waiting
        assert {"model": "Today"} in far.applied("P-21")
        far.pull()
    assert world.mirror()["P-20"]["monthlyRate"] == 2020
    assert pfa_core.verify_log(world.db, ann).whole
    assert pfa_core.verify_database(world.db, ann).clean
    world.close()


def test_this_version_has_a_dump_of_its_schema() -> None:
    """The last one is of the program as it is, until that is released."""
    assert __version__ in {release.version for release in RELEASES}


def test_a_dump_has_the_migrations_that_the_program_has(release: Release) -> None:
    texts = {str(number): sha256(text.encode()).hexdigest() for number, _, text in sql.migrations()}
    found = [
        line.strip().strip("(),;").replace("'", "").split(", ")[:3]
        for line in release.text.partition("INSERT INTO public.pfa_schema_migration VALUES")[2]
        .partition(";\n")[0]
        .splitlines()
        if line.strip()
    ]
    assert found
    assert {number: digest for number, _, digest in found} == {
        number: texts.get(number) for number, *_ in found
    }, (
        f"the migrations are not those of the dump of {release}: where {release} is not released yet, type:"
        f" python -m tests.releases --make {release}; else undo what was changed in a released migration"
    )


def test_the_functions_that_write_are_as_the_last_migration_with_them_has_them() -> None:
    """One that was frozen does not follow a statement that is changed."""
    texts = [text for _, _, text in sql.migrations()]
    last = next(text for text in reversed(texts) if "CREATE FUNCTION pfa_do_" in text)
    missing = [one.name for one in sql.write_functions() if one.definition() not in last]
    assert missing == [], (
        "a released migration has them as they were: let the next migration have the line"
        " '-- The functions that write go here, anew.'"
    )


def test_a_dump_has_data_of_every_kind(url: str) -> None:
    rows = rows_of(url)
    # The first is empty to all but its own transaction, the second where no run is under way.
    assert [name for name, found in rows.items() if not found] == ["audit_expected", "pfa_lease"]
    states = {row["state"] for row in rows["pfa_modification"]}
    assert states >= {"draft", "committed", "synced", "sync_error", "conflict"}
    assert states <= set(State)
    assert {row["status"] for row in rows["pfa_sync_conflict"]} == {"unresolved", "resolved"}
    assert {row["organization_id"] for row in rows["audit_log"]} == {"ORG", "THERE"}
    assert {row["direction"] for row in rows["pfa_sync_log"]} == {"pull", "push"}
    assert {row["status"] for row in rows["pfa_sync_log"]} >= {"completed", "partial"}
    assert any(row["missing_since"] for row in rows["pfa_mirror"])
    assert any(row["revoked_at"] for row in rows["pfa_token"])
    assert {bool(row["user_id"]) for row in rows["pfa_view"]} == {True, False}


@citus.of_one_machine
def test_a_released_database_is_upgraded_and_works_on(
    url: str, pfa: Pfa, postgres, template: str
) -> None:
    before = rows_of(url)
    ran = pfa("db", "upgrade", "-o", "json")
    assert ran.code == 0, ran.err
    assert ran.json["data"]["after"] == schema.program_version()
    assert catalog(url, postgres) == catalog(postgres.url(template), postgres)
    require_as_before(before, rows_of(url))
    assert pfa("db", "status", "-o", "json").json["data"]["problem"] == ""
    require_a_day_s_work(url)


@pytest.mark.long
@pytest.mark.parametrize("number", [len(NEXT), *(pytest.param(n, marks=LONG) for n in (1, 2))])
def test_the_next_migrations_bring_it_to_what_a_fresh_database_is(
    url: str, pfa: Pfa, bring, postgres, number: int
) -> None:
    before = rows_of(url)
    bring(number)
    assert pfa("list").code == 78
    ran = pfa("db", "upgrade", "-o", "json")
    assert ran.json["data"]["applied"][-number:] == [name for _, name, _ in NEXT[:number]]
    after = rows_of(url)
    require_as_before(before, after)
    assert {row["weight"] for row in after["pfa_view"]} == {1, 2}
    if number > 1:
        assert len(after["pfa_note"]) == len(before["pfa_modification"])
    with postgres.database() as fresh:
        with psycopg.connect(fresh, autocommit=True) as conn:
            migrations.upgrade(conn)
            conn.execute("SELECT pfa_index_mirror()")
        assert catalog(url, postgres) == catalog(fresh, postgres)
    require_a_day_s_work(url)
