"""The KPI rollup and the days function agree with their formulas, whatever was pulled."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core.model.costing import Costing
from pfa_core.model.kpi import Sums, Tally, total
from pfa_core.model.money import days
from pfa_core.model.query import Filters
from pfa_core.store import rls
from pfa_core.store.reads import sums
from pfa_core.store.reads.sums import Part
from tests import citus
from tests.factories import World, a_world, record
from tests.forms import EFFORT
from tests.model.strategies import dates, money

ids = st.sampled_from([f"P-{number}" for number in range(8)])


def records_between(dates: st.SearchStrategy[str]) -> st.SearchStrategy[dict]:
    """Records of few ids and groups, with money and dates of any size."""
    return st.builds(
        record,
        ids,
        category=st.sampled_from(["Crane", "Truck", ""]),
        class_=st.sampled_from(["Lifting", ""]),
        source=st.sampled_from(["Rental", "Purchase"]),
        dor=st.sampled_from(["BEO", "PROJECT"]),
        areaSilo=st.sampled_from(["Silo 4", ""]),
        isActualized=st.booleans(),
        isDiscontinued=st.booleans(),
        isFundsTransferable=st.booleans(),
        manufacturer=st.sampled_from(["Terex", "", None]),
        contract=st.sampled_from(["C-1", "", None]),
        monthlyRate=st.none() | money,
        purchasePrice=st.none() | money,
        rateUom=st.sampled_from([None, "month", "week", "day", "28-day"]),
        currency=st.sampled_from([None, "USD", "EUR"]),
        **{
            name: st.none() | dates
            for name in (
                "originalStart", "originalEnd", "forecastStart", "forecastEnd", "actualStart", "actualEnd",
            )
        },
    )  # fmt: skip


def pulls_of(records: st.SearchStrategy[dict]) -> st.SearchStrategy[list[list[dict]]]:
    """One pull after the other, each of a few records."""
    return st.lists(
        st.lists(records, min_size=1, max_size=6, unique_by=lambda item: item["pfaId"]),
        min_size=1,
        max_size=4,
    )


records = records_between(dates)
pulls = pulls_of(records)
# A sum by month has a line for each, thousands of years take a minute; tests/kpis/test_months.py has the far ends.
of_a_century = pulls_of(
    records_between(st.dates(date(1960, 1, 1), date(2059, 12, 31)).map(date.isoformat))
)
COSTING = Costing("USD", "week")
# By how many days a rate is divided, and what it is weighed by: seven months' days over these.
DAYS_OF = {"month": Decimal("30.44"), "week": Decimal(7), "day": Decimal(1), "28-day": Decimal(28)}
DIMENSIONS = (
    "category", "class", "source", "dor", "areaSilo", "isActualized", "isDiscontinued",
    "isFundsTransferable",
)  # fmt: skip
EXACT = settings(
    deadline=None,
    max_examples=8 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def world(postgres, template):
    with postgres.database(template) as url:
        world = a_world(url)
        yield world
        world.db.close()


def emptied(world: World) -> World:
    def work(conn) -> None:
        for table in ("pfa_mirror", "pfa_mirror_history", "kpi_rollup", "kpi_month", "kpi_field"):
            conn.execute(f"DELETE FROM {table}")

    world.db.transact(work)
    return world


def sums_of(item: dict) -> Sums:
    """The formulas once more, record by record (domain.md 8)."""
    rented = item["source"] != "Purchase"
    foreign = item.get("currency") == "EUR"
    unit = DAYS_OF[item.get("rateUom") or "week"]
    rate = Decimal(item["monthlyRate"] or 0) * 7 * Decimal("30.44") / unit * (not foreign) * rented
    price = Decimal(item["purchasePrice"] or 0) * (not foreign) * (not rented)
    counts = not item["isDiscontinued"] and not item["isFundsTransferable"]
    arrived = bool(item["actualStart"] and item["actualEnd"])

    def spans(phase: str) -> Decimal:
        return counts * days(item[f"{phase}Start"], item[f"{phase}End"]) * rate

    return Sums(
        record_count=1,
        actualized=int(item["isActualized"]),
        discontinued=int(item["isDiscontinued"]),
        transferable=int(item["isFundsTransferable"]),
        monthly_rental=rate,
        purchase_cost=price,
        plan_rate_days=spans("original"),
        plan_purchase=counts * price,
        forecast_rate_days=spans("forecast"),
        forecast_purchase=counts * price,
        actual_rate_days=spans("actual"),
        actual_purchase=counts * arrived * price,
        without_start=counts * rented * (item["forecastStart"] is None),
        without_end=counts * rented * (item["forecastEnd"] is None),
        without_rate=counts * rented * (item["monthlyRate"] is None),
        without_price=counts * (not rented) * (item["purchasePrice"] is None),
        excluded=Tally({"EUR": 1} if foreign else {}),
    )


def rolled_up(world: World, *by: str):
    return world.db.read(
        lambda conn: sums.sums(conn, world.principal(), Part.MIRROR, Filters(), by, costing=COSTING)
    )


@pytest.mark.slow
@EXACT
@given(pulls)
def test_after_any_pulls_the_rollup_is_what_the_mirror_adds_up_to(world, pulls):
    emptied(world)
    for pull in pulls:
        world.pull(pull, allow_emptied=["all"])
    mirror = list(world.mirror().values())
    assert rolled_up(world) == {(): total(map(sums_of, mirror))}
    groups = {}
    for item in mirror:
        key = tuple(item[name] for name in DIMENSIONS)
        groups[key] = groups.get(key, Sums()).plus(sums_of(item))
    assert rolled_up(world, *DIMENSIONS) == groups


@pytest.mark.slow
@EXACT
@given(pulls)
def test_the_rollup_holds_a_row_for_each_group_there_is_and_for_no_other(world, pulls):
    emptied(world)
    for pull in pulls:
        world.pull(pull, allow_emptied=["all"])
    groups = Counter(
        (
            *(item[name] for name in DIMENSIONS),
            item.get("rateUom") or "",
            item.get("currency") or "",
        )
        for item in world.mirror().values()
    )
    rows = world.rows(
        "SELECT category, class, source, dor, area_silo, is_actualized, is_discontinued, "
        "is_funds_transferable, rate_uom, currency, record_count FROM kpi_rollup"
    )
    assert {row[:-1]: row[-1] for row in rows} == groups


@pytest.mark.slow
@EXACT
@given(st.lists(records, min_size=1, max_size=8, unique_by=lambda item: item["pfaId"]))
def test_the_rollup_and_the_live_sums_answer_alike(world, pulled):
    emptied(world)
    world.pull(pulled, allow_emptied=["all"])
    for filters in (Filters(), Filters(category=("Crane",)), Filters(discontinued=False)):
        answers = []
        for extra in ((), ("model",)):  # grouping by model is beyond the rollup
            found = world.db.read(
                lambda conn, filters=filters, extra=extra: sums.sums(
                    conn,
                    world.principal(),
                    Part.MIRROR,
                    filters,
                    ("source", *extra),
                    costing=COSTING,
                )
            )
            answers.append({key[0]: part for key, part in found.items()})
        assert answers[0] == answers[1]


@pytest.mark.slow
@EXACT
@given(of_a_century)
def test_sums_by_month_and_by_field_are_those_of_the_records_and_none_is_left(world, pulls):
    emptied(world)
    for pull in pulls:
        world.pull(pull, allow_emptied=["all"])
    # A search reads the records; all ids have what it looks for.
    for by in ("month", "manufacturer", "contract"):
        kept, read = (
            pfa_core.compute_stats(world.db, world.principal(), Filters(search=search), by=[by])
            for search in (None, "-")
        )
        assert kept == read
    mirror = world.mirror().values()
    for field in ("manufacturer", "contract"):
        rows = world.rows("SELECT DISTINCT value FROM kpi_field WHERE field = %s", field)
        # Of distributed tables these sums are not kept.
        there = set() if citus.is_named else {item[field] or "" for item in mirror}
        assert {value for (value,) in rows} == there
    assert pfa_core.verify_database(world.db, world.principal()).kept_sums == []


def test_pulling_the_same_again_touches_nothing(database_url):
    world = a_world(database_url, record("P-1"), record("P-2", monthlyRate=Decimal("1.50")))
    look = (
        "SELECT xmin::text, version FROM pfa_mirror UNION ALL SELECT xmin::text, 0 FROM kpi_rollup"
        " UNION ALL SELECT xmin::text, 0 FROM kpi_month UNION ALL SELECT xmin::text, 0 FROM kpi_field"
    )
    before = sorted(world.rows(look))
    same = [record("P-2", monthlyRate=Decimal("1.5")), record("P-1")]
    result = world.pull(same)
    assert (result.unchanged, result.updated, result.inserted) == (2, 0, 0)
    assert sorted(world.rows(look)) == before
    assert world.rows("SELECT count(*) FROM pfa_mirror_history") == [(0,)]


def test_history_keeps_the_outgoing_versions_in_order(database_url):
    world = a_world(database_url, record("P-1", monthlyRate=1))
    runs = [world.pull([record("P-1", monthlyRate=rate)]).run_id for rate in (2, 3)]
    assert world.rows(
        "SELECT version, data -> 'monthlyRate', replaced_by_run::text "
        "FROM pfa_mirror_history ORDER BY version"
    ) == [(1, 1, runs[0]), (2, 2, runs[1])]
    assert world.rows("SELECT version, run_id::text FROM pfa_mirror") == [(3, runs[1])]


def test_a_pull_that_fails_leaves_mirror_and_rollup_as_they_were(database_url):
    world = a_world(database_url, record("P-1"))
    before = world.rows("SELECT * FROM kpi_rollup"), world.mirror()
    with pytest.raises(AssertionError, match="no fields"):
        world.pull(iter([record("P-2"), record("P-3", nonsense=1)]))
    with pytest.raises(ZeroDivisionError):
        world.db.transact(lambda conn: (conn.execute("DELETE FROM kpi_rollup"), 1 / 0))
    assert (world.rows("SELECT * FROM kpi_rollup"), world.mirror()) == before


@settings(
    deadline=None,
    max_examples=25 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.none() | dates, st.none() | dates), min_size=1, max_size=50))
def test_days_in_sql_are_days_in_python(world, spans):
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    found = world.rows(
        "SELECT pfa_days(s, e) FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS t (s, e, n) ORDER BY n",
        starts,
        ends,
    )
    assert [row[0] for row in found] == [days(start, end) for start, end in spans]


def test_days_do_not_depend_on_the_date_style(world):
    def work(conn):
        conn.execute("SET LOCAL datestyle = 'German'")
        return conn.execute("SELECT pfa_days('2025-12-10', '2025-12-31')").fetchone()

    assert world.db.read(work) == (21,)


@citus.of_one_machine
def test_on_distributed_tables_months_and_fields_are_read_from_the_records(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept before the tables were distributed goes with the first change."""
    kept = "SELECT (SELECT count(*) FROM kpi_month) > 0, (SELECT count(*) FROM kpi_field) > 0"
    world = a_world(database_url, record("P-1", manufacturer="Terex"))
    assert world.rows(kept) == [(True, True)]
    with monkeypatch.context() as patch:
        patch.setattr(rls, "is_distributed", lambda conn: True)
        world.pull([record("P-1", manufacturer="Liebherr"), record("P-2", manufacturer="Liebherr")])
    assert world.rows(kept) == [(False, False)]
    found = pfa_core.compute_stats(world.db, world.principal(), Filters(), by=["manufacturer"])
    assert [(group.key["manufacturer"], group.figures.total_records) for group in found.groups] == [
        ("Liebherr", 2)
    ]
    assert pfa_core.verify_database(world.db, world.principal()).clean
    world.close()
