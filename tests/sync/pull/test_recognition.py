"""Recognition of unchanged lines and rows: whatever happened before, a pull does what it does without it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.model.ids import new_id
from pfa_core.model.shape import Shape, joined, shape_of
from pfa_core.store import digests, members, mirror
from pfa_core.store.digests import Part
from pfa_core.sync.pull import intake, recognition
from pfa_core.sync.pull.recognition import Known, Recognition
from tests.factories import World, a_principal, a_world, record
from tests.forms import drawn
from tests.pems_server import a_pems_beside, owned
from tests.worlds import built_once

NEVER = "GRO"  # the organization whose digests are deleted before each pull


@built_once
def world(url: str) -> World:
    return a_world(url, *map(record, ("P-1", "P-2", "P-3")))


@built_once
def both(url: str) -> World:
    """Two organizations that are given the same files."""
    found = a_world(url)
    found.owner.transact(
        lambda conn: conn.execute(
            "INSERT INTO pfa_organization SELECT (jsonb_populate_record(o, %s)).* FROM pfa_organization AS o",
            (json.dumps({"organization_id": NEVER}),),
        )
    )
    found.owner.transact(
        lambda conn: members.put_member(
            conn,
            NEVER,
            "ann",
            role="admin",
            rights=found.principal().rights,
            granted_by="the test",
            at=found.db.clock(),
        )
    )
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(content: bytes, name: str = "in.jsonl") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed as JSON, or read as rows."""
    found: list[str] = []
    read, text = intake.read_changes, intake.TextRows.text
    for name in ("loads_line", "loads_strict"):
        loads = getattr(pfa_core.files.baseline, name)
        monkeypatch.setattr(
            pfa_core.files.baseline,
            name,
            lambda line, loads=loads: found.append(line) or loads(line),
        )
    monkeypatch.setattr(
        intake,
        "read_changes",
        lambda raw, *rest, **named: found.append(raw) or read(raw, *rest, **named),
    )
    monkeypatch.setattr(
        intake.TextRows, "text", lambda self, row: found.append(row) or text(self, row)
    )
    return found


def lines(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in records).encode()


def pull(world: World, *paths: str, **rest: Any) -> pfa_core.PullResult:
    return pfa_core.pull_files(world.db, world.principal(), list(paths), **rest)


def counting(world: World) -> int:
    """How many digests count."""
    parts = world.owner.read(lambda conn: list(digests.load(conn, "ORG")))
    return sum(len(part.digests) for part in parts) // 16


