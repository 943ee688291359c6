"""`pfa completion`: the script of a shell, and its installation."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pfa_cli.app import main
from pfa_cli.completion.install import MARK, SHELLS, script_of
from tests.cli import shapes
from tests.completion import shells


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    home.mkdir()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_printed_alone(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr() == (script_of(shell), "")


def test_without_a_name_it_is_that_of_the_login_shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion"]) == 0
    assert capsys.readouterr().out == script_of("fish")


@pytest.mark.parametrize(
    ("words", "login", "message"),
    [
        (["tcsh"], "/bin/bash", "error: no completion for the shell 'tcsh'"),
        ([], "/bin/dash", "error: no completion for the shell 'dash'"),
        ([], "", "error: which shell? SHELL is not set"),
    ],
)
def test_another_shell_is_refused_with_the_known_ones(
    words: list[str],
    login: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHELL", login)
    assert main(["completion", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "hint: type: pfa completion --install bash, or with zsh or fish\n" in said


@pytest.mark.parametrize("words", [["bash"], ["bash", "--install"]], ids=" ".join)
def test_the_json_is_as_published(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = ["completion", *words, "-o", "json"]
    assert main(line) == 0
    said = capsys.readouterr()
    shapes.check(line, said.out, said.err)
    assert json.loads(said.out)["data"]["shell"] == "bash"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_an_installation_adds_one_line_that_loads_the_script(
    shell: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shells.needs(shell)
    startup = home / f".{shell}rc"
    startup.write_text("PFA_TEST_BEFORE=1")  # without a line end
    assert main(["completion", shell, "--install"]) == 0
    assert "next: open a new" in capsys.readouterr().err
    once = startup.read_text()
    assert main(["completion", shell, "--install"]) == 0
    assert "next" not in capsys.readouterr().err
    assert startup.read_text() == once
    assert once.startswith("PFA_TEST_BEFORE=1\n")
    assert once.count(MARK) == 1
    program = f'source "$1"; echo $PFA_TEST_BEFORE; {"complete -p pfa" if shell == "bash" else "whence -w _pfa"}'
    done = subprocess.run(
        [shell, "-c", program, "_", str(startup)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "1"
    assert "_pfa" in done.stdout


def test_a_start_up_file_that_is_a_link_stays_one(home: Path) -> None:
    real = home / "dotfiles-bashrc"
    real.touch()
    (home / ".bashrc").symlink_to(real)
    assert main(["completion", "bash", "--install"]) == 0
    assert (home / ".bashrc").is_symlink()
    assert MARK in real.read_text()


def test_fish_finds_its_script_by_itself(home: Path) -> None:
    assert main(["completion", "fish", "--install"]) == 0
    assert (home / "config" / "fish" / "completions" / "pfa.fish").read_text() == script_of("fish")
    assert not list(home.glob(".*rc"))


def test_where_nothing_can_be_written_it_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".bashrc").mkdir()
    assert main(["completion", "bash", "--install"]) == 74
    assert str(home / ".bashrc") in capsys.readouterr().err
