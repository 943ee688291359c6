"""The sample project against answers that a program sharing no code with this one has computed."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import Filters, Query, errors
from pfa_core.drafts.save import SaveResult
from pfa_core.model.figures import Figures, PhaseCost, Stats
from tests.factories import World, a_world

_WEATHER, _MIXED = ("delta-weather.json",), ("delta-mixed.json",)


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "expected.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def equal(shared: Path) -> int:
    """Count the records of delta-mixed.json whose every value is the one of the mirror."""
    with gzip.open(shared / "mirror-HOLNG.jsonl.gz", "rt", encoding="utf-8") as lines:
        mirror = {r["pfaId"]: r for r in (json.loads(line, parse_float=Decimal) for line in lines)}
    text = (shared / "delta-mixed.json").read_text("utf-8")
    changes = json.loads(text, parse_float=Decimal)["modifications"]
    return sum(
        all(mirror[change["pfaId"]].get(name) == value for name, value in change["delta"].items())
        for change in changes
    )


def save(world: World, path: Path) -> SaveResult:
    file = pfa_core.read_delta_file(str(path))
    return pfa_core.save(
        world.db,
        world.principal(),
        file.changes,
        session_id=file.session_id,
        faults=file.faults,
        source=file.source,
    )


def stats(
    world: World, *, by: tuple[str, ...] = (), baseline: bool = False, **filters: Any
) -> Stats:
    return pfa_core.compute_stats(
        world.db, world.principal(), Filters(**filters), by=by, baseline=baseline
    )


def phase(cost: PhaseCost) -> dict[str, str]:
    return {"rental": str(cost.rental), "purchase": str(cost.purchase), "total": str(cost.total)}


def as_expected(result: Stats) -> dict[str, Any]:
    """Stats in the shape of expected.json, money as text to the cent."""
    figures = result.figures
    return {
        "total_records": figures.total_records,
        "actualized_count": figures.actualized_count,
        "discontinued_count": figures.discontinued_count,
        "funds_transferable_count": figures.funds_transferable_count,
        "total_monthly_rental": str(figures.total_monthly_rental),
        "total_purchase_cost": str(figures.total_purchase_cost),
        "category_breakdown": dict(result.category_breakdown),
        "cost": {
            "plan": phase(figures.cost.plan),
            "forecast": phase(figures.cost.forecast),
            "actual": phase(figures.cost.actual),
            "variance": str(figures.cost.variance),
        },
    }


def count(world: World, **filters: Any) -> int:
    return pfa_core.count_records(world.db, world.principal(), Query(Filters(**filters)))


def forecast_total(of: dict[str, Any]) -> Decimal:
    return Decimal(of["cost"]["forecast"]["total"])


def test_the_mirror_holds_every_record_of_the_file_as_the_file_has_it(
    holng: World, shared: Path
) -> None:
    with gzip.open(shared / "mirror-HOLNG.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line, parse_float=Decimal) for line in lines]
    mirror = holng.mirror()
    assert len(mirror) == 20_280
    assert [r["pfaId"] for r in records if mirror[r["pfaId"]] != r] == []


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ((), "baseline"),
        (_WEATHER, "with_weather"),
        (_MIXED, "with_mixed"),
        (_WEATHER + _MIXED, "with_both"),
        (_MIXED + _WEATHER, "with_both"),
    ],
)
def test_kpis_are_right_to_the_cent_with_drafts_overlaid(
    holng: World,
    shared: Path,
    expected: dict[str, Any],
    equal: int,
    files: tuple[str, ...],
    answer: str,
) -> None:
    for name in files:
        save(holng, shared / name)
    changed = {
        "delta-weather.json": expected["weather_records"],
        "delta-mixed.json": expected["mixed_records"] - equal,
    }
    result = stats(holng)
    assert as_expected(result) == expected[answer]
    assert result.figures.draft_count == sum(changed[name] for name in files)
    assert as_expected(stats(holng, baseline=True)) == expected["baseline"]
    assert phase(result.figures.baseline_cost.forecast) == expected["baseline"]["cost"]["forecast"]
    assert result.figures.draft_impact == forecast_total(expected[answer]) - forecast_total(
        expected["baseline"]
    )


def test_the_groups_of_any_dimension_add_up_to_the_whole(
    holng: World, shared: Path, expected: dict[str, Any]
) -> None:
    save(holng, shared / "delta-mixed.json")
    whole = stats(holng).figures
    by_category = stats(holng, by=("category",)).groups
    assert {group.key["category"]: group.figures.total_records for group in by_category} == (
        expected["with_mixed"]["category_breakdown"]
    )
    for by in [("source",), ("dor", "isActualized"), ("areaSilo", "class"), ("manufacturer",)]:
        groups = [group.figures for group in stats(holng, by=by).groups]
        for name in ("total_records", "draft_count", "total_monthly_rental", "total_purchase_cost"):
            assert sum(getattr(group, name) for group in groups) == getattr(whole, name), (by, name)
        # Each group is rounded once at its end: the sum may be off by half a cent a group.
        gap = abs(sum(group.cost.forecast.total for group in groups) - whole.cost.forecast.total)
        assert gap <= Decimal("0.005") * len(groups)


@pytest.mark.slow
def test_filters_find_records_where_the_drafts_put_them(
    holng: World, shared: Path, expected: dict[str, Any], equal: int
) -> None:
    assert count(holng, category=("Crane",)) == expected["crane_baseline"]
    save(holng, shared / "delta-weather.json")
    in_2026 = count(holng, start_from="2026-01-01", start_to="2026-12-31")
    assert in_2026 == expected["forecast_start_2026_with_weather"]
    save(holng, shared / "delta-mixed.json")
    assert count(holng, category=("Crane",)) == expected["crane_with_mixed"]
    assert count(holng, source=("Purchase",)) == expected["purchase_with_mixed"]
    assert stats(holng, category=("Crane",)).figures.total_records == expected["crane_with_mixed"]
    changed = expected["weather_records"] + expected["mixed_records"] - equal
    assert count(holng, changed=True) == changed
    assert count(holng, session=("weather-silo4",)) == expected["weather_records"]


@pytest.mark.long
def test_paging_by_cursor_through_drafts_gives_every_record_once(
    holng: World, shared: Path
) -> None:
    save(holng, shared / "delta-mixed.json")
    ann, query = holng.principal(), Query(sort=pfa_core.parse_sort("-monthlyRate,category"))
    streamed = [row.pfa_id for row in pfa_core.stream_records(holng.db, ann, query)]
    paged: list[str] = []
    after: str | None = None
    while True:
        page = pfa_core.list_records(
            holng.db, ann, Query(sort=query.sort, after=after), page_size=4_000
        )
        paged += [row.pfa_id for row in page.records]
        after = page.next
        if after is None:
            break
    assert paged == streamed
    assert len(set(paged)) == 20_280


@pytest.mark.long
def test_the_effects_of_a_diff_add_up_to_the_draft_impact(
    holng: World, shared: Path, equal: int
) -> None:
    save(holng, shared / "delta-weather.json")
    save(holng, shared / "delta-mixed.json")
    whole: Figures = stats(holng).figures
    report = pfa_core.diff(holng.db, holng.principal(), Filters())
    assert (report.record_count, report.cost_effect) == (896 - equal, whole.draft_impact)
    mixed = pfa_core.diff(holng.db, holng.principal(), Filters(), session_id="mixed-review")
    weather = pfa_core.diff(holng.db, holng.principal(), Filters(), session_id="weather-silo4")
    assert (mixed.record_count, weather.record_count) == (300 - equal, 596)
    assert abs(mixed.cost_effect + weather.cost_effect - whole.draft_impact) <= Decimal("0.01")


def test_the_impact_stays_the_same_after_the_commit(
    holng: World, shared: Path, expected: dict[str, Any], equal: int
) -> None:
    saved = save(holng, shared / "delta-mixed.json")
    assert (len(saved.unchanged), equal) == (2, 2)
    drafts = expected["mixed_records"] - equal
    before = stats(holng).figures
    done = pfa_core.commit(
        holng.db, holng.principal(), pfa_core.Selection(session_id="mixed-review")
    )
    after = stats(holng).figures
    assert (len(done.committed), done.conflicts, done.settled) == (drafts, [], [])
    assert (before.draft_count, after.draft_count) == (drafts, 0)
    assert (after.cost, after.draft_impact) == (before.cost, before.draft_impact)
    assert as_expected(stats(holng)) == expected["with_mixed"]


def test_every_faulty_line_of_a_file_is_reported_with_its_code_and_nothing_is_saved(
    holng: World, shared: Path, expected: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidData) as refused:
        save(holng, shared / "delta-invalid.json")
    shown = [(fault.pfa_id, fault.code) for fault in refused.value.details]
    assert shown == [(line["pfaId"], line["code"]) for line in expected["invalid"]]
    assert holng.rows("SELECT count(*) FROM pfa_modification") == [(0,)]
    assert count(holng, changed=True) == 0


@pytest.mark.slow
def test_the_same_pull_again_touches_no_row(holng: World, shared: Path) -> None:
    facts = (
        "SELECT pfa_id, version, run_id, updated_at, xmin::text, ctid::text FROM pfa_mirror"
        " ORDER BY pfa_id"
    )
    rollup = "SELECT k::text FROM kpi_rollup AS k ORDER BY 1"
    save(holng, shared / "delta-mixed.json")
    overlays = "SELECT pfa_id, xmin::text FROM pfa_overlay ORDER BY 1"
    before = [holng.rows(text) for text in (facts, rollup, overlays)]
    again = pfa_core.pull_files(
        holng.db, holng.principal(), [str(shared / "mirror-HOLNG.jsonl.gz")]
    )
    assert (again.total, again.unchanged, again.inserted, again.updated, again.missing) == (
        20_280,
        20_280,
        0,
        0,
        0,
    )
    assert (again.status, again.rejected, again.faults) == ("completed", 0, [])
    assert [holng.rows(text) for text in (facts, rollup, overlays)] == before
    assert holng.rows("SELECT count(*) FROM pfa_mirror_history") == [(0,)]


@pytest.mark.slow
def test_a_hint_never_denies_a_record_that_exists(holng: World) -> None:
    assert holng.mirror()["HOLNG-019999"]["category"] != "Crane"
    filters = Filters(id=("HOLNG-019999",), category=("Crane",))
    hint = pfa_core.suggest_value(holng.db, holng.principal(), filters)
    assert "HOLNG-019999" not in hint


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pems-grid-RIO.json.gz"])
def test_a_grid_answer_gives_an_organization_its_own_rows_only(
    database_url: str, shared: Path, expected: dict[str, Any], name: str
) -> None:
    rio = a_world(database_url, organization="RIO")
    pull = pfa_core.pull_files(
        rio.db,
        rio.principal(),
        [str(shared / name)],
        field_map=shared / "pems-grid-map.toml",
    )
    assert (pull.status, pull.total, pull.inserted, pull.rejected, pull.foreign) == (
        "completed",
        2_800,
        expected["grid"]["RIO"],
        expected["grid"]["RIO2"],
        expected["grid"]["RIO2"],
    )
    assert {fault.code for fault in pull.faults} == {"FOREIGN_ORGANIZATION"}
    assert as_expected(stats(rio)) == expected["grid"]["RIO_stats"]
    assert {record["organization"] for record in rio.mirror().values()} == {"RIO"}


@pytest.mark.long
def test_a_grid_answer_without_a_field_map_is_read_by_the_default_one(
    database_url: str, shared: Path, expected: dict[str, Any]
) -> None:
    rio = a_world(database_url, organization="RIO")
    pull = pfa_core.pull_files(rio.db, rio.principal(), [str(shared / "pems-grid-RIO.json.gz")])
    assert (pull.inserted, pull.foreign) == (expected["grid"]["RIO"], expected["grid"]["RIO2"])
    assert as_expected(stats(rio)) == expected["grid"]["RIO_stats"]
