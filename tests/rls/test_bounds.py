"""What one function that writes could do alone, or to whom it should not: each is bound to what belongs to it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection, errors

import pfa_core
from pfa_core.model.ids import new_id
from pfa_core.model.principal import RIGHTS_OF, Role
from tests.by_way_of import POOL
from tests.factories import draft
from tests.rls.test_pushers import begin, held, lease
from tests.rls.two import SCOPES, Two, authorize
from tests.rls.writing import call, entry, record, refused

pytestmark = pytest.mark.every_version
__all__ = ["held"]  # a fixture
# Whose rows are locked, in which scopes.
LOCKS = (
    ("pfa_organization", ("sync", "import", "refresh_data", "manage_settings")),
    ("pfa_member", ("sync", "manage_users", "manage_settings")),
    ("pfa_mirror", (
        "save_draft", "commit", "sync", "import", "refresh_data", "manage_users", "manage_settings")),
)  # fmt: skip
STATE = "SELECT state, delta, base FROM pfa_modification WHERE modification_id = %s"


def whole(two: Two) -> bool:
    return pfa_core.verify_log(two.org.db, two.org.principal("ann")).whole


@dataclass
class Disputed:
    """ben's change of P-2, in conflict with PEMS."""

    modification_id: str
    conflict_id: str
    version: int

    @property
    def resolution(self) -> dict[str, object]:
        settlement = {"monthlyRate": {"take": "mine", "value": 3}}
        return {
            "conflict_id": self.conflict_id,
            "resolution": "mine",
            "settlement": settlement,
        }

    def left(self, **other: object) -> dict[str, object]:
        """What is committed again: the change over the mirror's value."""
        return {
            "modification_id": self.modification_id,
            "version": self.version,
            "delta": {"monthlyRate": 3},
            "base": {"monthlyRate": 1000},
            "base_version": 1,
            **other,
        }


@pytest.fixture
def disputed(two: Two) -> Iterator[Disputed]:
    ((modification_id, version),) = two.as_owner(
        "UPDATE pfa_modification SET state = 'conflict' WHERE organization_id = 'ORG' AND user_id = 'ben'"
        " AND pfa_id = 'P-2' RETURNING modification_id::text, version"
    )
    fields = '[{"field": "monthlyRate", "base": 1000, "mine": 3, "pems": 1000}]'
    ((conflict_id,),) = two.as_owner(
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id, fields,"
        " status, created_at) VALUES ('ORG', gen_random_uuid(), %s, 'P-2', 'ben', %s, 'unresolved', now())"
        " RETURNING conflict_id::text",
        modification_id,
        fields,
    )
    yield Disputed(modification_id, conflict_id, version)
    two.as_owner("DELETE FROM pfa_sync_conflict WHERE conflict_id::text = %s", conflict_id)
    two.as_owner(
        "UPDATE pfa_modification SET state = 'committed', delta = '{\"monthlyRate\": 3}', base_version = 1,"
        " base = '{\"monthlyRate\": 1000}' WHERE modification_id::text = %s",
        modification_id,
    )


