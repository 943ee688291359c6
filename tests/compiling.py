"""What every worker of a run compiles, each a share of it.

In a new checkout a worker rewrites the assertions of all tests before its first one, which takes longer than to
collect them. The workers do so in step, and each finds nothing that another has compiled. Here each compiles other
files; what is compiled already is left as it is.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from compileall import compile_file
from contextlib import suppress
from importlib.abc import Loader
from pathlib import Path

import pytest

# What tests load, from the root of the repository.
_PACKAGES = ("tests", "pfa_core", "pfa_cli")


def compile_share(config: pytest.Config) -> None:
    """Compile this worker's share of the program and of the tests that the run is of; alone nothing."""
    worker = getattr(config, "workerinput", None)
    if worker and not sys.dont_write_bytecode:
        place, workers = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
        files = [path for path in _files(config.rootpath) if _is_loaded(path, config.args)]
        # Neighbours are of one size.
        compile_files(sorted(files)[place % workers :: workers], config.pluginmanager.rewrite_hook)


def compile_files(files: Sequence[Path], rewriting: Loader) -> None:
    """Compile files as they are loaded: tests by pytest's loader, with assertions that say what they compared."""
    for path in files:
        if not _is_test(path):
            compile_file(path, quiet=2)
        elif not _rewritten(path).exists():
            _rewrite(path, rewriting)


def _files(root: Path) -> Iterator[Path]:
    for package in _PACKAGES:
        yield from (root / package).rglob("*.py")


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_")


def _is_loaded(path: Path, names: Sequence[str]) -> bool:
    """Whether a run of these files and folders loads the file. Of what tests load, it may be all."""
    return not _is_test(path) or any(
        path.is_relative_to(Path(name.partition("::")[0]).absolute()) for name in names
    )


def _rewritten(path: Path) -> Path:
    """The file in which pytest keeps a module; a stale one it writes anew when it loads it."""
    name = f"{path.stem}.{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc"
    return path.parent / "__pycache__" / name


def _rewrite(path: Path, rewriting: Loader) -> None:
    """Let pytest's loader keep what it would execute. Without builtins a module ends at its first import."""
    spec = importlib.util.spec_from_file_location(f"compiled_{path.stem}", path, loader=rewriting)
    if spec is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__builtins__"] = {}
    # What is wrong with a module shows when it is collected.
    with suppress(Exception):
        rewriting.exec_module(module)
