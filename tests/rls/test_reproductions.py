"""Attacks that once went through, each as it was made, and what the others' commands do after it.

Each is psql as the application's role, with a token of the member who attacks; docs/security.md lists them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

import pfa_core
from pfa_core.access.tokens import keyring
from pfa_core.admin.metrics import exposition
from pfa_core.model.ids import new_id
from pfa_core.model.query import Filters, Query
from pfa_core.model.secret import Secret
from tests.factories import a_token, commit, draft, record
from tests.pems_server import FarSide, a_far_side
from tests.rls.test_bounds import LOCKS
from tests.rls.test_pushers import begin, held, lease
from tests.rls.two import SCOPES, Two, authorize
from tests.rls.writing import call, entry, new_draft, refused
from tests.rls.writing import record as tell

pytestmark = pytest.mark.every_version
__all__ = ["held"]  # a fixture
# A grant that is missing, a refusal of a function, a check of a column.
REFUSED = (errors.InsufficientPrivilege, errors.CheckViolation)
DEEP = "(repeat('[', 5000) || repeat(']', 5000))::jsonb"
LONG = "('{\"a\": ' || repeat('9', 5000) || '}')::jsonb"
ODD_TIMES = ("'infinity'", "'-infinity'", "'20000-01-01'", "'0044-03-15 BC'")


@pytest.fixture(scope="module", autouse=True)
def afterwards(two: Two) -> Iterator[None]:
    """A viewer beside the others, whose commands end with no error after all of these attacks."""
    two.org.add_user("vic", "viewer")
    yield
    said = {name: ask() for name, ask in the_others(two).items()}
    assert (said["verify"], said["trail"], said["metrics"]) == (True, True, True)


def the_others(two: Two) -> dict[str, Callable[[], Any]]:
    """What the others' commands say; none of them ends with an error."""
    db, ann, ben = two.org.db, two.org.principal("ann"), two.org.principal("ben")
    return {
        "list": lambda: [one.pfa_id for one in pfa_core.list_records(db, ben, Query()).records],
        "drafts": lambda: [one.delta for one in pfa_core.list_drafts(db, ann, Filters())],
        "diff": lambda: pfa_core.diff(db, ann, Filters()) is not None,
        "conflicts": lambda: len(pfa_core.list_conflicts(db, ann, user_id="ben")),
        "own conflicts": lambda: len(pfa_core.list_conflicts(db, ann)),
        "runs": lambda: len(pfa_core.list_runs(db, ben)),
        "log": lambda: len(pfa_core.list_log(db, ann)),
        "tokens": lambda: [row.token_id for row in pfa_core.list_tokens(db, ann)],
        "stats": lambda: pfa_core.compute_stats(db, ben, Filters()) is not None,
        "status": lambda: pfa_core.status(db, ann) is not None,
        "metrics": lambda: "pfa_runs_total" in exposition(pfa_core.collect(db, ann)),
        "plan": lambda: [(one.user_id, one.delta) for one in pfa_core.plan_push(db, ann)],
        "verify": lambda: pfa_core.verify_database(db, ann).clean,
        "trail": lambda: pfa_core.verify_log(db, ann).whole,
        "show": lambda: [one.pfa_id for one in pfa_core.show_records(db, ben, ["P-1"])],
    }


@pytest.fixture
def as_before(two: Two) -> Iterator[None]:
    """The others' commands say what they said before the attack."""
    said = {name: ask() for name, ask in the_others(two).items()}
    yield
    assert {name: ask() for name, ask in the_others(two).items()} == said


def attack(two: Two, user: str, statements: list[str]) -> list[str]:
    """The statements that pass in any scope of the user's, or without a token."""
    passed = []
    with two.psql() as conn:
        for statement in statements:
            for scope in ("", *SCOPES):
                try:
                    with conn.transaction():
                        if scope:
                            authorize(conn, two.org.principal(user), scope)
                        conn.execute(statement)
                    passed.append(f"{scope or 'no token'}: {statement}")
                except REFUSED:
                    pass
    return passed


