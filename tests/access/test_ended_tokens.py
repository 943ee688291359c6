"""Tokens and keys that end whatever the register knows of them, and whenever a command is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.access.tokens import keyring
from pfa_core.model.principal import Principal
from tests.access.signing import (
    a_signing_key,
    a_world_of_three,
    count,
    issue,
    issue_service,
    present,
    settings,
    trail,
)
from tests.factories import World
from tests.forms import forms, many
from tests.processes import started
from tests.worlds import built_once

world = built_once(a_world_of_three)
key = pytest.fixture(a_signing_key, autouse=True)
REPOSITORY = Path(__file__).parents[2]


class TestUnregistered:
    """A token that the register does not have ends with those of its user."""

    def unregistered(self, world: World, user: str = "bob") -> Principal:
        issued = issue(world, user)
        who = present(issued.token)
        world.execute("DELETE FROM pfa_token WHERE token_id = %s", issued.token_id)
        assert count(world, who) == 1
        return who

    @pytest.mark.parametrize("selection", [{"user_id": "bob"}, {"everyone": True}])
    def test_a_token_that_no_register_has_is_refused(
        self, world: World, selection: dict[str, Any]
    ) -> None:
        bob = self.unregistered(world)
        pfa_core.revoke_tokens(world.db, world.principal(), **selection)
        with pytest.raises(errors.InvalidToken, match="was revoked"):
            count(world, bob)
        said = trail(world, "token_revoke")[-1]
        assert (said[0], said[2]["user"]) == ("ann", selection.get("user_id", "*"))

    def test_the_token_of_another_goes_on(self, world: World) -> None:
        vera = self.unregistered(world, "vera")
        pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
        assert count(world, vera) == 1

    def test_a_token_that_is_issued_at_once_after_is_good(self, world: World) -> None:
        for _ in range(3):
            old = self.unregistered(world)
            pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
            assert count(world, present(issue(world).token)) == 1
            with pytest.raises(errors.InvalidToken):
                count(world, old)

    def test_a_dry_run_ends_nothing(self, world: World) -> None:
        bob = self.unregistered(world)
        pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob", dry_run=True)
        assert count(world, bob) == 1

    def test_the_verifier_in_the_database_refuses_it_too(self, world: World) -> None:
        token = issue(world).token
        world.execute("DELETE FROM pfa_token")
        asked = "SELECT user_id FROM pfa_verify_token(%s, now())"
        assert world.rows(asked, token) == [("bob",)]
        pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
        assert world.rows(asked, token) == []

    def test_a_member_who_holds_a_transaction_open_delays_no_revocation_of_others(
        self, world: World
    ) -> None:
        vera, bob = self.unregistered(world, "vera"), self.unregistered(world)
        held = (
            "SELECT FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'vera' FOR UPDATE"
        )
        with psycopg.connect(world.url) as other:
            other.execute(held)
            with pytest.raises(errors.Locked, match="transaction of vera") as raised:
                pfa_core.revoke_tokens(world.db, world.principal(), everyone=True)
        assert raised.value.hint == "type again: pfa auth revoke --user vera"
        with pytest.raises(errors.InvalidToken):
            count(world, bob)
        assert count(world, vera) == 1
        pfa_core.revoke_tokens(world.db, world.principal(), user_id="vera")
        with pytest.raises(errors.InvalidToken):
            count(world, vera)


class TestFormerMembers:
    """A membership that is given anew is not that of before: no token of then is good again."""

    @pytest.mark.parametrize("ended", [False, True], ids=["", "ended before"])
    def test_a_token_from_before_is_refused_and_a_new_one_good_at_once(
        self, world: World, ended: bool
    ) -> None:
        tokens = [present(issue(world).token)]
        world.execute("DELETE FROM pfa_token")
        if ended:
            pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
        for role in ("editor", "viewer", "editor"):
            pfa_core.revoke(world.db, world.principal(), "bob")
            with pytest.raises(errors.Forbidden):
                count(world, tokens[0])
            pfa_core.grant(world.db, world.principal(), "bob", role)
            for old in tokens:
                with pytest.raises(errors.InvalidToken, match="was revoked"):
                    count(world, old)
            tokens.append(present(issue(world).token))
            assert count(world, tokens[-1]) == 1

    def test_the_mark_outlasts_several_memberships(self, world: World) -> None:
        since = "SELECT tokens_since FROM pfa_member WHERE user_id = 'bob'"
        world.execute("UPDATE pfa_member SET tokens_since = '2026-01-01Z' WHERE user_id = 'bob'")
        pfa_core.grant(world.db, world.principal(), "bob", "viewer")
        assert world.rows(since) == [(datetime(2026, 1, 1, tzinfo=UTC),)]
        pfa_core.revoke(world.db, world.principal(), "bob")
        before = datetime.now(UTC) - timedelta(seconds=2)
        pfa_core.grant(world.db, world.principal(), "bob", "viewer")
        ((mark,),) = world.rows(since)
        assert before < mark <= datetime.now(UTC) + timedelta(seconds=2)

    def test_who_was_no_member_before_has_no_mark(self, world: World) -> None:
        old = present(issue(world).token)
        pfa_core.grant(world.db, world.principal(), "zoe", "viewer")
        pfa_core.grant(world.db, world.principal(), "bob", "admin")
        assert world.rows("SELECT user_id FROM pfa_member WHERE tokens_since IS NOT NULL") == []
        assert count(world, old) == 1

    def test_so_is_it_with_a_service(self, world: World) -> None:
        pfa_core.grant(world.db, world.principal(), "zoe", "viewer")
        first = issue_service(world, "read").token
        pfa_core.revoke(world.db, world.principal(), "service:nightly")
        second = issue_service(world, "read").token
        for token, good in ((first, False), (second, True)):
            asked = "SELECT count(*) FROM pfa_verify_token(%s, now())"
            assert world.rows(asked, token) == [(int(good),)]


class TestOddRows:
    """A row of the register that the program would not write is listed and revoked as any other."""

    @pytest.mark.parametrize("at", ["infinity", "20000-01-01"])
    def test_a_time_that_python_cannot_name_stops_no_revocation(
        self, world: World, at: str
    ) -> None:
        good = issue(world)
        try:
            world.execute(
                "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed,"
                " organizations, key_id, issued_at, issued_by, expires_at) VALUES ('ORG', 'odd', 'vera',"
                " 'user', 'viewer', '{}', false, '{ORG}', 'k', now(), 'x', %s)",
                at,
            )
        except errors.PfaError:
            return  # refused where the column has the domain of times
        rows = pfa_core.list_tokens(world.db, world.principal())
        assert {"odd", good.token_id} <= {row.token_id for row in rows}
        gone = pfa_core.revoke_tokens(world.db, world.principal(), everyone=True)
        assert {"odd", good.token_id} == {row.token_id for row in gone}
        assert pfa_core.list_tokens(world.db, world.principal()) == []


def killed(world: World, operation: str, step: int) -> list[str] | None:
    """Run an operation that kills itself at a step; None: it was killed, else the steps it passed."""
    words = [sys.executable, "-m", "tests.access.killed", world.url, operation, str(step)]
    with started(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=60)
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0
    return out.split("\n")[:-1]


class TestKilled:
    @pytest.mark.long
    def test_a_refresh_leaves_no_live_token_that_cannot_be_named(self, world: World) -> None:
        """Whatever is in the file can be listed and revoked."""
        for step in range(1, 9):
            present(issue(world).token)
            killed(world, "refresh", step)
            who = pfa_core.authenticate(settings())
            registered = {row.token_id for row in pfa_core.list_tokens(world.db, world.principal())}
            assert who.token_id in registered
            assert count(world, who) == 1
            pfa_core.revoke_tokens(world.db, world.principal(), user_id="bob")
            with pytest.raises(errors.InvalidToken):
                count(world, who)

    @pytest.mark.long
    def test_a_refresh_stores_its_text_before_the_commit_and_replaces_the_file_after_it(
        self, world: World
    ) -> None:
        present(issue(world).token)
        assert killed(world, "refresh", 0) == [
            "after fsync", "before commit", "after commit", "before replace", "after replace",
        ]  # fmt: skip

    @pytest.mark.long
    def test_a_rotation_is_done_or_can_be_repeated(self, world: World) -> None:
        """The leaked key is good neither here nor in the database, or is good in both and signs."""
        for step in range(1, 15):
            leaked = keyring.load(settings()).signing.key_id
            token = issue(world).token
            done = killed(world, "rotate", step) is not None
            ended = world.rows("SELECT 1 FROM pfa_verify_token(%s, now())", token) == []
            assert ended or not done
            if not ended:
                assert keyring.load(settings()).signing.key_id == leaked
                pfa_core.rotate_keys(world.db, settings(), world.principal(), overlap=timedelta(0))
            with pytest.raises(errors.InvalidToken):
                count(world, present_unchecked(token))
            # Here a token is issued, by a key that the database knows.
            fresh = issue(world)
            assert world.rows("SELECT user_id FROM pfa_verify_token(%s, now())", fresh.token) == [
                ("bob",)
            ]
            assert keyring.load(settings()).next is None
            good = (
                "SELECT key_id FROM pfa_signing_key WHERE retired_at IS NULL AND not_after IS NULL"
            )
            assert world.rows(good) == [(keyring.load(settings()).signing.key_id,)]

    @pytest.mark.parametrize(("overlap", "said"), [(timedelta(hours=8), 1), (timedelta(0), 2)])
    def test_a_rotation_that_ended_before_the_file_is_taken_up_by_the_next_one(
        self, world: World, monkeypatch: pytest.MonkeyPatch, overlap: timedelta, said: int
    ) -> None:
        token = issue(world).token
        before = keyring.load(settings()).signing.key_id

        def away(*_: object) -> None:
            raise errors.DatabaseUnavailable("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr("pfa_core.access.tokens.signing_keys.finish_rotation", away)
            with pytest.raises(errors.DatabaseUnavailable):
                pfa_core.rotate_keys(world.db, settings(), world.principal())
        coming = keyring.load(settings()).next
        assert coming
        for dry_run in (True, False):
            made = pfa_core.rotate_keys(
                world.db, settings(), world.principal(), overlap=overlap, dry_run=dry_run
            )
            assert (made.key_id, made.previous) == (coming.key_id, before)
            assert made.overlap_until <= datetime.now(UTC) + overlap
            assert (keyring.load(settings()).signing.key_id == before) is dry_run
        known = world.rows("SELECT key_id, not_after FROM pfa_signing_key ORDER BY created_at")
        assert known == [(before, made.overlap_until), (coming.key_id, None)]
        good = world.rows("SELECT user_id FROM pfa_verify_token(%s, now())", token)
        assert good == ([("bob",)] if overlap else [])
        assert len(trail(world, "key_rotate")) == said
        assert pfa_core.rotate_keys(world.db, settings(), world.principal()).previous == made.key_id

    @pytest.mark.long
    def test_a_retired_key_is_good_nowhere_or_can_be_retired_again(self, world: World) -> None:
        for step in range(1, 9):
            old = issue(world)
            made = pfa_core.rotate_keys(world.db, settings(), world.principal())
            killed(world, made.previous, step)
            ended = world.rows("SELECT 1 FROM pfa_verify_token(%s, now())", old.token) == []
            here = made.previous in {key.key_id for key in keyring.load(settings()).keys}
            assert ended or here
            gone = pfa_core.retire_key(world.db, settings(), world.principal(), made.previous)
            assert (gone.state, gone.here) == ("retired", False)
            assert made.previous not in {key.key_id for key in keyring.load(settings()).keys}
            assert world.rows("SELECT 1 FROM pfa_verify_token(%s, now())", old.token) == []


def present_unchecked(token: str) -> Principal:
    """The principal of a token whatever the ring says, as a program with the old key file has it."""
    import jwt

    claims = jwt.decode(token, options={"verify_signature": False})
    key_id = jwt.get_unverified_header(token)["kid"]
    return Principal(
        user_id=claims["sub"],
        organization_id="ORG",
        rights=frozenset(claims["organizations"]["ORG"]["rights"]),
        token_id=claims["jti"],
        key_id=key_id,
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
    )


class TestTogether:
    @pytest.mark.slow
    @forms("rounds", short=2, long=many(15, 1000))
    def test_of_keys_that_are_made_at_once_all_processes_have_one(
        self, tmp_path: Path, rounds: int
    ) -> None:
        program = (
            "import sys, time; from pathlib import Path; import pfa_core; from dataclasses import replace;"
            " from pfa_core.access.tokens import keyring;"
            " print('ready', flush=True); sys.stdin.readline()\n"
            "for line in sys.stdin:\n"
            "    one = replace(pfa_core.resolve(), jwt_secret=None, config_dir=Path(line.strip()))\n"
            "    print(keyring.ensure(one).signing.key_id, flush=True)\n"
        )
        words = [sys.executable, "-c", program]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(words, cwd=REPOSITORY, **pipes) for _ in range(6)]
        try:
            for process in processes:
                assert process.stdout
                assert process.stdout.readline() == "ready\n"
                print(file=process.stdin, flush=True)
            for number in range(rounds):
                path = tmp_path / str(number) / "jwt.key"
                for process in processes:
                    print(path.parent, file=process.stdin, flush=True)
                said = {
                    process.stdout.readline().strip() for process in processes if process.stdout
                }
                held = keyring.key_id(keyring.Secret(path.read_text().strip()))
                assert said == {held}
                assert [entry.name for entry in path.parent.iterdir()] == ["jwt.key"]
        finally:
            for process in processes:
                process.communicate()
