"""Conflicts: seen by their owner, settled field by field against today's mirror, exactly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as Money
from typing import Any
from uuid import UUID

import pytest

import pfa_core
from pfa_core import ConflictSelection, Decision, Filters, Right, errors
from pfa_core.conflicts.outcome import ResolvedConflict, ResolveResult
from pfa_core.conflicts.views import ConflictView
from pfa_core.model.delta import FieldConflict, merge
from pfa_core.model.ids import new_id
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.store import conflicts
from pfa_core.store.conflicts import NewConflict
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.together import together
from tests.life_cycle.views import codes, everything, one, stored, value
from tests.worlds import built_once

USERS = {"ann": "admin", "bob": "editor", "vera": "viewer"}
AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


@built_once
def world(url: str) -> World:
    return a_world(url, *(record(f"P-{n}") for n in (1, 2, 3)), users=USERS)


def disputed(
    world: World,
    pfa_id: str = "P-1",
    *,
    mine: dict[str, Any],
    pems: dict[str, Any],
    user: str = "ann",
    session: str = "s",
    at: datetime = AT,
) -> str:
    """A committed change that a push has put into conflict with what PEMS has; the conflict's id."""
    saved = draft(
        world.db, world.principal(user), pfa_id, session=session, reason="Weather", **mine
    )
    commit(world.db, world.principal(user), session=session)
    world.pull([{**world.mirror()[pfa_id], **pems}], "ann")
    return dispute(world, saved.modification_id, at)


def dispute(world: World, modification_id: str, at: datetime = AT) -> str:
    """What a push does that finds PEMS holding something else."""
    world.execute(
        "UPDATE pfa_modification SET state = 'conflict', claim_id = NULL, attempts = 3,"
        " failures = 2, generation = 1, first_attempt_at = %s, sync_error = 'moved'"
        " WHERE organization_id = %s AND modification_id = %s",
        at,
        world.organization,
        modification_id,
    )
    ((pfa_id, user, delta, base, data),) = world.rows(
        "SELECT pfa_id, user_id, delta, base, data FROM pfa_modification"
        " JOIN pfa_mirror USING (organization_id, pfa_id)"
        " WHERE organization_id = %s AND modification_id = %s",
        world.organization,
        modification_id,
    )
    fields = [
        {"field": name, "base": base.get(name), "mine": mine, "pems": data.get(name)}
        for name, mine in delta.items()
        if data.get(name) not in (base.get(name), mine)
    ]
    conflict_id = str(new_id())
    opened = [
        NewConflict(
            conflict_id=conflict_id,
            modification_id=modification_id,
            pfa_id=pfa_id,
            user_id=user,
            fields=fields,
        )
    ]
    world.owner.transact(lambda conn: conflicts.insert(conn, world.organization, opened, at))
    return conflict_id


def resolve(
    world: World, *ids: str, user: str = "ann", of: World | None = None, **rest: Any
) -> ResolveResult:
    """Settle; `take`, `fields` and `values` make the decision, `all_`/`filters` select otherwise."""
    decision = Decision(
        **{name: rest.pop(name) for name in ("take", "fields", "values") if name in rest}
    )
    selection = ConflictSelection(
        ids, rest.pop("filters", Filters()), everything=rest.pop("all_", False)
    )
    return pfa_core.resolve_conflicts(
        (of or world).db, world.principal(user), selection, decision, **rest
    )


def listed(world: World, user: str = "ann", **rest: Any) -> list[ConflictView]:
    filters = rest.pop("filters", Filters())
    return pfa_core.list_conflicts(world.db, world.principal(user), filters, **rest)


def shown(world: World, name: str = "P-1", user: str = "ann", **rest: Any) -> ConflictView:
    return pfa_core.show_conflict(world.db, world.principal(user), name, **rest)


def all_rows(world: World) -> dict[str, list[tuple[Any, ...]]]:
    return {
        **everything(world),
        "pfa_sync_conflict": world.rows("SELECT t.xmin::text, t::text FROM pfa_sync_conflict AS t"),
    }


