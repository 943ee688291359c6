"""Pull: the mirror agrees with what arrived; refused records are reported; drafts survive."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.model.ids import new_id
from pfa_core.model.progress import Phase, Progress
from pfa_core.store import mirror
from pfa_core.sync.pull.files import PullResult
from tests.factories import World, a_world, commit, draft, record
from tests.life_cycle.views import everything, ids, one, stats, value
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    return a_world(url, record("P-1"), record("P-2"), users={"ann": "admin", "bob": "editor"})


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path."""

    def write(content: str | bytes, name: str = "in.jsonl") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


File = Callable[..., str]


def pull(world: World, *paths: str, **rest: Any) -> PullResult:
    return pfa_core.pull_files(world.db, world.principal(), list(paths), **rest)


def counts(result: PullResult) -> tuple[int, ...]:
    """total, inserted, updated, unchanged, missing, rejected."""
    return (
        result.total,
        result.inserted,
        result.updated,
        result.unchanged,
        result.missing,
        result.rejected,
    )


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False, default=str) + "\n" for item in records)


class TestWhatArrives:
    def test_new_changed_unchanged_and_missing_records_are_counted(
        self, world: World, file: File
    ) -> None:
        result = pull(world, file(lines(record("P-1"), record("P-3"), record("P-4"))))
        assert (result.status, counts(result)) == ("completed", (3, 2, 0, 1, 1, 0))
        result = pull(world, file(lines(record("P-1", model="X"), record("P-3"))))
        assert counts(result) == (2, 0, 1, 1, 2, 0)
        assert sorted(world.mirror()) == ["P-1", "P-2", "P-3", "P-4"]

    def test_unchanged_rows_are_not_touched(self, world: World, file: File) -> None:
        before = everything(world)
        pull(world, file(lines(record("P-2"), record("P-1"))))
        after = everything(world)
        for name in (
            "pfa_mirror",
            "pfa_mirror_history",
            "kpi_rollup",
            "pfa_overlay",
            "kpi_overlay",
            "kpi_month",
            "kpi_field",
        ):
            assert after[name] == before[name], name

    def test_keys_in_another_order_and_numbers_spelled_otherwise_are_no_change(
        self, world: World, file: File
    ) -> None:
        turned = dict(reversed(record("P-1").items()))
        text = lines(turned).replace('"monthlyRate": 1000', '"monthlyRate": 1.000e3')
        assert counts(pull(world, file(text)))[2:4] == (0, 1)

    def test_a_changed_row_keeps_the_outgoing_version(self, world: World, file: File) -> None:
        first = world.mirror()["P-1"]
        second = pull(world, file(lines(record("P-1", model="X"))))
        third = pull(world, file(lines(record("P-1", model="Y"))))
        history = world.rows(
            "SELECT pfa_id, version, data, replaced_by_run::text FROM pfa_mirror_history ORDER BY 2"
        )
        assert history == [
            ("P-1", 1, first, second.run_id),
            ("P-1", 2, {**first, "model": "X"}, third.run_id),
        ]
        assert world.rows("SELECT pfa_id, version FROM pfa_mirror ORDER BY 1") == [
            ("P-1", 3),
            ("P-2", 1),
        ]

    def test_missing_fields_get_the_field_s_defaults(self, world: World, file: File) -> None:
        pull(world, file('{"pfaId":"P-9"}'))
        found = world.mirror()["P-9"]
        assert {name: item for name, item in found.items() if item is not None} == {
            "pfaId": "P-9",
            "organization": "ORG",
            "areaSilo": "",
            "category": "",
            "class": "",
            "source": "Rental",
            "dor": "PROJECT",
            "isActualized": False,
            "isDiscontinued": False,
            "isFundsTransferable": False,
            "manufacturer": "",
            "model": "",
            "hasPlan": False,
            "hasActuals": False,
        }
        assert (found["monthlyRate"], found["forecastStart"]) == (None, None)

    def test_derived_flags_follow_the_dates_and_unknown_fields_stay(
        self, world: World, file: File
    ) -> None:
        dates = {"actualStart": "2025-12-01", "actualEnd": "2025-12-31T00:00:00.000Z"}
        pull(world, file(lines({**record("P-9", **dates), "hasActuals": False, "freight": 1.50})))
        found = world.mirror()["P-9"]
        assert (found["hasPlan"], found["hasActuals"]) == (True, True)
        assert (found["actualEnd"], found["freight"]) == ("2025-12-31", Decimal("1.5"))

    def test_digits_are_kept(self, world: World, file: File) -> None:
        text = lines(record("00123", monthlyRate=0)).replace(
            '"monthlyRate": 0', '"monthlyRate": 1234567890123.120'
        )
        pull(world, file(text))
        assert '"monthlyRate": 1234567890123.120' in one(world, "00123").data_json


