"""The merge law: what SQL keeps is what `model.delta.merge` says, whatever was stacked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

import pfa_core
from pfa_core.errors import PfaError, VersionConflict
from pfa_core.model.delta import RULED, Change, merge, same
from pfa_core.model.ids import uuid7
from pfa_core.model.record import EDITABLE
from pfa_core.store import draft_writes, mirror, modifications, overlays
from pfa_core.store.draft_writes import DraftUpdate, NewDraft, RebasedDraft
from tests.factories import World, a_world, commit, draft, record
from tests.forms import EFFORT
from tests.model.strategies import clean_deltas, json_values

START = datetime(2025, 12, 1, tzinfo=UTC)

deltas = st.lists(clean_deltas.filter(bool), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def world(postgres, template):
    with postgres.database(template) as url:
        world = a_world(url, record("P-1"), users={"ann": "admin", "eve": "editor"})
        yield world
        world.db.close()


def stack(world: World, stacked: list[dict], *, last_is_draft: bool, baseline: dict) -> None:
    """Put the deltas over P-1 through the real tables: each drafted, all but the last committed."""
    ann = world.principal("ann")

    def work(conn) -> None:
        conn.execute("DELETE FROM pfa_modification")
        conn.execute("DELETE FROM pfa_overlay")
        data = Jsonb(baseline)
        conn.execute("UPDATE pfa_mirror SET data = %s WHERE pfa_id = 'P-1'", [data])
        for number, delta in enumerate(stacked):
            at = START + timedelta(seconds=number)
            made = str(uuid7(at, number))
            new = NewDraft(
                modification_id=made,
                pfa_id="P-1",
                session_id=f"s{number}",
                delta=delta,
                base={},
                base_version=1,
                change_reason=None,
            )
            draft_writes.insert_drafts(conn, ann, [new], at)
            if number < len(stacked) - 1 or not last_is_draft:
                draft_writes.commit_drafts(conn, ann, [RebasedDraft(made, delta, 1)], at)
        overlays.refresh_overlays(conn, ann, ["P-1"])

    world.db.transact(work)


@settings(
    deadline=None,
    max_examples=30 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(extra=st.dictionaries(st.sampled_from(["x", "y", "z"]), json_values), stacked=deltas,
       last_is_draft=st.booleans())  # fmt: skip
def test_the_overlay_holds_baseline_and_deltas_merged_in_order(
    world, extra, stacked, last_is_draft
):
    baseline = record("P-1") | extra
    stack(world, stacked, last_is_draft=last_is_draft, baseline=baseline)
    ((delta, data, state, session),) = world.rows(
        "SELECT o.delta, o.data, m.state, m.session_id FROM pfa_overlay AS o"
        " JOIN pfa_modification AS m USING (organization_id, modification_id)"
        " WHERE organization_id = 'ORG'"
    )
    assert same(data, merge(baseline, *stacked))
    assert same(delta, merge({}, *stacked))
    assert state == ("draft" if last_is_draft else "committed")
    assert session == f"s{len(stacked) - 1}"


@settings(
    deadline=None,
    max_examples=10 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(delta=clean_deltas.filter(bool), again=st.booleans())
def test_the_overlay_of_an_only_modification_is_the_same(world, delta, again):
    stack(world, [delta], last_is_draft=True, baseline=record("P-1"))
    rows = "SELECT to_jsonb(o) FROM pfa_overlay AS o"
    expected = world.rows(rows)
    ann = world.principal("ann")

    def work(conn) -> None:
        if not again:
            conn.execute("DELETE FROM pfa_overlay")
        ids = [row.modification_id for row in modifications.active(conn, ann)]
        overlays.put_only_overlays(conn, ann, ids)

    world.db.transact(work)
    assert world.rows(rows) == expected


@given(delta=clean_deltas, missing=st.sets(st.sampled_from(sorted(RULED))))
@settings(
    deadline=None,
    max_examples=10 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_few_fields_of_a_record_are_those_of_the_whole(world, delta, missing):
    baseline = record("P-1", **delta)
    world.owner.transact(
        lambda conn: conn.execute(
            "UPDATE pfa_mirror SET data = %s WHERE pfa_id = 'P-1'",
            [Jsonb({k: v for k, v in baseline.items() if k not in missing - {"source"}})],
        )
    )
    fields = sorted(RULED | {"equipment", "category"})
    whole, few = world.owner.transact(
        lambda conn: (
            mirror.lock_records(conn, "ORG", ["P-1"])["P-1"],
            mirror.lock_fields(conn, "ORG", ["P-1", "P-2"], fields),
        )
    )
    assert few.keys() == {"P-1"}
    assert few["P-1"].version == whole.version
    assert same(few["P-1"].data, {name: whole.data.get(name) for name in fields})


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=10 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stacked=deltas, other=json_values)
def test_a_pull_under_an_overlay_changes_what_lies_below_and_nothing_above(world, stacked, other):
    stack(world, stacked, last_is_draft=True, baseline=record("P-1"))
    below = record("P-1", manufacturer="Grove", monthlyRate=7) | {"x": other}
    world.pull([below])
    assert same(world.merged()["P-1"], merge(world.mirror()["P-1"], *stacked))


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=10 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.sampled_from(["save", "commit", "uncommit", "discard"]), max_size=6),
       data=st.data())  # fmt: skip
def test_the_overlay_follows_every_step_of_the_life_cycle(world, steps, data):
    """Whatever verbs are called in whatever order, the overlay is what recomputing it gives."""
    stack(world, [{"equipment": "e"}], last_is_draft=True, baseline=record("P-1"))
    ann = world.principal("ann")
    everything = pfa_core.Selection(everything=True)
    for number, step in enumerate(steps):
        values = {
            "model": f"m{number}",
            data.draw(st.sampled_from(["manufacturer", "areaSilo"])): "x",
        }
        try:
            if step == "save":
                pfa_core.save(world.db, ann, [Change("P-1", values)])
            else:
                getattr(pfa_core, step)(world.db, ann, everything)
        except PfaError as error:
            assert error.exit_code in (6, 7)  # noqa: PT017 - not every verb starts everywhere
    active = world.db.read(lambda conn: modifications.active(conn, ann))
    expected = {"P-1": merge(record("P-1"), *(row.delta for row in active))} if active else {}
    assert same(world.merged(), expected)


def test_one_user_s_overlay_is_not_another_s(database_url):
    world = a_world(
        database_url, record("P-1"), record("P-2"), users={"ann": "admin", "eve": "editor"}
    )
    ann, eve = world.principal("ann"), world.principal("eve")
    draft(world.db, ann, "P-1", monthlyRate=1)
    draft(world.db, eve, "P-1", monthlyRate=2, model="M")
    draft(world.db, eve, "P-2", monthlyRate=3)
    world.pull([record("P-1", manufacturer="Grove"), record("P-2")])
    assert {key: value["monthlyRate"] for key, value in world.merged("ann").items()} == {"P-1": 1}
    assert {key: value["monthlyRate"] for key, value in world.merged("eve").items()} == {
        "P-1": 2,
        "P-2": 3,
    }
    assert {
        row["manufacturer"] for row in (world.merged("ann")["P-1"], world.merged("eve")["P-1"])
    } == {"Grove"}


def test_another_organizations_records_of_the_same_id_stay_unchanged(database_url):
    one = a_world(database_url, record("P-1", monthlyRate=1))
    other = a_world(database_url, record("P-1", monthlyRate=2), organization="OTHER")
    draft(one.db, one.principal(), "P-1", model="mine")
    draft(other.db, other.principal(), "P-1", model="theirs")
    one.pull([record("P-1", monthlyRate=10)])
    found = [(world.mirror()["P-1"]["monthlyRate"], world.merged()["P-1"]["model"],
              world.merged()["P-1"]["monthlyRate"]) for world in (one, other)]  # fmt: skip
    assert found == [(10, "mine", 10), (2, "theirs", 2)]


def test_drafting_again_over_a_change_stacks_and_the_draft_comes_last(database_url):
    world = a_world(database_url, record("P-1"))
    ann = world.principal()
    draft(world.db, ann, "P-1", session="one", monthlyRate=1, model="one")
    commit(world.db, ann, session="one")
    draft(world.db, ann, "P-1", session="two", monthlyRate=2)
    assert same(
        world.merged()["P-1"],
        merge(world.mirror()["P-1"], {"monthlyRate": 1, "model": "one"}, {"monthlyRate": 2}),
    )
    assert world.rows("SELECT count(*) FROM pfa_overlay") == [(1,)]


def test_draft_updates_are_refused_over_a_version_that_is_gone(database_url):
    world = a_world(database_url, record("P-1"))
    ann = world.principal()
    saved = draft(world.db, ann, "P-1", monthlyRate=1)
    stale = DraftUpdate(
        modification_id=saved.modification_id,
        session_id="s",
        delta={"monthlyRate": 2},
        base={},
        change_reason=None,
        version=7,
    )
    with pytest.raises(VersionConflict):
        world.db.transact(lambda conn: draft_writes.update_drafts(conn, ann, [stale], START))
    assert world.merged()["P-1"]["monthlyRate"] == 1


def test_every_editable_field_can_be_overlaid(database_url):
    values = {
        "areaSilo": "A", "category": "B", "class": "C", "source": "Purchase", "dor": "BEO",
        "isActualized": True, "isDiscontinued": True, "isFundsTransferable": False,
        "monthlyRate": 1, "purchasePrice": 2, "manufacturer": "D", "model": "E", "equipment": "F",
        "forecastStart": "2026-01-01", "forecastEnd": "2026-01-02", "actualStart": "2026-01-03",
        "actualEnd": "2026-01-04",
    }  # fmt: skip
    assert values.keys() == set(EDITABLE)
    world = a_world(database_url, record("P-1"))
    saved = draft(world.db, world.principal(), "P-1", **values)
    assert UUID(saved.modification_id).version == 7
    assert same(world.merged()["P-1"], merge(world.mirror()["P-1"], values))
