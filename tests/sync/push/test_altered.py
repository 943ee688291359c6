"""Values that PEMS stores otherwise than sent: reported with both, and in the mirror as PEMS has it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import errors
from pfa_core.errors import FaultCode
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.model.secret import Secret
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.profile import WriterKind
from pfa_core.pems.services.rest import RestWriter
from tests.factories import World, a_world, commit, draft, record
from tests.forms import long
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

RECORDS = [record(f"P-{place}", monthlyRate=1100, model="Old") for place in range(1, 4)]
ROUNDED = "PEMS stored monthlyRate 1201, sent was 1200.505"
SESSIONS = map("s{}".format, itertools.count())


@built_once
def world(url: str) -> World:
    return a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})


@pytest.fixture(params=["the answer shows it", *long(["read back", "no keys"]), "screen"])
def far(world, request):
    """A PEMS that shows what it stored: in its answer, when it is read, or on the screen."""
    kind = request.param
    with a_pems_beside(
        world, *RECORDS, shows_writes=kind != "read back", with_keys=kind != "no keys"
    ) as far:
        writer = WriterKind.SCREEN if kind == "screen" else WriterKind.REST
        far.profile = replace(far.profile, writer=writer, idempotency_keys=kind != "no keys")
        yield far


@pytest.fixture
def plain(world):
    with a_pems_beside(world, *RECORDS) as far:
        yield far


def committed(far: FarSide, pfa_id: str = "P-1", user: str = "ann", **values: Any) -> None:
    session = next(SESSIONS)
    draft(far.db, far.world.principal(user), pfa_id, session=session, **values)
    commit(far.db, far.world.principal(user), session=session)


def requests(far: FarSide) -> list[str]:
    """The methods of the requests from now on."""
    found: list[str] = []
    far.pems._watcher = lambda request, _: found.append(request.method)
    return found


def test_a_rounded_rate_is_reported_with_both_values_and_the_mirror_has_that_of_pems(far):
    far.pems.faults = ["rounds"]
    committed(far, monthlyRate=Decimal("1200.505"), model="New")
    committed(far, "P-2", monthlyRate=1300)
    result = far.push()
    assert (result.status, result.total, result.synced, result.altered) == ("completed", 2, 2, 1)
    (fault,) = result.problems
    assert (fault.pfa_id, fault.code, fault.message) == ("P-1", "PEMS_ALTERED", ROUNDED)
    assert far.states() == {"synced": 2}
    mirror = far.world.mirror()["P-1"]
    assert (mirror["monthlyRate"], mirror["model"]) == (1201, "New")
    assert far.world.merged() == {}
    far.require_agreement()


def test_an_altered_change_is_not_sent_again(far):
    far.pems.faults = ["rounds"]
    committed(far, monthlyRate=Decimal("1200.505"))
    far.push()
    assert far.push().total == 0
    assert far.pull().unchanged == 3
    assert far.push().total == 0
    assert len(far.applied("P-1")) == 1
    assert pfa_core.list_conflicts(far.db, far.ann, pfa_core.Filters()) == []


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("fault", "sent", "stored"),
    [
        ("cuts:1:length=6", "Mobile crane", "Mobile"),
        ("capitals", "Mobile crane", "MOBILE CRANE"),
        ("cuts:1:length=6", "Crane", "Crane"),
        ("capitals", "LTM 40", "LTM 40"),
    ],
)
def test_a_text_that_is_stored_otherwise_is_reported_and_one_that_is_not_is_not(
    far, fault, sent, stored
):
    far.pems.faults = [fault]
    committed(far, model=sent)
    result = far.push()
    assert (result.synced, result.altered) == (1, sent != stored)
    reported = [problem.message for problem in result.problems]
    assert reported == ([f"PEMS stored model {stored}, sent was {sent}"] if sent != stored else [])
    assert far.world.mirror()["P-1"]["model"] == stored


def test_a_number_with_other_digits_and_the_same_value_is_not_altered(far):
    committed(far, monthlyRate=Decimal("1200.50"), forecastStart=None, isDiscontinued=True)
    result = far.push()
    assert (result.synced, result.altered, result.problems) == (1, 0, ())
    far.require_agreement()


def test_history_log_and_trail_say_both_values(far, caplog):
    far.pems.faults = ["rounds:1:times=1"]
    committed(far, monthlyRate=Decimal("1200.505"))
    committed(far, "P-2", monthlyRate=Decimal("5.5"))
    caplog.set_level("WARNING", "pfa")
    result = far.push(concurrency=1)
    assert result.run_id
    detail = pfa_core.show_run(far.db, far.ann, result.run_id)
    assert detail.run.counts["altered"] == 1
    first, second = detail.outcomes
    assert (first.pfa_id, first.outcome, first.code, first.message) == (
        "P-1", "synced", "PEMS_ALTERED", ROUNDED,
    )  # fmt: skip
    assert (second.outcome, second.code) == ("synced", "")
    ((after, reason),) = far.world.rows(
        "SELECT after, reason FROM audit_log WHERE action = 'acknowledge' AND pfa_id = 'P-1'"
    )
    assert (after, reason) == ({"monthlyRate": 1201}, ROUNDED)
    (warned,) = [item for item in caplog.records if getattr(item, "event", "") == "altered"]
    assert warned.fields["reason"] == ROUNDED


@pytest.mark.variants(1)
def test_a_later_draft_of_the_same_field_is_based_on_what_pems_stored(far):
    far.pems.faults = ["rounds"]
    committed(far, monthlyRate=Decimal("1200.505"))
    draft(far.db, far.ann, "P-1", session="later", monthlyRate=1300)
    far.push()
    assert pfa_core.status(far.db, far.ann).overtaken == 0
    commit(far.db, far.ann, session="later")
    assert (far.push().synced, far.states()) == (1, {"synced": 2})
    assert far.world.mirror()["P-1"]["monthlyRate"] == 1300


def test_two_changes_of_one_record_are_each_compared_with_their_own_values(far):
    far.pems.faults = ["rounds"]
    committed(far, monthlyRate=Decimal("1200.505"))
    committed(far, monthlyRate=Decimal("1300.505"))
    result = far.push()
    assert (result.synced, result.altered) == (2, 2)
    assert far.world.mirror()["P-1"]["monthlyRate"] == 1301


def test_money_is_hidden_from_who_may_not_see_it(plain):
    plain.pems.faults = ["rounds"]
    committed(plain, monthlyRate=Decimal("1200.505"))
    plain.world.execute("UPDATE pfa_member SET rights = array_remove(rights, 'view_financials')")
    result = plain.push()
    assert result.masked
    assert [problem.message for problem in result.problems] == [
        "PEMS stored monthlyRate *** sent was ***"
    ]


def test_values_are_compared_in_the_units_of_the_mirror(plain):
    steps = {"monthlyRate": Chain((read_step({"multiply": "4"}),))}
    plain.profile = replace(plain.profile, field_map=replace(FieldMap(), chains=steps))
    plain.pull()
    plain.pems.faults = ["rounds"]
    committed(plain, monthlyRate=1202)
    result = plain.push()
    assert plain.pems.record("P-1").data["monthlyRate"] == 301
    assert [problem.message for problem in result.problems] == [
        "PEMS stored monthlyRate 1204, sent was 1202"
    ]
    assert plain.world.mirror()["P-1"]["monthlyRate"] == 1204


# --- what it costs, and what happens when it fails ----------------------------------------------------


@pytest.mark.slow
def test_an_answer_that_shows_what_was_stored_costs_no_request(plain):
    plain.pull()
    committed(plain, monthlyRate=5)
    plain.push()
    committed(plain, monthlyRate=6)
    sent = requests(plain)
    assert plain.push().synced == 1
    assert sent == ["PUT"]


def test_an_answer_that_does_not_is_read_back_once(world):
    with a_pems_beside(world, *RECORDS, shows_writes=False) as far:
        committed(far, monthlyRate=5)
        far.push()
        committed(far, monthlyRate=6)
        sent = requests(far)
        assert far.push().synced == 1
        assert sent == ["PUT", "GET"]
        far.require_agreement()


@pytest.fixture(params=[True, False], ids=["keys", "no keys"])
def silent(world, request):
    """A PEMS whose answers do not show what it stored."""
    with a_pems_beside(world, *RECORDS, shows_writes=False, with_keys=request.param) as far:
        far.profile = replace(far.profile, idempotency_keys=request.param)
        yield far


@pytest.mark.variants(2)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_read_back_that_fails_is_made_again_and_says_what_pems_stored(silent, times):
    committed(silent, monthlyRate=Decimal("1200.505"), model="New")
    silent.pems.faults = ["rounds", f"503:on=rest:after=2:times={times}"]
    result = silent.push()
    assert (result.status, result.total, result.synced, result.altered) == ("completed", 1, 1, 1)
    assert [problem.message for problem in result.problems] == [
        f"{ROUNDED}; seen by reading it back"
    ]
    assert len(silent.applied("P-1")) == 1
    silent.require_agreement()


@pytest.mark.slow
@pytest.mark.variants(1)
def test_what_was_not_read_back_is_counted_and_not_in_the_mirror_until_it_is(silent):
    committed(silent, "P-2", model="New")
    silent.push()
    committed(silent, monthlyRate=Decimal("1200.505"))
    silent.pems.faults = ["rounds", "503:on=rest:after=2"]
    with pytest.raises(errors.PemsUnavailable) as failed:
        silent.push()
    (fault,) = failed.value.details
    assert "sent before, not read back: PEMS answered 503" in fault.message
    (first, *_) = silent.world.rows(
        "SELECT message FROM pfa_sync_outcome WHERE pfa_id = 'P-1' ORDER BY number"
    )
    assert first[0].startswith("PEMS applied it, what it stored was not read back: PEMS answered")
    assert silent.world.mirror()["P-1"]["monthlyRate"] == 1100
    assert silent.world.merged()["P-1"]["monthlyRate"] == Decimal("1200.505")
    silent.pems.faults = []
    silent.world.execute(
        "UPDATE pfa_modification SET next_attempt_at = now() WHERE state = 'sync_error'"
    )
    result = silent.push()
    assert (result.synced, result.altered) == (1, 1)
    assert len(silent.applied("P-1")) == 1
    silent.require_agreement()


@pytest.mark.variants(1)
def test_beside_others_it_makes_a_push_partial(silent):
    committed(silent, monthlyRate=5)
    committed(silent, "P-2", monthlyRate=6)
    silent.profile = replace(silent.profile, retries=0)

    def fail_what_follows(request, _response):
        if request.method == "PUT" and "P-2" in request.path:
            silent.pems._watcher = None
            silent.pems.faults = ["503:on=rest:times=1"]

    silent.pems._watcher = fail_what_follows
    result = silent.push(concurrency=1)
    assert (result.status, result.synced, result.rejected) == ("partial", 1, 1)
    (fault,) = result.problems
    assert "what it stored was not read back" in fault.message
    assert pfa_core.retry(silent.db, silent.ann, silent.profile).push.synced == 1
    assert [len(silent.applied(pfa_id)) for pfa_id in ("P-1", "P-2")] == [1, 1]
    silent.require_agreement()


def test_a_refused_read_back_does_not_make_the_change_a_refused_one(silent, monkeypatch):
    refused = Failure(FaultCode.PEMS_REJECTED, "PEMS answered 403", RetryAdvice.NONE)
    read, answers = RestWriter.read, iter([None, refused])
    committed(silent, monthlyRate=5)
    monkeypatch.setattr(
        RestWriter, "read", lambda self, pfa_id: next(answers, None) or read(self, pfa_id)
    )
    assert silent.push().synced == 1
    assert len(silent.applied("P-1")) == 1


def test_a_change_of_another_user_right_after_the_write_is_not_taken_for_what_pems_made_of_it(
    world,
):
    with a_pems_beside(world, *RECORDS, shows_writes=False) as far:
        committed(far, monthlyRate=5)

        def change(request, _response):
            if request.method == "PUT":
                far.pems._watcher = None
                far.pems.change("P-1", monthlyRate=7)

        far.pems._watcher = change
        result = far.push()
        assert (result.synced, result.altered) == (1, 0)
        assert far.world.mirror()["P-1"]["monthlyRate"] == 7
        far.require_agreement()


@pytest.mark.parametrize("fault", ["reset-after:1:times=1:after=1", "truncate:1:times=1:after=1"])
def test_an_altered_write_without_an_answer_is_reported_when_its_key_is_repeated(plain, fault):
    plain.pems.faults = ["rounds", f"{fault}:on=rest"]
    committed(plain, monthlyRate=Decimal("1200.505"))
    result = plain.push()
    assert (result.synced, result.altered) == (1, 1)
    assert [problem.message for problem in result.problems] == [
        f"{ROUNDED}; seen by reading it back"
    ]
    assert plain.world.mirror()["P-1"]["monthlyRate"] == 1201
    plain.require_once()
    assert plain.push().total == 0


def test_a_field_that_an_answer_does_not_show_is_taken_as_sent(plain, monkeypatch):
    committed(plain, model="Mid")
    plain.push()  # learns the version
    read = RestWriter.read

    def without_rate(self, pfa_id):
        found = read(self, pfa_id)
        shown = {name: value for name, value in found.record.items() if name != "monthlyRate"}
        return replace(found, record=shown)

    plain.pems._shows_writes = False
    plain.pems._service = plain.pems._new_service()
    monkeypatch.setattr(RestWriter, "read", without_rate)
    plain.pems.faults = ["cuts:1:length=2"]
    committed(plain, monthlyRate=5, model="New")
    result = plain.push()
    assert [problem.message for problem in result.problems] == [
        "PEMS stored model Ne, sent was New"
    ]
    mirror = plain.world.mirror()["P-1"]
    assert (mirror["monthlyRate"], mirror["model"]) == (5, "Ne")


# --- without keys, when the answer is lost ------------------------------------------------------------

LOST = "reset-after:1:times=1"
SEEN = f"{ROUNDED}; seen by reading it back"


@pytest.fixture(params=["no keys", "screen"])
def keyless(world, request):
    with a_pems_beside(world, *RECORDS, with_keys=False) as far:
        screen = request.param == "screen"
        writer = WriterKind.SCREEN if screen else WriterKind.REST
        far.profile = replace(
            far.profile, writer=writer, idempotency_keys=False, username="svc", password=Secret("x")
        )
        yield far


@pytest.fixture
def rest(world):
    with a_pems_beside(world, *RECORDS, with_keys=False) as far:
        far.profile = replace(far.profile, idempotency_keys=False)
        yield far


def owns(far: FarSide, owner: Owner) -> None:
    far.profile = replace(far.profile, ownership=Ownership(default=owner))


def lose(far: FarSide, *alterations: str, lost: str = LOST) -> None:
    """Let the answer to the first write be lost."""
    rest = far.profile.writer is WriterKind.REST
    place = "on=rest:after=1" if rest else "on=screen:after=2"
    far.pems.faults = [*alterations, f"{lost}:{place}"]


def lose_all(far: FarSide, *alterations: str, fault: str = "reset-after") -> None:
    """Push; nothing arrives any more from the first write on, then the change is due again."""
    lose(far, *alterations, lost=f"{fault}:1")
    with pytest.raises(errors.PemsUnavailable):
        far.push()
    far.pems.faults = []
    far.world.execute(
        "UPDATE pfa_modification SET next_attempt_at = now() WHERE state = 'sync_error'"
    )


def disputed(far: FarSide) -> list[tuple[str, Any, Any]]:
    found = pfa_core.list_conflicts(far.db, far.ann, pfa_core.Filters())
    return [(one.field, one.mine, one.pems) for item in found for one in item.fields]


@pytest.mark.variants(2)
@pytest.mark.parametrize("owner", Owner)
def test_an_altered_write_without_an_answer_is_its_own(keyless, owner):
    owns(keyless, owner)
    committed(keyless, monthlyRate=Decimal("1200.505"), model="New")
    lose(keyless, "rounds")
    result = keyless.push()
    assert (result.status, result.synced, result.altered) == ("completed", 1, 1)
    assert [problem.message for problem in result.problems] == [SEEN]
    assert (len(keyless.applied("P-1")), disputed(keyless)) == (1, [])
    assert keyless.push().total == 0
    keyless.require_agreement()


def test_a_write_altered_to_the_value_of_before_is_its_own(keyless):
    committed(keyless, monthlyRate=Decimal("1100.4"))
    lose(keyless, "rounds")
    result = keyless.push()
    assert (result.synced, result.altered, len(keyless.applied("P-1"))) == (1, 1, 1)


@pytest.mark.variants(1)
@pytest.mark.parametrize("owner", Owner)
def test_an_altered_write_is_its_own_in_a_later_push_too(rest, owner):
    owns(rest, owner)
    committed(rest, monthlyRate=Decimal("1200.505"))
    lose_all(rest, "rounds")
    result = rest.push()
    assert [problem.message for problem in result.problems] == [SEEN]
    assert (result.synced, len(rest.applied("P-1")), disputed(rest)) == (1, 1, [])
    rest.require_agreement()


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("owner", Owner)
def test_an_altered_write_is_its_own_after_a_pull_has_brought_it(rest, owner):
    owns(rest, owner)
    committed(rest, monthlyRate=Decimal("1200.505"))
    lose_all(rest, "rounds")
    rest.pull()
    result = rest.push()
    assert (result.synced, result.altered, len(rest.applied("P-1"))) == (1, 1, 1)


def test_what_cannot_be_written_any_more_and_was_altered_is_acknowledged(rest, monkeypatch):
    committed(rest, monthlyRate=Decimal("1200.505"))
    lose_all(rest, "rounds")
    monkeypatch.setattr(RestWriter, "unwritable", lambda *_: "monthlyRate has no way back")
    result = rest.push()
    assert (result.synced, result.altered, result.rejected) == (1, 1, 0)


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("owner", "applied", "in_dispute"),
    [
        (Owner.MINE, [{"monthlyRate": 1200}], []),
        (Owner.PEMS, [], []),
        (Owner.ASK, [], [("monthlyRate", 1200, 1300)]),
    ],
)
def test_a_write_of_another_user_is_not_taken_for_an_altered_own(rest, owner, applied, in_dispute):
    owns(rest, owner)
    committed(rest, monthlyRate=1200)
    lose_all(rest, fault="reset-before")
    rest.pems.change("P-1", monthlyRate=1300)
    result = rest.push()
    assert (result.altered, rest.applied("P-1"), disputed(rest)) == (0, applied, in_dispute)


@pytest.mark.variants(1)
@pytest.mark.parametrize("owner", Owner)
def test_where_pems_names_no_writer_a_user_decides(rest, owner, monkeypatch):
    read = RestWriter.read
    monkeypatch.setattr(
        RestWriter, "read", lambda self, pfa_id: replace(read(self, pfa_id), updated_by="")
    )
    owns(rest, owner)
    committed(rest, monthlyRate=Decimal("1200.505"))
    lose(rest, "rounds")
    result = rest.push()
    assert (result.synced, result.conflicts, len(rest.applied("P-1"))) == (0, 1, 1)
    assert disputed(rest) == [("monthlyRate", Decimal("1200.505"), 1201)]


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("owner", Owner)
def test_what_cannot_be_told_apart_is_never_applied_twice(keyless, owner):
    """Another user changes another field right after the altered write, before anything is read."""
    owns(keyless, owner)
    committed(keyless, monthlyRate=Decimal("1200.505"))
    lose_all(keyless, "rounds")
    keyless.pems.change("P-1", contract="C-7")
    result = keyless.push()
    assert (result.synced, result.conflicts, len(keyless.applied("P-1"))) == (0, 1, 1)
    assert disputed(keyless) == [("monthlyRate", Decimal("1200.505"), 1201)]
