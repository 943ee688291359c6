"""Contexts that were made by hand or copied, which authorize nothing."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors

from tests.rls.two import Two, authorize, seen


@pytest.mark.parametrize(
    "statement",
    [
        "SET pfa.context = 'ORG read read ann'",
        "SET pfa.context = '{}'",
        "SELECT set_config('pfa.context', repeat('0', 64) || ' FOREIGN read read eve', false)",
        "SELECT set_config('pfa.context', repeat('0', 64) || ' FOREIGN manage_settings x eve', false)",
        "SET pfa.organization = 'FOREIGN'",
        "SET pfa.context TO DEFAULT",
        "SET row_security = off",
    ],
)  # fmt: skip
def test_a_context_that_is_written_down_by_hand_shows_nothing(two, statement):
    with two.psql() as conn:
        conn.execute(statement)
        with conn.transaction():
            assert_sees_nothing(conn, two)


def assert_sees_nothing(conn: Connection[Any], two: Two) -> None:
    for table in two.tables:
        with pytest.MonkeyPatch.context():
            try:
                with conn.transaction():
                    assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
            except errors.InsufficientPrivilege:  # also what `row_security = off` comes to
                pass


def test_a_context_cannot_be_changed_into_another(two):
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"))
        mine = conn.execute("SELECT current_setting('pfa.context')").fetchone()[0]
        for other in (
            mine.replace(" ORG ", " FOREIGN "),
            mine.replace(" read ", " manage_settings ", 1),
            mine[:64] + mine[64:].replace(" ann", " ben"),
            mine + " ",
            " " + mine,
        ):
            with conn.transaction(force_rollback=True):
                conn.execute("SELECT set_config('pfa.context', %s, true)", [other])
                assert seen(conn, two) == {}, other
        assert "pfa_mirror" in seen(conn, two)


def test_a_context_is_worth_nothing_in_a_later_transaction(two):
    with two.psql() as conn:
        with conn.transaction():
            authorize(conn, two.foreign.principal("eve"))
            carried = conn.execute("SELECT current_setting('pfa.context')").fetchone()[0]
            conn.execute("SELECT set_config('pfa.context', %s, false)", [carried])
        assert conn.execute("SELECT current_setting('pfa.context')").fetchone() == (carried,)
        assert seen(conn, two) == {}
        with conn.transaction():
            conn.execute("SELECT set_config('pfa.context', %s, true)", [carried])
            assert seen(conn, two) == {}


def test_a_context_is_worth_nothing_in_another_connection(two):
    with two.psql() as one, two.psql() as other, one.transaction(), other.transaction():
        authorize(one, two.foreign.principal("eve"))
        carried = one.execute("SELECT current_setting('pfa.context')").fetchone()[0]
        other.execute("SELECT set_config('pfa.context', %s, true)", [carried])
        assert seen(other, two) == {}
        assert seen(one, two) != {}


def test_an_authorization_ends_with_a_rollback_or_a_commit(two):
    with two.psql() as conn:
        for end in ("COMMIT", "ROLLBACK"):
            conn.execute("BEGIN")
            authorize(conn, two.org.principal("ann"))
            conn.execute(end)
            assert seen(conn, two) == {}
        with conn.transaction():
            authorize(conn, two.org.principal("ann"))
            with pytest.raises(psycopg.Error), conn.transaction():
                authorize(conn, two.org.principal("ann"), organization="FOREIGN")
            # The attempt was undone with its savepoint: as before, and no more than before.
            assert {code for codes in seen(conn, two).values() for code in codes} == {"ORG"}


def test_a_context_is_kept_for_the_transactions_of_one_message_and_not_for_the_next(two):
    """They have one transaction_timestamp(); docs/security.md says what that means."""
    who = two.foreign.principal("eve")
    assert who.token is not None
    message = (
        f"BEGIN; SELECT FROM pfa_authorize('{who.token.reveal()}', 'FOREIGN', 'read');"
        " SELECT set_config('pfa.keep', current_setting('pfa.context'), false); COMMIT;"
        " BEGIN; SELECT set_config('pfa.context', current_setting('pfa.keep'), true);"
        " SELECT count(*) FROM pfa_mirror; COMMIT"
    )
    with two.psql() as conn:
        cursor = conn.execute(message)
        counts = []
        while True:
            if cursor.description and cursor.description[0].name == "count":
                counts.append(cursor.fetchone())
            if not cursor.nextset():
                break
        assert counts == [(1,)]
        with conn.transaction():
            conn.execute("SELECT set_config('pfa.context', current_setting('pfa.keep'), true)")
            assert seen(conn, two) == {}
