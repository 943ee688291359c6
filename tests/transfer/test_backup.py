"""A backup holds the database; what PEMS has had since is found, and nothing is sent to it twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest

import pfa_core
from pfa_core import Flags, errors
from pfa_core.config.settings import Settings
from pfa_core.store import whole_database
from pfa_core.transfer.programs import find, run
from tests.factories import SelfClosing, World, a_world, commit, draft, record
from tests.owners import an_owner
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.server import Server, bound_url, reachable_directory
from tests.worlds import built_once

RECORDS = [record(f"P-{number}") for number in range(1, 7)]


def backup_of(url: str, file: Path, *more: str) -> None:
    """Write any database into a file, by pg_dump alone."""
    with psycopg.connect(url) as conn:
        program = find("pg_dump", settings(url), conn.info.server_version // 10000)
    arguments = ["--format=custom", f"--file={file}", f"--dbname={url}", *more]
    run(program, arguments, settings(url), "")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def settings(url: str) -> Settings:
    return pfa_core.resolve(Flags(database_url=url))


@built_once
def world(url: str) -> World:
    """P-1 and P-2 are committed, P-3 is a draft, as are amounts and days of P-4."""
    world = a_world(url, *owned(RECORDS), users={"ann": "admin"})
    ann = world.principal()
    for number in (1, 2):
        draft(world.db, ann, f"P-{number}", monthlyRate=number)
    commit(world.db, ann)
    draft(world.db, ann, "P-3", session="later", monthlyRate=3)
    draft(world.db, ann, "P-4", session="kept", purchasePrice=9, forecastEnd="2026-01-31")
    return world


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("pulls_first", [True, False])
def test_after_a_restore_to_yesterday_nothing_is_sent_twice_and_what_pems_has_since_is_found(
    world: World, empty_database_url: str, tmp_path: Path, pulls_first: bool
) -> None:
    file = tmp_path / "yesterday.dump"
    with a_pems_beside(world, *RECORDS) as far:
        made = pfa_core.backup_database(settings(world.url), file)
        assert (made.verified, made.whole, file.stat().st_mode & 0o777) == (True, True, 0o600)
        assert [(one.organization_id, one.records) for one in made.organizations] == [("ORG", 6)]
        # Today: what waited is sent, and what was drafted, and what the backup knows nothing of.
        commit(world.db, far.ann, session="later")
        draft(world.db, far.ann, "P-5", session="new", model="N")
        commit(world.db, far.ann, session="new")
        assert far.push().synced == 4
        far.pems.change("P-6", model="Theirs")
        sent = far.applied()
        restored = pfa_core.restore_database(settings(empty_database_url), file)
        assert (restored.whole, restored.sha256) == (True, made.sha256)
        handle = SelfClosing(empty_database_url)
        back = FarSide(
            World(handle, world.organization, world.users, as_owner=handle), far.pems, far.profile
        )
        assert back.states() == {"committed": 2, "draft": 2}
        if pulls_first:
            back.pull()
        assert back.push().synced == 2
        back.pull()
        assert far.applied() == sent
        back.require_agreement()
        mirror = back.world.mirror()
        assert [mirror[f"P-{n}"]["monthlyRate"] for n in (1, 2, 3)] == [1, 2, 3]
        assert (mirror["P-5"]["model"], mirror["P-6"]["model"]) == ("N", "Theirs")
        # The draft that was sent today is one again, and says what PEMS has: nothing is left of it to send.
        commit(handle, back.ann, session="later")
        back.push()
        assert far.applied() == sent
        handle.close()


@pytest.mark.long
def test_a_restore_takes_a_backup_alone_and_a_database_without_data(
    world: World, empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "pfa.dump"
    assert pfa_core.backup_database(settings(world.url), file, verify=False).verified is False
    with pytest.raises(
        errors.IllegalTransition, match="has organizations: ORG; nothing was restored"
    ):
        pfa_core.restore_database(settings(world.url), file)
    target = settings(empty_database_url)
    for content, why in ((b"PGDMP", "pg_restore failed"), (b"-- SQL", "is not a backup")):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(errors.InvalidData, match=why):
            pfa_core.restore_database(target, tmp_path / "other")
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(
        errors.InvalidData, match=r"cut cannot be restored; the database is empty: pg_restore fail"
    ):
        pfa_core.restore_database(target, tmp_path / "cut")
    assert pfa_core.restore_database(target, file, dry_run=True).verified is False
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute("CREATE TABLE ledger ()")
        with pytest.raises(errors.IllegalTransition, match="not of pfa: ledger"):
            pfa_core.restore_database(target, file)
        backup_of(empty_database_url, tmp_path / "ledger.dump")
        conn.execute("DROP TABLE ledger")
        for dry_run in (True, False):
            with pytest.raises(errors.InvalidData, match=r"ledger\.dump is of a database without"):
                pfa_core.restore_database(target, tmp_path / "ledger.dump", dry_run=dry_run)
        assert conn.execute(
            "SELECT to_regclass('ledger'), to_regclass('pfa_mirror')"
        ).fetchone() == (
            None,
            None,
        )
    world.execute("INSERT INTO pfa_schema_migration VALUES (99, '0099_later.sql', 'x', now())")
    newer, definitions = tmp_path / "newer.dump", tmp_path / "definitions.dump"
    backup_of(world.url, newer)
    with pytest.raises(
        errors.SchemaOutdated, match=r"newer\.dump .* newer .*; nothing was restored"
    ):
        pfa_core.restore_database(target, newer)
    backup_of(world.url, definitions, "--schema-only")
    with pytest.raises(errors.InvalidData, match=r"definitions\.dump is of a database without"):
        pfa_core.restore_database(target, definitions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pfa_core.transfer.archive.inspect", interrupted)
        with pytest.raises(KeyboardInterrupt) as stopped:
            pfa_core.restore_database(target, file)
    (said,) = stopped.value.__notes__
    assert said.startswith(
        f"interrupted, {file} is restored and not verified; type: pfa db upgrade"
    )
    with psycopg.connect(empty_database_url) as conn:
        whole_database.clear(conn)
    pfa_core.upgrade(target)  # its tables are empty
    assert pfa_core.restore_database(target, file).whole
    with psycopg.connect(empty_database_url) as conn:
        known = conn.execute("SELECT reltuples FROM pg_class WHERE relname = 'pfa_mirror'")
        assert known.fetchone() == (6,)


def test_a_flaw_is_said_and_the_backup_is_what_the_database_is(
    world: World, tmp_path: Path
) -> None:
    world.execute("UPDATE audit_log SET reason = 'forged' WHERE action = 'commit'")
    world.execute("UPDATE kpi_rollup SET record_count = record_count + 1")
    made = pfa_core.backup_database(settings(world.url), tmp_path / "pfa.dump")
    (found,) = made.organizations
    assert (made.whole, found.flaws, found.differences) == (False, 1, 1)
    assert (tmp_path / "pfa.dump").stat().st_size == made.size_bytes


def test_what_cannot_make_a_backup_keeps_the_former_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, programs = tmp_path / "pfa.dump", tmp_path / "bin"
    file.write_text("the former one")
    with pytest.raises(errors.ConfigInvalid, match=r"row-level security keeps|owns no"):
        pfa_core.backup_database(settings(bound_url(world.url)), file)
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("pfa_core.store.embedded.server.program", lambda name: programs / name)
    with pytest.raises(errors.ConfigInvalid, match="pg_dump is not found"):
        pfa_core.backup_database(settings(world.url), file)
    program = programs / "pg_dump"
    for version, why in (
        (9, "of PostgreSQL 9, older than the server's"),
        (99, "pg_dump failed: no luck"),
    ):
        program.write_text(
            f"#!/bin/sh\ncase $1 in --version) echo 'pg_dump (PostgreSQL) {version}.1';;\n"
            "*) echo 'pg_dump: error: no luck' >&2; exit 1;; esac\n"
        )
        program.chmod(0o755)
        with pytest.raises(errors.PfaError, match=why) as stated:
            pfa_core.backup_database(settings(world.url), file)
        assert str(program) in stated.value.message or "PostgreSQL 99" in stated.value.hint
    assert (file.read_text(), sorted(p.name for p in tmp_path.iterdir())) == (
        "the former one", ["bin", "pfa.dump"],
    )  # fmt: skip


def test_the_database_of_a_check_that_was_killed_is_dropped_by_the_next_one(
    empty_database_url: str,
) -> None:
    def databases() -> set[str]:
        found = conn.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'pfa\\_verify\\_%'"
        )
        return {row[0] for row in found}

    with (
        psycopg.connect(empty_database_url, autocommit=True) as conn,
        psycopg.connect(empty_database_url, autocommit=True) as other,
    ):
        before = databases()
        killed, theirs = "pfa_verify_999999999_0123456789ab", "pfa_verify_of_theirs"
        for name in (killed, theirs):
            conn.execute(f"CREATE DATABASE {name}")
        try:
            with whole_database.scratch(other) as running:
                assert databases() == before | {theirs, running}
                with whole_database.scratch(conn) as beside:
                    assert databases() == before | {theirs, running, beside}
            assert databases() == before | {theirs}
        finally:
            conn.execute(f"DROP DATABASE IF EXISTS {theirs}")
            conn.execute(f"DROP DATABASE IF EXISTS {killed}")


@pytest.mark.long
# Roles belong to the whole server: none is made on a server named for the tests, where it could remain.
@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="makes roles of its own")
def test_an_owner_who_is_no_superuser_backs_up_and_restores(
    postgres: Server, tmp_path: Path
) -> None:
    """Policies are forced on the owner; one that may not make a database learns how to go without it."""
    file = tmp_path / "pfa.dump"
    with an_owner(postgres) as url:
        world = a_world(url, record("P-1"))
        draft(world.db, world.principal(), "P-1", monthlyRate=3)
        world.close()
        with pytest.raises(errors.ConfigInvalid, match="may not make any"):
            pfa_core.backup_database(settings(url), file)
        assert not file.exists()
        pfa_core.backup_database(settings(url), file, verify=False)
        with SelfClosing(url) as db:
            db.administer(lambda conn: conn.execute("TRUNCATE pfa_organization"))
        restored = pfa_core.restore_database(settings(url), file)
        assert (restored.whole, restored.organizations[0].records) == (True, 1)


@pytest.mark.slow
def test_programs_that_are_newer_than_the_server_are_passed_over_where_its_own_are_found(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer pg_dump would write what the pg_restore of the server's version cannot read."""
    with psycopg.connect(world.url) as conn:
        major = conn.info.server_version // 10000
    own = find("pg_dump", settings(world.url), major).path.parent
    monkeypatch.setenv("PATH", str(own), prepend=os.pathsep)
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {major + 1}.0"\n'
        )
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PFA_PG_BINDIR", str(tmp_path))
    assert find("pg_dump", settings(world.url), major + 1).path.parent == tmp_path
    assert find("pg_dump", settings(world.url), major).major == major
    made = pfa_core.backup_database(settings(world.url), tmp_path / "pfa.dump")
    assert (made.server_version, made.verified) == (major, True)


