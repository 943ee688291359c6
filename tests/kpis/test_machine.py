"""Any sequence of pulls, saves, commits, pushes and resolutions: every KPI stays exact after each.

PFA_TEST_KPI_EXAMPLES=500 .venv/bin/pytest tests/kpis/test_machine.py

lets it run so many sequences, other ones each time; without it few, always the same.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import pfa_core
from pfa_core import Change, ConflictSelection, Decision, Filters, Selection, errors
from pfa_core.model.delta import same
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.sync.push.options import PushResult
from tests.factories import a_world, record
from tests.forms import LONG, forms, many
from tests.kpis.exact import require_exact
from tests.pems_server import FarSide, a_pems_beside, a_profile, owned
from tests.server import Server
from tests.worlds import Build, a_copy

ACTUAL = {"isActualized": True, "actualStart": "2025-12-02", "actualEnd": "2025-12-20"}
# As PEMS has them at first: what counts for costs and what does not; it lacks the last.
RECORDS = {
    "P-1": record("P-1"),
    "P-2": record("P-2", source="Purchase", purchasePrice=Decimal("5000.05"), **ACTUAL),
    "P-3": record(
        "P-3", rateUom="week", isFundsTransferable=True, monthlyRate=Decimal("0.1"), **ACTUAL
    ),
    "P-4": record("P-4", isDiscontinued=True, category="Loader", areaSilo="Jetty"),
    "P-5": record("P-5", monthlyRate=None, dor="BEO"),
}
IDS = tuple(RECORDS)
AT_FIRST = [RECORDS[pfa_id] for pfa_id in IDS[:-1]]
# All users see money, and those who write write every field; what others see is for the tests of masking.
USERS = {"ann": "admin", "bob": "admin", "eve": "editor"}
SESSIONS = ("s", "t")

# What users write: enough of each that a record can move to and fro in every dimension.
OURS: dict[str, list[Any]] = {
    "category": ["Crane", "Loader", "", None],
    "class": ["Lifting", "Earth"],
    "source": ["Rental", "Purchase"],
    "dor": ["PROJECT", "BEO"],
    "areaSilo": ["Silo 4", "Jetty", "", None],
    "model": ["A", "B", None],
    "isActualized": [False, True],
    "isDiscontinued": [False, True],
    "isFundsTransferable": [False, True],
    "monthlyRate": [0, 1000, Decimal("33.33"), Decimal("0.005"), None],
    "purchasePrice": [0, Decimal("99.995"), Decimal("123456789012345.67"), None],
    "forecastStart": ["2025-12-01", "2026-01-15", None],
    "forecastEnd": ["2025-12-31", "2026-02-28", None],
    "actualStart": ["2025-12-02", None],
    "actualEnd": ["2025-12-20", "2026-01-31", None],
}
THEIRS = {
    **OURS,
    "originalStart": ["2025-12-01", "2026-01-01", None],
    "originalEnd": ["2025-12-31", "2026-03-31", None],
    "rateUom": ["day", "week", "28-day", "month"],
}
# Failures of PEMS: none, some that pass, some that do not.
TROUBLES = {
    "none": [],
    "a moment away": ["500:1:times=1:on=rest"],
    "an answer lost": ["reset-after:1:times=1:on=rest"],
    "away": ["503:1:on=rest"],
}
OWNERSHIPS = (
    Ownership(),
    Ownership(),
    Ownership({"monthlyRate": Owner.PEMS, "category": Owner.MINE}),
)

ids, numbers = st.sampled_from(IDS), st.integers(0, 11)


def fields(table: dict[str, list[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.sampled_from(sorted(table)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(table[name]))
    )
    return st.lists(pairs, min_size=1, max_size=most).map(dict)


def several(table: dict[str, list[Any]], most: int) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    return st.dictionaries(ids, fields(table, most), min_size=1, max_size=3)


@dataclass(frozen=True)
class Step:
    """Something that may happen: with which arguments, how often beside the others, and in one of
    which states a modification has to be for it to make sense (none: always)."""

    work: Callable[..., None]
    arguments: st.SearchStrategy[dict[str, Any]]
    weight: int
    states: tuple[str, ...]


STEPS: dict[str, Step] = {}


def a_step(
    *states: str, weight: int = 1, **arguments: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let the method be a step."""

    def register(work: Callable[..., None]) -> Callable[..., None]:
        STEPS[work.__name__] = Step(work, st.fixed_dictionaries(arguments), weight, states)
        return work

    return register


