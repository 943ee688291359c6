"""The history of one record, where its values come from, and the log of PEMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import pfa_core
from pfa_core import errors
from pfa_core.model.changes import ChangeWindow
from pfa_core.model.record_history import FieldBlame, HistoryEntry
from tests.factories import commit, draft, record
from tests.forms import long
from tests.pems_server import FarSide, a_far_side

ALWAYS = ChangeWindow()


@pytest.fixture
def far(database_url: str) -> Iterator[FarSide]:
    with a_moved_record(database_url) as far:
        yield far


@contextmanager
def a_moved_record(database_url: str) -> Iterator[FarSide]:
    """P-1 and P-2; PEMS renames P-1's model, ann's raised rate is pushed, PEMS moves the end, ann drafts the
    area."""
    users = {"ann": "admin", "bob": "editor"}
    with a_far_side(database_url, record("P-1"), record("P-2"), users=users) as far:
        far.pull()
        far.pems.change("P-1", model="LTM 9999")
        far.pull()
        draft(far.db, far.ann, monthlyRate=2000, reason="Supplier", session="rates")
        commit(far.db, far.ann, session="rates")
        assert far.push().synced == 1
        far.pems.change("P-1", forecastEnd="2026-01-30")
        far.pull()
        draft(far.db, far.ann, areaSilo="Silo 9", session="moves")
        far.world.add_user("vera", "viewer", rights=["read"])
        yield far


def runs(far: FarSide, direction: str) -> list[str]:
    rows = far.world.rows(
        "SELECT run_id::text FROM pfa_sync_log WHERE direction = %s ORDER BY started_at", direction
    )
    return [row[0] for row in rows]


def described(entries: list[HistoryEntry]) -> list[tuple[Any, ...]]:
    return [
        (
            str(item.origin),
            item.event,
            item.user_id,
            item.session_id,
            {one.field: (one.before, one.after) for one in item.changes},
            item.cost_effect,
            item.reason,
        )
        for item in entries
    ]


MOVED = ("pems", "changed", "ann", None, {"forecastEnd": ("2025-12-31", "2026-01-30")},
         Decimal("1971.09"), None)  # fmt: skip
PUSHED = ("push", "changed", "ann", "rates", {"monthlyRate": (1000, 2000)}, Decimal("985.55"),
          "Supplier")  # fmt: skip
COMMITTED = ("user", "commit", "ann", "rates", {"monthlyRate": (1000, 2000)}, None, "Supplier")
RENAMED = (
    "pems",
    "changed",
    "ann",
    None,
    {"model": ("LTM 1030", "LTM 9999")},
    Decimal("0.00"),
    None,
)
BORN = ("pems", "new", "ann", None, {}, Decimal("985.55"), None)


def test_a_record_s_history_is_that_of_pems_and_of_committed_changes_in_one(far):
    found = pfa_core.record_history(far.db, far.ann, "P-1")
    assert described(found.entries) == [MOVED, PUSHED, COMMITTED, RENAMED, BORN]
    at = [item.at for item in found.entries]
    assert at == sorted(at, reverse=True)
    assert [item.run_id for item in found.entries[:2]] == [
        runs(far, "pull")[-1],
        *runs(far, "push"),
    ]
    few = pfa_core.record_history(far.db, far.ann, "P-1", limit=2)
    assert described(few.entries) == [MOVED, PUSHED]
    assert described(pfa_core.record_history(far.db, far.ann, "P-2").entries) == [BORN]


def test_under_row_level_security_an_author_is_named_too(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    with a_moved_record(database_url) as far:
        found = pfa_core.record_history(far.db, far.ann, "P-1")
        assert described(found.entries) == [MOVED, PUSHED, COMMITTED, RENAMED, BORN]
        assert blamed(far)["monthlyRate"].session_id == "rates"
        unknown = (*PUSHED[:3], None, *PUSHED[4:6], None)
        of_bob = pfa_core.record_history(far.db, far.world.principal("bob"), "P-1")
        assert described(of_bob.entries) == [MOVED, unknown, RENAMED, BORN]


def test_the_commits_of_others_are_not_shown_to_who_does_not_manage_users(far):
    found = pfa_core.record_history(far.db, far.world.principal("bob"), "P-1")
    unknown = (*PUSHED[:3], None, *PUSHED[4:6], None)
    assert described(found.entries) == [MOVED, unknown, RENAMED, BORN]


def test_who_may_not_see_money_sees_none_in_a_history(far):
    found = pfa_core.record_history(far.db, far.world.principal("vera"), "P-1")
    assert found.masked
    assert [item.cost_effect for item in found.entries] == [None] * 4
    assert described(found.entries)[1][4] == {"monthlyRate": (None, None)}
    assert described(found.entries)[0][4] == MOVED[4]


def blamed(far: FarSide, user: str = "ann") -> dict[str, FieldBlame]:
    found = pfa_core.blame(far.db, far.world.principal(user), "P-1")
    return {item.field: item for item in found.fields}


def test_blame_says_of_each_field_who_and_which_run_or_change_set(far):
    found, (first, renaming, moving), [push] = blamed(far), _pulls(far), runs(far, "push")
    assert _of(found["areaSilo"]) == ("Silo 9", "Silo 4", "mine", "ann", None, "moves", None)
    assert _of(found["monthlyRate"]) == (2000, 1000, "push", "ann", push, "rates", "Supplier")
    assert _of(found["forecastEnd"]) == (
        "2026-01-30",
        "2025-12-31",
        "pems",
        None,
        moving,
        None,
        None,
    )
    assert _of(found["model"]) == ("LTM 9999", "LTM 1030", "pems", None, renaming, None, None)
    assert _of(found["category"]) == ("Crane", None, "pems", None, first, None, None)
    names = list(found)
    assert names.index("category") < names.index("monthlyRate") < names.index("forecastEnd")
    assert all(item.at for item in found.values())


def test_blame_shows_others_the_run_s_user_and_neither_their_drafts_nor_money(far):
    found = blamed(far, "bob")
    assert _of(found["areaSilo"])[:4] == ("Silo 4", None, "pems", None)
    assert _of(found["monthlyRate"]) == (2000, 1000, "push", "ann", *runs(far, "push"), None, None)
    masked = blamed(far, "vera")["monthlyRate"]
    assert (masked.value, masked.before, masked.origin) == (None, None, "push")


def overtaken(far: FarSide, pems: float = 7, **mine: Any) -> None:
    """Another user of PEMS sets P-1's rate, then ann pushes a change."""
    pfa_core.discard(far.db, far.ann, pfa_core.Selection(session_id="moves"))
    draft(far.db, far.ann, session="later", reason="Mine", **mine)
    commit(far.db, far.ann, session="later")
    far.pems.change("P-1", monthlyRate=pems)
    far.push()


