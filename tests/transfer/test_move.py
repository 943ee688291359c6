"""An organization moves into another database: all of it, once, and what waits is sent there alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

import pfa_core
from pfa_core import Selection, View, errors
from pfa_core.sql.tables import CARRIED, LEFT_BEHIND
from pfa_core.transfer.closing import archive
from tests import citus
from tests.factories import SelfClosing, World, a_world, commit, draft, know_the_key, record
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.server import Server, bound_url
from tests.worlds import a_copy, built_once


def lived(url: str) -> World:
    """Records, drafts of two users, a change that waits and one that was sent, views, runs, a foreign tenant."""
    world = a_world(
        url,
        *(record(f"P-{number}", monthlyRate=1000 + number) for number in range(1, 6)),
        record("P\\6", description="tabs\tand\nlines \\. \r", model="\\N"),
        users={"ann": "admin", "ben": "editor"},
    )
    ann, ben = world.principal("ann"), world.principal("ben")
    draft(world.db, ann, "P-1", monthlyRate=1)
    draft(world.db, ben, "P-1", monthlyRate=2)
    draft(world.db, ben, "P-2", session="sent", monthlyRate=3)
    commit(world.db, ben, session="sent")
    draft(world.db, ann, "P-3", session="gone", model="M")
    pfa_core.discard(world.db, ann, Selection(session_id="gone"))
    pfa_core.save_view(world.db, ben, View(name="mine", sort="pfaId"))
    world.pull([record(f"P-{number}", monthlyRate=2000 + number) for number in (4, 5)])
    a_world(
        url, record("F-1", category="Secret thing"), organization="FOREIGN", users={"eve": "admin"}
    )
    return world


source = built_once(lived)


@pytest.fixture
def target(postgres: Server, template: str) -> Iterator[SelfClosing]:
    """A migrated database without an organization."""
    with postgres.database(template) as url:
        handle = SelfClosing(url)
        yield handle
        handle.close()


def content(world: World) -> dict[str, list[str]]:
    """Every carried row of the organization as text, but for what an export and an import change on purpose."""
    found = {}
    for table in CARRIED:
        rows = world.rows(
            f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE organization_id = %s ORDER BY 1",
            world.organization,
        )
        found[table] = [row[0] for row in rows]
    return found


def there(source: World, target: SelfClosing) -> World:
    """The same organization in the other database."""
    return World(target, source.organization, dict(source.users), as_owner=target)


def test_every_table_of_an_organization_is_carried_or_left_behind_for_a_reason(
    source: World,
) -> None:
    found = source.rows(
        "SELECT c.relname FROM pg_class AS c"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'organization_id'"
        " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    )
    assert {row[0] for row in found} == {*CARRIED, *LEFT_BEHIND}
    assert not set(CARRIED) & LEFT_BEHIND.keys()


@pytest.mark.slow
def test_all_of_it_is_there_and_whole_and_the_trail_goes_on(
    source: World, target: SelfClosing, tmp_path: Path
) -> None:
    file = tmp_path / "org.pfa"
    written = pfa_core.export_organization(source.db, source.principal(), file)
    before = content(source)
    moved = there(source, target)
    stored = pfa_core.import_organization(target, file, user_id="root")
    after = content(moved)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sha256(file.read_bytes()).hexdigest() == written.sha256
    assert (stored.sha256, stored.anchor, stored.rows) == (
        written.sha256, written.anchor, written.rows,
    )  # fmt: skip
    assert (written.status, stored.status, stored.admins) == ("archived", "active", ["ann"])
    for table in CARRIED:
        more = {"audit_log": 1, "audit_link": 1}.get(table, 0)  # the import's own
        if table not in ("pfa_organization", "audit_head"):
            assert set(before[table]) <= set(after[table]), table
            assert len(after[table]) == len(before[table]) + more, table
    report = pfa_core.verify_log(moved.db, moved.principal(), anchor=written.anchor)
    assert (report.whole, report.links) == (True, int(written.anchor.split(":")[0]) + 1)
    assert pfa_core.verify_database(moved.db, moved.principal()).clean
    assert moved.rows("SELECT DISTINCT organization_id FROM pfa_mirror") == [("ORG",)]
    draft(moved.db, moved.principal("ben"), "P\\6", monthlyRate=9)
    assert len(pfa_core.list_drafts(moved.db, moved.principal("ben"), pfa_core.Filters())) == 2


def test_where_it_was_it_is_read_and_changes_no_more_until_it_is_reopened(
    source: World, tmp_path: Path
) -> None:
    ann = source.principal()
    pfa_core.export_organization(source.db, ann, tmp_path / "org.pfa")
    kept = content(source)
    for change in (
        lambda: draft(source.db, ann, "P-5", model="M"),
        lambda: commit(source.db, ann, session="s"),
        lambda: pfa_core.save_view(source.db, ann, View(name="new", sort="pfaId")),
        lambda: pfa_core.configure_organization(source.db, ann, rate_uom="week"),
    ):
        with pytest.raises(errors.IllegalTransition, match="is archived"):
            change()
    with pytest.raises(errors.Forbidden, match="nothing is exchanged"):
        source.pull([record("P-1")])
    assert {k: v for k, v in content(source).items() if not k.startswith("audit")} == {
        k: v for k, v in kept.items() if not k.startswith("audit")
    }
    assert len(pfa_core.list_records(source.db, ann, pfa_core.Query()).records) == 6
    pfa_core.revoke(source.db, ann, "ben")
    with pytest.raises(errors.InvalidRequest, match="invalid reason"):
        pfa_core.reopen_organization(source.db, ann, reason=" ")
    assert pfa_core.reopen_organization(source.db, ann, reason="given up") == "archived"
    with pytest.raises(errors.IllegalTransition, match="is active"):
        pfa_core.reopen_organization(source.db, ann, reason="again")
    draft(source.db, ann, "P-5", model="M")
    reasons = [
        entry.reason for entry in pfa_core.list_log(source.db, ann) if entry.action == "configure"
    ]
    assert reasons == ["given up", "exported to org.pfa"]


RECORDS = [record(f"P-{number}") for number in range(1, 5)]


@built_once
def waiting(url: str) -> World:
    """Four committed changes."""
    world = a_world(url, *owned(RECORDS), users={"ann": "admin"})
    for number in range(1, 5):
        draft(world.db, world.principal(), f"P-{number}", monthlyRate=number)
    commit(world.db, world.principal())
    return world


def test_what_is_under_way_is_sent_once_and_by_the_new_place_alone(
    waiting: World, target: SelfClosing, tmp_path: Path
) -> None:
    """P-1: its answer was lost. P-2: a killed run was about to send it. P-3: it claimed it. P-4: waits."""
    with a_pems_beside(waiting, *RECORDS) as far:
        far.pems.faults = ["reset-after:1:on=rest:after=1"]
        with pytest.raises(errors.PemsUnavailable):
            far.push(limit=1)
        far.pems.faults = []
        ((in_doubt, sent),) = waiting.rows(
            "SELECT count(*), min(sent_version) FROM pfa_modification WHERE sent_version IS NOT NULL"
        )
        assert (in_doubt, len(far.applied())) == (1, 1)
        waiting.execute(
            "UPDATE pfa_modification SET state = 'syncing', claim_id = %s, attempts = 1,"
            " sent_version = CASE WHEN pfa_id = 'P-2' THEN %s END WHERE pfa_id IN ('P-2', 'P-3')",
            uuid4(),
            sent,
        )
        file = tmp_path / "org.pfa"
        pfa_core.export_organization(waiting.db, far.ann, file)
        pfa_core.import_organization(target, file)
        with pytest.raises(errors.Forbidden, match="nothing is exchanged"):
            far.push()
        moved = FarSide(there(waiting, target), far.pems, far.profile)
        moved.world.execute(
            "UPDATE pfa_modification SET next_attempt_at = now() WHERE state = 'sync_error'"
        )
        assert moved.push().synced == 4
        assert sorted(change["monthlyRate"] for change in moved.applied()) == [1, 2, 3, 4]
        assert moved.states() == {"synced": 4}
        moved.require_agreement()
        assert far.states() == {"committed": 1, "sync_error": 1, "syncing": 2}


def test_a_run_that_goes_on_is_not_exported_and_one_that_was_killed_is(
    waiting: World, tmp_path: Path
) -> None:
    waiting.execute(
        "INSERT INTO pfa_lease (organization_id, name, owner_id, owner, host, pid, acquired_at, expires_at)"
        " VALUES ('ORG', 'push', gen_random_uuid(), 'ann', 'far away', 7, now(), now() + interval '1 minute')"
    )
    with pytest.raises(errors.LeaseHeld, match="another push of ORG is running: ann on far away"):
        pfa_core.export_organization(waiting.db, waiting.principal(), tmp_path / "org.pfa")
    assert not list(tmp_path.iterdir())
    draft(waiting.db, waiting.principal(), "P-1", session="next", model="M")
    waiting.execute("UPDATE pfa_lease SET expires_at = now() - interval '1 minute'")
    pfa_core.export_organization(waiting.db, waiting.principal(), tmp_path / "org.pfa")
    assert waiting.rows("SELECT count(*) FROM pfa_lease") == [(0,)]


def test_a_copy_is_tried_out_and_exchanges_nothing(
    waiting: World, target: SelfClosing, tmp_path: Path
) -> None:
    file = tmp_path / "copy.pfa"
    assert (
        pfa_core.export_organization(waiting.db, waiting.principal(), file, copy=True).status
        == "active"
    )
    draft(waiting.db, waiting.principal(), "P-1", session="goes on", model="M")
    assert pfa_core.import_organization(target, file).status == "suspended"
    moved = there(waiting, target)
    draft(moved.db, moved.principal(), "P-1", session="tried out", model="N")
    with a_pems_beside(moved, *RECORDS) as far:
        with pytest.raises(errors.Forbidden, match="is suspended"):
            far.push()
        assert not far.applied()


def test_a_dry_run_counts_and_leaves_everything(
    source: World, target: SelfClosing, tmp_path: Path
) -> None:
    file = tmp_path / "org.pfa"
    before = content(source)
    counted = pfa_core.export_organization(source.db, source.principal(), file, dry_run=True)
    assert (content(source), file.exists()) == (before, False)
    written = pfa_core.export_organization(source.db, source.principal(), file)
    more = {"audit_log": 1, "audit_link": 1}  # that it was archived
    assert written.rows == {t: n + more.get(t, 0) for t, n in counted.rows.items()}
    stored = pfa_core.import_organization(target, file, dry_run=True)
    assert stored.rows == written.rows
    assert there(source, target).rows("SELECT count(*) FROM pfa_organization") == [(0,)]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def lost(*_: object, **__: object) -> None:
    raise errors.DatabaseUnavailable("the server is gone")


@pytest.mark.slow
def test_a_failed_export_leaves_the_organization_active_and_the_old_file(
    source: World, tmp_path: Path
) -> None:
    folder = tmp_path / "org.pfa"
    folder.mkdir()
    with pytest.raises(errors.IoFailure, match="is a folder"):
        pfa_core.export_organization(source.db, source.principal(), folder)
    with pytest.raises(errors.IoFailure, match="/dev/full cannot be written"):
        pfa_core.export_organization(source.db, source.principal(), "/dev/full")
    draft(source.db, source.principal(), "P-5", model="M")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pfa_core.transfer.export.compared", interrupted)
        for kept in ("ORG is active again", "ORG stays archived"):
            with pytest.raises(KeyboardInterrupt) as stopped:
                pfa_core.export_organization(source.db, source.principal(), tmp_path / "x.pfa")
            (said,) = stopped.value.__notes__
            assert said == f"interrupted, x.pfa was not written; {kept}"
            patch.setattr("pfa_core.transfer.export.take_back", lost)
    assert pfa_core.reopen_organization(source.db, source.principal(), reason="lost") == "archived"
    world = source
    world.execute("UPDATE kpi_rollup SET record_count = record_count + 1")
    with pytest.raises(errors.InvalidData, match="stored sums or overlays of ORG differ"):
        pfa_core.export_organization(world.db, world.principal(), tmp_path / "x.pfa")
    world.execute("UPDATE audit_log SET reason = 'forged' WHERE action = 'save'")
    with pytest.raises(errors.InvalidData, match="the audit trail of ORG is not whole"):
        pfa_core.export_organization(world.db, world.principal(), tmp_path / "x.pfa", dry_run=True)
    assert not (tmp_path / "x.pfa").exists()
    assert pfa_core.verify_database(world.db, world.principal(), repair=True).repaired
    draft(source.db, source.principal(), "P-5", model="N")


def test_an_export_that_fails_when_its_rows_are_written_leaves_no_file_beside_an_active_organization(
    source: World, tmp_path: Path
) -> None:
    file = tmp_path / "org.pfa"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pfa_core.transfer.export._result", lost)
        with pytest.raises(errors.DatabaseUnavailable):
            pfa_core.export_organization(source.db, source.principal(), file)
    draft(source.db, source.principal(), "P-5", model="M")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_it_takes_the_owner_s_address_and_an_admin_who_sees_money(
    postgres: Server, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_TEST_BOUND", "1")
        with a_copy(postgres, lived) as world:
            file = tmp_path / "org.pfa"
            for how in ({}, {"copy": True}, {"dry_run": True}):
                with pytest.raises(errors.ConfigInvalid, match=r"row-level security keeps|owns no"):
                    pfa_core.export_organization(world.db, world.principal(), file, **how)
            with pytest.raises(errors.PermissionDenied, match="manage_settings"):
                pfa_core.export_organization(world.owner, world.principal("ben"), file)
            rights = world.principal().rights - {pfa_core.Right.VIEW_FINANCIALS}
            world.add_user("carl", "admin", rights=rights)
            with pytest.raises(errors.PermissionDenied, match=r"prices and costs.*view_financials"):
                pfa_core.export_organization(world.owner, world.principal("carl"), file)
            assert not file.exists()
            assert pfa_core.export_organization(world.owner, world.principal(), file).entries > 5
            with pytest.raises(errors.IllegalTransition, match="ORG is archived: it is read"):
                draft(world.db, world.principal("ben"), "P-5", model="M")
            with pytest.raises(errors.ConfigInvalid, match=r"row-level security keeps|owns no"):
                pfa_core.import_organization(world.db, file)


@pytest.mark.variants(1)
@pytest.mark.parametrize("bound", [True, False])
def test_who_saves_while_it_is_exported_is_in_the_file_or_refused(
    postgres: Server, tmp_path: Path, bound: bool
) -> None:
    """An export waits for a save that holds its member row, and a save that waits for the export is refused."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as threads:
        patch.setenv("PFA_TEST_BOUND", "1" if bound else "")
        with (
            a_copy(postgres, lived) as world,
            psycopg.connect(world.url) as holder,
            world.db.beside() as other,
        ):
            ann, ben = world.principal("ann"), world.principal("ben")
            holder.execute(
                "SELECT user_id FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ben'"
                " FOR NO KEY UPDATE"
            )
            exporting = threads.submit(
                pfa_core.export_organization, world.owner, ann, tmp_path / "org.pfa"
            )
            wait_for_waiting(world.url, 1)
            saving = threads.submit(draft, other, ben, "P-5", model="M")
            wait_for_waiting(world.url, 2)
            holder.commit()
            rows = exporting.result(60).rows
            saved = not saving.exception(60)
            assert saved or isinstance(saving.exception(), errors.IllegalTransition)
            (number,) = world.rows(
                "SELECT count(*) FROM pfa_modification WHERE organization_id = 'ORG'"
            )[0]
            assert rows["pfa_modification"] == number == 3 + saved


