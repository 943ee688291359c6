"""Push: every committed change in PEMS exactly once, in order, and the mirror agrees."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.model.ids import utc_now
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.model.push import StopReason
from pfa_core.model.secret import Secret
from tests.factories import World, a_world, commit, draft, is_bound, record
from tests.forms import long
from tests.life_cycle.views import ids, stats
from tests.pems_server import FarSide, a_far_side, a_pems_beside, owned
from tests.worlds import built_once

RECORDS = [record(f"P-{number}") for number in range(1, 7)]


@built_once
def world_beside_pems(url: str) -> World:
    return a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})


@pytest.fixture
def far(world_beside_pems):
    with a_pems_beside(world_beside_pems, *RECORDS) as far:
        yield far


def committed(far: FarSide, pfa_id: str = "P-1", user: str = "ann", session: str = "s", **delta):
    principal = far.world.principal(user)
    draft(far.db, principal, pfa_id, session=session, **delta)
    commit(far.db, principal, session=session)


def test_a_change_reaches_pems_and_leaves_no_trace_in_the_overlay(far):
    committed(far, monthlyRate=1234, forecastEnd="2026-01-31")
    result = far.push()
    assert (result.status, result.total, result.synced) == ("completed", 1, 1)
    assert far.applied() == [{"monthlyRate": 1234, "forecastEnd": "2026-01-31"}]
    assert far.states() == {"synced": 1}
    assert far.world.merged() == {}
    far.require_agreement()


def test_nothing_to_push_is_a_completed_run(far):
    result = far.push()
    assert (result.status, result.total) == ("completed", 0)
    assert far.pems.log == ()


def test_changes_of_all_users_go_the_oldest_first(far):
    committed(far, "P-2", "bob", model="B")
    committed(far, "P-1", "ann", model="A")
    assert far.push(concurrency=1).synced == 2
    assert [entry.write.by for entry in far.pems.log] == ["bob", "ann"]
    assert [entry.write.reason for entry in far.pems.log] == ["", ""]


def test_the_second_push_of_a_record_needs_no_look_before(far):
    committed(far, model="A")
    far.push()
    asked = []
    far.pems._watcher = lambda request, response: asked.append(request.method)
    committed(far, model="B", session="t")
    assert far.push().synced == 1
    assert asked == ["PUT"]
    far.require_agreement()


def test_changes_of_one_record_go_one_after_the_other(far):
    for number, session in enumerate(("r", "s", "t"), 1):
        committed(far, session=session, monthlyRate=number)
    assert far.push(concurrency=8).synced == 3
    assert far.applied("P-1") == [{"monthlyRate": 1}, {"monthlyRate": 2}, {"monthlyRate": 3}]
    far.require_agreement()


def test_a_draft_above_a_change_is_not_in_conflict_with_it_after_the_push(far):
    committed(far, monthlyRate=2000)
    draft(far.db, far.ann, "P-1", session="t", monthlyRate=3000)
    far.push()
    assert far.world.merged()["P-1"]["monthlyRate"] == 3000
    assert far.world.mirror()["P-1"]["monthlyRate"] == 2000
    commit(far.db, far.ann, session="t")
    assert far.push().synced == 1
    far.require_agreement()


def test_another_user_s_draft_on_the_same_field_is_overtaken_by_a_push(far):
    bob = far.world.principal("bob")
    draft(far.db, bob, "P-1", monthlyRate=5)
    committed(far, monthlyRate=2000)
    far.push()
    assert pfa_core.status(far.db, bob).overtaken == 1
    with pytest.raises(errors.BaselineConflict):
        commit(far.db, bob)


def test_other_fields_that_pems_changed_meanwhile_merge_by_themselves_and_arrive(far):
    committed(far, monthlyRate=2000)
    far.pems.change("P-1", model="Theirs")
    assert far.push().synced == 1
    assert far.pems.record("P-1").data["monthlyRate"] == 2000
    assert far.world.mirror()["P-1"]["model"] == "Theirs"
    far.require_agreement()


def test_a_field_that_pems_changed_too_is_a_conflict_with_base_mine_and_theirs(far):
    committed(far, monthlyRate=2000, model="Mine")
    committed(far, "P-2", session="t", model="Mine")
    far.pems.change("P-1", monthlyRate=7)
    result = far.push()
    assert (result.status, result.synced, result.conflicts) == ("partial", 1, 1)
    (fault,) = result.problems
    assert (fault.pfa_id, fault.code) == ("P-1", "BASELINE_CONFLICT")
    assert fault.message == "monthlyRate was 1000, PEMS has 7, mine is 2000"
    (conflict,) = pfa_core.list_conflicts(far.db, far.ann, pfa_core.Filters())
    assert [(one.field, one.base, one.mine, one.pems) for one in conflict.fields] == [
        ("monthlyRate", 1000, 2000, 7)
    ]
    assert far.applied("P-1") == []
    assert far.world.mirror()["P-1"]["monthlyRate"] == 7
    assert far.world.merged()["P-1"]["monthlyRate"] == 2000
    far.require_agreement()


def test_a_conflict_that_the_mirror_knows_already_is_found_too(far):
    committed(far, monthlyRate=2000)
    far.pems.change("P-1", monthlyRate=7)
    far.pull()
    assert far.push().conflicts == 1


def test_a_value_that_pems_has_already_is_settled_without_a_write(far):
    committed(far, monthlyRate=2000)
    far.pems.change("P-1", monthlyRate=2000)
    assert far.push().synced == 1
    assert far.applied() == []
    far.require_agreement()


def test_of_several_fields_only_those_are_sent_that_pems_has_not(far):
    committed(far, monthlyRate=2000, model="M")
    far.pems.change("P-1", monthlyRate=2000)
    assert far.push().synced == 1
    assert far.applied() == [{"model": "M"}]


def test_the_owner_of_a_field_settles_it_without_a_person(far):
    far.profile = replace(
        far.profile,
        ownership=Ownership({"monthlyRate": Owner.PEMS, "model": Owner.MINE}),
    )
    committed(far, monthlyRate=2000, model="Mine", dor="BEO")
    far.pems.change("P-1", monthlyRate=7, model="Theirs")
    assert far.push().synced == 1
    assert far.applied() == [{"model": "Mine", "dor": "BEO"}]
    far.require_agreement()
    assert far.world.mirror()["P-1"]["monthlyRate"] == 7


def test_a_conflict_asks_about_the_fields_without_an_owner(far):
    far.profile = replace(far.profile, ownership=Ownership({"monthlyRate": Owner.PEMS}))
    committed(far, monthlyRate=2000, model="Mine")
    far.pems.change("P-1", monthlyRate=7, model="Theirs")
    assert far.push().conflicts == 1
    (conflict,) = pfa_core.list_conflicts(far.db, far.ann, pfa_core.Filters())
    assert [one.field for one in conflict.fields] == ["model"]
    assert far.world.merged()["P-1"]["monthlyRate"] == 7


# --- failures -----------------------------------------------------------------------------------------


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "fault",
    ["500:1:times=2", "503:1:times=2", "429:1:times=3", "423:1:times=2",
     "425:1:times=2", "reset-before:1:times=2",
     "reset-after:1:times=2", "truncate:1:times=2", "alert:1:times=2", "latency:50ms"],
)  # fmt: skip
@pytest.mark.parametrize("looked_before", [False, *long([True])])
def test_a_failure_that_passes_delays_and_doubles_nothing(far, fault, looked_before):
    for number in range(1, 4):
        committed(far, f"P-{number}", session=f"a{number}", model=f"A{number}")
    if looked_before:
        far.push()
        for number in range(1, 4):
            committed(far, f"P-{number}", session=f"b{number}", model=f"B{number}")
    far.pems.faults = [f"{fault}:on=rest"]
    result = far.push()
    assert (result.synced, result.status) == (3, "completed")
    far.require_once()
    far.require_agreement()
    assert all(len(far.applied(f"P-{number}")) == 1 + looked_before for number in (1, 2, 3))


def test_a_refusal_is_final_with_pems_s_own_message_and_waits_in_the_dead_letters(far):
    committed(far, model="A")
    committed(far, "P-2", session="t", model="A")
    far.pems.remove("P-1")
    result = far.push()
    assert (result.synced, result.rejected, result.status) == (1, 1, "partial")
    (fault,) = result.problems
    assert (fault.pfa_id, fault.code) == ("P-1", "NOT_FOUND")
    assert "P-1 was not found" in fault.message
    assert far.push().total == 0
    (letter,) = pfa_core.retry(far.db, far.ann, None, dry_run=True).letters
    assert letter.pfa_id == "P-1"


def test_a_dead_letter_is_tried_again_when_asked_for(far):
    committed(far, model="A")
    far.pems.remove("P-1")
    run_id = far.push().run_id
    far.pems.load([{**record("P-1"), "organization": "ORG"}])
    result = pfa_core.retry(far.db, far.ann, far.profile, run_id)
    assert [letter.pfa_id for letter in result.letters] == ["P-1"]
    assert result.push is not None
    assert result.push.synced == 1
    far.require_agreement()


@pytest.mark.slow
def test_a_retry_that_is_stopped_before_its_first_claim_says_what_is_left(far):
    for number in (1, 2):
        committed(far, f"P-{number}", session=f"s{number}", model="A")
        far.pems.remove(f"P-{number}")
    far.push()
    far.pems.load([{**record(f"P-{number}"), "organization": "ORG"} for number in (1, 2)])
    stop = threading.Event()
    stop.set()
    for options in (
        {"stop": stop},
        {"options": pfa_core.PushOptions(deadline=timedelta(microseconds=1))},
    ):
        pushed = pfa_core.retry(far.db, far.ann, far.profile, **options).push
        assert (pushed.total, pushed.waiting, pushed.retrying, pushed.stop_reason) == (
            0, 2, 0, StopReason.REQUESTED if "stop" in options else StopReason.DEADLINE,
        )  # fmt: skip
    assert pfa_core.retry(far.db, far.ann, far.profile).push.synced == 2
    far.require_agreement()


def test_what_a_run_tried_and_is_due_by_now_is_not_left_beside_that(far):
    committed(far, "P-1", session="s", model="A")
    committed(far, "P-2", session="t", model="A")
    far.pems.faults = ["500:1:times=1:on=rest"]
    at_once, stop = replace(far.profile, retry_delay=0.000001), threading.Event()
    pushed = pfa_core.push_changes(
        far.db,
        far.ann,
        at_once,
        pfa_core.PushOptions(concurrency=1),
        stop=stop,
        progress=lambda _: stop.set(),
    )
    assert (pushed.synced, pushed.retrying, pushed.waiting) == (1, 1, 0)


def test_the_retry_of_another_run_s_letters_leaves_these_alone(far):
    first = far.push().run_id
    committed(far, model="A")
    far.pems.remove("P-1")
    far.push()
    assert pfa_core.retry(far.db, far.ann, far.profile, first).letters == []
    with pytest.raises(errors.NotFound):
        pfa_core.retry(far.db, far.ann, far.profile, "018f0000-0000-7000-8000-000000000000")


@pytest.mark.slow
def test_a_record_is_given_up_after_three_retries(far):
    committed(far, model="A")
    committed(far, "P-2", session="t", model="A")
    far.push()
    committed(far, session="u", model="B")
    far.pems.faults = ["500:1:on=rest"]
    assert far.push().rejected == 1
    far.pems.faults = []
    assert far.states() == {"sync_error": 1, "synced": 2}
    assert far.world.rows("SELECT failures, next_attempt_at FROM pfa_modification "
                          "WHERE state = 'sync_error'") == [(4, None)]  # fmt: skip
    assert pfa_core.retry(far.db, far.ann, far.profile).push.synced == 1
    far.require_once()


@pytest.mark.slow
def test_a_pems_that_is_away_costs_no_record_its_retries(far):
    for number in range(1, 7):
        committed(far, f"P-{number}", session=f"s{number}", model="A")
    away = replace(far.profile, url="http://127.0.0.1:9")
    with pytest.raises(errors.PemsUnavailable) as raised:
        pfa_core.push_changes(far.db, far.ann, away)
    assert raised.value.exit_code == 69
    assert set(far.world.rows("SELECT failures FROM pfa_modification")) == {(0,)}
    assert far.push().synced == 6
    far.require_agreement()


@pytest.mark.slow
def test_refused_credentials_end_the_run_and_leave_everything_to_the_next(database_url):
    records = [record(f"P-{number}") for number in range(1, 30)]
    with a_far_side(database_url, *records, username="u", password="right") as far:
        for number in range(1, 30):
            draft(far.db, far.ann, f"P-{number}", model="A")
        commit(far.db, far.ann)
        wrong = replace(far.profile, username="u", password=Secret("wrong"))
        with pytest.raises(errors.PemsRejected) as raised:
            pfa_core.push_changes(far.db, far.ann, wrong)
        assert "wrong" not in str(raised.value).replace("is wrong", "")
        assert far.states().keys() <= {"committed", "sync_error"}
        far.profile = replace(far.profile, username="u", password=Secret("right"))
        assert far.push().synced == 29
        far.require_once()
        far.require_agreement()
        far.world.db.close()


def test_without_idempotency_keys_a_lost_answer_is_settled_by_reading_back(database_url):
    with a_far_side(database_url, record(), with_keys=False) as far:
        far.profile = replace(far.profile, idempotency_keys=False)
        draft(far.db, far.ann, "P-1", model="A")
        commit(far.db, far.ann)
        far.pems.faults = ["reset-after:1:times=1:after=1:on=rest"]
        assert far.push().synced == 1
        assert far.applied() == [{"model": "A"}]
        far.require_agreement()
        far.world.db.close()


# --- bounds ---------------------------------------------------------------------------------------------


def test_a_push_of_one_session_leaves_the_others(far):
    committed(far, model="A", session="s")
    committed(far, "P-2", model="A", session="t")
    assert far.push(session_id="t").synced == 1
    assert far.applied("P-1") == []
    assert far.states() == {"committed": 1, "synced": 1}


def test_a_limit_bounds_the_changes(far):
    for number in range(1, 6):
        committed(far, f"P-{number}", session=f"s{number}", model="A")
    assert far.push(limit=2).total == 2
    assert far.states() == {"committed": 3, "synced": 2}


def test_a_rate_bounds_the_sends(far):
    for number in range(1, 6):
        committed(far, f"P-{number}", session=f"s{number}", model="A")
    began = time.monotonic()
    assert far.push(rate=50).synced == 5
    assert time.monotonic() - began >= 4 * 0.02


def test_a_plan_tells_what_would_be_sent_without_a_word_to_pems(far):
    committed(far, model="A")
    plan = pfa_core.plan_push(far.db, far.ann)
    streamed = pfa_core.stream_plan_push(far.db, far.ann)
    assert (streamed.total, list(streamed.changes)) == (len(plan), plan)
    first = pfa_core.stream_plan_push(far.db, far.ann, limit=1)
    assert (first.total, list(first.changes)) == (1, plan[:1])
    assert [(item.pfa_id, item.delta) for item in plan] == [("P-1", {"model": "A"})]
    assert far.pems.log == ()
    assert far.states() == {"committed": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"concurrency": 0}, {"concurrency": 65}, {"rate": 0}, {"rate": -1}, {"limit": 0},
     {"deadline": timedelta(0)}],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(errors.InvalidRequest):
        pfa_core.PushOptions(**wrong)


@pytest.mark.slow
def test_a_push_that_is_stopped_gives_back_what_it_has_not_sent(far):
    for number in range(1, 7):
        committed(far, f"P-{number}", session=f"s{number}", model="A")
    far.pems.faults = ["latency:100ms"]
    stop = threading.Event()

    def stop_after_the_second() -> None:
        while len(far.applied()) < 2:
            time.sleep(0.01)
        stop.set()

    threading.Thread(target=stop_after_the_second, daemon=True).start()
    result = pfa_core.push_changes(
        far.db, far.ann, far.profile, pfa_core.PushOptions(concurrency=1), stop=stop
    )
    assert result.interrupted
    assert (result.stop_reason, result.message) == (StopReason.REQUESTED, "stopped on request")
    assert 0 < result.synced < 6
    assert far.states() == {"committed": 6 - result.synced, "synced": result.synced}
    assert far.world.rows("SELECT count(*) FROM pfa_lease") == [(0,)]
    far.pems.faults = []
    assert far.push().synced == 6 - result.synced
    far.require_once()
    far.require_agreement()


def test_what_was_given_back_unsent_can_still_be_uncommitted(far):
    committed(far, model="A")
    stop = threading.Event()
    stop.set()
    pfa_core.push_changes(far.db, far.ann, far.profile, stop=stop)
    assert pfa_core.uncommit(far.db, far.ann, Selection(session_id="s")).uncommitted


def test_of_what_pems_has_nothing_can_be_taken_back(far):
    committed(far, model="A")
    far.push()
    with pytest.raises(errors.NoDrafts, match="all of it was pushed to PEMS") as refused:
        pfa_core.uncommit(far.db, far.ann, Selection(session_id="s"))
    assert refused.value.hint == "to take back what was pushed, type: pfa revert --session s"
    with pytest.raises(errors.IllegalTransition, match="all of it was pushed to PEMS"):
        pfa_core.discard(far.db, far.ann, Selection(session_id="s"))


@pytest.mark.slow
def test_what_was_sent_cannot_be_uncommitted(far):
    committed(far, model="A")
    far.push()
    committed(far, session="t", model="B")
    far.pems.faults = ["500:1:on=rest"]
    assert far.push().rejected == 1
    with pytest.raises(errors.IllegalTransition, match="1 was sent already or may have been"):
        pfa_core.uncommit(far.db, far.ann, Selection(session_id="t"))
    with pytest.raises(errors.NoDrafts):
        pfa_core.uncommit(far.db, far.ann, Selection(session_id="u"))


@pytest.mark.slow
def test_what_a_pems_that_is_away_surely_has_not_can_be_uncommitted_and_that_taken_back(far):
    committed(far, model="A")
    away = replace(far.profile, url="http://127.0.0.1:9")
    with pytest.raises(errors.PemsUnavailable):
        pfa_core.push_changes(far.db, far.ann, away)
    waiting = "SELECT state, next_attempt_at IS NULL, sync_error IS NULL FROM pfa_modification"
    assert far.world.rows(waiting) == [("sync_error", False, False)]
    assert pfa_core.uncommit(far.db, far.ann, Selection(session_id="s")).uncommitted
    assert far.world.rows(waiting) == [("draft", True, True)]
    assert far.push().total == 0
    pfa_core.undo(far.db, far.ann)
    assert far.world.rows(waiting) == [("committed", True, True)]
    assert far.push().synced == 1
    far.require_once()
    far.require_agreement()


@pytest.mark.parametrize("due", ["NULL", "now() + interval '1 minute'", "now()"])
def test_what_pems_may_have_cannot_be_uncommitted_whenever_it_is_due(far, due):
    committed(far, model="A")
    far.world.execute(
        "UPDATE pfa_modification SET state = 'sync_error', attempts = 1, sent_version = '7',"
        f" next_attempt_at = {due}"
    )
    with pytest.raises(errors.IllegalTransition, match="may have been"):
        pfa_core.uncommit(far.db, far.ann, Selection(session_id="s"))
    assert far.states() == {"sync_error": 1}


# --- alone --------------------------------------------------------------------------------------------


def hold_the_lease(far: FarSide, seconds: int = 30, pid: int = 1, host: str = "elsewhere") -> None:
    far.world.execute(
        "INSERT INTO pfa_lease VALUES ('ORG', 'push', gen_random_uuid(), 'eve', "
        "clock_timestamp(), clock_timestamp() + make_interval(secs => %s), %s, %s)",
        seconds, host, pid,
    )  # fmt: skip


def test_a_second_push_fails_while_one_is_at_work(far):
    hold_the_lease(far)
    committed(far, model="A")
    with pytest.raises(errors.LeaseHeld) as raised:
        far.push()
    assert "eve on elsewhere" in raised.value.message
    assert far.states() == {"committed": 1}


def test_a_second_push_may_skip_or_wait(far):
    hold_the_lease(far, seconds=1)
    committed(far, model="A")
    skipped = far.push(if_locked=pfa_core.IfLocked.SKIP)
    assert (skipped.run_id, skipped.status) == (None, "skipped")
    assert far.push(if_locked=pfa_core.IfLocked.WAIT).synced == 1


def test_the_lease_of_a_process_of_this_machine_that_is_gone_need_not_expire(far):
    from pfa_core.sync.lease import local_host

    hold_the_lease(far, seconds=600, pid=2**22 - 3, host=local_host())
    if is_bound():  # the database takes no word for another user's process
        with pytest.raises(errors.LeaseHeld):
            far.push()
        far.world.execute("UPDATE pfa_lease SET owner = 'ann'")
    assert far.push().status == "completed"


def test_a_pull_and_a_push_of_one_organization_do_not_wait_for_each_other(far):
    far.world.execute(
        "INSERT INTO pfa_lease VALUES ('ORG', 'pull', gen_random_uuid(), 'eve', "
        "clock_timestamp(), clock_timestamp() + interval '1 hour')"
    )
    assert far.push().status == "completed"
    with pytest.raises(errors.LeaseHeld):
        far.pull()


def test_a_claim_of_a_run_that_is_no_more_is_taken_over(far):
    committed(far, model="A")
    far.world.execute(
        "UPDATE pfa_modification SET state = 'syncing',"
        " claim_id = '00000000-0000-4000-8000-0000000000c1', attempts = 1"
    )
    result = far.push()
    assert (result.recovered, result.synced) == (1, 1)


def test_the_history_tells_what_happened_to_every_attempt(far):
    committed(far, model="A")
    committed(far, "P-2", session="t", model="B")
    far.push()
    committed(far, session="u", model="C")
    far.pems.faults = ["500:1:times=1:on=rest"]
    result = far.push()
    detail = pfa_core.show_run(far.db, far.ann, result.run_id)
    assert detail.run.status == "completed"
    assert detail.run.counts["synced"] == 1
    assert [(one.pfa_id, one.outcome, one.attempt, one.code) for one in detail.outcomes] == [
        ("P-1", "retrying", 1, "SERVER_ERROR"),
        ("P-1", "synced", 2, ""),
    ]


def test_the_audit_trail_tells_what_pems_took(far):
    committed(far, model="A")
    result = far.push()
    entry = next(one for one in pfa_core.list_log(far.db, far.ann) if one.action == "acknowledge")
    assert (entry.pfa_id, entry.before, entry.after, entry.run_id) == (
        "P-1", {"model": "LTM 1030"}, {"model": "A"}, result.run_id,
    )  # fmt: skip


def test_the_rollup_follows_what_was_folded_in(far):
    committed(far, monthlyRate=4000, category="Loader")
    before = pfa_core.compute_stats(far.db, far.ann, pfa_core.Filters())
    far.push()
    after = pfa_core.compute_stats(far.db, far.ann, pfa_core.Filters())
    assert after.figures.total_monthly_rental == before.figures.total_monthly_rental
    assert after.category_breakdown == before.category_breakdown
    assert after.figures.draft_impact == 0
    far.world.execute("TRUNCATE pfa_overlay")


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("field", "name"), [("areaSilo", "area_silo"), ("category", "category"), ("class", "class_")]
)
def test_kpis_choose_a_text_that_a_push_has_cleared_as_a_list_does(far, field, name):
    committed(far, **{field: None})
    assert far.push().synced == 1
    draft(far.db, far.world.principal("bob"), "P-1", session="t", model="B")
    for user in ("ann", "bob"):
        counted = stats(far.world, user, **{name: ("",)}).figures.total_records
        assert counted == len(ids(far.world, user, **{name: ("",)}))


def test_actual_dates_bring_their_derived_flag_with_them(far):
    committed(far, actualStart="2025-12-02", actualEnd="2025-12-20", isActualized=True)
    far.push()
    assert far.world.mirror()["P-1"]["hasActuals"] is True
    far.require_agreement()
    assert far.pull().unchanged == 6


def test_a_dead_letter_can_be_taken_back_and_discarded(far):
    committed(far, model="A")
    far.pems.remove("P-1")
    assert far.push().rejected == 1
    pfa_core.uncommit(far.db, far.ann, Selection(session_id="s"))
    assert far.states() == {"draft": 1}
    assert pfa_core.discard(far.db, far.ann, Selection(session_id="s")).discarded == ["P-1"]
    assert far.world.merged() == {}


def test_what_may_have_arrived_cannot_be_taken_back(far):
    committed(far, model="A")
    far.pems.faults = ["reset-after:1:on=rest"]
    with pytest.raises(errors.PemsUnavailable):
        far.push()
    far.world.execute("UPDATE pfa_modification SET next_attempt_at = NULL, sent_version = '1'")
    with pytest.raises(errors.IllegalTransition):
        pfa_core.uncommit(far.db, far.ann, Selection(session_id="s"))


def test_changes_are_ordered_by_the_database_s_clock(far):
    """A computer whose clock is an hour fast commits first; the other's later word is the last."""
    fast = far.db.beside()
    fast.clock = lambda: utc_now() + timedelta(hours=1)
    draft(fast, far.ann, "P-1", session="s", monthlyRate=1)
    commit(fast, far.ann, session="s")
    fast.close()
    committed(far, session="t", monthlyRate=2)
    assert far.world.merged()["P-1"]["monthlyRate"] == 2
    assert far.push().synced == 2
    assert far.pems.record("P-1").data["monthlyRate"] == 2


def test_a_lease_from_a_time_that_is_to_come_is_none(far):
    hold_the_lease(far, seconds=100_000)
    assert far.push().status == "completed"
