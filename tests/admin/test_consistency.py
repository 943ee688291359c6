"""Verify finds planted drift, and repair mends it."""

from __future__ import annotations

import pytest

import pfa_core
from pfa_cli.app import main
from pfa_core import Filters
from pfa_core.access.tokens import keyring
from tests import citus
from tests.factories import World, a_world, commit, draft, record
from tests.forms import every_third
from tests.kpis.exact import require_exact
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    users = {"ann": "admin", "bob": "editor"}
    rows = [record(f"P-{n}", category=f"C{n % 2}") for n in range(6)]
    world = a_world(url, *rows, users=users)
    draft(world.db, world.principal(), "P-1", monthlyRate=5)
    commit(world.db, world.principal())
    draft(world.db, world.principal(), "P-1", session="t", model="A")
    draft(world.db, world.principal("bob"), "P-2", model="B")
    there = a_world(url, record("X-1"), organization="THERE", users={"eve": "admin"})
    there.close()
    return world


def found(world: World, **options) -> tuple[int, int]:
    report = pfa_core.verify_database(world.db, world.principal(), **options)
    return len(report.rollup), len(report.overlays)


def everything_kept(world: World):
    return (
        world.rows("SELECT * FROM kpi_rollup ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        world.rows("SELECT * FROM pfa_overlay ORDER BY 1, 2, 3"),
        world.rows("SELECT k::text FROM kpi_overlay AS k ORDER BY 1"),
        world.rows("SELECT k::text FROM kpi_month AS k ORDER BY 1"),
        world.rows("SELECT k::text FROM kpi_field AS k ORDER BY 1"),
    )


def test_what_the_program_kept_agrees(world):
    assert found(world) == (0, 0)


PLANTED = {
    "a sum": ("UPDATE kpi_rollup SET monthly_rental = monthly_rental + 0.01 WHERE category = 'C1'", (1, 0)),
    "one lost sum": ("DELETE FROM kpi_rollup WHERE category = 'C0'", (1, 0)),
    "a sum moved within the total": (
        "UPDATE kpi_rollup SET monthly_rental = monthly_rental + CASE category WHEN 'C0' THEN 1 ELSE -1 END"
        " WHERE organization_id = 'ORG'", (2, 0)),
    "sums moved to another category": ("UPDATE kpi_rollup SET category = 'C2' WHERE category = 'C0'", (2, 0)),
    "sums moved to another flag": ("UPDATE kpi_rollup SET is_discontinued = true WHERE category = 'C0'", (2, 0)),
    "sums moved to another currency": ("UPDATE kpi_rollup SET currency = 'EUR' WHERE category = 'C0'", (2, 0)),
    "sums moved to another unit": ("UPDATE kpi_rollup SET rate_uom = 'week' WHERE category = 'C0'", (2, 0)),
    "a count": ("UPDATE kpi_rollup SET record_count = 99 WHERE category = 'C0'", (1, 0)),
    "lost sums": ("DELETE FROM kpi_rollup WHERE organization_id = 'ORG'", (2, 0)),
    "a sum of nothing": (
        "INSERT INTO kpi_rollup SELECT organization_id, 'GHOST', class, source, dor, area_silo, is_actualized,"
        " is_discontinued, is_funds_transferable, 1, 0, 0, 0, 0, 0, 0, 'week', 'EUR', 0, 0, 0 FROM kpi_rollup"
        " WHERE category = 'C0' AND organization_id = 'ORG'", (1, 0)),
    "money of no records": (
        "INSERT INTO kpi_rollup SELECT organization_id, category, class, source, dor, 'GHOST', is_actualized,"
        " is_discontinued, is_funds_transferable, 0, 0.01, 0, 0, 0, 0, 0, 'week', 'EUR', 0, 0, 0 FROM kpi_rollup"
        " WHERE category = 'C0' AND organization_id = 'ORG'", (1, 0)),
    "a merged value": ("UPDATE pfa_overlay SET data = data || '{\"model\": \"Z\"}' WHERE user_id = 'bob'", (0, 1)),
    "a stacked delta": ("UPDATE pfa_overlay SET delta = '{\"model\": \"A\"}' WHERE user_id = 'ann'", (0, 1)),
    "a merged cent": (
        "UPDATE pfa_overlay SET data = data || '{\"monthlyRate\": 5.01}' WHERE user_id = 'ann'", (0, 1)),
    "another modification": (
        "UPDATE pfa_overlay SET modification_id = '00000000-0000-4000-8000-0000000000a1'"
            " WHERE user_id = 'bob'", (0, 1)),
    "another's overlay": ("UPDATE pfa_overlay SET user_id = 'bob' WHERE user_id = 'ann'", (0, 2)),
    "a moved overlay": ("UPDATE pfa_overlay SET pfa_id = 'P-3' WHERE user_id = 'ann'", (0, 2)),
    "a lost overlay": ("DELETE FROM pfa_overlay WHERE user_id = 'ann'", (0, 1)),
    "an overlay of nothing": (
        "INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id)"
        " SELECT organization_id, user_id, 'P-4', delta, data, modification_id FROM pfa_overlay"
        " WHERE user_id = 'bob'",
        (0, 1)),
}  # fmt: skip


@pytest.mark.variants(4)
@pytest.mark.parametrize("planted", PLANTED)
def test_planted_drift_is_found_and_mended(world, planted):
    before = everything_kept(world)
    statement, drift = PLANTED[planted]
    world.execute(statement)
    assert found(world) == drift
    spoiled = everything_kept(world)
    assert found(world, repair=True, dry_run=True) == drift
    assert everything_kept(world) == spoiled
    assert found(world, repair=True) == drift
    assert found(world) == (0, 0)
    assert everything_kept(world) == before


@pytest.mark.slow
@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "column",
    every_third(
        ["record_count", "monthly_rental", "purchase_cost", "actual_purchase", "plan_rate_days",
         "forecast_rate_days", "actual_rate_days", "without_start", "without_end", "without_price"]),
)  # fmt: skip
def test_one_too_much_in_any_sum_is_found_and_every_kpi_is_exact_again_after_the_repair(
    world, column
):
    world.execute(f"UPDATE kpi_rollup SET {column} = {column} + 1 WHERE category = 'C0'")
    assert found(world, repair=True) == (1, 0)
    require_exact(world, world.users)