def queue_columns(world: World) -> tuple[Any, ...]:
    (row,) = world.rows(
        "SELECT state, version, attempts, failures, generation, sent_version, next_attempt_at,"
        " first_attempt_at, sync_error, claim_id FROM pfa_modification"
    )
    return row


def bases(world: World) -> list[tuple[dict[str, Any], int]]:
    return world.rows("SELECT base, base_version FROM pfa_modification ORDER BY committed_at")


def overlays_are_right(world: World, user: str = "ann") -> None:
    """Every overlay is the pure merge of its mirror row and the user's modifications, in order."""
    stacks: dict[str, list[dict[str, Any]]] = {}
    for pfa_id, _, state, _, delta in stored(world, user):
        if state != "synced":
            stacks.setdefault(pfa_id, []).append(delta)
    mirror = world.mirror()
    assert world.merged(user) == {
        pfa_id: merge(mirror[pfa_id], *deltas) for pfa_id, deltas in stacks.items()
    }


def refused(
    world: World, how: type[errors.PfaError], *ids: str, changed: bool = False, **rest: Any
) -> errors.PfaError:
    before = all_rows(world)
    with pytest.raises(how) as error:
        resolve(world, *ids, **rest)
    assert type(error.value) is how
    after = all_rows(world)
    if changed:
        before["pfa_sync_conflict"] = after["pfa_sync_conflict"]
    assert after == before
    return error.value


MINE = {"monthlyRate": 600}
THEIRS = {"monthlyRate": 700}
RATE_AND_MODEL: dict[str, Any] = {
    "mine": {"monthlyRate": 600, "model": "mine", "dor": "BEO"},
    "pems": {"monthlyRate": 700, "model": "theirs"},
}


