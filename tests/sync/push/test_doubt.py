"""A send in doubt is asked about with the same request, and a refusal of that is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import pfa_core
from pfa_core import Filters, Selection, errors
from pfa_core.model.ids import utc_now
from pfa_core.pems.http.failures import refusal
from pfa_core.pems.sandbox.http import Request, Response
from pfa_core.pems.sandbox.server import Outcome
from pfa_core.pems.services.rest import RestWriter
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

RECORDS = [record("P-1", model="M0", manufacturer="F0"), record("P-2")]
LOCKED = refusal(422, {}, b'{"message": "locked for month end"}', utc_now())


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})


@pytest.fixture(params=[True, False], ids=["keys", "no keys"])
def far(world, request) -> Iterator[FarSide]:
    with a_pems_beside(world, *RECORDS, with_keys=request.param) as far:
        far.profile = replace(far.profile, idempotency_keys=request.param)
        yield far


@pytest.fixture
def keyed(world) -> Iterator[FarSide]:
    with a_pems_beside(world, *RECORDS) as far:
        yield far


def committed(far: FarSide, **values: Any) -> None:
    draft(far.db, far.ann, "P-1", session="s", **values)
    commit(far.db, far.ann, session="s")


def send_in_vain(far: FarSide, fault: str) -> None:
    """Send; neither an answer nor the record that is read back arrives."""
    far.pems.faults = [f"{fault}:1:on=rest:after=1"]
    with pytest.raises(errors.PemsUnavailable):
        far.push()
    far.pems.faults = []
    make_due(far)


def make_due(far: FarSide) -> None:
    far.world.execute(
        "UPDATE pfa_modification SET next_attempt_at = now() WHERE state = 'sync_error'"
    )


def move(far: FarSide, times: int) -> None:
    """Other users change other fields in PEMS."""
    for number in range(times):
        far.pems.change("P-1", contract=f"C-{number + 7}")


def is_in_doubt(far: FarSide) -> bool:
    ((doubt,),) = far.world.rows("SELECT sent_version IS NOT NULL FROM pfa_modification")
    return doubt


def open_conflicts(far: FarSide) -> list[object]:
    return list(pfa_core.list_conflicts(far.db, far.ann, Filters()))


@pytest.mark.variants(1)
@pytest.mark.parametrize("moved", [1, 3])
def test_a_repeated_request_that_pems_refuses_for_good_is_a_dead_letter(
    far: FarSide, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(far, model="T1")
    send_in_vain(far, "reset-before")
    move(far, moved)
    monkeypatch.setattr(RestWriter, "write", lambda *_: LOCKED)
    result = far.push()
    assert (result.rejected, result.conflicts, open_conflicts(far)) == (1, 0, [])
    (fault,) = result.problems
    assert (fault.code, fault.message) == (
        "PEMS_REJECTED",
        "PEMS answered 422: 'locked for month end'",
    )
    unknown = moved > 1 and not far.profile.idempotency_keys
    assert is_in_doubt(far) == unknown
    if unknown:
        with pytest.raises(errors.IllegalTransition):
            pfa_core.uncommit(far.db, far.ann, Selection(session_id="s"))
    else:
        assert pfa_core.uncommit(far.db, far.ann, Selection(session_id="s")).uncommitted


@pytest.mark.slow
def test_a_dead_letter_of_a_repeated_request_is_sent_when_it_is_asked_for(
    keyed: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(keyed, model="T1")
    send_in_vain(keyed, "reset-before")
    move(keyed, 1)
    with monkeypatch.context() as patch:
        patch.setattr(RestWriter, "write", lambda *_: LOCKED)
        assert keyed.push().rejected == 1
    assert pfa_core.retry(keyed.db, keyed.ann, keyed.profile).push.synced == 1
    assert keyed.applied() == [{"model": "T1"}]
    keyed.require_agreement()


@pytest.mark.slow
@pytest.mark.variants(1)
def test_a_failure_that_passes_leaves_the_send_in_doubt(far: FarSide) -> None:
    committed(far, model="T1")
    send_in_vain(far, "reset-before")
    move(far, 1)
    far.pems.faults = ["423:1:on=rest:after=1"]
    assert far.push(deadline=timedelta(seconds=0.5)).synced == 0
    assert is_in_doubt(far)
    assert open_conflicts(far) == []


@pytest.mark.variants(1)
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_what_cannot_be_written_any_more_is_a_dead_letter(
    far: FarSide, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(far, model="T1")
    send_in_vain(far, "reset-before")
    move(far, moved)
    monkeypatch.setattr(RestWriter, "unwritable", lambda *_: "model has no way back")
    result = far.push()
    assert (result.rejected, result.conflicts) == (1, 0)
    (fault,) = result.problems
    assert (fault.code, fault.message) == ("UNWRITABLE_FIELD", "model has no way back")
    assert is_in_doubt(far) == (moved > 1)


@pytest.mark.slow
@pytest.mark.variants(1)
def test_what_cannot_be_written_any_more_and_arrived_is_acknowledged(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(far, model="T1")
    send_in_vain(far, "reset-after")
    monkeypatch.setattr(RestWriter, "unwritable", lambda *_: "model has no way back")
    assert far.push().synced == 1


def bodies(far: FarSide) -> list[bytes]:
    """The bodies of the writes from now on."""
    found: list[bytes] = []

    def watch(request: Request, _: Response) -> None:
        if request.method == "PUT":
            found.append(request.body)

    far.pems._watcher = watch
    return found


@pytest.mark.variants(1)
@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_the_repeated_request_is_the_first_one_byte_by_byte(keyed: FarSide, fault: str) -> None:
    """PEMS had one of the fields already when the first was sent, and others changed both since."""
    committed(keyed, manufacturer="F1", model="T1", monthlyRate=12.5)
    keyed.pems.change("P-1", manufacturer="F1")
    sent = bodies(keyed)
    send_in_vain(keyed, fault)
    first = sent[0]
    assert b"manufacturer" not in first
    sent.clear()
    keyed.pems.change("P-1", manufacturer="F2", model="M2")
    make_due(keyed)
    keyed.push()
    assert sent[0] == first
    replays = [entry for entry in keyed.pems.log if entry.outcome is Outcome.REPLAYED]
    assert [entry.same_body for entry in replays] == ([True] if fault == "reset-after" else [])


def test_a_key_that_was_used_up_is_asked_about_with_the_same_request(keyed: FarSide) -> None:
    """The record changes between the reading and the send; the answer, a refusal, is lost."""
    committed(keyed, manufacturer="F1", model="T1")
    keyed.pems.change("P-1", manufacturer="F1")

    def change(request: Request, _: Response) -> None:
        if request.method == "GET" and keyed.pems.record("P-1").version == 2:
            keyed.pems.change("P-1", contract="C-9")

    keyed.pems._watcher = change
    send_in_vain(keyed, "reset-after")
    keyed.pems._watcher = None
    result = keyed.push()
    assert (result.synced, result.conflicts) == (1, 0)
    assert [entry.same_body for entry in keyed.pems.log if entry.outcome is Outcome.REPLAYED] == [
        True
    ]
    assert keyed.applied() == [{"model": "T1"}]
    keyed.require_agreement()


def test_a_modification_in_doubt_from_before_the_fields_were_recorded_asks_with_all(
    keyed: FarSide,
) -> None:
    committed(keyed, model="T1")
    send_in_vain(keyed, "reset-after")
    keyed.world.execute("UPDATE pfa_modification SET sent_fields = NULL")
    keyed.pems.change("P-1", model="M2")
    assert keyed.push().synced == 1
    assert [entry.same_body for entry in keyed.pems.log if entry.outcome is Outcome.REPLAYED] == [
        True
    ]


def test_what_was_sent_is_recorded_before_and_gone_after(keyed: FarSide) -> None:
    committed(keyed, model="T1", manufacturer="F1")
    send_in_vain(keyed, "reset-before")
    columns = "SELECT sent_version, sent_fields FROM pfa_modification"
    ((version, names),) = keyed.world.rows(columns)
    assert (version, sorted(names)) == ("1", ["manufacturer", "model"])
    assert keyed.push().synced == 1
    assert keyed.world.rows(columns) == [(None, None)]


@pytest.mark.slow
def test_without_keys_what_arrived_of_a_disputed_change_is_not_in_dispute_with_its_user(
    world: World,
) -> None:
    """One of two fields was overwritten since: it is in conflict, a draft over the other one is not."""
    with a_pems_beside(world, *RECORDS, with_keys=False) as far:
        far.profile = replace(far.profile, idempotency_keys=False)
        committed(far, model="T1", manufacturer="F1")
        draft(far.db, far.ann, "P-1", session="later", manufacturer="F2")
        send_in_vain(far, "reset-after")
        move(far, 1)
        far.pems.change("P-1", model="THEIRS")
        assert far.push().conflicts == 1
        (conflict,) = pfa_core.list_conflicts(far.db, far.ann, Filters())
        assert [item.field for item in conflict.fields] == ["model"]
        (later,) = pfa_core.list_drafts(far.db, far.ann, Filters())
        assert (later.overtaken, later.base) == ((), {"manufacturer": "F1"})
        assert len(commit(far.db, far.ann, session="later").committed) == 1
