"""The current session and the chosen organization: who sees them, what they narrow, and who is left alone."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pfa_cli.framework.invocation import Invocation
from pfa_core.config.choices import choices_file, chosen, home_of, place_of
from tests.cli.conftest import ready
from tests.forms import every_third
from tests.program import Pfa
from tests.terminals import on_terminal, terminal

__all__ = ["ready"]  # a fixture
Ask = Callable[..., "Said"]


@pytest.fixture
def two(ready: Pfa) -> Pfa:
    """A draft in the session one, another in two; the first is the current one."""
    assert ready("draft", "set", "H-001", "model=A", "--into", "one").code == 0
    assert ready("draft", "set", "H-002", "model=B", "--into", "two").code == 0
    assert ready("session", "use", "one").code == 0
    return ready


def states(pfa: Pfa) -> dict[str, str]:
    """The state of each draft, by its session."""
    rows = pfa("session", "list", "-o", "json").json["data"]
    return {row["sessionId"]: row["state"] for row in rows if row["records"]}


@dataclass(frozen=True)
class Said:
    """What a command wrote on both streams."""

    code: int
    text: str


@pytest.fixture
def attended(ready: Pfa) -> Ask:
    """Runs the program in this process as if a user could read its stderr."""

    def ask(*words: str, **environ: str) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Invocation, "is_attended", True)
            for name, value in environ.items():
                patch.setenv(name, value)
            done = ready(*words)
        return Said(done.code, done.out + done.err)

    return ask


class TestOnATerminal:
    @pytest.mark.slow
    def test_a_commit_takes_the_current_session_and_says_so(self, two: Pfa) -> None:
        screen = on_terminal("commit")
        assert (screen.code, "session one (pfa session use)" in screen.text) == (0, True)
        assert states(two) == {"one": "committed", "two": "draft"}

    def test_a_save_goes_into_it(self, two: Pfa, attended: Ask) -> None:
        (two.folder / "delta.json").write_text('[{"pfaId": "H-003", "delta": {"model": "C"}}]')
        for words in (
            ("draft", "save", str(two.folder / "delta.json")),
            ("draft", "set", "H-004", "model=D"),
            ("draft", "shift", "7", "--id", "H-005"),
        ):
            assert attended(*words).code == 0
        drafted = two("draft", "list", "--session", "one", "-o", "ids").lines
        assert drafted == ["H-001", "H-003", "H-004", "H-005"]

    def test_a_file_that_names_its_session_keeps_it(self, two: Pfa, attended: Ask) -> None:
        content = '{"sessionId": "theirs", "modifications": [{"pfaId": "H-003", "delta": {"model": "C"}}]}'
        (two.folder / "delta.json").write_text(content)
        assert attended("draft", "save", str(two.folder / "delta.json")).code == 0
        assert two("draft", "list", "--session", "theirs", "-o", "ids").lines == ["H-003"]

    @pytest.mark.parametrize("option", ["--session", "--into"])
    def test_a_save_names_its_session_as_set_and_shift_do(
        self, two: Pfa, attended: Ask, option: str
    ) -> None:
        (two.folder / "delta.json").write_text('[{"pfaId": "H-003", "delta": {"model": "C"}}]')
        saved = attended("draft", "save", str(two.folder / "delta.json"), option, "third")
        assert saved.code == 0
        assert two("draft", "list", "--session", "third", "-o", "ids").lines == ["H-003"]

    def test_reads_of_drafts_show_it_alone(self, two: Pfa, attended: Ask) -> None:
        for words in (("diff",), ("draft", "list")):
            screen = attended(*words, "-o", "ids")
            assert ("H-001" in screen.text, "H-002" in screen.text) == (True, False)
            everything = attended(*words, "--all", "-o", "ids").text
            assert ("H-001" in everything, "H-002" in everything) == (True, True)

    def test_an_option_wins(self, two: Pfa, attended: Ask) -> None:
        for words in (
            ("diff", "two"),
            ("diff", "--session", "two"),
            ("diff", "--id", "H-002"),
            ("draft", "list", "--session", "two"),
        ):
            screen = attended(*words, "-o", "ids")
            assert ("H-001" in screen.text, "H-002" in screen.text) == (False, True)
            assert "pfa session use" not in screen.text
        assert attended("commit", "--id", "H-002").code == 0
        assert states(two) == {"one": "draft", "two": "committed"}

    def test_a_shift_of_another_session_stays_in_that(self, two: Pfa, attended: Ask) -> None:
        assert attended("draft", "shift", "7", "--session", "two").code == 0
        assert two("draft", "list", "--session", "one", "-o", "ids").lines == ["H-001"]
        assert attended("draft", "set", "H-003", "model=C", "--into", "two").code == 0
        assert two("draft", "list", "--session", "two", "-o", "ids").lines == ["H-002", "H-003"]

    def test_fields_are_taken_out_of_it_alone(self, two: Pfa, attended: Ask) -> None:
        assert attended("draft", "unset", "model").code == 0
        assert states(two) == {"two": "draft"}

    def test_it_is_discarded_restored_and_uncommitted(self, two: Pfa, attended: Ask) -> None:
        assert attended("discard").code == 0
        assert states(two) == {"two": "draft"}
        assert attended("restore").code == 0
        assert attended("commit").code == 0
        assert attended("uncommit").code == 0
        assert states(two) == {"one": "draft", "two": "draft"}

    def test_the_variable_wins_over_the_choice(self, two: Pfa, attended: Ask) -> None:
        screen = attended("commit", PFA_SESSION="two")
        assert "session two (PFA_SESSION)" in screen.text
        assert states(two) == {"one": "draft", "two": "committed"}

    @pytest.mark.slow
    def test_a_status_names_it(self, two: Pfa) -> None:
        lines = on_terminal("status").lines
        assert [line for line in lines if "current session" in line and "one" in line] != []

    def test_without_one_a_bare_commit_is_as_before(self, two: Pfa, attended: Ask) -> None:
        assert two("session", "use", "--none").code == 0
        assert "pfa session use" not in attended("diff").text

    def test_it_is_that_of_the_organization(self, two: Pfa) -> None:
        assert two("org", "add", "RIO").code == 0
        shown = two("session", "show", "--org", "RIO", "-o", "json").json["data"]
        assert shown == {"sessionId": None, "source": "", "records": 0}


FROM_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.execv(sys.executable, [sys.executable, "-m", "pfa_cli", *sys.argv[1:]])
"""


