"""Sources that lost something: no value of the mirror is lost in silence."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_core import errors
from pfa_core.model.record import CHECKED
from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS
from pfa_core.pems.sandbox.http import Request, Response
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.pull.page_store import PageStore
from tests.factories import World, a_world, record
from tests.forms import EFFORT, long
from tests.pems_server import a_profile, answering
from tests.worlds import built_once

Records = Sequence[Mapping[str, Any]]
NUMBER = 12
STAMP = "2026-11-02T08:00:00Z"
EARLIER = "2026-11-01T08:00:00Z"
SOURCES = ("csv", "json", "jsonl", "grid", "live")
EACH_SOURCE = ["csv", "live", *long(["json", "jsonl", "grid"])]


def records(number: int = NUMBER, **fields: Any) -> list[dict[str, Any]]:
    """Records of the organization with a value in every field that can have one."""
    filled = {
        "organization": "ORG",
        "purchasePrice": 7,
        "equipment": "E-1",
        "actualStart": "2025-12-02",
        "actualEnd": "2025-12-30",
        "isActualized": True,
        "source": "Purchase",
        "dor": "BEO",
        "pemsVersion": STAMP,
    }
    return [{**record(f"P-{n:02}"), **filled, **fields} for n in range(1, number + 1)]


@built_once
def world(url: str) -> World:
    return a_world(url, *records())


def without(rows: Records, *names: str) -> list[dict[str, Any]]:
    return [{n: value for n, value in row.items() if n not in names} for row in rows]


def renamed(rows: Records, name: str, to: str) -> list[dict[str, Any]]:
    return [{(to if n == name else n): value for n, value in row.items()} for row in rows]


def changed(rows: Records, number: int | None = None, **fields: Any) -> list[dict[str, Any]]:
    """The rows, the first so many of them with other values."""
    return [
        {**row, **fields} if number is None or n < number else {**row} for n, row in enumerate(rows)
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "Y" if value else "N"
    return "" if value is None else str(value)


def _cells(rows: Records) -> list[dict[str, Any]]:
    aliases = {field: alias for alias, field in DEFAULT_FIELDS.items()}
    return [
        {
            "CELL": [
                {"ALIAS_NAME": aliases.get(name, name), "VALUE": _text(value)}
                for name, value in row.items()
            ]
        }
        for row in rows
    ]


def _grid(rows: Records) -> dict[str, Any]:
    return {"Result": {"ResultData": {"GRID": {"DATA": {"ROW": _cells(rows)}}}}}


def _csv(rows: Records) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer.writerow(names)
    writer.writerows([[_text(row.get(name)) for name in names] for row in rows])
    return out.getvalue()


def _file_of(source: str, rows: Records, folder: Path) -> Path:
    path = folder / f"in.{'json' if source == 'grid' else source}"
    match source:
        case "csv":
            path.write_text(_csv(rows))
        case "json":
            path.write_text(json.dumps(rows))
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case _:
            path.write_text(json.dumps(_grid(rows)))
    return path


@contextmanager
def _pems(rows: Records) -> Iterator[str]:
    def answer(request: Request) -> Response:
        grid = request.json()["GRID"]
        first, size = grid["ROW_OFFSET"], grid["NUMBER_OF_ROWS_FIRST_RETURNED"]
        return Response(200, json.dumps(_grid(rows[first : first + size])).encode())

    with answering(answer) as url:
        yield url


def pull(
    world: World,
    source: str,
    rows: Records,
    folder: Path,
    *,
    dry_run: bool = False,
    page_size: int = 10_000,
    **options: Any,
) -> PullResult:
    """Pull the rows from a file of that format, or from a PEMS that has them."""
    if source == "live":
        with _pems(rows) as url:
            profile = _with_pages(a_profile(url), page_size)
            return pfa_core.pull_pems(
                world.db,
                world.principal(),
                profile,
                pfa_core.PullOptions(**options),
                dry_run=dry_run,
            )
    field_map = folder / "map.toml"
    lines = [f'{alias} = "{field}"' for alias, field in DEFAULT_FIELDS.items()]
    field_map.write_text("\n".join(["[fields]", *lines]))
    return pfa_core.pull_files(
        world.db,
        world.principal(),
        [str(_file_of(source, rows, folder))],
        field_map=field_map if source == "grid" else None,
        dry_run=dry_run,
        **options,
    )


def _with_pages(profile: pfa_core.PemsProfile, size: int) -> pfa_core.PemsProfile:
    return replace(profile, grid=replace(profile.grid, page_size=size))


def run_of(world: World) -> Any:
    return pfa_core.list_runs(world.db, world.principal())[0]


def age(world: World) -> tuple[Any, Any]:
    """The end of the last whole pull for status and doctor, the start of it for metrics."""
    metrics = pfa_core.collect(world.db, world.principal())
    stamps = [m.samples[0].value for m in metrics if m.name == "pfa_baseline_timestamp_seconds"]
    return pfa_core.status(world.db, world.principal()).baseline_at, stamps


def no_longer_there(world: World) -> list[str]:
    rows = world.rows("SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL ORDER BY 1")
    return [row[0] for row in rows]


@pytest.mark.parametrize("source", EACH_SOURCE)
class TestAColumnThatIsGone:
    @pytest.mark.variants(1)
    @pytest.mark.parametrize("name", ["monthlyRate", "category", "isActualized", "pemsVersion"])
    def test_it_is_refused_and_named_before_anything_is_stored(
        self, world: World, source: str, name: str, tmp_path: Path
    ) -> None:
        before, seen = world.mirror(), age(world)
        rows = changed(without(records(), name), model="new")
        for dry_run in (True, False):
            with pytest.raises(errors.InvalidData) as refused:
                pull(world, source, rows, tmp_path, dry_run=dry_run)
            assert f"{name} in 12 records; nothing was stored" in refused.value.message
            assert refused.value.hint == f"if the source is right, add `allow_emptied={name}`"
            assert [(f.field, f.code) for f in refused.value.details] == [(name, "EMPTIED_FIELD")]
            assert world.mirror() == before
        assert (run_of(world).status, run_of(world).message) == ("failed", refused.value.message)
        assert age(world) == seen

    @pytest.mark.variants(1)
    @pytest.mark.parametrize("allowed", ["monthlyRate", "all"])
    def test_it_is_stored_and_counted_where_allowed(
        self, world: World, source: str, allowed: str, tmp_path: Path
    ) -> None:
        result = pull(
            world, source, without(records(), "monthlyRate"), tmp_path, allow_emptied={allowed}
        )
        assert (result.status, dict(result.emptied)) == ("completed", {"monthlyRate": 12})
        assert result.message == run_of(world).message == "emptied: monthlyRate in 12 records"
        assert {row["monthlyRate"] for row in world.mirror().values()} == {None}

    def test_another_field_s_permission_does_not_count(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        with pytest.raises(errors.InvalidData):
            pull(
                world, source, without(records(), "monthlyRate"), tmp_path, allow_emptied={"model"}
            )

    def test_one_that_was_renamed_is_named_with_the_unknown_one(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        before = world.mirror()
        with pytest.raises(errors.InvalidData) as refused:
            pull(world, source, renamed(records(), "contract", "kontrakt"), tmp_path)
        assert refused.value.hint.startswith("unknown fields of this pull: kontrakt; ")
        assert world.mirror() == before

    @pytest.mark.variants(1)
    def test_one_that_no_record_had_a_value_of_is_no_loss(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        pull(world, source, records(monthlyRate=None), tmp_path, allow_emptied={"all"})
        result = pull(world, source, without(records(model="new"), "monthlyRate"), tmp_path)
        assert (result.status, result.updated, result.emptied) == ("completed", 12, {})

    def test_one_record_is_enough_for_a_table(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        """A grid and JSON leave out what is empty, so that one record without it proves nothing."""
        rows = without(records(1), "purchasePrice")
        if source == "csv":
            with pytest.raises(errors.InvalidData, match="purchasePrice in 1 record;"):
                pull(world, source, rows, tmp_path)
        else:
            result = pull(world, source, rows, tmp_path)
            assert (result.status, result.emptied) == ("completed", {"purchasePrice": 1})

    def test_three_are_enough_where_all_had_it(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        with pytest.raises(errors.InvalidData, match="purchasePrice in 3 records;"):
            pull(world, source, without(records(3), "purchasePrice"), tmp_path)


@pytest.mark.parametrize("source", EACH_SOURCE)
class TestValuesThatAreGone:
    @pytest.mark.variants(1)
    def test_a_few_are_stored_and_counted(self, world: World, source: str, tmp_path: Path) -> None:
        rows = changed(records(), 9, contract=None)
        result = pull(world, source, rows, tmp_path)
        assert (result.status, result.updated) == ("completed", 9)
        assert dict(result.emptied) == {"contract": 9}
        assert run_of(world).message == "emptied: contract in 9 records"

    def test_many_are_refused(self, world: World, source: str, tmp_path: Path) -> None:
        before = world.mirror()
        with pytest.raises(errors.InvalidData, match="contract in 10 records; nothing"):
            pull(world, source, changed(records(), 10, contract=None), tmp_path)
        assert world.mirror() == before

    @pytest.mark.variants(1)
    def test_a_fifth_of_those_that_have_the_field_is_stored(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        pull(world, source, records(50), tmp_path)
        assert pull(world, source, changed(records(50), 10, contract=None), tmp_path).updated == 10
        with pytest.raises(errors.InvalidData, match="contract in 11 records"):
            pull(world, source, changed(records(50), 21, contract=None), tmp_path)

    @pytest.mark.slow
    @pytest.mark.variants(1)
    def test_a_flag_that_goes_off_and_another_choice_are_no_loss(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        off = changed(records(), isActualized=False)
        result = pull(world, source, changed(records(), 9, isActualized=False), tmp_path)
        assert (result.status, result.updated, result.emptied) == ("completed", 9, {})
        pull(world, source, records(), tmp_path)
        result = pull(world, source, off, tmp_path)
        assert (result.status, result.updated) == ("completed", 12)
        assert result.emptied == {"isActualized": 12}  # said, for nearly all had it
        with pytest.raises(errors.InvalidData, match="source in 12 records"):
            pull(world, source, changed(off, source=None), tmp_path)
        rows = changed(off, 3, source="Rental", dor="PROJECT")
        assert (pull(world, source, rows, tmp_path).emptied, run_of(world).message) == ({}, None)

    @pytest.mark.variants(1)
    @pytest.mark.parametrize(
        ("name", "blank"),
        [("isActualized", None), ("source", None), *long([("dor", None), ("isActualized", "")])],
    )
    def test_a_default_in_place_of_a_blank_is_stored_and_said(
        self, world: World, source: str, name: str, blank: Any, tmp_path: Path
    ) -> None:
        """A purchase without its source costs what a rental without a rate does."""
        if source.startswith("json"):
            blank = None  # an empty text is not a value of a flag there, and refused
        result = pull(world, source, changed(records(), 9, **{name: blank}), tmp_path)
        assert (result.status, result.updated, result.emptied) == ("completed", 9, {name: 9})
        said = f"at the default now, some for want of a value: {name} in 9 records"
        assert (result.message, run_of(world).message) == (said, said)

    @pytest.mark.variants(1)
    def test_a_unit_that_is_gone_is_said(self, world: World, source: str, tmp_path: Path) -> None:
        rows = [{**row, "rateUom": "week"} for row in records()]
        pull(world, source, rows, tmp_path)
        result = pull(world, source, changed(rows, 9, rateUom=None), tmp_path)
        assert (result.emptied, result.message) == (
            {"rateUom": 9},
            "emptied: rateUom in 9 records",
        )


@pytest.mark.parametrize("source", EACH_SOURCE)
class TestAnOldSource:
    @pytest.mark.variants(1)
    def test_each_older_record_is_named_and_not_stored(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        before, seen = world.mirror(), age(world)
        rows = changed(records(), 2, pemsVersion=EARLIER, model="old")
        rows[2]["model"] = "new"
        for dry_run in (True, False):
            result = pull(world, source, rows, tmp_path, dry_run=dry_run)
            assert (result.status, result.older, result.rejected) == ("partial", 2, 2)
            assert (result.total, result.updated, result.unchanged) == (12, 1, 9)
            assert [(f.pfa_id, f.field, f.code) for f in result.faults] == [
                ("P-01", "pemsVersion", "OLDER_VERSION"),
                ("P-02", "pemsVersion", "OLDER_VERSION"),
            ]
            assert result.hint == "to store them all the same, add `allow_older`"
        after = world.mirror()
        assert [after[name] for name in ("P-01", "P-02")] == [before["P-01"], before["P-02"]]
        assert after["P-03"]["model"] == "new"
        assert (age(world), no_longer_there(world)) == (seen, [])
        run = pfa_core.show_run(world.db, world.principal(), result.run_id or "")
        assert [o.code for o in run.outcomes] == ["OLDER_VERSION"] * 2

    def test_they_are_stored_where_allowed(self, world: World, source: str, tmp_path: Path) -> None:
        rows = changed(records(), pemsVersion=EARLIER, model="old")
        result = pull(world, source, rows, tmp_path, allow_older=True)
        assert (result.status, result.older, result.updated) == ("completed", 0, 12)
        assert {row["model"] for row in world.mirror().values()} == {"old"}

    def test_a_record_that_differs_in_its_version_alone_is_unchanged(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        before = world.mirror()
        result = pull(world, source, records(pemsVersion=EARLIER), tmp_path)
        assert (result.status, result.older, result.unchanged) == ("completed", 0, 12)
        assert world.mirror() == before

    @pytest.mark.variants(1)
    @pytest.mark.parametrize("held", ["2026-11-02", "2026-11-02T08:00:00+02:00", None])
    def test_a_record_without_a_version_is_older_than_none_and_the_other_way_round(
        self, world: World, source: str, held: str | None, tmp_path: Path
    ) -> None:
        came = "2026-11-01" if held is None else None
        pull(world, source, records(3, pemsVersion=held), tmp_path, allow_emptied=["pemsVersion"])
        rows = records(3, pemsVersion=came, model="new")
        result = pull(world, source, rows, tmp_path, allow_emptied=["pemsVersion"])
        assert (result.status, result.older, result.updated) == ("completed", 0, 3)

    @pytest.mark.variants(1)
    def test_versions_that_are_numbers_have_their_order(
        self, world: World, source: str, tmp_path: Path
    ) -> None:
        pull(world, source, records(3, pemsVersion="100"), tmp_path)
        rows = records(3, pemsVersion="99", model="old")
        rows[1] |= {"pemsVersion": "101", "model": "new"}
        result = pull(world, source, rows, tmp_path)
        assert (result.status, result.older, result.updated) == ("partial", 2, 1)
        after = world.mirror()
        assert [after[f"P-0{n}"]["model"] for n in (1, 2, 3)] == ["LTM 1030", "new", "LTM 1030"]

    @pytest.mark.variants(1)
    @pytest.mark.parametrize("version", ["2026-11-02T09:00:00Z", "2026-11-02T08:00:00.5Z", "17"])
    def test_a_newer_version_and_one_that_is_no_instant_are_stored(
        self, world: World, source: str, version: str, tmp_path: Path
    ) -> None:
        result = pull(world, source, records(pemsVersion=version, model="new"), tmp_path)
        assert (result.status, result.updated) == ("completed", 12)


@pytest.mark.parametrize("source", EACH_SOURCE)
def test_a_source_without_a_record_is_partial_stores_nothing_and_renews_no_age(
    world: World, source: str, tmp_path: Path
) -> None:
    before, seen = world.mirror(), age(world)
    for dry_run in (True, False):
        if source == "csv":
            rows = [without(records(1))[0]]
            path = tmp_path / "head.csv"
            path.write_text(_csv(rows).splitlines()[0] + "\n")
            result = pfa_core.pull_files(world.db, world.principal(), [str(path)], dry_run=dry_run)
        elif source == "jsonl":
            path = tmp_path / "none.jsonl"
            path.write_text("\n\n")
            result = pfa_core.pull_files(world.db, world.principal(), [str(path)], dry_run=dry_run)
        else:
            result = pull(world, source, [], tmp_path, dry_run=dry_run)
        assert (result.status, result.total, result.updated) == ("partial", 0, 0)
        assert "no record" in result.message
    assert (world.mirror(), age(world), no_longer_there(world)) == (before, seen, [])
    assert run_of(world).status == "partial"


class TestPems:
    def test_no_record_at_all_marks_all_as_missing_where_allowed(
        self, world: World, tmp_path: Path
    ) -> None:
        result = pull(world, "live", [], tmp_path, allow_no_records=True)
        assert (result.status, result.missing) == ("completed", NUMBER)
        assert len(no_longer_there(world)) == NUMBER

    def test_an_incremental_pull_without_a_record_is_whole(
        self, world: World, tmp_path: Path
    ) -> None:
        _, before = age(world)
        with _pems(records()) as url:
            profile = a_profile(url)
            pfa_core.pull_pems(world.db, world.principal(), profile)
            _, between = age(world)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(f"{__name__}._grid", lambda rows: _EMPTY)
                options = pfa_core.PullOptions(incremental=True)
                result = pfa_core.pull_pems(world.db, world.principal(), profile, options)
        assert (result.status, result.total, run_of(world).kind) == ("completed", 0, "incremental")
        assert before < between < age(world)[1]

    def test_an_incremental_pull_is_measured_by_the_whole_mirror(
        self, world: World, tmp_path: Path
    ) -> None:
        """It brings nothing but changed records: in a pull of few, all may have lost a value."""
        pull(world, "live", records(60), tmp_path)
        since = {"since": pfa_core.status(world.db, world.principal()).baseline_at}
        rows = changed(records(12), contract=None)
        assert pull(world, "live", rows, tmp_path, **since).updated == 12
        rows = changed(records(13), contract=None, equipment=None)
        with pytest.raises(errors.InvalidData, match="equipment in 13 records"):
            pull(world, "live", rows, tmp_path, **since)

    @pytest.mark.slow
    def test_a_later_page_that_would_empty_a_field_stops_the_pull_there(
        self, world: World, tmp_path: Path
    ) -> None:
        pull(world, "live", records(40), tmp_path)
        seen = age(world)
        rows = [*changed(records(20), model="new"), *changed(records(40), contract=None)[20:]]
        with _pems(rows) as url:
            profile = _with_pages(a_profile(url), 20)
            result = pfa_core.pull_pems(world.db, world.principal(), profile)
            assert (result.status, result.code, result.updated) == ("partial", "INVALID_DATA", 20)
            assert "stopped before a page" in result.message
            assert "contract in 20 records" in result.message
            assert result.hint.endswith("`allow_emptied=contract`")
            assert {row["contract"] for row in world.mirror().values()} == {"C-1"}
            assert (age(world), no_longer_there(world)) == (seen, [])
            with pytest.raises(errors.InvalidData, match="contract in 20 records; nothing"):
                pfa_core.pull_pems(world.db, world.principal(), profile)
            allowed = pfa_core.PullOptions(allow_emptied={"contract"})
            result = pfa_core.pull_pems(world.db, world.principal(), profile, allowed)
        assert (result.status, result.updated, result.total) == ("completed", 20, 20)
        assert "resumed after row 20" in result.message

    @pytest.mark.slow
    def test_no_page_behind_one_that_was_refused_is_stored(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next pull would resume behind it, and mark what it brought as missing."""
        pull(world, "live", records(60), tmp_path)
        rows = changed(records(60), model="new")
        rows[20:40] = changed(records(60), contract=None)[20:40]
        merge = PageStore._merge

        def slowly(*given: Any) -> Any:
            time.sleep(0.2)  # by then the third page waits
            return merge(*given)

        monkeypatch.setattr(PageStore, "_merge", slowly)
        with _pems(rows) as url:
            profile = _with_pages(a_profile(url), 20)
            result = pfa_core.pull_pems(world.db, world.principal(), profile)
            assert (result.status, result.updated) == ("partial", 20)
            time.sleep(0.5)
            assert [row["model"] for row in world.mirror().values()].count("new") == 20
            allowed = pfa_core.PullOptions(allow_emptied={"contract"})
            result = pfa_core.pull_pems(world.db, world.principal(), profile, allowed)
        assert (result.status, result.updated, no_longer_there(world)) == ("completed", 40, [])
        assert "resumed after row 20" in result.message

    def test_losses_add_up_over_pages(self, world: World, tmp_path: Path) -> None:
        pull(world, "live", records(40), tmp_path)
        result = pull(world, "live", changed(records(40), contract=None), tmp_path, page_size=4)
        assert (result.status, result.updated) == ("partial", 8)
        assert dict(result.emptied) == {"contract": 8}