class TestConflicts:
    def resolve(self, conn: Connection, conflict: Disputed) -> None:
        call(conn, "conflicts.resolve", user_id="ben", resolutions=[conflict.resolution])

    def recommit(self, conn: Connection, conflict: Disputed, **other: object) -> None:
        call(conn, "conflicts.recommit", user_id="ben", modifications=[conflict.left(**other)])

    def tell(self, conn: Connection, user: str, conflict: Disputed) -> None:
        record(conn, user, "resolve", [entry(conflict.modification_id, pfa_id="P-2")])

    @pytest.mark.parametrize(("user", "scope"), [("ben", "commit"), ("ann", "manage_users")])
    def test_it_is_settled_with_its_change_and_an_entry_and_not_alone(
        self, two: Two, disputed: Disputed, user: str, scope: str
    ) -> None:
        who = two.org.principal(user)
        with two.psql() as conn:
            with refused(conn, who, scope, match="no link"):
                self.resolve(conn, disputed)
            with refused(conn, who, scope, match="in conflict without"):
                self.resolve(conn, disputed)
                self.tell(conn, user, disputed)
            with refused(conn, who, scope, match="no link"):
                self.resolve(conn, disputed)
                self.recommit(conn, disputed)
            with conn.transaction():
                authorize(conn, who, scope)
                self.resolve(conn, disputed)
                self.recommit(conn, disputed)
                self.tell(conn, user, disputed)
        status = "SELECT status, resolved_by FROM pfa_sync_conflict WHERE conflict_id::text = %s"
        assert two.as_owner(status, disputed.conflict_id) == [("resolved", user)]
        assert two.as_owner(STATE, disputed.modification_id)[0][0] == "committed"
        assert whole(two)

    @pytest.mark.parametrize(
        "other",
        [
            {"delta": {"monthlyRate": 3, "model": "ADDED"}},
            {"delta": {"model": "ADDED"}, "base": {"model": None}},
            {"base": {"monthlyRate": 1000, "model": None}},
            {"base": {"monthlyRate": 5}},
            {"base": {}},
            {"base_version": 2_000_000_000},
            {"delta": None},
            {"base": None},
        ],
        ids=str,
    )
    def test_nothing_is_added_to_another_s_change_and_its_base_is_the_mirror_s(
        self, two: Two, disputed: Disputed, other: dict[str, object]
    ) -> None:
        ann, before = two.org.principal("ann"), two.as_owner(STATE, disputed.modification_id)
        with two.psql() as conn, refused(conn, ann, "manage_users"):
            self.resolve(conn, disputed)
            self.recommit(conn, disputed, **other)
            self.tell(conn, "ann", disputed)
        assert two.as_owner(STATE, disputed.modification_id) == before

    def test_a_field_of_it_may_have_another_value_or_drop_out(
        self, two: Two, disputed: Disputed
    ) -> None:
        with two.psql() as conn, conn.transaction():
            authorize(conn, two.org.principal("ann"), "manage_users")
            self.resolve(conn, disputed)
            self.recommit(conn, disputed, delta={"monthlyRate": 4})
            self.tell(conn, "ann", disputed)
        ((state, delta, _),) = two.as_owner(STATE, disputed.modification_id)
        assert (state, delta) == ("committed", {"monthlyRate": 4})

    @pytest.mark.parametrize("name", ["base", "mine", "pems"])
    def test_it_is_shown_with_the_values_that_change_and_mirror_have(
        self, two: Two, disputed: Disputed, name: str
    ) -> None:
        shown = {"field": "monthlyRate", "base": 1000, "mine": 3, "pems": 1000}
        values = {"conflict_id": disputed.conflict_id}
        with two.psql() as conn:
            with refused(conn, two.org.principal("ann"), "manage_users"):
                wrong = [{**values, "fields": [{**shown, name: 7}]}]
                call(conn, "conflicts.refresh", user_id="ben", refreshed=wrong)
            with conn.transaction():
                authorize(conn, two.org.principal("ann"), "manage_users")
                call(
                    conn,
                    "conflicts.refresh",
                    user_id="ben",
                    refreshed=[{**values, "fields": [shown]}],
                )