class TestStreamsElsewhere:
    """A command that is typed in a terminal, with its streams in files and pipes."""

    @pytest.mark.slow
    def test_a_commit_through_a_pipe_takes_the_current_session(self, two: Pfa) -> None:
        with terminal(80, 24) as (_, follower):
            done = subprocess.run(
                [sys.executable, "-c", FROM_A_TERMINAL, "commit"],
                stdin=follower, capture_output=True, text=True, start_new_session=True, timeout=60,
            )  # fmt: skip
            os.close(follower)
        assert (done.returncode, "session one (pfa session use)" in done.stderr) == (0, True)
        assert states(two) == {"one": "committed", "two": "draft"}

    @pytest.mark.long
    def test_the_same_without_one_does_not(self, two: Pfa) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pfa_cli", "commit"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, "does not count" in done.stderr) == (0, True)
        assert states(two) == {"one": "committed", "two": "committed"}


class TestWithoutATerminal:
    def test_a_job_of_the_same_user_commits_what_it_did_before(self, two: Pfa) -> None:
        done = two("commit")
        assert done.code == 0
        assert states(two) == {"one": "committed", "two": "committed"}

    def test_it_says_that_the_choice_does_not_count_but_not_when_quiet(self, two: Pfa) -> None:
        note = (
            "note: without a terminal the current session one does not count;"
            " name it with --session or PFA_SESSION\n"
        )
        assert two("diff", "-o", "ids").err.startswith(note)
        assert two("commit", "-q").err == ""

    def test_a_save_begins_a_session_of_its_own(self, two: Pfa) -> None:
        assert two("draft", "set", "H-003", "model=C").code == 0
        assert two("draft", "list", "--session", "one", "-o", "ids").lines == ["H-001"]

    def test_the_variable_counts_silently(self, two: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PFA_SESSION", "two")
        done = two("commit", "-o", "ids")
        assert (done.out, done.err.splitlines()[0]) == ("H-002\n", "1 draft committed")
        assert two("status", "-o", "json").json["data"]["currentSession"] == "two"

    def test_the_choice_is_shown_and_no_part_of_the_status(self, two: Pfa) -> None:
        assert two("session", "show", "-o", "json").json["data"]["sessionId"] == "one"
        assert two("status", "-o", "json").json["data"]["currentSession"] is None


class TestTheChoice:
    def test_a_new_session_is_chosen_with_a_word_about_similar_ones(self, two: Pfa) -> None:
        done = two("session", "use", "tow")
        assert (done.code, done.err) == (
            0, "hint: there are no drafts in tow yet; did you mean two?\n",
        )  # fmt: skip

    @pytest.mark.parametrize("words", [[], ["one", "--none"]], ids=" ".join)
    def test_it_is_one_session_or_none(self, words: list[str], two: Pfa) -> None:
        done = two("session", "use", *words)
        assert done.code == 2
        assert "give either a session or --none" in done.err

    @pytest.mark.parametrize("name", ["", " ", "a\tb", "a\nb", "x" * 1001])
    def test_another_text_is_refused(self, name: str, two: Pfa) -> None:
        assert two("session", "use", name).code == 2
        assert two("session", "show", "-o", "json").json["data"]["sessionId"] == "one"

    def test_only_its_owner_can_read_the_file(self, two: Pfa) -> None:
        path = Path(choices_file(os.environ))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda path: path.write_text("nonsense\n"), "is not a file of choices"),
            (lambda path: path.write_bytes(b"\xff\t\xff\t\xff"), "is not UTF-8 text"),
            (lambda path: path.chmod(0o666), "can be written by others"),
            (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
        ],
        ids=["lines", "bytes", "mode", "folder"],
    )
    def test_one_that_cannot_be_read_stops_a_commit_instead_of_widening_it(
        self, spoil: Callable[[Path], object], message: str, two: Pfa, attended: Ask
    ) -> None:
        path = Path(choices_file(os.environ))
        spoil(path)
        screen = attended("commit")
        assert (screen.code, message in screen.text) == (78, True)
        assert "hint: type: pfa session use --none" in screen.text
        assert set(states_of(two)) == {"draft"}
        if path.is_file():
            assert attended("session", "use", "--none").code == 0
            assert attended("commit", "--dry-run").code == 0


