"""Guards of cells: no spreadsheet runs one, and every text comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.formulas import LINE_ENDS, distinct, guarded, unguarded

FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\ra", "=HYPERLINK(...)", "-", "\uff1d1"]
texts = (
    st.text(alphabet="'=+-@\t\r\n\v\x85\u2028\uff1d\uff0b\uff0d\uff2015.a ", max_size=6) | st.text()
)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert distinct(text) == text


@pytest.mark.parametrize(
    "text", ["", "-5", "-5.25", "0", "a=b", " =1", "'", "'a", "''5", "1e5", "Ü"]
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert (guarded(text), distinct(text), unguarded(text)) == (text, text, text)


@pytest.mark.parametrize("text", ["'=1", "''=1", "'-5", "'@home", "'\t"])
def test_what_seems_to_be_guarded_gets_one_more(text: str) -> None:
    assert guarded(text) == distinct(text) == f"'{text}"


@pytest.mark.parametrize(
    ("cell", "text"), [("'=1", "=1"), ("''=1", "'=1"), ("'-5", "'-5"), ("'a", "'a"), ("'", "'")]
)
def test_only_a_guard_is_taken_off(cell: str, text: str) -> None:
    assert unguarded(cell) == text


@given(texts)
def test_every_text_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert unguarded(distinct(text)) == text
    if not set(text) & set(LINE_ENDS):
        assert unguarded(text) in (text, text[1:])


@pytest.mark.parametrize("end", [*LINE_ENDS, "\r\n"])
def test_a_formula_behind_a_line_end_gets_an_apostrophe(end: str) -> None:
    """Where a program cuts the text there, it is a cell that begins so."""
    assert guarded(f"a{end}=1{end}'+2{end}b") == f"a{end}'=1{end}''+2{end}b"
    assert distinct(f"a{end}=1{end}'+2{end}b") == f"a{end}=1{end}''+2{end}b"
    assert guarded(f"a{end}b") == f"a{end}b"


@given(texts)
def test_no_line_of_a_guarded_cell_begins_as_a_formula(text: str) -> None:
    for line in guarded(text).splitlines()[1:]:
        assert line[:1] not in set("=+-@\t\uff1d\uff0b\uff0d\uff20")


@given(texts)
def test_no_guarded_cell_begins_as_a_formula_but_for_negative_numbers(text: str) -> None:
    cell = guarded(text)
    assert cell[:1] not in set("=+@\t\r\n\uff1d\uff0b\uff0d\uff20")
    assert cell[:1] != "-" or float(cell) <= 0
