"""Two users, a few records, any sequence of steps: the library and a plain model agree after each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import pfa_core
from pfa_core import Change, Filters, Query, Relative, Selection, errors
from pfa_core.model.delta import merge
from tests.acceptance import brute_force
from tests.factories import World, a_world, record
from tests.forms import drawn
from tests.server import Server
from tests.worlds import a_copy

IDS = ("P-1", "P-2", "P-3")
USERS = ("ann", "bob")
SESSIONS = ("s", "t")

VALUES: dict[str, list[Any]] = {
    "model": ["A", "B", ""],
    "category": ["Crane", "Loader"],
    "source": ["Rental", "Purchase"],
    "monthlyRate": [0, 1000, Decimal("33.33"), None],
    "purchasePrice": [0, Decimal("99.995"), None],
    "forecastStart": ["2025-12-01", "2026-01-15", None],
    "forecastEnd": ["2025-12-31", "2026-01-31", None],
    "isDiscontinued": [False, True],
    "isFundsTransferable": [False, True],
}


Edit = tuple[str, Relative, str, Callable[[Any], Any]]  # field, edit, what it starts from, result
EDITS: list[Edit] = [
    ("monthlyRate", Relative.plus(100), "monthlyRate", lambda v: v + 100),
    ("monthlyRate", Relative.plus(-100), "monthlyRate", lambda v: v - 100),
    ("monthlyRate", Relative.times(1), "monthlyRate", lambda v: v),
    ("monthlyRate", Relative.value_of("purchasePrice"), "purchasePrice", lambda v: v),
    ("purchasePrice", Relative.percent(-100), "purchasePrice", lambda _: 0),
    ("purchasePrice", Relative.value_of("monthlyRate"), "monthlyRate", lambda v: v),
    ("forecastEnd", Relative.later("-2w"), "forecastEnd", lambda v: later(v, -14)),
    ("forecastEnd", Relative.later("16d"), "forecastEnd", lambda v: later(v, 16)),
    ("forecastEnd", Relative.later("0m"), "forecastEnd", lambda v: v),
    ("forecastStart", Relative.value_of("originalStart"), "originalStart", lambda v: v),
]


def later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def fields(most: int) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.sampled_from(sorted(VALUES)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(VALUES[name]))
    )
    return st.lists(pairs, min_size=1, max_size=most).map(dict)


@dataclass(frozen=True)
class Modification:
    """What the model remembers of one modification."""

    session: str
    delta: dict[str, Any]
    base: dict[str, Any]
    version: int = 1
    committed: bool = False


@dataclass
class Model:
    """The baseline, and each user's stack of modifications by record, the draft last."""

    mirror: dict[str, dict[str, Any]]
    stacks: dict[tuple[str, str], list[Modification]] = field(default_factory=dict)
    discarded: set[tuple[str, str]] = field(default_factory=set)

    def stack(self, user: str, pfa_id: str) -> list[Modification]:
        return self.stacks.setdefault((user, pfa_id), [])

    def draft(self, user: str, pfa_id: str) -> Modification | None:
        stack = self.stack(user, pfa_id)
        return stack[-1] if stack and not stack[-1].committed else None

    def below(self, user: str, pfa_id: str) -> dict[str, Any]:
        """The record without the user's draft."""
        deltas = [item.delta for item in self.stack(user, pfa_id) if item.committed]
        return merge(self.mirror[pfa_id], *deltas)

    def merged(self, user: str, pfa_id: str) -> dict[str, Any]:
        deltas = [item.delta for item in self.stack(user, pfa_id)]
        return merge(self.mirror[pfa_id], *deltas)

    def put(self, user: str, pfa_id: str, draft: Modification | None) -> None:
        committed = [item for item in self.stack(user, pfa_id) if item.committed]
        self.stacks[user, pfa_id] = committed + ([draft] if draft else [])

    def of_session(self, user: str, session: str, *, committed: bool) -> list[str]:
        """The records on which the user has modifications of the session, in this state."""
        return [
            pfa_id
            for pfa_id in IDS
            for item in self.stack(user, pfa_id)
            if item.session == session and item.committed is committed
        ]