def states_of(pfa: Pfa) -> list[str]:
    return pfa("draft", "list", "--session", "one", "--columns", "state", "-o", "csv").lines[1:]


class TestOrganization:
    @pytest.fixture
    def rio(self, ready: Pfa) -> Pfa:
        """The user is in HOLNG and RIO."""
        assert ready("org", "add", "RIO").code == 0
        return ready

    @pytest.mark.long
    def test_on_a_terminal_the_chosen_one_is_taken(self, rio: Pfa) -> None:
        assert on_terminal("status").code == 2
        assert rio("org", "use", "RIO").code == 0
        screen = on_terminal("status")
        assert (screen.code, "RIO (pfa org use)" in screen.text) == (0, True)
        assert rio("org", "use", "--none").code == 0
        assert on_terminal("status").code == 2

    def test_a_job_has_to_name_one_as_before(self, rio: Pfa) -> None:
        assert rio("org", "use", "RIO").code == 0
        done = rio("status")
        assert done.code == 2
        assert "hint: type: pfa org use CODE, or give --org: HOLNG, RIO" in done.err

    def test_variable_and_option_win_and_the_profile_does_not(
        self, rio: Pfa, attended: Ask, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (home / "config" / "pfa" / "config.toml").write_text(
            '[profiles.default]\norganization = "HOLNG"\n'
        )
        assert rio("org", "use", "RIO").code == 0
        assert "RIO, " in attended("status").text
        assert "HOLNG, " in attended("status", "--org", "HOLNG").text
        assert "HOLNG, " in attended("status", PFA_ORG="HOLNG").text
        assert rio("status", "-o", "json").json["data"]["organization"] == "HOLNG"

    @pytest.mark.parametrize(("code", "exit_code"), [("RIOO", 6), ("XY", 5)])
    def test_one_that_the_token_does_not_hold_is_refused(
        self, code: str, exit_code: int, rio: Pfa
    ) -> None:
        assert rio("org", "use", code).code == exit_code
        assert not Path(choices_file(os.environ)).exists()

    def test_a_choice_that_the_token_holds_no_more_names_its_source(
        self, rio: Pfa, attended: Ask
    ) -> None:
        assert rio("org", "use", "RIO").code == 0
        assert rio("auth", "refresh", "--only", "HOLNG", "--org", "HOLNG").code == 0
        screen = attended("status")
        assert screen.code == 5
        assert "does not hold the chosen organization 'RIO'" in screen.text
        assert "hint: type: pfa org use --none; it holds: HOLNG" in screen.text

    def test_a_variable_that_wins_is_named(self, rio: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PFA_ORG", "HOLNG")
        assert rio("org", "use", "RIO").err == "hint: PFA_ORG is set to HOLNG and wins over it\n"


class TestEmptyNames:
    """As a variable gives that is not set: all of them would be meant by it."""

    @pytest.mark.parametrize(
        "words",
        every_third(["commit --session", "discard --session", "uncommit --session", "restore --session",
         "draft set H-003 model=C --into", "draft unset model --session", "list --session", "diff",
         "draft set --category Crane model=C --start-from", "draft set --category Crane model=C --search",
         "sync retry", "org use", "commit --session one --org", "commit --profile", "status --token-file",
         "commit --database-url", "log --since", "log --user", "log", "conflict list --user"]),
    )  # fmt: skip
    def test_an_empty_name_or_date_is_refused(self, words: str, two: Pfa) -> None:
        done = two(*words.split(), "")
        assert (done.code, "is empty" in done.err) == (2, True)
        assert states(two) == {"one": "draft", "two": "draft"}

    def test_so_is_one_before_the_command(self, two: Pfa) -> None:
        assert two("--org", "", "commit").code == 2
        assert two("draft", "--org", "", "list").code == 2
        assert states(two) == {"one": "draft", "two": "draft"}

    def test_an_empty_variable_is_none(self, two: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PFA_SESSION", "")
        assert two("diff", "--all", "-o", "ids").code == 0


class TestBesideOthers:
    def test_a_broken_file_stops_no_job(self, two: Pfa) -> None:
        Path(choices_file(os.environ)).write_text("nonsense\n")
        assert two("commit").code == 0

    def test_a_choice_is_of_one_embedded_server(self) -> None:
        here, there = ({"PFA_EMBEDDED_DIR": name} for name in ("/here", "/there"))
        assert place_of(None, None, here) != place_of(None, None, there)

    def test_no_choice_is_lost_where_two_are_made_at_once(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        loop = (
            "import os, sys; from pfa_core.config.choices import choose\n"
            "for n in range(60): choose('session', [sys.argv[1]], f's{n}', os.environ)"
        )
        both = [subprocess.Popen([sys.executable, "-c", loop, name]) for name in ("a", "b")]
        assert [one.wait(60) for one in both] == [0, 0]
        assert [chosen("session", [name], os.environ) for name in ("a", "b")] == ["s59", "s59"]

    def test_an_empty_home_is_that_of_the_user(self) -> None:
        assert home_of({"HOME": ""}) == pwd.getpwuid(os.getuid()).pw_dir
        assert home_of({"HOME": "relative"}) == "/nonexistent"


class TestWithoutOne:
    def test_a_page_says_that_there_is_none(self, two: Pfa) -> None:
        assert two("session", "use", "--none").out == "no current session\n"
        assert two("session", "show").out == "no current session\n"
        assert two("org", "use", "--none").out == "no chosen organization\n"

    def test_programs_read_what_they_did(self, two: Pfa) -> None:
        nothing = {"sessionId": None, "source": "", "records": 0}
        assert two("session", "use", "--none", "-o", "json").json["data"] == nothing
        assert two("session", "show", "-o", "json").json["data"] == nothing
        chosen = two("org", "use", "--none", "-o", "json").json["data"]
        assert chosen == {"organization": None, "source": ""}


class TestOneWithoutDrafts:
    @pytest.fixture
    def empty(self, two: Pfa) -> Pfa:
        """The current session is a new one; others have drafts."""
        assert two("session", "use", "three").code == 0
        return two

    def test_it_is_listed(self, empty: Pfa) -> None:
        rows = empty("session", "list", "-o", "json").json["data"]
        assert sorted((row["sessionId"], row["records"], row["current"]) for row in rows) == [
            ("one", 1, False), ("three", 0, True), ("two", 1, False),
        ]  # fmt: skip
        assert empty("session", "use", "two").code == 0
        assert len(empty("session", "list", "-o", "json").json["data"]) == 2

    @pytest.mark.parametrize("command", ["diff", "draft list"])
    def test_the_drafts_of_others_are_hinted_at(
        self, command: str, empty: Pfa, attended: Ask
    ) -> None:
        hint = f"hint: type: pfa {command} --all\n"
        assert hint in attended(*command.split()).text
        assert hint not in attended(*command.split(), "--all").text
        assert hint not in attended(*command.split(), PFA_SESSION="one").text
        assert hint not in attended(*command.split(), "--session", "three").text
        assert empty("discard", "--all").code == 0
        assert "--all" not in attended(*command.split()).text


def test_a_table_of_one_session_does_not_repeat_its_name(two: Pfa) -> None:
    assert "sessionId" not in two("diff", "one", "-o", "table").out
    assert "sessionId" in two("diff", "--all", "-o", "table").out
    assert "sessionId" in two("diff", "one", "-o", "table", "--columns", "sessionId").out
    assert two("diff", "one", "-o", "csv").out.splitlines()[1].split(",")[5] == "one"
    assert two("diff", "one").out.split("\t")[5] == "one"
