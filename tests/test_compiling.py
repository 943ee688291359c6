"""What a worker compiles for all is what each would load."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import pytest

from tests.compiling import compile_files, compile_share

TEST = """from __future__ import annotations
from pathlib import Path
LOADED.touch()
def test_it():
    assert str(Path("one")) == "two"
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two modules, of which one is a test."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    files = [tmp_path / "tests" / "test_a.py", tmp_path / "tests" / "helper.py"]
    (tmp_path / "tests").mkdir()
    files[0].write_text(TEST.replace("LOADED", f"Path({str(tmp_path / 'loaded')!r})"))
    files[1].write_text("raise KeyError('loaded')\n")
    return files


def _compiled(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.rglob("*.pyc")}


def test_tests_are_compiled_with_their_assertions_and_nothing_is_executed(
    files: list[Path], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    compile_files(files, pytestconfig.pluginmanager.rewrite_hook)
    kept = list(tmp_path.rglob("test_a*.pyc"))
    assert [path.name for path in kept] == [
        f"test_a.{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc"
    ]
    assert b"@pytest_ar" in kept[0].read_bytes()
    assert _compiled(tmp_path) == {"test_a", "helper"}
    assert not (tmp_path / "loaded").exists()


def test_what_is_compiled_stays_and_what_cannot_be_is_left_to_who_collects_it(
    files: list[Path], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    compile_files(files, pytestconfig.pluginmanager.rewrite_hook)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pyc")}
    files[1].with_name("test_b.py").write_text("def f(:\n")
    compile_files(
        [*files, files[1].with_name("test_b.py")], pytestconfig.pluginmanager.rewrite_hook
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pyc")} == before


def test_the_workers_of_a_run_compile_each_file_once(
    files: list[Path], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    class Worker:
        rootpath, pluginmanager = tmp_path, pytestconfig.pluginmanager
        args = (str(tmp_path / "tests"),)

    for place, expected in enumerate(({"helper"}, {"helper", "test_a"}, {"helper", "test_a"})):
        worker = Worker()
        worker.workerinput = {"workerid": f"gw{place}", "workercount": 3}
        compile_share(worker)
        assert _compiled(tmp_path) == expected
    alone = tmp_path / "tests" / "test_alone.py"
    alone.write_text("")
    compile_share(Worker())
    assert _compiled(tmp_path) == {"helper", "test_a"}


def test_of_named_files_the_tests_among_them_are_compiled(
    files: list[Path], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    class Worker:
        rootpath, pluginmanager = tmp_path, pytestconfig.pluginmanager
        workerinput: ClassVar = {"workerid": "gw0", "workercount": 1}
        args = (f"{tmp_path / 'tests' / 'test_b.py'}::test_it",)

    compile_share(Worker())
    assert _compiled(tmp_path) == {"helper"}
    files[0].with_name("test_b.py").write_text("")
    compile_share(Worker())
    assert _compiled(tmp_path) == {"helper", "test_b"}
