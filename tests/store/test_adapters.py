"""Lists of texts arrive as they were sent, whatever they contain; rows have their declared types."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfa_core.model.modification import State
from pfa_core.store.adapters import TextsDumper, typed_row
from pfa_core.store.database import Database
from tests.model.strategies import storable_texts

ODD = st.sampled_from(["", "NULL", "null", "{}", ",", '"', "\\", 'a"b', "a\\", " ", "\x01", "é\n"])


@pytest.fixture(scope="module")
def conn(postgres, template):
    with postgres.database(template) as url, Database(url) as db:
        yield db.connection()


def back(conn, values):
    return conn.execute("SELECT %s::text[]", [values]).fetchone()[0]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | ODD | storable_texts))
def test_texts_come_back_as_they_were(conn, values):
    assert back(conn, values) == values


@pytest.mark.parametrize("values", [[1, 2], [None], [["a", "b"], ["c", "d"]], [True], []])
def test_lists_of_other_things_are_left_to_psycopg(conn, values):
    row = conn.execute("SELECT %s::text[] IS NOT DISTINCT FROM %s::text[]", [values, values])
    assert row.fetchone()[0]


def test_ids_are_found_by_them(conn):
    found = conn.execute("SELECT 'a\"b' = ANY(%s), 2 = ANY(%s)", [['a"b', "c"], [1, 2]]).fetchone()
    assert found == (True, True)


def test_a_text_that_cannot_be_stored_is_refused(conn):
    with pytest.raises(psycopg.DataError):
        back(conn, ["a", "b\0c"])


def test_plain_texts_are_not_looked_at_one_by_one(conn, monkeypatch):
    monkeypatch.setattr(TextsDumper, "_dump_list", None)
    assert back(conn, ["P-1", "P-2"]) == ["P-1", "P-2"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of one field of each way to declare an enum."""

    state: State
    earlier: State | None
    text: str


def test_a_row_has_an_enum_where_its_class_declares_one(conn):
    with conn.cursor(row_factory=typed_row(Row)) as cursor:
        query = "SELECT 'draft' AS state, e.earlier, 'draft' AS text FROM unnest(%s::text[]) AS e (earlier)"
        rows = cursor.execute(query, [["synced", None]]).fetchall()
    assert rows == [
        Row(state=State.DRAFT, earlier=State.SYNCED, text="draft"),
        Row(state=State.DRAFT, earlier=None, text="draft"),
    ]
    assert [type(row.state) for row in rows] == [State, State]
    assert [type(row.text) for row in rows] == [str, str]


def test_a_state_that_the_program_does_not_know_is_an_error(conn):
    with (
        conn.cursor(row_factory=typed_row(Row)) as cursor,
        pytest.raises(ValueError, match="'later' is not a valid State"),
    ):
        cursor.execute("SELECT 'later' AS state, NULL AS earlier, '' AS text").fetchall()
