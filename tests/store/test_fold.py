"""Folding of case for search: the same on every server, as Python has it letter by letter."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import a_world

pytestmark = pytest.mark.every_version

# Latin, Greek, Cyrillic and their extensions.
LETTERS = [
    chr(point)
    for point in (*range(1, 0x530), *range(0x1E00, 0x1F00))
    if unicodedata.category(chr(point)) != "Cn"
]


@pytest.fixture(scope="module")
def world(postgres, template):
    with postgres.database(template) as url:
        world = a_world(url)
        yield world
        world.db.close()


def folded(world, texts: list[str]) -> list[str]:
    rows = world.rows(
        "SELECT pfa_fold(t) FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n", texts
    )
    return [row[0] for row in rows]


def test_a_letter_and_its_small_form_fold_to_the_same(world):
    # A dotted capital I has two characters as its small form.
    pairs = [(one, one.lower()) for one in LETTERS if len(one.lower()) == 1]
    large, small = folded(world, [a for a, _ in pairs]), folded(world, [b for _, b in pairs])
    assert [pair for pair, a, b in zip(pairs, large, small, strict=True) if a != b] == []


def test_letters_that_differ_by_more_than_case_stay_different(world):
    by_fold: dict[str, set[str]] = {}
    for letter, fold in zip(LETTERS, folded(world, LETTERS), strict=True):
        by_fold.setdefault(fold, set()).add(letter.casefold())
    # Python folds a few further apart or together than single characters can.
    odd = {fold: found for fold, found in by_fold.items() if len(found) > 1}
    assert set(odd) <= {"ß", "i", "σ", "ʼn"}


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_folding_keeps_the_length_and_folding_twice_is_folding_once(world, text):
    (once,) = folded(world, [text])
    assert len(once) == len(text)
    assert folded(world, [once]) == [once]


@pytest.mark.parametrize(
    ("text", "fold"),
    [("", ""), ("CRANE", "crane"), ("Müller Kräne", "müller kräne"), ("ŁÓDŹ", "łódź"),
     ("ÁREA 7 – Ampliación", "área 7 – ampliación"), ("КРАН", "кран"), ("ΓΕΡΑΝΟΣ", "γερανοσ"),
     ("起重机", "起重机"), ("😀%_\\", "😀%_\\")],
)  # fmt: skip
def test_words_fold(world, text, fold):
    assert folded(world, [text]) == [fold]
