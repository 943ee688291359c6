"""JSON on a terminal: indented, whatever the pieces it comes in; with --compact and in a pipe not."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_cli.render.indent import Indenter
from tests.program import Pfa

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_what_the_standard_library_writes(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert Indenter().indented(compact) == json.dumps(value, indent=2, ensure_ascii=False)


def test_pieces_continue_each_other() -> None:
    indenter = Indenter()
    pieces = ['{"data":[', '{"a":1.50}', ',{"b":"x,{y}"}', "],", '"rest":{}}']
    assert "".join(map(indenter.indented, pieces)) == (
        '{\n  "data": [\n    {\n      "a": 1.50\n    },\n    {\n      "b": "x,{y}"\n    }\n  ],\n  "rest": {}\n}'
    )


@pytest.mark.parametrize("line", ["list", "show H-001", "stats", "draft list", "schema records"])
def test_a_terminal_gets_it_indented_and_a_pipe_on_one_line(
    line: str, ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*line.split(), "-o", "json"]
    piped = ready(*words)
    assert len(piped.lines) == 1
    monkeypatch.setattr(sys.stdout.__class__, "isatty", lambda _: True, raising=False)
    shown, compact = ready(*words), ready(*words, "--compact")
    assert len(compact.lines) == 1
    assert shown.lines[0] == "{"
    assert shown.lines[1].startswith('  "')
    assert without_times(shown.json) == without_times(compact.json) == without_times(piped.json)
    assert ready("list", "-o", "jsonl").out.count("\n") == 6


def without_times(value: Any) -> Any:
    value.get("metadata", {}).pop("queryTime", None)
    return value
