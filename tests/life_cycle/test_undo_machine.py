"""Any sequence of operations, followed by their undos: the state before each, byte for byte."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import pfa_core
from pfa_core import Change, Filters, Owner, Ownership, Selection, errors
from tests.factories import World
from tests.forms import drawn
from tests.life_cycle.test_machine import IDS, SESSIONS, USERS, fields, three_records
from tests.life_cycle.undone import links, state
from tests.server import Server
from tests.worlds import a_copy

WHO = st.sampled_from(USERS)
WHERE = st.sampled_from(SESSIONS)
SOME = st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True)
Moment = tuple[Any, Any]  # the state before an operation, and after it


class Undoing(RuleBasedStateMachine):
    """Each user's operations and undos; the state before and after each operation is kept."""

    server: Server

    @initialize()
    def start(self) -> None:
        self.open = ExitStack()
        self.world: World = self.open.enter_context(a_copy(self.server, three_records))
        self.forget()

    def forget(self) -> None:
        """Undo nothing that is older than this."""
        self.done: list[tuple[str, Moment]] = []
        self.taken: list[tuple[str, Moment]] = []
        self.now = state(self.world)
        self.floor = links(self.world)

    def teardown(self) -> None:
        if hasattr(self, "open"):
            try:
                while self.done:
                    self.undo(self.done[-1][0])
                self.is_sound()
            finally:
                self.open.close()

    def do(self, verb: Any, user: str, *rest: Any, **more: Any) -> None:
        before = links(self.world)
        try:
            verb(self.world.db, self.world.principal(user), *rest, **more)
        except errors.PfaError:
            assert state(self.world) == self.now
            return
        after = state(self.world)
        if links(self.world) == before:
            assert after == self.now
            return
        self.done.append((user, (self.now, after)))
        self.taken = [item for item in self.taken if item[0] != user]
        self.now = after

    @rule(
        user=WHO,
        deltas=st.dictionaries(st.sampled_from(IDS), fields(4), min_size=1),
        session=st.none() | WHERE,
        instead=st.booleans(),
        move=st.booleans(),
        keep_equal=st.booleans(),
        reason=st.sampled_from([None, "", "Weather"]),
    )
    def save(self, user: str, deltas: dict[str, dict[str, Any]], instead: bool, **how: Any) -> None:
        changes = [Change(pfa_id, delta) for pfa_id, delta in deltas.items()]
        how["session_id"] = how.pop("session")
        self.do(pfa_core.save, user, changes, replace=instead, partial=True, **how)

    @rule(user=WHO, ids=SOME, delta=fields(2), session=WHERE)
    def set_fields(self, user: str, ids: list[str], delta: dict[str, Any], session: str) -> None:
        only = Filters(id=tuple(ids))
        self.do(pfa_core.set_fields, user, only, delta, session_id=session, move=True)

    @rule(user=WHO, ids=SOME, names=st.sets(st.sampled_from(["model", "monthlyRate"]), min_size=1))
    def unset(self, user: str, ids: list[str], names: set[str]) -> None:
        self.do(pfa_core.unset_fields, user, Filters(id=tuple(ids)), sorted(names))

    @rule(user=WHO, ids=SOME, days=st.sampled_from([-15, 15]))
    def shift(self, user: str, ids: list[str], days: int) -> None:
        self.do(pfa_core.shift, user, Filters(id=tuple(ids)), days, session_id="s", move=True)

    @rule(user=WHO, session=WHERE)
    def discard(self, user: str, session: str) -> None:
        self.do(pfa_core.discard, user, Selection(session_id=session))

    @rule(user=WHO, ids=SOME)
    def restore(self, user: str, ids: list[str]) -> None:
        self.do(pfa_core.restore, user, ids=ids, partial=True)

    @rule(user=WHO, session=WHERE, owned=st.booleans())
    def commit(self, user: str, session: str, owned: bool) -> None:
        owners = Ownership({"model": Owner.PEMS, "monthlyRate": Owner.MINE}) if owned else None
        selection = Selection(session_id=session)
        self.do(pfa_core.commit, user, selection, partial=True, ownership=owners)

    @rule(user=WHO, ids=SOME)
    def uncommit(self, user: str, ids: list[str]) -> None:
        self.do(pfa_core.uncommit, user, Selection(ids=tuple(ids)))

    @precondition(lambda self: self.done)
    @rule(again=st.booleans())
    def undo_last(self, again: bool) -> None:
        user = self.done[-1][0]
        self.undo(user)
        if again:
            self.redo_last()

    def undo(self, user: str) -> None:
        _, (before, after) = self.done.pop()
        assert self.now == after
        pfa_core.undo(self.world.db, self.world.principal(user), dry_run=True)
        assert state(self.world) == after
        pfa_core.undo(self.world.db, self.world.principal(user))
        self.now = state(self.world)
        assert self.now == before
        self.taken.append((user, (before, after)))

    @precondition(lambda self: self.taken and self.taken[-1][1][0] == self.now)
    @rule()
    def redo_last(self) -> None:
        user, (before, after) = self.taken.pop()
        pfa_core.undo(self.world.db, self.world.principal(user), redo=True)
        self.now = state(self.world)
        assert self.now == after
        self.done.append((user, (before, after)))

    @rule(changes=st.dictionaries(st.sampled_from(IDS), fields(3), min_size=1))
    def pull(self, changes: dict[str, dict[str, Any]]) -> None:
        """PEMS has other values from now on: the states before are not those of now any more."""
        rows = [{**self.world.mirror()[pfa_id], **change} for pfa_id, change in changes.items()]
        self.world.pull(rows, allow_emptied=["all"])
        self.forget()

    @rule(user=WHO)
    def reject(self, user: str) -> None:
        """PEMS rejected for good what the user had committed."""
        self.world.execute(
            "UPDATE pfa_modification SET state = 'sync_error', attempts = 2, failures = 1,"
            " generation = generation + 1, sync_error = 'NO: not so',"
            " first_attempt_at = committed_at + interval '1 second'"
            " WHERE user_id = %s AND state = 'committed'",
            user,
        )
        self.forget()

    @invariant()
    def is_sound(self) -> None:
        if hasattr(self, "world"):
            ann = self.world.principal("ann")
            found = pfa_core.verify_database(self.world.db, ann)
            assert [found.rollup, found.overlays, found.bad_rows] == [[], [], []]
            assert pfa_core.verify_log(self.world.db, ann).whole


@pytest.mark.slow
@drawn("sequences", short=2, long=8, night=150)
def test_undos_give_the_state_before_each_operation(postgres: Server, sequences: int) -> None:
    class Here(Undoing):
        server = postgres

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
