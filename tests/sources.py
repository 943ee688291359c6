"""The program's own source, for the tests that read it: each file is parsed once in a process."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path

import pfa_cli
import pfa_core

ROOTS = tuple(Path(package.__path__[0]) for package in (pfa_core, pfa_cli))


@cache
def parsed() -> tuple[tuple[Path, ast.Module], ...]:
    """Every module of the program with its syntax tree, which its readers leave as it is."""
    paths = [path for root in ROOTS for path in root.rglob("*.py")]
    gc.disable()  # half a million objects that stay: to look for cycles among them takes four times as long
    try:
        return tuple((path, ast.parse(path.read_text("utf-8"))) for path in paths)
    finally:
        gc.freeze()
        gc.enable()
