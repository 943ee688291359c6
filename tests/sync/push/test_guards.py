"""A push over a limit sends nothing and claims nothing, unless a reason is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

import pfa_core
from pfa_core import Guards, errors
from pfa_core.model.principal import Right
from pfa_core.pems.sandbox.http import Request, Response
from pfa_core.sync.push import claims, pipeline
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import FarSide, a_pems_beside, owned
from tests.worlds import built_once

BOUGHT = {"source": "Purchase", "monthlyRate": None, "purchasePrice": 1000}
RECORDS = [record(f"P-{number}", **BOUGHT) for number in range(1, 6)]
PRICES = {"P-1": 1100, "P-2": 900, "P-3": 1050}  # 250 up or down, 50 net, of 5,000


@built_once
def world_beside_pems(url: str) -> World:
    """Three prices that ann has committed."""
    world = a_world(url, *owned(RECORDS), users={"ann": "admin", "bob": "editor"})
    for pfa_id, price in PRICES.items():
        draft(world.db, world.principal(), pfa_id, purchasePrice=price)
    commit(world.db, world.principal())
    return world


@pytest.fixture
def far(world_beside_pems: World) -> Iterator[FarSide]:
    with a_pems_beside(world_beside_pems, *RECORDS) as far:
        yield far


def limited(far: FarSide, **limits: object) -> None:
    pfa_core.configure_organization(far.db, far.ann, **limits)


def untouched(far: FarSide) -> None:
    """Nothing was sent, and nothing is or was claimed."""
    assert far.pems.log == ()
    rows = far.world.rows("SELECT DISTINCT state, attempts, claim_id FROM pfa_modification")
    assert rows == [("committed", 0, None)]


def overrides(far: FarSide) -> list[tuple[object, ...]]:
    return far.world.rows(
        "SELECT reason, run_id::text, after ->> 'records' FROM audit_log WHERE action = 'override'"
    )


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"max_records": 2}, ("records", 3, 2)),
        ({"max_money": 249}, ("money", 250, 249)),
        ({"max_percent": "4.99"}, ("percent", 5, Decimal("4.99"))),
    ],
)
def test_over_a_limit_nothing_is_sent_and_the_run_says_why(
    far: FarSide, limits: dict[str, object], found: tuple[object, ...]
) -> None:
    limited(far, **limits)
    with pytest.raises(errors.GuardExceeded) as caught:
        far.push()
    assert [(one.guard, one.found, one.most) for one in caught.value.excesses] == [found]
    assert caught.value.message.endswith("; nothing was sent")
    untouched(far)
    (run,) = [one for one in pfa_core.list_runs(far.db, far.ann) if one.direction == "push"]
    assert (run.status, run.counts.get("total", 0)) == ("cancelled", 0)
    assert "250" not in str(run.message)
    assert "the push is over a limit" in str(run.message)


@pytest.mark.parametrize("limits", [{"max_records": 3}, {"max_money": 250}, {"max_percent": 5}])
def test_what_is_at_the_limit_is_sent(far: FarSide, limits: dict[str, object]) -> None:
    limited(far, **limits)
    assert far.push().synced == 3
    far.require_agreement()


def test_fewer_at_once_are_within_the_limit(far: FarSide) -> None:
    limited(far, max_records=2)
    assert far.push(limit=2).synced == 2
    assert far.push().synced == 1
    far.require_agreement()


def test_the_stricter_of_the_organization_s_and_the_caller_s_own_holds(far: FarSide) -> None:
    limited(far, max_records=3)
    own = Guards(max_records=2, source="profile nightly")
    with pytest.raises(errors.GuardExceeded, match="at most 2 \\(profile nightly\\)"):
        far.push(guards=own)
    untouched(far)
    assert far.push(guards=Guards(max_records=9)).synced == 3


def test_an_override_sends_and_is_kept_beside_the_run(far: FarSide) -> None:
    limited(far, max_records=2)
    result = far.push(override="agreed with the client")
    assert (result.synced, [one.guard for one in result.overridden]) == (3, ["records"])
    assert overrides(far) == [("agreed with the client", result.run_id, "3")]
    assert not pfa_core.verify_log(far.db, far.ann).flaws
    far.require_agreement()


def test_an_override_that_is_not_needed_is_not_kept(far: FarSide) -> None:
    limited(far, max_records=3)
    assert far.push(override="who knows").overridden == ()
    assert overrides(far) == []


def test_without_the_right_an_override_sends_nothing(far: FarSide) -> None:
    limited(far, max_records=2)
    options = pfa_core.PushOptions(override="please")
    bob = far.world.principal("bob")
    with pytest.raises(errors.PermissionDenied, match=Right.OVERRIDE_GUARDS):
        pfa_core.push_changes(far.db, bob, far.profile, options)
    untouched(far)
    assert overrides(far) == []


def test_changes_of_one_record_by_several_users_are_one_record_and_one_change(far: FarSide) -> None:
    """P-1 goes to 1,100 and back to 1,010: it changes by 10."""
    draft(far.db, far.world.principal("bob"), "P-1", session="b", purchasePrice=1010)
    commit(far.db, far.world.principal("bob"), session="b")
    with pytest.raises(errors.GuardExceeded) as caught:
        far.push(guards=Guards(max_records=2, max_money=Decimal(159)))
    assert [one.found for one in caught.value.excesses] == [3, 160]


def test_a_dry_run_lists_what_waits_and_says_that_it_would_be_refused(far: FarSide) -> None:
    limited(far, max_records=2)
    plan = pfa_core.stream_plan_push(far.db, far.ann)
    assert len(list(plan.changes)) == 3
    assert isinstance(plan.refused, errors.GuardExceeded)
    plan = pfa_core.stream_plan_push(far.db, far.ann, limit=2)
    assert (len(list(plan.changes)), plan.refused) == (2, None)
    plan = pfa_core.stream_plan_push(far.db, far.ann, override="to see")
    assert (len(list(plan.changes)), [one.guard for one in plan.overridden]) == (3, ["records"])
    assert overrides(far) == []
    untouched(far)


def commit_while_sending(far: FarSide) -> None:
    """Let bob commit a change of P-5 when the first one arrives at PEMS."""
    bob = pfa_core.Database(str(far.db.conninfo))

    def commit_more(request: Request, _: Response) -> None:
        if request.method == "PUT" and not far.world.rows(
            "SELECT FROM pfa_modification WHERE user_id = 'bob'"
        ):
            with bob:
                draft(bob, far.world.principal("bob"), "P-5", session="b", purchasePrice=1001)
                commit(bob, far.world.principal("bob"), session="b")

    far.pems._watcher = commit_more


def test_what_is_committed_meanwhile_is_sent_as_far_as_the_limit_goes(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are within the limit when the push begins; a third comes while they are sent."""
    monkeypatch.setattr(claims, "BATCH", 1)
    pfa_core.uncommit(far.db, far.ann, pfa_core.Selection(ids=("P-3",)))
    limited(far, max_records=2, max_money=200)
    commit_while_sending(far)
    with pytest.raises(
        errors.GuardExceeded, match="with the next changes the push is over"
    ) as caught:
        far.push(concurrency=1)
    assert [(one.guard, one.found) for one in caught.value.excesses] == [
        ("records", 3),
        ("money", 201),
    ]
    states = far.world.rows(
        "SELECT pfa_id, state FROM pfa_modification WHERE state <> 'draft' ORDER BY 1"
    )
    assert states == [("P-1", "synced"), ("P-2", "synced"), ("P-5", "committed")]
    (run, *_) = [one for one in pfa_core.list_runs(far.db, far.ann) if one.direction == "push"]
    assert (run.status, run.counts["synced"]) == ("partial", 2)
    assert far.push().synced == 1
    far.require_agreement()