class TestLooking:
    def test_a_conflict_shows_base_mine_and_theirs_and_whose_it_is(self, world: World) -> None:
        conflict_id = disputed(world, mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        (found,) = listed(world)
        assert found == ConflictView(
            conflict_id=conflict_id,
            pfa_id="P-1",
            fields=(FieldConflict("monthlyRate", 1000, 600, 700),),
            status="unresolved",
            modified_by="ann",
            created_at=AT,
            modification_id=found.modification_id,
            session_id="s",
            change_reason="Weather",
            pems_now={},
            resolution=None,
            settlement=None,
            resolved_at=None,
            resolved_by=None,
        )
        assert shown(world, "P-1") == shown(world, conflict_id) == found
        assert shown(world, conflict_id.upper()) == found

    def test_two_conflicts_are_listed_newest_first_and_none_where_there_are_none(
        self, world: World
    ) -> None:
        assert listed(world) == []
        disputed(world, "P-2", mine=MINE, pems=THEIRS)
        disputed(world, "P-1", mine=MINE, pems=THEIRS, at=AT.replace(day=6))
        assert [item.pfa_id for item in listed(world)] == ["P-1", "P-2"]
        assert [item.pfa_id for item in listed(world, limit=1)] == ["P-1"]

    def test_filters_look_at_the_merged_values(self, world: World) -> None:
        disputed(world, "P-1", mine={**MINE, "category": "Mine"}, pems=THEIRS)
        disputed(world, "P-2", mine=MINE, pems={**THEIRS, "category": "Theirs"}, session="t")

        def found(**of: Any) -> list[str]:
            return [item.pfa_id for item in listed(world, filters=Filters(**of))]

        assert found(category=("Mine",)) == ["P-1"]
        assert found(category=("Theirs",)) == ["P-2"]
        assert found(category=("Crane",)) == []
        assert found(session=("t",)) == ["P-2"]
        assert found(where="pems.category = Crane and category != Crane") == ["P-1"]
        assert found(where="category is changed or category = Theirs") == ["P-2", "P-1"]
        assert found(where="category = Mine", session=("t",)) == []
        assert found(id=("P-1", "P-3")) == ["P-1"]
        assert found(id=("P-3",)) == []
        assert (found(state=("conflict",)), found(state=("draft",))) == (["P-2", "P-1"], [])

    def test_what_was_resolved_is_listed_when_asked_for(self, world: World) -> None:
        disputed(world, "P-1", mine=MINE, pems=THEIRS)
        disputed(world, "P-2", mine=MINE, pems=THEIRS)
        resolve(world, "P-1", take="pems")
        assert [item.pfa_id for item in listed(world)] == ["P-2"]
        assert [item.pfa_id for item in listed(world, status="all")] == ["P-2", "P-1"]
        (old,) = listed(world, status="resolved", filters=Filters(category=("Crane",)))
        assert (old.status, old.resolution, old.resolved_by) == ("resolved", "pems", "ann")
        assert old.settlement == {"monthlyRate": {"take": "pems", "value": 700}}
        assert (old.session_id, old.change_reason) == (None, None)
        assert shown(world, old.conflict_id) == old
        with pytest.raises(errors.NotFound):
            shown(world, "P-1")

    def test_what_pems_holds_by_now_is_reported_when_it_is_something_else(
        self, world: World
    ) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "monthlyRate": None, "model": "new"}])
        (found,) = listed(world)
        assert found.fields == (FieldConflict("monthlyRate", 1000, 600, 700),)
        assert found.pems_now == {"monthlyRate": None}

    def test_others_conflicts_are_invisible(self, world: World) -> None:
        conflict_id = disputed(world, mine=MINE, pems=THEIRS)
        there = a_world(world.url, record("P-1"), organization="THERE", users=USERS)
        for where, user in ((world, "bob"), (there, "ann")):
            assert listed(where, user) == []
            for name in ("P-1", conflict_id):
                with pytest.raises(errors.NotFound):
                    shown(where, name, user)
                with pytest.raises(errors.NotFound):
                    resolve(where, name, user=user, take="mine")

    def test_who_manages_users_looks_at_another_member_s(self, world: World) -> None:
        conflict_id = disputed(world, user="bob", mine=MINE, pems=THEIRS)
        assert listed(world) == []
        assert [item.modified_by for item in listed(world, user_id="bob")] == ["bob"]
        assert shown(world, conflict_id, user_id="bob").conflict_id == conflict_id
        disputed(world, user="ann", mine={"model": "A"}, pems={"model": "B"})
        for call in (listed, shown):
            with pytest.raises(errors.PermissionDenied):
                call(world, user="bob", user_id="ann")
        assert listed(world, "bob", user_id="bob") == listed(world, "bob")

    @pytest.mark.parametrize("wrong", [{"status": "open"}, {"limit": 0}, {"user_id": "a\0"}])
    def test_a_wish_that_makes_no_sense_is_refused(
        self, world: World, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            listed(world, **wrong)


class TestTakingOneSide:
    def test_mine_is_committed_again_over_pems_s_value(self, world: World) -> None:
        conflict_id = disputed(world, mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        (committed_at,) = world.rows("SELECT committed_at FROM pfa_modification")
        result = resolve(world, conflict_id, take="mine")
        (row,) = result.resolved
        assert (result.problems, row) == (
            [],
            ResolvedConflict(
                conflict_id=conflict_id,
                pfa_id="P-1",
                modification_id=row.modification_id,
                resolution="mine",
                state="committed",
                version=3,
                delta={"monthlyRate": 600, "dor": "BEO"},
            ),
        )
        assert queue_columns(world) == ("committed", 3, 0, 0, 0, None, None, None, None, None)
        assert bases(world) == [({"monthlyRate": 700, "dor": "PROJECT"}, 2)]
        assert world.rows("SELECT committed_at FROM pfa_modification") == [committed_at]
        assert (one(world).sync_state, one(world).version) == ("committed", 3)
        assert (value(world, "monthlyRate"), value(world, "dor")) == (600, "BEO")
        old = shown(world, conflict_id)
        assert (old.status, old.resolution, old.resolved_by) == ("resolved", "mine", "ann")
        assert old.settlement == {"monthlyRate": {"take": "mine", "value": 600}}
        assert old.resolved_at is not None
        overlays_are_right(world)

    def test_pems_s_value_stands_and_the_rest_is_committed_again(self, world: World) -> None:
        disputed(world, mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        (row,) = resolve(world, "P-1", take="pems").resolved
        assert (row.resolution, row.state, row.delta) == ("pems", "committed", {"dor": "BEO"})
        assert bases(world) == [({"dor": "PROJECT"}, 2)]
        assert (value(world, "monthlyRate"), value(world, "dor")) == (700, "BEO")
        overlays_are_right(world)

    def test_a_change_of_which_nothing_is_left_is_gone_and_the_trail_keeps_it(
        self, world: World
    ) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        (row,) = resolve(world, "P-1", take="pems").resolved
        assert (row.state, row.version, row.delta) == ("pristine", None, {})
        assert stored(world) == []
        assert (one(world).sync_state, value(world, "monthlyRate")) == ("pristine", 700)
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
        assert (entry.action, entry.before, entry.after, entry.reason, entry.session_id) == (
            "resolve",
            MINE,
            None,
            "Weather",
            "s",
        )
        overlays_are_right(world)

    def test_the_trail_shows_what_was_left(self, world: World) -> None:
        disputed(world, mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        resolve(world, "P-1", take="pems")
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
        assert (entry.before, entry.after) == ({**MINE, "dor": "BEO"}, {"dor": "BEO"})

    def test_what_was_resolved_can_be_disputed_and_resolved_again(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        (row,) = resolve(world, "P-1", take="mine").resolved
        world.pull([{**world.mirror()["P-1"], "monthlyRate": 800}])
        dispute(world, row.modification_id)
        assert shown(world).fields == (FieldConflict("monthlyRate", 700, 600, 800),)
        assert resolve(world, "P-1", take="mine").resolved[0].version == 4
        assert len(listed(world, status="all")) == 2

    def test_what_was_resolved_can_be_uncommitted(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        resolve(world, "P-1", take="mine")
        result = pfa_core.uncommit(world.db, world.principal(), pfa_core.Selection(session_id="s"))
        assert len(result.uncommitted) == 1
        assert len(commit(world.db, world.principal()).committed) == 1


class TestFieldByField:
    def test_each_field_goes_its_own_way(self, world: World) -> None:
        conflict_id = disputed(world, **RATE_AND_MODEL)
        fields = {"monthlyRate": "pems", "model": "mine"}
        (row,) = resolve(world, "P-1", fields=fields).resolved
        assert (row.resolution, row.delta) == ("merged", {"model": "mine", "dor": "BEO"})
        assert shown(world, conflict_id).settlement == {
            "monthlyRate": {"take": "pems", "value": 700},
            "model": {"take": "mine", "value": "mine"},
        }
        assert bases(world) == [({"model": "theirs", "dor": "PROJECT"}, 2)]
        overlays_are_right(world)

    def test_a_take_for_the_rest_covers_what_is_not_named(self, world: World) -> None:
        disputed(world, **RATE_AND_MODEL)
        (row,) = resolve(world, "P-1", take="pems", fields={"model": "mine"}).resolved
        assert row.delta == {"model": "mine", "dor": "BEO"}

    def test_a_third_value_is_set_as_a_draft_would_have_it(self, world: World) -> None:
        conflict_id = disputed(world, **RATE_AND_MODEL)
        values = {"monthlyRate": "650.50", "dor": "PROJECT"}
        (row,) = resolve(world, "P-1", take="mine", values=values).resolved
        third = Money("650.50")
        assert row.resolution == "merged"
        assert row.delta == {"monthlyRate": third, "model": "mine", "dor": "PROJECT"}
        assert shown(world, conflict_id).settlement == {
            "monthlyRate": {"take": "set", "value": third},
            "model": {"take": "mine", "value": "mine"},
            "dor": {"take": "set", "value": "PROJECT"},
        }
        assert bases(world) == [({"monthlyRate": 700, "model": "theirs", "dor": "PROJECT"}, 2)]
        assert value(world, "monthlyRate") == third
        overlays_are_right(world)

    def test_a_field_that_is_not_answered_is_named_with_its_values(self, world: World) -> None:
        disputed(world, **RATE_AND_MODEL)
        error = refused(world, errors.InvalidRequest, "P-1", fields={"model": "mine"})
        assert codes(error) == [("P-1", "monthlyRate", "BASELINE_CONFLICT")]
        assert "was 1000, PEMS has 700, mine is 600" in error.details[0].message

    def test_a_merge_without_values_is_refused(self) -> None:
        with pytest.raises(errors.InvalidRequest):
            Decision()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"take": "theirs"},
            {"fields": {"model": "set"}},
            {"take": "mine", "fields": {"model": "mine"}, "values": {"model": "A"}},
        ],
    )
    def test_an_unclear_decision_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(errors.InvalidRequest):
            Decision(**wrong)

    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({"monthlyRate": -1}, "INVALID_RANGE"),
            ({"monthlyRate": "a lot"}, "INVALID_TYPE"),
            ({"dor": "NOBODY"}, "INVALID_ENUM_VALUE"),
            ({"pfaId": "P-9"}, "READ_ONLY_FIELD"),
            ({"monthlyRat": 1}, "UNKNOWN_FIELD"),
        ],
    )
    def test_a_value_that_no_draft_could_have_is_refused(
        self, world: World, values: dict[str, Any], code: str
    ) -> None:
        disputed(world, **RATE_AND_MODEL)
        error = refused(world, errors.InvalidData, "P-1", take="mine", values=values)
        assert codes(error) == [("", next(iter(values)), code)]

    def test_a_take_for_a_field_that_is_not_in_conflict_is_refused(self, world: World) -> None:
        disputed(world, **RATE_AND_MODEL)
        refused(world, errors.InvalidRequest, "P-1", take="mine", fields={"dor": "mine"})

    def test_a_value_for_a_field_that_was_never_changed_is_refused(self, world: World) -> None:
        disputed(world, **RATE_AND_MODEL)
        error = refused(
            world, errors.InvalidRequest, "P-1", take="mine", values={"areaSilo": "Jetty"}
        )
        assert codes(error) == [("P-1", "areaSilo", "ILLEGAL_TRANSITION")]

    def test_a_record_that_would_break_a_rule_is_refused_until_a_value_fits(
        self, world: World
    ) -> None:
        pems = {"forecastStart": "2026-02-01", "forecastEnd": "2026-03-01"}
        disputed(world, mine={"forecastEnd": "2026-01-15"}, pems=pems)
        error = refused(world, errors.InvalidData, "P-1", take="mine")
        assert codes(error) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        resolve(world, "P-1", values={"forecastEnd": "2026-02-15"})
        assert value(world, "forecastEnd") == "2026-02-15"

    def test_rules_look_at_earlier_changes_too(self, world: World) -> None:
        draft(world.db, world.principal(), session="first", forecastStart="2025-12-20")
        commit(world.db, world.principal(), session="first")
        disputed(world, mine={"forecastEnd": "2025-12-25"}, pems={"forecastEnd": "2025-12-30"})
        error = refused(world, errors.InvalidData, "P-1", values={"forecastEnd": "2025-12-10"})
        assert codes(error) == [("P-1", "forecastEnd", "INVALID_DATE_ORDER")]
        resolve(world, "P-1", take="mine")
        overlays_are_right(world)


class TestPemsChangedAgain:
    def test_a_third_value_in_pems_is_refused_and_shown_from_then_on(self, world: World) -> None:
        conflict_id = disputed(world, mine=MINE, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "monthlyRate": 800}])
        for take in ("mine", "pems"):
            error = refused(
                world, errors.BaselineConflict, "P-1", take=take, changed=True, dry_run=True
            )
            assert codes(error) == [("P-1", "monthlyRate", "BASELINE_CONFLICT")]
            assert "PEMS has 800 now, had 700 before" in error.details[0].message
        assert shown(world).pems_now == {"monthlyRate": 800}
        refused(world, errors.BaselineConflict, "P-1", take="mine", changed=True)
        found = shown(world)
        assert (found.conflict_id, found.status, found.pems_now) == (conflict_id, "unresolved", {})
        assert found.fields == (FieldConflict("monthlyRate", 1000, 600, 800),)
        assert resolve(world, "P-1", take="mine").resolved[0].resolution == "mine"
        assert bases(world) == [({"monthlyRate": 800}, 3)]

    def test_a_dry_run_does_not_even_refresh(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "monthlyRate": 800}])
        refused(world, errors.BaselineConflict, "P-1", take="mine", dry_run=True)

    def test_another_of_my_fields_that_pems_changed_since_is_in_conflict_too(
        self, world: World
    ) -> None:
        disputed(world, mine={**MINE, "model": "mine"}, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "model": "theirs"}])
        error = refused(world, errors.BaselineConflict, "P-1", take="mine", changed=True)
        assert codes(error) == [("P-1", "model", "BASELINE_CONFLICT")]
        assert shown(world).fields == (
            FieldConflict("monthlyRate", 1000, 600, 700),
            FieldConflict("model", "LTM 1030", "mine", "theirs"),
        )
        resolve(world, "P-1", take="pems")
        assert stored(world) == []

    def test_a_field_that_has_an_owner_is_left_to_the_push(self, world: World) -> None:
        disputed(world, mine={**MINE, "model": "mine"}, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "model": "theirs"}])
        owners = Ownership({"model": Owner.MINE})
        (row,) = resolve(world, "P-1", take="mine", ownership=owners).resolved
        assert row.delta == {**MINE, "model": "mine"}
        assert bases(world)[0][0] == {"monthlyRate": 700, "model": "LTM 1030"}

    def test_fields_that_i_did_not_change_may_change_in_pems(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], "model": "theirs"}])
        resolve(world, "P-1", take="mine")
        assert (value(world, "monthlyRate"), value(world, "model")) == (600, "theirs")
        overlays_are_right(world)

    @pytest.mark.parametrize("take", ["mine", "pems"])
    def test_pems_coming_round_to_my_value_does_not_matter(self, world: World, take: str) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        world.pull([{**world.mirror()["P-1"], **MINE}])
        assert resolve(world, "P-1", take=take).resolved[0].resolution == take
        assert value(world, "monthlyRate") == 600

    def test_pems_going_back_to_the_base_is_asked_again(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        world.pull([record("P-1")])
        refused(world, errors.BaselineConflict, "P-1", take="pems", changed=True)
        assert shown(world).fields == (FieldConflict("monthlyRate", 1000, 600, 1000),)
        resolve(world, "P-1", take="pems")
        assert (stored(world), value(world, "monthlyRate")) == ([], 1000)


class TestSelecting:
    @pytest.fixture
    def three(self, world: World) -> list[str]:
        return [
            disputed(world, "P-1", mine={**MINE, "category": "A"}, pems=THEIRS),
            disputed(world, "P-2", mine={**MINE, "category": "B"}, pems=THEIRS),
            disputed(world, "P-3", mine=MINE, pems=THEIRS, user="bob"),
        ]

    def left(self, world: World) -> list[str]:
        return sorted(item.pfa_id for item in listed(world))

    def test_by_conflict_id_and_by_record(self, world: World, three: list[str]) -> None:
        result = resolve(world, three[1], "P-1", three[1], take="mine")
        assert [row.pfa_id for row in result.resolved] == ["P-1", "P-2"]
        assert self.left(world) == []

    def test_by_filters_on_merged_values(self, world: World, three: list[str]) -> None:
        resolve(world, filters=Filters(category=("B",)), take="mine")
        assert self.left(world) == ["P-1"]
        with pytest.raises(errors.NotFound):
            resolve(world, filters=Filters(category=("B",)), take="mine")

    def test_by_an_expression(self, world: World, three: list[str]) -> None:
        resolve(
            world, filters=Filters(where="category = B and monthlyRate is changed"), take="mine"
        )
        assert self.left(world) == ["P-1"]

    def test_all_are_all_of_mine(self, world: World, three: list[str]) -> None:
        assert len(resolve(world, all_=True, take="mine").resolved) == 2
        assert len(listed(world, "bob")) == 1
        assert resolve(world, all_=True, take="mine") == ResolveResult(resolved=[], problems=[])
        overlays_are_right(world)

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"ids": ("P-1",), "everything": True},
            {"ids": ("P-1",), "filters": Filters(dor=("BEO",))},
            {"filters": Filters(dor=("BEO",)), "everything": True},
            {"ids": ("a\0",)},
        ],
    )
    def test_nothing_never_means_everything_and_two_ways_contradict(
        self, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.InvalidRequest):
            ConflictSelection(**wrong)

    @pytest.mark.parametrize("name", ["P-404", "P-3", str(UUID(int=7)), "' OR 1=1 --", "null"])
    def test_an_id_that_is_not_a_conflict_of_mine_is_not_found(
        self, world: World, three: list[str], name: str
    ) -> None:
        refused(world, errors.NotFound, "P-1", name, take="mine")
        with pytest.raises(errors.NotFound):
            shown(world, name)

    def test_what_is_resolved_is_not_resolved_again(self, world: World, three: list[str]) -> None:
        resolve(world, "P-1", take="mine")
        for name in ("P-1", three[0]):
            refused(world, errors.IllegalTransition, name, "P-2", take="pems")

    def test_all_or_none(self, world: World, three: list[str]) -> None:
        world.pull([{**world.mirror()["P-1"], "monthlyRate": 800}])
        error = refused(world, errors.BaselineConflict, all_=True, take="mine", changed=True)
        assert "1 of 2 conflicts" in error.message

    def test_partial_resolves_the_valid_ones_and_shows_of_the_rest(
        self, world: World, three: list[str]
    ) -> None:
        world.pull([{**world.mirror()["P-1"], "monthlyRate": 800}])
        result = resolve(world, all_=True, take="mine", partial=True)
        assert [row.pfa_id for row in result.resolved] == ["P-2"]
        assert [(fault.pfa_id, fault.field) for fault in result.problems] == [
            ("P-1", "monthlyRate")
        ]
        assert shown(world, "P-1").fields[0].pems == 800
        overlays_are_right(world)

    def test_a_take_for_a_field_needs_it_in_conflict_somewhere_only(
        self, world: World, three: list[str]
    ) -> None:
        world.pull([{**world.mirror()["P-2"], "category": "theirs"}])
        resolve(world, "P-2", take="mine", partial=True)
        fields = {"category": "pems", "monthlyRate": "mine"}
        result = resolve(world, all_=True, fields=fields)
        assert [row.delta for row in result.resolved] == [{**MINE, "category": "A"}, MINE]

    def test_a_dry_run_leaves_nothing(self, world: World, three: list[str]) -> None:
        before = all_rows(world)
        for take in ("mine", "pems"):
            assert len(resolve(world, all_=True, take=take, dry_run=True).resolved) == 2
        assert all_rows(world) == before


