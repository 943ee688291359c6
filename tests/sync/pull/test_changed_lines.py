"""Lines that are stored as they came: PostgreSQL reads them as the records that the checks accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfa_core import exact_json
from pfa_core.errors import Fault
from pfa_core.model.baseline import read_changes, read_record
from pfa_core.sync.pull.changed_lines import changed_line
from tests.factories import record
from tests.forms import EFFORT

WHOLE = {**record(), "organization": "ORG", "hasPlan": True, "hasActuals": False}
# A null description is left out.
GAP = {**WHOLE, "description": None}

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
numbers = st.sampled_from(["0", "-0", "-0.0", "1e5", "1.50E-7", "0.10", "0e-5", "12.000", "1E+300"])
free = st.recursive(
    st.none() | st.booleans() | texts | st.integers(-(10**20), 10**20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
values = {
    "description": st.none() | texts,
    "category": st.none() | texts,
    "source": st.sampled_from(["Rental", "rental", " PURCHASE", None]),
    "isActualized": st.sampled_from([True, False, None]),
    "monthlyRate": st.none() | st.integers(0, 10**15) | st.sampled_from(["12", 3.5]),
    "currency": st.sampled_from([None, "usd", "USD", ""]),
    "forecastCategory": st.none() | texts,
    "equipment": st.none() | texts,
    "originalEnd": st.sampled_from([None, "2026-01-31", "2026-1-2", "null"]),
    "organization": st.sampled_from([None, "", "ORG"]),
    "hasPlan": st.sampled_from([True, False, None]),
    "hasActuals": st.sampled_from([True, False, None]),
    "a field of its own": free,
}
records = st.fixed_dictionaries({"pfaId": st.sampled_from(["P-1", " P-2", "Ä 3"])}, optional=values)


@st.composite
def lines(draw: Any) -> str:
    """A record as any program may write it."""
    fields = draw(records)
    names = draw(st.permutations(list(fields)))
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " :")]))
    text = json.dumps(
        {name: fields[name] for name in names},
        ensure_ascii=draw(st.booleans()),
        separators=separators,
    )
    number = draw(st.none() | numbers)
    return text if number is None else f'{{"odd":{number},{text[1:]}'


def kept(line: str) -> tuple[str | None, str] | None:
    """The line as it is stored, and the record in place of it; None for a refused one."""
    raw = exact_json.loads_strict(line)
    changes = read_changes(raw, "ORG", "", textual=False)
    if isinstance(changes, Fault):
        return None
    whole = read_record(raw, "ORG", "", textual=False)
    return changed_line(line, changes), exact_json.dumps(whole)


@settings(
    deadline=None,
    max_examples=12 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(lines(), min_size=20, max_size=40))
def test_postgresql_reads_a_line_as_the_record(postgres, some):
    pairs = [pair for pair in map(kept, some) if pair and pair[0] is not None]
    assert not [line for line, _ in pairs if set(line) & {"\t", "\r", "\n"}]
    differing = postgres.admin.execute(
        "SELECT u.a, u.b FROM unnest(%s::text[], %s::text[]) AS u (a, b)"
        " WHERE u.a::jsonb::text IS DISTINCT FROM u.b::jsonb::text",
        [[line for line, _ in pairs], [whole for _, whole in pairs]],
    ).fetchall()
    assert differing == []


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        (json.dumps(WHOLE), json.dumps(WHOLE)),
        (json.dumps(GAP), json.dumps(GAP).replace('"description": null, ', "")),
        (
            json.dumps({**GAP, "hasPlan": None}, separators=(",", ":")),
            json.dumps({**GAP, "hasPlan": None}, separators=(",", ":"))
            .replace('"description":null,', "")
            .replace("}", ',"hasPlan":true}'),
        ),
        # Of what looks like the field but may be within a text or an object nothing is cut.
        (json.dumps({**GAP, "unknown": {"description": None}}), None),
        (json.dumps({**GAP, "equipment": '"description": null, '}), None),
        (json.dumps(WHOLE, separators=(",\t", ":")), None),
        ("\ufeff" + json.dumps(WHOLE), None),
    ],
)
def test_a_line_is_stored_as_it_came_but_for_what_differs(line, stored):
    pair = kept(line)
    assert pair is not None
    assert pair[0] == stored
