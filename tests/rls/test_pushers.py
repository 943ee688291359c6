"""What a pusher, an editor and a job may do with others' changes: nothing but what their run has claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors

import pfa_core
from pfa_core.model.ids import new_id
from tests.factories import a_token
from tests.factories import record as record_of
from tests.pems_server import a_far_side
from tests.rls.two import Two, authorize
from tests.rls.writing import call, entry, record, refused

pytestmark = pytest.mark.every_version
REFUSED = errors.InsufficientPrivilege
COMMITTED = "SELECT modification_id::text, version FROM pfa_modification WHERE user_id = 'ben' AND pfa_id = 'P-2'"


def lease(conn: Connection, run: str, *, direction: str = "push", **values) -> object:
    given = {
        "name": direction,
        "owner_id": run,
        "host": "psql",
        "pid": 1,
        "until": "2999-01-01Z",
        "too_late": "-infinity",
        "gone": None,
    }
    return call(conn, "leases.acquire", **{**given, **values})


def begin(
    conn: Connection, user: str, run: str, *, direction: str = "push", with_entry: bool = True
) -> None:
    values = {
        "run_id": run,
        "direction": direction,
        "kind": "full",
        "since": None,
        "source": "psql",
        "status": "running",
        "user_id": user,
        "started_at": "2999-01-01Z",
        "finished_at": None,
        "message": None,
    }
    conn.execute(
        "SELECT * FROM pfa_do_runs_put('ORG', %(run_id)s, %(direction)s, %(kind)s, %(since)s, %(source)s,"
        " %(status)s, %(user_id)s, %(started_at)s, %(finished_at)s, '{}', %(message)s)",
        values,
    )
    if with_entry:
        record(conn, user, "begin", [entry(run_id=run)])


@pytest.fixture
def held(two: Two):
    """ann holds the lease of a push and has claimed ben's change."""
    run = str(new_id())
    ((modification_id, _),) = two.as_owner(COMMITTED)
    two.as_owner("DELETE FROM pfa_lease")
    two.as_owner(
        "UPDATE pfa_modification SET state = 'committed', claim_id = NULL WHERE modification_id = %s",
        modification_id,
    )
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), "sync")
        assert lease(conn, run) is not None
        begin(conn, "ann", run)
        claims = [{"modification_id": modification_id, "sent_version": None, "sent_fields": None}]
        assert call(conn, "queue.claim", run_id=run, claims=claims) == modification_id
    yield run, modification_id
    two.as_owner("DELETE FROM pfa_lease")
    two.as_owner(
        "UPDATE pfa_modification SET state = 'committed', claim_id = NULL, synced_at = NULL"
        " WHERE modification_id = %s",
        modification_id,
    )


def test_a_lease_and_a_run_are_of_their_user_and_of_no_later_time(two, held):
    ((owner, late, started),) = two.as_owner(
        "SELECT l.owner, l.expires_at > clock_timestamp() + interval '2 hours',"
        " r.started_at <= clock_timestamp()"
        " FROM pfa_lease AS l JOIN pfa_sync_log AS r ON r.run_id = l.owner_id"
    )
    assert (owner, late, started) == ("ann", False, True)


def test_a_lease_that_another_run_holds_is_not_taken_kept_or_released(two, held):
    run, _ = held
    with two.psql() as conn:
        with conn.transaction():
            authorize(conn, two.org.principal("ben"), "sync")
            assert lease(conn, str(new_id())) is None
            assert lease(conn, str(new_id()), gone=run) is None
            assert lease(conn, str(new_id()), too_late="-infinity", until="infinity") is None
        for block, values in (
            ("leases.release", {}),
            ("leases.beat", {"until": "2999-01-01Z"}),
        ):
            with refused(conn, two.org.principal("ben"), "sync"):
                call(conn, block, name="push", owner_id=run, **values)
    assert two.as_owner("SELECT owner_id::text, owner FROM pfa_lease") == [(run, "ann")]


def test_what_a_run_has_claimed_is_settled_by_that_run_alone(two, held):
    run, modification_id = held
    other = str(new_id())
    rejection = {
        "modification_id": modification_id,
        "sent_version": None,
        "generation": 2147483647,
        "failures": 1,
        "next_attempt_at": "2099-01-01Z",
        "message": "x",
    }
    dispute = {"modification_id": modification_id, "delta": {"monthlyRate": 3}, "rebased": {}}
    back = {"modification_id": modification_id, "sent_version": None, "generation": 0}
    mark = {
        "modification_id": modification_id,
        "sent_version": "1",
        "sent_fields": [],
        "generation": 1,
    }
    attempts = {
        "queue.acknowledge": {"modification_ids": [modification_id]},
        "queue.reject": {"rejections": [rejection]},
        "queue.dispute": {"disputes": [dispute]},
        "queue.hand_back": {"returns": [back]},
        "queue.mark": {"marks": [mark]},
        "queue.recover": {},
        "queue.claim": {"claims": [mark]},
    }
    with two.psql() as conn:
        for claimed_by in (run, other):
            for block, values in attempts.items():
                with refused(conn, two.org.principal("ben"), "sync"):
                    call(conn, block, run_id=claimed_by, **values)
        with refused(
            conn, two.org.principal("ben"), "sync"
        ):  # a run of one's own, without the lease
            begin(conn, "ben", other)
            call(conn, "queue.recover", run_id=other)
        with conn.transaction():
            authorize(conn, two.org.principal("ben"), "sync")
            begin(conn, "ben", other)
            for block in ("queue.acknowledge", "queue.reject", "queue.dispute"):
                assert call(conn, block, run_id=other, **attempts[block]) is None
    state = "SELECT state, claim_id::text FROM pfa_modification WHERE modification_id = %s"
    assert two.as_owner(state, modification_id) == [("syncing", run)]