def an_overlay(delta: str) -> str:
    return (
        "INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id) VALUES ('ORG',"
        f" pfa_context_user(), 'P-2', '{delta}', '{{}}', gen_random_uuid())"
    )


def a_draft(values: str = "", delta: str = '\'{"model": "BYJOB"}\'') -> str:
    return (
        "INSERT INTO pfa_modification (organization_id, modification_id, pfa_id, user_id, session_id, state, delta,"
        " base, base_version, version, created_at, updated_at) VALUES ('ORG', gen_random_uuid(), 'P-2',"
        f" coalesce(pfa_context_user(), 'vic'), 'bad', 'draft', {delta}, '{{}}', 1, 1, now(), now()){values}"
    )


BAD_DELTAS = ('{"monthlyRate": "abc"}', '{"source": "Zzz"}', '{"isActualized": "maybe"}',
              '{"forecastStart": "2026-02-31"}', '{"forecastStart": "x"}')  # fmt: skip
A_TOKEN = (
    "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,"
    " key_id, issued_at, issued_by, expires_at) SELECT 'ORG', {id}, 'vic', 'user', 'viewer', '{{}}', false,"
    " '{{ORG}}', 'k', {issued}, '{by}', {expires} FROM generate_series(1, {number}) AS n"
)
AN_ENTRY = (
    "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, after, link_id)"
    " VALUES ('ORG', gen_random_uuid(), {at}, 'vic', 'x', {after}, gen_random_uuid())"
)


class TestOverlays:
    """An editor's row of their own stopped the pulls and pushes of all."""

    def test_its_statements_are_refused(self, two: Two, as_before: None) -> None:
        statements = [an_overlay(delta) for delta in BAD_DELTAS]
        statements += [a_draft(delta=f"'{delta}'") for delta in BAD_DELTAS]
        assert attack(two, "ben", statements) == []

    @pytest.mark.parametrize("delta", BAD_DELTAS)
    def test_so_is_its_delta_by_a_function(self, two: Two, delta: str) -> None:
        draft = new_draft("P-2")
        draft["delta"] = json.loads(delta)
        with two.psql() as conn, refused(conn, two.org.principal("ann"), "save_draft", by=REFUSED):
            call(conn, "modifications.insert_drafts", user_id="ann", drafts=[draft])
            tell(conn, "ann", "save", [entry(draft["modification_id"])])


