"""All tests by way of a pooler, or with reads of a standby: what the program opens in the tests' own process.

$PFA_TEST_POOL: `1` or `prepared` starts PgBouncer before the server of this run, `host=… port=…` is one that is
there. $PFA_TEST_STANDBY: `1` starts a standby, `host=… port=…` is one that is there. What tests do by themselves
goes to the server; a read waits until the standby has what the server had when it began.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import getattr_static
from typing import Any
from weakref import WeakSet

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core.store import replica
from pfa_core.store.database import Database
from pfa_core.store.replica import Replica
from pfa_core.store.silence import WatchedConnection
from pfa_core.store.written import Place, Written
from tests import pooler, standby
from tests.server import Server

POOL, STANDBY = os.environ.get("PFA_TEST_POOL", ""), os.environ.get("PFA_TEST_STANDBY", "")


Reroute = Callable[[str], str]

_SETTINGS = "behind a pooler settings are those of each transaction: tests/store/test_pooling.py"
_LOGINS = "the tests' pooler knows no role but theirs, and goes on to refuse one that was refused"
_SESSIONS = "the pooler opens another session, of which the program learns nothing"
_LOCKS = "a pooler does not show whose session holds a lock"
_ANSWERS = "the pooler answers in place of the server"
_ONE_TRANSACTION = "an upgrade behind a pooler is one transaction"
_BESIDE = "has a pooler of its own, and the server beside it"
_PREPARES = "prepares what the program does not prepare behind a pooler"
_PLANS = "plans are looked at on the server"
_READS = "its read is another session's, of the standby"
# Tests that look at a session, which a pooler hides: by file and name, and why they say nothing there.
POOL_HIDES: Mapping[str, str | dict[str, str]] = {
    "tests/cli/test_flow.py": {"test_the_doctor_ends_with_the_code_of_what_it_found": _LOGINS},
    "tests/plans/test_pages.py": {
        "test_a_page_that_one_session_asks_for_again_and_again_stays_a_page": _PREPARES,
    },
    "tests/rls/test_program.py": {"test_the_owner_need_be_no_superuser": _LOGINS},
    "tests/store/test_database.py": {
        "test_a_closed_handle_opens_again_when_it_is_used": _SESSIONS,
        "test_a_hint_names_what_named_the_address": _ANSWERS,
        "test_a_limit_of_a_role_or_a_database_is_given_up_soon_and_named": _LOGINS,
        "test_a_read_whose_session_was_ended_is_read_again": _SESSIONS,
        "test_a_role_whose_connections_are_all_taken_waits_for_one": _LOGINS,
        "test_a_write_whose_session_ends_at_every_commit_is_given_up": _SESSIONS,
        "test_a_write_whose_session_was_ended_before_its_end_is_done_once": _SESSIONS,
        "test_an_address_without_a_server_and_one_that_refuses_the_user_differ": _ANSWERS,
    },
    "tests/store/test_filling.py": {
        "test_a_session_that_is_ended_leaves_neither_records_nor_indexes": _SESSIONS,
    },
    "tests/store/test_interrupted_upgrades.py": {
        "test_a_commit_without_an_answer_is_asked_for_and_the_upgrade_is_whole": _ONE_TRANSACTION,
    },
    "tests/store/test_pooling.py": {
        "test_a_pooler_is_detected_and_each_transaction_has_the_settings_of_pfa": _BESIDE,
        "test_pulls_drafts_commits_and_streams_are_as_without_a_pooler": _BESIDE,
    },
    "tests/store/test_replica.py": {
        "test_without_the_replica_reads_ask_the_server_and_say_so": _ANSWERS,
    },
    "tests/store/test_session.py": {
        "test_a_session_has_the_settings_of_pfa_wherever_others_come_from": _SETTINGS,
        "test_an_option_of_the_address_that_is_no_setting_of_pfa_stays": _SETTINGS,
        "test_no_variable_of_the_environment_changes_a_session": _SETTINGS,
    },
    "tests/store/test_strangers.py": {
        "test_a_lock_of_another_session_ends_a_command_with_its_name": _LOCKS,
        "test_a_search_path_that_leads_elsewhere_is_named": _LOGINS,
        "test_a_setting_of_the_role_means_nothing_to_pfa": _LOGINS,
        "test_a_time_limit_that_ends_all_is_named": _LOGINS,
    },
    "tests/sync/pull/test_retry.py": {
        "test_a_pull_whose_session_was_ended_reads_everything_again": _SESSIONS,
    },
    "tests/test_put_back.py": {
        "test_a_session_of_a_role_that_was_changed_is_left_to_no_test": _LOGINS,
    },
}


# Likewise where reads are a standby's; of a folder all of its tests.
STANDBY_HIDES: Mapping[str, str | dict[str, str]] = {
    "tests/cli/test_other_schema.py": {
        "test_every_command_refuses_another_schema_and_says_what_to_type": _READS,
    },
    "tests/plans": _PLANS,
    "tests/store/test_database.py": {
        "test_a_handle_that_is_busy_with_a_stream_says_so": _READS,
        "test_a_hint_names_what_named_the_address": _READS,
        "test_a_read_whose_session_was_ended_is_read_again": _READS,
        "test_a_server_that_refuses_for_another_reason_is_not_waited_for": _READS,
        "test_a_server_that_stays_crowded_is_given_up_once": _READS,
        "test_an_address_that_is_none_is_a_configuration_fault": _READS,
        "test_an_address_without_a_server_and_one_that_refuses_the_user_differ": _READS,
    },
    "tests/store/test_session.py": {
        "test_a_stream_that_is_broken_off_says_how_far_it_came": _READS,
    },
    "tests/store/test_strangers.py": {
        "test_a_search_path_that_leads_elsewhere_is_named": _READS,
    },
    "tests/test_put_back.py": {
        "test_a_session_of_a_role_that_was_changed_is_left_to_no_test": _READS,
    },
}


def skip_hidden(items: list[pytest.Item]) -> None:
    """Skip by name what a pooler or a standby hides, where the tests run by way of one."""
    for item in items:
        file, _, name = item.nodeid.partition("[")[0].partition("::")
        for hides in ([POOL_HIDES] if POOL else []) + ([STANDBY_HIDES] if STANDBY else []):
            found = hides.get(file) or hides.get(file.rpartition("/")[0])
            if isinstance(found, dict):
                found = found.get(name.rpartition("::")[2])
            if found:
                # The reason is that of the tables above; without the variables nothing is left out.
                item.add_marker(pytest.mark.skip(reason=found))


@contextmanager
def by_way_of(server: Server) -> Iterator[None]:
    """What the variables ask for, before a server."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if POOL:
            _through(patch, server, _pool(stack, server))
        if STANDBY:
            _beside(patch, server, _standby(stack, server))
        yield


