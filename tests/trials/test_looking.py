"""What a user may be shown: accepted and refused side by side."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.trials import looking
from tests.trials.known import Draft, User, Violation
from tests.trials.place import IDS, USERS
from tests.trials.planning import Planner
from tests.trials.steps import Kind
from tests.trials.terms import Terms

LINES: list[dict[str, Any]] = [
    {"pfaId": pfa_id, "model": "LTM", "monthlyRate": 1000} for pfa_id in IDS
]


@pytest.mark.parametrize("user", USERS)
def test_a_value_tells_which_user_it_is_of(user: str) -> None:
    planner = Planner(Random(1), Terms())
    for _ in range(50):
        for delta in planner._act(user, Kind.SAVE).values.values():
            assert {looking.author(value) for value in delta.values()} == {user}


@pytest.mark.parametrize("value", ["pems 4", "Silo 4", None, True, 1000, 2013, Decimal("33.5")])
def test_a_value_of_pems_or_of_the_beginning_is_of_no_user(value: Any) -> None:
    assert looking.author(value) == ""


def test_the_values_of_other_users_in_a_list_are_those_that_pems_has_to_have() -> None:
    lines = [{"pfaId": "P-1", "model": "ann 3", "category": "bob 4", "monthlyRate": 3_000_005}]
    assert looking.foreign_values("ann", lines) == {
        ("ann", "P-1", "category", "bob 4"),
        ("ann", "P-1", "monthlyRate", "3000005"),
    }


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        ({"model": "LTM"}, ""),
        ({"monthlyRate": Decimal(1000)}, ""),
        ({"model": "ann 1"}, "was saved as ann 1"),
    ],
)
def test_a_list_has_to_show_the_user_s_drafts(delta: dict[str, Any], said: str) -> None:
    user = User(drafts={"P-3": Draft("s", delta)})
    if said:
        with pytest.raises(Violation, match=said):
            looking.require_own_view(user, LINES)
    else:
        looking.require_own_view(user, LINES)
    with pytest.raises(Violation, match="11 records of 12"):
        looking.require_own_view(user, LINES[1:])


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        (13, 0, ""),
        (13, 74, ""),
        (None, 74, ""),
        (None, 0, "not there"),
        (8, 74, "7 of 12"),
        (0, None, "of 12"),
    ],
)
def test_an_export_is_whole_or_not_there(
    tmp_path: Path, lines: int | None, code: int | None, said: str
) -> None:
    path = tmp_path / "export.csv"
    if lines is not None:
        path.write_text("x\n" * lines)
    if said:
        with pytest.raises(Violation, match=said):
            looking.require_whole_export(path, code)
    else:
        looking.require_whole_export(path, code)
    assert not path.exists()