class TestStacks:
    def test_a_draft_above_goes_on_overlaying(self, world: World) -> None:
        disputed(world, mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        draft(world.db, world.principal(), session="later", monthlyRate=9, model="M")
        (found,) = listed(world)
        assert found.session_id == "s"
        resolve(world, "P-1", take="mine")
        assert [row[2:4] for row in stored(world)] == [("committed", 3), ("draft", 1)]
        row = one(world)
        assert (row.sync_state, row.session_id) == ("draft", "later")
        assert (row.data["monthlyRate"], row.data["model"], row.data["dor"]) == (9, "M", "BEO")
        overlays_are_right(world)

    def test_a_draft_above_stays_when_what_lies_below_is_gone(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        draft(world.db, world.principal(), session="later", model="M")
        resolve(world, "P-1", take="pems")
        assert [row[2] for row in stored(world)] == ["draft"]
        assert (value(world, "monthlyRate"), value(world, "model")) == (700, "M")
        overlays_are_right(world)

    def test_a_change_above_keeps_its_place(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        draft(world.db, world.principal(), session="later", monthlyRate=9)
        commit(world.db, world.principal(), session="later")
        resolve(world, "P-1", take="mine")
        assert [row[1] for row in stored(world)] == ["s", "later"]
        assert value(world, "monthlyRate") == 9
        overlays_are_right(world)


class TestForAnother:
    def test_an_admin_resolves_what_a_former_member_left_behind(self, world: World) -> None:
        conflict_id = disputed(world, user="bob", mine={**MINE, "dor": "BEO"}, pems=THEIRS)
        pfa_core.revoke(world.db, world.principal(), "bob")
        (row,) = resolve(world, "P-1", take="pems", user_id="bob").resolved
        assert row.delta == {"dor": "BEO"}
        assert shown(world, conflict_id, user_id="bob").resolved_by == "ann"
        assert world.rows("SELECT user_id, state FROM pfa_modification") == [("bob", "committed")]
        assert world.merged("ann") == {}
        entry = pfa_core.list_log(world.db, world.principal(), pfa_id="P-1")[0]
        assert (entry.user_id, entry.action) == ("ann", "resolve")
        overlays_are_right(world, "bob")

    def test_other_members_do_not(self, world: World) -> None:
        disputed(world, mine=MINE, pems=THEIRS)
        for user in ("bob", "vera"):
            refused(world, errors.PermissionDenied, "P-1", take="mine", user=user, user_id="ann")

    def test_the_right_to_manage_users_is_not_enough_to_resolve(self, world: World) -> None:
        disputed(world, user="bob", mine=MINE, pems=THEIRS)
        ann = world.principal()
        with pytest.raises(errors.PermissionDenied):
            pfa_core.resolve_conflicts(
                world.db,
                replace(ann, rights=ann.rights - {Right.SYNC}),
                ConflictSelection(ids=("P-1",)),
                Decision("mine"),
                user_id="bob",
            )

    def test_an_admin_of_elsewhere_does_not(self, world: World) -> None:
        disputed(world, user="bob", mine=MINE, pems=THEIRS)
        there = a_world(world.url, record("P-1"), organization="THERE", users=USERS)
        with pytest.raises(errors.NotFound):
            resolve(there, "P-1", take="mine", user_id="bob")


class TestAtOnce:
    @pytest.mark.slow
    @pytest.mark.variants(1)
    @pytest.mark.parametrize("admin", [False, True])
    def test_of_two_who_resolve_one_conflict_exactly_one_wins(
        self, world: World, *, admin: bool
    ) -> None:
        other = a_world(world.url, users=USERS)
        for number in range(3):
            conflict_id = disputed(world, user="bob", session=f"s{number}", mine=MINE, pems=THEIRS)
            who: dict[str, Any] = {"user": "ann", "user_id": "bob"} if admin else {"user": "bob"}
            answers = together(
                lambda c=conflict_id: resolve(world, c, user="bob", take="mine"),
                lambda c=conflict_id, w=who: resolve(world, c, of=other, take="pems", **w),
            )
            lost = [answer for answer in answers if isinstance(answer, errors.PfaError)]
            assert [type(answer) for answer in lost] == [errors.IllegalTransition]
            won = "mine" if answers[1] is lost[0] else "pems"
            assert shown(world, conflict_id, "bob").resolution == won
            overlays_are_right(world, "bob")
            world.execute("DELETE FROM pfa_modification")
            world.execute("DELETE FROM pfa_overlay")
            world.pull([record("P-1")])

    @pytest.mark.slow
    def test_a_pull_beside_it_comes_before_or_after_never_between(self, world: World) -> None:
        other = a_world(world.url, users=USERS)
        for number in range(3):
            disputed(world, session=f"s{number}", mine=MINE, pems=THEIRS)
            moved = {**world.mirror()["P-1"], "monthlyRate": 800}
            answer, _ = together(
                lambda: resolve(world, "P-1", take="mine"),
                lambda row=moved: other.pull([row], "ann"),
            )
            if isinstance(answer, errors.PfaError):
                assert type(answer) is errors.BaselineConflict
                assert shown(world).fields[0].pems == 800
                resolve(world, "P-1", take="mine")
                assert bases(world)[0][0] == {"monthlyRate": 800}
            else:
                assert bases(world)[0][0] == {"monthlyRate": 700}
            overlays_are_right(world)
            world.execute("DELETE FROM pfa_modification")
            world.execute("DELETE FROM pfa_overlay")
            world.pull([record("P-1")])
