"""Pull from PEMS: page by page, whole or partial, never undoing what a push wrote."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

import pfa_core
from pfa_core import errors
from pfa_core.pems.profile import GridSettings
from pfa_core.pems.sandbox.server import RowShape, Totals
from tests.factories import World, a_world, commit, draft, record
from tests.forms import long
from tests.pems_server import FarSide, a_far_side, a_pems_beside, owned
from tests.worlds import built_once


def some(number: int):
    return [record(f"P-{place}") for place in range(1, number + 1)]


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(some(7)))


@pytest.fixture
def far(world):
    with a_pems_beside(world, *some(7), page_size=3) as far:
        yield far


def missing(far: FarSide) -> list[str]:
    rows = far.world.rows(
        "SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL ORDER BY 1"
    )
    return [row[0] for row in rows]


def pages(far: FarSide) -> int:
    return far.world.rows("SELECT count(*) FROM pfa_pull_page")[0][0]


@pytest.mark.variants(2)
@pytest.mark.parametrize("page_size", [2, 7, *long([3, 8, 100])])
@pytest.mark.parametrize("totals", Totals)
@pytest.mark.parametrize("shape", RowShape)
def test_every_page_arrives_whatever_the_shape_and_the_total(
    database_url, page_size, totals, shape
):
    records = [{**record(f"P-{n}"), "organization": "ORG"} for n in range(1, 8)]
    with a_far_side(database_url, page_size=page_size, totals=totals, shape=shape) as far:
        far.pems.load(records)
        result = far.pull()
        assert (result.status, result.total, result.inserted) == ("completed", 7, 7)
        far.require_agreement()
        assert far.pull().unchanged == 7
        far.world.db.close()


@pytest.mark.slow
def test_a_server_that_caps_its_pages_is_read_to_the_end(database_url):
    with a_far_side(database_url, *some(9), page_limit=2, page_size=100) as far:
        assert (far.pull().status, far.pull().total) == ("completed", 9)
        far.world.db.close()


def test_only_changed_rows_are_touched_and_kept_in_the_history(far):
    far.pems.change("P-2", monthlyRate=7)
    result = far.pull()
    assert (result.updated, result.unchanged, result.inserted) == (1, 6, 0)
    assert far.world.rows("SELECT pfa_id, version FROM pfa_mirror_history") == [("P-2", 1)]
    versions = dict(far.world.rows("SELECT pfa_id, version FROM pfa_mirror"))
    assert versions == {f"P-{n}": 2 if n == 2 else 1 for n in range(1, 8)}


def test_rows_of_another_organization_are_refused_and_counted(far, database_url):
    with a_far_side(database_url) as wide:
        wide.world.db.close()
    far.pems._access = replace(far.pems._access, organization=None)
    far.pems._service = far.pems._new_service()
    far.pems.change("X-1", organization="ORG2", source="Rental", dor="BEO")
    result = far.pull()
    assert (result.status, result.rejected, result.foreign, result.unchanged) == (
        "completed", 1, 1, 7,
    )  # fmt: skip
    assert "X-1" not in far.world.mirror()


def test_a_record_gone_from_pems_is_marked_by_a_complete_full_pull_and_found_again(far):
    far.pems.remove("P-3")
    result = far.pull()
    assert (result.status, result.missing, missing(far)) == ("completed", 1, ["P-3"])
    far.pems.load([{**record("P-3"), "organization": "ORG"}])
    assert (far.pull().missing, missing(far)) == (0, [])
    assert pages(far) == 0


def test_an_incremental_pull_brings_what_changed_and_marks_nothing(far):
    far.pull()
    far.pems.remove("P-3")
    far.pems.change("P-4", model="new")
    result = far.pull(incremental=True)
    assert (result.status, result.updated, result.missing) == ("completed", 1, 0)
    assert missing(far) == []
    (run, *_) = pfa_core.list_runs(far.db, far.ann)
    assert run.kind == "incremental"
    assert run.since is not None


def test_an_incremental_pull_without_a_complete_one_before_is_a_full_one(far):
    assert far.pull(incremental=True).total == 7
    assert pfa_core.list_runs(far.db, far.ann)[0].kind == "full"


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "fault", ["500", "503", "truncate", "reset-before", "alert", "429", "423", "425"]
)
def test_a_failure_that_passes_is_waited_for(far, fault):
    far.pems.faults = [f"{fault}:1:times=2:after=1:on=grid"]
    assert (far.pull().status, far.pull().unchanged) == ("completed", 7)


@pytest.mark.variants(1)
@pytest.mark.parametrize("fault", ["500", "truncate", "alert"])
def test_a_pull_that_is_cut_off_is_partial_marks_nothing_and_is_gone_on_with(far, fault):
    far.pems.remove("P-1")
    far.pems.change("P-2", model="new")
    far.pems.faults = [f"{fault}:1:after=1:on=grid"]
    result = far.pull()
    assert (result.status, result.total, result.updated) == ("partial", 3, 1)
    assert result.message
    assert (missing(far), pages(far)) == ([], 1)
    far.pems.faults = []
    asked = []
    far.pems._watcher = lambda request, response: asked.append(request.json()["GRID"]["ROW_OFFSET"])
    result = far.pull()
    assert (result.status, result.total, result.missing) == ("completed", 3, 1)
    assert "resumed after row 3" in result.message
    assert asked[0] == 2
    assert (missing(far), pages(far)) == (["P-1"], 0)


def test_a_pull_may_begin_anew_instead(far):
    far.pems.faults = ["500:1:after=1:on=grid"]
    far.pull()
    far.pems.faults = []
    assert (far.pull(restart=True).total, pages(far)) == (7, 0)


def test_rows_that_shift_while_the_pages_come_are_not_skipped(far):
    """A row goes between the first page and the second: without a second look P-4 would be lost."""
    far.pems.change("P-9", source="Rental", dor="BEO")
    seen = []

    def watch(request, response):
        seen.append(1)
        if len(seen) == 1:
            far.pems.remove("P-1")

    far.pems._watcher = watch
    result = far.pull()
    assert result.status == "completed"
    assert missing(far) == []
    assert far.world.mirror().keys() == {f"P-{n}" for n in (*range(1, 8), 9)}


def test_a_pems_that_answers_with_nothing_marks_nothing(far):
    for number in range(1, 8):
        far.pems.remove(f"P-{number}")
    result = far.pull()
    assert (result.status, result.missing, missing(far)) == ("partial", 0, [])


def test_a_change_during_a_pull_that_was_cut_off_reaches_the_next_incremental_one(far):
    far.pems.faults = ["500:1:after=1:on=grid"]
    assert far.pull().status == "partial"
    far.pems.faults = []
    far.pems.change("P-1", model="between")
    far.world.execute(
        "UPDATE pfa_sync_log SET started_at = (started_at AT TIME ZONE 'UTC' - interval '1 hour')"
        " AT TIME ZONE 'UTC'"
    )
    assert far.pull().status == "completed"
    assert far.pull(incremental=True).updated == 1
    far.require_agreement()


def test_a_pull_of_which_nothing_came_is_an_error(far):
    away = replace(far.profile, url="http://127.0.0.1:9")
    with pytest.raises(errors.PemsUnavailable):
        pfa_core.pull_pems(far.db, far.ann, away)
    far.pems.faults = ["alert:1:on=grid"]
    with pytest.raises(errors.PemsRejected) as raised:
        far.pull()
    assert "asked to answer with an alert" in raised.value.message
    assert pfa_core.list_runs(far.db, far.ann)[0].status == "failed"


def test_a_pull_that_is_stopped_keeps_what_arrived(far):
    far.pems.change("P-1", model="new")
    stop = threading.Event()
    far.pems._watcher = lambda request, response: stop.set()
    result = pfa_core.pull_pems(far.db, far.ann, far.profile, stop=stop)
    assert (result.status, result.interrupted, result.updated) == ("partial", True, 1)
    far.pems._watcher = None
    assert far.pull().status == "completed"


def test_a_pull_that_is_stopped_does_not_wait_for_a_page_that_is_under_way(far):
    far.pems.change("P-1", model="new")
    stop, over = threading.Event(), threading.Event()
    answered, stopped_at = [], []

    def hold_the_second_page(request, response):
        answered.append(request)
        if len(answered) == 2:
            stopped_at.append(time.monotonic())
            stop.set()
            over.wait(20)

    far.pems._watcher = hold_the_second_page
    result = pfa_core.pull_pems(far.db, far.ann, far.profile, stop=stop)
    took = time.monotonic() - stopped_at[0]
    over.set()
    assert (result.status, result.total, result.updated) == ("partial", 3, 1)
    assert took < 3
    far.pems._watcher = None
    assert far.pull().status == "completed"
    far.require_agreement()


def test_a_dry_run_changes_nothing(far):
    far.pems.change("P-1", model="new")
    far.pems.remove("P-2")
    before = far.world.rows("SELECT * FROM pfa_mirror ORDER BY pfa_id")
    result = pfa_core.pull_pems(far.db, far.ann, far.profile, dry_run=True)
    assert (result.updated, result.missing) == (1, 1)
    assert far.world.rows("SELECT * FROM pfa_mirror ORDER BY pfa_id") == before
    assert [run.direction for run in pfa_core.list_runs(far.db, far.ann)] == ["pull"]
    assert pages(far) == 0


def test_a_page_that_was_asked_before_a_push_does_not_undo_it(far):
    """The push writes and folds its value in between the answer of the grid and its storing."""
    draft(far.db, far.ann, "P-1", model="pushed")
    commit(far.db, far.ann)
    other = far.db.beside()

    def push(request, response):
        far.pems._watcher = None
        pfa_core.push_changes(other, far.ann, far.profile)

    far.profile = replace(far.profile, grid=GridSettings(page_size=100))
    far.pems._watcher = push
    far.pull()
    other.close()
    assert far.world.mirror()["P-1"]["model"] == "pushed"
    far.require_agreement()


def test_drafts_that_pems_overtook_show_at_once(far):
    draft(far.db, far.ann, "P-1", monthlyRate=5)
    far.pems.change("P-1", monthlyRate=7)
    far.pull()
    assert pfa_core.status(far.db, far.ann).overtaken == 1


def test_a_refused_record_is_not_missing(far):
    far.world.execute('UPDATE pfa_mirror SET data = data || \'{"model": "old"}\'')
    with far.pems._state._lock:
        for key, held in list(far.pems._state._records.items()):
            if held.pfa_id == "P-5":
                data = {**held.data, "source": "Lease"}
                far.pems._state._records[key] = replace(held, data=data)
    result = far.pull()
    assert (result.rejected, result.missing, missing(far)) == (1, 0, [])