OF_SUMS = {
    "a sum": ("UPDATE kpi_overlay SET forecast_rate_days = forecast_rate_days + 0.01 WHERE user_id = 'ann'", 3),
    "a plan": ("UPDATE kpi_overlay SET plan_purchase = 1 WHERE user_id = 'bob' AND grain = 'area'", 1),
    "a count": ("UPDATE kpi_overlay SET touched_count = 7 WHERE user_id = 'ann' AND grain = 'class'", 1),
    "lost sums": ("DELETE FROM kpi_overlay WHERE user_id = 'ann'", 3),
    "sums moved to another category": (
        "UPDATE kpi_overlay SET category = 'C2' WHERE grain = 'area' AND user_id = 'bob'", 2),
    "sums moved to another user": ("UPDATE kpi_overlay SET user_id = 'cid' WHERE user_id = 'bob'", 6),
    "one row of two sides": (
        "INSERT INTO kpi_overlay SELECT organization_id, user_id, grain, true, category, class, source, dor,"
        " area_silo, is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency, 1, 0, 0, 0, 0, 0,"
        " 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM kpi_overlay WHERE user_id = 'bob' AND grain = 'flags'", 1),
}  # fmt: skip


@pytest.mark.variants(3)
@pytest.mark.parametrize("planted", OF_SUMS)
def test_planted_drift_of_a_user_s_sums_is_found_and_mended(world, planted):
    before = everything_kept(world)
    statement, drift = OF_SUMS[planted]
    world.execute(statement)
    report = pfa_core.verify_database(world.db, world.principal())
    assert (found(world), len(report.overlay_sums), report.clean) == ((0, 0), drift, False)
    found(world, repair=True)
    assert pfa_core.verify_database(world.db, world.principal()).clean
    assert everything_kept(world) == before