class TestTrail:
    """A viewer added an entry to another's finished link, voided the trail, or blinded it."""

    LATE = (
        "CREATE FUNCTION pg_temp.newest() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$ DECLARE l uuid; BEGIN"
        " PERFORM pg_sleep({seconds}); SELECT link_id INTO l FROM audit_link ORDER BY number DESC LIMIT 1;"
        " RETURN l; END $$"
    )

    def test_an_entry_does_not_join_a_link_that_ends_meanwhile(
        self, two: Two, as_before: None
    ) -> None:
        late = (
            "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id) SELECT 'ORG',"
            " gen_random_uuid(), now(), pfa_context_user(), 'x', pg_temp.newest()"
        )
        with two.psql() as conn:
            conn.execute(self.LATE.format(seconds=0))
            with refused(conn, two.org.principal("vic"), "member"):
                conn.execute(late)

    @pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
    def test_nor_by_the_function_whose_link_is_the_transaction_s(
        self, two: Two, isolation: str
    ) -> None:
        """The entry of a slow transaction has a link of its own, whatever ends in between."""
        vic, ann = two.org.principal("vic"), two.org.principal("ann")
        written = entry()
        with two.psql() as conn:
            conn.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            authorize(conn, vic, "member")
            newest = "SELECT link_id::text FROM audit_link ORDER BY number DESC LIMIT 1"
            assert conn.execute(newest).fetchone()
            draft(two.org.db, ann, "P-2", session="between", model="x")
            with suppress(errors.SerializationFailure):
                tell(conn, "vic", "token_refresh", [{**written, "link_id": str(new_id())}])
                conn.execute("COMMIT")
        pfa_core.discard(two.org.db, ann, pfa_core.Selection(session_id="between"))
        linked = (
            "SELECT l.entry_count FROM audit_log AS e JOIN audit_link AS l USING (organization_id, link_id)"
            " WHERE e.entry_id::text = %s"
        )
        found = two.as_owner(linked, written["entry_id"])
        assert found == ([(1,)] if isolation == "READ COMMITTED" else [])
        assert pfa_core.verify_log(two.org.db, ann).whole

    def test_no_entry_without_a_link_at_an_odd_time_or_of_odd_values(
        self, two: Two, as_before: None
    ) -> None:
        statements = [AN_ENTRY.format(at="now()", after="NULL")]
        statements += [AN_ENTRY.format(at=at, after="NULL") for at in ODD_TIMES]
        odd = ("'5'::jsonb", "'[1,2]'::jsonb", "'\"text\"'::jsonb", DEEP, LONG)
        statements += [AN_ENTRY.format(at="now()", after=after) for after in odd]
        assert attack(two, "vic", statements) == []

    @pytest.mark.parametrize(
        "odd",
        [
            {"after": 5},
            {"after": [1, 2]},
            {"after": "text"},
            {"before": {"a": 10**500}},
            {"reason": "x" * 200_000},
        ],
        ids=lambda odd: str(odd)[:20],
    )
    def test_nor_by_the_function(self, two: Two, odd: dict[str, Any]) -> None:
        written = entry(at="9000-01-01", **odd)
        with two.psql() as conn, suppress(*REFUSED), conn.transaction():
            authorize(conn, two.org.principal("vic"), "member")
            tell(conn, "vic", "token_refresh", [written])
            raise errors.CheckViolation  # what is cut to its length is not the attack
        assert two.as_owner("SELECT at FROM audit_log WHERE at > now() + interval '1 h'") == []

    def test_a_member_hides_no_denial_of_theirs(self, two: Two) -> None:
        flood = (
            "INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, link_id) SELECT 'ORG',"
            " gen_random_uuid(), clock_timestamp() + interval '59 min', 'vic', 'permission_denied',"
            " gen_random_uuid() FROM generate_series(1, 1000)"
        )
        assert attack(two, "vic", [flood]) == []
        vic = two.org.principal("vic")
        denied = (
            "SELECT count(*) FROM audit_log WHERE user_id = 'vic' AND action = 'permission_denied'"
        )
        before = two.as_owner(denied)[0][0]
        with pytest.raises(pfa_core.errors.PermissionDenied):
            pfa_core.save(
                two.org.db, vic, [pfa_core.Change("P-1", {"model": "x"}, None)], session_id="s"
            )
        assert two.as_owner(denied) == [(before + 1,)]