@pytest.mark.parametrize(
    "rebased",
    [
        {"model": "not of the change"},
        {"monthlyRate": 2, "model": None},
        {"description": "not a field that is edited"},
        {"monthlyRate": "x" * 2_000_000},
        {"monthlyRate": {"deep": 1}},
        None,
        5,
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_dispute_moves_the_base_of_the_change_s_own_fields_alone(
    two: Two, held: tuple[str, str], rebased: object
) -> None:
    run, modification_id = held
    before = two.as_owner(STATE, modification_id)
    dispute = {"modification_id": modification_id, "delta": {"monthlyRate": 3}, "rebased": rebased}
    conflict = {
        "conflict_id": str(new_id()),
        "modification_id": modification_id,
        "pfa_id": "P-2",
        "user_id": "ben",
        "fields": [{"field": "monthlyRate", "base": 1, "mine": 3, "pems": 2}],
    }

    def send(conn: Connection, **other: object) -> None:
        authorize(conn, two.org.principal("ann"), "sync")
        call(conn, "queue.dispute", run_id=run, disputes=[{**dispute, **other}])
        call(conn, "conflicts.insert", conflicts=[conflict])
        record(conn, "ann", "dispute", [entry(modification_id, run_id=run)])
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with two.psql() as conn:
        # The size of what it becomes is a check of the column.
        with (
            pytest.raises((errors.InsufficientPrivilege, errors.CheckViolation)),
            conn.transaction(),
        ):
            send(conn)
        with conn.transaction(force_rollback=True):
            send(conn, rebased={"monthlyRate": 2})
            send_back = conn.execute(STATE, [modification_id]).fetchone()
    assert send_back == ("conflict", {"monthlyRate": 3}, {"monthlyRate": 2})
    assert two.as_owner(STATE, modification_id) == before


class TestMembers:
    def put(self, conn: Connection, user: str, role: str, rights: list[str] | None = None) -> None:
        given = sorted(RIGHTS_OF[Role(role)]) if rights is None else rights
        call(conn, "members.put_member", user_id=user, role=role, rights=given)

    def test_the_last_administrator_is_neither_removed_nor_demoted(self, two: Two) -> None:
        ann = two.org.principal("ann")
        changes = (
            ("revoke", lambda conn: call(conn, "members.delete_member", user_id="ann")),
            ("grant", lambda conn: self.put(conn, "ann", "viewer")),
            ("grant", lambda conn: self.put(conn, "ann", "admin", ["read"])),
            ("grant", lambda conn: self.put(conn, "ann", "editor", ["read", "manage_users"])),
        )
        with two.psql() as conn:
            for action, change in changes:
                with refused(conn, ann, "manage_users", match="without an admin"):
                    change(conn)
                    record(conn, "ann", action, [entry()])
        assert two.as_owner(
            "SELECT role FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ann'"
        ) == [("admin",)]

    def test_an_administrator_beside_another_one_is(self, two: Two) -> None:
        two.org.add_user("rex", "admin")
        with two.psql() as conn:
            for action, change in (
                ("grant", lambda: self.put(conn, "rex", "viewer")),
                ("revoke", lambda: call(conn, "members.delete_member", user_id="rex")),
            ):
                with conn.transaction():
                    authorize(conn, two.org.principal("ann"), "manage_users")
                    change()
                    record(conn, "ann", action, [entry()])
        assert whole(two)

    def test_two_who_remove_each_other_at_once_leave_one(self, two: Two) -> None:
        two.org.add_user("rex", "admin")
        ready = threading.Barrier(2)

        def remove(who: str, other: str) -> None:
            with two.psql() as conn, suppress(errors.Error), conn.transaction():
                authorize(conn, two.org.principal(who), "manage_users")
                ready.wait(10)
                call(conn, "members.delete_member", user_id=other)
                record(conn, who, "revoke", [entry()])

        try:
            threads = [
                threading.Thread(target=remove, args=pair)
                for pair in (("ann", "rex"), ("rex", "ann"))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            left = "SELECT user_id FROM pfa_member WHERE organization_id = 'ORG' AND role = 'admin'"
            assert len(two.as_owner(left)) == 1
        finally:
            two.org.add_user("ann", "admin")
            two.as_owner("DELETE FROM pfa_member WHERE user_id = 'rex'")

    def test_a_service_s_name_is_no_person_s(self, two: Two) -> None:
        ann = two.org.principal("ann")
        with two.psql() as conn:
            for user, role in (
                ("service:x", "editor"),
                ("service:x", "admin"),
                ("x", "service"),
                ("service:", "viewer"),
                ("service:", "service"),
            ):
                with refused(conn, ann, "manage_users", by=errors.CheckViolation):
                    self.put(conn, user, role, ["read"])
            with conn.transaction(force_rollback=True):
                authorize(conn, ann, "manage_users")
                self.put(conn, "service:x", "service", ["read"])


class TestLeases:
    """The lease of a direction is for those who may run in it."""

    @pytest.fixture(autouse=True)
    def free(self, two: Two) -> Iterator[None]:
        two.as_owner("DELETE FROM pfa_lease")
        yield
        two.as_owner("DELETE FROM pfa_lease")

    @pytest.mark.parametrize(
        ("scope", "own", "other"),
        [
            ("sync", "push", "pull"),
            ("refresh_data", "pull", "push"),
            ("import", "pull", "push"),
        ],
    )
    def test_it_is_taken_held_and_released_in_its_own_scope(
        self, two: Two, scope: str, own: str, other: str
    ) -> None:
        ann, mine, theirs = two.org.principal("ann"), str(new_id()), str(new_id())
        two.as_owner(
            "INSERT INTO pfa_lease (organization_id, name, owner_id, owner, acquired_at, heartbeat_at, expires_at)"
            " VALUES ('ORG', %s, %s, 'ann', now() - interval '1 h', now() - interval '1 h', now())",
            other,
            theirs,
        )
        until = {"until": "2999-01-01Z"}
        with two.psql() as conn:
            with refused(conn, ann, scope):
                lease(conn, mine, direction=other)
            with refused(conn, ann, scope):
                call(conn, "leases.beat", name=other, owner_id=theirs, **until)
            with refused(conn, ann, scope):
                call(conn, "leases.release", name=other, owner_id=theirs)
            with conn.transaction():
                authorize(conn, ann, scope)
                assert lease(conn, mine, direction=own) is not None
                assert call(conn, "leases.beat", name=own, owner_id=mine, **until) is not None
                assert call(conn, "leases.release", name=own, owner_id=mine) == [1]
        assert two.as_owner("SELECT name, owner_id::text FROM pfa_lease") == [(other, theirs)]

    @pytest.mark.parametrize(
        ("scope", "own", "other"), [("sync", "push", "pull"), ("refresh_data", "pull", "push")]
    )
    def test_so_is_a_run(self, two: Two, scope: str, own: str, other: str) -> None:
        ann, mine, theirs = two.org.principal("ann"), str(new_id()), str(new_id())
        with two.psql() as conn:
            with conn.transaction():
                authorize(conn, ann, "sync" if other == "push" else "refresh_data")
                begin(conn, "ann", theirs, direction=other)
            for run, direction in ((mine, other), (theirs, own), (theirs, other)):
                with refused(conn, ann, scope):
                    begin(conn, "ann", run, direction=direction)
            with refused(conn, ann, scope):
                call(conn, "runs.put_behind", run_id=theirs, behind=1, behind_since=None)
            with refused(conn, ann, scope):
                lease(conn, mine, direction=own)
                given = {"message": "x", "direction": other, "run_id": mine}
                call(conn, "runs.mark_abandoned", **given)
            with conn.transaction():
                authorize(conn, ann, scope)
                begin(conn, "ann", mine, direction=own)
        assert two.as_owner("SELECT status FROM pfa_sync_log WHERE run_id = %s", theirs) == [
            ("running",)
        ]


def what_an_administrator_types() -> str:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    (statement,) = re.findall(r"```sql\n(SELECT pg_terminate_backend.*?)```", page, re.DOTALL)
    return statement


class TestLocks:
    """What a member keeps from others by holding a transaction open."""

    @pytest.mark.parametrize(("table", "scopes"), LOCKS, ids=[table for table, _ in LOCKS])
    def test_rows_of_all_are_locked_in_the_scopes_alone_that_write_beside_them(
        self, two: Two, table: str, scopes: tuple[str, ...]
    ) -> None:
        found = set()
        with two.psql() as conn:
            for scope in SCOPES:
                with conn.transaction(force_rollback=True):
                    authorize(conn, two.org.principal("ann"), scope)
                    of_others = " WHERE user_id <> 'ann'" if table == "pfa_member" else ""
                    if conn.execute(f"SELECT 1 FROM {table}{of_others} FOR UPDATE").fetchall():
                        found.add(scope)
        assert found == set(scopes)

    def test_one_s_own_membership_is_locked_in_every_scope(self, two: Two) -> None:
        with two.psql() as conn, conn.transaction(force_rollback=True):
            authorize(conn, two.org.principal("ben"), "member")
            locked = "SELECT user_id FROM pfa_member FOR NO KEY UPDATE"
            assert conn.execute(locked).fetchall() == [("ben",)]

    @pytest.mark.skipif(bool(POOL), reason="a pooler does not show whose session holds a lock")
    def test_who_holds_the_end_of_the_chain_is_named_ended_and_bounded(
        self, two: Two, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pfa_core.store import session, silence

        monkeypatch.setattr(session, "LOCK_SECONDS", 1)
        monkeypatch.setattr(silence, "NOTICE_SECONDS", 0.3)
        ben, ann = two.org.principal("ben"), two.org.principal("ann")
        with two.org.db.beside() as db, two.psql() as holder:
            holder.execute("BEGIN")
            authorize(holder, ben, "member")
            record(holder, "ben", "token_refresh", [entry()])
            limit = holder.execute("SHOW idle_in_transaction_session_timeout").fetchone()
            assert limit == ("1min",)
            with pytest.raises(pfa_core.errors.Locked) as raised:
                draft(db, ann, "P-2", session="waits", model="x")
            pid = holder.info.backend_pid
            assert f"process {pid} of {holder.info.user}" in raised.value.message
            assert f"pg_terminate_backend({pid})" in raised.value.hint
            monkeypatch.setattr(session, "LOCK_SECONDS", 30)
            db.close()
            saved: list[object] = []
            waiting = threading.Thread(
                target=lambda: saved.append(draft(db, ann, "P-2", session="waits", model="x"))
            )
            waiting.start()
            typed = what_an_administrator_types().replace("1 minute", "0 s")
            while not two.as_owner(typed):
                time.sleep(0.1)
            waiting.join(30)
            assert len(saved) == 1
            with suppress(psycopg.OperationalError):
                holder.rollback()
        pfa_core.discard(two.org.db, ann, pfa_core.Selection(session_id="waits"))
        assert whole(two)


class TestRefusals:
    """A refusal of the database's functions is not a missing privilege of the role."""

    def test_it_is_forbidden_and_a_missing_grant_is_a_setting(self, two: Two) -> None:
        ben = two.org.principal("ben")

        def beyond(conn: Connection) -> None:
            authorize(conn, ben, "read")
            call(conn, "leases.release", name="push", owner_id=str(new_id()))

        def direct(conn: Connection) -> None:
            authorize(conn, ben, "read")
            conn.execute("DELETE FROM pfa_lease")

        with pytest.raises(pfa_core.errors.Forbidden) as refusal:
            two.org.db.transact(beyond)
        assert refusal.value.message == (
            "refused by the database: the transaction is not authorized for this"
        )
        assert (refusal.value.exit_code, refusal.value.code) == (5, "FORBIDDEN")
        assert refusal.value.hint == "type: pfa auth status"
        with pytest.raises(pfa_core.errors.ConfigInvalid, match="lacks a privilege"):
            two.org.db.transact(direct)

    def test_so_is_one_at_the_commit(self, two: Two) -> None:
        ben = two.org.principal("ben")

        def unlinked(conn: Connection) -> None:
            authorize(conn, ben, "member")
            call(conn, "audit.write", user_id="ben", action="token_refresh", entries=[entry()])

        with pytest.raises(pfa_core.errors.Forbidden, match="are in no link"):
            two.org.db.transact(unlinked)

    def test_each_has_the_mark_of_one(self) -> None:
        from pfa_core import sql

        ((_, _, schema), *_) = sql.migrations()
        assert schema.count("RAISE insufficient_privilege") > 15
        assert schema.count("RAISE insufficient_privilege") == schema.count(
            "CONSTRAINT = 'pfa_refusal'"
        )
