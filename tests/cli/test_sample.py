"""`pfa sample`: the demo's files in a directory of one's own."""

from __future__ import annotations

import importlib.util
import json
import os
from importlib.resources import files
from pathlib import Path

import pytest

from pfa_cli.app import main
from pfa_cli.commands.sample import FILES
from pfa_core.pems.mapping.field_map import FieldMap, load_field_map
from tests.program import Pfa

ROOT = Path(__file__).resolve().parents[2]
NEXT = "next: cd {} && pfa init --org DEMO\n"


@pytest.fixture(autouse=True)
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It needs no database and no token."""
    monkeypatch.setenv("PFA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["sample", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_are_written_and_the_next_command_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, "deep/practice", "-o", "tsv")
    assert (code, err) == (0, NEXT.format("deep/practice"))
    assert [line.split("\t") for line in out.splitlines()] == [
        [name, "written", means] for name, means in FILES.items()
    ]
    bundled = files("pfa_cli").joinpath("sample")
    assert content_of(tmp_path / "deep" / "practice") == {
        name: bundled.joinpath(name).read_bytes() for name in FILES
    }
    assert {entry.name for entry in bundled.iterdir()} == set(FILES)


def test_without_a_directory_it_makes_one_of_its_own_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, "-q")[0::2] == (0, "")
    assert set(content_of(tmp_path / "practice")) == set(FILES)


def test_the_same_again_changes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "practice")
    (tmp_path / "practice" / "mine.txt").write_text("mine")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "practice").iterdir()}
    (tmp_path / "practice" / "field-map.toml").unlink()
    code, out, _ = run(capsys, "practice", "-o", "json")
    assert code == 0
    states = {item["file"]: item["status"] for item in json.loads(out)["data"]}
    assert states == dict.fromkeys(FILES, "unchanged") | {"field-map.toml": "written"}
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "practice").iterdir()}
    assert {path: after[path] for path in times if path.name != "field-map.toml"} == {
        path: time for path, time in times.items() if path.name != "field-map.toml"
    }


def test_a_file_with_another_content_is_kept_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "practice"
    folder.mkdir()
    (folder / "mirror.jsonl").write_text("mine")
    code, out, err = run(capsys, "practice")
    assert (code, out) == (74, "")
    assert err == (
        "hint: choose another directory, or add --replace\n"
        "error: practice has other files of the names mirror.jsonl; nothing was written [IO_ERROR]\n"
    )
    assert content_of(folder) == {"mirror.jsonl": b"mine"}

    code, out, _ = run(capsys, "practice", "--replace", "-o", "tsv", "--columns", "status")
    assert (code, out.split()) == (0, ["replaced", *["written"] * (len(FILES) - 1)])
    assert b"DEMO-0001" in (folder / "mirror.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["practice", "practice/mirror.jsonl"])
def test_a_place_that_is_taken_is_74_and_leaves_no_file_behind(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    taken = tmp_path / name
    if name == "practice":
        taken.write_text("a file")
    else:
        taken.mkdir(parents=True)
    code, out, err = run(capsys, "practice", "--replace")
    assert (code, out) == (74, "")
    assert "cannot be written: " in err
    assert err.endswith(" [IO_ERROR]\n")
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(name.split("/"))


def test_a_write_that_fails_leaves_the_file_that_was_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "practice"
    folder.mkdir()
    (folder / "mirror.jsonl").write_text("mine")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = run(capsys, "practice", "--replace")
    assert code == 74
    assert "No space left on device" in err
    assert content_of(folder) == {"mirror.jsonl": b"mine"}


def test_the_generator_makes_the_files_of_the_package(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "make_sample", ROOT / "benchmarks" / "make_sample.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    assert content_of(tmp_path) == content_of(ROOT / "pfa_cli" / "sample")


def test_the_field_map_of_the_sample_is_the_default_one() -> None:
    found = load_field_map(ROOT / "pfa_cli" / "sample" / "field-map.toml")
    assert found == FieldMap()


def test_the_numbers_in_the_descriptions_are_those_of_the_files() -> None:
    folder = ROOT / "pfa_cli" / "sample"
    today, later = (
        (folder / name).read_text("utf-8").splitlines()
        for name in ("mirror.jsonl", "mirror-next-day.jsonl")
    )
    assert FILES["mirror.jsonl"].startswith(f"{len(today)} equipment lines")
    changed = sum(before != after for before, after in zip(today, later, strict=True))
    assert FILES["mirror-next-day.jsonl"].endswith(f"PEMS changed {changed}")
    moved = json.loads((folder / "delta-weather.json").read_text())["modifications"]
    assert FILES["delta-weather.json"].startswith(f"{len(moved)} lines of Silo 4")


def test_what_is_not_a_file_is_another_content(pfa: Pfa) -> None:
    folder = pfa.folder / "a b"
    folder.mkdir()
    os.mkfifo(folder / "mirror.jsonl")
    assert pfa("sample", str(folder)).code == 74


def test_the_next_command_can_be_pasted(pfa: Pfa) -> None:
    folder = pfa.folder / "a b$(id)"
    assert f"next: cd '{folder}' && pfa init" in pfa("sample", str(folder)).err