class TestFormats:
    RECORDS = (record("P-1", model="X"), record("P-7", category='Trailer, 40" flat'))

    def check(self, world: World, *paths: str, **rest: Any) -> None:
        assert counts(pull(world, *paths, **rest)) == (2, 1, 1, 0, 1, 0)
        assert (value(world, "model"), value(world, "category", "P-7")) == (
            "X",
            'Trailer, 40" flat',
        )

    def test_jsonl(self, world: World, file: File) -> None:
        self.check(world, file(lines(*self.RECORDS)))

    def test_jsonl_with_blank_lines_a_byte_order_mark_and_crlf(
        self, world: World, file: File
    ) -> None:
        text = "\ufeff" + lines(*self.RECORDS).replace("\n", "\r\n\r\n")
        self.check(world, file(text.encode()))

    @pytest.mark.parametrize("indent", [None, 1])
    def test_a_json_list(self, world: World, file: File, indent: int | None) -> None:
        self.check(world, file(json.dumps(self.RECORDS, indent=indent), "in.json"))

    @pytest.mark.parametrize("indent", [None, 1])
    def test_the_envelope_of_our_own_list(
        self, world: World, file: File, indent: int | None
    ) -> None:
        rows = [{"pfaId": r["pfaId"], "data": r, "syncState": "pristine"} for r in self.RECORDS]
        self.check(world, file(json.dumps({"data": rows}, indent=indent), "in.json"))

    def test_gzip_whatever_its_name(self, world: World, file: File) -> None:
        self.check(world, file(gzip.compress(lines(*self.RECORDS).encode()), "in.dat"))

    def test_csv_cells_are_read_by_their_field_s_kind(self, world: World, file: File) -> None:
        names = list(record())
        rows = [",".join(names)]
        for item in self.RECORDS:
            cells = ["" if item[n] is None else str(item[n]).replace('"', '""') for n in names]
            rows.append(",".join(f'"{cell}"' for cell in cells))
        self.check(world, file("\r\n".join(rows), "in.csv"))
        assert world.mirror()["P-1"]["monthlyRate"] == 1000
        assert world.mirror()["P-1"]["isActualized"] is False

    def test_several_files_are_one_pull(self, world: World, file: File) -> None:
        one_file, other = (
            file(lines(self.RECORDS[0]), "a.jsonl"),
            file(json.dumps([self.RECORDS[1]]), "b.json"),
        )
        self.check(world, one_file, other)

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_standard_input(self, world: World, pack: Callable[[bytes], bytes]) -> None:
        piped = io.BytesIO(pack(lines(*self.RECORDS).encode()))
        self.check(world, "-", stdin=piped)
        assert pfa_core.list_runs(world.db, world.principal())[0].source == "standard input"

    def test_a_grid_answer_without_a_map_is_read_by_the_default_one(
        self, world: World, file: File
    ) -> None:
        cells = {"pfs_id": "G-1", "pfs_a_org": "ORG", "pfs_f_rental": "5"}
        row = {"D": [{"n": name, "value": value} for name, value in cells.items()]}
        answer = {"Result": {"ResultData": {"GRID": {"DATA": {"ROW": [row]}}}}}
        assert counts(pull(world, file(json.dumps(answer), "grid.json")))[:2] == (1, 1)
        assert world.mirror()["G-1"]["monthlyRate"] == 5

    @pytest.mark.parametrize("shape", ["CELL", "D"])
    def test_a_grid_answer_by_its_field_map(
        self, world: World, file: File, tmp_path: Path, shape: str
    ) -> None:
        field_map = tmp_path / "map.toml"
        field_map.write_text('[fields]\nid = "pfaId"\norg = "organization"\nkind = "category"\n')
        keys = {"CELL": ("ALIAS_NAME", "VALUE"), "D": ("n", "value")}[shape]

        def row(**cells: Any) -> dict[str, Any]:
            pairs = cells.items()
            return {shape: [dict(zip(keys, pair, strict=True)) for pair in pairs]}

        rows = [
            row(id="G-1", org="ORG", kind="Crane"),
            row(id="G-2", org="ORG2", kind="Crane"),
            row(id="G-3", org="", kind=None),
        ]
        answer = {"Result": {"ResultData": {"GRID": {"DATA": {"ROW": rows}}}}}
        result = pull(world, file(json.dumps(answer), "grid.json"), field_map=field_map)
        assert (counts(result), result.foreign) == ((3, 2, 0, 0, 2, 1), 1)
        assert [(f.pfa_id, f.field, f.code) for f in result.faults] == [
            ("G-2", "organization", "FOREIGN_ORGANIZATION")
        ]
        assert value(world, "category", "G-1") == "Crane"
        assert value(world, "category", "G-3") == ""