def first_entries(far: FarSide, number: int, user: str = "ann") -> list[tuple[Any, ...]]:
    found = pfa_core.record_history(far.db, far.world.principal(user), "P-1")
    return described(found.entries)[:number]


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_what_another_user_changed_in_pems_is_not_by_who_pushed(far: FarSide, user: str) -> None:
    overtaken(far, monthlyRate=3000)
    push = runs(far, "push")[-1]
    conflict = pfa_core.ConflictSelection(("P-1",))
    pfa_core.resolve_conflicts(far.db, far.ann, conflict, pfa_core.Decision(take="pems"))
    assert _of(blamed(far, user)["monthlyRate"]) == (7, 2000, "pems", None, push, None, None)
    newest = next(one for one in first_entries(far, 3, user) if one[1] == "changed")
    assert newest[0] == "pems"
    assert newest[3:5] == (None, {"monthlyRate": (2000, 7)})


def _in_one_version(far: FarSide) -> None:
    overtaken(far, model="Mine")
    push = runs(far, "push")[-1]
    found = blamed(far)
    assert _of(found["monthlyRate"]) == (7, 2000, "pems", None, push, None, None)
    assert _of(found["model"]) == ("Mine", "LTM 9999", "push", "ann", push, "later", "Mine")
    mine, pems = first_entries(far, 2)
    assert mine == ("push", "changed", "ann", "later", {"model": ("LTM 9999", "Mine")},
                    Decimal("0.00"), "Mine")  # fmt: skip
    assert pems[:5] == ("pems", "changed", "ann", None, {"monthlyRate": (2000, 7)})
    (change, *_) = pfa_core.list_pems_log(far.db, far.ann, ALWAYS, pfa_id="P-1")
    assert pems[5] == change.cost_effect
    # Which of the fields another user sent, bob may not know.
    (both,) = first_entries(far, 1, "bob")
    assert both[:4] == ("push", "changed", "ann", None)
    assert {"model", "monthlyRate"} == both[4].keys()
    assert blamed(far, "bob")["monthlyRate"].origin == "push"


