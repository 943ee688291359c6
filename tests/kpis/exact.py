"""What every user must be shown, recomputed the slow way from the tables, and whether it is shown.

Mirror and modifications are read with plain SQL and merged here; overlays and rollup, which the
library keeps for speed, are no part of the expectation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pfa_core
from pfa_core import Filters, Query
from pfa_core.model.figures import Group, Stats
from tests.acceptance import brute_force
from tests.factories import World

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """A record as the mirror has it and as a user sees it; state and session of the topmost
    modification, `pristine` and None without one."""

    baseline: Record
    merged: Record
    state: str = "pristine"
    session: str | None = None


@dataclass(frozen=True)
class Question:
    """Filters and dimensions, and once more in Python which records the filters mean: by their
    values, and by what the user did to them. `listed`: a list is asked for the same records."""

    filters: Mapping[str, Any] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    baseline: bool = False
    listed: bool = False
    values: Callable[[Record], bool] = lambda _: True
    touch: Callable[[Seen], bool] = lambda _: True


def _starts_in_2026(record: Record) -> bool:
    return (record["forecastStart"] or "") >= "2026-01-01"


QUESTIONS = (
    Question(by=("category", "source", "isDiscontinued"), listed=True),
    Question(by=("areaSilo",)),
    # Kept by themselves,
    Question(by=("contract",)),
    Question(by=("dor", "class", "isActualized", "isFundsTransferable"), baseline=True),
    # Filters that the rollup knows,
    Question(
        {"category": ("Crane",)},
        ("source",),
        listed=True,
        values=lambda r: r["category"] == "Crane",
    ),
    Question(
        {"discontinued": False, "area_silo": ("Jetty", "Silo 4")},
        values=lambda r: not r["isDiscontinued"] and r["areaSilo"] in ("Jetty", "Silo 4"),
    ),
    # the empty text, which the rollup cannot tell from none,
    Question(
        {"area_silo": ("",)}, ("category",), listed=True, values=lambda r: r["areaSilo"] == ""
    ),
    # those that it does not know, and a dimension;
    Question({"start_from": "2026-01-01"}, ("category",), listed=True, values=_starts_in_2026),
    Question({"start_from": "2026-01-01"}, baseline=True, listed=True, values=_starts_in_2026),
    Question({"transferable": False}, ("model",), values=lambda r: not r["isFundsTransferable"]),
    # and what the user did.
    Question({"changed": True}, ("category",), touch=lambda seen: seen.state != "pristine"),
    Question(
        {"state": ("pristine", "draft")},
        ("manufacturer",),
        touch=lambda s: s.state in ("pristine", "draft"),
    ),
    Question(
        {"session": ("s",), "dor": ("PROJECT",)},
        listed=True,
        values=lambda r: r["dor"] == "PROJECT",
        touch=lambda seen: seen.session == "s",
    ),
)


def require_exact(
    world: World,
    users: Iterable[str],
    questions: Sequence[Question] = QUESTIONS,
    settings: brute_force.Settings = brute_force.MONTHLY,
) -> None:
    """Every figure, group, count and list of these users is what the tables hold, and what is kept
    for speed agrees with what it is made of."""
    assert pfa_core.verify_database(world.db, world.principal()).clean
    mirror = world.mirror()
    for user in users:
        truth = seen_by(world, user, mirror)
        for question in questions:
            _require_stats(world, user, question, truth, settings)
            if question.listed:
                _require_list(world, user, question, truth)


def seen_by(world: World, user: str, mirror: Mapping[str, Record]) -> list[Seen]:
    """The user's records by id: the mirror's with the user's living modifications over them, the
    oldest change first, the draft last."""
    found = {pfa_id: Seen(data, data) for pfa_id, data in sorted(mirror.items())}
    for pfa_id, state, session, delta in world.rows(
        "SELECT pfa_id, state, session_id, delta FROM pfa_modification"
        " WHERE organization_id = %s AND user_id = %s AND state <> 'synced'"
        " ORDER BY committed_at NULLS LAST, modification_id",
        world.organization,
        user,
    ):
        below = found[pfa_id]
        found[pfa_id] = Seen(below.baseline, {**below.merged, **delta}, state, session)
    return list(found.values())


def expected(
    question: Question,
    truth: Iterable[Seen],
    settings: brute_force.Settings = brute_force.MONTHLY,
) -> Stats:
    """The answer to the question, record by record."""
    chosen = [seen for seen in truth if question.touch(seen)]
    theirs = [seen for seen in chosen if question.values(seen.baseline)]
    mine = [seen for seen in chosen if question.values(seen.merged)]
    if question.baseline:
        mine = theirs = [Seen(seen.baseline, seen.baseline) for seen in theirs]
    by = question.by
    levels = [_groups(mine, theirs, by[:length], settings) for length in range(1, len(by) + 1)]
    subtotals = {tuple(group.key.values()): group for level in levels[:-1] for group in level}
    return Stats(
        figures=_figures(mine, theirs, settings),
        category_breakdown=brute_force.by_category(seen.merged for seen in mine),
        groups=tuple(levels[-1]) if by else (),
        subtotals=tuple(subtotals[key] for key in sorted(subtotals)),
        currency=settings.currency,
    )


def _groups(
    mine: Sequence[Seen], theirs: Sequence[Seen], by: Sequence[str], settings: brute_force.Settings
) -> list[Group]:
    keys = {_key(seen.merged, by) for seen in mine} | {_key(seen.baseline, by) for seen in theirs}
    return [
        Group(
            dict(zip(by, key, strict=True)),
            _figures(
                [seen for seen in mine if _key(seen.merged, by) == key],
                [seen for seen in theirs if _key(seen.baseline, by) == key],
                settings,
            ),
        )
        for key in sorted(keys)
    ]


def _figures(mine: Sequence[Seen], theirs: Sequence[Seen], settings: brute_force.Settings) -> Any:
    return brute_force.figures(
        [(seen.baseline, seen.merged) for seen in mine],
        sum(seen.state == "draft" for seen in mine),
        before=[seen.baseline for seen in theirs],
        settings=settings,
    )


def _key(record: Record, by: Sequence[str]) -> tuple[Any, ...]:
    return tuple("" if record[name] is None else record[name] for name in by)


def _require_stats(
    world: World,
    user: str,
    question: Question,
    truth: Sequence[Seen],
    settings: brute_force.Settings,
) -> None:
    found = pfa_core.compute_stats(
        world.db,
        world.principal(user),
        Filters(**question.filters),
        by=question.by,
        baseline=question.baseline,
    )
    assert found == expected(question, truth, settings), f"{user} asks {question}"


def _require_list(world: World, user: str, question: Question, truth: Sequence[Seen]) -> None:
    """As many records as match, and these, with these values."""
    query = Query(
        Filters(**question.filters), pfa_core.parse_sort("pfaId"), baseline=question.baseline
    )
    principal = world.principal(user)
    data = [seen.baseline if question.baseline else seen.merged for seen in truth]
    wanted = [
        record
        for seen, record in zip(truth, data, strict=True)
        if question.touch(seen) and question.values(record)
    ]
    page = pfa_core.list_records(world.db, principal, query)
    assert [row.data for row in page.records] == wanted, f"{user} lists {question}"
    counted = pfa_core.count_records(world.db, principal, query)
    assert (page.total_records, counted) == (len(wanted), len(wanted)), f"{user} counts {question}"