BAD = [
    ("nonsense", "", "INVALID_JSON"),
    ("{broken", "", "INVALID_JSON"),
    ("[1]", "", "INVALID_TYPE"),
    ('{"pfaId":"B","pfaId":"C"}', "", "INVALID_JSON"),
    ('{"pfaId":"B","monthlyRate":NaN}', "", "INVALID_JSON"),
    ('{"category":"Crane"}', "pfaId", "MISSING_REQUIRED_FIELD"),
    ('{"pfaId":""}', "pfaId", "MISSING_REQUIRED_FIELD"),
    ('{"pfaId":7}', "pfaId", "INVALID_TYPE"),
    ('{"pfaId":"B","organization":"ORG2"}', "organization", "FOREIGN_ORGANIZATION"),
    ('{"pfaId":"B","monthlyRate":"x"}', "monthlyRate", "INVALID_TYPE"),
    ('{"pfaId":"B","monthlyRate":-1}', "monthlyRate", "INVALID_RANGE"),
    ('{"pfaId":"B","source":"Lease"}', "source", "INVALID_ENUM_VALUE"),
    ('{"pfaId":"B","dor":"HQ"}', "dor", "INVALID_ENUM_VALUE"),
    ('{"pfaId":"B","forecastStart":"2025-02-30"}', "forecastStart", "INVALID_TYPE"),
    ('{"pfaId":"B","isActualized":"yes"}', "isActualized", "INVALID_TYPE"),
    ('{"pfaId":"B","category":7}', "category", "INVALID_TYPE"),
    ('{"pfaId":"P-5"}', "pfaId", "DUPLICATE_RECORD"),
]


class TestRefusedRecords:
    @pytest.mark.variants(8)
    @pytest.mark.parametrize(("line", "field", "code"), BAD)
    def test_a_bad_record_is_refused_at_its_place_and_the_others_arrive(
        self, world: World, file: File, line: str, field: str, code: str
    ) -> None:
        path = file('{"pfaId":"P-5"}\n' + line + '\n{"pfaId":"P-6"}\n')
        result = pull(world, path)
        assert (result.status, counts(result)) == ("completed", (3, 2, 0, 0, 2, 1))
        (fault,) = result.faults
        assert (fault.field, fault.code, fault.position) == (field, code, f"{path} line 2")
        assert sorted(world.mirror()) == ["P-1", "P-2", "P-5", "P-6"]
        run = pfa_core.show_run(world.db, world.principal(), result.run_id)
        assert [(o.outcome, o.code, o.position) for o in run.outcomes] == [
            ("rejected", code, f"{path} line 2")
        ]

    def test_of_duplicates_the_first_one_counts_across_files(
        self, world: World, file: File
    ) -> None:
        first = file(lines(record("P-5", model="first")), "a.jsonl")
        second = file(lines(record("P-5", model="second"), record("P-6")), "b.jsonl")
        result = pull(world, first, second)
        assert counts(result)[:2] == (3, 2)
        assert [(f.code, f.position) for f in result.faults] == [
            ("DUPLICATE_RECORD", f"{second} line 1")
        ]
        assert value(world, "model", "P-5") == "first"

    def test_a_file_of_which_nothing_is_good_is_refused_whole(
        self, world: World, file: File
    ) -> None:
        before = world.mirror()
        with pytest.raises(errors.InvalidData) as refused:
            pull(world, file(lines({"pfaId": "A", "organization": "ORG2"})))
        assert "ORG" in refused.value.hint
        assert world.mirror() == before