@st.composite
def any_step(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """One of the steps with its arguments. A rule of its own for each would not do: most sequences
    then leave most rules out, and a conflict takes five of them. Nothing here depends on what
    happened before, which a push may make differ by a hair from run to run."""
    name = draw(st.sampled_from([name for name, step in STEPS.items() for _ in range(step.weight)]))
    return name, draw(STEPS[name].arguments)


class Exactness(RuleBasedStateMachine):
    """Steps of all users at random. What they do is proved elsewhere; here, what is shown after."""

    server: ClassVar[Server]
    happened: ClassVar[Counter[str]]

    @initialize(left_out=ids, first=several(OURS, 3))
    def start(self, left_out: str, first: dict[str, dict[str, Any]]) -> None:
        """PEMS has a record that the mirror lacks, mostly; bob's first committed changes are made."""
        self.states: Counter[str] = Counter()
        self.open = ExitStack()
        world = self.open.enter_context(a_copy(self.server, world_without(left_out)))
        rows = all_but(left_out)
        self.far: FarSide = self.open.enter_context(a_pems_beside(world, *rows))
        self.far.pems.load(AT_FIRST)
        self.far.profile = a_profile(
            self.far.pems.url,
            retry_delay=0.001,
            grid=replace(self.far.profile.grid, page_size=2),
        )
        self.world = self.far.world
        self.save("bob", first, at_once=True)

    def teardown(self) -> None:
        if hasattr(self, "open"):
            self.open.close()

    def note(self, what: str, times: int = 1) -> None:
        """Remember that something happened, for the statistics and for the proof that it can."""
        if times:
            self.happened[what] += times
            if currently_in_test_context():
                event(what)

    def attempt(self, what: str, work: Any, *refusals: type[errors.PfaError]) -> Any:
        """What it answers; None when it refuses for one of these reasons, and no other."""
        try:
            answer = work()
        except refusals as refusal:
            self.note(f"{what}: {type(refusal).__name__}")
            return None
        self.note(what)
        return answer

    @rule(step=any_step())
    def step(self, step: tuple[str, dict[str, Any]]) -> None:
        name, arguments = step
        if self.is_reached(STEPS[name].states):
            STEPS[name].work(self, **arguments)

    def is_reached(self, states: tuple[str, ...]) -> bool:
        """Whether a modification is in one of the states, brought there if none was."""
        if not any(self.states[state] for state in states) and states:
            self.bring_about(states[0])
            self.everybody_is_shown_what_the_tables_hold()
        return not states or any(self.states[state] for state in states)

    def bring_about(self, state: str) -> None:
        known = sorted(self.world.mirror())
        self.save("ann", {known[0]: {"monthlyRate": 250}}, at_once=state != "draft")
        self.states = Counter(self.far.states())
        if state in ("conflict", "sync_error") and self.states["committed"]:
            self.push(before="the same" if state == "conflict" else "gone")

    # --- users ------------------------------------------------------------------------------------

    @a_step(
        weight=3,
        user=st.sampled_from(["ann", "bob"]),
        deltas=several(OURS, 3),
        session=st.sampled_from(SESSIONS),
        instead=st.booleans(),
        at_once=st.booleans(),
    )
    def save(
        self,
        user: str,
        deltas: dict[str, dict[str, Any]],
        session: str = "s",
        instead: bool = False,
        at_once: bool = False,
    ) -> None:
        """Drafts, one record a call, so that one that is refused keeps no other back; or at once
        committed changes."""
        for change in [Change(pfa_id, delta) for pfa_id, delta in deltas.items()]:
            self.attempt(
                "save",
                lambda change=change: pfa_core.save(
                    self.far.db,
                    self.world.principal(user),
                    [change],
                    session_id=session,
                    replace=instead,
                    move=True,
                ),
                errors.NotFound,
                errors.InvalidData,
            )
        if at_once:
            self.move(pfa_core.commit, user, session, partial=True)

    @a_step(
        "draft", which=numbers, names=st.sets(st.sampled_from(sorted(OURS)), min_size=1, max_size=8)
    )
    def unset(self, which: int, names: set[str]) -> None:
        user, _, pfa_id = self.pick(which, "draft")
        self.attempt(
            "unset",
            lambda: pfa_core.unset_fields(
                self.far.db, self.world.principal(user), Filters(id=(pfa_id,)), sorted(names)
            ),
            errors.InvalidData,
        )

    @a_step("draft", which=numbers, partial=st.booleans())
    def commit(self, which: int, partial: bool = False) -> None:
        user, session, _ = self.pick(which, "draft")
        self.move(pfa_core.commit, user, session, partial=partial)

    @a_step("committed", "sync_error", which=numbers)
    def uncommit(self, which: int) -> None:
        user, session, _ = self.pick(which, "committed", "sync_error")
        self.move(pfa_core.uncommit, user, session)

    @a_step("draft", which=numbers)
    def discard(self, which: int) -> None:
        user, session, _ = self.pick(which, "draft")
        self.move(pfa_core.discard, user, session)

    def pick(self, which: int, *states: str) -> tuple[str, str, str]:
        """User, session and record of one of the modifications in these states."""
        rows = self.world.rows(
            "SELECT user_id, session_id, pfa_id FROM pfa_modification WHERE state = ANY(%s)"
            " ORDER BY user_id, session_id, pfa_id, modification_id",
            list(states),
        )
        return rows[which % len(rows)]

    def move(self, verb: Any, user: str, session: str, **rest: Any) -> None:
        self.attempt(
            verb.__name__,
            lambda: verb(
                self.far.db, self.world.principal(user), Selection(session_id=session), **rest
            ),
            errors.NoDrafts,
            errors.IllegalTransition,
            errors.BaselineConflict,
            errors.InvalidData,
        )

    @a_step(
        "conflict",
        weight=3,
        which=numbers,
        take=st.sampled_from(["mine", "pems", "merged"]),
        value=numbers,
    )
    def resolve(self, which: int, take: str, value: int = 0) -> None:
        """One conflict, by its owner or by ann for them: one side, or a third value for one field."""
        rows = self.world.rows(
            "SELECT conflict_id::text, user_id, fields -> 0 ->> 'field' FROM pfa_sync_conflict"
            " WHERE status = 'unresolved' ORDER BY pfa_id, user_id, created_at"
        )
        conflict_id, owner, name = rows[which % len(rows)]
        decision = Decision(take=take) if take != "merged" else third(name, value)
        by = owner if which % 2 else "ann"
        result = self.attempt(
            "resolve",
            lambda: pfa_core.resolve_conflicts(
                self.far.db,
                self.world.principal(by),
                ConflictSelection((conflict_id,)),
                decision,
                user_id=owner,
            ),
            errors.BaselineConflict,
            errors.InvalidData,
            # PEMS came into conflict in one more field, which no answer is given for.
            *([errors.InvalidRequest] if take == "merged" else []),
        )
        if result is not None:
            self.note(f"resolved: {result.resolved[0].resolution}")

    # --- PEMS -------------------------------------------------------------------------------------

    @a_step(weight=2, pfa_id=ids, changes=fields(THEIRS, 3))
    def pems_changes(self, pfa_id: str, changes: dict[str, Any]) -> None:
        """PEMS changes a record, or has a new one."""
        self.far.pems.change(pfa_id, **changes)

    @a_step(
        "draft", "committed", "sync_error", "conflict", which=numbers, name=numbers, value=numbers
    )
    def pems_changes_the_same(self, which: int, name: int = 0, value: int = 0) -> None:
        """PEMS changes a field that a user changes, mostly to something else."""
        rows = self.world.rows(
            "SELECT pfa_id, delta FROM pfa_modification WHERE state <> 'synced'"
            " ORDER BY state = 'committed' DESC, pfa_id, user_id, modification_id"
        )
        pfa_id, delta = rows[which % len(rows)]
        chosen = sorted(delta)[name % len(delta)]
        others = [item for item in OURS[chosen] if not same(item, delta[chosen])] or OURS[chosen]
        self.far.pems.change(pfa_id, **{chosen: others[value % len(others)]})

    @a_step(pfa_id=ids)
    def pems_loses_or_finds(self, pfa_id: str) -> None:
        """A record is gone from PEMS, or there again as it was at first."""
        known = {item.pfa_id for item in self.far.pems.records}
        if pfa_id in known:
            self.far.pems.remove(pfa_id)
        else:
            self.far.pems.load([RECORDS[pfa_id]])

    # --- the exchange -----------------------------------------------------------------------------

    @a_step(weight=2, incremental=st.booleans(), cut_off=st.booleans())
    def pull(self, incremental: bool = False, cut_off: bool = False) -> None:
        """From PEMS, two records a page; one that is cut off keeps its first page."""
        self.far.pems.faults = ["503:1:on=grid:after=1"] if cut_off else []
        # One that goes on behind an earlier one may be cut off before anything came.
        refusals = [errors.PemsUnavailable] if cut_off else []
        result = self.attempt("pull", lambda: self.far.pull(incremental=incremental), *refusals)
        if result is not None:
            self.note(f"pull: {result.status}")
            self.note("pulled: new", result.inserted)
            self.note("pulled: changed", result.updated)
            self.note("pulled: missing", result.missing)

    @a_step(weight=2, changes=several(THEIRS, 3), refused=st.booleans())
    def pull_files(self, changes: dict[str, Any], refused: bool = False) -> None:
        """Some records as the mirror has them with changes; a wrong one beside them is refused."""
        mirror = self.world.mirror()
        rows = [
            {**mirror.get(pfa_id, RECORDS[pfa_id]), **change} for pfa_id, change in changes.items()
        ]
        wrong = [record("P-9", monthlyRate=-1)] if refused else []
        result = self.world.pull([*rows, *wrong], allow_emptied=["all"])
        assert result.rejected == refused
        self.note("pulled from files: new", result.inserted)
        self.note("pulled from files: changed", result.updated)

    @a_step(
        "committed",
        "sync_error",
        weight=3,
        failure=st.sampled_from(["none"] * 3 + sorted(TROUBLES)),
        limit=st.sampled_from([None, None, 1]),
        owners=st.sampled_from(OWNERSHIPS),
        impatient=st.booleans(),
        before=st.sampled_from(["nothing"] * 2 + ["the same"] * 2 + ["gone"]),
        which=numbers,
    )
    def push(
        self,
        failure: str = "none",
        limit: int | None = None,
        owners: Ownership = OWNERSHIPS[0],
        impatient: bool = False,
        before: str = "nothing",
        which: int = 0,
    ) -> None:
        """A push; an impatient one leaves what has to wait for a retry to a later one. Before it PEMS
        may change what a user changes too, or lose such a record."""
        if before == "the same":
            self.pems_changes_the_same(which, value=which)
        if before == "gone":
            self.far.pems.remove(self.pick(which, "committed", "sync_error")[2])
        self.far.pems.faults = TROUBLES[failure]
        profile = replace(
            self.far.profile, ownership=owners, retry_delay=3600 if impatient else 0.001
        )
        options = replace(self.far.options, limit=limit, concurrency=1)
        self.tell(
            self.attempt(
                "push",
                lambda: pfa_core.push_changes(self.far.db, self.far.ann, profile, options),
                errors.PemsUnavailable,
            )
        )

    @a_step("sync_error")
    def retry(self) -> None:
        """Dead letters once more, and else what waits for its time: that has come."""
        self.world.execute(
            "UPDATE pfa_modification SET next_attempt_at = now()"
            " WHERE state = 'sync_error' AND next_attempt_at IS NOT NULL"
        )
        self.far.pems.faults = []
        result = pfa_core.retry(self.far.db, self.far.ann, self.far.profile)
        if result.push is None:
            self.push()
        else:
            self.note("retry")
            self.tell(result.push)

    def tell(self, result: PushResult | None) -> None:
        if result is not None:
            self.note("pushed: synced", result.synced)
            self.note("pushed: conflict", result.conflicts)
            self.note("pushed: rejected", result.rejected)
            self.note("pushed: retrying", result.retrying)

    # --- after every step -------------------------------------------------------------------------

    @invariant()
    def everybody_is_shown_what_the_tables_hold(self) -> None:
        if hasattr(self, "world"):
            self.states = Counter(self.far.states())
            require_exact(self.world, USERS)


@cache
def world_without(left_out: str) -> Build:
    """What builds a world that has what PEMS has at first, but for one record."""
    return lambda url: a_world(url, *owned(all_but(left_out)), users=USERS)


def all_but(left_out: str) -> list[dict[str, Any]]:
    return [row for row in AT_FIRST if row["pfaId"] != left_out]


def third(name: str, value: int) -> Decision:
    """Another value for one field, for the others mine."""
    return Decision(take="mine", values={name: OURS[name][value % len(OURS[name])]})


def a_machine(postgres: Server) -> type[Exactness]:
    class Here(Exactness):
        server: ClassVar[Server] = postgres
        happened: ClassVar[Counter[str]] = Counter()

    return Here


@pytest.mark.early
@forms(("sequences", "steps"), short=(1, 8), long=(many(1, 50), 25))
def test_every_kpi_is_exact_after_each_step_of_any_sequence(
    postgres: Server, sequences: int, steps: int
) -> None:
    machine, asked = a_machine(postgres), os.environ.get("PFA_TEST_KPI_EXAMPLES")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(asked or sequences),
            stateful_step_count=steps,
            derandomize=asked is None,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    # Without these a long run proves little; a short one cannot have them all.
    needed = ("pushed: synced", "pushed: conflict", "resolve") if sequences > 1 else ()
    assert [what for what in needed if not machine.happened[what]] == []


def script(m: Exactness) -> list[tuple[str, Callable[[], None]]]:
    """A sequence by hand, and what each step of it has to make happen."""
    mine = {"P-1": {"monthlyRate": 1000, "model": "A", "category": "Loader"}}
    above = {"P-1": {"isFundsTransferable": True, "areaSilo": "Silo 4"}}
    both = {"P-1": {"dor": "PROJECT"}, "P-4": {"dor": "BEO"}}
    others = {"P-1": {"model": "C"}, "P-4": {"model": "D"}}
    theirs = [{"model": "B"}, {"model": None}, {"model": "B", "monthlyRate": 1}]
    return [
        # PEMS has what the mirror lacks, changes records and loses one; a pull is cut off.
        ("pull: partial", lambda: m.pull(cut_off=True)),
        ("pulled: new", m.pull),
        ("", lambda: m.pems_changes("P-1", {"monthlyRate": 7, "areaSilo": "Jetty"})),
        ("", lambda: m.pems_loses_or_finds("P-2")),
        ("pulled: missing", m.pull),
        ("pulled from files: new", lambda: m.pull_files({"P-5": {"category": "Loader"}})),
        (
            "pulled from files: changed",
            lambda: m.pull_files({"P-3": {"isDiscontinued": True}}, refused=True),
        ),
        # The user's half of the life cycle.
        ("save", lambda: m.save("bob", {"P-1": {"source": "Purchase", "purchasePrice": 5}})),
        ("discard", lambda: m.discard(0)),
        ("save", lambda: m.save("ann", {"P-1": {"areaSilo": None, "category": "Loader"}})),
        ("unset", lambda: m.unset(0, {"category"})),
        ("commit", lambda: m.commit(0)),
        ("uncommit", lambda: m.uncommit(0)),
        ("commit", lambda: m.commit(0)),
        ("save", lambda: m.save("ann", above, session="t")),
        ("pushed: synced", m.push),
        ("discard", lambda: m.discard(0)),
        ("", lambda: m.pems_changes("P-4", {"dor": "PROJECT", "originalEnd": "2026-03-31"})),
        ("pulled: changed", m.pull),
        # Every way out of a conflict, and what is left in the end arrives.
        ("commit", lambda: m.save("ann", mine, at_once=True)),
        ("", lambda: m.pems_changes("P-1", theirs[0])),
        ("pushed: conflict", m.push),
        ("resolved: mine", lambda: m.resolve(1, "mine")),
        ("", lambda: m.pems_changes("P-1", theirs[1])),
        ("pushed: conflict", m.push),
        ("resolved: merged", lambda: m.resolve(0, "merged", value=0)),
        ("", lambda: m.pems_changes("P-1", theirs[2])),
        ("pushed: conflict", m.push),
        ("save", lambda: m.save("bob", {"P-1": {"monthlyRate": 3}})),
        ("", lambda: m.pems_changes("P-1", {"model": None})),
        ("pull: completed", m.pull),
        ("resolve: BaselineConflict", lambda: m.resolve(0, "pems")),
        ("resolved: pems", lambda: m.resolve(0, "pems")),
        ("pushed: synced", m.push),
        # Refused, away, due again later, and tried again.
        ("commit", lambda: m.save("ann", {"P-1": {"dor": "BEO"}}, at_once=True)),
        ("pushed: rejected", lambda: m.push(before="gone")),
        ("", lambda: m.pems_loses_or_finds("P-1")),
        ("pushed: synced", m.retry),
        ("commit", lambda: m.save("ann", {"P-1": {"class": "Earth"}}, at_once=True)),
        ("pushed: synced", lambda: m.push(failure="an answer lost")),
        ("commit", lambda: m.save("ann", both, at_once=True)),
        ("pushed: retrying", lambda: m.push(failure="a moment away", impatient=True)),
        ("pushed: synced", m.retry),
        ("commit", lambda: m.save("bob", others, at_once=True)),
        ("push: PemsUnavailable", lambda: m.push(failure="away")),
    ]


@pytest.mark.turns(2)
@LONG
@pytest.mark.early
def test_every_kpi_is_exact_through_a_sequence_in_which_everything_happens(
    postgres: Server,
) -> None:
    machine = a_machine(postgres)()
    try:
        machine.start(left_out="P-3", first={})
        for number, (what, step) in enumerate(script(machine)):
            before = machine.happened[what]
            step()
            assert not what or machine.happened[what] > before, f"step {number} is no {what}"
            machine.everybody_is_shown_what_the_tables_hold()
    finally:
        machine.teardown()
