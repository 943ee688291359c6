"""The life cycle, a pull and a push under row-level security: by a role with policies, with
principals that carry tokens. The tests are those of the modules that they come from; with PFA_TEST_BOUND=1
in the environment every test of worlds runs so.
"""

# ruff: noqa: F401 - the imports are the tests and their fixtures

from __future__ import annotations

import pytest

from tests.life_cycle.test_machine import test_any_sequence_of_steps_gives_what_the_model_gives
from tests.sync.pull.test_files import TestDrafts, TestWhatArrives, file, world
from tests.sync.push.test_push import (
    far,
    test_a_change_reaches_pems_and_leaves_no_trace_in_the_overlay,
    test_a_claim_of_a_run_that_is_no_more_is_taken_over,
    test_a_dead_letter_is_tried_again_when_asked_for,
    test_a_draft_above_a_change_is_not_in_conflict_with_it_after_the_push,
    test_a_field_that_pems_changed_too_is_a_conflict_with_base_mine_and_theirs,
    test_a_plan_tells_what_would_be_sent_without_a_word_to_pems,
    test_a_second_push_may_skip_or_wait,
    test_another_user_s_draft_on_the_same_field_is_overtaken_by_a_push,
    test_changes_of_all_users_go_the_oldest_first,
    test_the_history_tells_what_happened_to_every_attempt,
    test_the_rollup_follows_what_was_folded_in,
    world_beside_pems,
)


@pytest.fixture(autouse=True)
def under_rls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
