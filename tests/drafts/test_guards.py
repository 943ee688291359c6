"""A commit over a limit is refused with its numbers, or is recorded with a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

import pfa_core
from pfa_core import Guards, Selection, errors
from pfa_core.access.organization_settings import Most
from pfa_core.drafts.commit import CommitResult
from pfa_core.model.delta import Change
from pfa_core.model.guards import Extent, excesses
from pfa_core.model.principal import Principal, Right
from tests.factories import World, a_principal, a_world, draft, record
from tests.worlds import built_once

EVERY = Selection(everything=True)
PRICES = {"P-1": 1100, "P-2": 900, "P-3": 1050}  # +100, -100 and +50: 250 up or down, 50 net
BOUGHT = {"source": "Purchase", "monthlyRate": None, "purchasePrice": 1000}


@built_once
def world(url: str) -> World:
    """Four purchases of 1,000 each, three of them repriced by ann and one by bob."""
    world = a_world(
        url,
        *(record(f"P-{number}", **BOUGHT) for number in range(1, 5)),
        users={"ann": "admin", "bob": "editor"},
    )
    changes = [Change(pfa_id, {"purchasePrice": price}) for pfa_id, price in PRICES.items()]
    pfa_core.save(world.db, world.principal(), changes, session_id="s")
    draft(world.db, world.principal("bob"), "P-4", session="b", purchasePrice=1500)
    return world


def limited(world: World, **limits: Most) -> None:
    pfa_core.configure_organization(world.db, world.principal(), **limits)


def committed(world: World, user: str = "ann", **options: object) -> CommitResult:
    return pfa_core.commit(world.db, world.principal(user), EVERY, **options)


def refused(world: World, by: Principal | None = None, **options: object) -> errors.GuardExceeded:
    """The refusal of a commit of everything; nothing is stored by it."""
    before = stored(world)
    with pytest.raises(errors.GuardExceeded) as caught:
        pfa_core.commit(world.db, by or world.principal(), EVERY, **options)
    assert stored(world) == before
    return caught.value


def stored(world: World) -> list[tuple[object, ...]]:
    return world.rows(
        "SELECT m.pfa_id, m.state, (SELECT count(*) FROM audit_log) FROM pfa_modification AS m ORDER BY 1"
    )


def numbers(error: errors.GuardExceeded) -> list[tuple[str, object, object, str]]:
    return [(one.guard, one.found, one.most, one.source) for one in error.excesses]


def overrides(world: World) -> list[tuple[object, ...]]:
    return world.rows(
        "SELECT user_id, reason, session_id, after FROM audit_log WHERE action = 'override' ORDER BY at"
    )


# Records, money and per cent: at the limit is within it.


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"max_records": 2}, ("records", 3, 2, "organization ORG")),
        ({"max_money": "249.99"}, ("money", 250, Decimal("249.99"), "organization ORG")),
        (
            {"max_percent": "6.24"},
            ("percent", Decimal("6.25"), Decimal("6.24"), "organization ORG"),
        ),
        ({"max_records": 0}, ("records", 3, 0, "organization ORG")),
    ],
)
def test_more_than_a_limit_is_refused_with_what_was_asked_and_where_the_limit_is_from(
    world: World, limits: dict[str, Most], found: tuple[object, ...]
) -> None:
    limited(world, **limits)
    error = refused(world)
    assert numbers(error) == [found]
    assert (error.exit_code, error.code) == (7, "GUARD_EXCEEDED")


@pytest.mark.parametrize(
    "limits",
    [{"max_records": 3}, {"max_money": 250}, {"max_percent": "6.25"}, {"max_money": "none"}],
)
def test_what_is_at_the_limit_is_committed(world: World, limits: dict[str, Most]) -> None:
    limited(world, **limits)
    assert len(committed(world).committed) == 3


def test_the_message_names_all_limits_what_is_kept_and_what_to_type(world: World) -> None:
    limited(world, max_records=1, max_money=10, max_percent=1)
    error = refused(world)
    assert error.message == (
        "the commit is over 3 limits: 3 records, at most 1 (organization ORG); 250.00 of forecast cost,"
        " net +50.00, at most 10.00 (organization ORG); 6.25 % of the forecast cost of 4,000.00, at most"
        " 1 % (organization ORG); nothing was committed, the drafts are kept"
    )
    assert "`override=REASON`" in error.hint
    assert "`session_id`" in error.hint


def test_the_money_is_that_of_the_plan_and_of_the_review(world: World) -> None:
    plan = pfa_core.plan_commit(world.db, world.principal(), EVERY)
    limited(world, max_money=0, max_percent=0)
    error = refused(world)
    (money, percent) = error.excesses
    effects = [one.cost_effect for one in plan.drafts]
    assert None not in effects
    assert money.found == sum(abs(effect) for effect in effects if effect is not None)
    review = pfa_core.review(world.db, world.principal(), pfa_core.Filters())
    assert f"net {plan.cost_effect:+,}" in error.message
    assert plan.cost_effect == review.cost_effect
    stats = pfa_core.compute_stats(world.db, world.principal(), pfa_core.Filters(), baseline=True)
    assert percent.found == Decimal("6.25")
    assert f"{stats.figures.cost.forecast.total:,}" in error.message


def test_the_effect_is_over_what_was_committed_before(world: World) -> None:
    """The second change of a record adds what it changes, not what both do."""
    committed(world)
    draft(world.db, world.principal(), "P-1", session="t", purchasePrice=1101)
    assert refused(world, guards=Guards(max_money=Decimal("0.99"))).excesses[0].found == 1
    assert committed(world, guards=Guards(max_money=Decimal(1))).overridden == []


def test_a_draft_of_which_nothing_is_left_and_a_field_that_pems_has_by_now_count_for_nothing(
    world: World,
) -> None:
    world.pull([record("P-1", **{**BOUGHT, "purchasePrice": 1100})])
    own = Guards(max_records=2, max_money=Decimal(150))
    assert len(committed(world, guards=own).committed) == 2


def test_what_pems_keeps_as_its_owner_counts_for_nothing(world: World) -> None:
    world.pull([record("P-1", **{**BOUGHT, "purchasePrice": 1400})])
    owners = pfa_core.Ownership(fields={"purchasePrice": pfa_core.Owner.PEMS})
    own = Guards(max_money=Decimal(150))
    result = pfa_core.commit(world.db, world.principal(), EVERY, ownership=owners, guards=own)
    assert [one.pfa_id for one in result.committed] == ["P-2", "P-3"]


def test_any_cost_is_more_than_a_share_of_none(world: World) -> None:
    world.pull([record(f"P-{n}", **{**BOUGHT, "purchasePrice": 0}) for n in range(1, 5)])
    draft(world.db, world.principal("bob"), "P-1", session="b", purchasePrice=1)
    pfa_core.discard(world.db, world.principal("bob"), Selection(ids=("P-4",)))
    limited(world, max_percent=100)
    error = refused(world, world.principal("bob"))
    assert numbers(error) == [("percent", None, 100, "organization ORG")]
    assert "forecast cost where there was none, at most 100 %" in error.message
    pfa_core.discard(world.db, world.principal("bob"), EVERY)
    draft(world.db, world.principal("bob"), "P-1", session="b", model="M")
    assert len(committed(world, "bob").committed) == 1


def test_per_cent_are_compared_exactly_and_shown_rounded_up() -> None:
    extent = Extent(records=1, money=Decimal("10.01"), forecast=Decimal(100_000))
    assert extent.percent == Decimal("0.02")
    assert excesses(extent, [Guards(max_percent=Decimal("0.01"))])
    assert not excesses(extent, [Guards(max_percent=Decimal("0.01001"))])


# The organization's limits, and the caller's own.


def test_the_stricter_of_both_holds_and_is_named(world: World) -> None:
    limited(world, max_records=2, max_money=100)
    own = Guards(max_records=1, max_money=Decimal(200), source="profile prod")
    assert [
        (guard, most, source) for guard, _, most, source in numbers(refused(world, guards=own))
    ] == [
        ("records", 1, "profile prod"),
        ("money", 100, "organization ORG"),
    ]


def test_limits_of_another_organization_do_not_count(world: World) -> None:
    a_world(world.url, organization="OTHER", users={"zoe": "admin"})
    other = a_principal("zoe", "OTHER")
    pfa_core.configure_organization(world.db, other, max_records=0)
    assert len(committed(world).committed) == 3


def test_a_selection_within_the_limit_is_committed_of_drafts_that_are_more(world: World) -> None:
    limited(world, max_records=2)
    refused(world)
    result = pfa_core.commit(world.db, world.principal(), Selection(ids=("P-1", "P-2")))
    assert len(result.committed) == 2


def test_a_plan_a_partial_commit_and_a_dry_run_are_judged_too(world: World) -> None:
    limited(world, max_records=2)
    plan = pfa_core.plan_commit(world.db, world.principal(), EVERY)
    refused(world, partial=True)
    refused(world, dry_run=True)
    with pytest.raises(errors.GuardExceeded):
        pfa_core.commit(world.db, world.principal(), pfa_core.selection_of(plan), plan=plan)
    assert not committed(world, dry_run=True, override="to see").problems
    assert overrides(world) == []


# Overrides.


def test_an_override_commits_and_the_trail_says_why_with_the_numbers(world: World) -> None:
    limited(world, max_records=2, max_money=100)
    result = pfa_core.commit(
        world.db, world.principal(), Selection(session_id="s"), override="  new price list "
    )
    assert [one.guard for one in result.overridden] == ["records", "money"]
    assert overrides(world) == [
        (
            "ann",
            "new price list",
            "s",
            {
                "operation": "commit",
                "records": 3,
                "money": 250,
                "net": 50,
                "max_records": 2,
                "max_records_of": "organization ORG",
                "max_money": 100,
                "max_money_of": "organization ORG",
            },
        )
    ]
    report = pfa_core.verify_log(world.db, world.principal())
    assert not report.flaws
    (entry,) = pfa_core.list_log(
        world.db, world.principal(), pfa_core.LogFilter(actions=("override",))
    )
    assert entry.reason == "new price list"


def test_an_override_that_is_not_needed_is_not_recorded(world: World) -> None:
    limited(world, max_records=3)
    assert committed(world, override="just in case").overridden == []
    assert overrides(world) == []


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\0b"])
def test_a_reason_is_one(world: World, reason: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        committed(world, override=reason)
    assert len(committed(world, override="x" * 1000).committed) == 3


def test_who_lacks_the_right_is_refused_and_the_refusal_recorded(world: World) -> None:
    limited(world, max_records=0)
    with pytest.raises(errors.PermissionDenied, match="override_guards") as caught:
        committed(world, "bob", override="I want to")
    assert [one.message for one in caught.value.details] == [
        "1 record, at most 0 (organization ORG)"
    ]
    assert world.rows("SELECT state FROM pfa_modification WHERE user_id = 'bob'") == [("draft",)]
    assert world.rows("SELECT user_id FROM audit_log WHERE action = 'permission_denied'") == [
        ("bob",)
    ]
    assert overrides(world) == []
    limited(world, max_records=1)
    assert len(committed(world, "bob", override="not needed").committed) == 1


def test_an_editor_who_was_granted_the_right_overrides(world: World) -> None:
    limited(world, max_records=0)
    lead = world.add_user(
        "bob", "editor", rights={*world.principal("bob").rights, Right.OVERRIDE_GUARDS}
    )
    result = pfa_core.commit(world.db, lead, EVERY, override="agreed with ann")
    assert len(result.committed) == 1


# Money that the caller may not see.


def masked(world: World, *more: Right) -> Principal:
    rights = (world.principal("bob").rights | set(more)) - {Right.VIEW_FINANCIALS}
    return world.add_user("bob", "editor", rights=rights)


def test_a_limit_of_money_holds_for_who_may_see_none_and_names_no_amount(world: World) -> None:
    blind = masked(world)
    pfa_core.discard(world.db, blind, EVERY)
    draft(world.db, blind, "P-4", session="b", isDiscontinued=True)
    limited(world, max_money=999, max_percent=24)
    error = refused(world, blind)
    assert numbers(error) == [
        ("money", None, None, "organization ORG"),
        ("percent", None, None, "organization ORG"),
    ]
    assert error.message == (
        "the commit is over 2 limits: the change of forecast cost is more than allowed (organization ORG);"
        " its share of the forecast cost is more than allowed (organization ORG); nothing was committed,"
        " the drafts are kept"
    )
    limited(world, max_money=1000, max_percent=25)
    assert len(pfa_core.commit(world.db, blind, EVERY).committed) == 1


def test_limits_of_money_of_their_own_would_tell_them_amounts(world: World) -> None:
    blind = masked(world)
    for own in (Guards(max_money=Decimal(5)), Guards(max_percent=Decimal(5))):
        with pytest.raises(errors.PermissionDenied, match=Right.VIEW_FINANCIALS):
            pfa_core.commit(world.db, blind, EVERY, guards=own)


def test_no_amount_of_a_limit_is_in_what_they_read(world: World) -> None:
    limited(world, max_records=1, max_money=100, max_percent=2)
    committed(world, override="why")
    blind = masked(world, Right.MANAGE_USERS, Right.MANAGE_SETTINGS)
    which = pfa_core.LogFilter(actions=("override", "configure"))
    override, configure = pfa_core.list_log(world.db, blind, which)
    assert (override.action, override.after["records"], override.after["money"]) == (
        "override",
        3,
        None,
    )
    assert {override.after[name] for name in ("net", "max_money")} == {None}
    assert (configure.after["max_records"], configure.after["max_money"]) == (1, None)
    assert configure.after["max_percent"] is None
    seen = pfa_core.configure_organization(world.db, blind, max_records=7)
    assert (seen.max_records, seen.max_money, seen.max_percent) == (7, None, None)
    assert world.rows("SELECT max_records, max_money FROM pfa_organization") == [(7, 100)]
    with pytest.raises(errors.PermissionDenied, match=Right.VIEW_FINANCIALS):
        pfa_core.configure_organization(world.db, blind, max_money=5)
    for name in ("max_money", "max_percent"):  # what may not be set may not be taken away
        with pytest.raises(errors.PermissionDenied, match=Right.VIEW_FINANCIALS):
            pfa_core.configure_organization(world.db, blind, **{name: "none"})
    assert world.rows("SELECT max_records, max_money FROM pfa_organization") == [(7, 100)]


# What else commits.


def test_a_commit_that_is_done_again_is_judged_and_may_be_overridden(world: World) -> None:
    committed(world)
    pfa_core.undo(world.db, world.principal())
    limited(world, max_records=2, max_money=249)
    before = stored(world)
    with pytest.raises(errors.GuardExceeded) as caught:
        pfa_core.undo(world.db, world.principal(), redo=True)
    assert stored(world) == before
    assert [one[:3] for one in numbers(caught.value)] == [("records", 3, 2), ("money", 250, 249)]
    result = pfa_core.undo(world.db, world.principal(), redo=True, override="agreed")
    assert [one.guard for one in result.overridden] == ["records", "money"]
    assert {state for _, state, _ in stored(world)[:3]} == {"committed"}
    assert [one[1] for one in overrides(world)] == ["agreed"]


def test_the_hint_of_a_redo_begins_with_what_the_caller_may_do(world: World) -> None:
    for user in ("ann", "bob"):
        committed(world, user)
        pfa_core.undo(world.db, world.principal(user))
    limited(world, max_records=0)
    for user, said in (
        ("ann", "with a reason for the audit trail: `override=REASON`; or commit fewer"),
        ("bob", "commit fewer at once: pfa commit; to be over it takes"),
    ):
        with pytest.raises(errors.GuardExceeded) as caught:
            pfa_core.undo(world.db, world.principal(user), redo=True)
        assert caught.value.hint.startswith(said)


def test_an_undo_that_takes_a_commit_back_is_not_judged(world: World) -> None:
    committed(world)
    limited(world, max_records=0, max_money=0)
    assert len(pfa_core.undo(world.db, world.principal()).undone) == 3


def test_a_commit_over_a_limit_is_undone_and_listed_as_any_other(world: World) -> None:
    limited(world, max_records=2)
    committed(world, override="why")
    latest = pfa_core.list_operations(world.db, world.principal())[0]
    assert (latest.kind, latest.records, latest.undone) == ("commit", 3, False)
    pfa_core.undo(world.db, world.principal())
    undone = pfa_core.list_operations(world.db, world.principal())
    assert [(one.kind, one.undone) for one in undone[:2]] == [("undo", False), ("commit", True)]
    with pytest.raises(errors.IllegalTransition):
        pfa_core.undo(world.db, world.principal(), operation=latest.operation)


def test_an_uncommit_that_is_taken_back_is_judged(world: World) -> None:
    committed(world)
    pfa_core.uncommit(world.db, world.principal(), EVERY)
    limited(world, max_records=2)
    with pytest.raises(errors.GuardExceeded):
        pfa_core.undo(world.db, world.principal())
    limited(world, max_records=3)
    assert len(pfa_core.undo(world.db, world.principal()).undone) == 3


# At the same time.


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each returns or raises, all of them begun together."""
    found: list[object] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            found[place] = work()
        except errors.PfaError as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_two_commits_at_once_are_each_judged_by_what_they_store(world: World) -> None:
    """Of one user, in two sessions: two records are within the limit, and three are not, whichever comes first."""
    pfa_core.discard(world.db, world.principal(), Selection(ids=("P-3",)))
    draft(world.db, world.principal(), "P-3", session="t", purchasePrice=1050)
    limited(world, max_records=2)
    url = str(world.db.conninfo)

    def commit(selection: Selection) -> Callable[[], object]:
        def work() -> object:
            with pfa_core.Database(url) as db:
                return len(pfa_core.commit(db, world.principal(), selection).committed)

        return work

    first, second = at_once(commit(Selection(session_id="s")), commit(EVERY))
    assert first == 2
    assert second == 1 or isinstance(second, errors.GuardExceeded)


