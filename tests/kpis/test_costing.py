"""Currencies, rate units and records that cost nothing: exact, said, and found by filters."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import Filters, Query, errors
from pfa_core.drafts.diff import DiffReport
from pfa_core.model.costing import SPELLINGS
from pfa_core.model.record import SORTABLE
from tests.acceptance.brute_force import Settings
from tests.factories import World, a_world, draft, record
from tests.forms import drawn
from tests.kpis import months_by_day, test_months
from tests.kpis.exact import QUESTIONS, Question, require_exact
from tests.life_cycle.views import ids, seen, stats
from tests.server import Server

THIRTY_DAYS = {"forecastStart": "2025-12-01", "forecastEnd": "2025-12-31"}


def forecast(world: World, user: str = "ann", **filters: Any) -> Decimal:
    return stats(world, user, **filters).figures.cost.forecast.total


def diff_of(world: World) -> DiffReport:
    return pfa_core.diff(world.db, world.principal(), Filters())


def configure(world: World, **values: str) -> None:
    pfa_core.configure_organization(world.db, world.principal(), **values)


class TestRateUnits:
    @pytest.mark.parametrize(
        ("unit", "cost", "monthly"),
        [
            (None, "985.55", "1000.00"),
            ("month", "985.55", "1000.00"),
            ("week", "4285.71", "4348.57"),
            ("day", "30000.00", "30440.00"),
            ("28-day", "1071.43", "1087.14"),
        ],
    )
    def test_thirty_days_at_a_thousand_cost_by_the_unit(
        self, database_url: str, unit: str | None, cost: str, monthly: str
    ) -> None:
        figures = stats(a_world(database_url, record(rateUom=unit, **THIRTY_DAYS))).figures
        assert figures.cost.forecast.rental == figures.cost.plan.rental == Decimal(cost)
        assert figures.total_monthly_rental == Decimal(monthly)

    def test_seven_rates_of_a_week_are_a_cent_exactly(self, database_url: str) -> None:
        """A seventh of half a cent is not a decimal; seven of them round up."""
        day = {"forecastStart": "2025-12-01", "forecastEnd": "2025-12-02", "rateUom": "week"}
        rows = [record(f"P-{n}", monthlyRate=Decimal("0.005"), **day) for n in range(7)]
        assert forecast(a_world(database_url, *rows)) == Decimal("0.01")
        assert forecast(a_world(database_url, *rows[1:], organization="B")) == Decimal("0.00")

    def test_a_rate_without_a_unit_has_the_organization_s(self, database_url: str) -> None:
        world = a_world(database_url, record("P-1"), record("P-2", rateUom="month"))
        configure(world, rate_uom="weekly")
        assert forecast(world, id=("P-1",)) == Decimal("4285.71")
        assert forecast(world, id=("P-2",)) == Decimal("985.55")
        configure(world, rate_uom="month")
        assert forecast(world, id=("P-1",)) == Decimal("985.55")

    def test_a_drafted_rate_keeps_the_record_s_unit(self, database_url: str) -> None:
        world = a_world(database_url, record(rateUom="day"))
        draft(world.db, world.principal(), monthlyRate=10)
        figures = stats(world).figures
        assert figures.cost.forecast.rental == Decimal("300.00")
        assert figures.cost.plan.rental == Decimal("30000.00")
        assert figures.draft_impact == Decimal("-29700.00")
        assert diff_of(world).cost_effect == Decimal("-29700.00")

    @pytest.mark.slow
    def test_spellings_are_one_unit(self, database_url: str) -> None:
        world = a_world(database_url)
        for spelling in sorted({*SPELLINGS, "MONTHLY", " Week ", "28D", "WK"}):
            assert SPELLINGS[spelling.strip().lower()] in ("month", "week", "day", "28-day")
            assert world.pull([{**record(), "rateUom": spelling}]).rejected == 0
            (row,) = seen(world)
            assert row.data["rateUom"] == SPELLINGS[spelling.strip().lower()]

    @pytest.mark.parametrize("unit", ["FORTNIGHT", "hour", 7, "", None])
    def test_another_unit_is_refused_and_none_is_none(self, database_url: str, unit: Any) -> None:
        world = a_world(database_url)
        pulled = world.pull([record("P-1"), {**record("P-2"), "rateUom": unit}])
        if unit in ("", None):
            assert (pulled.rejected, len(seen(world))) == (0, 2)
            assert not seen(world, id=("P-2",))[0].data.get("rateUom")
            return
        (fault,) = pulled.faults
        assert (fault.pfa_id, fault.field, fault.code) == ("P-2", "rateUom", "INVALID_ENUM_VALUE")
        assert ids(world) == ["P-1"]

    def test_a_unit_of_an_older_mirror_that_nobody_knows_is_left_out_by_name(
        self, database_url: str
    ) -> None:
        world = a_world(database_url, record("P-1"), record("P-2"))
        world.execute(
            "UPDATE pfa_mirror SET data = data || '{\"rateUom\": \"FORTNIGHT\"}' WHERE pfa_id = 'P-2'"
        )
        pfa_core.verify_database(world.db, world.principal(), repair=True)
        figures = stats(world).figures
        assert (figures.excluded_count, figures.excluded) == (1, {"rateUom FORTNIGHT": 1})
        assert figures.cost.forecast.total == Decimal("985.55")

    def test_a_record_without_unit_and_currency_has_no_such_fields(self, database_url: str) -> None:
        world = a_world(database_url, record())
        assert not {"rateUom", "currency"} & world.mirror()["P-1"].keys()


class TestCurrencies:
    @pytest.fixture
    def world(self, database_url: str) -> World:
        bought = {"source": "Purchase", "purchasePrice": 500}
        return a_world(
            database_url,
            record("D-1", currency="usd"),
            record("E-1", currency="EUR"),
            record("E-2", currency=" eur ", **bought),
            record("N-1"),
            users={"ann": "admin", "bob": "editor", "eve": "viewer"},
        )

    def test_without_a_setting_all_are_added_up_and_named(self, world: World) -> None:
        figures = stats(world).figures
        assert figures.cost.forecast.total == Decimal("3456.64")
        assert (figures.currencies, figures.excluded) == ({"EUR": 2, "USD": 1}, {})
        assert stats(world).currency is None

    def test_another_currency_is_counted_and_left_out_of_every_amount(self, world: World) -> None:
        configure(world, currency="USD")
        result = stats(world)
        figures = result.figures
        assert (result.currency, figures.total_records, figures.excluded_count) == ("USD", 4, 2)
        assert (figures.excluded, figures.currencies) == ({"EUR": 2}, {})
        assert figures.cost.forecast.total == Decimal("1971.09")
        assert (figures.total_monthly_rental, figures.total_purchase_cost) == (2000, 0)
        configure(world, currency="EUR")
        assert stats(world, "bob").figures.excluded == {"USD": 1}
        assert forecast(world) == Decimal("2471.09")
        configure(world, currency="none")
        assert stats(world).figures.excluded == {}

    def test_groups_and_months_leave_it_out_too(self, world: World) -> None:
        configure(world, currency="USD")
        by = {g.key["source"]: g.figures for g in stats(world, by=("source",)).groups}
        assert (by["Purchase"].excluded, by["Purchase"].cost.forecast.total) == ({"EUR": 1}, 0)
        assert by["Rental"].excluded == {"EUR": 1}
        (month,) = stats(world, by=("month",)).months
        assert (month.quantity.forecast, month.cost.forecast.total) == (2, Decimal("1971.09"))

    def test_drafts_of_it_have_no_effect_on_sums(self, world: World) -> None:
        configure(world, currency="USD")
        draft(world.db, world.principal(), "E-1", monthlyRate=9)
        draft(world.db, world.principal(), "D-1", monthlyRate=2000)
        assert stats(world).figures.draft_impact == Decimal("985.55")
        assert [entry.cost_effect for entry in diff_of(world).entries] == [Decimal("985.55"), 0]

    def test_the_filter_finds_it(self, world: World) -> None:
        assert ids(world, currency=("EUR",)) == ["E-1", "E-2"]
        assert ids(world, currency=("EUR", "USD")) == ["D-1", "E-1", "E-2"]
        assert stats(world, currency=("EUR",)).figures.total_records == 2

    def test_refused_ones_are_not_stored_and_what_was_stored_stays(self, world: World) -> None:
        configure(world, currency="USD", foreign_currency="refuse")
        pulled = world.pull(
            [record("E-9", currency="eur"), record("D-9", currency="usd"), record("N-9")]
        )
        (fault,) = pulled.faults
        assert (fault.pfa_id, fault.field, fault.code) == ("E-9", "currency", "FOREIGN_CURRENCY")
        assert fault.message == "is EUR, the organization's is USD"
        assert ids(world) == ["D-1", "D-9", "E-1", "E-2", "N-1", "N-9"]
        assert stats(world).figures.excluded == {"EUR": 2}
        configure(world, foreign_currency="exclude")
        assert world.pull([record("E-9", currency="eur")]).rejected == 0

    def test_a_viewer_without_money_sees_the_counts(self, world: World) -> None:
        configure(world, currency="USD")
        blind = world.add_user("kim", "viewer", rights=["read"])
        shown = pfa_core.compute_stats(world.db, blind, Filters())
        assert (shown.masked, shown.figures.excluded, shown.currency) == (True, {"EUR": 2}, "USD")
        assert shown.figures.cost.forecast.total is None


class TestSettings:
    def test_a_change_is_in_the_trail_and_one_that_changes_nothing_is_not(
        self, database_url: str
    ) -> None:
        world = a_world(database_url)
        configure(world, currency="usd", rate_uom="W")
        configure(world, currency="USD", rate_uom="week")
        entries = pfa_core.list_log(
            world.db, world.principal(), pfa_core.LogFilter(actions=("configure",))
        )
        assert [(entry.before, entry.after) for entry in entries] == [
            (
                {"currency": None, "rate_uom": "month", "foreign_currency": "exclude"},
                {"currency": "USD", "rate_uom": "week", "foreign_currency": "exclude"},
            )
        ]

    def test_what_is_not_given_stays_and_a_dry_run_changes_nothing(self, database_url: str) -> None:
        world = a_world(database_url)
        configure(world, currency="USD")
        shown = pfa_core.configure_organization(
            world.db, world.principal(), foreign_currency="refuse", dry_run=True
        )
        assert (shown.currency, shown.foreign_currency) == ("USD", "refuse")
        configure(world, rate_uom="day")
        assert world.rows("SELECT currency, rate_uom, foreign_currency FROM pfa_organization") == [
            ("USD", "day", "exclude")
        ]

    def test_it_is_of_one_organization(self, database_url: str) -> None:
        one, other = (
            a_world(database_url, record()),
            a_world(database_url, record(), organization="B"),
        )
        configure(one, rate_uom="day")
        assert (forecast(one), forecast(other)) == (Decimal(30000), Decimal("985.55"))

    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"currency": "US"},
            {"currency": "U$D"},
            {"currency": ""},
            {"rate_uom": "fortnight"},
            {"foreign_currency": "ignore"},
            {"foreign_currency": "refuse"},  # without a currency
        ],
    )
    def test_invalid_values_are_refused(self, database_url: str, values: dict[str, str]) -> None:
        world = a_world(database_url)
        with pytest.raises(errors.InvalidRequest):
            configure(world, **values)
        assert world.rows("SELECT currency, rate_uom, foreign_currency FROM pfa_organization") == [
            (None, "month", "exclude")
        ]

    def test_no_currency_while_others_are_refused_is_refused(self, database_url: str) -> None:
        world = a_world(database_url)
        configure(world, currency="USD", foreign_currency="refuse")
        with pytest.raises(errors.InvalidRequest, match="has no currency"):
            configure(world, currency="none")


class TestOpenEnded:
    @pytest.fixture
    def world(self, database_url: str) -> World:
        return a_world(
            database_url,
            record("A-1", forecastEnd=None),
            record("A-2", forecastEnd=None, forecastStart=None),
            record("A-3", monthlyRate=None),
            record("A-4", monthlyRate=0),
            record(
                "B-1", source="Purchase", purchasePrice=None, forecastEnd=None, monthlyRate=None
            ),
            record("B-2", source="Purchase", purchasePrice=0, forecastStart=None),
            record("X-1", forecastEnd=None, isDiscontinued=True),
            record("X-2", monthlyRate=None, isFundsTransferable=True),
            users={"ann": "admin", "bob": "editor"},
        )

    def counts(self, world: World, user: str = "ann", **filters: Any) -> tuple[int, ...]:
        figures = stats(world, user, **filters).figures
        return (
            figures.rentals_without_start,
            figures.rentals_without_end,
            figures.rentals_without_rate,
            figures.purchases_without_price,
        )

    def test_each_is_counted_by_what_it_lacks(self, world: World) -> None:
        assert self.counts(world) == (1, 2, 1, 1)
        assert self.counts(world, manufacturer=("Liebherr",)) == (1, 2, 1, 1)  # beyond the rollup
        assert self.counts(world, source=("Rental",)) == (1, 2, 1, 0)

    def test_the_filters_find_as_many(self, world: World) -> None:
        counted = {"discontinued": False, "transferable": False}
        rental, purchase = {"source": ("Rental",)}, {"source": ("Purchase",)}
        assert ids(world, no_start=True, **rental, **counted) == ["A-2"]
        assert ids(world, no_end=True, **rental, **counted) == ["A-1", "A-2"]
        assert ids(world, no_rate=True, **rental, **counted) == ["A-3"]
        assert ids(world, no_price=True, **purchase, **counted) == ["B-1"]
        assert ids(world, no_end=True) == ["A-1", "A-2", "B-1", "X-1"]
        assert ids(world, no_end=True, no_start=True) == ["A-2"]
        assert ids(world, no_end=True, end_from="2000-01-01") == []

    @pytest.mark.slow
    def test_in_every_order(self, world: World) -> None:
        for sort in (f"{sign}{name}" for name in SORTABLE for sign in ("", "-")):
            for name, found in (("no_start", 2), ("no_end", 4), ("no_rate", 3), ("no_price", 7)):
                assert len(ids(world, sort=sort, **{name: True})) == found, (sort, name)

    def test_drafts_close_and_open_them_for_their_owner(self, world: World) -> None:
        draft(world.db, world.principal(), "A-1", forecastEnd="2026-01-31")
        draft(world.db, world.principal(), "A-4", forecastStart=None)
        assert self.counts(world) == (2, 1, 1, 1)
        assert self.counts(world, "bob") == (1, 2, 1, 1)
        assert ids(world, no_end=True, source=("Rental",)) == ["A-2", "X-1"]
        assert ids(world, no_start=True) == ["A-2", "A-4", "B-2"]
        assert ids(world, no_end=True, source=("Rental",), baseline=True) == ["A-1", "A-2", "X-1"]

    def test_they_are_set_by_their_filter(self, world: World) -> None:
        saved = pfa_core.set_fields(
            world.db,
            world.principal(),
            Filters(no_end=True, source=("Rental",), discontinued=False, no_start=False),
            {"forecastStart": "2026-01-01", "forecastEnd": "2026-02-01"},
            session_id="s",
        )
        assert [item.pfa_id for item in saved.saved] == ["A-1", "A-2"]
        assert self.counts(world) == (0, 0, 1, 1)

    def test_a_cursor_goes_on_within_the_filter(self, world: World) -> None:
        query = Query(Filters(no_end=True))
        first = pfa_core.list_records(world.db, world.principal(), query, page_size=3)
        rest = pfa_core.list_records(
            world.db, world.principal(), Query(Filters(no_end=True), after=first.next), page_size=3
        )
        assert len(first.records) == 3
        assert len({row.pfa_id for row in (*first.records, *rest.records)}) == 4


# --- any records, drafts and settings -------------------------------------------------------------

UNITS = st.sampled_from((None, "month", "week", "day", "28-day"))
CURRENCIES = st.sampled_from((None, None, "USD", "EUR", "CHF"))
NAMED = st.lists(st.tuples(UNITS, CURRENCIES), min_size=6, max_size=6)
SETTINGS = st.builds(
    Settings,
    currency=st.sampled_from((None, "USD", "EUR")),
    rate_uom=st.sampled_from(("month", "week", "day", "28-day")),
)
ASKED = (
    *QUESTIONS,
    Question(
        {"currency": ("EUR",)},
        ("category",),
        listed=True,
        values=lambda r: r.get("currency") == "EUR",
    ),
    Question({"no_end": True}, ("source",), listed=True, values=lambda r: r["forecastEnd"] is None),
    Question(
        {"no_rate": True, "no_start": True, "discontinued": False},
        listed=True,
        values=lambda r: (
            r["monthlyRate"] is None and r["forecastStart"] is None and not r["isDiscontinued"]
        ),
    ),
    Question(
        {"no_price": True}, baseline=True, listed=True, values=lambda r: r["purchasePrice"] is None
    ),
)


@pytest.fixture(scope="module")
def shared(postgres: Server, template: str) -> Iterator[World]:
    with postgres.database(template) as url:
        world = a_world(url, users={"ann": "admin", "bob": "admin"})
        yield world
        world.db.close()


@pytest.mark.slow
@drawn("examples", short=2, long=6, night=250)
def test_any_records_with_any_settings_cost_what_fractions_say(
    shared: World, examples: int
) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(rows=test_months.ROWS, changes=test_months.CHANGES, named=NAMED, of=SETTINGS)
    def check(
        rows: list[dict[str, Any]], changes: list[Any], named: list[Any], of: Settings
    ) -> None:
        rows = [
            {**row, "rateUom": unit, "currency": currency}
            for row, (unit, currency) in zip(rows, named, strict=False)
        ]
        configure(shared, currency=of.currency or "none", rate_uom=of.rate_uom)
        stored = test_months.filled(shared, rows, changes)
        require_exact(shared, stored, ASKED, of)
        same = [(row, row) for row in rows]
        for user, deltas in stored.items():
            mine = [(row, {**row, **deltas.get(row["pfaId"], ("", {}))[1]}) for row in rows]
            for by in (("month",), ("category", "month")):
                result = stats(shared, user, by=by)
                assert result.months == months_by_day.month_groups(mine, same, by, of)
            effect = pfa_core.diff(shared.db, shared.principal(user), Filters()).cost_effect
            assert effect == stats(shared, user).figures.draft_impact

    check()