def test_a_dispute_adds_nothing_to_another_s_change(two, held):
    run, modification_id = held
    with two.psql() as conn:
        for delta in ({"model": "mine"}, {"monthlyRate": 4}, {"monthlyRate": 3, "model": "mine"}):
            dispute = {"modification_id": modification_id, "delta": delta, "rebased": {}}
            with refused(conn, two.org.principal("ann"), "sync"):
                call(conn, "queue.dispute", run_id=run, disputes=[dispute])


def test_a_conflict_is_of_a_change_that_the_transaction_disputes(two, held):
    run, modification_id = held
    conflict = {
        "conflict_id": str(new_id()),
        "modification_id": modification_id,
        "pfa_id": "P-2",
        "user_id": "ben",
        "fields": [{"field": "monthlyRate", "base": 1, "mine": 3, "pems": 2}],
    }
    dispute = {"modification_id": modification_id, "delta": {"monthlyRate": 3}, "rebased": {}}
    with two.psql() as conn:
        with refused(conn, two.org.principal("ann"), "sync"):
            call(conn, "conflicts.insert", conflicts=[conflict])
        for wrong in (
            {"user_id": "ann"},
            {"pfa_id": "P-1"},
            {"modification_id": str(new_id())},
            {"fields": []},
            {"fields": 5},
            {"fields": [5]},
            {"fields": [{"field": "model"}]},
        ):
            with refused(conn, two.org.principal("ann"), "sync"):
                call(conn, "queue.dispute", run_id=run, disputes=[dispute])
                call(conn, "conflicts.insert", conflicts=[{**conflict, **wrong}])
        with conn.transaction(force_rollback=True):
            authorize(conn, two.org.principal("ann"), "sync")
            call(conn, "queue.dispute", run_id=run, disputes=[dispute])
            call(conn, "conflicts.insert", conflicts=[conflict])


@pytest.mark.parametrize("fields", [[], 5, {"model": 5}, [5], [{}], [{"field": "model"}], None])
def test_a_member_s_own_conflict_keeps_fields_that_can_be_shown(two, held, fields):
    _, modification_id = held
    ((conflict_id,),) = two.as_owner(
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id, fields,"
        " status, created_at) VALUES ('ORG', gen_random_uuid(), %s, 'P-2', 'ben',"
        " '[{\"field\": \"monthlyRate\"}]', 'unresolved', now()) RETURNING conflict_id::text",
        modification_id,
    )
    try:
        shown = {"field": "monthlyRate", "base": 1000, "mine": 3, "pems": 1000}
        good = {"conflict_id": conflict_id, "fields": [shown]}
        with two.psql() as conn:
            with refused(conn, two.org.principal("ben"), "commit"):
                call(
                    conn, "conflicts.refresh", user_id="ben", refreshed=[{**good, "fields": fields}]
                )
            with conn.transaction():
                authorize(conn, two.org.principal("ben"), "commit")
                call(conn, "conflicts.refresh", user_id="ben", refreshed=[good])
        found = pfa_core.list_conflicts(two.org.db, two.org.principal("ann"), user_id="ben")
        assert [row.conflict_id for row in found] == [conflict_id]
    finally:
        two.as_owner("DELETE FROM pfa_sync_conflict WHERE conflict_id::text = %s", conflict_id)


def test_bases_of_others_move_by_what_the_transaction_has_settled(two, held):
    run, modification_id = held
    base = "SELECT base FROM pfa_modification WHERE user_id = 'ben' AND pfa_id = 'P-1'"
    ((before,),) = two.as_owner(base)
    settled = [
        {"user_id": "ben", "pfa_id": "P-1", "delta": {"monthlyRate": 5}},
        {"user_id": "ann", "pfa_id": "P-1", "delta": {"monthlyRate": 5}},
    ]
    with two.psql() as conn, conn.transaction():
        authorize(conn, two.org.principal("ann"), "sync")
        conn.execute("SELECT pfa_shift_bases(%s)", [psycopg.types.json.Jsonb(settled)])
        assert call(conn, "queue.acknowledge", run_id=run, modification_ids=[modification_id])
        conn.execute("SELECT pfa_shift_bases(%s)", [psycopg.types.json.Jsonb(settled)])
        record(conn, "ann", "acknowledge", [entry(modification_id, pfa_id="P-2", run_id=run)])
    assert two.as_owner(base) == [(before,)]