def valid(current: dict[str, Any], delta: dict[str, Any]) -> bool:
    """The rules on a merged record, written again."""
    new = {**current, **delta}
    start, end = new["forecastStart"], new["forecastEnd"]
    if {"forecastStart", "forecastEnd"} & delta.keys() and start and end and start > end:
        return False
    price = "purchasePrice" if new["source"] == "Purchase" else "monthlyRate"
    if {"source", price} & delta.keys() and new[price] is None:
        return False
    if current["isDiscontinued"] and not new["isDiscontinued"]:
        return False
    both = new["isDiscontinued"] and new["isFundsTransferable"]
    return not (both and (delta.get("isDiscontinued") or delta.get("isFundsTransferable")))


def three_records(url: str) -> World:
    return a_world(url, *map(record, IDS), users={"ann": "admin", "bob": "editor"})


class LifeCycle(RuleBasedStateMachine):
    """Every rule does a step twice: in the model and for real; refusals must be the same."""

    server: Server

    @initialize()
    def start(self) -> None:
        self.open = ExitStack()
        self.world: World = self.open.enter_context(a_copy(self.server, three_records))
        self.model = Model(self.world.mirror())

    def teardown(self) -> None:
        if hasattr(self, "open"):
            self.open.close()

    def real(self, verb: Any, user: str, *rest: Any, **more: Any) -> Any:
        """What the operation answers, or the class of its refusal."""
        try:
            return verb(self.world.db, self.world.principal(user), *rest, **more)
        except errors.PfaError as error:
            return type(error)

    @rule(
        user=st.sampled_from(USERS),
        pfa_id=st.sampled_from(IDS),
        delta=fields(4),
        session=st.sampled_from(SESSIONS),
        instead=st.booleans(),
        move=st.booleans(),
        keep_equal=st.booleans(),
    )
    def save(
        self,
        user: str,
        pfa_id: str,
        delta: dict[str, Any],
        session: str,
        instead: bool,
        move: bool,
        keep_equal: bool,
    ) -> None:
        self.saved(
            user,
            pfa_id,
            delta,
            delta,
            session=session,
            instead=instead,
            move=move,
            keep_equal=keep_equal,
        )

    @rule(
        user=st.sampled_from(USERS),
        pfa_id=st.sampled_from(IDS),
        edits=st.lists(st.sampled_from(EDITS), min_size=1, max_size=3, unique_by=lambda e: e[0]),
        session=st.sampled_from(SESSIONS),
        keep_equal=st.booleans(),
    )
    def save_relative(
        self, user: str, pfa_id: str, edits: list[Edit], session: str, keep_equal: bool
    ) -> None:
        """The model saves the values that it computes itself."""
        merged = self.model.merged(user, pfa_id)
        given = {name: relative for name, relative, _, _ in edits}
        if any(merged[source] is None for _, _, source, _ in edits):
            change = Change(pfa_id, given)
            assert self.real(pfa_core.save, user, [change], move=True) is errors.InvalidData
            return
        delta = {name: result(merged[source]) for name, _, source, result in edits}
        if any(isinstance(value, int | Decimal) and value < 0 for value in delta.values()):
            change = Change(pfa_id, given)
            assert self.real(pfa_core.save, user, [change], move=True) is errors.InvalidData
            return
        self.saved(
            user,
            pfa_id,
            given,
            delta,
            session=session,
            instead=False,
            move=True,
            keep_equal=keep_equal,
        )

    def saved(
        self,
        user: str,
        pfa_id: str,
        given: dict[str, Any],
        delta: dict[str, Any],
        *,
        session: str,
        instead: bool,
        move: bool,
        keep_equal: bool,
    ) -> None:
        """Save what is given, which comes to the delta."""
        answer = self.real(
            pfa_core.save,
            user,
            [Change(pfa_id, given)],
            session_id=session,
            replace=instead,
            move=move,
            keep_equal=keep_equal,
        )
        old, below = self.model.draft(user, pfa_id), self.model.below(user, pfa_id)
        drafted = old.delta if old else {}
        whole = {} if instead else dict(drafted)
        for name, value in delta.items():
            if keep_equal or value != below[name] or drafted.get(name, ...) == value:
                whole[name] = value
            else:
                whole.pop(name, None)
        if (old is None and not whole) or (
            old and whole == old.delta and (session == old.session or not move)
        ):
            unchanged = [] if old else [pfa_id]
            assert (answer.unchanged, answer.emptied) == (unchanged, [])
            statuses = [(item.version, item.status) for item in answer.saved]
            assert statuses == ([(old.version, "unchanged")] if old else [])
            return
        if old and old.session != session and not move:
            assert answer is errors.SessionMismatch
            return
        if not valid(below, whole):
            assert answer is errors.InvalidData
            return
        self.put_saved(user, pfa_id, whole, old, session)
        if not whole:
            assert (answer.saved, answer.emptied) == ([], [pfa_id])
            return
        new, status = self.model.stack(user, pfa_id)[-1], "updated" if old else "created"
        assert [(item.version, item.status) for item in answer.saved] == [(new.version, status)]

    def put_saved(
        self, user: str, pfa_id: str, whole: dict[str, Any], old: Modification | None, session: str
    ) -> None:
        known = old.base if old else {}
        base = {name: known.get(name, self.model.mirror[pfa_id][name]) for name in whole}
        version = old.version + 1 if old else 1
        new = Modification(session, whole, base, version) if whole else None
        self.model.put(user, pfa_id, new)

    @rule(
        user=st.sampled_from(USERS),
        pfa_id=st.sampled_from(IDS),
        names=st.sets(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3),
    )
    def unset(self, user: str, pfa_id: str, names: set[str]) -> None:
        only = Filters(id=(pfa_id,))
        answer = self.real(pfa_core.unset_fields, user, only, sorted(names))
        old = self.model.draft(user, pfa_id)
        if old is None:
            assert answer is errors.NoDrafts
            return
        rest = {name: value for name, value in old.delta.items() if name not in names}
        if rest == old.delta:
            assert answer.unchanged == [pfa_id]
        elif not rest:
            assert answer.emptied == [pfa_id]
            self.model.put(user, pfa_id, None)
        elif not valid(self.model.below(user, pfa_id), rest):
            assert answer is errors.InvalidData
        else:
            base = {name: old.base[name] for name in rest}
            new = Modification(old.session, rest, base, old.version + 1)
            self.model.put(user, pfa_id, new)
            assert [item.version for item in answer.unset] == [new.version]

    @rule(user=st.sampled_from(USERS), pfa_id=st.sampled_from(IDS), days=st.sampled_from([-15, 15]))
    def shift(self, user: str, pfa_id: str, days: int) -> None:
        """The model shifts by saving the dates that it computes itself."""
        merged = self.model.merged(user, pfa_id)
        delta = {
            name: (date.fromisoformat(merged[name]) + timedelta(days)).isoformat()
            for name in ("forecastStart", "forecastEnd")
            if merged[name]
        }
        old = self.model.draft(user, pfa_id)
        answer = self.real(pfa_core.shift, user, Filters(id=(pfa_id,)), days)
        if not delta:
            assert answer is errors.NotFound
            return
        below = self.model.below(user, pfa_id)
        whole = {**(old.delta if old else {}), **delta}
        whole = {n: value for n, value in whole.items() if n not in delta or value != below[n]}
        if not valid(below, whole):
            assert answer is errors.InvalidData
            return
        self.put_saved(user, pfa_id, whole, old, old.session if old else answer.session_id)
        if not whole:
            assert (answer.saved, answer.emptied) == ([], [pfa_id])
            return
        version = self.model.stack(user, pfa_id)[-1].version
        assert [item.version for item in answer.saved] == [version]

    @rule(user=st.sampled_from(USERS), session=st.sampled_from(SESSIONS))
    def commit(self, user: str, session: str) -> None:
        answer = self.real(pfa_core.commit, user, Selection(session_id=session))
        model = self.model
        ids = model.of_session(user, session, committed=False)
        if not ids:
            before = model.of_session(user, session, committed=True)
            if before:
                assert (answer.committed, answer.already_committed) == ([], len(before))
            else:
                assert answer is errors.NoDrafts
            return
        left: dict[str, dict[str, Any]] = {}
        conflict = broken = False
        for pfa_id in ids:
            draft, mirror = model.stack(user, pfa_id)[-1], model.mirror[pfa_id]
            changed = [name for name in draft.delta if mirror[name] != draft.base[name]]
            conflict |= any(mirror[name] != draft.delta[name] for name in changed)
            only_modification = len(model.stack(user, pfa_id)) == 1
            left[pfa_id] = {
                name: value
                for name, value in draft.delta.items()
                if not (only_modification and name in changed and mirror[name] == value)
            }
            broken |= not valid(model.below(user, pfa_id), left[pfa_id])
        if conflict:
            assert answer is errors.BaselineConflict
            return
        if broken:
            assert answer is errors.InvalidData
            return
        for pfa_id in ids:
            draft = model.stack(user, pfa_id)[-1]
            stays = replace(draft, delta=left[pfa_id], version=draft.version + 1, committed=True)
            model.put(user, pfa_id, stays if left[pfa_id] else None)
        assert [item.pfa_id for item in answer.committed] == [i for i in ids if left[i]]
        assert answer.settled == [i for i in ids if not left[i]]

    @rule(user=st.sampled_from(USERS), session=st.sampled_from(SESSIONS))
    def uncommit(self, user: str, session: str) -> None:
        answer = self.real(pfa_core.uncommit, user, Selection(session_id=session))
        ids = self.model.of_session(user, session, committed=True)
        if not ids:
            assert answer is errors.NoDrafts
            return
        stacks = {pfa_id: self.model.stack(user, pfa_id) for pfa_id in ids}
        newest = all(s[-1].session == session and s[-1].committed for s in stacks.values())
        if not newest:
            assert answer is errors.IllegalTransition
            return
        for stack in stacks.values():
            stack[-1] = replace(stack[-1], committed=False, version=stack[-1].version + 1)
        assert [item.pfa_id for item in answer.uncommitted] == list(dict.fromkeys(ids))

    @rule(user=st.sampled_from(USERS), session=st.sampled_from(SESSIONS))
    def discard(self, user: str, session: str) -> None:
        answer = self.real(pfa_core.discard, user, Selection(session_id=session))
        ids = self.model.of_session(user, session, committed=False)
        if ids:
            for pfa_id in ids:
                self.model.put(user, pfa_id, None)
            self.model.discarded.add((user, session))
            assert (answer.discarded, answer.already_discarded) == (ids, False)
        elif self.model.of_session(user, session, committed=True):
            assert answer is errors.IllegalTransition
        elif (user, session) in self.model.discarded:
            assert (answer.discarded, answer.already_discarded) == ([], True)
        else:
            assert answer is errors.NoDrafts

    @rule(changes=st.dictionaries(st.sampled_from(IDS), fields(3), min_size=1))
    def pull(self, changes: dict[str, dict[str, Any]]) -> None:
        rows = [{**self.model.mirror[pfa_id], **change} for pfa_id, change in changes.items()]
        result = self.world.pull(rows, allow_emptied=["all"])
        updated = sum(row != self.model.mirror[row["pfaId"]] for row in rows)
        assert (result.updated, result.unchanged) == (updated, len(rows) - updated)
        self.model.mirror.update((row["pfaId"], row) for row in rows)

    @invariant()
    def every_user_sees_the_model(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.world.mirror() == self.model.mirror
        for user in USERS:
            self.check_list(user)
            self.check_kpis(user)

    def check_list(self, user: str) -> None:
        query = Query(sort=pfa_core.parse_sort("pfaId"))
        page = pfa_core.list_records(self.world.db, self.world.principal(user), query)
        assert page.total_records == len(IDS)
        seen = [
            (row.pfa_id, row.sync_state, row.session_id, row.version, row.data)
            for row in page.records
        ]
        expected: list[Any] = []
        for pfa_id in IDS:
            stack = self.model.stack(user, pfa_id)
            merged = self.model.merged(user, pfa_id)
            if stack:
                state = "committed" if stack[-1].committed else "draft"
                top = stack[-1]
                expected.append((pfa_id, state, top.session, top.version, merged))
            else:
                expected.append((pfa_id, "pristine", None, 0, merged))
        assert seen == expected

    def check_kpis(self, user: str) -> None:
        merged = {pfa_id: self.model.merged(user, pfa_id) for pfa_id in IDS}
        drafts = sum(self.model.draft(user, pfa_id) is not None for pfa_id in IDS)
        found = pfa_core.compute_stats(self.world.db, self.world.principal(user), Filters())
        pairs = [(self.model.mirror[pfa_id], merged[pfa_id]) for pfa_id in IDS]
        assert found.figures == brute_force.figures(pairs, drafts)
        assert found.category_breakdown == dict(
            sorted(brute_force.by_category(merged.values()).items())
        )


@drawn("sequences", short=2, long=8, night=150)
def test_any_sequence_of_steps_gives_what_the_model_gives(postgres: Server, sequences: int) -> None:
    class Here(LifeCycle):
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