class TestChanges:
    """One bent change of an editor stopped the pushes of all; a job's was sent."""

    BENT = (
        "attempts = 2147483647", "first_attempt_at = 'infinity'", f"delta = jsonb_build_object('model', {DEEP})",
        f"base = jsonb_build_object('model', {DEEP})", f"delta = {LONG}", "pfa_id = 'NOPE-1'",
        "committed_at = '-infinity'", "state = 'sync_error', next_attempt_at = 'infinity'",
        "state = 'sync_error', next_attempt_at = NULL, generation = 2147483647",
        "state = 'sync_error', next_attempt_at = '2099-01-01', committed_at = '2000-01-01'",
        "delta = '{\"model\": \"FORGED\"}'", "user_id = 'ann'",
    )  # fmt: skip

    @pytest.mark.slow
    def test_its_statements_are_refused(self, two: Two, as_before: None) -> None:
        statements = [
            f"UPDATE pfa_modification SET {bent} WHERE user_id = {user}"
            for bent in self.BENT
            for user in ("pfa_context_user()", "'ann'")
        ]
        assert attack(two, "ben", statements) == []

    @pytest.mark.parametrize(
        "bent",
        [
            {"generation": 2147483647},
            {"failures": 2147483647},
            {"next_attempt_at": "infinity"},
            {"next_attempt_at": "2099-01-01Z"},
            {"next_attempt_at": "-infinity"},
            {"message": "x" * 1_000_000},
            {"generation": -5},
        ],
        ids=lambda bent: str(bent)[:40],
    )
    def test_a_pusher_s_rejection_leaves_numbers_and_times_that_a_push_takes(
        self, two: Two, held: tuple[str, str], bent: dict[str, Any]
    ) -> None:
        run, modification_id = held
        plain = {"sent_version": None, "generation": 0, "failures": 1, "next_attempt_at": None}
        rejection = {"modification_id": modification_id, "message": "no", **plain, **bent}
        with two.psql() as conn, suppress(*REFUSED), conn.transaction():
            authorize(conn, two.org.principal("ann"), "sync")
            call(conn, "queue.reject", run_id=run, rejections=[rejection])
            tell(conn, "ann", "reject", [entry(modification_id, run_id=run)])
        ann = two.org.principal("ann")
        assert len(pfa_core.plan_push(two.org.db, ann)) in (0, 1)
        pfa_core.retry(two.org.db, ann, None, dry_run=True)
        late = "SELECT next_attempt_at > now() + interval '8 days' FROM pfa_modification WHERE modification_id = %s"
        assert two.as_owner(late, modification_id)[0][0] in (None, False)

    @pytest.mark.slow
    def test_a_change_of_no_record_is_a_dead_letter_of_its_own(self, database_url: str) -> None:
        with (
            pytest.MonkeyPatch.context() as patch,
            a_bound_far_side(patch, database_url) as far,
        ):
            ben, ann = far.world.principal("ben"), far.ann
            draft(far.db, ann, "P-1", session="good", model="GOOD")
            commit(far.db, ann, session="good")
            made = new_draft("NOPE-1", model="x")
            ids = {"user_id": "ben", "modification_ids": [made["modification_id"]]}
            address = str(far.db.conninfo)
            with psycopg.connect(address, autocommit=True) as conn:
                for scope, block, action, values in (
                    ("save_draft", "modifications.insert_drafts", "save", {"user_id": "ben", "drafts": [made]}),
                    ("commit", "modifications.commit_up_to_date", "commit", ids),
                ):  # fmt: skip
                    with conn.transaction():
                        authorize(conn, ben, scope)
                        call(conn, block, **values)
                        tell(conn, "ben", action, [entry(made["modification_id"])])
            result = far.push()
            assert (result.synced, result.rejected) == (1, 1)
            assert far.applied("P-1") == [{"model": "GOOD"}]

    def test_who_may_not_draft_neither_drafts_nor_commits(self, two: Two, as_before: None) -> None:
        two.org.add_user("service:job", "service", rights=["sync", "read"])
        two.org.add_user("cus", rights=("read", "sync"))
        commits = "UPDATE pfa_modification SET state = 'committed', committed_at = now() WHERE session_id = 'bad'"
        for who in (
            two.org.principal("cus"),
            two.org.principal("service:job"),
            two.org.principal("vic"),
        ):
            made = new_draft(model="BYJOB")
            token = Secret(a_token(who, role="service" if who.is_service else "editor"))
            who = replace(who, token=token)
            with two.psql() as conn:
                for scope in SCOPES:
                    for statement in (a_draft(), commits):
                        with refused(conn, who, scope):
                            conn.execute(statement)
                    values = {"user_id": who.user_id, "drafts": [made]}
                    with refused(conn, who, scope):
                        call(conn, "modifications.insert_drafts", **values)

    @pytest.mark.parametrize(
        "delta", ['{"model": "WHATEVER"}', "deep", '{"monthlyRate": 5}'], ids=["value", "deep", "own"]
    )  # fmt: skip
    def test_no_base_of_another_s_draft_moves_without_a_settlement(
        self, two: Two, delta: str
    ) -> None:
        value = f"jsonb_build_object('model', {DEEP})" if delta == "deep" else f"'{delta}'::jsonb"
        settled = f"jsonb_build_array(jsonb_build_object('user_id', 'ann', 'pfa_id', 'P-1', 'delta', {value}))"
        bases = "SELECT modification_id, base, delta FROM pfa_modification ORDER BY 1"
        before = two.as_owner(bases)
        with two.psql() as conn, conn.transaction():
            authorize(conn, two.org.principal("ben"), "sync")
            conn.execute(f"SELECT pfa_shift_bases({settled})")
        assert two.as_owner(bases) == before


