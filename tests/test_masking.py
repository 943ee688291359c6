"""Money that one may not see is null everywhere, and no order, count, message or log tells it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
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
    errors,
    exact_json,
)
from pfa_core.masking import Mask
from pfa_core.model.principal import RIGHTS_OF, Role
from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS, load_field_map
from pfa_core.sync.push.options import PushOptions
from pfa_core.sync.run_log import JsonFormatter, attached
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import FarSide, a_far_side, a_pems_beside
from tests.worlds import built_once

# Every amount of this world holds these figures; nothing else does.
CANARY = "739146"
BLIND = frozenset(Right) - {Right.VIEW_FINANCIALS}
EVERY = Filters()


def priced(pfa_id: str, **fields: Any) -> dict[str, Any]:
    money = {"monthlyRate": Decimal(f"{CANARY}.25"), "purchasePrice": int(f"{CANARY}00")}
    return record(pfa_id, **money, **fields)


RECORDS = [priced(f"P-{number}") for number in range(1, 6)]
THEIRS = {"monthlyRate": int(f"{CANARY}9")}


@built_once
def world(url: str) -> World:
    """Ann, an admin, drafted, committed and is in conflict about money; then she may not see it."""
    with a_far_side(url, *RECORDS, users={"ann": "admin", "bob": "admin"}) as far:
        world, ann = far.world, far.ann
        draft(world.db, ann, "P-1", monthlyRate=int(f"{CANARY}1"), model="M")
        for number, session in ((2, "c"), (3, "x"), (4, "d")):
            draft(
                world.db, ann, f"P-{number}", session=session, monthlyRate=int(f"{CANARY}{number}")
            )
            commit(world.db, ann, session=session)
        far.pems.change("P-3", **THEIRS)
        far.push(session_id="x")
        world.execute(
            "UPDATE pfa_modification SET state = 'sync_error', attempts = 1, sync_error ="
            " 'PEMS_REJECTED: the rate 7391464 is above 739146' WHERE session_id = 'd'"
        )
        world.add_user("ann", "admin", rights=BLIND)
        return world


@pytest.fixture
def far(world: World) -> Iterator[FarSide]:
    """That world and its PEMS."""
    with a_pems_beside(world, *RECORDS) as far:
        far.pems.change("P-3", **THEIRS)
        yield far


@pytest.fixture
def blind(far: FarSide) -> Principal:
    """Ann with a token that still says she sees money: the membership decides."""
    return replace(far.ann, rights=frozenset(Right))


def spelled(value: Any) -> str:
    """All that a result holds, as text."""
    return repr(value) + (
        json.dumps(asdict(value), default=str) if hasattr(value, "masked") else ""
    )


def test_the_canary_is_seen_by_those_who_may(far: FarSide) -> None:
    bob = far.world.principal("bob")
    (row, *_) = pfa_core.stream_records(far.db, bob, Query())
    assert CANARY in row.data_json
    assert not row.masked
    assert CANARY in repr(pfa_core.list_log(far.db, bob, limit=1000))


# Sums have other figures; of what changed every record of this world is new.
SUMS = (
    "compute_stats",
    "by month",
    "subtotals",
    "within a period",
    "review",
    "list_changes",
    "stream_changes",
)
READING = {
    "list_records": lambda f, p: pfa_core.list_records(f.db, p, Query()).records,
    "baseline": lambda f, p: pfa_core.list_records(f.db, p, Query(baseline=True)).records,
    "costs": lambda f, p: pfa_core.list_records(f.db, p, Query(costs=True)).records,
    "stream_records": lambda f, p: list(pfa_core.stream_records(f.db, p, Query(costs=True))),
    "show_records": lambda f, p: pfa_core.show_records(f.db, p, ["P-1", "P-2", "P-3", "P-4"]),
    "compute_stats": lambda f, p: [pfa_core.compute_stats(f.db, p, EVERY, by=("dor",))],
    "by month": lambda f, p: [pfa_core.compute_stats(f.db, p, EVERY, by=("month", "dor"))],
    "subtotals": lambda f, p: [
        pfa_core.compute_stats(f.db, p, EVERY, by=("source", "category"), top=1)
    ],
    "within a period": lambda f, p: [
        pfa_core.compute_stats(f.db, p, EVERY, by=("quarter", "dor"), top=1, start="2020")
    ],
    "report": lambda f, p: [pfa_core.report(f.db, p)],
    "list_drafts": lambda f, p: pfa_core.list_drafts(
        f.db, p, Filters(state=("draft", "committed", "conflict", "sync_error"))
    ),
    "diff": lambda f, p: [pfa_core.diff(f.db, p, EVERY)],
    "stream_diff": lambda f, p: list(pfa_core.stream_diff(f.db, p, EVERY)),
    "plan_commit": lambda f, p: [
        pfa_core.plan_commit(f.db, p, pfa_core.Selection(everything=True))
    ],
    "review": lambda f, p: [
        pfa_core.review(f.db, p, EVERY, by=by) for by in ("field", "reason", "category", "dor")
    ],
    "stream_review": lambda f, p: list(pfa_core.stream_review(f.db, p, EVERY)),
    "stream_drafts": lambda f, p: list(
        pfa_core.stream_drafts(f.db, p, Filters(state=("draft", "committed", "conflict")))
    ),
    "list_conflicts": lambda f, p: pfa_core.list_conflicts(f.db, p, status="all"),
    "show_conflict": lambda f, p: [pfa_core.show_conflict(f.db, p, "P-3")],
    "undo": lambda f, p: [
        pfa_core.undo(
            f.db, p, operation=pfa_core.list_operations(f.db, p)[-1].operation, dry_run=True
        ).preview
    ],
    "plan_push": lambda f, p: pfa_core.plan_push(f.db, p),
    "stream_plan_push": lambda f, p: list(pfa_core.stream_plan_push(f.db, p).changes),
    "retry": lambda f, p: pfa_core.retry(f.db, p, None, dry_run=True).letters,
    "follow_log": lambda f, p: [
        item
        for item in pfa_core.follow_log(f.db, p, history=1000, wait=lambda: False)
        if item.pfa_id
    ],
    "list_log": lambda f, p: [
        item for item in pfa_core.list_log(f.db, p, limit=1000) if item.pfa_id
    ],
    "stream_log": lambda f, p: [
        item for item in pfa_core.stream_log(f.db, p, limit=1000) if item.pfa_id
    ],
    "list_changes": lambda f, p: pfa_core.list_changes(f.db, p, ChangeWindow()).changes,
    "stream_changes": lambda f, p: list(pfa_core.stream_changes(f.db, p, ChangeWindow())),
    "list_pems_log": lambda f, p: pfa_core.list_pems_log(f.db, p, ChangeWindow()),
    "stream_pems_log": lambda f, p: list(pfa_core.stream_pems_log(f.db, p, ChangeWindow())),
    "record_history": lambda f, p: [
        pfa_core.record_history(f.db, p, pfa_id) for pfa_id in ("P-1", "P-2", "P-3", "P-4")
    ],
    "blame": lambda f, p: [
        pfa_core.blame(f.db, p, pfa_id) for pfa_id in ("P-1", "P-2", "P-3", "P-4")
    ],
    "show_run": lambda f, p: [
        pfa_core.show_run(f.db, p, run.run_id)
        for run in pfa_core.list_runs(f.db, p)
        if run.direction == "push"
    ],
}


@pytest.mark.parametrize("name", READING)
def test_what_leaves_an_operation_holds_no_money_and_says_so(
    far: FarSide, blind: Principal, name: str
) -> None:
    found = READING[name](far, blind)
    assert found
    for item in found:
        assert item.masked
        assert CANARY not in spelled(item)


@pytest.mark.parametrize("form", LineForm)
def test_lines_that_the_database_composes_hold_no_money(
    far: FarSide, blind: Principal, form: LineForm
) -> None:
    states = Filters(state=("draft", "committed", "conflict"))
    drafts, fields = (
        Layout(form, () if form is LineForm.JSON else columns)
        for columns in (("pfaId", "delta"), ("pfaId", "field", "before", "after", "costEffect"))
    )
    for principal in (blind, far.ann):
        lines = [
            *pfa_core.stream_draft_lines(far.db, principal, states, drafts),
            *pfa_core.stream_diff_lines(far.db, principal, EVERY, fields),
        ]
        assert lines
        assert all(isinstance(line, str) for line in lines)
        assert (CANARY in "".join(map(str, lines))) == (principal is far.ann)


@pytest.mark.variants(11)
@pytest.mark.parametrize("name", READING)
def test_the_token_alone_can_hide_it_too(far: FarSide, name: str) -> None:
    far.world.add_user("ann", "admin")
    narrowed = replace(far.ann, rights=BLIND)
    for item in READING[name](far, narrowed):
        assert item.masked
        assert CANARY not in spelled(item)
    open_items = READING[name](far, far.ann)
    assert CANARY in "".join(map(spelled, open_items)) or name in SUMS
    assert not any(item.masked for item in open_items)


def test_money_is_null_and_everything_else_is_as_it_was(far: FarSide, blind: Principal) -> None:
    (row,) = pfa_core.stream_records(far.db, blind, Query(Filters(id=("P-1",))))
    data = row.data
    assert (data["monthlyRate"], data["purchasePrice"]) == (None, None)
    assert (data["model"], data["forecastEnd"]) == ("M", "2025-12-31")
    (shown,) = pfa_core.show_records(far.db, blind, ["P-1"])
    assert dict(shown.mine) == {"monthlyRate": None, "model": "M"}
    (entry,) = [
        item for item in pfa_core.diff(far.db, blind, EVERY).entries if item.pfa_id == "P-1"
    ]
    assert [(c.field, c.before, c.after) for c in entry.changes] == [
        ("monthlyRate", None, None),
        ("model", "LTM 1030", "M"),
    ]
    assert entry.cost_effect is None


def test_sums_are_null_and_counts_stay(far: FarSide, blind: Principal) -> None:
    found = pfa_core.compute_stats(far.db, blind, EVERY, by=("category",))
    figures = found.figures
    assert (figures.total_records, figures.draft_count) == (5, 1)
    assert (figures.total_monthly_rental, figures.draft_impact) == (None, None)
    assert (figures.cost.plan.total, figures.cost.variance_pct) == (None, None)
    assert figures.baseline_cost.actual.rental is None
    assert found.groups[0].figures.total_purchase_cost is None
    months = pfa_core.compute_stats(far.db, blind, EVERY, by=("month",)).months
    assert [(item.key, item.quantity.forecast, item.cost.plan.total) for item in months] == [
        ({"month": "2025-12"}, 5, None)
    ]


def test_a_month_that_only_money_is_in_is_not_told(database_url: str) -> None:
    bare = {"source": "Purchase", "purchasePrice": 5, "forecastStart": None, "forecastEnd": None}
    world = a_world(database_url, record("P-1", **bare), record("P-2"))
    vera = world.add_user("vera", "viewer")
    ann = pfa_core.compute_stats(world.db, world.principal(), EVERY, by=("month",)).months
    assert [item.key["month"] for item in ann] == ["2025-12", None]
    masked = pfa_core.compute_stats(world.db, vera, EVERY, by=("month",)).months
    assert [item.key["month"] for item in masked] == ["2025-12"]
    world.db.close()


@pytest.mark.parametrize("sort", ["monthlyRate", "-purchasePrice", "category,-monthlyRate,pfaId"])
def test_an_order_by_money_is_refused_with_and_without_a_cursor(
    far: FarSide, blind: Principal, sort: str
) -> None:
    keys = pfa_core.parse_sort(sort)
    bob = far.world.principal("bob")
    cursor = pfa_core.list_records(far.db, bob, Query(sort=keys), page_size=1).next
    assert cursor
    for query in (Query(sort=keys), Query(sort=keys, after=cursor)):
        for call in (
            lambda q: pfa_core.list_records(far.db, blind, q),
            lambda q: list(pfa_core.stream_records(far.db, blind, q)),
            lambda q: pfa_core.export_jsonl(far.db, blind, q, bytes),
            lambda q: pfa_core.write_sheet(far.db, blind, q, io.BytesIO(), file_format="csv"),
            lambda q: pfa_core.count_records(far.db, blind, q),
        ):
            with pytest.raises(errors.PermissionDenied, match="view_financials") as stated:
                call(query)
            assert stated.value.exit_code == 5
            assert CANARY not in spelled(stated.value.details)


def test_a_cursor_of_a_masked_page_tells_no_money(far: FarSide, blind: Principal) -> None:
    import base64

    cursor = pfa_core.list_records(far.db, blind, Query(), page_size=1).next
    assert cursor
    assert CANARY.encode() not in base64.urlsafe_b64decode(cursor + "==")
    assert len(pfa_core.list_records(far.db, blind, Query(after=cursor)).records) == 4


def test_a_search_for_an_amount_finds_nothing(far: FarSide, blind: Principal) -> None:
    for text in (CANARY, f"{CANARY}.25", f"{CANARY}1"):
        assert pfa_core.count_records(far.db, blind, Query(Filters(search=text))) == 0


def test_lines_made_by_the_server_are_masked_as_records_are(database_url: str) -> None:
    world = a_world(database_url, priced("P-1"), priced("P-2", description='a "quote" \\ \n é'))
    strange = {"freight": {"sum": 739146}, "rateNote": "WEEK", "vendor": None}
    world.execute("UPDATE pfa_mirror SET data = data || %s::jsonb", exact_json.dumps(strange))
    draft(world.db, world.principal(), "P-1", monthlyRate=int(f"{CANARY}1"), dor="BEO")
    blind = replace(world.principal(), rights=BLIND)
    stated: list[bool] = []
    out = io.BytesIO()
    count = pfa_core.export_jsonl(
        world.db, blind, Query(), out.write, masked=lambda: stated.append(True)
    )
    lines = [exact_json.loads(line) for line in out.getvalue().decode().splitlines()]
    records = list(pfa_core.stream_records(world.db, blind, Query()))
    assert (count, stated) == (2, [True])
    assert [line["data"] for line in lines] == [item.data for item in records]
    assert lines[0]["data"] | {"monthlyRate": 0} != lines[0]["data"]
    assert CANARY not in out.getvalue().decode()
    assert {name: lines[0]["data"][name] for name in strange} == dict.fromkeys(strange)
    seeing = io.BytesIO()
    pfa_core.export_jsonl(
        world.db, world.principal(), Query(), seeing.write, masked=lambda: stated.append(False)
    )
    assert stated == [True]
    assert CANARY in seeing.getvalue().decode()
    world.db.close()


def test_money_is_not_set_blind(far: FarSide, blind: Principal) -> None:
    for fields in ({"monthlyRate": 1}, {"purchasePrice": None}, {"monthlyRate": "x"}):
        with pytest.raises(errors.PermissionDenied, match="view_financials") as stated:
            draft(far.db, blind, "P-5", **fields)
        assert CANARY not in spelled(stated.value.details)


def test_a_diff_does_not_tell_that_a_drafted_price_is_the_baseline_s_by_now(
    far: FarSide, blind: Principal
) -> None:
    def stated() -> list[str]:
        (entry,) = pfa_core.diff(far.world.db, blind, Filters(id=("P-1",))).entries
        return sorted(item.field for item in entry.changes)

    before = stated()
    assert before == ["model", "monthlyRate"]
    far.pems.change("P-1", monthlyRate=int(f"{CANARY}1"))
    pfa_core.pull_pems(far.world.db, blind, far.profile)
    assert stated() == before


def test_the_largest_effects_are_refused_since_their_order_would_reveal_them(
    far: FarSide, blind: Principal
) -> None:
    with pytest.raises(errors.PermissionDenied, match="view_financials"):
        list(pfa_core.stream_review(far.db, blind, EVERY, top=1))


def test_a_commit_of_earlier_prices_is_refused_before_it_compares_them(
    far: FarSide, blind: Principal
) -> None:
    far.world.pull(
        [priced(f"P-{n}") | {"monthlyRate": int(f"{CANARY}8")} for n in range(1, 6)], "bob"
    )
    with pytest.raises(errors.PermissionDenied) as stated:
        commit(far.db, blind)
    assert [(item.field, item.pfa_id) for item in stated.value.details] == [("monthlyRate", "")]
    assert CANARY not in spelled(stated.value.details)


def test_settling_tells_no_money_and_keeps_none(far: FarSide, blind: Principal) -> None:
    three = ConflictSelection(ids=("P-3",))
    with pytest.raises(errors.InvalidRequest) as unanswered:
        pfa_core.resolve_conflicts(far.db, blind, three, Decision(values={"model": "X"}))
    (fault, *_) = unanswered.value.details
    assert fault.message == "was *** PEMS has *** mine is *** choose one"
    with pytest.raises(errors.PermissionDenied):
        pfa_core.resolve_conflicts(far.db, blind, three, Decision("mine"))
    done = pfa_core.resolve_conflicts(far.db, blind, three, Decision("pems"))
    assert (done.masked, [item.state for item in done.resolved]) == (True, ["pristine"])
    (view,) = pfa_core.list_conflicts(far.db, blind, status="resolved")
    assert view.settlement == {"monthlyRate": {"take": "pems", "value": None}}


def test_a_push_by_one_who_sees_no_money_sends_it_and_tells_none(
    far: FarSide, blind: Principal
) -> None:
    far.pems.change("P-2", monthlyRate=int(f"{CANARY}6"))
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter())
    with attached(handler):
        result = pfa_core.push_changes(far.db, blind, far.profile, PushOptions(session_id="c"))
    assert (result.conflicts, result.masked) == (1, True)
    (problem,) = result.problems
    assert problem.message == "monthlyRate was *** PEMS has *** mine is ***"
    assert '"reason":"monthlyRate was ***' in log.getvalue()
    assert CANARY not in log.getvalue() + spelled(result)
    kept = far.world.rows("SELECT message FROM pfa_sync_outcome WHERE outcome = 'conflict'")
    assert all(CANARY in message for (message,) in kept)  # the database keeps what happened


def test_a_pull_tells_no_money_of_what_it_refuses(
    far: FarSide, blind: Principal, tmp_path: Path
) -> None:
    file = tmp_path / "map.toml"
    aliases = "".join(f'{alias} = "{name}"\n' for alias, name in DEFAULT_FIELDS.items())
    huge = 'monthlyRate = [{ multiply = "1000000" }, { multiply = "1000000" }]'
    file.write_text(f"[fields]\n{aliases}\n[transforms]\n{huge}\n")
    odd = replace(far.profile, field_map=load_field_map(file))
    with pytest.raises(errors.InvalidData) as none:
        pfa_core.pull_pems(far.db, blind, odd)
    assert none.value.details[0].message == "must be below *** is ***"
    far.pems.change("P-6", model="M", source="Purchase")
    again = pfa_core.PullOptions(restart=True)
    result = pfa_core.pull_pems(far.db, blind, odd, again)
    assert (result.rejected, result.inserted, result.masked) == (5, 1, True)
    assert CANARY not in spelled(result)
    outcomes = pfa_core.show_run(far.db, blind, result.run_id or "").outcomes
    assert {item.message for item in outcomes} == {"monthlyRate must be below *** is ***"}


class TestOrganizations:
    def test_money_is_masked_where_the_right_is_missing_and_seen_where_it_is_not(
        self, database_url: str
    ) -> None:
        here = a_world(database_url, priced("P-1"), users={"eve": "admin", "ann": "editor"})
        there = a_world(
            database_url,
            priced("P-1"),
            organization="THERE",
            users={"eve": "admin", "ann": "viewer"},
        )
        (seen,) = pfa_core.stream_records(here.db, here.principal("ann"), Query())
        (masked,) = pfa_core.stream_records(there.db, there.principal("ann"), Query())
        assert (seen.masked, seen.data["monthlyRate"]) == (False, Decimal(f"{CANARY}.25"))
        assert (masked.masked, masked.data["monthlyRate"]) == (True, None)
        here.db.close()
        there.db.close()


class TestTexts:
    @pytest.mark.parametrize(
        ("made", "stated"),
        [
            (
                "monthlyRate was 5, PEMS has 6.50, mine is 7",
                "monthlyRate was *** PEMS has *** mine is ***",
            ),
            ("was 2025-04-14, PEMS has nothing", "was 2025-04-14, PEMS has nothing"),
            ("at 2025-04-14T01:02:03Z: EUR7,391.00!", "at 2025-04-14T01:02:03Z: ***"),
            ("is negative (-5)", "is negative ***"),
            ("two, 2025-04-14/5", "two, ***"),
            ("", ""),
        ],
    )
    def test_numbers_go_and_days_stay(self, made: str, stated: str) -> None:
        assert Mask(hides=True).text(made) == stated
        assert Mask().text(made) == made

    def test_an_open_mask_gives_back_the_very_same(self) -> None:
        mask, data = Mask(), {"monthlyRate": 5}
        assert mask.record(data) is data
        assert mask.values(data) is data
        assert mask.record_json('{"monthlyRate": 1.50}') == '{"monthlyRate": 1.50}'

    def test_a_masked_record_keeps_its_digits(self) -> None:
        stated = Mask(hides=True).record_json(
            '{"pfaId": "00123", "monthlyRate": 1.50, "odd": 1e400}'
        )
        assert exact_json.loads(stated) == {
            "pfaId": "00123",
            "monthlyRate": None,
            "odd": None,
            "purchasePrice": None,
        }


def test_templates_that_see_money_are_editor_and_admin() -> None:
    seeing = {role for role in Role if Right.VIEW_FINANCIALS in RIGHTS_OF[role]}
    assert seeing == {Role.EDITOR, Role.ADMIN}
