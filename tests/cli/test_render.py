"""Formats: what programs read back, and what a terminal gets to see."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_cli.framework.common import require_columns
from pfa_cli.render import escape
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import ago, count, money, signed, span
from pfa_cli.render.json import document
from pfa_cli.render.names import camel_case
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.plain import plain
from pfa_cli.render.records import element, row
from pfa_cli.render.tables import grid, lines_of
from pfa_cli.render.tabulated import MEASURED
from pfa_core import exact_json
from pfa_core.errors import Fault, InvalidRequest
from pfa_core.files.dialect import Table

NASTY = 'a\tb\nc\rd\\e"f,g|h\x1b[31m\x9b\u202e'
ROWS = [
    {"pfaId": "00123", "text": NASTY, "money": Decimal("12345678901234567890.10"), "flag": True},
    {"pfaId": "1e5", "text": None, "money": None, "flag": False},
]


def sheet(**changes: Any) -> Sheet:
    values: dict[str, Any] = {
        "id_column": "pfaId",
        "columns": ("pfaId", "text", "money", "flag"),
        "items": ROWS,
        "envelope": {"data": ROWS},
    }
    return Sheet(**(values | changes))


def written(capsys: pytest.CaptureFixture[str], look: Look, what: Sheet | None = None) -> str:
    show(what or sheet(), look)
    return capsys.readouterr().out


def test_tsv_has_no_header_and_escapes_like_copy(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, Look(Format.TSV)) == (
        '00123\ta\\tb\\nc\\rd\\\\e"f,g|h\x1b[31m\x9b\u202e\t12345678901234567890.10\ttrue\n'
        "1e5\t\t\tfalse\n"
    )


def test_csv_is_read_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    printed = written(capsys, Look(Format.CSV))
    assert list(csv.reader(io.StringIO(printed, newline=""))) == [
        ["pfaId", "text", "money", "flag"],
        ["00123", NASTY, "12345678901234567890.10", "true"],
        ["1e5", "", "", "false"],
    ]
    assert "\r\n" not in printed


ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def captured(look: Look, what: Sheet) -> str:
    """What `show` writes; hypothesis calls it often in one test."""
    with io.StringIO(newline="") as out, contextlib.redirect_stdout(out):
        show(what, look)
        return out.getvalue()


usual = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.text(alphabet=f"{ENDS}=-+@'\t,;\"\\xa ", max_size=8) | usual, min_size=1))
@pytest.mark.parametrize("formulas", [True, False], ids=["plain", "safe"])
@pytest.mark.parametrize("form", [Format.CSV, Format.TSV])
def test_whatever_ends_a_line_ends_no_row_but_where_it_is_quoted(
    form: Format, formulas: bool, texts: list[str]
) -> None:
    """Read by Python's csv module as a file of universal newlines, and by this package's own reader."""
    rows = [{"pfaId": f"P-{place}", "text": text} for place, text in enumerate(texts)]
    look = Look(form, formulas=formulas, header=form is Format.TSV)
    what = sheet(columns=("pfaId", "text"), csv_columns=("pfaId", "text"), rows=rows)
    printed = captured(look, what)
    table = Table(io.StringIO(printed, newline="\n"), "x", form.value)
    assert [row.cells for row in table.rows()] == [[row["pfaId"], row["text"]] for row in rows]
    if form is Format.TSV:
        assert len(printed.splitlines()) == 1 + len(rows)
        return
    universal = list(csv.reader(io.StringIO(printed, newline=None), strict=True))
    assert [cells[0] for cells in universal] == ["pfaId", *(row["pfaId"] for row in rows)]
    assert len(re.sub(r'"[^"]*"', "", printed).splitlines()) == 1 + len(rows)


@pytest.mark.parametrize("terminal", [False, True])
def test_json_keeps_every_digit_and_every_character(
    terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = written(capsys, Look(Format.JSON, terminal=terminal))
    assert json.loads(printed, parse_float=Decimal) == {"data": ROWS}
    assert ("\x9b" in printed) is not terminal


def test_jsonl_is_one_element_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(capsys, Look(Format.JSONL)).splitlines()
    assert [json.loads(line, parse_float=Decimal) for line in lines] == ROWS


def test_ids_are_one_a_line_and_equal_neighbours_are_merged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    doubled = sheet(rows=[ROWS[0], ROWS[0], ROWS[1]])
    assert written(capsys, Look(Format.IDS), doubled) == "00123\n1e5\n"


@pytest.mark.parametrize(
    "look", [Look(Format.TABLE), Look(Format.MARKDOWN), Look(Format.TABLE, terminal=True)]
)
def test_what_people_read_shows_control_characters_escaped(
    look: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = written(capsys, look)
    assert not set(printed) & set("\t\r\x1b\x9b\u202e")
    assert "00123" in printed
    assert "1e5" in printed


@pytest.mark.parametrize("name", [Format.TSV, Format.CSV, Format.IDS])
def test_on_a_terminal_lines_are_shielded_too(
    name: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = written(capsys, Look(name, terminal=True))
    assert not set(printed) & set("\x1b\x9b\u202e")


def test_markdown_escapes_its_own_bar(capsys: pytest.CaptureFixture[str]) -> None:
    what = sheet(columns=("pfaId",), items=[{"pfaId": "a|b"}])
    printed = written(capsys, Look(Format.MARKDOWN), what)
    assert printed.splitlines()[-1] == r"| a\|b  |"


def test_numbers_are_aligned_right_and_ids_left(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"pfaId": "00123", "money": 5}, {"pfaId": "1e5", "money": Decimal("10.10")}]
    what = sheet(columns=("pfaId", "money"), items=rows)
    assert written(capsys, Look(Format.TABLE), what) == (
        "pfaId  money\n-----  -----\n00123      5\n1e5    10.10\n"
    )


def test_a_table_without_rows_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, Look(Format.TABLE), sheet(items=[])) == ""


LONG = [(f"P-{n:05}", n * 1.5, "left|" * (n % 3), None if n % 2 else n) for n in range(2500)]


@pytest.mark.parametrize("look", [Look(Format.TABLE), Look(Format.MARKDOWN)])
def test_a_long_table_is_the_table_of_all_its_rows_when_the_first_are_the_widest(
    look: Look,
) -> None:
    rows = [*LONG[::-1]]
    headers = ("pfaId", "rate", "text", "rest")
    assert "\n".join(lines_of(headers, iter(rows), look)) == grid(headers, rows, look)


def test_a_later_cell_moves_the_cells_behind_it() -> None:
    rows = [("P-1", "a", "b")] * MEASURED + [("P-1", "x" * 300, "b")]
    headers = ("pfaId", "t", "u")
    *_, last = lines_of(headers, rows, Look(Format.TABLE))
    assert last == f"P-1    {'x' * 300}  b"
    *_, last = lines_of(headers, rows, Look(Format.MARKDOWN))
    assert last == f"| P-1   | {'x' * 300} | b |"


def test_rows_of_a_long_table_are_written_as_they_come() -> None:
    taken: list[int] = []
    rows = (taken.append(n) or (n,) for n in range(5000))
    lines = lines_of(("n",), rows, Look(Format.TABLE))
    assert taken == []
    next(lines)
    assert len(taken) == MEASURED
    next(lines)
    assert len(taken) == MEASURED + 1


@dataclass(frozen=True)
class Streamed:
    """An envelope whose sums are known after its data."""

    data: Any
    total: Any
    masked: bool = False


def test_json_of_a_stream_is_the_json_of_the_list_with_what_is_known_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [{"pfaId": f"P-{n}", "rate": Decimal("1.50"), "big": Decimal("1E+3")} for n in range(3)]
    seen: list[int] = []
    stream = (seen.append(n) or item for n, item in enumerate(items))
    whole = written(capsys, Look(Format.JSON), sheet(envelope=Streamed(items, 3)))
    late = Streamed(stream, lambda: len(seen))
    assert written(capsys, Look(Format.JSON), sheet(envelope=late)) == whole
    assert whole == exact_json.dumps({"data": items, "total": 3}) + "\n"
    narrow = Look(Format.JSON, ("pfaId",))
    made = written(capsys, narrow, sheet(items=iter(items), envelope=Streamed(iter(items), 1)))
    assert json.loads(made)["data"] == [{"pfaId": f"P-{n}"} for n in range(3)]


def test_chosen_columns_come_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, Look(Format.TSV, ("flag", "pfaId"))) == "true\t00123\nfalse\t1e5\n"
    assert written(capsys, Look(Format.JSONL, ("flag", "pfaId"))).splitlines()[0] == (
        '{"flag":true,"pfaId":"00123"}'
    )


def test_an_unknown_column_is_refused_and_the_known_ones_named() -> None:
    require_columns(("text", "pfaId"), ("pfaId", "text"))
    with pytest.raises(InvalidRequest) as caught:
        require_columns(("text", "colour"), ("pfaId", "text"))
    assert caught.value.hint == "columns: pfaId, text"


def test_any_field_of_a_record_is_a_column_where_the_command_says_so() -> None:
    require_columns(("data.colour", "pfaId"), ("pfaId",), open_ended=True)
    with pytest.raises(InvalidRequest, match="unknown column 'colour'"):
        require_columns(("colour",), ("pfaId",), open_ended=True)
    with pytest.raises(InvalidRequest, match=r"unknown column 'data\.colour'"):
        require_columns(("data.colour",), ("pfaId",))


def record(data: str = '{"pfaId": "A-1", "monthlyRate": 1.50, "vendor": {"a": [1.0]}}') -> Any:
    return SimpleNamespace(
        pfa_id="A-1",
        data_json=data,
        data=json.loads(data, parse_float=Decimal),
        sync_state="draft",
        session_id="s",
        version=2,
        modified_at=datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2))),
        modified_by="anna",
        costs=None,
    )


def test_a_record_keeps_the_digits_that_the_database_wrote() -> None:
    assert element(record()) == (
        '{"pfaId":"A-1","data":{"pfaId": "A-1", "monthlyRate": 1.50, "vendor": {"a": [1.0]}},'
        '"syncState":"draft","sessionId":"s","version":2,'
        '"modifiedAt":"2026-11-23T10:00:00.000Z","modifiedBy":"anna"}'
    )


def test_a_row_holds_data_marks_and_fields_asked_for_by_prefix() -> None:
    found = row(record(), ("data.vendor", "data.nothing"))
    assert found["monthlyRate"] == Decimal("1.50")
    assert found["data.vendor"] == {"a": [Decimal("1.0")]}
    assert found["data.nothing"] is None
    assert (found["syncState"], found["version"]) == ("draft", 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("10.10"), "10.10"),
        ("1e5", "1e5"),
        (["a", Decimal("1.0")], '["a",1.0]'),
        (datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
    ],
)
def test_values_are_plain_text(value: Any, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    "char", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\u200f", "\u202e", "\u2066", "\u2028"]
)
def test_what_could_move_a_terminal_is_made_visible(char: str) -> None:
    assert (
        escape.visible(f"a{char}b") == f"a\\x{ord(char):02x}b"
        if ord(char) < 256
        else f"a\\u{ord(char):04x}b"
    )
    assert json.loads(escape.visible_json(json.dumps(char, ensure_ascii=False))) == char


@pytest.mark.parametrize("text", ["Müller Kräne", "東洋建機", "a'b\"c", "😀"])
def test_other_characters_stay_as_they_are(text: str) -> None:
    assert escape.visible(text) == text


def test_results_become_camel_case_objects() -> None:
    assert document(Fault("A-1", "dor", "X", "odd")) == {
        "pfaId": "A-1",
        "field": "dor",
        "code": "X",
        "message": "odd",
        "position": "",
    }


def test_numbers_are_worded() -> None:
    assert count(1, "draft") == "1 draft"
    assert count(20280, "record") == "20,280 records"
    assert money(Decimal("1234.5")) == "1,234.50"
    assert [signed(Decimal(n)) for n in ("1.5", "-1.5", "0.00")] == ["+1.50", "-1.50", "0.00"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 seconds"), (60, "1 minute"), (7200, "2 hours"), (200_000, "2 days")],
)
def test_lengths_of_time_are_worded(seconds: int, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


def test_an_instant_is_worded_from_now() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ago(None) == "never"
    assert ago(now - timedelta(seconds=3), now) == "just now"
    assert ago(now - timedelta(hours=3), now) == "3 hours ago"


@pytest.mark.parametrize(
    ("spelled", "field"),
    [
        ("area-silo", "areaSilo"),
        ("areaSilo", "areaSilo"),
        ("data.a-b", "data.a-b"),
        ("pfaId", "pfaId"),
    ],
)
def test_fields_may_be_spelled_like_options(spelled: str, field: str) -> None:
    assert camel_case(spelled) == field