def a_bound_far_side(patch: pytest.MonkeyPatch, url: str, *more: str) -> Any:
    """A world under row-level security with a PEMS beside it."""
    patch.setenv("PFA_TEST_BOUND", "1")
    users = {"ann": "admin", "ben": "editor"}
    return a_far_side(url, *(record(name) for name in ("P-1", "P-2", *more)), users=users)


class TestTokens:
    """A viewer kept tokens from being listed and revoked."""

    STATEMENTS = (
        A_TOKEN.format(id="'poison'", issued="now()", by="x", expires="'infinity'", number=1),
        A_TOKEN.format(id="'odd ' || n", issued="'20000-01-01'", by="x", expires="'20000-01-02'", number=1),
        A_TOKEN.format(id="'many ' || n", issued="'9000-01-01'", by="ann", expires="'9000-01-02'", number=1200),
        A_TOKEN.format(id="'large'", issued="now()", by="x", expires="now() + '1 day'::interval", number=1)
        .replace("'k'", "repeat('k', 1000000)"),
        "UPDATE pfa_token SET revoked_at = 'infinity', revoked_by = 'ann'",
        "UPDATE pfa_token SET revoked_at = NULL, revoked_by = NULL",
        "DELETE FROM pfa_token",
    )  # fmt: skip

    @pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text[:60] + text[-30:])
    def test_its_statement_is_refused(self, two: Two, statement: str) -> None:
        assert attack(two, "vic", [statement]) == []

    def test_an_administrator_lists_and_revokes_afterwards(self, two: Two) -> None:
        db, ann = two.org.db, two.org.principal("ann")
        assert pfa_core.list_tokens(db, ann, ended=True) is not None
        pfa_core.revoke_tokens(db, ann, user_id="vic", dry_run=True)
        pfa_core.revoke_tokens(db, ann, everyone=True, dry_run=True)
        with pytest.raises(pfa_core.errors.NotFound):
            pfa_core.revoke_tokens(db, ann, token_ids=["poison"])

    @pytest.mark.parametrize(
        "kind", ["unsigned", "another key", "another's", "expired", "no token", "twice"]
    )
    def test_a_token_has_a_row_where_it_was_signed_for_its_bearer_once(
        self, two: Two, kind: str
    ) -> None:
        vic, ben = two.org.principal("vic"), two.org.principal("ben")
        name = f"made {kind}"
        tokens = {
            "unsigned": a_token(vic, token_id=name)[:-8] + "AAAAAAAA",
            "another key": a_token(vic, token_id=name, secret="no key of this database"),
            "another's": a_token(ben, token_id=name),
            "expired": a_token(vic, token_id=name, ttl=timedelta(seconds=-5)),
            "no token": "x",
            "twice": a_token(vic, token_id=name),
        }
        statement = "SELECT pfa_register_token(%s)"
        with two.psql() as conn:
            if kind == "twice":
                with conn.transaction():
                    authorize(conn, vic, "member")
                    conn.execute(statement, [tokens[kind]])
                    tell(conn, "vic", "token_issue", [entry()])
                with refused(conn, vic, "member", by=errors.UniqueViolation):
                    conn.execute(statement, [tokens[kind]])
            else:
                with refused(conn, vic, "member"):
                    conn.execute(statement, [tokens[kind]])
        rows = two.as_owner(
            "SELECT user_id, issued_by, role, key_id, expires_at < now() + interval '2 days'"
            " FROM pfa_token WHERE token_id = %s",
            name,
        )
        key = keyring.key_id(Secret("the key that signs the tokens of the tests"))
        assert rows == ([("vic", "vic", "admin", key, True)] if kind == "twice" else [])
        two.as_owner("DELETE FROM pfa_token WHERE token_id = %s", name)


