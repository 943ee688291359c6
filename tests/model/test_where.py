"""Expressions are read as written, or refused with the place."""

from __future__ import annotations

import time
import unicodedata
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfa_core import Filters
from pfa_core.errors import InvalidRequest
from pfa_core.model.record import FIELDS
from pfa_core.model.where.days import parse_day
from pfa_core.model.where.parser import MAX_DEPTH, parse
from pfa_core.model.where.tokens import MAX_LENGTH, tokens
from tests.forms import drawn
from tests.store.expressions import expressions

SAME = [
    ("category = Crane", "category = 'Crane'"),
    ("category == Crane", 'category = "Crane"'),
    ("category <> Crane", "category != Crane"),
    ("category='Crane'", "category  =\n\tCrane"),
    ("contract = 00123", "contract = '00123'"),
    ("category = ' Crane '", "category = Crane"),
    ("currency = usd", "currency = USD"),
    ("source = rental", "source = Rental"),
    ("rateUom = monthly", "rateUom = Month"),
    ("isActualized", "isActualized = true"),
    ("isActualized = YES", "isActualized = 'y'"),
    ("description = 'O''Neill'", 'description = "O\'Neill"'),
    (r"description = 'O\'Neill'", 'description = "O\'Neill"'),
    (r'description = "40\" \\ \n\t"', "description = '40\" \\\\ \n\t'"),
    ("forecastEnd > today + 30d", "forecastEnd > TODAY+30D"),
    ("forecastEnd > -2w", "forecastEnd > today-2w"),
    ("forecastEnd > tomorrow", "forecastEnd > +1d"),
    ("not category in (a, b)", "category NOT IN (a,b)"),
    ("not monthlyRate between 1 and 2", "monthlyRate not between 1 and 2"),
    ("not description contains x", "description not contains x"),
    ("not model is null", "model is not null"),
    ("isActualized and isDiscontinued or hasPlan", "(isActualized and isDiscontinued) or hasPlan"),
    ("not isActualized and hasPlan", "(not isActualized) and hasPlan"),
    ("((category = a))", "category = a"),
    ("category in (a, a)", "category in (a)"),
]
DIFFERENT = [
    ("category = model", "category = 'model'"),
    ("category = pems.category", "category = 'pems.category'"),
    ("category = a and class = b or dor = BEO", "category = a and (class = b or dor = BEO)"),
    ("not isActualized and hasPlan", "not (isActualized and hasPlan)"),
    ("model is null", "model is missing"),
    ("mine.model = a", "model = a"),
    ("pems.model = a", "model = a"),
    ("monthlyRate = 0.1", "monthlyRate = 0.10000000000000000001"),
]
# What is refused, what the message says, and what stands above the carets.
REFUSED = [
    ("montlyRate > 3", "unknown field: 'montlyRate'; did you mean monthlyRate?", "montlyRate"),
    ("Category = x", "did you mean category?", "Category"),
    ("zzz = 1", "unknown field: 'zzz'", "zzz"),
    ("pems.montlyRate > 3", "did you mean pems.monthlyRate?", "pems.montlyRate"),
    ("model = mine.modle", "did you mean mine.model?", "mine.modle"),
    ("'category' = x", "expected a field", "'category'"),
    ("mine.contract = x", "contract is not editable", "mine.contract"),
    ("pfaId is changed", "pfaId is not editable", "pfaId"),
    ("pems.model is changed", "write: model is changed", "pems.model"),
    ("areaSilo = Silo 4", "expected and, or, or the end; found '4'", "4"),
    ("monthlyRate > 10,000", "expected and, or, or the end; found ','", ","),
    ("monthlyRate > 1e5", "monthlyRate must be a number", "1e5"),
    ("monthlyRate > ten", "monthlyRate must be a number", "ten"),
    ("monthlyRate > '1.'", "monthlyRate must be a number", "'1.'"),
    ("monthlyRate > --1", "monthlyRate must be a number", "--1"),
    ("monthlyRate > ١", "monthlyRate must be a number", "١"),
    ("monthlyRate > forecastStart", "are not of one kind", "forecastStart"),
    ("monthlyRate > purchasePrise", "did you mean purchasePrice?", "purchasePrise"),
    ("category = forecastStart", "are not of one kind", "forecastStart"),
    ("category = null", "write: is null", "null"),
    ("category =", "expected a value, but the expression ends", ""),
    ("category = and", "as a text write 'and'", "and"),
    ("category = (x)", "expected a value", "("),
    ("category =! x", "unknown comparison: =!", "=!"),
    ("category ! x", "unknown comparison: !", "!"),
    ("category like x", "expected = !=", "like"),
    ("category contians x", "did you mean contains?", "contians"),
    ("category", "but the expression ends", ""),
    ("category in Crane", "expected ( behind in", "Crane"),
    ("category in ()", "expected a value", ")"),
    ("category in (Crane, model)", "expected a value, not a field", "model"),
    ("category in (a b)", "expected , or ) here", "b"),
    ("category in (a", "a parenthesis is not closed", "("),
    ("isActualized in (true)", "is in no list", "isActualized"),
    ("source = rentl", "must be Rental or Purchase, not 'rentl'; did you mean Rental?", "rentl"),
    ("source = ''", "is never empty nor null", "''"),
    ("source < Rental", "source has no order", "<"),
    ("source between Purchase and Rental", "source has no order", "source"),
    ("isActualized = maybe", "must be Y or N", "maybe"),
    ("isActualized > true", "isActualized has no order", ">"),
    ("monthlyRate contains 5", "monthlyRate is not a text", "monthlyRate"),
    ("monthlyRate between 1 or 2", "expected and: a range", "or"),
    ("category is nul", "did you mean null?", "nul"),
    ("category not = x", "expected between, in or contains behind not", "="),
    ("category not is null", "expected between, in or contains behind not", "is"),
    ("not", "expected a field, but the expression ends", ""),
    ("13000<monthlyRate", "a value before a field", "13000<monthlyRate"),
    ("hasPlan and today + 30d >= mine.forecastEnd", "a value before", "today + 30d >= mine.forecastEnd"),
    ("'Crane' = category or hasPlan", "a value before a field", "'Crane' = category"),
    ("categry = model", "did you mean category?", "categry"),
    ("a b = category", "unknown field: 'a'", "a"),
    ("13000 < x", "unknown field: '13000'", "13000"),
    ("category = a or", "expected a field, but the expression ends", ""),
    ("category = a b = c", "expected and, or, or the end", "b"),
    ("category = a adn b = c", "did you mean and?", "adn"),
    ("category = a)", "a parenthesis is not opened", ")"),
    ("(category = a", "a parenthesis is not closed", "("),
    ("(category = a b)", "expected and, or, or the end", "b"),
    ("category = 'a", "a text is not closed by '", "'"),
    ('category = "a\\x"', "unknown escape: \\x", "\\x"),
    ('category = "a\\', "unknown escape: \\", "\\"),
    ("forecastStart = 2026-02-30", "must be a date", "2026-02-30"),
    ("forecastStart = 20260228", "must be a date", "20260228"),
    ("forecastStart > 2026-W01-1", "must be a date", "2026-W01-1"),
    ("forecastStart > today+", "must be a date", "today+"),
    ("forecastStart > today + d", "must be a date", "today + d"),
    ("forecastStart > today+3h", "must be a date", "today+3h"),
    ("forecastStart > today30d", "must be a date", "today30d"),
    ("forecastStart > originlStart", "did you mean originalStart?", "originlStart"),
    ("forecastStart > today+101y", "more than a hundred years away", "today+101y"),
    ("forecastStart > 9999-12-31+1d", "leaves the years 1 to 9999", "9999-12-31+1d"),
    ("forecastStart > 0001-01-31-1m", "leaves the years 1 to 9999", "0001-01-31-1m"),
    ("(" * 60, "within one another", "("),
    ("not " * 60 + "hasPlan", "within one another", "not"),
    ("x" * MAX_LENGTH + "y" * 3, "characters; at most", "y"),
    ("日本 = 1 or zz = 2", "unknown field: '日本'", "日本"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_expression_are_read_alike(one: str, other: str) -> None:
    assert parse(one) == parse(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_looks_alike_and_means_something_else_is_read_so(one: str, other: str) -> None:
    assert parse(one) != parse(other)


@pytest.mark.parametrize(("text", "message", "place"), REFUSED, ids=range(len(REFUSED)))
def test_a_refusal_says_why_and_underlines_where(text: str, message: str, place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Filters(where=text)
    assert message in refused.value.message
    assert refused.value.parameter == "where"
    _, shown, carets = refused.value.hint.split("\n")
    assert underlined(shown, carets) == place
    assert max(len(shown), len(carets)) <= 110


def underlined(shown: str, carets: str) -> str:
    """What stands above the carets, where a wide character takes two."""
    cells = "".join(char + "\0" * (unicodedata.east_asian_width(char) in "WF") for char in shown)
    return cells[carets.index("^") : len(carets)].replace("\0", "")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("13000<monthlyRate", "monthlyRate > 13000"),
        ("not (13000 >= pems.monthlyRate)", "pems.monthlyRate <= 13000"),
        ("today + 30d > forecastEnd", "forecastEnd < today + 30d"),
        ('"a b" != category', 'category != "a b"'),
    ],
)
def test_a_comparison_from_behind_is_given_turned_round(text: str, instead: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    assert refused.value.hint.startswith(f"put the field first, write: {instead}:\n")
    parse(instead)


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_an_empty_expression_has_no_place_to_show(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Filters(where=text)
    assert refused.value.message == "the expression is empty"
    assert refused.value.parameter == "where"
    assert "^" not in refused.value.hint
    assert "category = Crane" in refused.value.hint


def test_a_place_in_a_long_expression_is_shown_with_what_is_around_it() -> None:
    text = "hasPlan and " * 30 + "x = 1" + " and hasPlan" * 30
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    _, shown, carets = refused.value.hint.split("\n")
    assert (shown[0], shown[-1]) == ("…", "…")
    assert underlined(shown, carets) == "x"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "category = '\0'", "category = '\udfff'"])
def test_what_cannot_be_stored_is_not_searched_for(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not a valid text"):
        Filters(where=text)


@pytest.mark.parametrize(
    ("text", "today", "day"),
    [
        ("today", "2026-01-31", "2026-01-31"),
        ("today+1m", "2026-01-31", "2026-02-28"),
        ("today+1m", "2024-01-31", "2024-02-29"),
        ("today+1m+1m", "2026-01-31", "2026-03-28"),
        ("today+2m", "2026-01-31", "2026-03-31"),
        ("today-1m", "2026-03-31", "2026-02-28"),
        ("today+12m", "2024-02-29", "2025-02-28"),
        ("+1y", "2024-02-29", "2025-02-28"),
        ("-2w", "2026-01-10", "2025-12-27"),
        ("yesterday-1d", "2026-01-01", "2025-12-30"),
        ("2026-12-31+1d", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_day_is_counted_from_today(text: str, today: str, day: str) -> None:
    assert parse_day(text).on(date.fromisoformat(today)).isoformat() == day


def test_as_deep_as_is_allowed_is_read() -> None:
    assert parse("(" * MAX_DEPTH + "hasPlan" + ")" * MAX_DEPTH) == parse("hasPlan")
    flat = " or ".join(["hasPlan"] * 800)
    assert len(flat) < MAX_LENGTH
    assert parse(f"({flat}) and not ({flat})")


def test_filters_name_the_fields_of_an_expression() -> None:
    text = (
        "monthlyRate > pems.monthlyRate and mine.model is null and pems.dor = BEO or class in (a)"
    )
    filters = Filters(where=text, today="2026-01-01")
    assert filters.given() == ["where"]
    assert filters.named_in_where() == ["monthlyRate", "model", "dor", "class"]
    # A draft does not change what PEMS has.
    assert filters.looked_at() == ["monthlyRate", "model", "class"]
    assert Filters(today="2026-01-01").given() == []
    with pytest.raises(InvalidRequest, match="`today`"):
        Filters(today="today")


WORDS = st.sampled_from(
    [
        *list(FIELDS)[:20], "pems.", "mine.model", "and", "or", "not", "in", "is", "between", "contains",
        "null", "missing", "changed", "(", ")", ",", "=", "!=", "<", ">=", "!", "'", '"', "\\", "'a b'",
        "today", "+30d", "-", "2026-01-01", "1000.5", "true", "Crane", " ", "\n", "é", "日", "\u0301", "\u2028",
    ]
)  # fmt: skip


@drawn("examples", short=200, long=700, night=20_000)
def test_whatever_is_typed_is_read_or_refused(examples: int) -> None:
    @given(st.lists(WORDS, max_size=30).map("".join) | st.lists(WORDS).map(" ".join) | st.text())
    @settings(max_examples=examples, deadline=None, database=None)
    def check(text: str) -> None:
        try:
            parse(text)
        except InvalidRequest as error:
            refused = error
        else:
            return
        assert len(refused.hint.splitlines()) == (3 if text.strip() else 1)

    check()


@drawn("examples", short=50, long=300, night=4000)
def test_an_expression_that_is_cut_or_altered_is_read_or_refused(examples: int) -> None:
    @given(expressions, st.integers(0, 200), st.integers(0, 200), WORDS)
    @settings(max_examples=examples, deadline=None, database=None)
    def check(meaning: Any, start: int, end: int, word: str) -> None:
        text = meaning.text[:start] + word + meaning.text[end:]
        try:
            parse(text)
        except InvalidRequest as error:
            refused = error
        else:
            return
        assert len(refused.hint.splitlines()) == (3 if text.strip() else 1)

    check()


WORST = [
    "(", "not ", "'", "''", '"\\"', "=", "<>", "a ", "a=", "hasPlan or ", "category = '", "+1d", "model in (",
    "model = a and ", "model in (a, b) or ", "forecastEnd > today + 1d and ", "٠", "\u0301", "-", ".", "a.",
    "pems.", "mine.model = pems.model and ",
]  # fmt: skip


# What tries each place anew takes a minute, one pass some hundredths, a collection of garbage in between a second.
LONGEST = 5.0  # seconds of the processor


@pytest.mark.long
def test_the_time_is_in_proportion_to_the_length() -> None:
    for part in WORST:
        text = (part * MAX_LENGTH)[:MAX_LENGTH]
        for _ in range(3):
            start = time.process_time()
            with suppress(InvalidRequest):
                parse(text)
            parse.cache_clear()
            assert time.process_time() - start < LONGEST, part
    start = time.process_time()
    text = "forecastEnd > today + 1d" + " +99d" * 3900
    with pytest.raises(InvalidRequest, match="hundred"):
        parse(text)
    assert time.process_time() - start < LONGEST


def test_a_text_of_tokens_is_whole() -> None:
    text = "a.b >= 'x''y' , (\"z\")"
    found = tokens(text)
    assert [(one.start, one.content) for one in found] == [
        (0, "a.b"), (4, ">="), (7, "x'y"), (14, ","), (16, "("), (17, "z"), (20, ")"), (21, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("category = Boom Lift", True),
        ("category is null null", False),
        ("model is missing x", False),
        ("forecastEnd > originalEnd + 30d", False),
        ("forecastEnd > pems.forecastEnd +30d", False),
    ],
)
def test_quotes_are_proposed_behind_values_alone(text: str, *, quoted: bool) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    assert ("is written in quotes" in refused.value.hint) is quoted
