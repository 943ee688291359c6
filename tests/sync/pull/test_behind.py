"""Records that a pull from PEMS refused: the next incremental ones ask for them again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import pfa_core
from pfa_core.model.run import Behind
from pfa_core.pems.sandbox.records import StoredRecord, instant
from pfa_core.pems.services import grid_reader
from tests.factories import World, a_world, record
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def some(number: int):
    return [record(f"P-{place}") for place in range(1, number + 1)]


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(some(7)))


@pytest.fixture
def far(world):
    with a_pems_beside(world, *some(7), page_size=3) as far:
        yield far


def hold(far: FarSide, pfa_id: str, **values) -> None:
    """PEMS holds these values of a record, whether pfa takes them or not."""
    if "pemsVersion" not in values:
        far.pems.change(pfa_id, model="touched")
    held = far.pems.record(pfa_id)
    changed_at = values.get("pemsVersion", held.updated_at)
    data = {**held.data, **values, "pemsVersion": changed_at}
    put(far, replace(held, data=data, updated_at=changed_at))


def put(far: FarSide, held: StoredRecord) -> None:
    with far.pems._state._lock:
        far.pems._state._records[held.organization, held.pfa_id] = held
        far.pems._state.revision += 1


def asked(far: FarSide) -> list[str]:
    """From when on the grid is asked, request by request from now on."""
    found: list[str] = []

    def watch(request, _response):
        filters = request.json()["ADDON_FILTER"]
        found.append(filters[1]["VALUE"] if isinstance(filters, list) else "everything")

    far.pems._watcher = watch
    return found


def shown_as(monkeypatch, **values: str) -> None:
    """Every row of the grid shows these values."""
    decode_rows = grid_reader.decode_rows

    def changed(content, decode):
        page = decode_rows(content, decode)
        for row in page.rows:
            row.update(values)
        return page

    monkeypatch.setattr(grid_reader, "decode_rows", changed)


def an_hour_later(far: FarSide) -> None:
    """Every run so far began an hour earlier."""
    far.world.execute(
        "UPDATE pfa_sync_log SET started_at = (started_at AT TIME ZONE 'UTC' - interval '1 hour')"
        " AT TIME ZONE 'UTC'"
    )


def behind(far: FarSide) -> tuple[int, datetime | None]:
    report = pfa_core.status(far.db, far.ann)
    return report.behind, report.behind_since


@pytest.mark.slow
def test_a_refused_record_is_asked_for_by_every_incremental_pull_until_it_is_accepted(far):
    far.pull()
    hold(far, "P-4", source="Lease")
    changed_at = instant(far.pems.record("P-4").updated_at)
    since = asked(far)
    for _ in range(3):
        result = far.pull(incremental=True)
        assert (result.status, result.total, result.rejected) == ("completed", 1, 1)
        assert (result.behind.number, result.behind.since) == (1, changed_at)
        assert behind(far) == (1, changed_at)
    _, *later = [moment for moment, _ in itertools.groupby(since)]
    assert [instant(moment) for moment in later] == [changed_at - timedelta(minutes=5)]
    held = far.pems.record("P-4")
    put(far, replace(held, data={**held.data, "source": "Rental", "model": "right"}))
    result = far.pull(incremental=True)
    assert (result.rejected, result.updated, result.behind) == (0, 1, Behind())
    assert behind(far) == (0, None)
    far.require_agreement()


@pytest.mark.slow
def test_the_position_goes_on_once_nothing_is_refused(far):
    far.pull()
    hold(far, "P-4", source="Lease", pemsVersion="2026-11-25T12:00:00.000Z")
    far.pull()
    assert behind(far) == (1, NOON)
    since = asked(far)
    hold(far, "P-4", source="Rental", pemsVersion="2026-11-25T12:00:00.000Z")
    far.pull(incremental=True)
    far.pull(incremental=True)
    first, second = [moment for moment, _ in itertools.groupby(since)]
    assert first == "2026-11-25T11:55:00.000Z"
    assert second > "2026-11-25T13"


def test_the_earliest_of_several_refusals_counts(far):
    far.pull()
    for place, hour in ((2, 14), (5, 12), (6, 13)):
        hold(far, f"P-{place}", source="Lease", pemsVersion=f"2026-11-25T{hour}:00:00.000Z")
    result = far.pull()
    assert (result.rejected, result.behind.number, result.behind.since) == (3, 3, NOON)
    since = asked(far)
    assert far.pull(incremental=True).behind.number == 3
    assert set(since) == {"2026-11-25T11:55:00.000Z"}


def test_a_record_that_pems_deleted_is_not_behind(far):
    far.pull()
    hold(far, "P-4", source="Lease")
    assert far.pull(incremental=True).rejected == 1
    far.pems.remove("P-4")
    assert far.pull(incremental=True).behind == Behind()
    assert behind(far) == (0, None)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("stamp", ["", "yesterday", "0001-01-01T00:00:00Z"])
def test_without_the_time_of_its_change_everything_is_asked_for_after_a_full_pull(far, stamp):
    far.pull()
    held = far.pems.record("P-4")
    put(far, replace(held, data={**held.data, "source": "Lease", "pemsVersion": stamp}))
    assert far.pull().behind == Behind(1, None)
    since = asked(far)
    result = far.pull(incremental=True)
    assert set(since) == {"everything"}
    assert (result.total, result.rejected, behind(far)) == (7, 1, (1, None))


def test_without_the_time_of_its_change_an_incremental_pull_asks_from_the_same_time_again(
    far, monkeypatch
):
    far.pull()
    an_hour_later(far)
    began = pfa_core.list_runs(far.db, far.ann)[0].started_at
    hold(far, "P-4", source="Lease")
    shown_as(monkeypatch, pemsVersion="unknown")
    for _ in range(3):
        result = far.pull(incremental=True)
        assert (result.rejected, result.behind.since) == (1, began)


def test_a_record_of_another_organization_and_a_row_that_comes_twice_hold_nothing_back(far):
    far.pems._access = replace(far.pems._access, organization=None)
    far.pems._service = far.pems._new_service()
    far.pull()
    an_hour_later(far)
    far.pems.change("X-1", organization="ORG2", source="Rental", dor="BEO")
    result = far.pull(incremental=True)
    assert (result.rejected, result.foreign, result.behind) == (1, 1, Behind())
    twin = far.pems.record("P-7", "ORG")
    with far.pems._state._lock:
        far.pems._state._records["twin", "P-7"] = twin
        far.pems._state.revision += 1
    result = far.pull()
    assert (result.rejected, result.foreign, result.behind) == (2, 1, Behind())


def test_a_row_that_does_not_say_whose_it_is_may_be_ours(far, monkeypatch):
    far.pull()
    far.pems.change("P-4", model="new")
    shown_as(monkeypatch, organization="")
    result = far.pull(incremental=True)
    assert (result.rejected, result.foreign, result.behind.number) == (1, 1, 1)


def test_a_resumed_pull_is_behind_by_what_the_interrupted_one_refused(far):
    hold(far, "P-1", source="Lease", pemsVersion="2026-11-25T12:00:00.000Z")
    far.pems.faults = ["500:1:after=1:on=grid"]
    assert far.pull().status == "partial"
    far.pems.faults = []
    result = far.pull()
    assert "resumed" in result.message
    assert (result.status, result.rejected, result.behind.number) == ("completed", 0, 1)
    assert behind(far) == (1, NOON)
    since = asked(far)
    assert far.pull(incremental=True).rejected == 1
    assert set(since) == {"2026-11-25T11:55:00.000Z"}


def test_a_pull_that_begins_anew_forgets_what_the_interrupted_one_refused(far):
    hold(far, "P-1", source="Lease")
    far.pems.faults = ["500:1:after=1:on=grid"]
    assert far.pull().behind.number == 1
    far.pems.faults = []
    hold(far, "P-1", source="Rental")
    assert far.pull(restart=True).behind == Behind()
    assert behind(far) == (0, None)


def test_a_grid_that_is_another_one_forgets_what_the_interrupted_one_refused(far):
    hold(far, "P-1", source="Lease")
    far.pems.faults = ["500:1:after=1:on=grid"]
    assert far.pull().behind.number == 1
    far.pems.faults = []
    far.pems.remove("P-1")
    result = far.pull()
    assert (result.status, result.behind) == ("completed", Behind())
    assert behind(far) == (0, None)


def test_a_dry_run_says_what_would_be_behind_and_keeps_nothing(far):
    far.pull()
    hold(far, "P-4", source="Lease")
    result = pfa_core.pull_pems(far.db, far.ann, far.profile, dry_run=True)
    assert result.behind.number == 1
    assert behind(far) == (0, None)


def test_a_pull_from_files_leaves_what_is_behind(far, tmp_path):
    far.pull()
    hold(far, "P-4", source="Lease")
    far.pull(incremental=True)
    path = tmp_path / "mirror.jsonl"
    path.write_text('{"pfaId": "P-1", "organization": "ORG", "source": "Rental", "dor": "BEO"}\n')
    pfa_core.pull_files(far.db, far.ann, [str(path)], allow_emptied=["all"])
    assert behind(far)[0] == 1


def test_a_pull_since_a_given_time_leaves_what_is_behind(far):
    far.pull()
    hold(far, "P-4", source="Lease")
    far.pull(incremental=True)
    assert far.pull(since=datetime(2026, 1, 1, tzinfo=UTC)).rejected == 1
    far.pull(since=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    assert behind(far)[0] == 1