class TestConflicts:
    """An editor blinded the administrator, and forged conflicts of others."""

    A_CONFLICT = (
        "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id, fields,"
        " status, created_at) VALUES ('ORG', gen_random_uuid(), gen_random_uuid(), 'P-1', 'ann', {fields},"
        " 'unresolved', {at})"
    )
    ODD_FIELDS = ("'5'::jsonb", "'{\"model\": 5}'::jsonb", "'[]'::jsonb", "'{}'::jsonb", DEEP)

    @pytest.fixture(autouse=True)
    def open_conflict(self, two: Two) -> Iterator[tuple[str, str]]:
        ((modification_id,),) = two.as_owner(
            "UPDATE pfa_modification SET state = 'conflict' WHERE organization_id = 'ORG' AND user_id = 'ben'"
            " AND pfa_id = 'P-2' RETURNING modification_id::text"
        )
        ((conflict_id,),) = two.as_owner(
            "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id, fields,"
            " status, created_at) VALUES ('ORG', gen_random_uuid(), %s, 'P-2', 'ben',"
            ' \'[{"field": "monthlyRate", "base": 1000, "mine": 3, "pems": 1000}]\', \'unresolved\', now())'
            " RETURNING conflict_id::text",
            modification_id,
        )
        yield modification_id, conflict_id
        two.as_owner("DELETE FROM pfa_sync_conflict")
        two.as_owner(
            "UPDATE pfa_modification SET state = 'committed' WHERE state = 'conflict'"
            " AND modification_id::text = %s",
            modification_id,
        )

    @pytest.mark.slow
    def test_one_s_own_keeps_what_can_be_shown(self, two: Two, as_before: None) -> None:
        changes = [f"fields = {odd}" for odd in self.ODD_FIELDS]
        changes += [f"created_at = {at}" for at in ODD_TIMES]
        changes += ["status = 'resolved'", "resolved_by = 'ann'", "user_id = 'ann'"]
        statements = [
            f"UPDATE pfa_sync_conflict SET {change} WHERE user_id = 'ben'" for change in changes
        ]
        assert attack(two, "ben", statements) == []

    def test_none_of_others_is_made(self, two: Two, as_before: None) -> None:
        statements = [self.A_CONFLICT.format(fields=odd, at="now()") for odd in self.ODD_FIELDS]
        statements += [
            self.A_CONFLICT.format(fields='\'[{"field": "model"}]\'::jsonb', at=at)
            for at in ("now()", *ODD_TIMES)
        ]
        assert attack(two, "ben", statements) == []

    @pytest.mark.parametrize(
        "fields", [5, {"model": 5}, [], {}, [5], [{"field": 5}], [{"field": "model"}]], ids=str
    )
    def test_neither_by_a_function(
        self, two: Two, open_conflict: tuple[str, str], fields: Any
    ) -> None:
        modification_id, conflict_id = open_conflict
        forged = {
            "conflict_id": str(new_id()),
            "modification_id": modification_id,
            "pfa_id": "P-2",
            "user_id": "ben",
            "fields": fields,
        }
        ben = two.org.principal("ben")
        with two.psql() as conn:
            with refused(conn, ben, "commit"):
                shown = [{"conflict_id": conflict_id, "fields": fields}]
                call(conn, "conflicts.refresh", user_id="ben", refreshed=shown)
            with refused(conn, ben, "sync"):
                call(conn, "conflicts.insert", conflicts=[forged])

    def test_the_administrator_goes_on_to_list_and_resolve_it(self, two: Two) -> None:
        ann = two.org.principal("ann")
        assert len(pfa_core.list_conflicts(two.org.db, ann, user_id="ben")) == 1
        result = pfa_core.resolve_conflicts(
            two.org.db,
            ann,
            pfa_core.ConflictSelection(everything=True),
            pfa_core.Decision(take="mine"),
            user_id="ben",
        )
        assert len(result.resolved) == 1