class TestWhatIsNotRead:
    def test_the_same_lines_are_neither_parsed_nor_checked(self, world, write, parsed):
        path = write(lines(*map(record, ("P-1", "P-2", "P-4"))))
        first = pull(world, path)
        assert (first.inserted, first.unchanged, first.missing) == (1, 2, 1)
        assert len(parsed) == 6
        again = pull(world, path)
        assert (again.total, again.unchanged, again.missing) == (3, 3, 1)
        assert len(parsed) == 6

    def test_of_a_line_that_changed_only_that_one_is(self, world, write, parsed):
        path = write(lines(*map(record, ("P-1", "P-2", "P-3"))))
        pull(world, path)
        del parsed[:]
        path = write(lines(record("P-1"), record("P-2", model="NEW"), record("P-3")))
        result = pull(world, path)
        assert (result.updated, result.unchanged, result.missing) == (1, 2, 0)
        assert [text for text in parsed if isinstance(text, str)] == [
            json.dumps(record("P-2", model="NEW")) + "\n"
        ]
        del parsed[:]
        assert pull(world, path).unchanged == 3
        assert parsed == []

    @pytest.mark.variants(2)
    @pytest.mark.parametrize(
        ("name", "parses"), [("in.csv", 0), ("in.json", 1), ("in.jsonl.gz", 0), ("in.tsv", 0)]
    )
    def test_the_rows_of_other_files_are_not_checked(self, world, write, parsed, name, parses):
        rows = [record(f"P-{n}") for n in range(1, 4)]
        content = {
            "in.csv": lambda: table(rows, ","),
            "in.tsv": lambda: table(rows, "\t"),
            "in.json": lambda: json.dumps(rows).encode(),
            "in.jsonl.gz": lambda: gzip.compress(lines(*rows)),
        }[name]()
        path = write(content, name)
        pull(world, path)
        del parsed[:]
        result = pull(world, path)
        assert (result.unchanged, result.missing) == (3, 0)
        assert len(parsed) == parses

    def test_the_rows_of_pems_are_not_checked(self, world, parsed):
        rows = owned(record(f"P-{n}") for n in range(1, 8))
        with a_pems_beside(world, *rows, page_size=3) as far:
            assert far.pull().inserted == 4
            del parsed[:]
            again = far.pull()
            assert (again.total, again.unchanged, again.missing) == (7, 7, 0)
            assert parsed == []
            far.pems.change("P-5", model="NEW")
            assert (far.pull().updated, len(parsed)) == (1, 1)
            far.require_agreement()

    def test_a_file_of_few_records_beside_many_is_read_as_it_is(self, world, write, monkeypatch):
        path = write(lines(*map(record, ("P-1", "P-2", "P-3"))))
        pull(world, path)
        asked = []
        monkeypatch.setattr(digests, "load", lambda *given: asked.append(given) or iter(()))
        monkeypatch.setattr(digests, "expected", lambda *_: Path(path).stat().st_size // 8)
        assert pull(world, path).unchanged == 3
        assert len(asked) == 1
        monkeypatch.setattr(digests, "expected", lambda *_: Path(path).stat().st_size)
        assert pull(world, path).unchanged == 3
        assert len(asked) == 1


class TestWhatEndsADigest:
    """A digest counts for one row as one transaction wrote it; any other write ends it."""

    @pytest.fixture
    def path(self, world: World, write: Callable[..., str]) -> str:
        path = write(lines(*map(record, ("P-1", "P-2", "P-3"))))
        assert pull(world, path).unchanged == 3
        assert counting(world) == 3
        return path

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE pfa_mirror SET data = data || '{\"model\": \"SPOILT\"}' WHERE pfa_id = 'P-2'",
            "WITH gone AS (DELETE FROM pfa_mirror WHERE pfa_id = 'P-2' RETURNING *)"
            " INSERT INTO pfa_mirror (organization_id, pfa_id, data, version, run_id, updated_at)"
            ' SELECT organization_id, pfa_id, data || \'{"model": "SPOILT"}\', version, run_id, updated_at'
            " FROM gone",
        ],
    )
    def test_a_row_that_was_changed_by_other_means_is_mended(self, world, path, statement):
        world.execute(statement)
        assert counting(world) == 2
        result = pull(world, path)
        assert (result.updated, result.unchanged) == (1, 2)
        assert world.mirror()["P-2"]["model"] == "LTM 1030"
        assert counting(world) == 3

    def test_what_a_push_wrote_is_not_taken_for_what_the_file_says(self, world, path):
        def settle(conn: Any) -> None:
            changes = {
                "pfa_id": "P-2",
                "reading": None,
                "changes": {"model": "PUSHED"},
                "revision": "2",
            }
            mirror.fold(conn, "ORG", new_id(), [changes], datetime.now(UTC))

        world.owner.transact(settle)
        assert counting(world) == 2
        assert pull(world, path).updated == 1
        assert world.mirror()["P-2"]["model"] == "LTM 1030"

    def test_a_missing_record_is_found_again(self, world, path):
        world.execute("UPDATE pfa_mirror SET missing_since = now() WHERE pfa_id = 'P-2'")
        assert counting(world) == 2
        assert pull(world, path).unchanged == 3
        assert world.rows("SELECT 1 FROM pfa_mirror WHERE missing_since IS NOT NULL") == []
        assert counting(world) == 3

    def test_other_code_reads_anew(self, world, path, parsed, monkeypatch):
        monkeypatch.setattr(recognition, "RULES", b"other")
        pull(world, path)
        assert len(parsed) == 6
        pull(world, path)
        assert len(parsed) == 6

    def test_another_field_map_reads_anew(self, world, path, parsed, tmp_path):
        other = tmp_path / "map.toml"
        other.write_text('[fields]\nid = "pfaId"\nmake = "model"\n[defaults]\nmodel = "M"\n')
        pull(world, path, field_map=other)
        assert len(parsed) == 6
        other.write_text('[fields]\nid = "pfaId"\nmake = "model"\n[defaults]\nmodel = "N"\n')
        pull(world, path, field_map=other)
        assert len(parsed) == 12
        pull(world, path, field_map=other)
        assert len(parsed) == 12

    def test_the_organization_s_only_currency_reads_anew(self, world, write):
        path = write(lines(record("P-1", currency="EUR"), record("P-2", currency="USD")))
        assert pull(world, path).updated == 2
        pfa_core.configure_organization(
            world.db, world.principal(), currency="EUR", foreign_currency="refuse"
        )
        result = pull(world, path)
        assert (result.unchanged, result.rejected, result.missing) == (1, 1, 2)

    def test_a_new_mirror_over_digests_of_an_old_one_is_filled(self, world, path):
        world.execute("DELETE FROM pfa_mirror")
        assert pull(world, path).inserted == 3
        assert counting(world) == 3

    def test_a_dry_run_keeps_none(self, world, write):
        path = write(lines(record("P-1", model="NEW")))
        assert pull(world, path, dry_run=True).updated == 1
        assert pull(world, path).updated == 1

    def test_a_refused_line_has_none(self, world, path, write):
        refused = record("P-1", monthlyRate="many")
        path = write(lines(refused, record("P-2")))
        for _ in range(2):
            result = pull(world, path)
            assert (result.rejected, result.unchanged, result.missing) == (1, 1, 2)
            assert [fault.position for fault in result.faults] == [f"{path} line 1"]