def _pool(stack: ExitStack, server: Server) -> Reroute:
    if "=" in POOL:
        return lambda address: make_conninfo(address, **conninfo_to_dict(POOL))
    assert not pooler.why_none(), pooler.why_none()
    prepared = POOL == "prepared"
    return stack.enter_context(
        pooler.a_pooler(
            # A session that a test ended, or a role that it kept out, is not the next one's matter.
            server.url("postgres"),
            prepared=prepared,
            server_check_delay=0,
        )
    ).url


def _standby(stack: ExitStack, server: Server) -> Reroute:
    if "=" in STANDBY:
        return lambda address: make_conninfo(address, **conninfo_to_dict(STANDBY))
    assert not standby.why_none(), standby.why_none()
    return stack.enter_context(standby.a_standby(server.url("postgres"))).url


def _is_of(server: Server, address: str) -> bool:
    try:
        return conninfo_to_dict(address).get("host") == server.parameters["host"]
    except psycopg.ProgrammingError:
        return False


def _through(patch: pytest.MonkeyPatch, server: Server, reroute: Reroute) -> None:
    connect = getattr_static(WatchedConnection, "connect").__func__

    def connect_there(cls: type[Any], conninfo: str = "", **words: Any) -> Any:
        if _is_of(server, conninfo):
            # Where a connection is opened beside one, it is the same pooler.
            words = {
                name: value
                for name, value in words.items()
                if name not in ("host", "port", "hostaddr")
            }
            conninfo = reroute(conninfo)
        return connect(cls, conninfo, **words)

    create = Server.create

    def create_alone(self: Server, template: str | None = None) -> str:
        # PostgreSQL copies no database that has a session, and the pooler keeps those that its clients had.
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [template],
        )
        return create(self, template)

    patch.setattr(WatchedConnection, "connect", classmethod(connect_there))
    patch.setattr(Server, "create", create_alone)


def _wait_for_database(there: Replica) -> None:
    """Wait until the standby has the database, which may have been made just now."""
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(there.conninfo).close()
            return
        except psycopg.OperationalError as error:
            if "does not exist" not in str(error) or time.monotonic() > end:
                return
            time.sleep(0.02)


class _Latest(Written):
    """All that the server has now."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def last(self) -> Place | None:
        row = self._server.admin.execute(
            "SELECT (pg_control_system()).system_identifier::text, pg_current_wal_insert_lsn()::text"
        ).fetchone()
        return Place(*row) if row else None


def _beside(patch: pytest.MonkeyPatch, server: Server, reroute: Reroute) -> None:
    begin, known = Database._begin_on_replica, WeakSet[Replica]()
    latest = _Latest(server)

    def begin_there(db: Database, stack: ExitStack) -> Any:
        if db.replica is None and db.conninfo and _is_of(server, db.conninfo):
            db.replica = Replica(reroute(db.conninfo), written=latest)
        if db.replica and db.replica not in known:
            known.add(db.replica)
            weakref.finalize(db, db.replica.close)
            _wait_for_database(db.replica)
        return begin(db, stack)

    patch.setattr(Database, "_begin_on_replica", begin_there)
    patch.setattr(replica, "WAIT_SECONDS", 30.0)
