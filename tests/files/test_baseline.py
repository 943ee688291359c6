"""Baseline files: which format it is, the records in it, and each fault with its place."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal

import pytest

from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest, NotFound
from pfa_core.files.baseline import GridAnswer, RawRecord, read_baseline
from pfa_core.model.modification import State

ONE = {"pfaId": "P-1", "monthlyRate": 5500.5}
TWO = {"pfaId": "P-2", "monthlyRate": None}
READ_ONE = {"pfaId": "P-1", "monthlyRate": Decimal("5500.5")}
# As `pfa list -o json` and `-o jsonl` print records.
LISTED = [{"pfaId": each["pfaId"], "data": each, "syncState": "pristine"} for each in (ONE, TWO)]
GRID = {"Result": {"ResultData": {"GRID": {"DATA": {"ROW": []}}}}}
CSV = "pfaId,monthlyRate\nP-1,5500.50\nP-2,\n"
BOM = b"\xef\xbb\xbf"


def read(tmp_path, content: str | bytes, name: str = "data", file_format: str = "auto"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = list(read_baseline(str(path), file_format))
    where = f"{path} "
    return [
        item if isinstance(item, GridAnswer) else (item.position.removeprefix(where), item)
        for item in found
    ]


def values(found):
    return [item.value for _, item in found]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (json.dumps([ONE, TWO]), "a.json"),
        (json.dumps([ONE, TWO], indent=1), "data"),
        (json.dumps({"data": [ONE, TWO]}, indent=1), "data"),
        (json.dumps({"data": LISTED}, indent=1), "a.json"),
        (json.dumps({"data": LISTED}), "a.json"),
        (json.dumps({"data": [ONE, TWO]}), "data"),
        ("\n".join(map(json.dumps, LISTED)), "a.jsonl"),
        (json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n", "a.jsonl"),
        (json.dumps(ONE) + "\n" + json.dumps(TWO), "a.ndjson"),
        (json.dumps(ONE) + "\r\n\r\n" + json.dumps(TWO), "data"),
        (json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n", "A.JSONL"),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda raw: gzip.compress(BOM + raw)])
def test_json_and_jsonl_are_distinguished_whatever_the_wrapping(tmp_path, content, name, pack):
    found = read(tmp_path, pack(content.encode()), name)
    assert values(found) == [READ_ONE, TWO]
    assert all(not item.textual for _, item in found)


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz", "data", "a.txt"])
def test_csv_is_known_by_its_name_or_by_not_being_json(tmp_path, name):
    content = gzip.compress(CSV.encode()) if name.endswith(".gz") else CSV
    one = {"pfaId": "P-1", "monthlyRate": "5500.50"}
    two = {"pfaId": "P-2", "monthlyRate": ""}
    assert read(tmp_path, content, name) == [
        ("line 2", RawRecord(one, f"{tmp_path / name} line 2", textual=True)),
        ("line 3", RawRecord(two, f"{tmp_path / name} line 3", textual=True)),
    ]


def test_an_error_alert_on_one_line_is_a_grid_answer(tmp_path):
    alert = {"ErrorAlert": [{"Message": "x"}]}
    assert read(tmp_path, json.dumps(alert), "rio.json") == [GridAnswer(alert)]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("answer", [GRID, {"Result": {}, "ErrorAlert": [{"Message": "x"}]}])
def test_a_saved_grid_answer_is_handed_on_whole(tmp_path, answer, indent):
    assert read(tmp_path, json.dumps(answer, indent=indent), "rio.json") == [GridAnswer(answer)]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_grid_answer_without_a_telling_name_is_known_by_its_first_key(tmp_path, indent):
    assert read(tmp_path, json.dumps(GRID, indent=indent)) == [GridAnswer(GRID)]


def test_a_record_s_own_field_called_data_is_no_wrapping(tmp_path):
    odd = {"pfaId": "P-1", "data": {"a": 1}}
    assert values(read(tmp_path, json.dumps([odd]), "a.json")) == [odd]


def test_what_our_own_csv_adds_to_a_record_is_left_out(tmp_path):
    own = "pfaId,model,syncState,sessionId,version,modifiedAt,modifiedBy\nP-1,a,pristine,,1,,\n"
    assert values(read(tmp_path, own, "a.csv")) == [{"pfaId": "P-1", "model": "a"}]
    odd = "pfaId,version\nP-1,7\n"
    assert values(read(tmp_path, odd, "a.csv")) == [{"pfaId": "P-1", "version": "7"}]


@pytest.mark.parametrize("state", [state for state in State if state is not State.PRISTINE])
def test_a_row_with_a_user_s_own_values_is_a_fault(tmp_path, state):
    def faults(text, name):
        ((_, found),) = read(tmp_path, text, name)
        assert isinstance(found, Fault)
        return found.pfa_id, found.field, found.code, found.message.partition(":")[0]

    expected = ("P-1", "syncState", FaultCode.OWN_VALUES, f"is {state}")
    own = f"pfaId,model,syncState,sessionId,version,modifiedAt,modifiedBy\nP-1,a,{state},s,1,,ann\n"
    assert faults(own, "a.csv") == expected
    assert faults(f"Sync State,pfa_id,model\n{state.upper()} ,P-1,a\n", "a.csv") == expected
    listed = {"pfaId": "P-1", "data": ONE, "syncState": state}
    assert faults(json.dumps(listed) + "\n", "a.jsonl") == expected
    assert faults(json.dumps({"data": [listed]}), "a.json") == expected
    assert faults(json.dumps({**ONE, "syncState": state}), "a.json") == expected


def test_a_field_of_pems_that_is_called_as_a_mark_is_kept(tmp_path):
    text = "pfaId,syncState\nP-1,ok\n"
    assert values(read(tmp_path, text, "a.csv")) == [{"pfaId": "P-1", "syncState": "ok"}]


def test_a_sheet_for_editing_is_refused_whole(tmp_path):
    for name, separator in (("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";")):
        text = separator.join(["pfaId", "model", "PFA.seen"]) + "\n"
        with pytest.raises(InvalidData, match="is a sheet for editing") as caught:
            read(tmp_path, text, name)
        assert "pfa draft save" in caught.value.hint
    ((_, found),) = read(tmp_path, json.dumps({**ONE, "pfa.seen": "{}"}), "a.json")
    assert (found.field, found.code) == ("pfa.seen", FaultCode.OWN_VALUES)


def test_one_bare_record_is_a_list_of_one(tmp_path):
    assert values(read(tmp_path, json.dumps(ONE), "a.json")) == [READ_ONE]
    assert values(read(tmp_path, json.dumps(ONE, indent=1))) == [READ_ONE]


def test_standard_input_is_guessed_by_its_first_line():
    for content, textual in ((json.dumps(ONE) + "\n", False), (CSV, True)):
        found = list(read_baseline("-", content=io.BytesIO(content.encode())))
        assert found[0].textual is textual
        assert found[0].position.startswith("standard input ")


def test_a_format_that_is_named_is_not_guessed(tmp_path):
    assert values(read(tmp_path, CSV, "a.json", "csv"))[0]["pfaId"] == "P-1"
    assert values(read(tmp_path, json.dumps(ONE), "a.csv", "jsonl")) == [READ_ONE]
    with pytest.raises(InvalidData):
        read(tmp_path, CSV, "a.csv", "json")
    with pytest.raises(InvalidRequest, match="unknown format"):
        list(read_baseline("x", "xml"))


def test_every_place_counts_from_one(tmp_path):
    assert [place for place, _ in read(tmp_path, json.dumps([ONE, TWO]), "a.json")] == [
        "record 1",
        "record 2",
    ]
    lines = f"\n{json.dumps(ONE)}\n\n{json.dumps(TWO)}\n"
    assert [place for place, _ in read(tmp_path, lines, "a.jsonl")] == ["line 2", "line 4"]
    rows = 'pfaId,model\nP-1,"a\nb"\n\nP-2,c\n'
    assert [place for place, _ in read(tmp_path, rows, "a.csv")] == ["line 3", "line 5"]


def test_a_line_that_is_no_json_is_a_fault_and_no_end(tmp_path):
    content = b"\n".join(
        [
            json.dumps(ONE).encode(),
            b'{"pfaId": oops}',
            b'{"pfaId": "M\xfcller"}',
            b'{"pfaId": "a\\u0000b"}',
            b'{"a": 1, "a": 2}',
            json.dumps(TWO).encode(),
        ]
    )
    found = read(tmp_path, content, "a.jsonl")
    assert [place for place, _ in found] == [f"line {number}" for number in range(1, 7)]
    assert values([found[0], found[5]]) == [READ_ONE, TWO]
    faults = [item for _, item in found[1:5]]
    assert all(isinstance(fault, Fault) for fault in faults)
    assert [fault.code for fault in faults] == [
        "INVALID_JSON", "INVALID_ENCODING", "INVALID_JSON", "INVALID_JSON",
    ]  # fmt: skip
    assert "column 11" in faults[0].message
    assert "column 13" in faults[1].message


def test_a_row_with_another_number_of_cells_or_a_nul_is_a_fault_and_no_end(tmp_path):
    found = read(tmp_path, "pfaId,model\nP-1\nP-2,a,b\nP-3,a\0b\nP-4,a\n", "a.csv")
    assert [(place, getattr(item, "code", None)) for place, item in found] == [
        ("line 2", "INVALID_CSV"),
        ("line 3", "INVALID_CSV"),
        ("line 4", "INVALID_TYPE"),
        ("line 5", None),
    ]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "a.json", "is empty"),
        ("", "a.jsonl", "is empty"),
        ("", "a.csv", "is empty"),
        ("", "data", "is empty"),
        (" \n \n", "a.json", "is empty"),
        ("{", "a.json", "line 1 column 2"),
        ('[{"pfaId": 1},\n oops]', "a.json", "line 2 column 2"),
        ("5", "a.json", "must hold a list of records"),
        ('{"rows":\n []}', "a.json", "must hold a list of records"),
        ("pfaId,model,model\nP-1,a,b\n", "a.csv", "twice"),
        ('pfaId,model\nP-1,"a\n', "a.csv", "line"),
        ('pfaId,model\nP-1,"a"b\n', "a.csv", "line 2"),
        (b"pfaId,model\nP-1,M\xfcller\n", "a.csv", "line 2 column 6"),
        (b'[{"pfaId": "M\xfcller"}]', "a.json", "line 1 column 14"),
        (json.dumps([ONE]).encode("utf-32"), "a.json", "UTF-32"),
        ("Result".encode("utf-32"), "data", "UTF-32"),
    ],
    ids=range(16),
)
def test_a_file_that_is_not_of_its_format_is_refused_as_a_whole(tmp_path, content, name, message):
    with pytest.raises(InvalidData) as caught:
        read(tmp_path, content, name)
    assert message in caught.value.message


def test_a_header_that_no_database_holds_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="NUL"):
        read(tmp_path, "pfaId,a\0b\nP-1,x\n", "a.csv")


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        list(read_baseline(str(tmp_path / "gone.jsonl")))


def test_lines_are_read_one_by_one():
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            line = json.dumps(ONE).encode() + b"\n"
            buffer[: len(line)] = line
            return len(line)

    records = read_baseline("-", "jsonl", content=io.BufferedReader(Endless(), 64))
    assert [next(records).value for _ in range(3)] == [READ_ONE] * 3