# The settings.


def test_limits_are_set_kept_and_cleared(world: World) -> None:
    limited(world, max_records=500, max_money="250000.50", max_percent="2.5")
    found = pfa_core.configure_organization(world.db, world.principal(), currency="USD")
    assert (found.max_records, found.max_money, found.max_percent) == (
        500,
        Decimal("250000.50"),
        Decimal("2.5"),
    )
    found = pfa_core.configure_organization(
        world.db, world.principal(), max_records="none", max_percent="NONE"
    )
    assert (found.max_records, found.max_money, found.max_percent) == (
        None,
        Decimal("250000.50"),
        None,
    )
    assert world.rows("SELECT max_records, max_money, max_percent FROM pfa_organization") == [
        (None, Decimal("250000.50"), None)
    ]


@pytest.mark.parametrize(
    "limits",
    [
        {"max_records": -1},
        {"max_records": "1.5"},
        {"max_records": "many"},
        {"max_records": 1_000_000_001},
        {"max_money": "NaN"},
        {"max_money": "1e3"},
        {"max_money": Decimal("-0.01")},
        {"max_money": "1,000"},
        {"max_percent": "٣"},
        {"max_percent": "5%"},
        {},
    ],
)
def test_what_is_not_a_limit_is_refused(world: World, limits: dict[str, Most]) -> None:
    limited(world, max_records=1, max_money=2, max_percent=3)
    with pytest.raises(errors.InvalidRequest):
        limited(world, **limits)
    assert world.rows("SELECT max_records, max_money, max_percent FROM pfa_organization") == [
        (1, 2, 3)
    ]


def test_the_largest_limit_is_said_as_a_whole_number() -> None:
    with pytest.raises(errors.InvalidRequest, match=r"from 0 to 1,000,000,000: -1$"):
        Guards(max_records=-1)
    with pytest.raises(errors.InvalidRequest, match=r"from 0 to 100,000,000,000,000,000: -0.5$"):
        Guards(max_money=Decimal("-0.5"))


@pytest.mark.parametrize(
    "limits",
    [{"max_records": -1}, {"max_money": Decimal("NaN")}, {"max_percent": Decimal("Infinity")}],
)
def test_limits_of_the_caller_are_limits_too(limits: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidRequest):
        Guards(**limits)
    assert Guards(max_records=0, max_money=Decimal(0)).of_money


def test_an_editor_sets_none(world: World) -> None:
    with pytest.raises(errors.PermissionDenied, match=Right.MANAGE_SETTINGS):
        pfa_core.configure_organization(world.db, world.principal("bob"), max_records=9)