class TestRowsOfRuns:
    """Rows by who may push or pull that misled or broke readers."""

    STATEMENTS = (
        "UPDATE pfa_sync_log SET started_at = 'infinity'",
        "INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id, started_at,"
        " finished_at) VALUES ('ORG', gen_random_uuid(), 'pull', 'http://pems', 'completed', 'ben', '2098-01-01',"
        " '2098-01-01')",
        "UPDATE pfa_sync_log SET counts = '5'",
        "UPDATE pfa_mirror SET updated_at = '2099-01-01'",
        "UPDATE pfa_mirror SET updated_at = 'infinity'",
        f"UPDATE pfa_mirror SET data = data || jsonb_build_object('x', {DEEP})",
        "UPDATE pfa_mirror SET version = 2147483647",
        'UPDATE pfa_mirror SET data = data || \'{"monthlyRate": "NaN"}\'',
        "UPDATE kpi_rollup SET monthly_rental = 'NaN'",
        "UPDATE kpi_rollup SET purchase_cost = 'Infinity'",
        "UPDATE pfa_lease SET expires_at = 'infinity'",
        "UPDATE pfa_sync_outcome SET at = 'infinity'",
    )

    @pytest.mark.slow
    def test_its_statements_are_refused(self, two: Two, as_before: None) -> None:
        for user in ("ben", "ann"):
            assert attack(two, user, list(self.STATEMENTS)) == []

    @pytest.mark.parametrize(
        "counts", [5, [1], {"synced": "x"}, {"synced": -1}, {"synced": 1e300}], ids=str
    )
    def test_a_run_has_counts_that_can_be_read_and_ends_in_no_future(
        self, two: Two, counts: Any
    ) -> None:
        run, ann = str(new_id()), two.org.principal("ann")
        with two.psql() as conn:
            with refused(conn, ann, "refresh_data", by=REFUSED):
                begin(conn, "ann", run, direction="pull")
                call(conn, "runs.progress", run_id=run, counts=Jsonb(counts))
            with conn.transaction():
                authorize(conn, ann, "refresh_data")
                begin(conn, "ann", run, direction="pull")
        late = "SELECT count(*) FROM pfa_sync_log WHERE started_at > now() OR finished_at > now()"
        assert two.as_owner(late) == [(0,)]
        assert the_others(two)["metrics"]()

    @pytest.mark.parametrize("until", ["infinity", "2999-01-01Z", "-infinity"])
    def test_a_lease_lasts_an_hour_at_most(self, two: Two, until: str) -> None:
        two.as_owner("DELETE FROM pfa_lease")
        with two.psql() as conn, suppress(*REFUSED), conn.transaction():
            authorize(conn, two.org.principal("ben"), "sync")
            lease(conn, str(new_id()), until=until)
        late = "SELECT count(*) FROM pfa_lease WHERE expires_at > now() + interval '61 min'"
        assert two.as_owner(late) == [(0,)]
        two.as_owner("DELETE FROM pfa_lease")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("monthlyRate", "NaN"), ("monthlyRate", 1e300), ("x", "deep"), ("source", "Zzz")],
    )
    def test_a_received_record_ends_no_command(self, two: Two, name: str, value: Any) -> None:
        """What a puller may write, a reader can read; what no reader can is refused."""
        run, ann = str(new_id()), two.org.principal("ann")
        data = f"'{{}}'::jsonb || jsonb_build_object('{name}', {DEEP if value == 'deep' else '%s::text'})"
        with two.psql() as conn, suppress(*REFUSED), conn.transaction():
            authorize(conn, ann, "refresh_data")
            call(conn, "mirror.create_incoming")
            given = [] if value == "deep" else [str(value)]
            into = f"INSERT INTO pfa_incoming (pfa_id, data, revision) SELECT 'P-9', {data}, '1'"
            conn.execute(into, given)
            call(conn, "mirror.take_in", run_id=run)
            conn.execute("SELECT data, monthly_rate, source FROM pfa_mirror").fetchall()
            raise errors.CheckViolation  # the others' commands find the mirror as it was


