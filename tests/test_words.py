"""The word list of CONTRIBUTING.md: no private word in code, comments, messages, help, docs or tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.sources import parsed

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pfa_core", "pfa_cli", "tests", "docs", "examples", "benchmarks", ".ci")
# The list itself, and the words that it bans.
EXEMPT = {ROOT / "CONTRIBUTING.md", Path(__file__).resolve()}
BANNED = {
    "change": r"(?<!push_)(?<![Rr]e)[Cc]ommitment",
    "authorization": r"\b(?:the|its|a) doors?\b|\blet(?:s|ting)? in\b|\bcom(?:e|es|ing) in by\b",
    "row-level security": r"\b(?:the|a|our) walls?\b|behind_the_wall",
    "segment": r"\bstretch(?:es)?\b",
    "active, only modification": r"\blies? (?:over|alone)\b|\bof_alone\b",
    "failure, retry schedule": r"\btroubles?\b|\bremed(?:y|ies)\b|\bladders?\b|\brungs?\b|\bby hope\b",
    "iteration, wait, record": r"\b(?:the|its) wheel\b|\bpatience\b|\bhungry\b|\bputs? (?:it )?down\b"
    r"|\bgo[_ ]home\b",
    "abandoned, expires": r"\bbur(?:y|ied)\b|\blets? go\b|\bwithout a word\b",
    "did you mean": r"\bnearness\b|\bcom(?:e|es|ing) nearest\b",
    "compromised, revoked": r"\bwrong hands\b|\bbefore its time\b",
    "rejects, evaluates": r"\bslip of the pen\b|\bheld against\b",
    "in one unit": r"\bunder one roof\b",
    "PEMS client": r"\bfar[- _]side\b",
    "dry run": r"\brehears\w*\b",
    "an actor": r"\b(?=[SsNnEe])(?<![`\"'/~])(?<!pfa or )(?:[Ss]ome|[Nn]o|[Ee]very)body\b(?! or nobody|['`\"])"
    r"|\b[Ww]hoever\b|\bus\b|\b[Oo]urs?\b|\b[Oo]urselves\b",
    "shows, says": r"\b[Tt]old\b",
    "invalid X, unknown X": r"\b(?=is|are)(?<![Tt]here )(?:is|are) none\b"
    r"|\b(?=is)(?<![Tt]here )is no (?!longer|more|less|later|other|need|way)\w",
}


def _files() -> list[Path]:
    found = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()]
    found += [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]
    kinds = {".py", ".sql", ".md", ".sh", ".toml", ".cron", ""}
    return [
        path
        for path in found
        if path.suffix in kinds and "__pycache__" not in path.parts and path not in EXEMPT
    ]


@cache
def _texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text("utf-8")) for path in _files()]


@pytest.mark.parametrize("term", BANNED)
def test_the_field_s_term_is_used(term: str) -> None:
    pattern = re.compile(BANNED[term])
    offenders = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in _texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert offenders == [], f"say {term}"


def test_a_docstring_s_first_line_has_at_most_80_characters() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    offenders = [
        f"{path.relative_to(ROOT)}: {first}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and (first := (ast.get_docstring(node) or "").partition("\n")[0])
        and (len(first) > 80 or first.endswith("?"))
    ]
    assert offenders == []