_EMPTY = {"Result": {"ResultData": {"GRID": {"DATA": None}}}}

GARBAGE = {
    "page.html": "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "one-line.html": "<html><title>503 Service Unavailable</title></html>",
    "page.csv": "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "page.json": "<html><body>Bad gateway</body></html>",
    "page.jsonl": "<html>\n<body>Bad gateway</body>\n</html>\n",
    "other.csv": "name,age\nann,7\n",
    "head.csv": "name,age\n",
    "error.json": '{"error": "unauthorized"}',
    "error.jsonl": '{"error": "unauthorized"}\n',
    "errors.json": '[{"error": "unauthorized"}]',
    "alert.json": '{"ErrorAlert": [{"Message": "no session"}]}',
    "noname": "Unauthorized\n",
}


@pytest.mark.variants(1)
@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_not_a_table_of_records_is_refused_and_leaves_a_failed_run(
    world: World, name: str, tmp_path: Path
) -> None:
    before, seen = world.mirror(), age(world)
    path, field_map = tmp_path / name, tmp_path / "map.toml"
    path.write_text(GARBAGE[name])
    field_map.write_text('[fields]\npfs_id = "pfaId"\n')
    with pytest.raises(errors.InvalidData) as refused:
        pfa_core.pull_files(world.db, world.principal(), [str(path)], field_map=field_map)
    assert (run_of(world).status, run_of(world).message) == ("failed", refused.value.message)
    assert (world.mirror(), age(world)) == (before, seen)