class TestStrangers:
    """A stranger with the password alone stopped all."""

    MODES = ("ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE",
             "ACCESS EXCLUSIVE")  # fmt: skip

    @pytest.mark.parametrize("user", ["", "vic", "ann"])
    def test_no_table_is_locked(self, two: Two, user: str) -> None:
        tables = [
            name
            for (name,) in two.as_owner(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v')"
                " AND relnamespace = 'public'::regnamespace ORDER BY 1"
            )
        ]
        assert {"pfa_member", "pfa_token", "audit_head", "pfa_signing_key"} <= set(tables)
        locked = []
        with two.psql() as conn:
            for table in tables:
                for mode in self.MODES:
                    with suppress(errors.InsufficientPrivilege), conn.transaction():
                        if user:
                            authorize(conn, two.org.principal(user), "manage_users")
                        conn.execute(f"LOCK TABLE {table} IN {mode} MODE")
                        locked.append((table, mode))
        assert locked == []

    def test_without_a_token_no_row_is_locked_either(self, two: Two) -> None:
        tables = [name for name, _ in LOCKS]
        with two.psql() as conn, conn.transaction(force_rollback=True):
            for table in tables:
                assert conn.execute(f"SELECT 1 FROM {table} FOR UPDATE").fetchall() == []
            for table in ("audit_head", "pfa_token", "pfa_lease", "pfa_signing_key"):
                with pytest.raises(errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(f"SELECT 1 FROM {table} FOR UPDATE")

    @pytest.mark.long
    def test_sessions_that_are_ended_all_the_time_leave_each_change_sent_once(
        self, database_url: str
    ) -> None:
        names = [f"R-{number}" for number in range(8)]
        with (
            pytest.MonkeyPatch.context() as patch,
            a_bound_far_side(patch, database_url, *names) as far,
        ):
            for name in names:
                draft(far.db, far.ann, name, session=name, model="SENT")
                commit(far.db, far.ann, session=name)
            ended = self._ending(far)
            for _ in range(8):
                with suppress(pfa_core.errors.PfaError):
                    far.push(if_locked=pfa_core.IfLocked.WAIT)
            ended.set()
            far.world.execute("DELETE FROM pfa_lease")
            far.push()
            assert far.states() == {"synced": 8}
            far.require_once()
            far.require_agreement()
            assert pfa_core.verify_log(far.db, far.ann).whole

    def _ending(self, far: FarSide) -> threading.Event:
        """End the sessions of the role again and again, until the event is set."""
        done, address = threading.Event(), str(far.db.conninfo)

        def end() -> None:
            with psycopg.connect(address, autocommit=True) as conn:
                others = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
                    " AND pid <> pg_backend_pid() AND datname = current_database()"
                )
                for _ in range(15):
                    conn.execute(others)
                    if done.wait(0.05):
                        return

        threading.Thread(target=end, daemon=True).start()
        return done

    def test_a_lock_by_number_of_a_stranger_stops_no_command(self, two: Two) -> None:
        with two.psql() as stranger:
            stranger.execute("SELECT pg_advisory_lock(7245001), pg_advisory_lock_shared(1)")
            with two.org.db.beside() as db:
                assert draft(db, two.org.principal("ann"), "P-2", session="mine", model="x")
        pfa_core.discard(two.org.db, two.org.principal("ann"), pfa_core.Selection(session_id="mine"))  # fmt: skip


def test_the_moment_of_an_attack_is_the_database_s(two: Two) -> None:
    """The trail says when, whatever a session says the time is."""
    with two.psql() as conn, conn.transaction():
        conn.execute("SET LOCAL timezone = 'Pacific/Kiritimati'")
        authorize(conn, two.org.principal("vic"), "member")
        written = entry(at="2099-01-01")
        tell(conn, "vic", "token_refresh", [written])
    ((at,),) = two.as_owner("SELECT at FROM audit_log WHERE entry_id::text = %s", written["entry_id"])  # fmt: skip
    assert abs((at - datetime.now(UTC)).total_seconds()) < 60
