"""No body, however odd, ends a connection without an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfa_core.pems.sandbox.server import Sandbox
from tests.pems.sandbox_client import Client, body, record, screen_body

VALUES = {
    "PFS_ID": {"TEXTDATA": "R-1"},
    "PFS_A_ORG": {"TEXTDATA": "RIO"},
    "PFS_F_RATE": {"NUMERICDATA": {"VALUE": 1, "NUMOFDEC": 0, "SIGN": "+"}},
    "PFS_F_ENDDATE": {"DATETIMEDATA": {"YEAR": 1, "MONTH": 1, "DAY": 1, "TIMEZONE": "-0500"}},
}
GRID = {
    "GRID": {"GRID_NAME": "CUPFAG", "ROW_OFFSET": 0, "NUMBER_OF_ROWS_FIRST_RETURNED": 5},
    "ADDON_SORT": {"ALIAS_NAME": "pfs_id", "TYPE": "ASC"},
    "ADDON_FILTER": {"ALIAS_NAME": "pfs_f_rental", "OPERATOR": ">=", "VALUE": "1"},
}
REQUESTS = [
    ("PUT", "/api/pems/pfa/R-1", body("R-1", 1, {"model": "X", "monthlyRate": 1})),
    ("POST", "/axis/restservices/griddata", GRID),
    ("POST", "/axis/restservices/userdefinedscreenservices", screen_body("UPDATE", VALUES)),
    ("PUT", "/sandbox/records/R-1", {"changes": {"model": "X"}}),
    ("PUT", "/sandbox/faults", {"faults": [], "seed": 1}),
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**30), 253_402_300_799_000, -62_135_596_800_000, "+2359", ""]),
    st.text(max_size=5),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, dict | list) else ():
        yield from places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], odd)
    return copy


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        Sandbox(organization="RIO", records=[record(1)]) as sandbox,
        Client(sandbox.url) as connected,
    ):
        yield connected


@pytest.mark.variants(2)
@pytest.mark.parametrize(("method", "path", "good"), REQUESTS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_an_odd_value_anywhere_in_a_body_gets_an_answer(client, method, path, good, data):
    place = data.draw(st.sampled_from(list(places(good))))
    answer = client.send(method, path, replaced(good, place, data.draw(ODD)))
    assert answer.status in (200, 400, 404, 409)
