"""What a user's drafts may be after acts: accepted and refused side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trials import expectations
from tests.trials.known import Draft, Drafts, Tried, User, Violation
from tests.trials.steps import Act, Kind

IDS = ("P-1", "P-2", "P-3")
DATES = {pfa_id: {"forecastStart": "2026-01-01", "forecastEnd": "2026-02-01"} for pfa_id in IDS}
ids = st.sampled_from(IDS)
sessions = st.sampled_from(("s", "t"))
deltas = st.dictionaries(st.sampled_from(("model", "category")), st.integers(1, 99), min_size=1)
acts = st.one_of(
    st.builds(lambda i, d, s: Act(kind=Kind.SAVE, values={i: d}, session=s), ids, deltas, sessions),
    st.builds(
        lambda i, n, s: Act(kind=Kind.SHIFT, ids=(i,), number=n, session=s),
        ids,
        st.integers(1, 9),
        sessions,
    ),
    st.builds(lambda i: Act(kind=Kind.UNSET, ids=(i,), words=("model",)), ids),
    st.builds(lambda s: Act(kind=Kind.DISCARD, session=s), sessions),
    st.builds(lambda s: Act(kind=Kind.COMMIT, session=s), sessions),
)
ANN = Draft("s", {"model": "A"}, "m-1")
SAVE = Act(kind=Kind.SAVE, values={"P-1": {"category": "C"}}, session="s")


def done(user: User, act: Act, code: int | None, found: Drafts) -> User:
    return expectations.after(user, [Tried(act, code)], found, DATES)


def happened(user: User, act: Act) -> Drafts:
    """What an act leaves, by the rules themselves: the only drafts that a success accepts."""
    outcome = expectations._done(user, act, user.drafts, DATES)
    return outcome.drafts if outcome else user.drafts


@pytest.mark.parametrize(
    ("code", "stored", "not_stored"),
    [(0, True, False), (7, False, True), (69, False, True), (None, True, True), (76, True, True)],
)
def test_a_save_is_there_when_it_was_acknowledged_and_gone_when_it_was_refused(
    code: int | None, stored: bool, not_stored: bool
) -> None:
    user = User(drafts={"P-1": ANN})
    after = {"P-1": replace(ANN, delta={"model": "A", "category": "C"})}
    for found, allowed in ((after, stored), (user.drafts, not_stored)):
        if allowed:
            assert done(user, SAVE, code, found).drafts == found
        else:
            with pytest.raises(Violation, match="after save"):
                done(user, SAVE, code, found)


@pytest.mark.parametrize(
    "found",
    [
        {"P-1": replace(ANN, delta={"category": "C"})},
        {"P-1": replace(ANN, delta={"model": "A", "category": "D"})},
        {"P-1": Draft("t", {"model": "A", "category": "C"}, "m-1")},
        {"P-1": Draft("s", {"model": "A", "category": "C"}, "m-2")},
        {},
    ],
    ids=["a field lost", "another value", "another session", "another draft", "no draft"],
)
def test_nothing_between_before_and_after_is_accepted(found: Drafts) -> None:
    with pytest.raises(Violation):
        done(User(drafts={"P-1": ANN}), SAVE, None, found)


def test_an_exit_code_that_no_act_has_is_a_violation() -> None:
    with pytest.raises(Violation, match="save ended with 1"):
        done(User(), SAVE, 1, {})


@pytest.mark.slow
@given(st.lists(acts, max_size=8))
def test_undos_lead_back_to_the_beginning_and_redos_to_the_end(some: list[Act]) -> None:
    user = User()
    for act in some:
        user = done(user, act, 0, happened(user, act))
    end, count = user.drafts, len(user.operations)
    for _ in range(count):
        user = done(user, Act(kind=Kind.UNDO), 0, happened(user, Act(kind=Kind.UNDO)))
    assert user.drafts == {}
    with pytest.raises(Violation, match="nothing is left"):
        done(user, Act(kind=Kind.UNDO), 0, {})
    for _ in range(count):
        user = done(user, Act(kind=Kind.REDO), 0, happened(user, Act(kind=Kind.REDO)))
    assert user.drafts == end


@given(st.lists(acts, min_size=1, max_size=6), st.integers(0, 5))
def test_a_turn_that_is_cut_short_has_happened_up_to_some_act(some: list[Act], cut: int) -> None:
    user, states = User(), [User()]
    for act in some:
        user = done(user, act, 0, happened(user, act))
        states.append(user)
    cut = min(cut, len(some) - 1)
    tried = [Tried(act, 0) for act in some[:cut]] + [Tried(some[cut], None)]
    allowed = [states[cut].drafts, states[cut + 1].drafts]
    for state in states:
        if state.drafts in allowed:
            assert expectations.after(User(), tried, state.drafts, DATES).drafts == state.drafts
        else:
            with pytest.raises(Violation):
                expectations.after(User(), tried, state.drafts, DATES)


def test_a_shift_counts_from_the_draft_or_from_what_is_below_it() -> None:
    act = Act(kind=Kind.SHIFT, ids=("P-1",), number=3, session="s")
    once: Mapping[str, Any] = {"forecastStart": "2026-01-04", "forecastEnd": "2026-02-04"}
    twice = {"forecastStart": "2026-01-07", "forecastEnd": "2026-02-07"}
    user = done(User(), act, 0, {"P-1": Draft("s", once, "m-1")})
    assert done(user, act, 0, {"P-1": Draft("s", twice, "m-1")}).drafts["P-1"].delta == twice
    with pytest.raises(Violation):
        done(User(), act, 0, {"P-1": Draft("s", twice, "m-1")})


@pytest.mark.parametrize(
    ("act", "found", "accepted"),
    [
        (Act(kind=Kind.UNCOMMIT, session="s"), {"P-1": ANN}, True),
        (Act(kind=Kind.UNCOMMIT, session="s"), {}, True),
        (Act(kind=Kind.UNCOMMIT, session="t"), {"P-1": ANN}, False),
        (Act(kind=Kind.UNCOMMIT, session="s"), {"P-1": replace(ANN, delta={"model": "B"})}, False),
        (Act(kind=Kind.RESTORE, ids=("P-2",)), {"P-2": ANN}, True),
        (Act(kind=Kind.RESTORE, ids=("P-1",)), {"P-1": ANN}, False),
    ],
)
def test_only_what_was_committed_or_discarded_comes_back(
    act: Act, found: Drafts, accepted: bool
) -> None:
    user = User(committed={"m-1": ("P-1", ANN)}, discarded={"P-2": (ANN,)})
    if accepted:
        assert done(user, act, 0, found).drafts == found
    else:
        with pytest.raises(Violation):
            done(user, act, 0, found)


def test_drafts_that_change_between_two_turns_are_a_violation() -> None:
    user = User(drafts={"P-1": ANN})
    expectations.require_unchanged(user, {"P-1": ANN})
    with pytest.raises(Violation, match="since the last turn"):
        expectations.require_unchanged(user, {})
