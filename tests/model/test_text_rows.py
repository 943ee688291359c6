"""Rows of text made JSON at once say what the careful reader says of them, or leave it to that."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pfa_core import exact_json
from pfa_core.errors import Fault
from pfa_core.model.baseline import alters_key, read_record
from pfa_core.model.delta import same
from pfa_core.model.record import FIELDS
from pfa_core.model.text_rows import TextRows
from tests.forms import EFFORT

ROWS = TextRows("ORG", exact_json.dumps)
texts = st.one_of(
    st.sampled_from(
        ["", " ", "null", "Y", "N", "true", "x", "2026-01-31", "2026-02-30", "2026-01-31T00:00:00Z",
         "12.50", "0", "-1", " 7 ", "1e5", "RENTAL", "Purchase", "Lease", "BEO", "beo", "ORG", "ORG2",
         "a\nb", 'q"\\', "é\u2028", "x" * 201, "1" * 30, " é", "e\u0301", "a\u00a0b", "a\u200b", "a\x07",
         "2026-01-31 00:00:00", "2026-01-31T00:00", "1.200,50"]
    ),
    st.text(max_size=5),
)  # fmt: skip
rows = st.dictionaries(
    st.one_of(st.sampled_from(sorted(FIELDS)), st.sampled_from(["stranger", "grid:x"])), texts
)


@pytest.mark.slow
@settings(max_examples=150 * EFFORT, deadline=None)
@given(
    rows, st.sampled_from(["P-1", "", " ", "00123", "é", "x" * 201, "P-1 ", "e\u0301", "P\u200b1"])
)
@example({"originalStart": " null ", "originalEnd": "2026-01-01"}, "P-1")
@example({"source": "rental", "monthlyRate": "12.50", "isActualized": "Y"}, "P-1")
def test_both_readers_say_the_same(row, pfa_id):
    row = {**row, "pfaId": pfa_id}
    careful = read_record(row, "ORG", "row 1", textual=True)
    text = ROWS.text(row)
    if text is not None:
        assert isinstance(careful, dict)
        assert same(exact_json.loads(text), careful)
        assert ROWS.altered == alters_key(row, careful)
    elif isinstance(careful, dict):
        assert {"hasPlan", "hasActuals"} & row.keys() or careful["pfaId"] != pfa_id


def test_a_usual_row_is_not_left_to_the_careful_reader():
    row = {"pfaId": "P-1", "organization": "ORG", "monthlyRate": "1,5", "source": "RENTAL"}
    assert ROWS.text(row) is None
    assert isinstance(read_record(row, "ORG", "", textual=True), Fault)
    assert ROWS.text({**row, "monthlyRate": "1.5"}) is not None


def test_the_same_text_in_another_field_is_another_value():
    text = ROWS.text({"pfaId": "P-1", "monthlyRate": "12", "category": "12", "description": "12"})
    assert text is not None
    found = exact_json.loads(text)
    assert (found["monthlyRate"], found["category"], found["description"]) == (12, "12", "12")


def test_a_key_in_another_form_is_noticed_in_each_row_of_it():
    for row, altered in (({"category": "Crane "}, True), ({"category": "Crane"}, False)) * 2:
        text = ROWS.text({"pfaId": "P-1", **row})
        assert text is not None
        assert exact_json.loads(text)["category"] == "Crane"
        assert ROWS.altered is altered