def test_a_table_whose_key_has_its_alias_is_one(world: World, tmp_path: Path) -> None:
    path, field_map = tmp_path / "in.csv", tmp_path / "map.toml"
    path.write_text("pfs_id,model\nNEW-1,X\n")
    field_map.write_text('[fields]\npfs_id = "pfaId"\n')
    result = pfa_core.pull_files(world.db, world.principal(), [str(path)], field_map=field_map)
    assert (result.status, result.inserted) == ("completed", 1)
    path.write_text("number,model\nNEW-2,X\n")
    with pytest.raises(errors.InvalidData, match="no column pfaId in its header"):
        pfa_core.pull_files(world.db, world.principal(), [str(path)], field_map=field_map)


@pytest.mark.parametrize("hours", [1, *long([-1, 100_000])])
def test_a_pull_since_a_given_time_renews_no_age(world: World, tmp_path: Path, hours: int) -> None:
    """What changed between the last complete pull and that time is unknown; metrics and status agree."""
    pull(world, "live", records(), tmp_path)
    seen = age(world)
    since = datetime.now(UTC) + timedelta(hours=hours)
    result = pull(world, "live", records(3, model="new"), tmp_path, since=since)
    assert (result.status, result.updated, age(world)) == ("completed", 3, seen)


def test_unknown_fields_that_come_and_go_are_reported(world: World, tmp_path: Path) -> None:
    rows = [{**row, "freight": 7} for row in records()]
    result = pull(world, "json", rows, tmp_path)
    assert (result.new_fields, result.message) == (
        ("freight",),
        "new fields, kept as they came: freight",
    )
    assert pull(world, "json", changed(rows, model="new"), tmp_path).message == ""
    result = pull(world, "json", records(model="newer"), tmp_path)
    assert result.message == "fields unknown to pfa are gone from 12 records: freight"


