"""Delta files in every form, and each fault with its place."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import Fault, InvalidData, InvalidRequest, IoFailure
from pfa_core.files.deltas import DeltaFile, read_change, read_delta_file
from pfa_core.model.delta import Change
from pfa_core.model.notation import Notation
from tests.factories import a_delta_file
from tests.model.strategies import json_values

ONE = {"pfaId": "P-1", "delta": {"forecastStart": "2026-12-15"}}
TWO = {
    "pfaId": "P-2",
    "delta": {"monthlyRate": 5500.5},
    "changeReason": "Weather",
    "expectedVersion": 1,
}
FIRST = Change("P-1", {"forecastStart": "2026-12-15"}, position="modification 1")


def second(position: str) -> Change:
    return Change(
        "P-2", {"monthlyRate": Decimal("5500.5")}, "Weather", expected_version=1, position=position
    )


def read(content: str | bytes, path: str = "-") -> DeltaFile:
    raw = content.encode() if isinstance(content, str) else content
    assert path == "-"
    return read_delta_file(path, stdin=io.BytesIO(raw))


def test_an_object_names_its_session_and_organization(tmp_path):
    content = {"sessionId": "weather", "organization": "ORG", "modifications": [ONE, TWO]}
    path = str(a_delta_file(tmp_path, content))
    assert read_delta_file(path) == DeltaFile(
        changes=(FIRST, second("modification 2")),
        faults=(),
        session_id="weather",
        organization_id="ORG",
        source=path,
    )


def test_an_array_names_neither():
    assert read(json.dumps([ONE, TWO])) == DeltaFile(
        changes=(FIRST, second("modification 2")),
        faults=(),
        session_id=None,
        organization_id=None,
        source="standard input",
    )


@pytest.mark.parametrize(
    "text", [json.dumps(ONE), json.dumps(ONE, indent=2), json.dumps(ONE) + "\n"]
)
def test_a_single_modification_may_stand_alone(text):
    assert read(text) == DeltaFile(
        changes=(FIRST,), faults=(), session_id=None, organization_id=None, source="standard input"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_jsonl_is_one_modification_a_line(end):
    found = read(json.dumps(ONE) + end + json.dumps(TWO) + end)
    last = "line 3" if end == "\n\n" else "line 2"
    assert [change.position for change in found.changes] == ["line 1", last]
    assert found.changes[1] == second(last)


def test_a_line_separator_inside_a_text_ends_no_line():
    odd = {"pfaId": "P-1", "delta": {"category": "a\u2028b\x85c"}}
    found = read(json.dumps(odd, ensure_ascii=False) + "\n" + json.dumps(TWO))
    assert found.changes[0].delta == {"category": "a\u2028b\x85c"}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_marks_and_gzip_are_no_obstacle(pack):
    assert read(pack(b"\xef\xbb\xbf" + json.dumps([ONE]).encode())).changes == (FIRST,)


def test_a_csv_changes_the_cells_that_are_not_empty(tmp_path):
    path = a_delta_file(
        tmp_path,
        "pfaId,monthlyRate,forecastStart,isDiscontinued,source,changeReason,expectedVersion\n"
        "00123,5500.50,,Y,PURCHASE,Weather,2\n"
        "P-2,null,2026-12-15,,,,\n",
        "deltas.csv",
    )
    assert read_delta_file(str(path)).changes == (
        Change(
            "00123",
            {"monthlyRate": Decimal("5500.50"), "isDiscontinued": True, "source": "Purchase"},
            "Weather",
            expected_version=2,
            position="line 2",
            read_only={"pfaId": "00123"},
        ),
        Change(
            "P-2",
            {"monthlyRate": None, "forecastStart": "2026-12-15"},
            position="line 3",
            read_only={"pfaId": "P-2"},
        ),
    )


@pytest.mark.parametrize("name", ["in.csv", "in.txt", "in"])
def test_the_line_of_a_csv_that_names_the_separator_is_read(tmp_path, name):
    path = tmp_path / name
    for separator in (",", ";"):
        lines = (f"sep={separator}", f"pfaId{separator}model", f"P-1{separator}a", "")
        path.write_text("\r\n".join(lines))
        assert [(c.pfa_id, c.delta) for c in read_delta_file(str(path)).changes] == [
            ("P-1", {"model": "a"})
        ]


def test_a_csv_cell_may_hold_commas_quotes_and_lines(tmp_path):
    text = 'pfaId,category\nP-1,"Trailer, 40"" flat"\nP-2,"a\nb"\nP-3,x\n'
    found = read_delta_file(str(a_delta_file(tmp_path, text, "deltas.CSV")))
    assert [change.delta["category"] for change in found.changes] == [
        'Trailer, 40" flat',
        "a\nb",
        "x",
    ]
    assert [change.position for change in found.changes] == ["line 2", "line 4", "line 5"]


def test_values_that_a_field_cannot_have_stay_for_the_check_to_name(tmp_path):
    text = "pfaId,monthlyRate,source,isActualized,originalStart\nP-1,abc,Lease,maybe,2025-01-01\n"
    (change,) = read_delta_file(str(a_delta_file(tmp_path, text, "d.csv"))).changes
    assert change.delta == {
        "monthlyRate": "abc", "source": "Lease", "isActualized": "maybe",
    }  # fmt: skip
    assert change.read_only == {"pfaId": "P-1", "originalStart": "2025-01-01"}


def test_a_zipped_csv_is_a_csv(tmp_path):
    content = gzip.compress(b"pfaId,monthlyRate\nP-1,5\n")
    found = read_delta_file(str(a_delta_file(tmp_path, content, "deltas.csv.gz")))
    assert [(change.pfa_id, change.delta) for change in found.changes] == [
        ("P-1", {"monthlyRate": Decimal(5)})
    ]


@pytest.mark.parametrize("version", ["²", "1²", "٣²"])
def test_a_version_of_other_digits_is_a_fault(tmp_path, version):
    text = f"pfaId,monthlyRate,expectedVersion\nP-1,5,{version}\n"
    found = read_delta_file(str(a_delta_file(tmp_path, text, "d.csv")))
    assert [(fault.field, fault.code) for fault in found.faults] == [
        ("expectedVersion", "INVALID_TYPE")
    ]


@pytest.mark.parametrize(
    ("item", "faults"),
    [
        ("P-1", [("", "INVALID_TYPE")]),
        (None, [("", "INVALID_TYPE")]),
        ([], [("", "INVALID_TYPE")]),
        ({"delta": {}}, [("pfaId", "MISSING_REQUIRED_FIELD")]),
        ({"pfaId": None, "delta": {}}, [("pfaId", "INVALID_TYPE")]),
        ({"pfaId": 7, "delta": {}}, [("pfaId", "INVALID_TYPE")]),
        ({"pfaId": " ", "delta": {}}, [("pfaId", "INVALID_TYPE")]),
        pytest.param(
            {"pfaId": "x" * 201, "delta": {}}, [("pfaId", "INVALID_TYPE")], id="an id too long"
        ),
        ({"pfaId": "P-1"}, [("delta", "MISSING_REQUIRED_FIELD")]),
        (ONE | {"expectedVersion": "1"}, [("expectedVersion", "INVALID_TYPE")]),
        (ONE | {"expectedVersion": -1}, [("expectedVersion", "INVALID_TYPE")]),
        (ONE | {"expectedVersion": True}, [("expectedVersion", "INVALID_TYPE")]),
        (ONE | {"expectedVersion": Decimal("1.5")}, [("expectedVersion", "INVALID_TYPE")]),
        (ONE | {"changeReason": 5}, [("changeReason", "INVALID_TYPE")]),
        pytest.param(
            ONE | {"changeReason": "x" * 2001}, [("changeReason", "INVALID_RANGE")],
            id="a reason too long",
        ),
        (ONE | {"reason": "x"}, [("'reason'", "UNKNOWN_FIELD")]),
        (
            {"pfaId": "P-1", "changeReason": 1, "expectedVersion": "x", "monthlyRate": 5},
            [
                ("'monthlyRate'", "UNKNOWN_FIELD"),
                ("changeReason", "INVALID_TYPE"),
                ("expectedVersion", "INVALID_TYPE"),
                ("delta", "MISSING_REQUIRED_FIELD"),
            ],
        ),
    ],
)  # fmt: skip
def test_every_fault_of_a_modification_s_shape_is_reported(item, faults):
    found = read_change(item, "line 7")
    assert isinstance(found, list)
    assert [(fault.field, fault.code) for fault in found] == faults
    assert {fault.position for fault in found} == {"line 7"}


@pytest.mark.parametrize(
    "item",
    [
        ONE,
        ONE | {"expectedVersion": 0},
        ONE | {"expectedVersion": None, "changeReason": None},
        pytest.param(ONE | {"changeReason": "x" * 2000}, id="the longest reason"),
        pytest.param({"pfaId": "x" * 200, "delta": {}}, id="the longest id"),
        {"pfaId": "P-1", "delta": "whatever: the check names it"},
    ],
)
def test_these_shapes_are_in_order(item):
    assert isinstance(read_change(item, "line 7"), Change)


def test_faults_of_single_modifications_are_gathered_beside_the_good_ones():
    found = read(json.dumps([ONE, {"delta": {}}, "x", TWO]))
    assert [change.pfa_id for change in found.changes] == ["P-1", "P-2"]
    assert [(fault.position, fault.code) for fault in found.faults] == [
        ("modification 2", "MISSING_REQUIRED_FIELD"),
        ("modification 3", "INVALID_TYPE"),
    ]
    assert all(isinstance(fault, Fault) for fault in found.faults)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\t\n", "is empty"),
        ("\ufeff", "is empty"),
        ("nonsense", "line 1 column 1"),
        ('{"pfaId": "P-1", "delta": {}', "line 1 column"),
        ('{"pfaId": "P-1",\n "delta" {}}', "line 2 column 10"),
        ('[{"pfaId": "P-1", "delta": {"monthlyRate": NaN}}]', "NaN"),
        ('[{"pfaId": "P-1", "pfaId": "P-2", "delta": {}}]', "is listed twice"),
        ("[]", "no modifications"),
        ('{"modifications": []}', "no modifications"),
        ('{"modifications": {}}', "must hold a list"),
        ('{"modifications": null}', "must hold a list"),
        ("5", "must hold a list"),
        ("null", "must hold a list"),
        ('"text"', "must hold a list"),
        ('{"modifications": [1], "session": "x"}', "unknown key 'session'"),
        ('{"modifications": [1], "sessionId": ""}', "sessionId"),
        ('{"modifications": [1], "sessionId": "  "}', "sessionId"),
        ('{"modifications": [1], "sessionId": 5}', "sessionId"),
        ('{"modifications": [1], "sessionId": "' + "x" * 201 + '"}', "sessionId"),
        ('{"modifications": [1], "organization": []}', "organization"),
        ('{"pfaId": "P-1", "delta": {}}\n{"pfaId": oops}\n', "line 2 column 11"),
        ('{"pfaId": "P-1", "delta": {}}\n{"pfaId": "\\u0000"}\n', "line 2"),
        ("[1]\n[2]\n", "line 2 column 1"),
        ("pfaId,monthlyRate\n", "no modifications"),
    ],
    ids=range(25),
)
def test_a_file_of_another_shape_is_refused_as_a_whole(content, message):
    with pytest.raises(InvalidData) as caught:
        read(content)
    assert message in caught.value.message
    assert "nothing was saved" in caught.value.message
    assert caught.value.message.startswith("standard input")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monthlyRate\n5\n", "must name pfaId"),
        ("pfa,monthlyRate\nP-1,5\n", "must name pfaId"),
        ("pfaId,model,model\nP-1,a,b\n", "'model' is listed twice"),
        ("pfaId,model,Model \nP-1,a,b\n", "model is listed twice in the header as 'Model '"),
        ("pfaId,sessionId,session_id\nP-1,a,b\n", "sessionId is listed twice"),
        ("id;model\nP-1;a\n", "separated by ';', not by ','"),
        ("pfaId;mo,pfaId\nP-1;a\n", "separated by ';', not by ','"),
        ("pfaId,model\n,\n", "no modifications"),
    ],
)
def test_a_csv_of_another_shape_is_refused_as_a_whole(tmp_path, text, message):
    path = a_delta_file(tmp_path, text, "d.csv")
    with pytest.raises(InvalidData, match="nothing was saved") as caught:
        read_delta_file(str(path))
    assert message in caught.value.message


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\n"])
def test_a_csv_is_read_by_the_separator_that_its_header_shows(tmp_path, separator, first):
    lines = ["pfa_id", "model"], ["P-1", '"a,b;c|d\te"'], ["P-2", '"=1"']
    text = first.format(separator) + "".join(f"{separator.join(line)}\n" for line in lines)
    found = read_delta_file(str(a_delta_file(tmp_path, text, "d.csv")))
    assert [(item.pfa_id, item.delta["model"]) for item in found.changes] == [
        ("P-1", "a,b;c|d\te"),
        ("P-2", "=1"),
    ]
    assert found.changes[1].position == ("line 4" if first else "line 3")


@pytest.mark.parametrize(
    ("name", "said", "refused"),
    [
        ("d.csv", {"sheet": "a"}, "`sheet` is not for a table of text"),
        ("d.json", {"decimal": ","}, "`decimal` is not for JSON"),
        ("d.jsonl", {"dates": "dmy"}, "`dates` is not for JSON"),
        ("d.xlsx", {"encoding": "cp1252"}, "`encoding` is not for a workbook"),
    ],
)
def test_what_is_said_of_another_kind_of_file_is_refused(tmp_path, name, said, refused):
    text = json.dumps(ONE) if "json" in name else "pfaId,model\nP-1,a\n"
    path = a_delta_file(tmp_path, "PK\x03\x04" if name == "d.xlsx" else text, name)
    with pytest.raises(InvalidRequest, match=refused):
        read_delta_file(str(path), notation=Notation(**said))


@pytest.mark.parametrize(
    "row", ['P-3,"a\n', 'P-3,"a"b\n'], ids=["never closed", "closed too early"]
)
def test_a_csv_that_breaks_off_tells_the_line(tmp_path, row):
    path = a_delta_file(tmp_path, f"pfaId,model\nP-1,a\nP-2,b\n{row}", "d.csv")
    with pytest.raises(InvalidData, match="line 4"):
        read_delta_file(str(path))


@pytest.mark.slow
@given(
    st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value, default=str).encode())
)
def test_any_content_is_read_or_refused_and_nothing_else(content):
    try:
        found = read(content)
    except (InvalidData, IoFailure):
        return
    assert found.changes or found.faults