class TestWhatComesTwice:
    @pytest.mark.parametrize("second", [{}, {"model": "OTHER"}])
    @pytest.mark.parametrize("order", [1, -1])
    def test_the_first_of_two_lines_of_a_record_counts(self, world, write, second, order):
        pull(world, write(lines(*map(record, ("P-1", "P-2", "P-3")))))
        two = [record("P-1"), record("P-1", **second)][::order]
        path = write(lines(*two, record("P-2")))
        result = pull(world, path)
        assert [(fault.pfa_id, fault.position) for fault in result.faults] == [
            ("P-1", f"{path} line 2")
        ]
        assert (result.total, result.rejected, result.missing) == (3, 1, 1)
        assert world.mirror()["P-1"]["model"] == two[0]["model"]

    def test_a_mark_of_the_byte_order_counts_for_nothing_at_the_beginning_only(
        self, world, write, parsed
    ):
        first, second = lines(record("P-1")), lines(record("P-2"))
        assert pull(world, write(codecs.BOM_UTF8 + first + second)).unchanged == 2
        assert pull(world, write(first + second)).unchanged == 2
        assert len(parsed) == 4
        assert pull(world, write(second + codecs.BOM_UTF8 + first)).unchanged == 2
        assert len(parsed) == 6


class TestWhatIsSaidOfLinesThatWereNotRead:
    """The source of a pull is all of its lines."""

    def test_a_default_of_one_is_one_of_the_source(self, world, write):
        one = {name: value for name, value in record("P-1").items() if name != "isActualized"}
        two = record("P-2", isActualized=True)
        pull(world, write(lines(one, two)))
        result = pull(world, write(lines(one, {**two, "isActualized": False})))
        assert (result.updated, result.unchanged, result.emptied) == (1, 1, {"isActualized": 1})
        # The other side of it: where every record has a value, off is one.
        one = record("P-1")
        pull(world, write(lines(one, two)))
        result = pull(world, write(lines(one, {**two, "isActualized": False})))
        assert (result.updated, result.unchanged, result.emptied) == (1, 1, {})

    def test_a_column_of_one_is_there(self, world, write, tmp_path):
        path = tmp_path / "map.toml"
        path.write_text('[fields]\nid = "pfaId"\nmake = "model"\n[defaults]\nmodel = "M"\n')
        with_it, without = {"id": "P-1", "make": "X"}, {"id": "P-2"}
        given = {"field_map": path, "allow_emptied": ("all",)}
        pull(world, write(lines(with_it, {**without, "make": "X"})), **given)
        result = pull(world, write(lines(with_it, without)), **given)
        assert (result.updated, result.unchanged, result.emptied) == (1, 1, {})
        assert pull(world, write(lines({**with_it, "make": "Y"}, with_it)), **given).updated == 1
        # The other side of it: no line has the column.
        result = pull(world, write(lines({"id": "P-1"}, without)), **given)
        assert (result.updated, result.unchanged, result.emptied) == (1, 1, {"model": 1})

    def test_an_unknown_field_of_one_is_named(self, world, write):
        rows = [record(f"P-{n}", equipment="E") for n in range(1, 13)]
        one = {**rows[0], "freight": 7}
        pull(world, write(lines(one, *rows[1:])))
        path = write(lines(one, *({**row, "equipment": None} for row in rows[1:])))
        with pytest.raises(errors.InvalidData) as refused:
            pull(world, path)
        assert refused.value.hint.startswith("unknown fields of this pull: freight;")


