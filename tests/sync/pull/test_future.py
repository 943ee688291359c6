"""What lies in the future: neither hides a change of PEMS from a pull nor holds a run back."""

from __future__ import annotations

from uuid import uuid4

import pytest

import pfa_core
from tests.factories import a_world, commit, draft, record
from tests.pems_server import FarSide, a_pems_beside, owned

RECORDS = [record("P-1", model="M1"), record("P-2", model="M2")]


@pytest.fixture
def far(database_url):
    with a_pems_beside(a_world(database_url, *owned(RECORDS)), *RECORDS) as far:
        far.pull()
        far.pems.change("P-1", model="THEIRS")
        yield far


def models(far: FarSide) -> list[tuple]:
    return far.world.rows("SELECT pfa_id, data ->> 'model' FROM pfa_mirror ORDER BY 1")


CHANGED = [("P-1", "THEIRS"), ("P-2", "M2")]


@pytest.mark.variants(1)
@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_a_run_of_the_future_hides_no_change_from_the_next_pull(far, kind):
    far.world.execute(
        "INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id, started_at,"
        " finished_at, kind) VALUES ('ORG', %s, 'pull', %s, 'completed', 'ann', '2098-01-01', '2098-01-01', %s)",
        uuid4(),
        far.profile.url,
        kind,
    )
    far.pull(incremental=True)
    assert models(far) == CHANGED
    assert pfa_core.collect(far.db, far.ann)


def test_a_full_run_that_says_it_continued_one_of_the_future_hides_none_either(far):
    far.world.execute(
        "UPDATE pfa_sync_log SET since = '2098-01-01' WHERE source = %s", far.profile.url
    )
    far.pull(incremental=True)
    assert models(far) == CHANGED


@pytest.mark.variants(1)
@pytest.mark.parametrize("incremental", [True, False])
def test_a_mirror_row_of_the_future_is_brought_up_to_date(far, incremental):
    far.world.execute("UPDATE pfa_mirror SET updated_at = '2099-01-01'")
    assert far.pull(incremental=incremental).updated == 1
    assert models(far) == CHANGED


def test_a_row_that_was_written_after_the_page_was_asked_for_still_stays(far):
    """The other side of it: the mirror knows better than a page of before."""
    from datetime import UTC, datetime, timedelta

    from pfa_core.store import mirror

    def work(conn):
        mirror.copy_incoming(conn, [("P-1", "{}", None), ("P-2", "{}", None)])
        conn.execute("UPDATE pfa_mirror SET updated_at = '2000-01-01' WHERE pfa_id = 'P-2'")
        asked_at = datetime.now(UTC) - timedelta(minutes=10)
        return mirror.drop_unchanged(conn, "ORG", asked_at=asked_at)

    assert far.world.owner.transact(work, dry_run=True) == 1


@pytest.mark.variants(1)
@pytest.mark.parametrize("at", ["9999-12-29", "2099-01-01"])
@pytest.mark.parametrize("name", ["pull", "push"])
def test_a_lease_of_the_far_future_holds_no_run_back(far, at, name):
    far.world.execute(
        "INSERT INTO pfa_lease (organization_id, name, owner_id, owner, acquired_at, expires_at)"
        " VALUES ('ORG', %s, %s, 'eve', now(), %s)",
        name,
        uuid4(),
        at,
    )
    draft(far.db, far.ann, "P-2", model="MINE")
    commit(far.db, far.ann)
    assert far.push().synced == 1
    far.pull()
    assert models(far) == [("P-1", "THEIRS"), ("P-2", "MINE")]