@pytest.mark.long
def test_the_embedded_server_is_backed_up_and_restored_by_its_own_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = reachable_directory("pfa-backup-")
    roots = [base / name for name in ("one", "two")]
    monkeypatch.setenv("PATH", "")
    try:
        for root in roots:
            monkeypatch.setenv("PFA_EMBEDDED_DIR", str(root))
            own = pfa_core.resolve(Flags(org="HOLNG"))
            if root == roots[0]:
                with pfa_core.open_database(own) as db:
                    pfa_core.initialize(db, own, "HOLNG")
                assert pfa_core.backup_database(own, tmp_path / "pfa.dump").whole
            else:
                assert pfa_core.restore_database(own, tmp_path / "pfa.dump").whole
                with pytest.raises(errors.IllegalTransition) as full:
                    pfa_core.restore_database(own, tmp_path / "pfa.dump")
                assert str(root) in full.value.hint
                with pfa_core.open_database(own) as db:
                    found = pfa_core.list_organizations(db, own)
                assert [one.organization_id for one in found] == ["HOLNG"]
    finally:
        for root in roots:
            monkeypatch.setenv("PFA_EMBEDDED_DIR", str(root))
            pfa_core.stop_embedded(pfa_core.resolve(Flags()))
        shutil.rmtree(base, ignore_errors=True)