def test_a_push_writes_records_into_the_mirror_that_it_has_settled_alone(two, held):
    run, modification_id = held
    data = "SELECT pfa_id, data FROM pfa_mirror WHERE organization_id = 'ORG' ORDER BY 1"
    before = two.as_owner(data)
    arrived = "INSERT INTO pfa_incoming SELECT %s, '{\"model\": \"mine\"}', '9'"
    with two.psql() as conn:
        for pfa_id in ("P-1", "P-2", "P-9"):
            with refused(conn, two.org.principal("ann"), "sync"):
                call(conn, "mirror.create_incoming")
                conn.execute(arrived, [pfa_id])
                call(conn, "mirror.take_in", run_id=run)
        with conn.transaction(force_rollback=True):
            authorize(conn, two.org.principal("ann"), "sync")
            call(conn, "mirror.create_incoming")
            conn.execute(arrived, ["P-2"])
            assert call(conn, "queue.acknowledge", run_id=run, modification_ids=[modification_id])
            assert call(conn, "mirror.take_in", run_id=run)[2] == 1
    assert two.as_owner(data) == before


def test_runs_of_others_are_neither_rewritten_nor_marked_as_failed(two, held):
    run, _ = held
    with two.psql() as conn:
        with refused(conn, two.org.principal("ben"), "sync"):
            begin(conn, "ben", run)
        with refused(conn, two.org.principal("ben"), "sync"):
            begin(conn, "ann", str(new_id()))
        with refused(conn, two.org.principal("ben"), "sync"):
            given = {"message": "x", "direction": "push", "run_id": str(new_id())}
            call(conn, "runs.mark_abandoned", **given)
    assert two.as_owner("SELECT user_id, status FROM pfa_sync_log WHERE run_id = %s", run) == [
        ("ann", "running")
    ]


def test_pages_of_a_pull_are_those_of_the_run_that_holds_its_lease(two):
    with two.psql() as conn:
        for block, values in (
            ("pull_pages.drop", {"keep": None}),
            ("pull_pages.inherit", {"run_id": str(new_id()), "earlier": str(new_id())}),
            ("mirror.mark_missing_records", {"run_id": str(new_id()), "began_at": "2999-01-01Z"}),
        ):
            with refused(conn, two.org.principal("ben"), "refresh_data"):
                call(conn, block, **values)


@pytest.mark.long
def test_a_push_whose_lease_another_run_has_taken_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses its next claim: that is the lease, not a right that its user lacks."""
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    records = [record_of(f"P-{number:03}") for number in range(900)]
    with a_far_side(database_url, *records, users={"ann": "admin"}) as far:
        pfa_core.set_fields(far.db, far.ann, pfa_core.Filters(), {"model": "New"}, session_id="s")
        pfa_core.commit(far.db, far.ann, pfa_core.Selection(session_id="s"))
        lose_the_lease(far, at=5)
        with pytest.raises(pfa_core.errors.LeaseHeld, match="the lease was lost"):
            far.push()
        assert far.states()["committed"] > 0
        far.require_once()


def test_so_does_a_pull(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
    records = [record_of(f"P-{number:03}") for number in range(60)]
    with a_far_side(database_url, *records, users={"ann": "admin"}, page_size=10) as far:
        lose_the_lease(far, at=2)
        with pytest.raises(pfa_core.errors.LeaseHeld, match="the lease was lost"):
            far.pull()


def test_a_job_that_may_push_drafts_and_commits_nothing(two):
    job = two.org.add_user("service:job", "service", rights=["sync", "read"])
    job = replace(job, token=pfa_core.config.settings.Secret(a_token(job, role="service")))
    with two.psql() as conn:
        for scope in ("commit", "save_draft"):
            with conn.transaction(force_rollback=True):
                authorize(conn, job, scope)
                assert conn.execute("SELECT pfa_context()").fetchone() == (None,)
        with conn.transaction(force_rollback=True):
            authorize(conn, job, "sync")
            assert conn.execute("SELECT (pfa_context())[3]").fetchone() == ("sync",)


def test_who_may_push_but_not_draft_does_not_commit(two):
    two.org.add_user("gus", rights=("read", "sync"))
    with two.psql() as conn, conn.transaction(force_rollback=True):
        authorize(conn, two.org.principal("gus"), "commit")
        assert conn.execute("SELECT pfa_context()").fetchone() == (None,)
    with pytest.raises(pfa_core.errors.PermissionDenied, match="save_draft"):
        pfa_core.commit(two.org.db, two.org.principal("gus"), pfa_core.Selection(session_id="sent"))


def lose_the_lease(far: Any, *, at: int) -> None:
    """Let another run take the lease, while PEMS answers a request of this one."""
    seen: list[object] = []

    def watch(*_: object) -> None:
        seen.append(1)
        if len(seen) == at:
            far.world.execute("UPDATE pfa_lease SET owner_id = gen_random_uuid(), owner = 'eve'")

    far.pems._watcher = watch