OF_KEPT = {
    "a rate": ("UPDATE kpi_month SET rate = rate + 0.01 WHERE phase = 'plan'", 1),
    "lost months": ("DELETE FROM kpi_month WHERE move_count > 0", 2),
    "a sum of a field": ("UPDATE kpi_field SET plan_rate_days = 1 WHERE field = 'contract'", 1),
    "a sum of nothing": (
        "INSERT INTO kpi_field SELECT organization_id, 'contract', 'GHOST', rate_uom, currency, 0, 0, 0, 0, 0.01,"
        " 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM kpi_field WHERE field = 'contract'", 1),
}  # fmt: skip


@citus.keeps_sums
@pytest.mark.parametrize("planted", OF_KEPT)
def test_planted_drift_of_months_and_fields_is_found_and_mended(world, planted):
    before = everything_kept(world)
    statement, drift = OF_KEPT[planted]
    world.execute(statement.replace(" WHERE", " WHERE organization_id = 'ORG' AND"))
    report = pfa_core.verify_database(world.db, world.principal())
    assert (found(world), len(report.kept_sums), report.clean) == ((0, 0), drift, False)
    found(world, repair=True)
    assert pfa_core.verify_database(world.db, world.principal()).clean
    assert everything_kept(world) == before


@pytest.mark.slow
@citus.keeps_sums
def test_where_no_sums_by_month_and_field_are_kept_the_records_are_read_until_a_repair(world):
    def shown():
        return [
            pfa_core.compute_stats(world.db, world.principal(), Filters(), by=[by])
            for by in ("month", "manufacturer", "contract")
        ]

    before, kept = shown(), everything_kept(world)[3:]
    for table in ("kpi_month", "kpi_field"):
        world.execute(f"DELETE FROM {table} WHERE organization_id = 'ORG'")
    without = everything_kept(world)[3:]
    assert shown() == before
    # What changes adds to none.
    world.pull([record("P-5", category="C1", contract="C-9", monthlyRate=7)])
    assert everything_kept(world)[3:] == without
    changed = shown()
    assert changed != before
    assert pfa_core.verify_database(world.db, world.principal()).clean
    found(world, repair=True)
    assert [len(rows) for rows in everything_kept(world)[3:]] == [len(kept[0]), len(kept[1]) + 1]
    assert shown() == changed
    assert pfa_core.verify_database(world.db, world.principal()).clean


def test_drift_of_another_organization_is_neither_told_nor_mended(world):
    world.execute("UPDATE kpi_rollup SET monthly_rental = 0 WHERE organization_id = 'THERE'")
    spoiled = everything_kept(world)
    assert found(world, repair=True) == (0, 0)
    assert everything_kept(world) == spoiled


def test_the_command_ends_with_1_while_something_does_not_agree(world, monkeypatch, capsys):
    monkeypatch.setenv("PFA_DATABASE_URL", world.url)
    settings = pfa_core.resolve()
    keyring.ensure(settings)
    issued = pfa_core.issue_token(world.db, settings, world.principal(), user_id="ann")
    monkeypatch.setenv("PFA_TOKEN", issued.token)
    assert main(["db", "verify"]) == 0
    world.execute("DELETE FROM kpi_rollup WHERE organization_id = 'ORG'")
    assert main(["db", "verify"]) == 1
    assert main(["db", "verify", "--repair", "-o", "table"]) == 0
    assert main(["db", "verify"]) == 0
    assert "2 sums and 0 overlay rows rebuilt" in capsys.readouterr().out
