"""What Hypothesis draws: values as JSON has them, clean deltas, texts that PostgreSQL can hold."""

from __future__ import annotations

from datetime import date

from hypothesis import strategies as st

from pfa_core.model.keys import invisible_in, normal_key
from pfa_core.model.record import EDITABLE, FIELDS, Kind

storable_texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)
keys = storable_texts.map(normal_key).filter(lambda text: not invisible_in(text, lines=True))
money = st.one_of(
    st.integers(0, 10**15 - 1),
    st.decimals(0, 10**14, allow_nan=False, allow_infinity=False, places=2),
    st.decimals(0, 10, allow_nan=False, allow_infinity=False, places=12),
)
dates = st.dates(date(1000, 1, 1), date(9999, 12, 31)).map(date.isoformat)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-1000, max_value=1000)
    | storable_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable_texts, inner, max_size=3),
    max_leaves=6,
)


def value_of(name: str) -> st.SearchStrategy[object]:
    """Values that the field takes as they are."""
    field = FIELDS[name]
    return {
        Kind.TEXT: st.none() | (keys if field.is_key else storable_texts.filter(bool)),
        Kind.DATE: st.none() | dates,
        Kind.MONEY: st.none() | money,
        Kind.FLAG: st.booleans(),
        Kind.CHOICE: st.sampled_from(field.choices or ("",)),
    }[field.kind]


clean_deltas = st.fixed_dictionaries({}, optional={name: value_of(name) for name in EDITABLE})
any_deltas = st.dictionaries(st.sampled_from(EDITABLE), json_values, max_size=5)
