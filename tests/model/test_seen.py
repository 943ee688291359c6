"""What a sheet showed, written into a cell and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.record import EDITABLE
from pfa_core.model.seen import Seen, SheetRow, letters_of, read_seen

values = st.none() | st.booleans() | st.decimals(0, 10**14, places=6) | st.text(st.characters(
    exclude_categories=["Cs"], exclude_characters="\0"
), max_size=20)  # fmt: skip
parts = st.dictionaries(st.sampled_from(EDITABLE), values)


@pytest.mark.slow
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), parts, parts)
def test_what_was_written_is_read(pfa_id: str, pems: dict, mine: dict) -> None:
    seen = Seen(pfa_id=pfa_id, version=7, pems=pems, mine=mine)
    assert read_seen(seen.text()) == seen


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[1]",
        "{}",
        '{"pfaId":"a","version":true,"pems":{}}',
        '{"pfaId":"a","version":-1,"pems":{}}',
        '{"pfaId":"a","version":1}',
        '{"pfaId":1,"version":1,"pems":{}}',
        '{"pfaId":"a","version":1,"pems":{"description":"x"}}',
        '{"pfaId":"a","version":1,"pems":{"model":["x"]}}',
        '{"pfaId":"a","version":1,"pems":{},"mine":[]}',
        '{"pfaId":"a","version":1,"pems":{"model":"x","model":"y"}}',
    ],
)
def test_another_text_is_refused(text: str) -> None:
    assert read_seen(text) is None


def test_one_s_own_value_is_shown_before_that_of_pems() -> None:
    seen = Seen(pfa_id="a", version=1, pems={"model": "x", "dor": "BEO"}, mine={"model": None})
    assert (seen.shown("model"), seen.shown("dor"), seen.shows("class")) == (None, "BEO", False)


def test_cells_are_named_as_spreadsheets_name_them() -> None:
    assert [letters_of(place) for place in (0, 25, 26, 701, 702, 16383)] == [
        "A",
        "Z",
        "AA",
        "ZZ",
        "AAA",
        "XFD",
    ]
    row = SheetRow(14, {"model": "D"})
    assert (row.cell("model"), row.cell("")) == ("D14", "row 14")