def wait_for_waiting(url: str, number: int) -> None:
    """Wait until so many sessions of the database wait for a lock."""
    deadline = time.monotonic() + 30
    waiting = (
        "SELECT count(DISTINCT waiting_gpid) FROM citus_lock_waits"
        if citus.is_named
        else "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with psycopg.connect(url, autocommit=True) as conn:
        while conn.execute(waiting).fetchone() < (number,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_export_that_was_killed_behind_its_first_step_is_repeated(
    waiting: World, target: SelfClosing, tmp_path: Path
) -> None:
    assert archive(waiting.db, waiting.principal(), reason="exported to org.pfa") == "active"
    assert archive(waiting.db, waiting.principal(), reason="exported to org.pfa") is None
    file = tmp_path / "org.pfa"
    pfa_core.export_organization(waiting.db, waiting.principal(), file)
    assert pfa_core.import_organization(target, file).status == "active"


@citus.has_policies
def test_what_was_revoked_stays_revoked_and_no_signing_key_leaves(
    postgres: Server, template: str, tmp_path: Path
) -> None:
    file = tmp_path / "org.pfa"
    with pytest.MonkeyPatch.context() as patch, postgres.database(template) as url:
        patch.setenv("PFA_TEST_BOUND", "1")
        with a_copy(postgres, lived) as world, SelfClosing(url) as owner:
            ann, ben = world.principal("ann"), world.principal("ben")
            pfa_core.revoke_tokens(world.db, ann, user_id="ben")
            pfa_core.export_organization(world.owner, ann, file)
            pfa_core.import_organization(owner, file)
            (keys,) = owner.read(
                lambda c: c.execute("SELECT count(*) FROM pfa_signing_key").fetchone()
            )
            assert (keys, world.rows("SELECT count(*) FROM pfa_signing_key")) == (0, [(1,)])
            with SelfClosing(bound_url(url)) as bound:
                with pytest.raises(errors.InvalidToken, match="does not know the key"):
                    pfa_core.list_drafts(bound, ann, pfa_core.Filters())
                owner.transact(know_the_key)
                assert len(pfa_core.list_drafts(bound, ann, pfa_core.Filters())) == 1
                with pytest.raises(errors.InvalidToken, match="the token was revoked"):
                    pfa_core.list_drafts(bound, ben, pfa_core.Filters())
