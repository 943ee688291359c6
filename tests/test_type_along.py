"""README and tutorial typed along in a terminal: their outputs are those of today."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.forms import long
from tests.terminals import on_terminal

ROOT = Path(__file__).resolve().parent.parent
AGAIN = "run: python docs/type_along.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("type_along", ROOT / "docs" / "type_along.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


TYPIST = load()
SESSIONS = {
    name: (page, text)
    for page in TYPIST.PAGES
    for name, text in TYPIST.sessions(page.read_text("utf-8"))
}
# The codes with which the pages say that a command ends; all others end with 0.
CODES = {
    "tour": {},
    "five-minutes": {"pfa draft save delta-faulty.json": [9], "pfa sync push": [3, 0]},
    "forty-minutes": {
        "pfa sync pull --from baseline.csv": [3, 0],
        "pfa draft save delta.json": [9, 0, 0],
        "pfa commit --session weather": [7, 0, 0],
        "pfa sync push": [3, 0, 0],
    },
}


def test_the_pages_have_these_sessions() -> None:
    assert set(SESSIONS) == set(CODES)
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"(?s)<!-- typed: tour -->(.*?)<!-- /typed -->", readme)
    assert len(blocks) == 1
    assert "```console" not in readme.replace(blocks[0], "")


@pytest.mark.long
@pytest.mark.parametrize("name", ["tour", *long(["five-minutes", "forty-minutes"])])
def test_a_session_typed_word_for_word_gives_the_outputs_shown(
    name: str, database_url: str
) -> None:
    _, text = SESSIONS[name]
    # The pages are typed into bash, and one of them asks the sandbox by curl: neither comes with Python.
    lacking = [
        tool for tool in ("bash", "curl") if f"{tool} " in f"bash {text}" and not shutil.which(tool)
    ]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    done = TYPIST.run(name, text, {"PFA_DATABASE_URL": database_url})
    assert done.after == text, AGAIN
    own = [typed for typed in done.typed if typed.command.startswith("pfa ")]
    shown = [line for typed in own for line in typed.shown.splitlines()]
    assert [line for line in shown if len(line) > TYPIST.CELLS] == []
    codes: dict[str, list[int]] = {}
    for typed in done.typed:
        codes.setdefault(typed.command, []).append(typed.code)
    expected = CODES[name]
    assert {line: found for line, found in codes.items() if any(found)} == {
        line: found for line, found in expected.items() if any(found)
    }
    for file, typed in done.pictures.items():
        drawn = (ROOT / file).read_text("utf-8")
        assert TYPIST.words_of(drawn) == TYPIST.words_of(TYPIST.picture(typed)), AGAIN
        assert all(one.code == 0 for one in typed)
    assert bool(done.pictures) == (name == "tour")


def test_the_picture_has_colours_and_fetches_nothing() -> None:
    drawn = (ROOT / "docs" / "terminal.svg").read_text("utf-8")
    assert "url(http" not in drawn
    assert "#ff7b72" in drawn  # before, over plan
    assert "#57c96b" in drawn  # after, under plan
    words = TYPIST.words_of(drawn)
    assert words[:6] == ["pfa,", "80", "columns", "$", "pfa", "list"]


def test_an_output_is_the_same_but_for_ids_times_and_ages() -> None:
    shown = "run  018f6d5e-7c1a-7000-8000-0242ac120002\nat   2026-11-30T10:07:10.000Z  just now\n──── ──"
    again = "run  01a22a34-c95d-7bb2-8295-ff2c0659aae2\nat   2027-01-01T00:00:00.123Z  2 seconds ago\n───── ─"
    assert TYPIST.is_same("pfa sync pull", shown, again)
    assert not TYPIST.is_same("pfa sync pull", shown, again.replace("run", "ran"))
    assert not TYPIST.is_same("pfa list", "a 1\nb 2", "b 2\na 1")
    assert TYPIST.is_same("pfa sync push -n", "a 1\nb 2", "b 2\na 1")
    assert not TYPIST.is_same("pfa sync push -n", "a 1\nb 2", "b 2\na 2")


def test_a_line_that_only_a_slow_machine_shows_is_left_out() -> None:
    text = "240 records in 1 s (238/s)\nrun  1\n1,200 changes in 2 min 3 s (12/s)\n4 drafts saved in session a\n"
    assert TYPIST._RATE.sub("", text) == "run  1\n4 drafts saved in session a\n"


@pytest.mark.long
@pytest.mark.parametrize("cells", [80, 100])
def test_the_demo_fits_the_terminal(cells: int) -> None:
    with tempfile.TemporaryDirectory(prefix="d") as folder:
        Path(folder).chmod(0o755)  # as root the server runs under a service user
        screen = on_terminal("demo", cells=cells, PFA_EMBEDDED_DIR=f"{folder}/pfa")
    assert screen.code == 0
    lines = [line.rpartition("\r")[2].replace("\x1b[K", "") for line in screen.lines]
    assert "End of the demo. To practise with its files: pfa sample" in lines
    assert [line for line in lines if len(line) > cells and "/" not in line] == []