@pytest.mark.parametrize("source", ["json", "live", *long(["jsonl", "grid"])])
def test_unknown_fields_of_rows_with_as_many_columns_are_all_reported(
    world: World, tmp_path: Path, source: str
) -> None:
    first, *rest = records()
    rows = [{**first, "freight": "7"}, *({**row, "crew": "3"} for row in rest)]
    assert pull(world, source, rows, tmp_path).new_fields == ("crew", "freight")


def test_an_unknown_field_cannot_be_allowed(world: World, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match="did you mean monthlyRate"):
        pull(world, "json", records(), tmp_path, allow_emptied={"monthlyrate"})


DAMAGES = st.fixed_dictionaries(
    {
        "source": st.sampled_from(SOURCES),
        "cut": st.integers(0, NUMBER),
        "gone": st.sets(st.sampled_from(sorted(CHECKED)), max_size=2),
        "blank": st.dictionaries(
            st.sampled_from(
                ["contract", "monthlyRate", "forecastEnd", "model", "source", "dor", "isActualized"]
            ),
            st.integers(0, NUMBER),
            max_size=2,
        ),
        "older": st.integers(0, NUMBER),
    }
)


@pytest.mark.slow
@settings(
    max_examples=8 * EFFORT,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(DAMAGES)
@example(
    {
        "source": "csv",
        "cut": 0,
        "gone": set(),
        "blank": {"source": 5, "isActualized": 3},
        "older": 0,
    }
)
@example({"source": "json", "cut": 10, "gone": {"pemsVersion"}, "blank": {"model": 0}, "older": 1})
def test_whatever_a_source_lost_no_value_is_lost_in_silence(
    world: World, tmp_path: Path, damage: dict[str, Any]
) -> None:
    pull(world, "json", records(), tmp_path, allow_older=True, allow_emptied={"all"})
    world.execute("UPDATE pfa_mirror SET missing_since = NULL")
    before = world.mirror()
    rows = records()[damage["cut"] :]
    for name, number in damage["blank"].items():
        rows = changed(rows, number, **{name: None})
    rows = changed(rows, damage["older"], pemsVersion=EARLIER, model="old")
    rows = without(rows, *damage["gone"])
    try:
        result = pull(world, damage["source"], rows, tmp_path)
    except errors.InvalidData:
        assert world.mirror() == before
        return
    after = world.mirror()
    lost: dict[str, int] = {}
    for pfa_id, row in before.items():
        for name, value in row.items():
            now, gone = after[pfa_id].get(name), name in {*damage["gone"], *damage["blank"]}
            if value not in (None, "", False) and (
                now in (None, "", False) or (gone and now not in (value, "old"))
            ):
                lost[name] = lost.get(name, 0) + 1
            elif name not in ("pemsVersion", "hasActuals", "hasPlan"):
                # Without a version nothing says that the older rows are older.
                unversioned = "pemsVersion" in damage["gone"]
                assert after[pfa_id].get(name) == value or (name == "model" and unversioned)
    reported = {name: number for name, number in lost.items() if name in CHECKED}
    assert reported == dict(result.emptied)
    assert len(no_longer_there(world)) == (
        result.missing if damage["source"] == "live" and result.status == "completed" else 0
    )
    if damage["cut"]:
        assert result.missing == damage["cut"] or result.status == "partial"


MAP = "\n".join(f'{alias} = "{name}"' for alias, name in DEFAULT_FIELDS.items())


@pytest.mark.parametrize("form", ["grid", "csv"])
@pytest.mark.parametrize(
    ("chains", "gone"),
    [
        ('[transforms]\nisActualized = "equals_y"\n', "isActualized"),
        ('[defaults]\nmonthlyRate = "7"\n', "monthlyRate"),
        ('[transforms]\nmonthlyRate = { multiply = "4" }\n', "monthlyRate"),
    ],
)
def test_what_a_field_map_puts_in_place_of_a_column_is_not_the_source_s(
    world: World, tmp_path: Path, form: str, chains: str, gone: str
) -> None:
    before = world.mirror()
    field_map = tmp_path / "map.toml"
    field_map.write_text(f"[fields]\n{MAP}\n{chains}")
    aliases = {name: alias for alias, name in DEFAULT_FIELDS.items()}
    rows = [
        {aliases.get(name, name): value for name, value in row.items()}
        for row in without(records(), gone)
    ]
    path = _file_of(form, without(records(), gone) if form == "grid" else rows, tmp_path)
    with pytest.raises(errors.InvalidData, match=f"{gone} in 12 records"):
        pfa_core.pull_files(world.db, world.principal(), [str(path)], field_map=field_map)
    assert world.mirror() == before


def test_a_table_without_a_column_is_refused_beside_one_that_has_it(
    world: World, tmp_path: Path
) -> None:
    before, (first, second) = world.mirror(), (tmp_path / "first", tmp_path / "second")
    first.mkdir()
    second.mkdir()
    paths = [
        _file_of("csv", records()[:10], first),
        _file_of("csv", without(records()[10:], "monthlyRate"), second),
    ]
    with pytest.raises(errors.InvalidData, match="monthlyRate in 2 records"):
        pfa_core.pull_files(world.db, world.principal(), list(map(str, paths)))
    assert world.mirror() == before
