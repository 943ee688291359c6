"""Names of files and users that an unset variable, or a mistake, gives for a token."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pfa_core.config.secret_files import prepare_secret_file
from pfa_core.errors import IoFailure
from tests.program import Pfa


class TestFileOfAToken:
    @pytest.mark.parametrize("name", ["", ".", "/", "folder", "link", "pipe"])
    def test_what_is_not_a_file_is_refused_before_a_token_is_issued(
        self, ready: Pfa, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        os.mkfifo(tmp_path / "pipe")
        before = ready("auth", "list", "-o", "ids").lines
        done = ready("auth", "issue", "--user", "root", "--to", name)
        assert (done.code, "is not the name of a file" in done.err) == (2, True)
        assert ready("auth", "list", "-o", "ids").lines == before
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "pipe").is_fifo()

    def test_a_dash_is_no_file(
        self, ready: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = ready("auth", "list", "-o", "ids").lines
        done = ready("auth", "issue", "--user", "root", "--to", "-")
        assert (done.code, done.out, "without --to it is printed" in done.err) == (2, "", True)
        assert ready("auth", "list", "-o", "ids").lines == before
        assert not (tmp_path / "-").exists()

    def test_no_device_becomes_a_secret_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", tmp_path / "..", Path()):
            with pytest.raises(IoFailure, match="is not"):
                prepare_secret_file(path, "x")
        assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("words", ["auth revoke --user", "auth list --user"])
def test_an_empty_user_is_not_everybody(ready: Pfa, words: str) -> None:
    assert ready("auth", "issue", "--user", "vera", "--role", "viewer").code == 0
    done = ready(*words.split(), "")
    assert (done.code, "--user is empty" in done.err) == (2, True)
    assert "token_revoke" not in ready("log").out
    assert len(ready("auth", "list", "-o", "ids").lines) == 2