def test_a_version_of_two_authors_is_an_entry_of_each(far: FarSide) -> None:
    _in_one_version(far)


@pytest.mark.long
def test_under_row_level_security_a_version_is_divided_too(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    with a_moved_record(database_url) as far:
        _in_one_version(far)


def test_a_value_that_was_decided_in_a_conflict_is_by_the_change(far: FarSide) -> None:
    overtaken(far, monthlyRate=3000)
    decision = pfa_core.Decision(values={"monthlyRate": 2500})
    pfa_core.resolve_conflicts(far.db, far.ann, pfa_core.ConflictSelection(("P-1",)), decision)
    assert far.push().synced == 1
    push = runs(far, "push")[-1]
    assert _of(blamed(far)["monthlyRate"]) == (2500, 7, "push", "ann", push, "later", "Mine")


def test_a_value_that_pems_rounded_is_by_the_change(far: FarSide) -> None:
    far.pems.faults = ["rounds"]
    pfa_core.discard(far.db, far.ann, pfa_core.Selection(session_id="moves"))
    draft(far.db, far.ann, session="later", reason="Mine", monthlyRate=3000.505)
    commit(far.db, far.ann, session="later")
    assert far.push().synced == 1
    rate = blamed(far)["monthlyRate"]
    assert rate.value != 3000.505
    assert _of(rate)[1:] == (2000, "push", "ann", runs(far, "push")[-1], "later", "Mine")


def _pulls(far: FarSide) -> list[str]:
    """The pulls that brought a version of P-1: the file's, then those from PEMS that changed it."""
    rows = far.world.rows(
        "SELECT written_by_run::text FROM pfa_mirror_history WHERE pfa_id = 'P-1' ORDER BY version"
    )
    last = far.world.rows("SELECT run_id::text FROM pfa_mirror WHERE pfa_id = 'P-1'")
    found = [row[0] for row in [*rows, *last]]
    return [run for run in found if run not in runs(far, "push")]


def _of(item: FieldBlame) -> tuple[Any, ...]:
    return (
        item.value,
        item.before,
        str(item.origin),
        item.user_id,
        item.run_id,
        item.session_id,
        item.reason,
    )


def test_values_from_before_anything_was_kept_have_no_time(far):
    far.world.execute(
        "UPDATE pfa_mirror_history SET written_at = NULL, written_by_run = NULL WHERE version = 1"
    )
    found = blamed(far)
    assert (found["category"].at, found["category"].run_id) == (None, None)
    assert found["model"].at is not None
    window = ChangeWindow(since=datetime(2020, 1, 1, tzinfo=UTC))
    [change] = [
        item
        for item in pfa_core.list_changes(far.db, far.ann, window).changes
        if item.pfa_id == "P-1"
    ]
    assert change.change == "changed"


def test_the_log_of_pems_has_a_record_as_often_as_it_changed(far):
    found = pfa_core.list_pems_log(far.db, far.ann, ALWAYS)
    events = [
        (item.pfa_id, str(item.change), [one.field for one in item.changes]) for item in found
    ]
    assert events == [
        ("P-1", "changed", ["forecastEnd"]),
        ("P-1", "changed", ["monthlyRate"]),
        ("P-1", "changed", ["model"]),
        ("P-1", "new", []),
        ("P-2", "new", []),
    ]
    assert [str(item.direction) for item in found] == ["pull", "push", "pull", "pull", "pull"]
    assert list(pfa_core.stream_pems_log(far.db, far.ann, ALWAYS)) == found
    [push] = runs(far, "push")
    assert pfa_core.list_pems_log(far.db, far.ann, ChangeWindow(run_id=push)) == found[1:2]
    assert pfa_core.list_pems_log(far.db, far.ann, ALWAYS, pfa_id="P-2") == found[-1:]
    assert pfa_core.list_pems_log(far.db, far.ann, ALWAYS, limit=2) == found[:2]
    since = ChangeWindow(since=found[1].changed_at, until=found[0].changed_at)
    assert pfa_core.list_pems_log(far.db, far.ann, since) == found[1:2]


def test_a_missing_record_is_in_the_log_history_and_its_run(far):
    far.pems.remove("P-2")
    far.pull()
    [gone, *_] = pfa_core.list_pems_log(far.db, far.ann, ALWAYS)
    assert (gone.pfa_id, str(gone.change), gone.run_id) == ("P-2", "missing", runs(far, "pull")[-1])
    history = pfa_core.record_history(far.db, far.ann, "P-2").entries
    assert [item.event for item in history] == ["missing", "new"]
    assert pfa_core.show_run(far.db, far.ann, runs(far, "pull")[-1]).changes == [gone]
    since = ChangeWindow(since_run=runs(far, "pull")[-1])
    assert pfa_core.list_changes(far.db, far.ann, since).changes == [gone]
    assert {item.run_id for item in pfa_core.blame(far.db, far.ann, "P-2").fields} == {
        history[1].run_id
    }


def test_a_run_names_the_records_it_changed(far):
    detail = pfa_core.show_run(far.db, far.ann, runs(far, "push")[0])
    assert [(item.pfa_id, [one.field for one in item.changes]) for item in detail.changes] == [
        ("P-1", ["monthlyRate"])
    ]
    assert not detail.more_changes
    first = pfa_core.show_run(far.db, far.ann, runs(far, "pull")[0], limit=1)
    assert ([item.pfa_id for item in first.changes], first.more_changes) == (["P-1"], True)


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "read",
    [
        lambda far: pfa_core.record_history(far.db, far.ann, "P-01"),
        lambda far: pfa_core.blame(far.db, far.ann, "P-01"),
        lambda far: pfa_core.list_pems_log(far.db, far.ann, ALWAYS, pfa_id="P-01"),
    ],
    ids=["record_history", "blame", "list_pems_log"],
)
def test_an_unknown_record_is_not_found(far, read):
    with pytest.raises(errors.NotFound, match="record 'P-01' not found in ORG; did you mean P-1"):
        read(far)


@pytest.mark.parametrize("limit", [0, *long([100_001])])
def test_a_limit_is_a_number_of_rows(far, limit):
    with pytest.raises(errors.InvalidRequest, match="limit"):
        pfa_core.record_history(far.db, far.ann, "P-1", limit=limit)
    with pytest.raises(errors.InvalidRequest, match="limit"):
        pfa_core.list_pems_log(far.db, far.ann, ALWAYS, limit=limit)
    assert (
        pfa_core.list_pems_log(
            far.db, far.ann, ChangeWindow(since=datetime.now(UTC) + timedelta(days=1)), limit=1
        )
        == []
    )