class TestWhatHappensMeanwhile:
    def test_what_a_push_writes_while_a_file_is_read_is_compared(self, world, write):
        path = write(lines(*map(record, ("P-1", "P-2", "P-3"))))
        pull(world, path)
        real = mirror.copy_incoming

        def copy(conn: Any, rows: Any) -> int:
            received = real(conn, rows)
            if not received:
                with psycopg.connect(world.url) as other:
                    other.execute(
                        'UPDATE pfa_mirror SET data = data || \'{"model": "P"}\', version = version + 1'
                    )
            return received

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mirror, "copy_incoming", copy)
            assert pull(world, path).updated == 3
        assert world.mirror()["P-2"]["model"] == "LTM 1030"

    def test_what_a_push_writes_while_pems_is_read_is_read_again(self, world):
        rows = owned(record(f"P-{n}") for n in range(1, 4))
        with a_pems_beside(world, *rows, page_size=2) as far:
            far.pull()
            real = intake.Intake.take_row

            def take(self: intake.Intake, row: dict[str, str], number: int) -> Any:
                found = real(self, row, number)
                if number == 2:
                    world.execute(
                        'UPDATE pfa_mirror SET data = data || \'{"model": "SPOILT"}\','
                        " version = version + 1, updated_at = '2000-01-01'"
                    )
                return found

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(intake.Intake, "take_row", take)
                result = far.pull()
            assert (result.total, result.updated, result.unchanged) == (3, 3, 0)
            far.require_agreement()

    @pytest.mark.slow
    def test_a_pull_that_is_cut_keeps_none_of_what_it_did_not_store(self, world, write):
        rows = [record(f"P-{n}", model="NEW") for n in range(1, 2001)]
        path = write(lines(*rows))

        def stop(_: object) -> None:
            raise KeyboardInterrupt

        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                pull(world, path, progress=stop)
            assert counting(world) == 3
        assert (pull(world, path).inserted, counting(world)) == (1997, 2000)
        assert pull(world, path).unchanged == 2000

    def test_a_pull_from_pems_that_was_interrupted_resumes(self, world):
        rows = owned(record(f"P-{n}") for n in range(1, 10))
        with a_pems_beside(world, *rows, page_size=3) as far:
            far.pull()
            far.pems.change("P-2", model="NEW")
            far.pems.change("P-8", model="NEW")
            far.pems.remove("P-9")
            far.pems.faults = ["500:1:after=2:on=grid"]
            first = far.pull()
            assert (first.status, first.updated, first.unchanged) == ("partial", 1, 5)
            far.pems.faults = []
            second = far.pull()
            assert (second.updated, second.unchanged, second.missing) == (1, 1, 1)
            assert [row["model"] for row in world.mirror().values()].count("NEW") == 2


def table(rows: list[dict[str, Any]], separator: str) -> bytes:
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if row.get(n) is None else row.get(n) for n in names])
    return out.getvalue().encode()


