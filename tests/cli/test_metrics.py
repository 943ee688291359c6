"""`pfa metrics`: the text, the file, and other formats."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pfa_cli.commands.metrics import write_textfile
from pfa_core import errors
from tests.program import Pfa


def test_the_metrics_are_printed_for_prometheus(ready: Pfa) -> None:
    ran = ready("metrics")
    assert (ran.code, ran.err) == (0, "")
    assert 'pfa_records{organization="HOLNG"} 6\n' in ran.out
    assert ran.out.endswith("\n")
    assert not ran.out.endswith("\n\n")
    assert len(list(text_string_to_metric_families(ran.out))) > 12


def test_the_metrics_go_to_a_file_as_a_whole_and_nothing_is_said(
    ready: Pfa, tmp_path: Path
) -> None:
    path = tmp_path / "pfa.prom"
    for _ in range(2):
        ran = ready("metrics", "--textfile", str(path))
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert "# TYPE pfa_runs_total counter\n" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_is_74(ready: Pfa, tmp_path: Path) -> None:
    ran = ready("metrics", "--textfile", str(tmp_path / "no" / "pfa.prom"))
    assert (ran.code, ran.out) == (74, "")
    assert "pfa.prom cannot be written: No such file or directory [IO_ERROR]" in ran.err
    os.mkfifo(tmp_path / "pipe")
    assert ready("metrics", "--textfile", str(tmp_path / "pipe")).code == 74


def test_the_metrics_come_in_other_formats_too(ready: Pfa) -> None:
    families = {family["name"]: family for family in ready("metrics", "-o", "json").json["data"]}
    assert families["pfa_records"] == {
        "name": "pfa_records",
        "kind": "gauge",
        "help": "Records in the mirror, the missing ones too.",
        "samples": [{"labels": {"organization": "HOLNG"}, "value": 6}],
    }
    lines = ready("metrics", "-o", "tsv").lines
    assert 'pfa_records\t{"organization":"HOLNG"}\t6' in lines


def test_without_a_token_it_is_4(pfa: Pfa) -> None:
    assert pfa("metrics").code == 4


class TestTextfile:
    def test_the_file_is_replaced_and_every_user_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "pfa.prom"
        path.write_text("old")
        path.chmod(0o600)
        before = os.umask(0o077)
        try:
            write_textfile(path, "pfa_x 1\n")
        finally:
            os.umask(before)
        assert path.read_text() == "pfa_x 1\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert names(tmp_path) == ["pfa.prom"]

    def test_a_reader_of_the_old_file_goes_on_with_it(self, tmp_path: Path) -> None:
        path = tmp_path / "pfa.prom"
        path.write_text("old")
        with path.open() as reader:
            write_textfile(path, "new")
            assert reader.read() == "old"

    def test_a_link_stays_and_leads_to_the_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        link = tmp_path / "pfa.prom"
        link.symlink_to(tmp_path / "there" / "pfa.prom")
        write_textfile(link, "new")
        assert link.is_symlink()
        assert (tmp_path / "there" / "pfa.prom").read_text() == "new"

    def test_what_cannot_be_written_is_refused_and_nothing_stays_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "pfa.prom"
        path.write_text("old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(errors.IoFailure, match=r"cannot be written: No space left"):
            write_textfile(path, "new")
        assert path.read_text() == "old"
        assert names(tmp_path) == ["pfa.prom"]

    def test_what_is_no_file_is_not_replaced(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        for name in ("pipe", "folder", "missing/pfa.prom"):
            with pytest.raises(errors.IoFailure):
                write_textfile(tmp_path / name, "new")
        assert names(tmp_path) == ["folder", "pipe"]


def names(folder: Path) -> list[str]:
    """What is in a test's folder."""
    return sorted(path.name for path in folder.iterdir())
