"""`pfa auth`: tokens and keys by command, and that no token is ever shown where it should not be."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from pfa_cli.app import app
from pfa_cli.render import streams
from pfa_core.model.secret import masked
from tests.forms import long
from tests.program import Pfa, Ran

EXAMPLE = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


def kept(path: Path, text: str, mode: int = 0o600) -> str:
    path.touch(0o600)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def token_of(ran: Ran) -> str:
    assert (ran.code, ran.err) == (0, "")
    return ran.out.strip()


def rows(ran: Ran) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return ran.json["data"]


@pytest.fixture
def vera(ready: Pfa) -> str:
    """A viewer's token."""
    return token_of(ready("auth", "issue", "--user", "vera", "--role", "viewer"))


class TestFiles:
    """Of new tokens."""

    def test_a_token_goes_to_a_file_that_only_its_owner_can_read(
        self, ready: Pfa, tmp_path: Path
    ) -> None:
        file = tmp_path / "new" / "vera.token"
        words = ("auth", "issue", "--user", "vera", "--role", "viewer", "--to", str(file))
        ran = ready(*words, "-o", "json")
        assert ran.code == 0, ran.err
        assert file.stat().st_mode & 0o777 == 0o600
        facts = ran.json["data"]
        assert (facts["userId"], facts["tokenFile"]) == ("vera", str(file))
        assert file.read_text().strip() not in ran.out + ran.err
        assert ready("list", "--token-file", str(file), "-o", "ids").code == 0
        quiet = ready(*words, "-q")
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")

    def test_a_token_that_cannot_be_written_is_revoked(self, ready: Pfa, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        below = str(tmp_path / "file" / "token")
        ran = ready("auth", "issue", "--user", "vera", "--role", "viewer", "--to", below)
        assert ran.code == 74
        assert "was not shown, and is revoked" in ran.err
        (only,) = rows(ready("auth", "list", "--user", "vera", "--ended", "-o", "json"))
        assert only["revokedAt"]

    @pytest.mark.slow
    @pytest.mark.parametrize(("mode", "noted"), [(0o644, True), *long([(0o600, False)])])
    def test_a_file_that_others_can_read_is_noted(
        self, ready: Pfa, tmp_path: Path, mode: int, noted: bool
    ) -> None:
        file = tmp_path / "vera.token"
        file.touch()
        file.chmod(mode)
        with file.open("w") as out:
            words = ("auth", "issue", "--user", "vera", "--role", "viewer")
            done = subprocess.run(
                [sys.executable, "-m", "pfa_cli", *words],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
        assert ("chmod 600" in done.stderr) is noted
        assert file.read_text().count(".") == 2

    def test_what_is_lacking_is_named_by_its_option(self, ready: Pfa) -> None:
        for words, needed in (
            (["issue"], ["--user NAME", "--service NAME"]),
            (["issue", "--user", "a", "--service", "b"], ["--user", "--service"]),
            (["revoke"], ["--user", "--all"]),
            (["revoke", "--user", "a", "--all"], ["--user", "--all"]),
        ):
            ran = ready("auth", *words)
            assert ran.code == 2
            assert all(option in ran.err for option in needed), ran.err


class TestCommands:
    def test_tokens_are_listed_refreshed_and_revoked(
        self, ready: Pfa, vera: str, tmp_path: Path
    ) -> None:
        file = kept(tmp_path / "vera.token", vera)
        assert rows(ready("list", "--token-file", file, "-o", "json"))
        (mine,) = rows(ready("auth", "list", "--user", "vera", "-o", "json"))
        assert (mine["kind"], mine["role"], mine["revokedAt"]) == ("user", "viewer", None)
        fresh = ready("auth", "refresh", "--token-file", file, "-o", "json").json["data"]
        assert (fresh["replaces"], "token" in fresh) == (mine["tokenId"], False)
        assert Path(file).read_text().strip() != vera
        printed = token_of(ready("auth", "refresh", "--token-file", file, "--print"))
        assert printed.count(".") == 2
        gone = ready("auth", "revoke", fresh["tokenId"])
        assert (gone.code, gone.err) == (0, "1 token revoked\n")
        refused = ready("list", "--token-file", file)
        assert (refused.code, "[INVALID_TOKEN]" in refused.err) == (4, True)
        assert ready("auth", "status", "--token-file", file).code == 4
        assert len(rows(ready("auth", "list", "--user", "vera", "-o", "json"))) == 2
        assert len(rows(ready("auth", "list", "--user", "vera", "--ended", "-o", "json"))) == 3
        assert ready("auth", "revoke", "--user", "vera").code == 0
        assert ready("auth", "list", "--user", "vera").out == ""

    def test_without_the_right_only_one_s_own(self, ready: Pfa, vera: str, tmp_path: Path) -> None:
        file = kept(tmp_path / "vera.token", vera)
        assert len(ready("auth", "list", "--token-file", file).lines) == 1
        assert ready("auth", "list", "--user", "root", "--token-file", file).code == 5
        assert ready("auth", "revoke", "--all", "--token-file", file).code == 5
        assert ready("auth", "keys", "--token-file", file).code == 5
        assert ready("auth", "revoke", "unknown").code == 6
        assert ready("auth", "revoke").code == 2
        assert (
            ready("auth", "revoke", "-n", "--user", "vera").err == "1 token revoked, rolled back\n"
        )
        assert ready("list", "--token-file", file).code == 0

    def test_a_service_holds_the_rights_it_was_given(self, ready: Pfa, tmp_path: Path) -> None:
        words = ("auth", "issue", "--service", "nightly", "--right", "sync", "--right", "read")
        file = kept(tmp_path / "nightly.token", token_of(ready(*words, "--ttl", "90d")))
        assert ready("list", "--token-file", file, "-o", "ids").code == 0
        assert ready("sync", "push", "-n", "--token-file", file).code == 0
        for refused in (
            ("draft", "set", "H-001", "model=X"),
            ("discard", "--all"),
            ("auth", "list", "--user", "vera"),
        ):
            ran = ready(*refused, "--token-file", file)
            assert (ran.code, "[PERMISSION_DENIED]" in ran.err) == (5, True), refused
        assert ready("commit", "--token-file", file).code == 5
        assert "service:nightly\tservice\tread,sync" in ready("user", "list").out

    def test_a_service_that_only_pushes_is_well(self, ready: Pfa, tmp_path: Path) -> None:
        words = ("auth", "issue", "--service", "pusher", "--right", "sync", "--ttl", "1h")
        file = kept(tmp_path / "pusher.token", token_of(ready(*words)))
        ran = ready("doctor", "--token-file", file)
        assert ran.code == 0, ran.out
        assert "service:pusher in HOLNG" in ran.out
        assert "skipped  baseline: requires the right read" in ran.out

    def test_status_shows_rights_that_differ_from_the_role(
        self, ready: Pfa, tmp_path: Path
    ) -> None:
        ready("user", "grant", "rita", "--role", "viewer", "--right", "export")
        file = kept(tmp_path / "rita.token", token_of(ready("auth", "issue", "--user", "rita")))
        assert "HOLNG (read, export)" in ready("auth", "status", "--token-file", file).out
        ran = ready("auth", "status", "--token-file", file, "-o", "json").json["data"]
        assert (ran["organizations"], ran["rights"]) == (
            {"HOLNG": "viewer"},
            {"HOLNG": ["read", "export"]},
        )

    def test_a_user_without_tokens_is_reported(self, ready: Pfa) -> None:
        ran = ready("auth", "list", "--user", "zoe")
        assert (ran.code, ran.out) == (0, "")
        assert "no active tokens of zoe; add --ended for others" in ran.err
        assert "no tokens of zoe" in ready("auth", "list", "--user", "zoe", "--ended").err

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("--user", "vera", "--service", "x", "--right", "read"),
            ("--user", "vera", "--right", "read"),
            ("--service", "x", "--role", "viewer"),
            ("--service", "x"),
            ("--service", "x", "--right", "save_draft"),
            ("--service", "x", "--right", "edit_forecast"),
            ("--service", "x", "--right", "read", "--ttl", "367d"),
            ("--service", "a b", "--right", "read"),
        ],
        ids=" ".join,
    )
    def test_what_makes_no_token_is_2(self, ready: Pfa, words: tuple[str, ...]) -> None:
        assert ready("auth", "issue", *words).code == 2

    def test_keys_are_listed_rotated_and_retired(self, ready: Pfa, vera: str) -> None:
        folder = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa"
        secret = (folder / "jwt.key").read_text().strip()
        (before,) = rows(ready("auth", "keys", "-o", "json"))
        assert (before["state"], before["here"]) == ("signing", True)
        made = ready("auth", "keys", "rotate", "--overlap", "1h")
        assert made.code == 0
        assert "expire with the overlap" in made.err
        both = rows(ready("auth", "keys", "list", "-o", "json"))
        assert [key["state"] for key in both] == ["signing", "verifying"]
        assert ready("list", "-o", "ids").code == 0
        assert ready("auth", "keys", "retire", both[0]["keyId"]).code == 7
        assert ready("auth", "keys", "retire", before["keyId"]).code == 0
        assert ready("list").code == 4
        assert ready("init", "--org", "HOLNG").code == 0
        said = ready("auth", "keys", "-o", "json").out + made.out + made.err
        assert secret not in said
        assert (folder / "jwt.key").read_text().strip() not in said

    def test_the_audit_trail_holds_tokens_and_keys(self, ready: Pfa, vera: str) -> None:
        ready("auth", "keys", "rotate")
        ready("auth", "revoke", "--user", "vera")
        log = ready("log", "-o", "json")
        actions = {entry["action"] for entry in log.json["data"]}
        assert {"grant", "token_issue", "token_revoke", "key_register", "key_rotate"} <= actions
        assert vera not in log.out

    def test_status_says_what_it_can_without_a_database(
        self, ready: Pfa, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        ran = ready("auth", "status")
        assert (ran.code, "cannot check whether it was revoked" in ran.err) == (0, True)


class TestSources:
    def test_a_pipe(self, ready: Pfa, vera: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for words in (("auth", "login", "-"), ("auth", "login")):
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{vera}\n"))
            assert ready(*words).code == 0
            assert ready("auth", "status", "-o", "json").json["data"]["userId"] == "vera"

    def test_the_environment(self, ready: Pfa, vera: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PFA_TOKEN", vera)
        assert ready("auth", "status", "-o", "json").json["data"]["source"] == "PFA_TOKEN"

    @pytest.mark.parametrize(
        ("mode", "code"),
        [(0o400, 0), (0o440, 0), (0o600, 0), (0o444, 78), (0o660, 78), (0o604, 78), (0o450, 78)],
    )
    def test_a_credential_of_systemd(
        self,
        ready: Pfa,
        vera: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        mode: int,
        code: int,
    ) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        file = kept(tmp_path / "pfa-token", vera, mode)
        ran = ready("auth", "status", "-o", "json")
        assert ran.code == code
        if code == 0:
            assert ran.json["data"]["source"] == "$CREDENTIALS_DIRECTORY/pfa-token"
            assert ready("auth", "refresh").code == 2
        # Named, it is the same file.
        assert ready("auth", "status", "--token-file", file).code == code

    def test_a_unit_without_such_a_credential_uses_what_is_kept(
        self, ready: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert ready("auth", "status").code == 0

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
    def test_a_file_that_others_can_touch_is_78(
        self, ready: Pfa, vera: str, tmp_path: Path, mode: int
    ) -> None:
        file = kept(tmp_path / "vera.token", vera, mode)
        ran = ready("list", "--token-file", file)
        assert (ran.code, vera in ran.err) == (78, False)


class TestSecrecy:
    def test_no_option_takes_a_token_or_a_key(self) -> None:
        """Every user of a machine sees the arguments of every program."""

        def options(command: Any) -> set[str]:
            own = {name for param in command.params for name in param.opts}
            inner = getattr(command, "commands", {})
            if hasattr(command, "list_commands"):
                context = typer.Context(command)
                inner = {n: command.get_command(context, n) for n in command.list_commands(context)}
            return own.union(*map(options, inner.values()))

        found = {
            name
            for name in options(typer.main.get_command(app))
            if any(word in name for word in ("token", "secret", "password", "key", "jwt"))
        }
        assert found == {"--token-file", "--password-file", "token_ids", "key_id"}

    @pytest.mark.parametrize(
        "words",
        [
            ("auth", "login", EXAMPLE),
            ("list", "--token-file", EXAMPLE),
            ("auth", "revoke", EXAMPLE),
            ("auth", "keys", "retire", EXAMPLE),
            ("auth", "issue", "--user", EXAMPLE),
            ("auth", EXAMPLE),
            (EXAMPLE,),
            ("list", EXAMPLE),
            ("list", f"--token={EXAMPLE}"),
            ("show", EXAMPLE),
            ("--org", EXAMPLE, "list"),
        ],
        ids=lambda words: " ".join(words).replace(EXAMPLE, "TOKEN"),
    )
    @pytest.mark.parametrize("style", [(), ("--error-format", "json"), ("--debug",)])
    def test_a_token_on_the_command_line_is_refused_and_not_said_again(
        self, ready: Pfa, words: tuple[str, ...], style: tuple[str, ...]
    ) -> None:
        ran = ready(*words, *style)
        assert ran.code in (2, 5, 6), ran.err
        assert EXAMPLE[-12:] not in ran.out + ran.err

    def test_a_token_in_a_variable_that_names_a_file_is_not_said_again(
        self, ready: Pfa, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_TOKEN_FILE", EXAMPLE)
        ran = ready("-v", "list", "--debug")
        assert (ran.code, EXAMPLE[-12:] in ran.err) == (2, False)

    @pytest.mark.parametrize(
        "words", [("list",), ("auth", "status"), ("auth", "refresh"), ("doctor",)]
    )
    def test_a_token_that_is_refused_is_not_shown(
        self, ready: Pfa, vera: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        header, body, _ = vera.split(".")
        claims = (
            base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
        )
        for token in (vera[:-4], f"{claims}.{body}.", f"{header}.{body}.{'A' * 43}", "x" + vera):
            monkeypatch.setenv("PFA_TOKEN", token)
            ran = ready(*words, "-v", "--debug")
            assert ran.code != 0
            assert body not in ran.out + ran.err

    def test_whatever_goes_to_stderr_has_its_tokens_masked(
        self, capsys: pytest.CaptureFixture[str], vera: str
    ) -> None:
        streams.tell(f"a {vera}, another ({EXAMPLE}) and eyJ alone")
        assert capsys.readouterr().err == "a eyJ…, another (eyJ…) and eyJ alone\n"
        assert masked("nothing here") == "nothing here"

    @pytest.mark.slow
    def test_neither_arguments_nor_log_show_the_token_while_it_works(
        self, ready: Pfa, vera: str, tmp_path: Path
    ) -> None:
        """As `ps` sees it: a child that prints its own arguments while the token is in use."""
        log = tmp_path / "run.log"
        ran = ready("sync", "push", "--log-file", str(log), "--log-format", "json")
        assert ran.code in (0, 78)
        stored = (Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "token").read_text().strip()
        assert stored not in (log.read_text() if log.exists() else "") + ran.out + ran.err
        script = (
            "import sys; from pathlib import Path; from pfa_cli.app import main;"
            " code = main(['auth', 'status']);"
            " print(Path('/proc/self/cmdline').read_text(), code)"
        )
        if Path("/proc/self/cmdline").exists():
            done = subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "PFA_TOKEN": vera},
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[2],
            )
            assert done.stdout.strip().endswith(" 0")
            assert vera not in done.stdout + done.stderr
