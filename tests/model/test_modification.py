"""The life cycle as data: every (state, verb) pair, and the database's own list of states."""

from __future__ import annotations

import re
from itertools import product

import pytest

from pfa_core import sql
from pfa_core.model.life_cycle import TRANSITIONS, Verb
from pfa_core.model.modification import OVERLAYING, State

# design.md, "The life cycle": verb, where it starts, where it leads.
DRAWN = {
    # Beyond the drawing: what is set back to the value below the draft leaves it.
    "save": ({"pristine", "draft"}, {"draft", "pristine"}),
    "discard": ({"draft"}, {"pristine"}),
    "commit": ({"draft"}, {"committed"}),
    # Beyond the drawing: what PEMS refused for good would be in its user's way for ever.
    "uncommit": ({"committed", "sync_error"}, {"draft"}),
    "claim": ({"committed", "sync_error"}, {"syncing"}),
    "acknowledge": ({"syncing"}, {"synced"}),
    "reject": ({"syncing"}, {"sync_error"}),
    "dispute": ({"syncing", "committed"}, {"conflict"}),
    "resolve": ({"conflict"}, {"committed", "pristine"}),
    "recover": ({"syncing"}, {"committed"}),
}


def test_a_verb_starts_from_the_states_that_are_drawn_and_from_no_other():
    pairs = list(product(State, Verb))
    assert len(pairs) == 70
    assert [
        (state, verb)
        for state, verb in pairs
        if (state in TRANSITIONS[verb].sources) != (state in DRAWN[verb][0])
    ] == []


@pytest.mark.parametrize("verb", Verb)
def test_a_verb_leads_where_it_is_drawn_to_lead(verb):
    assert set(TRANSITIONS[verb].targets) == DRAWN[verb][1]
    assert TRANSITIONS[verb].verb is verb
    assert TRANSITIONS[verb].by in ("user", "pusher")
    assert TRANSITIONS[verb].guard


def test_every_state_can_be_reached_and_only_the_last_one_is_never_left():
    reached = {target for step in TRANSITIONS.values() for target in step.targets}
    left = {source for step in TRANSITIONS.values() for source in step.sources}
    assert reached == set(State)
    assert set(State) - left == {State.SYNCED}


def test_the_database_allows_exactly_the_states_that_are_stored():
    schema = "".join(text for _, _, text in sql.migrations())
    table = schema.partition("CREATE TABLE pfa_modification (")[2].partition(";")[0]
    listed = re.search(r"CHECK \(state IN \(([^)]*)\)\)", table)
    assert listed
    assert set(re.findall(r"'(\w+)'", listed[1])) == set(State) - {State.PRISTINE}


def test_what_overlays_is_everything_stored_but_what_pems_has():
    assert set(OVERLAYING) == set(State) - {State.PRISTINE, State.SYNCED}