class Draw:
    """Files, and what happens between them, from a seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random, self.folder, self.number = random.Random(seed), folder, 0
        self.rows = [self.row(f"P-{n}") for n in range(self.random.randint(1, 8))]

    def row(self, pfa_id: str) -> dict[str, Any]:
        pick = self.random
        row = record(pfa_id, model=pick.choice(["A", "B", None, ""]))
        for name in pick.sample([*row], pick.choice([0, 0, 1, 3])):
            if name != "pfaId":
                row.pop(name)
        for name, values in (
            ("source", ("", "Purchase", "nothing known", " Rental ")),
            ("isActualized", ("", None, "yes", True)),
            ("monthlyRate", (None, 7, "8.50", "many")),
            ("pfaId", (f" {pfa_id}", "", f"{pfa_id}\u0301")),
            ("organization", ("OTHER", "")),
            ("currency", ("EUR", "USD")),
            ("unknown one", (1, "x")),
            ("unknown two", ({"a": [1]}, None)),
            ("pemsVersion", ("2025-10-01T00:00:00Z", "2025-12-01T00:00:00Z", "3")),
            ("category", (" Crane", "Cra\u0301ne")),
            ("description", ("a\nb", 'say "x", y', "a\rb", "P-1,A", "\n")),
        ):
            if pick.random() < 0.08:
                row[name] = pick.choice(values)
        if pick.random() < 0.2:
            row = dict(pick.sample([*row.items()], len(row)))
        return row

    def file(self) -> str:
        """Mostly the rows of before: some anew, some gone, some twice, in another order."""
        pick = self.random
        for place in range(len(self.rows)):
            if pick.random() < 0.15:
                self.rows[place] = self.row(f"P-{place}")
        rows = [row for row in self.rows if pick.random() > 0.1] or self.rows
        rows = [again for row in rows for again in [row] * (1 + (pick.random() < 0.1))]
        if pick.random() < 0.2:
            rows.append(self.row(f"P-{pick.randrange(8)}"))
        if pick.random() < 0.3:
            pick.shuffle(rows)
        kind = pick.choice(["jsonl"] * 3 + ["csv"] * 3 + ["tsv"] * 2 + ["json", "gz"])
        self.number += 1
        path = self.folder / f"{self.number}.{kind if kind != 'gz' else 'jsonl.gz'}"
        if kind in ("csv", "tsv"):
            content = self.spoilt(table(rows, "," if kind == "csv" else "\t"))
        elif kind == "json":
            content = json.dumps(rows).encode()
        else:
            content = lines(*rows)
            if pick.random() < 0.2:
                content = content.replace(b"\n", b"\r\n").rstrip() + b"\n\n"
            if pick.random() < 0.2:
                content = codecs.BOM_UTF8 + content
            if pick.random() < 0.2:
                content += b'{"pfaId": \n' + b"\xff\n"
        path.write_bytes(gzip.compress(content) if kind == "gz" else content)
        return str(path)

    def spoilt(self, content: bytes) -> bytes:
        """A table as others write it, or break it."""
        pick = self.random
        if pick.random() < 0.2:
            content = content.replace(b"\n", pick.choice([b"\r\n", b"\r", b"\n\n", b"\r\r\n"]))
        if pick.random() < 0.1:
            content = codecs.BOM_UTF8 + content
        if pick.random() < 0.2:
            content = content.rstrip() + pick.choice([b"", b"\n,,\n", b"\nP-1,few\n", b'\nP-1,"'])
        return content

    def map(self) -> Path | None:
        pick = self.random
        if pick.random() < 0.7:
            return None
        path = self.folder / "map.toml"
        default = pick.choice(["Z", "Y"])
        path.write_text(
            f'[fields]\nid = "pfaId"\nmake = "model"\n{pick.choice(["model", "kind"])} = "category"\n'
            f'[defaults]\nmodel = "{default}"\n'
        )
        return path


_BETWEEN = (
    "UPDATE pfa_mirror SET data = data || '{\"model\": \"SPOILT\"}' WHERE pfa_id = 'P-1'",
    "UPDATE pfa_mirror SET missing_since = now() WHERE pfa_id IN ('P-0', 'P-2')",
    'UPDATE pfa_mirror SET data = data || \'{"model": "PUSHED"}\', version = version + 1'
    " WHERE pfa_id = 'P-3'",
    "UPDATE pfa_organization SET currency = 'EUR', foreign_currency = 'refuse'",
    "UPDATE pfa_organization SET foreign_currency = 'exclude'",
)


def outcome(world: World, code: str, paths: list[str], field_map: Path | None) -> Any:
    """What a pull says."""
    who = a_principal("ann", code)
    try:
        result = pfa_core.pull_files(
            world.db, who, paths, field_map=field_map, allow_emptied=("model",)
        )
    except errors.PfaError as error:
        said = [error.message, error.hint, *error.details]
        return type(error).__name__, [without_name(each, code) for each in said]
    found = {
        name: getattr(result, name) for name in result.__slots__ if name not in ("run_id", "faults")
    }
    found["faults"] = [without_name(fault, code) for fault in result.faults]
    return found


def without_name(said: object, code: str) -> str:
    return re.sub(rf"\b{code}\b", "?", str(said))


def left(world: World, code: str) -> Any:
    """What is in the tables of an organization after a pull."""
    return [
        world.rows(statement, code)
        for statement in (
            "SELECT pfa_id, data - 'organization', version, missing_since IS NULL FROM pfa_mirror"
            " WHERE organization_id = %s ORDER BY 1",
            "SELECT pfa_id, version, data - 'organization' FROM pfa_mirror_history"
            " WHERE organization_id = %s ORDER BY 1, 2",
            *(
                f"SELECT to_jsonb(k) - 'organization_id' FROM {kept} AS k WHERE organization_id = %s ORDER BY 1"
                for kept in ("kpi_rollup", "kpi_month", "kpi_field")
            ),
            "SELECT pfa_id, position, outcome, code, message FROM pfa_sync_outcome"
            " WHERE organization_id = %s ORDER BY run_id, number",
        )
    ]


@drawn("number", short=2, long=40, night=1500)
def test_a_pull_does_what_it_does_without_digests(both, tmp_path, number, monkeypatch):
    """Random files, maps, orders, faults and writes between them, in two organizations."""
    for seed in range(number):
        draw = Draw(seed, tmp_path)
        both.execute("DELETE FROM pfa_mirror")
        both.execute("DELETE FROM pfa_digest")
        both.execute("DELETE FROM pfa_mirror_history")
        for kept in ("kpi_rollup", "kpi_month", "kpi_field"):
            both.execute(f"DELETE FROM {kept}")
        both.execute(_BETWEEN[-1])
        for _ in range(5):
            paths = [draw.file() for _ in range(draw.random.choice([1, 1, 1, 2]))]
            field_map = draw.map()
            both.execute("DELETE FROM pfa_digest WHERE organization_id = %s", NEVER)
            with_them = outcome(both, "ORG", paths, field_map)
            assert with_them == outcome(both, NEVER, paths, field_map), seed
            assert left(both, "ORG") == left(both, NEVER), seed
            if draw.random.random() < 0.4:
                both.execute(draw.random.choice(_BETWEEN))
            if draw.random.random() < 0.1:
                monkeypatch.setattr(recognition, "RULES", bytes([seed % 256]))


def test_digests_are_found_by_all_of_their_bytes():
    one, two = bytes(15) + b"\1", bytes(15) + b"\2"
    known = Known([Part(Shape(1), one, 1, 1), Part(Shape(2, ("x",)), two, 1, 2)])
    assert (len(known), known.state) == (2, digests.State(2, 3))
    assert not known.find(bytes(16))
    assert known.see(one)
    assert not known.see(one)
    assert known.was_seen(one)
    assert not known.see(bytes(16))
    assert known.seen_shape() == Shape(1)
    assert not known.any_seen(two)
    assert known.see(two)
    assert known.any_seen(bytes(16) + two)
    assert known.seen_shape() == Shape(3, ("x",))


def test_many_digests_are_found_and_others_are_not():
    pick = random.Random(1)
    there, not_there = ([pick.randbytes(16) for _ in range(3000)] for _ in range(2))
    known = Known([Part(Shape(), b"".join(there), 3000, 3000)])
    assert all(map(known.find, there))
    assert not any(map(known.find, not_there))
    assert len(set(map(known.find, there))) == 3000


def test_a_shape_says_what_it_was_made_of():
    shape = shape_of(["model", "source", "pfaId"], ["source"], ["b", "a"])
    assert (shape.carried, shape.blank, shape.unknown) == (
        {"model", "source"},
        {"source"},
        ("a", "b"),
    )
    assert joined([shape, shape_of(["dor"], [], ["c"])]).carried == {"model", "source", "dor"}
    assert joined([]) == Shape()


def test_rows_are_told_apart_by_names_values_and_what_they_are_for():
    """No two of these rows have one digest."""
    one, other = Recognition("ORG"), Recognition("OTHER")
    rows = [
        {"a": "1", "b": ""},
        {"a": "", "b": "1"},
        {"b": "1", "a": ""},
        {"a": "1b"},
        {},
        {"a": "1"},
    ]
    found = [
        each.of_row(row, textual=text)
        for each in (one, other, Recognition("ORG", "EUR"))
        for text in (True, False)
        for row in rows
    ]
    assert len(set(found)) == len(found) - 2  # the empty row as text has none
    assert one.of_row({"a": "x\x1fy"}, textual=True) == b""
    assert one.of_row({"a": "\ud800"}, textual=True) == b""
    assert one.of_row({"a": 1}, textual=False) != one.of_row({"a": True}, textual=False)