@pytest.mark.slow
def test_what_was_claimed_within_the_limit_is_sent_where_the_next_batch_is_not(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third batch is refused while the second one waits for PEMS."""
    monkeypatch.setattr(claims, "BATCH", 2)
    monkeypatch.setattr(pipeline, "SETTLE_SECONDS", 0.0)
    draft(far.db, far.ann, "P-4", purchasePrice=1010)
    commit(far.db, far.ann)
    limited(far, max_records=4)
    far.pems.faults = ["latency:50ms"]
    commit_while_sending(far)
    with pytest.raises(errors.GuardExceeded):
        far.push(concurrency=1)
    states = far.world.rows("SELECT pfa_id, state FROM pfa_modification ORDER BY 1")
    assert states == [(f"P-{n}", "synced" if n < 5 else "committed") for n in range(1, 6)]
    far.pems.faults = []
    assert far.push().synced == 1
    far.require_agreement()


def test_an_override_at_the_beginning_is_one_of_its_limits_alone(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are over their limit when the push begins, money with what is committed meanwhile."""
    monkeypatch.setattr(claims, "BATCH", 1)
    limited(far, max_records=2, max_money=250)
    commit_while_sending(far)
    result = far.push(override="agreed", concurrency=1)
    assert (result.synced, [one.guard for one in result.overridden]) == (4, ["records", "money"])
    kept = far.world.rows(
        "SELECT after ? 'max_records', after ? 'max_money' FROM audit_log WHERE action = 'override'"
        " ORDER BY entry_id"
    )
    assert kept == [(True, False), (False, True)]
    assert not pfa_core.verify_log(far.db, far.ann).flaws


def test_the_limits_of_the_beginning_hold_for_the_whole_run(
    far: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BATCH", 1)
    limited(far, max_records=3)
    admin = pfa_core.Database(str(far.db.conninfo))

    def limit(request: Request, _: Response) -> None:
        if request.method == "PUT":
            with admin:
                pfa_core.configure_organization(admin, far.ann, max_percent=1)

    far.pems._watcher = limit
    assert far.push(concurrency=1).synced == 3


def test_dead_letters_are_judged_before_they_are_due(far: FarSide) -> None:
    far.pems.remove("P-1")
    far.pems.remove("P-2")
    assert far.push().rejected == 2
    far.pems.load(owned(RECORDS))
    limited(far, max_records=1)
    for dry_run in (True, False):
        with pytest.raises(errors.GuardExceeded):
            pfa_core.retry(far.db, far.ann, far.profile, dry_run=dry_run)
    waiting = far.world.rows(
        "SELECT next_attempt_at FROM pfa_modification WHERE state = 'sync_error'"
    )
    assert waiting == [(None,), (None,)]
    options = pfa_core.PushOptions(override="both")
    pushed = pfa_core.retry(far.db, far.ann, far.profile, options=options).push
    assert pushed is not None
    assert pushed.synced == 2
    assert overrides(far) == [("both", pushed.run_id, "2")]


def test_what_an_interrupted_run_had_claimed_is_judged_too(far: FarSide) -> None:
    far.world.execute(
        "UPDATE pfa_modification SET state = 'syncing', attempts = 1,"
        " claim_id = '00000000-0000-4000-8000-0000000000c1'"
    )
    limited(far, max_records=2)
    with pytest.raises(errors.GuardExceeded):
        far.push()
    untouched(far)


def test_limits_of_money_name_no_amount_to_a_pusher_who_may_see_none(far: FarSide) -> None:
    rights = far.world.principal("bob").rights - {Right.VIEW_FINANCIALS}
    blind = far.world.add_user("bob", "editor", rights=rights)
    limited(far, max_money=100)
    with pytest.raises(errors.GuardExceeded) as caught:
        pfa_core.push_changes(far.db, blind, far.profile)
    assert not any(char.isdigit() for char in caught.value.message)
    assert [(one.found, one.most) for one in caught.value.excesses] == [(None, None)]
    own = pfa_core.PushOptions(guards=Guards(max_money=Decimal(1)))
    with pytest.raises(errors.PermissionDenied, match=Right.VIEW_FINANCIALS):
        pfa_core.push_changes(far.db, blind, far.profile, own)
    untouched(far)