class TestFailures:
    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (" \n", "in.json"),
            ("{", "in.json"),
            ("7", "in.json"),
            (b'[{"pfaId":"P-5","model":"\xff"}]', "in.json"),
            ("pfaId,pfaId\nP-5,P-5\n", "in.csv"),
            ('pfaId\n"P-5', "in.csv"),
            ('{"ErrorAlert":[{"Message":"no session"}]}', "in.json"),
            ('{"Result":{"ResultData":{}}}', "in.json"),
        ],
    )
    def test_a_file_that_is_wrong_as_a_whole_leaves_the_mirror_and_a_failed_run(
        self, world: World, file: File, tmp_path: Path, content: str | bytes, name: str
    ) -> None:
        field_map = tmp_path / "map.toml"
        field_map.write_text('[fields]\nid = "pfaId"\n')
        before = everything(world)
        good = file(lines(record("P-1", model="X"), record("P-5")), "good.jsonl")
        with pytest.raises(errors.InvalidData) as refused:
            pull(world, good, file(content, name), field_map=field_map)
        after = everything(world)
        run = pfa_core.list_runs(world.db, world.principal())[0]
        assert (run.status, run.source, run.user_id) == ("failed", f"good.jsonl, {name}", "ann")
        assert run.message == refused.value.message
        assert {n for n in after if after[n] != before[n]} == {"pfa_sync_log", "audit_log"}

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            (b"", errors.InvalidData),
            (gzip.compress(b""), errors.InvalidData),
            (None, errors.NotFound),
        ],
        ids=["empty", "empty gzip", "missing"],
    )
    def test_an_input_without_content_begins_no_run(
        self, world: World, file: File, tmp_path: Path, content: bytes | None, error: Any
    ) -> None:
        before = everything(world)
        good = file(lines(record("P-1", model="X"), record("P-5")), "good.jsonl")
        bad = str(tmp_path / "no.jsonl") if content is None else file(content, "in.jsonl")
        with pytest.raises(error):
            pull(world, good, bad)
        with pytest.raises(errors.InvalidData, match="standard input is empty"):
            pull(world, "-", stdin=io.BytesIO())
        assert everything(world) == before

    def test_a_bad_map_leaves_the_mirror(self, world: World, file: File, tmp_path: Path) -> None:
        field_map = tmp_path / "map.toml"
        field_map.write_text('[fields]\nid = "pfaId"\n[transforms]\nmodel = "reverse"\n')
        before = everything(world)
        with pytest.raises(errors.ConfigInvalid, match="unknown transform 'reverse'"):
            pull(world, file(lines(record("P-9"))), field_map=field_map)
        assert everything(world) == before

    def test_a_broken_gzip_leaves_the_mirror(self, world: World, file: File) -> None:
        whole = gzip.compress(lines(*(record(f"Q-{n}") for n in range(2000))).encode())
        before = world.mirror()
        with pytest.raises(errors.IoFailure):
            pull(world, file(whole[: len(whole) // 2], "in.gz"), file_format="jsonl")
        assert world.mirror() == before

    def test_a_file_that_is_not_there_is_not_found(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(errors.NotFound):
            pull(world, str(tmp_path / "none.jsonl"))

    def test_a_directory_cannot_be_read(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(errors.IoFailure):
            pull(world, str(tmp_path))

    def test_no_file_is_no_pull(self, world: World) -> None:
        with pytest.raises(errors.InvalidRequest):
            pull(world)

    def test_an_unknown_format_is_refused(self, world: World, file: File) -> None:
        with pytest.raises(errors.InvalidRequest):
            pull(world, file("x"), file_format="xml")

    @pytest.mark.parametrize(
        "content",
        [
            "no toml",
            "[other]\n",
            '[fields]\na = "pfaId"\nb = "pfaId"\n',
            '[fields]\na = "cost"\n',
            '[fields]\na = "category"\n',
            "[fields]\na = 1\n",
        ],
    )
    def test_a_bad_field_map_is_refused(
        self, world: World, file: File, tmp_path: Path, content: str
    ) -> None:
        field_map = tmp_path / "map.toml"
        field_map.write_text(content)
        with pytest.raises(errors.ConfigInvalid):
            pull(world, file(lines(record("P-5"))), field_map=field_map)

    def test_a_dry_run_tells_the_same_and_leaves_nothing(self, world: World, file: File) -> None:
        before = everything(world)
        path = file(lines(record("P-1", model="X"), record("P-5"), {"pfaId": 7}))
        assert counts(pull(world, path, dry_run=True)) == (3, 1, 1, 0, 1, 1)
        with pytest.raises(errors.InvalidData):
            pull(world, file("", "empty.json"), dry_run=True)
        assert everything(world) == before

    @pytest.mark.parametrize("source", ["file", "pipe"])
    def test_a_pull_that_lost_against_another_starts_over_with_all_of_its_input(
        self, world: World, file: File, source: str
    ) -> None:
        """The database calls the transaction off once, after everything was read."""
        text = lines(record("P-1", model="X"), record("P-5"))
        calls = iter(range(100))

        def an_id() -> UUID:
            if next(calls) == 1:
                raise psycopg.errors.SerializationFailure
            return new_id()

        world.db.new_id = an_id
        piped = io.BytesIO(text.encode())
        result = pull(world, "-" if source == "pipe" else file(text), stdin=piped)
        assert next(calls) > 2
        assert counts(result) == (2, 1, 1, 0, 1, 0)
        assert value(world, "model") == "X"


class TestDrafts:
    def test_drafts_survive_and_lie_over_the_new_baseline(self, world: World) -> None:
        draft(world.db, world.principal("ann"), model="mine")
        draft(world.db, world.principal("bob"), dor="BEO")
        world.pull([record("P-1", model="theirs", monthlyRate=7)])
        for user, fields in {"ann": {"model": "mine"}, "bob": {"dor": "BEO"}}.items():
            row = one(world, user=user)
            assert row.data == {**world.mirror()["P-1"], **fields}
            assert (row.sync_state, row.version) == ("draft", 1)
            assert row.data["monthlyRate"] == 7

    def test_stacks_survive(self, world: World) -> None:
        draft(world.db, world.principal(), model="A", dor="BEO")
        commit(world.db, world.principal())
        draft(world.db, world.principal(), model="B")
        world.pull([record("P-1", monthlyRate=7, dor="PROJECT", category="Van")])
        merged = one(world).data
        assert (merged["model"], merged["dor"], merged["category"]) == ("B", "BEO", "Van")

    def test_lists_and_kpis_follow_at_once(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine")
        world.pull([record("P-1", category="Van"), record("P-2", category="Van")])
        assert ids(world, category=("Van",)) == ["P-1", "P-2"]
        assert stats(world).category_breakdown == {"Van": 2}
        assert stats(world, baseline=True).category_breakdown == {"Van": 2}

    def test_a_record_that_did_not_arrive_stays_with_its_draft(self, world: World) -> None:
        draft(world.db, world.principal(), "P-2", model="mine")
        assert world.pull([record("P-1")]).missing == 1
        assert one(world, "P-2").data["model"] == "mine"


def test_the_kpis_after_any_pull_are_those_of_the_mirror(world: World) -> None:
    """The rollup is kept by differences; recomputed from the mirror it is the same."""
    rows = [
        record("P-1", source="Purchase", purchasePrice=5, category="A"),
        record("P-2", isDiscontinued=True, monthlyRate=None),
        record("P-3", forecastEnd=None, actualStart="2025-12-01", actualEnd="2025-12-05"),
    ]
    for batch in (rows, rows[:1], [record("P-1")], rows):
        world.pull(batch)
        for by in ((), ("category",), ("source", "isDiscontinued")):
            rolled = stats(world, by=by, baseline=True)
            # A filter on the manufacturer is answered from the mirror's rows, not from the rollup.
            computed = stats(world, by=by, baseline=True, manufacturer=("Liebherr",))
            assert rolled == computed


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("first", [False, True])
def test_progress_is_reported_now_and_then(world: World, first: bool) -> None:
    seen: list[Progress] = []
    text = lines(*(record(f"Q-{n}") for n in range(2500)))
    if first:
        world = a_world(world.url, organization="NEW")
    pull(world, "-", stdin=io.BytesIO(text.encode()), progress=seen.append)
    reading = [Progress(phase=Phase.READING, done=done) for done in (1000, 2000)]
    assert seen == [*reading, Progress(phase=Phase.STORING, done=2500, total=2500)]


def test_a_pull_leaves_a_run_and_a_line_in_the_log(world: World, file: File) -> None:
    result = pull(world, file(lines(record("P-1", model="X"), {"pfaId": 7})))
    expected = {
        "total": 2,
        "inserted": 0,
        "updated": 1,
        "unchanged": 0,
        "missing": 1,
        "rejected": 1,
        "foreign": 0,
    }
    run = pfa_core.list_runs(world.db, world.principal())[0]
    assert (run.run_id, run.direction, run.status, run.source) == (
        result.run_id,
        "pull",
        "completed",
        "in.jsonl",
    )
    assert (dict(run.counts), run.message) == (expected, None)
    assert run.finished_at is not None
    assert run.started_at <= run.finished_at
    entry = pfa_core.list_log(world.db, world.principal())[0]
    ended = {"status": "completed", **expected}
    assert (entry.action, entry.run_id, entry.after) == ("pull", result.run_id, ended)


def test_what_arrives_has_a_key_so_that_stale_statistics_cost_no_record_by_record_comparison(
    database_url,
):
    """At a million records of an organization that the statistics did not know it took more than minutes."""
    world = a_world(database_url, record("P-1"))

    def incoming(conn: psycopg.Connection[Any]) -> list[Any]:
        mirror.copy_incoming(conn, [("P-2", "{}", None), ("P-1", "{}", None)])
        keys = "SELECT indexdef FROM pg_indexes WHERE tablename = 'pfa_incoming'"
        return conn.execute(keys).fetchall()

    ((definition,),) = world.owner.transact(incoming, dry_run=True)
    assert "UNIQUE" in definition
    assert definition.endswith("(pfa_id)")


def test_a_file_without_a_record_counts_every_record_as_missing_and_marks_none(
    database_url, tmp_path
):
    world = a_world(database_url, record("P-1"), record("P-2"))
    empty = tmp_path / "none.json"
    empty.write_text("[]")
    result = pfa_core.pull_files(world.db, world.principal(), [str(empty)])
    assert (result.total, result.missing) == (0, 2)
    assert len(world.mirror()) == 2


@pytest.mark.slow
def test_a_pipe_is_not_read_behind_what_a_broken_connection_had_taken(
    world: World, tmp_path: Path
) -> None:
    pipe, broken = tmp_path / "pipe", []
    os.mkfifo(pipe)
    lines = "".join(f'{{"pfaId":"N-{number:05}"}}\n' for number in range(3000))
    writer = threading.Thread(target=lambda: pipe.write_text(lines))
    writer.start()

    def breaking(_: object) -> None:
        if not broken:
            broken.append(world.db.connection().info.backend_pid)
            with psycopg.connect(world.db.conninfo or "", autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s::int)", broken)

    result = pfa_core.pull_files(
        world.db, world.principal(), [str(pipe)], file_format="jsonl", progress=breaking
    )
    writer.join()
    assert broken
    assert (result.inserted, result.rejected) == (3000, 0)


class TestLeftovers:
    def test_keys_that_look_alike_are_one_record_and_counted(
        self, world: World, file: File
    ) -> None:
        rows = [
            "pfaId,category",
            "Y-1,Crane",
            "Y-1 ,x",
            "\u00a0Y-2,Crane\u00a0",
            "Y-e\u0301,Crane",
            "Y\u200b,a",
        ]
        result = pull(world, file("\n".join(rows), "in.csv"))
        assert (counts(result)[:2], result.rejected, result.normalized) == ((5, 3), 2, 2)
        assert {
            pfa_id: held["category"] for pfa_id, held in world.mirror().items() if pfa_id[0] == "Y"
        } == {
            "Y-1": "Crane",
            "Y-2": "Crane",
            "Y-\u00e9": "Crane",
        }
        assert [(fault.code, fault.message) for fault in result.faults] == [
            ("DUPLICATE_RECORD", "is listed twice in this pull; the first one counts"),
            ("INVALID_TYPE", "holds an invisible character, U+200B zero width space"),
        ]
        assert pull(world, file("pfaId,category\nY-1,Crane\n", "in.csv")).normalized == 0

    def test_what_a_spreadsheet_leaves_is_passed_over_and_counted(
        self, world: World, file: File
    ) -> None:
        text = (
            "pfaId,monthlyRate,,forecastStart,\n,,,,\nY-1,5,,2026-02-15 00:00:00,\n\nY-2,NULL,,,\n"
        )
        result = pull(world, file(text, "in.csv"), nulls=["NULL"])
        assert (counts(result)[:2], result.empty_rows, result.empty_columns) == ((2, 2), 2, 2)
        mirror = world.mirror()
        assert (mirror["Y-1"]["monthlyRate"], mirror["Y-1"]["forecastStart"]) == (5, "2026-02-15")
        assert mirror["Y-2"]["monthlyRate"] is None
        result = pull(world, file(text, "in.csv"))
        assert (result.rejected, result.faults[0].field) == (1, "monthlyRate")

    def test_a_text_for_nothing_is_of_tables(self, world: World, file: File) -> None:
        with pytest.raises(errors.InvalidRequest, match="nulls are of CSV and TSV"):
            pull(world, file(lines(record("P-1"))), nulls=["NULL"])

    @pytest.mark.parametrize(
        "text",
        ["pfaId\tmonthlyRate\nP-1\t1.5\n", "id;monthlyRate\nP-1;1.5\n", "pfaId;mo,pfaId\nP-1;1\n"],
    )
    def test_a_separator_that_is_not_certain_is_named_and_nothing_stored(
        self, world: World, file: File, text: str
    ) -> None:
        before = world.mirror()
        with pytest.raises(errors.InvalidData, match="its columns are separated by"):
            pull(world, file(text, "in.csv"))
        assert world.mirror() == before

    @pytest.mark.parametrize("separator", [";", "|"])
    @pytest.mark.parametrize("first", ["", "sep=S\n"])
    def test_a_separator_by_which_alone_the_header_has_the_key_is_read(
        self, world: World, file: File, separator: str, first: str
    ) -> None:
        text = f'{first}pfaIdSmonthlyRateSmodel\nY-1S1.5S"a, bS"\nY-2S1,5Sc\n'.replace(
            "S", separator
        )
        result = pull(world, file(text, "in.csv"))
        assert (counts(result)[:2], result.rejected) == ((2, 1), 1)
        assert result.faults[0].message.startswith(
            "must be a number"
        )  # a decimal comma is not guessed
        found = world.mirror()["Y-1"]
        assert (str(found["monthlyRate"]), found["model"]) == ("1.5", f"a, b{separator}")

    @pytest.mark.variants(3)
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
    def test_utf_16_is_read_where_its_first_bytes_show_it(
        self, world: World, file: File, encoding: str, name: str
    ) -> None:
        text = (
            "pfaId;model\nY-1;Größe\n"
            if name == "in.csv"
            else lines({"pfaId": "Y-1", "model": "Größe"})
        )
        result = pull(world, file(text.encode(encoding), name))
        assert counts(result)[:2] == (1, 1)
        assert world.mirror()["Y-1"]["model"] == "Größe"

    def test_a_cut_utf_16_file_stores_nothing(self, world: World, file: File) -> None:
        before = world.mirror()
        cut = "pfaId,model\nY-1,a\n".encode("utf-16")[:-1]
        with pytest.raises(errors.InvalidData, match="is not utf-16"):
            pull(world, file(cut, "in.csv"))
        assert world.mirror() == before

    def test_a_workbook_is_refused_with_what_to_do(self, world: World, file: File) -> None:
        content = b"PK\x03\x04" + b"\0" * 30 + b"[Content_Types].xml"
        with pytest.raises(errors.InvalidData, match="an Excel workbook") as caught:
            pull(world, file(content, "in.xlsx"))
        assert "save its sheet as CSV" in caught.value.hint
        assert "pfa draft save FILE" in caught.value.hint

    def test_one_refused_record_is_not_called_all_records(self, world: World, file: File) -> None:
        with pytest.raises(
            errors.InvalidData, match="the only record was refused, the mirror is unch"
        ):
            pull(world, file(lines({"model": "x"})))
        with pytest.raises(errors.InvalidData, match="all 2 records were refused"):
            pull(world, file(lines({"model": "x"}, {"model": "y"})))


def test_a_pull_from_files_is_logged_as_one_from_pems(
    world: World, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "pfa"):
        result = pull(world, file(lines(record("P-9"), {"model": "x"})))
    first, last = caplog.records
    assert (first.event, first.run, first.fields["source"]) == (
        "started",
        result.run_id,
        "in.jsonl",
    )
    assert (last.event, last.fields) == ("ended", {"status": "completed", **result.counts()})


def test_a_pull_that_fails_ends_in_the_log_too(
    world: World, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "pfa"), pytest.raises(errors.InvalidData) as refused:
        pull(world, file(lines({"model": "x"})))
    first, last = caplog.records
    assert (first.event, last.event, last.run) == ("started", "ended", first.run)
    assert (last.levelname, last.fields) == (
        "ERROR",
        {"status": "failed", "reason": refused.value.message},
    )
