"""Rows of CSV and TSV that a pull recognizes by their line, without splitting them."""

from __future__ import annotations

from typing import Any

import pytest

from pfa_core.files import dialect
from tests.factories import a_world, record
from tests.sync.pull.test_recognition import pull, table, world, write

__all__ = ["world", "write"]  # fixtures


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The rows of tables that are split from here on."""
    found: list[Any] = []
    rows = dialect.Table.rows

    def watching(self: dialect.Table) -> Any:
        for row in rows(self):
            found.extend([] if row.passed else [row])
            yield row

    monkeypatch.setattr(dialect.Table, "rows", watching)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_the_lines_of_the_same_table_are_not_split(world, write, monkeypatch, name):
    rows = [record(f"P-{n}") for n in range(1, 1205)]
    separator = "," if name == "in.csv" else "\t"
    pull(world, write(table(rows, separator), name))
    split = watched(monkeypatch)
    rows[7] |= {"model": "NEW"}
    result = pull(world, write(table(rows, separator), name))
    assert (result.total, result.updated, result.unchanged) == (1204, 1, 1203)
    assert len(split) == 1
    assert pull(world, write(table(rows, separator), name)).unchanged == 1204
    assert len(split) == 1


@pytest.mark.parametrize("cell", ["a\nb", "a\r\nb\r\n", '"\n"', "\n\n"])
def test_a_row_of_several_lines_is_read_and_those_beside_it_are_not(
    world, write, monkeypatch, cell
):
    rows = [record("P-1"), record("P-2", description=cell), record("P-3")]
    pull(world, write(table(rows, ","), "in.csv"))
    split = watched(monkeypatch)
    result = pull(world, write(table(rows, ","), "in.csv"))
    assert (result.total, result.unchanged) == (3, 3)
    assert len(split) == 1
    assert world.mirror()["P-2"]["description"] == cell


def test_a_line_within_a_cell_is_no_row_whatever_it_says(world, write):
    content = table([record("P-1"), record("P-2")], ",").decode()
    pull(world, write(content.encode(), "in.csv"))
    _, first, second = content.splitlines()
    about = f"{first}\n{second}"
    rows = [record("P-2", description=about), record("P-1", model="NEW")]
    result = pull(world, write(table(rows, ","), "in.csv"))
    assert (result.total, result.updated, result.unchanged) == (2, 2, 0)
    assert world.mirror()["P-2"]["description"] == about
    again = pull(world, write(table(rows, ","), "in.csv"))
    assert (again.total, again.unchanged) == (2, 2)


def test_carriage_returns_alone_end_rows_that_are_read(world, write):
    rows = [record("P-1", description="x"), record("P-2")]
    content = table(rows, ",").replace(b"\n", b"\r")
    about = table([record("P-3", description="x\ny")], ",").split(b"\n", 1)[1]
    for _ in range(2):
        result = pull(world, write(content + about, "in.csv"))
        assert (result.total, result.rejected) == (3, 0)
    assert world.mirror()["P-3"]["description"] == "x\ny"


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
@pytest.mark.parametrize("ends", [(b"\r\r\n", b"\n"), (b"\n", b"\r\r\n"), (b"\r\r\n", b"\r\n")])
def test_a_carriage_return_in_the_last_cell_comes_and_goes(postgres, write, name, ends):
    separator = b"," if name == "in.csv" else b"\t"
    header = separator.join(b"pfaId category class source dor description".split()) + b"\n"
    rows = [b"P-%d Crane A Rental BEO x" % number for number in (1, 2, 3)]

    def after(*ends: bytes) -> Any:
        with postgres.database(postgres.template()) as url:
            world = a_world(url)
            for end in ends:
                lines = [row.replace(b" ", separator) + end for row in rows]
                pull(world, write(header + b"".join(lines), name))
            found = world.mirror()
            world.db.close()
        return found

    assert after(*ends) == after(ends[-1])


@pytest.mark.slow
def test_a_fault_behind_lines_that_are_passed_over_is_in_its_line(world, write):
    rows = [record(f"P-{n}") for n in range(1, 1205)]
    pull(world, write(table(rows, ","), "in.csv"))
    path = write(table(rows, ",") + b"\nP-9,too few\n", "in.csv")
    result = pull(world, path)
    assert (result.unchanged, result.empty_rows) == (1204, 1)
    assert [fault.position for fault in result.faults] == [f"{path} line 1207"]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"contract", b"agreement", 1),
        lambda content: content.replace(b",", b";"),
    ],
    ids=["header", "separator"],
)
def test_the_lines_below_another_header_are_read(world, write, monkeypatch, change):
    content = table([record("P-1", contract="C"), record("P-2", contract="D")], ",")
    pull(world, write(content, "in.csv"))
    split = watched(monkeypatch)
    pull(world, write(change(content), "in.csv"), allow_emptied=["contract"])
    assert len(split) == 2
