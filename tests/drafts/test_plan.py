"""A plan is committed as it was frozen, or nothing is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import exact_json
from pfa_core.drafts import plan as plan_module
from pfa_core.drafts.plan import CommitPlan, read_plan, selection_of
from pfa_core.drafts.selection import Selection
from pfa_core.errors import InvalidData, InvalidRequest, NoDrafts, VersionConflict
from pfa_core.model.delta import Change
from pfa_core.model.record import FIELDS
from tests.factories import World, a_world, record
from tests.worlds import built_once

EVERY = Selection(everything=True)


RENTED = {"source": "Rental", "forecastStart": "2026-01-01", "forecastEnd": "2026-02-01"}


@built_once
def drafted(url: str) -> World:
    """Drafts of three records of four."""
    four = [record(f"P-{n}", monthlyRate=1000, **RENTED) for n in range(1, 5)]
    world = a_world(url, *four, users={"ann": "admin"})
    changes = [Change(f"P-{n}", {"monthlyRate": 1100 + n, "model": "M"}) for n in (1, 2, 3)]
    pfa_core.save(world.db, world.principal(), changes, session_id="s")
    return world


def planned(world: World, selection: Selection = EVERY) -> CommitPlan:
    return pfa_core.plan_commit(world.db, world.principal(), selection)


def committed(world: World, plan: CommitPlan) -> list[str]:
    result = pfa_core.commit(world.db, world.principal(), selection_of(plan), plan=plan)
    return [one.pfa_id for one in result.committed]


def test_it_names_drafts_versions_values_and_money(drafted: World) -> None:
    plan = planned(drafted)
    first = plan.drafts[0]
    assert [one.pfa_id for one in plan.drafts] == ["P-1", "P-2", "P-3"]
    assert (first.version, first.mirror_version, first.session_id) == (1, 1, "s")
    values = {one.field: (one.before, one.after) for one in first.changes}
    assert values == {"model": ("LTM 1030", "M"), "monthlyRate": (1000, 1101)}
    assert [one.field for one in first.changes] == [name for name in FIELDS if name in values]
    whole = pfa_core.diff(drafted.db, drafted.principal(), pfa_core.Filters())
    assert plan.cost_effect == whole.cost_effect
    assert [one.cost_effect for one in plan.drafts] == [one.cost_effect for one in whole.entries]


def test_what_was_planned_is_committed_and_what_came_later_stays(drafted: World) -> None:
    plan = planned(drafted)
    pfa_core.save(drafted.db, drafted.principal(), [Change("P-4", {"model": "X"})], session_id="s")
    assert committed(drafted, plan) == ["P-1", "P-2", "P-3"]
    left = pfa_core.list_drafts(drafted.db, drafted.principal(), pfa_core.Filters())
    assert [one.pfa_id for one in left] == ["P-4"]


def saved_again(world: World) -> None:
    pfa_core.save(world.db, world.principal(), [Change("P-2", {"model": "N"})], session_id="s")


def drafted_anew(world: World) -> None:
    """In the same version and with the same values, but another draft."""
    pfa_core.discard(world.db, world.principal(), Selection(ids=("P-2",)))
    values = {"monthlyRate": 1102, "model": "M"}
    pfa_core.save(world.db, world.principal(), [Change("P-2", values)], session_id="s")


def gone(world: World) -> None:
    pfa_core.discard(world.db, world.principal(), Selection(ids=("P-2",)))


def changed_by_pems(world: World) -> None:
    """A field that no draft changes, so that a commit without a plan would pass."""
    world.pull([record("P-2", monthlyRate=1000, contract="C", **RENTED)])


def committed_by_hand(world: World) -> None:
    pfa_core.commit(world.db, world.principal(), Selection(ids=("P-2",)))


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (saved_again, "saved again"),
        (drafted_anew, "another draft"),
        (gone, "is gone"),
        (changed_by_pems, "PEMS changed the record"),
        (committed_by_hand, "is gone"),
    ],
)
def test_anything_else_is_refused_and_named(drafted: World, happens, reason: str) -> None:
    plan = planned(drafted)
    happens(drafted)
    with pytest.raises(VersionConflict) as refused:
        committed(drafted, plan)
    assert [(one.pfa_id, reason in one.message) for one in refused.value.details] == [("P-2", True)]
    left = pfa_core.list_drafts(drafted.db, drafted.principal(), pfa_core.Filters())
    assert {"P-1", "P-3"} <= {one.pfa_id for one in left}
    committed(
        drafted, replace(plan, drafts=plan.drafts[:1], cost_effect=plan.drafts[0].cost_effect)
    )


def test_a_plan_that_was_edited_is_refused(drafted: World) -> None:
    plan = planned(drafted)
    one = plan.drafts[0]
    other = replace(one, changes=(replace(one.changes[0], after="Z"), *one.changes[1:]))
    for bent in (
        replace(plan, drafts=(other, *plan.drafts[1:])),
        replace(plan, cost_effect=Decimal("1.00")),
        replace(plan, drafts=(replace(one, cost_effect=Decimal(1)), *plan.drafts[1:])),
        replace(plan, drafts=plan.drafts[1:]),
    ):
        with pytest.raises(VersionConflict):
            committed(drafted, bent)


def test_another_user_s_plan_is_refused(drafted: World) -> None:
    plan = planned(drafted)
    for bent in (replace(plan, user_id="bob"), replace(plan, organization="GULF")):
        with pytest.raises(InvalidRequest, match="the plan is of"):
            committed(drafted, bent)


def test_a_session_or_records_of_it(drafted: World) -> None:
    assert [one.pfa_id for one in planned(drafted, Selection(ids=("P-3",))).drafts] == ["P-3"]
    assert len(planned(drafted, Selection(session_id="s")).drafts) == 3
    where = Selection(where="monthlyRate > 1101")
    assert [one.pfa_id for one in planned(drafted, where).drafts] == ["P-2", "P-3"]
    with pytest.raises(NoDrafts):
        planned(drafted, Selection(session_id="other"))


def test_a_plan_has_a_largest_size_which_is_said(
    drafted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = planned(drafted)
    monkeypatch.setattr(plan_module, "MOST_DRAFTS", 3)
    assert planned(drafted).drafts == whole.drafts
    assert read_plan(written(whole), "plan.json").drafts == whole.drafts
    monkeypatch.setattr(plan_module, "MOST_DRAFTS", 2)
    with pytest.raises(InvalidRequest, match="more than 2 drafts") as refused:
        planned(drafted)
    assert refused.value.hint == "plan them by session: pfa plan --session NAME --to FILE"
    with pytest.raises(InvalidData, match="more than 2 drafts"):
        read_plan(written(whole), "plan.json")


def test_over_a_committed_change_only_the_draft_is_planned(drafted: World) -> None:
    pfa_core.commit(drafted.db, drafted.principal(), Selection(ids=("P-1",)))
    pfa_core.save(
        drafted.db, drafted.principal(), [Change("P-1", {"monthlyRate": 9})], session_id="t"
    )
    plan = planned(drafted, Selection(ids=("P-1",)))
    (change,) = plan.drafts[0].changes
    assert (change.before, change.after) == (1101, 9)
    assert committed(drafted, plan) == ["P-1"]


def written(plan: CommitPlan) -> str:
    from pfa_cli.render.json import document

    return exact_json.dumps({"data": document(plan)})


def test_it_is_read_as_it_was_written(drafted: World) -> None:
    plan = planned(drafted)
    read = read_plan(written(plan), "plan.json")
    assert replace(read, made_at=plan.made_at) == plan
    assert committed(drafted, read) == ["P-1", "P-2", "P-3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(0, 2000), st.sampled_from(["", "null", "x", '"', "}", "-1", "[]"]))
def test_a_file_that_was_cut_or_bent_is_refused_or_means_the_same(drafted: World, at, put) -> None:
    text = written(planned(drafted))
    at = min(at, len(text) - 1)
    for bent in (text[:at], text[:at] + put + text[at + 1 :]):
        try:
            read = read_plan(bent, "plan.json")
        except InvalidData:
            continue
        try:
            pfa_core.commit(
                drafted.db, drafted.principal(), selection_of(read), plan=read, dry_run=True
            )
        except (VersionConflict, InvalidRequest):
            continue
        assert (
            replace(read, made_at=planned(drafted).made_at)
            == replace(planned(drafted), made_at=planned(drafted).made_at)
            or read.drafts == planned(drafted).drafts
        )
