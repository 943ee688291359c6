"""An expression over money is answered to those alone who may see money, by every operation that takes one."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from typing import Any

import pytest

import pfa_core
from pfa_core import (
    ChangeWindow,
    ConflictSelection,
    Decision,
    Filters,
    Layout,
    LineForm,
    Principal,
    Query,
    Right,
    Selection,
    errors,
)
from tests.factories import World, a_world, draft, record
from tests.worlds import built_once

Call = Callable[[World, Principal, Filters], Any]
TAKING: dict[str, Call] = {
    "list_records": lambda w, p, f: pfa_core.list_records(w.db, p, Query(f)),
    "stream_records": lambda w, p, f: list(pfa_core.stream_records(w.db, p, Query(f))),
    "export_jsonl": lambda w, p, f: pfa_core.export_jsonl(w.db, p, Query(f), bytes),
    "write_sheet": lambda w, p, f: pfa_core.write_sheet(
        w.db, p, Query(f), io.BytesIO(), file_format="csv"
    ),
    "count_records": lambda w, p, f: pfa_core.count_records(w.db, p, Query(f)),
    "suggest_value": lambda w, p, f: pfa_core.suggest_value(w.db, p, f),
    "nearest_value": lambda w, p, f: pfa_core.nearest_value(w.db, p, f),
    "compute_stats": lambda w, p, f: pfa_core.compute_stats(w.db, p, f),
    "report": lambda w, p, f: pfa_core.report(w.db, p, f),
    "diff": lambda w, p, f: pfa_core.diff(w.db, p, f),
    "stream_diff": lambda w, p, f: list(pfa_core.stream_diff(w.db, p, f)),
    "plan_commit": lambda w, p, f: pfa_core.plan_commit(w.db, p, Selection(where=f.where)),
    "list_changes": lambda w, p, f: pfa_core.list_changes(w.db, p, ChangeWindow(), f),
    "stream_changes": lambda w, p, f: list(pfa_core.stream_changes(w.db, p, ChangeWindow(), f)),
    "review": lambda w, p, f: pfa_core.review(w.db, p, f),
    "stream_review": lambda w, p, f: list(pfa_core.stream_review(w.db, p, f)),
    "compare_sessions": lambda w, p, f: list(pfa_core.compare_sessions(w.db, p, ("s", "c"), f)),
    "list_drafts": lambda w, p, f: pfa_core.list_drafts(w.db, p, f),
    "stream_drafts": lambda w, p, f: list(pfa_core.stream_drafts(w.db, p, f, sort="sessionId")),
    "stream_draft_lines": lambda w, p, f: list(
        pfa_core.stream_draft_lines(w.db, p, f, Layout(LineForm.JSON))
    ),
    "stream_diff_lines": lambda w, p, f: list(
        pfa_core.stream_diff_lines(w.db, p, f, Layout(LineForm.JSON))
    ),
    "set_fields": lambda w, p, f: pfa_core.set_fields(w.db, p, f, {"model": "Z"}, session_id="s"),
    "unset_fields": lambda w, p, f: pfa_core.unset_fields(w.db, p, f, ["model"]),
    "shift": lambda w, p, f: pfa_core.shift(w.db, p, f, 7, session_id="s"),
    "list_conflicts": lambda w, p, f: pfa_core.list_conflicts(w.db, p, f),
    "discard": lambda w, p, f: pfa_core.discard(w.db, p, Selection(where=f.where)),
    "commit": lambda w, p, f: pfa_core.commit(w.db, p, Selection(filters=f)),
    "uncommit": lambda w, p, f: pfa_core.uncommit(w.db, p, Selection(filters=f)),
    "resolve_conflicts": lambda w, p, f: pfa_core.resolve_conflicts(
        w.db, p, ConflictSelection(filters=f), Decision("mine")
    ),
}
SEEN = "pems.model = A and forecastStart < today+10y"


@built_once
def world(url: str) -> World:
    """One record with a draft by vic, who may do everything but see money."""
    world = a_world(url, record("P-1", model="A", monthlyRate=739146), users={"ann": "admin"})
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    vic = world.add_user("vic", "editor", rights=rights)
    draft(world.db, vic, "P-1", model="B")
    return world


def vic(world: World) -> Principal:
    rights = [right for right in Right if right is not Right.VIEW_FINANCIALS]
    return world.add_user("vic", "editor", rights=rights)


def test_every_operation_that_takes_filters_is_asked_here() -> None:
    takes = ("Filters", "Query", "Selection")
    found = {
        name
        for name in pfa_core.__all__
        if inspect.isfunction(function := getattr(pfa_core, name))
        and any(
            word in str(one.annotation)
            for one in inspect.signature(function).parameters.values()
            for word in takes
        )
    }
    assert found == TAKING.keys()


@pytest.mark.variants(8)
@pytest.mark.parametrize("name", TAKING)
def test_an_expression_over_money_takes_the_right_to_see_it(world: World, name: str) -> None:
    who = vic(world)
    for where in ("monthlyRate > 700000", "model = A or not pems.purchasePrice is null"):
        with pytest.raises(errors.PermissionDenied) as refused:
            TAKING[name](world, who, Filters(where=where))
        (fault,) = refused.value.details
        assert fault.field in ("monthlyRate", "purchasePrice")
        assert "739146" not in str(refused.value)
    try:
        TAKING[name](world, who, Filters(where=SEEN))
    except (errors.NotFound, errors.NoDrafts) as nothing:
        assert name in ("compare_sessions", "resolve_conflicts", "uncommit"), nothing  # noqa: PT017 - there is none


def test_who_may_see_money_is_answered(world: World) -> None:
    ann = world.principal()
    filters = Filters(where="monthlyRate > 700000 and pems.purchasePrice is null")
    for name in ("list_records", "count_records", "compute_stats", "diff", "list_conflicts"):
        TAKING[name](world, ann, filters)
    assert pfa_core.count_records(world.db, ann, Query(filters)) == 1
